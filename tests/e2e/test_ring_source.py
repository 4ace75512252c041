# SPDX-License-Identifier: BSD-2-Clause
"""Samples without BPF: from the rings of perf events, as root and as an ordinary user."""

import os
import shutil
import subprocess
import sys
import tempfile
import time

import pytest

import pprof
from conftest import (EBPFPROF, Stacks, Tool, need, parse_sums, unshare, wait_until,
                      workload)

NOBODY = 65534
BPF, PERF_EVENT_OPEN = ({"x86_64": (321, 298), "aarch64": (280, 241)}
                        .get(os.uname().machine, (None, None)))

# Refuses system call argv[1] with EPERM, as a container's filter does, then becomes argv[2:].
REFUSE_CALL = """
import ctypes, os, struct, sys
load, equal, ret = 0x20, 0x15, 0x06
errno, allow = 0x00050000 | 1, 0x7fff0000
code = b"".join(struct.pack("HBBI", *line) for line in (
    (load, 0, 0, 0), (equal, 0, 1, int(sys.argv[1])), (ret, 0, 0, errno), (ret, 0, 0, allow)))
text = ctypes.create_string_buffer(code)
class Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
program = Program(4, ctypes.cast(text, ctypes.c_void_p))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0, "PR_SET_NO_NEW_PRIVS"
assert libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0, "PR_SET_SECCOMP"
os.execv(sys.argv[2], sys.argv[2:])
"""


def paranoid():
    with open("/proc/sys/kernel/perf_event_paranoid", encoding="ascii") as level:
        return int(level.read())


def process_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Nobody(Tool):
    """ebpfprof and workloads in a folder that an ordinary user reaches, run as that user."""

    def __init__(self, folder):
        super().__init__(folder)
        self.prefix = [need("setpriv"), f"--reuid={NOBODY}", f"--regid={NOBODY}",
                       "--clear-groups", "--inh-caps=-all"]
        self.program = os.path.join(folder, "ebpfprof")

    def command(self, *args):
        return [*self.prefix, self.program, *map(str, args)]

    def run(self, *args, check=True, timeout=120, prefix=(), **kwargs):
        done = subprocess.run([*prefix, *self.command(*args)], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=timeout, cwd=self.folder,
                              errors="surrogateescape",
                              env=dict(os.environ, XDG_CACHE_HOME=self.cache), **kwargs)
        if check:
            assert done.returncode == 0, done.stderr
        return done

    def workload(self, name):
        """A copy, because the tree may lie where only root may go."""
        target = os.path.join(self.folder, name)
        if not os.path.exists(target):
            shutil.copy(workload(name), target)
        return target

    def start(self, start, name, *args):
        return start(*self.prefix, self.workload(name), *args)


@pytest.fixture
def nobody():
    if paranoid() > 2:
        pytest.skip("kernel.perf_event_paranoid keeps ordinary users from perf events")
    folder = tempfile.mkdtemp(prefix="ebpfprof-nobody-")
    os.makedirs(folder + ".cache", exist_ok=True)
    for path in (folder, folder + ".cache"):
        os.chown(path, NOBODY, NOBODY)
    shutil.copy(EBPFPROF, os.path.join(folder, "ebpfprof"))
    yield Nobody(folder)
    shutil.rmtree(folder)
    shutil.rmtree(folder + ".cache")


def refusing(call, *command):
    if call is None:
        pytest.skip("system call numbers of this machine are not known here")
    python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
    return [python, "-c", REFUSE_CALL, str(call), *command]


def is_kernel(name):
    return "syscall" in name or name.startswith(("sysvec_", "asm_", "exc_"))


# ---- an ordinary user ----


def test_an_ordinary_user_profiles_a_command(nobody):
    stacks = nobody.record("-F", "499", "--", nobody.workload("recurse"), "3", "30")
    spinning = {s: n for s, n in stacks.counts.items() if "spin_at_bottom" in s}
    assert sum(spinning.values()) > 0.97 * stacks.total("recurse") > 100, stacks
    for stack in spinning:
        at = stack.index("spin_at_bottom")
        assert stack[at - 30:at] == ("descend",) * 30, stack
        assert stack[at - 31] == "main", stack
    sums = parse_sums(nobody.last.stderr)
    assert sums["lost"] == sums["filtered"] == 0, nobody.last.stderr
    assert stacks.total() == sums["counted"]
    warning, *_ = nobody.last.stderr.splitlines()
    assert warning.startswith("ebpfprof: warning: sampling without BPF: "), warning
    assert "CAP_BPF" in warning and "frame pointers only" in warning
    assert "time in the kernel is not seen" in nobody.last.stderr or paranoid() < 2
    assert "frame pointers only" in nobody.last.stderr.split("unwinding")[1]


