/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * realign SECONDS: frames that no constant distance from sp tells of: arrays of variable length,
 * alloca, and locals that need 32 and 64 bytes of alignment, for which gcc keeps the stack pointer
 * of before in a register of its own and finds the CFA by a pointer in memory.
 */
#include <alloca.h>
#include <string.h>

#include "../names/marks.h"
#include "../spin.h"

typedef int vector8 __attribute__((vector_size(32)));

static volatile uint64_t sink;

static NEVER_INLINE void touch(volatile char *bytes, size_t size)
{
	size_t i;

	for (i = 0; i < size; i += 16)
		bytes[i] = (char)i;
	SPIN_BATCH();
	sink++;
}

static NEVER_INLINE void aligned_leaf(int number)
{
	_Alignas(64) volatile char room[128];

	room[0] = (char)number;
	touch(room, sizeof(room));
	sink += (uint64_t)room[0];
}

static NEVER_INLINE void with_vla(int number)
{
	volatile char room[number % 700 + 1];

	room[0] = 1;
	aligned_leaf(number);
	touch(room, sizeof(room));
	sink += (uint64_t)room[0];
}

static NEVER_INLINE void aligned_with_vla(int number)
{
	_Alignas(32) volatile vector8 vector = { number };
	volatile char room[number % 300 + 1];

	room[0] = 2;
	with_vla(number);
	touch(room, sizeof(room));
	sink += (uint64_t)vector[0] + (uint64_t)room[0];
}

static NEVER_INLINE void with_alloca(int number, int times)
{
	char *room = NULL;
	int i;

	for (i = 0; i < times; i++) {
		room = alloca((size_t)(number % 100 + 16));
		memset(room, i, 16);
		aligned_with_vla(number + i);
	}
	sink += (uint64_t)room[0];
}

/* Seven arguments and more lie on the stack: the realigned frame must still find them. */
static NEVER_INLINE void many_arguments(int a, int b, int c, int d, int e, int f, int g, int h)
{
	_Alignas(64) volatile char room[64];

	room[0] = (char)(g + h);
	with_alloca(a + b + c, 1 + (d + e + f + g + h) % 3);
	sink += (uint64_t)room[0];
}

int main(int argc, char **argv)
{
	uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + argument_ns(argc, argv, 1, 5);
	int round = 0;

	while (clock_ns(CLOCK_MONOTONIC) < end_ns) {
		many_arguments(round, 1, 2, 3, 4, 5, round % 7, 8);
		round++;
	}
	return 0;
}
