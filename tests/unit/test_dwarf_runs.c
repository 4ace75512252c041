/* SPDX-License-Identifier: BSD-2-Clause */
/* Intervals into runs: held against asking every interval about every address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "symbolizer/dwarf_runs.h"
#include "tests/unit/fail_malloc.h"

#define SPAN 300u /* addresses that random intervals are of */
#define BASE 0x1000u

static const struct dwarf_text text = {
	.base = BASE,
	.cnt = 1,
	.parts = { { BASE, BASE + (1u << 20) } },
};

static uint32_t random_below(uint32_t limit)
{
	static uint64_t seed = 88172645463325252ull;

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed % limit);
}

static bool counts_more(const struct dwarf_interval *a, const struct dwarf_interval *b,
			enum dwarf_precedence precedence)
{
	if (precedence == DWARF_LARGEST_OWNER)
		return a->owner > b->owner;
	if (a->start != b->start)
		return a->start > b->start;
	return a->end != b->end ? a->end < b->end : a->owner < b->owner;
}

static uint32_t owner_of(const struct dwarf_intervals *intervals, uint32_t at,
			 enum dwarf_precedence precedence)
{
	const struct dwarf_interval *best = NULL;
	size_t i;

	for (i = 0; i < intervals->cnt; i++) {
		const struct dwarf_interval *item = &intervals->items[i];

		if (at >= item->start && at < item->end &&
		    (!best || counts_more(item, best, precedence)))
			best = item;
	}
	return best ? best->owner : DWARF_NOBODY;
}

static void check_runs(struct dwarf_intervals *intervals, enum dwarf_precedence precedence)
{
	struct dwarf_run *runs;
	size_t i, cnt;
	uint32_t at;

	assert_int_equal(dwarf_intervals_flatten(intervals, precedence, &runs, &cnt), 0);
	for (i = 1; i < cnt; i++) {
		assert_true(runs[i].start > runs[i - 1].start);
		assert_int_not_equal(runs[i].owner, runs[i - 1].owner);
	}
	assert_true(!cnt || runs[cnt - 1].owner == DWARF_NOBODY);
	for (at = 0; at < SPAN + 70; at++)
		assert_int_equal(dwarf_runs_find(runs, cnt, at),
				 owner_of(intervals, at, precedence));
	free(runs);
}

static void test_runs_say_what_asking_every_interval_says(void **state)
{
	int round;

	(void)state;
	for (round = 0; round < 3000; round++) {
		struct dwarf_intervals intervals = { .text = &text };
		uint32_t i, cnt = random_below(round % 10 ? 12 : 200);

		for (i = 0; i < cnt; i++) {
			uint32_t start = random_below(SPAN);
			uint32_t owner = round % 2 ? i : random_below(cnt);

			assert_int_equal(dwarf_intervals_add(&intervals, BASE + start,
							     BASE + start + random_below(64),
							     owner),
					 0);
		}
		check_runs(&intervals, DWARF_LATEST_START);
		check_runs(&intervals, DWARF_LARGEST_OWNER);
		dwarf_intervals_free(&intervals);
	}
}

static void test_what_starts_outside_of_the_text_is_left_out(void **state)
{
	const uint64_t outside[] = { 0, 1, BASE - 1, BASE + (1u << 20), UINT64_MAX - 1, UINT64_MAX };
	struct dwarf_intervals intervals = { .text = &text };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(outside) / sizeof(outside[0]); i++)
		assert_int_equal(dwarf_intervals_add(&intervals, outside[i], UINT64_MAX, 1), 0);
	assert_int_equal(dwarf_intervals_add(&intervals, BASE + 5, BASE + 5, 1), 0);
	assert_int_equal(dwarf_intervals_add(&intervals, BASE + 5, BASE + 4, 1), 0);
	assert_int_equal(intervals.cnt, 0);
	assert_int_equal(dwarf_intervals_add(&intervals, BASE + 5, UINT64_MAX, 1), 0);
	assert_int_equal(intervals.cnt, 1);
	assert_int_equal(intervals.items[0].end, 1u << 20); /* the end of the text */
	dwarf_intervals_free(&intervals);
}

static void test_many_nested_intervals_take_little_time(void **state)
{
	struct dwarf_intervals intervals = { .text = &text };
	uint32_t i, cnt = 400000;
	struct dwarf_run *runs;
	size_t run_cnt;

	(void)state;
	/* Quadratic in anything, this would take minutes. */
	for (i = 0; i < cnt; i++)
		dwarf_intervals_add(&intervals, BASE + i, BASE + 2 * cnt - i, cnt - i);
	assert_int_equal(dwarf_intervals_flatten(&intervals, DWARF_LARGEST_OWNER, &runs, &run_cnt),
			 0);
	assert_int_equal(dwarf_runs_find(runs, run_cnt, cnt), cnt);
	free(runs);
	assert_int_equal(dwarf_intervals_flatten(&intervals, DWARF_LATEST_START, &runs, &run_cnt),
			 0);
	assert_int_equal(dwarf_runs_find(runs, run_cnt, cnt), 1);
	free(runs);
	dwarf_intervals_free(&intervals);
}

static void test_each_allocation_may_fail(void **state)
{
	long n;

	(void)state;
	for (n = 1;; n++) {
		struct dwarf_intervals intervals = { .text = &text };
		struct dwarf_run *runs = NULL;
		int ret = 0;
		uint32_t i;
		size_t cnt;

		fail_malloc_at(n);
		for (i = 0; i < 300 && !ret; i++)
			ret = dwarf_intervals_add(&intervals, BASE + 1000 - i, BASE + 1100 + i, i);
		if (!ret)
			ret = dwarf_intervals_flatten(&intervals, DWARF_LATEST_START, &runs, &cnt);
		assert_true(ret == 0 || ret == -ENOMEM);
		dwarf_intervals_free(&intervals);
		free(runs);
		if (!fail_malloc_hit())
			break;
	}
	assert_true(n > 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_runs_say_what_asking_every_interval_says),
		cmocka_unit_test(test_what_starts_outside_of_the_text_is_left_out),
		cmocka_unit_test(test_many_nested_intervals_take_little_time),
		cmocka_unit_test(test_each_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