def test_an_ordinary_users_shares_are_right(nobody):
    stacks = nobody.record("-F", "499", "--", nobody.workload("split"), "6")
    assert stacks.share("work_sixty", "split") == pytest.approx(0.60, abs=0.02), stacks
    assert stacks.share("work_thirty", "split") == pytest.approx(0.30, abs=0.02), stacks
    assert stacks.share("work_ten", "split") == pytest.approx(0.10, abs=0.02), stacks


def test_threads_that_ran_before_are_met(nobody, start):
    process = nobody.start(start, "threads", "8")
    time.sleep(0.5)
    stacks = nobody.record("-F", "499", "-p", process.pid, "-d", "3")
    alpha, beta = stacks.having("alpha_work"), stacks.having("beta_work")
    assert alpha + beta > 100, stacks
    assert alpha / (alpha + beta) == pytest.approx(2 / 3, abs=0.05), stacks
    parse_sums(nobody.last.stderr)


def test_a_single_thread_is_met_alone(nobody, start):
    process = nobody.start(start, "threads", "8")

    def named(name):
        folder = f"/proc/{process.pid}/task"
        for tid in os.listdir(folder):
            with open(f"{folder}/{tid}/comm", encoding="ascii") as comm:
                if comm.read().strip() == name:
                    return tid
        return None

    tid = wait_until(lambda: named("beta"))
    stacks = nobody.record("-F", "499", "-t", tid, "-d", "2")
    assert stacks.having("beta_work") > 0.95 * stacks.total() > 50, stacks
    assert stacks.having("alpha_work") == 0, stacks


def test_without_targets_a_users_own_processes_are_met(nobody, start):
    nobody.start(start, "threads", "8")
    start(workload("split"), "8")
    time.sleep(0.5)
    stacks = nobody.record("-F", "499", "-d", "2")
    assert stacks.having("alpha_work") > 20, stacks
    assert stacks.having("work_sixty") == 0, stacks
    assert "others not" in nobody.last.stderr
    parse_sums(nobody.last.stderr)


def test_processes_of_a_name_are_met(nobody, start):
    nobody.start(start, "threads", "8")
    nobody.start(start, "recurse", "8", "5")
    time.sleep(0.5)
    stacks = nobody.record("-F", "499", "-c", "recurse", "-d", "2")
    assert stacks.processes() == {"recurse"}, stacks
    assert stacks.having("spin_at_bottom") > 20, stacks


def test_anothers_process_is_a_clear_error(nobody, start):
    process = start(workload("split"), "8")
    nobody.fails("record", "-d", "1", "-p", process.pid,
                 says=(str(process.pid), "another user's", "sudo"))


def test_what_needs_privileges_or_bpf_says_so(nobody):
    nobody.fails("record", "--source", "bpf", "-d", "1", says=("CAP_BPF", "setcap"))
    nobody.fails("record", "--unwind", "table", "-d", "1", says=("frame pointers only",))
    nobody.fails("record", "--source", "proc", "-d", "1", status=2, says=("auto, bpf, ring",))


def test_a_cgroup_needs_privileges(nobody):
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        paths = [m.split()[1] for m in mounts if m.split()[2] == "cgroup2"]
    if not paths:
        pytest.skip("no cgroup v2 is mounted")
    nobody.fails("record", "--cgroup", paths[0], "-d", "1", says=("--cgroup", "CAP_PERFMON"))


def test_a_fork_tree_is_met(nobody):
    stacks = nobody.record("-F", "999", "--", nobody.workload("forktree"), "10", "200")
    # Each child's last part of a period, on each CPU that it was on, meets no sample.
    work = stacks.having("child_work") + stacks.having("grandchild_work")
    assert work > 0.7 * 2200, (work, stacks)
    sums = parse_sums(nobody.last.stderr)
    assert sums["lost"] == 0 and sums["due"] > 0.93 * 2200, nobody.last.stderr


