/* SPDX-License-Identifier: BSD-2-Clause */
/* symbolizer/process: images of processes over time, from records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/mappings.h"
#include "symbolizer/process.h"
#include "tests/unit/process_fixture.h"

#define NOW (UINT64_MAX / 2)

static bool map(struct fixture *fixture, pid_t tgid, uint64_t time_ns, uint64_t start,
		const char *path)
{
	struct mmap_event event = event_of(tgid, time_ns, start, path);
	bool replaced = false;

	assert_int_equal(process_on_mmap(fixture->table, &event, &replaced), 0);
	return replaced;
}

static void test_fork_copies_and_exec_clears(void **state)
{
	struct fixture *fixture = *state;

	process_on_exec(fixture->table, 10, 100);
	map(fixture, 10, 101, 0x1000, LIB);
	assert_int_equal(process_on_fork(fixture->table, 11, 10, 200), 0);
	map(fixture, 10, 250, 0x5000, LIB);
	assert_non_null(find(fixture, 11, 0x1000, 201));
	assert_null(find(fixture, 11, 0x5000, 260));
	assert_non_null(find(fixture, 10, 0x5000, 260));

	process_on_exec(fixture->table, 11, 300);
	assert_null(find(fixture, 11, 0x1000, 300));
	map(fixture, 11, 301, 0x9000, LIB);
	assert_non_null(find(fixture, 11, 0x9000, 301));
	assert_non_null(find(fixture, 11, 0x1000, 299));
	assert_non_null(find(fixture, 10, 0x1000, 301));
	assert_int_equal(process_table_cnt(fixture->table), 3);
}

static void test_new_thread_is_no_process(void **state)
{
	struct fixture *fixture = *state;

	process_on_exec(fixture->table, 10, 100);
	process_on_fork(fixture->table, 10, 10, 200);
	assert_int_equal(process_table_cnt(fixture->table), 1);
}

static void test_reused_pid_is_told_apart_by_time(void **state)
{
	struct fixture *fixture = *state;
	struct process *first, *second;

	process_on_exec(fixture->table, 1, 1);
	process_on_fork(fixture->table, 10, 1, 100);
	map(fixture, 10, 110, 0x1000, LIB);
	process_on_exit(fixture->table, 10, 200);
	process_on_fork(fixture->table, 10, 1, 300);
	map(fixture, 10, 310, 0x1000, "//anon");
	first = process_find(fixture->table, 10, 150);
	second = process_find(fixture->table, 10, 350);
	assert_true(process_id(first) != process_id(second));
	assert_int_equal(process_tgid(second), 10);
	assert_int_equal(find_in(first, 0x1000, 150)->kind, MAPPING_FILE);
	assert_int_equal(find_in(second, 0x1000, 350)->kind, MAPPING_JIT);
	assert_ptr_equal(process_find(fixture->table, 10, 250), first);
	assert_null(process_find(fixture->table, 10, 99));
}

static void test_lost_exit_is_ended_by_the_next_fork(void **state)
{
	struct fixture *fixture = *state;

	process_on_fork(fixture->table, 10, 1, 100);
	process_on_fork(fixture->table, 10, 1, 300);
	process_table_trim(fixture->table, 301);
	assert_int_equal(process_table_cnt(fixture->table), 1);
	assert_non_null(process_find(fixture->table, 10, 300));
}

static void test_sample_after_the_exit_record_is_the_images(void **state)
{
	struct fixture *fixture = *state;

	process_on_fork(fixture->table, 10, 1, 100);
	map(fixture, 10, 110, 0x1000, LIB);
	process_on_exit(fixture->table, 10, 200);
	assert_non_null(find(fixture, 10, 0x1000, 201));
	assert_non_null(find(fixture, 10, 0x1000, NOW));
	map(fixture, 10, 400, 0x2000, LIB); /* only the leader had exited */
	process_table_trim(fixture->table, 300);
	assert_non_null(find(fixture, 10, 0x1000, 401));
}

static void test_trim_forgets_ended_images_only(void **state)
{
	struct fixture *fixture = *state;
	pid_t alive = getpid(), dead = 1 << 23; /* beyond any pid_max */

	process_on_fork(fixture->table, alive, 1, 100);
	process_on_exec(fixture->table, alive, 150);
	process_on_fork(fixture->table, dead, alive, 160);
	process_on_exit(fixture->table, dead, 200);
	assert_int_equal(process_table_cnt(fixture->table), 3);
	process_table_trim(fixture->table, 200);
	assert_int_equal(process_table_cnt(fixture->table), 2);
	assert_non_null(process_find(fixture->table, dead, 200));
	process_table_trim(fixture->table, 201);
	assert_int_equal(process_table_cnt(fixture->table), 1);
	assert_null(process_find(fixture->table, dead, 200));
}

static void test_mapping_from_before_the_exit_keeps_it_ended(void **state)
{
	struct fixture *fixture = *state;

	process_on_fork(fixture->table, 10, 1, 100);
	process_on_exit(fixture->table, 10, 200);
	map(fixture, 10, 150, 0x1000, LIB);
	process_table_trim(fixture->table, 201);
	assert_int_equal(process_table_cnt(fixture->table), 0);
}

