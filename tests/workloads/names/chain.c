/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chain [SECONDS]: outermost() with middle() and innermost() inlined into it.  Spins there for
 * SECONDS, or without them waits until stdin ends.  With -DLIBRARY a library for dlopen_main.
 */
#include <unistd.h>

#include "../spin.h"
#include "marks.h"

#ifndef OUTERMOST_PLACE
#define OUTERMOST_PLACE /* an attribute: section("...") */
#endif
#ifndef OUTERMOST_SCOPE
#define OUTERMOST_SCOPE static
#endif

static volatile uint64_t sink;

/* Called first and last, so that outermost() is no leaf and has a frame from end to end. */
static NEVER_INLINE void nothing(void)
{
	__asm__ volatile("");
}

static ALWAYS_INLINE void innermost(uint64_t seed) /* LINE: innermost */
{
	MARK("hot");  /* LINE: hot */
	SPIN_BATCH(); /* LINE: spin */
	sink += seed;
}

static ALWAYS_INLINE void middle(uint64_t seed) /* LINE: middle */
{
	sink += seed;
	innermost(sink + 1); /* LINE: call-innermost */
	MARK("between");     /* LINE: between */
}

OUTERMOST_SCOPE NEVER_INLINE OUTERMOST_PLACE void outermost(uint64_t seed) /* LINE: outermost */
{
	nothing();
	MARK("entry"); /* LINE: entry */
	middle(seed);  /* LINE: call-middle */
	nothing();
	sink++;
}

#ifdef LIBRARY
void plugin_entry(uint64_t ns);

void plugin_entry(uint64_t ns)
{
	uint64_t end = clock_ns(CLOCK_MONOTONIC) + ns;

	while (clock_ns(CLOCK_MONOTONIC) < end)
		outermost(end);
}
#else
int main(int argc, char **argv)
{
	uint64_t end = clock_ns(CLOCK_MONOTONIC) + argument_ns(argc, argv, 1, 0);
	char byte;

	outermost(end);
	while (argc > 1 && clock_ns(CLOCK_MONOTONIC) < end)
		outermost(end); /* LINE: call-outermost */
	while (argc < 2 && read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}
#endif
