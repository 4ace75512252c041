/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The library of `lazy`: 256 functions that are called through the PLT, as they might be replaced,
 * and call one another and libc.
 */
#include <stdlib.h>
#include <string.h>

#define NAME(high, low) lazy_##high##low
#define ONE(high, low)                                                                             \
	int NAME(high, low)(int value);                                                            \
	__attribute__((noinline)) int NAME(high, low)(int value)                                   \
	{                                                                                          \
		int i;                                                                             \
		for (i = 0; i < 20; i++)                                                           \
			value = value * 31 + 0x##high##low;                                        \
		return abs(value) + 1;                                                             \
	}
/* clang-format off */
#define CALL(high, low) sum += NAME(high, low)(sum);
#define SIXTEEN(what, high)                                                                        \
	what(high, 0) what(high, 1) what(high, 2) what(high, 3) what(high, 4) what(high, 5)        \
	what(high, 6) what(high, 7) what(high, 8) what(high, 9) what(high, a) what(high, b)        \
	what(high, c) what(high, d) what(high, e) what(high, f)
#define ALL(what)                                                                                  \
	SIXTEEN(what, 0) SIXTEEN(what, 1) SIXTEEN(what, 2) SIXTEEN(what, 3) SIXTEEN(what, 4)       \
	SIXTEEN(what, 5) SIXTEEN(what, 6) SIXTEEN(what, 7) SIXTEEN(what, 8) SIXTEEN(what, 9)       \
	SIXTEEN(what, a) SIXTEEN(what, b) SIXTEEN(what, c) SIXTEEN(what, d) SIXTEEN(what, e)       \
	SIXTEEN(what, f)

ALL(ONE)
/* clang-format on */

int lazy_run(int rounds);
int lazy_run(int rounds)
{
	unsigned int sum = 1;
	int round;

	for (round = 0; round < rounds; round++) {
		ALL(CALL)
	}
	return (int)sum;
}
