# SPDX-License-Identifier: BSD-2-Clause
"""Stacks of one program as perf, gdb and ebpfprof see them, made alike.

A frame is where it is in its file: (path, ELF virtual address), of a caller the byte before the
return address.  All are named by the same code, `ebpfprof symbolize`, and inlined functions are
left out, so that what differs between two sources is the walk and nothing else.  A stack is a
tuple of names, leaf first.
"""

import bisect
import collections
import json
import os
import re
import struct
import subprocess

import measure
import pprof

PT_LOAD, PT_GNU_EH_FRAME = 1, 0x6474e550
EXECUTABLE = 1

# Where a stack begins: what no code called; musl's is jumped to, with frame pointer 0.
BASES = re.compile(
    r"^(_start|_dl_start_user|_start_c|libc_start_main_stage2|(__)?(GI_+)?(__)?clone[23]?|"
    r"__start_context|"
    r"runtime\.(goexit|mstart|rt0_go|mcall|clone)(\.abi0)?|_rt0_amd64(_linux)?(\.abi0)?)$")
TRAMPOLINE = re.compile(r"^(__)?restore_rt$")
# Ours that say why a stack was not walked to its base.
REASON = re.compile(r"^\[(truncated|no unwind info|no frame pointer|expression|corrupt|jit without|"
                    r"stack page|stack cut|tables not|tables full|32-bit|stack lost|unwind)")

Frame = collections.namedtuple("Frame", "path address")  # path: a file, or "[vdso]", "[jit]"


