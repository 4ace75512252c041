/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/step_target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"
#include "profiler/base/fileio.h"
#include "profiler/base/strbuf.h"
#include "symbolizer/elf.h"
#include "symbolizer/frame_source.h"
#include "symbolizer/frame_table.h"
#include "symbolizer/proc_maps.h"
#include "tests/unit/stepper.h"

#define FILES_MAX 64
#define MAPS_MAX 256
#define PAGES 256
#define PAGE_BYTES 4096

struct table_file {
	char path[PATH_MAX];
	void *image; /* of the vdso */
	struct elf_file *elf;
	int fd;
	void *bytes;
	struct frame_table table;
	bool has_table;
};

struct mapped {
	uint64_t start, end, bias;
	struct table_file *file; /* NULL: code made at run time */
};

/* Code is read once, while the mappings stay; other memory once for each step. */
struct page {
	uint64_t number, stamp;
	bool is_code, is_there;
	uint8_t bytes[PAGE_BYTES];
};

struct step_target {
	struct stepper *stepper;
	struct table_file files[FILES_MAX];
	size_t file_cnt;
	struct mapped maps[MAPS_MAX];
	size_t map_cnt;
	uint64_t generation; /* of the mappings */
	struct page pages[PAGES];
};

struct step_target *step_target_new(struct stepper *stepper)
{
	struct step_target *target = calloc(1, sizeof(*target));

	if (target)
		target->stepper = stepper;
	return target;
}

void step_target_free(struct step_target *target)
{
	size_t i;

	if (!target)
		return;
	for (i = 0; i < target->file_cnt; i++) {
		elf_file_close(target->files[i].elf);
		fd_closep(&target->files[i].fd);
		free(target->files[i].bytes);
		free(target->files[i].image);
	}
	free(target);
}

static bool peek(struct step_target *target, uint64_t address, void *bytes, size_t size)
{
	struct iovec to = { bytes, size }, from = { (void *)(uintptr_t)address, size };

	return process_vm_readv(target->stepper->pid, &to, 1, &from, 1, 0) == (ssize_t)size;
}

/* ---- tables ---- */

static int open_elf(struct step_target *target, struct table_file *file, const struct proc_map *map)
{
	struct errmsg err = {};
	size_t size = map->end - map->start;

	if (map->path[0] == '/') {
		file->fd = open(map->path, O_RDONLY | O_CLOEXEC);
		return file->fd < 0 ? -errno : elf_file_open(file->fd, &file->elf, &err);
	}
	file->image = malloc(size);
	if (!file->image || !peek(target, map->start, file->image, size))
		return -EIO;
	return elf_file_open_memory(file->image, size, &file->elf, &err);
}

static struct table_file *get_file(struct step_target *target, const struct proc_map *map)
{
	struct table_file *file;
	size_t i, size;

	for (i = 0; i < target->file_cnt; i++) {
		if (!strcmp(target->files[i].path, map->path))
			return &target->files[i];
	}
	if (target->file_cnt == FILES_MAX)
		return NULL;
	file = &target->files[target->file_cnt++];
	strcpy(file->path, map->path);
	file->fd = -1;
	if (open_elf(target, file, map) == 0 &&
	    frame_source_build(file->elf, &file->bytes, &size, NULL) == 0)
		file->has_table = frame_table_of_bytes(file->bytes, size, &file->table) == 0;
	return file;
}

static void read_maps(struct step_target *target)
{
	struct strbuf text = STRBUF_INIT;
	static struct proc_map map;
	const char *cursor;
	char path[64];

	target->stepper->maps_changed = false;
	target->generation++;
	target->map_cnt = 0;
	snprintf(path, sizeof(path), "/proc/%d/maps", target->stepper->pid);
	if (read_path(path, 4 << 20, &text) < 0)
		return;
	cursor = text.text;
	while (target->map_cnt < MAPS_MAX && proc_maps_next(&cursor, text.text + text.len, &map)) {
		struct mapped *mapped = &target->maps[target->map_cnt];
		uint64_t address = 0;

		if (!strcmp(map.path, "[vsyscall]"))
			continue;
		*mapped = (struct mapped){ .start = map.start, .end = map.end };
		if (map.path[0] == '/' || !strcmp(map.path, "[vdso]"))
			mapped->file = get_file(target, &map);
		if (mapped->file && mapped->file->elf &&
		    elf_file_address(mapped->file->elf, map.offset, &address))
			mapped->bias = map.start - address;
		target->map_cnt++;
	}
	strbuf_free(&text);
}

static const struct mapped *find_map(struct step_target *target, uint64_t address)
{
	size_t i;

	if (target->stepper->maps_changed)
		read_maps(target);
	for (i = 0; i < target->map_cnt; i++) {
		if (address >= target->maps[i].start && address < target->maps[i].end)
			return &target->maps[i];
	}
	return NULL;
}

static int ask_rule(void *context, uint64_t pc, struct unwind_rule *ret)
{
	const struct mapped *map = find_map(context, pc);
	const struct frame_rule *rule;

	_Static_assert(sizeof(*rule) == sizeof(*ret),
		       "asserted by profiler/pipeline field by field");
	*ret = (struct unwind_rule){};
	if (!map)
		return -ENOENT;
	if (!map->file) {
		ret->cfa = UNWIND_JIT;
		return 0;
	}
	rule = map->file->has_table ? frame_table_find(&map->file->table, pc - map->bias) : NULL;
	if (rule)
		memcpy(ret, rule, sizeof(*ret));
	return 0;
}

void step_target_place(struct step_target *target, uint64_t address, char *text, size_t size)
{
	const struct mapped *map = find_map(target, address);
	const char *name;

	if (!map || !map->file) {
		snprintf(text, size, "%#lx", (unsigned long)address);
		return;
	}
	name = strrchr(map->file->path, '/');
	snprintf(text, size, "%s+%#lx", name ? name + 1 : map->file->path,
		 (unsigned long)(address - map->bias));
}

/* ---- memory ---- */

static const struct page *get_page(struct step_target *target, uint64_t number)
{
	struct page *page = &target->pages[number % PAGES];

	if (page->number == number &&
	    page->stamp == (page->is_code ? target->generation : target->stepper->steps))
		return page;
	page->number = number;
	page->is_code = find_map(target, number * PAGE_BYTES) != NULL;
	page->stamp = page->is_code ? target->generation : target->stepper->steps;
	page->is_there = peek(target, number * PAGE_BYTES, page->bytes, PAGE_BYTES);
	return page;
}

static bool ask_memory(void *context, uint64_t address, void *bytes, size_t size)
{
	uint8_t *to = bytes;

	while (size) {
		const struct page *page = get_page(context, address / PAGE_BYTES);
		size_t at = address % PAGE_BYTES, part = PAGE_BYTES - at;

		if (!page->is_there)
			return false;
		part = part < size ? part : size;
		memcpy(to, page->bytes + at, part);
		to += part;
		address += part;
		size -= part;
	}
	return true;
}

struct unwind_target step_target_ask(struct step_target *target)
{
	if (target->stepper->maps_changed)
		read_maps(target);
	return (struct unwind_target){ target, ask_memory, ask_rule };
}
