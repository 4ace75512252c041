/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a binary says: segments, symbols, and what stands in the source.
 *
 * The headers' segments were copied when the file was opened; debug_info.h opens it again, and
 * the files that belong to it, when the first of its addresses is named.
 */
#include "symbolizer/binary.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "profiler/base/fileio.h"
#include "profiler/base/strbuf.h"
#include "symbolizer/binary_bytes.h"
#include "symbolizer/binary_private.h"
#include "symbolizer/proc_maps.h"
#include "symbolizer/source_frames.h"
#include "symbolizer/symtab.h"

#define OWN_MAPS_MAX (4u << 20) /* bytes of /proc/self/maps */
#define CACHED_SYMBOLS_MIN 2000 /* a smaller table is read faster than its cache entry */

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

int binary_error(const struct binary *binary)
{
	return binary->opened ? binary->file.elf_error : binary->open_error;
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

static bool describe_segment(const struct elf_segment *segment, uint64_t page, uint64_t *ret_start,
			     uint64_t *ret_limit, uint64_t *ret_offset)
{
	uint64_t end;

	if (!segment) {
		*ret_start = 0;
		*ret_limit = UINT64_MAX;
		*ret_offset = 0;
		return false;
	}
	*ret_start = segment->vaddr & -page;
	end = segment->vaddr + MAX(segment->memsz, segment->filesz);
	*ret_limit = end > UINT64_MAX - page ? UINT64_MAX : (end + page - 1) & -page;
	*ret_offset = segment->offset & -page;
	return true;
}

bool binary_segment(struct binary *binary, uint64_t offset, uint64_t *ret_start,
		    uint64_t *ret_limit, uint64_t *ret_offset, uint64_t *ret_address)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	const struct elf_segment *segment = find_segment(&binary->file, offset, page);

	*ret_address = segment ? segment->vaddr + (offset - segment->offset) : offset;
	return describe_segment(segment, page, ret_start, ret_limit, ret_offset);
}

