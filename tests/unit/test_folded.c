/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"
#include "profiler/base/fileio.h"
#include "profiler/base/strbuf.h"
#include "proto/folded.h"
#include "proto/profile.h"
#include "tests/unit/fail_malloc.h"
#include "tests/unit/sample_profile.h"

static int add_to_text(void *context, const void *bytes, size_t len)
{
	struct strbuf *text = context;

	strbuf_add(text, bytes, len);
	return text->failed ? -ENOMEM : 0;
}

/* Every line as flamegraph.pl and speedscope read it: /^(.+) (\d+)$/. */
static void check_grammar(const char *text)
{
	regex_t grammar;
	const char *end;

	assert_int_equal(regcomp(&grammar, "^.+ [0-9]+$", REG_EXTENDED | REG_NOSUB), 0);
	for (; *text; text = end + 1) {
		char line[4096];

		end = strchr(text, '\n');
		assert_non_null(end);
		assert_true((size_t)(end - text) < sizeof(line));
		memcpy(line, text, (size_t)(end - text));
		line[end - text] = '\0';
		assert_int_equal(regexec(&grammar, line, 0, NULL, 0), 0);
	}
	regfree(&grammar);
}

static void check_text(const struct profile *profile, const struct folded_options *options,
		       const char *expected)
{
	struct strbuf text = STRBUF_INIT;

	assert_int_equal(folded_write(profile, options, add_to_text, &text, NULL), 0);
	assert_string_equal(text.text ? text.text : "", expected);
	check_grammar(expected);
	strbuf_free(&text);
}

/* tests/golden/NAME; run from the root of the tree. */
static void check_golden(const struct profile *profile, const struct folded_options *options,
			 const char *name)
{
	struct strbuf expected = STRBUF_INIT;
	char path[256];

	snprintf(path, sizeof(path), "tests/golden/%s", name);
	assert_int_equal(read_path(path, 1 << 20, &expected), 0);
	check_text(profile, options, expected.text);
	strbuf_free(&expected);
}

/* One sample of one frame, of the process if that is not NULL. */
static void add_stack_of(struct profile *profile, const char *process, const char *name,
			 int64_t value)
{
	const struct profile_label label = { .key = "process", .str = process };
	int64_t frame = add_frame(profile, 0, 0, name);

	must(profile_add_sample(profile, &frame, 1, (int64_t[]){ value, value * 10 }, &label,
				process ? 1 : 0));
}

static void check_name(const char *name, const char *expected)
{
	_cleanup_(profile_freep) struct profile *profile = new_cpu_profile();
	char line[256];

	add_stack_of(profile, NULL, name, 5);
	snprintf(line, sizeof(line), "%s 5\n", expected);
	check_text(profile, NULL, line);
	add_stack_of(profile, name, "f", 6);
	profile_free(TAKE_PTR(profile));
	profile = new_cpu_profile();
	add_stack_of(profile, name, "f", 6);
	snprintf(line, sizeof(line), "%s;f 6\n", expected);
	check_text(profile, NULL, line);
}

static void test_folded_matches_golden_files(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_sample_profile();

	(void)state;
	check_golden(profile, NULL, "sample.folded");
	check_golden(profile, &(struct folded_options){ .value = "cpu" }, "sample_cpu.folded");
	check_golden(profile, &(struct folded_options){ .lines = true }, "sample_lines.folded");
	check_golden(profile, &(struct folded_options){ .annotate = true },
		     "sample_annotate.folded");
	check_golden(profile, &(struct folded_options){ .lines = true, .annotate = true },
		     "sample_lines_annotate.folded");
}

static void test_folded_escapes_semicolon(void **state)
{
	(void)state;
	check_name("Lcom/foo;::bar", "Lcom/foo:::bar");
	check_name(";", ":");
}

static void test_folded_makes_control_characters_spaces(void **state)
{
	(void)state;
	check_name("a\nb\tc\rd\x1b[0m\x7f", "a b c d [0m ");
	check_name("next\xc2\x85line\xe2\x80\xa8sep\xe3\x80\x80wide\xc2\xa0nb",
		   "next line sep wide nb");
}

