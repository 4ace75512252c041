/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Contract of stacks as they travel through the ring `bodies` (see sample.h): walked to their end,
 * or raw, to be unwound in user space.
 */
#ifndef EBPFPROF_BPF_STACK_H
#define EBPFPROF_BPF_STACK_H

#include <linux/types.h>

#define STACK_FRAMES_MAX 512 /* power of two */
#define KERNEL_FRAMES_MAX 127 /* kernel.perf_event_max_stack */
#define RAW_STACK_BYTES 65536 /* of the stack's top, power of two */

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
	STACK_EXEC,	   /* in execve(): what had called it was gone with its memory */
	STACK_END_CNT,
};

struct body_header {
	__u32 kind;  /* enum body_kind */
	__u32 epoch;
	__u64 time_ns; /* bpf_ktime_get_ns(): CLOCK_MONOTONIC */
};

/*
 * Bit of a user stack's frame beyond the first: an instruction that a signal interrupted, not a
 * return address.
 */
#define STACK_FRAME_IS_EXACT (1ull << 63)

struct stack_body {
	struct body_header header;
	__u64 id;
	__u64 start_boottime_ns; /* with tgid and exec_id: the process; 0 for kernel stacks */
	__u32 tgid;
	__u32 exec_id;
	__u16 frame_cnt;
	__u8 end;	   /* enum stack_end */
	__u8 leaf_is_exact; /* frame 0 is an interrupted instruction, not a return address */
	__u32 unchecked;    /* 1: nobody looked whether a call stands before the other frames */
	__u64 mapped_ns; /* of struct unwind_process: the mappings that the walk went by */
	__u64 frames[STACK_FRAMES_MAX + 1]; /* [frame_cnt] leaf first; only those are sent */
};

/* DWARF register numbers (System V ABI, AMD64, figure 3.36); UNWIND_REG_CNT - 1 is the ip. */
#define UNWIND_REG_FP 6
#define UNWIND_REG_LR 0 /* arm64's link register has this place */
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
	__u64 regs[UNWIND_REG_CNT];
	__u8 code[8]; /* [ip - 2, ip + 6): of code made at run time there is no file to read */
	__u16 in_syscall;
	__u16 has_code; /* it could be read */
	__u32 stack_bytes; /* of memory from regs[UNWIND_REG_SP] on */
	__u32 stack_hole;  /* of those, at the start, that could not be read */
	__u32 reserved;
	__u8 stack[RAW_STACK_BYTES]; /* [stack_bytes]; only those are sent */
};

#endif
