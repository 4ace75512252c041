/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The unwind tables of all files that matter, made on a thread of their own (a large library takes
 * a second), kept on disk beside the symbols, forgotten when long unused.
 *
 * A table is asked for by its binary; the answer comes at once from memory or disk, or later.  What
 * is kept in memory is bounded: tables mapped from the disk cache cost address space and page cache,
 * those that could not be written there heap.
 * The thread touches only what a request gave it (a descriptor of its own, the build-id), and its
 * own door to the disk cache.  All calls from one thread.
 */
#ifndef EBPFPROF_SYMBOLIZER_FRAME_TABLES_H
#define EBPFPROF_SYMBOLIZER_FRAME_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "symbolizer/frame_source.h"
#include "symbolizer/frame_table.h"

struct binary;
struct errmsg;
struct frame_tables;

struct frame_tables_config {
	bool with_cache;
	const char *cache_dir; /* NULL = the user's; borrowed */
	/* Of tables that are not mapped from disk; 0 = 64 MiB.  What frame_tables_trim() leaves at
	 * most; between two calls up to twice as much, beyond which tables are FAILED (-ENOSPC) */
	size_t heap_bytes_max;
};

enum frame_state {
	FRAME_STATE_PENDING, /* being made */
	FRAME_STATE_READY,
	FRAME_STATE_NO_INFO, /* the file tells nothing of frames */
	/* It could not be read, or its table is too large: @error.  What may pass (memory,
	 * descriptors, a file replaced) is tried again by a call ten seconds later. */
	FRAME_STATE_FAILED,
};

/**
 * frame_tables_new - -ENOMEM, or -errno of the descriptor
 * Without a folder for the cache it goes without; without a thread the caller's makes the tables.
 */
int frame_tables_new(const struct frame_tables_config *config, struct frame_tables **ret);

/**
 * frame_tables_free - end the thread; waits for the table that it is making: a second or two
 * Before the binaries' cache: those that wait are referenced.
 */
void frame_tables_free(struct frame_tables *tables);

/**
 * frame_tables_get - the table of @binary; the first call starts making it
 * @ret: valid until frame_tables_trim(); set when READY
 * @ret_error: -errno when FAILED; may be NULL
 *
 * One table for all binaries of one build-id.  A file without build-id is known by binary_id().
 */
enum frame_state frame_tables_get(struct frame_tables *tables, struct binary *binary,
				  const struct frame_table **ret, int *ret_error);

/** frame_tables_fd - readable when one or more that were pending have come; for epoll */
int frame_tables_fd(const struct frame_tables *tables);

/**
 * frame_tables_collect - take over what the thread has made; clears the descriptor
 * Returns how many came.
 */
size_t frame_tables_collect(struct frame_tables *tables);

/** frame_tables_wait - wait for those pending, at most @until_ns (monotonic); how many still are */
size_t frame_tables_wait(struct frame_tables *tables, uint64_t until_ns);

/**
 * frame_tables_trim - forget tables not asked for since @before_ns, and above the budget the oldest
 * What is mapped from disk takes no memory of the process afterwards, until it is read again.
 */
void frame_tables_trim(struct frame_tables *tables, uint64_t before_ns);

struct frame_tables_stats {
	size_t made, from_cache, no_info, failed, pending;
	size_t heap_bytes, mapped_bytes;
	uint64_t rows;
	struct frame_census census; /* sums over what was made */
	uint64_t build_ns;	    /* of the thread */
};
void frame_tables_stats(const struct frame_tables *tables, struct frame_tables_stats *ret);

#endif
