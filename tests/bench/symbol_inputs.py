# SPDX-License-Identifier: BSD-2-Clause
"""Programs whose addresses are named by bench-symbols: large ones to measure, others to compare.

They are made once, from crates.io, the Go module proxy, the installed toolchains and a generator
(cxx_sources.py), and kept in ~/.cache/ebpfprof-bench.  Versions are pinned, so that two runs on
two machines mean the same.  What cannot be made is left out, with a note.
"""

import contextlib
import glob
import os
import shutil
import struct
import subprocess
import sys
import tempfile

import cxx_sources
import measure

GO_MODULE, GO_VERSION = "github.com/prometheus/prometheus", "v0.305.0"
RUST_LARGE = ("wasm-tools", "1.263.0", "wasm-tools")
RUST_SMALL = ("ripgrep", "14.1.1", "rg")
SQLITE_CRATE = ("libsqlite3-sys", "0.30.1")
CXX_FILES = 10

C_MAIN = """\
int sqlite3_initialize(void);
int main(void)
{
	return sqlite3_initialize();
}
"""
C_FLAGS = ["-DSQLITE_THREADSAFE=0", "-DSQLITE_OMIT_LOAD_EXTENSION", "-DSQLITE_ENABLE_FTS5",
           "-DSQLITE_ENABLE_RTREE", "-DSQLITE_ENABLE_MATH_FUNCTIONS"]


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "ebpfprof-bench")


def tool(name):
    """Path of a compiler; cargo stands where rustup puts it, too."""
    path = measure.find_tool(name) or shutil.which(
        name, path=os.path.expanduser("~/.cargo/bin"))
    if not path:
        raise measure.Failed(f"no {name} here")
    return path


# ---- making them --------------------------------------------------------------------------------

