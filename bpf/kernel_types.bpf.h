/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The only kernel structs and fields that our programs read: the list of what we depend on.
 * Offsets are relocated at load (CO-RE); order and absent neighbours do not matter.
 */
#ifndef EBPFPROF_BPF_KERNEL_TYPES_BPF_H
#define EBPFPROF_BPF_KERNEL_TYPES_BPF_H

#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* include/linux/mm_types.h */
struct mm_struct {
	unsigned long start_stack; /* user sp at the program's first instruction */
};

/* arch/x86/include/asm/processor.h */
struct thread_struct___x86 {
	unsigned long fsbase; /* TLS of the thread; valid while it runs or slept here last */
};

/* arch/arm64/include/asm/processor.h */
struct thread_struct___arm64_uw {
	unsigned long tp_value;
};

struct thread_struct___arm64 {
	struct thread_struct___arm64_uw uw;
};

/* include/linux/ns_common.h; include/linux/pid_namespace.h, pid.h */
struct ns_common {
	unsigned int inum;
};

struct pid_namespace {
	struct ns_common ns;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1]; /* [level + 1], from the initial namespace on */
};

/* include/linux/sched.h */
struct task_struct {
	int pid;
	int tgid;
	unsigned int flags; /* PF_* */
	unsigned int self_exec_id;
	unsigned long long start_boottime;
	void *stack;
	struct mm_struct *mm;
	struct task_struct *group_leader;
	struct pid *thread_pid; /* NULL: it has given its number back */
	char comm[16];
};

struct task_struct___x86 {
	struct thread_struct___x86 thread;
};

struct task_struct___arm64 {
	struct thread_struct___arm64 thread;
};

/* kernel/bpf/task_iter.c: the context of iter/task; @task is NULL at the end */
struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#pragma clang attribute pop

#define PF_KTHREAD 0x00200000 /* include/linux/sched.h */

#endif
