# SPDX-License-Identifier: BSD-2-Clause
"""Which tasks are profiled, when a window ends, what is passed on."""

import os
import resource
import signal
import subprocess
import time

import pytest

from conftest import EBPFPROF, parse_sums, wait_until, workload


def test_pid_selects_one_process(tool, start):
    wanted, other = start(workload("split"), "8"), start(workload("recurse"), "8")
    stacks = tool.record("-p", wanted.pid, "-d", "2", "-F", "199")
    assert other.poll() is None
    assert stacks.processes() == {"split"}, stacks
    sums = parse_sums(tool.last.stderr)
    assert sums["filtered"] > 0


def test_several_pids_are_ored(tool, start):
    one, two = start(workload("split"), "8"), start(workload("recurse"), "8")
    stacks = tool.record("-p", f"{one.pid},{two.pid}", "-d", "2", "-F", "199")
    assert stacks.processes() == {"split", "recurse"}, stacks


def test_different_options_are_anded(tool, start):
    one, two = start(workload("split"), "8"), start(workload("recurse"), "8")
    stacks = tool.record("-p", f"{one.pid},{two.pid}", "-c", "recurse", "-d", "1", "-F", "199")
    assert stacks.processes() == {"recurse"}, stacks


def test_comm_selects_by_process_name(tool, start):
    start(workload("split"), "8"), start(workload("recurse"), "8")
    stacks = tool.record("-c", "recurse", "-d", "1", "-F", "199")
    assert stacks.processes() == {"recurse"}, stacks


def test_tid_selects_one_thread(tool, start):
    program = start(workload("threads"), "8")

    def beta():
        for tid in os.listdir(f"/proc/{program.pid}/task"):
            with open(f"/proc/{program.pid}/task/{tid}/comm") as comm:
                if comm.read().strip() == "beta":
                    return tid
        return None

    stacks = tool.record("-t", wait_until(beta), "-d", "2", "-F", "199")
    assert stacks.having("beta_work") > 0.9 * stacks.total(), stacks
    assert stacks.having("alpha_work") == 0, stacks


def cgroup2_mount():
    with open("/proc/self/mounts") as mounts:
        for line in mounts:
            fields = line.split()
            if fields[2] == "cgroup2":
                return fields[1]
    pytest.skip("no cgroup v2 is mounted")


def test_cgroup_selects_a_subtree(tool, start):
    group = os.path.join(cgroup2_mount(), f"ebpfprof-test-{os.getpid()}")
    child = os.path.join(group, "below")
    workload("split"), workload("recurse")  # or a skip, before there is a group
    try:
        os.makedirs(child)
    except OSError as error:
        pytest.skip(f"cannot make a cgroup: {error}")
    inside, _ = start(workload("split"), "8"), start(workload("recurse"), "8")
    try:
        with open(os.path.join(child, "cgroup.procs"), "w") as procs:
            procs.write(str(inside.pid))
        stacks = tool.record("--cgroup", group, "-d", "2", "-F", "199")
        assert stacks.processes() == {"split"}, stacks
        relative = tool.record("--cgroup", os.path.basename(group), "-d", "1", "-F", "199")
        assert relative.processes() == {"split"}, relative
    finally:
        inside.kill()
        inside.wait()
        wait_until(lambda: not open(os.path.join(child, "cgroup.procs")).read())
        os.rmdir(child)
        os.rmdir(group)


def test_window_ends_when_the_target_ends(tool, start):
    program = start(workload("split"), "2")
    begun = time.monotonic()
    tool.record("-p", program.pid, "-d", "30")
    assert time.monotonic() - begun < 6


def test_command_needs_no_dashes_and_its_status_is_passed_on(tool):
    done = tool.run("record", "-o", "x.pb.gz", "sh", "-c", "exit 7", check=False)
    assert done.returncode == 7, done.stderr
    done = tool.run("record", "-o", "x.pb.gz", "sh", "-c", "kill -9 $$", check=False)
    assert done.returncode == 128 + 9, done.stderr


def test_command_output_goes_to_stderr_when_stdout_carries_data(tool):
    done = tool.run("record", "-q", "-o", "-", "--format", "folded", "--", "sh", "-c",
                    "echo hello; i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done")
    assert "hello" not in done.stdout
    assert "hello" in done.stderr
    assert "sh;" in done.stdout


