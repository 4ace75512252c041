/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The walk of a user stack, for every program that takes one.
 *
 * By frame pointers, but not blindly as bpf_get_stack() does it:
 * - A leaf whose prologue has not run yet, whose epilogue has, or that is a system call stub has
 *   no frame of its own: its caller is taken from the stack, so that it is not skipped.
 * - Code built without frame pointers uses the register for anything, and what lies there would
 *   be shown as callers.  So a return address must follow a call instruction; the code in front of
 *   it is read once per address and remembered in `return_sites`.
 * - The walk knows how it ended: at the stack's base, or why before it (enum stack_end).
 *
 * A frame costs one bpf_probe_read_user() of 16 bytes and one array look-up.
 */
#ifndef EBPFPROF_BPF_UNWIND_BPF_H
#define EBPFPROF_BPF_UNWIND_BPF_H

#include "bpf/compat.bpf.h"
#include "bpf/sample.h"
#include "bpf/shared.bpf.h"

#define RETURN_SITES 16384 /* power of two */

/* main()'s frame lies this near to the initial stack pointer, start_thread()'s to the TLS. */
#define BASE_BYTES_MAIN 768
#define BASE_BYTES_THREAD 1024
#define STACK_SWITCHES_MAX 8
#define STACK_STEP_MAX (1u << 20) /* a frame larger than this is not believed */

/*
 * Return addresses found to follow a call: mixed with the process's identity, direct-mapped, no
 * lock; a lost race or a collision only reads the code again.  Written and read: this walk.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RETURN_SITES);
	__type(key, __u32);
	__type(value, __u64);
} return_sites SEC(".maps");

/*
 * State of a walk.  VERIFIER: it lives in map memory, not on the program's stack: values are not
 * followed through map memory, so all ends of the walk look alike and what comes behind them is
 * verified once instead of once per depth.
 */
struct walk {
	__u64 process; /* hash of the process's identity */
	__u64 hash;    /* over the frames so far */
	__u64 start_stack;
	__u64 tls_base;
	__u64 last_fp; /* address of the outermost frame record, 0 = none */
	__u64 sp;
	__u32 cnt;
	__u16 end;
	__u32 falls; /* steps to a lower frame pointer */
	__u16 leaf_is_call; /* frame 0 lies behind a system call instruction */
};

static __always_inline __u64 hash_mix(__u64 hash, __u64 word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
	return hash ^ (hash >> 32);
}

/* Interpreters made at run time push return addresses by hand: no call stands before those. */
static __always_inline bool in_jit_code(__u64 address)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct jit_range *range = bpf_map_lookup_elem(&jit_ranges, &tgid);

	return range && address >= range->start && address < range->end;
}

/*
 * Can @address be a return address in the process?  @is_outermost: the frame's saved frame pointer
 * is 0; then it may be one that no call pushed.
 *
 * VERIFIER: global, so that it is verified once and not in each of 128 iterations (a tenth of the
 * instructions).  Global functions take scalars only before 5.13.
 */
__noinline int is_return_address(__u64 process, __u64 address, __u32 is_outermost)
{
	__u64 tag = hash_mix(process, address);
	__u32 slot = (__u32)tag & (RETURN_SITES - 1);
	__u64 *site = bpf_map_lookup_elem(&return_sites, &slot);
	__u8 code[8];

	if (!site)
		return 0;
	if (*site == tag)
		return 1;
	if (address < 4096 || address > USER_ADDRESS_MAX)
		return 0;
	if (bpf_probe_read_user(code, sizeof(code), (void *)(address - sizeof(code))))
		return 0;
	if (!call_site_ends(code) && !in_jit_code(address))
		return is_outermost && call_site_is_thread_start(code);
	*site = tag;
	return 1;
}

static __always_inline void walk_add(struct walk *walk, __u64 *frames, __u64 address)
{
	__u32 at = walk->cnt;

	if (at >= STACK_FRAMES_MAX)
		return;
	frames[at] = address;
	walk->hash = hash_mix(walk->hash, address);
	walk->cnt = at + 1;
}

/* The caller of a leaf that has no frame of its own at this instruction. */
static __always_inline void walk_leaf(struct walk *walk, __u64 *frames,
				      const struct user_regs *regs)
{
	__u64 address;
	__u8 code[8];
	int offset;

	if (bpf_probe_read_user(code, sizeof(code), (void *)(regs->ip - 2)))
		return;
	offset = call_site_leaf_offset(code, regs->in_syscall);
	walk->leaf_is_call = regs->in_syscall && call_site_is_syscall(code);
	if (offset < 0)
		return;
	if (bpf_probe_read_user(&address, sizeof(address), (void *)(regs->sp + offset)))
		return;
	if (is_return_address(walk->process, address, 0))
		walk_add(walk, frames, address);
}

/* Is @fp in the last frame of the main thread's or of a thread's stack? */
static __always_inline bool at_stack_base(const struct walk *walk, __u64 fp)
{
	return walk->start_stack - fp < BASE_BYTES_MAIN || walk->tls_base - fp < BASE_BYTES_THREAD;
}

/* One caller; false when the walk has ended and walk->end says how. */
static __always_inline bool walk_step(struct walk *walk, __u64 *frames, __u64 *fp)
{
	struct frame_record record;

	if (*fp == 0 || (*fp & 7) || *fp > USER_ADDRESS_MAX)
		return false;
	if (bpf_probe_read_user(&record, sizeof(record), (void *)*fp)) {
		/* Near the frame below it, it is stack that was paged out; elsewhere a number. */
		if (*fp - (walk->last_fp ? walk->last_fp : walk->sp) < STACK_STEP_MAX)
			walk->end = STACK_UNREADABLE;
		return false;
	}
	if (!is_return_address(walk->process, record.return_address, record.fp == 0))
		return false;
	if (walk->cnt >= STACK_FRAMES_MAX) {
		walk->end = STACK_DEPTH;
		return false;
	}
	walk_add(walk, frames, record.return_address);
	/* Stacks grow down: a frame pointer falls where the stack is switched, and in a circle. */
	if (record.fp <= *fp && record.fp && ++walk->falls > STACK_SWITCHES_MAX)
		return false;
	walk->last_fp = *fp;
	*fp = record.fp;
	return true;
}

/**
 * walk_user_stack - callers of the code at @regs, leaf first
 * @frames: room for STACK_FRAMES_MAX + 1
 * @walk: process, start_stack and tls_base set; cnt, hash and end are the answer
 */
static __always_inline void walk_user_stack(struct walk *walk, __u64 *frames,
					    const struct user_regs *regs)
{
	__u64 fp = regs->fp;
	int i;

	walk->cnt = 0;
	walk->hash = walk->process;
	walk->last_fp = 0;
	walk->sp = regs->sp;
	walk->leaf_is_call = 0;
	walk->falls = 0;
	walk_add(walk, frames, regs->ip);
	if (regs->is_compat) {
		walk->end = STACK_COMPAT;
		return;
	}
	walk_leaf(walk, frames, regs);
	walk->end = STACK_BROKEN;
	for (i = 0; i <= STACK_FRAMES_MAX; i++) {
		if (!walk_step(walk, frames, &fp))
			break;
	}
	if (walk->end == STACK_DEPTH)
		return;
	/*
	 * What lies in the register below the base frame is libc's business, so the walk may end
	 * there by any of the failures above.  A 0 is the ABI's mark, but in the leaf's register it
	 * is as likely a number: only a frame's saved 0 counts.
	 */
	if (walk->last_fp && (fp == 0 || at_stack_base(walk, walk->last_fp)))
		walk->end = STACK_COMPLETE;
}

#endif
