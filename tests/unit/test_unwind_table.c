/* SPDX-License-Identifier: BSD-2-Clause */
/* Tables that contradict themselves are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/collect/unwind_table.h"
#include "tests/unit/unwind_fixture.h"

#define PAGES 3

/* Two rows, none, two rows. */
struct small_table {
	uint32_t page_rows[PAGES + 1];
	struct unwind_row rows[4];
	struct unwind_rule rules[2];
	struct unwind_table_view view;
};

static void make_small(struct small_table *table)
{
	*table = (struct small_table){
		.page_rows = { 0, 2, 2, 4 },
		.rows = { { 0, 1 }, { 5, 0 }, { 0, 0 }, { 65535, 1 } },
		.rules = { { .cfa = UNWIND_NO_INFO }, { .cfa = UNWIND_SP, .cfa_offset = 8 } },
	};
	table->view = (struct unwind_table_view){
		.first_page = 1,
		.page_cnt = PAGES,
		.row_cnt = 4,
		.rule_cnt = 2,
		.page_rows = table->page_rows,
		.rows = table->rows,
		.rules = table->rules,
	};
}

static void test_sound_tables_are_accepted(void **state)
{
	struct unwind_table_view empty = {};
	struct small_table table;
	struct random_numbers random = { 1 };
	uint32_t i;

	(void)state;
	make_small(&table);
	assert_int_equal(unwind_table_check(&table.view), 0);
	assert_int_equal(unwind_table_check(&empty), 0);
	table.view.first_page = UINT32_MAX - PAGES;
	assert_int_equal(unwind_table_check(&table.view), 0);
	for (i = 0; i < 20; i++) {
		const struct table_shape shape = { .page_cnt = i,
						   .page_rows_max = 70 * i,
						   .rule_cnt = 2 + i,
						   .full_page = i / 2 };
		struct unwind_table_view made = table_make(&random, &shape);

		assert_int_equal(unwind_table_check(&made), 0);
		table_free(&made);
	}
}

/* One thing wrong in each. */
static void test_a_table_that_contradicts_itself_is_refused(void **state)
{
	struct small_table table;

	(void)state;
#define REFUSED(change)                                                                            \
	do {                                                                                       \
		make_small(&table);                                                                \
		change;                                                                            \
		if (unwind_table_check(&table.view) != -EINVAL)                                    \
			fail_msg("accepted: %s", #change);                                         \
	} while (0)

	REFUSED(table.page_rows[0] = 1);
	REFUSED(table.page_rows[1] = 5);
	REFUSED(table.page_rows[2] = 1);
	REFUSED(table.page_rows[3] = 3);
	REFUSED(table.page_rows[3] = 5);
	REFUSED(table.page_rows[2] = UINT32_MAX);
	REFUSED(table.view.row_cnt = 3);
	REFUSED(table.view.page_cnt = 2);
	REFUSED(table.view.page_cnt = 0);
	REFUSED(table.view.page_cnt = UNWIND_PAGES_MAX + 1);
	REFUSED(table.view.first_page = UINT32_MAX - PAGES + 1);
	REFUSED(table.view.first_page = UINT64_MAX);
	REFUSED(table.rows[0].pc = 1);
	REFUSED(table.rows[2].pc = 1);
	REFUSED(table.rows[1].pc = 0);
	REFUSED(table.rows[3].pc = 0);
	REFUSED(table.rows[0].rule = 2);
	REFUSED(table.rows[3].rule = 65535);
	REFUSED(table.view.rule_cnt = 1);
	REFUSED(table.view.rule_cnt = 65537);
	REFUSED(table.rules[1].cfa = UNWIND_CFA_CNT);
	REFUSED(table.rules[1].fp = UNWIND_LOST + 1);
	REFUSED(table.rules[0].bx = 255);
	REFUSED(table.rules[1].reg = 17);
#undef REFUSED
}

static void test_a_page_has_65536_rows_at_most(void **state)
{
	struct unwind_row *rows = calloc(65537, sizeof(*rows));
	const struct unwind_rule rule = { .cfa = UNWIND_SP };
	uint32_t page_rows[] = { 0, 65536 }, i;
	struct unwind_table_view table = {
		.page_cnt = 1,
		.row_cnt = 65536,
		.rule_cnt = 1,
		.page_rows = page_rows,
		.rows = rows,
		.rules = &rule,
	};

	(void)state;
	for (i = 0; i < 65536; i++)
		rows[i].pc = (uint16_t)i;
	assert_int_equal(unwind_table_check(&table), 0);
	page_rows[1] = table.row_cnt = 65537;
	assert_int_equal(unwind_table_check(&table), -EINVAL);
	free(rows);
}

/* Random changes of bytes: the check neither crashes nor reads outside (under sanitizers). */
static void test_damaged_tables_are_checked_within_their_bounds(void **state)
{
	struct random_numbers random = { 9 };
	uint32_t i, k, refused = 0;

	(void)state;
	for (i = 0; i < 20000; i++) {
		struct small_table table;
		uint8_t *bytes = (uint8_t *)&table;

		make_small(&table);
		for (k = 0; k < 1 + random_below(&random, 3); k++)
			bytes[random_below(&random, offsetof(struct small_table, view))] =
				(uint8_t)random_below(&random, 256);
		refused += unwind_table_check(&table.view) == -EINVAL;
	}
	assert_true(refused > 5000 && refused < 20000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sound_tables_are_accepted),
		cmocka_unit_test(test_a_table_that_contradicts_itself_is_refused),
		cmocka_unit_test(test_a_page_has_65536_rows_at_most),
		cmocka_unit_test(test_damaged_tables_are_checked_within_their_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
