/* SPDX-License-Identifier: BSD-2-Clause */
/* Samples of the rings, counted per epoch, and the bodies that go with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/collect/ring_counts.h"
#include "tests/unit/fail_malloc.h"

#define STACK_MAX 127

static struct ring_counts counts;
static struct stack_body stacks[64];
static struct task_body names[64];
static size_t stack_cnt, task_cnt;
static struct sample_key keys[64];
static uint64_t values[64];
static size_t key_cnt;
static int answer;

static int make(void **state)
{
	(void)state;
	ring_counts_init(&counts, 100, STACK_MAX);
	stack_cnt = task_cnt = key_cnt = 0;
	answer = 0;
	return 0;
}

static int unmake(void **state)
{
	(void)state;
	ring_counts_free(&counts);
	return 0;
}

static int on_stack(void *context, const struct stack_body *body)
{
	(void)context;
	if (answer)
		return answer;
	assert_int_equal((uintptr_t)body % 8, 0);
	if (stack_cnt < ARRAY_SIZE(stacks)) {
		memset(&stacks[stack_cnt], 0, sizeof(stacks[0]));
		memcpy(&stacks[stack_cnt], body,
		       offsetof(struct stack_body, frames) + body->frame_cnt * sizeof(uint64_t));
	}
	stack_cnt++;
	return 0;
}

static int on_task(void *context, const struct task_body *body)
{
	(void)context;
	if (task_cnt < ARRAY_SIZE(names))
		names[task_cnt] = *body;
	task_cnt++;
	return 0;
}

static int drain_bodies(void)
{
	const struct body_handler handler = { .stack = on_stack, .task = on_task };

	return ring_counts_drain_bodies(&counts, &handler);
}

static int on_count(void *context, const struct sample_key *key, uint64_t value)
{
	(void)context;
	if (key_cnt < ARRAY_SIZE(keys)) {
		keys[key_cnt] = *key;
		values[key_cnt] = value;
	}
	key_cnt++;
	return 0;
}

static uint64_t user_ips[600], kernel_ips[STACK_MAX];

static void add(uint32_t tid, uint64_t leaf, size_t user_cnt, size_t kernel_cnt)
{
	struct ring_task task = { .process = { .start_boottime_ns = 9, .exec_id = 2 },
				  .comm = "thread", .leader_comm = "process" };
	const struct ring_sample sample = { .pid = 10, .tid = tid, .time_ns = 1234,
					    .kernel = kernel_ips, .user = user_ips,
					    .kernel_cnt = kernel_cnt, .user_cnt = user_cnt };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(user_ips); i++)
		user_ips[i] = leaf + i * 0x100;
	for (i = 0; i < ARRAY_SIZE(kernel_ips); i++)
		kernel_ips[i] = 0xffffffff81000000 + i;
	ring_counts_add(&counts, &sample, &task);
}

static struct sampler_totals end_epoch(uint32_t expected)
{
	struct sampler_totals totals;

	assert_int_equal(ring_counts_end_epoch(&counts, &totals), expected);
	return totals;
}

static void test_equal_samples_are_one_key_and_one_body(void **state)
{
	struct sampler_totals totals;
	int i;

	(void)state;
	for (i = 0; i < 5; i++)
		add(11, 0x1000, 3, 2);
	add(12, 0x1000, 3, 2); /* another thread, the same stacks */
	totals = end_epoch(0);
	assert_int_equal(totals.counted, 6);
	assert_int_equal(drain_bodies(), 0);
	assert_int_equal(stack_cnt, 2);
	assert_int_equal(task_cnt, 2);
	assert_int_equal(ring_counts_drain(&counts, 0, on_count, NULL), 0);
	assert_int_equal(key_cnt, 2);
	assert_int_equal(values[0] + values[1], 6);
	assert_true(keys[0].user_stack == keys[1].user_stack && keys[0].user_stack);
	assert_true(keys[0].kernel_stack == keys[1].kernel_stack);
	assert_true(keys[0].user_stack != keys[0].kernel_stack);
}

