#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""How often `ebpfprof symbolize` and llvm-symbolizer say the same of random text addresses.

Compared are the linker's names of functions, normalised paths and lines of the innermost frame, and
the whole chain of inlined callers.  Two notations of one name are equal (same_function()).  Each
difference is put into a class by where it is and of what kind; with --explain the classes are
printed with examples, and with what addr2line and eu-addr2line say there.
"""

import argparse
import collections
import contextlib
import json
import os
import random
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import measure  # noqa: E402
import symbol_inputs  # noqa: E402

SEED = 20250611
PARTS = ("function", "file", "line", "chain")
EXAMPLES = 3
CLONE = re.compile(r"(\.(part|constprop|isra|cold|lto_priv|llvm|clone|localalias)(\.[\w.]+)?)+$")
# Go's tables have neither, where its linker's symbols have both.
GO_ABI = re.compile(r"\.abi(0|internal)$")
GO_TYPES = re.compile(r"\[.*\]")

Frame = collections.namedtuple("Frame", "function file line")


# ---- what each says -----------------------------------------------------------------------------

def ask(command, addresses):
    """The output of a tool that reads addresses from stdin, in lines."""
    with tempfile.TemporaryFile("w+") as questions:
        questions.writelines(f"{address:#x}\n" for address in addresses)
        questions.seek(0)
        done = subprocess.run(command, stdin=questions, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, errors="replace", check=False)
    if done.returncode:
        words = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise measure.Failed(f"{os.path.basename(command[0])} ended with {done.returncode}: "
                             f"{words}")
    return done.stdout.splitlines()


def path_of(text):
    return os.path.normpath(text) if text and text != "??" else ""


def ours(path, addresses):
    """[chain of frames, innermost first] for each address; () where nothing is known."""
    chains = []
    for line in ask([measure.built("ebpfprof"), "symbolize", "--json", "--no-demangle",
                     "--no-cache", "-e", path], addresses):
        answer = json.loads(line)
        chains.append(tuple(
            Frame(frame["system_name"], path_of(frame.get("file")), frame.get("line", 0))
            for frame in answer["frames"]) if answer["named"] else ())
    return chains


def llvm(tool, path, addresses):
    chains = []
    for line in ask([tool, "--output-style=JSON", "--no-demangle", f"--obj={path}"], addresses):
        symbols = json.loads(line).get("Symbol", [])
        frames = tuple(Frame(one["FunctionName"], path_of(one["FileName"]), one["Line"])
                       for one in symbols)
        chains.append(frames if any(frame.function or frame.file for frame in frames) else ())
    return chains


# ---- differences --------------------------------------------------------------------------------

def differs_in_function(mine, other):
    if not mine or not other:
        return "function known to " + ("ebpfprof alone" if mine else "llvm-symbolizer alone")
    if CLONE.sub("", mine) == CLONE.sub("", other):
        return "suffix of a clone"
    return "another function"


def differs_in_file(mine, other):
    if not mine or not other:
        if os.sep not in mine + other:
            return "file name of the symbol table (STT_FILE)"
        return "file known to " + ("ebpfprof alone" if mine else "llvm-symbolizer alone")
    if os.path.basename(mine) == os.path.basename(other):
        return "another folder of the file"
    return "another file"


def differs_in_line(mine, other):
    if not mine or not other:
        return "line known to " + ("ebpfprof alone" if mine else "llvm-symbolizer alone")
    return "another line"


def position(index, length):
    if length == 1:
        return "only frame"
    return "innermost" if index == 0 else "outermost" if index == length - 1 else "between"


def classify(mine, other):
    """One line for the kind of a difference, the same for all of its kind."""
    if not mine or not other:
        return "address known to " + ("ebpfprof alone" if mine else "llvm-symbolizer alone")
    if len(mine) != len(other):
        names = [[frame.function for frame in chain] for chain in (mine, other)]
        longer, shorter = sorted(names, key=len, reverse=True)
        where = "in other ways"
        if longer[-len(shorter):] == shorter:
            where = "innermost"
        elif longer[:len(shorter)] == shorter:
            where = "outermost"
        elif len(shorter) > 1 and longer[-1] == shorter[-1]:
            where = "between"
        return f"{'more' if len(mine) > len(other) else 'fewer'} inlined frames, {where}"
    for index in reversed(range(len(mine))):
        kinds = [differs(a, b) for differs, a, b in
                 zip((differs_in_function, differs_in_file, differs_in_line), mine[index],
                     other[index]) if a != b]
        if kinds:
            return f"{position(index, len(mine))}: {', '.join(kinds)}"
    return "none"


EQUAL = "taken as equal: "


def same_function(mine, other, address_of):
    """Why two names that differ mean one function; None if they do not."""
    address = address_of.get(mine)
    if address is not None and address == address_of.get(other):
        return "another symbol of the same address"
    if GO_ABI.sub("", other) == mine:
        return "Go's name without the linker's ABI"
    if "[...]" in mine and GO_TYPES.sub("[...]", GO_ABI.sub("", other)) == mine:
        return "type arguments as Go's runtime shortens them"
    return None


def as_llvm_writes(mine, other, address_of):
    """Our chain, written as the other where only the notation differs; what differed so."""
    if len(mine) != len(other):
        return mine, None
    reason = None
    frames = list(mine)
    for index, (frame, theirs) in enumerate(zip(mine, other)):
        if frame.function != theirs.function:
            found = same_function(frame.function, theirs.function, address_of)
            if found:
                frames[index] = frame._replace(function=theirs.function)
                reason = found
    return tuple(frames), reason


def compare(llvm_path, path, count, seed=SEED):
    """Shares in percent that are equal, and the classes of what is not."""
    symbols = symbol_inputs.function_symbols(path)
    address_of = {name: address for address, _, name in symbols}
    addresses = symbol_inputs.random_addresses(symbol_inputs.disjoint(symbols), count,
                                               random.Random(seed))
    mine, others = ours(path, addresses), llvm(llvm_path, path, addresses)
    if not len(mine) == len(others) == len(addresses):
        raise measure.Failed(f"{path}: {len(addresses)} addresses, but {len(mine)} answers of "
                             f"ebpfprof and {len(others)} of llvm-symbolizer")
    nothing = (Frame("", "", 0),)
    equal = collections.Counter()
    classes = collections.defaultdict(list)
    for address, chain, other in zip(addresses, mine, others):
        written = chain
        chain, reason = as_llvm_writes(chain, other, address_of)
        if reason:
            classes[EQUAL + reason].append((address, written, other))
            equal["notation"] += 1
        inner, other_inner = (chain or nothing)[0], (other or nothing)[0]
        for part in ("function", "file", "line"):
            equal[part] += getattr(inner, part) == getattr(other_inner, part)
        equal["chain"] += chain == other
        if chain != other:
            classes[classify(chain, other)].append((address, written, other))
    return {"addresses": len(addresses), "inlined": sum(len(chain) > 1 for chain in others),
            "notation": equal["notation"],
            **{part: 100 * equal[part] / len(addresses) for part in PARTS},
            "classes": {name: len(several) for name, several in classes.items() if several},
            "examples": {name: several[:EXAMPLES] for name, several in classes.items()}}


# ---- what people see ----------------------------------------------------------------------------

def print_chain(who, chain):
    for frame in chain or (Frame("??", "", 0),):
        print(f"      {who:<13} {frame.function or '??'} at {frame.file or '??'}:{frame.line}")
        who = ""


def print_judges(path, address):
    """addr2line -afi and eu-addr2line -afi: an address, then function and file:line in turns."""
    for name in ("addr2line", "eu-addr2line"):
        tool = measure.find_tool(name)
        with contextlib.suppress(measure.Failed):
            lines = ask([tool, "-afi", "-e", path], [address])[1:] if tool else []
            for function, line in zip(lines[::2], lines[1::2]):
                print(f"      {name:<13} {function} at {line}")
                name = ""


def print_classes(result, path=None):
    """By count; with @path examples too."""
    for name, count in sorted(result["classes"].items(), key=lambda one: -one[1]):
        print(f"  {count:6d}  {name}")
        for address, mine, other in result["examples"][name] if path else ():
            print(f"    {address:#x}")
            print_chain("ebpfprof", mine)
            print_chain("llvm", other)
            print_judges(path, address)


def row(name, result):
    return [name, f"{result['addresses']}", f"{result['inlined']}"] + [
        f"{result[part]:.2f} %" for part in PARTS] + [f"{result['notation']}"]


HEADER = ["equal to llvm-symbolizer", "addresses", "inlined", *PARTS, "other notation"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", metavar="FILE", nargs="+", help="ELF files with DWARF")
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--explain", action="store_true", help="print the classes, with examples")
    parser.add_argument("--llvm", metavar="FILE", default=measure.find_tool("llvm-symbolizer"),
                        help="another llvm-symbolizer")
    arguments = parser.parse_args()
    rows = [HEADER]
    try:
        if not arguments.llvm:
            raise measure.Failed("no llvm-symbolizer here; run: sudo ./scripts/install-deps bench")
        for path in arguments.files:
            result = compare(arguments.llvm, path, arguments.count, arguments.seed)
            rows.append(row(os.path.basename(path), result))
            print(f"{path}, seed {arguments.seed}")
            print_classes(result, path if arguments.explain else None)
    except measure.Failed as failed:
        print(f"agree.py: {failed}", file=sys.stderr)
        return 1
    measure.print_table(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
