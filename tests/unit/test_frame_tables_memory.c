/* SPDX-License-Identifier: BSD-2-Clause */
/* symbolizer/frame_tables: many tables, what they take, and the thread that makes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/frame_worker.h"
#include "tests/unit/fail_malloc.h"
#include "tests/unit/frame_tables_fixture.h"

/* ---- many, and their memory ----------------------------------------------------------------- */

static size_t count_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	size_t cnt = 0;

	assert_non_null(folder);
	while (readdir(folder))
		cnt++;
	closedir(folder);
	return cnt;
}

/* MANY_FILES files without a build-id. */
static bool get_many(struct fixture *fixture, struct binary **binaries)
{
	char name[32];
	size_t i;

	if (!make_bare_library(fixture, "no-id.so", "-Wl,--build-id=none"))
		return false;
	for (i = 0; i < MANY_FILES; i++) {
		snprintf(name, sizeof(name), "copy-%zu.so", i);
		copy_file(at(fixture, "no-id.so"), at(fixture, name));
		binaries[i] = get(fixture, by_inode(at(fixture, name)));
	}
	return true;
}

static void put_many(struct binary **binaries)
{
	size_t i;

	for (i = 0; i < MANY_FILES; i++)
		binary_put(binaries[i]);
}

static void test_more_than_the_thread_takes_wait_without_descriptors(void **state)
{
	struct fixture *fixture = *state;
	struct binary *binaries[MANY_FILES];
	struct frame_tables *tables;
	size_t i, before;

	renew_cache(fixture, "/proc", MANY, 4);
	if (!get_many(fixture, binaries))
		skip();
	tables = open_tables(fixture, false, 0);
	before = count_descriptors();
	for (i = 0; i < MANY_FILES; i++)
		assert_int_equal(state_of(tables, binaries[i]), FRAME_STATE_PENDING);
	assert_int_equal(stats_of(tables).pending, MANY_FILES);
	assert_true(count_descriptors() <= before + FRAME_REQUESTS_MAX);
	wait_all(tables);
	for (i = 0; i < MANY_FILES; i++)
		assert_int_equal(state_of(tables, binaries[i]), FRAME_STATE_READY);
	assert_int_equal(stats_of(tables).made, MANY_FILES);
	assert_int_equal(stats_of(tables).rows,
			 table_of(tables, binaries[0])->row_cnt * MANY_FILES);
	assert_true(count_descriptors() <= before);
	frame_tables_free(tables);
	put_many(binaries);
}

static void test_ending_while_others_wait_gives_all_back(void **state)
{
	struct fixture *fixture = *state;
	struct binary *binaries[MANY_FILES];
	struct frame_tables *tables;
	size_t i, before;
	uint64_t start;

	if (!get_many(fixture, binaries))
		skip();
	before = count_descriptors();
	tables = open_tables(fixture, false, 0);
	for (i = 0; i < MANY_FILES; i++)
		state_of(tables, binaries[i]);
	start = monotonic_ns();
	frame_tables_free(tables);
	assert_true(monotonic_ns() - start < 5 * NS_PER_SEC);
	assert_int_equal(count_descriptors(), before);
	put_many(binaries); /* the last references: sanitizers see what was not given back */
}

static void test_trim_forgets_what_was_not_asked_for(void **state)
{
	struct fixture *fixture = *state;
	struct frame_tables *tables = open_tables(fixture, false, 0);
	struct binary *one = get(fixture, by_build_id(PROGRAM));
	struct binary *other = get(fixture, by_build_id("/bin/cat"));
	const struct frame_table *table;
	uint64_t before;

	state_of(tables, one);
	state_of(tables, other);
	frame_tables_trim(tables, UINT64_MAX); /* pending ones stay */
	assert_int_equal(stats_of(tables).pending, 2);
	wait_all(tables);
	state_of(tables, other);
	before = monotonic_ns();
	table = table_of(tables, one);
	frame_tables_trim(tables, before);
	assert_ptr_equal(table_of(tables, one), table);
	assert_int_equal(stats_of(tables).rows, table->row_cnt);
	assert_int_equal(state_of(tables, other), FRAME_STATE_PENDING);
	wait_all(tables);
	frame_tables_trim(tables, UINT64_MAX);
	assert_int_equal(stats_of(tables).rows, 0);
	assert_int_equal(stats_of(tables).heap_bytes, 0);
	binary_put(one);
	binary_put(other);
	frame_tables_free(tables);
}

static void test_the_heap_is_bounded(void **state)
{
	struct fixture *fixture = *state;
	struct binary *binaries[MANY_FILES];
	struct frame_tables *tables;
	size_t i, one, failed = 0;

	if (!get_many(fixture, binaries))
		skip();
	tables = open_tables(fixture, false, 0);
	state_of(tables, binaries[0]);
	wait_all(tables);
	one = stats_of(tables).heap_bytes;
	frame_tables_free(tables);
	tables = open_tables(fixture, false, one * 10);
	for (i = 0; i < MANY_FILES; i++)
		state_of(tables, binaries[i]);
	wait_all(tables);
	assert_int_equal(stats_of(tables).heap_bytes, one * 20);
	for (i = 0; i < MANY_FILES; i++) {
		if (state_of(tables, binaries[i]) == FRAME_STATE_READY)
			continue;
		assert_int_equal(error_of(tables, binaries[i]), -ENOSPC);
		failed++;
	}
	assert_int_equal(failed, MANY_FILES - 20);
	frame_tables_trim(tables, 0);
	assert_int_equal(stats_of(tables).heap_bytes, one * 10);
	frame_tables_free(tables);
	put_many(binaries);
}

