# SPDX-License-Identifier: BSD-2-Clause
"""Names and lines in profiles of running programs.

Programs that do not disturb each other are recorded together, once: `languages` and `lost_files`.
"""

import os
import re
import shutil
import subprocess
import time

import pytest

from conftest import EBPFPROF, ROOT, Tool, need, unshare, wait_until, workload
from naming import (USUAL, build_id, build_id_path, chain_truth, command, copy, extent,
                    frames_of, is_spinning, line_of, loads, marks, runtime_address, split_debug,
                    symbolize)
from pprof import Profile

SPIN_JS = os.path.join(ROOT, "tests", "workloads", "spin.js")
SECONDS = "20"  # that programs spin; they are ended when they were recorded
DECOY = ("-Dinnermost=decoy_inner", "-Dmiddle=decoy_middle", "-Doutermost=decoy_outer")


class Recording:
    """Some programs under one `record`; ended, it has .profile and .summary."""

    def __init__(self, folder):
        self.tool = Tool(str(folder))
        self.folder = str(folder)
        self.programs = []

    def start(self, *args, **kwargs):
        process = subprocess.Popen([str(a) for a in args], stdout=subprocess.DEVNULL, **kwargs)
        self.programs.append(process)
        return is_spinning(process)

    def record(self, seconds, meanwhile=None, needed=()):
        """@meanwhile: called when the recorder has opened the files @needed."""
        pids = ",".join(str(p.pid) for p in self.programs)
        recorder = subprocess.Popen(
            [EBPFPROF, "record", "-p", pids, "-F", "499", "-d", str(seconds), "-o", "r.pb.gz"],
            cwd=self.folder, stderr=subprocess.PIPE, text=True,
            env=dict(os.environ, XDG_CACHE_HOME=self.tool.cache))
        try:
            if meanwhile:
                wait_until(lambda: set(needed) <= open_files(recorder.pid))
                meanwhile()
            self.summary = recorder.communicate(timeout=60)[1]
        finally:
            recorder.kill()
            recorder.wait()
            self.end()
        assert recorder.returncode == 0, self.summary
        self.profile = Profile(os.path.join(self.folder, "r.pb.gz"))
        return self

    def end(self):
        for process in self.programs:
            process.kill()
            process.wait()

    def stacks(self, process, *options):
        stacks = self.tool.folded("r.pb.gz", *options)
        own = {s: n for s, n in stacks.counts.items() if s[0] == process}
        assert sum(own.values()) > 30, (process, stacks)
        return own

    def source_of(self, name):
        """(share of the samples, what the summary says of the file's names)."""
        rows = re.findall(r"^ +(?:binaries +)?([\d.]+) % +(\S+) +(?:[\d.]+ % complete, +)?[\d.]+ % named: (.*)$",
                          self.summary, re.M)
        found = [(float(share), words) for share, file, words in rows if file == name]
        assert len(found) == 1, (name, self.summary)
        return found[0]


def open_files(pid):
    paths = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            paths.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except FileNotFoundError:
            pass
    return paths


def folded_chain(truth, annotate=True):
    """frames_of() as `folded --lines --annotate` has them: outermost first."""
    texts = [f"{name} ({file}:{line})" for name, file, line in truth]
    inlined = [text + "_[i]" if annotate else text for text in texts[:-1]]
    return tuple(reversed(inlined + texts[-1:]))


def spinning_truth(source, inner, outer=(), line="spin"):
    """Where a program spins: ((function, its call's mark), ...), innermost first."""
    return [(inner, source, line_of(source, line))] + [
        (name, source, line_of(source, mark)) for name, mark in outer]


C_TRUTH = spinning_truth("chain.c", "innermost", [("middle", "call-innermost"),
                                                  ("outermost", "call-middle")])


def share_ending_with(stacks, frames):
    ending = sum(n for s, n in stacks.items() if s[-len(frames):] == tuple(frames))
    return ending / sum(stacks.values())


# ---- languages ----

LANGUAGES = {"live_gcc": ("chain.c", "gcc", USUAL), "live_clang": ("chain.c", "clang", USUAL),
             "live_cxx": ("chain.cpp", "g++", USUAL),
             "live_rust": ("chain.rs", "rustc", ("--edition", "2021", "-g", "-C", "opt-level=2",
                                                 "-C", "force-frame-pointers=yes")),
             "live_go": ("chain.go", "go", ()), "live_go_bare": ("chain.go", "go",
                                                                 ("-ldflags=-s -w",)),
             "live_asm": ("handmade.S", "gcc", ("-g",))}


