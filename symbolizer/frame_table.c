/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unwind tables: the form of a row, and looking one up.
 *
 * Four forms are known from profilers that walk in the kernel: rows of 14 or 15 bytes that say all
 * themselves; rows of 8 (16 bits of the address within a page, kind and offset of the frame
 * address, offset of the frame pointer); and rows of 4, the same 16 bits and the number of a rule
 * that stands once in an array.  The last is ours: compilers write the same few hundred rules
 * again and again (libLLVM-14: 860,973 rows, 585 rules), so that 12 more bytes of a row would say
 * nothing new.  A MiB has 262,144 rows, of 8 bytes half as many, of 15 a fourth.
 *
 * Where that form was improved: a page's rows begin with one at its first address, so that a
 * look-up never leaves its page (the original steps back to the row before the first, which may be
 * of another page or another file); rules are numbered by file here and by host in the kernel, so
 * that a file's table can be kept on disk and shared; rules are 16 bytes with plain fields, where 12
 * packed ones need the offset's low bits as a flag.  Not taken over: one row for two
 * pushes in a row, which is a third fewer rows (libLLVM-14: 36 %) and rules that mean nothing without
 * the address of their row: neither a cache of rules by address nor a reader in user space could
 * stay as simple as it is.
 *
 * A table is looked up by binary search in one page, without a branch that depends on a row.
 * Everything that this relies on is checked once, in frame_table_of_bytes(), in one pass over the
 * rows: bytes may come from a damaged disk, or from whom we do not trust.
 */
#include "symbolizer/frame_table.h"

#include <errno.h>
#include <string.h>

#include "symbolizer/frame_table_private.h"

const struct frame_rule *frame_table_find(const struct frame_table *table, uint64_t address)
{
	uint64_t page = (address >> FRAME_PAGE_BITS) - table->first_page;
	uint32_t first, cnt, half;
	uint16_t pc = (uint16_t)address;
	const struct frame_row *row;

	if (address >> FRAME_PAGE_BITS < table->first_page || page >= table->page_cnt)
		return NULL;
	first = table->page_rows[page];
	cnt = table->page_rows[page + 1] - first;
	if (!cnt)
		return &table->rules[0];
	/* The row looked for is in [row, row + cnt): the first is at or below each address. */
	for (row = table->rows + first; cnt > 1; cnt -= half) {
		half = cnt / 2;
		row += row[half].pc <= pc ? half : 0;
	}
	return &table->rules[row->rule];
}

static bool pages_are_sound(const struct frame_table *table)
{
	const uint32_t *page_rows = table->page_rows;
	uint32_t page;

	if (page_rows[0] != 0 || page_rows[table->page_cnt] != table->row_cnt)
		return false;
	for (page = 0; page < table->page_cnt; page++) {
		if (page_rows[page] > page_rows[page + 1])
			return false;
	}
	return true;
}

/* Pages were found sound: none reaches beyond the rows. */
static bool rows_are_sound(const struct frame_table *table)
{
	uint32_t i, page;

	for (page = 0; page < table->page_cnt; page++) {
		uint32_t first = table->page_rows[page], end = table->page_rows[page + 1];
		int last = -1;

		if (first < end && table->rows[first].pc != 0)
			return false;
		for (i = first; i < end; i++) {
			if (table->rows[i].pc <= last || table->rows[i].rule >= table->rule_cnt)
				return false;
			last = table->rows[i].pc;
		}
	}
	return true;
}

static bool rules_are_sound(const struct frame_table *table)
{
	static const struct frame_rule no_info = { .cfa = FRAME_NO_INFO };
	uint32_t i;

	if (memcmp(&table->rules[0], &no_info, sizeof(no_info)) != 0)
		return false;
	for (i = 0; i < table->rule_cnt; i++) {
		const struct frame_rule *rule = &table->rules[i];

		if (rule->cfa > FRAME_SP_RETURN || rule->cfa == FRAME_JIT ||
		    rule->fp > FRAME_LOST || rule->bx > FRAME_LOST)
			return false;
	}
	return true;
}

int frame_table_of_bytes(const void *bytes, size_t size, struct frame_table *ret)
{
	struct frame_table_header header;
	struct frame_table table;

	if ((uintptr_t)bytes % sizeof(uint64_t) || size < sizeof(header))
		return -EINVAL;
	memcpy(&header, bytes, sizeof(header));
	if (header.magic != FRAME_MAGIC || header.reserved || header.page_cnt > FRAME_PAGES_MAX ||
	    header.row_cnt > FRAME_ROWS_MAX || header.rule_cnt > FRAME_RULES_MAX ||
	    !header.rule_cnt || header.first_page >> (FRAME_ADDRESS_BITS - FRAME_PAGE_BITS) ||
	    size != frame_table_bytes(header.page_cnt, header.row_cnt, header.rule_cnt))
		return -EINVAL;
	table.first_page = header.first_page;
	table.page_cnt = header.page_cnt;
	table.row_cnt = header.row_cnt;
	table.rule_cnt = header.rule_cnt;
	table.rules = (const void *)((const char *)bytes + sizeof(header));
	table.page_rows = (const void *)(table.rules + table.rule_cnt);
	table.rows = (const void *)(table.page_rows + table.page_cnt + 1);
	if (!pages_are_sound(&table) || !rows_are_sound(&table) || !rules_are_sound(&table))
		return -EINVAL;
	*ret = table;
	return 0;
}
