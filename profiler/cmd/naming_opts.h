/* SPDX-License-Identifier: BSD-2-Clause */
/* Options that say how addresses are named, shared by the commands that name any. */
#ifndef EBPFPROF_CMD_NAMING_OPTS_H
#define EBPFPROF_CMD_NAMING_OPTS_H

#include <stdbool.h>
#include <stddef.h>

#include "symbolizer/symbolizer.h"

struct naming_opts {
	bool no_demangle, simple_names, no_lines, no_cache;
	const char *debug_dir;
	size_t symbol_bytes;
};

/*
 * The options, as entries of a table whose config struct has a struct naming_opts at @offset.
 * A macro, because tables are constant and the offset differs.
 */
#define NAMING_OPTS(offset)                                                                        \
	{ OPT_SET, 0, "no-demangle", NULL, "C++ and Rust names as the linker has them",            \
	  (offset) + offsetof(struct naming_opts, no_demangle) },                                  \
	{ OPT_SET, 0, "simple-names", NULL, "C++ and Rust names without parameters",               \
	  (offset) + offsetof(struct naming_opts, simple_names) },                                 \
	{ OPT_SET, 0, "no-debug-info", NULL,                                                       \
	  "function names only: read no DWARF, so no\nfiles, lines and inlined functions",         \
	  (offset) + offsetof(struct naming_opts, no_lines) },                                     \
	{ OPT_TEXT, 0, "debug-dir", "DIR", "look here first for debug files",                      \
	  (offset) + offsetof(struct naming_opts, debug_dir) },                                    \
	{ OPT_SET, 0, "no-cache", NULL, "neither read nor write the cache of symbol tables",       \
	  (offset) + offsetof(struct naming_opts, no_cache) },                                     \
	{ OPT_BYTES, 0, "symbol-memory", "BYTES", "tables of names kept in memory (32M)",          \
	  (offset) + offsetof(struct naming_opts, symbol_bytes) }

/** naming_config - what the options say, for symbolizer_new() */
void naming_config(const struct naming_opts *opts, struct symbolizer_config *ret);

#endif
