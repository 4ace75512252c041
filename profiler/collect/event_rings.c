/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An ordinary user cannot open an event of a whole CPU, and each thread's event can be mapped only
 * into a ring of its own or be redirected to one of the same CPU (PERF_EVENT_IOC_SET_OUTPUT).  So
 * each ring is mapped by an event that counts nothing and lives as long as we do: a dummy of our
 * own thread on that CPU.  A ring per thread would lock much more memory than a user may.
 *
 * Reading is a merge: each ring is in the order of time by itself, and the next record is the
 * oldest of their first ones.  Nothing is copied or sorted, so what waits takes no memory but the
 * rings'.  A look at each ring for each record is less work than a heap for the CPUs of today at
 * rates of some hundred Hz.
 */
#include "profiler/collect/event_rings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"
#include "profiler/base/fileio.h"
#include "profiler/base/strbuf.h"
#include "profiler/collect/cpus.h"
#include "profiler/collect/host.h"

#define RING_BYTES_MIN 8192u /* some records of the deepest stack */

static size_t ring_bytes_min(void)
{
	return MAX((size_t)sysconf(_SC_PAGESIZE), (size_t)RING_BYTES_MIN);
}

/* Open and map the ring of @cpu into @ring, whose `copy` is there. */
static int open_ring(struct event_rings *rings, unsigned int cpu, struct event_ring *ring)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_DUMMY,
		.sample_type = PERF_SAMPLE_ID_TYPE,
		.sample_id_all = 1,
		.exclude_kernel = 1,
		.disabled = 1,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
		.watermark = 1,
		.wakeup_watermark = (uint32_t)(rings->bytes / 2),
	};
	struct epoll_event wanted = { .events = EPOLLIN };
	_cleanup_close_ int fd = -1;
	int code;

	fd = perf_event_open_of(&attr, 0, (int)cpu, 0);
	if (fd < 0)
		return fd;
	code = perf_ring_map(fd, rings->bytes, &ring->ring);
	/* -EPERM: kernel.perf_event_mlock_kb and RLIMIT_MEMLOCK are used up. */
	if (code)
		return code == -EPERM ? -ENOBUFS : code;
	if (epoll_ctl(rings->epoll_fd, EPOLL_CTL_ADD, fd, &wanted) != 0) {
		code = -errno;
		perf_ring_unmap(&ring->ring);
		return code;
	}
	ring->fd = fd_take(&fd);
	ring->cpu = cpu;
	return 0;
}

uint64_t perf_record_time(const struct perf_event_header *record)
{
	struct perf_sample_id id;
	size_t at = sizeof(*record);

	if (record->size < sizeof(*record) + sizeof(id))
		return 0;
	if (record->type != PERF_RECORD_SAMPLE)
		at = record->size - sizeof(id);
	memcpy(&id, (const char *)record + at, sizeof(id));
	return id.time_ns;
}

/* Make the record at the ring's tail the next one. */
static void peek(struct event_rings *rings, struct event_ring *ring)
{
	uint64_t tail = perf_ring_tail(&ring->ring);

	ring->record = NULL;
	if (tail == ring->head)
		return;
	ring->record = perf_ring_record(&ring->ring, tail, ring->head, ring->copy);
	if (ring->record) {
		ring->time_ns = perf_record_time(ring->record);
		return;
	}
	rings->garbled++;
	perf_ring_give_back(&ring->ring, ring->head);
}

static void give_back(struct event_rings *rings)
{
	struct event_ring *ring = rings->taken;

	rings->taken = NULL;
	if (!ring)
		return;
	perf_ring_give_back(&ring->ring, perf_ring_tail(&ring->ring) + ring->record->size);
	peek(rings, ring);
}

int event_rings_add_cpu(struct event_rings *rings, unsigned int cpu)
{
	struct event_ring ring = { .fd = -1, .copy = malloc(PERF_RECORD_BYTES_MAX) }, *more;
	int code;

	give_back(rings); /* before it moves */
	more = ring.copy ? realloc(rings->rings, (rings->cnt + 1) * sizeof(*more)) : NULL;
	code = more ? 0 : -ENOMEM;
	if (more) {
		rings->rings = more;
		code = open_ring(rings, cpu, &ring);
	}
	if (code) {
		free(ring.copy);
		return code;
	}
	rings->rings[rings->cnt++] = ring;
	return 0;
}

