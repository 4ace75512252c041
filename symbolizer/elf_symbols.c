/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Function symbols of ELF files.
 *
 * A table is read in batches of BATCH_SYMBOLS; what is no function is dropped, the rest is
 * ordered by the place of its name, and the names are read through a window that moves over the
 * string table.  So neither table is held whole, and a .dynsym in hash order, whose names are
 * scattered over megabytes, still reads its strings forward.  Rejected: one pread per name (a
 * system call for each of 400,000 symbols), and the whole string table (20 MB for librustc, of
 * which the caller then keeps a copy of a part).
 *
 * Work is bounded for hostile tables: at most ELF_SYMBOLS_MAX entries, for each at most one
 * window, and a stretch of strings without a NUL is remembered as barren.
 */
#include "symbolizer/elf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/elf_private.h"

#define BATCH_SYMBOLS 32768
#define WINDOW_BYTES 65536	/* > ELF_NAME_MAX */
#define WINDOW_SMALL_BYTES 4096 /* when the next name is far away */
#define HASH_BUCKETS_MAX (16u << 20)
#define HASH_CHAIN_MAX 4096

/* The part of a string table that is in memory. */
struct window {
	uint64_t start, barren_end; /* offsets in the string table */
	size_t len;
	char bytes[WINDOW_BYTES];
};

struct walk {
	struct elf_file *elf;
	bool (*visit)(void *context, const struct elf_symbol_visit *symbol);
	void *context;
	bool stopped;
	struct window *window;
	Elf64_Sym *batch; /* [BATCH_SYMBOLS] */
};

static void freewalk(struct walk *walk)
{
	free(walk->window);
	free(walk->batch);
}

/* Before another string table. */
static void window_reset(struct window *window)
{
	window->len = 0;
	window->barren_end = 0;
}

static int window_fill(struct window *window, const struct elf_file *elf,
		       const struct elf_symbol_table *table, uint64_t name, size_t want)
{
	uint64_t left = table->strings_bytes - name;
	int ret;

	window->len = 0;
	window->start = name;
	want = MIN(want, left);
	ret = elf_read(elf, window->bytes, want, table->strings + name);
	if (!ret)
		window->len = want;
	return ret;
}

/* The name within the window, or NULL when its end is not in it. */
static const char *window_get(const struct window *window, uint64_t name)
{
	size_t at, max;

	if (name < window->start || name - window->start >= window->len)
		return NULL;
	at = name - window->start;
	max = MIN(window->len - at, (size_t)ELF_NAME_MAX);
	return memchr(window->bytes + at, '\0', max) ? window->bytes + at : NULL;
}

/* Up to where there is no NUL, from the window's start: the end of time if none is left. */
static uint64_t barren_end(const struct window *window, const struct elf_symbol_table *table)
{
	const char *end = memchr(window->bytes, '\0', window->len);

	if (end)
		return window->start + (uint64_t)(end - window->bytes);
	if (window->start + window->len == table->strings_bytes)
		return UINT64_MAX;
	return window->start + window->len;
}

/* The name at offset @name of the string table; *ret is NULL when it is too long or broken. */
static int read_name(struct walk *walk, const struct elf_symbol_table *table, uint64_t name,
		     const char **ret)
{
	struct window *window = walk->window;
	size_t want = WINDOW_BYTES;
	int code;

	*ret = NULL;
	if (name >= table->strings_bytes)
		return -ENOEXEC;
	if (name >= window->start && name < window->barren_end &&
	    window->barren_end - name >= ELF_NAME_MAX)
		return -ENOEXEC;
	*ret = window_get(window, name);
	if (*ret)
		return 0;
	if (name < window->start || name > window->start + window->len + WINDOW_BYTES)
		want = WINDOW_SMALL_BYTES;
	for (;; want = WINDOW_BYTES) {
		window->barren_end = 0;
		code = window_fill(window, walk->elf, table, name, want);
		if (code)
			return code;
		*ret = window_get(window, name);
		if (*ret)
			return 0;
		if (want == WINDOW_BYTES || window->len < want)
			break;
	}
	window->barren_end = barren_end(window, table);
	return -ENOEXEC;
}