def test_no_follow_leaves_children_out(nobody):
    stacks = nobody.record("-F", "999", "--no-follow", "--", nobody.workload("forktree"), "5",
                           "50")
    assert stacks.having("child_work") == 0, stacks
    assert parse_sums(nobody.last.stderr)["filtered"] > 50


def test_short_programs_have_their_own_names(nobody):
    """A shell that forks and execs quickly: no sample of one program under another's name."""
    burn = nobody.workload("burn1ms")
    stacks = nobody.record("-F", "1999", "--", "sh", "-c",
                           f"for i in $(seq 300); do {burn}; done")
    assert stacks.having("burn_one_ms", "burn1ms") > 150, stacks
    assert stacks.having("burn_one_ms") == stacks.having("burn_one_ms", "burn1ms"), stacks
    parse_sums(nobody.last.stderr)


def test_time_that_met_no_sample_is_told(nobody):
    """Programs of 1 ms at a period of 10 ms: each event begins its period anew."""
    burn = nobody.workload("burn1ms")
    done = nobody.run("record", "-F", "99", "-o", "o.pb.gz", "--", "sh", "-c",
                      f"for i in $(seq 200); do {burn}; done")
    sums = parse_sums(done.stderr)
    assert sums["due"] > 20 and sums["not_fired"] > 0.8 * sums["due"], done.stderr
    assert "shorter than a sampling period are missed" in done.stderr


def test_two_programs_of_one_process_are_told_apart(nobody):
    stacks = nobody.record("-F", "499", "--", nobody.workload("exec_nonleader"), "1",
                           nobody.workload("split"), "2")
    assert stacks.share("before_exec", "exec_nonleader") > 0.9, stacks
    assert stacks.share("work_sixty", "split") > 0.5, stacks
    assert stacks.having("before_exec", "split") == 0, stacks


def test_what_no_call_led_to_is_no_caller(nobody):
    stacks = nobody.record("-F", "199", "--user", "--", nobody.workload("fakeframe"), "2")
    spinning = {s: n for s, n in stacks.counts.items() if s[-1] == "fake_spin"}
    assert sum(spinning.values()) > 0.8 * stacks.total("fakeframe"), stacks
    assert stacks.having("never_called") + stacks.having("never_called_inside") == 0, stacks
    assert stacks.having("[no frame pointer: fakeframe]") > 0.8 * stacks.total(), stacks


def test_a_chain_at_the_kernels_limit_is_truncated(nobody):
    with open("/proc/sys/kernel/perf_event_max_stack", encoding="ascii") as level:
        limit = min(int(level.read()), 512)
    stacks = nobody.record("-F", "199", "--", nobody.workload("recurse"), "2", "1000")
    deep = {s: n for s, n in stacks.counts.items() if "spin_at_bottom" in s}
    assert deep, stacks
    for stack in deep:
        assert stack[1] == "[truncated: depth]", stack
        assert limit - 8 <= stack.count("descend") <= limit, stack


def test_little_lockable_memory_makes_smaller_rings(nobody):
    done = nobody.run("record", "-F", "1999", "-o", "o.pb.gz", "--", nobody.workload("recurse"),
                      "1", "5", prefix=["bash", "-c", 'ulimit -l 0; exec "$@"', "-"])
    assert parse_sums(done.stderr)["counted"] > 100, done.stderr


def test_too_few_files_are_a_clear_error(nobody):
    done = nobody.run("record", "-o", "o.pb.gz", "--", nobody.workload("recurse"), "1", "5",
                      prefix=["bash", "-c", 'ulimit -n 12; exec "$@"', "-"], check=False)
    assert done.returncode == 1, done.stderr
    assert "ulimit -n" in done.stderr, done.stderr


def test_root_without_capabilities_is_an_ordinary_user(nobody):
    nobody.prefix = [need("setpriv"), "--inh-caps=-all", "--bounding-set=-all"]
    os.chown(nobody.folder, 0, 0)
    os.chown(nobody.cache, 0, 0)
    stacks = nobody.record("-F", "499", "--", nobody.workload("recurse"), "2", "10")
    assert stacks.share("spin_at_bottom", "recurse") > 0.95, stacks
    assert "own processes only" in nobody.last.stderr


