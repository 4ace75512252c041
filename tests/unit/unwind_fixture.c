/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/unwind_fixture.h"

#include <stdlib.h>

/* splitmix64 */
uint32_t random_below(struct random_numbers *random, uint32_t end)
{
	uint64_t word = random->state += 0x9e3779b97f4a7c15ull;

	word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9ull;
	word = (word ^ (word >> 27)) * 0x94d049bb133111ebull;
	return (uint32_t)((word >> 32) % end);
}

struct unwind_rule table_rule(uint32_t number)
{
	return (struct unwind_rule){
		.cfa = number % 2 ? UNWIND_SP : UNWIND_FP,
		.fp = UNWIND_AT_CFA,
		.cfa_offset = (int32_t)number,
		.fp_offset = -16,
	};
}

/* Rows of one page: the first at 0, the others spread over what is left. */
static void fill_page(struct random_numbers *random, struct unwind_row *rows, uint32_t cnt,
		      uint32_t rule_cnt)
{
	uint32_t i, pc = 0;

	for (i = 0; i < cnt; i++) {
		uint32_t left = UNWIND_BLOCK_ROWS - pc - (cnt - i); /* addresses to skip at most */

		if (i)
			pc += random_below(random, left / (cnt - i) + 1);
		rows[i].pc = (uint16_t)pc++;
		rows[i].rule = (uint16_t)random_below(random, rule_cnt);
	}
}

struct unwind_table_view table_make(struct random_numbers *random, const struct table_shape *shape)
{
	uint32_t *page_rows = calloc(shape->page_cnt + 1, sizeof(*page_rows)), i;
	struct unwind_rule *rules = calloc(shape->rule_cnt, sizeof(*rules));
	struct unwind_row *rows;

	for (i = 0; i < shape->page_cnt; i++) {
		uint32_t cnt = random_below(random, 8) ?
				       random_below(random, shape->page_rows_max + 1) :
				       0;

		page_rows[i + 1] = page_rows[i] + (i == shape->full_page ? UNWIND_BLOCK_ROWS : cnt);
	}
	rows = calloc(page_rows[shape->page_cnt] + 1, sizeof(*rows));
	for (i = 0; i < shape->page_cnt; i++)
		fill_page(random, &rows[page_rows[i]], page_rows[i + 1] - page_rows[i],
			  shape->rule_cnt);
	for (i = 1; i < shape->rule_cnt; i++)
		rules[i] = table_rule(shape->first_rule + i);
	return (struct unwind_table_view){
		.first_page = random_below(random, 1000),
		.page_cnt = shape->page_cnt,
		.row_cnt = page_rows[shape->page_cnt],
		.rule_cnt = shape->rule_cnt,
		.page_rows = page_rows,
		.rows = rows,
		.rules = rules,
	};
}

void table_free(struct unwind_table_view *table)
{
	free((void *)(uintptr_t)table->page_rows);
	free((void *)(uintptr_t)table->rows);
	free((void *)(uintptr_t)table->rules);
	*table = (struct unwind_table_view){};
}
