# SPDX-License-Identifier: BSD-2-Clause
"""Stacks of code without frame pointers, to their last frame; and what is said where they end."""

import os
import re
import shutil
import signal
import subprocess
import time

import pytest

from conftest import EBPFPROF, need, wait_until, workload


def unwind(name):
    return workload(os.path.join("unwind", name))


def complete(tool):
    """Percent of the user stacks of the last run that were walked to their end."""
    return float(re.search(r"user +([\d.]+) % of stacks walked", tool.last.stderr).group(1))


def user_part(stack):
    return [frame for frame in stack[1:] if not frame.startswith("[")]


def is_frame(found, expected):
    """libc's own functions have names where its debug file is installed."""
    return found == expected or found.startswith("libc.so.6+0x")


CHAIN = ["descend_lean", "descend_saved", "descend_array"]


@pytest.mark.parametrize("name,first", [
    ("nofp", ["_start", "__libc_start_main", "__libc_start_call_main", "main"]),
    ("withfp", ["_start", "__libc_start_main", "__libc_start_call_main", "main"]),
    ("nofp_clang", ["_start", "__libc_start_main", "__libc_start_call_main", "main"]),
    ("nofp_static", ["_start", "__libc_start_main", "__libc_start_call_main", "main"]),
    ("nofp_static_pie", ["_start", "__libc_start_main", "__libc_start_call_main", "main"]),
    ("nofp_musl", ["libc_start_main_stage2", "main"]),
])
def test_every_frame_from_the_start_on(tool, name, first):
    stacks = tool.record("-F", "199", "--user", "--", unwind(name), "2", "30")
    spinning = {s: n for s, n in stacks.counts.items() if "spin_at_bottom" in s}
    assert sum(spinning.values()) > 0.97 * stacks.total(), stacks
    for stack in spinning:
        found = user_part(stack)
        at = found.index("spin_at_bottom")
        chain = found[at - 30:at]
        assert chain == [CHAIN[i % 3] for i in range(30)], stack
        # libc_start_main_stage2 is musl's outermost frame that says where it returns to.
        above = found[:at - 30][-len(first):]
        assert len(above) == len(first) and all(map(is_frame, above, first)), stack
    assert complete(tool) > 99, tool.last.stderr


def test_four_hundred_frames_are_no_limit(tool):
    stacks = tool.record("-F", "199", "--user", "--", unwind("nofp"), "2", "400")
    deep = {s: n for s, n in stacks.counts.items() if "spin_at_bottom" in s}
    assert sum(deep.values()) > 0.97 * stacks.total(), stacks
    for stack in deep:
        assert stack[1] == "_start" and sum(f in CHAIN for f in stack) == 400, stack


@pytest.mark.parametrize("name,frame,above", [
    ("callbacks", None, "_start"),
    ("realign", None, "_start"),
    ("realign_all", None, "_start"),
    ("realign_clang", None, "_start"),
    ("vdso", "__vdso_clock_gettime", "_start"),
    ("throw", "_Unwind_RaiseException", "_start"),
    ("coroutines", "coroutine_work", "__start_context"),
    ("threads", None, None),
    ("release", None, None),
])
def test_programs_that_are_hard_to_unwind(tool, name, frame, above):
    stacks = tool.record("-F", "199", "--", unwind(name), "3")
    assert complete(tool) > 97, tool.last.stderr
    if frame:
        assert stacks.having(frame) > 10, stacks
    if above:
        at_top = sum(n for s, n in stacks.counts.items() if is_frame(s[1], above))
        user = sum(n for s, n in stacks.counts.items()
                   if not s[1].startswith(("entry_", "asm_", "[", "ret_from_fork")))
        assert at_top > 0.9 * user, stacks


def test_a_signal_handler_stands_on_what_it_interrupted(tool):
    for more in ([], ["alt"]):
        stacks = tool.record("-F", "199", "--user", "--", unwind("signals"), "3", *more)
        handled = {s: n for s, n in stacks.counts.items() if "handler_work" in s}
        assert sum(handled.values()) > 50, stacks
        whole = sum(n for s, n in handled.items()
                    if s[1] == "_start" and "main" in s and s.index("on_sigprof") > s.index("main"))
        # Of a stack of its own only that is copied, in the program's first tenth of a second.
        assert whole > (0.9 if more else 0.98) * sum(handled.values()), stacks


