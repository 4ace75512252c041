/* SPDX-License-Identifier: BSD-2-Clause */
/* Named stacks and tasks of the two open epochs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/pipeline/stacks.h"
#include "tests/unit/fail_malloc.h"

/* Locations are only pointers here: any will do, and none is followed. */
static const char places[512];

static const struct location *place(size_t i)
{
	return (const struct location *)(const void *)&places[i % sizeof(places)];
}

/* Stack @id: @cnt locations from place(@id) on. */
static int add_stack(struct stacks *stacks, uint32_t epoch, uint64_t id, uint32_t cnt)
{
	const struct location *locations[256];
	uint32_t i;

	assert_true(cnt <= ARRAY_SIZE(locations));
	for (i = 0; i < cnt; i++)
		locations[i] = place(id + i);
	return stacks_add(stacks, epoch, id, locations,
			  &(struct named_stack){
				  .cnt = cnt, .complete = id & 1, .frames = cnt, .named = cnt / 2 });
}

static void check_stack(const struct stacks *stacks, uint32_t epoch, uint64_t id, uint32_t cnt)
{
	const struct location *const *locations;
	const struct named_stack *stack = stacks_find(stacks, epoch, id, &locations);
	uint32_t i;

	assert_non_null(stack);
	assert_int_equal(stack->cnt, cnt);
	assert_int_equal(stack->frames, cnt);
	assert_int_equal(stack->named, cnt / 2);
	assert_int_equal(stack->complete, id & 1);
	for (i = 0; i < cnt; i++)
		assert_ptr_equal(locations[i], place(id + i));
}

static void check_no_stack(const struct stacks *stacks, uint32_t epoch, uint64_t id)
{
	const struct location *const *locations = NULL;

	assert_null(stacks_find(stacks, epoch, id, &locations));
	assert_null(locations);
}

static void test_stack_is_found_in_its_epoch_only(void **state)
{
	struct stacks stacks;

	(void)state;
	stacks_init(&stacks);
	check_no_stack(&stacks, 0, 7);
	assert_int_equal(add_stack(&stacks, 0, 7, 3), 0);
	assert_int_equal(add_stack(&stacks, 1, 8, 4), 0);
	check_stack(&stacks, 0, 7, 3);
	check_stack(&stacks, 1, 8, 4);
	check_no_stack(&stacks, 1, 7);
	check_no_stack(&stacks, 0, 8);
	stacks_free(&stacks);
}

static void test_clear_forgets_one_epoch(void **state)
{
	struct stacks stacks;

	(void)state;
	stacks_init(&stacks);
	add_stack(&stacks, 4, 7, 3);
	add_stack(&stacks, 5, 7, 4);
	stacks_clear(&stacks, 4);
	check_no_stack(&stacks, 4, 7);
	check_stack(&stacks, 5, 7, 4);
	/* Epoch 6 takes the place of 4, also when the numbers wrap. */
	add_stack(&stacks, 6, 9, 2);
	check_stack(&stacks, 6, 9, 2);
	stacks_clear(&stacks, UINT32_MAX);
	check_no_stack(&stacks, 5, 7);
	stacks_free(&stacks);
}

static void test_added_again_replaces(void **state)
{
	struct stacks stacks;

	(void)state;
	stacks_init(&stacks);
	add_stack(&stacks, 0, 7, 30);
	add_stack(&stacks, 0, 8, 5);
	add_stack(&stacks, 0, 7, 2);
	check_stack(&stacks, 0, 7, 2);
	check_stack(&stacks, 0, 8, 5);
	stacks_free(&stacks);
}

static void test_stack_may_be_empty(void **state)
{
	const struct location *const *locations;
	struct stacks stacks;

	(void)state;
	stacks_init(&stacks);
	assert_int_equal(stacks_add(&stacks, 0, 1, NULL, &(struct named_stack){}), 0);
	assert_non_null(stacks_find(&stacks, 0, 1, &locations));
	assert_int_equal(stacks_find(&stacks, 0, 1, &locations)->cnt, 0);
	stacks_free(&stacks);
}

static void test_many_stacks_stay_as_they_were_and_memory_is_given_back(void **state)
{
	struct stacks stacks;
	uint64_t id;

	(void)state;
	stacks_init(&stacks);
	for (id = 1; id <= 2000; id++)
		assert_int_equal(add_stack(&stacks, 1, id << 32 | id, (uint32_t)(id % 128)), 0);
	for (id = 1; id <= 2000; id++)
		check_stack(&stacks, 1, id << 32 | id, (uint32_t)(id % 128));
	assert_true(stacks.sides[1].pool_capacity > 65536);
	stacks_clear(&stacks, 1);
	assert_int_equal(stacks.sides[1].pool_capacity, 0);
	add_stack(&stacks, 1, 7, 100);
	check_stack(&stacks, 1, 7, 100);
	stacks_clear(&stacks, 1);
	assert_int_equal(stacks.sides[1].pool_capacity, 4096); /* a small one is kept */
	stacks_free(&stacks);
	assert_int_equal(stacks.sides[1].pool_capacity, 0);
}

