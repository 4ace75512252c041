/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Folded stacks: one line per stack, `process;outermost;...;leaf COUNT`, as flamegraph.pl,
 * speedscope and inferno read them.
 *
 * The first field is the sample's label `process` ([unknown] without one; absent when no sample
 * of the profile has it). In names ';' becomes ':', control characters (newline, tab, ...) and
 * Unicode white space become a space, empty and blank names become [unknown]; a name that would
 * end in white space and a number ("foo 12") has that last space replaced by '_', because
 * flamegraph.pl would read it as a count.
 * Lines of equal stacks are summed; lines are sorted bytewise, as LC_ALL=C sort does, so that
 * equal profiles give equal files; sums that are not positive are left out.
 */
#ifndef EBPFPROF_PROTO_FOLDED_H
#define EBPFPROF_PROTO_FOLDED_H

#include "proto/pprof.h"

struct folded_options {
	const char *value; /* sample type to count by; NULL = the first ("samples") */
	bool lines;	   /* `name (file.c:42)` where known; the file without its folders */
	bool annotate;	   /* _[k] kernel, _[j] JIT, or _[i] inlined behind names */
};

/**
 * folded_write - encode @profile as text
 * @options: NULL = none of them
 * Errors: -ENOENT no sample type @options->value (@err lists those there are); -ENOMEM; what
 * @sink returned.
 */
int folded_write(const struct profile *profile, const struct folded_options *options,
		 byte_sink_fn sink, void *context, struct errmsg *err);

#endif
