/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making and checking the range index.
 *
 * The units' root entries say what they cover: a few hundred bytes for each unit.  .debug_aranges
 * says the same, but clang and rustc do not write it, and it may lack units; it is asked only
 * about units whose roots do not say it all, and what it does not know of them either is found
 * by walking over their functions.  Those roots say nothing, or are of DWARF 2, which has no
 * ranges: of C++ code, that is in a section for each template, low_pc and high_pc are .text's.
 *
 * Where units overlap (equal functions that the linker folded, a unit whose low_pc and high_pc
 * span what others put in between), the range that begins last counts: it says most.
 */
#include "symbolizer/dwarf_index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/dwarf_constants.h"
#include "symbolizer/dwarf_functions.h"
#include "symbolizer/dwarf_ranges.h"

static const char magic[8] = "dwarfidx";

struct build {
	struct dwarf *dwarf;
	struct dwarf_file *file;
	struct dwarf_intervals intervals;
	struct dwarf_range_visit ranges;
	uint32_t owner; /* of the ranges that are visited */
	bool covered;	/* they were some */
	uint32_t *silent; /* [silent_cnt] numbers of units whose roots say too little, ascending */
	size_t silent_cnt, silent_capacity;
};

static int add_silent(struct build *build, uint32_t number)
{
	size_t more = build->silent_capacity ? build->silent_capacity * 2 : 64;
	void *larger;

	if (build->silent_cnt == build->silent_capacity) {
		larger = realloc(build->silent, more * sizeof(*build->silent));
		if (!larger)
			return -ENOMEM;
		build->silent = larger;
		build->silent_capacity = more;
	}
	build->silent[build->silent_cnt++] = number;
	return 0;
}

static int on_range(void *context, uint64_t start, uint64_t end)
{
	struct build *build = context;

	build->covered = true;
	return dwarf_intervals_add(&build->intervals, start, end, build->owner);
}

static bool has_code(const struct dwarf_unit *unit)
{
	return unit->type == DW_UT_compile || unit->type == DW_UT_skeleton;
}

static bool says_all(const struct build *build, const struct dwarf_unit *unit)
{
	return build->covered && (unit->encoding.version > 2 || unit->root.ranges.form);
}

/* Broken units are left out; they keep their numbers. */
static int on_unit(void *context, struct dwarf_unit *unit, uint32_t number)
{
	struct build *build = context;
	int ret;

	if (!has_code(unit))
		return 0;
	ret = dwarf_unit_root(unit);
	if (ret || !has_code(unit))
		return ret;
	build->owner = number;
	build->covered = false;
	ret = dwarf_ranges_visit(unit, &unit->root.low_pc, &unit->root.high_pc,
				 &unit->root.ranges, &build->ranges);
	if (ret)
		return ret;
	/* Without a line table there is no code: types, gcc's early units of LTO. */
	if (!says_all(build, unit) && unit->root.stmt_list.form)
		ret = add_silent(build, number);
	return ret;
}

/* ---- units whose roots say too little ------------------------------------------------------- */

/* Index in `silent` of the unit at @offset of .debug_info, or silent_cnt. */
static size_t find_silent(const struct build *build, uint64_t offset)
{
	size_t low = 0, high = build->silent_cnt;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (build->file->units[build->silent[middle]].offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < build->silent_cnt && build->file->units[build->silent[low]].offset == offset)
		return low;
	return build->silent_cnt;
}

/* One set of .debug_aranges (DWARF 5 section 6.1.2), its length being read. */
static int read_set(struct build *build, struct byte_cursor *set, unsigned int head,
		    unsigned int offset_bytes, uint8_t *known)
{
	unsigned int address_bytes, tuple_bytes;
	uint64_t start, length;
	const uint8_t *begin = set->at;
	size_t index;
	int ret = 0;

	if (read_u16(set) != 2)
		return 0;
	index = find_silent(build, read_bytes(set, offset_bytes));
	address_bytes = read_u8(set);
	if (read_u8(set) || (address_bytes != 4 && address_bytes != 8) ||
	    index == build->silent_cnt)
		return 0; /* segments: for no machine that we know */
	tuple_bytes = 2 * address_bytes;
	head += (unsigned int)(set->at - begin);
	skip_bytes(set, (tuple_bytes - head % tuple_bytes) % tuple_bytes);
	while (!ret && bytes_left(set) >= tuple_bytes) {
		start = read_bytes(set, address_bytes);
		length = read_bytes(set, address_bytes);
		if (!start && !length)
			break;
		known[index] = 1;
		if (length <= UINT64_MAX - start)
			ret = dwarf_intervals_add(&build->intervals, start, start + length,
						  build->silent[index]);
	}
	return ret;
}

