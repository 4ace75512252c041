/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The encodings of Go's tables: blocks of the file, strings, pc-values, functions, inlined calls.
 *
 * One look-up touches some ten places of a table that has tens of megabytes: the function, its
 * pc-values, its inline tree, names.  Names and file names are shared by many functions and
 * profiles come back to the same functions, so recently read blocks are kept, each in the one
 * slot that its number leads to.  A least-recently-used list was the alternative: it costs a
 * search per byte range, and the page cache is right below us in any case.
 *
 * Nothing here is trusted.  A range was held against the file when it was made, each read is held
 * against its range; what walks (strings, pc-values) is bounded, pc-values by a budget for the
 * whole look-up, since a chain of inlined calls may walk three tables for each of its frames.
 */
#include "symbolizer/gopclntab_private.h"

#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/strbuf.h"
#include "symbolizer/byte_cursor.h"
#include "symbolizer/elf_private.h"

#define FUNCTION_BYTES_118 40
#define FUNCTION_BYTES_120 44
#define CALL_BYTES_118 20
#define CALL_BYTES_120 16
#define VARINT_MAX 5 /* bytes of a number of 32 bits */

/* Indexes of tables that belong to a function: PCDATA_InlTreeIndex and FUNCDATA_InlTree. */
#define INLINE_PC_VALUES 2
#define INLINE_TREE 3

/* ---- bytes -------------------------------------------------------------------------------- */

/* What is known of the file from @offset up to the end of its block; NULL: reading failed. */
static const uint8_t *block_at(struct gopclntab *table, uint64_t offset, size_t *ret_len)
{
	uint64_t number = offset / GO_BLOCK_BYTES, start = number * GO_BLOCK_BYTES;
	size_t slot = number % GO_BLOCK_CNT, at = offset - start;
	struct go_blocks *blocks = table->blocks;

	if (blocks->numbers[slot] != number + 1) {
		uint64_t len = GO_BLOCK_BYTES;

		elf_clip(table->elf, start, &len);
		blocks->numbers[slot] = 0;
		if (elf_read(table->elf, blocks->bytes[slot], len, start))
			return NULL;
		blocks->numbers[slot] = number + 1;
		blocks->lens[slot] = (uint32_t)len;
	}
	if (at >= blocks->lens[slot])
		return NULL;
	*ret_len = blocks->lens[slot] - at;
	return blocks->bytes[slot] + at;
}

bool go_read(struct gopclntab *table, struct go_range range, uint64_t at, void *bytes, size_t len)
{
	uint8_t *to = bytes;

	if (at > range.bytes || len > range.bytes - at)
		return false;
	while (len) {
		size_t here;
		const uint8_t *from = block_at(table, range.offset + at, &here);

		if (!from)
			return false;
		here = MIN(here, len);
		memcpy(to, from, here);
		to += here;
		at += here;
		len -= here;
	}
	return true;
}

static bool read_word(struct gopclntab *table, struct go_range range, uint64_t at, uint32_t *ret)
{
	uint32_t word; /* little-endian hosts only, as elf.c */

	if (!go_read(table, range, at, &word, sizeof(word)))
		return false;
	*ret = word;
	return true;
}

bool go_read_string(struct gopclntab *table, struct go_range range, uint64_t at,
		    struct strbuf *text)
{
	size_t left = GO_NAME_MAX;

	while (at < range.bytes && left) {
		size_t len, here;
		const uint8_t *from = block_at(table, range.offset + at, &here);
		const uint8_t *nul;

		if (!from)
			return false;
		here = MIN(MIN(here, left), range.bytes - at);
		nul = memchr(from, 0, here);
		len = nul ? (size_t)(nul - from) : here;
		strbuf_add(text, from, len);
		if (nul)
			return !text->failed;
		at += len;
		left -= len;
	}
	return !left && !text->failed; /* a string without an end is none */
}

/* ---- pc-values ------------------------------------------------------------------------------ */

struct byte_stream {
	struct gopclntab *table;
	uint64_t offset; /* in the file, of what comes after `end` */
	uint64_t left;	 /* bytes of the table there */
	const uint8_t *at, *end;
};

static bool next_byte(struct byte_stream *stream, uint8_t *ret)
{
	if (stream->at == stream->end) {
		size_t len;

		if (!stream->left)
			return false;
		stream->at = block_at(stream->table, stream->offset, &len);
		if (!stream->at) {
			stream->end = NULL;
			return false;
		}
		len = MIN(len, stream->left);
		stream->end = stream->at + len;
		stream->offset += len;
		stream->left -= len;
	}
	*ret = *stream->at++;
	return true;
}

