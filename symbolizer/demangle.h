/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Linker names to source names: C++ (Itanium ABI), Rust legacy and v0, by libiberty.
 */
#ifndef EBPFPROF_SYMBOLIZER_DEMANGLE_H
#define EBPFPROF_SYMBOLIZER_DEMANGLE_H

#include <stddef.h>

#define DEMANGLE_NAME_MAX 16384 /* longer names are left alone */

/**
 * demangle - the source name of @name
 *
 * Suffixes of clones (.cold, .isra.0, .part.3, .constprop.0, .llvm.123) and @plt are kept behind
 * the demangled name. Rust's hash (::h0123456789abcdef) is dropped.
 * Returns a heap string, or NULL when @name is no mangled name (or too long, or memory is out):
 * use @name itself then.
 */
char *demangle(const char *name);

#endif
