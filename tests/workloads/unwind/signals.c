/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * signals SECONDS [alt]: every 10 ms of its CPU time SIGPROF interrupts it, wherever it is, and the
 * handler spins for 5 ms; with `alt` on a stack of its own.  What is interrupted: work of its own
 * under known frames, qsort, vsnprintf, and system calls.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "../names/marks.h"
#include "../spin.h"

#define NUMBERS 300
#define HANDLER_NS (5 * NS_PER_MS)

static char handler_stack[256 << 10];
static volatile uint64_t sink;

static NEVER_INLINE void handler_work(uint64_t ns)
{
	SPIN_FOR(CLOCK_THREAD_CPUTIME_ID, ns);
}

static void on_sigprof(int number, siginfo_t *info, void *context)
{
	(void)info, (void)context;
	handler_work(HANDLER_NS);
	sink += (uint64_t)number;
}

static int compare(const void *left, const void *right)
{
	int a = *(const int *)left, b = *(const int *)right;

	return (a > b) - (a < b);
}

static NEVER_INLINE void sort_some(void)
{
	int numbers[NUMBERS], i;
	uint32_t state = (uint32_t)sink | 1;

	for (i = 0; i < NUMBERS; i++) {
		state = state * 1664525u + 1013904223u;
		numbers[i] = (int)(state >> 8);
	}
	qsort(numbers, NUMBERS, sizeof(numbers[0]), compare);
	sink += (uint64_t)numbers[0];
}

static NEVER_INLINE void format_some(void)
{
	char text[200];
	int i;

	for (i = 0; i < 50; i++)
		sink += (uint64_t)snprintf(text, sizeof(text), "%d %s %g", i, "text", i * 1.25);
}

static NEVER_INLINE void call_kernel(void)
{
	int i;

	for (i = 0; i < 100; i++)
		sink += (uint64_t)getppid();
}

static NEVER_INLINE void spin_some(void)
{
	int i;

	for (i = 0; i < 5; i++)
		SPIN_BATCH();
	sink++;
}

static NEVER_INLINE void work(int depth)
{
	if (depth > 1) {
		work(depth - 1);
	} else {
		sort_some();
		format_some();
		call_kernel();
		spin_some();
	}
	sink++;
}

int main(int argc, char **argv)
{
	const struct itimerval every = { { .tv_usec = 10000 }, { .tv_usec = 10000 } };
	const stack_t alternate = { .ss_sp = handler_stack, .ss_size = sizeof(handler_stack) };
	struct sigaction action = { .sa_sigaction = on_sigprof,
				    .sa_flags = SA_SIGINFO | SA_RESTART };
	uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + argument_ns(argc, argv, 1, 5);

	if (argc > 2 && !strcmp(argv[2], "alt")) {
		action.sa_flags |= SA_ONSTACK;
		if (sigaltstack(&alternate, NULL))
			return 1;
	}
	if (sigaction(SIGPROF, &action, NULL) || setitimer(ITIMER_PROF, &every, NULL))
		return 1;
	while (clock_ns(CLOCK_MONOTONIC) < end_ns)
		work(10);
	return 0;
}
