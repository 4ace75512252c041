/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * arm64: where does the function at an instruction keep its return address?
 *
 * A call leaves it in x30.  A function that calls others saves it, mostly beside the caller's x29, in
 * a frame record that its own x29 then points to; leaves, and the first and last instructions of the
 * others, have none.  A walk by frame records that does not ask leaves callers out, unnoticed.
 *
 * The code tells what comes next: x30 is read (saved, returned by) only while it holds the return
 * address, and loaded only if that was elsewhere.  So we read on from the instruction, past calls, to
 * the first that does either, along jumps, and where a path leads nowhere along a branch that it
 * passed.  Looking backwards for the prologue instead would have to know where functions begin.
 * Encodings: Arm ARM (DDI 0487), C4.1.
 */
#ifndef EBPFPROF_BPF_LINK_REGISTER_H
#define EBPFPROF_BPF_LINK_REGISTER_H

#include <linux/types.h>
#include <stdbool.h>

#define LINK_WINDOW 16	    /* instructions that are read at once; power of two */
#define LINK_WINDOWS_MAX 32 /* for one answer */
#define LINK_BRANCHES 4	    /* that are kept for later */

#define link_inline static inline __attribute__((always_inline))

enum link_place {
	LINK_UNKNOWN,	/* no path led to an answer */
	LINK_REGISTER,	/* in x30 */
	LINK_RECORD,	/* in the frame record at x29 */
	LINK_ELSEWHERE, /* saved without a frame record */
};

struct link_scan {
	__u64 at;   /* the next instruction; 0 = there is none */
	__u64 from; /* where the straight run that led there began */
	__u64 branches[LINK_BRANCHES];
	__u32 code[LINK_WINDOW]; /* around `at` */
	__u8 branch_cnt;
	__u8 is_saved; /* a call was passed, or one led here: x30 is not the return address */
	__u8 loads_fp; /* x29 was loaded on the way */
	__u8 place;    /* enum link_place */
};

link_inline void link_begin(struct link_scan *scan, __u64 ip, bool is_caller)
{
	scan->at = scan->from = ip & ~3ull;
	scan->branch_cnt = 0;
	scan->is_saved = is_caller;
	scan->loads_fp = 0;
	scan->place = LINK_UNKNOWN;
}

/* This path tells nothing: on with a branch that it passed.  False: the next instruction is elsewhere. */
link_inline bool link_give_up(struct link_scan *scan)
{
	__u32 cnt = scan->branch_cnt;

	scan->at = scan->from = 0;
	scan->loads_fp = 0;
	if (cnt) {
		cnt = (cnt - 1) & (LINK_BRANCHES - 1);
		scan->at = scan->from = scan->branches[cnt];
		scan->branch_cnt = (__u8)cnt;
	}
	return false;
}

link_inline bool link_answer(struct link_scan *scan, enum link_place place)
{
	scan->place = (__u8)place;
	scan->at = 0;
	return false;
}

/* x30 is read: the return address is in it, unless we know better, and have left the function. */
link_inline bool link_is_read(struct link_scan *scan)
{
	return scan->is_saved ? link_give_up(scan) : link_answer(scan, LINK_REGISTER);
}

/* Loads and stores of one or two 64-bit registers, @first and @second. */
link_inline bool link_moves(struct link_scan *scan, bool is_load, __u32 first, __u32 second)
{
	bool has_link = first == 30 || second == 30, has_fp = first == 29 || second == 29;

	if (has_link && !is_load)
		return link_is_read(scan);
	if (is_load && has_fp)
		scan->loads_fp = 1;
	if (has_link)
		return link_answer(scan, scan->loads_fp ? LINK_RECORD : LINK_ELSEWHERE);
	return true;
}

link_inline bool link_jumps(struct link_scan *scan, __u64 here, __u64 to)
{
	if (to >= scan->from && to <= here) /* a loop */
		return link_give_up(scan);
	scan->at = scan->from = to;
	return false;
}

link_inline bool link_branches(struct link_scan *scan, __u64 here, __u64 to)
{
	__u32 cnt = scan->branch_cnt;

	if (to >= scan->from && to <= here)
		return true;
	scan->branches[cnt < LINK_BRANCHES - 1 ? cnt : LINK_BRANCHES - 1] = to;
	scan->branch_cnt = (__u8)(cnt < LINK_BRANCHES - 1 ? cnt + 1 : LINK_BRANCHES);
	return true;
}

/* BR, BLR, RET and their authenticating forms */
link_inline bool link_by_register(struct link_scan *scan, __u32 word)
{
	__u32 kind = (word >> 21) & 7, to = (word >> 5) & 31;

	if (kind == 1) {
		scan->is_saved = 1;
		return true;
	}
	/* A jump to a function (PLTs, tail calls) is by x16 or x17; others are of tables. */
	return kind == 2 || (kind == 0 && (to == 16 || to == 17)) ? link_is_read(scan) :
								    link_give_up(scan);
}

/**
 * link_step - the instruction @word at scan->at
 * True: scan->at is the next one; false: it is anywhere, or 0, then scan->place is the answer.
 */
link_inline bool link_step(struct link_scan *scan, __u32 word)
{
	__u64 here = scan->at, wide = word;

	scan->at += 4;
	if ((word & 0xfe000000) == 0xa8000000) /* STP, LDP */
		return link_moves(scan, word >> 22 & 1, word & 31, word >> 10 & 31);
	if ((word & 0xfe800000) == 0xf8000000) /* STR, LDR */
		return link_moves(scan, word >> 22 & 1, word & 31, 31);
	if ((word & 0xfc000000) == 0x94000000) /* BL */
		scan->is_saved = 1;
	if ((word & 0xfe000000) == 0xd6000000)
		return link_by_register(scan, word);
	if ((word & 0xbf8003ff) == 0x910003fd) /* ADD, SUB x29, sp, #: x30 was saved just now */
		return link_is_read(scan);
	if ((word & 0xfc000000) == 0x14000000) /* B */
		return link_jumps(scan, here, here + (__u64)((__s64)(wide << 38) >> 36));
	if ((word & 0xff000010) == 0x54000000 ||
	    (word & 0x7e000000) == 0x34000000) /* B.cond, CBZ */
		return link_branches(scan, here,
				     here + ((__u64)((__s64)(wide << 40) >> 43) & ~3ull));
	if ((word & 0x7e000000) == 0x36000000) /* TBZ, TBNZ */
		return link_branches(scan, here,
				     here + ((__u64)((__s64)(wide << 45) >> 48) & ~3ull));
	if ((word & 0xffe0ffff) == 0xaa0003fe) /* MOV x30, another */
		return link_answer(scan, LINK_ELSEWHERE);
	/* MOVZ x30: a program's start; BRK; UDF */
	if ((word & 0xff80001f) == 0xd280001e || (word & 0xffe00000) == 0xd4200000 ||
	    word >> 16 == 0)
		return link_give_up(scan);
	return true;
}

#endif
