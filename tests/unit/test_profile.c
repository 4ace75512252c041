/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "proto/intern.h"
#include "proto/profile_read.h"
#include "tests/unit/fail_malloc.h"
#include "tests/unit/sample_profile.h"
#include "tests/unit/same_profile.h"

#define ONE ((const int64_t[]){ 1, 10 })

static void test_equal_things_get_one_id(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_cpu_profile();
	struct profile_mapping mapping = { 0x1000, 0x2000, 0, "/bin/a", "abcd" };
	struct profile_function function = { "f", NULL, "f.c", 3 };
	struct profile_line lines[] = { { 1, 5 }, { 2, 6 } };

	(void)state;
	assert_int_equal(profile_add_mapping(profile, &mapping), 1);
	mapping.offset = 0x1000;
	assert_int_equal(profile_add_mapping(profile, &mapping), 2);
	mapping.offset = 0;
	assert_int_equal(profile_add_mapping(profile, &mapping), 1);
	assert_int_equal(profile_add_function(profile, &function), 1);
	function.start_line = 4;
	assert_int_equal(profile_add_function(profile, &function), 2);
	function.system_name = "f";
	assert_int_equal(profile_add_function(profile, &function), 2);
	assert_int_equal(profile_add_location(profile, 1, 0x1234, lines, 2), 1);
	assert_int_equal(profile_add_location(profile, 1, 0x1234, lines, 1), 2);
	assert_int_equal(profile_add_location(profile, 2, 0x1234, lines, 2), 3);
	assert_int_equal(profile_add_location(profile, 0, 0x1234, lines, 2), 4);
	assert_int_equal(profile_add_location(profile, 1, 0x1235, lines, 2), 5);
	assert_int_equal(profile_add_location(profile, 1, 0x1234, lines, 2), 1);
	assert_int_equal(profile_mapping_cnt(profile), 2);
	assert_int_equal(profile_function_cnt(profile), 2);
	assert_int_equal(profile_location_cnt(profile), 5);
}

static void test_equal_samples_are_summed(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_cpu_profile();
	int64_t a = add_frame(profile, 0, 1, "a"), b = add_frame(profile, 0, 2, "b");
	const int64_t ab[] = { a, b }, ba[] = { b, a };
	const struct profile_label label = { .key = "process", .str = "x" };
	struct profile_sample_view sample;

	(void)state;
	assert_int_equal(profile_add_sample(profile, ab, 2, ONE, NULL, 0), 1);
	assert_int_equal(profile_add_sample(profile, ba, 2, ONE, NULL, 0), 2);
	assert_int_equal(profile_add_sample(profile, ab, 1, ONE, NULL, 0), 3);
	assert_int_equal(profile_add_sample(profile, ab, 2, ONE, &label, 1), 4);
	assert_int_equal(profile_add_sample(profile, NULL, 0, ONE, NULL, 0), 5);
	assert_int_equal(profile_add_sample(profile, ab, 2, (int64_t[]){ 4, -3 }, NULL, 0), 1);
	assert_int_equal(profile_sample_cnt(profile), 5);
	profile_sample(profile, 1, &sample);
	assert_int_equal(sample.values[0], 5);
	assert_int_equal(sample.values[1], 7);
	assert_int_equal(sample.location_cnt, 2);
	assert_int_equal(sample.locations[0], a);
	assert_int_equal(sample.label_cnt, 0);
	profile_sample(profile, 4, &sample);
	assert_int_equal(sample.values[0], 1);
	assert_int_equal(sample.label_cnt, 1);
}

static void test_sums_saturate(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_cpu_profile();
	struct profile_sample_view sample;

	(void)state;
	must(profile_add_sample(profile, NULL, 0, (int64_t[]){ INT64_MAX - 1, INT64_MIN }, NULL,
				0));
	must(profile_add_sample(profile, NULL, 0, (int64_t[]){ 5, -1 }, NULL, 0));
	profile_sample(profile, 1, &sample);
	assert_true(sample.values[0] == INT64_MAX);
	assert_true(sample.values[1] == INT64_MIN);
}