class Maker:
    """Makes files in the cache, each once; notes what could not be made."""

    def __init__(self, notes):
        self.folder = cache_folder()
        self.notes = notes
        os.makedirs(self.folder, exist_ok=True)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def make(self, name, build):
        """The file @name, by build(temporary folder, path to write); None if that failed."""
        path = self.path(name)
        if os.path.exists(path):
            return path
        print(f"making {path}, once", file=sys.stderr)
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            new = os.path.join(scratch, "made")
            try:
                build(scratch, new)
                os.rename(new, path)
            except (measure.Failed, OSError) as failed:
                self.notes.append(f"{name} is left out: {failed}")
                return None
        return path

    def run(self, command, **more):
        """At the lowest priority; the last line of stderr tells what failed."""
        env = {**os.environ, **more.pop("env", {})}
        done = subprocess.run(["nice", "-n", "19", *command], stdin=subprocess.DEVNULL, env=env,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              check=False, **more)
        if done.returncode:
            words = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise measure.Failed(f"{os.path.basename(command[0])}: {words}")
        return done.stdout

    # A program of crates.io, as `cargo install` makes it, with full debug information.
    def crate(self, crate, version, program, dwarf=None):
        def build(scratch, path):
            flags = os.environ.get("RUSTFLAGS", "")
            if dwarf:
                flags += f" -Cdwarf-version={dwarf}"
            self.run([tool("cargo"), "install", "--quiet", "--locked", "--root", scratch,
                      f"{crate}@{version}"],
                     env={"CARGO_PROFILE_RELEASE_DEBUG": "2",
                          "CARGO_PROFILE_RELEASE_STRIP": "none", "RUSTFLAGS": flags.strip(),
                          "CARGO_TARGET_DIR": os.path.join(scratch, "target")})
            os.rename(os.path.join(scratch, "bin", program), path)

        suffix = f"-dwarf{dwarf}" if dwarf else ""
        return self.make(f"{crate}-{version}{suffix}", build)

    def go_module(self, module, version, package):
        def build(scratch, path):
            env = {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod -modcacherw"}
            self.run([tool("go"), "mod", "init", "bench"], cwd=scratch, env=env)
            self.run([tool("go"), "get", f"{module}/{package}@{version}"], cwd=scratch, env=env)
            self.run([tool("go"), "build", "-o", path, f"{module}/{package}"], cwd=scratch,
                     env=env)

        return self.make(f"{os.path.basename(module)}-{version}", build)

    def go_command(self, package, dwarf):
        """A program of Go's own, so that it needs nothing from outside."""
        def build(scratch, path):
            experiment = "nodwarf5" if dwarf == 4 else ""
            self.run([tool("go"), "build", "-o", path, package], cwd=scratch,
                     env={"GOTOOLCHAIN": "local", "GOEXPERIMENT": experiment})

        return self.make(f"go-{os.path.basename(package)}-dwarf{dwarf}", build)

    def sqlite_source(self):
        crate, version = SQLITE_CRATE

        def build(scratch, path):
            os.mkdir(os.path.join(scratch, "src"))
            for name, text in (("src/lib.rs", ""), ("Cargo.toml", (
                    '[package]\nname = "sources"\nversion = "0.1.0"\nedition = "2021"\n'
                    f'[dependencies]\n{crate} = "={version}"\n'))):
                with open(os.path.join(scratch, name), "w", encoding="ascii") as file:
                    file.write(text)
            self.run([tool("cargo"), "vendor", "--quiet", "vendor"], cwd=scratch)
            os.rename(os.path.join(scratch, "vendor", crate, "sqlite3", "sqlite3.c"), path)

        return self.make("sqlite3.c", build)

    def c_program(self, compiler, level, dwarf):
        source = self.sqlite_source()
        if not source:
            return None

        def build(scratch, path):
            main = os.path.join(scratch, "main.c")
            with open(main, "w", encoding="ascii") as file:
                file.write(C_MAIN)
            self.run([tool(compiler), level, "-g", f"-gdwarf-{dwarf}", *C_FLAGS, "-o", path, main,
                      source, "-lm"])

        return self.make(f"sqlite-{compiler}{level}-dwarf{dwarf}", build)

    def cxx_program(self, compiler, driver, level, dwarf):
        def build(scratch, path):
            objects = []
            for source in cxx_sources.write(scratch, CXX_FILES):
                objects.append(source[:-3] + ".o")
                self.run([tool(driver), "-std=c++17", level, "-g", f"-gdwarf-{dwarf}", "-c",
                          source, "-o", objects[-1]])
            self.run([tool(driver), "-o", path, *objects, "-pthread"])

        return self.make(f"cxx-{compiler}{level}-dwarf{dwarf}", build)


def clangxx():
    """clang++ stands beside clang, which may have a version in its name."""
    return measure.find_tool("clang++") and "clang++"


# ---- which there are ----------------------------------------------------------------------------

def rustc_driver(notes):
    """The largest library that has symbols alone: the Rust compiler."""
    with contextlib.suppress(measure.Failed, OSError):
        root = subprocess.run([tool("rustc"), "--print", "sysroot"], stdout=subprocess.PIPE,
                              text=True, check=True).stdout.strip()
        found = glob.glob(os.path.join(root, "lib", "librustc_driver-*.so"))
        if found:
            return found[0]
    notes.append("no librustc_driver here: nothing with symbols alone is measured")
    return None


def large(notes):
    """[(name, path)]: what is measured."""
    maker = Maker(notes)
    found = [("Go, DWARF", maker.go_module(GO_MODULE, GO_VERSION, "cmd/prometheus")),
             ("Rust, DWARF", maker.crate(*RUST_LARGE)),
             ("symbols only", rustc_driver(notes))]
    return [one for one in found if one[1]]


def compared(notes):
    """[(name, path)]: programs whose names are compared with llvm-symbolizer's."""
    maker = Maker(notes)
    found = []
    for compiler, driver, level in (("gcc", "g++", "-O2"), ("clang", "clang++", "-O3")):
        for dwarf in (4, 5):
            found.append((f"C, {compiler} {level}, DWARF {dwarf}",
                          maker.c_program(compiler, level, dwarf)))
            found.append((f"C++, {compiler} {level}, DWARF {dwarf}",
                          maker.cxx_program(compiler, driver, level, dwarf)))
    found += [("Rust, DWARF 4", maker.crate(*RUST_LARGE)),
              ("Rust, DWARF 5", maker.crate(*RUST_SMALL, dwarf=5)),
              ("Go, DWARF 4", maker.go_command("cmd/compile", 4)),
              ("Go, DWARF 5", maker.go_module(GO_MODULE, GO_VERSION, "cmd/prometheus"))]
    return [one for one in found if one[1]]


# ---- their functions ----------------------------------------------------------------------------

SHT_SYMTAB, SHT_DYNSYM, SHF_EXECINSTR, STT_FUNC = 2, 11, 4, 2
SECTION = struct.Struct("<IIQQQQIIQQ")
SYMBOL = struct.Struct("<IBBHQQ")


def function_symbols(path):
    """[(address, size, name)] of the functions of a 64-bit little-endian ELF file."""
    with open(path, "rb") as file:
        header = file.read(64)
        if header[:6] != b"\x7fELF\x02\x01":
            raise measure.Failed(f"{path} is no 64-bit ELF file")
        offset, count = struct.unpack_from("<Q", header, 40)[0], struct.unpack_from(
            "<H", header, 60)[0]
        file.seek(offset)
        sections = list(SECTION.iter_unpack(file.read(SECTION.size * count)))
        tables = {section[1]: section for section in sections}
        table = tables.get(SHT_SYMTAB) or tables.get(SHT_DYNSYM)
        if not table:
            raise measure.Failed(f"{path} has no symbol table")
        file.seek(table[4])
        symbols = file.read(table[5])
        file.seek(sections[table[6]][4])
        names = file.read(sections[table[6]][5])
    code = {i for i, section in enumerate(sections) if section[2] & SHF_EXECINSTR}
    return [(value, size, names[name:names.index(b"\0", name)].decode("utf-8", "replace"))
            for name, info, _, section, value, size in SYMBOL.iter_unpack(symbols)
            if info & 15 == STT_FUNC and size and section in code]


def disjoint(symbols):
    """Sorted, disjoint [(address, size)] of function_symbols()."""
    found, end = [], 0
    for address, size in sorted({symbol[:2] for symbol in symbols}):
        if address + size > end:
            found.append((max(address, end), address + size - max(address, end)))
            end = address + size
    return found


def spread_addresses(functions_of_it, count, random):
    """One address in each of @count functions, spread evenly over the text."""
    count = min(count, len(functions_of_it))
    chosen = [functions_of_it[i * len(functions_of_it) // count] for i in range(count)]
    return [address + random.randrange(size) for address, size in chosen]


def random_addresses(functions_of_it, count, random):
    """@count addresses, every byte of every function as likely as any other."""
    ends, total = [], 0
    for _, size in functions_of_it:
        total += size
        ends.append(total)
    found = random.choices(functions_of_it, cum_weights=ends, k=count)
    return [address + random.randrange(size) for address, size in found]
