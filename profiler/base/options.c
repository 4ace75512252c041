/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * getopt_long() does the splitting; the values are converted here, strictly: `-F 99x`, `-d 1e400`
 * and `-d nan` are errors, not something near to what was meant.
 */
#include "profiler/base/options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/clock.h"
#include "profiler/base/err.h"

#define OPTS_MAX 64
#define LONG_ONLY 1000 /* getopt's value for options without a letter: LONG_ONLY + index */
#define HELP_COLUMN 28

struct parser {
	const struct opt *flat[OPTS_MAX];
	struct option longs[OPTS_MAX + 1];
	char shorts[2 * OPTS_MAX + 4];
	int cnt;
};

static void parser_init(struct parser *parser, const struct opt *const *opts, bool bare)
{
	char *at = parser->shorts;
	const struct opt *opt;

	*at++ = bare ? '-' : '+';
	*at++ = ':';
	for (; *opts; opts++) {
		for (opt = *opts; opt->type != OPT_END && parser->cnt < OPTS_MAX; opt++) {
			int i = parser->cnt++;

			parser->flat[i] = opt;
			parser->longs[i] = (struct option){
				.name = opt->long_name,
				.has_arg = opt->value_name ? required_argument : no_argument,
				.val = LONG_ONLY + i,
			};
			if (!opt->short_name)
				continue;
			*at++ = opt->short_name;
			if (opt->value_name)
				*at++ = ':';
		}
	}
	*at = '\0';
}

static const struct opt *find_opt(const struct parser *parser, int value)
{
	int i;

	if (value >= LONG_ONLY && value < LONG_ONLY + parser->cnt)
		return parser->flat[value - LONG_ONLY];
	for (i = 0; i < parser->cnt; i++)
		if (parser->flat[i]->short_name == value)
			return parser->flat[i];
	return NULL;
}

/* strtoul() and its kind also take blanks, signs (a negative number wraps), hexadecimal. */
static bool begins_with_digit(const char *value)
{
	return *value >= '0' && *value <= '9';
}

static int parse_count(const struct opt *opt, const char *value, unsigned int *ret,
		       struct errmsg *err)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(value, &end, 10);
	if (errno || *end || !begins_with_digit(value) || number < opt->min || number > opt->max)
		return err_say(err, -EINVAL, "--%s '%s': not a whole number from %u to %u",
			       opt->long_name, value, opt->min, opt->max);
	*ret = (unsigned int)number;
	return 0;
}

static int parse_seconds(const struct opt *opt, const char *value, uint64_t *ret,
			 struct errmsg *err)
{
	double seconds;
	char *end;

	seconds = strtod(value, &end);
	if (end == value || *end || value[strspn(value, "0123456789.eE+-")] || !isfinite(seconds) ||
	    seconds < 0.001 || seconds > 1e9)
		return err_say(err, -EINVAL, "--%s '%s': not a number of seconds, 0.001 or more",
			       opt->long_name, value);
	*ret = (uint64_t)(seconds * NS_PER_SEC + 0.5);
	return 0;
}

static int parse_bytes(const struct opt *opt, const char *value, size_t *ret, struct errmsg *err)
{
	static const char units[] = "KkMmGg";
	unsigned long long number;
	const char *unit;
	unsigned int shift = 0;
	char *end;

	errno = 0;
	number = strtoull(value, &end, 10);
	if (*end && (unit = strchr(units, *end))) {
		shift = 10 * ((unsigned int)(unit - units) / 2 + 1);
		end++;
	}
	if (errno || *end || !begins_with_digit(value) || !number || number > 1ull << 40 >> shift)
		return err_say(err, -EINVAL, "--%s '%s': not a size such as 512K, 16M or 1G",
			       opt->long_name, value);
	*ret = (size_t)number << shift;
	return 0;
}

static int apply(const struct opt *opt, const char *value, void *config, struct errmsg *err)
{
	char *field = (char *)config + opt->offset;

	switch (opt->type) {
	case OPT_SET:
	case OPT_CLEAR:
		*(bool *)field = opt->type == OPT_SET;
		return 0;
	case OPT_TEXT:
		*(const char **)field = value;
		return 0;
	case OPT_COUNT:
		return parse_count(opt, value, (unsigned int *)field, err);
	case OPT_SECONDS:
		return parse_seconds(opt, value, (uint64_t *)field, err);
	case OPT_BYTES:
		return parse_bytes(opt, value, (size_t *)field, err);
	case OPT_CALL:
		return opt->call(config, value, err);
	case OPT_END:
		break;
	}
	return -EINVAL;
}

static int bad_option(int value, char **argv, struct errmsg *err)
{
	const char *word = argv[optind - 1];

	if (value == ':')
		return err_say(err, -EINVAL, "option '%s' needs a value", word);
	if (optopt >= LONG_ONLY)
		return err_say(err, -EINVAL, "option '%s' takes no value", word);
	if (optopt)
		return err_say(err, -EINVAL, "unknown option '-%c'", optopt);
	return err_say(err, -EINVAL, "unknown or ambiguous option '%s'", word);
}

int options_parse(int argc, char **argv, const struct opt *const *opts, void *config,
		  int (*bare)(void *config, const char *word, struct errmsg *err),
		  struct opt_rest *ret_rest, struct errmsg *err)
{
	struct parser parser = {};
	int value, code, last = 1;

	parser_init(&parser, opts, bare != NULL);
	optind = 0; /* a fresh scan, with glibc's re-reading of the flags */
	opterr = 0;
	while ((value = getopt_long(argc, argv, parser.shorts, parser.longs, NULL)) != -1) {
		if (value == '?' || value == ':')
			return bad_option(value, argv, err);
		if (value == 1)
			code = bare(config, optarg, err);
		else
			code = apply(find_opt(&parser, value), optarg, config, err);
		if (code)
			return code;
		last = optind;
	}
	ret_rest->words = argv + optind;
	ret_rest->cnt = argc - optind;
	ret_rest->after_dashes = optind > last; /* `-o --` has a value that looks like them */
	return 0;
}

static void print_one(FILE *out, const struct opt *opt)
{
	const char *text = opt->help;
	char left[80];
	int used;

	used = snprintf(left, sizeof(left), "  %c%c%s--%s%s%s", opt->short_name ? '-' : ' ',
			opt->short_name ? opt->short_name : ' ', opt->short_name ? ", " : "  ",
			opt->long_name, opt->value_name ? " " : "",
			opt->value_name ? opt->value_name : "");
	if (used >= HELP_COLUMN - 1)
		fprintf(out, "%s\n%*s", left, HELP_COLUMN, "");
	else
		fprintf(out, "%-*s", HELP_COLUMN, left);
	for (; *text; text++) {
		fputc(*text, out);
		if (*text == '\n')
			fprintf(out, "%*s", HELP_COLUMN, "");
	}
	fputc('\n', out);
}

void options_print(FILE *out, const struct opt *const *opts)
{
	const struct opt *opt;

	for (; *opts; opts++)
		for (opt = *opts; opt->type != OPT_END; opt++)
			print_one(out, opt);
}
