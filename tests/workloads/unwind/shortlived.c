/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * shortlived SECONDS: starts itself again and again, one at a time, as a process that works for
 * 3 ms below five frames and ends.
 */
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#include "../names/marks.h"
#include "../spin.h"

static volatile uint64_t sink;

static NEVER_INLINE void short_work(uint64_t ns)
{
	SPIN_FOR(CLOCK_MONOTONIC, ns);
}

static NEVER_INLINE void descend(int depth, uint64_t ns)
{
	if (depth > 1)
		descend(depth - 1, ns);
	else
		short_work(ns);
	sink++;
}

int main(int argc, char **argv)
{
	uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + argument_ns(argc, argv, 1, 5);
	char *const child[] = { argv[0], "0", "child", NULL };
	char *const no_environment[] = { NULL };
	pid_t pid;

	if (argc > 2 && !strcmp(argv[2], "child")) {
		descend(4, 3 * NS_PER_MS);
		return 0;
	}
	while (clock_ns(CLOCK_MONOTONIC) < end_ns) {
		if (posix_spawn(&pid, argv[0], NULL, NULL, child, no_environment) ||
		    waitpid(pid, NULL, 0) != pid)
			return 1;
	}
	return 0;
}
