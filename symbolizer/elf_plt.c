/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names for PLT stubs, the trampolines through which a file calls imported functions.
 *
 * A stub has no symbol.  Its code jumps through a slot of the global offset table, and the
 * dynamic relocation of that slot names the function.  We decode the jump of each stub, in all
 * sections that are called .plt*, and match its slot; the order of .rela.plt would do for
 * classic layouts only (not for .plt.got, nor for linkers that sort otherwise).  Left without a
 * name: the resolver at the start of .plt, the lazy half of an IBT layout (.plt beside .plt.sec,
 * run once for each function) and stubs of local ifuncs, whose relocations name no symbol.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/elf_private.h"

#define STUBS_MAX (64u << 10)
#define PLT_BYTES_MAX (2u << 20)     /* of one section */
#define PLT_SECTIONS_MAX 8	     /* read; real files have up to three */
#define RELOCATIONS_MAX (8ull << 20) /* looked at in one file */
#define RELOCATION_BATCH 512

struct stub {
	uint64_t slot;
	uint64_t address;
	uint32_t bytes;
	uint32_t symbol; /* index in the dynamic symbol table; 0 = not known (yet) */
};

struct stubs {
	struct stub *rows;
	size_t cnt, capacity, named_cnt;
};

static void freestubs(struct stubs *stubs)
{
	free(stubs->rows);
}

/*
 * x86-64: [endbr64] [bnd] jmp *slot(%rip), in pieces of 16 bytes, or of 8 where the jump is
 * followed by padding of one or two bytes (.plt.got, and .plt.sec of the days of MPX).
 */
size_t elf_plt_decode_x86_64(const uint8_t *code, size_t len, uint64_t address, uint64_t *ret_slot)
{
	static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	size_t at = 0;
	int32_t displacement;

	*ret_slot = 0;
	if (len >= sizeof(endbr64) && memcmp(code, endbr64, sizeof(endbr64)) == 0)
		at = sizeof(endbr64);
	if (at < len && code[at] == 0xf2)
		at++;
	if (at + 6 > len || code[at] != 0xff || code[at + 1] != 0x25)
		return 16;
	memcpy(&displacement, code + at + 2, sizeof(displacement));
	*ret_slot = address + at + 6 + (uint64_t)(int64_t)displacement;
	if (len >= 8 &&
	    ((at == 0 && code[6] == 0x66 && code[7] == 0x90) || (at == 1 && code[7] == 0x90)))
		return 8;
	return 16;
}

/*
 * AArch64: [bti c]; adrp x16, page; ldr x17, [x16, #low]; add x16, x16, #low; br x17.
 * (Arm Architecture Reference Manual, C6.2: ADRP, LDR (immediate), unsigned offset.)
 */
size_t elf_plt_decode_aarch64(const uint8_t *code, size_t len, uint64_t address, uint64_t *ret_slot)
{
	uint32_t words[3];
	size_t at = 0;
	int64_t pages;

	*ret_slot = 0;
	if (len < sizeof(words))
		return 4;
	memcpy(words, code, sizeof(words));
	if (words[0] == 0xd503245f) /* bti c */
		at = 1;
	if ((words[at] & 0x9f00001f) != 0x90000010 || (words[at + 1] & 0xffc003ff) != 0xf9400211)
		return 4;
	pages = (int64_t)(((words[at] >> 5 & 0x7ffff) << 2) | (words[at] >> 29 & 3));
	if (pages & (1 << 20))
		pages -= 1 << 21;
	*ret_slot = ((address + at * 4) & ~0xfffull) + ((uint64_t)pages << 12) +
		    (words[at + 1] >> 10 & 0xfff) * 8;
	return at * 4 + 16;
}

static size_t decode(const struct elf_file *elf, const uint8_t *code, size_t len, uint64_t address,
		     uint64_t *ret_slot)
{
	if (elf->header.e_machine == EM_AARCH64)
		return elf_plt_decode_aarch64(code, len, address, ret_slot);
	return elf_plt_decode_x86_64(code, len, address, ret_slot);
}

