/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records are copied out of all rings, sorted by time and handed on up to a cut: a ring is read
 * after another one, so the newest records of the first may be older than what the second got
 * meanwhile; those wait for the next drain.
 */
#include "profiler/collect/sideband.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"
#include "profiler/collect/cpus.h"
#include "profiler/collect/event_rings.h"
#include "profiler/collect/event_tasks.h"
#include "profiler/collect/perf_event.h"
#include "profiler/collect/sideband_record.h"

#define PENDING_MAX (64u << 20) /* bytes of records that wait; a drain empties them */

struct cpu_ring {
	int fd;
	unsigned int cpu;
	struct perf_ring ring;
};

struct pending {
	uint64_t time_ns;
	size_t offset; /* in `records` */
	size_t order;  /* of arrival: keeps equal times stable */
};

struct sideband {
	struct cpu_ring *rings; /* [ring_cnt], each of a whole CPU */
	size_t ring_cnt;
	size_t ring_bytes;
	struct event_rings shared; /* into which the events of single threads write */
	struct event_tasks tasks;
	int epoll_fd;
	bool with_build_id;
	char *records; /* copies, back to back */
	size_t records_len, records_capacity;
	struct pending *pending; /* [pending_cnt] */
	size_t pending_cnt, pending_capacity;
	uint64_t dropped;
};

static struct perf_event_attr dummy_attr(void)
{
	return (struct perf_event_attr){
		.size = sizeof(struct perf_event_attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_DUMMY,
		.sample_type = PERF_SAMPLE_ID_TYPE,
		.sample_id_all = 1,
		.mmap = 1,
		.mmap2 = 1,
		.comm = 1,
		.comm_exec = 1,
		.task = 1,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
	};
}

static int open_ring(struct sideband *sideband, unsigned int cpu, struct cpu_ring *ret)
{
	struct perf_event_attr attr = dummy_attr();
	struct epoll_event wanted = { .events = EPOLLIN };
	struct cpu_ring ring = { .cpu = cpu };
	int code;

	attr.build_id = sideband->with_build_id;
	attr.watermark = 1;
	attr.wakeup_watermark = (uint32_t)sideband->ring_bytes / 2;
	ring.fd = perf_event_open(&attr, (int)cpu);
	/* COMPAT(5.10): no build-ids in records before 5.12 (88a16a130933). */
	if (ring.fd == -EINVAL && sideband->with_build_id) {
		sideband->with_build_id = false;
		attr.build_id = 0;
		ring.fd = perf_event_open(&attr, (int)cpu);
	}
	if (ring.fd < 0)
		return ring.fd;
	code = perf_ring_map(ring.fd, sideband->ring_bytes, &ring.ring);
	if (!code && epoll_ctl(sideband->epoll_fd, EPOLL_CTL_ADD, ring.fd, &wanted) != 0)
		code = -errno;
	if (code) {
		perf_ring_unmap(&ring.ring);
		close(ring.fd);
		return code;
	}
	*ret = ring;
	return 0;
}

static int add_ring(struct sideband *sideband, unsigned int cpu)
{
	struct cpu_ring *rings =
		realloc(sideband->rings, (sideband->ring_cnt + 1) * sizeof(*rings));
	int code;

	if (!rings)
		return -ENOMEM;
	sideband->rings = rings;
	code = open_ring(sideband, cpu, &rings[sideband->ring_cnt]);
	if (!code)
		sideband->ring_cnt++;
	return code;
}

static void close_ring(struct cpu_ring *ring)
{
	perf_ring_unmap(&ring->ring);
	fd_closep(&ring->fd);
}

int sideband_new(size_t ring_bytes_per_cpu, bool build_ids, struct sideband **ret,
		 struct errmsg *err)
{
	struct sideband *sideband = calloc(1, sizeof(*sideband));
	struct cpu_set_bits online;
	unsigned int cpu;
	int code;