def test_threads_begin_at_clone(tool):
    stacks = tool.record("-F", "199", "--user", "--", unwind("threads"), "2")
    begin = {s[1] for s, n in stacks.counts.items() if n > 5}
    assert any(is_frame(frame, name) for frame in begin
               for name in ("clone3", "__clone3", "clone", "__clone")), stacks


# ---- how ----------------------------------------------------------------------------------------

def test_by_frame_pointer_alone_code_without_says_so(tool):
    stacks = tool.record("-F", "199", "--user", "--unwind", "fp", "--", unwind("nofp"), "2")
    assert complete(tool) < 5, tool.last.stderr
    assert stacks.having("[no frame pointer: nofp]") > 0.9 * stacks.total(), stacks
    assert not stacks.having("descend_array"), stacks


def test_by_table_alone_jit_code_is_not_left(tool):
    stacks = tool.record("-F", "199", "--user", "--unwind", "table", "--", workload("jit"), "2")
    jit = {s: n for s, n in stacks.counts.items() if s[-1].startswith("jit")}
    assert jit, stacks
    for stack in jit:
        assert stack[1] == "[jit without frame pointer]", stack


def test_wrong_ways_are_refused(tool):
    tool.fails("record", "--unwind", "magic", "-d", "1", status=2, says=["--unwind", "auto"])
    tool.fails("record", "--unwind-memory", "1M", "-d", "1", status=2, says="--unwind-memory")


# ---- what comes and goes ------------------------------------------------------------------------

def test_programs_of_three_milliseconds_have_whole_stacks(tool, start):
    program = unwind("shortlived")
    recorder = start(EBPFPROF, "record", "-a", "-F", "999", "-o", "o.pb.gz", cwd=tool.folder,
                     stderr=subprocess.PIPE, text=True)
    time.sleep(0.7)
    subprocess.run([program, "2"], check=True, stdout=subprocess.DEVNULL)  # some hundred of them
    recorder.send_signal(signal.SIGTERM)
    summary = recorder.communicate()[1]
    assert recorder.returncode == 0
    stacks = tool.folded("o.pb.gz")
    work = {s: n for s, n in stacks.counts.items() if "short_work" in s}
    assert sum(work.values()) > 200, stacks
    whole = sum(n for s, n in work.items() if s[1] == "_start" and "main" in s)
    assert whole > 0.98 * sum(work.values()), stacks
    assert int(re.search(r"(\d+) stacks unwound here", summary).group(1)) > 100, summary


def test_libraries_that_come_late_and_go_are_unwound_at_once(tool):
    """The second lands where the first was: the kernel must not go by the first one's table."""
    stacks = tool.record("-F", "499", "--user", "--", workload("dlopen_main"), "1", "swap")
    for name in ("plugin_work", "plugin_b_work"):
        plugin = {s: n for s, n in stacks.counts.items() if name in s}
        assert sum(plugin.values()) > 200, stacks
        whole = sum(n for s, n in plugin.items() if s[1] == "_start" and "main" in s)
        honest = sum(n for s, n in plugin.items() if s[1] == "[tables not ready]")
        assert whole > 0.8 * sum(plugin.values()), stacks  # all but a tenth of a second
        assert whole + honest == sum(plugin.values()), stacks


def test_a_program_that_runs_already(tool, start):
    program = start(unwind("nofp"), "20", "30")
    time.sleep(0.3)
    stacks = tool.record("-p", program.pid, "-F", "199", "--user", "-d", "2")
    whole = sum(n for s, n in stacks.counts.items() if s[1] == "_start")
    assert whole > 0.99 * stacks.total(), stacks


def test_programs_side_by_side_are_told_apart(tool, start):
    """Small programs have other code at the same addresses: rules that the walk remembers are not
    taken for those of another file."""
    names = ["nofp", "withfp", "nofp_clang", "realign", "realign_clang", "callbacks",
             "callbacks_clang", "vdso", "signals", "throw", "throw_clang"]
    programs = [start(unwind(name), "20") for name in names]
    time.sleep(0.3)
    stacks = tool.record("-p", ",".join(str(p.pid) for p in programs), "-F", "999", "--user",
                         "-d", "4")
    assert stacks.total() > 1000, stacks
    cut = sum(n for s, n in stacks.counts.items() if s[1].startswith("[corrupt unwind info"))
    assert cut < 0.005 * stacks.total(), tool.last.stderr


def test_tables_come_from_the_cache_the_second_time(tool, start):
    program = start(unwind("nofp"), "20", "30")
    for _ in range(2):
        tool.record("-p", program.pid, "-F", "199", "-d", "1")
        assert complete(tool) > 99, tool.last.stderr
    kept = [name for _, _, names in os.walk(tool.cache) for name in names]
    assert kept, "nothing was kept on disk"