@pytest.fixture(scope="module")
def languages(build, tmp_path_factory):
    recording = Recording(tmp_path_factory.mktemp("languages"))
    try:
        for name, (source, cc, flags) in LANGUAGES.items():
            if cc == "gcc" or shutil.which(cc):
                program = copy(build(source, *flags, cc=cc), recording.folder, name)
                recording.start(program, *([] if name == "live_asm" else [SECONDS]))
        return recording.record(3)
    finally:
        recording.end()


@pytest.mark.parametrize("name", ["live_gcc", "live_clang"])
def test_c_with_inlined_calls(languages, name):
    need(LANGUAGES[name][1])
    stacks = languages.stacks(name, "--lines", "--annotate")
    assert share_ending_with(stacks, folded_chain(C_TRUTH)) > 0.9, stacks
    plain = languages.stacks(name)
    assert share_ending_with(plain, ("main", "outermost", "middle", "innermost")) > 0.9, plain
    assert not any(frame.endswith("_[i]") for s in plain for frame in s), plain


def test_cxx_with_inlined_calls(languages):
    stacks = languages.stacks("live_cxx", "--annotate")
    chain = ("shop::Cart<unsigned long>::total(unsigned long, shop::Item const&) const",
             "shop::price(shop::Item const&, unsigned long)_[i]")
    assert share_ending_with(stacks, chain) > 0.9, stacks


def test_rust_with_inlined_calls(languages):
    need("rustc")
    stacks = languages.stacks("live_rust", "--lines", "--annotate")
    outer = f"chain::work::outermost (chain.rs:{line_of('chain.rs', 'call-innermost')})"
    inner = re.compile(r"chain::work::innermost \(chain\.rs:\d+\)_\[i\]")
    # black_box() and the arithmetic of core are inlined into it in turn.
    ours = sum(n for s, n in stacks.items()
               if outer in s and inner.fullmatch(s[s.index(outer) + 1]))
    assert ours > 0.9 * sum(stacks.values()), stacks


@pytest.mark.parametrize("name", ["live_go", "live_go_bare"])
def test_go_with_inlined_calls(languages, name):
    need("go")
    stacks = languages.stacks(name, "--lines", "--annotate")
    middle = (f"main.outermost (chain.go:{line_of('chain.go', 'call-middle')})",
              f"main.middle (chain.go:{line_of('chain.go', 'call-innermost')})_[i]")
    lines = {f"main.innermost (chain.go:{line_of('chain.go', 'hot') + n})_[i]" for n in (-1, 0)}
    ours = sum(n for s, n in stacks.items() if s[-3:-1] == middle and s[-1] in lines)
    assert ours > 0.9 * sum(stacks.values()), stacks


def test_assembly_has_lines(languages):
    stacks = languages.stacks("live_asm", "--lines")
    call = f"hand_call (handmade.S:{line_of('handmade.S', 'call-mark')})"
    loop = range(line_of("handmade.S", "hand_spin"), line_of("handmade.S", "spin-sub") + 2)
    ours = sum(n for s, n in stacks.items()
               if s[-2] == call and s[-1] in {f"hand_spin (handmade.S:{n})" for n in loop})
    assert ours > 0.9 * sum(stacks.values()), stacks


def test_pprof_has_files_lines_and_inlined_frames(languages):
    """Function.filename and start_line, Line.line, inlined calls as lines of one location."""
    profile = languages.profile
    program = os.path.join(languages.folder, "live_gcc")
    own = [at for at in profile.locations.values()
           if at.mapping and at.mapping["filename"] == program]
    spinning = [at for at in own if len(at.lines) == 3]
    assert spinning, [at.names() for at in own]
    hot = [at for at in spinning if at.lines[0][1] == line_of("chain.c", "spin")]
    assert hot, spinning
    for at in spinning:
        assert at.names() == ["innermost", "middle", "outermost"]
        assert [line for _, line in at.lines][1:] == [line for _, _, line in C_TRUTH[1:]]
        for function, _ in at.lines:
            assert function["filename"].endswith("/tests/workloads/names/chain.c"), function
            assert function["start_line"] == line_of("chain.c", function["name"]), function
    (offset, vaddr, size), = loads(program)
    for at in own:
        assert at.mapping["build_id"] == build_id(program)
        assert at.mapping["start"] <= at.address < at.mapping["limit"]
        file_offset = at.address - at.mapping["start"] + at.mapping["offset"]
        assert file_offset - offset == at.address - vaddr < size, at.mapping


