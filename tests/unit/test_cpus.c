/* SPDX-License-Identifier: BSD-2-Clause */
/* Sets of CPUs as the kernel writes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/collect/cpus.h"

/* The set of @text, written again as a list of single numbers. */
static void check_list(const char *text, const char *numbers)
{
	struct cpu_set_bits set;
	char list[256] = "";
	unsigned int cpu, cnt = 0;
	size_t used = 0;

	assert_int_equal(cpus_parse(text, &set), 0);
	for (cpu = 0; cpu < CPUS_MAX; cpu++) {
		if (!cpus_has(&set, cpu))
			continue;
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%u", cnt ? " " : "",
					 cpu);
		cnt++;
	}
	assert_string_equal(list, numbers);
	assert_int_equal(cpus_cnt(&set), cnt);
}

static void test_lists_of_the_kernel_are_read(void **state)
{
	(void)state;
	check_list("0\n", "0");
	check_list("0-3\n", "0 1 2 3");
	check_list("0-1,8\n", "0 1 8");
	check_list("0,2-3,62-65,4095\n", "0 2 3 62 63 64 65 4095");
	check_list("5-5", "5");
	check_list("", "");
	check_list("\n", "");
}

static void test_whole_range_fits(void **state)
{
	struct cpu_set_bits set;

	(void)state;
	assert_int_equal(cpus_parse("0-4095\n", &set), 0);
	assert_int_equal(cpus_cnt(&set), CPUS_MAX);
	assert_true(cpus_has(&set, CPUS_MAX - 1));
	assert_false(cpus_has(&set, CPUS_MAX));
	assert_false(cpus_has(&set, UINT32_MAX));
}

static void test_other_text_is_refused_and_changes_nothing(void **state)
{
	static const char *const bad[] = {
		"abc",
		"-3",
		"0-",
		"0--1",
		"3-1",
		"0,,1",
		",0",
		"0-3-5",
		"0;1",
		"0 1",
		"0x10",
		"4096",
		"0-4096",
		"99999999999999999999",
		"0-99999999999999999999",
		"1,2,x",
	};
	struct cpu_set_bits set, before;
	size_t i;

	(void)state;
	assert_int_equal(cpus_parse("1,3", &before), 0);
	set = before;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		if (cpus_parse(bad[i], &set) != -EINVAL)
			fail_msg("'%s' was accepted", bad[i]);
		assert_memory_equal(&set, &before, sizeof(set));
	}
}

static void test_this_host_has_what_libc_counts(void **state)
{
	struct cpu_set_bits online;

	(void)state;
	assert_int_equal(cpus_online(&online), 0);
	assert_int_equal(cpus_cnt(&online), sysconf(_SC_NPROCESSORS_ONLN));
	assert_true(cpus_possible_cnt() >= (int)cpus_cnt(&online));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists_of_the_kernel_are_read),
		cmocka_unit_test(test_whole_range_fits),
		cmocka_unit_test(test_other_text_is_refused_and_changes_nothing),
		cmocka_unit_test(test_this_host_has_what_libc_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
