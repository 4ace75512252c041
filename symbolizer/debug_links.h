/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a file says of the separate file that belongs to it.  Part of debug_files.c.
 *
 * Sources: GDB manual, "Debugging Information in Separate Files" (.gnu_debuglink); dwz(1)
 * (.gnu_debugaltlink); DWARF 5, 7.3.6 (.debug_sup).
 */
#ifndef EBPFPROF_SYMBOLIZER_DEBUG_LINKS_H
#define EBPFPROF_SYMBOLIZER_DEBUG_LINKS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "symbolizer/elf.h"

/* .gnu_debuglink */
struct debug_link {
	char name[NAME_MAX + 1]; /* of a file, without a folder; "" = none */
	uint32_t crc;		 /* zlib's crc32() of the whole file */
};

/* .gnu_debugaltlink, or .debug_sup of a file that has a supplementary file */
struct debug_sup_link {
	char path[PATH_MAX];
	bool is_dwarf5; /* from .debug_sup: `id` is its checksum, not a build-id */
	struct elf_build_id id;
};

/**
 * debug_link_read
 * Errors: -ENODATA no such section; -ENOEXEC broken, or the name is none of a file; -EIO;
 * -ENOMEM.  *@ret has no name then.
 */
int debug_link_read(struct elf_file *elf, struct debug_link *ret);

/** debug_sup_link_read - errors as above */
int debug_sup_link_read(struct elf_file *elf, struct debug_sup_link *ret);

/** debug_sup_checksum - what .debug_sup of the supplementary file @elf itself says; as above */
int debug_sup_checksum(struct elf_file *elf, struct elf_build_id *ret);

#endif