static void test_folded_keeps_unicode_and_repairs_bad_bytes(void **state)
{
	(void)state;
	check_name("caf\xc3\xa9::\xe9\x96\xa2\xe6\x95\xb0",
		   "caf\xc3\xa9::\xe9\x96\xa2\xe6\x95\xb0");
	check_name("bad\xff", "bad\xef\xbf\xbd");
}

static void test_folded_names_the_nameless(void **state)
{
	(void)state;
	check_name("", "[unknown]");
	check_name(" \t\n", "[unknown]");
}

static void test_folded_keeps_numbers_from_being_counts(void **state)
{
	(void)state;
	check_name("foo 12", "foo_12");
	check_name("foo  12", "foo _12");
	check_name("foo\n12", "foo_12");
	check_name("foo\xc2\xa0"
		   "12",
		   "foo_12");
	check_name("foo 1 2", "foo 1_2");
	check_name("foo 1.5", "foo_1.5");
	check_name("foo 1.", "foo_1.");
	check_name(" 7", "_7");
	/* These are no counts. */
	check_name("12", "12");
	check_name("foo 12 ", "foo 12 ");
	check_name("foo .5", "foo .5");
	check_name("foo 0x12", "foo 0x12");
	check_name("foo -12", "foo -12");
	check_name("foo 1.2.3", "foo 1.2.3");
	check_name("operator new(unsigned long)", "operator new(unsigned long)");
}

static void test_folded_process_field_is_all_or_nothing(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_cpu_profile();
	const struct profile_label number = { .key = "process", .num = -7 };
	const struct profile_label thread = { .key = "thread", .str = "t" };

	(void)state;
	add_stack_of(profile, NULL, "f", 1);
	check_text(profile, NULL, "f 1\n");
	must(profile_add_sample(profile, NULL, 0, (int64_t[]){ 2, 2 }, &thread, 1));
	check_text(profile, NULL, "[unknown] 2\nf 1\n");
	must(profile_add_sample(profile, NULL, 0, (int64_t[]){ 3, 3 }, &number, 1));
	check_text(profile, NULL, "-7 3\n[unknown] 2\n[unknown];f 1\n");
}

static void test_folded_sums_stacks_of_equal_text(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_cpu_profile();
	struct profile_label label = { .key = "tid", .unit = "tid" };
	int64_t here = add_frame(profile, 0, 1, "a;b"), there = add_frame(profile, 0, 2, "a:b");

	(void)state;
	for (label.num = 0; label.num < 3; label.num++)
		must(profile_add_sample(profile, &here, 1, (int64_t[]){ 1, 5 }, &label, 1));
	must(profile_add_sample(profile, &there, 1, (int64_t[]){ 1, INT64_MAX }, NULL, 0));
	check_text(profile, NULL, "a:b 4\n");
	check_text(profile, &(struct folded_options){ .value = "cpu" },
		   "a:b 9223372036854775807\n");
}

static void test_folded_leaves_out_what_is_not_positive(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_cpu_profile();

	(void)state;
	check_text(profile, NULL, "");
	add_stack_of(profile, NULL, "zero", 0);
	add_stack_of(profile, NULL, "negative", -4);
	add_stack_of(profile, "p", "f", 3);
	add_stack_of(profile, "p", "f", -3);
	add_stack_of(profile, "p", "g", 3);
	check_text(profile, NULL, "p;g 3\n");
}

