/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unwind tables.  First byte even: the rest as a table's bytes; each look-up of one that is taken
 * stays within it.  Odd: the rest as functions and rows for a builder; what it makes is taken and
 * says what a list of all rows says.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "symbolizer/byte_cursor.h"
#include "symbolizer/frame_table.h"

#define CALLS_MAX 2000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_up(const struct frame_table *table, uint64_t address)
{
	const struct frame_rule *rule = frame_table_find(table, address);

	if (rule && (rule < table->rules || rule >= table->rules + table->rule_cnt ||
		     rule->cfa > FRAME_SP_RETURN || rule->cfa == FRAME_JIT))
		abort();
}

static void check_bytes(const uint8_t *data, size_t size)
{
	struct frame_table table;
	uint64_t start, page, i;
	void *copy = malloc(size + !size);

	if (!copy)
		abort();
	if (size)
		memcpy(copy, data, size);
	if (!frame_table_of_bytes(copy, size, &table)) {
		start = table.first_page << FRAME_PAGE_BITS;
		for (page = 0; page <= table.page_cnt; page++) {
			for (i = 0; i < 1 << FRAME_PAGE_BITS; i += 977)
				look_up(&table, start + (page << FRAME_PAGE_BITS) + i);
			look_up(&table, start + ((page + 1) << FRAME_PAGE_BITS) - 1);
		}
		look_up(&table, start - 1);
		look_up(&table, UINT64_MAX);
	}
	free(copy);
}

/* ---- a builder, and what it was told ---- */

struct part {
	uint64_t start, end;
	int32_t offset;
};

struct told {
	struct part parts[CALLS_MAX];
	size_t cnt;
	uint64_t covered;
};

/* From @from on, in a function of which nothing beyond @end counts, @offset holds. */
static void tell(struct told *told, uint64_t from, uint64_t end, int32_t offset)
{
	if (from < end)
		told->parts[told->cnt++] = (struct part){ from, end, offset };
}

static int32_t answer(const struct told *told, uint64_t address)
{
	int32_t offset = 0;
	size_t i;

	for (i = 0; i < told->cnt; i++) {
		if (address >= told->parts[i].start && address < told->parts[i].end)
			offset = told->parts[i].offset;
	}
	return offset;
}

static uint64_t distance(struct byte_cursor *cursor)
{
	uint64_t value = read_u8(cursor);

	return value < 0xf0 ? value : (value - 0xef) * 0x3fff;
}

static void build(struct byte_cursor *cursor, struct frame_builder *builder, struct told *told)
{
	uint64_t start = 0x10000, end, from, free_from, address;
	int32_t offset;
	size_t rows;

	while (bytes_left(cursor) && told->cnt < CALLS_MAX - 40) {
		start += distance(cursor);
		end = start + 1 + distance(cursor);
		free_from = start > told->covered ? start : told->covered;
		if (frame_builder_begin(builder, start, end))
			abort();
		if (told->covered && free_from > told->covered &&
		    free_from - told->covered <= FRAME_GAP_MAX)
			tell(told, told->covered, free_from, answer(told, told->covered - 1));
		address = start;
		for (rows = read_u8(cursor) % 16; rows; rows--) {
			struct frame_rule rule = { .cfa = FRAME_SP };

			offset = rule.cfa_offset = 1 + read_u8(cursor) % 7;
			if (frame_builder_row(builder, address, &rule))
				abort();
			from = address > free_from ? address : free_from;
			tell(told, from, end, offset);
			address += distance(cursor);
		}
		told->covered = end > told->covered ? end : told->covered;
	}
}

static void compare(const struct frame_table *table, const struct told *told, uint64_t address)
{
	const struct frame_rule *rule = frame_table_find(table, address);

	if ((rule ? rule->cfa_offset : 0) != answer(told, address))
		abort();
}

static void check_builder(const uint8_t *data, size_t size)
{
	struct byte_cursor cursor = byte_cursor(data, size);
	static struct told told;
	struct frame_builder *builder;
	struct frame_table table;
	size_t i, bytes_size;
	void *bytes;

	told.cnt = 0;
	told.covered = 0;
	if (frame_builder_new(&builder))
		abort();
	build(&cursor, builder, &told);
	if (frame_builder_finish(builder, &bytes, &bytes_size) ||
	    frame_table_of_bytes(bytes, bytes_size, &table))
		abort();
	frame_builder_free(builder);
	for (i = 0; i < told.cnt; i++) {
		compare(&table, &told, told.parts[i].start);
		compare(&table, &told, told.parts[i].start - 1);
		compare(&table, &told, told.parts[i].end);
		compare(&table, &told, told.parts[i].end - 1);
		compare(&table, &told, told.parts[i].start | 0xffff);
		compare(&table, &told, (told.parts[i].start | 0xffff) + 1);
	}
	free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	if (data[0] & 1)
		check_builder(data + 1, size - 1);
	else
		check_bytes(data + 1, size - 1);
	return 0;
}
