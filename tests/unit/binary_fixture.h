/* SPDX-License-Identifier: BSD-2-Clause */
/* A folder with copies of programs and a cache, for test_binary*.c.  Include it behind cmocka.h. */
#ifndef EBPFPROF_TESTS_BINARY_FIXTURE_H
#define EBPFPROF_TESTS_BINARY_FIXTURE_H

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/fileio.h"
#include "profiler/base/strbuf.h"
#include "symbolizer/binary.h"
#include "symbolizer/elf.h"
#include "symbolizer/symtab.h"

#define MANY (64u << 20)

struct fixture {
	char folder[64];
	struct binary_cache *cache;
};

static inline int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	strcpy(fixture->folder, "/tmp/test_binary.XXXXXX");
	if (!mkdtemp(fixture->folder) || binary_cache_new("/proc", MANY, 64, &fixture->cache) < 0)
		return -1;
	*state = fixture;
	alarm(60); /* nothing here may block */
	return 0;
}

static inline int tear_down(void **state)
{
	struct fixture *fixture = *state;
	char command[128];

	binary_cache_free(fixture->cache);
	snprintf(command, sizeof(command), "rm -rf %s", fixture->folder);
	if (system(command) != 0)
		return -1;
	free(fixture);
	return 0;
}

static inline void renew_cache(struct fixture *fixture, const char *proc_root, size_t symbol_bytes,
			       unsigned int fd_max)
{
	binary_cache_free(fixture->cache);
	assert_int_equal(binary_cache_new(proc_root, symbol_bytes, fd_max, &fixture->cache), 0);
}

/* FOLDER/NAME, in one of some buffers that take turns */
static inline const char *at(const struct fixture *fixture, const char *name)
{
	static char paths[8][256];
	static unsigned int next;
	char *path = paths[next++ % 8];

	snprintf(path, 256, "%s/%s", fixture->folder, name);
	return path;
}

static inline void copy_file(const char *from, const char *to)
{
	_cleanup_close_ int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	struct strbuf bytes = STRBUF_INIT;

	assert_true(fd >= 0);
	assert_int_equal(read_path(from, MANY, &bytes), 0);
	assert_int_equal(write_all(fd, bytes.text, bytes.len), 0);
	strbuf_free(&bytes);
}

/* As /proc/PID/maps would tell of it. */
static inline struct binary_request by_inode(const char *path)
{
	struct binary_request request = { .path = path };
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	request.major = major(st.st_dev);
	request.minor = minor(st.st_dev);
	request.inode = st.st_ino;
	return request;
}

/* As an mmap record would tell of it. */
static inline struct binary_request by_build_id(const char *path)
{
	struct binary_request request = { .path = path };
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct elf_file *elf;

	assert_int_equal(elf_file_open(fd, &elf, NULL), 0);
	request.build_id = *elf_file_build_id(elf);
	assert_true(request.build_id.len);
	elf_file_close(elf);
	return request;
}

static inline struct binary *get(struct fixture *fixture, struct binary_request request)
{
	struct binary *binary = binary_get(fixture->cache, &request);

	assert_non_null(binary);
	return binary;
}

static inline uint64_t entry_of(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf64_Ehdr header;

	assert_int_equal(pread_full(fd, &header, sizeof(header), 0), sizeof(header));
	return header.e_entry;
}

/* Even a stripped program has a symbol where it begins. */
static inline bool is_named(struct binary *binary, const char *path)
{
	struct symbol symbol;

	return binary_find_symbol(binary, entry_of(path), &symbol) && symbol.name[0];
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
