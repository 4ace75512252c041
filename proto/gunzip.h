/* SPDX-License-Identifier: BSD-2-Clause */
/* Bounded gunzip of bytes in memory. */
#ifndef EBPFPROF_PROTO_GUNZIP_H
#define EBPFPROF_PROTO_GUNZIP_H

#include <stdbool.h>
#include <stddef.h>

struct errmsg;

/** is_gzip - do the bytes begin as a gzip file does (RFC 1952: 1f 8b)? */
bool is_gzip(const void *bytes, size_t len);

/**
 * gunzip - inflate all members of a gzip file
 * @limit: most bytes that may come out
 * @ret: heap, the caller's; NULL when nothing came out
 *
 * Errors: -EBADMSG damaged, cut short, or followed by other bytes; -EFBIG past @limit; -ENOMEM.
 * Cost: at most twice the output while growing.
 */
int gunzip(const void *bytes, size_t len, size_t limit, void **ret, size_t *ret_len,
	   struct errmsg *err);

#endif
