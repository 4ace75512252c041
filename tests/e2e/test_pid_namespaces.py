# SPDX-License-Identifier: BSD-2-Clause
"""In a container: right pids, right names, and a word about what is outside."""

import os
import re
import subprocess

from conftest import EBPFPROF, Stacks, parse_sums, unshare, workload

OUTSIDE = re.compile(r"(\d+) of the filtered samples ran outside of this pid namespace")


def in_namespace(tool, script, *options):
    command = unshare("--pid", "--fork", "--mount-proc", *options)
    done = subprocess.run([*command, "sh", "-c", script], cwd=tool.folder, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=dict(os.environ, XDG_CACHE_HOME=tool.cache))
    assert done.returncode == 0, done.stderr
    return done


def read(tool, name):
    with open(os.path.join(tool.folder, name), encoding="utf-8") as file:
        return Stacks(file.read())


def test_a_container_sees_its_own_programs_by_its_own_numbers(tool, start):
    start(workload("recurse"), "30")
    done = in_namespace(tool, f"{workload('split')} 30 & sleep 0.5; "
                              f"{EBPFPROF} record -a -F 199 -d 2 -o all.folded; "
                              f"{EBPFPROF} record -p $! -F 199 -d 1 -o one.pb.gz; "
                              f"echo pid $!; kill $!")
    stacks = read(tool, "all.folded")
    assert stacks.share("work_sixty", "split") > 0.45, stacks
    assert "recurse" not in stacks.processes()
    outside = int(OUTSIDE.search(done.stderr).group(1))
    assert outside > 100, done.stderr
    pid = re.search(r"pid (\d+)", done.stdout).group(1)
    assert int(pid) < 10
    one = tool.folded("one.pb.gz")
    assert one.processes() == {"split"} and one.total() > 100
    raw = tool.run("folded", "one.pb.gz").stdout
    assert "[truncated" not in raw
    # Whom -p names is inside: nobody is told of the others.
    assert len(OUTSIDE.findall(done.stderr)) == 1, done.stderr


def test_children_of_a_command_are_followed_in_a_container(tool):
    done = in_namespace(tool, f"{EBPFPROF} record -F 999 -o c.folded -- "
                              f"{workload('unwind/shortlived')} 2")
    stacks = read(tool, "c.folded")
    assert parse_sums(done.stderr)["counted"] == stacks.total()
    assert stacks.having("short_work") > 50, stacks
    assert "does not run" not in done.stderr, done.stderr


def test_a_container_in_a_container_is_seen_by_the_outer_ones_numbers(tool):
    done = in_namespace(tool, f"unshare --pid --fork --mount-proc {workload('split')} 30 & "
                              f"sleep 0.5; {EBPFPROF} record -c split -F 199 -d 2 -o in.folded; "
                              "pkill -P $!; kill $!; true")
    stacks = read(tool, "in.folded")
    assert stacks.total("split") > 200, done.stderr
    assert stacks.share("work_sixty", "split") > 0.45, stacks


def test_a_proc_of_another_namespace_is_an_error(tool):
    command = unshare("--pid", "--fork")
    done = subprocess.run([*command, EBPFPROF, "record", "-d", "1"], cwd=tool.folder, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr.startswith("ebpfprof: /proc is of another pid namespace"), done.stderr
    assert done.stderr.count("\n") == 1