static void test_bodies_say_what_a_keys_ids_stand_for(void **state)
{
	const struct stack_body *user = &stacks[1], *kernel = &stacks[0];

	(void)state;
	add(11, 0x1000, 3, 2);
	end_epoch(0);
	drain_bodies();
	ring_counts_drain(&counts, 0, on_count, NULL);
	assert_int_equal(kernel->header.kind, BODY_KERNEL_STACK);
	assert_true(kernel->id == keys[0].kernel_stack);
	assert_int_equal(kernel->frame_cnt, 2);
	assert_int_equal(kernel->end, STACK_KERNEL_END);
	assert_int_equal(user->header.kind, BODY_USER_STACK);
	assert_true(user->id == keys[0].user_stack);
	assert_true(user->header.time_ns == 1234 && user->header.epoch == 0);
	assert_int_equal(user->tgid, 10);
	assert_int_equal(user->exec_id, 2);
	assert_true(user->start_boottime_ns == 9);
	assert_int_equal(user->frame_cnt, 3);
	assert_true(user->frames[0] == 0x1000 && user->frames[2] == 0x1200);
	assert_true(user->leaf_is_exact && user->unchecked);
	/* The kernel does not say why its walk ended: it may not pass for complete. */
	assert_int_equal(user->end, STACK_BROKEN);
	assert_int_equal(names[0].tid, 11);
	assert_int_equal(names[0].names, keys[0].names);
	assert_string_equal(names[0].comm, "thread");
	assert_string_equal(names[0].leader_comm, "process");
}

static void test_a_walk_that_reached_its_limit_is_truncated(void **state)
{
	(void)state;
	add(1, 0x1000, STACK_MAX, 0);
	add(1, 0x2000, STACK_MAX - 2, 2); /* both kinds share the limit */
	add(1, 0x3000, STACK_MAX - 3, 2);
	add(1, 0x4000, 0, STACK_MAX);
	drain_bodies();
	assert_int_equal(stack_cnt, 5);
	assert_int_equal(stacks[0].end, STACK_DEPTH);
	assert_int_equal(stacks[2].end, STACK_DEPTH);
	assert_int_equal(stacks[3].end, STACK_BROKEN);
	assert_int_equal(stacks[4].end, STACK_DEPTH);
}

/* Where the host allows deeper chains than a body holds. */
static void test_more_frames_than_fit_are_cut(void **state)
{
	(void)state;
	counts.stack_max = 1000;
	add(1, 0x1000, 600, 0);
	drain_bodies();
	assert_int_equal(stacks[0].frame_cnt, STACK_FRAMES_MAX);
	assert_int_equal(stacks[0].end, STACK_DEPTH);
}

static void test_an_epoch_brings_its_own_bodies(void **state)
{
	(void)state;
	add(11, 0x1000, 3, 0);
	drain_bodies();
	add(11, 0x1000, 3, 0);
	drain_bodies();
	assert_int_equal(stack_cnt, 1);
	end_epoch(0);
	add(11, 0x1000, 3, 0); /* before the old epoch's counts were taken */
	drain_bodies();
	assert_int_equal(stack_cnt, 2);
	assert_int_equal(stacks[1].header.epoch, 1);
	assert_int_equal(names[1].header.epoch, 1);
	ring_counts_drain(&counts, 0, on_count, NULL);
	assert_int_equal(key_cnt, 1);
	assert_int_equal(values[0], 2);
	assert_int_equal(end_epoch(1).counted, 1);
	ring_counts_drain(&counts, 1, on_count, NULL);
	assert_int_equal(key_cnt, 2);
	assert_int_equal(values[1], 1);
	assert_int_equal(counts.counted, 3);
	assert_int_equal(end_epoch(2).counted, 0);
}

