/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What compilers append to the name of a function when they copy or split it: `.isra.0`, `.cold`,
 * `.llvm.123`.  Readers know the function by the name that it has in its source.
 */
#ifndef EBPFPROF_SYMBOLIZER_CLONE_SUFFIX_H
#define EBPFPROF_SYMBOLIZER_CLONE_SUFFIX_H

#include <stdbool.h>
#include <stddef.h>

/**
 * clone_suffix_start - where suffixes begin in the linker name [@name, @name + @len)
 *
 * For a mangled name the dot behind its end, for others the first dot; @len if there is none.
 */
size_t clone_suffix_start(const char *name, size_t len);

/**
 * clone_suffix_tidy - the parts of @suffix that are no clone's
 * @suffix: "" or `.WORD...`, to its NUL
 * @mangled: what stands before is a mangled name, to which only compilers append
 * @kept: strlen(@suffix) + 1 bytes: filled with what stays, such as `._omp_fn.0`
 */
void clone_suffix_tidy(const char *suffix, bool mangled, char *kept);

#endif
