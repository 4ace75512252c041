/* SPDX-License-Identifier: BSD-2-Clause */
/* Stack bodies that wait to be named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/collect/sampler.h"
#include "profiler/pipeline/bodies.h"
#include "tests/unit/fail_malloc.h"

/* As it lies in the ring: the frames used and not a byte more, so that a sanitizer watches. */
static void *new_body(uint64_t id, uint16_t frame_cnt)
{
	size_t bytes = offsetof(struct stack_body, frames) + frame_cnt * sizeof(uint64_t), i;
	struct stack_body body = { .id = id, .frame_cnt = frame_cnt };

	for (i = 0; i < frame_cnt; i++)
		body.frames[i] = id * 1000 + i;
	return memcpy(malloc(bytes), &body, bytes);
}

static int add_body(struct bodies *bodies, uint64_t id, uint16_t frame_cnt)
{
	_cleanup_free_ void *body = new_body(id, frame_cnt);

	return bodies_add(bodies, body);
}

static void check_next(const struct bodies *bodies, size_t *cursor, uint64_t id, uint16_t frame_cnt)
{
	const struct stack_body *body = bodies_next(bodies, cursor);
	size_t i;

	assert_non_null(body);
	assert_int_equal((uintptr_t)body % 8, 0);
	assert_int_equal(body->id, id);
	assert_int_equal(body->frame_cnt, frame_cnt);
	for (i = 0; i < frame_cnt; i++)
		assert_int_equal(body->frames[i], id * 1000 + i);
}

static void check_end(const struct bodies *bodies, size_t cursor)
{
	assert_null(bodies_next(bodies, &cursor));
	assert_null(bodies_next(bodies, &cursor));
}

static void test_bodies_come_out_as_they_went_in(void **state)
{
	static const uint16_t counts[] = { 3, 1, 0, STACK_FRAMES_MAX, 2, 0 };
	struct bodies bodies = {};
	size_t cursor = 0, i;

	(void)state;
	check_end(&bodies, 0);
	for (i = 0; i < ARRAY_SIZE(counts); i++)
		assert_int_equal(add_body(&bodies, i + 1, counts[i]), 0);
	for (i = 0; i < ARRAY_SIZE(counts); i++)
		check_next(&bodies, &cursor, i + 1, counts[i]);
	check_end(&bodies, cursor);
	bodies_free(&bodies);
	check_end(&bodies, 0);
}

static void test_only_used_frames_take_room(void **state)
{
	struct bodies bodies = {};

	(void)state;
	add_body(&bodies, 1, 2);
	assert_int_equal(bodies.bytes.len, offsetof(struct stack_body, frames) + 2 * 8);
	bodies_free(&bodies);
}

static void test_frame_count_beyond_the_contract_is_cut(void **state)
{
	struct stack_body body = { .id = 1, .frame_cnt = UINT16_MAX };
	struct bodies bodies = {};
	size_t cursor = 0;

	(void)state;
	assert_int_equal(bodies_add(&bodies, &body), 0);
	add_body(&bodies, 2, 3);
	assert_int_equal(bodies_next(&bodies, &cursor)->id, 1);
	check_next(&bodies, &cursor, 2, 3);
	check_end(&bodies, cursor);
	bodies_free(&bodies);
}

static void test_clear_forgets_bodies_and_much_memory(void **state)
{
	struct bodies bodies = {};
	size_t capacity, cursor = 0;
	int i;

	(void)state;
	add_body(&bodies, 1, 100);
	capacity = bodies.bytes.capacity;
	bodies_clear(&bodies);
	check_end(&bodies, 0);
	assert_int_equal(bodies.bytes.capacity, capacity); /* little is kept */
	for (i = 0; i < 2000; i++)
		add_body(&bodies, 7, 100);
	assert_true(bodies.bytes.capacity > 1 << 20);
	bodies_clear(&bodies);
	assert_int_equal(bodies.bytes.capacity, 0);
	add_body(&bodies, 2, 4);
	check_next(&bodies, &cursor, 2, 4);
	bodies_free(&bodies);
}

static void test_failed_allocation_loses_only_its_body(void **state)
{
	struct bodies bodies = {};
	uint64_t id, failures = 0;
	size_t cursor = 0;

	(void)state;
	for (id = 1; id <= 300; id++) {
		_cleanup_free_ void *body = new_body(id, 20);
		int error;

		fail_malloc_at(1);
		error = bodies_add(&bodies, body);
		if (!fail_malloc_hit()) {
			assert_int_equal(error, 0);
			continue;
		}
		failures++;
		assert_int_equal(error, -ENOMEM);
		assert_int_equal(bodies_add(&bodies, body), 0);
	}
	assert_true(failures > 3);
	for (id = 1; id <= 300; id++)
		check_next(&bodies, &cursor, id, 20);
	check_end(&bodies, cursor);
	bodies_free(&bodies);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bodies_come_out_as_they_went_in),
		cmocka_unit_test(test_only_used_frames_take_room),
		cmocka_unit_test(test_frame_count_beyond_the_contract_is_cut),
		cmocka_unit_test(test_clear_forgets_bodies_and_much_memory),
		cmocka_unit_test(test_failed_allocation_loses_only_its_body),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