def test_callers_have_the_line_of_the_call(languages):
    """A return address may belong to the next line already."""
    stacks = languages.stacks("live_gcc", "--lines")
    main = f"main (chain.c:{line_of('chain.c', 'call-outermost')})"
    chain = (main, *folded_chain(C_TRUTH, annotate=False))
    assert share_ending_with(stacks, chain) > 0.9, stacks


def test_go_tool_pprof_shows_lines(languages):
    go = need("go")
    raw = command(go, "tool", "pprof", "-raw", "r.pb.gz", cwd=languages.folder)
    for name, file, line in C_TRUTH:
        start = line_of("chain.c", name)
        assert re.search(rf"{name} \S+/{file}:{line}(:0)? s={start}\b", raw), (name, raw[:2000])
    listing = command(go, "tool", "pprof", "-list", "^innermost$", "r.pb.gz", cwd=languages.folder)
    spin = line_of("chain.c", "spin")
    row, = re.findall(rf"^ +(\S+) +(\S+) +{spin}:.*LINE: spin", listing, re.M)
    assert row[0] != ".", listing


def test_live_folded_has_them_too(tool, build):
    program = copy(build("chain.c", *USUAL), tool.folder, "live_gcc")
    stacks = tool.folded("-F", "499", "--lines", "--annotate", "--", program, "1.5")
    own = {s: n for s, n in stacks.counts.items() if s[0] == "live_gcc"}
    assert share_ending_with(own, folded_chain(C_TRUTH)) > 0.9, stacks


def test_record_writes_the_same_folded_names(tool, build):
    program = copy(build("chain.c", *USUAL), tool.folder, "live_gcc")
    tool.run("record", "-F", "499", "--lines", "--annotate", "-o", "x.folded", "--", program, "1")
    with open(os.path.join(tool.folder, "x.folded")) as text:
        own = [line for line in text if line.startswith("live_gcc;")]
    assert any(";".join(folded_chain(C_TRUTH)) + " " in line for line in own), own[:5]
    tool.fails("record", "--lines", "-o", "x.pb.gz", "--", program, "1", status=2, says="folded")


def test_no_debug_info_leaves_functions(tool, build):
    program = copy(build("chain.c", *USUAL), tool.folder, "live_gcc")
    stacks = tool.folded("-F", "499", "--no-debug-info", "--lines", "--annotate", "--", program,
                         "1.5")
    own = {s: n for s, n in stacks.counts.items() if s[0] == "live_gcc"}
    assert share_ending_with(own, ("main", "outermost")) > 0.9, stacks


# ---- files that are gone, replaced, or never had names ----

@pytest.fixture(scope="module")
def lost_files(build, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("lost"))
    recording, build_ids = Recording(folder), set()
    decoy = build("chain.c", *USUAL, *DECOY)

    def original(name):
        """Programs of one build-id would be one, and named by whichever file is still there."""
        program = build("chain.c", *USUAL, f"-DVARIANT_{name}", name=name)
        assert build_id(program) not in build_ids
        build_ids.add(build_id(program))
        return program

    def replace(name):
        os.rename(copy(decoy, folder, name + ".new"), os.path.join(folder, name))

    try:
        for name in ("replaced", "replaced_later", "deleted", "deleted_later"):
            recording.start(copy(original(name), folder), SECONDS)
        script = ("import os, sys\n"
                  "fd = os.memfd_create('program')\n"
                  "os.write(fd, open(sys.argv[1], 'rb').read())\n"
                  "os.execve(fd, sys.argv[1:], os.environ)\n")
        memfd = recording.start("python3", "-c", script, original("memfd"), SECONDS)
        wait_until(lambda: "memfd:program" in os.readlink(f"/proc/{memfd.pid}/exe"))
        stripped, debug = split_debug(original("debug_gone"), os.path.join(folder, "stripped"))
        recording.start(stripped, SECONDS)
        recording.memfd_name = open(f"/proc/{memfd.pid}/comm").read().strip()
        replace("replaced")
        os.unlink(os.path.join(folder, "deleted"))

        later = [os.path.join(folder, "replaced_later"), os.path.join(folder, "deleted_later"),
                 debug]

        def meanwhile():
            replace("replaced_later")
            os.unlink(later[1])
            os.unlink(debug)

        return recording.record(3, meanwhile, needed=later)
    finally:
        recording.end()


