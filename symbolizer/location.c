/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Three kinds of heap objects, each found by a hash map: locations, and the names and mappings
 * that they share and count references of.  Some ten addresses of a hot function share one
 * name, which for C++ is longer than all the rest, and is demangled once.
 *
 * A string table would be denser, but could only be emptied as a whole: an agent that runs for
 * weeks must be able to forget the functions of programs that ended.
 */
#include "symbolizer/location.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/hashmap.h"
#include "symbolizer/demangle.h"

/* Which name: its hash is seeded, so that no program can choose names that meet. */
struct name_key {
	uint64_t hash;
	uint64_t len;
	uint64_t mangled;
};

struct name {
	struct name_key key;
	unsigned int refs;
	size_t bytes;	/* of this and what it points to */
	char *function; /* heap, or system_name */
	char system_name[];
};

struct mapping_key {
	uint64_t owner, start, limit, offset;
};

struct shared_mapping {
	struct mapping_key key;
	unsigned int refs;
	size_t bytes;
	struct location_mapping mapping;
	char text[]; /* file name, build-id */
};

struct entry {
	struct location_key key;
	uint64_t generation; /* of the store when it was returned last */
	struct name *name;
	struct shared_mapping *mapping; /* NULL: none, or a static one */
	struct entry *next_dead;
	struct location location; /* with its lines behind it */
};

struct location_store {
	bool demangle;
	uint64_t generation;	 /* trims so far */
	size_t bytes;		 /* of names, mappings and entries */
	struct hashmap entries;	 /* struct location_key -> struct entry * */
	struct hashmap names;	 /* struct name_key -> struct name * */
	struct hashmap mappings; /* struct mapping_key -> struct shared_mapping * */
};

int location_store_new(bool demangle, struct location_store **ret)
{
	struct location_store *store = calloc(1, sizeof(*store));

	if (!store)
		return -ENOMEM;
	store->demangle = demangle;
	hashmap_init(&store->entries, sizeof(struct location_key), sizeof(struct entry *));
	hashmap_init(&store->names, sizeof(struct name_key), sizeof(struct name *));
	hashmap_init(&store->mappings, sizeof(struct mapping_key), sizeof(struct shared_mapping *));
	*ret = store;
	return 0;
}

static struct name *make_name(const struct name_key *key, const char *text)
{
	struct name *name = malloc(sizeof(*name) + key->len + 1);

	if (!name)
		return NULL;
	*name = (struct name){ .key = *key, .refs = 1, .bytes = sizeof(*name) + key->len + 1 };
	memcpy(name->system_name, text, key->len + 1);
	name->function = key->mangled ? source_name(text, 0) : NULL;
	if (name->function && name->function[0]) {
		name->bytes += strlen(name->function) + 1;
	} else {
		free(name->function);
		name->function = name->system_name;
	}
	return name;
}

static void free_name(struct name *name)
{
	if (name->function != name->system_name)
		free(name->function);
	free(name);
}

static struct name *get_name(struct location_store *store, const char *text, bool mangled)
{
	struct name_key key = { .len = strlen(text), .mangled = store->demangle && mangled };
	struct name **slot, *name;
	bool is_new;

	key.hash = hash_bytes(text, key.len);
	slot = hashmap_put(&store->names, &key, &is_new);
	if (!slot)
		return NULL;
	if (!is_new) {
		(*slot)->refs++;
		return *slot;
	}
	name = make_name(&key, text);
	if (!name) {
		hashmap_del(&store->names, &key);
		return NULL;
	}
	store->bytes += name->bytes;
	*slot = name;
	return name;
}

static void put_name(struct location_store *store, struct name *name)
{
	if (--name->refs)
		return;
	hashmap_del(&store->names, &name->key);
	store->bytes -= name->bytes;
	free_name(name);
}

static struct shared_mapping *make_mapping(const struct mapping_key *key,
					   const struct location_mapping *mapping)
{
	size_t filename_size = strlen(mapping->filename) + 1;
	size_t build_id_size = strlen(mapping->build_id) + 1;
	size_t bytes = sizeof(struct shared_mapping) + filename_size + build_id_size;
	struct shared_mapping *shared = malloc(bytes);

	if (!shared)
		return NULL;
	shared->key = *key;
	shared->refs = 1;
	shared->bytes = bytes;
	shared->mapping = *mapping;
	shared->mapping.filename = memcpy(shared->text, mapping->filename, filename_size);
	shared->mapping.build_id =
		memcpy(shared->text + filename_size, mapping->build_id, build_id_size);
	return shared;
}

