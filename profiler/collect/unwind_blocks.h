/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Blocks of rows (map `unwind_blocks`, bpf/unwind.h): made when rows find no room in those that
 * there are, within a budget, and unmade when they are empty.
 *
 * A row's place is one number: block * UNWIND_BLOCK_ROWS + index.  Not thread-safe.
 */
#ifndef EBPFPROF_COLLECT_UNWIND_BLOCKS_H
#define EBPFPROF_COLLECT_UNWIND_BLOCKS_H

#include <stdint.h>

#include "bpf/unwind.h"
#include "profiler/collect/unwind_space.h"

struct unwind_table_view;

struct unwind_blocks {
	int map_fd; /* borrowed */
	int *fds;   /* [UNWIND_BLOCKS_MAX] -1 = no block of this number */
	uint32_t cnt;
	uint64_t bytes_max;   /* for all */
	uint64_t block_bytes; /* kernel memory of one */
	struct unwind_space rows;
};

/** unwind_blocks_init - @map_fd: borrowed; makes none.  -ENOMEM, -errno of the kernel */
int unwind_blocks_init(struct unwind_blocks *blocks, int map_fd, uint64_t bytes_max);
void unwind_blocks_free(struct unwind_blocks *blocks);

/**
 * unwind_blocks_place - room for all rows of @table
 * @ret: runs of whole pages, in the table's order; `at` is the caller's
 *
 * -ENOSPC: beyond the budget.  -EMFILE (a block is a descriptor), -ENOMEM, -errno of the kernel.
 * New blocks cost a wait for all running BPF programs, 10 to 30 ms; so some are made ahead.
 */
int unwind_blocks_place(struct unwind_blocks *blocks, const struct unwind_table_view *table,
			struct unwind_extents *ret);

/** unwind_blocks_write - @cnt rows at @first, within one block; @rules: indexes to replace theirs */
int unwind_blocks_write(struct unwind_blocks *blocks, uint32_t first, const struct unwind_row *rows,
			uint32_t cnt, const uint16_t *rules);

/** unwind_blocks_give - free runs that no walk can have found, and their list */
void unwind_blocks_give(struct unwind_blocks *blocks, struct unwind_extents *runs);

/** unwind_blocks_defer - free runs after the next unwind_blocks_settle(), and their list now */
void unwind_blocks_defer(struct unwind_blocks *blocks, struct unwind_extents *runs);

/** unwind_blocks_settle - also unmakes some empty blocks; each costs a wait, so not all at once */
void unwind_blocks_settle(struct unwind_blocks *blocks);

#endif
