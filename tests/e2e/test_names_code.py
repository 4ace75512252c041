# SPDX-License-Identifier: BSD-2-Clause
"""Names of code by compiler, linker and language: layouts, inlined calls, clones, assembly."""

import os
import re

import pytest

from conftest import need, wait_until
from naming import (SOURCES, USUAL, check_chain, chain_truth, command, command_or_skip, frames_of,
                    line_of, loads, marks, names_of, runtime_address, symbolize, symbols)

LAYOUTS = {
    "pie": ("-pie", "-fPIE"),
    "no-pie": ("-no-pie",),
    "static": ("-static", "-no-pie"),
    "static-pie": ("-static-pie",),
    "code with headers": ("-Wl,-z,noseparate-code",),
    "text elsewhere": ("-no-pie", "-Wl,-Ttext-segment=0x61234000"),
    "pie with a base": ("-pie", "-fPIE", "-Wl,-Ttext-segment=0x7654000"),
    "two code segments": ("-no-pie", '-DOUTERMOST_PLACE=__attribute__((section(".text_far")))',
                          "-Wl,--section-start=.text_far=0x10002468"),
    "gold": ("-fuse-ld=gold",),
    "lld": ("-fuse-ld=lld",),
    "lld with a base": ("-fuse-ld=lld", "-no-pie", "-Wl,--image-base=0x32100000"),
    "lld, code with headers": ("-fuse-ld=lld", "-Wl,--no-rosegment", "-Wl,-z,noseparate-code"),
    "gc-sections": ("-ffunction-sections", "-Wl,--gc-sections"),
    "large sections": ("-no-pie", "-Wl,-z,max-page-size=0x200000"),
}


# ---- layouts ----

@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_by_file_and_by_process(tool, build, start, layout):
    """The same lines by ELF address, and by where the loader has put the code."""
    program = build("chain.c", *USUAL, *LAYOUTS[layout], name="layout")
    check_chain(tool, program, "-e", program)
    check_process(tool, start, program)


def check_process(tool, start, program):
    """All marks of a running chain that waits on its stdin."""
    process = start(program, stdin=-1)
    words = [(word, address) for word, found in marks(program).items() for address in found
             if word != "entry"]
    assert len(words) >= 2
    process_has_begun(process, program)
    answers = symbolize(tool, "-p", process.pid, addresses=[
        runtime_address(process.pid, program, address) for _, address in words])
    for (word, address), answer in zip(words, answers):
        assert frames_of(answer) == chain_truth(word), answer
        assert int(answer["file_address"], 16) == address, answer
        assert answer["file"] == program, answer


def process_has_begun(process, program):
    """The program and not yet its loader or our fork: it reads stdin."""
    def reads():
        with open(f"/proc/{process.pid}/wchan") as wchan, \
                open(f"/proc/{process.pid}/cmdline") as line:
            return program in line.read() and "pipe" in wchan.read()
    wait_until(reads)


def test_two_code_segments_are_there(build):
    """The test above is worth something: outermost is in a segment of its own."""
    program = build("chain.c", *USUAL, *LAYOUTS["two code segments"], name="layout")
    assert len(loads(program)) == 2
    assert symbols(program)["outermost"] >> 12 == 0x10002


def test_addresses_changed_after_linking(tool, build):
    """As prelink(8) does it, which leaves no debug information usable: symbols hold."""
    original = build("chain.c", "-O2", "-DLIBRARY", "-shared", "-fPIC", "-Wl,--build-id",
                     name="moved.so")
    moved = os.path.join(tool.folder, "moved.so")
    command_or_skip("objcopy", "--change-addresses=0x4321000", original, moved)
    where = symbols(moved)
    assert where["outermost"] == symbols(original)["outermost"] + 0x4321000
    for name in ("outermost", "plugin_entry"):
        for answer in symbolize(tool, "-e", moved, addresses=[where[name], where[name] + 3]):
            assert names_of(answer) == [name], answer


# ---- compilers and languages ----

@pytest.mark.parametrize("flags", ["-gdwarf-2", "-gdwarf-3", "-gdwarf-4", "-gdwarf-5",
                                   "-gstrict-dwarf", "-O0", "-Os", "-O3 -ffunction-sections"])
@pytest.mark.parametrize("cc", ["gcc", "clang"])
def test_inlined_calls_in_c(tool, build, cc, flags):
    program = build("chain.c", *USUAL, *flags.split(), cc=cc)
    check_chain(tool, program, "-e", program)


