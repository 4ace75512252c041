/* SPDX-License-Identifier: BSD-2-Clause */
/* What frame_source.c has of frame_header.c. */
#ifndef EBPFPROF_SYMBOLIZER_FRAME_SOURCE_PRIVATE_H
#define EBPFPROF_SYMBOLIZER_FRAME_SOURCE_PRIVATE_H

#include <stdbool.h>

struct elf_file;
struct section;

/**
 * frame_section_of_header - .eh_frame by what PT_GNU_EH_FRAME says
 * @ret_ends_at_terminator: where it ends is not known; it reaches to its segment's end
 * Errors: -ENOENT there is no such thing; -ENOEXEC it is broken; -EIO; -ENOMEM.
 */
int frame_section_of_header(struct elf_file *elf, struct section *ret,
			    bool *ret_ends_at_terminator);

#endif