/* How many pages of the table at @table are in the process's memory. */
static size_t resident_pages(const struct frame_table *table)
{
	char line[256];
	unsigned long long start, end, kib, at = (uintptr_t)table->rows;
	bool inside = false;
	FILE *file = fopen("/proc/self/smaps", "r");
	size_t pages = SIZE_MAX;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%llx-%llx ", &start, &end) == 2)
			inside = start <= at && at < end;
		if (inside && sscanf(line, "Rss: %llu kB", &kib) == 1)
			pages = kib / 4;
	}
	fclose(file);
	return pages;
}

static void test_mapped_tables_take_memory_only_when_read(void **state)
{
	struct fixture *fixture = *state;
	struct frame_tables *tables = open_tables(fixture, true, 0);
	struct binary *binary = get(fixture, by_build_id(PROGRAM));
	const struct frame_table *table;

	state_of(tables, binary);
	wait_all(tables);
	table = table_of(tables, binary);
	assert_int_equal(resident_pages(table), 0);
	assert_table_of(table, PROGRAM);
	assert_true(resident_pages(table) > 0);
	frame_tables_trim(tables, 0);
	assert_int_equal(resident_pages(table), 0);
	assert_table_of(table, PROGRAM);
	binary_put(binary);
	frame_tables_free(tables);
}

/* ---- the thread ----------------------------------------------------------------------------- */

static uint64_t blocked_signals(int tid)
{
	char path[64], line[256];
	unsigned long long mask = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
	file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		sscanf(line, "SigBlk: %llx", &mask);
	fclose(file);
	return mask;
}

static void test_the_thread_stands_back_and_takes_no_signals(void **state)
{
	struct fixture *fixture = *state;
	struct frame_tables *tables = open_tables(fixture, false, 0);
	struct binary *binary = get(fixture, by_build_id(PROGRAM));
	DIR *folder = opendir("/proc/self/task");
	const struct dirent *task;
	size_t found = 0;

	state_of(tables, binary);
	wait_all(tables); /* it has begun */
	while ((task = readdir(folder))) {
		int tid = atoi(task->d_name);

		if (!tid || tid == getpid())
			continue;
		found++;
		if (sched_getscheduler(tid) != SCHED_BATCH) /* a sanitizer's own */
			continue;
		assert_int_equal(getpriority(PRIO_PROCESS, (id_t)tid), 10);
		assert_true(blocked_signals(tid) & 1ull << (SIGTERM - 1));
		assert_true(blocked_signals(tid) & 1ull << (SIGINT - 1));
		found += 100;
	}
	closedir(folder);
	assert_true(found > 100);
	assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
	binary_put(binary);
	frame_tables_free(tables);
}

/* One run in which the allocation @n fails; whether one did. */
static bool run_failing(struct fixture *fixture, long n, size_t *ret_at_once)
{
	struct frame_tables_config config = { .cache_dir = at(fixture, "cache") };
	struct binary *binary = get(fixture, by_build_id(PROGRAM));
	const struct frame_table *table = NULL;
	struct frame_tables *tables = NULL;
	enum frame_state now = FRAME_STATE_FAILED;
	int ret, error = 0;
	bool hit;

	config.with_cache = n % 2;
	fail_malloc_at(n / 2 + 1);
	ret = frame_tables_new(&config, &tables);
	if (!ret) {
		now = frame_tables_get(tables, binary, &table, &error);
		*ret_at_once += now == FRAME_STATE_READY;
		wait_all(tables);
		now = frame_tables_get(tables, binary, &table, &error);
		/* Without memory for its entry it was forgotten, and is asked for anew. */
		wait_all(tables);
		now = frame_tables_get(tables, binary, &table, &error);
	}
	hit = fail_malloc_hit();
	if (ret)
		assert_true(hit && ret == -ENOMEM);
	else if (now == FRAME_STATE_FAILED)
		assert_true(hit && error == -ENOMEM);
	else
		assert_int_equal(now, FRAME_STATE_READY);
	frame_tables_free(tables);
	binary_put(binary);
	return hit;
}

static void test_every_allocation_may_fail(void **state)
{
	struct fixture *fixture = *state;
	size_t at_once = 0;
	char path[512];
	bool hit[2] = { true, true };
	long n;

	for (n = 0; hit[0] || hit[1]; n++) {
		assert_true(n < 2000);
		hit[n % 2] = run_failing(fixture, n, &at_once);
		if (n % 2 && cached_files(fixture, path))
			unlink(path);
	}
	assert_true(n > 20);
	assert_true(at_once > 0); /* without a thread */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(test_more_than_the_thread_takes_wait_without_descriptors),
		IN_FOLDER(test_ending_while_others_wait_gives_all_back),
		IN_FOLDER(test_trim_forgets_what_was_not_asked_for),
		IN_FOLDER(test_the_heap_is_bounded),
		IN_FOLDER(test_mapped_tables_take_memory_only_when_read),
		IN_FOLDER(test_the_thread_stands_back_and_takes_no_signals),
		IN_FOLDER(test_every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