@pytest.mark.parametrize("cc,linker", [("gcc", "bfd"), ("clang", "lld")])
def test_inlined_calls_after_link_time_optimization(tool, build, cc, linker):
    program = build("chain.c", *USUAL, "-flto", f"-fuse-ld={linker}", cc=cc)
    check_chain(tool, program, "-e", program)


def test_type_units_do_not_hide_functions(tool, build):
    program = build("chain.c", *USUAL, "-fdebug-types-section", "-gdwarf-4")
    check_chain(tool, program, "-e", program)


def test_only_line_tables(tool, build):
    """-g1, as distributions' kernels and rustc's standard library have it: no variables."""
    for cc in ("gcc", "clang"):
        program = build("chain.c", "-O2", "-g1", cc=cc)
        for word in ("hot", "between"):
            for answer in symbolize(tool, "-e", program, addresses=marks(program)[word]):
                assert frames_of(answer) == chain_truth(word), answer


CXX_OUTERMOST = "shop::Cart<unsigned long>::total(unsigned long, shop::Item const&) const"
CXX_INNERMOST = "shop::price(shop::Item const&, unsigned long)"


@pytest.mark.parametrize("cc", ["g++", "clang++"])
def test_inlined_calls_in_cxx(tool, build, cc):
    program = build("chain.cpp", *USUAL, cc=cc)
    where = marks(program)["hot"]
    truth = [(CXX_INNERMOST, "chain.cpp", line_of("chain.cpp", "hot")),
             (CXX_OUTERMOST, "chain.cpp", line_of("chain.cpp", "call-innermost"))]
    for answer in symbolize(tool, "-e", program, addresses=where):
        assert frames_of(answer) == truth, answer
        assert answer["frames"][0]["start_line"] == line_of("chain.cpp", "innermost"), answer
        assert answer["frames"][1]["system_name"].startswith("_ZNK4shop4CartI"), answer
    for answer in symbolize(tool, "--simple-names", "-e", program, addresses=where):
        assert names_of(answer) == ["shop::price", "shop::Cart<unsigned long>::total"], answer
    for answer in symbolize(tool, "--no-demangle", "-e", program, addresses=where):
        assert all(name.startswith("_ZN") for name in names_of(answer)), answer


def test_lambdas_without_a_linkers_name(tool):
    """gcc gives an inlined lambda no linkage name, and its type no name at all."""
    program, source = (os.path.join(tool.folder, name) for name in ("program", "lambda.cpp"))
    with open(source, "w") as file:
        file.write("""
            int (*pick(int n))(int) { return n ? +[](int x) { return x * 3; } : nullptr; }
            int main(int argc, char **) { return pick(argc)(argc); }""")
    command(need("g++"), "-O1", "-g", "-o", program, source)
    address, = (at for name, at in symbols(program).items() if name.endswith("_FUNEi"))
    answer, = symbolize(tool, "-e", program, addresses=[address])
    assert names_of(answer) == ["pick::{lambda}::operator()",
                                "pick(int)::{lambda(int)#1}::_FUN(int)"], answer


def test_code_beside_text_in_cxx_of_dwarf_2(tool, build):
    """Its units have no ranges: their low_pc and high_pc leave out the templates' sections."""
    program, source = (os.path.join(tool.folder, name) for name in ("program", "both.cpp"))
    with open(source, "w") as both:
        both.write(f'#include "{SOURCES}/chain.cpp"\nint in_text(int x) {{ return x + 1; }}\n')
    command(need("g++"), *USUAL, "-gdwarf-2", "-gstrict-dwarf", "-o", program, source)
    for answer in symbolize(tool, "-e", program, addresses=marks(program)["hot"]):
        assert names_of(answer) == [CXX_INNERMOST, CXX_OUTERMOST], answer
        assert frames_of(answer)[0][1:] == ("chain.cpp", line_of("chain.cpp", "hot")), answer


@pytest.mark.parametrize("flags", [(), ("-C", "symbol-mangling-version=v0"),
                                   ("-C", "split-debuginfo=unpacked")],
                         ids=lambda flags: "".join(flags[1:]) or "plain")
def test_inlined_calls_in_rust(tool, build, flags):
    program = build("chain.rs", "--edition", "2021", "-g", "-C", "opt-level=2", "-C",
                    "force-frame-pointers=yes", *flags, cc="rustc")
    truth = [("chain::work::innermost", "chain.rs", line_of("chain.rs", "hot")),
             ("chain::work::outermost", "chain.rs", line_of("chain.rs", "call-innermost"))]
    for answer in symbolize(tool, "-e", program, addresses=marks(program)["hot"]):
        assert frames_of(answer) == truth, answer
        assert [f["start_line"] for f in answer["frames"]] == [
            line_of("chain.rs", word) for word in ("innermost", "outermost")], answer


