/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whose image a task runs, as images.bpf.c and images_seed.bpf.c note it in `unwind_processes`. */
#ifndef EBPFPROF_BPF_IMAGE_BPF_H
#define EBPFPROF_BPF_IMAGE_BPF_H

#include "bpf/compat.bpf.h"
#include "bpf/shared.bpf.h"

/* As task_facts_read() gives it for a sample. */
static __always_inline void image_of(struct unwind_process *image, struct task_struct *leader)
{
	image->start_boottime_ns = BPF_CORE_READ(leader, start_boottime);
	image->exec_id = BPF_CORE_READ(leader, self_exec_id);
}

#endif
