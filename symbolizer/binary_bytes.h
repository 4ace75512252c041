/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is behind a binary, for those who read it themselves, on a thread of their own perhaps: all
 * of binary.h stays with its one thread, a descriptor may go to another.
 */
#ifndef EBPFPROF_SYMBOLIZER_BINARY_BYTES_H
#define EBPFPROF_SYMBOLIZER_BINARY_BYTES_H

#include <stddef.h>

#include "symbolizer/elf.h"

struct binary;

/**
 * binary_dup_file - a descriptor of the file, the caller's; to be read by pread(2)
 *
 * Opens the file again if need be, which can change what binary_error() says.
 * Errors: -ENOENT it is in memory: binary_image(); as binary_error(); -ESTALE the file was replaced
 * since; -EMFILE, -ENFILE.
 */
int binary_dup_file(struct binary *binary, int *ret_fd);

/** binary_image - the ELF image in memory (vdso); NULL: it is a file.  The binary's */
void *binary_image(const struct binary *binary, size_t *ret_size);

const struct elf_build_id *binary_build_id_bytes(const struct binary *binary);

/** binary_segments - its PT_LOADs; 0 when it was never opened, or is no ELF file that we read */
size_t binary_segments(const struct binary *binary, const struct elf_segment **ret);

#endif
