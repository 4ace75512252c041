/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The index of a package: an open-addressed hash table from dwo ids to rows, and for each row its
 * offsets in the package's sections.  DWARF 5 section 7.3.5.3; GNU's version 2 differs in the
 * width of the version and in the numbers of columns.
 */
#include <errno.h>

#include "symbolizer/byte_cursor.h"
#include "symbolizer/dwarf_split.h"

/* Columns: the same in both versions, but for range lists, which version 2 lacks. */
enum {
	COLUMN_INFO = 1,
	COLUMN_ABBREV = 3,
	COLUMN_STR_OFFSETS = 6,
	COLUMN_RNGLISTS = 8,
};

#define PROBES_MAX 65536 /* tables are at most two thirds full: honest ones need a few */

struct table {
	uint16_t version;
	uint32_t column_cnt, row_cnt, slot_cnt;
	const uint8_t *ids;	/* of 8 bytes [slot_cnt] */
	const uint8_t *rows;	/* of 4 bytes [slot_cnt], from 1 on; 0 = the slot is empty */
	const uint8_t *columns; /* of 4 bytes [column_cnt] */
	const uint8_t *offsets; /* of 4 bytes [row_cnt][column_cnt] */
};

static uint64_t number_at(const uint8_t *table, uint64_t index, unsigned int bytes)
{
	uint64_t value = 0;

	memcpy(&value, table + index * bytes, bytes);
	return value;
}

static int read_table(const uint8_t *bytes, size_t size, struct table *ret)
{
	struct byte_cursor cursor = byte_cursor(bytes, size);
	struct table table = { .version = read_u16(&cursor) };

	read_u16(&cursor);
	table.column_cnt = read_u32(&cursor);
	table.row_cnt = read_u32(&cursor);
	table.slot_cnt = read_u32(&cursor);
	table.ids = cursor.at;
	skip_bytes(&cursor, (uint64_t)table.slot_cnt * 8);
	table.rows = cursor.at;
	skip_bytes(&cursor, (uint64_t)table.slot_cnt * 4);
	table.columns = cursor.at;
	skip_bytes(&cursor, (uint64_t)table.column_cnt * 4);
	table.offsets = cursor.at;
	if (table.column_cnt && table.row_cnt > bytes_left(&cursor) / 4 / table.column_cnt)
		return -ENOEXEC;
	if (cursor.failed || (table.version != 2 && table.version != 5))
		return -ENOEXEC;
	if (!table.slot_cnt || (table.slot_cnt & (table.slot_cnt - 1)))
		return -ENOEXEC;
	*ret = table;
	return 0;
}

static int find_row(const struct table *table, uint64_t dwo_id, uint32_t *ret)
{
	uint32_t mask = table->slot_cnt - 1, i, row;
	uint32_t slot = (uint32_t)dwo_id & mask;
	uint32_t step = ((uint32_t)(dwo_id >> 32) & mask) | 1;

	for (i = 0; i < table->slot_cnt && i < PROBES_MAX; i++, slot = (slot + step) & mask) {
		row = (uint32_t)number_at(table->rows, slot, 4);
		if (!row)
			return -ENOENT;
		if (number_at(table->ids, slot, 8) != dwo_id)
			continue;
		if (row > table->row_cnt)
			return -ENOEXEC;
		*ret = row - 1;
		return 0;
	}
	return -ENOENT;
}

int dwarf_package_find(const uint8_t *bytes, size_t size, uint64_t dwo_id,
		       struct dwarf_package_row *ret)
{
	struct dwarf_package_row found = {};
	uint32_t row = 0, i;
	struct table table;
	int code = read_table(bytes, size, &table);

	if (!code)
		code = find_row(&table, dwo_id, &row);
	if (code)
		return code;
	for (i = 0; i < table.column_cnt; i++) {
		uint64_t column = number_at(table.columns, i, 4);
		uint64_t offset = number_at(table.offsets, (uint64_t)row * table.column_cnt + i, 4);

		if (column == COLUMN_INFO)
			found.info = offset;
		else if (column == COLUMN_ABBREV)
			found.abbrev = offset;
		else if (column == COLUMN_STR_OFFSETS)
			found.str_offsets = offset;
		else if (column == COLUMN_RNGLISTS && table.version == 5)
			found.rnglists = offset;
	}
	*ret = found;
	return 0;
}
