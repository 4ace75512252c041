/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hash map from keys of one fixed size to values of one fixed size.
 *
 * Keys are compared as bytes: clear a key struct (`= {}`) before filling it, so that its padding
 * is equal too.  Open addressing with linear probing, at most 3/4 full; the hash is seeded from
 * the kernel once per process, because keys come from programs that may wish us ill.
 * Pointers to values stay valid until the next put, del or clear.  Not thread-safe.
 */
#ifndef EBPFPROF_BASE_HASHMAP_H
#define EBPFPROF_BASE_HASHMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hashmap {
	size_t key_bytes;
	size_t value_bytes;
	size_t cnt;
	size_t capacity; /* power of two, or 0 before the first put */
	uint8_t *used;	 /* [capacity] 1 where a slot holds an entry */
	char *slots;	 /* [capacity] key, then value, padded to 8 bytes each */
};

/** hash_bytes - seeded 64-bit hash of @size bytes; the seed differs in each run of the program */
uint64_t hash_bytes(const void *bytes, size_t size);

/** hashmap_init - make an empty map; allocates nothing yet */
void hashmap_init(struct hashmap *map, size_t key_bytes, size_t value_bytes);

/** hashmap_free - release everything; the map is empty and usable again */
void hashmap_free(struct hashmap *map);

/** hashmap_clear - drop all entries, and the memory of a map that had grown large */
void hashmap_clear(struct hashmap *map);

/** hashmap_get - the value of @key, or NULL */
void *hashmap_get(const struct hashmap *map, const void *key);

/**
 * hashmap_put - the value of @key, added as zero bytes if it is new
 * @ret_new: set to whether it is new; may be NULL
 *
 * Returns NULL when memory is out; the map is unchanged then.
 */
void *hashmap_put(struct hashmap *map, const void *key, bool *ret_new);

/** hashmap_del - remove @key; returns whether it was there */
bool hashmap_del(struct hashmap *map, const void *key);

/**
 * hashmap_next - walk all entries
 * @cursor: 0 at first
 *
 * Returns false at the end.  Neither put nor del while walking.
 */
bool hashmap_next(const struct hashmap *map, size_t *cursor, const void **ret_key,
		  void **ret_value);

/** hashmap_bytes - heap bytes that the map holds */
size_t hashmap_bytes(const struct hashmap *map);

#endif
