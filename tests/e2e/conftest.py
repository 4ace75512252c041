# SPDX-License-Identifier: BSD-2-Clause
"""Helpers of the end-to-end tests: run ebpfprof on known programs, read what it says."""

import collections
import os
import re
import shutil
import subprocess
import time

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EBPFPROF = os.environ.get("EBPFPROF", os.path.join(ROOT, "build", "ebpfprof"))
WORKLOADS = os.environ.get("WORKLOADS", os.path.join(ROOT, "build", "workloads"))

# flamegraph.pl's own grammar of a line.
FOLDED_LINE = re.compile(r"^(.*)\s+?(\d+(?:\.\d*)?)$")


def workload(name):
    path = os.path.join(WORKLOADS, name)
    if not os.path.exists(path):
        pytest.skip(f"workload {name} was not built here")
    return path


def need(program):
    path = shutil.which(program)
    if not path:
        pytest.skip(f"no {program} on this machine")
    return path


class Stacks:
    """Folded stacks: {(process, outermost, ..., leaf): samples}."""

    def __init__(self, text):
        self.counts = collections.Counter()
        for line in text.splitlines():
            match = FOLDED_LINE.match(line)
            assert match, f"not a folded line: {line!r}"
            self.counts[tuple(match.group(1).split(";"))] += int(match.group(2))

    def total(self, process=None):
        return sum(n for s, n in self.counts.items() if process in (None, s[0]))

    def having(self, name, process=None):
        """Samples with a frame of this name."""
        return sum(n for s, n in self.counts.items()
                   if process in (None, s[0]) and name in s[1:])

    def leaf(self, name):
        return sum(n for s, n in self.counts.items() if s[-1] == name)

    def processes(self):
        return {s[0] for s in self.counts}

    def share(self, name, process):
        total = self.total(process)
        assert total, f"no samples of {process}: {self.processes()}"
        return self.having(name, process) / total

    def __repr__(self):
        top = "\n".join(f"{n:6} {';'.join(s)}" for s, n in self.counts.most_common(25))
        return f"Stacks({self.total()} samples)\n{top}"


class Tool:
    def __init__(self, folder, program=EBPFPROF):
        self.folder = folder
        self.program = program
        self.cache = folder + ".cache"  # beside it: the folder shows what a command left

    def run(self, *args, check=True, timeout=120, **kwargs):
        """Run ebpfprof; the result has returncode, stdout and stderr (text)."""
        kwargs.setdefault("cwd", self.folder)
        kwargs.setdefault("errors", "surrogateescape")
        # A cache of the test's own: no answer may come from another test's programs.
        kwargs.setdefault("env", dict(os.environ, XDG_CACHE_HOME=self.cache))
        done = subprocess.run([self.program, *map(str, args)], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=timeout, **kwargs)
        if check:
            assert done.returncode == 0, done.stderr
        return done

    def fails(self, *args, status=1, says=(), **kwargs):
        """Run it wrongly: one line that names what and why, the given status, no crash."""
        done = self.run(*args, check=False, **kwargs)
        assert done.returncode == status, (done.returncode, done.stderr)
        lines = done.stderr.strip().splitlines()
        assert len(lines) == 1, done.stderr
        assert lines[0].startswith("ebpfprof"), done.stderr
        for word in [says] if isinstance(says, str) else says:
            assert word in done.stderr, done.stderr
        return done

    def folded(self, *args, **kwargs):
        return Stacks(self.run("folded", *args, **kwargs).stdout)

    def record(self, *args, output="out.pb.gz", **kwargs):
        """Record to a file, read it back as folded stacks; the run is kept as .last."""
        self.last = self.run("record", "-o", output, *args, **kwargs)
        return self.folded(output)


@pytest.fixture
def tool(tmp_path):
    return Tool(str(tmp_path))


@pytest.fixture(scope="session")
def build(tmp_path_factory):
    """Programs with known lines; see naming.py."""
    from naming import Builder
    return Builder(tmp_path_factory.mktemp("names"))


@pytest.fixture
def start():
    """Start programs that are ended, by pid, when the test is over."""
    started = []

    def starter(*args, **kwargs):
        kwargs.setdefault("stdout", subprocess.DEVNULL)
        process = subprocess.Popen([str(a) for a in args], **kwargs)
        started.append(process)
        return process

    yield starter
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


def parse_sums(stderr):
    """The two sums of a summary as dicts; their exactness is asserted here."""
    due = re.search(r"(\d+) due = (\d+) fired \+ (-?\d+) not fired", stderr)
    fired = re.search(r"(\d+) fired = (\d+) counted \+ (\d+) idle \+ (\d+) filtered \+ (\d+) lost",
                      stderr)
    assert due and fired, stderr
    due = [int(n) for n in due.groups()]
    fired = [int(n) for n in fired.groups()]
    assert due[0] == due[1] + due[2], stderr
    assert fired[0] == sum(fired[1:]), stderr
    assert due[1] == fired[0], stderr
    return dict(zip(("due", "fired", "not_fired"), due)) | dict(
        zip(("fired", "counted", "idle", "filtered", "lost"), fired))


def wait_until(condition, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def unshare(*args):
    """The command that runs what follows in namespaces of its own, or a skip that says why not."""
    command = [need("unshare"), *args]
    tried = subprocess.run([*command, "true"], stderr=subprocess.PIPE, text=True)
    if tried.returncode:
        pytest.skip(f"no namespaces here: {tried.stderr.strip()}")
    return command
