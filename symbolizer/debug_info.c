/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which files and which tables, in the order of what they cost and how true they are:
 *
 *  - Go's own tables name Go code with lines and inlined calls, as the runtime prints it, are
 *    there in stripped programs too, and need nothing inflated and no index.  So they come
 *    before the same program's DWARF, which serves its C code only.
 *  - A separate debug file is looked for only when the program lacks a symbol table or DWARF.
 *  - .gnu_debugdata only has symbols: it is unpacked when neither the program nor a debug file
 *    has a symbol table.
 *
 * Descriptors are bounded by OPEN_MAX: a program has up to four files open, and they stay open
 * because units of DWARF are read on demand.
 */
#include "symbolizer/debug_info.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <xxhash.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "symbolizer/debuginfod.h"
#include "symbolizer/dwarf.h"
#include "symbolizer/gopclntab.h"
#include "symbolizer/section.h"
#include "symbolizer/source_frames.h"
#include "symbolizer/symbol_cache.h"

#define OPEN_MAX_CNT 64
#define SAMPLES 16	 /* of a symbol table, into the stamp */
#define SAMPLE_BYTES 256 /* ten entries */
#define ASK_AGAIN_NS NS_PER_SEC
#define SETTLED_S 2 /* a file written to within a tick of the clock may have kept its times */

/* One ELF file of those that name a program. */
struct part {
	struct elf_file *elf; /* NULL = none */
	int fd;		      /* -1 = in memory, or none */
	uint8_t *image;	      /* heap; NULL = in a file, or the caller's */
	size_t image_bytes;
	char *path; /* NULL = the program's */
};

struct debug_info {
	struct symbol_memory_item item; /* first: the symbol memory knows it by this */
	struct debug_host *host;
	struct debug_search search; /* strings are ours */
	char *program_path;
	struct part program, debug, mini, sup, package;
	unsigned int sources;
	struct gopclntab *go;
	struct dwarf *dwarf;
	bool dwarf_tried;
	struct symbol_cache_entry index; /* of dwarf; no payload: none */
	struct elf_build_id cache_id;
	uint64_t stamp;
	bool is_awaited; /* debuginfod was asked */
	uint64_t ask_ns; /* not again before */
	void (*on_drop)(void *context);
	void *context;
};

static void part_close(struct part *part)
{
	elf_file_close(part->elf);
	fd_closep(&part->fd);
	free(part->image);
	free(part->path);
	*part = (struct part){ .fd = -1 };
}

/* Takes over *@fd and *@path. */
static int part_open(struct part *part, int *fd, char **path)
{
	int r = elf_file_open(*fd, &part->elf, NULL);

	if (r < 0)
		return r;
	part->fd = fd_take(fd);
	part->path = path ? TAKE_PTR(*path) : NULL;
	return 0;
}

static bool has_section(struct elf_file *elf, const char *name)
{
	struct section section;

	if (section_open(elf, name, &section) < 0)
		return false;
	section_close(&section);
	return true;
}

static bool has_dwarf(struct elf_file *elf)
{
	return elf && (has_section(elf, ".debug_info") || has_section(elf, ".zdebug_info"));
}

static uint64_t mix(uint64_t sum, uint64_t value)
{
	return (sum ^ value) * 0x9e3779b97f4a7c15ull + (sum >> 29);
}

static void mix_part(struct debug_info *info, const struct part *part, bool with_time)
{
	struct stat st;

	if (part->fd < 0 || fstat(part->fd, &st) < 0) {
		info->stamp = mix(info->stamp, part->image_bytes);
		return;
	}
	info->stamp = mix(info->stamp, (uint64_t)st.st_size);
	/* Copies of one program in many containers differ in time only. */
	if (with_time)
		info->stamp = mix(info->stamp, (uint64_t)st.st_mtim.tv_sec * NS_PER_SEC +
						       (uint64_t)st.st_mtim.tv_nsec);
}

/*
 * A build-id can be given by hand (--build-id=0x...), and tools that edit a finished program
 * (objcopy --change-addresses) keep it, and the size: so some of the symbols count too.  All of
 * them would be tens of megabytes to read of large programs.
 */
