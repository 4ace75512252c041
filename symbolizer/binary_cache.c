/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One hash map leads from every name of a file to its struct binary.  A file has several names:
 * its build-id (all that the kernel's mmap record gives), the device and inode of a mapping (all
 * that /proc/PID/maps gives), what stat(2) says of the opened file, and for want of those its
 * path.  Opening a file ties them together, so a mapping seen both ways is one binary.
 *
 * When is a hit on a name still the same file?
 *  - Build-id: always.  A program that lies about its build-id is believed; but two files are
 *    only taken for one when their segments are equal too.
 *  - Device and inode: as long as we hold the file open, because an inode in use is not given
 *    to another file.  Else the mapping is opened again and compared by stat(2).
 *
 * Queues in order of use bound what is kept: open files, binaries that nothing refers to, and
 * (symbol_memory.h) what was read to name them.
 */
#include "symbolizer/binary_private.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/symtab.h"

#define IDLE_MAX 512 /* binaries kept without a reference */
#define KEYS_MAX 32  /* names of one binary: copies of one library in many containers */

enum key_kind {
	KEY_BUILD_ID = 1,
	KEY_MAPPED, /* device and inode of a mapping */
	KEY_STAT,
	KEY_PATH,
};

int binary_cache_new(const char *proc_root, size_t symbol_bytes_max, unsigned int fd_max,
		     struct binary_cache **ret)
{
	struct binary_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return -ENOMEM;
	cache->proc_root = strdup(proc_root);
	if (!cache->proc_root) {
		free(cache);
		return -ENOMEM;
	}
	symbol_memory_init(&cache->host.memory, symbol_bytes_max);
	cache->fd_max = MAX(fd_max, 1u);
	hashmap_init(&cache->by_key, sizeof(struct file_key), sizeof(struct binary *));
	hashmap_init(&cache->by_id, sizeof(uint64_t), sizeof(struct binary *));
	TAILQ_INIT(&cache->all);
	TAILQ_INIT(&cache->idle);
	TAILQ_INIT(&cache->open);
	*ret = cache;
	return 0;
}

void binary_cache_configure(struct binary_cache *cache, const struct binary_naming *naming)
{
	cache->host.cache = naming->cache;
	cache->host.debuginfod = naming->debuginfod;
	cache->host.debug_dir = naming->debug_dir;
	cache->host.debug_file = naming->debug_file;
	cache->host.with_lines = naming->with_lines;
	cache->host.waits = naming->waits;
}

/* ---- names ---- */

static struct file_key build_id_key(const struct elf_build_id *id)
{
	struct file_key key = { .kind = KEY_BUILD_ID };

	memcpy(key.words, id->bytes, id->len);
	key.words[3] = id->len;
	return key;
}

static struct file_key stat_key(const struct binary_file *file)
{
	return (struct file_key){
		.kind = KEY_STAT,
		.words = { file->device, file->inode, file->mtime_ns, file->bytes },
	};
}

static struct file_key request_key(const struct binary_request *request)
{
	struct file_key key = {};

	if (request->build_id.len)
		return build_id_key(&request->build_id);
	if (request->inode) {
		key.kind = KEY_MAPPED;
		key.words[0] = (uint64_t)request->major << 32 | request->minor;
		key.words[1] = request->inode;
	} else {
		key.kind = KEY_PATH;
		key.words[0] = hash_bytes(request->path, strlen(request->path));
		key.words[1] = strlen(request->path);
	}
	return key;
}

static struct binary *find_key(const struct binary_cache *cache, const struct file_key *key)
{
	struct binary **found = hashmap_get(&cache->by_key, key);

	return found ? *found : NULL;
}

static void remove_key(struct binary *binary, size_t index)
{
	hashmap_del(&binary->cache->by_key, &binary->keys[index]);
	binary->keys[index] = binary->keys[--binary->key_cnt];
}

static void remove_key_from_owner(struct binary *owner, const struct file_key *key)
{
	size_t i;

	for (i = 0; i < owner->key_cnt; i++) {
		if (memcmp(&owner->keys[i], key, sizeof(*key)) == 0) {
			remove_key(owner, i);
			return;
		}
	}
}

