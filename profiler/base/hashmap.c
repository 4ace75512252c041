/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Linear probing with backward-shift deletion: no tombstones, so that a map which lives as long
 * as the agent (processes, locations) does not slow down with age.
 */
#include "profiler/base/hashmap.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define FIRST_CAPACITY 16u
#define KEEP_CAPACITY 4096u /* hashmap_clear() keeps at most this many slots */

static uint64_t mix(uint64_t hash)
{
	hash ^= hash >> 32;
	hash *= 0xd6e8feb86659fd93ull;
	hash ^= hash >> 32;
	hash *= 0xd6e8feb86659fd93ull;
	return hash ^ (hash >> 32);
}

/* Threads that come first at the same time must end up with the same one. */
static uint64_t hash_seed(void)
{
	static _Atomic uint64_t seed;
	uint64_t known = atomic_load_explicit(&seed, memory_order_relaxed), made;

	if (known)
		return known;
	if (getrandom(&made, sizeof(made), GRND_NONBLOCK) != sizeof(made))
		made = mix((uintptr_t)&seed);
	made |= 1;
	return atomic_compare_exchange_strong(&seed, &known, made) ? made : known;
}

uint64_t hash_bytes(const void *bytes, size_t size)
{
	const char *at = bytes;
	uint64_t hash = hash_seed() ^ size, word;

	while (size >= sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		hash = mix(hash ^ word);
		at += sizeof(word);
		size -= sizeof(word);
	}
	if (size) {
		word = 0;
		memcpy(&word, at, size);
		hash = mix(hash ^ word);
	}
	return mix(hash);
}

static size_t align8(size_t size)
{
	return (size + 7) & ~(size_t)7;
}

static size_t slot_bytes(const struct hashmap *map)
{
	return align8(map->key_bytes) + align8(map->value_bytes);
}

static char *slot_at(const struct hashmap *map, size_t index)
{
	return map->slots + index * slot_bytes(map);
}

void hashmap_init(struct hashmap *map, size_t key_bytes, size_t value_bytes)
{
	*map = (struct hashmap){ .key_bytes = key_bytes, .value_bytes = value_bytes };
}

void hashmap_free(struct hashmap *map)
{
	free(map->used);
	free(map->slots);
	hashmap_init(map, map->key_bytes, map->value_bytes);
}

void hashmap_clear(struct hashmap *map)
{
	if (map->capacity > KEEP_CAPACITY) {
		hashmap_free(map);
		return;
	}
	if (map->capacity)
		memset(map->used, 0, map->capacity);
	map->cnt = 0;
}

/* The slot of @key, or the empty one where it would go. Needs capacity > 0. */
static size_t find_slot(const struct hashmap *map, const void *key)
{
	size_t mask = map->capacity - 1;
	size_t index = hash_bytes(key, map->key_bytes) & mask;

	while (map->used[index] && memcmp(slot_at(map, index), key, map->key_bytes) != 0)
		index = (index + 1) & mask;
	return index;
}

void *hashmap_get(const struct hashmap *map, const void *key)
{
	size_t index;

	if (!map->cnt)
		return NULL;
	index = find_slot(map, key);
	return map->used[index] ? slot_at(map, index) + align8(map->key_bytes) : NULL;
}

static bool grow(struct hashmap *map)
{
	struct hashmap bigger = *map;
	size_t i;

	bigger.capacity = map->capacity ? map->capacity * 2 : FIRST_CAPACITY;
	bigger.used = calloc(bigger.capacity, 1);
	bigger.slots = malloc(bigger.capacity * slot_bytes(map));
	if (!bigger.used || !bigger.slots) {
		free(bigger.used);
		free(bigger.slots);
		return false;
	}
	for (i = 0; i < map->capacity; i++) {
		size_t to;

		if (!map->used[i])
			continue;
		to = find_slot(&bigger, slot_at(map, i));
		bigger.used[to] = 1;
		memcpy(slot_at(&bigger, to), slot_at(map, i), slot_bytes(map));
	}
	free(map->used);
	free(map->slots);
	*map = bigger;
	return true;
}

void *hashmap_put(struct hashmap *map, const void *key, bool *ret_new)
{
	size_t index;
	char *slot;

	/* A known key needs no room: growing first would fail for it when memory is out. */
	if (map->capacity) {
		index = find_slot(map, key);
		if (map->used[index]) {
			if (ret_new)
				*ret_new = false;
			return slot_at(map, index) + align8(map->key_bytes);
		}
	}
	if ((map->cnt + 1) * 4 > map->capacity * 3 && !grow(map))
		return NULL;
	index = find_slot(map, key);
	slot = slot_at(map, index);
	map->used[index] = 1;
	map->cnt++;
	memset(slot, 0, slot_bytes(map));
	memcpy(slot, key, map->key_bytes);
	if (ret_new)
		*ret_new = true;
	return slot + align8(map->key_bytes);
}

bool hashmap_del(struct hashmap *map, const void *key)
{
	size_t mask, hole, next;

	if (!map->cnt)
		return false;
	hole = find_slot(map, key);
	if (!map->used[hole])
		return false;
	mask = map->capacity - 1;
	for (next = (hole + 1) & mask; map->used[next]; next = (next + 1) & mask) {
		size_t home = hash_bytes(slot_at(map, next), map->key_bytes) & mask;

		/* An entry may move back to the hole unless its home lies behind the hole. */
		if (((next - home) & mask) < ((next - hole) & mask))
			continue;
		memcpy(slot_at(map, hole), slot_at(map, next), slot_bytes(map));
		hole = next;
	}
	map->used[hole] = 0;
	map->cnt--;
	return true;
}

bool hashmap_next(const struct hashmap *map, size_t *cursor, const void **ret_key, void **ret_value)
{
	for (; *cursor < map->capacity; (*cursor)++) {
		if (!map->used[*cursor])
			continue;
		if (ret_key)
			*ret_key = slot_at(map, *cursor);
		if (ret_value)
			*ret_value = slot_at(map, *cursor) + align8(map->key_bytes);
		(*cursor)++;
		return true;
	}
	return false;
}

size_t hashmap_bytes(const struct hashmap *map)
{
	return map->capacity * (1 + slot_bytes(map));
}
