/* SPDX-License-Identifier: BSD-2-Clause */
/* Unwind tables in the kernel's maps, read back as a walk reads them; needs CAP_BPF. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"
#include "profiler/collect/unwind_maps.h"
#include "tests/unit/unwind_fixture.h"
#include "tests/unit/unwind_reader.h"

#define WITH_MAPS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define MIB (1024u * 1024u)

struct fixture {
	struct shared_maps *maps;
	struct unwind_maps *unwind;
	struct random_numbers random;
};

static void begin(struct fixture *fixture, uint64_t bytes_max)
{
	struct errmsg err = {};

	if (unwind_maps_new(fixture->maps, bytes_max, &fixture->unwind, &err) != 0)
		fail_msg("%s", err.text);
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	fixture->random.state = 42;
	fixture->maps = reader_maps();
	if (fixture->maps)
		begin(fixture, 64ull * MIB);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	unwind_maps_free(fixture->unwind);
	shared_maps_free(fixture->maps);
	free(fixture);
	return 0;
}

#define fixture_of(state)                                                                          \
	({                                                                                         \
		struct fixture *_fixture = *(state);                                               \
		if (!_fixture->maps)                                                               \
			skip();                                                                    \
		_fixture;                                                                          \
	})

static struct unwind_maps_stats stats_of(const struct fixture *fixture)
{
	struct unwind_maps_stats stats;

	unwind_maps_stats(fixture->unwind, &stats);
	return stats;
}

static struct unwind_table_view table_of(struct fixture *fixture, uint32_t pages, uint32_t rows_max)
{
	const struct table_shape shape = {
		.page_cnt = pages,
		.page_rows_max = rows_max,
		.rule_cnt = 2 + random_below(&fixture->random, 300),
		.first_rule = random_below(&fixture->random, 1000),
		.full_page = UINT32_MAX,
	};

	return table_make(&fixture->random, &shape);
}

static uint32_t add(struct fixture *fixture)
{
	uint32_t file = UINT32_MAX;

	assert_int_equal(unwind_maps_add_file(fixture->unwind, &file), 0);
	assert_int_equal(unwind_maps_state(fixture->unwind, file), UNWIND_FILE_ABSENT);
	return file;
}

static void test_random_tables_are_read_back_by_a_walk(void **state)
{
	struct fixture *fixture = fixture_of(state);
	struct unwind_table_view tables[40];
	uint32_t files[ARRAY_SIZE(tables)];
	uint64_t rows = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tables); i++) {
		tables[i] = table_of(fixture, 1 + random_below(&fixture->random, 60),
				     random_below(&fixture->random, 8) ? 3000 : 60000);
		rows += tables[i].row_cnt;
		files[i] = add(fixture);
		assert_int_equal(unwind_maps_load(fixture->unwind, files[i], &tables[i]), 0);
		assert_int_equal(unwind_maps_state(fixture->unwind, files[i]), UNWIND_FILE_READY);
	}
	for (i = 0; i < ARRAY_SIZE(tables); i++) {
		reader_check(fixture->maps, files[i], &tables[i]);
		table_free(&tables[i]);
	}
	assert_int_equal(stats_of(fixture).rows, rows);
	assert_int_equal(stats_of(fixture).files, ARRAY_SIZE(tables));
	assert_int_equal(stats_of(fixture).rules_refused, 0);
}

static void test_a_page_of_65536_rows_fills_a_block(void **state)
{
	struct fixture *fixture = fixture_of(state);
	const struct table_shape shape = {
		.page_cnt = 3, .page_rows_max = 100, .rule_cnt = 50, .full_page = 1
	};
	struct unwind_table_view table = table_make(&fixture->random, &shape);
	uint32_t file = add(fixture);

	assert_int_equal(unwind_maps_load(fixture->unwind, file, &table), 0);
	reader_check(fixture->maps, file, &table);
	table_free(&table);
}

static void test_an_address_leads_from_the_process_to_its_rule(void **state)
{
	struct fixture *fixture = fixture_of(state);
	struct unwind_table_view table = table_of(fixture, 20, 500);
	uint64_t base = 0x7f0000000000, first = table.first_page << UNWIND_PAGE_BITS;
	struct unwind_mapping mappings[] = {
		{ 0x1000, 0x2000, 0, UNWIND_FILE_NONE, 0 },
		{ base + first, base + first + (20 << UNWIND_PAGE_BITS), base, 0, 0 },
		{ base + (1ull << 40), base + (1ull << 40) + 4096, 0, 0, 0 },
	};
	struct unwind_list *list;
	struct unwind_rule rule;
	uint32_t file = add(fixture), page, row;

	mappings[1].file = mappings[2].file = file;
	assert_int_equal(unwind_maps_add_list(fixture->unwind, mappings, 3, &list), 0);
	assert_int_equal(unwind_maps_publish(fixture->unwind, 77, 1234, 5, 0, list), 0);
	assert_int_equal(reader_find(fixture->maps, 77, 1234, 5, base + first, &rule),
			 READER_NOT_READY);
	assert_int_equal(unwind_maps_load(fixture->unwind, file, &table), 0);
	for (page = 0; page < table.page_cnt; page++)
		for (row = table.page_rows[page]; row < table.page_rows[page + 1]; row += 13) {
			uint64_t address = base + ((table.first_page + page) << UNWIND_PAGE_BITS) +
					   table.rows[row].pc;

			assert_int_equal(reader_find(fixture->maps, 77, 1234, 5, address, &rule),
					 READER_FOUND);
			assert_memory_equal(&rule, &table.rules[table.rows[row].rule],
					    sizeof(rule));
		}
	assert_int_equal(reader_find(fixture->maps, 77, 1234, 5, 0x1800, &rule), READER_FOUND);
	assert_int_equal(rule.cfa, UNWIND_JIT);
	assert_int_equal(reader_find(fixture->maps, 77, 1234, 5, 0x2000, &rule), READER_NO_MAPPING);
	assert_int_equal(reader_find(fixture->maps, 77, 1234, 6, 0x1800, &rule),
			 READER_OTHER_IMAGE);
	unwind_maps_forget(fixture->unwind, 77);
	assert_int_equal(reader_find(fixture->maps, 77, 1234, 5, 0x1800, &rule), READER_NO_PROCESS);
	unwind_maps_put_list(fixture->unwind, list);
	table_free(&table);
}

static void test_a_table_that_contradicts_itself_changes_nothing(void **state)
{
	struct fixture *fixture = fixture_of(state);
	struct unwind_table_view table = table_of(fixture, 10, 100), broken = table;
	struct unwind_maps_stats before, after;
	uint32_t file = add(fixture);

	before = stats_of(fixture);
	broken.row_cnt--;
	assert_int_equal(unwind_maps_load(fixture->unwind, file, &broken), -EINVAL);
	assert_int_equal(unwind_maps_load(fixture->unwind, file + 1, &table), -EINVAL);
	assert_int_equal(unwind_maps_load(fixture->unwind, UINT32_MAX, &table), -EINVAL);
	after = stats_of(fixture);
	assert_memory_equal(&after, &before, sizeof(after));
	assert_int_equal(unwind_maps_state(fixture->unwind, file), UNWIND_FILE_ABSENT);
	table_free(&table);
}

static void test_what_does_not_fit_the_budget_changes_nothing(void **state)
{
	struct fixture *fixture = fixture_of(state);
	struct unwind_table_view small = table_of(fixture, 20, 1000), large;
	uint64_t fixed = stats_of(fixture).bytes, block;
	struct unwind_maps_stats before, after;
	uint32_t first = add(fixture), second = add(fixture);
	struct unwind_maps *other;
	struct errmsg err;

	large = table_of(fixture, 200, 5000);
	assert_int_equal(unwind_maps_load(fixture->unwind, first, &small), 0);
	block = stats_of(fixture).bytes - fixed;
	assert_true(block > sizeof(struct unwind_block) && block < sizeof(struct unwind_block) * 2);
	unwind_maps_free(fixture->unwind);
	fixture->unwind = NULL;
	assert_int_equal(unwind_maps_new(fixture->maps, fixed - 1, &other, &err), -ENOSPC);

	begin(fixture, fixed + 2 * block);
	assert_int_equal(add(fixture), first);
	assert_int_equal(add(fixture), second);
	assert_int_equal(unwind_maps_load(fixture->unwind, first, &small), 0);
	before = stats_of(fixture);
	assert_int_equal(unwind_maps_load(fixture->unwind, second, &large), -ENOSPC);
	after = stats_of(fixture);
	assert_memory_equal(&after, &before, sizeof(after));
	assert_int_equal(unwind_maps_state(fixture->unwind, second), UNWIND_FILE_ABSENT);
	reader_check(fixture->maps, first, &small);
	/* A smaller one still fits. */
	assert_int_equal(unwind_maps_load(fixture->unwind, second, &small), 0);
	reader_check(fixture->maps, second, &small);
	assert_true(stats_of(fixture).bytes <= stats_of(fixture).bytes_max);
	table_free(&small);
	table_free(&large);
}

