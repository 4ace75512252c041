/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * START-END PERMS OFFSET MAJOR:MINOR INODE<spaces>PATH
 *
 * Read by hand rather than by sscanf(), which skips newlines, accepts signs, and copies the line.
 * The kernel escapes only the newline in a path (as \012), not the backslash: a path that holds
 * the four characters \012 cannot be told apart, and will not be found by that name; its
 * map_files link still opens it.
 */
#include "symbolizer/proc_maps.h"

#include <string.h>

struct reader {
	const char *at, *end; /* the rest of one line, without its newline */
};

/* A number of 1 to 16 hex or 1 to 20 decimal digits; false: none, or more than 64 bits. */
static bool read_number(struct reader *reader, unsigned int base, uint64_t *ret)
{
	const char *first = reader->at;
	uint64_t value = 0;

	for (; reader->at < reader->end; reader->at++) {
		char c = *reader->at;
		unsigned int digit;

		if (c >= '0' && c <= '9')
			digit = (unsigned int)(c - '0');
		else if (base == 16 && c >= 'a' && c <= 'f')
			digit = (unsigned int)(c - 'a') + 10;
		else
			break;
		if (value > (UINT64_MAX - digit) / base)
			return false;
		value = value * base + digit;
	}
	*ret = value;
	return reader->at > first;
}

static bool read_char(struct reader *reader, char c)
{
	if (reader->at == reader->end || *reader->at != c)
		return false;
	reader->at++;
	return true;
}

/* "r-xp ": four characters and a space */
static bool read_permissions(struct reader *reader, bool *ret_executable)
{
	if (reader->end - reader->at < 5 || reader->at[4] != ' ')
		return false;
	*ret_executable = reader->at[2] == 'x';
	reader->at += 5;
	return true;
}

static void read_path_name(struct reader *reader, char *path, size_t size)
{
	size_t len = 0;

	while (reader->at < reader->end && *reader->at == ' ')
		reader->at++;
	while (reader->at < reader->end && len + 1 < size) {
		if (reader->end - reader->at >= 4 && memcmp(reader->at, "\\012", 4) == 0) {
			path[len++] = '\n';
			reader->at += 4;
			continue;
		}
		path[len++] = *reader->at++;
	}
	path[len] = '\0';
}

static bool read_line(struct reader *reader, struct proc_map *ret)
{
	uint64_t major, minor;
	bool executable;

	if (!read_number(reader, 16, &ret->start) || !read_char(reader, '-') ||
	    !read_number(reader, 16, &ret->end) || !read_char(reader, ' ') ||
	    !read_permissions(reader, &executable) || !executable ||
	    !read_number(reader, 16, &ret->offset) || !read_char(reader, ' ') ||
	    !read_number(reader, 16, &major) || !read_char(reader, ':') ||
	    !read_number(reader, 16, &minor) || !read_char(reader, ' ') ||
	    !read_number(reader, 10, &ret->inode))
		return false;
	if (reader->at < reader->end && *reader->at != ' ')
		return false;
	if (ret->start >= ret->end || major > UINT32_MAX || minor > UINT32_MAX)
		return false;
	ret->major = (uint32_t)major;
	ret->minor = (uint32_t)minor;
	read_path_name(reader, ret->path, sizeof(ret->path));
	return true;
}

bool proc_maps_next(const char **cursor, const char *end, struct proc_map *ret)
{
	while (*cursor < end) {
		struct reader reader = { .at = *cursor };

		reader.end = memchr(reader.at, '\n', (size_t)(end - reader.at));
		if (!reader.end) {
			*cursor = end;
			return false;
		}
		*cursor = reader.end + 1;
		if (read_line(&reader, ret))
			return true;
	}
	return false;
}
