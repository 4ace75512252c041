# SPDX-License-Identifier: BSD-2-Clause
"""doctor tells the truth: compared with what the kernel's own files and other tools say."""

import json
import os
import subprocess

import pytest
from conftest import EBPFPROF, need, unshare, workload

FEATURES = {"sampling", "kernel maps", "user registers", "task fields", "process hooks",
            "older processes", "off-CPU", "syscalls", "exec", "HTTP", "TLS", "flows",
            "flows, early"}


def table(tool, **kwargs):
    done = tool.run("doctor", "--json", check=False, **kwargs)
    found = json.loads(done.stdout)
    assert found["ready"] == (done.returncode == 0), done
    return {section: {row["name"]: row for row in found[section]}
            for section in ("host", "features", "objects")}


def preload(*programs):
    return dict(os.environ, LD_PRELOAD=workload("refuse_bpf.so"), REFUSE=",".join(programs))


def test_every_feature_has_a_row(tool):
    rows = table(tool)
    assert set(rows["features"]) == FEATURES
    assert set(rows["objects"]) == {"sampler", "follow", "images", "images_seed"}
    assert {row["verdict"] for row in rows["objects"].values()} == {"ok"}
    for name in ("kernel", "BTF", "clocks", "cpu-clock", "PMU", "capabilities", "lockdown", "memlock",
                 "tracefs, bpffs", "pid namespace", "kptr_restrict", "bpf_stats"):
        assert name in rows["host"], rows["host"]


def test_text_and_json_say_the_same_in_eighty_columns(tool):
    rows = table(tool)
    text = tool.run("doctor").stdout
    assert max(len(line) for line in text.splitlines()) <= 80, text
    assert not any(line.endswith(" ") for line in text.splitlines())
    words = " ".join(text.split())
    for section in rows.values():
        for row in section.values():
            assert row["name"] in text
            if row.get("found"):
                assert " ".join(row["found"].split()) in words, row


def test_tiers_are_those_that_the_kernel_has(tool):
    """By the kernel's own files: kprobes are a PMU, tracepoints are types of its BTF."""
    rows = table(tool)
    pmus = os.listdir("/sys/bus/event_source/devices")
    assert ("kprobe" in rows["features"]["exec"].get("tier", "")) <= ("kprobe" in pmus)
    assert ("tier" in rows["features"]["TLS"]) == ("uprobe" in pmus)
    bpftool = subprocess.run([os.path.join(os.path.dirname(__file__), "../../scripts/find-tool"),
                              "bpftool"], stdout=subprocess.PIPE, text=True).stdout.strip()
    if not bpftool:
        pytest.skip("no bpftool on this machine")
    btf = subprocess.run([bpftool, "btf", "dump", "file", "/sys/kernel/btf/vmlinux"], text=True,
                         stdout=subprocess.PIPE, check=True).stdout
    for tracepoint, feature in (("sched_switch", "off-CPU"), ("sys_enter", "syscalls"),
                                ("sched_process_exec", "exec"), ("sock_send_length", "HTTP")):
        has = f"'btf_trace_{tracepoint}'" in btf
        assert rows["features"][feature].get("tier", "").startswith("tp_btf") == has, feature


def test_its_trial_leaves_no_program_behind(tool):
    bpftool = subprocess.run([os.path.join(os.path.dirname(__file__), "../../scripts/find-tool"),
                              "bpftool"], stdout=subprocess.PIPE, text=True).stdout.strip()
    if not bpftool:
        pytest.skip("no bpftool on this machine")
    tool.run("doctor")
    programs = subprocess.run([bpftool, "prog", "list"], text=True, stdout=subprocess.PIPE).stdout
    assert "ebpfprof_probe" not in programs


def test_a_refused_object_is_shown_with_the_verifiers_word(tool):
    row = table(tool, env=preload("images_fork"))["objects"]["images"]
    assert row["verdict"] == "warning"
    assert "REFUSED BY TEST" in row["found"] and "tp_btf" in row["found"]
    assert "tier" not in row


def test_capabilities_that_are_missing_are_told_with_their_part(tool):
    capsh = need("capsh")
    done = subprocess.run([capsh, "--drop=cap_syslog,cap_checkpoint_restore,cap_sys_admin", "--",
                           "-c", f"{EBPFPROF} doctor --json"], text=True, stdout=subprocess.PIPE)
    rows = {row["name"]: row for row in json.loads(done.stdout)["host"]}
    row = rows["capabilities"]
    assert row["verdict"] == "warning" and "setcap" in row["advice"], row
    held, missing = row["found"].split("; missing: ")
    assert "bpf" in held and "sys_ptrace" in held and "syslog" not in held
    assert missing == "syslog (kernel names), checkpoint_restore (names in deleted files)"
    assert done.returncode == 0


def test_a_pid_namespace_is_told(tool):
    command = unshare("--pid", "--fork", "--mount-proc")
    done = subprocess.run([*command, EBPFPROF, "doctor", "--json"], text=True,
                          stdout=subprocess.PIPE)
    rows = {row["name"]: row for row in json.loads(done.stdout)["host"]}
    assert rows["pid namespace"]["verdict"] == "warning"
    assert "--pid=host" in rows["pid namespace"]["advice"]
    assert done.returncode == 0


def test_wrong_use(tool):
    tool.fails("doctor", "--json", "-p", os.getpid(), status=2, says="--json")
    tool.fails("doctor", "x", status=2, says="takes no arguments")