/* The section that a symbol is defined in; NULL when the file does not say. */
static const Elf64_Shdr *section_of(const struct elf_file *elf, const Elf64_Sym *symbol)
{
	if (symbol->st_shndx >= elf->section_cnt || symbol->st_shndx >= SHN_LORESERVE)
		return NULL;
	return &elf->sections[symbol->st_shndx];
}

static bool is_function(const struct elf_file *elf, const Elf64_Sym *symbol)
{
	unsigned int type = ELF64_ST_TYPE(symbol->st_info);
	const Elf64_Shdr *section = section_of(elf, symbol);

	if (symbol->st_shndx == SHN_UNDEF || !symbol->st_name)
		return false;
	if (symbol->st_shndx >= SHN_LORESERVE && symbol->st_shndx != SHN_XINDEX)
		return false;
	if (type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE)
		return false;
	if (type == STT_NOTYPE && section && !(section->sh_flags & SHF_EXECINSTR))
		return false;
	return elf_text_segment(elf, symbol->st_value);
}

/* Where at the latest the code ends that begins at @symbol. */
static uint64_t limit_of(const struct elf_file *elf, const Elf64_Sym *symbol)
{
	const struct elf_segment *segment = elf_text_segment(elf, symbol->st_value);
	const Elf64_Shdr *section = section_of(elf, symbol);

	if (section && symbol->st_value >= section->sh_addr &&
	    symbol->st_value - section->sh_addr < section->sh_size)
		return section->sh_addr + section->sh_size;
	return segment ? segment->vaddr + segment->memsz : symbol->st_value;
}

/* Labels of assemblers and compilers that are no functions: .L12, AArch64's $x and $d. */
static bool is_local_label(const char *name)
{
	if (name[0] == '.' && name[1] == 'L')
		return true;
	return name[0] == '$' && (name[1] == 'x' || name[1] == 'd') &&
	       (name[2] == '\0' || name[2] == '.');
}

static int visit_one(struct walk *walk, const struct elf_symbol_table *table,
		     const Elf64_Sym *symbol, bool plt)
{
	struct elf_symbol_visit visit = {
		.address = symbol->st_value,
		.size = symbol->st_size,
		.limit = limit_of(walk->elf, symbol),
		.binding = ELF64_ST_BIND(symbol->st_info),
		.untyped = ELF64_ST_TYPE(symbol->st_info) == STT_NOTYPE,
		.plt = plt,
		.dynamic = table->dynamic,
	};
	int ret;

	ret = read_name(walk, table, symbol->st_name, &visit.name);
	if (ret)
		return ret;
	if (!visit.name[0] || (visit.untyped && is_local_label(visit.name)))
		return 0;
	walk->stopped = !walk->visit(walk->context, &visit);
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	const Elf64_Sym *left = a, *right = b;

	return left->st_name < right->st_name ? -1 : left->st_name > right->st_name;
}

/* Visits entries of @table that were read; reorders them. */
static int visit_batch(struct walk *walk, const struct elf_symbol_table *table, Elf64_Sym *symbols,
		       size_t cnt, bool plt)
{
	int result = 0, ret;
	size_t i;

	for (i = 1; i < cnt && symbols[i - 1].st_name <= symbols[i].st_name; i++)
		;
	if (i < cnt)
		qsort(symbols, cnt, sizeof(*symbols), compare_names);
	for (i = 0; i < cnt && !walk->stopped; i++) {
		ret = visit_one(walk, table, &symbols[i], plt);
		if (ret == -EIO)
			return ret;
		if (ret)
			result = ret;
	}
	return result;
}

static int walk_table(struct walk *walk, const struct elf_symbol_table *table)
{
	uint64_t total = MIN(table->cnt, (uint64_t)ELF_SYMBOLS_MAX), first, i;
	int result = 0, ret;

	window_reset(walk->window);
	for (first = 0; first < total && !walk->stopped; first += BATCH_SYMBOLS) {
		size_t n = MIN(total - first, (uint64_t)BATCH_SYMBOLS), kept = 0;

		ret = elf_read(walk->elf, walk->batch, n * sizeof(Elf64_Sym),
			       table->offset + first * sizeof(Elf64_Sym));
		if (ret)
			return ret;
		for (i = 0; i < n; i++) {
			if (is_function(walk->elf, &walk->batch[i]))
				walk->batch[kept++] = walk->batch[i];
		}
		ret = visit_batch(walk, table, walk->batch, kept, false);
		if (ret == -EIO)
			return ret;
		if (ret)
			result = ret;
	}
	return result;
}

