/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Children of targets are targets: marked inside the fork, before the child can run, so that
 * none is missed however short it lives.
 */
#include "bpf/shared.bpf.h"
#include "bpf/stack.bpf.h"

#include <bpf/bpf_tracing.h>

/* kernel/fork.c kernel_clone(): @parent is the forking task, @child is not running yet. */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(follow_fork, struct task_struct *parent, struct task_struct *child)
{
	__u32 parent_tgid = parent->tgid, child_tgid = child->tgid;
	struct target_followed *known, follow = {};
	struct sampler_control *state;

	if (child_tgid == parent_tgid)
		return 0;
	known = bpf_map_lookup_elem(&followed, &parent_tgid);
	if (!known || (known->start_boottime_ns &&
		       known->start_boottime_ns != parent->group_leader->start_boottime))
		return 0;
	follow.bits = known->bits;
	follow.start_boottime_ns = child->start_boottime;
	if (bpf_map_update_elem(&followed, &child_tgid, &follow, BPF_ANY)) {
		state = sampler_control();
		if (state)
			stat_add(state->epoch, STAT_FOLLOW_FULL);
	}
	return 0;
}

/* kernel/fork.c free_task(): nothing of the task can be sampled any more. */
SEC("tp_btf/sched_process_free")
int BPF_PROG(follow_free, struct task_struct *task)
{
	__u32 tgid = task->tgid;
	struct target_followed *known;

	if ((__u32)task->pid != tgid)
		return 0;
	known = bpf_map_lookup_elem(&followed, &tgid);
	if (known && (known->start_boottime_ns == 0 ||
		      known->start_boottime_ns == task->start_boottime))
		bpf_map_delete_elem(&followed, &tgid);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