static int stubs_add(struct stubs *stubs, uint64_t slot, uint64_t address, size_t bytes)
{
	if (stubs->cnt == stubs->capacity) {
		size_t capacity = stubs->capacity ? stubs->capacity * 2 : 64;
		void *rows = realloc(stubs->rows, capacity * sizeof(*stubs->rows));

		if (!rows)
			return -ENOMEM;
		stubs->rows = rows;
		stubs->capacity = capacity;
	}
	stubs->rows[stubs->cnt++] = (struct stub){ slot, address, (uint32_t)bytes, 0 };
	return 0;
}

static int collect_section(const struct elf_file *elf, const Elf64_Shdr *section,
			   struct stubs *stubs)
{
	_cleanup_free_ uint8_t *code = NULL;
	uint64_t bytes = MIN(section->sh_size, (uint64_t)PLT_BYTES_MAX), slot;
	size_t at, step;
	int ret;

	elf_clip(elf, section->sh_offset, &bytes);
	code = malloc(bytes ? bytes : 1);
	if (!code)
		return -ENOMEM;
	ret = elf_read(elf, code, bytes, section->sh_offset);
	if (ret)
		return ret;
	for (at = 0; at < bytes && stubs->cnt < STUBS_MAX; at += step) {
		uint64_t address = section->sh_addr + at;

		step = decode(elf, code + at, bytes - at, address, &slot);
		if (slot && elf_text_segment(elf, address)) {
			ret = stubs_add(stubs, slot, address, step);
			if (ret)
				return ret;
		}
	}
	return 0;
}

static bool is_plt(const struct elf_file *elf, const Elf64_Shdr *section)
{
	const Elf64_Shdr *names;
	char name[5]; /* ".plt", then NUL or "." */

	if (section->sh_type != SHT_PROGBITS || !(section->sh_flags & SHF_EXECINSTR) ||
	    elf->header.e_shstrndx >= elf->section_cnt)
		return false;
	names = &elf->sections[elf->header.e_shstrndx];
	if (section->sh_name >= names->sh_size ||
	    names->sh_offset + section->sh_name < names->sh_offset ||
	    elf_read(elf, name, sizeof(name), names->sh_offset + section->sh_name))
		return false;
	return memcmp(name, ".plt", 4) == 0 && (name[4] == '\0' || name[4] == '.');
}

static int collect_stubs(const struct elf_file *elf, struct stubs *stubs)
{
	size_t i, found = 0;
	int ret;

	for (i = 0; i < elf->section_cnt && found < PLT_SECTIONS_MAX; i++) {
		if (!is_plt(elf, &elf->sections[i]))
			continue;
		found++;
		ret = collect_section(elf, &elf->sections[i], stubs);
		if (ret)
			return ret;
	}
	return 0;
}

static int compare_slots(const void *a, const void *b)
{
	const struct stub *left = a, *right = b;

	return left->slot < right->slot ? -1 : left->slot > right->slot;
}

/* Tells the stubs that jump through @relocation's slot which symbol it is for. */
static void name_stubs(struct stubs *stubs, const Elf64_Rela *relocation)
{
	size_t low = 0, high = stubs->cnt;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (stubs->rows[middle].slot < relocation->r_offset)
			low = middle + 1;
		else
			high = middle;
	}
	/* Of a slot's relocations the first counts: with many of both the work were their product. */
	for (; low < stubs->cnt && stubs->rows[low].slot == relocation->r_offset; low++) {
		if (stubs->rows[low].symbol)
			break;
		stubs->named_cnt++;
		stubs->rows[low].symbol = (uint32_t)ELF64_R_SYM(relocation->r_info);
	}
}

static bool fills_slot(const struct elf_file *elf, const Elf64_Rela *relocation)
{
	uint32_t type = (uint32_t)ELF64_R_TYPE(relocation->r_info);

	if (!ELF64_R_SYM(relocation->r_info))
		return false;
	if (elf->header.e_machine == EM_AARCH64)
		return type == R_AARCH64_JUMP_SLOT || type == R_AARCH64_GLOB_DAT;
	return type == R_X86_64_JUMP_SLOT || type == R_X86_64_GLOB_DAT;
}