int elf_table_of_section(const struct elf_file *elf, size_t index, struct elf_symbol_table *ret)
{
	const Elf64_Shdr *section, *strings;
	uint64_t bytes;
	bool whole;

	if (index >= elf->section_cnt)
		return -ENOEXEC;
	section = &elf->sections[index];
	if ((section->sh_type != SHT_SYMTAB && section->sh_type != SHT_DYNSYM) ||
	    section->sh_entsize != sizeof(Elf64_Sym) || section->sh_link >= elf->section_cnt)
		return -ENOEXEC;
	strings = &elf->sections[section->sh_link];
	if (strings->sh_type != SHT_STRTAB)
		return -ENOEXEC;
	*ret = (struct elf_symbol_table){
		.offset = section->sh_offset,
		.strings = strings->sh_offset,
		.strings_bytes = strings->sh_size,
		.dynamic = section->sh_type == SHT_DYNSYM,
	};
	bytes = section->sh_size;
	whole = elf_clip(elf, ret->offset, &bytes);
	whole = elf_clip(elf, ret->strings, &ret->strings_bytes) && whole;
	ret->cnt = bytes / sizeof(Elf64_Sym);
	return whole ? 0 : -ENOEXEC;
}

/* Walks the first section of @type; -ENODATA when there is none. */
static int walk_section(struct walk *walk, uint32_t type)
{
	struct elf_symbol_table table = {};
	int broken, ret;
	size_t i;

	for (i = 0; i < walk->elf->section_cnt; i++) {
		if (walk->elf->sections[i].sh_type == type)
			break;
	}
	if (i == walk->elf->section_cnt)
		return -ENODATA;
	broken = elf_table_of_section(walk->elf, i, &table);
	ret = walk_table(walk, &table);
	return ret ? ret : broken;
}

/* Number of symbols by DT_GNU_HASH: the end of the chain that starts last. */
static int gnu_hash_cnt(const struct elf_file *elf, uint64_t offset, uint64_t *ret)
{
	uint32_t head[4]; /* buckets, first hashed symbol, words of 64 bits in the filter, shift */
	uint32_t words[256], last = 0;
	uint64_t i, chain, n;
	int code;

	code = elf_read(elf, head, sizeof(head), offset);
	if (code)
		return code;
	offset += sizeof(head) + (uint64_t)head[2] * 8;
	if (head[0] > HASH_BUCKETS_MAX)
		return -ENOEXEC;
	for (i = 0; i < head[0]; i += n) {
		n = MIN(head[0] - i, ARRAY_SIZE(words));
		code = elf_read(elf, words, n * 4, offset + i * 4);
		if (code)
			return code;
		for (chain = 0; chain < n; chain++)
			last = MAX(last, words[chain]);
	}
	*ret = head[1];
	if (last < head[1]) /* no bucket is in use */
		return 0;
	offset += ((uint64_t)head[0] + last - head[1]) * 4;
	for (i = 0; i < HASH_CHAIN_MAX; i++) {
		code = elf_read(elf, words, 4, offset + i * 4);
		if (code)
			return code;
		if (words[0] & 1) {
			*ret = last + i + 1;
			return 0;
		}
	}
	return -ENOEXEC;
}

struct dynamic {
	uint64_t symbols, strings, strings_bytes, hash, gnu_hash;
};