def test_a_broken_table_in_the_cache_is_made_anew(tool, start):
    program = start(unwind("nofp"), "20", "30")
    tool.record("-p", program.pid, "-F", "199", "-d", "1")
    for folder, _, names in os.walk(tool.cache):
        for name in names:
            with open(os.path.join(folder, name), "r+b") as file:
                file.seek(100)
                file.write(b"\xff" * 64)
    tool.record("-p", program.pid, "-F", "199", "-d", "1")
    assert complete(tool) > 99, tool.last.stderr


def test_little_memory_is_kept_to_and_said(tool, start):
    """16 MiB have room for some of the tables only: the rest ends with its reason."""
    clang = need("clang")
    source = os.path.join(tool.folder, "x.cpp")
    with open(source, "w") as file:
        file.write("#include <regex>\n#include <iostream>\n"
                   "int main() { std::regex r(\"a\"); std::cout << 1; }\n")
    program = start(clang, "-O2", "-fsyntax-only", source, cwd=tool.folder,
                    stderr=subprocess.DEVNULL)
    done = tool.run("record", "-a", "-F", "199", "-d", "3", "--unwind-memory", "16M",
                    "-o", "o.pb.gz", "--", clang, "-O2", "-c", source, "-o", "x.o")
    program.wait()
    used, limit = re.search(r"rows in ([\d.]+) of (\d+) MiB", done.stderr).groups()
    assert float(used) <= float(limit) == 16, done.stderr


def test_a_32_bit_program_is_one_clear_frame(tool, tmp_path):
    source = tmp_path / "x.c"
    source.write_text("int main() { for (volatile long i = 0; i < 900000000; i++); }")
    program = tmp_path / "x32"
    compiled = subprocess.run([need("gcc"), "-m32", "-nostdlib", "-static", "-O1", "-e", "main",
                               "-o", program, source], stderr=subprocess.PIPE)
    if compiled.returncode:
        pytest.skip("this gcc makes no 32-bit programs")
    stacks = tool.record("-F", "199", "--user", "-d", "1", "--", program)
    assert stacks.having("[32-bit process]") == stacks.total(), stacks


def test_corrupt_call_frame_information_does_no_harm(tool, tmp_path):
    """Each byte of .eh_frame overwritten: the program runs, its stacks end with a reason."""
    objcopy = need("objcopy")
    program = str(tmp_path / "broken")
    shutil.copy(unwind("nofp"), program)
    section = str(tmp_path / "eh_frame")
    subprocess.run([objcopy, "--dump-section", f".eh_frame={section}", program], check=True)
    size = os.path.getsize(section)
    for fill in (b"\xff", b"\x0a", b"\x41"):
        with open(section, "r+b") as file:
            file.seek(24)
            file.write(fill * (size - 24))
        subprocess.run([objcopy, "--update-section", f".eh_frame={section}",
                        "--remove-section", ".note.gnu.build-id", program], check=True,
                       stderr=subprocess.DEVNULL)
        stacks = tool.record("-F", "199", "--user", "--", program, "1", "30")
        spinning = sum(n for s, n in stacks.counts.items() if s[-1] == "spin_at_bottom")
        assert spinning > 0.9 * stacks.total(), stacks
        assert not any(s[1] == "_start" and s[-1] == "spin_at_bottom" and len(s) < 30
                       for s in stacks.counts), stacks


def test_what_runs_before_the_recording_is_walked_in_the_kernel(tool, start, tmp_path):
    """Not unwound here at each sample: /proc shows of these [vsyscall], at the end of all addresses."""
    source = tmp_path / "clock.c"
    source.write_text("""#include <time.h>
        int main(void) { struct timespec t; for (;;) clock_gettime(CLOCK_MONOTONIC, &t); }""")
    program = tmp_path / "clock"
    subprocess.run([need("gcc"), "-O2", "-static", "-o", program, source], check=True)
    running = start(program)
    time.sleep(0.3)
    stacks = tool.record("-F", "199", "--user", "-d", "2", "-p", str(running.pid))
    running.kill()
    assert stacks.having("__vdso_clock_gettime") > 0.5 * stacks.total(), stacks
    assert complete(tool) > 99, tool.last.stderr
    here = int(re.search(r"(\d+) stacks unwound here", tool.last.stderr).group(1))
    assert here < 0.2 * stacks.total(), tool.last.stderr
