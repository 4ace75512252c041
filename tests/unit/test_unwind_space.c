/* SPDX-License-Identifier: BSD-2-Clause */
/* Extents: nothing given twice, nothing lost, nothing given before it is settled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/collect/unwind_space.h"
#include "tests/unit/fail_malloc.h"
#include "tests/unit/unwind_fixture.h"

static uint32_t take(struct unwind_space *space, uint32_t cnt)
{
	struct unwind_extent room;

	assert_true(unwind_space_fit(space, cnt, &room));
	assert_int_equal(unwind_space_take(space, room.first, cnt), 0);
	return room.first;
}

static bool fits(const struct unwind_space *space, uint32_t cnt)
{
	struct unwind_extent room;

	return unwind_space_fit(space, cnt, &room);
}

static void test_room_is_found_from_the_low_end(void **state)
{
	struct unwind_space space;
	uint32_t first, second;

	(void)state;
	unwind_space_init(&space, 0);
	assert_false(fits(&space, 1));
	assert_int_equal(unwind_space_add(&space, 100, 50), 0);
	first = take(&space, 10);
	second = take(&space, 40);
	assert_int_equal(first, 100);
	assert_int_equal(second, 110);
	assert_false(fits(&space, 1));
	unwind_space_give(&space, first, 10);
	assert_int_equal(take(&space, 5), 100);
	assert_int_equal(take(&space, 5), 105);
	unwind_space_free(&space);
}

static void test_neighbours_become_one(void **state)
{
	struct unwind_space space;
	uint32_t at[5], order, i;

	(void)state;
	/* All orders of giving five back: 5^5 tries, of which those count that name each once. */
	for (order = 0; order < 3125; order++) {
		uint32_t given = 0, rest = order;

		unwind_space_init(&space, 0);
		assert_int_equal(unwind_space_add(&space, 0, 50), 0);
		for (i = 0; i < 5; i++)
			at[i] = take(&space, 10);
		for (i = 0; i < 5; i++, rest /= 5) {
			if (given & (1u << rest % 5))
				break;
			given |= 1u << rest % 5;
			unwind_space_give(&space, at[rest % 5], 10);
		}
		if (given == 31) {
			assert_int_equal(space.free.cnt, 1);
			assert_int_equal(space.free_units, 50);
			assert_int_equal(space.taken_cnt, 0);
		}
		unwind_space_free(&space);
	}
}

static void test_what_is_deferred_is_not_given_before_it_settles(void **state)
{
	struct unwind_space space;
	uint32_t first;

	(void)state;
	unwind_space_init(&space, 0);
	assert_int_equal(unwind_space_add(&space, 0, 100), 0);
	first = take(&space, 60);
	unwind_space_defer(&space, first, 60);
	assert_false(fits(&space, 41));
	assert_int_equal(space.deferred_units, 60);
	assert_int_equal(take(&space, 40), 60);
	assert_false(fits(&space, 1));
	unwind_space_settle(&space);
	assert_int_equal(space.deferred_units, 0);
	assert_int_equal(take(&space, 60), 0);
	unwind_space_free(&space);
}

static void test_no_extent_crosses_a_boundary(void **state)
{
	struct unwind_space space;
	uint32_t first;

	(void)state;
	unwind_space_init(&space, 64);
	assert_int_equal(unwind_space_add(&space, 64, 64), 0);
	assert_int_equal(unwind_space_add(&space, 0, 64), 0);
	assert_false(fits(&space, 65));
	first = take(&space, 40);
	assert_int_equal(first, 0);
	assert_int_equal(take(&space, 30), 64);
	assert_int_equal(take(&space, 24), 40);
	unwind_space_give(&space, 64, 30);
	unwind_space_give(&space, 40, 24);
	assert_int_equal(space.free.cnt, 2);
	/* Room goes as it came, and only when it is free as a whole. */
	assert_false(unwind_space_remove(&space, 0, 64));
	assert_true(unwind_space_remove(&space, 64, 64));
	assert_false(unwind_space_remove(&space, 64, 64));
	assert_false(fits(&space, 25));
	assert_int_equal(space.free_units, 24);
	unwind_space_free(&space);
}

static void test_only_free_extents_are_taken(void **state)
{
	struct unwind_space space;

	(void)state;
	unwind_space_init(&space, 0);
	assert_int_equal(unwind_space_take(&space, 0, 1), -EINVAL);
	assert_int_equal(unwind_space_add(&space, 10, 10), 0);
	assert_int_equal(unwind_space_take(&space, 11, 1), -EINVAL);
	assert_int_equal(unwind_space_take(&space, 10, 11), -EINVAL);
	assert_int_equal(unwind_space_take(&space, 10, 0), -EINVAL);
	assert_int_equal(space.free_units, 10);
	assert_int_equal(unwind_space_take(&space, 10, 10), 0);
	assert_int_equal(unwind_space_take(&space, 10, 1), -EINVAL);
	unwind_space_free(&space);
}

#define UNITS 20000u
#define HELD 300u
#define BOUNDARY 1000u

enum owner { NOBODY, HOLDER, DEFERRED };

struct model {
	struct unwind_space space;
	uint8_t owners[UNITS];
	struct unwind_extent held[HELD];
	struct random_numbers random;
};

static void own(struct model *model, struct unwind_extent extent, enum owner from, enum owner to)
{
	uint32_t i;

	for (i = extent.first; i < extent.first + extent.cnt; i++) {
		assert_int_equal(model->owners[i], from);
		model->owners[i] = (uint8_t)to;
	}
}

