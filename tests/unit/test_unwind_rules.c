/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared rules: equal ones once, and no index that somebody may remember names another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/collect/unwind_array.h"
#include "profiler/collect/unwind_rules.h"
#include "tests/unit/fail_malloc.h"
#include "tests/unit/unwind_fixture.h"

#define ROOM (UNWIND_RULES_MAX - UNWIND_RULE_FIRST_FREE)

struct fixture {
	int fd;
	struct unwind_array slots;
	struct unwind_rules rules;
	uint32_t generation;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	*state = fixture;
	fixture->fd = memfd_create("rules", 0);
	assert_int_equal(ftruncate(fixture->fd, UNWIND_RULES_MAX * sizeof(struct unwind_rule)), 0);
	assert_int_equal(unwind_array_open(&fixture->slots, fixture->fd, sizeof(struct unwind_rule),
					   UNWIND_RULES_MAX),
			 0);
	assert_int_equal(unwind_rules_init(&fixture->rules, &fixture->slots, &fixture->generation),
			 0);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	unwind_rules_free(&fixture->rules);
	unwind_array_close(&fixture->slots);
	close(fixture->fd);
	free(fixture);
	return 0;
}

#define WITH_RULES(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* What the other side of the mapping reads. */
static struct unwind_rule seen(const struct fixture *fixture, uint16_t index)
{
	struct unwind_rule rule = {};

	assert_int_equal(pread(fixture->fd, &rule, sizeof(rule), (off_t)(index * sizeof(rule))),
			 sizeof(rule));
	return rule;
}

static uint16_t get(struct fixture *fixture, uint32_t number)
{
	struct unwind_rule rule = table_rule(number), there;
	uint16_t index = 0;

	assert_int_equal(unwind_rules_get(&fixture->rules, &rule, &index), 0);
	if (index != UNWIND_RULE_FULL) {
		there = seen(fixture, index);
		assert_memory_equal(&there, &rule, sizeof(rule));
	}
	return index;
}

static void test_rules_that_are_always_there_are_as_promised(void **state)
{
	struct fixture *fixture = *state;
	struct unwind_rule none = { .cfa = UNWIND_NO_INFO }, jit = { .cfa = UNWIND_JIT };
	uint16_t index = 77;

	assert_int_equal(seen(fixture, UNWIND_RULE_NO_INFO).cfa, UNWIND_NO_INFO);
	assert_int_equal(seen(fixture, UNWIND_RULE_JIT).cfa, UNWIND_JIT);
	assert_int_equal(seen(fixture, UNWIND_RULE_FULL).cfa, UNWIND_NO_INFO);
	assert_int_equal(unwind_rules_get(&fixture->rules, &none, &index), 0);
	assert_int_equal(index, UNWIND_RULE_NO_INFO);
	assert_int_equal(unwind_rules_get(&fixture->rules, &jit, &index), 0);
	assert_int_equal(index, UNWIND_RULE_JIT);
	unwind_rules_put(&fixture->rules, UNWIND_RULE_NO_INFO);
	unwind_rules_put(&fixture->rules, UNWIND_RULE_JIT);
	unwind_rules_put(&fixture->rules, UNWIND_RULE_FULL);
	assert_int_equal(fixture->rules.used_cnt, UNWIND_RULE_FIRST_FREE);
}

static void test_equal_rules_share_an_index(void **state)
{
	struct fixture *fixture = *state;
	uint16_t first = get(fixture, 5), second = get(fixture, 6);

	assert_true(first >= UNWIND_RULE_FIRST_FREE);
	assert_true(second != first);
	assert_int_equal(get(fixture, 5), first);
	unwind_rules_put(&fixture->rules, first);
	assert_int_equal(fixture->rules.used_cnt, UNWIND_RULE_FIRST_FREE + 2);
	unwind_rules_put(&fixture->rules, first);
	assert_int_equal(fixture->rules.used_cnt, UNWIND_RULE_FIRST_FREE + 1);
	/* It comes back to its index, before and after a settle. */
	assert_int_equal(get(fixture, 5), first);
	unwind_rules_put(&fixture->rules, first);
	unwind_rules_settle(&fixture->rules);
	unwind_rules_settle(&fixture->rules);
	assert_int_equal(get(fixture, 5), first);
	assert_int_equal(fixture->generation, 0);
}

