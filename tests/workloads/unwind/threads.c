/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * threads SECONDS: three threads work below frames of their own, start short threads that work a
 * little, and take a mutex from each other.
 */
#include <pthread.h>

#include "../names/marks.h"
#include "../spin.h"

#define THREADS 3

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static uint64_t end_ns;
static volatile uint64_t sink;

static NEVER_INLINE void thread_work(int depth)
{
	if (depth > 1) {
		thread_work(depth - 1);
	} else {
		SPIN_BATCH();
		pthread_mutex_lock(&mutex);
		sink++;
		pthread_mutex_unlock(&mutex);
	}
	sink++;
}

static void *short_thread(void *unused)
{
	thread_work(4);
	return unused;
}

static void *long_thread(void *unused)
{
	pthread_t other;
	int i;

	while (clock_ns(CLOCK_MONOTONIC) < end_ns) {
		for (i = 0; i < 20; i++)
			thread_work(12);
		if (pthread_create(&other, NULL, short_thread, NULL))
			abort();
		pthread_join(other, NULL);
	}
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	int i;

	end_ns = clock_ns(CLOCK_MONOTONIC) + argument_ns(argc, argv, 1, 5);
	for (i = 0; i < THREADS; i++) {
		if (pthread_create(&threads[i], NULL, long_thread, NULL))
			return 1;
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
