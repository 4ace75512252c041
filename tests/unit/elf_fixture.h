/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs and libraries built while a test runs, in a directory of its own, and what other
 * tools (nm, readelf, objdump) say about them.
 */
#ifndef EBPFPROF_TESTS_ELF_FIXTURE_H
#define EBPFPROF_TESTS_ELF_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/** fixture_open - make the directory; false (with the reason printed) when there is no cc */
bool fixture_open(void);

/** fixture_close - remove the directory and everything in it */
void fixture_close(void);

/** fixture_path - path of @name in the directory; valid until the fourth next call */
const char *fixture_path(const char *name);

/** fixture_cc - compile the C text @source into @name with @flags; fails the test otherwise */
const char *fixture_cc(const char *name, const char *source, const char *flags);

/** fixture_shell - run a shell command in the directory; returns whether it succeeded */
bool fixture_shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** fixture_popen - read what a shell command prints; pclose() it */
FILE *fixture_popen(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** fixture_read - the whole file @path as a heap buffer of exactly its size */
void *fixture_read(const char *path, size_t *ret_size);

/** fixture_write - a file @name with these bytes; its path */
const char *fixture_write(const char *name, const void *bytes, size_t size);

/* The function symbols that nm prints for @path, ascending. */
struct fixture_symbol {
	unsigned long long address, size; /* size 0: nm printed none */
	char type;
	char name[512];
};

/** fixture_nm - at most @max of them; @options as "-D" */
size_t fixture_nm(const char *path, const char *options, struct fixture_symbol *ret, size_t max);

#endif
