/* SPDX-License-Identifier: BSD-2-Clause */
/* vdso SECONDS: asks for the time in a loop, below ten frames. */
#include <sys/time.h>

#include "../names/marks.h"
#include "../spin.h"

static volatile uint64_t sink;

static NEVER_INLINE void ask(uint64_t ns)
{
	uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + ns;
	struct timeval now;

	do {
		gettimeofday(&now, NULL);
		sink += (uint64_t)now.tv_usec + (uint64_t)time(NULL);
	} while (clock_ns(CLOCK_MONOTONIC) < end_ns);
}

static NEVER_INLINE void descend(int depth, uint64_t ns)
{
	if (depth > 1)
		descend(depth - 1, ns);
	else
		ask(ns);
	sink++;
}

int main(int argc, char **argv)
{
	descend(9, argument_ns(argc, argv, 1, 5));
	return 0;
}
