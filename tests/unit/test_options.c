/* SPDX-License-Identifier: BSD-2-Clause */
/* Command lines by table: what is accepted, what is refused and with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"
#include "profiler/base/options.h"

#define WORDS_MAX 16

struct config {
	bool all, follow;
	const char *output;
	unsigned int hz;
	uint64_t duration_ns;
	size_t bytes;
	char called[64], bare[64];
};

static int note_call(void *config, const char *value, struct errmsg *err)
{
	if (strcmp(value, "refused") == 0)
		return err_say(err, -ERANGE, "--pid: refused by the callee");
	strcat(((struct config *)config)->called, value);
	return 0;
}

static int note_bare(void *config, const char *word, struct errmsg *err)
{
	if (strcmp(word, "refused") == 0)
		return err_say(err, -ERANGE, "word: refused by the callee");
	strcat(strcat(((struct config *)config)->bare, word), ";");
	return 0;
}

#define FIELD(name) offsetof(struct config, name)

static const struct opt first_table[] = {
	{ OPT_SET, 'a', "all", NULL, "the whole machine", FIELD(all) },
	{ OPT_CLEAR, 0, "no-follow", NULL, "not the children", FIELD(follow) },
	{ OPT_TEXT, 'o', "output", "FILE", "where the profile goes", FIELD(output) },
	{ OPT_COUNT, 'F', "freq", "HZ", "samples per second\nand CPU", FIELD(hz), 1, 10000 },
	{ OPT_END },
};

static const struct opt second_table[] = {
	{ OPT_SECONDS, 'd', "duration", "SEC", "how long", FIELD(duration_ns) },
	{ OPT_BYTES, 0, "ring-size", "BYTES", "of the ring", FIELD(bytes) },
	{ OPT_CALL, 'p', "pid", "PID[,PID]", "processes", .call = note_call },
	{ OPT_SET, 0, "an-option-of-a-very-long-name", NULL, "help on a line of its own",
	  FIELD(all) },
	{ OPT_END },
};

static const struct opt *const tables[] = { first_table, second_table, NULL };

/* One run over a command line given as words between blanks. */
struct run {
	char line[256];
	char *argv[WORDS_MAX + 1];
	int argc, code;
	struct config config;
	struct opt_rest rest;
	struct errmsg err;
};

static void run_words(struct run *run, bool with_bare)
{
	run->config = (struct config){ .follow = true };
	run->rest = (struct opt_rest){ .cnt = -1 };
	run->err = (struct errmsg){};
	run->code = options_parse(run->argc, run->argv, tables, &run->config,
				  with_bare ? note_bare : NULL, &run->rest, &run->err);
}

