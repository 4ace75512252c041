/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the symbol cache share.  Nobody else includes this. */
#ifndef EBPFPROF_SYMBOLIZER_SYMBOL_CACHE_PRIVATE_H
#define EBPFPROF_SYMBOLIZER_SYMBOL_CACHE_PRIVATE_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "symbolizer/symbol_cache.h"

#define CACHE_TEMPORARY ".tmp-" /* begins the name of an entry that is being written */
#define CACHE_NAME_BYTES (2 * ELF_BUILD_ID_MAX + 1)

struct strbuf;

struct symbol_cache {
	int folders[CACHE_KIND_CNT]; /* descriptors */
	uid_t owner;		     /* of all that is used */
	uint64_t max_bytes;
	uint64_t bytes;	     /* of all entries, as far as we know; others write too */
	uint64_t scanned_ns; /* monotonic; 0 = never */
	int put_error;	     /* of the last put, if others will fail likewise */
	uint64_t put_error_ns;
};

/** cache_default_folder - append where the cache of user @owner lies; -ENOENT nowhere; -ENOMEM */
int cache_default_folder(uid_t owner, struct strbuf *path);

/** cache_open_folders - find or make the folders of @config; -errno, -EPERM if not ours alone */
int cache_open_folders(struct symbol_cache *cache, const char *folder);

/** cache_is_ours - owner and mode are such that nobody else can have written to it */
bool cache_is_ours(const struct symbol_cache *cache, const struct stat *info);

/** cache_file_bytes - what a file takes of the cache's size */
uint64_t cache_file_bytes(uint64_t size);

/** cache_make_room - drop what was not used for longest until @bytes more fit; -ENOMEM */
int cache_make_room(struct symbol_cache *cache, uint64_t bytes);

#endif
