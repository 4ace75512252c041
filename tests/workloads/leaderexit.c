/* SPDX-License-Identifier: BSD-2-Clause */
/* leaderexit SECONDS: the leader ends at once; its only other thread spins in after_leader. */
#include <pthread.h>

#include "spin.h"

static uint64_t duration_ns;

static void after_leader(uint64_t ns)
{
	SPIN_FOR(CLOCK_MONOTONIC, ns);
}

static void *thread_main(void *unused)
{
	after_leader(duration_ns);
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	duration_ns = argument_ns(argc, argv, 1, 5);
	if (pthread_create(&thread, NULL, thread_main, NULL))
		return 1;
	pthread_exit(NULL);
}
