/* SPDX-License-Identifier: BSD-2-Clause */
/* Files, lines and inlined functions of the running kernel's text, where its vmlinux is installed.
 * Part of symbolizer_kernel.c. */
#ifndef EBPFPROF_SYMBOLIZER_KERNEL_LINES_H
#define EBPFPROF_SYMBOLIZER_KERNEL_LINES_H

#include <stdbool.h>
#include <stdint.h>

#include "symbolizer/kernel_debug.h"

struct binary;
struct binary_cache;
struct source_frames;

struct kernel_lines {
	struct kernel_debug_search search; /* strings are borrowed */
	struct binary_cache *binaries;
	bool is_wanted;
	bool tried;
	struct binary *vmlinux; /* NULL = there is none, or not looked for yet */
	uint64_t shift;
};

void kernel_lines_close(struct kernel_lines *lines);

/**
 * kernel_lines_find - the frames of kernel text address @address, innermost first
 * @stext, @etext: kallsyms_text_range(); looks for vmlinux at the first call
 *
 * False: nothing is known.
 */
bool kernel_lines_find(struct kernel_lines *lines, uint64_t stext, uint64_t etext,
		       uint64_t address, struct source_frames *ret);

#endif
