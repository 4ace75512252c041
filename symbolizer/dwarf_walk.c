/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The walk over a unit's entries.  This is where most of the time of a first look-up goes, after
 * the line program: see dwarf_abbrev.c for what makes it short.
 *
 * The unit's bytes are read at once, into memory that is kept for the next unit.  No recursion: the depth is a
 * number, and a walk's user keeps track of the few entries it cares about (struct dwarf_nesting).
 */
#include "symbolizer/dwarf_walk.h"

#include <errno.h>
#include <stdlib.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/dwarf_constants.h"
#include "symbolizer/dwarf_form.h"
#include "symbolizer/dwarf_tables.h"
#include "symbolizer/dwarf_work.h"

#define SCRATCH_MIN 65536
#define SCRATCH_MAX (1u << 20) /* most units are smaller */

static bool is_c(uint64_t language)
{
	switch (language) {
	case DW_LANG_C89:
	case DW_LANG_C:
	case DW_LANG_C99:
	case DW_LANG_C11:
	case DW_LANG_C17:
		return true;
	default:
		return false;
	}
}

/* Room for @size bytes that stays for the next walk; NULL: there is none. */
static uint8_t *take_scratch(struct dwarf *dwarf, size_t size)
{
	size_t capacity = MAX(dwarf->walk_capacity, (size_t)SCRATCH_MIN);
	uint8_t *larger;

	if (dwarf->walk_bytes_used || size > SCRATCH_MAX)
		return NULL;
	while (capacity < size)
		capacity *= 2;
	if (capacity > dwarf->walk_capacity) {
		larger = malloc(capacity);
		if (!larger)
			return NULL;
		free(dwarf->walk_bytes);
		dwarf->walk_bytes = larger;
		dwarf->walk_capacity = capacity;
	}
	return dwarf->walk_bytes;
}

static int read_unit(const struct dwarf_unit *unit, size_t size, struct section_view *ret)
{
	struct section *info = &unit->file->info.section;
	struct dwarf *dwarf = unit->dwarf;
	uint8_t *scratch = section_is_in_file(info) ? take_scratch(dwarf, size) : NULL;
	int code;

	if (!scratch)
		return section_read(info, unit->offset, size, ret);
	code = section_read_into(info, unit->offset, size, scratch, ret);
	dwarf->walk_bytes_used = !code;
	return code;
}

int dwarf_walk_start(const struct dwarf_unit *unit, unsigned int wanted, struct dwarf_walk *ret)
{
	uint64_t size = unit->end - unit->offset;
	struct dwarf_walk walk = {
		.unit = unit,
		.wanted = wanted,
		.opaque_types = is_c(unit->language),
	};
	int code;

	if (size > DWARF_UNIT_BYTES_MAX)
		return -EFBIG;
	code = dwarf_abbrevs_of(unit, &walk.abbrevs);
	if (!code)
		code = dwarf_work(unit->dwarf, size);
	if (code)
		return code;
	code = read_unit(unit, size, &walk.view);
	if (code)
		return code;
	walk.at = walk.view.bytes + (unit->first_die - unit->offset);
	walk.end = walk.view.bytes + size;
	*ret = walk;
	return 0;
}

void dwarf_walk_end(struct dwarf_walk *walk)
{
	struct dwarf *dwarf = walk->unit->dwarf;

	if (walk->view.bytes == dwarf->walk_bytes)
		dwarf->walk_bytes_used = false;
	section_view_close(&walk->view);
}

/* The number of 1 to 8 bytes at @at, all of them there. */
static inline uint64_t load(const uint8_t *at, unsigned int bytes)
{
	uint64_t value = 0;
	uint32_t four;
	uint16_t two;

	switch (bytes) {
	case 1:
		return *at;
	case 2:
		memcpy(&two, at, sizeof(two));
		return two;
	case 4:
		memcpy(&four, at, sizeof(four));
		return four;
	case 8:
		memcpy(&value, at, sizeof(value));
		return value;
	default:
		memcpy(&value, at, bytes);
		return value;
	}
}

static inline uint64_t walk_uleb128(const uint8_t **at, const uint8_t *end)
{
	struct byte_cursor cursor = { *at, end, false };
	uint64_t value;

	if (*at < end && **at < 0x80)
		return *(*at)++;
	value = read_uleb128(&cursor);
	*at = cursor.failed ? NULL : cursor.at;
	return value;
}

static const uint8_t *read_form(struct dwarf_walk *walk, const struct dwarf_step *step,
				const uint8_t *at)
{
	struct byte_cursor cursor = { at, walk->end, false };
	struct dwarf_value value = {};

	dwarf_form_read(&cursor, &walk->unit->encoding, step->form, &value);
	if (cursor.failed)
		return NULL;
	if (step->slot != DWARF_NO_SLOT)
		walk->values[step->slot] = value;
	return cursor.at;
}