class Elf:
    """What is asked of a file here: its segments, and where its functions begin."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read(64)
            if self.data[:5] != b"\x7fELF\x02":
                raise OSError(f"{path} is no 64-bit ELF file")
            offset, = struct.unpack_from("<Q", self.data, 32)
            size, count = struct.unpack_from("<HH", self.data, 54)
            file.seek(offset)
            headers = file.read(size * count)
            self.segments = []
            self.starts = []
            for at in range(0, len(headers), size):
                kind, flags, offset, vaddr, _, filesz = struct.unpack_from("<IIQQQQ", headers, at)
                if kind == PT_LOAD:
                    self.segments.append((flags & EXECUTABLE, offset, vaddr, filesz))
                elif kind == PT_GNU_EH_FRAME:
                    file.seek(offset)
                    self.starts = self._function_starts(file.read(filesz), vaddr)

    @staticmethod
    def _function_starts(data, vaddr):
        """The table of .eh_frame_hdr, in the one form that linkers write."""
        if len(data) < 12 or data[:4] != b"\x01\x1b\x03\x3b":
            return []
        count, = struct.unpack_from("<I", data, 8)
        count = min(count, (len(data) - 12) // 8)
        return [(vaddr + start) & (2**64 - 1) for start, _ in
                struct.iter_unpack("<ii", data[12:12 + 8 * count])]

    def address(self, offset):
        """The ELF virtual address of a file offset in a mapping that may be executed."""
        for wanted in (True, False):
            for executable, start, vaddr, size in self.segments:
                page = start & ~0xfff
                if bool(executable) == wanted and page <= offset < start + size:
                    return offset - start + vaddr
        return offset

    def start_of(self, address):
        at = bisect.bisect_right(self.starts, address)
        return self.starts[at - 1] if at else None


class Namer:
    """Names of physical functions, the same for every source."""

    def __init__(self):
        self.elves = {}
        self.names = {}

    def elf(self, path):
        if path not in self.elves:
            try:
                self.elves[path] = Elf(path)
            except OSError:
                self.elves[path] = None
        return self.elves[path]

    def frame_of_offset(self, path, offset):
        elf = self.elf(path) if path.startswith("/") else None
        return Frame(path, elf.address(offset) if elf else offset)

    def learn(self, frames):
        """One `ebpfprof symbolize` for each file."""
        wanted = collections.defaultdict(set)
        for frame in frames:
            if frame not in self.names:
                wanted[frame.path].add(frame.address)
        for path, addresses in wanted.items():
            addresses = sorted(addresses)
            if self.elf(path) is None:
                self.names.update((Frame(path, a), os.path.basename(path)) for a in addresses)
                continue
            run = subprocess.run(
                [measure.built("ebpfprof"), "symbolize", "--json", "--simple-names", "-e", path],
                input="".join(f"{a:#x}\n" for a in addresses), text=True, stdout=subprocess.PIPE,
                check=True)
            for address, line in zip(addresses, run.stdout.splitlines()):
                self.names[Frame(path, address)] = self._name(path, address, json.loads(line))

    def _name(self, path, address, answer):
        if answer["named"] and answer["frames"]:
            return answer["frames"][-1]["function"]
        start = self.elf(path).start_of(address)
        return os.path.basename(path) + (f":{start:#x}" if start is not None else "")

    def name(self, frame):
        if not frame.path.startswith("/"):
            return frame.path
        return self.names[frame]


def named(namer, stacks):
    """[(tuple of frames and texts, count)] to {tuple of names: count}."""
    frames = {frame for stack, _ in stacks for frame in stack
              if isinstance(frame, Frame) and frame.path.startswith("/")}
    namer.learn(frames | {Frame(frame.path, frame.address + 1) for frame in frames})
    result = collections.Counter()
    for stack, count in stacks:
        names = [namer.name(f) if isinstance(f, Frame) else f for f in stack]
        for at, frame in enumerate(stack[1:], 1):
            # Returned to without a call before it, so that the byte before is another function's.
            if isinstance(frame, Frame) and frame.path.startswith("/"):
                name = namer.name(Frame(frame.path, frame.address + 1))
                if BASES.match(name) or TRAMPOLINE.match(name):
                    names[at] = name
        result[tuple(names)] += count
    return result


# ---- perf ---------------------------------------------------------------------------------------

PERF_FRAME = re.compile(r"^\s+([0-9a-f]+) (.*) \((.*)\)$")
PERF_OFFSET = re.compile(r"\+0x([0-9a-f]+)$")
PERF_MMAP = re.compile(r" PERF_RECORD_MMAP2 (\d+)/\d+: .*: ..x. (/.*)$", re.M)
PERF_FORK = re.compile(r" PERF_RECORD_FORK\((\d+):\d+\):\((\d+):\d+\)$", re.M)


def _perf_script(perf, data, *options):
    return subprocess.run([perf, "script", "-i", data, "--no-inline", "--max-stack", "4096",
                           *options], text=True, errors="replace", stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, check=False)


def _family(pid, records):
    """The process, and what it and its children started."""
    pids = {pid}
    for child, parent in PERF_FORK.findall(records):
        if int(parent) in pids:
            pids.add(int(child))
    return pids


def _without_debug_files(root, paths):
    """
    A folder for --symfs where the files that were mapped are, and their debug files are not: where
    perf 6.1 has read a debug file it looks for .eh_frame there too, where there is none, and its
    stacks end in that library.
    """
    for path in paths:
        if os.path.isfile(path) and not path.startswith("/tmp/perf-"):
            os.makedirs(root + os.path.dirname(path), exist_ok=True)
            if not os.path.lexists(root + path):
                os.symlink(path, root + path)
    with open("/proc/self/maps", encoding="utf-8") as maps:
        vdso = re.search(r"^(\w+)-(\w+) .*\[vdso\]$", maps.read(), re.M)
    if vdso:
        low, high = (int(word, 16) for word in vdso.groups())
        with open("/proc/self/mem", "rb") as memory, open(root + "/[vdso]", "wb") as file:
            memory.seek(low)
            file.write(memory.read(high - low))


def perf_stacks(perf, data, pid, namer):
    """perf 6.4 and later say the offset in the file beside the address, earlier ones instead."""
    records = _perf_script(perf, data, "-F", "comm,time", "--show-mmap-events",
                           "--show-task-events").stdout
    pids = _family(pid, records)
    _without_debug_files(data + ".symfs", {path for of, path in PERF_MMAP.findall(records)
                                           if int(of) in pids})
    options = ["--symfs", data + ".symfs", "--pid", ",".join(map(str, sorted(pids)))]
    run = _perf_script(perf, data, *options, "-F", "comm,time,ip,sym,dso,dsoff")
    beside = run.returncode == 0
    if not beside:
        run = _perf_script(perf, data, *options, "-F", "comm,time,ip,sym,dso")
    if run.returncode:
        raise measure.Failed("perf script cannot read what perf recorded")
    stacks = []
    for sample in re.split(r"\n\n+", run.stdout):
        frames = [_perf_frame(match, beside, namer) for match in
                  map(PERF_FRAME.match, sample.splitlines()) if match]
        # One in the kernel without its user part has none.
        frames = tuple(frame for frame in frames if frame is not None)
        if frames:
            stacks.append((frames, 1))
    return named(namer, stacks)


def _perf_frame(match, beside, namer):
    address, _symbol, path = int(match.group(1), 16), match.group(2), match.group(3)
    if beside:
        offset = PERF_OFFSET.search(path)
        if offset:
            address, path = int(offset.group(1), 16), path[:offset.start()]
    if path.startswith("[kernel") or path.startswith("[guest") or path.endswith(".ko") or \
            path.startswith("[bpf") or path.startswith("bpf_prog"):
        return None
    if path.startswith("[vdso"):
        return Frame("[vdso]", 0)
    if not path.startswith("/") or path.startswith("//") or path.startswith("/tmp/perf-") or \
            path.startswith("/memfd:"):
        return None if address >= 1 << 63 else Frame("[jit]", 0)
    return namer.frame_of_offset(path.removesuffix(" (deleted)"), address)


# ---- ebpfprof -----------------------------------------------------------------------------------

def our_stacks(path, namer):
    stacks = []
    for locations, count in pprof.Profile(path).samples:
        frames = []
        for location in locations:
            frame = _our_frame(location)
            if frame is not None:
                frames.append(frame)
        if frames:
            stacks.append((tuple(frames), count))
    return named(namer, stacks)


def _our_frame(location):
    if location.mapping is None:
        name = location.lines[-1][0]["name"] if location.lines else "?"
        return name if name.startswith("[") and not name.startswith("[kernel") else None
    path = location.mapping["filename"]
    if path.startswith("[kernel") or path == "[bpf]":
        return None
    if not path.startswith("/"):
        return Frame(path, 0)
    return Frame(path.removesuffix(" (deleted)"), location.address)


# ---- gdb ----------------------------------------------------------------------------------------

GDB_MAP = re.compile(r"^(\w+)-(\w+) ..x. (\w+) \S+ \d+ *(.*)$", re.M)
GDB_SCRIPT = """
import gdb
for thread in gdb.selected_inferior().threads():
    thread.switch()
    frame = gdb.newest_frame()
    words = []
    exact = True
    while frame is not None and len(words) < 4096:
        if frame.type() != gdb.INLINE_FRAME:
            words.append('%x' % (frame.pc() - (0 if exact else 1)))
            exact = frame.type() == gdb.SIGTRAMP_FRAME
        frame = frame.older()
    print('STACK ' + ' '.join(words))