static void test_ids_that_do_not_exist_are_refused(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_cpu_profile();
	const int64_t bad_ids[] = { 0, -1, 2, INT64_MAX, INT64_MIN, (1ll << 32) + 1 };
	struct profile_line line = { .function_id = add_function(profile, "f", NULL) };
	size_t i;

	(void)state;
	must(profile_add_mapping(profile, &(struct profile_mapping){ .filename = "m" }));
	must(profile_add_location(profile, 1, 0, &line, 1));
	for (i = 0; i < ARRAY_SIZE(bad_ids); i++) {
		struct profile_line bad_line = { .function_id = bad_ids[i] };
		const int64_t stack[] = { 1, bad_ids[i] };

		assert_int_equal(profile_add_location(profile, 0, 1, &bad_line, 1), -EINVAL);
		assert_int_equal(profile_add_sample(profile, stack, 2, ONE, NULL, 0), -EINVAL);
		if (bad_ids[i])
			assert_int_equal(profile_add_location(profile, bad_ids[i], 1, &line, 1),
					 -EINVAL);
	}
	assert_int_equal(profile_location_cnt(profile), 1);
	assert_int_equal(profile_sample_cnt(profile), 0);
}

static void test_location_without_lines_is_refused(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_cpu_profile();

	(void)state;
	assert_int_equal(profile_add_location(profile, 0, 1, NULL, 0), -EINVAL);
}

static void test_stack_length_has_a_limit(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_cpu_profile();
	static int64_t stack[PROFILE_FRAMES_MAX + 1];
	int64_t frame = add_frame(profile, 0, 1, "f");
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(stack); i++)
		stack[i] = frame;
	assert_int_equal(profile_add_sample(profile, stack, PROFILE_FRAMES_MAX + 1, ONE, NULL, 0),
			 -EINVAL);
	assert_int_equal(profile_add_sample(profile, stack, PROFILE_FRAMES_MAX, ONE, NULL, 0), 1);
}

static void test_sample_types_come_before_samples(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = NULL;
	int i;

	(void)state;
	assert_int_equal(profile_new(&profile), 0);
	assert_int_equal(profile_add_sample(profile, NULL, 0, ONE, NULL, 0), -EINVAL);
	assert_int_equal(profile_add_sample_type(profile, "", "count"), -EINVAL);
	for (i = 0; i < PROFILE_VALUES_MAX; i++) {
		const char name[] = { (char)('a' + i), '\0' };

		assert_int_equal(profile_add_sample_type(profile, name, "count"), 0);
		assert_int_equal(profile_sample_type_index(profile, name), i);
	}
	assert_int_equal(profile_add_sample_type(profile, "ninth", "count"), -EINVAL);
	assert_int_equal(profile_sample_type_index(profile, "ninth"), -ENOENT);
	profile_free(TAKE_PTR(profile));
	profile = new_cpu_profile();
	must(profile_add_sample(profile, NULL, 0, ONE, NULL, 0));
	assert_int_equal(profile_add_sample_type(profile, "late", "count"), -EINVAL);
	assert_int_equal(profile_value_cnt(profile), 2);
}

static int64_t add_labelled(struct profile *profile, const struct profile_label *labels, size_t cnt)
{
	return profile_add_sample(profile, NULL, 0, ONE, labels, cnt);
}

static void test_order_of_labels_has_no_meaning(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_cpu_profile();
	const struct profile_label a = { .key = "a", .str = "1" }, b = { .key = "b", .num = 2 },
				   c = { .key = "c", .str = "3" };

	(void)state;
	assert_int_equal(add_labelled(profile, (struct profile_label[]){ c, a, b }, 3), 1);
	assert_int_equal(add_labelled(profile, (struct profile_label[]){ a, b, c }, 3), 1);
	assert_int_equal(add_labelled(profile, (struct profile_label[]){ b, c, a }, 3), 1);
	assert_int_equal(add_labelled(profile, (struct profile_label[]){ b, c }, 2), 2);
}

static void test_labels_that_differ_make_other_samples(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_cpu_profile();
	const struct profile_label labels[] = {
		{ .key = "k", .str = "v" },
		{ .key = "k", .str = "w" },
		{ .key = "l", .str = "v" },
		{ .key = "k", .str = "" },
		{ .key = "k", .num = 0 },
		{ .key = "k", .num = 1 },
		{ .key = "k", .num = 1, .unit = "bytes" },
	};
	struct profile_sample_view sample;
	struct profile_label label;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(labels); i++)
		assert_int_equal(add_labelled(profile, &labels[i], 1), i + 1);
	for (i = 0; i < ARRAY_SIZE(labels); i++) {
		profile_sample(profile, i + 1, &sample);
		profile_sample_label(profile, &sample, 0, &label);
		assert_string_equal(label.key, labels[i].key);
		assert_same_text(label.str, labels[i].str);
		assert_same_text(label.unit, labels[i].unit);
		assert_int_equal(label.num, labels[i].num);
	}
}

