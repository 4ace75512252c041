/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Symbol tables of ELF files, and the functions in them, without names (elf_names.c).
 *
 * A table is read in batches, never whole: .symtab of librustc is 4 MB.  Work is bounded for
 * hostile tables: at most ELF_SYMBOLS_MAX entries, and a hash table whose chains do not end is
 * given up.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/elf_private.h"
#include "symbolizer/elf_symbols.h"

#define BATCH_SYMBOLS 2048
#define HASH_BUCKETS_MAX (16u << 20)
#define HASH_CHAIN_MAX 4096

/* The section that a symbol is defined in; NULL when the file does not say. */
static const Elf64_Shdr *section_of(const struct elf_file *elf, const Elf64_Sym *symbol)
{
	if (symbol->st_shndx >= elf->section_cnt || symbol->st_shndx >= SHN_LORESERVE)
		return NULL;
	return &elf->sections[symbol->st_shndx];
}

/* The segment of the program that holds the function @symbol; NULL: it is no function. */
static const struct elf_segment *segment_of(const struct elf_file *elf, const struct elf_code *code,
					    const Elf64_Sym *symbol)
{
	unsigned int type = ELF64_ST_TYPE(symbol->st_info);
	const Elf64_Shdr *section;

	if (type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE)
		return NULL;
	if (symbol->st_shndx == SHN_UNDEF || !symbol->st_name)
		return NULL;
	if (symbol->st_shndx >= SHN_LORESERVE && symbol->st_shndx != SHN_XINDEX)
		return NULL;
	section = section_of(elf, symbol);
	if (type == STT_NOTYPE && section && !(section->sh_flags & SHF_EXECINSTR))
		return NULL;
	return elf_text_segment(code->program, symbol->st_value + code->shift);
}

/*
 * Where at the latest the code ends that begins at @symbol.  The section headers of debug files
 * have the addresses and sizes of what is not in them (SHT_NOBITS).
 */
static uint64_t limit_of(const struct elf_file *elf, const struct elf_code *code,
			 const struct elf_segment *segment, const Elf64_Sym *symbol)
{
	uint64_t limit = segment->vaddr + segment->memsz;
	const Elf64_Shdr *section = section_of(elf, symbol);

	if (section && symbol->st_value >= section->sh_addr &&
	    symbol->st_value - section->sh_addr < section->sh_size)
		limit = MIN(limit, section->sh_addr + section->sh_size + code->shift);
	return limit;
}

static int visit_batch(const struct elf_file *elf, const struct elf_code *code,
		       const Elf64_Sym *symbols, size_t cnt,
		       bool (*visit)(void *context, const struct elf_function *function),
		       void *context)
{
	size_t i;

	for (i = 0; i < cnt; i++) {
		const Elf64_Sym *symbol = &symbols[i];
		const struct elf_segment *segment = segment_of(elf, code, symbol);
		struct elf_function function;

		if (!segment)
			continue;
		function = (struct elf_function){
			.address = symbol->st_value + code->shift,
			.size = symbol->st_size,
			.limit = limit_of(elf, code, segment, symbol),
			.string = symbol->st_name,
			.binding = ELF64_ST_BIND(symbol->st_info),
			.untyped = ELF64_ST_TYPE(symbol->st_info) == STT_NOTYPE,
		};
		if (!visit(context, &function))
			return 1;
	}
	return 0;
}

int elf_visit_functions(const struct elf_file *elf, const struct elf_symbol_table *table,
			const struct elf_code *code,
			bool (*visit)(void *context, const struct elf_function *function),
			void *context)
{
	uint64_t total = MIN(table->cnt, (uint64_t)ELF_SYMBOLS_MAX), first;
	_cleanup_free_ Elf64_Sym *batch = NULL;
	int ret;

	if (table->stubs) {
		visit_batch(elf, code, table->stubs, total, visit, context);
		return 0;
	}
	batch = malloc(BATCH_SYMBOLS * sizeof(*batch));
	if (!batch)
		return -ENOMEM;
	for (first = 0; first < total; first += BATCH_SYMBOLS) {
		size_t n = MIN(total - first, (uint64_t)BATCH_SYMBOLS);

		ret = elf_read(elf, batch, n * sizeof(*batch),
			       table->offset + first * sizeof(*batch));
		if (ret)
			return ret;
		if (visit_batch(elf, code, batch, n, visit, context))
			return 0;
	}
	return 0;
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
		.kind = section->sh_type == SHT_DYNSYM ? ELF_TABLE_DYNSYM : ELF_TABLE_SYMTAB,
	};
	bytes = section->sh_size;
	whole = elf_clip(elf, ret->offset, &bytes);
	whole = elf_clip(elf, ret->strings, &ret->strings_bytes) && whole;
	ret->cnt = bytes / sizeof(Elf64_Sym);
	return whole ? 0 : -ENOEXEC;
}

/* Adds the first section of @type; -ENODATA when there is none. */
static int add_section(const struct elf_file *elf, uint32_t type, struct elf_symbol_tables *tables)
{
	struct elf_symbol_table table = {};
	size_t i;
	int ret;

	for (i = 0; i < elf->section_cnt; i++) {
		if (elf->sections[i].sh_type == type)
			break;
	}
	if (i == elf->section_cnt)
		return -ENODATA;
	ret = elf_table_of_section(elf, i, &table);
	if (table.cnt)
		tables->tables[tables->cnt++] = table;
	return ret;
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

/* Adds the dynamic symbols of a file without section headers; -ENODATA when there are none. */
static int add_dynamic(const struct elf_file *elf, struct elf_symbol_tables *tables)
{
	struct elf_symbol_table table = { .kind = ELF_TABLE_DYNSYM };
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
	if (table.cnt)
		tables->tables[tables->cnt++] = table;
	return broken;
}

static int add_plt(struct elf_file *elf, struct elf_symbol_tables *tables)
{
	struct elf_symbol_table table = {};
	Elf64_Sym *stubs;
	size_t cnt;
	int ret;

	ret = elf_plt_symbols(elf, &stubs, &cnt, &table);
	if (ret)
		return ret == -ENODATA ? 0 : ret;
	table.kind = ELF_TABLE_PLT;
	table.stubs = stubs;
	table.cnt = cnt;
	tables->tables[tables->cnt++] = table;
	return 0;
}

static int find_in_sections(struct elf_file *elf, bool separate, struct elf_symbol_tables *tables)
{
	int symtab, dynsym, plt;

	symtab = add_section(elf, SHT_SYMTAB, tables);
	dynsym = add_section(elf, SHT_DYNSYM, tables);
	plt = separate ? 0 : add_plt(elf, tables);
	if (symtab == -ENODATA && dynsym == -ENODATA)
		return -ENODATA;
	if (symtab && symtab != -ENODATA)
		return symtab;
	if (dynsym && dynsym != -ENODATA)
		return dynsym;
	return plt;
}

int elf_find_tables(struct elf_file *elf, bool separate, struct elf_symbol_tables *ret)
{
	int sections, code;

	*ret = (struct elf_symbol_tables){};
	sections = elf_load_sections(elf);
	if (sections == -ENOMEM || sections == -EIO)
		return sections;
	if (elf->section_cnt)
		return find_in_sections(elf, separate, ret);
	code = separate ? -ENODATA : add_dynamic(elf, ret);
	return sections && (!code || code == -ENODATA) ? -ENOEXEC : code;
}

void elf_tables_free(struct elf_symbol_tables *tables)
{
	size_t i;

	for (i = 0; i < tables->cnt; i++)
		free(tables->tables[i].stubs);
	tables->cnt = 0;
}