static void mix_symbols(struct debug_info *info, const char *name)
{
	struct section section;
	struct section_view view;
	uint64_t i, offset;

	if (section_open(info->program.elf, name, &section) < 0)
		return;
	for (i = 0; i < SAMPLES; i++) {
		offset = section.size / SAMPLES * i;
		if (section_read_up_to(&section, offset, SAMPLE_BYTES, &view) < 0)
			break;
		info->stamp = mix(info->stamp, XXH3_64bits(view.bytes, view.size));
		section_view_close(&view);
	}
	section_close(&section);
}

/* A program without build-id is the same as long as its place and its times are. */
static void use_place_as_id(struct debug_info *info)
{
	struct stat st;
	uint64_t words[2];

	if (info->program.fd < 0 || fstat(info->program.fd, &st) < 0 ||
	    time(NULL) - st.st_ctim.tv_sec < SETTLED_S)
		return;
	words[0] = st.st_dev;
	words[1] = st.st_ino;
	memcpy(info->cache_id.bytes, words, sizeof(words));
	info->cache_id.len = sizeof(words);
	info->stamp = mix(info->stamp,
			  (uint64_t)st.st_ctim.tv_sec * NS_PER_SEC + (uint64_t)st.st_ctim.tv_nsec);
}

static void make_cache_id(struct debug_info *info)
{
	info->cache_id = *elf_file_build_id(info->program.elf);
	mix_part(info, &info->program, !info->cache_id.len);
	mix_part(info, &info->debug, true);
	mix_part(info, &info->mini, false);
	if (!info->host->cache)
		return;
	if (info->cache_id.len) {
		mix_symbols(info, ".symtab");
		mix_symbols(info, ".dynsym");
	} else {
		use_place_as_id(info);
	}
}

/* Opens what @file leads to, and closes that otherwise. */
static int open_found(struct part *part, struct debug_file *file)
{
	int r = part_open(part, &file->fd, &file->path);

	debug_file_close(file);
	return r;
}

static void ask_debuginfod(struct debug_info *info)
{
	struct debug_file file = { .fd = -1 };
	const struct elf_build_id *id = elf_file_build_id(info->program.elf);
	int r = info->host->waits ? debuginfod_wait(info->host->debuginfod, id, &file.fd) :
				    debuginfod_ask(info->host->debuginfod, id, &file.fd);

	info->is_awaited = r == -EAGAIN || r == -ENOSPC;
	info->ask_ns = monotonic_ns() + ASK_AGAIN_NS;
	if (r == 0 && open_found(&info->debug, &file) == 0)
		info->sources |= NAMES_DEBUG_FILE | NAMES_DEBUGINFOD;
}