static void test_a_place_is_given_to_others_only_after_settle(void **state)
{
	struct fixture *fixture = fixture_of(state);
	const struct table_shape shape = {
		.page_cnt = 10, .page_rows_max = 1, .rule_cnt = 2, .full_page = 4
	};
	struct unwind_table_view table = table_make(&fixture->random, &shape);
	uint64_t block = stats_of(fixture).bytes;
	uint32_t first = add(fixture), second = add(fixture);
	struct unwind_rule rule;

	assert_int_equal(unwind_maps_load(fixture->unwind, first, &table), 0);
	block = stats_of(fixture).bytes - block; /* for the full page and for the others */
	assert_int_equal(stats_of(fixture).blocks, 2);
	assert_int_equal(unwind_maps_load(fixture->unwind, first, &table), -EALREADY);
	unwind_maps_unload(fixture->unwind, first);
	assert_int_equal(unwind_maps_state(fixture->unwind, first), UNWIND_FILE_ABSENT);
	assert_int_equal(reader_rule(fixture->maps, first, table.first_page << UNWIND_PAGE_BITS,
				     &rule),
			 READER_NOT_READY);
	assert_int_equal(unwind_maps_load(fixture->unwind, first, &table), -EAGAIN);
	/* The block's rows are as they were until settle, so another load makes another block. */
	assert_int_equal(unwind_maps_load(fixture->unwind, second, &table), 0);
	assert_int_equal(stats_of(fixture).blocks, 3);
	unwind_maps_settle(fixture->unwind);
	assert_int_equal(unwind_maps_load(fixture->unwind, first, &table), 0);
	reader_check(fixture->maps, first, &table);
	reader_check(fixture->maps, second, &table);
	assert_true(stats_of(fixture).blocks <= 4);
	table_free(&table);
}

