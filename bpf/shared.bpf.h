/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Maps that several objects use: created once from shared.bpf.o, whose descriptors every other
 * object is given before it loads.  Sizes marked [load] are set by profiler/collect/shared.c.
 */
#ifndef EBPFPROF_BPF_SHARED_BPF_H
#define EBPFPROF_BPF_SHARED_BPF_H

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>

#include "bpf/sample.h"
#include "bpf/stat.h"
#include "bpf/target.h"
#include "bpf/unwind.h"

/*
 * Followed processes.  Written: user space (-p, CMD) at start, follow.bpf.c at each fork, which
 * also deletes.  Read: every filter.  Full: the child is not followed, STAT_FOLLOW_FULL.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* [load] TARGET_FOLLOWED_MAX with -p or CMD */
	__type(key, __u32);
	__type(value, struct target_followed);
} followed SEC(".maps");

/* Threads of -t.  Written once at start by user space; at most TARGET_LIST_MAX [load]. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} target_tids SEC(".maps");

/* Names of -c, NUL-padded.  Written once at start by user space; TARGET_LIST_MAX [load]. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct target_comm);
	__type(value, __u32);
} target_comms SEC(".maps");

/* Directories of --cgroup (v2).  Written once at start by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__uint(max_entries, TARGET_CGROUPS_MAX);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} target_cgroups SEC(".maps");

/* See stat.h. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2 * STAT_CNT);
	__type(key, __u32);
	__type(value, __u64);
} stats SEC(".maps");

/* Epoch and map generations.  Written: user space through its mapping.  Read: every program. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sampler_control);
} control SEC(".maps");

/*
 * Frames and names on their way to user space.  Written: every program that takes a stack,
 * without wake-ups.  Read: user space on its timer.  [load] 4 KiB per CPU and 99 Hz between two
 * drains, at least 512 KiB.  Full: the writer does not mark the id as seen and so sends it again
 * at the next hit (STAT_BODY_RING_FULL).
 */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 512 * 1024);
} bodies SEC(".maps");

/*
 * Ids whose body was sent in this epoch: a direct-mapped array, not a hash.  Nothing in it takes
 * a lock, so it is safe from every context including NMI; it costs 8 bytes an id; and it cannot
 * be full: two ids in want of one place only send their bodies again.  [load] power of two.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct seen_slot);
} seen SEC(".maps");

/* ---- unwind tables: see unwind.h.  Written by user space (collect/unwind_maps.c) ---- */

/*
 * Whose mappings are where.  Also written by images.bpf.c: fork, exec, exit.  [load] Full: a process
 * without a place is unknown, its samples travel whole (BODY_RAW_STACK).
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct unwind_process);
} unwind_processes SEC(".maps");

/* [load] Full: as above. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct unwind_mapping);
} unwind_mappings SEC(".maps");

/* [load] Full: mappings of further files are left out: samples in them travel whole. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct unwind_file);
} unwind_files SEC(".maps");

/* [load] Full: the file is UNWIND_FILE_FULL. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct unwind_page);
} unwind_pages SEC(".maps");

/* [load] Full: UNWIND_RULE_FULL, counted. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct unwind_rule);
} unwind_rules SEC(".maps");

/* Rows, 256 KiB a block.  Blocks come and go with the tables, within --unwind-memory. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, UNWIND_BLOCKS_MAX);
	__type(key, __u32);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_ARRAY);
		__uint(map_flags, BPF_F_MMAPABLE);
		__uint(max_entries, 1);
		__uint(key_size, sizeof(__u32));
		__uint(value_size, sizeof(struct unwind_block)); /* clang leaves its type out */
	});
} unwind_blocks SEC(".maps");

/*
 * Recently used addresses: 48 bits of a hash over (list of mappings, address) or (file, address in
 * it), 15 of the rule, one that a call stands before the address.  Direct-mapped, no lock, one word: a lost race or a collision only
 * means another search.  Written and read: the walk.  [load]
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} unwind_cache SEC(".maps");

#endif