@pytest.mark.parametrize("name", ["replaced", "replaced_later", "deleted", "deleted_later",
                                  "debug_gone", "memfd"])
def test_names_and_lines_of_the_program_that_runs(lost_files, name):
    process = lost_files.memfd_name if name == "memfd" else name
    stacks = lost_files.stacks(process, "--lines", "--annotate")
    assert share_ending_with(stacks, folded_chain(C_TRUTH)) > 0.9, stacks
    assert not any("decoy" in frame for s in stacks for frame in s), stacks


def test_symbolize_names_the_program_that_runs(tool, build, start):
    """The same of `symbolize -p`, for a program that another one has taken the place of."""
    original = build("chain.c", *USUAL)
    for how in ("replaced", "deleted"):
        path = copy(original, tool.folder, how)
        process = is_spinning(start(path, SECONDS))
        where = [runtime_address(process.pid, path, a) for a in marks(original)["hot"]]
        if how == "replaced":
            os.rename(copy(build("chain.c", *USUAL, *DECOY), tool.folder, "new"), path)
        else:
            os.unlink(path)
        for answer in symbolize(tool, "-p", process.pid, addresses=where):
            assert frames_of(answer) == chain_truth("hot"), (how, answer)


def test_library_without_symbols(tool, build, start):
    """`libx.so+0x1234`: the address as objdump has it; the mapping's build-id tells the rest."""
    original = build("chain.c", *USUAL, "-DLIBRARY", "-shared", "-fPIC",
                     "-Wl,-Ttext-segment=0x5431000", name="plugin.so")
    command("objcopy", "--strip-all", original, os.path.join(tool.folder, "plugin.so"))
    program = copy(workload("dlopen_main"), tool.folder)
    tool.run("record", "-F", "499", "-o", "x.pb.gz", "--", program, "1.5")
    profile = Profile(os.path.join(tool.folder, "x.pb.gz"))
    inside = [extent(original, name) for name in ("outermost", "nothing")]
    own = [at for at in profile.locations.values()
           if at.mapping and at.mapping["filename"].endswith("/plugin.so")]
    # Exported, and imported by way of the linkage table: all that a stripped library has names of.
    nameless = [at for at in own if at.names() not in (["plugin_entry"], ["clock_gettime@plt"])]
    assert nameless
    for at in nameless:
        assert any(first <= at.address < first + size for first, size in inside), at.names()
        assert at.names() == [f"plugin.so+{at.address:#x}"]
    assert {at.mapping["build_id"] for at in own} == {build_id(original)}
    hot = sum(n for stack, n in profile.samples if stack[0] in nameless)
    assert hot > 0.9 * sum(n for stack, n in profile.samples if any(at in own for at in stack))


def test_unloaded_cxx_library_and_its_successor(tool, build):
    """dlclose, then another library at its address: one profile has the names of both."""
    for name, flags in [("plugin.so", ()), ("plugin_b.so", ("-DSECOND",))]:
        library = build("plugin.cpp", "-O1", "-g", "-fno-omit-frame-pointer", "-shared", "-fPIC",
                        "-Wl,--build-id", *flags, cc="g++", name=name)
        copy(library, tool.folder)
    program = copy(workload("dlopen_main"), tool.folder)
    done = tool.run("record", "-q", "-F", "499", "-o", "x.pb.gz", "--", program, "1.5", "swap")
    places = dict(line.split() for line in done.stdout.splitlines())
    assert places["plugin.so"] == places["plugin_b.so"], "not at one address: nothing is tested"
    stacks = tool.folded("--lines", "x.pb.gz")
    first = f"first::Engine::run(unsigned long) (plugin.cpp:{line_of('plugin.cpp', 'first')})"
    other = f"other::Motor::run(unsigned long) (plugin.cpp:{line_of('plugin.cpp', 'other')})"
    one, two = stacks.having(first), stacks.having(other)
    assert one > 50 and two > 50, stacks
    assert one / (one + two) == pytest.approx(0.5, abs=0.1), stacks


# ---- namespaces ----