@pytest.mark.parametrize("flags", [(), ("-ldflags=-s -w",), ("-buildmode=pie",)],
                         ids=["plain", "stripped", "pie"])
def test_inlined_calls_in_go(tool, build, flags):
    """`go tool objdump` says which instructions belong to the marked line."""
    program = build("chain.go", *flags, cc="go")
    listing = build("chain.go", *(f for f in flags if "-s" not in f), cc="go")
    text = command(need("go"), "tool", "objdump", "-s", "^main.outermost$", listing)
    hot = line_of("chain.go", "hot")
    addresses = [int(a, 16) for a in
                 re.findall(rf"chain\.go:{hot}\s+0x([0-9a-f]+)", text)]
    if "pie" in "".join(flags) and not addresses:
        pytest.skip("this Go's objdump has no lines for position-independent files")
    assert addresses, text
    assert open_text_address(program) == open_text_address(listing)
    truth = [("main.innermost", "chain.go", hot),
             ("main.middle", "chain.go", line_of("chain.go", "call-innermost")),
             ("main.outermost", "chain.go", line_of("chain.go", "call-middle"))]
    for answer in symbolize(tool, "-e", program, addresses=addresses):
        assert frames_of(answer) == truth, answer
        if go_version() >= (1, 20):  # before, the tables have no first lines
            assert answer["frames"][-1]["start_line"] == line_of("chain.go", "outermost"), answer


def go_version():
    major, minor = re.search(r"go(\d+)\.(\d+)", command(need("go"), "version")).groups()
    return int(major), int(minor)


def open_text_address(path):
    """Address of .text: the stripped program must lie where the listed one does."""
    return re.search(r" \.text +PROGBITS +(\w+)", command("readelf", "-SW", path)).group(1)


# ---- assembly ----

@pytest.mark.parametrize("debug", [True, False])
def test_assembly_without_sizes(tool, build, debug):
    program = build("handmade.S", *(["-g"] if debug else []), "-Wl,--build-id")
    where = marks(program)
    for word, function, line in [("local-mark", "hand_local", "local-mark"),
                                 ("spin-loop", "hand_spin", None),
                                 ("call-mark", "hand_call", "call-mark")]:
        answer, = symbolize(tool, "-e", program, addresses=where[word])
        assert names_of(answer) == [function], answer
        if debug and line:
            assert frames_of(answer) == [(function, "handmade.S", line_of("handmade.S", line))]
    # The nop and the subtraction behind the loop's first instruction, which has seven bytes.
    answers = symbolize(tool, "-e", program, addresses=[where["spin-loop"][0] + 7,
                                                        where["spin-loop"][0] + 8])
    assert [names_of(a) for a in answers] == [["hand_spin"]] * 2, answers
    if debug:
        assert [frames_of(a)[0][2] for a in answers] == [
            line_of("handmade.S", word) for word in ("spin-mark", "spin-sub")], answers


# ---- clones ----

@pytest.mark.parametrize("debug", [True, False])
def test_clones_have_their_functions_names(tool, build, debug):
    program = build("clones.c", "-O2", *(["-g"] if debug else []))
    clones = {name: address for name, address in symbols(program).items()
              if re.search(r"\.(isra|constprop|part|cold)\b", name)}
    kinds = {kind for name in clones for kind in name.split(".")[1:] if not kind.isdigit()}
    if len(kinds) < 3:
        pytest.skip(f"this gcc makes {sorted(kinds)} only")
    for name, address in clones.items():
        answer, = symbolize(tool, "-e", program, addresses=[address])
        outer = answer["frames"][-1]
        assert outer["function"] == name.split(".")[0], (name, answer)
        assert outer["system_name"] == name, (name, answer)


def test_demangled_clones(tool, build):
    """A mangled name with suffixes: the suffixes go, the parameters stay."""
    program = build("chain.cpp", "-O2", cc="g++")
    renamed = os.path.join(tool.folder, "renamed")
    system, = [name for name in symbols(program) if name.startswith("_ZNK4shop4Cart")]
    address = symbols(program)[system]
    command("objcopy", "--redefine-sym", f"{system}={system}.isra.0.cold", program, renamed)
    for option, name in [([], CXX_OUTERMOST), (["--simple-names"], CXX_OUTERMOST.split("(")[0]),
                         (["--no-demangle"], None)]:
        answer, = symbolize(tool, *option, "-e", renamed, addresses=[address])
        assert answer["frames"][-1]["system_name"] == f"{system}.isra.0.cold", answer
        if name:
            assert names_of(answer) == [name], answer
        else:
            assert names_of(answer)[0].startswith(system), answer
