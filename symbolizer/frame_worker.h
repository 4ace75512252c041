/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The thread that makes unwind tables.  Part of frame_tables.c; nobody else includes this, tests
 * aside.
 *
 * It touches what a request gives it and its own door to the disk cache, nothing else.  It yields to
 * whatever else wants the processor (SCHED_BATCH, nice 10: a tenth of it where a task of nice 0 wants
 * it too; lower, a busy host would have no tables for minutes), and takes no signals.
 */
#ifndef EBPFPROF_SYMBOLIZER_FRAME_WORKER_H
#define EBPFPROF_SYMBOLIZER_FRAME_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "symbolizer/elf.h"
#include "symbolizer/frame_source.h"
#include "symbolizer/frame_table.h"
#include "symbolizer/symbol_cache.h"

#define FRAME_REQUESTS_MAX 32 /* asked and not fetched: each holds a descriptor, then a table */

struct frame_worker;

/* A table and what it lies in: an entry of the disk cache, or the heap. */
struct frame_bytes {
	struct frame_table table;
	struct symbol_cache_entry entry;
	void *heap;
	size_t heap_bytes; /* 0: it is mapped */
};

struct frame_request {
	void *context;		 /* of who asks */
	int fd;			 /* of the file; the request's */
	struct elf_build_id key; /* of the entry in the disk cache; len 0: none is written */
	uint64_t stamp;
};

struct frame_answer {
	void *context;
	int error; /* 0, -ENODATA it tells nothing of frames, or why it could not be made */
	struct frame_bytes bytes;
	struct frame_census census;
	uint64_t build_ns; /* processor time */
};

/** frame_bytes_release - give back what it lies in */
void frame_bytes_release(struct frame_bytes *bytes);

/** frame_bytes_unload - have a mapped table take no memory of the process until it is read again */
void frame_bytes_unload(const struct frame_bytes *bytes);

/**
 * frame_bytes_from_cache - the table that is in @cache
 * -ENOENT there is none, or no sound one; -ENOMEM
 */
int frame_bytes_from_cache(struct symbol_cache *cache, const struct elf_build_id *key,
			   uint64_t stamp, struct frame_bytes *ret);

/** frame_bytes_build - make the table of @elf, on the heap; errors as frame_source_build() */
int frame_bytes_build(struct elf_file *elf, struct frame_bytes *ret,
		      struct frame_census *ret_census);

/** frame_work - do what the thread does, here; closes the request's descriptor */
struct frame_answer frame_work(struct symbol_cache *cache, const struct frame_request *request);

/**
 * frame_worker_start
 * @cache: taken over, also on failure; NULL = none
 * @event_fd: an eventfd(2), borrowed; written to with each answer
 * @bytes_max: heap bytes in answers not fetched beyond which it pauses
 * Errors: -ENOMEM; -errno of the thread.
 */
int frame_worker_start(struct symbol_cache *cache, int event_fd, size_t bytes_max,
		       struct frame_worker **ret);

/**
 * frame_worker_stop - drop what is asked and what was not fetched, end the thread; NULL is fine
 * Waits for the table that is being made: up to a second or two for the largest files.
 */
void frame_worker_stop(struct frame_worker *worker);

/** frame_worker_ask - false: FRAME_REQUESTS_MAX are under way; the request stays the caller's */
bool frame_worker_ask(struct frame_worker *worker, const struct frame_request *request);

/** frame_worker_fetch - an answer, whose bytes are the caller's; false: none yet */
bool frame_worker_fetch(struct frame_worker *worker, struct frame_answer *ret);

/** frame_worker_wait - until there is an answer, nothing is under way, or @until_ns (monotonic) */
void frame_worker_wait(struct frame_worker *worker, uint64_t until_ns);

#endif
