/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * split SECONDS: spends 60, 30 and 10 % of its CPU time in work_sixty, work_thirty, work_ten.
 *
 * The slices are long beside a sampling period, so that the counts scatter little, and of
 * pseudo-random length, so that no sampling frequency keeps step with them.  What a slice ran
 * over is taken off a later one; the shares really spent are printed at the end.
 */
#include <stdio.h>

#include "spin.h"

#define KINDS 3
#define ROUND_NS (400 * NS_PER_MS)

static void work_sixty(uint64_t ns)
{
	SPIN_FOR(CLOCK_THREAD_CPUTIME_ID, ns);
}

static void work_thirty(uint64_t ns)
{
	SPIN_FOR(CLOCK_THREAD_CPUTIME_ID, ns);
}

static void work_ten(uint64_t ns)
{
	SPIN_FOR(CLOCK_THREAD_CPUTIME_ID, ns);
}

/* 0.5 to 1.5 rounds. */
static uint64_t next_round_ns(void)
{
	static uint32_t state = 1;

	state = state * 1664525u + 1013904223u;
	return ROUND_NS / 2 + ROUND_NS * (state >> 16) / 65536;
}

int main(int argc, char **argv)
{
	static void (*const work[KINDS])(uint64_t ns) = { work_sixty, work_thirty, work_ten };
	static const char *const names[KINDS] = { "work_sixty", "work_thirty", "work_ten" };
	static const double shares[KINDS] = { 0.6, 0.3, 0.1 };
	uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + argument_ns(argc, argv, 1, 10);
	double spent_ns[KINDS] = { 0 }, due_ns = 0, sum_ns = 0;
	uint64_t before_ns;
	int kind;

	while (clock_ns(CLOCK_MONOTONIC) < end_ns) {
		due_ns += (double)next_round_ns();
		for (kind = 0; kind < KINDS; kind++) {
			if (due_ns * shares[kind] <= spent_ns[kind])
				continue;
			before_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
			work[kind]((uint64_t)(due_ns * shares[kind] - spent_ns[kind]));
			spent_ns[kind] += (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns);
		}
	}
	for (kind = 0; kind < KINDS; kind++)
		sum_ns += spent_ns[kind];
	for (kind = 0; kind < KINDS; kind++)
		printf("%s %.2f\n", names[kind], 100.0 * spent_ns[kind] / sum_ns);
	return 0;
}
