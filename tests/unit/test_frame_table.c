/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "symbolizer/frame_table.h"
#include "tests/unit/fail_malloc.h"

#define PAGE (1u << FRAME_PAGE_BITS)
#define BASE 0x400000ull

struct made {
	void *bytes;
	size_t size;
	struct frame_table table;
};

static struct frame_rule sp(int32_t offset)
{
	return (struct frame_rule){ .cfa = FRAME_SP, .bx = FRAME_LOST, .cfa_offset = offset };
}

static struct frame_builder *new_builder(void)
{
	struct frame_builder *builder;

	assert_int_equal(frame_builder_new(&builder), 0);
	return builder;
}

static void begin(struct frame_builder *builder, uint64_t start, uint64_t end)
{
	assert_int_equal(frame_builder_begin(builder, start, end), 0);
}

static void row(struct frame_builder *builder, uint64_t address, int32_t offset)
{
	struct frame_rule rule = sp(offset);

	assert_int_equal(frame_builder_row(builder, address, &rule), 0);
}

static struct made finish(struct frame_builder *builder)
{
	struct made made;

	assert_int_equal(frame_builder_finish(builder, &made.bytes, &made.size), 0);
	assert_int_equal(frame_table_of_bytes(made.bytes, made.size, &made.table), 0);
	frame_builder_free(builder);
	return made;
}

static void drop(struct made *made)
{
	free(made->bytes);
}

static void check_sp(const struct made *made, uint64_t address, int32_t offset)
{
	const struct frame_rule *found = frame_table_find(&made->table, address);
	struct frame_rule expected = sp(offset);

	assert_non_null(found);
	assert_memory_equal(found, &expected, sizeof(expected));
}

static void check_no_info(const struct made *made, uint64_t address)
{
	const struct frame_rule *found = frame_table_find(&made->table, address);

	assert_true(!found || found == &made->table.rules[0]);
}

static void test_a_rule_holds_up_to_the_next_row(void **state)
{
	struct frame_builder *builder = new_builder();
	struct made made;

	(void)state;
	begin(builder, BASE + 0x10, BASE + 0x40);
	row(builder, BASE + 0x10, 8);
	row(builder, BASE + 0x11, 16);
	row(builder, BASE + 0x3f, 8);
	made = finish(builder);
	check_no_info(&made, BASE + 0xf);
	check_sp(&made, BASE + 0x10, 8);
	check_sp(&made, BASE + 0x11, 16);
	check_sp(&made, BASE + 0x3e, 16);
	check_sp(&made, BASE + 0x3f, 8);
	check_no_info(&made, BASE + 0x40);
	check_no_info(&made, BASE + PAGE - 1);
	assert_null(frame_table_find(&made.table, BASE + PAGE));
	assert_null(frame_table_find(&made.table, BASE - 1));
	assert_null(frame_table_find(&made.table, 0));
	assert_null(frame_table_find(&made.table, UINT64_MAX));
	drop(&made);
}

static void test_padding_belongs_to_the_function_before_it(void **state)
{
	struct frame_builder *builder = new_builder();
	struct made made;

	(void)state;
	begin(builder, BASE, BASE + 0x11);
	row(builder, BASE, 8);
	begin(builder, BASE + 0x11 + FRAME_GAP_MAX, BASE + 0x31);
	row(builder, BASE + 0x11 + FRAME_GAP_MAX, 16);
	begin(builder, BASE + 0x31 + FRAME_GAP_MAX + 1, BASE + 0x60);
	row(builder, BASE + 0x31 + FRAME_GAP_MAX + 1, 24);
	made = finish(builder);
	check_sp(&made, BASE + 0x11, 8);
	check_sp(&made, BASE + 0x1f, 8);
	check_sp(&made, BASE + 0x20, 16);
	check_no_info(&made, BASE + 0x31);
	check_no_info(&made, BASE + 0x40);
	check_sp(&made, BASE + 0x41, 24);
	drop(&made);
}

static void test_equal_neighbours_are_one_row(void **state)
{
	struct frame_builder *builder = new_builder();
	struct frame_builder_counts counts;
	struct made made;
	int i;

	(void)state;
	for (i = 0; i < 100; i++) {
		begin(builder, BASE + 16 * i, BASE + 16 * i + 10);
		row(builder, BASE + 16 * i, 8);
		row(builder, BASE + 16 * i + 4, 8);
	}
	frame_builder_counts(builder, &counts);
	assert_int_equal(counts.rows_met, 200);
	made = finish(builder);
	assert_int_equal(made.table.row_cnt, 2); /* the end is the second */
	assert_int_equal(made.table.rule_cnt, 2);
	check_sp(&made, BASE + 1000, 8);
	drop(&made);
}

