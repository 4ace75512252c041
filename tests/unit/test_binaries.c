/* SPDX-License-Identifier: BSD-2-Clause */
/* How well each binary is named: what is one entry, their order, and what is too many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "profiler/base/cleanup.h"
#include "profiler/pipeline/binaries.h"
#include "tests/unit/fail_malloc.h"
#include "tests/unit/fake_symbolizer.h"

static const struct location_mapping libc = { .filename = "/lib/libc.so.6" };
static const struct location_mapping prog = { .filename = "/bin/prog" };
static const struct location_mapping jit = { .filename = "[jit]" };

static struct symbolizer fake;

static struct location place(uint64_t owner, enum location_kind kind,
			     const struct location_mapping *mapping)
{
	return (struct location){ .owner = owner, .kind = kind, .mapping = mapping };
}

static struct binary_use *get(struct binaries *binaries, uint64_t owner, enum location_kind kind,
			      const struct location_mapping *mapping)
{
	struct location location = place(owner, kind, mapping);

	return binaries_get(binaries, &fake, &location);
}

static void test_one_entry_for_each_file(void **state)
{
	_cleanup_(binaries_free) struct binaries binaries;

	(void)state;
	binaries_init(&binaries);
	assert_ptr_equal(get(&binaries, 1, LOCATION_USER, &libc),
			 get(&binaries, 1, LOCATION_USER, &libc));
	assert_ptr_not_equal(get(&binaries, 1, LOCATION_USER, &libc),
			     get(&binaries, 2, LOCATION_USER, &prog));
	/* A process and a file may have the same number. */
	assert_ptr_not_equal(get(&binaries, 1, LOCATION_USER, &libc),
			     get(&binaries, 1, LOCATION_JIT, &jit));
	assert_null(get(&binaries, 0, LOCATION_NOTE, NULL));
}

static void test_list_sums_equal_names_and_puts_the_hottest_first(void **state)
{
	_cleanup_(binaries_free) struct binaries binaries;
	_cleanup_free_ struct binary_use *uses = NULL;
	size_t cnt;

	(void)state;
	binaries_init(&binaries);
	get(&binaries, 1, LOCATION_USER, &libc)->samples = 5;
	get(&binaries, 1, LOCATION_USER, &libc)->named = 25;
	get(&binaries, 2, LOCATION_USER, &prog)->samples = 7;
	get(&binaries, 3, LOCATION_JIT, &jit)->samples = 4;
	get(&binaries, 4, LOCATION_JIT, &jit)->samples = 6;
	get(&binaries, 4, LOCATION_JIT, &jit)->frames = 9;
	assert_int_equal(binaries_list(&binaries, &uses, &cnt), 0);
	assert_int_equal(cnt, 3);
	assert_string_equal(uses[0].path, "[jit]");
	assert_int_equal(uses[0].samples, 10);
	assert_int_equal(uses[0].frames, 9);
	assert_string_equal(uses[1].path, "/bin/prog");
	assert_int_equal(uses[2].named, 25);
}

static void test_beyond_the_limit_all_others_are_one(void **state)
{
	_cleanup_(binaries_free) struct binaries binaries;
	_cleanup_free_ struct binary_use *uses = NULL;
	size_t cnt, i;

	(void)state;
	binaries_init(&binaries);
	for (i = 0; i < BINARIES_MAX; i++)
		get(&binaries, i, LOCATION_USER, &prog)->samples++;
	get(&binaries, i, LOCATION_USER, &libc)->samples += 3;
	get(&binaries, i + 1, LOCATION_USER, &libc)->samples += 4;
	get(&binaries, i, LOCATION_USER, &libc)->frames += 1;
	assert_int_equal(binaries_list(&binaries, &uses, &cnt), 0);
	assert_int_equal(cnt, 2);
	assert_int_equal(uses[0].samples, BINARIES_MAX);
	assert_null(uses[1].path);
	assert_int_equal(uses[1].samples, 7);
}

static void test_without_memory_there_is_no_entry(void **state)
{
	long n;
	bool hit = true;

	(void)state;
	for (n = 1; hit; n++) {
		_cleanup_(binaries_free) struct binaries binaries;
		struct binary_use *use;

		binaries_init(&binaries);
		fail_malloc_at(n);
		use = get(&binaries, 1, LOCATION_USER, &libc);
		hit = fail_malloc_hit();
		assert_true(use || hit);
		assert_non_null(get(&binaries, 1, LOCATION_USER, &libc));
	}
	assert_true(n > 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_entry_for_each_file),
		cmocka_unit_test(test_list_sums_equal_names_and_puts_the_hottest_first),
		cmocka_unit_test(test_beyond_the_limit_all_others_are_one),
		cmocka_unit_test(test_without_memory_there_is_no_entry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
