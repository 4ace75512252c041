/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The executable mappings of one process over time.
 *
 * Each mapping lives from the time its mmap record was taken until another one is laid over it
 * (then the uncovered rests of the old one live on, as in the kernel).  munmap gives no record,
 * so an unmapped range stays findable until something replaces it: right for samples taken
 * before, harmless after.  Times are CLOCK_MONOTONIC ns.
 * Shared copy-on-write between a process and its forked children (reference-counted).
 */
#ifndef EBPFPROF_SYMBOLIZER_MAPPINGS_H
#define EBPFPROF_SYMBOLIZER_MAPPINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAPPINGS_MAX 65536 /* of one process; beyond, the oldest dead, then new ones are refused */

struct binary;

enum mapping_kind {
	MAPPING_FILE,
	MAPPING_JIT, /* executable memory without a file: //anon, [heap], memfd of a JIT */
	MAPPING_VDSO,
	MAPPING_VSYSCALL,
};

struct mapping {
	uint64_t start, end; /* runtime addresses, end exclusive */
	uint64_t offset;     /* file offset of start */
	uint64_t born_ns;    /* 0 = before we looked */
	uint64_t died_ns;    /* UINT64_MAX = alive */
	enum mapping_kind kind;
	struct binary *binary; /* reference held; NULL unless FILE or VDSO */
};

struct mappings;

int mappings_new(struct mappings **ret);
struct mappings *mappings_ref(struct mappings *list);
void mappings_unref(struct mappings *list);

/**
 * mappings_add - lay @mapping over what is there at its born_ns
 * @list: replaced by a private copy first if it is shared
 * @ret_replaced: whether a living mapping of another file or offset was covered, so that equal
 * addresses mean other code from now on; may be NULL
 *
 * Takes over mapping->binary's reference, on failure too.  Adding what is already there (same
 * range, file and offset) changes nothing.  Errors: -ENOMEM, -ENOSPC (MAPPINGS_MAX living ones).
 */
int mappings_add(struct mappings **list, const struct mapping *mapping, bool *ret_replaced);

/**
 * mappings_find - what was mapped at @address at @time_ns
 *
 * If nothing lived there then, the one that was born soonest after (its record may carry a later
 * stamp than the first sample in it).  NULL: nothing known.
 */
const struct mapping *mappings_find(const struct mappings *list, uint64_t address,
				    uint64_t time_ns);

/** mappings_next - walk the living ones: @cursor 0 at first; NULL at the end */
const struct mapping *mappings_next(const struct mappings *list, size_t *cursor);

/** mappings_trim - forget what died before @before_ns */
void mappings_trim(struct mappings *list, uint64_t before_ns);

size_t mappings_cnt(const struct mappings *list);
size_t mappings_bytes(const struct mappings *list);

#endif
