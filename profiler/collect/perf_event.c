/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/collect/perf_event.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "profiler/base/err.h"
#include "profiler/collect/host.h"

int perf_event_open(struct perf_event_attr *attr, int cpu)
{
	return perf_event_open_of(attr, -1, cpu, 0);
}

int perf_event_open_of(struct perf_event_attr *attr, pid_t pid, int cpu, unsigned long flags)
{
	long fd = syscall(SYS_perf_event_open, attr, pid, cpu, -1, flags | PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : (int)fd;
}

int perf_event_try(uint32_t type, uint64_t config)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = type,
		.config = config,
		.sample_period = 1000000000,
		.disabled = 1,
	};
	int fd = perf_event_open(&attr, 0);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

int perf_event_try_clock(void)
{
	return perf_event_try(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK);
}

int perf_event_failed(int code, const char *what, int cpu, struct errmsg *err)
{
	err_set(err, code, "cannot open the %s event on CPU %d", what, cpu);
	/* Debian's: 3 asks for CAP_SYS_ADMIN, before 6.1 even of who has CAP_PERFMON. */
	if ((code == -EPERM || code == -EACCES) && host_perf_paranoid() > 2)
		err_hint(err, "kernel.perf_event_paranoid is %ld: run as root, or sudo sysctl "
			      "kernel.perf_event_paranoid=2", host_perf_paranoid());
	else if (code == -EPERM || code == -EACCES)
		err_hint(err, "run as root or with CAP_PERFMON (sudo setcap cap_bpf,cap_perfmon,"
			      "cap_sys_ptrace,cap_syslog,cap_dac_read_search,"
			      "cap_checkpoint_restore=ep $(command -v ebpfprof))");
	else if (code == -ENOENT || code == -EOPNOTSUPP)
		err_hint(err, "this machine has no such counter (virtual machines often have "
			      "none): use -e cpu");
	return code;
}

int perf_ring_map(int fd, size_t data_bytes, struct perf_ring *ret)
{
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	void *at = mmap(NULL, page_bytes + data_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		return -errno;
	*ret = (struct perf_ring){ .page = at, .data_bytes = data_bytes };
	return 0;
}

void perf_ring_unmap(struct perf_ring *ring)
{
	if (ring->page)
		munmap(ring->page, (size_t)sysconf(_SC_PAGESIZE) + ring->data_bytes);
	ring->page = NULL;
}

uint64_t perf_ring_head(const struct perf_ring *ring)
{
	return __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE);
}

uint64_t perf_ring_tail(const struct perf_ring *ring)
{
	return ring->page->data_tail;
}

const struct perf_event_header *perf_ring_record(const struct perf_ring *ring, uint64_t position,
						 uint64_t head, char *copy)
{
	const char *data = (const char *)ring->page + (size_t)sysconf(_SC_PAGESIZE);
	size_t at = position & (ring->data_bytes - 1), first = ring->data_bytes - at;
	const struct perf_event_header *record = (const void *)(data + at);
	size_t bytes = record->size;

	/* Sizes are multiples of 8, so that a header never lies across the end. */
	if (bytes < sizeof(*record) || bytes % 8 || bytes > head - position ||
	    bytes > ring->data_bytes)
		return NULL;
	if (bytes <= first)
		return record;
	memcpy(copy, data + at, first);
	memcpy(copy + first, data, bytes - first);
	return (const void *)copy;
}

void perf_ring_give_back(struct perf_ring *ring, uint64_t position)
{
	__atomic_store_n(&ring->page->data_tail, position, __ATOMIC_RELEASE);
}

int perf_ring_drain(struct perf_ring *ring,
		    int (*visit)(void *context, const struct perf_event_header *record),
		    void *context)
{
	uint64_t head = perf_ring_head(ring), tail = perf_ring_tail(ring);
	_Alignas(8) char copy[PERF_RECORD_BYTES_MAX];
	int code = 0;

	while (tail != head && !code) {
		const struct perf_event_header *record = perf_ring_record(ring, tail, head, copy);

		if (!record) {
			tail = head;
			code = -EBADMSG;
			break;
		}
		tail += record->size;
		code = visit(context, record);
	}
	perf_ring_give_back(ring, tail);
	return code;
}