static void test_labels_need_keys_of_their_own(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_cpu_profile();
	struct profile_label labels[PROFILE_LABELS_MAX + 1] = {
		{ .key = "a", .str = "1" },
		{ .key = "b", .str = "1" },
		{ .key = "a", .num = 2 },
	};
	char keys[ARRAY_SIZE(labels)][16];
	size_t i;

	(void)state;
	assert_int_equal(add_labelled(profile, labels, 3), -EINVAL);
	labels[2].key = "";
	assert_int_equal(add_labelled(profile, labels, 3), -EINVAL);
	labels[2].key = NULL;
	assert_int_equal(add_labelled(profile, labels, 3), -EINVAL);
	assert_int_equal(profile_sample_cnt(profile), 0);
	for (i = 0; i < ARRAY_SIZE(labels); i++) {
		snprintf(keys[i], sizeof(keys[i]), "k%zu", i);
		labels[i].key = keys[i];
	}
	assert_int_equal(add_labelled(profile, labels, PROFILE_LABELS_MAX + 1), -EINVAL);
	assert_int_equal(add_labelled(profile, labels, PROFILE_LABELS_MAX), 1);
}

static void test_text_becomes_valid_utf8(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_cpu_profile();
	const struct profile_label label = { .key = "process", .str = "\xff\xfe" };
	struct profile_sample_view sample;
	struct profile_function function;
	struct profile_mapping mapping;
	struct profile_label got;

	(void)state;
	profile_function(profile, (size_t)add_function(profile, "f\xc3", "/\x80.c"), &function);
	assert_string_equal(function.name, "f\xef\xbf\xbd");
	assert_string_equal(function.filename, "/\xef\xbf\xbd.c");
	must(profile_add_mapping(profile, &(struct profile_mapping){ .filename = "\xed\xa0\x80" }));
	profile_mapping(profile, 1, &mapping);
	assert_string_equal(mapping.filename, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	must(add_labelled(profile, &label, 1));
	profile_sample(profile, 1, &sample);
	profile_sample_label(profile, &sample, 0, &got);
	assert_string_equal(got.str, "\xef\xbf\xbd\xef\xbf\xbd");
	/* What was repaired is the same text as what was so from the start. */
	assert_int_equal(add_function(profile, "f\xef\xbf\xbd", "/\x81.c"), 1);
}

static void test_missing_text_reads_as_missing(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_cpu_profile();
	struct profile_function function;
	struct profile_mapping mapping;

	(void)state;
	must(profile_add_function(profile, &(struct profile_function){ .name = "f" }));
	profile_function(profile, 1, &function);
	assert_string_equal(function.system_name, "f");
	assert_null(function.filename);
	must(profile_add_mapping(profile, &(struct profile_mapping){ .start = 1 }));
	profile_mapping(profile, 1, &mapping);
	assert_string_equal(mapping.filename, "");
	assert_null(mapping.build_id);
	must(profile_add_function(profile, &(struct profile_function){}));
	profile_function(profile, 2, &function);
	assert_string_equal(function.name, "");
}

static void test_header_reads_back(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_sample_profile();
	const char *type, *unit;
	int64_t time_ns, duration_ns;

	(void)state;
	assert_int_equal(profile_period(profile, &type, &unit), 10101010);
	assert_string_equal(type, "cpu");
	assert_string_equal(unit, "nanoseconds");
	profile_time(profile, &time_ns, &duration_ns);
	assert_int_equal(time_ns, 1763683200000000000);
	assert_int_equal(duration_ns, 10000000000);
	assert_int_equal(profile_comment_cnt(profile), 2);
	assert_string_equal(profile_comment(profile, 0), "3 samples lost: ring full");
	profile_sample_type(profile, 1, &type, &unit);
	assert_string_equal(type, "cpu");
}

/* Like a host: many stacks that share their outer frames, in many threads. */
static void add_many(struct profile *profile, const int64_t *frames, size_t frame_cnt,
		     size_t sample_cnt)
{
	int64_t stack[60];
	size_t i, depth;

	for (i = 0; i < sample_cnt; i++) {
		const struct profile_label labels[] = {
			{ .key = "process", .str = "p" },
			{ .key = "tid", .num = (int64_t)(i % 50), .unit = "tid" },
		};

		for (depth = 0; depth < ARRAY_SIZE(stack); depth++)
			stack[depth] = frames[(i / (depth + 1) + depth) % frame_cnt];
		must(profile_add_sample(profile, stack, ARRAY_SIZE(stack), ONE, labels, 2));
	}
}

static void test_profile_of_a_busy_host_is_compact(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_cpu_profile();
	int64_t frames[1000];
	size_t i, bytes;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(frames); i++) {
		char name[32];

		snprintf(name, sizeof(name), "function_%zu", i);
		frames[i] = add_frame(profile, 0, i, name);
	}
	add_many(profile, frames, ARRAY_SIZE(frames), 20000);
	assert_int_equal(profile_sample_cnt(profile), 20000);
	bytes = profile_bytes(profile);
	/* 4 bytes a frame; half as much again for growing, 100 for values, hashes and ids. */
	assert_in_range(bytes, 20000 * 60 * 4, 20000 * (60 * 6 + 100) + 500000);
	add_many(profile, frames, ARRAY_SIZE(frames), 20000);
	assert_int_equal(profile_sample_cnt(profile), 20000);
	assert_int_equal(profile_bytes(profile), bytes);
}

