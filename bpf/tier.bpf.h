/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One source, one object per tier: where a program hooks into the kernel.
 *
 * The Makefile compiles each tracer once with each of -DTIER_TP (typed tracepoints: tp_btf),
 * -DTIER_RAW (raw tracepoints) and -DTIER_KPROBE; profiler/collect/tracer.c takes the first that the
 * kernel accepts.  Programs read the kernel by BPF_CORE_READ(), which all tiers can.
 *
 *	HOOK_PROCESS_FORK(name, parent, child)    @child does not run yet; also threads
 *	HOOK_PROCESS_EXEC(name, task)             the new image is mapped; @task is the leader
 *	HOOK_PROCESS_FREE(name, task)             nothing of @task can be sampled any more; also threads
 */
#ifndef EBPFPROF_BPF_TIER_BPF_H
#define EBPFPROF_BPF_TIER_BPF_H

#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/kernel_types.bpf.h"

#if defined(TIER_KPROBE)

/*
 * Functions that no configuration leaves out or inlines, called where the tracepoints stand:
 * kernel/fork.c kernel_clone(), fs/binfmt_elf.c load_elf_binary(), kernel/exit.c
 * put_task_struct() for the last time.
 */
#define HOOK_PROCESS_FORK(name, parent, child)                                                     \
	static __always_inline int name##_at(struct task_struct *, struct task_struct *);          \
	SEC("kprobe/wake_up_new_task")                                                             \
	int BPF_KPROBE(name, struct task_struct *task)                                             \
	{                                                                                          \
		return name##_at((void *)bpf_get_current_task(), task);                            \
	}                                                                                          \
	static __always_inline int name##_at(struct task_struct *parent, struct task_struct *child)

#define HOOK_PROCESS_EXEC(name, task)                                                              \
	static __always_inline int name##_at(struct task_struct *);                                \
	SEC("kprobe/finalize_exec")                                                                \
	int BPF_KPROBE(name)                                                                       \
	{                                                                                          \
		return name##_at((void *)bpf_get_current_task());                                  \
	}                                                                                          \
	static __always_inline int name##_at(struct task_struct *task)

#define HOOK_PROCESS_FREE(name, task)                                                              \
	SEC("kprobe/__put_task_struct")                                                            \
	int BPF_KPROBE(name, struct task_struct *task)

#else

#if defined(TIER_RAW)
#define TIER_SECTION "raw_tp/"
#else
#define TIER_SECTION "tp_btf/"
#endif

/* TP_PROTO in include/trace/events/sched.h, the same from 5.10 to 6.18. */
#define HOOK_PROCESS_FORK(name, parent, child)                                                     \
	SEC(TIER_SECTION "sched_process_fork")                                                     \
	int BPF_PROG(name, struct task_struct *parent, struct task_struct *child)

#define HOOK_PROCESS_EXEC(name, task)                                                              \
	SEC(TIER_SECTION "sched_process_exec")                                                     \
	int BPF_PROG(name, struct task_struct *task)

#define HOOK_PROCESS_FREE(name, task)                                                              \
	SEC(TIER_SECTION "sched_process_free")                                                     \
	int BPF_PROG(name, struct task_struct *task)

#endif
#endif