static struct shared_mapping *get_mapping(struct location_store *store, uint64_t owner,
					  const struct location_mapping *mapping)
{
	struct mapping_key key = { owner, mapping->start, mapping->limit, mapping->offset };
	struct shared_mapping **slot, *shared;
	bool is_new;

	slot = hashmap_put(&store->mappings, &key, &is_new);
	if (!slot)
		return NULL;
	if (!is_new) {
		(*slot)->refs++;
		return *slot;
	}
	shared = make_mapping(&key, mapping);
	if (!shared) {
		hashmap_del(&store->mappings, &key);
		return NULL;
	}
	store->bytes += shared->bytes;
	*slot = shared;
	return shared;
}

static void put_mapping(struct location_store *store, struct shared_mapping *shared)
{
	if (!shared || --shared->refs)
		return;
	hashmap_del(&store->mappings, &shared->key);
	store->bytes -= shared->bytes;
	free(shared);
}

static size_t entry_bytes(void)
{
	return sizeof(struct entry) + sizeof(struct location_line);
}

static void free_entry(struct location_store *store, struct entry *entry)
{
	hashmap_del(&store->entries, &entry->key);
	if (entry->name)
		put_name(store, entry->name);
	put_mapping(store, entry->mapping);
	store->bytes -= entry_bytes();
	free(entry);
}

/* Frees what was returned last before @generation. */
static void free_older(struct location_store *store, uint64_t generation)
{
	struct entry *dead = NULL;
	size_t cursor = 0;
	void *value;

	while (hashmap_next(&store->entries, &cursor, NULL, &value)) {
		struct entry *entry = *(struct entry **)value;

		if (entry->generation >= generation)
			continue;
		entry->next_dead = dead;
		dead = entry;
	}
	while (dead) {
		struct entry *next = dead->next_dead;

		free_entry(store, dead);
		dead = next;
	}
}

void location_store_free(struct location_store *store)
{
	if (!store)
		return;
	free_older(store, UINT64_MAX);
	hashmap_free(&store->entries);
	hashmap_free(&store->names);
	hashmap_free(&store->mappings);
	free(store);
}

const struct location *location_store_find(struct location_store *store,
					   const struct location_key *key)
{
	struct entry **entry = hashmap_get(&store->entries, key);

	if (!entry)
		return NULL;
	(*entry)->generation = store->generation;
	return &(*entry)->location;
}

/* Name and mapping of a new entry; false when memory is out, to be undone by free_entry(). */
static bool fill_entry(struct location_store *store, struct entry *entry,
		       const struct location_draft *draft)
{
	struct location *location = &entry->location;

	location->kind = (enum location_kind)entry->key.kind;
	location->address = draft->address;
	location->named = draft->named;
	location->stack_bottom = draft->stack_bottom;
	location->mapping = draft->mapping;
	location->line_cnt = 1;
	if (draft->mapping && draft->mapping_owner) {
		entry->mapping = get_mapping(store, draft->mapping_owner, draft->mapping);
		if (!entry->mapping)
			return false;
		location->mapping = &entry->mapping->mapping;
	}
	entry->name = get_name(store, draft->name, draft->mangled);
	if (!entry->name)
		return false;
	location->lines[0].function = entry->name->function;
	location->lines[0].system_name = entry->name->system_name;
	return true;
}

const struct location *location_store_add(struct location_store *store,
					  const struct location_key *key,
					  const struct location_draft *draft)
{
	struct entry *entry = calloc(1, entry_bytes()), **slot;

	if (!entry)
		return NULL;
	slot = hashmap_put(&store->entries, key, NULL);
	if (!slot) {
		free(entry);
		return NULL;
	}
	*slot = entry;
	store->bytes += entry_bytes();
	entry->key = *key;
	entry->generation = store->generation;
	if (!fill_entry(store, entry, draft)) {
		free_entry(store, entry);
		return NULL;
	}
	return &entry->location;
}

void location_store_trim(struct location_store *store)
{
	store->generation++;
	free_older(store, store->generation - 1);
}

size_t location_store_cnt(const struct location_store *store)
{
	return store->entries.cnt;
}

size_t location_store_bytes(const struct location_store *store)
{
	return sizeof(*store) + store->bytes + hashmap_bytes(&store->entries) +
	       hashmap_bytes(&store->names) + hashmap_bytes(&store->mappings);
}
