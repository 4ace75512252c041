/* SPDX-License-Identifier: BSD-2-Clause */
/* symbolizer/binary: what is kept of files, within which budgets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <sys/stat.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/binary.h"
#include "symbolizer/symtab.h"
#include "tests/unit/binary_fixture.h"
#include "tests/unit/fail_malloc.h"

static void test_fd_budget_closes_and_opens_again(void **state)
{
	static const char *const programs[] = { "/bin/ls", "/bin/cat", "/bin/cp", "/bin/mv",
						"/bin/rm" };
	struct fixture *fixture = *state;
	struct binary *binaries[ARRAY_SIZE(programs)];
	size_t i, round;

	renew_cache(fixture, "/proc", 1, 2);
	for (i = 0; i < ARRAY_SIZE(programs); i++) {
		binaries[i] = get(fixture, by_inode(programs[i]));
		assert_in_range(binary_cache_open_files(fixture->cache), 1, 2);
	}
	for (round = 0; round < 2; round++) {
		for (i = 0; i < ARRAY_SIZE(programs); i++) {
			assert_true(is_named(binaries[i], programs[i]));
			assert_in_range(binary_cache_open_files(fixture->cache), 1, 2);
		}
	}
	for (i = 0; i < ARRAY_SIZE(programs); i++) {
		struct binary *again = get(fixture, by_inode(programs[i]));

		assert_ptr_equal(again, binaries[i]);
		binary_put(again);
		binary_put(binaries[i]);
	}
}

static void test_file_replaced_while_closed_gives_no_names(void **state)
{
	struct fixture *fixture = *state;
	struct binary *prog, *other;

	renew_cache(fixture, "/proc", MANY, 1);
	copy_file("/bin/ls", at(fixture, "prog"));
	copy_file("/bin/cat", at(fixture, "new"));
	prog = get(fixture, by_inode(at(fixture, "prog")));
	other = get(fixture, by_inode("/bin/cp"));
	assert_int_equal(rename(at(fixture, "new"), at(fixture, "prog")), 0);
	assert_false(is_named(prog, "/bin/ls"));
	assert_string_equal(binary_symbol_source(prog), "unreadable: replaced by another file");
	binary_put(prog);
	binary_put(other);
}

static void test_reused_inode_is_another_binary(void **state)
{
	struct fixture *fixture = *state;
	struct binary *first, *second, *other;

	renew_cache(fixture, "/proc", MANY, 1);
	copy_file("/bin/ls", at(fixture, "prog"));
	first = get(fixture, by_inode(at(fixture, "prog")));
	other = get(fixture, by_inode("/bin/cp")); /* closes the first */
	copy_file("/bin/cat", at(fixture, "prog"));
	second = get(fixture, by_inode(at(fixture, "prog")));
	assert_ptr_not_equal(first, second);
	assert_string_not_equal(binary_build_id(first), binary_build_id(second));
	binary_put(first);
	binary_put(second);
	binary_put(other);
}

static void test_symbol_budget_drops_and_reads_again(void **state)
{
	struct fixture *fixture = *state;
	struct binary *ls, *cp;
	size_t before, one;

	renew_cache(fixture, "/proc", 1, 16);
	ls = get(fixture, by_inode("/bin/ls"));
	cp = get(fixture, by_inode("/bin/cp"));
	before = binary_cache_bytes(fixture->cache);
	assert_string_equal(binary_symbol_source(ls), "not read");
	assert_true(is_named(ls, "/bin/ls"));
	assert_string_equal(binary_symbol_source(ls), "dynsym"); /* Debian strips it */
	one = binary_cache_bytes(fixture->cache) - before;
	assert_true(one > 0);
	assert_true(is_named(cp, "/bin/cp"));
	assert_true(binary_cache_bytes(fixture->cache) < before + 2 * one + 4096);
	assert_true(is_named(ls, "/bin/ls"));
	assert_int_equal(binary_cache_bytes(fixture->cache), before + one);
	binary_put(ls);
	binary_put(cp);
}

static void test_binaries_without_reference_are_bounded(void **state)
{
	struct fixture *fixture = *state;
	unsigned int i;
	char path[64];

	for (i = 0; i < 5000; i++) {
		struct binary_request request = { .path = path };

		snprintf(path, sizeof(path), "/nonexistent/%u", i);
		binary_put(get(fixture, request));
	}
	assert_true(binary_cache_bytes(fixture->cache) < 600 * 1024);
}

static void test_many_names_of_one_file_are_bounded(void **state)
{
	struct fixture *fixture = *state;
	struct binary_request request = by_build_id("/bin/ls");
	struct binary *binary = get(fixture, request);
	unsigned int i;

	for (i = 0; i < 100; i++) { /* as many containers with a copy each */
		char name[16];

		snprintf(name, sizeof(name), "copy%u", i);
		copy_file("/bin/ls", at(fixture, name));
		assert_ptr_equal(get(fixture, by_inode(at(fixture, name))), binary);
		binary_put(binary);
	}
	assert_ptr_equal(get(fixture, request), binary);
	binary_put(binary);
	binary_put(binary);
}

static void test_survives_each_failed_allocation(void **state)
{
	struct fixture *fixture = *state;
	struct binary_request requests[] = {
		by_inode("/bin/ls"),
		by_build_id("/bin/cat"),
		{ .path = "/nonexistent" },
	};
	bool hit = true;
	long n;

	for (n = 1; hit; n++) {
		struct binary_cache *cache = NULL;
		struct symbol symbol;
		size_t i;

		fail_malloc_at(n);
		if (binary_cache_new(fixture->folder, 1, 1, &cache) == 0) {
			for (i = 0; i < ARRAY_SIZE(requests); i++) {
				struct binary *binary = binary_get(cache, &requests[i]);

				if (!binary)
					continue;
				binary_find_symbol(binary, 0x4000, &symbol);
				binary_put(binary);
			}
			if (binary_get_vdso(cache))
				binary_put(binary_get_vdso(cache));
		}
		hit = fail_malloc_hit();
		binary_cache_free(cache);
	}
	assert_true(n > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(test_fd_budget_closes_and_opens_again),
		IN_FOLDER(test_file_replaced_while_closed_gives_no_names),
		IN_FOLDER(test_reused_inode_is_another_binary),
		IN_FOLDER(test_symbol_budget_drops_and_reads_again),
		IN_FOLDER(test_binaries_without_reference_are_bounded),
		IN_FOLDER(test_many_names_of_one_file_are_bounded),
		IN_FOLDER(test_survives_each_failed_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
