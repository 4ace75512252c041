/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first steps of symtab_load.c: candidates, without their names, are collected from all
 * tables, sorted by address and made rows; those whose names are to be read now are sorted by
 * where these are.
 *
 * The sort is a radix sort, three passes over 16 bytes per symbol: qsort() was a quarter of what
 * loading librustc cost, and needs as much memory.
 */
#include "symbolizer/symtab_candidates.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"

#define RADIX_BITS 11
#define RADIX_CNT (1u << RADIX_BITS)
#define RADIX_DIGITS 3 /* of 32 bits */
#define PAGE 4096u

/* ---- what there is to read ---- */

bool symtab_text_base(const struct elf_file *elf, uint64_t *ret)
{
	const struct elf_segment *segments;
	size_t i, cnt = elf_file_segments(elf, &segments);
	bool found = false;

	for (i = 0; i < cnt; i++) {
		if (!segments[i].executable || (found && segments[i].vaddr >= *ret))
			continue;
		*ret = segments[i].vaddr;
		found = true;
	}
	return found;
}

bool symtab_is_executable(const struct elf_file *elf, uint64_t address)
{
	const struct elf_segment *segments;
	size_t i, cnt = elf_file_segments(elf, &segments);

	for (i = 0; i < cnt; i++) {
		if (segments[i].executable && address >= segments[i].vaddr &&
		    address - segments[i].vaddr < segments[i].memsz)
			return true;
	}
	return false;
}

/* What to add to the addresses of debug file @elf, if its program was moved (prelink). */
static uint64_t shift_of(const struct symtab_load *load, const struct elf_file *elf)
{
	uint64_t base, shift;

	if (!symtab_text_base(elf, &base))
		return 0;
	shift = load->table->header.base - base;
	return shift % PAGE ? 0 : shift;
}

static enum symtab_source kind_of(const struct symtab_load *load, size_t file,
				  enum elf_table_kind kind)
{
	if (file)
		return elf_file_is_in_memory(load->files[file]) ? SYMTAB_FROM_MINI_DEBUG :
								  SYMTAB_FROM_DEBUG_FILE;
	return kind == ELF_TABLE_SYMTAB ? SYMTAB_FROM_SYMTAB : SYMTAB_FROM_DYNSYM;
}

static int find_sources(struct symtab_load *load)
{
	size_t file, i;
	int ret;

	for (file = 0; file < load->file_cnt; file++) {
		struct elf_file *elf = load->files[file];
		struct elf_code code = { .program = load->files[0],
					 .shift = file ? shift_of(load, elf) : 0 };

		ret = elf_find_tables(elf, file > 0, &load->tables[file]);
		if (ret == -ENOMEM)
			return ret;
		for (i = 0; i < load->tables[file].cnt; i++) {
			const struct elf_symbol_table *table = &load->tables[file].tables[i];
			enum symtab_source kind = kind_of(load, file, table->kind);

			load->sources[load->source_cnt++] =
				(struct symtab_load_source){ elf, table, code, kind };
			load->capacity += MIN(table->cnt, (uint64_t)ELF_SYMBOLS_MAX);
			if (table->kind == ELF_TABLE_SYMTAB && kind != SYMTAB_FROM_MINI_DEBUG)
				load->has_full_symtab = true;
		}
	}
	return 0;
}

/* ---- step 1: candidates ---- */

static unsigned int rank_of(const struct elf_function *function, enum elf_table_kind kind)
{
	unsigned int rank = kind == ELF_TABLE_PLT ? RANK_PLT :
			    function->untyped	  ? RANK_LABEL :
						    RANK_FUNCTION;

	if (function->binding == STB_LOCAL)
		return rank | RANK_LOCAL;
	return rank | (function->binding == STB_WEAK ? RANK_WEAK : RANK_GLOBAL);
}

