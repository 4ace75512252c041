/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file behind a mapping, opened without trusting the process that maps it.  Part of
 * binary.c; nobody else includes this, tests aside.
 */
#ifndef EBPFPROF_SYMBOLIZER_BINARY_OPEN_H
#define EBPFPROF_SYMBOLIZER_BINARY_OPEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "symbolizer/elf.h"

struct binary_request;

/* An opened file and what its headers say. */
struct binary_file {
	int fd;					 /* -1 = closed */
	uint64_t device, inode, mtime_ns, bytes; /* by fstat(2) */
	int elf_error; /* 0, or why it is no ELF file that we read: elf_file_open() */
	struct elf_build_id build_id;
	struct elf_segment *segments; /* heap, [segment_cnt] */
	size_t segment_cnt;
};

/**
 * binary_open - open the file that @request names, by the first way that leads to it
 *
 * See binary_get() for the ways and for what makes a file the right one.
 * Errors: -ESTALE what is there is another file; -EINVAL no regular file; else the -errno of the
 * last way; -ENOMEM.
 */
int binary_open(const char *proc_root, const struct binary_request *request,
		struct binary_file *ret);

/** binary_file_read_memory - fill build_id and segments from an image in memory; -errno */
int binary_file_read_memory(void *image, size_t size, struct binary_file *ret);

/** binary_file_close - release everything; the file is empty and closed */
void binary_file_close(struct binary_file *file);

#endif