static void fill(struct fixture *fixture, uint16_t *indexes)
{
	uint32_t i;

	for (i = 0; i < ROOM; i++)
		indexes[i] = get(fixture, i);
	assert_int_equal(get(fixture, ROOM), UNWIND_RULE_FULL);
	assert_int_equal(fixture->generation, 0);
}

static void test_when_it_is_full_a_rule_becomes_full(void **state)
{
	struct fixture *fixture = *state;
	uint16_t *indexes = calloc(ROOM, sizeof(*indexes));

	fill(fixture, indexes);
	assert_int_equal(get(fixture, 100), indexes[100]);
	assert_int_equal(get(fixture, ROOM + 1), UNWIND_RULE_FULL);
	free(indexes);
}

static void test_an_index_names_another_rule_only_after_generation_and_settle(void **state)
{
	struct fixture *fixture = *state;
	uint16_t *indexes = calloc(ROOM, sizeof(*indexes));
	struct unwind_rule old = table_rule(10), there;

	fill(fixture, indexes);
	unwind_rules_put(&fixture->rules, indexes[10]);
	assert_int_equal(get(fixture, ROOM), UNWIND_RULE_FULL); /* rows with it may be read */
	unwind_rules_settle(&fixture->rules);
	assert_int_equal(fixture->generation, 1);
	assert_int_equal(get(fixture, ROOM), UNWIND_RULE_FULL); /* a cache of before may be */
	there = seen(fixture, indexes[10]);
	assert_memory_equal(&there, &old, sizeof(old));
	unwind_rules_settle(&fixture->rules);
	assert_int_equal(get(fixture, ROOM), indexes[10]);
	assert_int_equal(fixture->generation, 1);
	/* The rule of before is another one now. */
	assert_int_equal(get(fixture, 10), UNWIND_RULE_FULL);
	free(indexes);
}

static void test_a_condemned_rule_that_is_wanted_again_keeps_its_index(void **state)
{
	struct fixture *fixture = *state;
	uint16_t *indexes = calloc(ROOM, sizeof(*indexes));

	fill(fixture, indexes);
	unwind_rules_put(&fixture->rules, indexes[10]);
	unwind_rules_put(&fixture->rules, indexes[11]);
	unwind_rules_settle(&fixture->rules);
	assert_int_equal(get(fixture, 10), indexes[10]);
	unwind_rules_settle(&fixture->rules);
	assert_int_equal(get(fixture, ROOM), indexes[11]);
	assert_int_equal(get(fixture, ROOM + 1), UNWIND_RULE_FULL);
	assert_int_equal(get(fixture, 10), indexes[10]);
	free(indexes);
}

/* What walks remember, and which of them still run. */
struct memory {
	struct unwind_rule rules[UNWIND_RULES_MAX];
	uint32_t generations[UNWIND_RULES_MAX]; /* under which it was remembered, + 1; 0 = is not */
	uint32_t refs[2 * ROOM];
	uint16_t indexes[2 * ROOM];
	uint32_t oldest; /* generation that a running walk may have read */
};

static void check_memory(const struct fixture *fixture, const struct memory *memory)
{
	uint32_t i;

	for (i = UNWIND_RULE_FIRST_FREE; i < UNWIND_RULES_MAX; i++) {
		struct unwind_rule *there = unwind_array_at(&fixture->slots, i);

		if (memory->generations[i] > memory->oldest)
			assert_memory_equal(there, &memory->rules[i], sizeof(*there));
	}
}

static void use_rule(struct fixture *fixture, struct memory *memory, uint32_t number, bool drop)
{
	uint16_t index;

	if (memory->refs[number] && drop) {
		unwind_rules_put(&fixture->rules, memory->indexes[number]);
		memory->refs[number]--;
		return;
	}
	index = get(fixture, number);
	if (index == UNWIND_RULE_FULL) {
		assert_int_equal(memory->refs[number], 0);
		return;
	}
	assert_true(!memory->refs[number] || memory->indexes[number] == index);
	memory->indexes[number] = index;
	memory->refs[number]++;
	memory->rules[index] = table_rule(number);
	memory->generations[index] = fixture->generation + 1;
}