static int open_failed(int code, struct errmsg *err)
{
	long level = host_perf_paranoid();

	if ((code == -EACCES || code == -EPERM) && level > 2) {
		err_say(err, -EACCES,
			"not allowed to open perf events: kernel.perf_event_paranoid is %ld; sudo "
			"sysctl kernel.perf_event_paranoid=2 allows them for one's own processes",
			level);
		return -EACCES;
	}
	if (code == -EPERM || code == -ENOSYS)
		return err_say(err, -EPERM,
			       "not allowed to open perf events: a seccomp filter, such as a "
			       "container's, refuses perf_event_open; allow it there, or run "
			       "outside");
	if (code == -ENOBUFS)
		return err_say(err, code,
			       "cannot map the rings of perf events: the memory that this user may "
			       "lock is used up; sudo sysctl kernel.perf_event_mlock_kb=4096, or "
			       "ulimit -l");
	return err_set(err, code, "cannot open the rings of perf events");
}

static int open_all(struct event_rings *rings, size_t bytes)
{
	struct cpu_set_bits online;
	unsigned int cpu;
	int code;

	*rings = (struct event_rings)EVENT_RINGS_INIT;
	rings->bytes = bytes;
	rings->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	code = rings->epoll_fd < 0 ? -errno : cpus_online(&online);
	for (cpu = 0; cpu < CPUS_MAX && !code; cpu++)
		if (cpus_has(&online, cpu))
			code = event_rings_add_cpu(rings, cpu);
	if (code)
		event_rings_close(rings);
	return code;
}

int event_rings_open(struct event_rings *rings, size_t bytes, struct errmsg *err)
{
	int code;

	bytes = MAX(bytes, ring_bytes_min());
	code = open_all(rings, bytes);
	while (code == -ENOBUFS && bytes / 2 >= ring_bytes_min()) {
		bytes /= 2;
		code = open_all(rings, bytes);
	}
	return code ? open_failed(code, err) : 0;
}

void event_rings_close(struct event_rings *rings)
{
	size_t i;

	for (i = 0; i < rings->cnt; i++) {
		perf_ring_unmap(&rings->rings[i].ring);
		fd_closep(&rings->rings[i].fd);
		free(rings->rings[i].copy);
	}
	free(rings->rings);
	fd_closep(&rings->epoll_fd);
	*rings = (struct event_rings)EVENT_RINGS_INIT;
}

struct event_ring *event_rings_find(const struct event_rings *rings, unsigned int cpu)
{
	size_t i;

	for (i = 0; i < rings->cnt; i++)
		if (rings->rings[i].cpu == cpu)
			return &rings->rings[i];
	return NULL;
}

int event_ring_attach(const struct event_ring *ring, int fd)
{
	return ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, ring->fd) == 0 ? 0 : -errno;
}

void event_rings_begin(struct event_rings *rings)
{
	size_t i;

	give_back(rings);
	for (i = 0; i < rings->cnt; i++) {
		struct event_ring *ring = &rings->rings[i];

		ring->head = perf_ring_head(&ring->ring);
		peek(rings, ring);
	}
}

const struct perf_event_header *event_rings_next(struct event_rings *rings, uint64_t until_ns)
{
	struct event_ring *oldest = NULL;
	size_t i;

	give_back(rings);
	for (i = 0; i < rings->cnt; i++) {
		struct event_ring *ring = &rings->rings[i];

		if (ring->record && (!oldest || ring->time_ns < oldest->time_ns))
			oldest = ring;
	}
	if (!oldest || oldest->time_ns > until_ns)
		return NULL;
	rings->taken = oldest;
	return oldest->record;
}

void event_rings_look(const struct event_rings *rings,
		      void (*visit)(void *context, const struct perf_event_header *record),
		      void *context)
{
	size_t i;

	for (i = 0; i < rings->cnt; i++) {
		const struct event_ring *ring = &rings->rings[i];
		uint64_t head = perf_ring_head(&ring->ring), at = perf_ring_tail(&ring->ring);
		const struct perf_event_header *record;

		while (at != head &&
		       (record = perf_ring_record(&ring->ring, at, head, ring->copy))) {
			visit(context, record);
			at += record->size;
		}
	}
}

size_t event_rings_map_bytes(const struct event_rings *rings)
{
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE), bytes = 0, i;

	for (i = 0; i < rings->cnt; i++)
		bytes += page_bytes + rings->rings[i].ring.data_bytes;
	return bytes;
}