/* In this fixture's /proc nobody is alive. */
static void test_trim_ends_images_whose_exit_was_lost(void **state)
{
	struct fixture *fixture = *state;
	pid_t pid;

	for (pid = 1; pid <= 1000; pid++)
		process_on_exec(fixture->table, pid, 100);
	for (pid = 0; pid < 8; pid++)
		process_table_trim(fixture->table, 1000 + (uint64_t)pid);
	assert_int_equal(process_table_cnt(fixture->table), 0);
}

static void test_mapping_of_an_unknown_process_is_kept(void **state)
{
	struct fixture *fixture = *state;

	map(fixture, 99, 500, 0x1000, LIB);
	assert_non_null(find(fixture, 99, 0x1000, 600));
	assert_non_null(find(fixture, 99, 0x1000, 400));
	assert_int_equal(process_table_cnt(fixture->table), 1);
}

static void test_kinds_follow_the_kernels_names(void **state)
{
	static const struct {
		const char *path;
		enum mapping_kind kind;
	} cases[] = {
		{ "//anon", MAPPING_JIT },
		{ "", MAPPING_JIT },
		{ NULL, MAPPING_JIT },
		{ "[heap]", MAPPING_JIT },
		{ "[stack]", MAPPING_JIT },
		{ "[stack:12]", MAPPING_JIT },
		{ "[anon:jit]", MAPPING_JIT },
		{ "/dev/zero (deleted)", MAPPING_JIT },
		{ "/SYSV00000000", MAPPING_JIT },
		{ "/anon_hugepage (deleted)", MAPPING_JIT },
		{ "/memfd:x (deleted)", MAPPING_JIT },
		{ "[vsyscall]", MAPPING_VSYSCALL },
		{ LIB, MAPPING_FILE },
		{ "/gone (deleted)", MAPPING_FILE },
		{ "[vdso]", MAPPING_VDSO },
	};
	struct fixture *fixture = *state;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t start = (1ull << 40) + i * 0x1000;
		const struct mapping *mapping;

		map(fixture, 10, 100, start, cases[i].path);
		mapping = find(fixture, 10, start, 100);
		assert_int_equal(mapping->kind, cases[i].kind);
		assert_int_equal(mapping->binary != NULL,
				 cases[i].kind == MAPPING_FILE || cases[i].kind == MAPPING_VDSO);
	}
	map(fixture, 10, 100, 0xf7fc0000, "[vdso]"); /* of a 32-bit process: not ours */
	assert_null(find(fixture, 10, 0xf7fc0000, 100)->binary);
}

static void test_replacing_is_told(void **state)
{
	struct fixture *fixture = *state;

	assert_false(map(fixture, 10, 100, 0x1000, LIB));
	assert_false(map(fixture, 10, 110, 0x1000, LIB));
	assert_true(map(fixture, 10, 120, 0x1000, "//anon"));
}

static void test_images_are_bounded(void **state)
{
	struct fixture *fixture = *state;
	unsigned int i;
	int r = 0;

	for (i = 1; r == 0 && i < 2 * PROCESS_IMAGES_MAX; i++)
		r = process_on_fork(fixture->table, (pid_t)i, 1, i);
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(process_table_cnt(fixture->table), PROCESS_IMAGES_MAX);
}

static void test_ten_thousand_processes_take_20_megabytes(void **state)
{
	struct fixture *fixture = *state;
	uint64_t i;
	pid_t pid;

	for (pid = 1; pid <= 10000; pid++) {
		process_on_exec(fixture->table, pid, 100);
		for (i = 30; i > 0; i--)
			map(fixture, pid, 200, i * 0x2000, LIB);
	}
	for (pid = 1; pid <= 2000; pid++) /* forks cost no list */
		process_on_fork(fixture->table, 10000 + pid, pid, 300);
	assert_true(process_table_bytes(fixture->table) < 26000000);
	process_table_trim(fixture->table, 50);
	assert_true(process_table_bytes(fixture->table) < 21000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RECORDS(test_fork_copies_and_exec_clears),
		WITH_RECORDS(test_new_thread_is_no_process),
		WITH_RECORDS(test_reused_pid_is_told_apart_by_time),
		WITH_RECORDS(test_lost_exit_is_ended_by_the_next_fork),
		WITH_RECORDS(test_sample_after_the_exit_record_is_the_images),
		WITH_PROC(test_trim_forgets_ended_images_only),
		WITH_RECORDS(test_mapping_from_before_the_exit_keeps_it_ended),
		WITH_RECORDS(test_trim_ends_images_whose_exit_was_lost),
		WITH_RECORDS(test_mapping_of_an_unknown_process_is_kept),
		WITH_RECORDS(test_kinds_follow_the_kernels_names),
		WITH_RECORDS(test_replacing_is_told),
		WITH_RECORDS(test_images_are_bounded),
		WITH_RECORDS(test_ten_thousand_processes_take_20_megabytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