def test_a_capability_for_perf_events_alone_shows_the_whole_machine(nobody, start):
    start(workload("split"), "8")
    nobody.prefix = [need("setpriv"), f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
                     "--inh-caps=+perfmon", "--ambient-caps=+perfmon"]
    time.sleep(0.3)
    stacks = nobody.record("-F", "199", "-d", "2")
    assert "split" in stacks.processes(), stacks
    assert "CAP_BPF missing" in nobody.last.stderr
    assert "own processes only" not in nobody.last.stderr
    parse_sums(nobody.last.stderr)


def test_refused_perf_events_are_a_clear_error(nobody):
    done = nobody.run("record", "-d", "1", prefix=refusing(PERF_EVENT_OPEN), check=False)
    assert done.returncode == 1, done.stderr
    assert "seccomp" in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr


# ---- root ----


def test_the_whole_machine_agrees_with_bpf(tool, start):
    """The same load, half a second apart: shares within four standard deviations."""
    start(workload("split"), "30")
    time.sleep(0.3)
    shares = {}
    for source in ("bpf", "ring"):
        stacks = tool.record("--source", source, "-a", "-F", "499", "-d", "6")
        parse_sums(tool.last.stderr)
        total = stacks.total("split")
        assert total > 500, stacks
        shares[source] = (total, [stacks.share(name, "split")
                                  for name in ("work_sixty", "work_thirty", "work_ten")])
    for one, other in zip(shares["bpf"][1], shares["ring"][1]):
        deviation = sum(p * (1 - p) / n for p, n in ((one, shares["bpf"][0]),
                                                     (other, shares["ring"][0]))) ** 0.5
        assert abs(one - other) < 4 * deviation + 0.01, shares


def test_root_sees_the_kernel(tool):
    done = tool.run("record", "--source", "ring", "-F", "499", "-o", "k.pb.gz", "--", "dd",
                    "if=/dev/zero", "of=/dev/null", "bs=1M", "count=60000", "status=none")
    stacks = tool.folded("k.pb.gz")
    inside = sum(n for s, n in stacks.counts.items() if any(is_kernel(f) for f in s))
    assert inside > 0.8 * stacks.total("dd") > 50, stacks
    assert "not seen" not in done.stderr
    user = tool.record("--source", "ring", "--user", "-F", "499", "--", "dd", "if=/dev/zero",
                       "of=/dev/null", "bs=1M", "count=20000", "status=none")
    assert not any(is_kernel(f) for s in user.counts for f in s), user


def test_an_ordinary_user_does_not_see_the_kernel(nobody):
    if paranoid() < 2:
        pytest.skip("kernel.perf_event_paranoid shows ordinary users the kernel")
    stacks = nobody.record("-F", "499", "--", "dd", "if=/dev/zero", "of=/dev/null", "bs=1M",
                           "count=60000", "status=none")
    assert not any(is_kernel(f) for s in stacks.counts for f in s), stacks
    sums = parse_sums(nobody.last.stderr)
    assert sums["not_fired"] > 0.8 * sums["due"] > 50, nobody.last.stderr
    assert "time in the kernel is not seen" in nobody.last.stderr


def test_the_idle_task_is_counted_when_asked_for(tool):
    done = tool.run("record", "--source", "ring", "-a", "--idle", "-d", "2", "-o", "i.pb.gz")
    sums = parse_sums(done.stderr)
    assert sums["idle"] == sums["filtered"] == 0 and sums["counted"] > 0


def test_targets_narrow_the_whole_machine(tool, start):
    process = start(workload("threads"), "10")
    start(workload("split"), "10")
    time.sleep(0.3)
    stacks = tool.record("--source", "ring", "-F", "499", "-p", process.pid, "-d", "2")
    assert stacks.processes() == {"threads"}, stacks
    sums = parse_sums(tool.last.stderr)
    assert sums["filtered"] > 50 and sums["counted"] == stacks.total()
    stacks = tool.record("--source", "ring", "-F", "499", "-c", "split", "-d", "2")
    assert stacks.processes() == {"split"}, stacks


