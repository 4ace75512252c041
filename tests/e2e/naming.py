# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of naming share: programs with known lines, and addresses in them.

The truth comes from the sources: `MARK("hot"); /* LINE: hot */` (tests/workloads/names/marks.h)
puts an address into section .marks whose line is where the comment stands.
"""

import json
import os
import re
import shutil
import struct
import subprocess

import pytest

from conftest import ROOT, need, wait_until

SOURCES = os.path.join(ROOT, "tests", "workloads", "names")
# What chain.c is built with unless a test says otherwise.
USUAL = ("-O2", "-g", "-fno-omit-frame-pointer", "-Wl,--build-id")


def command(*args, **kwargs):
    """Run another tool; its stdout (text).  A failure is an error of the test."""
    done = subprocess.run([str(a) for a in args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=60, **kwargs)
    assert done.returncode == 0, (args, done.stderr)
    return done.stdout


def command_or_skip(*args, **kwargs):
    """The same for a step that older tools cannot do."""
    done = subprocess.run([str(a) for a in args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=60, **kwargs)
    if done.returncode:
        pytest.skip(f"{args[0]} cannot do it here: {done.stdout.strip()[-200:]}")
    return done.stdout


def line_of(source, word):
    """The number of the line that is marked `LINE: word` in a source of SOURCES."""
    with open(os.path.join(SOURCES, source)) as text:
        lines = [n for n, line in enumerate(text, 1) if re.search(rf"LINE: {word}\b(?!-)", line)]
    assert len(lines) == 1, (source, word, lines)
    return lines[0]


class Builder:
    """Builds sources of SOURCES, each combination of flags once a session, in its own folder."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.built = {}

    def __call__(self, source, *flags, cc="gcc", name=None):
        key = (source, flags, cc, name)
        if key not in self.built:
            folder = os.path.join(self.folder, str(len(self.built)))
            self.built[key] = (folder, self._compile(folder, source, flags, cc, name))
        folder, error = self.built[key]
        if error:
            pytest.skip(f"{cc} cannot do {' '.join(flags)} here: {error.strip()[-200:]}")
        return os.path.join(folder, name or source.split(".")[0])

    @staticmethod
    def _compile(folder, source, flags, cc, name):
        """What went wrong, or None."""
        os.mkdir(folder)
        out = name or source.split(".")[0]
        path = os.path.join(SOURCES, source)
        if cc == "go":
            arguments = [need("go"), "build", "-o", out, *flags, path]
        else:
            arguments = [need(cc), *flags, "-o", out, path]
        if cc in ("gcc", "clang"):
            arguments += ["-ldl"]
        done = subprocess.run(arguments, cwd=folder, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True,
                              env=dict(os.environ, GO111MODULE="off", GOFLAGS=""))
        return done.stdout or "failed" if done.returncode else None


def marks(path):
    """{word: [ELF addresses]} of section .marks."""
    dump = path + ".marks"
    command("objcopy", "--dump-section", f".marks={dump}", path, "/dev/null")
    with open(dump, "rb") as file:
        content = file.read()
    found, at = {}, 0
    while at < len(content):
        address, = struct.unpack_from("<Q", content, at)
        end = content.index(b"\0", at + 8)
        found.setdefault(content[at + 8:end].decode(), []).append(address)
        at = end + 1
    assert found, path
    return found


def symbols(path, *options):
    """{name: address} by nm."""
    rows = [line.split() for line in command("nm", *options, path).splitlines()]
    return {row[2]: int(row[0], 16) for row in rows if len(row) == 3}


def extent(path, name):
    """(address, size) of a function by nm."""
    row, = re.findall(rf"^(\w+) (\w+) [tT] {name}$", command("nm", "-S", path), re.M)
    return int(row[0], 16), int(row[1], 16)


def build_id(path):
    return re.search(r"Build ID: ([0-9a-f]+)", command("readelf", "-n", path)).group(1)


def loads(path):
    """[(offset, vaddr, filesz)] of the executable segments."""
    rows = re.findall(r"LOAD\s+0x(\w+) 0x(\w+) 0x\w+ 0x(\w+) 0x\w+ ([RWE ]+?) +0x",
                      command("readelf", "-lW", path))
    return [tuple(int(n, 16) for n in row[:3]) for row in rows if "E" in row[3]]


