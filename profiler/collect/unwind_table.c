/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's walk checks indexes only as far as the verifier wants it, so what a walk relies on
 * is checked here, once for each load, in one pass over the rows.
 */
#include "profiler/collect/unwind_table.h"

#include <errno.h>
#include <stdbool.h>

#include "bpf/sample.h"

#define RULES_MAX 65536u /* a row has 16 bits for them */

static bool is_sound_rule(const struct unwind_rule *rule)
{
	return rule->cfa < UNWIND_CFA_CNT && rule->fp <= UNWIND_LOST && rule->bx <= UNWIND_LOST &&
	       rule->reg < UNWIND_REG_CNT;
}

static bool is_sound_page(const struct unwind_table_view *table, uint32_t page)
{
	uint32_t i = table->page_rows[page], end = table->page_rows[page + 1];
	const struct unwind_row *rows = table->rows;

	if (i > end || end > table->row_cnt || end - i > UNWIND_BLOCK_ROWS)
		return false;
	if (i == end)
		return true;
	if (rows[i].pc || rows[i].rule >= table->rule_cnt)
		return false;
	for (i++; i < end; i++)
		if (rows[i].pc <= rows[i - 1].pc || rows[i].rule >= table->rule_cnt)
			return false;
	return true;
}

int unwind_table_check(const struct unwind_table_view *table)
{
	uint32_t i;

	if (table->page_cnt > UNWIND_PAGES_MAX || table->rule_cnt > RULES_MAX ||
	    table->first_page > UINT32_MAX - table->page_cnt)
		return -EINVAL;
	if (table->page_cnt ?
		    table->page_rows[0] || table->page_rows[table->page_cnt] != table->row_cnt :
		    table->row_cnt)
		return -EINVAL;
	for (i = 0; i < table->rule_cnt; i++)
		if (!is_sound_rule(&table->rules[i]))
			return -EINVAL;
	for (i = 0; i < table->page_cnt; i++)
		if (!is_sound_page(table, i))
			return -EINVAL;
	return 0;
}