def test_children_of_targets_are_met(tool):
    stacks = tool.record("--source", "ring", "-F", "999", "--", workload("forktree"), "10", "200")
    work = stacks.having("child_work") + stacks.having("grandchild_work")
    assert work > 0.93 * 2200, (work, stacks)


def test_a_lowered_rate_keeps_the_sums(tool, start):
    """--max-overhead: an epoch has one period, and its samples the weight of that."""
    process = start(workload("split"), "30")
    before = process_seconds(process.pid)
    done = tool.run("record", "--source", "ring", "-p", process.pid, "-F", "4999", "-d", "6",
                    "--flush", "1", "--max-overhead", "0.2", "-o", "x.pb.gz")
    spent = process_seconds(process.pid) - before
    sums = parse_sums(done.stderr)
    assert "rate lowered to" in done.stderr, done.stderr
    values = pprof.Profile(os.path.join(tool.folder, "x.pb.gz")).values
    assert sum(v[0] for v in values) == sums["counted"]
    assert len({v[1] // v[0] for v in values}) > 1
    assert sum(v[1] for v in values) / 1e9 == pytest.approx(spent, rel=0.2), done.stderr


def test_another_pid_namespaces_tasks_are_filtered(tool, start):
    start(workload("split"), "20")
    done = subprocess.run([*unshare("--pid", "--fork", "--mount-proc"), EBPFPROF, "record",
                           "--source", "ring", "-F", "199", "-d", "2", "-o", "n.pb.gz"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          cwd=tool.folder)
    assert done.returncode == 0, done.stderr
    assert parse_sums(done.stderr)["filtered"] > 50, done.stderr
    assert "outside of this pid namespace" in done.stderr
    assert "split" not in tool.folded("n.pb.gz").processes()


def test_a_cgroups_tasks_are_met(tool, start):
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        paths = [m.split()[1] for m in mounts if m.split()[2] == "cgroup2"]
    if not paths:
        pytest.skip("no cgroup v2 is mounted")
    path = os.path.join(paths[0], f"ebpfprof-ring-{os.getpid()}")
    inner = os.path.join(path, "inner")
    try:
        os.makedirs(inner)
    except OSError as error:
        pytest.skip(f"no cgroup can be made: {error}")
    try:
        process = start(workload("threads"), "10")
        start(workload("split"), "10")
        with open(os.path.join(inner, "cgroup.procs"), "w", encoding="ascii") as procs:
            procs.write(str(process.pid))
        # Named twice, once through its parent: each sample counts once.
        stacks = tool.record("--source", "ring", "-F", "499", "-d", "2", "--cgroup", path,
                             "--cgroup", inner)
        assert stacks.processes() == {"threads"}, stacks
        sums = parse_sums(tool.last.stderr)
        assert sums["counted"] <= 2 * 499 * os.cpu_count(), tool.last.stderr
        process.kill()
        process.wait()
    finally:
        wait_until(lambda: not open(os.path.join(inner, "cgroup.procs"),
                                    encoding="ascii").read())
        os.rmdir(inner)
        os.rmdir(path)


def test_where_bpf_is_refused_the_ring_takes_over(tool):
    done = subprocess.run(refusing(BPF, EBPFPROF, "record", "-F", "499", "-o", "s.pb.gz", "--",
                                   workload("recurse"), "2", "10"),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          cwd=tool.folder, env=dict(os.environ, XDG_CACHE_HOME=tool.cache))
    assert done.returncode == 0, done.stderr
    parse_sums(done.stderr)
    assert done.stderr.startswith("ebpfprof: warning: sampling without BPF: cannot load")
    notes = [line for line in done.stderr.splitlines() if "NOTE" in line]
    assert sum("sampling without BPF: cannot load" in note for note in notes) == 1, done.stderr
    stacks = tool.folded("s.pb.gz")
    assert stacks.share("spin_at_bottom", "recurse") > 0.9, stacks


def test_a_source_that_was_asked_for_warns_nobody(tool):
    done = tool.run("folded", "--source", "ring", "-d", "1", "--",
                    sys.executable, "-c", "import time\nwhile time.process_time() < 0.8: pass")
    assert "warning" not in done.stderr, done.stderr
    assert Stacks(done.stdout).total() > 0