/* What LC_ALL=C sort makes of the lines: the count and the ';' take part. */
static void test_folded_sorts_whole_lines_bytewise(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_cpu_profile();

	(void)state;
	add_stack_of(profile, NULL, "b", 5);
	add_stack_of(profile, NULL, "b !", 5);
	add_stack_of(profile, NULL, "b x", 5);
	add_stack_of(profile, NULL, "b!", 5);
	add_stack_of(profile, NULL, "B", 5);
	add_stack_of(profile, NULL, "\xc3\xa4", 5);
	check_text(profile, NULL, "B 5\nb ! 5\nb 5\nb x 5\nb! 5\n\xc3\xa4 5\n");
	profile_free(TAKE_PTR(profile));
	profile = new_cpu_profile();
	add_stack_of(profile, "a", "x", 1);
	add_stack_of(profile, "a!", "x", 1);
	add_stack_of(profile, "a<", "x", 1);
	check_text(profile, NULL, "a!;x 1\na;x 1\na<;x 1\n");
}

static void test_folded_unknown_value_lists_those_there_are(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_cpu_profile();
	struct strbuf text = STRBUF_INIT;
	struct errmsg err;

	(void)state;
	assert_int_equal(folded_write(profile, &(struct folded_options){ .value = "bytes" },
				      add_to_text, &text, &err),
			 -ENOENT);
	assert_string_equal(err.text, "the profile has no value 'bytes'; it has: samples, cpu");
	assert_int_equal(text.len, 0);
}

static int refuse(void *context, const void *bytes, size_t len)
{
	(void)context;
	(void)bytes;
	(void)len;
	return -EPIPE;
}

static void test_folded_hands_back_error_of_sink(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_sample_profile();

	(void)state;
	assert_int_equal(folded_write(profile, NULL, refuse, NULL, NULL), -EPIPE);
}

static void test_folded_streams_large_profiles_in_order(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_cpu_profile();
	struct strbuf text = STRBUF_INIT;
	const char *line, *next;
	size_t lines = 0;
	int i;

	(void)state;
	for (i = 0; i < 20000; i++) {
		char name[32];

		snprintf(name, sizeof(name), "f%d", (i * 7919) % 20000);
		add_stack_of(profile, i % 2 ? "odd" : "even", name, 1 + i % 13);
	}
	assert_int_equal(folded_write(profile, NULL, add_to_text, &text, NULL), 0);
	for (line = text.text; *line; line = next) {
		next = strchr(line, '\n') + 1;
		lines++;
		if (*next)
			assert_true(memcmp(line, next, strcspn(line, "\n") + 1) < 0);
	}
	assert_int_equal(lines, 20000);
	check_grammar(text.text);
	strbuf_free(&text);
}

static int count_bytes(void *context, const void *bytes, size_t len)
{
	(void)bytes;
	*(size_t *)context += len;
	return 0;
}

static void test_folded_survives_failed_allocations(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_sample_profile();
	struct folded_options options = { .lines = true };
	long n;

	(void)state;
	for (n = 1;; n++) {
		size_t len = 0;
		int error;

		fail_malloc_at(n);
		error = folded_write(profile, &options, count_bytes, &len, NULL);
		if (!fail_malloc_hit()) {
			assert_int_equal(error, 0);
			break;
		}
		assert_int_equal(error, -ENOMEM);
	}
	assert_true(n > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_folded_matches_golden_files),
		cmocka_unit_test(test_folded_escapes_semicolon),
		cmocka_unit_test(test_folded_makes_control_characters_spaces),
		cmocka_unit_test(test_folded_keeps_unicode_and_repairs_bad_bytes),
		cmocka_unit_test(test_folded_names_the_nameless),
		cmocka_unit_test(test_folded_keeps_numbers_from_being_counts),
		cmocka_unit_test(test_folded_process_field_is_all_or_nothing),
		cmocka_unit_test(test_folded_sums_stacks_of_equal_text),
		cmocka_unit_test(test_folded_leaves_out_what_is_not_positive),
		cmocka_unit_test(test_folded_sorts_whole_lines_bytewise),
		cmocka_unit_test(test_folded_unknown_value_lists_those_there_are),
		cmocka_unit_test(test_folded_hands_back_error_of_sink),
		cmocka_unit_test(test_folded_streams_large_profiles_in_order),
		cmocka_unit_test(test_folded_survives_failed_allocations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
