/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interned locations, their mappings and their names.  Part of symbolizer.c.
 *
 * The store owns all strings.  A location that is neither found nor added between two trims is
 * freed by the second, its mapping and name with the last location that uses them.
 */
#ifndef EBPFPROF_SYMBOLIZER_LOCATION_STORE_H
#define EBPFPROF_SYMBOLIZER_LOCATION_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "symbolizer/location.h"

struct location_store;

/* What makes two addresses the same location. */
struct location_key {
	uint64_t owner; /* binary_id() or process_id(); 0 = the host */
	uint64_t address;
	uint64_t name; /* hash, where an address can change its name; else 0 */
	uint32_t kind; /* enum location_kind */
	uint32_t variant;
};

/* One function of a new location. */
struct location_text {
	const char *name; /* system name; copied */
	bool linker_name; /* it may be mangled, and carry suffixes of clones */
	const char *filename; /* copied; NULL or "" = unknown */
	uint32_t line, start_line;
	const char *function; /* what people read, if it is not to be made of @name; copied */
};

/* What to make of a key that is new. */
struct location_draft {
	uint64_t address;
	bool named, awaited, stack_bottom;
	const struct location_text *texts; /* [text_cnt] innermost first */
	size_t text_cnt;		   /* >= 1 */
	const struct location_mapping *mapping; /* NULL = none */
	uint64_t mapping_owner; /* copy the mapping, once per (owner, start); 0 = it is static */
};

/**
 * location_store_new
 * @demangle: turn linker names into source names; @flags: how (enum demangle_flags)
 */
int location_store_new(bool demangle, unsigned int flags, struct location_store **ret);
void location_store_free(struct location_store *store);

/** location_store_find - NULL: not known yet */
const struct location *location_store_find(struct location_store *store,
					   const struct location_key *key);

/** location_store_add - @key is not known yet; NULL when memory is out */
const struct location *location_store_add(struct location_store *store,
					  const struct location_key *key,
					  const struct location_draft *draft);

/** location_store_trim - free what was not returned since the trim before this one */
void location_store_trim(struct location_store *store);

size_t location_store_cnt(const struct location_store *store);
size_t location_store_bytes(const struct location_store *store);

#endif
