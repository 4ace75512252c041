/* SPDX-License-Identifier: BSD-2-Clause */
/* Records of sampling events, and rings of them in memory of ours. */
#ifndef EBPFPROF_TESTS_RING_FIXTURE_H
#define EBPFPROF_TESTS_RING_FIXTURE_H

#include <linux/perf_event.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "profiler/collect/event_rings.h"

struct made_record {
	_Alignas(8) char bytes[8192];
	size_t len;
};

static inline void record_add(struct made_record *record, const void *bytes, size_t len)
{
	if (len)
		memcpy(record->bytes + record->len, bytes, len);
	record->len += len;
	((struct perf_event_header *)record->bytes)->size = (uint16_t)record->len;
}

static inline void record_u32(struct made_record *record, uint32_t value)
{
	record_add(record, &value, sizeof(value));
}

static inline void record_u64(struct made_record *record, uint64_t value)
{
	record_add(record, &value, sizeof(value));
}

static inline struct made_record record_begin(uint32_t type, uint16_t misc)
{
	const struct perf_event_header header = { .type = type, .misc = misc };
	struct made_record record = { .len = 0 };

	record_add(&record, &header, sizeof(header));
	return record;
}

#define RECORD_ROOT_ID 0x7007u

/* PERF_SAMPLE_ID_TYPE: at the end of what is no sample, at the beginning of one. */
static inline void record_id(struct made_record *record, uint32_t pid, uint32_t tid,
			     uint64_t time_ns)
{
	record_u32(record, pid);
	record_u32(record, tid);
	record_u64(record, time_ns);
	record_u64(record, RECORD_ROOT_ID);
}

static inline struct made_record sample_of(uint32_t pid, uint32_t tid, uint64_t time_ns,
					   const uint64_t *ips, size_t cnt)
{
	struct made_record record = record_begin(PERF_RECORD_SAMPLE, PERF_RECORD_MISC_USER);

	record_id(&record, pid, tid, time_ns);
	record_u64(&record, cnt);
	record_add(&record, ips, cnt * sizeof(ips[0]));
	return record;
}

/* PERF_RECORD_FORK or PERF_RECORD_EXIT */
static inline struct made_record task_of(uint32_t type, uint32_t pid, uint32_t tid,
					 uint32_t parent_pid, uint32_t parent_tid,
					 uint64_t time_ns)
{
	struct made_record record = record_begin(type, 0);

	record_u32(&record, pid);
	record_u32(&record, parent_pid);
	record_u32(&record, tid);
	record_u32(&record, parent_tid);
	record_u64(&record, time_ns);
	record_id(&record, parent_pid, parent_tid, time_ns);
	return record;
}

static inline struct made_record comm_of(uint16_t misc, uint32_t pid, uint32_t tid,
					 const char *name, uint64_t time_ns)
{
	struct made_record record = record_begin(PERF_RECORD_COMM, misc);
	char padded[16] = {};

	record_u32(&record, pid);
	record_u32(&record, tid);
	strncpy(padded, name, sizeof(padded) - 1);
	record_add(&record, padded, (strlen(padded) + 1 + 7) / 8 * 8);
	record_id(&record, pid, tid, time_ns);
	return record;
}

static inline const struct perf_event_header *header_of(const struct made_record *record)
{
	return (const void *)record->bytes;
}

/* ---- rings ---- */

static inline void ring_make(struct event_ring *ring, unsigned int cpu, size_t data_bytes,
			     uint64_t position)
{
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	void *page = NULL;

	if (posix_memalign(&page, page_bytes, page_bytes + data_bytes) != 0)
		abort();
	memset(page, 0, page_bytes + data_bytes);
	*ring = (struct event_ring){ .fd = -1, .cpu = cpu };
	ring->ring = (struct perf_ring){ .page = page, .data_bytes = data_bytes };
	ring->ring.page->data_head = ring->ring.page->data_tail = position;
	/* malloc() may be told to fail: not here. */
	if (posix_memalign((void **)&ring->copy, 8, PERF_RECORD_BYTES_MAX) != 0)
		abort();
}

static inline void ring_unmake(struct event_ring *ring)
{
	free(ring->ring.page);
	free(ring->copy);
}

/* As the kernel writes one: bytes go round the end. */
static inline void ring_write(struct event_ring *ring, const void *bytes, size_t len)
{
	char *data = (char *)ring->ring.page + (size_t)sysconf(_SC_PAGESIZE);
	uint64_t head = ring->ring.page->data_head;
	size_t i;

	for (i = 0; i < len; i++)
		data[(head + i) & (ring->ring.data_bytes - 1)] = ((const char *)bytes)[i];
	ring->ring.page->data_head = head + len;
}

#endif
