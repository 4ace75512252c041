# SPDX-License-Identifier: BSD-2-Clause
"""Where debug information lies: in separate, packed, shared, split and compressed files."""

import glob
import os
import re

import pytest

from conftest import need
from naming import (USUAL, build_id, build_id_path, check_chain, check_nameless, command,
                    command_or_skip, copy, extent, frames_of, line_of,
                    loads, marks, names_of, split_debug, symbolize, symbols)

NO_BUILD_ID = ("-O2", "-g", "-Wl,--build-id=none")
# A program whose debug information must not be taken for chain's.
DECOY = ("-Dinnermost=decoy_inner", "-Dmiddle=decoy_middle", "-Doutermost=decoy_outer")


# ---- separate debug files ----

@pytest.mark.parametrize("place", ["", ".debug"])
def test_debug_link_finds_the_file(tool, build, place):
    original = build("chain.c", *NO_BUILD_ID)
    stripped, debug = split_debug(original, tool.folder, os.path.join(tool.folder, place))
    check_chain(tool, original, "-e", stripped)
    os.unlink(debug)
    check_nameless(tool, stripped, original)


def test_debug_link_below_the_debug_directory(tool, build):
    """GDB's third place: DIR/absolute/path/of/the/program/X.debug."""
    original = build("chain.c", *NO_BUILD_ID)
    folder = os.path.join(tool.folder, "debug")
    stripped, _ = split_debug(original, tool.folder, folder + tool.folder)
    check_nameless(tool, stripped, original)
    check_chain(tool, original, "-e", stripped, "--debug-dir", folder)


def test_debug_link_of_another_crc_is_not_used(tool, build):
    original, decoy = build("chain.c", *NO_BUILD_ID), build("chain.c", *NO_BUILD_ID, *DECOY)
    stripped, debug = split_debug(original, tool.folder)
    right = os.path.join(tool.folder, "right")
    os.rename(debug, right)
    command("objcopy", "--only-keep-debug", decoy, debug)
    check_nameless(tool, stripped, original)
    # It must not hide the right one either.
    copy(right, os.path.join(tool.folder, ".debug"), os.path.basename(debug))
    check_chain(tool, original, "-e", stripped)


def test_debug_link_to_another_build_is_not_used(tool, build):
    original, decoy = build("chain.c", *USUAL), build("chain.c", *USUAL, *DECOY)
    assert build_id(original) != build_id(decoy)
    stripped, debug = split_debug(original, tool.folder)
    command("objcopy", "--only-keep-debug", decoy, debug)
    check_nameless(tool, stripped, original)


@pytest.mark.parametrize("link", [False, True])
def test_build_id_directory(tool, build, link):
    """By build-id, whether or not there is a link to a file that is elsewhere."""
    original = build("chain.c", *USUAL)
    stripped, debug = split_debug(original, tool.folder, link=link)
    folder = os.path.join(tool.folder, "debug")
    os.rename(debug, build_id_path(folder, original))
    check_nameless(tool, stripped, original)
    check_chain(tool, original, "-e", stripped, "--debug-dir", folder)


def test_build_id_directory_with_another_build_is_not_used(tool, build):
    original, decoy = build("chain.c", *USUAL), build("chain.c", *USUAL, *DECOY)
    stripped, debug = split_debug(original, tool.folder, link=False)
    os.unlink(debug)
    folder = os.path.join(tool.folder, "debug")
    command("objcopy", "--only-keep-debug", decoy, build_id_path(folder, original))
    check_nameless(tool, stripped, original, "--debug-dir", folder)


def test_debug_file_by_option(tool, build):
    original = build("chain.c", *USUAL)
    stripped, debug = split_debug(original, tool.folder, link=False)
    moved = os.path.join(tool.folder, "moved")
    os.rename(debug, moved)
    check_nameless(tool, stripped, original)
    check_chain(tool, original, "-e", stripped, "--debug", moved)


