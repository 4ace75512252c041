# SPDX-License-Identifier: BSD-2-Clause
"""Profiles of programs whose answer is known."""

import os
import signal
import subprocess
import time

import pytest

from conftest import EBPFPROF, parse_sums, unshare, workload


def test_cpu_split_is_reported_within_two_points(tool):
    stacks = tool.record("-F", "499", "--", workload("split"), "6")
    assert stacks.share("work_sixty", "split") == pytest.approx(0.60, abs=0.02), stacks
    assert stacks.share("work_thirty", "split") == pytest.approx(0.30, abs=0.02), stacks
    assert stacks.share("work_ten", "split") == pytest.approx(0.10, abs=0.02), stacks


def test_recursion_stacks_are_exact(tool):
    stacks = tool.record("-F", "499", "--user", "--", workload("recurse"), "3", "30")
    spinning = {s: n for s, n in stacks.counts.items() if "spin_at_bottom" in s}
    assert sum(spinning.values()) > 0.97 * stacks.total("recurse"), stacks
    for stack in spinning:
        at = stack.index("spin_at_bottom")
        assert stack[at - 30:at] == ("descend",) * 30, stack
        assert stack[at - 31] == "main", stack


@pytest.mark.parametrize("how", ["auto", "fp"])
def test_too_deep_recursion_is_marked_truncated(tool, how):
    stacks = tool.record("--user", "--unwind", how, "--", workload("recurse"), "2", "1000")
    deep = {s: n for s, n in stacks.counts.items() if "spin_at_bottom" in s}
    assert deep, stacks
    for stack in deep:
        assert stack[1] == "[truncated: depth]", stack
        assert 505 <= stack.count("descend") <= 512, stack
    assert "[truncated: depth]" in tool.last.stderr


def test_whole_frame_pointer_stacks_count_as_complete(tool):
    tool.record("-F", "199", "--", workload("recurse"), "2", "30")
    share = float(tool.last.stderr.split("user ")[1].split("%")[0])
    assert share > 97, tool.last.stderr


def test_threads_have_names_and_shares(tool):
    tool.run("record", "-F", "499", "-o", "t.pb.gz", "--", workload("threads"), "4")
    raw = tool.folded("t.pb.gz")
    alpha, beta = raw.having("alpha_work"), raw.having("beta_work")
    assert alpha / (alpha + beta) == pytest.approx(2 / 3, abs=0.04), raw


def test_fork_tree_misses_no_child(tool):
    stacks = tool.record("-F", "999", "--", workload("forktree"), "10", "200")
    # Each child spends 10 ms of CPU time: 220 x 10 ms at 999 Hz are 2,200 samples if none is missed.
    work = stacks.having("child_work") + stacks.having("grandchild_work")
    assert work > 0.93 * 2200, (work, stacks)
    sums = parse_sums(tool.last.stderr)
    assert sums["lost"] == 0


def test_no_follow_leaves_children_out(tool):
    stacks = tool.record("-F", "999", "--no-follow", "--", workload("forktree"), "5", "50")
    assert stacks.having("child_work") == 0, stacks


def test_dlopened_code_is_named(tool):
    stacks = tool.record("-F", "199", "--", workload("dlopen_main"), "2")
    assert stacks.share("plugin_work", "dlopen_main") > 0.5, stacks


def test_library_swapped_at_the_same_address_is_told_apart(tool):
    stacks = tool.record("-F", "199", "--", workload("dlopen_main"), "2", "swap")
    first, second = stacks.having("plugin_work"), stacks.having("plugin_b_work")
    assert first and second, stacks
    assert first / (first + second) == pytest.approx(0.5, abs=0.06), stacks


def test_cxx_names_are_demangled(tool):
    stacks = tool.record("--", workload("cxx"), "2")
    names = {f for s in stacks.counts for f in s if "shop::Cart<int>::total" in f}
    assert names, stacks
    plain = tool.record("--no-demangle", "--", workload("cxx"), "1")
    assert any(f.startswith("_ZN") and "total" in f for s in plain.counts for f in s), plain