static void test_what_finds_no_room_is_counted_as_lost(void **state)
{
	struct sampler_totals totals;
	uint32_t tid;

	(void)state;
	for (tid = 1; tid <= 130; tid++)
		add(tid, 0x1000, 3, 0);
	add(1, 0x1000, 3, 0); /* known keys go on counting */
	totals = end_epoch(0);
	assert_int_equal(totals.counted, 101);
	assert_int_equal(totals.lost_full, 30);
	ring_counts_drain(&counts, 0, on_count, NULL);
	assert_int_equal(key_cnt, 100);
	add(500, 0x1000, 3, 0);
	assert_int_equal(end_epoch(1).lost_full, 0);
}

static void test_a_body_that_found_no_room_comes_with_its_next_sample(void **state)
{
	uint64_t id;
	size_t i, sent;

	(void)state;
	ring_counts_free(&counts);
	ring_counts_init(&counts, 1u << 20, 1000);
	for (id = 0; ring_counts_bank(&counts)->totals.body_ring_full == 0; id++)
		add(1, id << 20, 500, 0);
	assert_true(counts.bodies.len <= 16u << 20);
	drain_bodies();
	sent = stack_cnt;
	assert_int_equal(sent, id - 1);
	add(1, (id - 1) << 20, 500, 0);
	drain_bodies();
	assert_int_equal(stack_cnt, sent + 1);
	for (i = 0; i < 3; i++)
		add(1, (id - 1) << 20, 500, 0);
	drain_bodies();
	assert_int_equal(stack_cnt, sent + 1);
}

static void test_changed_mappings_make_another_stack(void **state)
{
	(void)state;
	add(11, 0x1000, 3, 2);
	counts.generations[10]++;
	add(11, 0x1000, 3, 2);
	drain_bodies();
	assert_int_equal(stack_cnt, 3); /* the kernel's is the same */
	assert_true(stacks[1].id != stacks[2].id);
}

static void test_an_error_ends_the_drain_and_the_rest_stays(void **state)
{
	(void)state;
	add(11, 0x1000, 3, 0);
	add(11, 0x2000, 3, 0);
	answer = -EINTR;
	assert_int_equal(drain_bodies(), -EINTR);
	answer = 0;
	assert_int_equal(drain_bodies(), 0);
	assert_int_equal(stack_cnt, 1);
	assert_int_equal(task_cnt, 1);
	assert_int_equal(drain_bodies(), 0);
	assert_int_equal(stack_cnt, 1);
}

static void test_without_memory_samples_are_lost_and_the_sums_hold(void **state)
{
	long n;

	for (n = 1;; n++) {
		struct sampler_totals totals;
		uint32_t tid;
		bool hit;

		unmake(state);
		make(state);
		fail_malloc_at(n);
		for (tid = 1; tid <= 50; tid++)
			add(tid, 0x1000 * tid, 10, 3);
		hit = fail_malloc_hit();
		totals = end_epoch(0);
		assert_int_equal(totals.counted + totals.lost_full, 50);
		assert_int_equal(drain_bodies(), 0);
		ring_counts_drain(&counts, 0, on_count, NULL);
		assert_int_equal(key_cnt, totals.counted);
		if (!hit)
			break;
	}
	assert_true(n > 5);
}

#define FACT(f) cmocka_unit_test_setup_teardown(f, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FACT(test_equal_samples_are_one_key_and_one_body),
		FACT(test_bodies_say_what_a_keys_ids_stand_for),
		FACT(test_a_walk_that_reached_its_limit_is_truncated),
		FACT(test_more_frames_than_fit_are_cut),
		FACT(test_an_epoch_brings_its_own_bodies),
		FACT(test_what_finds_no_room_is_counted_as_lost),
		FACT(test_a_body_that_found_no_room_comes_with_its_next_sample),
		FACT(test_changed_mappings_make_another_stack),
		FACT(test_an_error_ends_the_drain_and_the_rest_stays),
		FACT(test_without_memory_samples_are_lost_and_the_sums_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
