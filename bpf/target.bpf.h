/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The target filter, the same in every program.  A function of its own to the verifier (global,
 * scalar arguments), so that its loops and branches do not multiply the states of what follows.
 */
#ifndef EBPFPROF_BPF_TARGET_BPF_H
#define EBPFPROF_BPF_TARGET_BPF_H

#include "bpf/compat.bpf.h"
#include "bpf/shared.bpf.h"

/* Always read as volatile: otherwise clang takes these zeros for constants. */
const volatile struct target_filter filter = {};

static __always_inline bool target_is_followed(__u32 tgid, __u64 start_boottime_ns)
{
	struct target_followed *known = bpf_map_lookup_elem(&followed, &tgid);

	if (!known || (known->bits & filter.need_bits) != filter.need_bits)
		return false;
	/* User space knows the start time of -p in clock ticks only: the first hit fixes it. */
	if (known->start_boottime_ns == 0)
		known->start_boottime_ns = start_boottime_ns;
	return known->start_boottime_ns == start_boottime_ns;
}

static __always_inline bool target_has_comm(void)
{
	char comm[STACK_COMM_BYTES] = {};
	bool ended = false;
	int i;

	leader_comm_read((void *)bpf_get_current_task(), comm);
	/* Bytes behind the NUL are what an earlier, longer name left. */
	for (i = 0; i < STACK_COMM_BYTES; i++) {
		ended = ended || comm[i] == 0;
		if (ended)
			comm[i] = 0;
	}
	return bpf_map_lookup_elem(&target_comms, comm) != NULL;
}

static __always_inline bool target_in_cgroup(void)
{
	__u32 i;

	for (i = 0; i < TARGET_CGROUPS_MAX; i++) {
		if (i >= filter.cgroup_cnt)
			break;
		if (bpf_current_task_under_cgroup(&target_cgroups, i) == 1)
			return true;
	}
	return false;
}

/* Is the running task a target?  Its thread group, id, and its leader's start time. */
__noinline int target_matches(__u32 tgid, __u32 tid, __u64 start_boottime_ns)
{
	if (filter.need_bits && !target_is_followed(tgid, start_boottime_ns))
		return 0;
	if (filter.by_tid && !bpf_map_lookup_elem(&target_tids, &tid))
		return 0;
	if (filter.by_comm && !target_has_comm())
		return 0;
	if (filter.cgroup_cnt && !target_in_cgroup())
		return 0;
	return 1;
}

#endif
