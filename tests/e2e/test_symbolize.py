# SPDX-License-Identifier: BSD-2-Clause
"""`ebpfprof symbolize`: questions and answers, hostile files, what is cached."""

import glob
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from conftest import EBPFPROF, need, workload
from naming import (USUAL, build_id, chain_truth, check_chain, command, copy, frames_of, marks,
                    names_of, runtime_address, symbolize, symbols)


# ---- the text ----

def test_text_is_that_of_addr2line(tool, build):
    """As `addr2line -afip` prints it: address, function at file:line, (inlined by) its callers."""
    program = build("chain.c", *USUAL)
    address = marks(program)["hot"][0]
    done = tool.run("symbolize", "-e", program, f"{address:#x}")
    lines = [line.rsplit(" at ", 1) for line in done.stdout.splitlines()]
    assert [left for left, _ in lines] == [f"0x{address:016x}: innermost", " (inlined by) middle",
                                           " (inlined by) outermost"], done.stdout
    for (_, place), (_, file, number) in zip(lines, chain_truth("hot")):
        assert place.endswith(f"/{file}:{number}"), done.stdout
    theirs = command("addr2line", "-afip", "-e", program, hex(address))
    assert done.stdout == theirs


def test_addresses_are_taken_with_and_without_prefix(tool, build):
    program = build("chain.c", *USUAL)
    address = symbols(program)["outermost"]
    forms = [f"{address:x}", f"{address:X}", f"0x{address:x}", f"0X{address:x}",
             f"{address:016x}"]
    done = tool.run("symbolize", "-e", program, *forms)
    assert len(set(done.stdout.splitlines())) == 1 and "outermost" in done.stdout, done.stdout
    from_stdin = tool.run("symbolize", "-e", program, input="\n".join(forms), text=True)
    assert from_stdin.stdout == done.stdout


def test_answers_keep_the_order_of_bad_and_good_lines(tool, build):
    program = build("chain.c", *USUAL)
    good = f"{symbols(program)['outermost']:#x}"
    lines = [good, "zz", "-1", "  " + good + "\t", "", "99999999999999999", "+5", "0x", good]
    done = tool.run("symbolize", "-e", program, input="\n".join(lines), text=True, check=False)
    assert done.returncode == 1, done.stderr
    answers = done.stdout.splitlines()
    asked = [line for line in lines if line]
    assert len(answers) == len(asked), done.stdout
    for question, answer in zip(asked, answers):
        if question.strip() == good:
            assert "outermost" in answer, done.stdout
        else:
            assert answer == f"{question}: ??", done.stdout
    assert len(done.stderr.splitlines()) == 5, done.stderr
    assert "line 2" in done.stderr and "line 8" in done.stderr, done.stderr
    as_json = tool.run("symbolize", "--json", "-e", program, input="\n".join(lines), text=True,
                       check=False)
    assert as_json.returncode == 1
    parsed = [json.loads(line) for line in as_json.stdout.splitlines()]
    assert [("error" in answer) for answer in parsed] == [q.strip() != good for q in asked], parsed


def test_hostile_lines_on_stdin(tool, build):
    """Bytes that are no text, NULs, a line of a megabyte: each has its one line of an answer."""
    program = build("chain.c", *USUAL)
    good = f"{symbols(program)['outermost']:#x}".encode()
    lines = [b"\xff\xfe\x80", b"1\0002", b"f" * (1 << 20), b"\x1b[31m", good]
    for option in ([], ["--json"]):
        done = subprocess.run([EBPFPROF, "symbolize", *option, "-e", program], cwd=tool.folder,
                              input=b"\n".join(lines) + b"\n", stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=60)
        assert done.returncode == 1
        answers = done.stdout.splitlines()
        assert len(answers) == len(lines)
        assert b"outermost" in answers[-1], answers[-1]
        if option:
            parsed = [json.loads(answer.decode()) for answer in answers]
            assert ["error" in answer for answer in parsed] == [True] * 4 + [False]


