/* SPDX-License-Identifier: BSD-2-Clause */
/* What the reader makes of files that others wrote: odd but good ones, and bad ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profile.pb-c.h"
#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"
#include "proto/pprof.h"
#include "proto/profile_read.h"
#include "tests/unit/sample_profile.h"

/* A small good message, for tests to spoil one thing of. */
struct small {
	Perftools__Profiles__ValueType type, *types[9], period_type;
	Perftools__Profiles__Mapping mapping, *mappings[2];
	Perftools__Profiles__Function function[2], *functions[2];
	Perftools__Profiles__Line line, *lines[1];
	Perftools__Profiles__Location location[2], *locations[2];
	Perftools__Profiles__Label label[40], *labels[40];
	Perftools__Profiles__Sample sample, *samples[1];
	uint64_t stack[2];
	int64_t values[2], comments[1];
	char *strings[10];
	Perftools__Profiles__Profile profile;
};

static void fill_frames(struct small *small)
{
	size_t i;

	perftools__profiles__mapping__init(&small->mapping);
	small->mapping.id = 77;
	small->mapping.filename = 3;
	small->mappings[0] = small->mappings[1] = &small->mapping;
	for (i = 0; i < 2; i++) {
		perftools__profiles__function__init(&small->function[i]);
		small->function[i].id = i ? UINT64_MAX : 500;
		small->function[i].name = i ? 5 : 4;
		small->functions[i] = &small->function[i];
		perftools__profiles__location__init(&small->location[i]);
		small->location[i].id = i ? 3 : 900;
		small->location[i].address = 0x1000 + i;
		small->location[i].n_line = 1;
		small->location[i].line = small->lines;
		small->locations[i] = &small->location[i];
		small->stack[i] = small->location[i].id;
	}
	small->location[0].mapping_id = 77;
	perftools__profiles__line__init(&small->line);
	small->line.function_id = UINT64_MAX;
	small->lines[0] = &small->line;
}

static void fill_sample(struct small *small)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(small->label); i++) {
		perftools__profiles__label__init(&small->label[i]);
		small->labels[i] = &small->label[i];
	}
	small->label[0].key = 6;
	small->label[0].str = 7;
	perftools__profiles__sample__init(&small->sample);
	small->sample.n_location_id = 2;
	small->sample.location_id = small->stack;
	small->sample.n_value = 1;
	small->sample.value = small->values;
	small->sample.n_label = 1;
	small->sample.label = small->labels;
	small->samples[0] = &small->sample;
	small->values[0] = 42;
}

static void fill_small(struct small *small)
{
	static const char *const strings[] = {
		"", "samples", "count", "/lib/dir/libx.so", "f", "g", "process", "p", "bytes", "_f",
	};
	Perftools__Profiles__Profile *profile = &small->profile;
	size_t i;

	memset(small, 0, sizeof(*small));
	perftools__profiles__profile__init(profile);
	perftools__profiles__value_type__init(&small->type);
	perftools__profiles__value_type__init(&small->period_type);
	small->type.type = 1;
	small->type.unit = 2;
	for (i = 0; i < ARRAY_SIZE(small->types); i++)
		small->types[i] = &small->type;
	for (i = 0; i < ARRAY_SIZE(strings); i++)
		small->strings[i] = (char *)strings[i];
	fill_frames(small);
	fill_sample(small);
	profile->n_sample_type = 1, profile->sample_type = small->types;
	profile->n_sample = 1, profile->sample = small->samples;
	profile->n_mapping = 1, profile->mapping = small->mappings;
	profile->n_location = 2, profile->location = small->locations;
	profile->n_function = 2, profile->function = small->functions;
	profile->n_string_table = ARRAY_SIZE(strings), profile->string_table = small->strings;
	profile->n_comment = 1, profile->comment = small->comments;
}

/* Pack and read; then forget what was spoiled. */
static int read_small(struct small *small, struct profile **ret, struct errmsg *err)
{
	size_t len = perftools__profiles__profile__get_packed_size(&small->profile);
	uint8_t *bytes = malloc(len ? len : 1);
	int error;

	assert_non_null(bytes);
	perftools__profiles__profile__pack(&small->profile, bytes);
	error = pprof_read(bytes, len, NULL, ret, err);
	free(bytes);
	fill_small(small);
	return error;
}