static void test_each_page_begins_with_a_row(void **state)
{
	struct frame_builder *builder = new_builder();
	struct made made;
	uint32_t i;

	(void)state;
	begin(builder, BASE + 0x100, BASE + 5 * PAGE);
	row(builder, BASE + 0x100, 8);
	row(builder, BASE + 3 * PAGE + 7, 16);
	begin(builder, BASE + 8 * PAGE + 1, BASE + 8 * PAGE + 2);
	row(builder, BASE + 8 * PAGE + 1, 32);
	made = finish(builder);
	assert_int_equal(made.table.page_cnt, 9);
	for (i = 0; i < made.table.page_cnt; i++) {
		if (made.table.page_rows[i] < made.table.page_rows[i + 1])
			assert_int_equal(made.table.rows[made.table.page_rows[i]].pc, 0);
		else
			assert_true(i > 5 && i < 8);
	}
	check_sp(&made, BASE + PAGE, 8);
	check_sp(&made, BASE + 3 * PAGE - 1, 8);
	check_sp(&made, BASE + 3 * PAGE + 6, 8);
	check_sp(&made, BASE + 3 * PAGE + 7, 16);
	check_sp(&made, BASE + 5 * PAGE - 1, 16);
	check_no_info(&made, BASE + 5 * PAGE);
	check_no_info(&made, BASE + 7 * PAGE + 5);
	check_no_info(&made, BASE + 8 * PAGE);
	check_sp(&made, BASE + 8 * PAGE + 1, 32);
	check_no_info(&made, BASE + 8 * PAGE + 2);
	drop(&made);
}

static void test_what_is_covered_stays(void **state)
{
	struct frame_builder *builder = new_builder();
	struct frame_builder_counts counts;
	struct made made;

	(void)state;
	begin(builder, BASE, BASE + 0x40);
	row(builder, BASE, 8);
	begin(builder, BASE + 0x10, BASE + 0x20);
	row(builder, BASE + 0x10, 16);
	begin(builder, BASE + 0x30, BASE + 0x60);
	row(builder, BASE + 0x30, 24);
	row(builder, BASE + 0x38, 32); /* holds where the free part begins */
	row(builder, BASE + 0x50, 40);
	frame_builder_counts(builder, &counts);
	assert_int_equal(counts.overlapping, 1);
	made = finish(builder);
	check_sp(&made, BASE + 0x15, 8);
	check_sp(&made, BASE + 0x3f, 8);
	check_sp(&made, BASE + 0x40, 32);
	check_sp(&made, BASE + 0x4f, 32);
	check_sp(&made, BASE + 0x50, 40);
	drop(&made);
}

static void test_a_window_cuts_functions(void **state)
{
	struct frame_builder *builder = new_builder();
	struct made made;

	(void)state;
	frame_builder_window(builder, BASE + 0x20, BASE + 0x40);
	begin(builder, BASE, BASE + 0x20);
	row(builder, BASE, 48);
	begin(builder, BASE, BASE + 0x100);
	row(builder, BASE, 8);
	row(builder, BASE + 0x10, 16);
	row(builder, BASE + 0x30, 24);
	row(builder, BASE + 0x40, 32);
	frame_builder_window(builder, BASE + 0x80, UINT64_MAX);
	begin(builder, BASE, BASE + 0x100);
	row(builder, BASE, 40);
	made = finish(builder);
	check_no_info(&made, BASE + 0x1f);
	check_sp(&made, BASE + 0x20, 16);
	check_sp(&made, BASE + 0x3f, 24);
	check_no_info(&made, BASE + 0x40);
	check_sp(&made, BASE + 0x80, 40);
	check_no_info(&made, BASE + 0x100);
	drop(&made);
}

static void test_what_is_out_of_order_is_refused(void **state)
{
	struct frame_builder *builder = new_builder();
	struct frame_rule rule = sp(8);

	(void)state;
	assert_int_equal(frame_builder_begin(builder, BASE, BASE), -EINVAL);
	assert_int_equal(frame_builder_begin(builder, BASE + 1, BASE), -EINVAL);
	begin(builder, BASE + 16, BASE + 32);
	row(builder, BASE + 16, 8);
	row(builder, BASE + 20, 16);
	assert_int_equal(frame_builder_row(builder, BASE + 19, &rule), -EINVAL);
	assert_int_equal(frame_builder_begin(builder, BASE + 15, BASE + 32), -EINVAL);
	begin(builder, BASE + 16, BASE + 32);
	frame_builder_free(builder);
}

