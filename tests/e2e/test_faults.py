# SPDX-License-Identifier: BSD-2-Clause
"""What goes wrong around us: SIGKILL, limits, a second profiler, /proc and file systems that hide."""

import os
import random
import re
import shutil
import signal
import subprocess
import time

import pytest
from conftest import EBPFPROF, ROOT, Stacks, need, parse_sums, unshare, wait_until, workload


def bpftool():
    found = subprocess.run([os.path.join(ROOT, "scripts/find-tool"), "bpftool"], text=True,
                           stdout=subprocess.PIPE).stdout.strip()
    if not found:
        pytest.skip("no bpftool on this machine")
    return found


def kernel_objects():
    """Ids of our programs and maps in the kernel, by their names."""
    tool = bpftool()
    ours = {"sample_cpu", "follow_fork", "follow_free", "images_fork", "images_exec", "images_free",
            "images_seed", "counts_0", "counts_1", "bodies", "unwind_blocks", "stack_rooms"}
    found = set()
    for kind in ("prog", "map"):
        listing = subprocess.run([tool, kind, "list"], text=True, stdout=subprocess.PIPE).stdout
        for number, name in re.findall(r"^(\d+): \S+\s+name (\S+)", listing, re.M):
            if name in ours:
                found.add((kind, number))
    return found


def test_sigkill_at_any_moment_leaves_nothing(tool, start):
    """No program, no map, no file; whenever it comes."""
    before = kernel_objects()
    chance = random.Random(6)
    program = start(workload("split"), "60")
    delays = [0, 0.005, 0.02, 0.05, 0.1, 0.15, 0.25] + [chance.uniform(0, 1.2) for _ in range(8)]
    for delay in delays:
        profiler = start(EBPFPROF, "record", "--every", "1", "-F", "499", "-p", program.pid, "-o",
                         "kill-%T.pb.gz", cwd=tool.folder, stderr=subprocess.DEVNULL,
                         env=dict(os.environ, XDG_CACHE_HOME=tool.cache))
        time.sleep(delay)
        profiler.send_signal(signal.SIGKILL)
        profiler.wait()
    # The kernel takes maps and programs apart after a grace period.
    wait_until(lambda: kernel_objects() <= before)
    left = [name for name in os.listdir(tool.folder)
            if not re.fullmatch(r"kill-\d+T\d+Z\.pb\.gz", name)]
    assert not left, left
    for name in os.listdir(tool.folder):
        tool.run("folded", name)  # complete, or it would not be there
    assert not [name for name in os.listdir("/sys/fs/bpf") if "ebpfprof" in name]


def test_two_profilers_at_one_time_both_work(tool, start):
    program = start(workload("split"), "60")
    runs = [subprocess.Popen([EBPFPROF, "record", "-F", freq, "-d", "3", "-p", str(program.pid), "-o",
                              f"{freq}.folded"], cwd=tool.folder, stderr=subprocess.PIPE, text=True)
            for freq in ("199", "499")]
    seconds = []
    for run, freq in zip(runs, (199, 499)):
        err = run.communicate()[1]
        assert run.returncode == 0, err
        parse_sums(err)
        with open(os.path.join(tool.folder, f"{freq}.folded"), encoding="utf-8") as file:
            stacks = Stacks(file.read())
        assert abs(stacks.share("work_sixty", "split") - 0.6) < 0.12, stacks
        seconds.append(stacks.total("split") / freq)
    # Both watched the same program at the same time.
    assert seconds[0] > 0.3 and abs(seconds[0] - seconds[1]) < 0.25 * max(seconds), seconds


