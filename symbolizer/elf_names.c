/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names out of a string table, through a window that moves over it.
 *
 * Asked in ascending order, each byte is read once and the table is never held whole.  Rejected:
 * one pread per name (a system call for each of 100,000 symbols), and the whole string table
 * (20 MB for librustc, of which the caller then keeps a copy of a part).
 *
 * Work is bounded for hostile tables: for each name at most two windows are read, and a stretch
 * without a NUL is remembered as barren.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/elf_private.h"
#include "symbolizer/elf_symbols.h"

#define WINDOW_BYTES 65536	/* > ELF_NAME_MAX */
#define WINDOW_SMALL_BYTES 4096 /* when the next name is far away */
#define NAME_BYTES_FIRST 256	/* most single names are shorter */

struct elf_names {
	const struct elf_file *elf;
	uint64_t strings, strings_bytes;
	uint64_t start, barren_end; /* offsets in the string table */
	size_t len;
	char window[WINDOW_BYTES];
};

int elf_names_new(struct elf_names **ret)
{
	struct elf_names *names = malloc(sizeof(*names));

	if (!names)
		return -ENOMEM;
	*ret = names;
	return 0;
}

void elf_names_free(struct elf_names *names)
{
	free(names);
}

void elf_names_start(struct elf_names *names, const struct elf_file *elf,
		     const struct elf_symbol_table *table)
{
	names->elf = elf;
	names->strings = table->strings;
	names->strings_bytes = table->strings_bytes;
	names->start = names->barren_end = 0;
	names->len = 0;
}

static int fill_window(struct elf_names *names, uint64_t string, size_t want)
{
	uint64_t left = names->strings_bytes - string;
	int ret;

	names->len = 0;
	names->start = string;
	want = MIN(want, left);
	ret = elf_read(names->elf, names->window, want, names->strings + string);
	if (!ret)
		names->len = want;
	return ret;
}

/* Whether the whole name is within the window. */
static bool get_from_window(const struct elf_names *names, uint64_t string, const char **ret,
			    size_t *ret_len)
{
	const char *name, *end;
	size_t at, max;

	if (string < names->start || string - names->start >= names->len)
		return false;
	at = string - names->start;
	max = MIN(names->len - at, (size_t)ELF_NAME_MAX);
	name = names->window + at;
	end = memchr(name, '\0', max);
	if (!end)
		return false;
	*ret = name;
	*ret_len = (size_t)(end - name);
	return true;
}

/* Up to where there is no NUL, from the window's start: the end of time if none is left. */
static uint64_t barren_end(const struct elf_names *names)
{
	const char *end = memchr(names->window, '\0', names->len);

	if (end)
		return names->start + (uint64_t)(end - names->window);
	if (names->start + names->len == names->strings_bytes)
		return UINT64_MAX;
	return names->start + names->len;
}

int elf_names_get(struct elf_names *names, uint32_t string, const char **ret, size_t *ret_len)
{
	size_t want = WINDOW_BYTES;
	int code;

	if (string >= names->strings_bytes)
		return -ENOEXEC;
	if (string >= names->start && string < names->barren_end &&
	    names->barren_end - string >= ELF_NAME_MAX)
		return -ENOEXEC;
	if (get_from_window(names, string, ret, ret_len))
		return 0;
	if (string < names->start || string > names->start + names->len + WINDOW_BYTES)
		want = WINDOW_SMALL_BYTES;
	for (;; want = WINDOW_BYTES) {
		names->barren_end = 0;
		code = fill_window(names, string, want);
		if (code)
			return code;
		if (get_from_window(names, string, ret, ret_len))
			return 0;
		if (want == WINDOW_BYTES || names->len < want)
			break;
	}
	names->barren_end = barren_end(names);
	return -ENOEXEC;
}

int elf_name_read(const struct elf_file *elf, uint64_t strings, uint64_t strings_bytes,
		  uint32_t string, char *ret)
{
	size_t want, size;
	int code;

	if (string >= strings_bytes || strings > UINT64_MAX - strings_bytes)
		return -ENOEXEC;
	for (want = NAME_BYTES_FIRST;; want *= 8) {
		want = MIN(want, (size_t)ELF_NAME_MAX);
		size = MIN(want, strings_bytes - string);
		code = elf_read(elf, ret, size, strings + string);
		if (code)
			return code;
		if (memchr(ret, '\0', size))
			return 0;
		if (size < want || want == ELF_NAME_MAX)
			return -ENOEXEC;
	}
}

bool elf_is_local_label(const char *name)
{
	if (name[0] == '.' && name[1] == 'L')
		return true;
	return name[0] == '$' && (name[1] == 'x' || name[1] == 'd') &&
	       (name[2] == '\0' || name[2] == '.');
}
