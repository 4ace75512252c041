# SPDX-License-Identifier: BSD-2-Clause
"""Each tier does the same job; a refused object costs its own part and nothing else."""

import os

import pytest
from conftest import parse_sums, workload

CHAIN = ("main", "descend", "descend", "descend", "descend", "short_work")


def refuse(*programs):
    return dict(os.environ, LD_PRELOAD=workload("refuse_bpf.so"), REFUSE=",".join(programs))


def has_kprobes():
    return os.path.exists("/sys/bus/event_source/devices/kprobe")


def short_programs(tool, *options, **kwargs):
    """Programs of 3 ms that a command starts: they need the hooks of fork and exec."""
    stacks = tool.record(*options, "-F", "999", "--", workload("unwind/shortlived"), "2", **kwargs)
    parse_sums(tool.last.stderr)
    assert stacks.total() == parse_sums(tool.last.stderr)["counted"]
    return stacks


def share_of_whole_stacks(stacks):
    work = {s: n for s, n in stacks.counts.items() if s[-1] == "short_work"}
    whole = sum(n for s, n in work.items() if s[-6:] == CHAIN)
    return whole / sum(work.values())


@pytest.mark.parametrize("tier", ["tp_btf", "raw_tp", "kprobe"])
def test_every_tier_sees_short_programs(tool, tier):
    if tier == "kprobe" and not has_kprobes():
        pytest.skip("this kernel has no kprobes; scripts/vm-test runs this tier")
    stacks = short_programs(tool, "--tier", tier)
    assert "does not run" not in tool.last.stderr, tool.last.stderr
    assert stacks.having("short_work") > 50, stacks
    assert share_of_whole_stacks(stacks) > 0.97, stacks


def test_a_tier_that_is_not_there_is_told_and_costs_its_part(tool):
    if has_kprobes():
        pytest.skip("this kernel has kprobes")
    stacks = short_programs(tool, "--tier", "kprobe")
    assert "tracer images does not run" in tool.last.stderr
    assert "tracer follow does not run" in tool.last.stderr
    assert stacks.total() > 0


def test_unknown_tier(tool):
    tool.fails("record", "--tier", "ptrace", status=2, says=["--tier", "tp_btf, raw_tp, kprobe"])


@pytest.mark.parametrize("program,tracer", [("images_fork", "images"), ("images_exec", "images"),
                                            ("images_free", "images"),
                                            ("images_seed", "images_seed")])
def test_without_a_tracer_of_images_stacks_are_whole_all_the_same(tool, program, tracer):
    stacks = short_programs(tool, env=refuse(program))
    err = tool.last.stderr
    assert f"tracer {tracer} does not run" in err and "REFUSED BY TEST" in err, err
    assert stacks.having("short_work") > 50, stacks
    assert share_of_whole_stacks(stacks) > 0.9, stacks


@pytest.mark.parametrize("program", ["follow_fork", "follow_free"])
def test_without_the_fork_tracer_children_are_followed_a_little_later(tool, program):
    """By the side-band: what lives some ticks is seen."""
    stacks = tool.record("-F", "499", "--", "sh", "-c", f"{workload('split')} 2; exit 3",
                         env=refuse(program), check=False)
    assert tool.last.returncode == 3
    err = tool.last.stderr
    assert "tracer follow does not run" in err and "REFUSED BY TEST" in err, err
    parse_sums(err)
    assert stacks.total("split") > 0.8 * 2 * 499, stacks
    assert stacks.share("work_sixty", "split") > 0.5


@pytest.mark.parametrize("refused", ["sample_cpu", "maps"])
def test_without_the_sampler_itself_samples_come_without_bpf(tool, refused):
    """The last way: perf events' own ring, and the reason is said."""
    stacks = tool.record("-F", "499", "--", workload("split"), "2", env=refuse(refused))
    err = tool.last.stderr
    why = "REFUSED BY TEST" if refused == "sample_cpu" else "Operation not permitted"
    assert "sampling without BPF" in err and why in err, err
    assert parse_sums(err)["counted"] == stacks.total()
    assert stacks.having("work_sixty") > 0.4 * stacks.total("split"), stacks


@pytest.mark.parametrize("refused", ["sample_cpu", "maps"])
def test_without_the_sampler_bpf_alone_is_an_error(tool, refused):
    tool.fails("record", "--source", "bpf", "-d", "1", env=refuse(refused), says="cannot load")