static bool next_long_varint(struct byte_stream *stream, uint32_t *ret)
{
	uint32_t value = 0;
	unsigned int i;
	uint8_t byte;

	for (i = 0; i < VARINT_MAX; i++) {
		if (!next_byte(stream, &byte))
			return false;
		value |= (uint32_t)(byte & 0x7f) << (7 * i);
		if (!(byte & 0x80)) {
			*ret = value;
			return true;
		}
	}
	return false;
}

/* Nine of ten are one byte. */
static inline bool next_varint(struct byte_stream *stream, uint32_t *ret)
{
	if (stream->at == stream->end || *stream->at & 0x80)
		return next_long_varint(stream, ret);
	*ret = *stream->at++;
	return true;
}

/*
 * Pairs of (how the value changes, zig-zag; for how much code it then holds), ended by a change
 * of nothing, which only the first pair may have (runtime.step()).
 */
int32_t go_pc_value(struct gopclntab *table, uint32_t start, uint64_t target)
{
	struct byte_stream stream = { .table = table };
	uint32_t change, code, value = UINT32_MAX;
	uint64_t at = 0;
	bool first = true;

	if (!start || start >= table->pc_values.bytes)
		return -1;
	stream.offset = table->pc_values.offset + start;
	stream.left = table->pc_values.bytes - start;
	while (table->steps_left && next_varint(&stream, &change) && (change || first) &&
	       next_varint(&stream, &code)) {
		table->steps_left--;
		first = false;
		value += -(change & 1) ^ (change >> 1);
		at += (uint64_t)code * GO_PC_QUANTUM;
		if (target < at)
			return (int32_t)value;
	}
	return -1;
}

/* ---- functions ------------------------------------------------------------------------------ */

/* The words behind a runtime._func: offsets of its pc-values, then of its other tables. */
static bool read_inline_tables(struct gopclntab *table, uint64_t at, uint32_t value_tables,
			       uint32_t other_tables, struct go_function *function)
{
	function->inlines = 0;
	function->tree = UINT32_MAX;
	if (value_tables <= INLINE_PC_VALUES || other_tables <= INLINE_TREE)
		return true;
	return read_word(table, table->functions, at + INLINE_PC_VALUES * sizeof(uint32_t),
			 &function->inlines) &&
	       read_word(table, table->functions,
			 at + ((uint64_t)value_tables + INLINE_TREE) * sizeof(uint32_t),
			 &function->tree);
}

bool go_read_function(struct gopclntab *table, size_t index, struct go_function *ret)
{
	const struct go_entry *entry = &table->entries[index];
	size_t len = table->old ? FUNCTION_BYTES_118 : FUNCTION_BYTES_120;
	uint8_t bytes[FUNCTION_BYTES_120];
	struct byte_cursor cursor = byte_cursor(bytes, len);
	uint32_t value_tables;

	if (!go_read(table, table->functions, entry->function, bytes, len))
		return false;
	ret->offset = read_u32(&cursor);
	ret->size = entry[1].offset - entry->offset;
	ret->name = read_u32(&cursor);
	skip_bytes(&cursor, 12); /* args, deferreturn, pcsp */
	ret->files = read_u32(&cursor);
	ret->lines = read_u32(&cursor);
	value_tables = read_u32(&cursor);
	ret->first_file = read_u32(&cursor);
	ret->start_line = table->old ? 0 : read_u32(&cursor);
	skip_bytes(&cursor, 3); /* funcID, flag, padding */
	/* Twice in the file: when they differ, this is no function. */
	return ret->offset == entry->offset &&
	       read_inline_tables(table, (uint64_t)entry->function + len, value_tables,
				  read_u8(&cursor), ret);
}

/*
 * Go 1.18: parent, funcID, padding, file, line, func_, parentPc; file and line repeat what the
 * pc-values say at parentPc, and the runtime does not look at them either.
 * Go 1.20: funcID, padding, nameOff, parentPc, startLine.
 */
bool go_read_call(struct gopclntab *table, struct go_range inline_data,
		  const struct go_function *function, int32_t index, struct go_call *ret)
{
	size_t len = table->old ? CALL_BYTES_118 : CALL_BYTES_120;
	uint8_t bytes[CALL_BYTES_118];
	struct byte_cursor cursor = byte_cursor(bytes, len);

	if (index < 0 ||
	    !go_read(table, inline_data, function->tree + (uint64_t)index * len, bytes, len))
		return false;
	skip_bytes(&cursor, table->old ? 12 : 4);
	ret->name = read_u32(&cursor);
	ret->parent = read_u32(&cursor);
	ret->start_line = table->old ? 0 : read_u32(&cursor);
	return true;
}
