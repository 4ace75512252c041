/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine code of a file that a process maps. */
#ifndef EBPFPROF_SYMBOLIZER_BINARY_CODE_H
#define EBPFPROF_SYMBOLIZER_BINARY_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct binary;

/** binary_read_code - [@address, @address + @size) by ELF virtual address; false: not in its file */
bool binary_read_code(struct binary *binary, uint64_t address, void *bytes, size_t size);

#endif
