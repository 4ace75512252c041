/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * quickstart SECONDS: the workload of scripts/quickstart, so that the first profile on an idle
 * machine shows something: two thirds of the time in hash_some_words, one in sort_some_numbers.
 */
#include "spin.h"

#define NUMBERS 2000

static volatile uint64_t result;

static void hash_some_words(uint64_t ns)
{
	static const char words[] = "the quick brown fox jumps over the lazy dog";
	uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + ns, hash = 14695981039346656037ull;
	size_t round, i;

	while (clock_ns(CLOCK_MONOTONIC) < end_ns) {
		for (round = 0; round < 1000; round++)
			for (i = 0; i < sizeof(words); i++)
				hash = (hash ^ (unsigned char)words[i]) * 1099511628211ull;
	}
	result = hash;
}

/* Shell sort of our own: glibc's has no frame pointers, and stacks would end in it. */
static void sort_numbers(uint32_t *numbers, size_t cnt)
{
	uint32_t number;
	size_t gap, i, j;

	for (gap = cnt / 2; gap > 0; gap /= 2) {
		for (i = gap; i < cnt; i++) {
			number = numbers[i];
			for (j = i; j >= gap && numbers[j - gap] > number; j -= gap)
				numbers[j] = numbers[j - gap];
			numbers[j] = number;
		}
	}
}

static void sort_some_numbers(uint64_t ns)
{
	static uint32_t numbers[NUMBERS];
	uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + ns;
	uint32_t state = 1;
	size_t i;

	while (clock_ns(CLOCK_MONOTONIC) < end_ns) {
		for (i = 0; i < NUMBERS; i++) {
			state = state * 1664525u + 1013904223u;
			numbers[i] = state;
		}
		sort_numbers(numbers, NUMBERS);
	}
	result = numbers[0];
}

int main(int argc, char **argv)
{
	uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + argument_ns(argc, argv, 1, 10);

	while (clock_ns(CLOCK_MONOTONIC) < end_ns) {
		hash_some_words(200 * NS_PER_MS);
		sort_some_numbers(100 * NS_PER_MS);
	}
	return 0;
}
