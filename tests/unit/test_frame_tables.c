/* SPDX-License-Identifier: BSD-2-Clause */
/* symbolizer/frame_tables: tables of files, from the thread, the disk and memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "symbolizer/binary_bytes.h"
#include "symbolizer/frame_tables.h"
#include "symbolizer/frame_worker.h"
#include "symbolizer/symbol_cache.h"
#include "tests/unit/binary_fixture.h"
#include "tests/unit/fail_malloc.h"

#define PROGRAM "/bin/ls"
#define LONG_NS (30 * NS_PER_SEC)
#define MANY_FILES 100

static struct frame_tables *open_tables(struct fixture *fixture, bool with_cache,
					size_t heap_bytes_max)
{
	struct frame_tables_config config = { .with_cache = with_cache,
					      .cache_dir = at(fixture, "cache"),
					      .heap_bytes_max = heap_bytes_max };
	struct frame_tables *tables;

	assert_int_equal(frame_tables_new(&config, &tables), 0);
	return tables;
}

static enum frame_state state_of(struct frame_tables *tables, struct binary *binary)
{
	const struct frame_table *table = NULL;
	enum frame_state state = frame_tables_get(tables, binary, &table, NULL);

	assert_int_equal(state == FRAME_STATE_READY, table != NULL);
	return state;
}

static const struct frame_table *table_of(struct frame_tables *tables, struct binary *binary)
{
	const struct frame_table *table;

	assert_int_equal(frame_tables_get(tables, binary, &table, NULL), FRAME_STATE_READY);
	return table;
}

static void wait_all(struct frame_tables *tables)
{
	assert_int_equal(frame_tables_wait(tables, monotonic_ns() + LONG_NS), 0);
}

static struct frame_tables_stats stats_of(const struct frame_tables *tables)
{
	struct frame_tables_stats stats;

	frame_tables_stats(tables, &stats);
	return stats;
}

static int error_of(struct frame_tables *tables, struct binary *binary)
{
	const struct frame_table *table;
	int error = 0;

	assert_int_equal(frame_tables_get(tables, binary, &table, &error), FRAME_STATE_FAILED);
	return error;
}

/* The table is what the file at @path gives. */
static void assert_table_of(const struct frame_table *table, const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct frame_table expected;
	struct elf_file *elf;
	void *bytes;
	size_t size;

	assert_int_equal(elf_file_open(fd, &elf, NULL), 0);
	assert_int_equal(frame_source_build(elf, &bytes, &size, NULL), 0);
	assert_int_equal(frame_table_of_bytes(bytes, size, &expected), 0);
	assert_true(expected.row_cnt > 100);
	assert_int_equal(table->first_page, expected.first_page);
	assert_int_equal(table->row_cnt, expected.row_cnt);
	assert_memory_equal(table->rows, expected.rows, expected.row_cnt * sizeof(*expected.rows));
	assert_int_equal(table->rule_cnt, expected.rule_cnt);
	assert_memory_equal(table->rules, expected.rules,
			    expected.rule_cnt * sizeof(*expected.rules));
	free(bytes);
	elf_file_close(elf);
}

/* A library of one function without anything that tells of frames; false: there is no cc. */
static bool make_bare_library(const struct fixture *fixture, const char *name, const char *options)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "echo 'int f(int x) { return x + 1; }' | cc -x c - -shared -nostdlib -fPIC %s -o "
		 "%s/%s 2>/dev/null",
		 options, fixture->folder, name);
	if (system(command) == 0)
		return true;
	print_message("cc is needed, and not installed\n");
	return false;
}

static size_t cached_files(const struct fixture *fixture, char ret_path[512])
{
	const struct dirent *file;
	DIR *folder = opendir(at(fixture, "cache/frames"));
	size_t cnt = 0;

	if (!folder) /* there is no cache */
		return 0;
	while ((file = readdir(folder))) {
		if (file->d_name[0] == '.')
			continue;
		snprintf(ret_path, 512, "%s/cache/frames/%s", fixture->folder, file->d_name);
		cnt++;
	}
	closedir(folder);
	return cnt;
}

