/* SPDX-License-Identifier: BSD-2-Clause */
/* recurse SECONDS [DEPTH=30]: main, DEPTH times descend, spin_at_bottom, which spins. */
#include "spin.h"

static volatile int returned;

static void spin_at_bottom(uint64_t ns)
{
	SPIN_FOR(CLOCK_MONOTONIC, ns);
}

static void descend(int depth, uint64_t ns)
{
	if (depth > 1)
		descend(depth - 1, ns);
	else
		spin_at_bottom(ns);
	returned++; /* no tail call, whatever the flags */
}

int main(int argc, char **argv)
{
	int depth = argc > 2 ? atoi(argv[2]) : 30;

	if (depth < 1 || depth > 10000)
		return 2;
	descend(depth, argument_ns(argc, argv, 1, 5));
	return 0;
}
