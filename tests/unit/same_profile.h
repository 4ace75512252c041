/* SPDX-License-Identifier: BSD-2-Clause */
/* What it means that two profiles are equal.  Include it behind cmocka.h. */
#ifndef EBPFPROF_TESTS_SAME_PROFILE_H
#define EBPFPROF_TESTS_SAME_PROFILE_H

#include "proto/profile_read.h"

static inline void assert_same_text(const char *a, const char *b)
{
	assert_int_equal(!a, !b);
	if (a)
		assert_string_equal(a, b);
}

static inline void assert_same_sample(const struct profile *a, const struct profile *b, size_t id)
{
	struct profile_sample_view from_a, from_b;
	struct profile_label label_a, label_b;
	size_t i;

	profile_sample(a, id, &from_a);
	profile_sample(b, id, &from_b);
	assert_int_equal(from_a.location_cnt, from_b.location_cnt);
	for (i = 0; i < from_a.location_cnt; i++)
		assert_int_equal(from_a.locations[i], from_b.locations[i]);
	for (i = 0; i < profile_value_cnt(a); i++)
		assert_int_equal(from_a.values[i], from_b.values[i]);
	assert_int_equal(from_a.label_cnt, from_b.label_cnt);
	for (i = 0; i < from_a.label_cnt; i++) {
		profile_sample_label(a, &from_a, i, &label_a);
		profile_sample_label(b, &from_b, i, &label_b);
		assert_string_equal(label_a.key, label_b.key);
		assert_same_text(label_a.str, label_b.str);
		assert_int_equal(label_a.num, label_b.num);
		assert_same_text(label_a.unit, label_b.unit);
	}
}

static inline void assert_same_location(const struct profile *a, const struct profile *b, size_t id)
{
	struct profile_location_view from_a, from_b;

	profile_location(a, id, &from_a);
	profile_location(b, id, &from_b);
	assert_int_equal(from_a.mapping_id, from_b.mapping_id);
	assert_int_equal(from_a.address, from_b.address);
	assert_int_equal(from_a.line_cnt, from_b.line_cnt);
	assert_memory_equal(from_a.lines, from_b.lines, from_a.line_cnt * sizeof(*from_a.lines));
}

static inline void assert_same_function(const struct profile *a, const struct profile *b, size_t id)
{
	struct profile_function from_a, from_b;

	profile_function(a, id, &from_a);
	profile_function(b, id, &from_b);
	assert_string_equal(from_a.name, from_b.name);
	assert_string_equal(from_a.system_name, from_b.system_name);
	assert_same_text(from_a.filename, from_b.filename);
	assert_int_equal(from_a.start_line, from_b.start_line);
}

static inline void assert_same_mapping(const struct profile *a, const struct profile *b, size_t id)
{
	struct profile_mapping from_a, from_b;

	profile_mapping(a, id, &from_a);
	profile_mapping(b, id, &from_b);
	assert_int_equal(from_a.start, from_b.start);
	assert_int_equal(from_a.limit, from_b.limit);
	assert_int_equal(from_a.offset, from_b.offset);
	assert_string_equal(from_a.filename, from_b.filename);
	assert_same_text(from_a.build_id, from_b.build_id);
}

static inline void assert_same_header(const struct profile *a, const struct profile *b)
{
	const char *type_a, *unit_a, *type_b, *unit_b;
	int64_t time_a, duration_a, time_b, duration_b;
	size_t i;

	assert_int_equal(profile_value_cnt(a), profile_value_cnt(b));
	for (i = 0; i < profile_value_cnt(a); i++) {
		profile_sample_type(a, i, &type_a, &unit_a);
		profile_sample_type(b, i, &type_b, &unit_b);
		assert_string_equal(type_a, type_b);
		assert_string_equal(unit_a, unit_b);
	}
	assert_int_equal(profile_period(a, &type_a, &unit_a), profile_period(b, &type_b, &unit_b));
	assert_string_equal(type_a, type_b);
	assert_string_equal(unit_a, unit_b);
	profile_time(a, &time_a, &duration_a);
	profile_time(b, &time_b, &duration_b);
	assert_int_equal(time_a, time_b);
	assert_int_equal(duration_a, duration_b);
	assert_int_equal(profile_comment_cnt(a), profile_comment_cnt(b));
	for (i = 0; i < profile_comment_cnt(a); i++)
		assert_string_equal(profile_comment(a, i), profile_comment(b, i));
}

static inline void assert_same_profile(const struct profile *a, const struct profile *b)
{
	size_t id;

	assert_same_header(a, b);
	assert_int_equal(profile_mapping_cnt(a), profile_mapping_cnt(b));
	for (id = 1; id <= profile_mapping_cnt(a); id++)
		assert_same_mapping(a, b, id);
	assert_int_equal(profile_function_cnt(a), profile_function_cnt(b));
	for (id = 1; id <= profile_function_cnt(a); id++)
		assert_same_function(a, b, id);
	assert_int_equal(profile_location_cnt(a), profile_location_cnt(b));
	for (id = 1; id <= profile_location_cnt(a); id++)
		assert_same_location(a, b, id);
	assert_int_equal(profile_sample_cnt(a), profile_sample_cnt(b));
	for (id = 1; id <= profile_sample_cnt(a); id++)
		assert_same_sample(a, b, id);
}

#endif