static void expect_bad(struct small *small, int error, const char *text)
{
	struct profile *profile = NULL;
	struct errmsg err = { "" };

	assert_int_equal(read_small(small, &profile, &err), error);
	assert_string_equal(err.text, text);
	assert_null(profile);
}

static struct profile *expect_good(struct small *small)
{
	struct profile *profile = NULL;
	struct errmsg err = { "" };

	if (read_small(small, &profile, &err))
		fail_msg("%s", err.text);
	return profile;
}

static void test_sparse_unordered_ids_are_renumbered(void **state)
{
	struct small small;
	struct profile_sample_view sample;
	struct profile_location_view location;
	struct profile_function function;

	(void)state;
	fill_small(&small);
	_cleanup_(profile_freep) struct profile *profile = expect_good(&small);

	profile_sample(profile, 1, &sample);
	assert_int_equal(sample.location_cnt, 2);
	assert_int_equal(sample.locations[0], 1);
	assert_int_equal(sample.locations[1], 2);
	assert_int_equal(sample.values[0], 42);
	profile_location(profile, 1, &location);
	assert_int_equal(location.mapping_id, 1);
	assert_int_equal(location.address, 0x1000);
	profile_function(profile, (size_t)location.lines[0].function_id, &function);
	assert_string_equal(function.name, "g");
	profile_location(profile, 2, &location);
	assert_int_equal(location.mapping_id, 0);
}

static void test_equal_things_under_two_ids_become_one(void **state)
{
	struct small small;

	(void)state;
	fill_small(&small);
	small.function[1].name = small.function[0].name;
	small.location[1].address = small.location[0].address;
	small.location[1].mapping_id = 77;
	_cleanup_(profile_freep) struct profile *profile = expect_good(&small);

	assert_int_equal(profile_function_cnt(profile), 1);
	assert_int_equal(profile_location_cnt(profile), 1);
}

static const char *first_name(const struct profile *profile)
{
	struct profile_location_view location;
	struct profile_function function;

	profile_location(profile, 1, &location);
	profile_function(profile, (size_t)location.lines[0].function_id, &function);
	return function.name;
}

static void test_location_without_lines_gets_a_name(void **state)
{
	static char long_name[5000];
	char expected[300] = "";
	struct small small;
	size_t i;
	const struct {
		const char *file, *name;
	} cases[] = {
		{ "/lib/dir/libx.so", "libx.so+0x1000" },
		{ "plain", "plain+0x1000" },
		{ "[vdso]", "[vdso]+0x1000" },
		{ "", "0x1000" },
		{ "dir/", "0x1000" },
		{ long_name, expected },
	};

	(void)state;
	memset(long_name, 'n', sizeof(long_name) - 1);
	memset(expected, 'n', 255);
	strcat(expected, "+0x1000");
	fill_small(&small);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(profile_freep) struct profile *profile = NULL;

		small.strings[3] = (char *)cases[i].file;
		small.location[0].n_line = 0;
		profile = expect_good(&small);
		assert_string_equal(first_name(profile), cases[i].name);
	}
	small.location[0].n_line = 0;
	small.location[0].mapping_id = 0;
	_cleanup_(profile_freep) struct profile *profile = expect_good(&small);

	assert_string_equal(first_name(profile), "0x1000");
}

static void test_one_of_two_names_is_enough(void **state)
{
	struct profile_function function;
	struct small small;

	(void)state;
	fill_small(&small);
	small.function[0].name = 0;
	small.function[0].system_name = 9;
	_cleanup_(profile_freep) struct profile *profile = expect_good(&small);

	profile_function(profile, 1, &function);
	assert_string_equal(function.name, "_f");
	profile_function(profile, 2, &function);
	assert_string_equal(function.system_name, "g");
}

