/* SPDX-License-Identifier: BSD-2-Clause */
/* Locations: what they hold, what they share, when they are forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/demangle.h"
#include "symbolizer/location_store.h"
#include "tests/unit/fail_malloc.h"

static const struct location_mapping mapping = { 0x1000, 0x2000, 0, "/bin/prog", "abcd" };

static void free_store(struct location_store **store)
{
	location_store_free(*store);
}

static struct location_store *new_store(bool demangle, unsigned int flags)
{
	struct location_store *store;

	assert_int_equal(location_store_new(demangle, flags, &store), 0);
	return store;
}

static struct location_key key_of(uint64_t address)
{
	return (struct location_key){ .owner = 7, .address = address };
}

static const struct location *add(struct location_store *store, uint64_t address,
				  const struct location_text *texts, size_t cnt)
{
	struct location_key key = key_of(address);
	struct location_draft draft = {
		.address = address,
		.named = true,
		.texts = texts,
		.text_cnt = cnt,
		.mapping = &mapping,
		.mapping_owner = 7,
	};

	assert_null(location_store_find(store, &key));
	return location_store_add(store, &key, &draft);
}

static void test_inlined_functions_are_lines_innermost_first(void **state)
{
	_cleanup_(free_store) struct location_store *store = new_store(true, 0);
	const struct location_text texts[] = {
		{ "_ZN2ns5innerEi", true, "/src/a.h", 12, 10, NULL },
		{ "middle", true, "/src/a.h", 40, 0, NULL },
		{ "main.isra.0", true, "/src/main.c", 99, 90, NULL },
	};
	const struct location *location = add(store, 0x1234, texts, 3);

	(void)state;
	assert_int_equal(location->line_cnt, 3);
	assert_int_equal(location->owner, 7);
	assert_string_equal(location->lines[0].function, "ns::inner(int)");
	assert_string_equal(location->lines[0].system_name, "_ZN2ns5innerEi");
	assert_string_equal(location->lines[0].filename, "/src/a.h");
	assert_int_equal(location->lines[0].line, 12);
	assert_int_equal(location->lines[0].start_line, 10);
	assert_string_equal(location->lines[2].function, "main");
	assert_string_equal(location->lines[2].system_name, "main.isra.0");
	/* One text for all that have it. */
	assert_ptr_equal(location->lines[0].filename, location->lines[1].filename);
	assert_string_equal(location->mapping->filename, "/bin/prog");
	assert_ptr_not_equal(location->mapping, &mapping);
}

static void test_names_stay_as_they_are_on_demand(void **state)
{
	_cleanup_(free_store) struct location_store *store = new_store(false, 0);
	const struct location_text texts[] = {
		{ "_ZN2ns5innerEi", true, "", 0, 0, NULL },
		{ "main.cold", false, NULL, 0, 0, NULL }, /* a function `cold` of Go */
	};
	const struct location *location = add(store, 1, texts, 2);

	(void)state;
	assert_string_equal(location->lines[0].function, "_ZN2ns5innerEi");
	assert_null(location->lines[0].filename);
	assert_string_equal(location->lines[1].function, "main.cold");
	assert_null(location->lines[1].filename);
}

static void test_simple_names_have_no_parameters(void **state)
{
	_cleanup_(free_store) struct location_store *store = new_store(true, DEMANGLE_SIMPLE);
	const struct location_text text = { "_ZN2ns5innerEi", true, NULL, 0, 0, NULL };

	(void)state;
	assert_string_equal(add(store, 1, &text, 1)->lines[0].function, "ns::inner");
}

/* A runtime's raw name is the system name; what people read was taken out of it before. */
static void test_given_names_are_both_kept(void **state)
{
	_cleanup_(free_store) struct location_store *store = new_store(true, 0);
	const struct location_text first = { "JS:*f /a.js:1:2", false, "/a.js", 1, 1, "f" };
	const struct location_text second = { "JS:*f /a.js:1:2", false, "/a.js", 1, 1, "g" };
	const struct location *a = add(store, 1, &first, 1), *b = add(store, 2, &second, 1);

	(void)state;
	assert_string_equal(a->lines[0].function, "f");
	assert_string_equal(a->lines[0].system_name, "JS:*f /a.js:1:2");
	assert_string_equal(b->lines[0].function, "g");
}

static void test_what_no_window_returned_is_freed_with_all_it_holds(void **state)
{
	_cleanup_(free_store) struct location_store *store = new_store(true, 0);
	const struct location_text old = { "_Z3oldv", true, "/old.c", 1, 1, NULL };
	const struct location_text kept = { "kept", true, "/kept.c", 1, 1, NULL };
	struct location_key key = key_of(2);
	size_t bytes;

	(void)state;
	assert_non_null(add(store, 2, &kept, 1));
	bytes = location_store_bytes(store);
	assert_non_null(add(store, 1, &old, 1));
	assert_true(location_store_bytes(store) > bytes);
	location_store_trim(store);
	assert_int_equal(location_store_cnt(store), 2);
	assert_non_null(location_store_find(store, &key));
	location_store_trim(store);
	assert_int_equal(location_store_cnt(store), 1);
	assert_int_equal(location_store_bytes(store), bytes);
	assert_non_null(location_store_find(store, &key));
}

static void test_without_memory_nothing_is_added(void **state)
{
	const struct location_text texts[] = {
		{ "_ZN2ns5innerEi", true, "/src/a.h", 12, 10, NULL },
		{ "outer", true, "/src/b.c", 40, 0, NULL },
	};
	bool hit = true;
	long n;

	(void)state;
	for (n = 1; hit; n++) {
		struct location_store *store = new_store(true, 0);
		const struct location *location;

		fail_malloc_at(n);
		location = add(store, 1, texts, 2);
		hit = fail_malloc_hit();
		assert_int_equal(location_store_cnt(store), location ? 1 : 0);
		if (location)
			assert_string_equal(location->lines[1].function, "outer");
		else
			assert_true(hit);
		location_store_free(store);
	}
	assert_true(n > 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inlined_functions_are_lines_innermost_first),
		cmocka_unit_test(test_names_stay_as_they_are_on_demand),
		cmocka_unit_test(test_simple_names_have_no_parameters),
		cmocka_unit_test(test_given_names_are_both_kept),
		cmocka_unit_test(test_what_no_window_returned_is_freed_with_all_it_holds),
		cmocka_unit_test(test_without_memory_nothing_is_added),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