def test_another_library_at_the_same_path(tool, build, start):
    """Two processes, one path, two files: a container's library beside the host's."""
    namespaces = unshare("--mount")
    inside = os.path.join(tool.folder, "inside")
    for folder, flags in [(tool.folder, ()), (inside, ("-DSECOND",))]:
        copy(build("plugin.cpp", "-O1", "-g", "-fno-omit-frame-pointer", "-shared", "-fPIC",
                   "-Wl,--build-id", *flags, cc="g++", name="plugin.so"), folder)
    path = os.path.join(tool.folder, "plugin.so")
    programs = [copy(workload("dlopen_main"), tool.folder, name) for name in ("host", "container")]
    host = start(programs[0], SECONDS)
    container = start(*namespaces, "sh", "-c",
                      f"mount --bind {inside}/plugin.so {path} && exec {programs[1]} {SECONDS}")
    wait_until(lambda: all(path in open(f"/proc/{p.pid}/maps").read() for p in (host, container)))
    stacks = tool.record("-p", f"{host.pid},{container.pid}", "-F", "499", "-d", "2")
    assert stacks.share("first::Engine::run(unsigned long)", "host") > 0.9, stacks
    assert stacks.share("other::Motor::run(unsigned long)", "container") > 0.9, stacks


def test_a_root_of_its_own_with_another_libc(tool, build, start):
    """musl's libc.so is at the same time its loader; it is where no file of ours is."""
    namespaces = unshare("--mount")
    root = os.path.join(tool.folder, "root")
    loader = "/lib/ld-musl-x86_64.so.1"
    program = build("libcspin.c", "-O1", cc="musl-gcc")
    copy(program, root, "prog")
    copy(os.path.realpath(loader), os.path.join(root, "lib"), os.path.basename(loader))
    process = start(*namespaces, "chroot", root, "/prog")
    is_spinning(process)
    stacks = tool.record("-p", process.pid, "-F", "499", "-d", "1")
    leaves = sum(n for s, n in stacks.counts.items() if s[0] == "prog" and s[-1] == "strlen")
    assert leaves > 0.8 * stacks.total() > 0, stacks


@pytest.mark.parametrize("container_has_one", [True, False])
def test_debug_file_of_the_namespace_comes_first(tool, build, start, container_has_one):
    """Two debug files of one build-id: that of the process's own root is the right one; without
    one there, ours is taken."""
    namespaces = unshare("--mount")
    os.makedirs("/usr/lib/debug", exist_ok=True)
    same_id = "-Wl,--build-id=0x" + "5a" * 20
    original = build("chain.c", "-O2", "-g", same_id)
    decoy = build("chain.c", "-O2", "-g", same_id, *DECOY)
    stripped, debug = split_debug(original, tool.folder, link=False)
    decoy_debug = os.path.join(tool.folder, "decoy.debug")
    command("objcopy", "--only-keep-debug", decoy, decoy_debug)
    ours, theirs = (decoy_debug, debug) if container_has_one else (debug, None)

    def with_debug(file):
        target = build_id_path("/usr/lib/debug", original).replace("/usr/lib/debug/", "")
        script = "mount -t tmpfs none /usr/lib/debug"
        if file:
            script += (f" && mkdir -p /usr/lib/debug/{os.path.dirname(target)}"
                       f" && cp {file} /usr/lib/debug/{target}")
        return [*namespaces, "sh", "-c", script + ' && exec "$@"', "sh"]

    process = start(*with_debug(theirs), stripped, SECONDS)
    # Not by its name, which in another mount namespace is another one when we are in a chroot.
    wait_until(lambda: os.path.samestat(os.stat(f"/proc/{process.pid}/exe"), os.stat(stripped)))
    is_spinning(process)
    where = [runtime_address(process.pid, stripped, a) for a in marks(original)["hot"]]
    done = subprocess.run([*with_debug(ours), EBPFPROF, "symbolize", "--no-cache", "-p",
                           str(process.pid), *map(hex, where)], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.PIPE, check=True)
    for name, file, line in chain_truth("hot"):
        assert f"{name} at " in done.stdout and f"/{file}:{line}\n" in done.stdout, done.stdout
    assert "decoy" not in done.stdout, done.stdout


# ---- code made at run time ----

def js_line(pattern):
    with open(SPIN_JS) as text:
        found = [n for n, line in enumerate(text, 1) if re.search(pattern, line)]
    assert len(found) == 1, pattern
    return found[0]


