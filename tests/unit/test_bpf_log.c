/* SPDX-License-Identifier: BSD-2-Clause */
/* The line of a verifier's log that says what was wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "profiler/collect/bpf_log.h"

static void check(const char *log, const char *expected)
{
	char line[64] = "untouched";

	assert_int_equal(bpf_log_verifier_line(log, line, sizeof(line)), 0);
	assert_string_equal(line, expected);
}

static void test_the_last_line_that_is_no_statistics_tells_the_cause(void **state)
{
	(void)state;
	check("libbpf: prog 'sample_cpu': -- BEGIN PROG LOAD LOG --\n"
	      "1352: (bc) w2 = w8\n"
	      "R2 unbounded memory access, use 'var &= const' or 'if (var < const)'\n"
	      "processed 3070 insns (limit 1000000) max_states_per_insn 4\n"
	      "-- END PROG LOAD LOG --\n",
	      "R2 unbounded memory access, use 'var &= const' or 'if (var < co");
}

static void test_a_torn_log_still_has_one(void **state)
{
	(void)state;
	check("prog 'x': -- BEGIN PROG LOAD LOG --\nunknown func bpf_loop#181", "unknown func bpf_loop#181");
	check("-- BEGIN PROG LOAD LOG --\nfirst\n\nverification time 3 usec\nstack depth 16",
	      "first");
}

static void test_without_a_line_the_answer_is_untouched(void **state)
{
	static const char *const logs[] = {
		"", "libbpf: failed to load object 'sampler_bpf'", "-- BEGIN PROG LOAD LOG --",
		"-- BEGIN PROG LOAD LOG --\n", "-- BEGIN PROG LOAD LOG --\n-- END PROG LOAD LOG --\n",
		"-- BEGIN PROG LOAD LOG --\nprocessed 0 insns\n-- END PROG LOAD LOG --\nafter",
	};
	char line[32] = "untouched";
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(logs) / sizeof(logs[0]); i++)
		assert_int_equal(bpf_log_verifier_line(logs[i], line, sizeof(line)), -ENOENT);
	assert_int_equal(bpf_log_verifier_line("-- BEGIN PROG LOAD LOG --\nx", line, 0), -ENOENT);
	assert_string_equal(line, "untouched");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_last_line_that_is_no_statistics_tells_the_cause),
		cmocka_unit_test(test_a_torn_log_still_has_one),
		cmocka_unit_test(test_without_a_line_the_answer_is_untouched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
