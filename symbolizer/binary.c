/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a binary says: segments and symbols.
 *
 * The headers' segments were copied when the file was opened; the ELF reader is opened again for
 * the moment in which symbols are read.  Keeping it open instead would hold the section headers
 * of every library of the host.
 */
#include "symbolizer/binary.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/fileio.h"
#include "profiler/base/strbuf.h"
#include "symbolizer/binary_private.h"
#include "symbolizer/proc_maps.h"
#include "symbolizer/symtab.h"

#define OWN_MAPS_MAX (4u << 20) /* bytes of /proc/self/maps */

/* ---- the vdso ---- */

/* The size of the mapping that starts at @start; 0 = not found. */
static size_t own_mapping_size(uint64_t start)
{
	struct strbuf text = STRBUF_INIT;
	struct proc_map map;
	const char *cursor, *end;
	size_t size = 0;

	if (read_path("/proc/self/maps", OWN_MAPS_MAX, &text) == 0 && text.len) {
		cursor = text.text;
		end = text.text + text.len;
		while (!size && proc_maps_next(&cursor, end, &map)) {
			if (map.start == start)
				size = map.end - map.start;
		}
	}
	strbuf_free(&text);
	return size;
}

/* A copy, because the ELF reader may write to an image and the vdso is read-only. */
static int load_vdso(struct binary_cache *cache)
{
	const void *start = (const void *)getauxval(AT_SYSINFO_EHDR);
	size_t size = start ? own_mapping_size((uintptr_t)start) : 0;
	struct binary *binary;
	int r;

	if (!size)
		return -ENOENT;
	binary = binary_create(cache, "[vdso]");
	if (!binary)
		return -ENOMEM;
	binary->image_bytes = size;
	binary->image = malloc(size);
	if (!binary->image) {
		binary_destroy(binary);
		return -ENOMEM;
	}
	memcpy(binary->image, start, size);
	r = binary_file_read_memory(binary->image, size, &binary->file);
	if (r < 0) {
		binary_destroy(binary);
		return r;
	}
	binary->opened = true;
	binary_set_build_id(binary, &binary->file.build_id);
	binary_set_source(binary, "not read");
	cache->vdso = binary_ref(binary); /* stays to the end of the cache */
	return 0;
}

struct binary *binary_get_vdso(struct binary_cache *cache)
{
	if (!cache->vdso_tried)
		cache->vdso_tried = load_vdso(cache) != -ENOMEM;
	return cache->vdso ? binary_ref(cache->vdso) : NULL;
}

/* ---- what is asked of a binary ---- */

uint64_t binary_id(const struct binary *binary)
{
	return binary->id;
}

const char *binary_path(const struct binary *binary)
{
	return binary->path;
}

const char *binary_basename(const struct binary *binary)
{
	const char *slash = strrchr(binary->path, '/');

	return slash && slash[1] ? slash + 1 : binary->path;
}

const char *binary_build_id(const struct binary *binary)
{
	return binary->build_id_text;
}

bool binary_is_opened(const struct binary *binary)
{
	return binary->opened;
}

bool binary_is_elf(const struct binary *binary)
{
	return binary->opened && binary->file.elf_error != -ENOEXEC;
}

const char *binary_symbol_source(const struct binary *binary)
{
	return binary->source;
}

/* The segment of file offset @offset: as elf_file_address(), executable ones win. */
static const struct elf_segment *find_segment(const struct binary_file *file, uint64_t offset,
					      uint64_t page)
{
	const struct elf_segment *whole_pages = NULL, *other = NULL;
	size_t i;

	for (i = 0; i < file->segment_cnt; i++) {
		const struct elf_segment *segment = &file->segments[i];
		uint64_t end = segment->offset + segment->filesz;
		bool covers = segment->offset <= offset && offset < end;

		if (!segment->filesz)
			continue;
		if (segment->executable && covers)
			return segment;
		if (segment->executable && !whole_pages && (segment->offset & -page) <= offset &&
		    offset <= ((end - 1) | (page - 1)))
			whole_pages = segment;
		else if (covers && !other)
			other = segment;
	}
	return whole_pages ? whole_pages : other;
}

bool binary_segment(struct binary *binary, uint64_t offset, uint64_t *ret_start,
		    uint64_t *ret_limit, uint64_t *ret_offset, uint64_t *ret_address)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	const struct elf_segment *segment = find_segment(&binary->file, offset, page);
	uint64_t end;

	if (!segment) {
		*ret_start = 0;
		*ret_limit = UINT64_MAX;
		*ret_offset = 0;
		*ret_address = offset;
		return false;
	}
	*ret_start = segment->vaddr & -page;
	end = segment->vaddr + MAX(segment->memsz, segment->filesz);
	*ret_limit = end > UINT64_MAX - page ? UINT64_MAX : (end + page - 1) & -page;
	*ret_offset = segment->offset & -page;
	*ret_address = segment->vaddr + (offset - segment->offset);
	return true;
}

/* Opens the file anew after its descriptor was closed for others. */
static int reopen(struct binary *binary)
{
	struct binary_file file = { .fd = -1 };
	int r = binary_open(binary->cache->proc_root, &binary->last, &file);

	if (r == 0 && !binary_is_same_file(&binary->file, &file))
		r = -ESTALE;
	if (r < 0) {
		binary_file_close(&file);
		binary->unreachable = r != -ENOMEM;
		binary_set_unreadable(binary, r);
		return r;
	}
	binary_adopt_file(binary, &file);
	return 0;
}

static int open_elf(struct binary *binary, struct elf_file **ret)
{
	int r;

	if (binary->image)
		return elf_file_open_memory(binary->image, binary->image_bytes, ret, NULL);
	if (!binary->opened || binary->file.elf_error || binary->unreachable)
		return -ENOEXEC;
	if (binary->file.fd < 0) {
		r = reopen(binary);
		if (r < 0)
			return r;
	}
	r = elf_file_open(binary->file.fd, ret, NULL);
	if (r < 0 && r != -ENOMEM) { /* cut short since */
		binary->unreachable = true;
		binary_set_unreadable(binary, r);
	}
	return r;
}

static int load_symbols(struct binary *binary)
{
	_cleanup_(elf_file_closep) struct elf_file *elf = NULL;
	struct symtab *symtab;
	int r = open_elf(binary, &elf);

	if (r == 0)
		r = symtab_load(&elf, 1, &symtab);
	if (r < 0)
		return r;
	binary_keep_symbols(binary, symtab);
	return 0;
}

bool binary_find_symbol(struct binary *binary, uint64_t address, struct symbol *ret)
{
	struct binary_cache *cache = binary->cache;

	if (!binary->symtab && load_symbols(binary) < 0)
		return false;
	if (TAILQ_NEXT(binary, loaded)) {
		TAILQ_REMOVE(&cache->loaded, binary, loaded);
		TAILQ_INSERT_TAIL(&cache->loaded, binary, loaded);
	}
	return symtab_find(binary->symtab, address, ret);
}