/* Makes room among the names by forgetting one that only saves opening a file. */
static void forget_one_alias(struct binary *binary)
{
	size_t i;

	for (i = 0; i < binary->key_cnt - 1; i++) {
		if (binary->keys[i].kind != KEY_BUILD_ID)
			break;
	}
	remove_key(binary, i);
}

/* Without memory the name is not learned: the file may then be opened and kept twice. */
static void add_key(struct binary *binary, const struct file_key *key)
{
	struct binary *owner = find_key(binary->cache, key), **value;
	struct file_key *keys;

	if (owner == binary)
		return;
	if (owner)
		remove_key_from_owner(owner, key);
	if (binary->key_cnt == KEYS_MAX)
		forget_one_alias(binary);
	keys = realloc(binary->keys, (binary->key_cnt + 1) * sizeof(*keys));
	if (!keys)
		return;
	binary->keys = keys;
	value = hashmap_put(&binary->cache->by_key, key, NULL);
	if (!value)
		return;
	*value = binary;
	binary->keys[binary->key_cnt++] = *key;
}

/* ---- what is kept ---- */

static void close_file(struct binary *binary)
{
	if (binary->file.fd < 0)
		return;
	TAILQ_REMOVE(&binary->cache->open, binary, open);
	binary->cache->open_cnt--;
	fd_closep(&binary->file.fd);
	binary->file.fd = -1;
}

static void free_symbols(struct binary *binary)
{
	symtab_free(binary->symtab);
	binary->symtab = NULL;
	symbol_cache_release(&binary->symbols_entry);
}

static void on_drop_symbols(struct symbol_memory_item *item)
{
	free_symbols((struct binary *)((char *)item - offsetof(struct binary, symbols)));
}

void binary_drop_symbols(struct binary *binary)
{
	symbol_memory_remove(&binary->cache->host.memory, &binary->symbols);
	free_symbols(binary);
}

void binary_drop_names(struct binary *binary)
{
	if (binary->symtab)
		binary_drop_symbols(binary);
	debug_info_close(binary->debug);
	binary->debug = NULL;
}

void binary_destroy(struct binary *binary)
{
	struct binary_cache *cache = binary->cache;

	while (binary->key_cnt)
		remove_key(binary, binary->key_cnt - 1);
	if (!binary->refs) {
		TAILQ_REMOVE(&cache->idle, binary, idle);
		cache->idle_cnt--;
	}
	TAILQ_REMOVE(&cache->all, binary, all);
	hashmap_del(&cache->by_id, &binary->id);
	binary_drop_names(binary);
	close_file(binary);
	binary_file_close(&binary->file);
	free(binary->keys);
	free(binary->image);
	free(binary);
}

void binary_cache_free(struct binary_cache *cache)
{
	if (!cache)
		return;
	while (!TAILQ_EMPTY(&cache->all))
		binary_destroy(TAILQ_FIRST(&cache->all));
	hashmap_free(&cache->by_key);
	hashmap_free(&cache->by_id);
	free(cache->proc_root);
	free(cache);
}

static bool is_deleted(const struct binary *binary)
{
	struct stat st;

	return binary->file.fd >= 0 && fstat(binary->file.fd, &st) == 0 && st.st_nlink == 0;
}

/* Closes files beyond the budget: the least recently used that is not deleted, nor @keep. */
static void bound_open_files(struct binary_cache *cache, const struct binary *keep)
{
	while (cache->open_cnt > cache->fd_max) {
		struct binary *victim = NULL, *binary;

		for (binary = TAILQ_FIRST(&cache->open); binary;
		     binary = TAILQ_NEXT(binary, open)) {
			if (binary == keep)
				continue;
			if (!victim)
				victim = binary;
			if (!is_deleted(binary)) {
				victim = binary;
				break;
			}
		}
		close_file(victim);
	}
}

void binary_set_unreadable(struct binary *binary, int error)
{
	const char *why = strerror(-error);

	if (error == -ENOEXEC)
		why = "not an ELF file, or cut short";
	else if (error == -ENOTSUP)
		why = "32-bit, or of another machine";
	else if (error == -ESTALE)
		why = "replaced by another file";
	else if (error == -EINVAL)
		why = "not a regular file";
	snprintf(binary->source, sizeof(binary->source), "unreadable: %s", why);
}