static void test_random_use_never_betrays_the_cache(void **state)
{
	struct fixture *fixture = *state;
	struct memory *memory = calloc(1, sizeof(*memory));
	struct random_numbers random = { 3 };
	uint32_t step;

	for (step = 1; step < 400000; step++) {
		use_rule(fixture, memory, random_below(&random, 2 * ROOM),
			 random_below(&random, 2));
		if (step % 2000)
			continue;
		check_memory(fixture, memory);
		memory->oldest = fixture->generation;
		unwind_rules_settle(&fixture->rules);
		check_memory(fixture, memory);
	}
	assert_true(fixture->generation > 20);
	free(memory);
}

static void test_survives_each_failed_allocation(void **state)
{
	struct fixture *fixture = *state;
	bool hit = true;
	long n;

	for (n = 1; hit; n++) {
		struct unwind_rules rules;
		struct unwind_array slots = {};
		uint32_t generation = 0, i, got = 0;

		fail_malloc_at(n);
		if (unwind_array_open(&slots, fixture->fd, sizeof(struct unwind_rule),
				      UNWIND_RULES_MAX) == 0 &&
		    unwind_rules_init(&rules, &slots, &generation) == 0) {
			for (i = 0; i < 100; i++) {
				struct unwind_rule rule = table_rule(i);
				uint16_t index;
				int err = unwind_rules_get(&rules, &rule, &index);

				assert_true(err == 0 || err == -ENOMEM);
				got += !err;
			}
			assert_int_equal(rules.used_cnt, UNWIND_RULE_FIRST_FREE + got);
			assert_true(got >= 99);
			unwind_rules_free(&rules);
		}
		hit = fail_malloc_hit();
		unwind_array_close(&slots);
	}
	assert_true(n > 5);
}

static void test_an_array_is_mapped_where_it_is_touched(void **state)
{
	struct fixture *fixture = *state;
	struct unwind_rule *at, there;

	assert_int_equal(unwind_array_touch(&fixture->slots, UNWIND_RULES_MAX, 1, &at), -EINVAL);
	assert_int_equal(unwind_array_touch(&fixture->slots, 1, UNWIND_RULES_MAX, &at), -EINVAL);
	assert_int_equal(unwind_array_touch(&fixture->slots, UINT32_MAX, UINT32_MAX, &at), -EINVAL);
	/* Over the end of a chunk, and at the end of all. */
	assert_int_equal(unwind_array_touch(&fixture->slots, 65536 / 16 - 1, 2, &at), 0);
	at[0] = table_rule(70);
	at[1] = table_rule(71);
	there = seen(fixture, 65536 / 16);
	assert_memory_equal(&there, &at[1], sizeof(there));
	assert_int_equal(unwind_array_touch(&fixture->slots, UNWIND_RULES_MAX - 1, 1, &at), 0);
	at[0] = table_rule(72);
	there = seen(fixture, UNWIND_RULES_MAX - 1);
	assert_memory_equal(&there, &at[0], sizeof(there));
	assert_true(fixture->slots.is_mapped[0]);
	assert_true(fixture->slots.is_mapped[1]);
	assert_false(fixture->slots.is_mapped[2]);
	assert_true(fixture->slots.is_mapped[UNWIND_RULES_MAX * 16 / 65536 - 1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RULES(test_rules_that_are_always_there_are_as_promised),
		WITH_RULES(test_equal_rules_share_an_index),
		WITH_RULES(test_when_it_is_full_a_rule_becomes_full),
		WITH_RULES(test_an_index_names_another_rule_only_after_generation_and_settle),
		WITH_RULES(test_a_condemned_rule_that_is_wanted_again_keeps_its_index),
		WITH_RULES(test_random_use_never_betrays_the_cache),
		WITH_RULES(test_survives_each_failed_allocation),
		WITH_RULES(test_an_array_is_mapped_where_it_is_touched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