@pytest.mark.parametrize("program", ["rustwork", "rustwork_v0"])
def test_rust_names_are_demangled(tool, program):
    stacks = tool.record("--", workload(program), "2")
    assert stacks.share("rustwork::burn::spin_rust", program) > 0.9, stacks


def test_leader_that_exited_leaves_named_threads(tool):
    stacks = tool.record("-F", "199", "--", workload("leaderexit"), "2")
    assert stacks.having("after_leader") > 0.8 * stacks.total(), stacks


def test_exec_by_a_thread_that_is_not_the_leader(tool):
    stacks = tool.record("-F", "199", "--", workload("exec_nonleader"), "1",
                         workload("split"), "2")
    assert stacks.share("before_exec", "exec_nonleader") > 0.9, stacks
    assert stacks.share("work_sixty", "split") > 0.5, stacks


@pytest.mark.parametrize("mode", [(), ("replace",)])
def test_deleted_and_replaced_executables_are_named(tool, mode):
    stacks = tool.record("-F", "199", "--", workload("deleted"), "2", *mode)
    assert stacks.having("deleted_work") > 0.8 * stacks.total() > 50, stacks


def test_pid_reuse_is_not_confused(tool, start):
    """Two programs under one pid in one window: each sample keeps its own program's names."""
    if not os.path.exists("/proc/sys/kernel/ns_last_pid"):
        pytest.skip("no ns_last_pid: pids cannot be chosen")
    script = """
import os, subprocess, sys
for program in sys.argv[1:]:
    with open("/proc/sys/kernel/ns_last_pid", "w") as last:
        last.write("20000")
    subprocess.run([program, "1"])
"""
    namespaces = unshare("--pid", "--fork", "--mount-proc")
    recorder = start(EBPFPROF, "record", "-a", "-F", "199", "-d", "4", "-o", "o.pb.gz",
                     cwd=tool.folder, stderr=subprocess.DEVNULL)
    time.sleep(0.7)
    subprocess.run([*namespaces, "python3", "-c", script, workload("split"),
                    workload("threads")], check=True, stdout=subprocess.DEVNULL)
    assert recorder.wait() == 0
    stacks = tool.folded("o.pb.gz")
    assert stacks.having("work_sixty", "split") > 20, stacks
    assert stacks.having("alpha_work", "threads") > 20, stacks
    assert stacks.having("work_sixty", "threads") == 0
    assert stacks.having("alpha_work", "split") == 0


def test_burst_of_short_programs_is_named(tool, start):
    """Processes that live a few milliseconds, with the whole machine profiled."""
    recorder = start(EBPFPROF, "record", "-a", "-F", "999", "-o", "o.pb.gz", cwd=tool.folder,
                     stderr=subprocess.DEVNULL)
    time.sleep(0.7)
    subprocess.run(["sh", "-c", f"for i in $(seq 400); do {workload('burn1ms')}; done"],
                   check=True)
    recorder.send_signal(signal.SIGTERM)
    assert recorder.wait() == 0
    stacks = tool.folded("o.pb.gz")
    assert stacks.having("burn_one_ms", "burn1ms") > 250, stacks
    # burn_one_ms is where their user time goes.
    user = sum(n for s, n in stacks.counts.items() if s[0] == "burn1ms" and "main" in s)
    assert stacks.having("burn_one_ms", "burn1ms") > 0.9 * user, stacks


@pytest.mark.parametrize("how,note", [("auto", "[corrupt unwind info: fakeframe]"),
                                      ("fp", "[no frame pointer: fakeframe]")])
def test_what_no_call_led_to_is_no_caller(tool, how, note):
    """A frame pointer that points at data: the walk ends and says so, and invents no caller."""
    stacks = tool.record("-F", "199", "--user", "--unwind", how, "--", workload("fakeframe"), "2")
    spinning = {s: n for s, n in stacks.counts.items() if s[-1] == "fake_spin"}
    assert sum(spinning.values()) > 0.8 * stacks.total("fakeframe"), stacks
    assert stacks.having("never_called") + stacks.having("never_called_inside") == 0, stacks
    assert stacks.having(note) > 0.8 * stacks.total("fakeframe"), stacks