static bool on_function(void *context, const struct elf_function *function)
{
	struct symtab_load *load = context;
	enum elf_table_kind kind = load->sources[load->source].table->kind;
	struct symtab_header *header = &load->table->header;
	uint64_t size = function->size;
	struct symtab_candidate *candidate;

	if (function->address < header->base || function->address - header->base > UINT32_MAX) {
		header->dropped++;
		return true;
	}
	if (load->cnt == load->capacity)
		return false;
	candidate = &load->candidates[load->cnt++];
	candidate->bits = rank_of(function, kind) |
			  (uint32_t)(load->source << CANDIDATE_SOURCE_SHIFT);
	if (kind != ELF_TABLE_DYNSYM || !load->has_full_symtab)
		candidate->bits |= CANDIDATE_FIRST_HAND;
	if (!size) {
		candidate->bits |= CANDIDATE_OPEN;
		size = function->limit > function->address ? function->limit - function->address :
							     1;
	}
	candidate->place = (uint32_t)(function->address - header->base);
	candidate->size = (uint32_t)MIN(size, (uint64_t)UINT32_MAX);
	candidate->string = function->string;
	return true;
}

static int read_candidates(struct symtab_load *load)
{
	int ret;

	/* Room for all symbols (of what functions do not use nothing is ever there), and two. */
	load->candidates = malloc((load->capacity + 2) * sizeof(*load->candidates));
	if (!load->candidates)
		return -ENOMEM;
	for (load->source = 0; load->source < load->source_cnt; load->source++) {
		const struct symtab_load_source *source = &load->sources[load->source];

		ret = elf_visit_functions(source->elf, source->table, &source->code, on_function,
					  load);
		if (ret == -ENOMEM)
			return ret;
	}
	return 0;
}

/* ---- steps 2 and 3: sorting ---- */

static uint32_t key_of(const struct symtab_candidate *candidate, size_t field)
{
	uint32_t key;

	memcpy(&key, (const char *)candidate + field, sizeof(key));
	return key;
}

/* Moves all to their place by one digit; @counts says how many have each. */
static void radix_pass(const struct symtab_candidate *from, struct symtab_candidate *to, size_t cnt,
		       size_t field, unsigned int shift, const uint32_t *counts)
{
	uint32_t starts[RADIX_CNT], sum = 0;
	size_t i;

	for (i = 0; i < RADIX_CNT; i++) {
		starts[i] = sum;
		sum += counts[i];
	}
	for (i = 0; i < cnt; i++)
		to[starts[key_of(&from[i], field) >> shift & (RADIX_CNT - 1)]++] = from[i];
}

/* Stable; from bit @shift of the field upwards.  *scratch has as much room, and is swapped. */
static void sort_by(struct symtab_load *load, struct symtab_candidate **scratch, size_t field,
		    unsigned int shift)
{
	uint32_t counts[RADIX_DIGITS][RADIX_CNT] = {}; /* no order changes them */
	unsigned int digit;
	size_t i;

	for (i = 0; i < load->cnt; i++) {
		uint64_t key = key_of(&load->candidates[i], field) >> shift;

		for (digit = 0; digit < RADIX_DIGITS; digit++)
			counts[digit][key >> digit * RADIX_BITS & (RADIX_CNT - 1)]++;
	}
	for (digit = 0; digit < RADIX_DIGITS && load->cnt; digit++, shift += RADIX_BITS) {
		struct symtab_candidate *from = load->candidates;
		uint32_t first = shift < 32 ? key_of(from, field) >> shift & (RADIX_CNT - 1) : 0;

		if (counts[digit][first] == load->cnt)
			continue; /* all are the same here */
		radix_pass(from, *scratch, load->cnt, field, shift, counts[digit]);
		load->candidates = *scratch;
		*scratch = from;
	}
}

/* Which names its address better; 0: that depends on the names. */
static int compare(const struct symtab_candidate *a, const struct symtab_candidate *b)
{
	uint32_t left = a->bits & CANDIDATE_RANK, right = b->bits & CANDIDATE_RANK;

	if (left == right) {
		left = a->bits & CANDIDATE_OPEN ? 0 : a->size;
		right = b->bits & CANDIDATE_OPEN ? 0 : b->size;
	}
	if (left == right) {
		left = a->bits & CANDIDATE_FIRST_HAND;
		right = b->bits & CANDIDATE_FIRST_HAND;
	}
	return left < right ? -1 : left > right;
}

