/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a runtime writes into its perf-map or jitdump for one piece of code, taken apart: V8
 * (node 8 and later), .NET, HotSpot (jcmd Compiler.perfmap, perf's and others' JVM agents), and
 * CPython 3.12.  A pure function of the name.
 *
 * The whole name is the symbol's system name; it alone has V8's tier (`~` interpreter, `^`
 * baseline, `+` maglev, `*` turbofan), .NET's tier, and the types of arguments.
 */
#ifndef EBPFPROF_SYMBOLIZER_JIT_NAME_H
#define EBPFPROF_SYMBOLIZER_JIT_NAME_H

#include <stdint.h>

#define JIT_NAME_MAX 2048 /* bytes of a name with its NUL; longer ones are cut */

struct jit_name {
	char function[JIT_NAME_MAX]; /* to read; "(anonymous)" where V8 has none */
	char filename[JIT_NAME_MAX]; /* source; file:// URLs as paths; "" = unknown */
	uint32_t start_line;	     /* of the function; 0 = unknown */
};

/**
 * jit_name_split - fill @ret from a raw name
 *
 * A name in none of the known forms becomes the function, unchanged, without a file.
 */
void jit_name_split(const char *raw, struct jit_name *ret);

/** jit_name_path - a script's name as V8 gives it: a file:/// URL as a path, others as they are */
void jit_name_path(const char *script, char ret[JIT_NAME_MAX]);

#endif