void binary_set_source(struct binary *binary, const char *source)
{
	snprintf(binary->source, sizeof(binary->source), "%s", source);
}

void binary_keep_symbols(struct binary *binary, struct symtab *symtab)
{
	binary->symtab = symtab;
	binary->symbols.bytes = symtab_bytes(symtab);
	binary->symbols.drop = on_drop_symbols;
	symbol_memory_add(&binary->cache->host.memory, &binary->symbols);
}

void binary_set_build_id(struct binary *binary, const struct elf_build_id *id)
{
	binary->build_id = *id;
	elf_build_id_hex(id, binary->build_id_text);
}

/* Takes over @file, which is this binary's. */
void binary_adopt_file(struct binary *binary, struct binary_file *file)
{
	struct binary_cache *cache = binary->cache;

	if (binary->file.fd >= 0) {
		binary_file_close(file);
		return;
	}
	binary_file_close(&binary->file);
	binary->file = *file;
	*file = (struct binary_file){ .fd = -1 };
	binary->unreachable = false;
	if (!binary->symtab)
		binary_set_source(binary, "not read");
	binary->opened = true;
	if (binary->file.build_id.len)
		binary_set_build_id(binary, &binary->file.build_id);
	TAILQ_INSERT_TAIL(&cache->open, binary, open);
	cache->open_cnt++;
	if (binary->file.elf_error) {
		/* Nothing to read there, and an open memfd would keep its memory. */
		binary_set_unreadable(binary, binary->file.elf_error);
		close_file(binary);
	}
	bound_open_files(cache, binary);
}

static bool are_same_segments(const struct binary_file *a, const struct binary_file *b)
{
	size_t i;

	if (a->segment_cnt != b->segment_cnt)
		return false;
	for (i = 0; i < a->segment_cnt; i++) {
		if (a->segments[i].vaddr != b->segments[i].vaddr ||
		    a->segments[i].offset != b->segments[i].offset ||
		    a->segments[i].filesz != b->segments[i].filesz)
			return false;
	}
	return true;
}

bool binary_is_same_file(const struct binary_file *a, const struct binary_file *b)
{
	struct file_key key_a = stat_key(a), key_b = stat_key(b);

	if (memcmp(&key_a, &key_b, sizeof(key_a)) == 0)
		return true;
	return a->build_id.len && a->build_id.len == b->build_id.len &&
	       memcmp(a->build_id.bytes, b->build_id.bytes, a->build_id.len) == 0 &&
	       are_same_segments(a, b);
}

/* ---- looking up ---- */

struct binary *binary_create(struct binary_cache *cache, const char *path)
{
	static const char deleted[] = " (deleted)";
	size_t len = strlen(path), suffix = sizeof(deleted) - 1;
	struct binary *binary, **place;
	uint64_t id = cache->last_id + 1;

	if (len > suffix && strcmp(path + len - suffix, deleted) == 0)
		len -= suffix;
	binary = calloc(1, sizeof(*binary) + len + 1);
	place = binary ? hashmap_put(&cache->by_id, &id, NULL) : NULL;
	if (!place) {
		free(binary);
		return NULL;
	}
	*place = binary;
	binary->cache = cache;
	binary->id = cache->last_id = id;
	binary->file.fd = -1;
	memcpy(binary->path, path, len);
	TAILQ_INSERT_TAIL(&cache->all, binary, all);
	TAILQ_INSERT_TAIL(&cache->idle, binary, idle);
	cache->idle_cnt++;
	return binary;
}

static void remember_request(struct binary *binary, const struct binary_request *request)
{
	binary->last = *request;
	binary->last.path = binary->path;
	binary->unreachable = false;
	if (binary->file.fd >= 0) {
		TAILQ_REMOVE(&binary->cache->open, binary, open);
		TAILQ_INSERT_TAIL(&binary->cache->open, binary, open);
	}
}

/* Whether a hit on @key needs no look at the file. */
static bool is_settled(const struct binary *hit, const struct file_key *key)
{
	if (key->kind == KEY_BUILD_ID)
		return hit->opened;
	return key->kind == KEY_MAPPED && hit->file.fd >= 0;
}