static struct symtab_row row_of(const struct symtab_candidate *candidate)
{
	return (struct symtab_row){
		.offset = candidate->place,
		.size = candidate->size,
		.bits = (candidate->bits & CANDIDATE_RANK) << ROW_RANK_SHIFT | ROW_NO_NAME |
			(candidate->bits & CANDIDATE_OPEN ? ROW_OPEN : 0),
	};
}

/*
 * One row for each address, none for labels inside of functions, and of the candidates those
 * that may name a row.  @rows has room for one row for each candidate.
 */
static size_t make_rows(struct symtab_load *load, struct symtab_row *rows)
{
	struct symtab_candidate *candidates = load->candidates;
	struct symtab_candidate wanted;
	size_t i, end, k, best, kept = 0, cnt = 0;
	uint64_t reach = 0; /* end of the sized row so far that ends last */

	for (i = 0; i < load->cnt; i = end) {
		best = i;
		for (end = i + 1; end < load->cnt && candidates[end].place == candidates[i].place;
		     end++) {
			if (compare(&candidates[end], &candidates[best]) > 0)
				best = end;
		}
		rows[cnt] = row_of(&candidates[best]);
		if (symtab_row_is_label(&rows[cnt]) && rows[cnt].offset < reach)
			continue;
		if (!(rows[cnt].bits & ROW_OPEN))
			reach = MAX(reach, (uint64_t)rows[cnt].offset + rows[cnt].size);
		wanted = candidates[best]; /* what is kept moves down, over @best too */
		for (k = i; k < end; k++) {
			if (compare(&candidates[k], &wanted))
				continue;
			candidates[kept] = candidates[k];
			candidates[kept++].place = (uint32_t)cnt;
		}
		cnt++;
	}
	load->cnt = kept;
	return cnt;
}

static void *shrink(void *memory, size_t bytes)
{
	void *smaller = realloc(memory, bytes);

	return smaller ? smaller : memory;
}

/* Step 2: candidates become rows. */
static int rows_of_candidates(struct symtab_load *load)
{
	struct symtab *table = load->table;
	size_t room = load->cnt + 2; /* never more than there is; rows want one to spare */
	struct symtab_candidate *scratch = malloc(room * sizeof(*scratch));

	if (!scratch)
		return -ENOMEM;
	load->candidates = shrink(load->candidates, room * sizeof(*scratch));
	sort_by(load, &scratch, offsetof(struct symtab_candidate, place), 0);
	/* Sorted, the scratch is of no use, and rows are smaller than candidates. */
	table->owned_rows = (void *)scratch;
	table->rows = table->owned_rows;
	table->header.row_cnt = make_rows(load, table->owned_rows);
	table->row_capacity = table->header.row_cnt + 1;
	table->owned_rows = shrink(table->owned_rows, table->row_capacity * sizeof(*table->rows));
	table->rows = table->owned_rows;
	load->candidates = shrink(load->candidates, (load->cnt + 1) * sizeof(*load->candidates));
	return 0;
}

/* ---- names that stay in the file ---- */

/* The largest string table of a file that is none in memory, if it is large. */
static const struct symtab_load_source *source_to_leave(const struct symtab_load *load)
{
	const struct symtab_load_source *best = NULL;
	size_t i;

	for (i = 0; i < load->source_cnt; i++) {
		const struct symtab_load_source *source = &load->sources[i];
		uint64_t bytes = source->table->strings_bytes;

		if (source->table->kind == ELF_TABLE_SYMTAB &&
		    !elf_file_is_in_memory(source->elf) && bytes >= SYMTAB_STRINGS_MIN &&
		    bytes <= SYMTAB_STRINGS_MAX && (!best || bytes > best->table->strings_bytes))
			best = source;
	}
	return best;
}

