/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whose image runs in a process (`unwind_processes`, unwind.h): known from its first instruction on.
 *
 * A child runs its parent's image at its parent's addresses, so it has the parent's mappings before
 * user space has heard of it.  After an exec none are known; the value says since when.  Threads
 * change nothing.  A full map or a lost race costs a process its mappings, until user space
 * publishes them; its samples travel whole till then and say so themselves, so nothing is counted here.
 */
#include "bpf/image.bpf.h"
#include "bpf/tier.bpf.h"

static __always_inline bool is_same_image(const struct unwind_process *left,
					  const struct unwind_process *right)
{
	return left->start_boottime_ns == right->start_boottime_ns &&
	       left->exec_id == right->exec_id;
}

HOOK_PROCESS_FORK(images_fork, parent, child)
{
	__u32 parent_tgid = task_tgid(parent), child_tgid = task_tgid(child);
	struct unwind_process image = {}, present = {}, *known;

	if (!child_tgid || child_tgid == parent_tgid || (BPF_CORE_READ(child, flags) & PF_KTHREAD))
		return 0;
	known = bpf_map_lookup_elem(&unwind_processes, &parent_tgid);
	if (known) {
		/* Its identity last: see struct unwind_process. */
		image.mapping_cnt = known->mapping_cnt;
		image.first_mapping = known->first_mapping;
		image.list = known->list;
		image.mapped_ns = known->mapped_ns;
		image_of(&present, BPF_CORE_READ(parent, group_leader));
		if (!is_same_image(known, &present))
			image.mapping_cnt = image.first_mapping = image.list = 0;
	}
	image_of(&image, child);
	bpf_map_update_elem(&unwind_processes, &child_tgid, &image, BPF_ANY);
	return 0;
}

/* @task is the leader by now, whichever thread has called execve(). */
HOOK_PROCESS_EXEC(images_exec, task)
{
	struct unwind_process image = {};
	__u32 tgid = task_tgid(task);

	if (!tgid)
		return 0;
	image_of(&image, task);
	bpf_map_update_elem(&unwind_processes, &tgid, &image, BPF_ANY);
	return 0;
}

/* The leader goes last, and its number may be another's. */
HOOK_PROCESS_FREE(images_free, task)
{
	struct unwind_process *known;
	__u32 tgid = task_tgid_of_dead(task);

	if (!tgid)
		return 0;
	known = bpf_map_lookup_elem(&unwind_processes, &tgid);
	if (known && known->start_boottime_ns == BPF_CORE_READ(task, start_boottime))
		bpf_map_delete_elem(&unwind_processes, &tgid);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
