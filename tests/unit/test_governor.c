/* SPDX-License-Identifier: BSD-2-Clause */
/* The rate that follows from what an epoch has cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "profiler/pipeline/governor.h"

#define CPUS 4

/* Ten seconds at @percent of four CPUs. */
static struct governor_epoch cost(double percent)
{
	return (struct governor_epoch){
		.elapsed_ns = 10 * NS_PER_SEC,
		.cpu_cnt = CPUS,
		.own_cpu_ns = (uint64_t)(percent / 100 * 10 * CPUS * NS_PER_SEC),
	};
}

static unsigned int next(struct governor *governor, double percent)
{
	const struct governor_epoch epoch = cost(percent);

	return governor_next(governor, &epoch);
}

static void test_below_the_limit_the_rate_is_what_was_asked_for(void **state)
{
	struct governor governor;
	int i;

	(void)state;
	governor_init(&governor, 1.0, 99);
	for (i = 0; i < 20; i++)
		assert_int_equal(next(&governor, i % 2 ? 0.99 : 0.1), 99);
	assert_int_equal(governor.lowest_hz, 99);
}

static void test_above_it_the_rate_falls_in_proportion(void **state)
{
	struct governor governor;

	(void)state;
	governor_init(&governor, 1.0, 1000);
	assert_int_equal(next(&governor, 2.0), 425);
	assert_int_equal(next(&governor, 1.5), 240);
	assert_int_equal(governor.lowest_hz, 240);
	assert_true(governor.worst_percent > 1.99 && governor.worst_percent < 2.01);
}

static void test_it_never_falls_below_one_or_at_once_to_less_than_a_tenth(void **state)
{
	struct governor governor;
	int i;

	(void)state;
	governor_init(&governor, 1.0, 99);
	assert_int_equal(next(&governor, 100), 9);
	for (i = 0; i < 10; i++)
		next(&governor, 100);
	assert_int_equal(governor.hz, 1);
}

static void test_it_rises_slowly_and_not_beyond(void **state)
{
	struct governor governor;
	unsigned int before, epochs = 0;

	(void)state;
	governor_init(&governor, 1.0, 99);
	next(&governor, 50);
	while (governor.hz < 99) {
		before = governor.hz;
		next(&governor, 0.1);
		assert_true(governor.hz <= MAX(before * 3 / 2 + 1, before + 1));
		assert_true(++epochs < 40);
	}
	assert_true(epochs >= 8);
	next(&governor, 0);
	assert_int_equal(next(&governor, 0), 99);
}

/* Cost in proportion to the rate: it settles below the limit, and stays. */
static void test_it_settles_where_the_cost_is_below_the_limit(void **state)
{
	struct governor governor;
	double percent = 0;
	int i;

	(void)state;
	governor_init(&governor, 1.0, 999);
	for (i = 0; i < 60; i++) {
		percent = 0.2 + governor.hz * 0.01;
		next(&governor, percent);
	}
	assert_true(percent <= 1.0 && percent > 0.5);
	assert_true(governor.hz >= 40 && governor.hz <= 80);
}

static void test_full_rings_halve_it(void **state)
{
	struct governor governor;
	struct governor_epoch epoch = cost(0.01);

	(void)state;
	governor_init(&governor, 1.0, 100);
	epoch.refused = 3;
	assert_int_equal(governor_next(&governor, &epoch), 50);
	assert_int_equal(governor_next(&governor, &epoch), 25);
}

static void test_bpf_time_counts_too(void **state)
{
	struct governor governor;
	struct governor_epoch epoch = cost(0.5);

	(void)state;
	epoch.bpf_ns = 10 * CPUS * NS_PER_SEC / 100;
	governor_init(&governor, 1.0, 100);
	assert_true(governor_next(&governor, &epoch) < 60);
}

static void test_without_a_limit_nothing_changes(void **state)
{
	struct governor governor;
	struct governor_epoch nothing = {};

	(void)state;
	governor_init(&governor, 0, 99);
	assert_int_equal(next(&governor, 100), 99);
	governor_init(&governor, 1.0, 99);
	assert_int_equal(governor_next(&governor, &nothing), 99);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_below_the_limit_the_rate_is_what_was_asked_for),
		cmocka_unit_test(test_above_it_the_rate_falls_in_proportion),
		cmocka_unit_test(test_it_never_falls_below_one_or_at_once_to_less_than_a_tenth),
		cmocka_unit_test(test_it_rises_slowly_and_not_beyond),
		cmocka_unit_test(test_it_settles_where_the_cost_is_below_the_limit),
		cmocka_unit_test(test_full_rings_halve_it),
		cmocka_unit_test(test_bpf_time_counts_too),
		cmocka_unit_test(test_without_a_limit_nothing_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