/* ---- asking --------------------------------------------------------------------------------- */

static void test_a_table_is_pending_then_ready(void **state)
{
	struct fixture *fixture = *state;
	struct frame_tables *tables = open_tables(fixture, true, 0);
	struct binary *binary = get(fixture, by_build_id(PROGRAM));
	struct pollfd poll_fd = { .fd = frame_tables_fd(tables), .events = POLLIN };
	struct frame_tables_stats stats;

	assert_int_equal(poll(&poll_fd, 1, 0), 0);
	assert_int_equal(state_of(tables, binary), FRAME_STATE_PENDING);
	assert_int_equal(stats_of(tables).pending, 1);
	assert_int_equal(poll(&poll_fd, 1, 30000), 1);
	assert_int_equal(state_of(tables, binary), FRAME_STATE_PENDING); /* up to the next: */
	assert_int_equal(frame_tables_collect(tables), 1);
	assert_int_equal(poll(&poll_fd, 1, 0), 0);
	assert_int_equal(frame_tables_collect(tables), 0);
	assert_table_of(table_of(tables, binary), PROGRAM);
	stats = stats_of(tables);
	assert_int_equal(stats.made, 1);
	assert_int_equal(stats.from_cache + stats.no_info + stats.failed + stats.pending, 0);
	assert_int_equal(stats.rows, table_of(tables, binary)->row_cnt);
	assert_int_equal(stats.census.rows, stats.rows);
	assert_true(stats.build_ns > 0);
	assert_int_equal(stats.heap_bytes, 0);
	assert_true(stats.mapped_bytes > stats.rows * 4);
	binary_put(binary);
	frame_tables_free(tables);
}

static void test_the_next_run_has_it_at_once_from_disk(void **state)
{
	struct fixture *fixture = *state;
	struct binary *binary = get(fixture, by_build_id(PROGRAM));
	struct frame_tables *tables = open_tables(fixture, true, 0);

	state_of(tables, binary);
	wait_all(tables);
	frame_tables_free(tables);
	tables = open_tables(fixture, true, 0);
	assert_table_of(table_of(tables, binary), PROGRAM);
	assert_int_equal(stats_of(tables).from_cache, 1);
	assert_int_equal(stats_of(tables).made, 0);
	assert_int_equal(stats_of(tables).heap_bytes, 0);
	frame_tables_free(tables);
	binary_put(binary);
}

static void test_a_damaged_entry_on_disk_is_made_anew(void **state)
{
	struct fixture *fixture = *state;
	struct binary *binary = get(fixture, by_build_id(PROGRAM));
	struct frame_tables *tables = open_tables(fixture, true, 0);
	char path[512], byte;
	int fd;

	state_of(tables, binary);
	wait_all(tables);
	frame_tables_free(tables);
	assert_int_equal(cached_files(fixture, path), 1);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pread(fd, &byte, 1, 1000), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, 1000), 1);
	close(fd);
	tables = open_tables(fixture, true, 0);
	assert_int_equal(state_of(tables, binary), FRAME_STATE_PENDING);
	wait_all(tables);
	assert_table_of(table_of(tables, binary), PROGRAM);
	frame_tables_free(tables);
	tables = open_tables(fixture, true, 0);
	assert_int_equal(state_of(tables, binary), FRAME_STATE_READY);
	frame_tables_free(tables);
	binary_put(binary);
}

/* Whole, with the right checksum and stamp, and no table: what a build with a bug may have left. */
static void test_what_is_on_disk_is_checked(void **state)
{
	struct fixture *fixture = *state;
	struct symbol_cache_config folder = { .folder = at(fixture, "cache") };
	const struct elf_build_id id = { { 1, 2, 3, 4 }, 4 };
	char text[] = "this is no table, and long enough to have a header";
	struct iovec part = { text, sizeof(text) };
	struct frame_bytes bytes;
	struct symbol_cache *cache;

	assert_int_equal(symbol_cache_new(&folder, &cache), 0);
	assert_int_equal(symbol_cache_put(cache, CACHE_FRAME_TABLE, &id, 7, &part, 1), 0);
	assert_int_equal(frame_bytes_from_cache(cache, &id, 7, &bytes), -ENOENT);
	symbol_cache_free(cache);
}

