/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Three kinds of heap objects, each found by a hash map: locations, and the names and mappings
 * that they share and count references of.  Some ten addresses of a hot function share one
 * name, which for C++ is longer than all the rest, and is demangled once.
 *
 * A string table would be denser, but could only be emptied as a whole: an agent that runs for
 * weeks must be able to forget the functions of programs that ended.
 */
#include "symbolizer/location_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/hashmap.h"
#include "symbolizer/demangle.h"

enum name_kind {
	NAME_AS_IT_IS,
	NAME_OF_LINKER, /* what people read is made of it */
	NAME_GIVEN,	/* both are given */
};

/* Which name: its hash is seeded, so that no program can choose names that meet. */
struct name_key {
	uint64_t hash; /* of both texts, when both are given */
	uint64_t len;
	uint64_t kind;
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
	struct shared_mapping *mapping; /* NULL: none, or a static one */
	struct entry *next_dead;
	struct name **names; /* [2 * line_cnt] function and file of each line, behind the lines */
	struct location location; /* with its lines behind it */
};

struct location_store {
	bool demangle;
	unsigned int demangle_flags;
	uint64_t generation;	 /* trims so far */
	size_t bytes;		 /* of names, mappings and entries */
	struct hashmap entries;	 /* struct location_key -> struct entry * */
	struct hashmap names;	 /* struct name_key -> struct name * */
	struct hashmap mappings; /* struct mapping_key -> struct shared_mapping * */
};

int location_store_new(bool demangle, unsigned int flags, struct location_store **ret)
{
	struct location_store *store = calloc(1, sizeof(*store));

	if (!store)
		return -ENOMEM;
	store->demangle = demangle;
	store->demangle_flags = flags;
	hashmap_init(&store->entries, sizeof(struct location_key), sizeof(struct entry *));
	hashmap_init(&store->names, sizeof(struct name_key), sizeof(struct name *));
	hashmap_init(&store->mappings, sizeof(struct mapping_key), sizeof(struct shared_mapping *));
	*ret = store;
	return 0;
}

/* What people read of @key's name, on the heap; NULL: the name itself. */
static char *readable(const struct name_key *key, const char *text, const char *function,
		      unsigned int demangle_flags)
{
	char *made = NULL;

	if (key->kind == NAME_OF_LINKER)
		made = source_name(text, demangle_flags);
	else if (key->kind == NAME_GIVEN)
		made = strdup(function);
	if (made && !made[0]) {
		free(made);
		made = NULL;
	}
	return made;
}

static struct name *make_name(const struct name_key *key, const char *text, const char *function,
			      unsigned int demangle_flags)
{
	struct name *name = malloc(sizeof(*name) + key->len + 1);

	if (!name)
		return NULL;
	*name = (struct name){ .key = *key, .refs = 1, .bytes = sizeof(*name) + key->len + 1 };
	memcpy(name->system_name, text, key->len + 1);
	name->function = readable(key, text, function, demangle_flags);
	if (name->function)
		name->bytes += strlen(name->function) + 1;
	else
		name->function = name->system_name;
	return name;
}

static void free_name(struct name *name)
{
	if (name->function != name->system_name)
		free(name->function);
	free(name);
}

static struct name *get_name(struct location_store *store, const char *text, enum name_kind kind,
			     const char *function)
{
	struct name_key key = { .len = strlen(text), .kind = kind };
	struct name **slot, *name;
	bool is_new;

	key.hash = hash_bytes(text, key.len);
	if (kind == NAME_GIVEN)
		key.hash ^= hash_bytes(function, strlen(function)) * 3;
	slot = hashmap_put(&store->names, &key, &is_new);
	if (!slot)
		return NULL;
	if (!is_new) {
		(*slot)->refs++;
		return *slot;
	}
	name = make_name(&key, text, function, store->demangle_flags);
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

static size_t entry_bytes(size_t line_cnt)
{
	return sizeof(struct entry) +
	       line_cnt * (sizeof(struct location_line) + 2 * sizeof(struct name *));
}

static void free_entry(struct location_store *store, struct entry *entry)
{
	size_t i, cnt = entry->location.line_cnt;

	hashmap_del(&store->entries, &entry->key);
	for (i = 0; i < 2 * cnt; i++) {
		if (entry->names[i])
			put_name(store, entry->names[i]);
	}
	put_mapping(store, entry->mapping);
	store->bytes -= entry_bytes(cnt);
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

static bool fill_line(struct location_store *store, const struct location_text *text,
		      struct location_line *line, struct name *names[2])
{
	enum name_kind kind = NAME_AS_IT_IS;

	if (text->function && strcmp(text->function, text->name) != 0)
		kind = NAME_GIVEN;
	else if (text->linker_name && store->demangle)
		kind = NAME_OF_LINKER;
	names[0] = get_name(store, text->name, kind, text->function);
	if (!names[0])
		return false;
	line->function = names[0]->function;
	line->system_name = names[0]->system_name;
	line->line = text->line;
	line->start_line = text->start_line;
	if (!text->filename || !text->filename[0])
		return true;
	names[1] = get_name(store, text->filename, NAME_AS_IT_IS, NULL);
	if (!names[1])
		return false;
	line->filename = names[1]->system_name;
	return true;
}

/* Names and mapping of a new entry; false when memory is out, to be undone by free_entry(). */
static bool fill_entry(struct location_store *store, struct entry *entry,
		       const struct location_draft *draft)
{
	struct location *location = &entry->location;
	size_t i;

	location->kind = (enum location_kind)entry->key.kind;
	location->owner = entry->key.owner;
	location->address = draft->address;
	location->named = draft->named;
	location->stack_bottom = draft->stack_bottom;
	location->awaited = draft->awaited;
	location->mapping = draft->mapping;
	if (draft->mapping && draft->mapping_owner) {
		entry->mapping = get_mapping(store, draft->mapping_owner, draft->mapping);
		if (!entry->mapping)
			return false;
		location->mapping = &entry->mapping->mapping;
	}
	for (i = 0; i < draft->text_cnt; i++) {
		if (!fill_line(store, &draft->texts[i], &location->lines[i], entry->names + 2 * i))
			return false;
	}
	return true;
}

const struct location *location_store_add(struct location_store *store,
					  const struct location_key *key,
					  const struct location_draft *draft)
{
	struct entry *entry = calloc(1, entry_bytes(draft->text_cnt)), **slot;

	if (!entry)
		return NULL;
	slot = hashmap_put(&store->entries, key, NULL);
	if (!slot) {
		free(entry);
		return NULL;
	}
	*slot = entry;
	store->bytes += entry_bytes(draft->text_cnt);
	entry->key = *key;
	entry->generation = store->generation;
	entry->names = (struct name **)&entry->location.lines[draft->text_cnt];
	entry->location.line_cnt = (uint32_t)draft->text_cnt;
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