/* The binary that @file is, new or known under another name. */
static struct binary *find_file(struct binary_cache *cache, struct binary *hit,
				const struct binary_file *file)
{
	struct file_key key = stat_key(file);
	struct binary *found = find_key(cache, &key);

	if (!found && file->build_id.len) {
		key = build_id_key(&file->build_id);
		found = find_key(cache, &key);
		if (found && found->opened && !binary_is_same_file(&found->file, file))
			found = NULL;
	}
	if (!found && hit && !hit->opened)
		found = hit;
	return found;
}

static struct binary *get_opened(struct binary_cache *cache, const struct binary_request *request,
				 struct binary *hit, struct binary_file *file)
{
	struct file_key by_stat = stat_key(file), by_request = request_key(request), by_build_id;
	struct binary *binary = find_file(cache, hit, file);

	if (!binary)
		binary = binary_create(cache, request->path);
	if (!binary) {
		binary_file_close(file);
		return NULL;
	}
	by_build_id = build_id_key(&file->build_id);
	if (file->build_id.len && !find_key(cache, &by_build_id))
		add_key(binary, &by_build_id);
	if (by_request.kind != KEY_BUILD_ID)
		add_key(binary, &by_request);
	add_key(binary, &by_stat);
	binary_adopt_file(binary, file);
	return binary;
}

static struct binary *get_unreadable(struct binary_cache *cache,
				     const struct binary_request *request, int error)
{
	struct file_key key = request_key(request);
	struct binary *binary = binary_create(cache, request->path);

	if (!binary)
		return NULL;
	if (request->build_id.len)
		binary_set_build_id(binary, &request->build_id);
	binary->open_error = error;
	binary_set_unreadable(binary, error);
	add_key(binary, &key);
	return binary;
}

struct binary *binary_get(struct binary_cache *cache, const struct binary_request *request)
{
	struct binary_request named = *request;
	struct file_key key;
	struct binary *binary;

	if (!named.path)
		named.path = "";
	key = request_key(&named);
	binary = find_key(cache, &key);
	if (!binary || !is_settled(binary, &key)) {
		struct binary_file file = { .fd = -1 };
		int r = binary_open(cache->proc_root, &named, &file);

		if (r == 0)
			binary = get_opened(cache, &named, binary, &file);
		else if (!binary)
			binary = get_unreadable(cache, &named, r);
	}
	if (!binary)
		return NULL;
	remember_request(binary, &named);
	return binary_ref(binary);
}

struct binary *binary_ref(struct binary *binary)
{
	if (!binary->refs++) {
		TAILQ_REMOVE(&binary->cache->idle, binary, idle);
		binary->cache->idle_cnt--;
	}
	return binary;
}

void binary_put(struct binary *binary)
{
	struct binary_cache *cache = binary->cache;

	if (--binary->refs)
		return;
	TAILQ_INSERT_TAIL(&cache->idle, binary, idle);
	cache->idle_cnt++;
	if (is_deleted(binary))
		binary_destroy(binary);
	while (cache->idle_cnt > IDLE_MAX)
		binary_destroy(TAILQ_FIRST(&cache->idle));
}

const struct binary *binary_of_id(const struct binary_cache *cache, uint64_t id)
{
	struct binary **found = hashmap_get(&cache->by_id, &id);

	return found ? *found : NULL;
}

unsigned int binary_cache_open_files(const struct binary_cache *cache)
{
	return cache->open_cnt;
}

size_t binary_cache_bytes(const struct binary_cache *cache)
{
	size_t bytes = sizeof(*cache) + hashmap_bytes(&cache->by_key) +
		       hashmap_bytes(&cache->by_id) + cache->host.memory.bytes;
	const struct binary *binary;

	for (binary = TAILQ_FIRST(&cache->all); binary; binary = TAILQ_NEXT(binary, all))
		bytes += sizeof(*binary) + strlen(binary->path) + 1 + binary->image_bytes +
			 binary->key_cnt * sizeof(*binary->keys) +
			 binary->file.segment_cnt * sizeof(*binary->file.segments);
	return bytes;
}
