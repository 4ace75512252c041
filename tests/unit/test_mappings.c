/* SPDX-License-Identifier: BSD-2-Clause */
/* symbolizer/mappings, by examples and against a naive model with random operations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/binary.h"
#include "symbolizer/binary_private.h"
#include "symbolizer/mappings.h"
#include "tests/unit/fail_malloc.h"

#define PAGE 4096ull
#define BINARIES 4u

static struct binary_cache *cache;
static struct binary *binaries[BINARIES];

static uint32_t next_random(void)
{
	static uint32_t state = 2463534242u;

	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

static int set_up(void **state)
{
	char path[32];
	size_t i;

	(void)state;
	assert_int_equal(binary_cache_new("/nonexistent", 1, 1, &cache), 0);
	for (i = 0; i < BINARIES; i++) {
		struct binary_request request = { .path = path };

		snprintf(path, sizeof(path), "/nonexistent/%zu", i);
		binaries[i] = binary_get(cache, &request);
		assert_non_null(binaries[i]);
	}
	return 0;
}

/* Each test gives back every reference that it took. */
static int tear_down(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < BINARIES; i++)
		assert_int_equal(binaries[i]->refs, 1);
	binary_cache_free(cache);
	return 0;
}

static struct mapping file_mapping(uint64_t first_page, uint64_t pages, unsigned int file,
				   uint64_t offset, uint64_t born_ns)
{
	return (struct mapping){
		.start = first_page * PAGE,
		.end = (first_page + pages) * PAGE,
		.offset = offset,
		.born_ns = born_ns,
		.kind = MAPPING_FILE,
		.binary = binary_ref(binaries[file]),
	};
}

static struct mapping jit_mapping(uint64_t first_page, uint64_t pages, uint64_t born_ns)
{
	return (struct mapping){
		.start = first_page * PAGE,
		.end = (first_page + pages) * PAGE,
		.offset = first_page * PAGE,
		.born_ns = born_ns,
		.kind = MAPPING_JIT,
	};
}

static bool add(struct mappings **list, struct mapping mapping)
{
	bool replaced = false;

	assert_int_equal(mappings_add(list, &mapping, &replaced), 0);
	return replaced;
}

static const struct mapping *find(const struct mappings *list, uint64_t page, uint64_t time_ns)
{
	return mappings_find(list, page * PAGE + 1, time_ns);
}

static struct binary *file_at(const struct mappings *list, uint64_t page, uint64_t time_ns)
{
	const struct mapping *mapping = find(list, page, time_ns);

	return mapping ? mapping->binary : NULL;
}

static struct mappings *new_list(void)
{
	struct mappings *list;

	assert_int_equal(mappings_new(&list), 0);
	return list;
}

static void test_finds_by_address(void **state)
{
	struct mappings *list = new_list();

	(void)state;
	assert_null(mappings_find(list, 5, 5));
	add(&list, file_mapping(10, 2, 0, 0, 1));
	add(&list, file_mapping(20, 1, 1, 0, 1));
	assert_null(mappings_find(list, 10 * PAGE - 1, 9));
	assert_ptr_equal(mappings_find(list, 10 * PAGE, 9)->binary, binaries[0]);
	assert_ptr_equal(mappings_find(list, 12 * PAGE - 1, 9)->binary, binaries[0]);
	assert_null(mappings_find(list, 12 * PAGE, 9));
	assert_ptr_equal(file_at(list, 20, 9), binaries[1]);
	assert_null(mappings_find(list, UINT64_MAX, 9));
	mappings_unref(list);
}

static void test_replaced_mapping_is_found_in_its_time(void **state)
{
	struct mappings *list = new_list();

	(void)state;
	assert_false(add(&list, file_mapping(10, 10, 0, 0, 5)));
	assert_true(add(&list, file_mapping(12, 3, 1, 0, 50)));
	assert_ptr_equal(file_at(list, 13, 49), binaries[0]);
	assert_ptr_equal(file_at(list, 13, 50), binaries[1]);
	assert_ptr_equal(file_at(list, 11, 60), binaries[0]);
	assert_ptr_equal(file_at(list, 15, 60), binaries[0]);
	assert_int_equal(find(list, 15, 60)->offset, 5 * PAGE);
	assert_int_equal(mappings_cnt(list), 4);
	mappings_unref(list);
}

