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

#define LINK_WINDOW 16	    /* instructions that are read at once; power of two */
#define LINK_WINDOWS_MAX 32 /* for one answer */
#define LINK_BRANCHES 4	    /* that are kept for later */

#define link_inline static inline __attribute__((always_inline))

enum link_place {
	LINK_UNKNOWN,	 /* no path led to an answer */
	LINK_REGISTER,	 /* in x30 */
	LINK_RECORD,	 /* in the frame record at x29 */
	LINK_ELSEWHERE,	 /* saved without a frame record */
	LINK_SAVED,	 /* saved: no path told how */
	LINK_UNREADABLE, /* the code is not in memory */
};

/* What x30 is, on the way. */
enum link_state {
	LINK_HOLDS,    /* the return address, for all that we know */
	LINK_USED,     /* something else: a call was passed, or led here, or it is in other use */
	LINK_RELOADED, /* the return address, if the function now ends */
};

struct link_scan {
	__u64 at;   /* the next instruction; 0 = there is none */
	__u64 from; /* where the straight run that led there began */
	__u64 branches[LINK_BRANCHES];
	__u32 code[LINK_WINDOW]; /* around `at` */
	__u8 branch_cnt;
	__u8 state;    /* enum link_state */
	__u8 loads_fp; /* x29 was loaded on the way */
	__u8 place;    /* enum link_place */
};

link_inline void link_begin(struct link_scan *scan, __u64 ip, bool is_caller)
{
	scan->at = scan->from = ip & ~3ull;
	scan->branch_cnt = 0;
	scan->state = is_caller ? LINK_USED : LINK_HOLDS;
	scan->loads_fp = 0;
	scan->place = is_caller ? LINK_SAVED : LINK_UNKNOWN;
}

/* This path tells nothing: on with a branch that it passed.  False: the next instruction is elsewhere. */
link_inline bool link_give_up(struct link_scan *scan)
{
	__u32 cnt = scan->branch_cnt;

	scan->at = scan->from = 0;
	scan->loads_fp = 0;
	if (scan->state == LINK_RELOADED)
		scan->state = LINK_USED;
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

/* The function returns by x30, or saves what it was called with: it is the return address. */
link_inline bool link_is_read(struct link_scan *scan)
{
	if (scan->state == LINK_HOLDS)
		return link_answer(scan, LINK_REGISTER);
	if (scan->state == LINK_RELOADED)
		return link_answer(scan, scan->loads_fp ? LINK_RECORD : LINK_ELSEWHERE);
	return link_give_up(scan); /* of another function: this one's end was passed */
}

/* x30 is given another value. */
link_inline bool link_is_used(struct link_scan *scan)
{
	scan->state = LINK_USED;
	scan->place = LINK_SAVED;
	return true;
}

/*
 * Loads and stores of one or two 64-bit registers, @first and @second.  Compilers use x30 as any other
 * register once it is saved: what is loaded is the return address only if the function then ends.
 */
link_inline bool link_moves(struct link_scan *scan, __u32 word, __u32 first, __u32 second)
{
	bool has_link = first == 30 || second == 30, has_fp = first == 29 || second == 29;
	bool is_load = word >> 22 & 1;

	if (is_load && has_fp)
		scan->loads_fp = 1;
	if (!has_link)
		return true;
	if (!is_load)
		return scan->state == LINK_HOLDS || has_fp ? link_is_read(scan) : true;
	if (has_fp)
		return link_answer(scan, LINK_RECORD);
	scan->state = LINK_RELOADED;
	scan->place = LINK_SAVED;
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

	if (kind == 1)
		return link_is_used(scan);
	/* A jump to a function (PLTs, tail calls) is by x16 or x17; others are of tables. */
	return kind == 2 || (kind == 0 && (to == 16 || to == 17)) ? link_is_read(scan) :
								    link_give_up(scan);
}

/* Does @word write x30 by computing: MOVZ, ADD and SUB of a constant, or of registers, ORR? */
link_inline bool link_is_computed(__u32 word)
{
	return (word & 31) == 30 && ((word & 0x1c000000) == 0x10000000 /* by a constant */ ||
				     (word & 0x0e000000) == 0x0a000000 /* by registers */);
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
		return link_moves(scan, word, word & 31, word >> 10 & 31);
	if ((word & 0xfe800000) == 0xf8000000) /* STR, LDR */
		return link_moves(scan, word, word & 31, 31);
	if ((word & 0xfc000000) == 0x94000000 || link_is_computed(word)) /* BL */
		return link_is_used(scan);
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
	if ((word & 0xffe00000) == 0xd4200000 || word >> 16 == 0) /* BRK, UDF */
		return link_give_up(scan);
	return true;
}

#endif