static void swap_extent(struct model *model, struct unwind_extent *held)
{
	struct unwind_extent room;

	if (held->cnt) {
		if (random_below(&model->random, 2)) {
			unwind_space_give(&model->space, held->first, held->cnt);
			own(model, *held, HOLDER, NOBODY);
		} else {
			unwind_space_defer(&model->space, held->first, held->cnt);
			own(model, *held, HOLDER, DEFERRED);
		}
		held->cnt = 0;
	}
	held->cnt = 1 + random_below(&model->random, 200);
	if (!unwind_space_fit(&model->space, held->cnt, &room)) {
		held->cnt = 0;
		return;
	}
	held->first = room.first;
	assert_int_equal(unwind_space_take(&model->space, held->first, held->cnt), 0);
	assert_int_equal(held->first / BOUNDARY, (held->first + held->cnt - 1) / BOUNDARY);
	own(model, *held, NOBODY, HOLDER);
}

static void settle(struct model *model)
{
	uint32_t i;

	unwind_space_settle(&model->space);
	for (i = 0; i < UNITS; i++)
		if (model->owners[i] == DEFERRED)
			model->owners[i] = NOBODY;
}

/* The list is the units that nobody owns, as few extents as can be. */
static void check_model(const struct model *model)
{
	const struct unwind_extents *list = &model->space.free;
	uint32_t i, free_cnt = 0, last_end = UINT32_MAX;
	size_t at;

	for (i = 0; i < UNITS; i++)
		free_cnt += model->owners[i] == NOBODY;
	for (at = 0; at < list->cnt; at++) {
		assert_true(list->at[at].first != last_end || last_end % BOUNDARY == 0);
		last_end = list->at[at].first + list->at[at].cnt;
		for (i = list->at[at].first; i < last_end; i++)
			assert_int_equal(model->owners[i], NOBODY);
		free_cnt -= list->at[at].cnt;
	}
	assert_int_equal(free_cnt, 0);
	assert_true(list->cnt <= list->capacity);
}

static void test_random_use_matches_a_map_of_all_units(void **state)
{
	struct model *model = calloc(1, sizeof(*model));
	uint32_t i, step;

	(void)state;
	model->random.state = 7;
	unwind_space_init(&model->space, BOUNDARY);
	for (i = 0; i < UNITS; i += BOUNDARY)
		assert_int_equal(unwind_space_add(&model->space, i, BOUNDARY), 0);
	for (step = 0; step < 20000; step++) {
		swap_extent(model, &model->held[random_below(&model->random, HELD)]);
		if (random_below(&model->random, 20) == 0)
			settle(model);
		if (step % 100 == 0)
			check_model(model);
	}
	for (i = 0; i < HELD; i++)
		if (model->held[i].cnt)
			unwind_space_defer(&model->space, model->held[i].first, model->held[i].cnt);
	unwind_space_settle(&model->space);
	assert_int_equal(model->space.taken_cnt, 0);
	assert_int_equal(model->space.free.cnt, UNITS / BOUNDARY);
	for (i = 0; i < UNITS; i += BOUNDARY)
		assert_true(unwind_space_remove(&model->space, i, BOUNDARY));
	assert_int_equal(model->space.free_units, 0);
	unwind_space_free(&model->space);
	free(model);
}

/* Every other of many is given back: as many holes as there can be. */
static void test_giving_back_needs_no_memory(void **state)
{
	struct unwind_space space;
	uint32_t i;

	(void)state;
	unwind_space_init(&space, 0);
	assert_int_equal(unwind_space_add(&space, 0, 10000), 0);
	for (i = 0; i < 10000; i++)
		take(&space, 1);
	fail_malloc_at(1);
	for (i = 0; i < 10000; i += 2)
		unwind_space_defer(&space, i, 1);
	unwind_space_settle(&space);
	for (i = 1; i < 10000; i += 2)
		unwind_space_give(&space, i, 1);
	assert_false(fail_malloc_hit());
	assert_int_equal(space.free.cnt, 1);
	assert_int_equal(space.free_units, 10000);
	unwind_space_free(&space);
}

static void test_survives_each_failed_allocation(void **state)
{
	bool hit = true;
	long n;

	(void)state;
	for (n = 1; hit; n++) {
		struct unwind_space space;
		uint32_t i, taken = 0;

		unwind_space_init(&space, 0);
		fail_malloc_at(n);
		if (unwind_space_add(&space, 0, 1000) == 0)
			for (i = 0; i < 100; i++)
				taken += unwind_space_take(&space, taken, 1) == 0;
		hit = fail_malloc_hit();
		if (hit && n > 1)
			assert_int_equal(taken, 99);
		assert_int_equal(space.free_units, space.room_cnt * 1000 - taken);
		for (i = 0; i < taken; i++)
			unwind_space_give(&space, i, 1);
		assert_int_equal(space.free.cnt, space.room_cnt);
		unwind_space_free(&space);
	}
	assert_true(n > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_room_is_found_from_the_low_end),
		cmocka_unit_test(test_neighbours_become_one),
		cmocka_unit_test(test_what_is_deferred_is_not_given_before_it_settles),
		cmocka_unit_test(test_no_extent_crosses_a_boundary),
		cmocka_unit_test(test_only_free_extents_are_taken),
		cmocka_unit_test(test_random_use_matches_a_map_of_all_units),
		cmocka_unit_test(test_giving_back_needs_no_memory),
		cmocka_unit_test(test_survives_each_failed_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
