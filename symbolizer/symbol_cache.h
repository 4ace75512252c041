/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What was made of files once, kept on disk for the next run: $XDG_CACHE_HOME/ebpfprof
 * (~/.cache/ebpfprof), for root /var/cache/ebpfprof.
 *
 * An entry is KIND/BUILD-ID: a header (magic, format version, kind, size, stamp, checksum), then
 * the payload, which is mapped.  Mapping is safe here, and only here: entries are written to a
 * temporary name and renamed, never changed; a directory or file that is not ours (owner, mode
 * writable by others, a link) is not used.  An entry that does not fit in any way is ignored,
 * removed and made anew.  The folder is kept below a size: the entries used longest ago go.
 * One struct symbol_cache is of one thread; several of the same folder, in one process or in many,
 * do not disturb each other.
 */
#ifndef EBPFPROF_SYMBOLIZER_SYMBOL_CACHE_H
#define EBPFPROF_SYMBOLIZER_SYMBOL_CACHE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "symbolizer/elf.h"

struct symbol_cache;

enum symbol_cache_kind {
	CACHE_SYMTAB,
	CACHE_DWARF_INDEX,
	CACHE_FRAME_TABLE,
	CACHE_KIND_CNT,
};

struct symbol_cache_config {
	const char *folder; /* NULL = the default one */
	uint64_t max_bytes; /* 0 = 512 MiB */
};

/* A mapped entry; valid until symbol_cache_release(). */
struct symbol_cache_entry {
	const void *payload; /* 8-byte aligned, [size] */
	size_t size;
	void *map;
	size_t map_bytes;
};

/** symbol_cache_new - -errno when the folder can be neither used nor made: go on without */
int symbol_cache_new(const struct symbol_cache_config *config, struct symbol_cache **ret);
void symbol_cache_free(struct symbol_cache *cache);

/**
 * symbol_cache_get - the entry of @build_id
 * @stamp: what it must have been made of (a hash of the files' identities): another one is stale
 * Errors: -ENOENT there is none that fits; -ENOMEM.
 */
int symbol_cache_get(struct symbol_cache *cache, enum symbol_cache_kind kind,
		     const struct elf_build_id *build_id, uint64_t stamp,
		     struct symbol_cache_entry *ret);
void symbol_cache_release(struct symbol_cache_entry *entry);

/**
 * symbol_cache_put - write an entry, its payload given in @parts
 * Makes room if need be; an entry larger than a quarter of the cache, or than
 * `ulimit -f` allows, is not written (-EFBIG).
 * Errors: -errno; nothing is left behind then.
 */
int symbol_cache_put(struct symbol_cache *cache, enum symbol_cache_kind kind,
		     const struct elf_build_id *build_id, uint64_t stamp, const struct iovec *parts,
		     int part_cnt);

#endif