"""


def gdb_stacks(gdb, pid, namer):
    """One stop of the process: the stack of each of its threads."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as file:
        maps = [(int(low, 16), int(high, 16), int(offset, 16), path.strip())
                for low, high, offset, path in GDB_MAP.findall(file.read())]
    run = subprocess.run([gdb, "-nx", "-batch", "-iex", "set debuginfod enabled off",
                          "-p", str(pid), "-ex", "python exec(" + repr(GDB_SCRIPT) + ")"],
                         text=True, errors="replace", stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, timeout=120, check=False)
    stacks = []
    for line in run.stdout.splitlines():
        if line.startswith("STACK "):
            stacks.append((tuple(_mapped(int(word, 16), maps, namer) for word in line.split()[1:]),
                           1))
    result = collections.Counter()
    for stack, count in named(namer, stacks).items():
        base = next((at for at, name in enumerate(stack) if BASES.match(name)), len(stack))
        result[stack[:base + 1]] += count  # beyond a base that it does not know gdb goes on
    return result


def _mapped(address, maps, namer):
    for low, high, offset, path in maps:
        if low <= address < high:
            if path.startswith("[vdso"):
                return Frame("[vdso]", 0)
            return namer.frame_of_offset(path, address - low + offset) if path.startswith("/") \
                else Frame("[jit]", 0)
    return Frame("[jit]", 0)


# ---- what a stack says --------------------------------------------------------------------------

def is_complete(stack):
    """Its outermost frame is where stacks begin."""
    return bool(BASES.match(stack[-1]))


def reason(stack):
    """Why ours was not walked to its base; None where it says that it was."""
    return stack[-1] if REASON.match(stack[-1]) else None


def triple(stack):
    """(leaf, caller, caller's caller); "-" where there is none."""
    return tuple((stack + ("-", "-"))[:3])


def edges(stack):
    return set(zip(stack, stack[1:]))
