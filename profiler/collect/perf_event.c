/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/collect/perf_event.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "profiler/base/err.h"

int perf_event_open(struct perf_event_attr *attr, int cpu)
{
	long fd = syscall(SYS_perf_event_open, attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : (int)fd;
}

int perf_event_try(void)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = 1000000000,
		.disabled = 1,
	};
	int fd = perf_event_open(&attr, 0);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

int perf_event_failed(int code, const char *what, int cpu, struct errmsg *err)
{
	err_set(err, code, "cannot open the %s event on CPU %d", what, cpu);
	if (code == -EPERM || code == -EACCES)
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

int perf_ring_drain(struct perf_ring *ring,
		    int (*visit)(void *context, const struct perf_event_header *record),
		    void *context)
{
	const char *data = (const char *)ring->page + (size_t)sysconf(_SC_PAGESIZE);
	uint64_t head = __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE);
	uint64_t tail = ring->page->data_tail;
	_Alignas(8) char copy[65536]; /* a record's size is 16 bits wide */
	int code = 0;

	while (tail != head && !code) {
		size_t at = tail & (ring->data_bytes - 1);
		const struct perf_event_header *record = (const void *)(data + at);
		size_t bytes = record->size, first = ring->data_bytes - at;

		/* Sizes are multiples of 8, so that a header never lies across the end. */
		if (bytes < sizeof(*record) || bytes % 8 || bytes > head - tail ||
		    bytes > ring->data_bytes) {
			tail = head;
			code = -EBADMSG;
			break;
		}
		if (bytes > first) {
			memcpy(copy, data + at, first);
			memcpy(copy + first, data, bytes - first);
			record = (const void *)copy;
		}
		tail += bytes;
		code = visit(context, record);
	}
	__atomic_store_n(&ring->page->data_tail, tail, __ATOMIC_RELEASE);
	return code;
}
