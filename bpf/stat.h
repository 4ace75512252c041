/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Counters of the programs: where every event went.
 *
 * Map `stats` (per-CPU array of __u64) has STAT_CNT rows per bank: row = bank * STAT_CNT + stat.
 * They only rise; user space works with differences.  For the sampler, in each bank,
 *	STAT_FIRED = STAT_IDLE + STAT_FILTERED + STAT_COUNTED + STAT_LOST_*
 * holds exactly once no program runs on the bank any more.
 */
#ifndef EBPFPROF_BPF_STAT_H
#define EBPFPROF_BPF_STAT_H

enum stat {
	STAT_FIRED,	     /* first instruction of the sampler */
	STAT_IDLE,	     /* the idle task, without --idle */
	STAT_FILTERED,	     /* not a target */
	STAT_COUNTED,	     /* in `counts`, or sent as a single sample */
	STAT_LOST_FULL,	     /* `counts` and the ring were both full */
	STAT_LOST_BUSY,	     /* the map refused (its bucket was locked below us) and so did the ring */
	/* Not part of the sum: */
	STAT_COUNTS_FULL,    /* counted, but by way of the ring */
	STAT_BODY_RING_FULL, /* a stack's frames found no room; sent again at the next hit */
	STAT_RAW_REFUSED,    /* a walk lacked tables, and the ring had no room for its raw stack */
	STAT_FOLLOW_FULL,    /* children of a target that could not be followed: table full */
	STAT_OUTSIDE,	     /* filtered because it ran outside of our pid namespace */
	STAT_CNT,
};

#endif