@pytest.mark.parametrize("limit", [3, 5, 8, 12, 16, 24])
def test_too_few_descriptors_is_an_error_that_says_so(tool, limit):
    done = subprocess.run([need("prlimit"), f"--nofile={limit}:{limit}", EBPFPROF, "record", "-d",
                           "1", "-o", "x.folded"], cwd=tool.folder, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode == 127:
        pytest.skip("the program itself cannot be started with so few")
    lines = done.stderr.strip().splitlines()
    if done.returncode == 0:
        parse_sums(done.stderr)
        return
    assert done.returncode == 1, done.stderr
    assert lines[-1].startswith("ebpfprof: "), done.stderr
    assert "Too many open files" in lines[-1] and "ulimit -n" in lines[-1], done.stderr
    assert not os.listdir(tool.folder)


def as_user(tool, capabilities):
    """The command of an ordinary user with a copy of the program that has these capabilities."""
    setcap, setpriv = need("setcap"), need("setpriv")
    folder = "/var/tmp/ebpfprof-test-" + os.path.basename(tool.folder)
    os.makedirs(folder, exist_ok=True)
    os.chmod(folder, 0o777)
    copy = os.path.join(folder, "ebpfprof")
    shutil.copy(EBPFPROF, copy)
    os.chmod(copy, 0o755)
    if subprocess.run([setcap, capabilities, copy], stderr=subprocess.DEVNULL).returncode:
        shutil.rmtree(folder)
        pytest.skip("no file capabilities here")
    return folder, [setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", copy]


ALL = "cap_bpf,cap_perfmon,cap_sys_ptrace,cap_dac_read_search,cap_syslog,cap_checkpoint_restore"


def test_hidepid_hides_names_and_nothing_else(tool, start):
    """Without CAP_SYS_PTRACE other users' processes are not in /proc: their stacks have no names."""
    start(workload("split"), "60")
    folder, command = as_user(tool, ALL.replace("cap_sys_ptrace,", "") + "=ep")
    try:
        script = "mount -t proc -o hidepid=2 proc /proc && exec " + " ".join(
            [*command, "record", "-a", "-F", "199", "-d", "2", "-o", "out.folded"])
        done = subprocess.run([*unshare("--mount"), "sh", "-c", script], cwd=folder, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert done.returncode == 0, done.stderr
        sums = parse_sums(done.stderr)
        assert sums["lost"] == 0
        with open(os.path.join(folder, "out.folded"), encoding="utf-8") as file:
            stacks = Stacks(file.read())
        assert stacks.total() == sums["counted"]
        assert stacks.total("split") > 200, stacks  # by its name in the kernel
        assert not stacks.having("work_sixty"), stacks
    finally:
        shutil.rmtree(folder)


def test_neither_bpffs_nor_tracefs_is_needed(tool):
    """In a mount namespace without them, whatever the host has mounted."""
    script = ("umount -l /sys/fs/bpf 2>/dev/null; umount -l /sys/kernel/tracing 2>/dev/null; "
              "umount -l /sys/kernel/debug 2>/dev/null; grep -E ' (bpf|tracefs|debugfs) ' "
              "/proc/self/mounts && exit 77; "
              f"exec {EBPFPROF} record -F 499 -o x.folded -- {workload('split')} 1")
    done = subprocess.run([*unshare("--mount"), "sh", "-c", script], cwd=tool.folder, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode == 77:
        pytest.skip(f"they cannot be unmounted here: {done.stdout}")
    assert done.returncode == 0, done.stderr
    assert "does not run" not in done.stderr
    assert parse_sums(done.stderr)["counted"] > 300


def test_a_full_disk_is_an_error_that_leaves_nothing(tool):
    script = ("mkdir small && mount -t tmpfs -o size=64k none small && "
              "head -c 63k /dev/zero > small/filler; "
              f"{EBPFPROF} record -F 4999 -o small/x.pb.gz -q -- sh -c '{workload('split')} 1 "
              ">/dev/null'; "
              "echo status $?; ls small")
    done = subprocess.run([*unshare("--mount"), "sh", "-c", script], cwd=tool.folder, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert "status 1" in done.stdout, done
    assert done.stdout.split()[2:] == ["filler"], done.stdout
    assert "No space left on device" in done.stderr, done.stderr