static void test_the_vdso_is_ready_at_once(void **state)
{
	struct fixture *fixture = *state;
	struct frame_tables *tables = open_tables(fixture, true, 0);
	struct binary *binary = binary_get_vdso(fixture->cache);

	if (!binary) {
		print_message("this kernel has no vdso\n");
		frame_tables_free(tables);
		skip();
	}
	assert_true(table_of(tables, binary)->row_cnt > 4);
	assert_int_equal(stats_of(tables).made, 1);
	binary_put(binary);
	frame_tables_free(tables);
}

/* ---- files ---------------------------------------------------------------------------------- */

static void test_a_file_may_tell_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct frame_tables *tables;
	struct binary *binary;

	if (!make_bare_library(fixture, "bare.so", "-fno-asynchronous-unwind-tables"))
		skip();
	tables = open_tables(fixture, true, 0);
	binary = get(fixture, by_inode(at(fixture, "bare.so")));
	assert_int_equal(state_of(tables, binary), FRAME_STATE_PENDING);
	wait_all(tables);
	assert_int_equal(state_of(tables, binary), FRAME_STATE_NO_INFO);
	assert_int_equal(stats_of(tables).no_info, 1);
	binary_put(binary);
	frame_tables_free(tables);
}

static void test_files_that_cannot_be_read_say_why(void **state)
{
	struct fixture *fixture = *state;
	struct frame_tables *tables = open_tables(fixture, true, 0);
	struct binary_request missing = { .path = "/nowhere/at/all" };
	struct binary *binary = get(fixture, missing);
	FILE *text = fopen(at(fixture, "text"), "w");

	assert_int_equal(error_of(tables, binary), -ENOENT);
	assert_int_equal(error_of(tables, binary), -ENOENT);
	assert_int_equal(stats_of(tables).failed, 1);
	binary_put(binary);
	fputs("no ELF file", text);
	fclose(text);
	binary = get(fixture, by_inode(at(fixture, "text")));
	assert_int_equal(error_of(tables, binary), -ENOEXEC);
	binary_put(binary);
	assert_int_equal(stats_of(tables).pending, 0);
	frame_tables_free(tables);
}

/* Closed for others, and then replaced. */
static void test_a_file_that_was_replaced_is_not_read(void **state)
{
	struct fixture *fixture = *state;
	struct frame_tables *tables = open_tables(fixture, true, 0);
	struct binary *first, *second;

	renew_cache(fixture, "/proc", MANY, 1);
	copy_file("/bin/cat", at(fixture, "a"));
	first = get(fixture, by_build_id(at(fixture, "a")));
	copy_file("/bin/sh", at(fixture, "b"));
	second = get(fixture, by_build_id(at(fixture, "b")));
	unlink(at(fixture, "a"));
	copy_file("/bin/sh", at(fixture, "a"));
	assert_int_equal(error_of(tables, first), -ESTALE);
	assert_int_equal(state_of(tables, second), FRAME_STATE_PENDING);
	wait_all(tables);
	assert_int_equal(state_of(tables, second), FRAME_STATE_READY);
	frame_tables_free(tables);
	binary_put(first);
	binary_put(second);
}

