/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How well each binary is named: samples, frames and where the names come from, over a session.
 *
 * One entry per file (or per process, for code made at run time), at most BINARIES_MAX; samples
 * in others are counted in one entry without a name.
 */
#ifndef EBPFPROF_PIPELINE_BINARIES_H
#define EBPFPROF_PIPELINE_BINARIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "profiler/base/hashmap.h"
#include "symbolizer/symbolizer.h"
#include "symbolizer/symbolizer_source.h"

#define BINARIES_MAX 8192

struct binary_use {
	uint64_t samples;	/* taken in it: the leaf is its code */
	uint64_t frames, named; /* at all depths, weighted by samples */
	uint64_t stacks, complete; /* user stacks whose leaf is here; of them, walked to their end */
	enum location_kind kind;
	struct symbolizer_source source; /* see symbolizer.h */
	char *path;			 /* heap; NULL for the entry of all others */
};

struct binaries {
	struct hashmap by_owner; /* (kind, owner) -> struct binary_use * */
	struct binary_use others;
};

void binaries_init(struct binaries *binaries);
void binaries_free(struct binaries *binaries);

/**
 * binaries_get - the entry that @location belongs to
 * NULL: it is no code but a note, or memory is out.  Stays valid until
 * binaries_free().
 */
struct binary_use *binaries_get(struct binaries *binaries, struct symbolizer *symbolizer,
				const struct location *location);

/**
 * binaries_list - the entries with samples, most first, those of equal path, source and build summed
 * @ret: heap array, the caller's; paths borrowed from @binaries
 * Errors: -ENOMEM.
 */
int binaries_list(const struct binaries *binaries, struct binary_use **ret, size_t *ret_cnt);

#endif
