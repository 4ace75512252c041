/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * threads SECONDS: thread `alpha` spends twice the CPU time of thread `beta`, in alpha_work and
 * beta_work; the main thread only waits.  Prints the CPU milliseconds of each.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "spin.h"

#define SLICE_NS (60 * NS_PER_MS)

static uint64_t end_ns;
static _Atomic uint64_t alpha_ns, beta_ns;

static void alpha_work(uint64_t ns)
{
	SPIN_FOR(CLOCK_THREAD_CPUTIME_ID, ns);
}

static void beta_work(uint64_t ns)
{
	SPIN_FOR(CLOCK_THREAD_CPUTIME_ID, ns);
}

/* Each works when it has no more than its share of what the other has had, and naps if not. */
static void *alpha_main(void *unused)
{
	const struct timespec nap = { .tv_nsec = (long)NS_PER_MS };

	while (clock_ns(CLOCK_MONOTONIC) < end_ns) {
		if (alpha_ns <= 2 * (beta_ns + SLICE_NS))
			alpha_work(SLICE_NS);
		else
			nanosleep(&nap, NULL);
		alpha_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	}
	return unused;
}

static void *beta_main(void *unused)
{
	const struct timespec nap = { .tv_nsec = (long)NS_PER_MS };

	while (clock_ns(CLOCK_MONOTONIC) < end_ns) {
		if (2 * beta_ns <= alpha_ns)
			beta_work(SLICE_NS / 2);
		else
			nanosleep(&nap, NULL);
		beta_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	}
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t alpha, beta;

	end_ns = clock_ns(CLOCK_MONOTONIC) + argument_ns(argc, argv, 1, 5);
	if (pthread_create(&alpha, NULL, alpha_main, NULL) ||
	    pthread_create(&beta, NULL, beta_main, NULL))
		return 1;
	pthread_setname_np(alpha, "alpha");
	pthread_setname_np(beta, "beta");
	pthread_join(alpha, NULL);
	pthread_join(beta, NULL);
	printf("alpha %.0f\nbeta %.0f\n", (double)alpha_ns / 1e6, (double)beta_ns / 1e6);
	return 0;
}
