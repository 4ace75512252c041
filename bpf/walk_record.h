/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The steps of unwind_walk.h on arm64, where no tables are read: from frame record to frame record
 * (AAPCS64, 6.4.6), each only after the code has said that the function has one (link_register.h).
 *
 * Return addresses may be signed (PAC), which leaves their low 48 bits: code that a process has put
 * higher, by a hint to mmap() and on a kernel with 52 bits, is not found.
 *
 * Whoever includes this defines before, beside what unwind_walk.h asks for:
 *	static int walk_link(struct walk *walk, __u64 ip, __u32 is_caller);
 *		enum link_place of the function at @ip: by link_begin() and link_window()
 */
#ifndef EBPFPROF_BPF_WALK_RECORD_H
#define EBPFPROF_BPF_WALK_RECORD_H

#include "bpf/unwind_walk.h"

#define WALK_CODE_BITS 48

/* struct rt_sigframe, its sigcontext's x29 (arch/arm64/kernel/signal.c, uapi/asm/sigcontext.h) */
#define WALK_SIGFRAME_BYTES 4688
#define WALK_SIGFRAME_FP 544

static int walk_link(struct walk *walk, __u64 ip, __u32 is_caller);

/* Look at the instructions from scan->at on that share a window with it.  False: that was all. */
walk_inline bool link_window(struct walk *walk)
{
	struct link_scan *scan = &walk->link;
	__u64 at = scan->at, window = at & ~(sizeof(scan->code) - 1);
	__u32 first = (__u32)(at - window) / 4, i;

	if (!walk_read(walk, window, scan->code, sizeof(scan->code)))
		return link_answer(scan, LINK_UNREADABLE);
	for (i = 0; i < LINK_WINDOW; i++) {
		if (i >= first && !link_step(scan, scan->code[i]))
			break;
	}
	return scan->at != 0;
}

/* To @address, where the present frame returns to; its caller has @cfa as stack pointer. */
walk_inline bool walk_return(struct walk *walk, __u64 address, __u64 cfa, __u64 fp)
{
	int found = walk_find(walk, address, 0);
	__u8 code[8];

	if (found == -STACK_NOT_READY || found == -STACK_FULL)
		return walk_ends(walk, (enum stack_end)-found);
	if (found < 0)
		return walk_ends(walk, (enum stack_end)walk->why);
	if (!(found & WALK_FOLLOWS_CALL)) {
		if (!walk_read(walk, address, code, sizeof(code)))
			return walk_ends(walk, (enum stack_end)walk->why);
		walk->is_trampoline = call_site_is_trampoline(code) ? 1 : 0;
		/* Go starts a goroutine as if goexit had called it. */
		if (!walk->is_trampoline &&
		    (fp || !walk_read(walk, address - 8, code, sizeof(code)) ||
		     !call_site_is_thread_start(code)))
			return walk_ends(walk, (enum stack_end)walk->why);
	}
	walk->fp = fp;
	if (cfa != walk->sp)
		return walk_arrive(walk, cfa, address, WALK_VIA_FP);
	walk->ip = address; /* of a leaf without frame */
	walk->via = WALK_VIA_FP;
	return true;
}

/*
 * The trampoline of a signal.  Its frame record is one that the kernel has put above the interrupted
 * registers, with copies of two of them.  They lie further down where registers of more than 4 KiB
 * are saved (SVE of more than 64 bytes): then the copies are not found.
 */
walk_inline bool walk_trampoline(struct walk *walk)
{
	__u64 record[2], saved[4]; /* x29, x30, sp, pc */

	walk->is_trampoline = 0;
	if (!walk_read(walk, walk->fp, record, sizeof(record)))
		return walk_unreadable(walk, walk->fp);
	if (!walk_read(walk, walk->fp - WALK_SIGFRAME_BYTES + WALK_SIGFRAME_FP, saved,
		       sizeof(saved)))
		return walk_unreadable(walk, walk->fp);
	if (record[0] != saved[0] || record[1] != saved[1])
		return walk_ends(walk, (enum stack_end)walk->why);
	walk->fp = saved[0];
	walk->link_register = saved[1];
	return walk_arrive(walk, saved[2], saved[3], WALK_VIA_REGS);
}

walk_inline bool walk_by_fp(struct walk *walk)
{
	const __u64 code_bits = (1ull << WALK_CODE_BITS) - 1;
	__u64 record[2], fp = walk->fp, link = walk->link_register & code_bits;
	bool is_caller = walk->via != WALK_VIA_REGS;
	int place;

	if (walk->why == STACK_NO_INFO) /* no tables are read: what is missing is the record */
		walk->why = STACK_BROKEN;
	if (walk->is_trampoline)
		return walk_trampoline(walk);
	place = walk_link(walk, walk->ip, is_caller);
	if (place == LINK_UNREADABLE && walk->mode == WALK_AUTO) /* it can be read from its file */
		return walk_ends(walk, STACK_NOT_READY);
	if (place == LINK_ELSEWHERE)
		return walk_ends(walk, (enum stack_end)walk->why);
	if (place == LINK_REGISTER && link)
		return walk_return(walk, link, walk->sp, fp);
	/* Nothing has called what begins a stack: the kernel and libc set both registers to 0. */
	if (fp == 0 && (is_caller || link == 0))
		return walk_ends(walk, STACK_COMPLETE);
	if (fp & 7)
		return walk_ends(walk, (enum stack_end)walk->why);
	if (!walk_read(walk, fp, record, sizeof(record)))
		return walk_ends(walk, fp - walk->sp < WALK_STEP_MAX ? STACK_UNREADABLE :
								       (enum stack_end)walk->why);
	/* A caller is believed to have a record, as compilers make them; a leaf may well have none. */
	if (!is_caller && place != LINK_RECORD && place != LINK_SAVED &&
	    (record[1] & code_bits) != link)
		return walk_ends(walk, (enum stack_end)walk->why);
	walk->last_fp = fp;
	return walk_return(walk, record[1] & code_bits, fp + 16, record[0]);
}

#endif
