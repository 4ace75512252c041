/* SPDX-License-Identifier: BSD-2-Clause */
/* symbolizer/frame_tables: tables of files, from the thread, the disk and memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/binary_bytes.h"
#include "symbolizer/frame_worker.h"
#include "symbolizer/symbol_cache.h"
#include "tests/unit/frame_tables_fixture.h"

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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
