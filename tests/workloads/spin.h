/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the workloads share.  The spinning is a macro and not a function, so that the time is
 * spent in the function that a test looks for, with debug information too (an inlined function
 * would be a frame of its own).  Every workload ends by itself after at most 60 s.
 */
#ifndef EBPFPROF_TESTS_SPIN_H
#define EBPFPROF_TESTS_SPIN_H

#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#define NS_PER_SEC 1000000000ull
#define NS_PER_MS 1000000ull
#define SECONDS_MAX 1000.0

static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
}

/* The seconds in argument @index as nanoseconds; @fallback seconds if there is no such one. */
static inline uint64_t argument_ns(int argc, char **argv, int index, double fallback)
{
	double seconds = index < argc ? strtod(argv[index], NULL) : fallback;

	if (!(seconds >= 0.0))
		seconds = fallback;
	if (seconds > SECONDS_MAX)
		seconds = SECONDS_MAX;
	return (uint64_t)(seconds * 1e9);
}

/* Some 0.1 ms of arithmetic that no compiler can leave out. */
#define SPIN_BATCH()                                                                               \
	do {                                                                                       \
		uint64_t spin_x = 1;                                                               \
		int spin_i;                                                                        \
		for (spin_i = 0; spin_i < 50000; spin_i++) {                                       \
			spin_x = spin_x * 6364136223846793005ull + 1442695040888963407ull;         \
			__asm__ volatile("" : "+r"(spin_x));                                       \
		}                                                                                  \
	} while (0)

/* Spins until @ns have passed on @clock. */
#define SPIN_FOR(clock, ns)                                                                        \
	do {                                                                                       \
		uint64_t spin_end = clock_ns(clock) + (ns);                                        \
		while (clock_ns(clock) < spin_end)                                                 \
			SPIN_BATCH();                                                              \
	} while (0)

#endif
