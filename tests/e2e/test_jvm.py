# SPDX-License-Identifier: BSD-2-Clause
"""--jvm-perfmap: Java methods named by a perf-map that the JVM is asked for."""

import os
import subprocess
import time

import pytest

from conftest import ROOT, need

SPIN_JAVA = os.path.join(ROOT, "tests", "workloads", "names", "SpinJava.java")
JAVA = ("-XX:+PreserveFramePointer", "-XX:TieredStopAtLevel=4")


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classes")
    subprocess.run([need("javac"), "-d", folder, SPIN_JAVA], check=True, timeout=120)
    return folder


@pytest.fixture
def java(start, classes):
    """Starts a spinning JVM; what it leaves in /tmp is removed when it has ended."""
    pids = []

    def run(*flags, seconds=60):
        process = start(need("java"), *JAVA, *flags, "-cp", classes, "SpinJava", str(seconds),
                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        pids.append(process)
        time.sleep(1.5)  # to compile spinJava
        return process
    yield run
    for process in pids:
        process.kill()
        process.wait()
        for left in (f"perf-{process.pid}.map", f".java_pid{process.pid}",
                     f".attach_pid{process.pid}"):
            if os.path.exists(f"/tmp/{left}"):
                os.unlink(f"/tmp/{left}")


def named(stacks):
    return sum(n for s, n in stacks.counts.items() if "SpinJava.spinJava" in s)


def test_a_running_jvm_is_asked(tool, java):
    process = java()
    stacks = tool.record("-p", process.pid, "-d", "2", "-F", "199", "--jvm-perfmap")
    assert named(stacks) > 0.8 * stacks.total(), stacks
    # The names do not hang in the air: the way from the thread's start is whole.
    chain = max(stacks.counts, key=stacks.counts.get)
    assert chain.index("JavaMain") < chain.index("SpinJava.spinJava"), stacks
    assert process.poll() is None


def test_a_short_program_is_asked_before_it_ends(tool, classes):
    stacks = tool.record("-F", "199", "--jvm-perfmap", "--", need("java"), *JAVA, "-cp", classes,
                         "SpinJava", "4")
    jit = sum(n for s, n in stacks.counts.items() if s[-1] in ("SpinJava.spinJava", "[jit]"))
    assert named(stacks) > 0.8 * jit > 0, stacks


def test_without_the_option_it_is_left_alone(tool, java):
    process = java()
    stacks = tool.record("-p", process.pid, "-d", "1.5", "-F", "199")
    assert named(stacks) == 0, stacks
    assert not os.path.exists(f"/tmp/perf-{process.pid}.map")
    assert not os.path.exists(f"/tmp/.java_pid{process.pid}")
    assert "--jvm-perfmap" in tool.last.stderr  # the advice


def test_a_jvm_that_is_no_target_is_left_alone(tool, java):
    process, other = java(), java()
    stacks = tool.record("-p", process.pid, "-d", "1.5", "-F", "199", "--jvm-perfmap")
    assert named(stacks) > 0, stacks
    assert not os.path.exists(f"/tmp/perf-{other.pid}.map")
    assert not os.path.exists(f"/tmp/.java_pid{other.pid}")


def test_a_jvm_that_refuses_lives_on_and_is_said(tool, java):
    process = java("-XX:+DisableAttachMechanism")
    stacks = tool.record("-p", process.pid, "-d", "2", "-F", "199", "--jvm-perfmap")
    assert process.poll() is None
    assert named(stacks) == 0, stacks
    assert f"no perf-map of JVM {process.pid}: " in tool.last.stderr, tool.last.stderr


def test_a_jvm_that_sigquit_would_end_is_asked_without_it(tool, java):
    """-Xrs leaves SIGQUIT alone, and has the socket ready from the start instead."""
    process = java("-Xrs")
    stacks = tool.record("-p", process.pid, "-d", "2", "-F", "199", "--jvm-perfmap")
    assert process.poll() is None
    assert named(stacks) > 0.8 * stacks.total(), stacks