/* Whether the names of the candidates of one row may stay; labels may turn out to be none. */
static bool may_leave(const struct symtab_load *load, const struct symtab_candidate *candidates,
		      size_t cnt)
{
	size_t i;

	for (i = 0; i < cnt; i++) {
		if (&load->sources[candidates[i].bits >> CANDIDATE_SOURCE_SHIFT] != load->left ||
		    candidates[i].string >= load->left->table->strings_bytes)
			return false;
	}
	return cnt <= CHOICES_MAX && load->table->header.choice_cnt + cnt <= CHOICES_SUM_MAX &&
	       !symtab_row_is_label(&load->table->owned_rows[candidates->place]);
}

static void leave_row(struct symtab *table, const struct symtab_candidate *candidates, size_t cnt)
{
	struct symtab_row *row = &table->owned_rows[candidates->place];
	struct symtab_header *header = &table->header;
	uint32_t place = candidates->string;
	size_t i;

	if (cnt > 1)
		place = symtab_places_before_names(header);
	row->bits = (row->bits & ~ROW_NAME) | place;
	for (i = 0; i < cnt && cnt > 1; i++)
		table->owned_choices[header->choice_cnt++] = candidates[i].string |
							     (i + 1 < cnt ? 0 : CHOICE_LAST);
}

static int make_choices(struct symtab_load *load)
{
	struct symtab *table = load->table;

	/* As for the candidates: what is not used is never there. */
	table->owned_choices = malloc((load->cnt + 1) * sizeof(*table->owned_choices));
	table->choices = table->owned_choices;
	return table->owned_choices ? 0 : -ENOMEM;
}

static int use_strings(struct symtab_load *load, const struct symtab_load_source *source)
{
	struct symtab_header *header = &load->table->header;

	load->left = source;
	header->strings = source->table->strings;
	header->strings_bytes = (uint32_t)source->table->strings_bytes;
	while (load->files[header->strings_file] != source->elf)
		header->strings_file++;
	return symtab_use_strings(load->table, source->elf);
}

/* Names rows by what stands in the file, and takes away the candidates that did so. */
static int leave_names(struct symtab_load *load)
{
	const struct symtab_load_source *source = source_to_leave(load);
	struct symtab_candidate *candidates = load->candidates;
	struct symtab *table = load->table;
	size_t i, end, kept = 0;
	int ret;

	if (!source)
		return 0;
	ret = use_strings(load, source);
	ret = ret ? ret : make_choices(load);
	if (ret)
		return ret;
	for (i = 0; i < load->cnt; i = end) {
		for (end = i + 1; end < load->cnt && candidates[end].place == candidates[i].place;)
			end++;
		if (may_leave(load, &candidates[i], end - i)) {
			leave_row(table, &candidates[i], end - i);
			table->header.sources |= source->kind;
			continue;
		}
		memmove(&candidates[kept], &candidates[i], (end - i) * sizeof(*candidates));
		kept += end - i;
	}
	load->cnt = kept;
	table->choice_capacity = table->header.choice_cnt + 1;
	table->owned_choices =
		shrink(table->owned_choices, table->choice_capacity * sizeof(*table->choices));
	table->choices = table->owned_choices;
	return 0;
}

static int sort_by_string(struct symtab_load *load)
{
	struct symtab_candidate *scratch = malloc((load->cnt + 1) * sizeof(*scratch));

	if (!scratch)
		return -ENOMEM;
	sort_by(load, &scratch, offsetof(struct symtab_candidate, string), 0);
	if (load->source_cnt > 1)
		sort_by(load, &scratch, offsetof(struct symtab_candidate, bits),
			CANDIDATE_SOURCE_SHIFT);
	free(scratch);
	return 0;
}

int symtab_collect_candidates(struct symtab_load *load)
{
	int ret = 0;

	/* Without code there is no symbol that could have any. */
	if (symtab_text_base(load->files[0], &load->table->header.base))
		ret = find_sources(load);
	ret = ret ? ret : read_candidates(load);
	ret = ret ? ret : rows_of_candidates(load);
	ret = ret ? ret : leave_names(load);
	return ret ? ret : sort_by_string(load);
}
