/* SPDX-License-Identifier: BSD-2-Clause */
/* perf_event_open(2) and its ring, shared by the sampler and the side-band. */
#ifndef EBPFPROF_COLLECT_PERF_EVENT_H
#define EBPFPROF_COLLECT_PERF_EVENT_H

#include <linux/perf_event.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct errmsg;

/*
 * With sample_id_all and this as sample_type, what is no sample ends in a perf_sample_id; a sample
 * begins with one.  The id is that of the event, or of the one that it was inherited from.
 */
#define PERF_SAMPLE_ID_TYPE (PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_ID)

struct perf_sample_id {
	uint32_t pid, tid;
	uint64_t time_ns; /* of the clock that the event uses */
	uint64_t id;
};

/** perf_event_open - all tasks on @cpu; a descriptor (close-on-exec) or -errno */
int perf_event_open(struct perf_event_attr *attr, int cpu);

/**
 * perf_event_open_of - of task @pid (-1 = all, 0 = the caller; with PERF_FLAG_PID_CGROUP in @flags
 * the descriptor of a cgroup) on @cpu; a descriptor (close-on-exec) or -errno
 */
int perf_event_open_of(struct perf_event_attr *attr, pid_t pid, int cpu, unsigned long flags);

/** perf_event_try - open and close an event of all tasks of CPU 0: 0 or -errno */
int perf_event_try(uint32_t type, uint64_t config);

/** perf_event_try_clock - the same, of the kind that we sample by */
int perf_event_try_clock(void);

/** perf_event_failed - fill @err for an event that could not be opened, with what to do */
int perf_event_failed(int code, const char *what, int cpu, struct errmsg *err);

/* The kernel's ring of one event: tools/include/uapi/linux/perf_event.h, perf_event_mmap_page. */
struct perf_ring {
	struct perf_event_mmap_page *page; /* NULL = not mapped */
	size_t data_bytes;		   /* power of two */
};

int perf_ring_map(int fd, size_t data_bytes, struct perf_ring *ret);
void perf_ring_unmap(struct perf_ring *ring);

#define PERF_RECORD_BYTES_MAX 65536u /* a record's size is 16 bits wide */

/** perf_ring_head - up to where the kernel has written */
uint64_t perf_ring_head(const struct perf_ring *ring);

/** perf_ring_tail - from where on the kernel may not write */
uint64_t perf_ring_tail(const struct perf_ring *ring);

/**
 * perf_ring_record - the record at @position, which is before @head
 * @copy: [PERF_RECORD_BYTES_MAX] 8-byte aligned, for one that lies across the ring's end
 *
 * Valid until @copy is used again or its room is given back.  NULL: it makes no sense.
 */
const struct perf_event_header *perf_ring_record(const struct perf_ring *ring, uint64_t position,
						 uint64_t head, char *copy);

/** perf_ring_give_back - what is before @position was read */
void perf_ring_give_back(struct perf_ring *ring, uint64_t position);

/**
 * perf_ring_drain - hand every record to @visit, then give its room back
 * @visit: @record is contiguous and 8-byte aligned, valid during the call
 *
 * Returns the first non-zero answer of @visit (the record counts as read), or 0; -EBADMSG when
 * the ring's content makes no sense (it is emptied).
 */
int perf_ring_drain(struct perf_ring *ring,
		    int (*visit)(void *context, const struct perf_event_header *record),
		    void *context);

#endif