def runtime_address(pid, path, vaddr, elf=None):
    """Where ELF address @vaddr of @path is in a process, by its name in /proc/PID/maps or its inode:
    in a chroot the names in other mount namespaces begin with the root's."""
    inode = os.stat(elf or path).st_ino
    for offset, start, size in loads(elf or path):
        if not start <= vaddr < start + size:
            continue
        with open(f"/proc/{pid}/maps") as maps:
            rows = [line.rstrip("\n").split(None, 5) for line in maps]
        for row in rows:
            first, last = (int(n, 16) for n in row[0].split("-"))
            at = first + vaddr - start + offset - int(row[2], 16)
            known = len(row) > 5 and (row[5] == path or int(row[4]) == inode)
            if known and "x" in row[1] and first <= at < last:
                return at
    raise AssertionError(f"{vaddr:#x} of {path} is not mapped in {pid}")


def symbolize(tool, *args, addresses, **kwargs):
    """The answers as dicts."""
    done = tool.run("symbolize", "--json", *args, *(f"{a:#x}" for a in addresses), **kwargs)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(addresses), done.stdout
    for answer, address in zip(answers, addresses):
        assert int(answer["address"], 16) == address, answer
        frames = answer["frames"]
        assert [f["inlined"] for f in frames] == [True] * (len(frames) - 1) + [False], answer
    return answers


def frames_of(answer):
    """[(function, base name of the file, line)], innermost first."""
    return [(f["function"], os.path.basename(f.get("file", "")), f.get("line", 0))
            for f in answer["frames"]]


def names_of(answer):
    return [f["function"] for f in answer["frames"]]


def chain_truth(word):
    """What chain.c says of MARK(word), as frames_of()."""
    def at(function, mark):
        return (function, "chain.c", line_of("chain.c", mark))

    inner = {"hot": [at("innermost", "hot"), at("middle", "call-innermost")],
             "between": [at("middle", "between")]}
    return inner[word] + [at("outermost", "call-middle")]


def check_chain(tool, original, *args, **kwargs):
    """Every mark of chain.c must be named as its source says; @original has the marks."""
    where = marks(original)
    for word in ("hot", "between"):
        for answer in symbolize(tool, *args, addresses=where[word], **kwargs):
            assert frames_of(answer) == chain_truth(word), answer
            assert answer["named"] and answer["kind"] == "user", answer
            assert os.path.isabs(answer["frames"][0]["file"]), answer
            starts = [f["start_line"] for f in answer["frames"]]
            assert starts == [line_of("chain.c", name) for name in names_of(answer)], answer
    for answer in symbolize(tool, *args, addresses=where["entry"], **kwargs):
        assert frames_of(answer) == [("outermost", "chain.c", line_of("chain.c", "entry"))], answer


def check_nameless(tool, stripped, original, *args, **kwargs):
    """The marks must have no name: neither a right one nor one of another file."""
    for word, addresses in marks(original).items():
        for answer in symbolize(tool, *args, "-e", stripped, addresses=addresses, **kwargs):
            base = os.path.basename(stripped)
            assert not answer["named"], (word, answer)
            assert names_of(answer) == [f"{base}+{int(answer['address'], 16):#x}"], answer
            assert "file" not in answer["frames"][0], answer


def copy(path, folder, name=None):
    os.makedirs(folder, exist_ok=True)
    return shutil.copy(path, os.path.join(folder, name or os.path.basename(path)))


def split_debug(original, folder, debug_folder=None, link=True):
    """As packages are made: (the stripped program in @folder, its debug file)."""
    debug_folder = debug_folder or folder
    os.makedirs(debug_folder, exist_ok=True)
    base = os.path.basename(original)
    debug = os.path.join(debug_folder, base + ".debug")
    stripped = os.path.join(folder, base)
    command("objcopy", "--only-keep-debug", original, debug)
    link_option = [f"--add-gnu-debuglink={debug}"] if link else []
    command("objcopy", "--strip-all", *link_option, original, stripped)
    return stripped, debug


def build_id_path(folder, path, suffix=".debug"):
    """Where the debug file of @path lies below a debug directory; the folder is made."""
    text = build_id(path)
    os.makedirs(os.path.join(folder, ".build-id", text[:2]), exist_ok=True)
    return os.path.join(folder, ".build-id", text[:2], text[2:] + suffix)


def is_spinning(process):
    """Wait until a program has begun to work."""
    def ticks():
        with open(f"/proc/{process.pid}/stat") as stat:
            return int(stat.read().rsplit(")", 1)[1].split()[11]) > 2
    wait_until(ticks)
    return process
