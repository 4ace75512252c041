# SPDX-License-Identifier: BSD-2-Clause
"""Code made at run time, named by perf-maps."""

import os
import shutil
import subprocess
import tempfile
import time

import pytest

from conftest import EBPFPROF, ROOT, need, unshare, wait_until, workload

SPIN_JS = os.path.join(ROOT, "tests", "workloads", "spin.js")


def test_node_functions_are_named(tool):
    stacks = tool.record("-F", "199", "--", need("node"), "--perf-basic-prof", SPIN_JS, "3")
    named = sum(n for s, n in stacks.counts.items() if any("spinJs" in f for f in s))
    assert named > 0.8 * stacks.total(), stacks


def test_anonymous_code_with_a_perf_map_is_named(tool):
    stacks = tool.record("-F", "199", "--", workload("jit"), "2")
    assert any("jit_spin" in f or "jit" in f for s in stacks.counts for f in s[1:]), stacks
    assert not any(s[-1] == "[jit]" for s in stacks.counts), stacks


def test_a_perf_map_that_comes_late_names_what_was_sampled_before(tool, start):
    """A body travels once per flush: its first look at the map must not be the last."""
    program = start(workload("jit"), "8")
    path = f"/tmp/perf-{program.pid}.map"
    wait_until(lambda: os.path.exists(path) and os.path.getsize(path))
    time.sleep(0.2)
    os.rename(path, path + ".away")
    recorder = start(EBPFPROF, "record", "-p", program.pid, "-F", "199", "-d", "3", "-o", "l.pb.gz",
                     cwd=tool.folder, stderr=subprocess.DEVNULL)
    time.sleep(2)
    os.rename(path + ".away", path)
    try:
        assert recorder.wait() == 0
        stacks = tool.folded("l.pb.gz")
        assert stacks.total() > 30, stacks
        assert not any("[jit]" in s for s in stacks.counts), stacks
    finally:
        os.unlink(path)


def test_perf_map_in_a_namespace_of_its_own(tool, start):
    """Mount and pid namespace: the map is /tmp/perf-1.map or so of another /tmp."""
    namespaces = unshare("--mount", "--pid", "--fork", "--mount-proc")
    recorder = start(EBPFPROF, "record", "-a", "-F", "199", "-d", "4", "-o", "o.pb.gz",
                     cwd=tool.folder, stderr=subprocess.DEVNULL)
    time.sleep(0.7)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        # Not below /tmp, which is about to be covered.
        program = shutil.copy(workload("jit"), folder)
        subprocess.run([*namespaces, "sh", "-c", f"mount -t tmpfs none /tmp && {program} 2"],
                       check=True, stdout=subprocess.DEVNULL)
    assert recorder.wait() == 0
    stacks = tool.folded("o.pb.gz")
    jit = {s: n for s, n in stacks.counts.items() if s[0] == "jit"}
    assert sum(jit.values()) > 50, stacks
    unnamed = sum(n for s, n in jit.items() if "[jit]" in s)
    assert unnamed < 0.05 * sum(jit.values()), stacks


@pytest.mark.parametrize("content", [b"garbage\0\xff\xfe\n" * 1000, b"1000 10", b"", b"ffffffffffffffff "
                                     b"ffffffffffffffff overflow\n"])
def test_hostile_perf_maps_do_no_harm(tool, start, content):
    program = start(workload("split"), "5")
    path = f"/tmp/perf-{program.pid}.map"
    with open(path, "wb") as out:
        out.write(content)
    try:
        stacks = tool.record("-p", program.pid, "-d", "1")
        assert stacks.having("work_sixty") > 0
    finally:
        os.unlink(path)

SPIN_JAVA = """
public class Spin {
    static long spin(long n) {
        long x = 1;
        for (long i = 0; i < n; i++) x = x * 6364136223846793005L + 1442695040888963407L;
        return x;
    }
    public static void main(String[] args) {
        long end = System.currentTimeMillis() + 12000, sum = 0;
        while (System.currentTimeMillis() < end) sum ^= spin(1000000);
        System.out.println(sum);
    }
}
"""


def test_java_stacks_pass_through_the_interpreter(tool, start):
    """Interpreted frames return to addresses that no call precedes: the walk must not end there."""
    java, jcmd = need("java"), need("jcmd")
    source = os.path.join(tool.folder, "Spin.java")
    with open(source, "w") as out:
        out.write(SPIN_JAVA)
    program = start(java, "-XX:+PreserveFramePointer", source)
    time.sleep(5)
    mapped = subprocess.run([jcmd, str(program.pid), "Compiler.perfmap"], stdout=subprocess.PIPE,
                            text=True)
    if "successfully" not in mapped.stdout:
        pytest.skip(f"this JVM writes no perf-map: {mapped.stdout[:80]}")
    stacks = tool.record("-p", program.pid, "-d", "2", "-F", "199")
    spinning = {s: n for s, n in stacks.counts.items() if any("Spin.spin" in f for f in s)}
    assert sum(spinning.values()) > 0.8 * stacks.total(), stacks
    whole = sum(n for s, n in spinning.items() if "JavaMain" in s)
    assert whole > 0.9 * sum(spinning.values()), stacks
