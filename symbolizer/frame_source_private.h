/* SPDX-License-Identifier: BSD-2-Clause */
/* What frame_source.c has of frame_header.c, frame_stubs.c and frame_context.c. */
#ifndef EBPFPROF_SYMBOLIZER_FRAME_SOURCE_PRIVATE_H
#define EBPFPROF_SYMBOLIZER_FRAME_SOURCE_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "symbolizer/section.h"

struct elf_file;
struct frame_builder;

/**
 * frame_section_of_header - .eh_frame by what PT_GNU_EH_FRAME says
 * @ret_ends_at_terminator: where it ends is not known; it reaches to its segment's end
 * Errors: -ENOENT there is no such thing; -ENOEXEC it is broken; -EIO; -ENOMEM.
 */
int frame_section_of_header(struct elf_file *elf, struct section *ret,
			    bool *ret_ends_at_terminator);

#define FRAME_STUBS_SECTIONS 4

/* Sections of stubs of the procedure linkage table, by ascending address; none is owned. */
struct frame_stubs {
	struct section sections[FRAME_STUBS_SECTIONS];
	size_t cnt;
};

/** frame_stubs_open - Errors: -EIO; -ENOMEM */
int frame_stubs_open(struct elf_file *elf, struct frame_stubs *ret);

/** frame_stubs_range, frame_stubs_emit - of section @index < cnt */
void frame_stubs_range(const struct frame_stubs *stubs, size_t index, uint64_t *ret_start,
		       uint64_t *ret_end);
int frame_stubs_emit(struct frame_stubs *stubs, size_t index, struct frame_builder *builder);

/**
 * frame_context_find - where a stack made by makecontext() begins: __start_context, or 0
 * Errors: -ENOMEM.
 */
int frame_context_find(struct elf_file *elf, uint64_t *ret);

#endif
