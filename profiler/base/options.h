/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Command lines by table, over getopt_long(3).
 *
 * A command has an array of struct opt that ends in an empty one, and a config struct that the
 * options fill by offset.  Help is made from the same table.
 */
#ifndef EBPFPROF_BASE_OPTIONS_H
#define EBPFPROF_BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct errmsg;

enum opt_type {
	OPT_END,
	OPT_SET,     /* bool = true */
	OPT_CLEAR,   /* bool = false */
	OPT_TEXT,    /* const char *: borrowed from argv */
	OPT_COUNT,   /* unsigned int in [min, max] */
	OPT_SECONDS, /* uint64_t ns, from seconds with fractions, > 0 */
	OPT_BYTES,   /* size_t, from a number with an optional K, M or G */
	OPT_CALL,    /* call(config, value, err) */
};

struct opt {
	enum opt_type type;
	char short_name;	/* 0 = none */
	const char *long_name;
	const char *value_name; /* NULL = takes none */
	const char *help;	/* lines after the first are indented by the printer */
	size_t offset;		/* of the field in the config struct */
	unsigned int min, max;	/* OPT_COUNT */
	int (*call)(void *config, const char *value, struct errmsg *err);
};

/* What is left when the options end. */
struct opt_rest {
	char **words; /* what follows, NULL-terminated, in argv */
	int cnt;
	bool after_dashes; /* `--` came before them */
};

/**
 * options_parse - fill @config from argv[1..]
 * @opts: tables, each ended by an OPT_END entry, NULL-terminated
 * @bare: called for a word that is no option; NULL: the first such word ends the options
 *
 * Errors: -EINVAL with the reason in @err (unknown option, bad value, missing value).
 */
int options_parse(int argc, char **argv, const struct opt *const *opts, void *config,
		  int (*bare)(void *config, const char *word, struct errmsg *err),
		  struct opt_rest *ret_rest, struct errmsg *err);

/** options_print - the help of the tables, 80 columns wide */
void options_print(FILE *out, const struct opt *const *opts);

#endif