static int read_sets(struct build *build, struct section *section, uint8_t *known)
{
	struct byte_cursor cursor, set;
	int ret = section_load(section);

	if (ret)
		return ret;
	cursor = byte_cursor(section->bytes, section->size);
	while (!ret && bytes_left(&cursor)) {
		unsigned int offset_bytes = 4;
		uint64_t length = read_u32(&cursor);

		if (length == UINT32_MAX) {
			offset_bytes = 8;
			length = read_u64(&cursor);
		}
		set = cursor;
		skip_bytes(&cursor, length);
		if (cursor.failed)
			break;
		set.end = cursor.at;
		ret = read_set(build, &set, offset_bytes == 8 ? 12 : 4, offset_bytes, known);
	}
	return ret;
}

static int add_silent_units(struct build *build, struct elf_file *elf)
{
	_cleanup_free_ uint8_t *known = calloc(build->silent_cnt, 1);
	struct dwarf_unit unit;
	struct section section;
	size_t i;
	int ret;

	if (!known)
		return -ENOMEM;
	if (!dwarf_section_open(elf, ".debug_aranges", NULL, &section)) {
		ret = read_sets(build, &section, known);
		section_close(&section);
		if (ret == -ENOMEM)
			return ret;
	}
	for (i = 0; i < build->silent_cnt; i++) {
		uint32_t number = build->silent[i];

		if (known[i])
			continue;
		ret = dwarf_unit_open(build->dwarf, build->file, build->file->units[number].offset,
				      &unit);
		if (!ret)
			ret = dwarf_functions_add(&unit, &build->intervals, number,
						  &build->ranges.items_left);
		if (ret == -ENOMEM || ret == -EIO)
			return ret;
	}
	return 0;
}

/* ---- the index ------------------------------------------------------------------------------ */

static int make_index(struct build *build, struct dwarf_index **ret)
{
	_cleanup_free_ struct dwarf_run *runs = NULL;
	struct dwarf_file *file = build->file;
	struct dwarf_index head = {
		.version = DWARF_INDEX_VERSION,
		.unit_cnt = (uint32_t)file->unit_cnt,
		.text_base = build->intervals.text->base,
		.info_bytes = file->info.section.size,
	};
	struct dwarf_index *index;
	size_t run_cnt;
	int code;

	code = dwarf_intervals_flatten(&build->intervals, DWARF_LATEST_START, &runs, &run_cnt);
	if (code)
		return code;
	head.run_cnt = (uint32_t)run_cnt;
	index = malloc(dwarf_index_bytes(&head));
	if (!index)
		return -ENOMEM;
	*index = head;
	memcpy(index->magic, magic, sizeof(magic));
	if (file->unit_cnt)
		memcpy(index + 1, file->units, file->unit_cnt * sizeof(*file->units));
	if (run_cnt)
		memcpy((struct dwarf_unit_span *)(index + 1) + file->unit_cnt, runs,
		       run_cnt * sizeof(*runs));
	*ret = index;
	return 0;
}

int dwarf_index_build(struct dwarf *dwarf, struct elf_file *elf, struct dwarf_file *file,
		      const struct dwarf_text *text, struct dwarf_index **ret)
{
	struct build build = {
		.dwarf = dwarf,
		.file = file,
		.intervals.text = text,
		.ranges.visit = on_range,
		.ranges.context = &build,
	};
	int code;

	build.ranges.items_left = dwarf_ranges_budget(&file->ranges, &file->rnglists);
	code = dwarf_file_units(dwarf, file, on_unit, &build);
	if (!code && build.silent_cnt)
		code = add_silent_units(&build, elf);
	if (!code)
		code = make_index(&build, ret);
	free(build.silent);
	dwarf_intervals_free(&build.intervals);
	return code;
}

/* ---- one that was kept ---------------------------------------------------------------------- */

static bool units_fit(const struct dwarf_index *index, const struct dwarf_file *file)
{
	const struct dwarf_unit_span *units = dwarf_index_units(index);
	uint64_t end = 0;
	uint32_t i;

	for (i = 0; i < index->unit_cnt; i++) {
		if (units[i].offset < end || !units[i].size)
			return false;
		end = (uint64_t)units[i].offset + units[i].size;
	}
	return end <= file->info.section.size;
}

static bool runs_fit(const struct dwarf_index *index)
{
	const struct dwarf_run *runs = dwarf_index_runs(index);
	uint32_t i;

	for (i = 0; i < index->run_cnt; i++) {
		if ((i && runs[i].start <= runs[i - 1].start) ||
		    (runs[i].owner >= index->unit_cnt && runs[i].owner != DWARF_NOBODY))
			return false;
	}
	return !i || runs[i - 1].owner == DWARF_NOBODY;
}

bool dwarf_index_fits(const void *bytes, size_t size, const struct dwarf_file *file,
		      const struct dwarf_text *text)
{
	const struct dwarf_index *index = bytes;

	if (size < sizeof(*index) || (uintptr_t)bytes % _Alignof(struct dwarf_index))
		return false;
	return memcmp(index->magic, magic, sizeof(magic)) == 0 &&
	       index->version == DWARF_INDEX_VERSION && index->text_base == text->base &&
	       index->info_bytes == file->info.section.size && dwarf_index_bytes(index) == size &&
	       units_fit(index, file) && runs_fit(index);
}