static void run_line(struct run *run, bool with_bare, const char *line)
{
	char *word, *rest;

	snprintf(run->line, sizeof(run->line), "command %s", line);
	run->argc = 0;
	for (word = strtok_r(run->line, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		assert_true(run->argc < WORDS_MAX);
		run->argv[run->argc++] = word;
	}
	run->argv[run->argc] = NULL;
	run_words(run, with_bare);
}

static struct run *accepted(const char *line)
{
	static struct run run;

	run_line(&run, false, line);
	if (run.code)
		print_error("'%s': %s\n", line, run.err.text);
	assert_int_equal(run.code, 0);
	assert_string_equal(run.err.text, "");
	return &run;
}

/* One option whose value holds blanks or is empty. */
static int parse_value(const char *option, const char *value, struct run *run)
{
	run->argc = 3;
	run->argv[0] = strcpy(run->line, "command");
	run->argv[1] = strcpy(run->line + 16, option);
	run->argv[2] = strcpy(run->line + 64, value);
	run->argv[3] = NULL;
	run_words(run, false);
	return run->code;
}

static void refuses(const char *option, const char *const *values)
{
	struct run run;

	for (; *values; values++) {
		if (parse_value(option, *values, &run) != -EINVAL)
			fail_msg("%s '%s' was accepted", option, *values);
		assert_non_null(strstr(run.err.text, *values));
	}
}

static void test_every_type_fills_its_field(void **state)
{
	struct run *run = accepted("-a --no-follow -o x.pb.gz -F 99 -d 1.5 --ring-size 8M -p 1,2");

	(void)state;
	assert_true(run->config.all);
	assert_false(run->config.follow);
	assert_string_equal(run->config.output, "x.pb.gz");
	assert_int_equal(run->config.hz, 99);
	assert_int_equal(run->config.duration_ns, 1500000000);
	assert_int_equal(run->config.bytes, 8 << 20);
	assert_string_equal(run->config.called, "1,2");
	assert_int_equal(run->rest.cnt, 0);
	assert_null(run->rest.words[0]);
	assert_false(run->rest.after_dashes);
}

static void test_no_words_change_nothing(void **state)
{
	struct run *run = accepted("");

	(void)state;
	assert_false(run->config.all);
	assert_true(run->config.follow);
	assert_null(run->config.output);
	assert_int_equal(run->rest.cnt, 0);
	assert_false(run->rest.after_dashes);
}

static void test_spellings_of_a_value(void **state)
{
	(void)state;
	assert_int_equal(accepted("-F99")->config.hz, 99);
	assert_int_equal(accepted("-aF99")->config.hz, 99);
	assert_true(accepted("-aF 99")->config.all);
	assert_int_equal(accepted("--freq=99")->config.hz, 99);
	assert_int_equal(accepted("--freq 99")->config.hz, 99);
	assert_int_equal(accepted("-F 98 -F 99")->config.hz, 99);
	assert_string_equal(accepted("-o -")->config.output, "-");
	assert_string_equal(accepted("-o -a")->config.output, "-a");
	assert_string_equal(accepted("--output=")->config.output, "");
	assert_string_equal(accepted("--output=a=b")->config.output, "a=b");
	assert_string_equal(accepted("-p 1 -p 2 --pid=3")->config.called, "123");
}

static void test_long_names_may_be_cut(void **state)
{
	(void)state;
	assert_int_equal(accepted("--dur 2")->config.duration_ns, 2000000000);
	assert_int_equal(accepted("--fr=7")->config.hz, 7);
	assert_true(accepted("--all")->config.all); /* though `an-option...` begins alike */
}

static void test_counts_are_strict(void **state)
{
	(void)state;
	refuses("-F",
		(const char *const[]){ "abc", "0", "-1", "+1", "", " 1", "1 ", "99x", "1.5", "0x10",
				       "1e3", "10001", "4294967297", "18446744073709551617",
				       "-18446744073709551615", " -18446744073709551615",
				       "99999999999999999999999999", NULL });
	assert_int_equal(accepted("-F 1")->config.hz, 1);
	assert_int_equal(accepted("-F 10000")->config.hz, 10000);
	assert_int_equal(accepted("-F 010")->config.hz, 10);
}

static void test_count_message_gives_name_value_and_range(void **state)
{
	struct run run;

	(void)state;
	parse_value("-F", "abc", &run);
	assert_string_equal(run.err.text, "--freq 'abc': not a whole number from 1 to 10000");
	assert_int_equal(run.config.hz, 0);
	assert_int_equal(run.rest.cnt, -1);
}

static void test_seconds_are_strict(void **state)
{
	(void)state;
	refuses("-d", (const char *const[]){ "-1",	 "nan",	  "NAN",   "inf",   "-inf",
					     "infinity", "1e400", "0",	   "0.0",   "0.0009",
					     "1e-400",	 "1e10",  "",	   " 1",    "1 ",
					     "1s",	 "1,5",	  "0x10",  "0x1p4", "1e",
					     "e1",	 ".",	  "1.2.3", "--1",   NULL });
	assert_int_equal(accepted("-d 0.001")->config.duration_ns, 1000000);
	assert_int_equal(accepted("-d .5")->config.duration_ns, 500000000);
	assert_int_equal(accepted("-d 1e1")->config.duration_ns, 10000000000);
	assert_int_equal(accepted("-d 0.29")->config.duration_ns, 290000000);
	assert_int_equal(accepted("-d 4.35")->config.duration_ns, 4350000000);
	assert_int_equal(accepted("-d 1e9")->config.duration_ns, 1000000000000000000);
}

static void test_sizes_are_strict(void **state)
{
	(void)state;
	refuses("--ring-size", (const char *const[]){ "",
						      "0",
						      "0K",
						      "K",
						      "-1",
						      " 1",
						      "1 ",
						      "512 ",
						      "+1",
						      "1.5M",
						      "1KB",
						      "1KiB",
						      "1T",
						      "1MM",
						      "0x10",
						      "1025G",
						      "1048577M",
						      "1099511627777",
						      "18446744073709551617K",
						      "17179869184G",
						      "-18446744073709551000",
						      " -18446744073709551000",
						      NULL });
	assert_int_equal(accepted("--ring-size 4096")->config.bytes, 4096);
	assert_int_equal(accepted("--ring-size 4K")->config.bytes, 4096);
	assert_int_equal(accepted("--ring-size 4k")->config.bytes, 4096);
	assert_int_equal(accepted("--ring-size 3m")->config.bytes, 3 << 20);
	assert_int_equal(accepted("--ring-size 1G")->config.bytes, 1 << 30);
	assert_int_equal(accepted("--ring-size 1g")->config.bytes, 1 << 30);
	assert_true(accepted("--ring-size 1024G")->config.bytes == 1ull << 40);
}

/* Refused command lines, and what the message must say. */
static void test_misuse_is_named(void **state)
{
	static const struct {
		const char *line, *text;
	} cases[] = {
		{ "--frobnicate", "'--frobnicate'" },
		{ "-a --frobnicate=3 -F 1", "'--frobnicate=3'" },
		{ "-x", "'-x'" },
		{ "-axF9", "'-x'" },
		{ "-?", "'-?'" },
		{ "-:", "'-:'" },
		{ "--a", "ambiguous option '--a'" },
		{ "--all=yes", "'--all=yes' takes no value" },
		{ "-F", "'-F' needs a value" },
		{ "-aF", "'-aF' needs a value" },
		{ "--freq", "'--freq' needs a value" },
		{ "--dur", "'--dur' needs a value" },
		{ "-a -o", "'-o' needs a value" },
	};
	struct run run;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		run_line(&run, false, cases[i].line);
		assert_int_equal(run.code, -EINVAL);
		if (!strstr(run.err.text, cases[i].text))
			fail_msg("'%s' gives \"%s\"", cases[i].line, run.err.text);
		assert_int_equal(run.rest.cnt, -1);
	}
}

