/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Run once, after the hooks of images.bpf.c are attached: processes that are older than they.  A value
 * that is there is younger than what the walk over all tasks sees.
 */
#include "bpf/image.bpf.h"

SEC("iter/task")
int images_seed(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct unwind_process image = {};
	__u32 tgid;

	if (!task || task->pid != task->tgid || (task->flags & PF_KTHREAD))
		return 0;
	tgid = task_tgid(task);
	if (!tgid)
		return 0;
	image_of(&image, task);
	bpf_map_update_elem(&unwind_processes, &tgid, &image, BPF_NOEXIST);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
