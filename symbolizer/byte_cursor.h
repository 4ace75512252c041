/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading little-endian numbers out of hostile bytes.  A read past the end gives 0, moves to the
 * end and sets `failed`: check that once, after a group of reads, and in every loop.
 */
#ifndef EBPFPROF_SYMBOLIZER_BYTE_CURSOR_H
#define EBPFPROF_SYMBOLIZER_BYTE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct byte_cursor {
	const uint8_t *at, *end;
	bool failed;
};

static inline struct byte_cursor byte_cursor(const void *bytes, size_t size)
{
	const uint8_t *start = bytes;

	return (struct byte_cursor){ start, start + size, false };
}

static inline size_t bytes_left(const struct byte_cursor *cursor)
{
	return (size_t)(cursor->end - cursor->at);
}

static inline void bytes_fail(struct byte_cursor *cursor)
{
	cursor->at = cursor->end;
	cursor->failed = true;
}

static inline void skip_bytes(struct byte_cursor *cursor, uint64_t cnt)
{
	if (cnt > bytes_left(cursor))
		bytes_fail(cursor);
	else
		cursor->at += cnt;
}

/* @cnt <= 8 */
static inline uint64_t read_bytes(struct byte_cursor *cursor, unsigned int cnt)
{
	uint64_t value = 0;

	if (cnt > bytes_left(cursor)) {
		bytes_fail(cursor);
		return 0;
	}
	memcpy(&value, cursor->at, cnt); /* little-endian hosts only, as elf.c */
	cursor->at += cnt;
	return value;
}

static inline uint8_t read_u8(struct byte_cursor *cursor)
{
	return (uint8_t)read_bytes(cursor, 1);
}

static inline uint16_t read_u16(struct byte_cursor *cursor)
{
	return (uint16_t)read_bytes(cursor, 2);
}

static inline uint32_t read_u32(struct byte_cursor *cursor)
{
	return (uint32_t)read_bytes(cursor, 4);
}

static inline uint64_t read_u64(struct byte_cursor *cursor)
{
	return read_bytes(cursor, 8);
}

/* DWARF 5 section 7.6; bits beyond the 64th are dropped. */
static inline uint64_t read_uleb128(struct byte_cursor *cursor)
{
	uint64_t value = 0;
	unsigned int shift = 0;

	while (cursor->at < cursor->end) {
		uint8_t byte = *cursor->at++;

		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
		if (!(byte & 0x80))
			return value;
	}
	cursor->failed = true;
	return 0;
}

static inline int64_t read_sleb128(struct byte_cursor *cursor)
{
	uint64_t value = 0;
	unsigned int shift = 0;

	while (cursor->at < cursor->end) {
		uint8_t byte = *cursor->at++;

		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
		if (byte & 0x80)
			continue;
		if (shift < 64 && (byte & 0x40))
			value |= ~(uint64_t)0 << shift;
		return (int64_t)value;
	}
	cursor->failed = true;
	return 0;
}

/* The NUL-terminated string here, its NUL skipped; "" and failed when it does not end. */
static inline const char *read_string(struct byte_cursor *cursor)
{
	const uint8_t *start = cursor->at, *nul = memchr(start, 0, bytes_left(cursor));

	if (!nul) {
		bytes_fail(cursor);
		return "";
	}
	cursor->at = nul + 1;
	return (const char *)start;
}

#endif