def test_symbols_kept_but_lines_elsewhere(tool, build):
    """`strip -g` and a link: names are in the program, lines in the debug file."""
    original = build("chain.c", *USUAL)
    _, debug = split_debug(original, tool.folder)
    stripped = os.path.join(tool.folder, "stripped_g")
    command("objcopy", "--strip-debug", f"--add-gnu-debuglink={debug}", original, stripped)
    check_chain(tool, original, "-e", stripped)
    os.unlink(debug)
    for answer in symbolize(tool, "-e", stripped, addresses=marks(original)["hot"]):
        assert frames_of(answer) == [("outermost", "", 0)], answer


# ---- .gnu_debugdata ----

def make_mini_debug_info(original, folder):
    """As GDB's manual says under "Debugging information in a special section"."""
    xz = need("xz")
    path = os.path.join(folder, "mini")
    dynamic = set(command("nm", "-D", "--format=posix", "--defined-only", original).split("\n"))
    kept = [row.split()[0] for row in
            command("nm", "--format=posix", "--defined-only", original).split("\n")
            if row and row not in dynamic and row.split()[1] in "TtD"]
    with open(path + ".keep", "w") as file:
        file.write("\n".join(kept))
    command("objcopy", "--only-keep-debug", original, path + ".debug")
    command("objcopy", "-S", "--remove-section", ".gdb_index", "--remove-section", ".comment",
            f"--keep-symbols={path}.keep", path + ".debug", path + ".small")
    command("strip", "--strip-all", "-R", ".comment", "-o", path, original)
    command(xz, path + ".small")
    command("objcopy", "--add-section", f".gnu_debugdata={path}.small.xz", path)
    return path


def test_mini_debug_info_names_functions(tool, build):
    original = build("chain.c", *USUAL)
    program = make_mini_debug_info(original, tool.folder)
    assert "outermost" not in symbols(program, "-D", "--defined-only")
    for word in ("entry", "hot", "between"):
        for answer in symbolize(tool, "-e", program, addresses=marks(original)[word]):
            assert frames_of(answer) == [("outermost", "", 0)], answer
    # A function that only .dynsym could name and one of the mini symbols, side by side.
    address = symbols(original)["main"]
    assert names_of(symbolize(tool, "-e", program, addresses=[address])[0]) == ["main"]


def test_debug_file_comes_before_mini_debug_info(tool, build):
    original = build("chain.c", *USUAL)
    program = make_mini_debug_info(original, tool.folder)
    folder = os.path.join(tool.folder, "debug")
    command("objcopy", "--only-keep-debug", original, build_id_path(folder, original))
    check_chain(tool, original, "-e", program, "--debug-dir", folder)