static void test_first_label_of_a_key_counts(void **state)
{
	struct profile_sample_view sample;
	struct profile_label label;
	struct small small;
	size_t i;

	(void)state;
	fill_small(&small);
	for (i = 1; i < ARRAY_SIZE(small.label); i++) {
		small.label[i].key = i % 2 ? 6 : 0;
		small.label[i].num = 5;
	}
	small.label[1] = small.label[2];
	small.label[1].key = 8;
	small.label[1].num_unit = 8;
	small.sample.n_label = ARRAY_SIZE(small.label);
	_cleanup_(profile_freep) struct profile *profile = expect_good(&small);

	profile_sample(profile, 1, &sample);
	assert_int_equal(sample.label_cnt, 2);
	profile_sample_label(profile, &sample, 0, &label);
	assert_string_equal(label.str, "p");
	profile_sample_label(profile, &sample, 1, &label);
	assert_null(label.str);
	assert_int_equal(label.num, 5);
	assert_string_equal(label.unit, "bytes");
}

static void test_ids_must_be_there_once(void **state)
{
	struct small small;

	(void)state;
	fill_small(&small);
	small.stack[1] = 4;
	expect_bad(&small, -EBADMSG, "bad profile: sample 0 names a location that is not there");
	small.stack[0] = 0;
	expect_bad(&small, -EBADMSG, "bad profile: sample 0 names a location that is not there");
	small.location[0].mapping_id = 78;
	expect_bad(&small, -EBADMSG, "bad profile: location 0 names a mapping that is not there");
	small.line.function_id = 0;
	expect_bad(&small, -EBADMSG, "bad profile: location 0 names a function that is not there");
	small.location[1].id = 900;
	expect_bad(&small, -EBADMSG, "bad profile: location 1 has the id of an earlier one");
	small.profile.n_mapping = 2;
	expect_bad(&small, -EBADMSG, "bad profile: mapping 1 has the id of an earlier one");
	small.function[1].id = 500;
	expect_bad(&small, -EBADMSG, "bad profile: function 1 has the id of an earlier one");
	small.function[1].id = 0;
	expect_bad(&small, -EBADMSG, "bad profile: function 1 has the id 0");
	small.location[1].id = 0;
	expect_bad(&small, -EBADMSG, "bad profile: location 1 has the id 0");
	small.mapping.id = 0;
	expect_bad(&small, -EBADMSG, "bad profile: mapping 0 has the id 0");
}

static void test_strings_must_be_in_the_table(void **state)
{
	static const char beyond[] = "bad profile: string 10 is beyond the string table (10)";
	struct small small;

	(void)state;
	fill_small(&small);
	small.type.unit = 10;
	expect_bad(&small, -EBADMSG, beyond);
	small.profile.period_type = &small.period_type;
	small.period_type.type = 10;
	expect_bad(&small, -EBADMSG, beyond);
	small.comments[0] = 10;
	expect_bad(&small, -EBADMSG, beyond);
	small.mapping.build_id = 10;
	expect_bad(&small, -EBADMSG, beyond);
	small.function[1].filename = 10;
	expect_bad(&small, -EBADMSG, beyond);
	small.label[0].str = 10;
	expect_bad(&small, -EBADMSG, beyond);
	small.label[0].str = 0;
	small.label[0].num_unit = 10;
	expect_bad(&small, -EBADMSG, beyond);
	small.label[0].key = INT64_MIN;
	expect_bad(&small, -EBADMSG,
		   "bad profile: string -9223372036854775808 is beyond the string table (10)");
	small.strings[0] = (char *)"x";
	expect_bad(&small, -EBADMSG, "not a profile: its string table does not begin with \"\"");
	small.profile.n_string_table = 0;
	expect_bad(&small, -EBADMSG, "not a profile: its string table does not begin with \"\"");
}

static void test_each_sample_has_a_value_per_type(void **state)
{
	struct small small;

	(void)state;
	fill_small(&small);
	small.sample.n_value = 2;
	expect_bad(&small, -EBADMSG, "bad profile: sample 0 has not one value per sample type");
	small.sample.n_value = 0;
	expect_bad(&small, -EBADMSG, "bad profile: sample 0 has not one value per sample type");
	small.profile.n_sample_type = 0;
	small.sample.n_value = 0;
	expect_bad(&small, -EBADMSG, "bad profile: no sample types");
	small.profile.n_sample_type = 9;
	expect_bad(&small, -EFBIG, "the profile has 9 sample types; 8 at most");
}

