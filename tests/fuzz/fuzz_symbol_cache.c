/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as an entry of the cache.
 *
 * The first byte says how: even, what follows is the file.  Odd, it is a payload, which must come
 * back as it was, and then not at all after one of the file's bytes was changed.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "symbolizer/symbol_cache.h"

#define HEADER_BYTES 64
#define STAMP 1

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct elf_build_id id = { { 0x12, 0x34 }, 2 };
static char directory[64], entry_path[128];
static struct symbol_cache *cache;

static void remove_directory(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", directory);
	if (system(command))
		abort();
}

static void open_cache(void)
{
	struct symbol_cache_config config = { .folder = directory };

	snprintf(directory, sizeof(directory), "/tmp/ebpfprof-fuzz-XXXXXX");
	if (!mkdtemp(directory) || symbol_cache_new(&config, &cache))
		abort();
	snprintf(entry_path, sizeof(entry_path), "%s/symtab/1234", directory);
	atexit(remove_directory);
}

static void write_file(const uint8_t *data, size_t size)
{
	int fd = open(entry_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	close(fd);
}

/* Whether there is an entry, and it is @expected, if that is not NULL. */
static bool get(const uint8_t *expected, size_t size)
{
	struct symbol_cache_entry entry;
	uint8_t sum = 0;
	size_t i;

	if (symbol_cache_get(cache, CACHE_SYMTAB, &id, STAMP, &entry))
		return false;
	for (i = 0; i < entry.size; i++)
		sum ^= ((const uint8_t *)entry.payload)[i];
	if (expected &&
	    (entry.size != size || (size && memcmp(entry.payload, expected, size) != 0)))
		abort();
	symbol_cache_release(&entry);
	(void)sum;
	return true;
}

static void change_byte(size_t at, uint8_t with)
{
	int fd = open(entry_path, O_RDWR | O_CLOEXEC);
	uint8_t byte;

	if (fd < 0 || pread(fd, &byte, 1, (off_t)at) != 1)
		abort();
	byte ^= with ? with : 1;
	if (pwrite(fd, &byte, 1, (off_t)at) != 1)
		abort();
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct iovec part;

	if (!cache)
		open_cache();
	if (size < 4)
		return 0;
	if (data[0] % 2 == 0) {
		write_file(data + 1, size - 1);
		get(NULL, 0);
		return 0;
	}
	part = (struct iovec){ (void *)(uintptr_t)(data + 4), size - 4 };
	if (symbol_cache_put(cache, CACHE_SYMTAB, &id, STAMP, &part, 1))
		abort();
	if (!get(data + 4, size - 4))
		abort();
	change_byte((data[1] | (size_t)data[2] << 8) % (HEADER_BYTES + size - 4), data[3]);
	if (get(NULL, 0) || access(entry_path, F_OK) == 0)
		abort();
	return 0;
}
