/* SPDX-License-Identifier: BSD-2-Clause */
/* The memory of a living process, read and never written. */
#ifndef EBPFPROF_SYMBOLIZER_PROCESS_MEMORY_H
#define EBPFPROF_SYMBOLIZER_PROCESS_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * process_read_memory - copy [@address, @address + @size) of process @tgid; false: not there, or not
 * ours to read.  Source: process_vm_readv(2)
 */
bool process_read_memory(pid_t tgid, uint64_t address, void *bytes, size_t size);

#endif