static void test_binaries_of_one_build_id_share_a_table(void **state)
{
	struct fixture *fixture = *state;
	struct frame_tables *tables = open_tables(fixture, true, 0);
	struct binary *one = get(fixture, by_build_id(PROGRAM)), *other;
	struct binary_request request;
	struct binary_cache *cache;

	copy_file(PROGRAM, at(fixture, "copy"));
	request = by_build_id(at(fixture, "copy"));
	assert_int_equal(binary_cache_new("/proc", MANY, 4, &cache), 0);
	other = binary_get(cache, &request);
	assert_non_null(other);
	assert_int_equal(state_of(tables, one), FRAME_STATE_PENDING);
	assert_int_equal(state_of(tables, other), FRAME_STATE_PENDING);
	assert_int_equal(stats_of(tables).pending, 1);
	wait_all(tables);
	assert_ptr_equal(table_of(tables, one), table_of(tables, other));
	assert_int_equal(stats_of(tables).made, 1);
	frame_tables_free(tables);
	binary_put(other);
	binary_put(one);
	binary_cache_free(cache);
}

/* A program that claims to be another one. */
static void test_a_borrowed_build_id_gives_no_borrowed_table(void **state)
{
	struct fixture *fixture = *state;
	struct frame_tables *tables = open_tables(fixture, true, 0);
	struct binary *one = get(fixture, by_build_id(PROGRAM)), *other;
	const char *path = at(fixture, "liar");
	Elf64_Phdr segment;
	Elf64_Ehdr header;
	size_t i;
	int fd;

	state_of(tables, one);
	wait_all(tables);
	copy_file(PROGRAM, path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pread(fd, &header, sizeof(header), 0), sizeof(header));
	for (i = 0; i < header.e_phnum; i++) {
		off_t offset = (off_t)(header.e_phoff + i * sizeof(segment));

		assert_int_equal(pread(fd, &segment, sizeof(segment), offset), sizeof(segment));
		segment.p_filesz -= segment.p_type == PT_LOAD;
		assert_int_equal(pwrite(fd, &segment, sizeof(segment), offset), sizeof(segment));
	}
	close(fd);
	other = get(fixture, by_inode(path));
	assert_string_equal(binary_build_id(one), binary_build_id(other));
	assert_int_equal(state_of(tables, other), FRAME_STATE_PENDING);
	wait_all(tables);
	assert_ptr_not_equal(table_of(tables, one), table_of(tables, other));
	binary_put(one);
	binary_put(other);
	frame_tables_free(tables);
}

static void test_without_a_build_id_nothing_is_written(void **state)
{
	struct fixture *fixture = *state;
	struct frame_tables *tables;
	struct binary *binary;
	char path[512];

	if (!make_bare_library(fixture, "no-id.so", "-Wl,--build-id=none"))
		skip();
	tables = open_tables(fixture, true, 0);
	binary = get(fixture, by_inode(at(fixture, "no-id.so")));
	state_of(tables, binary);
	wait_all(tables);
	assert_true(table_of(tables, binary)->row_cnt > 0);
	assert_true(stats_of(tables).heap_bytes > 0);
	assert_int_equal(cached_files(fixture, path), 0);
	binary_put(binary);
	frame_tables_free(tables);
}

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
		IN_FOLDER(test_a_table_is_pending_then_ready),
		IN_FOLDER(test_the_next_run_has_it_at_once_from_disk),
		IN_FOLDER(test_a_damaged_entry_on_disk_is_made_anew),
		IN_FOLDER(test_what_is_on_disk_is_checked),
		IN_FOLDER(test_the_vdso_is_ready_at_once),
		IN_FOLDER(test_a_file_may_tell_nothing),
		IN_FOLDER(test_files_that_cannot_be_read_say_why),
		IN_FOLDER(test_a_file_that_was_replaced_is_not_read),
		IN_FOLDER(test_binaries_of_one_build_id_share_a_table),
		IN_FOLDER(test_a_borrowed_build_id_gives_no_borrowed_table),
		IN_FOLDER(test_without_a_build_id_nothing_is_written),
		IN_FOLDER(test_more_than_the_thread_takes_wait_without_descriptors),
		IN_FOLDER(test_ending_while_others_wait_gives_all_back),
		IN_FOLDER(test_trim_forgets_what_was_not_asked_for),
		IN_FOLDER(test_the_heap_is_bounded),
		IN_FOLDER(test_the_thread_stands_back_and_takes_no_signals),
		IN_FOLDER(test_every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
