/* SPDX-License-Identifier: BSD-2-Clause */
/* What lies behind a mapping, by the kernel's name for it.  Part of process.c. */
#ifndef EBPFPROF_SYMBOLIZER_PROCESS_MAP_H
#define EBPFPROF_SYMBOLIZER_PROCESS_MAP_H

struct binary_cache;
struct binary_request;
struct mapping;

/**
 * process_map_file - fill kind and binary of @mapping, whose addresses are set
 *
 * The binary is a reference for the caller.  Errors: -ENOMEM.
 */
int process_map_file(struct binary_cache *binaries, const struct binary_request *request,
		     struct mapping *mapping);

#endif