static void test_addresses_too_far_apart_are_refused(void **state)
{
	struct frame_builder *builder = new_builder();
	const uint64_t end = BASE + (uint64_t)FRAME_PAGES_MAX * PAGE;
	struct made made;

	(void)state;
	assert_int_equal(frame_builder_begin(builder, BASE, UINT64_MAX), -EFBIG);
	assert_int_equal(frame_builder_begin(builder, BASE, end + 1), -EFBIG);
	begin(builder, BASE, BASE + 1);
	row(builder, BASE, 8);
	begin(builder, end - 1, end);
	row(builder, end - 1, 16);
	assert_int_equal(frame_builder_begin(builder, end, end + 1), -EFBIG);
	made = finish(builder);
	assert_int_equal(made.table.page_cnt, FRAME_PAGES_MAX);
	check_sp(&made, BASE, 8);
	check_no_info(&made, BASE + (1ull << 31));
	check_no_info(&made, end - 2);
	check_sp(&made, end - 1, 16);
	assert_null(frame_table_find(&made.table, end));
	drop(&made);
}

static void test_rows_beyond_the_limit_are_refused(void **state)
{
	struct frame_builder *builder = new_builder();
	struct frame_rule rules[] = { sp(8), sp(16) };
	uint64_t i;
	int ret = 0;

	(void)state;
	begin(builder, BASE, BASE + (1ull << 31));
	for (i = 0; i < FRAME_ROWS_MAX + 10 && !ret; i++)
		ret = frame_builder_row(builder, BASE + i, &rules[i % 2]);
	assert_int_equal(ret, -EFBIG);
	assert_true(i > FRAME_ROWS_MAX - 10);
	frame_builder_free(builder);
}

static void test_rules_beyond_the_limit_become_expressions(void **state)
{
	struct frame_builder *builder = new_builder();
	struct frame_builder_counts counts;
	struct made made;
	int i;

	(void)state;
	begin(builder, BASE, BASE + 100000);
	for (i = 0; i < FRAME_RULES_MAX + 100; i++)
		row(builder, BASE + i, i);
	row(builder, BASE + i, 7);
	frame_builder_counts(builder, &counts);
	made = finish(builder);
	assert_int_equal(made.table.rule_cnt, FRAME_RULES_MAX);
	assert_true(counts.rule_overflow >= 100 && counts.rule_overflow < 110);
	for (i = 0; i < FRAME_RULES_MAX - 2; i++)
		check_sp(&made, BASE + i, i);
	for (; i < FRAME_RULES_MAX + 100; i++)
		assert_int_equal(frame_table_find(&made.table, BASE + i)->cfa, FRAME_EXPRESSION);
	check_sp(&made, BASE + i, 7);
	drop(&made);
}

static void test_nothing_is_a_table_too(void **state)
{
	struct made made = finish(new_builder());

	(void)state;
	assert_int_equal(made.table.row_cnt, 0);
	assert_null(frame_table_find(&made.table, 0));
	assert_null(frame_table_find(&made.table, BASE));
	drop(&made);
}

/* ---- against one rule per byte of code ---- */

#define MODEL_BYTES (3 * PAGE)

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* Some functions with some rows, into the builder and into @model, of one byte for each address. */
static void add_random_functions(struct frame_builder *builder, uint8_t *model, uint32_t seed)
{
	uint64_t at = next_random(&seed) % 100, end = 0, start, stop, address;
	uint32_t step = 1u << next_random(&seed) % 14;
	uint8_t offset = 0;

	while (at < MODEL_BYTES) {
		start = at;
		stop = start + 1 + next_random(&seed) % (2 * step);
		stop = stop < MODEL_BYTES ? stop : MODEL_BYTES;
		if (end && start > end && start - end <= FRAME_GAP_MAX)
			memset(model + end, model[end - 1], start - end);
		begin(builder, BASE + start, BASE + stop);
		for (address = start; address < stop; address += 1 + next_random(&seed) % step) {
			offset = (uint8_t)(1 + next_random(&seed) % 5);
			row(builder, BASE + address, offset);
			if (stop > end)
				memset(model + (address > end ? address : end), offset,
				       address > end ? stop - address : stop - end);
		}
		end = stop > end ? stop : end;
		at += next_random(&seed) % (2 * step + 30);
	}
}