static void test_same_mapping_again_changes_nothing(void **state)
{
	struct mappings *list = new_list();

	(void)state;
	add(&list, file_mapping(10, 10, 0, 7 * PAGE, 5));
	assert_false(add(&list, file_mapping(10, 10, 0, 7 * PAGE, 9)));
	assert_false(add(&list, file_mapping(12, 2, 0, 9 * PAGE, 9)));
	assert_int_equal(mappings_cnt(list), 1);
	assert_true(add(&list, file_mapping(12, 2, 0, 5 * PAGE, 10)));
	mappings_unref(list);
}

static void test_address_before_first_birth_is_the_soonest_after(void **state)
{
	struct mappings *list = new_list();

	(void)state;
	add(&list, file_mapping(10, 1, 0, 0, 100));
	add(&list, file_mapping(10, 1, 1, 0, 200));
	assert_ptr_equal(file_at(list, 10, 1), binaries[0]);
	mappings_unref(list);
}

static void test_late_record_lands_in_the_past(void **state)
{
	struct mappings *list = new_list();

	(void)state;
	add(&list, file_mapping(10, 1, 0, 0, 100));
	assert_false(add(&list, file_mapping(9, 3, 1, 0, 50)));
	assert_ptr_equal(file_at(list, 10, 60), binaries[1]);
	assert_ptr_equal(file_at(list, 10, 100), binaries[0]);
	assert_ptr_equal(file_at(list, 9, 100), binaries[1]);
	assert_ptr_equal(file_at(list, 11, 100), binaries[1]);
	mappings_unref(list);
}

static void test_jit_pages_make_no_history_and_join(void **state)
{
	struct mappings *list = new_list();
	uint64_t i;

	(void)state;
	for (i = 0; i < 100; i++)
		assert_false(add(&list, jit_mapping(10 + i, 1, i)));
	for (i = 0; i < 100; i++)
		assert_false(add(&list, jit_mapping(10 + i % 50, 20, 200 + i)));
	assert_int_equal(mappings_cnt(list), 100);
	mappings_trim(list, 1000);
	assert_int_equal(mappings_cnt(list), 1);
	assert_int_equal(find(list, 60, 1000)->kind, MAPPING_JIT);
	assert_true(add(&list, file_mapping(20, 1, 0, 0, 2000)));
	assert_true(add(&list, jit_mapping(20, 1, 3000)));
	mappings_unref(list);
}

static void test_fork_shares_until_one_side_maps(void **state)
{
	struct mappings *parent = new_list(), *child;

	(void)state;
	add(&parent, file_mapping(10, 1, 0, 0, 1));
	add(&parent, file_mapping(10, 1, 2, 0, 2));
	child = mappings_ref(parent);
	assert_false(add(&child, file_mapping(10, 1, 2, 0, 3)));
	assert_ptr_equal(child, parent);
	add(&child, file_mapping(11, 1, 1, 0, 4));
	assert_ptr_not_equal(child, parent);
	assert_null(file_at(parent, 11, 9));
	assert_ptr_equal(file_at(child, 11, 9), binaries[1]);
	assert_ptr_equal(file_at(child, 10, 1), binaries[0]);
	mappings_unref(parent);
	assert_ptr_equal(file_at(child, 10, 9), binaries[2]);
	mappings_unref(child);
}

static void test_trim_forgets_the_dead(void **state)
{
	struct mappings *list = new_list();

	(void)state;
	add(&list, file_mapping(10, 1, 0, 0, 1));
	add(&list, file_mapping(10, 1, 1, 0, 10));
	add(&list, file_mapping(10, 1, 2, 0, 20));
	mappings_trim(list, 15);
	assert_int_equal(mappings_cnt(list), 2);
	assert_ptr_equal(file_at(list, 10, 15), binaries[1]);
	mappings_trim(list, 21);
	assert_int_equal(mappings_cnt(list), 1);
	assert_ptr_equal(file_at(list, 10, 15), binaries[2]);
	mappings_unref(list);
}

