/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The module that a table belongs to: where its code begins, and where its inline trees are.
 *
 * Both stand in runtime.firstmoduledata only (headers of Go 1.18 to 1.25 have the first, but in
 * PIE as a relocation, and Go 1.26 leaves it 0).  That struct begins with a pointer to the
 * table's header and pointers to the table's parts, which makes it known when it is seen: nine
 * words must be what the header says.  In programs at a fixed address the file holds the
 * pointers; in PIE and libraries they are what R_*_RELATIVE relocations add up to.
 *
 * The words up to `etext` have been the same since Go 1.16.  What follows grew twice (Go 1.20,
 * Go 1.26), so that the address of go:func.* is tried where Go so far had it and then anywhere near,
 * and taken only when inlined calls are there: a sample of functions that have some must lead to
 * entries that name a function and lie within their function.  Deciding by Go's version (from
 * .go.buildinfo) was the alternative; it names no layouts of the future, and it can be removed.
 *
 * Code in several sections, which the system's linker may move apart, exists on other machines
 * only (Go's linker splits code for arm, ppc64 and macOS).  Were it here, the module's last
 * address would not be where the function table's last offset leads, and we refuse.
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/elf_private.h"
#include "symbolizer/gopclntab_private.h"

#if defined(__x86_64__)
#define RELATIVE R_X86_64_RELATIVE
#else
#define RELATIVE R_AARCH64_RELATIVE
#endif

#define CHUNK_RELOCATIONS 2048
#define CANDIDATES_MAX 16 /* places that are looked at for being the module */
#define SAMPLES_MAX 32	  /* functions with inlined calls that a guess is tested with */
#define SAMPLED_MAX 4096  /* functions looked at to find them */

/* Words of runtime.moduledata.  Slices are an address, a length and a capacity. */
enum {
	MODULE_HEADER = 0,
	MODULE_NAMES = 1,
	MODULE_FILENAME_OFFSETS = 4,
	MODULE_FILENAMES = 7,
	MODULE_PC_VALUES = 10,
	MODULE_FUNCTIONS = 13,
	MODULE_ENTRIES = 16,
	MODULE_FIRST_PC = 20,
	MODULE_LAST_PC = 21,
	MODULE_TEXT = 22,
	MODULE_GOFUNC_FIRST = 24, /* from here on it can be */
	MODULE_GOFUNC_118 = 38,
	MODULE_GOFUNC_120 = 40,
	MODULE_WORDS = 64,
};

struct module {
	uint64_t address;
	uint64_t words[MODULE_WORDS];
};

/* Elf64_Rela [cnt] of the file. */
struct relocations {
	uint64_t offset, cnt;
};

/* ---- relocations ---------------------------------------------------------------------------- */

static struct relocations find_relocations(const struct elf_file *elf)
{
	uint64_t i, cnt = MIN(elf->dynamic_bytes / sizeof(Elf64_Dyn), (uint64_t)ELF_DYNAMIC_MAX);
	uint64_t address = 0, bytes = 0;
	struct relocations none = {};
	struct go_range range;
	Elf64_Dyn entry;

	for (i = 0; i < cnt; i++) {
		if (elf_read(elf, &entry, sizeof(entry), elf->dynamic_offset + i * sizeof(entry)) ||
		    entry.d_tag == DT_NULL)
			break;
		if (entry.d_tag == DT_RELA)
			address = entry.d_un.d_ptr;
		else if (entry.d_tag == DT_RELASZ)
			bytes = entry.d_un.d_val;
	}
	if (!bytes || !go_range_at(elf, address, &range))
		return none;
	return (struct relocations){ range.offset, MIN(bytes, range.bytes) / sizeof(Elf64_Rela) };
}

/* Call @visit for each R_*_RELATIVE; as go_scan() it reads no more than is left to scan. */
static int visit_relocations(struct gopclntab *table, struct relocations relocations,
			     void (*visit)(void *context, const Elf64_Rela *relocation),
			     void *context)
{
	_cleanup_free_ Elf64_Rela *chunk = malloc(CHUNK_RELOCATIONS * sizeof(*chunk));
	uint64_t first, i, cnt;
	int ret;

	if (!chunk)
		return -ENOMEM;
	for (first = 0; first < relocations.cnt; first += cnt) {
		cnt = MIN(relocations.cnt - first, (uint64_t)CHUNK_RELOCATIONS);
		if (cnt * sizeof(*chunk) > table->scan_left)
			return 0;
		table->scan_left -= cnt * sizeof(*chunk);
		ret = elf_read(table->elf, chunk, cnt * sizeof(*chunk),
			       relocations.offset + first * sizeof(*chunk));
		if (ret)
			return ret;
		for (i = 0; i < cnt; i++) {
			if (ELF64_R_TYPE(chunk[i].r_info) == RELATIVE)
				visit(context, &chunk[i]);
		}
	}
	return 0;
}

/* ---- inline trees --------------------------------------------------------------------------- */

struct samples {
	struct go_function functions[SAMPLES_MAX];
	size_t cnt;
};

/* Functions with inlined calls, from all over the table. */
static void take_samples(struct gopclntab *table, struct samples *samples)
{
	size_t step = table->cnt / SAMPLED_MAX + 1, i;

	samples->cnt = 0;
	for (i = 0; i < table->cnt && samples->cnt < SAMPLES_MAX; i += step) {
		struct go_function *function = &samples->functions[samples->cnt];

		if (go_read_function(table, i, function) && function->inlines &&
		    function->tree != UINT32_MAX)
			samples->cnt++;
	}
}

/* Whether a name begins at @at. */
static bool starts_name(struct gopclntab *table, uint32_t at)
{
	char before = 0;

	return at < table->names.bytes &&
	       (!at || (go_read(table, table->names, at - 1, &before, 1) && !before));
}

/* Whether each sample's first inlined call makes sense with the trees in @inline_data. */
static bool trees_are_in(struct gopclntab *table, struct go_range inline_data,
			 const struct samples *samples)
{
	size_t i, named = 0;

	for (i = 0; i < samples->cnt; i++) {
		const struct go_function *function = &samples->functions[i];
		struct go_call call;

		if (!go_read_call(table, inline_data, function, 0, &call) ||
		    call.parent >= function->size || !starts_name(table, call.name))
			return false;
		named += call.name != 0;
	}
	/* One function does have the name at 0, but bytes of nothing look as if all had it. */
	return named >= samples->cnt / 2 + samples->cnt % 2;
}

static void find_inline_data(struct gopclntab *table, const struct module *module)
{
	size_t usual = table->old ? MODULE_GOFUNC_118 : MODULE_GOFUNC_120, i;
	struct samples samples;
	struct go_range range;

	take_samples(table, &samples);
	if (go_range_at(table->elf, module->words[usual], &range) &&
	    trees_are_in(table, range, &samples)) {
		table->inline_data = range;
		return;
	}
	/* Without a sample any place would do, and none is needed. */
	for (i = MODULE_GOFUNC_FIRST; i < MODULE_WORDS && samples.cnt; i++) {
		if (!go_range_at(table->elf, module->words[i], &range) ||
		    !trees_are_in(table, range, &samples))
			continue;
		table->inline_data = range;
		return;
	}
}

/* ---- the module ----------------------------------------------------------------------------- */

static bool points_at(const struct gopclntab *table, uint64_t word, struct go_range part)
{
	return word - table->address == part.offset - table->offset;
}

static bool is_module(const struct gopclntab *table, const struct module *module)
{
	const uint64_t *words = module->words;

	return words[MODULE_HEADER] == table->address &&
	       points_at(table, words[MODULE_NAMES], table->names) &&
	       points_at(table, words[MODULE_FILENAME_OFFSETS], table->filename_offsets) &&
	       points_at(table, words[MODULE_FILENAMES], table->filenames) &&
	       points_at(table, words[MODULE_PC_VALUES], table->pc_values) &&
	       points_at(table, words[MODULE_FUNCTIONS], table->functions) &&
	       words[MODULE_FUNCTIONS + 1] <= table->functions.bytes &&
	       words[MODULE_ENTRIES] == words[MODULE_FUNCTIONS] &&
	       words[MODULE_ENTRIES + 1] == table->cnt + 1;
}

/* Whether code that begins at @text is where the file has code. */
static bool is_code(const struct gopclntab *table, uint64_t text)
{
	return elf_text_segment(table->elf, text + table->entries[0].offset);
}

/* 1: taken; 0: this is no module; or an error. */
static int take_module(struct gopclntab *table, const struct module *module)
{
	uint64_t text = module->words[MODULE_TEXT];

	if (!is_module(table, module))
		return 0;
	if (module->words[MODULE_FIRST_PC] != text + table->entries[0].offset ||
	    module->words[MODULE_LAST_PC] != text + table->entries[table->cnt].offset ||
	    !is_code(table, text))
		return -ENOTSUP;
	table->text = text;
	table->functions.bytes = module->words[MODULE_FUNCTIONS + 1];
	find_inline_data(table, module);
	return 1;
}

static void relocate(void *context, const Elf64_Rela *relocation)
{
	struct module *module = context;
	uint64_t at = relocation->r_offset - module->address;

	if (at < sizeof(module->words) && at % sizeof(uint64_t) == 0)
		module->words[at / sizeof(uint64_t)] = (uint64_t)relocation->r_addend;
}

/* The word at @address points at the header: is it a module's first? */
static int try_module(struct gopclntab *table, uint64_t address)
{
	struct module module = { .address = address };
	struct go_range range;
	int ret;

	if (!table->candidates_left)
		return 0;
	table->candidates_left--;
	if (!go_range_at(table->elf, address, &range))
		return 0;
	ret = elf_read(table->elf, module.words, MIN(range.bytes, sizeof(module.words)),
		       range.offset);
	if (!ret)
		ret = visit_relocations(table, find_relocations(table->elf), relocate, &module);
	return ret ? ret : take_module(table, &module);
}

/* Relocated words that will point at the header. */
struct candidates {
	uint64_t target;
	uint64_t addresses[CANDIDATES_MAX];
	size_t cnt;
};

static void add_candidate(void *context, const Elf64_Rela *relocation)
{
	struct candidates *candidates = context;

	if ((uint64_t)relocation->r_addend == candidates->target &&
	    candidates->cnt < CANDIDATES_MAX)
		candidates->addresses[candidates->cnt++] = relocation->r_offset;
}

static int try_relocated_modules(struct gopclntab *table)
{
	struct candidates candidates = { .target = table->address };
	size_t i;
	int ret;

	ret = visit_relocations(table, find_relocations(table->elf), add_candidate, &candidates);
	for (i = 0; i < candidates.cnt && !ret; i++)
		ret = try_module(table, candidates.addresses[i]);
	return ret;
}

int go_locate_module(struct gopclntab *table)
{
	int ret;

	table->candidates_left = 2 * CANDIDATES_MAX;
	ret = try_relocated_modules(table);
	if (!ret) /* at a fixed address, or relocated by what the words hold (DT_RELR) */
		ret = go_scan(table, table->address, ~(uint64_t)0, try_module);
	if (ret)
		return ret > 0 ? 0 : ret;
	if (!table->header_text || !is_code(table, table->header_text))
		return -ENOTSUP;
	table->text = table->header_text;
	return 0;
}
