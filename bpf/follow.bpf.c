/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Children of targets are targets: marked inside the fork, before the child can run, so that
 * none is missed however short it lives.
 */
#include "bpf/compat.bpf.h"
#include "bpf/shared.bpf.h"
#include "bpf/stack.bpf.h"
#include "bpf/tier.bpf.h"

HOOK_PROCESS_FORK(follow_fork, parent, child)
{
	__u32 parent_tgid = task_tgid(parent), child_tgid = task_tgid(child);
	struct target_followed *known, follow = {};
	struct sampler_control *state;

	if (!child_tgid || child_tgid == parent_tgid)
		return 0;
	known = bpf_map_lookup_elem(&followed, &parent_tgid);
	if (!known || (known->start_boottime_ns &&
		       known->start_boottime_ns !=
			       BPF_CORE_READ(parent, group_leader, start_boottime)))
		return 0;
	follow.bits = known->bits;
	follow.start_boottime_ns = BPF_CORE_READ(child, start_boottime);
	if (bpf_map_update_elem(&followed, &child_tgid, &follow, BPF_ANY)) {
		state = sampler_control();
		if (state)
			stat_add(state->epoch, STAT_FOLLOW_FULL);
	}
	return 0;
}

HOOK_PROCESS_FREE(follow_free, task)
{
	__u32 tgid = task_tgid_of_dead(task);
	struct target_followed *known;

	if (!tgid)
		return 0;
	known = bpf_map_lookup_elem(&followed, &tgid);
	if (known && (known->start_boottime_ns == 0 ||
		      known->start_boottime_ns == BPF_CORE_READ(task, start_boottime)))
		bpf_map_delete_elem(&followed, &tgid);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
