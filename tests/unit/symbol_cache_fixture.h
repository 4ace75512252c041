/* SPDX-License-Identifier: BSD-2-Clause */
/* A cache in a folder of the test's own, for test_symbol_cache*.c.  Include it behind cmocka.h. */
#ifndef EBPFPROF_TESTS_SYMBOL_CACHE_FIXTURE_H
#define EBPFPROF_TESTS_SYMBOL_CACHE_FIXTURE_H

#include <dirent.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "profiler/base/strbuf.h"
#include "symbolizer/symbol_cache.h"
#include "symbolizer/symbol_cache_private.h"

#define NOBODY 65534
#define STAMP 0x1122334455667788ull

static char directory[64]; /* one for each test */
static char folder[96];	   /* of the cache, in it */

static const struct elf_build_id id = { { 0xab, 0xcd, 0xef, 1, 2, 3, 4, 5 }, 8 };
#define ID_NAME "abcdef0102030405"

static inline struct symbol_cache *open_cache(uint64_t max_bytes)
{
	struct symbol_cache_config config = { .folder = folder, .max_bytes = max_bytes };
	struct symbol_cache *cache;

	assert_int_equal(symbol_cache_new(&config, &cache), 0);
	return cache;
}

static inline const char *entry_path(const char *name)
{
	static char path[192];

	snprintf(path, sizeof(path), "%s/symtab/%s", folder, name);
	return path;
}

static inline int put_text(struct symbol_cache *cache, const struct elf_build_id *build_id,
		    const char *text)
{
	struct iovec part = { (void *)(uintptr_t)text, strlen(text) };

	return symbol_cache_put(cache, CACHE_SYMTAB, build_id, STAMP, &part, 1);
}

static inline int get(struct symbol_cache *cache, struct symbol_cache_entry *entry)
{
	return symbol_cache_get(cache, CACHE_SYMTAB, &id, STAMP, entry);
}

static inline void assert_missing(struct symbol_cache *cache)
{
	struct symbol_cache_entry entry;

	assert_int_equal(get(cache, &entry), -ENOENT);
}

static inline void assert_text(struct symbol_cache *cache, const char *text)
{
	struct symbol_cache_entry entry;

	assert_int_equal(get(cache, &entry), 0);
	assert_int_equal(entry.size, strlen(text));
	assert_memory_equal(entry.payload, text, entry.size);
	symbol_cache_release(&entry);
}

static inline size_t count_files(const char *prefix)
{
	DIR *files = opendir(entry_path(""));
	const struct dirent *file;
	size_t cnt = 0;

	assert_non_null(files);
	while ((file = readdir(files)))
		cnt += strcmp(file->d_name, ".") != 0 && strcmp(file->d_name, "..") != 0 &&
		       strncmp(file->d_name, prefix, strlen(prefix)) == 0;
	closedir(files);
	return cnt;
}

static inline int set_up(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/ebpfprof-cache-XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	snprintf(folder, sizeof(folder), "%s/above/ebpfprof", directory);
	return 0;
}

static inline int tear_down(void **state)
{
	char command[192];

	(void)state;
	snprintf(command, sizeof(command), "chmod -R u+w %s; rm -rf %s", directory, directory);
	return system(command);
}

static inline void write_entry(const char *name, const uint8_t *bytes, size_t size)
{
	FILE *file;

	unlink(entry_path(name));
	file = fopen(entry_path(name), "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	fclose(file);
	assert_int_equal(chmod(entry_path(name), 0600), 0);
}

static inline int try_folder(void)
{
	struct symbol_cache_config config = { .folder = folder };
	struct symbol_cache *cache = NULL;
	int ret = symbol_cache_new(&config, &cache);

	symbol_cache_free(cache);
	return ret;
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
