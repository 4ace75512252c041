/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Contract between the programs that take stacks and profiler/collect.
 *
 * Counts stay in the kernel; what they refer to travels through the ring `bodies` once per epoch:
 * the frames of a stack, and who a task is.  An epoch is the time between two flips of the bank;
 * bank = epoch & 1.  All that refers to one another carries the same epoch, so that user space
 * can forget an epoch as a whole when it has been drained.
 */
#ifndef EBPFPROF_BPF_SAMPLE_H
#define EBPFPROF_BPF_SAMPLE_H

#include <linux/types.h>

#include "bpf/stack.h"

#define STACK_COMM_BYTES 16
#define MAP_GENERATIONS 1024 /* power of two; generations[tgid % MAP_GENERATIONS] */

enum sample_kind {
	SAMPLE_CPU = 1, /* cpu-clock or cycles; value: samples */
};

/* Key of `counts`. Clear it first: it is compared as bytes. */
struct sample_key {
	__u64 user_stack;   /* id of a BODY_USER_STACK, 0 = none */
	__u64 kernel_stack; /* id of a BODY_KERNEL_STACK, 0 = none */
	__u64 start_boottime_ns; /* of the thread group's leader */
	__u64 request;	    /* 0 = none; the http tracer's id */
	__u64 flow;	    /* 0 = none; the flow tracer's id */
	__u32 tgid;
	__u32 tid;
	__u32 exec_id;	    /* task->self_exec_id: rises with each exec */
	__u8 kind;	    /* enum sample_kind */
	__u8 confidence;    /* of request and flow, in percent */
	__u16 names;	    /* of the task's and its leader's name: a rename makes another key */
};

#define TASK_IS_KERNEL_THREAD (1u << 0)

struct task_body {
	struct body_header header;
	__u64 start_boottime_ns;
	__u32 tgid;
	__u32 tid;
	__u32 exec_id;
	__u16 flags; /* TASK_IS_* */
	__u16 names; /* as in sample_key */
	char comm[STACK_COMM_BYTES];	    /* of the task */
	char leader_comm[STACK_COMM_BYTES]; /* of its process: the thread group's leader */
};

struct sample_body {
	struct body_header header;
	struct sample_key key;
	__u64 count;
};

/* Single value of map `control`, mapped by user space. */
struct sampler_control {
	__u32 epoch;
	__u32 unwind_clock; /* of struct unwind_file.used: rises with time */
	__u32 rule_generation; /* rises when an index of `unwind_rules` is given to another rule */
	__u32 reserved;
	__u32 generations[MAP_GENERATIONS]; /* mixed into ids of user stacks: mappings changed */
};

/* Two ways per slot: see unseen_place() in stack.bpf.h. */
struct seen_slot {
	__u64 tags[2];
};

/* Read-only knobs of the sampler, set before load. */
struct sampler_knobs {
	__u32 with_user;
	__u32 with_kernel;
	__u32 with_idle;
	__u32 seen_mask; /* slots of `seen` - 1 */
};

#endif