static void test_history_is_bounded(void **state)
{
	struct mappings *list = new_list();
	uint64_t i;

	(void)state;
	for (i = 0; i < 50000; i++)
		add(&list, file_mapping(10, 1, i % 2, 0, i));
	assert_in_range(mappings_cnt(list), 1000, 10000);
	assert_ptr_equal(file_at(list, 10, 49998), binaries[0]);
	mappings_unref(list);
}

static void test_too_many_mappings_are_refused(void **state)
{
	struct mappings *list = new_list();
	struct mapping one_more;
	uint64_t i;

	(void)state;
	for (i = MAPPINGS_MAX; i > 0; i--) /* top down, as the kernel does */
		add(&list, file_mapping(2 * i, 1, 0, 0, 1));
	assert_int_equal(mappings_cnt(list), MAPPINGS_MAX);
	one_more = file_mapping(1, 1, 0, 0, 2);
	assert_int_equal(mappings_add(&list, &one_more, NULL), -ENOSPC);
	assert_ptr_equal(file_at(list, 2000, 2), binaries[0]);
	assert_true(mappings_bytes(list) < MAPPINGS_MAX * 64);
	mappings_unref(list);
}

static void test_thirty_mappings_take_two_and_a_half_kilobytes(void **state)
{
	struct mappings *list = new_list();
	uint64_t i;

	(void)state;
	for (i = 30; i > 0; i--)
		add(&list, file_mapping(2 * i, 1, 0, 0, 1));
	mappings_trim(list, 0);
	assert_true(mappings_bytes(list) <= 2500);
	mappings_unref(list);
}

/* ---- the model: every mapping ever added, asked one by one ---- */

#define MODEL_PAGES 40u
#define MODEL_MAX 400u

struct model {
	struct mapping log[MODEL_MAX];
	size_t cnt;
};

static const struct mapping *model_find(const struct model *model, uint64_t address,
					uint64_t time_ns)
{
	const struct mapping *past = NULL, *future = NULL;
	size_t i;

	for (i = 0; i < model->cnt; i++) {
		const struct mapping *mapping = &model->log[i];

		if (address < mapping->start || address >= mapping->end)
			continue;
		if (mapping->born_ns <= time_ns) {
			if (!past || mapping->born_ns >= past->born_ns)
				past = mapping;
		} else if (!future || mapping->born_ns < future->born_ns) {
			future = mapping;
		}
	}
	return past ? past : future;
}

static void check_same_code(const struct mapping *got, const struct mapping *expected,
			    uint64_t address)
{
	if (!expected) {
		assert_null(got);
		return;
	}
	assert_non_null(got);
	assert_in_range(address, got->start, got->end - 1);
	assert_int_equal(got->kind, expected->kind);
	assert_ptr_equal(got->binary, expected->binary);
	if (got->kind == MAPPING_FILE)
		assert_int_equal(address - got->start + got->offset,
				 address - expected->start + expected->offset);
}

static void check_model(const struct mappings *list, const struct model *model, uint64_t from_ns,
			uint64_t to_ns)
{
	unsigned int i;

	for (i = 0; i < 200; i++) {
		uint64_t address =
			(uint64_t)(next_random() % (MODEL_PAGES + 2)) * PAGE + next_random() % PAGE;
		uint64_t time_ns = from_ns + next_random() % (to_ns - from_ns + 1);

		check_same_code(mappings_find(list, address, time_ns),
				model_find(model, address, time_ns), address);
	}
}

static struct mapping random_mapping(uint64_t born_ns, bool distinct)
{
	uint64_t first = next_random() % MODEL_PAGES;
	uint64_t pages = 1 + next_random() % (MODEL_PAGES - first);
	uint64_t bias = distinct ? born_ns * 64 : next_random() % 2;