	if (!sideband)
		return err_set(err, -ENOMEM, "cannot follow processes");
	sideband->ring_bytes = ring_bytes_per_cpu;
	sideband->with_build_id = build_ids;
	sideband->shared = (struct event_rings)EVENT_RINGS_INIT;
	sideband->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	code = sideband->epoll_fd < 0 ? -errno : cpus_online(&online);
	if (code)
		err_set(err, code, "cannot follow processes");
	for (cpu = 0; cpu < CPUS_MAX && !code; cpu++) {
		if (!cpus_has(&online, cpu))
			continue;
		code = add_ring(sideband, cpu);
		if (code == -ENODEV)
			code = 0;
		else if (code)
			perf_event_failed(code, "process side-band", (int)cpu, err);
	}
	if (code) {
		sideband_free(sideband);
		return code;
	}
	*ret = sideband;
	return 0;
}

int sideband_new_of(const struct targets *targets, pid_t command, size_t ring_bytes_per_cpu,
		    struct sideband **ret, struct errmsg *err)
{
	struct sideband *sideband = calloc(1, sizeof(*sideband));
	struct perf_event_attr attr = dummy_attr();
	int code;

	if (!sideband)
		return err_set(err, -ENOMEM, "cannot follow processes");
	sideband->epoll_fd = -1;
	attr.exclude_kernel = 1;
	attr.inherit = 1;
	event_tasks_init(&sideband->tasks, &attr, &sideband->shared);
	code = event_rings_open(&sideband->shared, ring_bytes_per_cpu, err);
	if (!code)
		code = event_tasks_open(&sideband->tasks, targets, command, err);
	if (code) {
		sideband_free(sideband);
		return code;
	}
	*ret = sideband;
	return 0;
}

void sideband_free(struct sideband *sideband)
{
	size_t i;

	if (!sideband)
		return;
	for (i = 0; i < sideband->ring_cnt; i++)
		close_ring(&sideband->rings[i]);
	event_tasks_close(&sideband->tasks);
	event_rings_close(&sideband->shared);
	fd_closep(&sideband->epoll_fd);
	free(sideband->rings);
	free(sideband->records);
	free(sideband->pending);
	free(sideband);
}

int sideband_poll_fd(const struct sideband *sideband)
{
	return sideband->shared.cnt ? sideband->shared.epoll_fd : sideband->epoll_fd;
}

int sideband_check_cpus(struct sideband *sideband)
{
	struct cpu_set_bits online, have = {};
	int code = cpus_online(&online);
	unsigned int cpu;
	size_t i;

	/* Threads have their events on each CPU that was online at the start. */
	if (code || sideband->shared.cnt)
		return code;
	for (i = 0; i < sideband->ring_cnt; i++) {
		cpu = sideband->rings[i].cpu;
		have.bits[cpu / 64] |= 1ull << (cpu % 64);
	}
	/* An offline CPU's ring stays until it has been drained. */
	for (i = 0; i < sideband->ring_cnt;) {
		struct cpu_ring *ring = &sideband->rings[i];

		if (cpus_has(&online, ring->cpu) ||
		    ring->ring.page->data_head != ring->ring.page->data_tail) {
			i++;
			continue;
		}
		close_ring(ring);
		*ring = sideband->rings[--sideband->ring_cnt];
	}
	for (cpu = 0; cpu < CPUS_MAX; cpu++)
		if (cpus_has(&online, cpu) && !cpus_has(&have, cpu))
			add_ring(sideband, cpu);
	return 0;
}

static bool keep_room(struct sideband *sideband, size_t bytes)
{
	if (sideband->records_len + bytes > sideband->records_capacity) {
		size_t capacity = MAX(sideband->records_capacity * 2, (size_t)65536 + bytes);
		char *records = realloc(sideband->records, capacity);

		if (!records)
			return false;
		sideband->records = records;
		sideband->records_capacity = capacity;
	}
	if (sideband->pending_cnt == sideband->pending_capacity) {
		size_t capacity = MAX(sideband->pending_capacity * 2, (size_t)256);
		struct pending *pending = realloc(sideband->pending, capacity * sizeof(*pending));

		if (!pending)
			return false;
		sideband->pending = pending;
		sideband->pending_capacity = capacity;
	}
	return true;
}

static int keep_record(void *context, const struct perf_event_header *record)
{
	struct sideband *sideband = context;
	struct pending *pending;
	uint64_t time_ns;

	sideband->dropped += sideband_record_lost(record);
	if (!sideband_record_time(record, &time_ns))
		return 0;
	if (sideband->records_len > PENDING_MAX || !keep_room(sideband, record->size)) {
		sideband->dropped++;
		return 0;
	}
	pending = &sideband->pending[sideband->pending_cnt];
	pending->time_ns = time_ns;
	pending->offset = sideband->records_len;
	pending->order = sideband->pending_cnt++;
	memcpy(sideband->records + sideband->records_len, record, record->size);
	sideband->records_len += record->size;
	return 0;
}

static int by_time(const void *a, const void *b)
{
	const struct pending *left = a, *right = b;

	if (left->time_ns != right->time_ns)
		return left->time_ns < right->time_ns ? -1 : 1;
	return left->order < right->order ? -1 : left->order > right->order;
}

/* Drop the first @cnt pending records; the bytes of the rest move into a new buffer. */
static void forget_pending(struct sideband *sideband, size_t cnt)
{
	struct sideband rest = { .records = NULL };
	size_t i;

	sideband->pending_cnt -= cnt;
	memmove(sideband->pending, sideband->pending + cnt,
		sideband->pending_cnt * sizeof(*sideband->pending));
	for (i = 0; i < sideband->pending_cnt; i++) {
		struct pending *pending = &sideband->pending[i];
		const struct perf_event_header *record =
			(const void *)(sideband->records + pending->offset);

		pending->order = i;
		rest.pending_capacity = SIZE_MAX; /* only the bytes are wanted */
		if (!keep_room(&rest, record->size)) {
			free(rest.records);
			return; /* the old buffer still serves */
		}
		memcpy(rest.records + rest.records_len, record, record->size);
		rest.records_len += record->size;
	}
	rest.records_len = 0;
	for (i = 0; i < sideband->pending_cnt; i++) {
		sideband->pending[i].offset = rest.records_len;
		rest.records_len +=
			((const struct perf_event_header *)(rest.records + rest.records_len))->size;
	}
	free(sideband->records);
	sideband->records = rest.records;
	sideband->records_len = rest.records_len;
	sideband->records_capacity = rest.records_capacity;
}

int64_t sideband_drain(struct sideband *sideband, uint64_t until_ns,
		       int (*visit)(void *context, const struct sideband_event *event),
		       void *context)
{
	uint64_t dropped;
	size_t i, done;
	int code = 0;

	for (i = 0; i < sideband->ring_cnt; i++)
		if (perf_ring_drain(&sideband->rings[i].ring, keep_record, sideband) != 0)
			sideband->dropped++; /* the ring made no sense and was emptied */
	for (i = 0; i < sideband->shared.cnt; i++)
		if (perf_ring_drain(&sideband->shared.rings[i].ring, keep_record, sideband) != 0)
			sideband->dropped++;
	if (sideband->pending_cnt) /* qsort() wants an array even of nothing */
		qsort(sideband->pending, sideband->pending_cnt, sizeof(*sideband->pending), by_time);
	for (done = 0; done < sideband->pending_cnt && code >= 0; done++) {
		const struct pending *pending = &sideband->pending[done];
		struct sideband_event event;

		if (pending->time_ns > until_ns)
			break;
		if (sideband_record_parse((const void *)(sideband->records + pending->offset),
					  sideband->with_build_id,
					  &event))
			code = visit(context, &event);
	}
	forget_pending(sideband, done);
	if (code < 0)
		return code;
	dropped = sideband->dropped;
	sideband->dropped = 0;
	return (int64_t)dropped;
}
