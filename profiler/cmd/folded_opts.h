/* SPDX-License-Identifier: BSD-2-Clause */
/* How names look in folded stacks: options that `folded` and `record` share. */
#ifndef EBPFPROF_CMD_FOLDED_OPTS_H
#define EBPFPROF_CMD_FOLDED_OPTS_H

#include "profiler/base/options.h"
#include "proto/folded.h"

/* Entries of a table whose config struct has a struct folded_options at @offset. */
#define FOLDED_OPTS(offset)                                                                        \
	{ OPT_SET, 0, "lines", NULL, "folded: name (file.c:42) where known",                       \
	  (offset) + offsetof(struct folded_options, lines) },                                     \
	{ OPT_SET, 0, "annotate", NULL,                                                            \
	  "folded: _[i] behind inlined functions, _[k]\nkernel, _[j] JIT",                         \
	  (offset) + offsetof(struct folded_options, annotate) }

#endif
