# SPDX-License-Identifier: BSD-2-Clause
"""Nothing is lost without being said: the sums of design.md 3.7, windows, small maps."""

import glob
import os
import re

from conftest import parse_sums, workload


def pprof_times(raw):
    """time_nanos and duration_nanos: profile.proto, fields 9 and 10."""
    at, fields = 0, {}

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = raw[at]
            at += 1
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(raw):
        key = varint()
        value = varint()
        if key & 7 == 2:
            at += value
        else:
            fields[key >> 3] = value
    return fields[9], fields[10]


def test_both_sums_are_exact_and_equal_the_profile(tool):
    stacks = tool.record("-a", "-d", "3", "-F", "99")
    sums = parse_sums(tool.last.stderr)
    assert sums["counted"] == stacks.total()


def test_sums_are_exact_at_4999_hz(tool):
    stacks = tool.record("-F", "4999", "-d", "3", "--flush", "0.5", "--", workload("threads"), "4")
    sums = parse_sums(tool.last.stderr)
    assert sums["counted"] == stacks.total()
    assert sums["lost"] == 0, tool.last.stderr
    assert sums["counted"] > 3000


def test_busy_cpu_counts_all_that_is_due(tool, start):
    for _ in range(os.cpu_count()):
        start(workload("recurse"), "9")
    tool.record("-a", "-d", "5", "-F", "99")
    sums = parse_sums(tool.last.stderr)
    assert sums["counted"] >= 0.99 * sums["due"], tool.last.stderr


def test_full_counts_lose_nothing(tool, start):
    """64 entries for hundreds of distinct samples: the rest comes through the ring."""
    start("sh", "-c", "i=0; while [ $i -lt 100000000 ]; do i=$((i+1)); ls >/dev/null; done")
    stacks = tool.record("-a", "-d", "4", "-F", "1999", "--map-entries", "64")
    sums = parse_sums(tool.last.stderr)
    assert sums["lost"] == 0, tool.last.stderr
    assert sums["counted"] == stacks.total()


def test_tiny_ring_says_what_it_lost(tool, start):
    start("sh", "-c", "i=0; while [ $i -lt 100000000 ]; do i=$((i+1)); ls >/dev/null; done")
    stacks = tool.record("-a", "-d", "3", "-F", "4999", "--ring-size", "4K",
                         "--map-entries", "64")
    sums = parse_sums(tool.last.stderr)
    assert sums["counted"] == stacks.total()
    assert "WARNING" in tool.last.stderr and "ring full" in tool.last.stderr


def test_windows_lose_and_overlap_nothing(tool):
    done = tool.run("record", "-F", "499", "--every", "1", "-o", "w-%T.pb.gz", "--",
                    workload("split"), "4")
    sums = parse_sums(done.stderr)
    files = sorted(glob.glob(os.path.join(tool.folder, "w-*.pb.gz")))
    assert 4 <= len(files) <= 6, files
    assert all(re.search(r"w-\d{8}T\d{6}Z\.pb\.gz$", f) for f in files)
    total = sum(tool.folded(f).total() for f in files)
    assert total == sums["counted"]
    assert total >= 0.25 * 4 * 499, done.stderr


def test_shares_of_the_last_file_are_said_to_be_its(tool):
    done = tool.run("record", "-F", "199", "--every", "1", "-o", "w-%T.pb", "--", workload("jit"),
                    "3")
    assert "of the last file:" in done.stderr
    done = tool.run("record", "-F", "199", "-o", "one.pb", "--", workload("jit"), "1")
    assert "of the last file:" not in done.stderr


def test_windows_begin_where_the_last_one_ended(tool):
    tool.run("record", "-F", "499", "--every", "1", "-o", "w-%T.pb", "--", workload("split"), "4")
    end = None
    for file in sorted(glob.glob(os.path.join(tool.folder, "w-*.pb"))):
        with open(file, "rb") as profile:
            start, duration = pprof_times(profile.read())
        # Naming and writing the last window is not time that nobody sampled.
        assert end is None or abs(start - end) < 2_000_000, (file, start - end)
        end = start + duration
    assert end


def test_flush_splits_change_nothing(tool):
    stacks = tool.record("-F", "499", "--flush", "0.3", "--", workload("split"), "3")
    sums = parse_sums(tool.last.stderr)
    assert sums["counted"] == stacks.total()
    assert stacks.share("work_sixty", "split") > 0.55


def test_values_agree_with_the_period(tool):
    tool.record("-F", "200", "--", workload("split"), "1")
    samples = tool.folded("out.pb.gz").total()
    nanoseconds = tool.folded("--value", "cpu", "out.pb.gz").total()
    assert nanoseconds == samples * 5_000_000


def test_empty_windows_say_why(tool, start):
    program = start("sleep", "20")
    done = tool.run("record", "-p", program.pid, "-d", "1", "-o", "e.pb.gz")
    assert "NO SAMPLES" in done.stderr and "asleep" in done.stderr
    assert tool.folded("e.pb.gz").total() == 0