static void test_random_tables_say_what_a_model_says(void **state)
{
	uint8_t *model = malloc(MODEL_BYTES);
	struct frame_builder *builder;
	struct made made;
	uint32_t seed;
	uint64_t i;

	(void)state;
	for (seed = 1; seed <= 60; seed++) {
		builder = new_builder();
		memset(model, 0, MODEL_BYTES);
		add_random_functions(builder, model, seed * 7919);
		made = finish(builder);
		for (i = 0; i < MODEL_BYTES; i++) {
			const struct frame_rule *rule = frame_table_find(&made.table, BASE + i);

			if ((rule ? rule->cfa_offset : 0) != model[i])
				fail_msg("seed %u, byte %#lx: %d, not %u", seed, (long)i,
					 rule ? rule->cfa_offset : -1, model[i]);
		}
		drop(&made);
	}
	free(model);
}

/* ---- bytes ---- */

static struct made some_table(void)
{
	struct frame_builder *builder = new_builder();

	begin(builder, BASE + 5, BASE + PAGE + 9);
	row(builder, BASE + 5, 8);
	row(builder, BASE + 9, 16);
	row(builder, BASE + PAGE + 1, 8);
	begin(builder, BASE + 3 * PAGE, BASE + 3 * PAGE + 100);
	row(builder, BASE + 3 * PAGE, 40);
	return finish(builder);
}

static void test_bytes_of_another_size_are_refused(void **state)
{
	struct made made = some_table();
	struct frame_table table;
	size_t size;
	void *copy;

	(void)state;
	for (size = 0; size < made.size; size++) {
		copy = malloc(size + !size);
		memcpy(copy, made.bytes, size);
		assert_int_equal(frame_table_of_bytes(copy, size, &table), -EINVAL);
		free(copy);
	}
	copy = calloc(1, made.size + 1);
	memcpy(copy, made.bytes, made.size);
	assert_int_equal(frame_table_of_bytes(copy, made.size + 1, &table), -EINVAL);
	memmove((char *)copy + 1, copy, made.size);
	assert_int_equal(frame_table_of_bytes((char *)copy + 1, made.size, &table), -EINVAL);
	free(copy);
	drop(&made);
}

/* Each is refused, or is a table of which each look-up stays within the bytes. */
static void test_flipped_bits_never_lead_astray(void **state)
{
	struct made made = some_table();
	struct frame_table table;
	size_t bit, refused = 0, i;

	(void)state;
	for (bit = 0; bit < made.size * 8; bit++) {
		uint8_t *copy = malloc(made.size);

		memcpy(copy, made.bytes, made.size);
		copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (frame_table_of_bytes(copy, made.size, &table)) {
			refused++;
		} else {
			for (i = 0; i < table.page_cnt * 1024ull; i++) {
				uint64_t at = (table.first_page << FRAME_PAGE_BITS) + i * 64;
				const struct frame_rule *rule = frame_table_find(&table, at);

				assert_true(rule && rule >= table.rules &&
					    rule < table.rules + table.rule_cnt);
			}
		}
		free(copy);
	}
	assert_true(refused > made.size);
	drop(&made);
}

static void test_memory_that_is_out_is_reported(void **state)
{
	struct frame_builder *builder;
	void *bytes = NULL;
	size_t size;
	int ret, i;
	long n;

	(void)state;
	for (n = 1;; n++) {
		fail_malloc_at(n);
		ret = frame_builder_new(&builder);
		if (!ret) {
			ret = frame_builder_begin(builder, BASE, BASE + 100 * PAGE);
			for (i = 0; i < 3000 && !ret; i++) {
				struct frame_rule rule = sp(i % 500);

				ret = frame_builder_row(builder, BASE + i * 1024, &rule);
			}
			if (!ret)
				ret = frame_builder_finish(builder, &bytes, &size);
			frame_builder_free(builder);
		}
		if (!fail_malloc_hit())
			break;
		assert_int_equal(ret, -ENOMEM);
	}
	assert_int_equal(ret, 0);
	assert_true(n > 6);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_rule_holds_up_to_the_next_row),
		cmocka_unit_test(test_padding_belongs_to_the_function_before_it),
		cmocka_unit_test(test_equal_neighbours_are_one_row),
		cmocka_unit_test(test_each_page_begins_with_a_row),
		cmocka_unit_test(test_what_is_covered_stays),
		cmocka_unit_test(test_a_window_cuts_functions),
		cmocka_unit_test(test_what_is_out_of_order_is_refused),
		cmocka_unit_test(test_addresses_too_far_apart_are_refused),
		cmocka_unit_test(test_rows_beyond_the_limit_are_refused),
		cmocka_unit_test(test_rules_beyond_the_limit_become_expressions),
		cmocka_unit_test(test_nothing_is_a_table_too),
		cmocka_unit_test(test_random_tables_say_what_a_model_says),
		cmocka_unit_test(test_bytes_of_another_size_are_refused),
		cmocka_unit_test(test_flipped_bits_never_lead_astray),
		cmocka_unit_test(test_memory_that_is_out_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