bool binary_segment_of_address(const struct binary *binary, uint64_t address, uint64_t *ret_start,
			       uint64_t *ret_limit, uint64_t *ret_offset)
{
	const struct elf_segment *found = NULL;
	size_t i;

	for (i = 0; i < binary->file.segment_cnt && !found; i++) {
		const struct elf_segment *segment = &binary->file.segments[i];

		if (address >= segment->vaddr && address - segment->vaddr < segment->memsz)
			found = segment;
	}
	return describe_segment(found, (uint64_t)sysconf(_SC_PAGESIZE), ret_start, ret_limit,
				ret_offset);
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

int binary_ensure_open(struct binary *binary)
{
	if (!binary->opened || binary->file.elf_error || binary->unreachable)
		return -ENOEXEC;
	return binary->file.fd < 0 ? reopen(binary) : 0;
}

/* ---- its bytes, for others ---- */

int binary_dup_file(struct binary *binary, int *ret_fd)
{
	int r = binary_error(binary), fd;

	if (binary->image)
		return -ENOENT;
	if (r == 0 && binary->unreachable)
		r = -ESTALE;
	if (r == 0 && binary->file.fd < 0)
		r = reopen(binary);
	if (r < 0)
		return r;
	if (binary->file.fd < 0) /* it is no ELF file any more */
		return -ESTALE;
	fd = fcntl(binary->file.fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

void *binary_image(const struct binary *binary, size_t *ret_size)
{
	*ret_size = binary->image_bytes;
	return binary->image;
}

const struct elf_build_id *binary_build_id_bytes(const struct binary *binary)
{
	return &binary->build_id;
}

size_t binary_segments(const struct binary *binary, const struct elf_segment **ret)
{
	*ret = binary->file.segments;
	return binary->file.segment_cnt;
}

static void on_drop_debug(void *context)
{
	struct binary *binary = context;

	binary->debug = NULL;
	if (binary->symtab && symtab_reads_files(binary->symtab))
		binary_drop_symbols(binary);
}

/* Makes binary->debug, the door to its files. */
static int open_debug(struct binary *binary)
{
	struct debug_search search = {
		.proc_root = binary->cache->proc_root,
		.tgid = binary->last.tgid,
		.path = binary->path,
		.debug_dir = binary->cache->host.debug_dir,
	};
	int r;

	if (binary->debug)
		return 0;
	if (!binary->image) {
		r = binary_ensure_open(binary);
		if (r < 0)
			return r;
	}
	r = debug_info_open(&binary->cache->host, &search, binary->image ? -1 : binary->file.fd,
			    binary->image, binary->image_bytes, on_drop_debug, binary,
			    &binary->debug);
	if (r < 0 && r != -ENOMEM && r != -EMFILE) { /* cut short since */
		binary->unreachable = true;
		binary_set_unreadable(binary, r);
	}
	return r;
}

/* The words of the summary for what names the binary, best first, and what there was no room for. */
static void describe_sources(struct binary *binary, size_t dropped)
{
	static const struct {
		unsigned int flag;
		const char *text;
	} words[] = {
		{ NAMES_GOPCLNTAB, "gopclntab" },
		{ NAMES_DEBUGINFOD, "debuginfod" },
		{ NAMES_DEBUG_FILE, "debug file" },
		{ NAMES_DWARF, "DWARF" },
		{ NAMES_DWARF_LARGE, "DWARF too large" },
		{ NAMES_MINI_DEBUG, "gnu_debugdata" },
		{ NAMES_SYMTAB, "symtab" },
		{ NAMES_DYNSYM, "dynsym" },
	};
	unsigned int left = binary->sources;
	char text[sizeof(binary->source)] = "";
	size_t i, len;

	if (left & NAMES_DEBUGINFOD)
		left &= ~NAMES_DEBUG_FILE;
	for (i = 0; i < ARRAY_SIZE(words); i++) {
		if (!(left & words[i].flag))
			continue;
		if (text[0])
			strncat(text, ", ", sizeof(text) - strlen(text) - 1);
		strncat(text, words[i].text, sizeof(text) - strlen(text) - 1);
	}
	len = strlen(text);
	if (dropped)
		snprintf(text + len, sizeof(text) - len, "; %zu symbols too many", dropped);
	binary_set_source(binary, text[0] ? text : "none");
}

/* Its table from the cache on disk, or NULL. */
static struct symtab *cached_symbols(struct binary *binary, struct elf_file *const *files,
				     size_t cnt)
{
	struct symbol_cache_entry *entry = &binary->symbols_entry;
	struct symtab *symtab;

	if (symbol_cache_get(binary->cache->host.cache, CACHE_SYMTAB,
			     debug_info_cache_id(binary->debug), debug_info_stamp(binary->debug),
			     entry) < 0)
		return NULL;
	if (symtab_from_bytes(entry->payload, entry->size, files, cnt, &symtab) == 0)
		return symtab;
	symbol_cache_release(entry);
	return NULL;
}

static void cache_symbols(struct binary *binary, const struct symtab *symtab)
{
	struct iovec parts[SYMTAB_PARTS];

	symtab_parts(symtab, parts);
	symbol_cache_put(binary->cache->host.cache, CACHE_SYMTAB,
			 debug_info_cache_id(binary->debug), debug_info_stamp(binary->debug), parts,
			 SYMTAB_PARTS);
}

static int read_symbols(struct binary *binary, struct symtab **ret)
{
	struct elf_file *files[DEBUG_INFO_FILES];
	bool may_cache = binary->cache->host.cache && debug_info_cache_id(binary->debug)->len &&
			 !binary->image;
	size_t cnt = debug_info_symbol_files(binary->debug, files);
	int r;

	*ret = may_cache ? cached_symbols(binary, files, cnt) : NULL;
	if (*ret)
		return 0;
	r = symtab_load(files, cnt, ret);
	if (r == 0 && may_cache && symtab_cnt(*ret) >= CACHED_SYMBOLS_MIN)
		cache_symbols(binary, *ret);
	return r;
}

static int load_symbols(struct binary *binary)
{
	struct symtab *symtab;
	int r = open_debug(binary);

	if (r == 0)
		r = read_symbols(binary, &symtab);
	if (r < 0)
		return r;
	binary->sources = debug_info_sources(binary->debug);
	if (symtab_sources(symtab) & SYMTAB_FROM_SYMTAB)
		binary->sources |= NAMES_SYMTAB;
	else if (symtab_sources(symtab) & SYMTAB_FROM_DYNSYM)
		binary->sources |= NAMES_DYNSYM;
	describe_sources(binary, symtab_dropped(symtab));
	debug_info_pin(binary->debug, true); /* the table may read names from its files */
	binary_keep_symbols(binary, symtab);
	debug_info_pin(binary->debug, false);
	return 0;
}

bool binary_find_symbol(struct binary *binary, uint64_t address, struct symbol *ret)
{
	if (!binary->symtab && load_symbols(binary) < 0)
		return false;
	symbol_memory_use(&binary->cache->host.memory, &binary->symbols);
	return symtab_find(binary->symtab, address, ret);
}

static uint32_t add_text(struct source_frames *frames, const char *text)
{
	return source_frames_text(frames, text, strlen(text));
}

bool binary_find_source(struct binary *binary, uint64_t address, struct source_frames *ret)
{
	bool is_final;

	source_frames_clear(ret);
	return open_debug(binary) == 0 && debug_info_find(binary->debug, address, ret, &is_final);
}

bool binary_find(struct binary *binary, uint64_t address, struct source_frames *ret)
{
	bool is_final = false, found;
	struct source_frame *outer;
	struct symbol symbol;

	source_frames_clear(ret);
	found = open_debug(binary) == 0 && debug_info_find(binary->debug, address, ret, &is_final);
	if (is_final && !binary->sources) { /* the symbol table may never be read */
		binary->sources = debug_info_sources(binary->debug);
		describe_sources(binary, 0);
	}
	if (is_final)
		return true;
	/* The linker's word on the function that code lies in: it knows clones, and has the name
	 * that people look for in other tools. */
	if (!binary_find_symbol(binary, address, &symbol) || !symbol.name[0])
		return found && source_frames_name(ret, ret->cnt - 1)[0];
	if (!found)
		source_frames_add(ret, &(struct source_frame){});
	outer = &ret->frames[ret->cnt - 1];
	outer->name = add_text(ret, symbol.name);
	outer->linker_name = true;
	return true;
}

uint32_t binary_generation(struct binary *binary)
{
	if (binary->debug && debug_info_arrived(binary->debug, monotonic_ns())) {
		binary_drop_names(binary);
		binary->generation++;
	}
	return binary->generation;
}

bool binary_awaits_names(const struct binary *binary)
{
	return binary->debug && debug_info_is_awaited(binary->debug);
}

unsigned int binary_sources(const struct binary *binary)
{
	return binary->sources;
}
