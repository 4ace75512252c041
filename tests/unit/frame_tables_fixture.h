/* SPDX-License-Identifier: BSD-2-Clause */
/* Unwind tables of files in a folder, for test_frame_tables*.c.  Include it behind cmocka.h. */
#ifndef EBPFPROF_TESTS_FRAME_TABLES_FIXTURE_H
#define EBPFPROF_TESTS_FRAME_TABLES_FIXTURE_H

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "symbolizer/frame_tables.h"
#include "tests/unit/binary_fixture.h"

#define PROGRAM "/bin/ls"
#define LONG_NS (30 * NS_PER_SEC)
#define MANY_FILES 100

static inline struct frame_tables *open_tables(struct fixture *fixture, bool with_cache,
					       size_t heap_bytes_max)
{
	struct frame_tables_config config = { .with_cache = with_cache,
					      .cache_dir = at(fixture, "cache"),
					      .heap_bytes_max = heap_bytes_max };
	struct frame_tables *tables;

	assert_int_equal(frame_tables_new(&config, &tables), 0);
	return tables;
}

static inline enum frame_state state_of(struct frame_tables *tables, struct binary *binary)
{
	const struct frame_table *table = NULL;
	enum frame_state state = frame_tables_get(tables, binary, &table, NULL);

	assert_int_equal(state == FRAME_STATE_READY, table != NULL);
	return state;
}

static inline const struct frame_table *table_of(struct frame_tables *tables, struct binary *binary)
{
	const struct frame_table *table;

	assert_int_equal(frame_tables_get(tables, binary, &table, NULL), FRAME_STATE_READY);
	return table;
}

static inline void wait_all(struct frame_tables *tables)
{
	assert_int_equal(frame_tables_wait(tables, monotonic_ns() + LONG_NS), 0);
}

static inline struct frame_tables_stats stats_of(const struct frame_tables *tables)
{
	struct frame_tables_stats stats;

	frame_tables_stats(tables, &stats);
	return stats;
}

static inline int error_of(struct frame_tables *tables, struct binary *binary)
{
	const struct frame_table *table;
	int error = 0;

	assert_int_equal(frame_tables_get(tables, binary, &table, &error), FRAME_STATE_FAILED);
	return error;
}

/* The table is what the file at @path gives. */
static inline void assert_table_of(const struct frame_table *table, const char *path)
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
static inline bool make_bare_library(const struct fixture *fixture, const char *name,
				     const char *options)
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

static inline size_t cached_files(const struct fixture *fixture, char ret_path[512])
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

#endif