static inline void pick_up(struct dwarf_walk *walk, const struct dwarf_step *step, uint64_t value)
{
	walk->values[step->slot] = (struct dwarf_value){ .value = value, .form = step->form };
}

/* Steps over the values at @at and picks up the wanted ones; NULL when that cannot be. */
static const uint8_t *run_steps(struct dwarf_walk *walk,
				const struct dwarf_declaration *declaration, const uint8_t *at)
{
	const struct dwarf_step *step = walk->abbrevs->steps + declaration->steps;
	const struct dwarf_step *last = step + declaration->step_cnt;
	const uint8_t *end = walk->end;
	uint64_t number;

	for (; step < last && at; step++) {
		switch (step->kind) {
		case DWARF_STEP_SKIP:
			if (step->number > (size_t)(end - at))
				return NULL;
			at += step->number;
			break;
		case DWARF_STEP_READ:
			if (step->number > (size_t)(end - at))
				return NULL;
			pick_up(walk, step, load(at, step->number));
			at += step->number;
			break;
		case DWARF_STEP_CONST:
			pick_up(walk, step, step->number);
			break;
		case DWARF_STEP_ULEB:
			number = walk_uleb128(&at, end);
			if (step->slot != DWARF_NO_SLOT)
				pick_up(walk, step, number);
			break;
		case DWARF_STEP_BLOCK:
			number = walk_uleb128(&at, end);
			if (!at || number > (size_t)(end - at))
				return NULL;
			at += number;
			break;
		default:
			at = read_form(walk, step, at);
		}
	}
	return at;
}

/* Behind the children of the entry read last; @at when its sibling is not known. */
static const uint8_t *behind_children(const struct dwarf_walk *walk, const uint8_t *at)
{
	const struct dwarf_value *sibling = &walk->values[DWARF_SIBLING];
	const struct dwarf_unit *unit = walk->unit;
	struct dwarf_file *file;
	uint64_t offset;

	if (dwarf_reference(unit, sibling, &file, &offset) || file != unit->file ||
	    offset < unit->offset || offset >= unit->end)
		return at;
	offset -= unit->offset;
	/* Only ever forward: the walk ends. */
	return offset > (uint64_t)(at - walk->view.bytes) ? walk->view.bytes + offset : at;
}

static inline bool is_left_out(const struct dwarf_walk *walk,
			       const struct dwarf_declaration *declaration)
{
	return (declaration->slots & 1u << DWARF_SIBLING) &&
	       (declaration->kind == DWARF_OPAQUE || walk->opaque_types);
}

static bool stand_at(struct dwarf_walk *walk, const struct dwarf_declaration *declaration,
		     const uint8_t *entry, const uint8_t *at, uint32_t depth)
{
	walk->declaration = declaration;
	walk->offset = walk->unit->offset + (uint64_t)(entry - walk->view.bytes);
	walk->entry_depth = depth;
	walk->depth = depth + declaration->children;
	walk->at = at;
	return true;
}

bool dwarf_walk_next(struct dwarf_walk *walk)
{
	const uint8_t *at = walk->at, *end = walk->end;
	uint32_t depth = walk->depth, lowest = UINT32_MAX;
	const struct dwarf_declaration *declaration;

	while (at < end) {
		const uint8_t *entry = at;
		uint64_t code = walk_uleb128(&at, end);

		if (!code && at) {
			if (depth <= 1)
				break;
			depth--;
			lowest = MIN(lowest, depth);
			continue;
		}
		declaration = at ? dwarf_abbrevs_find(walk->abbrevs, code) : NULL;
		if (!declaration)
			goto broken;
		if (declaration->fixed_bytes > (size_t)(end - at) ||
		    declaration->fixed_bytes == DWARF_NOT_FIXED) {
			if (declaration->fixed_bytes != DWARF_NOT_FIXED)
				goto broken;
			at = run_steps(walk, declaration, at);
			if (!at)
				goto broken;
		} else {
			at += declaration->fixed_bytes;
		}
		if (walk->wanted & 1u << declaration->kind) {
			walk->lowest_depth = lowest;
			return stand_at(walk, declaration, entry, at, depth);
		}
		if (!declaration->children)
			continue;
		if (is_left_out(walk, declaration) && behind_children(walk, at) != at)
			at = behind_children(walk, at);
		else
			depth++;
	}
	walk->at = end;
	return false;
broken:
	walk->error = -ENOEXEC;
	walk->at = end;
	return false;
}