def test_node_functions_have_file_and_definition(tool):
    tool.run("record", "-F", "199", "-o", "x.pb.gz", "--", need("node"), "--perf-basic-prof",
             SPIN_JS, "2")
    profile = Profile(os.path.join(tool.folder, "x.pb.gz"))
    own = [at for at in profile.locations.values() if at.names()[-1] == "spinJs"]
    assert own, sorted(f["name"] for f in profile.functions.values())[:50]
    for at in own:
        function = at.lines[-1][0]
        assert function["filename"] == SPIN_JS, function
        assert function["start_line"] == js_line("^function spinJs"), function
        assert "spinJs" in function["system_name"] and ":" in function["system_name"], function
    hot = sum(n for stack, n in profile.samples if any(at in own for at in stack))
    assert hot > 0.7 * sum(n for _, n in profile.samples)


def test_jitdump_has_the_line_that_runs(tool):
    """node --perf-prof writes jit-PID.dump with the lines of its code."""
    done = tool.run("record", "-F", "199", "-o", "x.pb.gz", "--", need("node"), "--perf-prof",
                    SPIN_JS, "2")
    profile = Profile(os.path.join(tool.folder, "x.pb.gz"))
    loop = range(js_line("for .let i = 0; i < rounds"), js_line("  return x;"))
    hot = 0
    for stack, n in profile.samples:
        lines = [line for at in stack for function, line in at.lines
                 if "spinJs" in function["name"] and function["filename"] == SPIN_JS]
        hot += n if lines and lines[0] in loop else 0
    assert hot > 0.7 * sum(n for _, n in profile.samples), done.stderr


# ---- where names come from, and what to do ----

def packaged_program_without_symbols():
    """A shell of a package, with its package's name: what apt is told to install."""
    bash = os.path.realpath(need("bash"))
    if ".symtab" in command("readelf", "-SW", bash):
        pytest.skip(f"{bash} has symbols")
    if os.path.exists(build_id_path_of_system(bash)):
        pytest.skip(f"{bash} has its debug file installed")
    need("dpkg")
    for path in (bash, bash.replace("/usr/bin", "/bin")):
        done = subprocess.run(["dpkg", "-S", path], stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.DEVNULL)
        if done.returncode == 0:
            return bash, done.stdout.split(":")[0]
    return pytest.skip(f"{bash} is of no package")


def build_id_path_of_system(path):
    text = build_id(path)
    return f"/usr/lib/debug/.build-id/{text[:2]}/{text[2:]}.debug"


def programs_by_source(build, folder):
    """{what the summary must say first: a program}, each with a build-id of its own."""
    from test_names_files import make_mini_debug_info

    def original(name):
        return build("chain.c", *USUAL, f"-DVARIANT_{name}", name=name)

    def path(name):
        return os.path.join(folder, name)

    command("objcopy", "--strip-all", original("src_none"), path("src_none"))
    command("objcopy", "--strip-debug", original("src_symtab"), path("src_symtab"))
    os.rename(make_mini_debug_info(original("src_mini"), folder), path("src_mini"))
    split_debug(original("src_debug"), folder)
    copy(original("src_dwarf"), folder)
    found = {"src_symtab": ["symtab"], "src_mini": ["gnu_debugdata"],
             "src_debug": ["debug file", "DWARF"], "src_dwarf": ["DWARF", "symtab"],
             "src_none": ["dynsym"]}
    if shutil.which("go"):
        copy(build("chain.go", "-ldflags=-s -w", cc="go"), folder, "src_go")
        found["src_go"] = ["gopclntab"]
    return found


def test_summary_says_where_names_come_from(build, tmp_path):
    recording = Recording(tmp_path)
    truth = programs_by_source(build, str(tmp_path))
    try:
        for name in truth:
            recording.start(os.path.join(tmp_path, name), SECONDS)
        recording.record(2)
    finally:
        recording.end()
    words = {name: recording.source_of(name)[1].split("; ")[0].split(", ") for name in truth}
    wrong = {name: words[name] for name in truth if words[name][:len(truth[name])] != truth[name]}
    assert not wrong, recording.summary
    fair = 100 / len(truth)
    for name in truth:
        assert fair / 2 < recording.source_of(name)[0] < fair * 2, recording.summary


