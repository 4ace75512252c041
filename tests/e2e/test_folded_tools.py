# SPDX-License-Identifier: BSD-2-Clause
"""What comes out is read by the tools that people use: flamegraph.pl, go tool pprof."""

import glob
import os
import re
import shutil
import subprocess
import time

import pytest

from conftest import EBPFPROF, Stacks, need, workload


def flamegraph():
    found = shutil.which("flamegraph.pl") or shutil.which("flamegraph")
    others = glob.glob("/usr/share/perl5/Devel/NYTProf/flamegraph.pl")
    if not found and not others:
        pytest.skip("no flamegraph.pl on this machine")
    return [found] if found else ["perl", others[0]]


def test_literal_pipe_names_the_workload(tool, start):
    """`ebpfprof folded | flamegraph.pl > x.svg`, nothing else: ten seconds, said on stderr."""
    start(workload("split"), "20")
    command = f"{EBPFPROF} folded | {' '.join(flamegraph())} > x.svg"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=tool.folder,
                          stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "10 s" in done.stderr
    with open(os.path.join(tool.folder, "x.svg")) as picture:
        svg = picture.read()
    assert "work_sixty" in svg and "<svg" in svg
    assert "rror" not in re.sub(r"<[^>]*>", "", svg)[:200]


def test_file_gives_the_same_stacks_as_live_folded_output(tool):
    tool.run("record", "-q", "-F", "499", "-o", "x.pb.gz", "--", workload("split"), "2")
    from_file = tool.folded("x.pb.gz")
    assert from_file.share("work_sixty", "split") > 0.5
    tool.run("record", "-q", "-F", "499", "-o", "x.folded", "--", workload("split"), "1")
    with open(os.path.join(tool.folder, "x.folded")) as text:
        direct = Stacks(text.read())
    assert direct.share("work_sixty", "split") > 0.5


def test_raw_and_gzipped_pprof_hold_the_same(tool):
    tool.run("record", "-q", "-o", "x.pb", "--", workload("split"), "1")
    assert tool.folded("x.pb").having("work_sixty") > 0
    with open(os.path.join(tool.folder, "x.pb"), "rb") as raw:
        assert raw.read(2) != b"\x1f\x8b"


def test_go_tool_pprof_reads_it(tool):
    go = need("go")
    tool.run("record", "-q", "-F", "499", "-o", "x.pb.gz", "--", workload("split"), "3")
    ours = tool.folded("x.pb.gz")
    top = subprocess.run([go, "tool", "pprof", "-top", "x.pb.gz"], cwd=tool.folder, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)
    assert "File: split" in top.stdout, top.stdout
    assert re.search(r"work_sixty\s*$", top.stdout, re.M), top.stdout
    assert "Main binary filename not available" not in top.stderr
    raw = subprocess.run([go, "tool", "pprof", "-raw", "x.pb.gz"], cwd=tool.folder, text=True,
                         stdout=subprocess.PIPE, check=True).stdout
    assert "PeriodType: cpu nanoseconds" in raw
    assert re.search(r"samples/count\s+cpu/nanoseconds", raw), raw[:500]
    values = [int(n) for n in re.findall(r"^\s+(\d+)\s+\d+:\s[\d ]+", raw, re.M)]
    assert sum(values) == ours.total()
    tags = subprocess.run([go, "tool", "pprof", "-tags", "x.pb.gz"], cwd=tool.folder, text=True,
                          stdout=subprocess.PIPE, check=True).stdout
    for label in ("process:", "thread:", "pid:", "tid:"):
        assert label in tags, tags


def test_doctor_says_ready_here(tool):
    done = tool.run("doctor")
    assert "Ready" in done.stdout and "FAIL" not in done.stdout


@pytest.mark.parametrize("args", [["help"], ["--help"], ["help", "record"], ["record", "--help"],
                                  ["help", "folded"], ["folded", "-h"], ["help", "doctor"],
                                  ["--version"]])
def test_help_fits_eighty_columns(tool, args):
    done = tool.run(*args)
    assert done.stdout and not done.stderr
    assert max(len(line) for line in done.stdout.splitlines()) <= 80, done.stdout


def test_perf_sees_the_same_shares(tool, start):
    """The same program under perf: the shares of its functions agree."""
    perf = need("perf")
    program = start(workload("split"), "14")
    stacks = tool.record("-p", program.pid, "-F", "499", "-d", "5")
    done = subprocess.run([perf, "record", "-q", "-e", "cpu-clock", "-F", "499", "-g", "-o",
                           "perf.data", "-p", str(program.pid), "--", "sleep", "5"],
                          cwd=tool.folder, stderr=subprocess.PIPE)
    if done.returncode:
        pytest.skip(f"perf cannot record here: {done.stderr.decode()[:100]}")
    script = subprocess.run([perf, "script", "-i", "perf.data", "-F", "ip,sym"], text=True,
                            cwd=tool.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout
    samples = [s for s in script.split("\n\n") if s.strip()]
    for name in ("work_sixty", "work_thirty", "work_ten"):
        theirs = sum(name in s for s in samples) / len(samples)
        assert stacks.share(name, "split") == pytest.approx(theirs, abs=0.03), name


def test_perf_beside_us_is_left_alone(tool, start):
    """A `perf record` that runs when we start must end well and have its mappings."""
    perf = need("perf")
    recorder = start(perf, "record", "-a", "-g", "-e", "cpu-clock", "-F", "99", "-o", "perf.data",
                     "--", "sleep", "4", cwd=tool.folder, stderr=subprocess.PIPE)
    time.sleep(1)
    tool.run("record", "-q", "-o", "x.pb.gz", "--", workload("split"), "2")
    _, stderr = recorder.communicate(timeout=30)
    assert recorder.returncode == 0, stderr
    script = subprocess.run([perf, "script", "-i", "perf.data", "-F", "comm,ip,sym"], text=True,
                            cwd=tool.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert "work_sixty" in script.stdout, script.stderr[:300]


def test_a_rename_keeps_its_samples_apart(tool):
    """Samples carry the name of their time, also within one flush."""
    script = ("import ctypes, time\n"
              "libc = ctypes.CDLL(None)\n"
              "for name in (b'phase_one', b'phase_two'):\n"
              "    libc.prctl(15, name, 0, 0, 0)\n"
              "    end = time.process_time() + 1\n"
              "    while time.process_time() < end: pass\n")
    stacks = tool.record("-F", "199", "--", "python3", "-c", script)
    one, two = stacks.total("phase_one"), stacks.total("phase_two")
    assert one > 100 and two > 100, stacks
