/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kernel symbols from /proc/kallsyms.
 *
 * The file is read in pieces of 64 KiB and taken apart by hand: a line is `ADDRESS TYPE NAME`
 * and for modules, BPF programs and trampolines `\t[MODULE]`.  Rows are first collected with
 * whole addresses, sorted, thinned to one per address, and then stored as 8 bytes each (offset,
 * name) below a region: a run of rows of one module within 4 GiB.  Regions make a 64-bit base
 * cheap where modules or BPF code live far from the kernel (AArch64), and hold the module's
 * name once.
 *
 * A name at an address is only what kallsyms says: symbols have no sizes, so the reach of one
 * is limited (REACH_MAX, and the end of the kernel's text).
 */
#include "symbolizer/kallsyms.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"
#include "profiler/base/strtab.h"

#define BUFFER_BYTES 65536
#define REACH_MAX (1ull << 20)
#define MODULES_MAX 0xffffffu /* what draft.module holds */
#define BPF_TAG_DIGITS 16     /* kernel/bpf/core.c bpf_get_prog_name(): bpf_prog_TAG_name */

struct row {
	uint32_t offset; /* from its region's base */
	uint32_t name;	 /* in the pool */
};

struct region {
	uint64_t base; /* address of its first row */
	uint32_t first_row;
	uint32_t module; /* id in kallsyms.modules */
};

struct kallsyms {
	struct row *rows; /* [cnt], ascending within the ascending regions */
	size_t cnt;
	struct region *regions; /* [region_cnt] */
	size_t region_cnt, region_capacity;
	char *names;
	size_t names_len, names_capacity;
	struct strtab modules; /* id 0, "", is the kernel itself */
	uint64_t text_start, text_end;
	bool hidden;
};

/* A row while loading. */
struct draft {
	uint64_t address;
	uint32_t name;
	uint32_t module : 24; /* MODULES_MAX */
	uint32_t rank : 8;    /* of its type: t < W < T */
};

struct loader {
	struct kallsyms *table;
	struct draft *drafts; /* [cnt] */
	size_t cnt, capacity;
	bool any_line, any_address;
	char buffer[BUFFER_BYTES];
};

/* One line; the strings are not NUL-terminated. */
struct line {
	uint64_t address;
	char type;
	const char *name, *module;
	size_t name_len, module_len;
};

static void freekallsyms(struct kallsyms **table)
{
	kallsyms_free(*table);
}

static void freeloader(struct loader **loader)
{
	if (*loader)
		free((*loader)->drafts);
	free(*loader);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* The end of the word at @at: a blank, a tab or @end. */
static const char *word_end(const char *at, const char *end)
{
	while (at < end && *at != ' ' && *at != '\t')
		at++;
	return at;
}

static bool parse_line(const char *at, const char *end, struct line *ret)
{
	const char *start = at;
	int digit;

	*ret = (struct line){};
	for (; at < end && (digit = hex_digit(*at)) >= 0; at++)
		ret->address = ret->address << 4 | (unsigned int)digit;
	if (at == start || at - start > 16 || end - at < 4 || at[0] != ' ' || at[2] != ' ')
		return false;
	ret->type = at[1];
	ret->name = at + 3;
	at = word_end(ret->name, end);
	ret->name_len = (size_t)(at - ret->name);
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	if (end - at > 2 && at[0] == '[' && end[-1] == ']') {
		ret->module = at + 1;
		ret->module_len = (size_t)(end - 1 - ret->module);
	}
	return ret->name_len && !memchr(ret->name, '\0', (size_t)(end - ret->name));
}

static bool is_name(const char *name, size_t len, const char *expected)
{
	return len == strlen(expected) && memcmp(name, expected, len) == 0;
}

/* bpf_prog_0123456789abcdef_name without what stands before the name, if there is one. */
static void strip_bpf_tag(struct line *line)
{
	static const char prefix[] = "bpf_prog_";
	size_t at = sizeof(prefix) - 1, tag_end = at + BPF_TAG_DIGITS;

	if (line->name_len < tag_end + 2 || memcmp(line->name, prefix, at) != 0 ||
	    line->name[tag_end] != '_')
		return;
	for (; at < tag_end; at++) {
		if (hex_digit(line->name[at]) < 0)
			return;
	}
	line->name += tag_end + 1;
	line->name_len -= tag_end + 1;
}

/* __builtin__ftrace and the like, which kallsyms shows as if they were modules, without prefix. */
static void settle_module(struct line *line)
{
	static const char builtin[] = "__builtin__";
	size_t len = sizeof(builtin) - 1;

	if (line->module_len > len && memcmp(line->module, builtin, len) == 0) {
		line->module += len;
		line->module_len -= len;
	} else if (is_name(line->module, line->module_len, "bpf")) {
		strip_bpf_tag(line);
	}
}

/* Higher is better; 0: not text.  */
static unsigned int rank_of(char type)
{
	switch (type) {
	case 'T':
		return 3;
	case 'W':
	case 'w':
		return 2;
	case 't':
		return 1;
	default:
		return 0;
	}
}

static bool grow(void **array, size_t *capacity, size_t need, size_t item_bytes)
{
	size_t more = *capacity ? *capacity : 1024;
	void *bigger;

	while (more < need)
		more *= 2;
	if (more == *capacity)
		return true;
	bigger = realloc(*array, more * item_bytes);
	if (!bigger)
		return false;
	*array = bigger;
	*capacity = more;
	return true;
}

/*
 * Puts a name in the pool; -ENOSPC when that is full.  Where functions are padded, every other
 * line is the padding's, and `__pfx_f` comes right before `f`: `f` is then the end of it.
 */
static int64_t add_name(struct kallsyms *table, const char *name, size_t len)
{
	size_t start = table->names_len;

	if (start > len && memcmp(table->names + start - len - 1, name, len) == 0)
		return (int64_t)(start - len - 1);
	if (len + 1 > KALLSYMS_NAMES_MAX - start)
		return -ENOSPC;
	if (!grow((void **)&table->names, &table->names_capacity, start + len + 1, 1))
		return -ENOMEM;
	memcpy(table->names + start, name, len);
	table->names[start + len] = '\0';
	table->names_len += len + 1;
	return (int64_t)start;
}

static int add_symbol(struct loader *loader, const struct line *line)
{
	struct kallsyms *table = loader->table;
	struct draft *draft;
	int64_t module = 0, name;

	if (line->module_len)
		module = strtab_add(&table->modules, line->module, line->module_len);
	if (module == -EOVERFLOW || module > MODULES_MAX)
		return 0;
	name = add_name(table, line->name, line->name_len);
	if (name == -ENOSPC)
		return 0;
	if (module < 0 || name < 0 ||
	    !grow((void **)&loader->drafts, &loader->capacity, loader->cnt + 1,
		  sizeof(*loader->drafts)))
		return -ENOMEM;
	draft = &loader->drafts[loader->cnt++];
	draft->address = line->address;
	draft->name = (uint32_t)name;
	draft->module = (uint32_t)module & MODULES_MAX;
	draft->rank = rank_of(line->type) & 0xff;
	return 0;
}

static int on_line(struct loader *loader, const char *at, const char *end)
{
	struct kallsyms *table = loader->table;
	struct line line;

	if (!parse_line(at, end, &line))
		return 0;
	loader->any_line = true;
	if (!line.address)
		return 0;
	loader->any_address = true;
	if (!line.module_len && is_name(line.name, line.name_len, "_stext"))
		table->text_start = line.address;
	if (!line.module_len && is_name(line.name, line.name_len, "_etext")) {
		table->text_end = line.address;
		return 0; /* no function begins there */
	}
	if (!rank_of(line.type))
		return 0;
	if (line.module_len)
		settle_module(&line);
	return add_symbol(loader, &line);
}

/* Takes the whole lines off [buffer, buffer + *len); *skip: inside of a line that is too long. */
static int take_lines(struct loader *loader, size_t *len, bool *skip)
{
	char *at = loader->buffer, *end = at + *len, *newline;
	int ret;

	while ((newline = memchr(at, '\n', (size_t)(end - at)))) {
		ret = *skip ? 0 : on_line(loader, at, newline);
		if (ret)
			return ret;
		*skip = false;
		at = newline + 1;
	}
	*len = (size_t)(end - at);
	if (*len == BUFFER_BYTES) {
		*skip = true;
		*len = 0;
	}
	memmove(loader->buffer, at, *len);
	return 0;
}

static int read_lines(struct loader *loader, int fd, const char *path, struct errmsg *err)
{
	size_t len = 0;
	bool skip = false;

	for (;;) {
		ssize_t n = read(fd, loader->buffer + len, BUFFER_BYTES - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err, -errno, "cannot read '%s'", path);
		len += (size_t)n;
		if (n == 0 && len && !skip && on_line(loader, loader->buffer, loader->buffer + len))
			return err_set(err, -ENOMEM, "cannot keep '%s'", path);
		if (n == 0)
			return 0;
		if (take_lines(loader, &len, &skip))
			return err_set(err, -ENOMEM, "cannot keep '%s'", path);
	}
}

static int compare_drafts(const void *a, const void *b)
{
	const struct draft *left = a, *right = b;

	if (left->address != right->address)
		return left->address < right->address ? -1 : 1;
	return left->name < right->name ? -1 : left->name > right->name;
}

/* Sorts what is mostly in order: /proc/kallsyms lists the kernel, then module after module. */
static void sort_drafts(struct loader *loader)
{
	size_t i;

	for (i = 1; i < loader->cnt; i++) {
		if (loader->drafts[i - 1].address > loader->drafts[i].address)
			break;
	}
	if (i < loader->cnt)
		qsort(loader->drafts, loader->cnt, sizeof(*loader->drafts), compare_drafts);
}

static bool is_better(const struct kallsyms *table, const struct draft *a, const struct draft *b)
{
	const char *left = table->names + a->name, *right = table->names + b->name;
	size_t left_underscores = strspn(left, "_"), right_underscores = strspn(right, "_");
	bool left_suffix = strchr(left, '.'), right_suffix = strchr(right, '.');

	if (a->rank != b->rank)
		return a->rank > b->rank;
	if (left_underscores != right_underscores)
		return left_underscores < right_underscores;
	if (left_suffix != right_suffix)
		return right_suffix;
	return strlen(left) < strlen(right);
}

static bool ends_with(const char *name, const char *end)
{
	size_t len = strlen(name), end_len = strlen(end);

	return len >= end_len && strcmp(name + len - end_len, end) == 0;
}

/* Marks of sections (_stext, __sched_text_start) stand at functions, which we want instead. */
static bool is_section_mark(const struct kallsyms *table, const struct draft *draft)
{
	const char *name = table->names + draft->name;

	return name[0] == '_' && (strcmp(name, "_text") == 0 || strcmp(name, "_stext") == 0 ||
				  ends_with(name, "__text") || ends_with(name, "text_start") ||
				  ends_with(name, "text_end"));
}

static void drop_aliases(struct loader *loader)
{
	const struct kallsyms *table = loader->table;
	size_t i, kept = 0;

	for (i = 0; i < loader->cnt; i++) {
		struct draft *draft = &loader->drafts[i];
		struct draft *last = kept ? &loader->drafts[kept - 1] : NULL;

		if (!last || last->address != draft->address) {
			loader->drafts[kept++] = *draft;
			continue;
		}
		if (is_section_mark(table, draft) != is_section_mark(table, last)) {
			if (is_section_mark(table, last))
				*last = *draft;
		} else if (is_better(table, draft, last)) {
			*last = *draft;
		}
	}
	loader->cnt = kept;
}

static int add_region(struct kallsyms *table, const struct draft *draft)
{
	if (!grow((void **)&table->regions, &table->region_capacity, table->region_cnt + 1,
		  sizeof(*table->regions)))
		return -ENOMEM;
	table->regions[table->region_cnt++] = (struct region){
		.base = draft->address,
		.first_row = (uint32_t)table->cnt,
		.module = draft->module,
	};
	return 0;
}

/* Drafts to rows, and memory given back. */
static int settle(struct loader *loader)
{
	struct kallsyms *table = loader->table;
	const struct region *region = NULL;
	char *names;
	size_t i;

	table->rows = malloc(MAX(loader->cnt, (size_t)1) * sizeof(*table->rows));
	if (!table->rows)
		return -ENOMEM;
	for (i = 0; i < loader->cnt; i++) {
		const struct draft *draft = &loader->drafts[i];

		if (!region || region->module != draft->module ||
		    draft->address - region->base > UINT32_MAX) {
			if (add_region(table, draft))
				return -ENOMEM;
			region = &table->regions[table->region_cnt - 1];
		}
		table->rows[table->cnt++] = (struct row){
			.offset = (uint32_t)(draft->address - region->base),
			.name = draft->name,
		};
	}
	names = realloc(table->names, MAX(table->names_len, (size_t)1));
	if (names) {
		table->names = names;
		table->names_capacity = MAX(table->names_len, (size_t)1);
	}
	return 0;
}

static int load(struct loader *loader, int fd, const char *path, struct errmsg *err)
{
	int ret;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_set(err, -errno, "cannot read '%s'", path);
	ret = read_lines(loader, fd, path, err);
	if (ret)
		return ret;
	if (loader->table->text_end <= loader->table->text_start)
		loader->table->text_start = loader->table->text_end = 0;
	loader->table->hidden = loader->any_line && !loader->any_address;
	sort_drafts(loader);
	drop_aliases(loader);
	if (settle(loader))
		return err_set(err, -ENOMEM, "cannot keep '%s'", path);
	return 0;
}

int kallsyms_load_fd(int fd, const char *path, struct kallsyms **ret, struct errmsg *err)
{
	_cleanup_(freekallsyms) struct kallsyms *table = calloc(1, sizeof(*table));
	_cleanup_(freeloader) struct loader *loader = calloc(1, sizeof(*loader));
	int code;

	if (!table || !loader || strtab_init(&table->modules))
		return err_set(err, -ENOMEM, "cannot read '%s'", path);
	loader->table = table;
	code = load(loader, fd, path, err);
	if (code)
		return code;
	*ret = TAKE_PTR(table);
	return 0;
}

int kallsyms_load(const char *path, struct kallsyms **ret, struct errmsg *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_set(err, -errno, "cannot open '%s'", path);
	return kallsyms_load_fd(fd, path, ret, err);
}

void kallsyms_free(struct kallsyms *table)
{
	if (!table)
		return;
	free(table->rows);
	free(table->regions);
	free(table->names);
	strtab_free(&table->modules);
	free(table);
}

bool kallsyms_hidden(const struct kallsyms *table)
{
	return table->hidden;
}

/* The last region that begins at or before @address, or NULL. */
static const struct region *find_region(const struct kallsyms *table, uint64_t address)
{
	size_t low = 0, high = table->region_cnt;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (table->regions[middle].base <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &table->regions[low - 1] : NULL;
}

/* The last row of @region at or before @address; there is one, as its first is its base. */
static const struct row *find_row(const struct kallsyms *table, const struct region *region,
				  uint64_t address)
{
	bool is_last = region == &table->regions[table->region_cnt - 1];
	size_t low = region->first_row, high = is_last ? table->cnt : region[1].first_row;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (region->base + table->rows[middle].offset <= address)
			low = middle;
		else
			high = middle;
	}
	return &table->rows[low];
}

bool kallsyms_find(const struct kallsyms *table, uint64_t address, struct kernel_symbol *ret)
{
	const struct region *region = find_region(table, address);
	const struct row *row;
	uint64_t start;

	if (!region)
		return false;
	row = find_row(table, region, address);
	start = region->base + row->offset;
	if (address - start > REACH_MAX)
		return false;
	if (start < table->text_end && address >= table->text_end)
		return false;
	*ret = (struct kernel_symbol){
		.name = table->names + row->name,
		.module = strtab_get(&table->modules, region->module, NULL),
		.address = start,
	};
	return true;
}

void kallsyms_text_range(const struct kallsyms *table, uint64_t *ret_start, uint64_t *ret_end)
{
	*ret_start = table->text_start;
	*ret_end = table->text_end;
}

size_t kallsyms_cnt(const struct kallsyms *table)
{
	return table->cnt;
}

size_t kallsyms_bytes(const struct kallsyms *table)
{
	return sizeof(*table) + MAX(table->cnt, (size_t)1) * sizeof(*table->rows) +
	       table->region_capacity * sizeof(*table->regions) + table->names_capacity +
	       strtab_bytes(&table->modules);
}