static int open_given(struct debug_info *info)
{
	_cleanup_close_ int fd = open(info->host->debug_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	_cleanup_free_ char *path = strdup(info->host->debug_file);
	int r = fd < 0 ? -errno : path ? part_open(&info->debug, &fd, &path) : -ENOMEM;

	if (r == 0)
		info->sources |= NAMES_DEBUG_FILE;
	return r;
}

static void find_debug_file(struct debug_info *info)
{
	struct debug_file file = { .fd = -1 };

	if (info->host->debug_file) {
		open_given(info);
		return;
	}
	if (debug_file_find(&info->search, info->program.elf, &file) == 0) {
		if (open_found(&info->debug, &file) == 0)
			info->sources |= NAMES_DEBUG_FILE;
	} else if (info->host->debuginfod && elf_file_build_id(info->program.elf)->len) {
		ask_debuginfod(info);
	}
}

static void unpack_mini_debug(struct debug_info *info)
{
	struct part *mini = &info->mini;

	if (mini_debug_load(info->program.elf, &mini->image, &mini->image_bytes) < 0)
		return;
	if (elf_file_open_memory(mini->image, mini->image_bytes, &mini->elf, NULL) < 0)
		part_close(mini);
	else
		info->sources |= NAMES_MINI_DEBUG;
}

/* The file whose DWARF is read, or NULL. */
static struct part *dwarf_part(struct debug_info *info)
{
	if (has_dwarf(info->debug.elf))
		return &info->debug;
	return has_dwarf(info->program.elf) ? &info->program : NULL;
}

static void find_files(struct debug_info *info)
{
	struct elf_file *program = info->program.elf;
	bool has_symbols = has_section(program, ".symtab");

	if (!has_symbols || info->host->debug_file || (!has_dwarf(program) && info->host->with_lines && !info->go))
		find_debug_file(info);
	if (!has_symbols && !info->go &&
	    (!info->debug.elf || !has_section(info->debug.elf, ".symtab")))
		unpack_mini_debug(info);
}

static size_t heap_bytes(const struct debug_info *info)
{
	return sizeof(*info) + info->mini.image_bytes + (info->go ? gopclntab_bytes(info->go) : 0) +
	       (info->dwarf ? dwarf_heap_bytes(info->dwarf) : 0);
}

static void release(struct debug_info *info)
{
	dwarf_close(info->dwarf);
	gopclntab_close(info->go);
	symbol_cache_release(&info->index);
	part_close(&info->package);
	part_close(&info->sup);
	part_close(&info->mini);
	part_close(&info->debug);
	part_close(&info->program);
	free(info->program_path);
	info->host->open_cnt--;
	free(info);
}

static void drop(struct symbol_memory_item *item)
{
	struct debug_info *info = (struct debug_info *)item;
	void (*on_drop)(void *context) = info->on_drop;
	void *context = info->context;

	release(info);
	on_drop(context);
}

/* Closes those used longest ago while too many are open. */
static void bound_open(struct debug_host *host)
{
	struct symbol_memory_item *item, *next;

	for (item = TAILQ_FIRST(&host->memory.items); item && host->open_cnt >= OPEN_MAX_CNT;
	     item = next) {
		next = TAILQ_NEXT(item, link);
		if (item->drop != drop || item->pinned)
			continue;
		symbol_memory_remove(&host->memory, item);
		drop(item);
		next = TAILQ_FIRST(&host->memory.items); /* it took others with it */
	}
}

static int open_program(struct debug_info *info, int fd, void *image, size_t image_bytes)
{
	_cleanup_close_ int own = -1;

	if (fd < 0)
		return elf_file_open_memory(image, image_bytes, &info->program.elf, NULL);
	own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (own < 0)
		return -errno;
	return part_open(&info->program, &own, NULL);
}

int debug_info_open(struct debug_host *host, const struct debug_search *search, int fd,
		    void *image, size_t image_bytes, void (*on_drop)(void *context),
		    void *context, struct debug_info **ret)
{
	struct debug_info *info;
	int r;

	bound_open(host);
	info = calloc(1, sizeof(*info));
	if (!info)
		return -ENOMEM;
	info->host = host;
	info->search = *search;
	info->program.fd = info->debug.fd = info->mini.fd = info->sup.fd = info->package.fd = -1;
	info->on_drop = on_drop;
	info->context = context;
	host->open_cnt++;
	info->search.path = info->program_path = strdup(search->path);
	r = info->program_path ? open_program(info, fd, image, image_bytes) : -ENOMEM;
	if (r < 0) {
		release(info);
		return r;
	}
	if (gopclntab_open(info->program.elf, &info->go) == 0)
		info->sources |= NAMES_GOPCLNTAB;
	if (fd >= 0)
		find_files(info);
	if (host->with_lines && dwarf_part(info))
		info->sources |= NAMES_DWARF;
	make_cache_id(info);
	info->item.bytes = heap_bytes(info);
	info->item.drop = drop;
	symbol_memory_add(&host->memory, &info->item);
	*ret = info;
	return 0;
}

void debug_info_close(struct debug_info *info)
{
	if (!info)
		return;
	symbol_memory_remove(&info->host->memory, &info->item);
	release(info);
}

size_t debug_info_symbol_files(struct debug_info *info, struct elf_file *ret[DEBUG_INFO_FILES])
{
	size_t cnt = 0;

	ret[cnt++] = info->program.elf;
	if (info->debug.elf)
		ret[cnt++] = info->debug.elf;
	if (info->mini.elf)
		ret[cnt++] = info->mini.elf;
	return cnt;
}

void debug_info_pin(struct debug_info *info, bool pinned)
{
	info->item.pinned = pinned;
}

const struct elf_build_id *debug_info_cache_id(const struct debug_info *info)
{
	return &info->cache_id;
}

uint64_t debug_info_stamp(const struct debug_info *info)
{
	return info->stamp;
}

unsigned int debug_info_sources(const struct debug_info *info)
{
	return info->sources;
}

bool debug_info_is_awaited(const struct debug_info *info)
{
	return info->is_awaited;
}

bool debug_info_arrived(struct debug_info *info, uint64_t now_ns)
{
	if (!info->is_awaited || now_ns < info->ask_ns || info->debug.elf)
		return false;
	ask_debuginfod(info);
	return info->debug.elf;
}

/* ---- DWARF ---- */

static int open_split(void *context, const char *comp_dir, const char *name, struct elf_file **ret)
{
	struct debug_info *info = context;
	struct debug_file file = { .fd = -1 };
	int r = debug_file_find_split(&info->search, comp_dir, name, &file);

	if (r < 0)
		return r;
	r = elf_file_open(file.fd, ret, NULL);
	if (r == 0)
		file.fd = -1; /* the reader's, until close_split() */
	debug_file_close(&file);
	return r;
}

static void close_split(void *context, struct elf_file *elf)
{
	int fd = elf_file_fd(elf);

	(void)context;
	elf_file_close(elf);
	fd_closep(&fd);
}

/* The files that DWARF refers to. */
static void find_referred(struct debug_info *info, const struct part *part)
{
	struct debug_file file = { .fd = -1 };
	const char *path = part->path ? part->path : info->search.path;

	if (debug_file_find_sup(&info->search, part->elf, path, &file) == 0)
		open_found(&info->sup, &file);
	file = (struct debug_file){ .fd = -1 };
	if (has_section(part->elf, ".debug_addr") &&
	    debug_file_find_package(&info->search, &file) == 0)
		open_found(&info->package, &file);
}

static void save_index(struct debug_info *info)
{
	struct iovec part;

	part.iov_base = (void *)(uintptr_t)dwarf_index(info->dwarf, &part.iov_len);
	symbol_cache_put(info->host->cache, CACHE_DWARF_INDEX, &info->cache_id, info->stamp, &part,
			 1);
}

static void open_dwarf(struct debug_info *info)
{
	struct debug_host *host = info->host;
	struct part *part = dwarf_part(info);
	const struct elf_build_id *id = &info->cache_id;
	struct dwarf_config config = {
		.open_split = open_split,
		.close_split = close_split,
		.context = info,
		.memory = &host->memory,
	};
	int r;

	info->dwarf_tried = true;
	if (!part)
		return;
	find_referred(info, part);
	config.elf = part->elf;
	config.sup = info->sup.elf;
	config.package = info->package.elf;
	if (host->cache && id->len &&
	    symbol_cache_get(host->cache, CACHE_DWARF_INDEX, id, info->stamp, &info->index) == 0) {
		config.index = info->index.payload;
		config.index_bytes = info->index.size;
	}
	r = dwarf_open(&config, &info->dwarf);
	if (r < 0)
		info->sources &= ~NAMES_DWARF;
	if (r == -EFBIG)
		info->sources |= NAMES_DWARF_LARGE;
	if (r == 0 && host->cache && id->len && !config.index)
		save_index(info);
}

bool debug_info_find(struct debug_info *info, uint64_t address, struct source_frames *frames,
		     bool *ret_complete)
{
	size_t bytes;
	bool found;

	symbol_memory_use(&info->host->memory, &info->item);
	*ret_complete = info->go && gopclntab_find(info->go, address, frames);
	if (*ret_complete)
		return true;
	if (!info->host->with_lines)
		return false;
	info->item.pinned = true; /* its units come and go meanwhile */
	if (!info->dwarf_tried)
		open_dwarf(info);
	found = info->dwarf && dwarf_find(info->dwarf, address, frames);
	bytes = heap_bytes(info);
	if (bytes != info->item.bytes)
		symbol_memory_resize(&info->host->memory, &info->item, bytes);
	info->item.pinned = false;
	return found;
}
