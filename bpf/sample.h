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

#define STACK_FRAMES_MAX 512 /* power of two */
#define KERNEL_FRAMES_MAX 127 /* kernel.perf_event_max_stack */
#define RAW_STACK_BYTES 65536 /* of the stack's top, power of two */
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

enum body_kind {
	BODY_USER_STACK = 1,
	BODY_KERNEL_STACK,
	BODY_TASK,
	BODY_SAMPLE, /* one sample by itself: `counts` was full */
	BODY_RAW_STACK, /* registers and stack memory: the walk lacked tables */
};

/* How the walk of a stack ended. */
enum stack_end {
	STACK_COMPLETE,	   /* at the stack's base, or at the mark of the ABI: frame pointer 0 */
	STACK_DEPTH,	   /* STACK_FRAMES_MAX frames and more to come */
	STACK_BROKEN,	   /* what the frame pointer pointed at was no frame */
	STACK_UNREADABLE,  /* the frame's memory could not be read: page not resident */
	STACK_COMPAT,	   /* 32-bit task: not walked */
	STACK_KERNEL_END,  /* a kernel stack: the kernel's own unwinder ended */
	STACK_NO_INFO,	   /* no table tells of the last frame, nor was its frame pointer one */
	STACK_EXPRESSION,  /* the table tells of it in a way that we do not follow */
	STACK_CORRUPT,	   /* the table contradicts itself, or leads in a circle */
	STACK_JIT,	   /* code made at run time, without frame pointer */
	STACK_NOT_READY,   /* the process's mappings or a file's table were not here in time */
	STACK_FULL,	   /* the file's table found no room (--unwind-memory) */
	STACK_CUT,	   /* unwound from a copy of the stack's top, which ended */
	STACK_END_CNT,
};

/*
 * Bit of a user stack's frame beyond the first: an instruction that a signal interrupted, not a
 * return address.
 */
#define STACK_FRAME_IS_EXACT (1ull << 63)

struct body_header {
	__u32 kind;  /* enum body_kind */
	__u32 epoch;
	__u64 time_ns; /* bpf_ktime_get_ns(): CLOCK_MONOTONIC */
};

struct stack_body {
	struct body_header header;
	__u64 id;
	__u64 start_boottime_ns; /* with tgid and exec_id: the process; 0 for kernel stacks */
	__u32 tgid;
	__u32 exec_id;
	__u16 frame_cnt;
	__u8 end;	   /* enum stack_end */
	__u8 leaf_is_exact; /* frame 0 is an interrupted instruction, not a return address */
	__u32 reserved;
	__u64 frames[STACK_FRAMES_MAX + 1]; /* [frame_cnt] leaf first; only those are sent */
};

/* DWARF register numbers (System V ABI, AMD64, figure 3.36); UNWIND_REG_CNT - 1 is the ip. */
#define UNWIND_REG_FP 6
#define UNWIND_REG_BX 3
#define UNWIND_REG_SP 7
#define UNWIND_REG_IP 16
#define UNWIND_REG_CNT 17

/*
 * What a walk would have begun with, when it lacked something to go on: unwound in user space, by
 * the same rules, when that has come (profiler/collect/unwind_offline.h).
 */
struct raw_stack_body {
	struct body_header header;
	__u64 id; /* as of a stack_body */
	__u64 start_boottime_ns;
	__u32 tgid;
	__u32 exec_id;
	__u64 start_stack, tls_base; /* see struct walk */
	__u64 missing_ip; /* the address whose mapping or table was missing */
	__u64 regs[UNWIND_REG_CNT];
	__u32 in_syscall;
	__u32 stack_bytes; /* of memory from regs[UNWIND_REG_SP] on */
	__u8 stack[RAW_STACK_BYTES]; /* [stack_bytes]; only those are sent */
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

/* Two ways per slot: see seen_before() in stack.bpf.h. */
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