/* Among 300,000 lists some ten pairs share the 32 bits of hash that the index keeps. */
static void test_lists_that_share_a_hash_stay_apart(void **state)
{
	struct intern table;
	uint32_t i;

	(void)state;
	intern_init(&table, INTERN_LISTS, sizeof(uint32_t));
	for (i = 0; i < 300000; i++) {
		const uint32_t list[] = { i, i * 7 };

		assert_int_equal(intern_add(&table, list, 1 + i % 2), i + 1);
	}
	for (i = 0; i < 300000; i++) {
		size_t cnt;
		const uint32_t *list = intern_get(&table, i + 1, &cnt);

		assert_int_equal(cnt, 1 + i % 2);
		assert_int_equal(list[0], i);
	}
	intern_free(&table);
}

/* Every step once more if memory was out: @profile must end as if nothing had failed. */
static int add_step(struct profile *profile, int step)
{
	const struct profile_label label = { .key = "k\xff", .str = "v" };
	struct profile_line lines[] = { { 1, 1 }, { 1, 2 } };

	switch (step) {
	case 0:
		return profile_add_sample_type(profile, "samples", "count");
	case 1:
		return profile_set_period(profile, "cpu", "nanoseconds", 7);
	case 2:
		return profile_add_comment(profile, "comment");
	case 3:
		return (int)profile_add_mapping(profile,
						&(struct profile_mapping){ .filename = "m",
									   .build_id = "00" });
	case 4:
		return (int)profile_add_function(profile,
						 &(struct profile_function){ "f", "_f", "f.c", 1 });
	case 5:
		return (int)profile_add_location(profile, 1, 0x10, lines, 2);
	case 6:
		return (int)profile_add_sample(profile, (int64_t[]){ 1, 1 }, 2, ONE, &label, 1);
	default:
		return (int)profile_add_sample(profile, (int64_t[]){ 1 }, 1, ONE, NULL, 0);
	}
}

static void test_failed_allocation_leaves_profile_as_it_was(void **state)
{
	_cleanup_(profile_freep) struct profile *expected = NULL;
	int step, result;
	long n;

	(void)state;
	assert_int_equal(profile_new(&expected), 0);
	for (step = 0; step < 8; step++)
		assert_true(add_step(expected, step) >= 0);
	for (n = 1;; n++) {
		struct profile *profile = NULL;
		bool failed = false;

		fail_malloc_at(n);
		result = profile_new(&profile);
		if (result < 0) {
			assert_int_equal(result, -ENOMEM);
			assert_null(profile);
			assert_true(fail_malloc_hit());
			continue;
		}
		for (step = 0; step < 8; step++) {
			result = add_step(profile, step);
			if (result >= 0)
				continue;
			assert_int_equal(result, -ENOMEM);
			assert_false(failed);
			failed = true;
			assert_true(add_step(profile, step) >= 0);
		}
		assert_int_equal(failed, fail_malloc_hit());
		assert_same_profile(profile, expected);
		profile_free(profile);
		if (!failed)
			break;
	}
	assert_true(n > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal_things_get_one_id),
		cmocka_unit_test(test_equal_samples_are_summed),
		cmocka_unit_test(test_sums_saturate),
		cmocka_unit_test(test_ids_that_do_not_exist_are_refused),
		cmocka_unit_test(test_location_without_lines_is_refused),
		cmocka_unit_test(test_stack_length_has_a_limit),
		cmocka_unit_test(test_sample_types_come_before_samples),
		cmocka_unit_test(test_order_of_labels_has_no_meaning),
		cmocka_unit_test(test_labels_that_differ_make_other_samples),
		cmocka_unit_test(test_labels_need_keys_of_their_own),
		cmocka_unit_test(test_text_becomes_valid_utf8),
		cmocka_unit_test(test_missing_text_reads_as_missing),
		cmocka_unit_test(test_header_reads_back),
		cmocka_unit_test(test_profile_of_a_busy_host_is_compact),
		cmocka_unit_test(test_lists_that_share_a_hash_stay_apart),
		cmocka_unit_test(test_failed_allocation_leaves_profile_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
