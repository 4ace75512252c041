/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests that write files: each runs in an empty folder of its own, which must be empty again at
 * its end.  Include it behind cmocka.h.
 */
#ifndef EBPFPROF_TESTS_PLACE_H
#define EBPFPROF_TESTS_PLACE_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/fileio.h"
#include "profiler/base/strbuf.h"

#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, enter_place, leave_place)

struct place {
	char path[64];
	int home; /* the root of the tree */
};

static inline int enter_place(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	strcpy(place->path, "/tmp/test_file.XXXXXX");
	place->home = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	umask(022);
	unsetenv("SUDO_UID");
	unsetenv("SUDO_GID");
	if (!mkdtemp(place->path) || chdir(place->path) < 0)
		return -1;
	*state = place;
	return 0;
}

static inline int leave_place(void **state)
{
	struct place *place = *state;
	int left = fchdir(place->home) < 0 || rmdir(place->path) < 0;

	if (left)
		fprintf(stderr, "%s is not empty\n", place->path);
	close(place->home);
	free(place);
	return left;
}

static inline void put_file(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, text, strlen(text)), 0);
}

static inline void check_file(const char *path, const char *expected)
{
	struct strbuf text = STRBUF_INIT;

	assert_int_equal(read_path(path, 1 << 20, &text), 0);
	assert_string_equal(text.text, expected);
	strbuf_free(&text);
}

static inline size_t count_entries(const char *path)
{
	_cleanup_(dir_closep) DIR *dir = opendir(path);
	size_t cnt = 0;

	assert_non_null(dir);
	while (readdir(dir))
		cnt++;
	return cnt - 2;
}

#endif