static void test_limits_of_a_sample(void **state)
{
	static uint64_t stack[PROFILE_FRAMES_MAX + 1];
	static char names[ARRAY_SIZE(((struct small *)NULL)->label)][8];
	char *strings[ARRAY_SIZE(names) + 10];
	struct small small;
	size_t i;

	(void)state;
	fill_small(&small);
	for (i = 0; i < ARRAY_SIZE(stack); i++)
		stack[i] = 900;
	small.sample.location_id = stack;
	small.sample.n_location_id = ARRAY_SIZE(stack);
	expect_bad(&small, -EFBIG, "sample 0 of the profile has 16385 frames; 16384 at most");
	small.sample.location_id = stack;
	small.sample.n_location_id = ARRAY_SIZE(stack) - 1;
	profile_free(expect_good(&small));
	memcpy(strings, small.strings, sizeof(small.strings));
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		names[i][0] = 'k', names[i][1] = (char)('0' + i);
		strings[10 + i] = names[i];
		small.label[i].key = (int64_t)(10 + i);
	}
	small.profile.string_table = strings;
	small.profile.n_string_table = ARRAY_SIZE(strings);
	small.sample.n_label = ARRAY_SIZE(names);
	expect_bad(&small, -EFBIG, "sample 0 of the profile has more than 32 labels");
}

/* Bytes as another encoder might write them: unpacked repeated numbers, unknown fields. */
static void test_unpacked_numbers_and_unknown_fields_are_read(void **state)
{
	static const uint8_t bytes[] = {
		0x0a, 4,    0x08, 1, 0x10, 2,			     /* sample_type */
		0x12, 6,    0x08, 1, 0x08, 1,	 0x10, 42,	     /* sample: 1, 1; 42 */
		0x22, 8,    0x08, 1, 0x22, 2,	 0x08, 1,   0x38, 9, /* location, unknown field 7 */
		0x2a, 4,    0x08, 1, 0x10, 3,			     /* function */
		0x32, 0,    0x32, 1, 'a',  0x32, 1,    'b', 0x32, 1, 'f', /* strings */
		0xfa, 0x3f, 3,	  1, 2,	   3,				  /* unknown field 1023 */
		0x68, 3,						  /* comment */
	};
	struct profile_sample_view sample;
	struct errmsg err = { "" };
	_cleanup_(profile_freep) struct profile *profile = NULL;

	(void)state;
	if (pprof_read(bytes, sizeof(bytes), NULL, &profile, &err))
		fail_msg("%s", err.text);
	profile_sample(profile, 1, &sample);
	assert_int_equal(sample.location_cnt, 2);
	assert_int_equal(sample.values[0], 42);
	assert_string_equal(profile_comment(profile, 0), "f");
}

static void test_other_files_are_no_profiles(void **state)
{
	static const char *const files[] = {
		"\177ELF\002\001", "# a text file\n", "{\"json\": true}", "main;f 12\n", "\x0a",
	};
	struct profile *profile = NULL;
	struct errmsg err;
	size_t i;

	(void)state;
	assert_int_equal(pprof_read("", 0, NULL, &profile, &err), -EBADMSG);
	assert_string_equal(err.text, "not a profile: empty");
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		assert_int_equal(pprof_read(files[i], strlen(files[i]), NULL, &profile, &err),
				 -EBADMSG);
		assert_string_equal(err.text, "not a pprof profile, or cut short");
	}
	assert_null(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sparse_unordered_ids_are_renumbered),
		cmocka_unit_test(test_equal_things_under_two_ids_become_one),
		cmocka_unit_test(test_location_without_lines_gets_a_name),
		cmocka_unit_test(test_one_of_two_names_is_enough),
		cmocka_unit_test(test_first_label_of_a_key_counts),
		cmocka_unit_test(test_ids_must_be_there_once),
		cmocka_unit_test(test_strings_must_be_in_the_table),
		cmocka_unit_test(test_each_sample_has_a_value_per_type),
		cmocka_unit_test(test_limits_of_a_sample),
		cmocka_unit_test(test_unpacked_numbers_and_unknown_fields_are_read),
		cmocka_unit_test(test_other_files_are_no_profiles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