static int read_dynamic(const struct elf_file *elf, struct dynamic *ret)
{
	uint64_t i, cnt = elf->dynamic_bytes / sizeof(Elf64_Dyn);
	Elf64_Dyn entry;
	int code;

	for (i = 0; i < MIN(cnt, (uint64_t)ELF_DYNAMIC_MAX); i++) {
		code = elf_read(elf, &entry, sizeof(entry),
				elf->dynamic_offset + i * sizeof(entry));
		if (code)
			return code;
		switch (entry.d_tag) {
		case DT_NULL:
			return 0;
		case DT_SYMTAB:
			ret->symbols = entry.d_un.d_ptr;
			break;
		case DT_STRTAB:
			ret->strings = entry.d_un.d_ptr;
			break;
		case DT_STRSZ:
			ret->strings_bytes = entry.d_un.d_val;
			break;
		case DT_HASH:
			ret->hash = entry.d_un.d_ptr;
			break;
		case DT_GNU_HASH:
			ret->gnu_hash = entry.d_un.d_ptr;
			break;
		}
	}
	return 0;
}

/* The dynamic symbols of a file without section headers; -ENODATA when there are none. */
static int walk_dynamic(struct walk *walk)
{
	const struct elf_file *elf = walk->elf;
	struct elf_symbol_table table = { .dynamic = true };
	struct dynamic dynamic = {};
	uint32_t hash_head[2]; /* buckets, symbols */
	uint64_t hash, bytes;
	int ret, broken;

	ret = read_dynamic(elf, &dynamic);
	if (ret)
		return ret;
	if (!elf_offset_of(elf, dynamic.symbols, &table.offset) ||
	    !elf_offset_of(elf, dynamic.strings, &table.strings))
		return -ENODATA;
	if (dynamic.hash && elf_offset_of(elf, dynamic.hash, &hash)) {
		ret = elf_read(elf, hash_head, sizeof(hash_head), hash);
		table.cnt = ret ? 0 : hash_head[1];
	} else if (dynamic.gnu_hash && elf_offset_of(elf, dynamic.gnu_hash, &hash)) {
		ret = gnu_hash_cnt(elf, hash, &table.cnt);
	} else {
		ret = -ENODATA;
	}
	if (ret)
		return ret;
	table.strings_bytes = dynamic.strings_bytes;
	bytes = table.cnt * sizeof(Elf64_Sym);
	broken = elf_clip(elf, table.offset, &bytes) ? 0 : -ENOEXEC;
	if (!elf_clip(elf, table.strings, &table.strings_bytes))
		broken = -ENOEXEC;
	table.cnt = bytes / sizeof(Elf64_Sym);
	ret = walk_table(walk, &table);
	return ret ? ret : broken;
}

static int walk_plt(struct walk *walk)
{
	_cleanup_free_ Elf64_Sym *stubs = NULL;
	struct elf_symbol_table table;
	size_t cnt;
	int ret;

	ret = elf_plt_symbols(walk->elf, &stubs, &cnt, &table);
	if (ret)
		return ret;
	window_reset(walk->window);
	return visit_batch(walk, &table, stubs, cnt, true);
}

static int walk_init(struct walk *walk)
{
	walk->window = calloc(1, sizeof(*walk->window));
	walk->batch = malloc(BATCH_SYMBOLS * sizeof(*walk->batch));
	return walk->window && walk->batch ? 0 : -ENOMEM;
}

static int walk_with_sections(struct walk *walk)
{
	int symtab, dynsym, plt;

	symtab = walk_section(walk, SHT_SYMTAB);
	dynsym = walk->stopped ? 0 : walk_section(walk, SHT_DYNSYM);
	plt = walk->stopped ? 0 : walk_plt(walk);
	if (symtab == -ENODATA && dynsym == -ENODATA)
		return -ENODATA;
	if (symtab && symtab != -ENODATA)
		return symtab;
	if (dynsym && dynsym != -ENODATA)
		return dynsym;
	return plt == -ENODATA ? 0 : plt;
}

int elf_file_visit_symbols(struct elf_file *elf,
			   bool (*visit)(void *context, const struct elf_symbol_visit *symbol),
			   void *context)
{
	_cleanup_(freewalk) struct walk walk = { .elf = elf, .visit = visit, .context = context };
	int sections, ret;

	ret = walk_init(&walk);
	if (ret)
		return ret;
	sections = elf_load_sections(elf);
	if (sections == -ENOMEM || sections == -EIO)
		return sections;
	if (elf->section_cnt)
		return walk_with_sections(&walk);
	ret = walk_dynamic(&walk);
	return sections && (!ret || ret == -ENODATA) ? -ENOEXEC : ret;
}