def test_duration_ends_before_the_command(tool, start):
    begun = time.monotonic()
    recorder = start(EBPFPROF, "record", "-d", "1", "-o", "x.pb.gz", "--", workload("split"), "6",
                     cwd=tool.folder, stderr=subprocess.DEVNULL)
    assert recorder.wait() == 0
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_window_and_writes(tool, start, number):
    recorder = start(EBPFPROF, "record", "-a", "-o", "s.pb.gz", cwd=tool.folder,
                     stderr=subprocess.PIPE)
    time.sleep(1.5)
    recorder.send_signal(number)
    _, stderr = recorder.communicate(timeout=20)
    assert recorder.returncode == 0, stderr
    assert tool.folded("s.pb.gz").total() >= 0
    parse_sums(stderr.decode())


def test_sigterm_is_passed_to_the_command(tool, start):
    recorder = start(EBPFPROF, "record", "-o", "s.pb.gz", "--", "sleep", "37.25",
                     cwd=tool.folder, stderr=subprocess.DEVNULL)
    time.sleep(1)
    recorder.send_signal(signal.SIGTERM)
    assert recorder.wait(timeout=20) == 128 + signal.SIGTERM
    assert os.path.exists(os.path.join(tool.folder, "s.pb.gz"))
    left = subprocess.run(["pgrep", "-f", "^sleep 37.25"], stdout=subprocess.PIPE)
    assert not left.stdout


def test_user_and_kernel_keep_the_totals(tool, start):
    program = start("dd", "if=/dev/zero", "of=/dev/null", "bs=1", stderr=subprocess.DEVNULL)
    for option, gone in (("--user", "[user]"), ("--kernel", "[kernel]")):
        stacks = tool.record("-p", program.pid, "-d", "1", "-F", "199", option)
        assert stacks.total() > 0, stacks
        assert stacks.having(gone) == 0, stacks
        assert parse_sums(tool.last.stderr)["counted"] == stacks.total()
    kernel = tool.record("-p", program.pid, "-d", "1", "-F", "199", "--kernel")
    assert kernel.having("[user]") > 0, kernel
    assert kernel.having("main") == 0


def test_idle_adds_the_idle_task(tool):
    without = tool.record("-a", "-d", "1")
    assert not any(p.startswith("swapper") for p in without.processes())
    with_idle = tool.record("-a", "-d", "2", "--idle")
    # On a machine whose CPUs are all busy there may be none, but none is dropped either.
    assert parse_sums(tool.last.stderr)["idle"] == 0
    idle = parse_sums(tool.run("record", "-a", "-d", "2", "-o", "i.pb.gz").stderr)["idle"]
    assert idle < 20 or any(p.startswith("swapper") for p in with_idle.processes()), with_idle


def test_weird_names_stay_one_field(tool):
    name = b"a b;c\n\xff\xfe".decode(errors="surrogateescape")
    stacks = tool.record("--", workload("weirdname"), name, "1")
    mine = [s for s in stacks.counts if "weird_work" in s]
    assert mine, stacks
    assert all(";" not in s[0] and "\n" not in s[0] for s in mine)
    assert any(s[0].startswith("a b:c") for s in mine), mine


def test_command_keeps_its_own_limits(tool):
    """We raise RLIMIT_MEMLOCK for the maps of kernels before 5.11; the command does not get that."""
    done = tool.run("record", "-q", "-o", "-", "--format", "folded", "--", "bash", "-c",
                    "ulimit -Sl >&2", preexec_fn=lambda: resource.setrlimit(
                        resource.RLIMIT_MEMLOCK, (65536, resource.getrlimit(
                            resource.RLIMIT_MEMLOCK)[1])))
    assert done.stderr.split() == ["64"], done.stderr


def test_empty_combinations_are_explained(tool, start):
    program = start(workload("split"), "6")
    done = tool.run("record", "-p", program.pid, "-c", "other", "-d", "1", "-o", "x.pb.gz")
    assert "AND-ed" in done.stderr
    done = tool.run("record", "-c", "no-such-name", "-d", "0.5", "-o", "x.pb.gz")
    assert "no process of this name" in done.stderr


def test_no_follow_profiles_the_process_itself(tool, start):
    program = start(workload("split"), "6")
    stacks = tool.record("-p", program.pid, "--no-follow", "-d", "1", "-F", "199")
    assert stacks.processes() == {"split"}, stacks