static void test_message_may_be_left_out(void **state)
{
	char *argv[] = { strdup("command"), strdup("--nonsense"), NULL };
	struct config config = {};
	struct opt_rest rest;

	(void)state;
	assert_int_equal(options_parse(2, argv, tables, &config, NULL, &rest, NULL), -EINVAL);
	free(argv[0]);
	free(argv[1]);
}

static void test_callees_answer_is_passed_on(void **state)
{
	struct run run;

	(void)state;
	run_line(&run, false, "-p refused -F abc");
	assert_int_equal(run.code, -ERANGE);
	assert_string_equal(run.err.text, "--pid: refused by the callee");
	run_line(&run, true, "good refused -F abc");
	assert_int_equal(run.code, -ERANGE);
	assert_string_equal(run.err.text, "word: refused by the callee");
}

static void test_first_word_ends_the_options(void **state)
{
	struct run *run = accepted("-a sleep -F 3 --nonsense");

	(void)state;
	assert_int_equal(run->rest.cnt, 4);
	assert_string_equal(run->rest.words[0], "sleep");
	assert_string_equal(run->rest.words[1], "-F");
	assert_null(run->rest.words[4]);
	assert_false(run->rest.after_dashes);
	assert_int_equal(run->config.hz, 0);
	assert_string_equal(accepted("- -F 3")->rest.words[0], "-");
}

static void test_dashes_end_the_options(void **state)
{
	struct run *run = accepted("-a -- -F 3");

	(void)state;
	assert_int_equal(run->rest.cnt, 2);
	assert_string_equal(run->rest.words[0], "-F");
	assert_true(run->rest.after_dashes);
	run = accepted("-a --");
	assert_int_equal(run->rest.cnt, 0);
	assert_true(run->rest.after_dashes);
	run = accepted("-- -- x");
	assert_int_equal(run->rest.cnt, 2);
	assert_true(run->rest.after_dashes);
}

static void test_dashes_as_a_value_end_nothing(void **state)
{
	struct run *run = accepted("-o --");

	(void)state;
	assert_string_equal(run->config.output, "--");
	assert_false(run->rest.after_dashes);
	run = accepted("-o -- ls -l");
	assert_string_equal(run->rest.words[0], "ls");
	assert_false(run->rest.after_dashes);
}

static void test_bare_words_stand_anywhere_before_dashes(void **state)
{
	struct run run;

	(void)state;
	run_line(&run, true, "one -F 3 two -a - -- three -F 4");
	assert_int_equal(run.code, 0);
	assert_string_equal(run.config.bare, "one;two;-;");
	assert_int_equal(run.config.hz, 3);
	assert_true(run.config.all);
	assert_true(run.rest.after_dashes);
	assert_int_equal(run.rest.cnt, 3);
	assert_string_equal(run.rest.words[0], "three");
	run_line(&run, true, "one two");
	assert_string_equal(run.config.bare, "one;two;");
	assert_int_equal(run.rest.cnt, 0);
	assert_false(run.rest.after_dashes);
}

static void test_help_fits_80_columns(void **state)
{
	_cleanup_free_ char *text = NULL;
	size_t size, column = 0, i;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	options_print(out, tables);
	fclose(out);
	for (i = 0; i < size; i++) {
		column = text[i] == '\n' ? 0 : column + 1;
		assert_true(column <= 80);
	}
	assert_int_equal(column, 0);
	assert_non_null(strstr(text, "  -a, --all                 the whole machine\n"));
	assert_non_null(strstr(text, "      --no-follow           not the children\n"));
	assert_non_null(strstr(text, "  -F, --freq HZ             samples per second\n"
				     "                            and CPU\n"));
	assert_non_null(strstr(text, "      --an-option-of-a-very-long-name\n"
				     "                            help on a line of its own\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_type_fills_its_field),
		cmocka_unit_test(test_no_words_change_nothing),
		cmocka_unit_test(test_spellings_of_a_value),
		cmocka_unit_test(test_long_names_may_be_cut),
		cmocka_unit_test(test_counts_are_strict),
		cmocka_unit_test(test_count_message_gives_name_value_and_range),
		cmocka_unit_test(test_seconds_are_strict),
		cmocka_unit_test(test_sizes_are_strict),
		cmocka_unit_test(test_misuse_is_named),
		cmocka_unit_test(test_message_may_be_left_out),
		cmocka_unit_test(test_callees_answer_is_passed_on),
		cmocka_unit_test(test_first_word_ends_the_options),
		cmocka_unit_test(test_dashes_end_the_options),
		cmocka_unit_test(test_dashes_as_a_value_end_nothing),
		cmocka_unit_test(test_bare_words_stand_anywhere_before_dashes),
		cmocka_unit_test(test_help_fits_80_columns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
