/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The entries of a JIT_CODE_DEBUG_INFO record: address, line, column, and the file's name, or the
 * two bytes ff 00 for the name of the entry before.
 *
 * Two things are not as the specification has them:
 *
 *  - V8 and LLVM add 0x40 to each address, because perf inject puts the code behind the 64 bytes
 *    of an ELF header and shifted no addresses when they were written; other writers do not.  A
 *    function's first line begins near its first byte, so a dump in which no line at all is nearer
 *    to its code than 0x40 is shifted; jitdump.c keeps the least offset.
 *  - V8 (as in node 20) writes many names from freed memory, with the length that they should
 *    have.  The addresses and lines between them are right.  A record that cannot be read by its
 *    names is read by its addresses: entries are where an address of this very code stands, and
 *    there must be as many of them as the record says.  Its names are not believed.  (Taking what
 *    the NULs delimit, as perf does, gives lines like `\x82\xf6:2`.)
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/strtab.h"
#include "symbolizer/byte_cursor.h"
#include "symbolizer/jit_name.h"
#include "symbolizer/jitdump_private.h"

#define ENTRY_BYTES 16 /* in front of the name */
#define FILES_BYTES_MAX (1u << 20)

/* Whether [at, end) is UTF-8 in form, without control characters. */
static bool is_text(const uint8_t *at, const uint8_t *end)
{
	unsigned int more = 0;

	for (; at < end; at++) {
		if (more) {
			if ((*at & 0xc0) != 0x80)
				return false;
			more--;
		} else if (*at < 0x20 || *at == 0x7f || (*at >= 0x80 && *at < 0xc2) || *at > 0xf4) {
			return false;
		} else if (*at >= 0x80) {
			more = *at >= 0xf0 ? 3 : *at >= 0xe0 ? 2 : 1;
		}
	}
	return !more;
}

/* Whether a line may begin at @address of the code, shifted or not. */
static bool is_inside(const struct jitdump_debug *debug, uint32_t size, uint64_t address)
{
	return address >= debug->address &&
	       address - debug->address <= (uint64_t)size + JITDUMP_LINE_BIAS;
}

/* The number of a file's name, or 0. */
static int64_t file_number(struct strtab *files, const char *name)
{
	char path[JIT_NAME_MAX];

	if (!is_text((const uint8_t *)name, (const uint8_t *)name + strlen(name)))
		return 0;
	if (strtab_bytes(files) > FILES_BYTES_MAX)
		return 0;
	jit_name_path(name, path);
	return strtab_add(files, path, strlen(path));
}

/*
 * Reads the entries one behind the other, as many as are as they should be.
 * @files: NULL: leave the names alone
 */
static int read_strictly(const struct jitdump_debug *debug, uint32_t size, struct strtab *files,
			 struct jitdump_line *lines, size_t *ret_cnt)
{
	struct byte_cursor cursor = byte_cursor(debug->entries, debug->len);
	int64_t file = 0;
	size_t i;

	for (i = 0; i < debug->cnt; i++) {
		uint64_t address = read_u64(&cursor);
		uint32_t line = read_u32(&cursor);
		const char *name;

		skip_bytes(&cursor, 4); /* the column */
		name = read_string(&cursor);
		if (cursor.failed || !is_inside(debug, size, address))
			break;
		if (files && strcmp(name, "\xff") != 0)
			file = file_number(files, name);
		if (file < 0)
			return (int)file;
		lines[i] = (struct jitdump_line){
			.offset = (uint32_t)(address - debug->address),
			.line = line,
			.file = (uint32_t)file,
		};
	}
	*ret_cnt = i;
	return 0;
}

/* Reads entries by their addresses alone; false: they are not as many as there should be. */
static bool read_by_address(const struct jitdump_debug *debug, uint32_t size,
			    struct jitdump_line *lines)
{
	size_t at = 0, cnt = 0;
	uint64_t address;

	while (debug->len >= ENTRY_BYTES && at <= debug->len - ENTRY_BYTES) {
		memcpy(&address, debug->entries + at, sizeof(address));
		if (!is_inside(debug, size, address)) {
			at++;
			continue;
		}
		if (cnt == debug->cnt)
			return false;
		lines[cnt] = (struct jitdump_line){
			.offset = (uint32_t)(address - debug->address),
		};
		memcpy(&lines[cnt++].line, debug->entries + at + 8, sizeof(lines->line));
		at += ENTRY_BYTES + 1;
	}
	return cnt == debug->cnt;
}

static int compare_offsets(const void *a, const void *b)
{
	const struct jitdump_line *left = a, *right = b;

	return left->offset < right->offset ? -1 : left->offset > right->offset;
}

/* By offset, which they nearly always are; those that differ in the column alone become one. */
static size_t tidy(struct jitdump_line *lines, size_t cnt)
{
	size_t i, used = 0;

	for (i = 1; i < cnt; i++) {
		if (lines[i].offset < lines[i - 1].offset) {
			qsort(lines, cnt, sizeof(*lines), compare_offsets);
			break;
		}
	}
	for (i = 0; i < cnt; i++) {
		if (used && lines[used - 1].offset == lines[i].offset)
			used--; /* of two for one place the later one */
		if (!used || lines[used - 1].line != lines[i].line ||
		    lines[used - 1].file != lines[i].file)
			lines[used++] = lines[i];
	}
	return used;
}

int jitdump_read_lines(const struct jitdump_debug *debug, uint32_t size, struct strtab *files,
		       struct jitdump_line **ret, size_t *ret_cnt)
{
	_cleanup_free_ struct jitdump_line *lines = NULL;
	size_t cnt;
	int r;

	*ret = NULL;
	*ret_cnt = 0;
	if (!debug->cnt || debug->cnt > debug->len / (ENTRY_BYTES + 1))
		return 0;
	lines = malloc((size_t)debug->cnt * sizeof(*lines));
	if (!lines)
		return -ENOMEM;
	read_strictly(debug, size, NULL, lines, &cnt);
	if (cnt == debug->cnt) {
		r = read_strictly(debug, size, files, lines, &cnt);
		if (r < 0)
			return r;
	} else if (!read_by_address(debug, size, lines)) {
		return 0;
	}
	*ret_cnt = tidy(lines, (size_t)debug->cnt);
	*ret = TAKE_PTR(lines);
	return 0;
}