def test_broken_mini_debug_info_does_no_harm(tool, build):
    original = build("chain.c", *USUAL)
    program = make_mini_debug_info(original, tool.folder)
    packed = os.path.join(tool.folder, "mini.small.xz")
    with open(packed, "r+b") as file:
        file.seek(os.path.getsize(packed) // 2)
        file.write(b"\xff" * 40)
    command("objcopy", "--update-section", f".gnu_debugdata={packed}", program)
    check_nameless(tool, program, original)


# ---- dwz ----

def needs_supplement(path):
    """Whether dwz moved something out of @path."""
    return ".gnu_debugaltlink" in command("readelf", "-SW", path)


@pytest.mark.parametrize("version", [4, 5])
def test_dwz_in_one_file(tool, build, version):
    original = build("chain.c", *USUAL, f"-gdwarf-{version}")
    program = copy(original, tool.folder)
    command_or_skip(need("dwz"), program)
    check_chain(tool, original, "-e", program)


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("cc", ["gcc", "clang"])
def test_dwz_with_a_common_file(tool, build, cc, version):
    originals = [build("chain.c", *USUAL, f"-gdwarf-{version}", *more, cc=cc)
                 for more in ((), ("-DOUTERMOST_SCOPE=extern",))]
    programs = [copy(path, tool.folder, f"program{n}") for n, path in enumerate(originals)]
    common = os.path.join(tool.folder, "common.dwz")
    command_or_skip(need("dwz"), "-m", common, "-r", *programs)
    assert all(needs_supplement(p) for p in programs), "dwz found nothing in common"
    for program, original in zip(programs, originals):
        check_chain(tool, original, "-e", program)
    # Without it: what there is, and never names from a file that is not there.
    os.unlink(common)
    for answer in symbolize(tool, "-e", programs[0], addresses=marks(originals[0])["hot"]):
        assert names_of(answer)[-1] == "outermost", answer


def test_dwz_as_debian_packages_have_it(tool, build):
    """Debug files by build-id, their common one named absolutely, but found by --debug-dir."""
    folder = os.path.join(tool.folder, "debug")
    stripped, debugs, originals = [], [], []
    for more in ((), ("-DOUTERMOST_SCOPE=extern",)):
        original = build("chain.c", *USUAL, *more)
        place = os.path.join(tool.folder, f"bin{len(stripped)}")
        program, debug = split_debug(original, place, link=False)
        os.rename(debug, build_id_path(folder, original))
        stripped.append(program)
        debugs.append(build_id_path(folder, original))
        originals.append(original)
    common = os.path.join(tool.folder, "common.dwz")
    command_or_skip(need("dwz"), "-m", common, "-M", "/usr/lib/debug/.dwz/ebpfprof-test.debug",
                    *debugs)
    assert all(needs_supplement(p) for p in debugs), "dwz found nothing in common"
    os.rename(common, build_id_path(folder, common))
    for program, original in zip(stripped, originals):
        check_chain(tool, original, "-e", program, "--debug-dir", folder)


# ---- split DWARF ----

def split_dwarf(build, cc, version, name="chain"):
    """A program built in two steps, so that both compilers put the .dwo beside it."""
    path = build("chain.c", "-O2", "-gsplit-dwarf", f"-gdwarf-{version}", "-Wl,--build-id", cc=cc,
                 name=name)
    units = glob.glob(os.path.join(os.path.dirname(path), "*.dwo"))
    if not units:
        pytest.skip(f"{cc} left no .dwo")
    return path, units


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("cc", ["gcc", "clang"])
def test_split_dwarf_units(tool, build, cc, version):
    program, units = split_dwarf(build, cc, version)
    check_chain(tool, program, "-e", program)
    for path in units:
        os.rename(path, path + ".away")
    try:
        for answer in symbolize(tool, "-e", program, addresses=marks(program)["hot"],
                                env=dict(os.environ, XDG_CACHE_HOME=tool.cache + "2")):
            assert names_of(answer)[-1] == "outermost", answer
    finally:
        for path in units:
            os.rename(path + ".away", path)


@pytest.mark.parametrize("packer,cc,version", [
    # llvm-dwp 14 does not end on gcc's units of DWARF 5.
    ("dwp", "gcc", 4), ("dwp", "clang", 4), ("dwp", "gcc", 5), ("dwp", "clang", 5),
    ("llvm-dwp", "clang", 4), ("llvm-dwp", "clang", 5)])
def test_split_dwarf_package(tool, build, packer, cc, version):
    program, units = split_dwarf(build, cc, version, name="packed")
    moved = copy(program, tool.folder)
    command_or_skip(need(packer), "-e", program, "-o", moved + ".dwp",
                    cwd=os.path.dirname(program))
    for path in units:
        os.rename(path, path + ".away")
    try:
        check_chain(tool, program, "-e", moved)
    finally:
        for path in units:
            os.rename(path + ".away", path)


def test_split_dwarf_package_of_a_stripped_program(tool, build):
    """The skeleton in a debug file, its units in a package beside the program."""
    program, units = split_dwarf(build, "clang", 5, name="packed")
    stripped, _ = split_debug(program, tool.folder)
    command_or_skip(need("llvm-dwp"), "-e", program, "-o", stripped + ".dwp",
                    cwd=os.path.dirname(program))
    for path in units:
        os.rename(path, path + ".away")
    try:
        check_chain(tool, program, "-e", stripped)
    finally:
        for path in units:
            os.rename(path + ".away", path)


# ---- compression ----

@pytest.mark.parametrize("kind", ["zlib-gabi", "zlib-gnu", "zstd"])
def test_compressed_sections(tool, build, kind):
    original = build("chain.c", *USUAL)
    program = os.path.join(tool.folder, "chain")
    command_or_skip("objcopy", f"--compress-debug-sections={kind}", original, program)
    sections = command("readelf", "-SW", program)
    if kind == "zlib-gnu":
        assert ".zdebug_info" in sections, sections
    else:
        assert re.search(r"\.debug_info .* C +\d+ +\d+ +\d+$", sections, re.M), sections
    check_chain(tool, original, "-e", program)


def test_compressed_beyond_the_memory_for_names(tool, build):
    """Functions are still named; what was left out is said, not only missing."""
    program = build("chain.c", *USUAL, "-gz=zlib")
    address = hex(symbols(program)["outermost"])
    assert "chain.c:" in tool.run("symbolize", "-e", program, address).stdout
    done = tool.run("symbolize", "--symbol-memory", "100", "-e", program, address)
    assert "outermost" in done.stdout and "chain.c" not in done.stdout, done.stdout
    done = tool.run("record", "-F", "499", "--symbol-memory", "100", "-o", "x.pb.gz", "--", program,
                    "1")
    assert "DWARF too large" in done.stderr, done.stderr


@pytest.mark.parametrize("cc", ["gcc", "clang"])
def test_compressed_by_the_compiler(tool, build, cc):
    program = build("chain.c", *USUAL, "-gz=zlib", cc=cc)
    check_chain(tool, program, "-e", program)


# ---- nothing at all ----

def test_library_without_symbols_is_named_by_its_addresses(tool, build):
    """`libx.so+0x1234` counts as objdump and nm do, where address and file offset differ."""
    original = build("chain.c", *USUAL, "-DLIBRARY", "-shared", "-fPIC",
                     "-Wl,-Ttext-segment=0x5431000", name="libx.so")
    assert all(offset != vaddr for offset, vaddr, _ in loads(original))
    stripped = os.path.join(tool.folder, "libx.so")
    command("objcopy", "--strip-all", original, stripped)
    check_nameless(tool, stripped, original)
    # What it exports has its name.
    address = symbols(original)["plugin_entry"]
    for answer in symbolize(tool, "-e", stripped, addresses=[address, address + 2]):
        assert names_of(answer) == ["plugin_entry"], answer
        assert answer["build_id"] == build_id(original), answer


def test_no_debug_info_option_reads_none(tool, build):
    program = build("chain.c", *USUAL)
    for answer in symbolize(tool, "--no-debug-info", "-e", program,
                            addresses=marks(program)["hot"]):
        assert frames_of(answer) == [("outermost", "", 0)], answer


def test_other_tools_agree(tool, build):
    """Each instruction of the three functions, against the compiler's own line table as
    llvm-symbolizer or addr2line reads it."""
    program = build("chain.c", *USUAL)
    start, size = extent(program, "outermost")
    addresses = list(range(start, start + size))
    ours = [frames_of(a) for a in symbolize(tool, "-e", program, addresses=addresses)]
    text = command(need("addr2line"), "-a", "-f", "-i", "-e", program, *map(hex, addresses))
    theirs = []
    for block in re.split(r"^0x[0-9a-f]+\n", text, flags=re.M)[1:]:
        rows = block.splitlines()
        theirs.append([(rows[n], os.path.basename(rows[n + 1].split(":")[0]),
                        int(re.match(r"\d*", rows[n + 1].rsplit(":", 1)[1]).group() or 0))
                       for n in range(0, len(rows), 2)])
    differing = [(hex(a), o, t) for a, o, t in zip(addresses, ours, theirs) if o != t]
    assert not differing, differing[:5]
    assert len({len(frames) for frames in ours}) == 3, "inlined calls at all three depths"
    assert line_of("chain.c", "spin") in {frames[0][2] for frames in ours}