static int match_relocations(const struct elf_file *elf, const Elf64_Shdr *section,
			     struct stubs *stubs, uint64_t *budget)
{
	Elf64_Rela batch[RELOCATION_BATCH];
	uint64_t bytes = section->sh_size, cnt, first, i, n;
	int ret;

	elf_clip(elf, section->sh_offset, &bytes);
	cnt = MIN(bytes / sizeof(*batch), *budget);
	*budget -= cnt;
	for (first = 0; first < cnt && stubs->named_cnt < stubs->cnt; first += n) {
		n = MIN(cnt - first, (uint64_t)RELOCATION_BATCH);
		ret = elf_read(elf, batch, n * sizeof(*batch),
			       section->sh_offset + first * sizeof(*batch));
		if (ret)
			return ret;
		for (i = 0; i < n; i++) {
			if (fills_slot(elf, &batch[i]))
				name_stubs(stubs, &batch[i]);
		}
	}
	return 0;
}

/* .rela.plt comes last: beginning there, the much larger .rela.dyn is mostly left unread. */
static int match_all(const struct elf_file *elf, struct stubs *stubs, size_t *ret_table)
{
	uint64_t budget = RELOCATIONS_MAX;
	size_t i, table = 0;
	int ret;

	for (i = elf->section_cnt; i-- && stubs->named_cnt < stubs->cnt;) {
		const Elf64_Shdr *section = &elf->sections[i];

		if (section->sh_type != SHT_RELA || section->sh_link >= elf->section_cnt ||
		    elf->sections[section->sh_link].sh_type != SHT_DYNSYM)
			continue;
		if (table && table != section->sh_link)
			return -ENOEXEC;
		table = section->sh_link;
		ret = match_relocations(elf, section, stubs, &budget);
		if (ret)
			return ret;
	}
	*ret_table = table;
	return stubs->named_cnt ? 0 : -ENODATA;
}

/* One entry per named stub, its name that of the symbol that it jumps to. */
static int make_symbols(const struct elf_file *elf, const struct stubs *stubs,
			const struct elf_symbol_table *table, Elf64_Sym **ret, size_t *ret_cnt)
{
	_cleanup_free_ Elf64_Sym *symbols = calloc(stubs->named_cnt, sizeof(*symbols));
	size_t i, cnt = 0;
	Elf64_Sym imported;
	int code;

	if (!symbols)
		return -ENOMEM;
	for (i = 0; i < stubs->cnt; i++) {
		const struct stub *stub = &stubs->rows[i];

		if (!stub->symbol || stub->symbol >= table->cnt)
			continue;
		code = elf_read(elf, &imported, sizeof(imported),
				table->offset + stub->symbol * sizeof(imported));
		if (code)
			return code;
		symbols[cnt++] = (Elf64_Sym){
			.st_name = imported.st_name,
			.st_info = ELF64_ST_INFO(STB_LOCAL, STT_FUNC),
			.st_shndx = SHN_XINDEX, /* defined, in a section that nobody asks for */
			.st_value = stub->address,
			.st_size = stub->bytes,
		};
	}
	*ret = TAKE_PTR(symbols);
	*ret_cnt = cnt;
	return 0;
}

int elf_plt_symbols(struct elf_file *elf, Elf64_Sym **ret, size_t *ret_cnt,
		    struct elf_symbol_table *ret_table)
{
	_cleanup_(freestubs) struct stubs stubs = {};
	size_t table;
	int code;

	code = collect_stubs(elf, &stubs);
	if (code)
		return code;
	if (!stubs.cnt)
		return -ENODATA;
	qsort(stubs.rows, stubs.cnt, sizeof(*stubs.rows), compare_slots);
	code = match_all(elf, &stubs, &table);
	if (code)
		return code;
	*ret_table = (struct elf_symbol_table){};
	code = elf_table_of_section(elf, table, ret_table);
	if (code && code != -ENOEXEC)
		return code;
	return make_symbols(elf, &stubs, ret_table, ret, ret_cnt);
}
