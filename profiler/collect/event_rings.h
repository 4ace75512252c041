/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One ring for each online CPU, into which any number of perf events of that CPU write, and whose
 * records are read in the order of their time.
 *
 * What writes into them has sample_type PERF_SAMPLE_ID_TYPE (and in samples, behind it,
 * PERF_SAMPLE_CALLCHAIN), sample_id_all, and use_clockid with CLOCK_MONOTONIC.
 */
#ifndef EBPFPROF_COLLECT_EVENT_RINGS_H
#define EBPFPROF_COLLECT_EVENT_RINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "profiler/collect/perf_event.h"

struct errmsg;

struct event_ring {
	int fd; /* of a dummy event, by which the ring is mapped */
	unsigned int cpu;
	struct perf_ring ring;
	char *copy;				/* see perf_ring_record() */
	uint64_t head;				/* as of event_rings_begin() */
	const struct perf_event_header *record; /* the next to be read; NULL = none */
	uint64_t time_ns;			/* of it */
};

struct event_rings {
	struct event_ring *rings; /* [cnt] */
	size_t cnt;
	size_t bytes; /* of one; less than was asked for where the kernel refused more */
	int epoll_fd; /* readable when a ring is half full */
	struct event_ring *taken; /* whose record the caller has */
	uint64_t garbled;	  /* times that a ring's content made no sense and was emptied */
};

#define EVENT_RINGS_INIT                                                                           \
	{                                                                                          \
		.epoll_fd = -1                                                                     \
	}

/**
 * event_rings_open - rings of @bytes (a power of two), or less where locked memory is short
 *
 * Errors: -EACCES (kernel.perf_event_paranoid), -EPERM (seccomp; or not even the smallest ring
 * may be locked), -EMFILE, -ENOMEM: with what to do in @err.  @rings is empty then.
 */
int event_rings_open(struct event_rings *rings, size_t bytes, struct errmsg *err);
void event_rings_close(struct event_rings *rings);

/** event_rings_add_cpu - one that came online; -errno */
int event_rings_add_cpu(struct event_rings *rings, unsigned int cpu);

/** event_rings_find - of @cpu, or NULL */
struct event_ring *event_rings_find(const struct event_rings *rings, unsigned int cpu);

/** event_ring_attach - let event @fd, of the same CPU, write into @ring; -errno */
int event_ring_attach(const struct event_ring *ring, int fd);

/** event_rings_begin - what is in the rings now will be read */
void event_rings_begin(struct event_rings *rings);

/**
 * event_rings_next - the oldest record up to @until_ns, or NULL
 *
 * Valid until the next call, which gives its room back.
 */
const struct perf_event_header *event_rings_next(struct event_rings *rings, uint64_t until_ns);

/** event_rings_look - hand on every record, in no order, and leave them where they are */
void event_rings_look(const struct event_rings *rings,
		      void (*visit)(void *context, const struct perf_event_header *record),
		      void *context);

/** event_rings_map_bytes - memory that the rings take */
size_t event_rings_map_bytes(const struct event_rings *rings);

/** perf_record_time - by its sample_id; 0 where it has none */
uint64_t perf_record_time(const struct perf_event_header *record);

#endif
