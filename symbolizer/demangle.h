/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Linker names to source names: C++ (Itanium ABI), Rust legacy and v0, by libiberty; and names of
 * any language without what compilers append to the copies and parts of a function.
 */
#ifndef EBPFPROF_SYMBOLIZER_DEMANGLE_H
#define EBPFPROF_SYMBOLIZER_DEMANGLE_H

#include <stddef.h>

#define DEMANGLE_NAME_MAX 16384	   /* longer names are left alone */
#define DEMANGLE_CPP_NAME_MAX 4096 /* the same of C++ */

enum demangle_flags {
	/*
	 * Without parameters, return type and qualifiers: `ns::C<int>::f`, `main::{lambda(int)#1}::
	 * operator()`, where there would be `void ns::C<int>::f(int) const`.  Types that are part of
	 * the name, as template arguments and the parameters that tell lambdas apart, are kept.
	 */
	DEMANGLE_SIMPLE = 1 << 0,
};

/**
 * demangle - the source name of the mangled name @name
 * @flags: enum demangle_flags
 *
 * Suffixes of clones (.cold, .isra.0, .part.3, .constprop.0, .llvm.123) and Rust's hash
 * (::h0123456789abcdef) are dropped; other suffixes (._omp_fn.0, .avx2.1) and @plt stay behind.
 * Returns a heap string, or NULL when @name is no mangled name (or too long, or memory is out):
 * use @name itself then.
 */
char *demangle(const char *name, unsigned int flags);

/**
 * source_name - demangle() of mangled names; others without the suffixes of clones
 *
 * A name that is all suffix, and dots that are the programmer's (`foo.bar`), are left alone.
 * Not for names of Go, whose functions may be called `main.cold`.
 * Returns a heap string, or NULL when it would be @linker_name itself, or memory is out.
 */
char *source_name(const char *linker_name, unsigned int flags);

#endif