static void test_a_file_goes_with_its_last_reference(void **state)
{
	struct fixture *fixture = fixture_of(state);
	struct unwind_table_view table = table_of(fixture, 5, 100);
	uint32_t file = add(fixture);

	assert_int_equal(unwind_maps_load(fixture->unwind, file, &table), 0);
	assert_int_equal(unwind_maps_file_bytes(fixture->unwind, file), table.row_cnt * 4);
	unwind_maps_ref_file(fixture->unwind, file);
	unwind_maps_put_file(fixture->unwind, file);
	reader_check(fixture->maps, file, &table);
	unwind_maps_put_file(fixture->unwind, file);
	assert_int_equal(stats_of(fixture).files, 0);
	assert_int_equal(stats_of(fixture).rows, 0);
	assert_int_not_equal(add(fixture), file);
	unwind_maps_settle(fixture->unwind);
	assert_int_equal(add(fixture), file);
	/* Too often is no harm. */
	unwind_maps_put_file(fixture->unwind, file);
	unwind_maps_put_file(fixture->unwind, file);
	unwind_maps_put_file(fixture->unwind, UINT32_MAX);
	assert_int_equal(stats_of(fixture).files, 1);
	table_free(&table);
}

static void test_states_are_set_where_there_are_no_rows(void **state)
{
	struct fixture *fixture = fixture_of(state);
	struct unwind_table_view table = table_of(fixture, 5, 100);
	uint32_t file = add(fixture), clock;

	unwind_maps_set_state(fixture->unwind, file, UNWIND_FILE_FULL);
	assert_int_equal(unwind_maps_state(fixture->unwind, file), UNWIND_FILE_FULL);
	unwind_maps_set_state(fixture->unwind, file, UNWIND_FILE_READY);
	assert_int_equal(unwind_maps_state(fixture->unwind, file), UNWIND_FILE_FULL);
	clock = unwind_maps_tick(fixture->unwind);
	assert_int_equal(unwind_maps_tick(fixture->unwind), clock + 1);
	assert_int_equal(unwind_maps_load(fixture->unwind, file, &table), 0);
	assert_int_equal(unwind_maps_used(fixture->unwind, file), clock + 1);
	unwind_maps_set_state(fixture->unwind, file, UNWIND_FILE_NO_INFO);
	assert_int_equal(unwind_maps_state(fixture->unwind, file), UNWIND_FILE_READY);
	table_free(&table);
}