static struct task_body task(uint32_t epoch, uint32_t tid, const char *comm)
{
	struct task_body body = {
		.header.epoch = epoch, .start_boottime_ns = 5, .tgid = 100, .tid = tid, .exec_id = 2
	};

	memcpy(body.comm, comm, strnlen(comm, sizeof(body.comm)));
	memcpy(body.leader_comm, "leader", sizeof("leader"));
	return body;
}

static const struct task_names *find_task(const struct stacks *stacks, uint32_t epoch, uint32_t tid,
					  uint32_t exec_id)
{
	return stacks_find_task(stacks, epoch,
				&(struct task_key){ .start_boottime_ns = 5,
						    .tgid = 100,
						    .tid = tid,
						    .exec_id = exec_id });
}

static void test_tasks_are_told_apart(void **state)
{
	struct task_body main_thread = task(0, 100, "main"), worker = task(0, 101, "worker");
	struct stacks stacks;

	(void)state;
	stacks_init(&stacks);
	assert_int_equal(stacks_task_cnt(&stacks), 0);
	worker.flags = TASK_IS_KERNEL_THREAD;
	assert_int_equal(stacks_add_task(&stacks, &main_thread), 0);
	assert_int_equal(stacks_add_task(&stacks, &worker), 0);
	assert_string_equal(find_task(&stacks, 0, 100, 2)->comm, "main");
	assert_string_equal(find_task(&stacks, 0, 101, 2)->comm, "worker");
	assert_string_equal(find_task(&stacks, 0, 101, 2)->leader_comm, "leader");
	assert_false(find_task(&stacks, 0, 100, 2)->kernel_thread);
	assert_true(find_task(&stacks, 0, 101, 2)->kernel_thread);
	assert_null(find_task(&stacks, 0, 101, 3)); /* after an exec */
	assert_null(find_task(&stacks, 1, 101, 2));
	assert_int_equal(stacks_task_cnt(&stacks), 2);
	stacks_clear(&stacks, 0);
	assert_null(find_task(&stacks, 0, 101, 2));
	assert_int_equal(stacks_task_cnt(&stacks), 0);
	stacks_free(&stacks);
}

static void test_task_that_changed_its_name_has_the_new_one(void **state)
{
	struct task_body before = task(0, 100, "a longer name"), after = task(0, 100, "new");
	struct stacks stacks;

	(void)state;
	stacks_init(&stacks);
	stacks_add_task(&stacks, &before);
	stacks_add_task(&stacks, &after);
	assert_string_equal(find_task(&stacks, 0, 100, 2)->comm, "new");
	assert_int_equal(stacks_task_cnt(&stacks), 1);
	stacks_free(&stacks);
}

static void test_names_without_an_end_get_one(void **state)
{
	struct task_body body = task(1, 100, "0123456789abcdef");
	struct stacks stacks;

	(void)state;
	memset(body.leader_comm, 'x', sizeof(body.leader_comm));
	stacks_init(&stacks);
	stacks_add_task(&stacks, &body);
	assert_string_equal(find_task(&stacks, 1, 100, 2)->comm, "0123456789abcdef");
	assert_string_equal(find_task(&stacks, 1, 100, 2)->leader_comm, "xxxxxxxxxxxxxxxx");
	stacks_free(&stacks);
}

static void test_failed_allocations_lose_only_what_was_added(void **state)
{
	struct stacks stacks;
	uint64_t id;
	long n;

	(void)state;
	stacks_init(&stacks);
	/* Past the first sizes of the pool and of the maps. */
	for (id = 1; id <= 200; id++) {
		struct task_body body = task(0, (uint32_t)id, "name");

		for (n = 1;; n++) {
			int error;

			fail_malloc_at(n);
			error = add_stack(&stacks, 0, id, 100);
			if (!error)
				error = stacks_add_task(&stacks, &body);
			if (!fail_malloc_hit()) {
				assert_int_equal(error, 0);
				break;
			}
			assert_int_equal(error, -ENOMEM);
			if (id > 1)
				check_stack(&stacks, 0, id - 1, 100);
			assert_null(find_task(&stacks, 0, (uint32_t)id, 2));
		}
	}
	for (id = 1; id <= 200; id++) {
		check_stack(&stacks, 0, id, 100);
		assert_non_null(find_task(&stacks, 0, (uint32_t)id, 2));
	}
	stacks_free(&stacks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stack_is_found_in_its_epoch_only),
		cmocka_unit_test(test_clear_forgets_one_epoch),
		cmocka_unit_test(test_added_again_replaces),
		cmocka_unit_test(test_stack_may_be_empty),
		cmocka_unit_test(test_many_stacks_stay_as_they_were_and_memory_is_given_back),
		cmocka_unit_test(test_tasks_are_told_apart),
		cmocka_unit_test(test_task_that_changed_its_name_has_the_new_one),
		cmocka_unit_test(test_names_without_an_end_get_one),
		cmocka_unit_test(test_failed_allocations_lose_only_what_was_added),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