def test_summary_says_how_to_get_names(build, tmp_path):
    """The package with the debug information; the switch of a runtime."""
    bash, package = packaged_program_without_symbols()
    recording = Recording(tmp_path)
    try:
        recording.start(bash, "-c", "while :; do :; done")
        if shutil.which("node"):
            recording.start("node", SPIN_JS, SECONDS)
        recording.record(3)
    finally:
        recording.end()
    _, words = recording.source_of(os.path.basename(bash))
    assert words == f"dynsym; apt install {package}-dbgsym", recording.summary
    if shutil.which("node"):
        assert recording.source_of("[jit]")[1] == "none; node --perf-basic-prof", recording.summary


def test_advice_is_for_the_file_that_runs(build, tmp_path):
    """A file of that name in another mount namespace is not of the package that the host has."""
    bash, _ = packaged_program_without_symbols()
    program, other = (os.path.join(tmp_path, name) for name in ("stripped", "other"))
    for path in (program, other):
        command("strip", "-o", path, build("chain.c", *USUAL, f"-DOF_{os.path.basename(path)}"))
    script = f"mount --bind {other} {bash} && exec {bash} {SECONDS}"
    recording = Recording(tmp_path)
    try:
        recording.start(program, SECONDS)
        recording.start("unshare", "-m", "--propagation", "private", "sh", "-c", script)
        recording.record(2)
    finally:
        recording.end()
    stripped = "dynsym; stripped: build it without strip and -s"
    assert recording.source_of("stripped")[1] == stripped, recording.summary
    assert recording.source_of(os.path.basename(bash))[1] == "dynsym", recording.summary


def test_runtimes_without_names_get_their_own_advice(tmp_path):
    node, java = need("node"), need("java")
    with open(os.path.join(tmp_path, "Spin.java"), "w") as source:
        source.write("class Spin { public static void main(String[] a) { long x = 1;"
                     " while (true) x = x * 31 + 7; } }\n")
    recording = Recording(tmp_path)
    try:
        recording.start(node, SPIN_JS, SECONDS)
        recording.start(java, "-XX:+PreserveFramePointer", os.path.join(tmp_path, "Spin.java"))
        time.sleep(2)
        recording.record(2)
    finally:
        recording.end()
    assert "none; node --perf-basic-prof" in recording.summary, recording.summary
    assert "none; --jvm-perfmap" in recording.summary, recording.summary


def test_jit_sources_are_told_apart(tmp_path):
    node = need("node")
    recording = Recording(tmp_path)
    try:
        recording.start(node, "--perf-basic-prof", SPIN_JS, SECONDS, cwd=tmp_path)
        recording.record(2)
        assert recording.source_of("[jit]")[1] == "perf-map", recording.summary
        recording = Recording(tmp_path)
        recording.start(node, "--perf-prof", SPIN_JS, SECONDS, cwd=tmp_path)
        recording.record(2)
        assert recording.source_of("[jit]")[1] == "jitdump", recording.summary
    finally:
        recording.end()


def test_doctor_of_a_process(tool, start):
    bash, package = packaged_program_without_symbols()
    process = is_spinning(start(bash, "-c", "while :; do :; done"))
    done = tool.run("doctor", "-p", process.pid)
    table, files = done.stdout.split("executable files", 1)
    assert re.search(r"^ +binaries .*\bbash\b.*named: dynsym; apt install "
                     rf"{package}-dbgsym$", table, re.M), done.stdout
    assert re.search(rf"^ +{bash} +dynsym; apt install {package}-dbgsym$", files, re.M), done.stdout
    mapped = {line.split()[-1] for line in open(f"/proc/{process.pid}/maps")
              if " r-xp " in line and "/" in line}
    for path in mapped:
        assert path in files, (path, files)


def test_doctor_of_a_process_that_is_not_there(tool):
    ended = subprocess.Popen(["true"])
    ended.wait()
    tool.fails("doctor", "-p", ended.pid, says=str(ended.pid))


def test_shares_of_the_summary_are_those_of_leaf_frames(tool, build):
    program = copy(build("chain.c", *USUAL), tool.folder, "live_gcc")
    done = tool.run("record", "-F", "499", "-o", "x.pb.gz", "--", program, "1.5")
    profile = Profile(os.path.join(tool.folder, "x.pb.gz"))
    total = sum(n for _, n in profile.samples)
    own = sum(n for stack, n in profile.samples
              if stack[0].mapping and stack[0].mapping["filename"] == program)
    share = float(re.search(r"([\d.]+) %  live_gcc ", done.stderr).group(1))
    assert share == pytest.approx(100 * own / total, abs=0.1), done.stderr