static void test_a_list_keeps_its_files_and_its_place(void **state)
{
	struct fixture *fixture = fixture_of(state);
	uint32_t file = add(fixture);
	struct unwind_mapping mappings[] = {
		{ 0x1000, 0x2000, 0, file, 7 },
		{ 0x2000, 0x3000, 0, UNWIND_FILE_NONE, 7 },
	};
	struct unwind_list *list, *other;
	struct unwind_rule rule;

	assert_int_equal(unwind_maps_add_list(fixture->unwind, mappings, 2, &list), 0);
	unwind_maps_put_file(fixture->unwind, file); /* the list's is left */
	assert_int_equal(stats_of(fixture).files, 1);
	unwind_maps_ref_list(list);
	assert_int_equal(unwind_maps_publish(fixture->unwind, 5, 1, 1, 0, list), 0);
	assert_int_equal(unwind_maps_publish(fixture->unwind, 6, 2, 2, 0, list), 0);
	unwind_maps_put_list(fixture->unwind, list);
	assert_int_equal(reader_find(fixture->maps, 6, 2, 2, 0x2000, &rule), READER_FOUND);
	unwind_maps_put_list(fixture->unwind, list);
	assert_int_equal(stats_of(fixture).files, 0);
	assert_int_equal(stats_of(fixture).lists, 0);
	assert_int_equal(stats_of(fixture).mappings, 0);
	/* Who still points there finds that it has been given up, also when others are there. */
	assert_int_equal(reader_find(fixture->maps, 6, 2, 2, 0x2000, &rule), READER_GIVEN_UP);
	unwind_maps_settle(fixture->unwind);
	mappings[0].file = UNWIND_FILE_NONE;
	assert_int_equal(unwind_maps_add_list(fixture->unwind, mappings, 2, &other), 0);
	assert_int_equal(reader_find(fixture->maps, 6, 2, 2, 0x2000, &rule), READER_GIVEN_UP);
	assert_int_equal(unwind_maps_publish(fixture->unwind, 6, 2, 2, 0, other), 0);
	assert_int_equal(reader_find(fixture->maps, 6, 2, 2, 0x2000, &rule), READER_FOUND);
	unwind_maps_put_list(fixture->unwind, other);
	unwind_maps_put_list(fixture->unwind, NULL);
}

static void test_lists_out_of_order_are_refused(void **state)
{
	struct fixture *fixture = fixture_of(state);
	uint32_t file = add(fixture);
	const struct unwind_mapping bad[][2] = {
		{ { 0x2000, 0x3000, 0, file, 0 }, { 0x1000, 0x2000, 0, file, 0 } },
		{ { 0x1000, 0x3000, 0, file, 0 }, { 0x2000, 0x4000, 0, file, 0 } },
		{ { 0x1000, 0x1000, 0, file, 0 }, { 0x2000, 0x4000, 0, file, 0 } },
		{ { 0x1000, 0x2000, 0, file + 1, 0 }, { 0x2000, 0x4000, 0, file, 0 } },
		{ { 0x1000, 0x2000, 0, UNWIND_FILES_MAX, 0 }, { 0x2000, 0x4000, 0, file, 0 } },
	};
	struct unwind_mapping *many = calloc(UNWIND_MAPPINGS_MAX + 1, sizeof(*many));
	struct unwind_maps_stats before = stats_of(fixture), after;
	struct unwind_list *list, *other;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		if (unwind_maps_add_list(fixture->unwind, bad[i], 2, &list) != -EINVAL)
			fail_msg("list %zu was accepted", i);
	for (i = 0; i <= UNWIND_MAPPINGS_MAX; i++)
		many[i] = (struct unwind_mapping){ i * 16, i * 16 + 16, 0, UNWIND_FILE_NONE, 0 };
	assert_int_equal(unwind_maps_add_list(fixture->unwind, many, UNWIND_MAPPINGS_MAX + 1,
					      &list),
			 -ENOSPC);
	after = stats_of(fixture);
	assert_memory_equal(&after, &before, sizeof(after));
	assert_int_equal(unwind_maps_add_list(fixture->unwind, many, UNWIND_MAPPINGS_MAX, &list),
			 0);
	assert_int_equal(unwind_maps_add_list(fixture->unwind, many, 1, &other), -ENOSPC);
	unwind_maps_put_list(fixture->unwind, list);
	assert_int_equal(unwind_maps_add_list(fixture->unwind, many, 1, &other), -ENOSPC);
	unwind_maps_settle(fixture->unwind);
	assert_int_equal(unwind_maps_add_list(fixture->unwind, many, 10000, &other), 0);
	unwind_maps_put_list(fixture->unwind, other);
	/* A process without code is one that is not known. */
	assert_int_equal(unwind_maps_add_list(fixture->unwind, many, 0, &other), 0);
	assert_int_equal(unwind_maps_publish(fixture->unwind, 5, 1, 1, 0, other), 0);
	unwind_maps_put_list(fixture->unwind, other);
	free(many);
}

