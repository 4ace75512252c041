/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "symbolizer/symbol_memory.h"

/* What a test's item does when it is dropped. */
struct thing {
	struct symbol_memory_item item;
	struct symbol_memory *memory;
	struct thing *takes_along; /* its own part, which goes with it */
	char name;
	bool dropped;
};

static char order[64]; /* names of what was dropped */

static void drop(struct symbol_memory_item *item)
{
	struct thing *thing = (struct thing *)((char *)item - offsetof(struct thing, item));
	char name[] = { thing->name, '\0' };

	assert_false(thing->dropped);
	thing->dropped = true;
	strcat(order, name);
	if (thing->takes_along)
		symbol_memory_remove(thing->memory, &thing->takes_along->item);
}

static void add(struct symbol_memory *memory, struct thing *thing, char name, size_t bytes)
{
	*thing = (struct thing){
		.item = { .bytes = bytes, .drop = drop },
		.memory = memory,
		.name = name,
	};
	symbol_memory_add(memory, &thing->item);
}

static void fresh(struct symbol_memory *memory, size_t max_bytes)
{
	order[0] = '\0';
	symbol_memory_init(memory, max_bytes);
}

static void test_within_the_budget_nothing_is_dropped(void **state)
{
	struct symbol_memory memory;
	struct thing a, b;

	(void)state;
	fresh(&memory, 100);
	add(&memory, &a, 'a', 60);
	add(&memory, &b, 'b', 40);
	assert_int_equal(memory.bytes, 100);
	assert_string_equal(order, "");
}

static void test_the_least_recently_used_go_first(void **state)
{
	struct symbol_memory memory;
	struct thing a, b, c, d;

	(void)state;
	fresh(&memory, 100);
	add(&memory, &a, 'a', 30);
	add(&memory, &b, 'b', 30);
	add(&memory, &c, 'c', 30);
	symbol_memory_use(&memory, &a.item);
	symbol_memory_use(&memory, &c.item);
	symbol_memory_use(&memory, &c.item);
	add(&memory, &d, 'd', 50);
	assert_string_equal(order, "ba");
	assert_int_equal(memory.bytes, 80);
	assert_false(c.dropped);
}

static void test_what_was_added_last_stays_however_large(void **state)
{
	struct symbol_memory memory;
	struct thing a, b, c;

	(void)state;
	fresh(&memory, 100);
	add(&memory, &a, 'a', 1);
	add(&memory, &b, 'b', 1000);
	assert_string_equal(order, "a");
	assert_int_equal(memory.bytes, 1000);
	add(&memory, &c, 'c', 2000);
	assert_string_equal(order, "ab");
	assert_int_equal(memory.bytes, 2000);
	assert_false(c.dropped);
}

static void test_what_is_removed_is_not_dropped(void **state)
{
	struct symbol_memory memory;
	struct thing a, b, c;

	(void)state;
	fresh(&memory, 100);
	add(&memory, &a, 'a', 50);
	add(&memory, &b, 'b', 50);
	symbol_memory_remove(&memory, &a.item);
	assert_int_equal(memory.bytes, 50);
	add(&memory, &c, 'c', 50);
	assert_string_equal(order, "");
	symbol_memory_remove(&memory, &b.item);
	symbol_memory_remove(&memory, &c.item);
	assert_int_equal(memory.bytes, 0);
	assert_true(TAILQ_EMPTY(&memory.items));
}

/* As a file does with the tables of its units. */
static void test_dropping_may_remove_others(void **state)
{
	struct symbol_memory memory;
	struct thing a, b, c, d;

	(void)state;
	fresh(&memory, 100);
	add(&memory, &a, 'a', 40);
	add(&memory, &b, 'b', 40);
	add(&memory, &c, 'c', 20);
	a.takes_along = &b;
	add(&memory, &d, 'd', 90);
	assert_string_equal(order, "ac");
	assert_false(b.dropped);
	assert_int_equal(memory.bytes, 90);
	assert_ptr_equal(TAILQ_FIRST(&memory.items), &d.item);
	assert_null(TAILQ_NEXT(&d.item, link));
}

static void test_a_budget_of_nothing_keeps_one(void **state)
{
	struct symbol_memory memory;
	struct thing a, b;

	(void)state;
	fresh(&memory, 0);
	add(&memory, &a, 'a', 10);
	assert_string_equal(order, "");
	add(&memory, &b, 'b', 10);
	assert_string_equal(order, "a");
	assert_int_equal(memory.bytes, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_within_the_budget_nothing_is_dropped),
		cmocka_unit_test(test_the_least_recently_used_go_first),
		cmocka_unit_test(test_what_was_added_last_stays_however_large),
		cmocka_unit_test(test_what_is_removed_is_not_dropped),
		cmocka_unit_test(test_dropping_may_remove_others),
		cmocka_unit_test(test_a_budget_of_nothing_keeps_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
