/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which tasks are profiled: the contract of the target maps (shared.bpf.h) and of the knobs that
 * every program with a filter has.
 *
 * Values of one option are OR-ed, different options AND-ed.  -p and the command follow their
 * children: follow.bpf.c copies a process's bits to what it forks.
 */
#ifndef EBPFPROF_BPF_TARGET_H
#define EBPFPROF_BPF_TARGET_H

#include <linux/types.h>

#define TARGET_COMM_BYTES 16   /* TASK_COMM_LEN */
#define TARGET_CGROUPS_MAX 16
#define TARGET_FOLLOWED_MAX 65536 /* processes followed at one time */
#define TARGET_LIST_MAX 1024	  /* values of -t and of -c */

/* Why a process is followed; the bits that an option needs must all be set. */
enum target_bit {
	TARGET_BY_PID = 1u << 0,     /* -p */
	TARGET_BY_COMMAND = 1u << 1, /* -- CMD */
};

/* Value of map `followed`, key: tgid. */
struct target_followed {
	__u64 start_boottime_ns; /* of the leader: a reused pid is not it; 0 = not known yet */
	__u32 bits;
	__u32 reserved;
};

/* Key of map `target_comms`. */
struct target_comm {
	char name[TARGET_COMM_BYTES]; /* NUL-padded */
};

/* Read-only knobs, set before load. All zero: every task is a target. */
struct target_filter {
	__u32 need_bits; /* TARGET_BY_*: of `followed` */
	__u32 by_tid;
	__u32 by_comm;
	__u32 cgroup_cnt; /* entries of `target_cgroups` */
};

#endif