def test_a_hundred_thousand_addresses(tool, build):
    program = build("chain.c", *USUAL)
    start = symbols(program)["outermost"]
    wanted = [start + n % 64 if n % 3 else n * 7919 for n in range(100000)]
    begin = time.monotonic()
    done = tool.run("symbolize", "--json", "-e", program, text=True,
                    input="".join(f"{a:x}\n" for a in wanted))
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [int(a["address"], 16) for a in answers] == wanted
    assert all(names_of(a)[-1] == "outermost" for a in answers[1:200] if
               start <= int(a["address"], 16) < start + 64)
    assert time.monotonic() - begin < 30


def test_each_answer_comes_at_once(tool, build, start):
    """For a program that asks through pipes and waits for each answer."""
    program = build("chain.c", *USUAL)
    asked = start(EBPFPROF, "symbolize", "-e", program, stdin=subprocess.PIPE,
                  stdout=subprocess.PIPE)
    for word in ("entry", "between"):
        address = marks(program)[word][0]
        asked.stdin.write(f"{address:#x}\n".encode())
        asked.stdin.flush()
        line = asked.stdout.readline().decode()
        assert line.startswith(f"0x{address:016x}: "), line
        for _ in range(len(chain_truth(word)) - 1 if word != "entry" else 0):
            asked.stdout.readline()
    asked.stdin.close()
    assert asked.wait(timeout=10) == 0


