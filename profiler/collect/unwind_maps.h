/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The unwind tables in the kernel: files, their pages and rows, the mappings of processes
 * (bpf/unwind.h), within a budget.
 *
 * Blocks of rows are made when tables need them and unmade when they are empty; rules are shared
 * and counted by the files that use them.  What is taken away may still be read by a walk that is
 * under way, so its place is given to others only after unwind_maps_settle(), which the caller calls
 * when no program can still be running that began before (a membarrier, as at the end of an epoch).
 * Not thread-safe.
 */
#ifndef EBPFPROF_COLLECT_UNWIND_MAPS_H
#define EBPFPROF_COLLECT_UNWIND_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bpf/unwind.h"

struct errmsg;
struct shared_maps;
struct unwind_maps;

/**
 * unwind_maps_new
 * @maps: borrowed; created with unwind maps of full size
 * @bytes_max: of kernel memory for all of it, blocks and the fixed maps together
 */
int unwind_maps_new(struct shared_maps *maps, uint64_t bytes_max, struct unwind_maps **ret,
		    struct errmsg *err);
void unwind_maps_free(struct unwind_maps *unwind);

/* A table as it is handed in: symbolizer/frame_table.h, of the same layout. */
struct unwind_table_view {
	uint64_t first_page;
	uint32_t page_cnt, row_cnt, rule_cnt;
	const uint32_t *page_rows;
	const struct unwind_row *rows; /* their rules are indexes into @rules */
	const struct unwind_rule *rules;
};

/**
 * unwind_maps_add_file - a place in `unwind_files`, ABSENT
 * @ret_file: its index; one reference is the caller's
 * -ENOSPC: all are in use.
 */
int unwind_maps_add_file(struct unwind_maps *unwind, uint32_t *ret_file);
void unwind_maps_ref_file(struct unwind_maps *unwind, uint32_t file);

/** unwind_maps_put_file - at the last reference its table is taken away and its place freed */
void unwind_maps_put_file(struct unwind_maps *unwind, uint32_t file);

/**
 * unwind_maps_load - make @file READY
 *
 * -ENOSPC: it does not fit into the budget beside what is there: the caller may
 * unwind_maps_unload() others, settle, and try again.  -EINVAL: the table contradicts itself.
 * -EALREADY: it is READY.  -EAGAIN: its rows were taken away since the last settle.  -EMFILE: each
 * block is a descriptor.  -ENOMEM, -errno of the kernel.  The file's state is unchanged then.
 * Rules that find no room become UNWIND_RULE_FULL and are counted.
 * Cost: 4 ns a row; 10 to 30 ms of waiting when blocks must be made.
 */
int unwind_maps_load(struct unwind_maps *unwind, uint32_t file,
		     const struct unwind_table_view *table);

/** unwind_maps_unload - take its rows away: ABSENT again */
void unwind_maps_unload(struct unwind_maps *unwind, uint32_t file);

/** unwind_maps_set_state - NO_INFO or FULL or ABSENT, for a file that has no rows here */
void unwind_maps_set_state(struct unwind_maps *unwind, uint32_t file, enum unwind_file_state state);
enum unwind_file_state unwind_maps_state(const struct unwind_maps *unwind, uint32_t file);

/** unwind_maps_used - the clock when a walk looked at @file's table last (struct unwind_file) */
uint32_t unwind_maps_used(const struct unwind_maps *unwind, uint32_t file);

/** unwind_maps_file_bytes - kernel memory that unloading @file would free sooner or later */
uint64_t unwind_maps_file_bytes(const struct unwind_maps *unwind, uint32_t file);

/* ---- processes ---- */

struct unwind_list; /* mappings of one or more processes: parent and children */

/**
 * unwind_maps_add_list - mappings sorted by start, not overlapping
 * References of their files are taken.  One reference of the list is the caller's.
 * @mappings: their `list` is not looked at
 * -ENOSPC: no room; -EINVAL: not sorted, beyond 2^63, or a file that is not there; -ENOMEM, -errno of
 * the kernel.
 */
int unwind_maps_add_list(struct unwind_maps *unwind, const struct unwind_mapping *mappings,
			 size_t cnt, struct unwind_list **ret);
void unwind_maps_ref_list(struct unwind_list *list);
void unwind_maps_put_list(struct unwind_maps *unwind, struct unwind_list *list);

/**
 * unwind_maps_publish - walks of @tgid use @list from now on, if it is the image that is named
 * @mapped_ns: mappings made later are not in @list
 * @list: NULL = none: they are not known, but the image is
 * The caller keeps @list until it has published another one or forgotten the process.
 * -ENOSPC: `unwind_processes` is full.
 */
int unwind_maps_publish(struct unwind_maps *unwind, pid_t tgid, uint64_t start_boottime_ns,
			uint32_t exec_id, uint64_t mapped_ns, const struct unwind_list *list);

/** unwind_maps_has_deferred_mappings - unwind_maps_settle() would give room for lists back */
bool unwind_maps_has_deferred_mappings(const struct unwind_maps *unwind);

/** unwind_maps_image - what the kernel's hooks know of @tgid; false: nothing */
bool unwind_maps_image(const struct unwind_maps *unwind, pid_t tgid,
		       uint64_t *ret_start_boottime_ns, uint32_t *ret_exec_id);

/** unwind_maps_forget - the process has ended, or its mappings are not known any more */
void unwind_maps_forget(struct unwind_maps *unwind, pid_t tgid);

/* ---- upkeep ---- */

/** unwind_maps_settle - no program runs that began before what was taken away so far */
void unwind_maps_settle(struct unwind_maps *unwind);

/** unwind_maps_tick - advance the clock that walks mark files with; returns it */
uint32_t unwind_maps_tick(struct unwind_maps *unwind);

struct unwind_maps_stats {
	uint64_t bytes, bytes_max; /* kernel memory, fixed maps and blocks */
	uint32_t blocks, pages, rules, files, lists, mappings;
	uint64_t rows, free_rows; /* in tables; room in blocks that there are, or that is deferred */
	uint64_t rules_refused; /* rows whose rule found no room */
};
void unwind_maps_stats(const struct unwind_maps *unwind, struct unwind_maps_stats *ret);

#endif
