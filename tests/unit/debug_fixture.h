/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A process 1234 whose root is the folder "root" of the fixture, for tests that look for debug
 * files.  Include it behind cmocka.h.
 */
#ifndef EBPFPROF_TESTS_DEBUG_FIXTURE_H
#define EBPFPROF_TESTS_DEBUG_FIXTURE_H

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "symbolizer/debug_files.h"
#include "symbolizer/elf.h"
#include "tests/unit/elf_fixture.h"

#define SHELL(...) assert_true(fixture_shell(__VA_ARGS__))

struct opened {
	int fd;
	struct elf_file *elf;
};

static inline struct opened open_elf(const char *path)
{
	struct opened opened = { .fd = open(path, O_RDONLY | O_CLOEXEC) };

	assert_true(opened.fd >= 0);
	assert_int_equal(elf_file_open(opened.fd, &opened.elf, NULL), 0);
	return opened;
}

static inline void close_elf(struct opened *opened)
{
	elf_file_close(opened->elf);
	close(opened->fd);
}

/* "xx/yyy" of the file @name, as `readelf -n` tells it. */
static inline const char *id_path(const char *name)
{
	static char path[80];
	char hex[64] = "";
	FILE *pipe = fixture_popen("readelf -n %s | sed -n 's/.*Build ID: //p'", name);

	assert_int_equal(fscanf(pipe, "%63s", hex), 1);
	pclose(pipe);
	snprintf(path, sizeof(path), "%.2s/%.61s", hex, hex + 2);
	return path;
}

/* Empties the trees "root", "dbg" and "own", and makes the first the root of process 1234. */
static inline void fresh_trees(void)
{
	SHELL("rm -rf root dbg own proc && mkdir -p root/bin root/usr/lib/debug dbg own/.debug "
	      "proc/1234 && ln -s \"$PWD/root\" proc/1234/root");
}

/* fixture_path() of @name that stays valid; one for each line that calls it */
#define KEPT_PATH(name)                                                                            \
	({                                                                                         \
		static char _kept[160];                                                            \
		strcpy(_kept, fixture_path(name));                                                 \
	})

static inline bool is_file(const struct debug_file *file, const char *path)
{
	struct stat found, expected;

	assert_int_equal(fstat(file->fd, &found), 0);
	assert_int_equal(stat(path, &expected), 0);
	return found.st_dev == expected.st_dev && found.st_ino == expected.st_ino;
}

/* @file is the one at @name in the fixture's folder, and says so; closes it. */
static inline void check_found(int code, struct debug_file *file, const char *name)
{
	if (code)
		fail_msg("%s: %s", name, strerror(-code));
	if (!is_file(file, fixture_path(name)))
		fail_msg("found %s instead of %s", file->path, name);
	if (!is_file(file, file->path))
		fail_msg("%s is not where it was found", file->path);
	debug_file_close(file);
}

#endif