@pytest.mark.parametrize("ignored", [True, False])
def test_reader_that_went_away(tool, build, start, ignored):
    program = build("chain.c", *USUAL)
    script = f"{EBPFPROF} symbolize -e {program}"
    asked = start("sh", "-c", f"trap '' PIPE; exec {script}" if ignored else f"exec {script}",
                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    asked.stdout.close()
    try:
        asked.stdin.write(b"1234\n" * 50000)
        asked.stdin.close()
    except BrokenPipeError:
        pass
    assert asked.wait(timeout=20) == (1 if ignored else -signal.SIGPIPE)
    said = asked.stderr.read().decode().splitlines()
    assert len(said) == (1 if ignored else 0), said


def test_full_and_closed_stdout_are_errors(tool, build):
    program = build("chain.c", *USUAL)
    for where in (">/dev/full", ">&-"):
        done = subprocess.run(["sh", "-c", f"{EBPFPROF} symbolize -e {program} 1234 {where}"],
                              stderr=subprocess.PIPE, text=True)
        assert done.returncode == 1, where
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert "stdout" in done.stderr, done.stderr


# ---- wrong questions ----

@pytest.mark.parametrize("args,says", [
    ((), "-p"), (("-p", "1", "-e", "/bin/true"), "-p"), (("-e", "/bin/true", "xyz"), "xyz"),
    (("-e", "/bin/true", "--", "-5"), "-5"), (("-p", "0"), ""), (("-p", "abc"), "abc"),
    (("-p", "1", "--debug", "x"), "--debug"), (("-e",), "-e"), (("--wrong",), "--wrong")])
def test_wrong_options(tool, args, says):
    tool.fails("symbolize", *args, status=2, says=says, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("folder", ["/nonexistent", "/bin/true"])
def test_folder_of_debug_files_that_is_none(tool, folder):
    tool.fails("symbolize", "--debug-dir", folder, "-e", "/bin/true", "1234", says=folder)
    tool.fails("record", "--debug-dir", folder, "-d", "1", says=folder)


def test_process_that_is_not_there(tool):
    ended = subprocess.Popen(["true"])
    ended.wait()
    tool.fails("symbolize", "-p", ended.pid, "1234", says=str(ended.pid))


def test_process_that_cannot_be_read(tool, start):
    """Neither another user's process nor one that only waits to be reaped has `[unknown]` code."""
    alive = start("sleep", "60")
    with tempfile.TemporaryDirectory() as place: # which others can reach
        os.chmod(place, 0o755)
        program = shutil.copy(EBPFPROF, place)
        done = subprocess.run([program, "symbolize", "--no-cache", "-p", str(alive.pid), "1234"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              user=12345, group=12345, extra_groups=[])
    assert done.returncode == 1 and not done.stdout, done
    assert f"process {alive.pid}: Permission denied" in done.stderr, done.stderr
    zombie = start("true")
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    tool.fails("symbolize", "-p", zombie.pid, "1234", says=str(zombie.pid))


# ---- hostile files ----

def hostile_file(kind, folder, program):
    path = os.path.join(folder, "hostile")
    size = os.path.getsize(program)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        return folder
    elif kind.startswith("/dev/"):
        return kind
    elif kind == "missing":
        return path
    elif kind == "loop":
        os.symlink(path, path)
    else:
        shutil.copy(program, path)
        with open(path, "r+b") as file:
            file.truncate({"empty": 0, "magic only": 4, "half a header": 40,
                           "no program headers": 70, "half": size // 2}[kind])
    return path


@pytest.mark.parametrize("kind", ["fifo", "directory", "/dev/zero", "/dev/null", "missing", "loop",
                                  "empty", "magic only", "half a header", "no program headers",
                                  "half"])
@pytest.mark.parametrize("option", ["-e", "--debug"])
def test_what_is_no_whole_elf_file(tool, build, option, kind):
    """One line and status 1, at once, whichever file it is; --debug is the user's word as well."""
    program = build("chain.c", *USUAL)
    path = hostile_file(kind, tool.folder, program)
    args = ["-e", path] if option == "-e" else ["-e", program, "--debug", path]
    tool.fails("symbolize", *args, "1234", says=path, timeout=20)


def test_damaged_files_do_no_harm(tool, build):
    """Bytes of the headers and of the debug information overwritten, each in turn."""
    program = build("chain.c", *USUAL)
    with open(program, "rb") as file:
        content = file.read()
    address = marks(program)["hot"][0]
    path = os.path.join(tool.folder, "damaged")
    places = list(range(16, 64, 3)) + list(range(len(content) // 4, len(content),
                                                 len(content) // 40))
    for at in places:
        with open(path, "wb") as file:
            file.write(content[:at] + b"\xff" * 5 + content[at + 5:])
        done = tool.run("symbolize", "--no-cache", "-e", path, f"{address:#x}", check=False,
                        timeout=20)
        assert done.returncode in (0, 1), (at, done.returncode, done.stderr)
        assert len(done.stdout.splitlines()) + len(done.stderr.splitlines()) >= 1, at


def test_hostile_symbol_names_are_valid_json(tool, build):
    """Names with quotes, line feeds, controls, broken UTF-8, terminal commands."""
    original = build("chain.c", "-O2")
    names = {"outermost": b'a"b\\c\n\t\x1b[31m\xff\xfe', "main": b"\xe2\x82;\x01 \xf0\x90"}
    path = os.path.join(tool.folder, "hostile")
    with open(original, "rb") as file:
        content = file.read()
    for name, hostile in names.items():
        old = b"\0" + name.encode() + b"\0"
        assert old in content, name
        content = content.replace(old, b"\0" + hostile[:len(name)].ljust(len(name), b"\xc3") +
                                  b"\0")
    with open(path, "wb") as file:
        file.write(content)
    addresses = [symbols(original)[name] for name in names]
    done = subprocess.run([EBPFPROF, "symbolize", "--no-cache", "--json", "-e", path,
                           *map(hex, addresses)], stdout=subprocess.PIPE, check=True)
    answers = [json.loads(line) for line in done.stdout.decode("utf-8").splitlines()]
    assert len(answers) == 2
    assert all(answer["named"] for answer in answers), answers
    assert answers[0]["frames"][0]["function"].startswith('a"b\\c'), answers
    # As text an answer stays one line, and tells the terminal nothing.
    text = subprocess.run([EBPFPROF, "symbolize", "--no-cache", "-e", path, *map(hex, addresses)],
                          stdout=subprocess.PIPE, check=True).stdout
    assert len(text.splitlines()) == 2, text
    assert b"\x1b" not in text and b"\x01" not in text, text


def test_object_files_and_foreign_machines(tool, build):
    foreign = copy(build("chain.c", *USUAL), tool.folder)
    with open(foreign, "r+b") as file:
        file.seek(18)
        file.write(b"\xb7\x00")  # EM_AARCH64
    tool.fails("symbolize", "-e", foreign, "1234", says="another machine")


# ---- processes ----

def test_addresses_of_a_process(tool, build, start):
    """Program, libc, vdso and kernel in one call."""
    program = start(build("chain.c", *USUAL), "5")
    path = os.readlink(f"/proc/{program.pid}/exe")
    hot = runtime_address(program.pid, path, marks(path)["hot"][0])
    answer, unknown = symbolize(tool, "-p", program.pid, addresses=[hot, 0x10])
    assert frames_of(answer) == chain_truth("hot")
    assert answer["build_id"] == build_id(path)
    assert not unknown["named"] and unknown["kind"] == "unknown", unknown


def test_file_option_follows_links_and_odd_names(tool, build):
    program = build("chain.c", *USUAL)
    odd = copy(program, tool.folder, 'a b\n"\\;é')
    link = os.path.join(tool.folder, "link")
    os.symlink(odd, link)
    for path in (odd, link, os.path.basename(odd)):
        check_chain(tool, program, "-e", path)


# ---- the cache ----

def entries(folder):
    return sorted(p for p in glob.glob(os.path.join(folder, "ebpfprof", "**"), recursive=True)
                  if os.path.isfile(p))


def ask_all(tool, program, *args, cache=None):
    env = dict(os.environ, XDG_CACHE_HOME=cache or tool.cache)
    addresses = sorted(a for found in marks(program).values() for a in found)
    return symbolize(tool, *args, "-e", program, addresses=addresses, env=env)


def test_cache_gives_the_same_answers(tool, build):
    program = build("chain.c", *USUAL)
    without = ask_all(tool, program, "--no-cache")
    assert not os.path.exists(os.path.join(tool.cache, "ebpfprof"))
    first = ask_all(tool, program)
    made = entries(tool.cache)
    assert any(build_id(program) in path.replace("/", "") for path in made), made
    before = [os.stat(path).st_mtime_ns for path in made]
    assert first == without == ask_all(tool, program)
    assert entries(tool.cache) == made
    assert [os.stat(path).st_mtime_ns for path in made] == before, "an entry was made again"


def test_cache_is_readable_by_its_owner_only(tool, build):
    ask_all(tool, build("chain.c", *USUAL))
    for path in entries(tool.cache) + [os.path.join(tool.cache, "ebpfprof")]:
        assert os.stat(path).st_mode & 0o022 == 0, path
        assert os.stat(path).st_uid == os.getuid(), path


def damage(path, how):
    if how == "cut":
        os.truncate(path, os.path.getsize(path) // 2)
    elif how == "empty":
        os.truncate(path, 0)
    elif how == "last byte":
        with open(path, "r+b") as file:
            file.seek(-1, os.SEEK_END)
            byte = file.read(1)[0]
            file.seek(-1, os.SEEK_END)
            file.write(bytes([byte ^ 0x55]))
    elif how == "other owner":
        os.chown(path, 12345, 12345)
    elif how == "writable by all":
        os.chmod(path, 0o666)
    elif how == "link":
        os.rename(path, path + ".real")
        os.symlink(path + ".real", path)
    elif how == "fifo":
        os.unlink(path)
        os.mkfifo(path)


@pytest.mark.parametrize("how", ["cut", "empty", "last byte", "other owner", "writable by all",
                                 "link", "fifo"])
def test_damaged_or_foreign_entries_are_made_anew(tool, build, how):
    program = build("chain.c", *USUAL)
    truth = ask_all(tool, program)
    made = entries(tool.cache)
    assert made
    contents = {path: open(path, "rb").read() for path in made}
    for path in made:
        damage(path, how)
    assert ask_all(tool, program) == truth
    for path in made:
        status = os.lstat(path)
        assert os.path.isfile(path) and not os.path.islink(path), (path, how)
        assert status.st_uid == os.getuid() and status.st_mode & 0o022 == 0, (path, how)
        with open(path, "rb") as file:
            assert file.read() == contents[path], (path, how)


def test_entry_of_another_debug_file_is_stale(tool, build):
    """The debug file came after the first look: what was remembered without it is no answer."""
    from naming import build_id_path, split_debug
    original = build("chain.c", *USUAL)
    stripped, debug = split_debug(original, tool.folder, link=False)
    folder = os.path.join(tool.folder, "debug")
    target = build_id_path(folder, original)
    address = marks(original)["hot"]
    assert not symbolize(tool, "-e", stripped, "--debug-dir", folder, addresses=address)[0]["named"]
    os.rename(debug, target)
    check_chain(tool, original, "-e", stripped, "--debug-dir", folder)
    os.unlink(target)
    assert not symbolize(tool, "-e", stripped, "--debug-dir", folder, addresses=address)[0]["named"]


@pytest.mark.parametrize("kind", ["file", "unwritable", "foreign", "link"])
def test_a_cache_folder_that_cannot_be_used_is_done_without(tool, build, kind):
    program = build("chain.c", *USUAL)
    truth = ask_all(tool, program, "--no-cache")
    folder = os.path.join(tool.folder, "home")
    os.mkdir(folder)
    place = os.path.join(folder, "ebpfprof")
    if kind == "file":
        open(place, "w").close()
    elif kind == "unwritable":
        folder = "/proc/self"
    elif kind == "foreign":
        os.mkdir(place)
        os.chown(place, 12345, 12345)
    else:
        os.mkdir(os.path.join(tool.folder, "elsewhere"))
        os.chown(os.path.join(tool.folder, "elsewhere"), 12345, 12345)
        os.symlink(os.path.join(tool.folder, "elsewhere"), place)
    assert ask_all(tool, program, cache=folder) == truth
    if kind in ("foreign", "link"):
        assert entries(folder) == [], "written into a folder that is not ours"


def test_programs_without_a_build_id_are_not_mixed_up(tool, build):
    """Nothing tells two of them apart for sure, so nothing may be remembered wrongly."""
    first = build("chain.c", "-O2", "-g", "-Wl,--build-id=none")
    other = build("chain.c", "-O2", "-g", "-Wl,--build-id=none", "-Doutermost=decoy_outer")
    path = os.path.join(tool.folder, "program")
    for program, name in [(first, "outermost"), (other, "decoy_outer"), (first, "outermost")]:
        shutil.copy(program, path)
        address = marks(program)["entry"]
        assert names_of(symbolize(tool, "-e", path, addresses=address)[0]) == [name]


def test_programs_of_one_build_id_and_size_are_not_mixed_up(tool):
    """Build-ids are given by hand, too: here to two programs whose functions stand elsewhere."""
    programs = []
    for name, order in [("first", range(2100)), ("other", reversed(range(2100)))]:
        path = os.path.join(tool.folder, name)
        with open(path + ".c", "w") as source:
            source.writelines(f"int function_{i:04d}(int x) {{ return x + {i + 1000}; }}\n"
                              for i in order)
            source.write("int main(void) { return 0; }\n")
        command(need("gcc"), "-Wl,--build-id=0x1234567890abcdef", "-o", path, path + ".c")
        programs.append(path)
    assert len({os.path.getsize(path) for path in programs}) == 1
    at = [symbols(path)["function_0007"] for path in programs]
    assert at[0] != at[1]
    env = dict(os.environ, XDG_CACHE_HOME=tool.cache)
    for path, address in zip(programs * 2, at * 2):
        answer, = symbolize(tool, "-e", path, addresses=[address], env=env)
        assert names_of(answer) == ["function_0007"], path
    assert entries(tool.cache)


def test_symbols_of_a_large_program_by_cache(tool):
    """Against nm, for the largest program at hand, without and twice with the cache."""
    path = workload("rustwork")
    rows = re.findall(r"^(\w+) \w+ [tT] (\S+)$", command("nm", "-S", path), re.M)
    assert len(rows) > 200
    by_address = {}
    for address, name in rows:
        by_address.setdefault(int(address, 16), set()).add(name)
    wanted = sorted(by_address)
    answers = [symbolize(tool, "--no-debug-info", "--no-demangle", *option, "-e", path,
                         addresses=wanted)
               for option in (["--no-cache"], [], [])]
    assert answers[0] == answers[1] == answers[2]
    for address, answer in zip(wanted, answers[0]):
        assert answer["frames"][-1]["system_name"] in by_address[address], answer