	if (!distinct && next_random() % 3 == 0)
		return jit_mapping(first, MIN(pages, 5ull), born_ns);
	if (next_random() % 2)
		pages = MIN(pages, 6ull);
	return file_mapping(first, pages, next_random() % BINARIES, (first + bias) * PAGE, born_ns);
}

/* Records in order of time, with trims; each list also lives on in a child. */
static void test_equals_the_model_in_order(void **state)
{
	struct mappings *list = NULL, *child = NULL;
	struct model model;
	uint64_t time_ns, trimmed_ns;
	unsigned int round;

	(void)state;
	for (round = 0; round < 150; round++) {
		list = new_list();
		model.cnt = 0;
		trimmed_ns = 0;
		for (time_ns = 1; model.cnt < 120; time_ns += 1 + next_random() % 2) {
			struct mapping mapping = random_mapping(time_ns, false);

			model.log[model.cnt++] = mapping;
			add(&list, mapping);
			if (next_random() % 40 == 0 && time_ns > trimmed_ns) {
				trimmed_ns = time_ns - next_random() % (time_ns - trimmed_ns);
				mappings_trim(list, trimmed_ns);
			}
			if (next_random() % 50 == 0) {
				mappings_unref(child);
				child = mappings_ref(list);
			}
		}
		check_model(list, &model, trimmed_ns, time_ns + 5);
		mappings_unref(list);
	}
	mappings_unref(child);
}

/* Records in any order, each of other code. */
static void test_equals_the_model_out_of_order(void **state)
{
	struct model model;
	unsigned int round;

	(void)state;
	for (round = 0; round < 150; round++) {
		struct mappings *list = new_list();

		for (model.cnt = 0; model.cnt < 60; model.cnt++) {
			/* distinct times: 37 is prime to 61 */
			uint64_t born_ns = 1 + (model.cnt * 37 + round) % 61;

			model.log[model.cnt] = random_mapping(born_ns, true);
			add(&list, model.log[model.cnt]);
		}
		check_model(list, &model, 0, 70);
		mappings_unref(list);
	}
}

static void test_survives_each_failed_allocation(void **state)
{
	long n;

	(void)state;
	for (n = 1;; n++) {
		struct mappings *list = NULL, *child = NULL;
		uint64_t i, born_ns = 0;
		bool hit;
		int r;

		fail_malloc_at(n);
		r = mappings_new(&list);
		for (i = 0; r == 0 && i < 24; i++) {
			struct mapping mapping = file_mapping(1 + i, 3, i % 2, 0, ++born_ns);

			r = mappings_add(&list, &mapping, NULL);
		}
		if (r == 0) {
			struct mapping mapping = file_mapping(1, 40, 2, 0, ++born_ns);

			child = mappings_ref(list);
			r = mappings_add(&child, &mapping, NULL);
			mappings_trim(child, 5);
		}
		hit = fail_malloc_hit();
		if (!hit)
			assert_int_equal(r, 0);
		else if (r < 0)
			assert_int_equal(r, -ENOMEM);
		mappings_unref(child);
		mappings_unref(list);
		for (i = 0; i < BINARIES; i++)
			assert_int_equal(binaries[i]->refs, 1);
		if (!hit)
			break;
	}
	assert_true(n > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finds_by_address),
		cmocka_unit_test(test_replaced_mapping_is_found_in_its_time),
		cmocka_unit_test(test_same_mapping_again_changes_nothing),
		cmocka_unit_test(test_address_before_first_birth_is_the_soonest_after),
		cmocka_unit_test(test_late_record_lands_in_the_past),
		cmocka_unit_test(test_jit_pages_make_no_history_and_join),
		cmocka_unit_test(test_fork_shares_until_one_side_maps),
		cmocka_unit_test(test_trim_forgets_the_dead),
		cmocka_unit_test(test_history_is_bounded),
		cmocka_unit_test(test_too_many_mappings_are_refused),
		cmocka_unit_test(test_thirty_mappings_take_two_and_a_half_kilobytes),
		cmocka_unit_test(test_equals_the_model_in_order),
		cmocka_unit_test(test_equals_the_model_out_of_order),
		cmocka_unit_test(test_survives_each_failed_allocation),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
