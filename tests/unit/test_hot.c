/* SPDX-License-Identifier: BSD-2-Clause */
/* The hottest functions of a profile and its notes about unfinished stacks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/pipeline/hot.h"
#include "tests/unit/fail_malloc.h"
#include "tests/unit/sample_profile.h"

/* A sample of @count in the function @leaf, called by @outermost (NULL: by none). */
static void add_stack(struct profile *profile, const char *leaf, const char *outermost,
		      int64_t count)
{
	int64_t frames[2] = { add_frame(profile, 0, 0, leaf) }, values[2] = { count, count * 10 };
	size_t cnt = 1;

	if (outermost)
		frames[cnt++] = add_frame(profile, 0, 0, outermost);
	must(profile_add_sample(profile, frames, cnt, values, NULL, 0));
}

static void check_entry(const struct hot_entry *entry, const char *name, uint64_t samples)
{
	assert_string_equal(entry->name, name);
	assert_int_equal(entry->samples, samples);
}

static void test_empty_profile_has_nothing_hot(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_cpu_profile();
	struct hot_list hot;

	(void)state;
	memset(&hot, 0xff, sizeof(hot));
	assert_int_equal(hot_find(profile, &hot), 0);
	assert_int_equal(hot.samples, 0);
	assert_int_equal(hot.function_cnt, 0);
	assert_int_equal(hot.note_cnt, 0);
}

static void test_functions_rank_by_samples_of_their_own(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_cpu_profile();
	struct hot_list hot;

	(void)state;
	add_stack(profile, "small", "main", 5);
	add_stack(profile, "large", "main", 60);
	add_stack(profile, "middle", "main", 20);
	add_stack(profile, "large", "thread", 10);
	add_stack(profile, "main", NULL, 1);
	assert_int_equal(hot_find(profile, &hot), 0);
	assert_int_equal(hot.samples, 96);
	assert_int_equal(hot.function_cnt, 4);
	check_entry(&hot.functions[0], "large", 70);
	check_entry(&hot.functions[1], "middle", 20);
	check_entry(&hot.functions[2], "small", 5);
	check_entry(&hot.functions[3], "main", 1);
	assert_int_equal(hot.note_cnt, 0);
}

static void test_only_the_first_places_are_kept(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_cpu_profile();
	struct hot_list hot;
	char name[16];
	int i;

	(void)state;
	/* In an order that puts entries at the front, at the end and in between. */
	for (i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "f%d", i * 17 % 40);
		add_stack(profile, name, NULL, 100 + i * 17 % 40);
	}
	assert_int_equal(hot_find(profile, &hot), 0);
	assert_int_equal(hot.function_cnt, HOT_FUNCTIONS);
	for (i = 0; i < HOT_FUNCTIONS; i++) {
		snprintf(name, sizeof(name), "f%d", 39 - i);
		check_entry(&hot.functions[i], name, (uint64_t)(139 - i));
	}
}

static void test_notes_are_outermost_frames_in_brackets(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_cpu_profile();
	struct hot_list hot;

	(void)state;
	add_stack(profile, "f", "[truncated: depth]", 3);
	add_stack(profile, "g", "[truncated: depth]", 4);
	add_stack(profile, "g", "[32-bit process]", 9);
	add_stack(profile, "[vdso] clock", "main", 2); /* a function */
	add_stack(profile, "f", "[no end", 1);
	add_stack(profile, "[user]", NULL, 5); /* leaf and outermost at once */
	add_stack(profile, "[inner]", "main", 1);
	assert_int_equal(hot_find(profile, &hot), 0);
	assert_int_equal(hot.note_cnt, 3);
	check_entry(&hot.notes[0], "[32-bit process]", 9);
	check_entry(&hot.notes[1], "[truncated: depth]", 7);
	check_entry(&hot.notes[2], "[user]", 5);
	check_entry(&hot.functions[0], "g", 13);
	check_entry(&hot.functions[1], "[user]", 5);
}

static void test_innermost_inlined_function_counts(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_cpu_profile();
	struct profile_line lines[2] = { { .function_id = add_function(profile, "inlined", NULL) },
					 { .function_id =
						   add_function(profile, "physical", NULL) } };
	int64_t location = must(profile_add_location(profile, 0, 0, lines, 2)),
		values[2] = { 8, 80 };
	struct hot_list hot;

	(void)state;
	must(profile_add_sample(profile, &location, 1, values, NULL, 0));
	assert_int_equal(hot_find(profile, &hot), 0);
	assert_int_equal(hot.function_cnt, 1);
	check_entry(&hot.functions[0], "inlined", 8);
}

static void test_sample_without_frames_counts_in_the_total(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_cpu_profile();
	int64_t values[2] = { 7, 70 };
	struct hot_list hot;

	(void)state;
	if (profile_add_sample(profile, NULL, 0, values, NULL, 0) < 0)
		skip(); /* the profile takes none */
	assert_int_equal(hot_find(profile, &hot), 0);
	assert_int_equal(hot.samples, 7);
	assert_int_equal(hot.function_cnt, 0);
}

static void test_long_names_are_cut_between_characters(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_cpu_profile();
	char fits[HOT_NAME_BYTES], longer[HOT_NAME_BYTES + 1],
		umlauts[2 * HOT_NAME_BYTES + 2] = "x";
	struct hot_list hot;
	size_t i;

	(void)state;
	memset(fits, 'a', sizeof(fits) - 1);
	fits[sizeof(fits) - 1] = '\0';
	memset(longer, 'b', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	for (i = 0; i < HOT_NAME_BYTES; i++)
		strcat(umlauts, "\xc3\xb6");
	add_stack(profile, fits, NULL, 3);
	add_stack(profile, longer, NULL, 2);
	add_stack(profile, umlauts, NULL, 1);
	assert_int_equal(hot_find(profile, &hot), 0);
	check_entry(&hot.functions[0], fits, 3);
	assert_int_equal(strlen(hot.functions[1].name), HOT_NAME_BYTES - 1);
	assert_string_equal(hot.functions[1].name + HOT_NAME_BYTES - 5, "b...");
	/* 96 bytes would end behind the first half of a character. */
	assert_int_equal(strlen(hot.functions[2].name), 95 + 3);
	assert_string_equal(hot.functions[2].name + 93, "\xc3\xb6...");
}

static void test_find_survives_failed_allocations(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_cpu_profile();
	struct hot_list hot;
	long n;

	(void)state;
	add_stack(profile, "f", "[truncated: depth]", 3);
	for (n = 1;; n++) {
		int error;

		fail_malloc_at(n);
		error = hot_find(profile, &hot);
		if (!fail_malloc_hit()) {
			assert_int_equal(error, 0);
			break;
		}
		assert_int_equal(error, -ENOMEM);
		assert_int_equal(hot.function_cnt, 0);
	}
	assert_true(n > 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_profile_has_nothing_hot),
		cmocka_unit_test(test_functions_rank_by_samples_of_their_own),
		cmocka_unit_test(test_only_the_first_places_are_kept),
		cmocka_unit_test(test_notes_are_outermost_frames_in_brackets),
		cmocka_unit_test(test_innermost_inlined_function_counts),
		cmocka_unit_test(test_sample_without_frames_counts_in_the_total),
		cmocka_unit_test(test_long_names_are_cut_between_characters),
		cmocka_unit_test(test_find_survives_failed_allocations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