static void test_an_image_is_what_was_published(void **state)
{
	struct fixture *fixture = fixture_of(state);
	uint64_t start = 0;
	uint32_t exec_id = 0, pid;
	struct unwind_list *list;

	assert_false(unwind_maps_image(fixture->unwind, 9, &start, &exec_id));
	assert_int_equal(unwind_maps_add_list(fixture->unwind, NULL, 0, &list), 0);
	for (pid = 1; pid <= UNWIND_PROCESSES_MAX; pid++)
		assert_int_equal(unwind_maps_publish(fixture->unwind, (pid_t)pid, pid + 1ull, 3, 0,
						     list),
				 0);
	assert_int_equal(unwind_maps_publish(fixture->unwind, (pid_t)pid, 1, 1, 0, list), -ENOSPC);
	assert_int_equal(unwind_maps_publish(fixture->unwind, 9, 12, 4, 0, list), 0);
	assert_true(unwind_maps_image(fixture->unwind, 9, &start, &exec_id));
	assert_int_equal(start, 12);
	assert_int_equal(exec_id, 4);
	unwind_maps_forget(fixture->unwind, 9);
	assert_false(unwind_maps_image(fixture->unwind, 9, &start, &exec_id));
	unwind_maps_put_list(fixture->unwind, list);
}

static void test_rules_beyond_the_room_are_counted(void **state)
{
	struct fixture *fixture = fixture_of(state);
	const struct table_shape shape = {
		.page_cnt = 3, .page_rows_max = 10, .rule_cnt = 20000, .full_page = 1
	};
	const struct table_shape more = { .page_cnt = 3,
					  .page_rows_max = 10,
					  .rule_cnt = 20000,
					  .first_rule = 20000,
					  .full_page = 1 };
	struct unwind_table_view table = table_make(&fixture->random, &shape);
	uint32_t file = add(fixture), i;
	uint64_t refused = 0;

	assert_int_equal(unwind_maps_load(fixture->unwind, file, &table), 0);
	assert_int_equal(stats_of(fixture).rules_refused, 0);
	assert_int_equal(stats_of(fixture).rules, 20000 - 1 + UNWIND_RULE_FIRST_FREE);
	table_free(&table);
	table = table_make(&fixture->random, &more);
	file = add(fixture);
	assert_int_equal(unwind_maps_load(fixture->unwind, file, &table), 0);
	for (i = 0; i < table.row_cnt; i++)
		refused += table.rows[i].rule >=
			   1 + UNWIND_RULES_MAX - UNWIND_RULE_FIRST_FREE - (20000 - 1);
	assert_true(refused > 10000);
	assert_int_equal(stats_of(fixture).rules_refused, refused);
	table_free(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_MAPS(test_random_tables_are_read_back_by_a_walk),
		WITH_MAPS(test_a_page_of_65536_rows_fills_a_block),
		WITH_MAPS(test_an_address_leads_from_the_process_to_its_rule),
		WITH_MAPS(test_a_table_that_contradicts_itself_changes_nothing),
		WITH_MAPS(test_what_does_not_fit_the_budget_changes_nothing),
		WITH_MAPS(test_a_place_is_given_to_others_only_after_settle),
		WITH_MAPS(test_a_file_goes_with_its_last_reference),
		WITH_MAPS(test_states_are_set_where_there_are_no_rows),
		WITH_MAPS(test_a_list_keeps_its_files_and_its_place),
		WITH_MAPS(test_lists_out_of_order_are_refused),
		WITH_MAPS(test_an_image_is_what_was_published),
		WITH_MAPS(test_rules_beyond_the_room_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
