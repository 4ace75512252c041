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
#include "tests/unit/fail_malloc.h"
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
	assert_int_equal(unwind_maps_publish(fixture->unwind, 77, 1234, 5, list), 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_MAPS(test_random_tables_are_read_back_by_a_walk),
		WITH_MAPS(test_a_page_of_65536_rows_fills_a_block),
		WITH_MAPS(test_an_address_leads_from_the_process_to_its_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
