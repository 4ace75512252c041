/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nofp SECONDS [DEPTH=31]: DEPTH frames below main, then spin_at_bottom, which spins.
 *
 * Three functions take turns, whose frames differ: few registers saved, all of them saved and an
 * array, an array of another size.  Built with and without frame pointers, by several compilers
 * and with several C libraries.
 */
#include "../names/marks.h"
#include "../spin.h"

static volatile uint64_t sink;

static void descend_lean(int depth, uint64_t ns);

static NEVER_INLINE void spin_at_bottom(uint64_t ns)
{
	SPIN_FOR(CLOCK_MONOTONIC, ns);
}

static NEVER_INLINE void descend_array(int depth, uint64_t ns)
{
	volatile char room[40];

	room[depth % 40] = (char)depth;
	if (depth > 1)
		descend_lean(depth - 1, ns);
	else
		spin_at_bottom(ns);
	sink += (uint64_t)room[depth % 40];
}

/* Much that lives across the call, so that all registers a callee may use are saved. */
static NEVER_INLINE void descend_saved(int depth, uint64_t ns)
{
	uint64_t a = sink, b = a * 3, c = b ^ 5, d = c + 7, e = d * 11;
	volatile uint64_t room[6];

	room[depth % 6] = e;
	if (depth > 1)
		descend_array(depth - 1, ns);
	else
		spin_at_bottom(ns);
	sink = a + b + c + d + e + room[depth % 6];
}

static NEVER_INLINE void descend_lean(int depth, uint64_t ns)
{
	if (depth > 1)
		descend_saved(depth - 1, ns);
	else
		spin_at_bottom(ns);
	sink++; /* no tail call, whatever the flags */
}

int main(int argc, char **argv)
{
	int depth = argc > 2 ? atoi(argv[2]) : 31;

	if (depth < 1 || depth > 10000)
		return 2;
	descend_lean(depth, argument_ns(argc, argv, 1, 5));
	return 0;
}
