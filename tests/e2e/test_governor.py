# SPDX-License-Identifier: BSD-2-Clause
"""--max-overhead: the rate falls when we cost too much, and the profile's sums stay right."""

import os
import re

import pprof
from conftest import parse_sums, workload

TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def read(tool, name):
    return pprof.Profile(os.path.join(tool.folder, name))


def test_a_lowered_rate_keeps_the_time_that_was_spent(tool, start):
    program = start(workload("split"), "60")
    before = cpu_seconds(program.pid)
    done = tool.run("record", "-p", program.pid, "-F", "4999", "-d", "8", "--flush", "1",
                    "--max-overhead", "0.4", "-o", "x.pb.gz")
    spent = cpu_seconds(program.pid) - before
    sums = parse_sums(done.stderr)
    line = re.search(r"governor .* limit 0\.40 %: rate lowered to (\d+) Hz", done.stderr)
    assert line and 1 <= int(line.group(1)) < 3000, done.stderr
    profile = read(tool, "x.pb.gz")
    samples = sum(values[0] for values in profile.values)
    seconds = sum(values[1] for values in profile.values) / 1e9
    assert samples == sums["counted"]
    # At the first rate alone they would stand for far less than what was spent.
    assert samples / 4999 < 0.8 * spent, (samples, spent)
    assert abs(seconds - spent) < 0.2 * spent + 2 / int(line.group(1)), (seconds, spent)
    assert any("--max-overhead lowered the rate" in c for c in profile.comments)


def test_a_limit_that_is_not_reached_changes_nothing(tool, start):
    program = start(workload("split"), "60")
    done = tool.run("record", "-p", program.pid, "-F", "99", "-d", "3", "--flush", "1",
                    "--max-overhead", "100%", "-o", "x.pb.gz")
    assert "rate kept at 99 Hz" in done.stderr
    profile = read(tool, "x.pb.gz")
    assert {values[1] // values[0] for values in profile.values} == {10101010}


def test_wrong_limits(tool):
    for value in ("0", "-1", "101", "nan", "1x", ""):
        tool.fails("record", "--max-overhead", value, status=2, says="--max-overhead")
