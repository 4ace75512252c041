/* SPDX-License-Identifier: BSD-2-Clause */
/* The clocks that the profiler compares: all in nanoseconds, names say which. */
#ifndef EBPFPROF_BASE_CLOCK_H
#define EBPFPROF_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_SEC 1000000000ull
#define NS_PER_MS 1000000ull

static inline uint64_t clock_read_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
}

/* bpf_ktime_get_ns() and the perf side-band (use_clockid) read this clock. */
static inline uint64_t monotonic_ns(void)
{
	return clock_read_ns(CLOCK_MONOTONIC);
}

static inline uint64_t realtime_ns(void)
{
	return clock_read_ns(CLOCK_REALTIME);
}

static inline uint64_t process_cpu_ns(void)
{
	return clock_read_ns(CLOCK_PROCESS_CPUTIME_ID);
}

#endif
