/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whose image runs in a process (`unwind_processes`, unwind.h): known from its first instruction on.
 *
 * A child runs its parent's image at its parent's addresses, so it has the parent's mappings before
 * user space has heard of it.  After an exec none are known; the value says since when.  Threads
 * change nothing.  A full map or a lost race costs a process its mappings, until user space
 * publishes them; its samples travel whole till then and say so themselves, so nothing is counted here.
 */
#include "bpf/compat.bpf.h"
#include "bpf/shared.bpf.h"

#include <bpf/bpf_tracing.h>

/* As task_facts_read() gives it for a sample. */
static __always_inline void image_of(struct unwind_process *image, struct task_struct *leader)
{
	image->start_boottime_ns = leader->start_boottime;
	image->exec_id = leader->self_exec_id;
}

static __always_inline bool is_same_image(const struct unwind_process *left,
					  const struct unwind_process *right)
{
	return left->start_boottime_ns == right->start_boottime_ns &&
	       left->exec_id == right->exec_id;
}

/* kernel/fork.c kernel_clone(): @parent is the forking task, @child is not running yet. */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(images_fork, struct task_struct *parent, struct task_struct *child)
{
	__u32 parent_tgid = parent->tgid, child_tgid = child->tgid;
	struct unwind_process image = {}, present = {}, *known;

	if (child_tgid == parent_tgid || (child->flags & PF_KTHREAD))
		return 0;
	known = bpf_map_lookup_elem(&unwind_processes, &parent_tgid);
	if (known) {
		/* Its identity last: see struct unwind_process. */
		image.mapping_cnt = known->mapping_cnt;
		image.first_mapping = known->first_mapping;
		image.list = known->list;
		image.mapped_ns = known->mapped_ns;
		image_of(&present, parent->group_leader);
		if (!is_same_image(known, &present))
			image.mapping_cnt = image.first_mapping = image.list = 0;
	}
	image_of(&image, child);
	bpf_map_update_elem(&unwind_processes, &child_tgid, &image, BPF_ANY);
	return 0;
}

/* fs/exec.c exec_binprm(): @task is the leader by now, whichever thread has called execve(). */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(images_exec, struct task_struct *task)
{
	struct unwind_process image = {};
	__u32 tgid = task->tgid;

	image_of(&image, task);
	bpf_map_update_elem(&unwind_processes, &tgid, &image, BPF_ANY);
	return 0;
}

/* kernel/exit.c delayed_put_task_struct(): the leader goes last, and its number may be another's. */
SEC("tp_btf/sched_process_free")
int BPF_PROG(images_free, struct task_struct *task)
{
	struct unwind_process *known;
	__u32 tgid = task->tgid;

	if ((__u32)task->pid != tgid)
		return 0;
	known = bpf_map_lookup_elem(&unwind_processes, &tgid);
	if (known && known->start_boottime_ns == task->start_boottime)
		bpf_map_delete_elem(&unwind_processes, &tgid);
	return 0;
}

/*
 * Run once, after the hooks are attached: processes that are older than they.  A value that is there
 * is younger than what the walk over all tasks sees.
 */
SEC("iter/task")
int images_seed(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct unwind_process image = {};
	__u32 tgid;

	if (!task || task->pid != task->tgid || (task->flags & PF_KTHREAD))
		return 0;
	tgid = task->tgid;
	image_of(&image, task);
	bpf_map_update_elem(&unwind_processes, &tgid, &image, BPF_NOEXIST);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
