/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Abbreviation tables.
 *
 * A walk over a unit's entries steps over nine of ten without wanting anything of them.  Deciding
 * attribute by attribute, form by form, what to skip costs more than all the rest of the walk, so
 * each declaration is compiled once: neighbouring values of fixed size become one step, and an
 * entry that is fixed altogether is stepped over by one addition.  Only values that walks want
 * (of functions, inlined calls, and the sibling where a subtree can be left out) are picked up.
 *
 * For single entries (names) the attributes are read as the table says, from a copy of its bytes.
 */
#include "symbolizer/dwarf_abbrev.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/dwarf_constants.h"
#include "symbolizer/dwarf_form.h"
#include "symbolizer/dwarf_work.h"

#define FIRST_PIECE 4096
#define TABLE_BYTES_MAX (4u << 20) /* the largest seen are 100 KB */
#define STEPS_MAX UINT16_MAX	   /* of one declaration */
#define ATTRIBUTES_BYTES_MAX 4096  /* of one declaration; the largest seen are 60 */
#define SCAN_BYTES_MAX 4096	   /* looked through for a single declaration */
#define LOAD_WORK 4 /* making a table of a byte costs as much as walking over so many */

/* ---- what a declaration is ------------------------------------------------------------------ */

static enum dwarf_kind kind_of(uint64_t tag)
{
	switch (tag) {
	case DW_TAG_subprogram:
		return DWARF_ABSTRACT;
	case DW_TAG_inlined_subroutine:
		return DWARF_INLINED;
	case DW_TAG_namespace:
	case DW_TAG_module:
		return DWARF_SCOPE;
	case DW_TAG_class_type:
	case DW_TAG_structure_type:
	case DW_TAG_union_type:
	case DW_TAG_interface_type:
		return DWARF_TYPE;
	case DW_TAG_array_type:
	case DW_TAG_enumeration_type:
	case DW_TAG_formal_parameter:
	case DW_TAG_string_type:
	case DW_TAG_subroutine_type:
	case DW_TAG_set_type:
	case DW_TAG_variable:
	case DW_TAG_call_site:
	case DW_TAG_GNU_call_site:
	case DW_TAG_GNU_template_parameter_pack:
	case DW_TAG_GNU_formal_parameter_pack:
		return DWARF_OPAQUE;
	default:
		return DWARF_PLAIN;
	}
}

static enum dwarf_slot slot_of(enum dwarf_kind kind, bool children, uint64_t attribute)
{
	if (kind == DWARF_OPAQUE || kind == DWARF_TYPE)
		return children && attribute == DW_AT_sibling ? DWARF_SIBLING : DWARF_NO_SLOT;
	if (kind != DWARF_ABSTRACT && kind != DWARF_INLINED)
		return DWARF_NO_SLOT;
	switch (attribute) {
	case DW_AT_low_pc:
		return DWARF_LOW_PC;
	case DW_AT_high_pc:
		return DWARF_HIGH_PC;
	case DW_AT_ranges:
		return DWARF_RANGES;
	case DW_AT_abstract_origin:
		return kind == DWARF_INLINED ? DWARF_ORIGIN : DWARF_NO_SLOT;
	case DW_AT_call_file:
		return DWARF_CALL_FILE;
	case DW_AT_call_line:
		return DWARF_CALL_LINE;
	default:
		return DWARF_NO_SLOT;
	}
}

/* ---- compiling declarations ----------------------------------------------------------------- */

static bool reserve(void **array, size_t *capacity, size_t cnt, size_t size)
{
	size_t more = *capacity ? *capacity * 2 : 64;
	void *larger;

	if (cnt < *capacity)
		return true;
	larger = realloc(*array, more * size);
	if (!larger)
		return false;
	*array = larger;
	*capacity = more;
	return true;
}

static int add_step(struct dwarf_abbrevs *abbrevs, struct dwarf_declaration *declaration,
		    const struct dwarf_step *step)
{
	struct dwarf_step *last = declaration->step_cnt ? &abbrevs->steps[abbrevs->step_cnt - 1] :
							  NULL;

	if (last && step->kind == DWARF_STEP_SKIP && last->kind == DWARF_STEP_SKIP &&
	    last->number < UINT16_MAX) {
		last->number += step->number;
		return 0;
	}
	if (declaration->step_cnt == STEPS_MAX)
		return -ENOEXEC;
	if (!reserve((void **)&abbrevs->steps, &abbrevs->step_capacity, abbrevs->step_cnt,
		     sizeof(*abbrevs->steps)))
		return -ENOMEM;
	abbrevs->steps[abbrevs->step_cnt++] = *step;
	declaration->step_cnt++;
	return 0;
}

static uint8_t variable_step(uint64_t form)
{
	switch (form) {
	case DW_FORM_block:
	case DW_FORM_exprloc:
		return DWARF_STEP_BLOCK;
	case DW_FORM_udata:
	case DW_FORM_ref_udata:
	case DW_FORM_strx:
	case DW_FORM_addrx:
	case DW_FORM_loclistx:
	case DW_FORM_rnglistx:
	case DW_FORM_GNU_addr_index:
	case DW_FORM_GNU_str_index:
		return DWARF_STEP_ULEB;
	default:
		return DWARF_STEP_FORM;
	}
}

static int add_attribute(struct dwarf_abbrevs *abbrevs, struct dwarf_declaration *declaration,
			 uint64_t attribute, uint64_t form, int64_t implicit)
{
	enum dwarf_slot slot = slot_of(declaration->kind, declaration->children, attribute);
	int bytes = dwarf_form_bytes(&abbrevs->encoding, form);
	struct dwarf_step step = {
		.kind = DWARF_STEP_FORM,
		.slot = (uint8_t)slot,
		.form = form > UINT16_MAX ? 0 : (uint16_t)form,
	};

	/* The first of several counts: else values without bytes could be steps without number. */
	if (slot != DWARF_NO_SLOT && (declaration->slots & 1u << slot))
		step.slot = slot = DWARF_NO_SLOT;
	if (slot != DWARF_NO_SLOT)
		declaration->slots |= (1u << slot) & 0x7f;
	if (bytes >= 0 && slot == DWARF_NO_SLOT) {
		step.kind = DWARF_STEP_SKIP;
		step.number = (uint32_t)bytes;
		if (!bytes)
			return 0;
	} else if (form == DW_FORM_implicit_const) {
		step.kind = DWARF_STEP_CONST;
		step.number = (uint32_t)implicit;
	} else if (bytes > 0 && bytes <= 8) {
		step.kind = DWARF_STEP_READ;
		step.number = (uint32_t)bytes;
	} else if (bytes == DWARF_FORM_VARIABLE) {
		step.kind = variable_step(form);
	}
	return add_step(abbrevs, declaration, &step);
}

static void settle_declaration(const struct dwarf_abbrevs *abbrevs,
			       struct dwarf_declaration *declaration)
{
	const struct dwarf_step *first =
		declaration->step_cnt ? &abbrevs->steps[declaration->steps] : NULL;
	unsigned int code = 1u << DWARF_LOW_PC | 1u << DWARF_RANGES;

	if (declaration->kind == DWARF_ABSTRACT && (declaration->slots & code))
		declaration->kind = DWARF_FUNCTION;
	if (!first)
		declaration->fixed_bytes = 0;
	else if (declaration->step_cnt == 1 && first->kind == DWARF_STEP_SKIP &&
		 first->number < DWARF_NOT_FIXED)
		declaration->fixed_bytes = (uint16_t)first->number;
	else
		declaration->fixed_bytes = DWARF_NOT_FIXED;
}

/* ---- reading tables ------------------------------------------------------------------------- */

/* The next attribute of a declaration; false at the (0, 0) that ends them. */
static inline bool next_attribute(struct byte_cursor *cursor, uint64_t *attribute, uint64_t *form,
				  int64_t *implicit)
{
	const uint8_t *at = cursor->at;

	/* Nearly all are two bytes. */
	if (bytes_left(cursor) >= 2 && at[0] < 0x80 && at[1] < 0x80 &&
	    at[1] != DW_FORM_implicit_const) {
		*attribute = at[0];
		*form = at[1];
		*implicit = 0;
		cursor->at += 2;
		return *attribute || *form;
	}
	*attribute = read_uleb128(cursor);
	*form = read_uleb128(cursor);
	*implicit = *form == DW_FORM_implicit_const ? read_sleb128(cursor) : 0;
	return !cursor->failed && (*attribute || *form);
}

static int add_declaration(struct dwarf_abbrevs *abbrevs, uint64_t code, struct byte_cursor *cursor,
			   const uint8_t *table)
{
	uint64_t tag = read_uleb128(cursor), attribute, form;
	uint8_t children = read_u8(cursor);
	struct dwarf_declaration declaration = {
		.code = (uint32_t)code,
		.steps = (uint32_t)abbrevs->step_cnt,
		.tag = tag > UINT16_MAX ? 0 : (uint16_t)tag,
		.kind = kind_of(tag),
		.children = children & 1,
		.attributes = (uint32_t)(cursor->at - table),
	};
	const uint8_t *start = cursor->at;
	int64_t implicit;
	int ret;

	if (code > UINT32_MAX)
		return -ENOEXEC;
	if (!reserve((void **)&abbrevs->declarations, &abbrevs->capacity, abbrevs->cnt,
		     sizeof(declaration)))
		return -ENOMEM;
	while (next_attribute(cursor, &attribute, &form, &implicit)) {
		if (cursor->at - start > ATTRIBUTES_BYTES_MAX)
			return -ENOEXEC;
		ret = add_attribute(abbrevs, &declaration, attribute, form, implicit);
		if (ret)
			return ret;
	}
	settle_declaration(abbrevs, &declaration);
	abbrevs->dense = abbrevs->dense && code == abbrevs->cnt + 1;
	abbrevs->declarations[abbrevs->cnt++] = declaration;
	return 0;
}

/* 0, 1 when the table goes on behind the bytes of @view, or an error. */
static int parse_table(struct dwarf_abbrevs *abbrevs, const struct section_view *view)
{
	struct byte_cursor cursor = byte_cursor(view->bytes, view->size);
	uint64_t code;
	int ret;

	abbrevs->cnt = abbrevs->step_cnt = 0;
	abbrevs->dense = true;
	for (;;) {
		code = read_uleb128(&cursor);
		if (cursor.failed)
			return 1;
		if (!code)
			break;
		ret = add_declaration(abbrevs, code, &cursor, view->bytes);
		if (ret)
			return ret;
		if (cursor.failed)
			return 1;
	}
	abbrevs->raw_bytes = view->size - bytes_left(&cursor);
	abbrevs->raw = malloc(abbrevs->raw_bytes);
	if (!abbrevs->raw)
		return -ENOMEM;
	memcpy(abbrevs->raw, view->bytes, abbrevs->raw_bytes);
	return 0;
}

static int compare_codes(const void *a, const void *b)
{
	const struct dwarf_declaration *left = a, *right = b;

	if (left->code != right->code)
		return left->code < right->code ? -1 : 1;
	/* Of two with one code the first in the table counts. */
	return left->attributes < right->attributes ? -1 : left->attributes > right->attributes;
}

/* Reads more and more until the table has its end. */
static int read_table(struct section *section, struct dwarf_abbrevs *abbrevs)
{
	uint64_t left = section->size - MIN(section->size, abbrevs->offset);
	size_t size = FIRST_PIECE;
	struct section_view view;
	int ret;

	for (;; size *= 4) {
		ret = section_read_up_to(section, abbrevs->offset, size, &view);
		if (ret)
			return ret;
		ret = parse_table(abbrevs, &view);
		abbrevs->raw_bytes = ret ? view.size : abbrevs->raw_bytes;
		section_view_close(&view);
		if (ret <= 0)
			return ret;
		if (size >= left)
			return -ENOEXEC;
		if (size >= TABLE_BYTES_MAX)
			return -EFBIG;
	}
}

static int load_table(struct dwarf *dwarf, struct section *section, struct dwarf_abbrevs *abbrevs)
{
	int ret = dwarf_work(dwarf, 0);

	if (ret)
		return ret;
	ret = read_table(section, abbrevs);
	/* No more than the section has: a look-up's share is enough for one table and one walk. */
	dwarf_work(dwarf, (uint64_t)abbrevs->raw_bytes * LOAD_WORK);
	if (!ret && !abbrevs->dense)
		qsort(abbrevs->declarations, abbrevs->cnt, sizeof(*abbrevs->declarations),
		      compare_codes);
	return ret;
}

static void freetable(struct dwarf_abbrevs **abbrevs)
{
	dwarf_abbrevs_free(*abbrevs);
}

int dwarf_abbrevs_load(const struct dwarf_unit *unit, struct dwarf_abbrevs **ret)
{
	_cleanup_(freetable) struct dwarf_abbrevs *abbrevs = calloc(1, sizeof(*abbrevs));
	int code;

	if (!abbrevs)
		return -ENOMEM;
	abbrevs->file = unit->file;
	abbrevs->offset = unit->abbrev_offset;
	abbrevs->encoding = unit->encoding;
	code = load_table(unit->dwarf, &unit->file->abbrev.section, abbrevs);
	if (code)
		return code;
	*ret = TAKE_PTR(abbrevs);
	return 0;
}

void dwarf_abbrevs_free(struct dwarf_abbrevs *abbrevs)
{
	if (!abbrevs)
		return;
	free(abbrevs->declarations);
	free(abbrevs->steps);
	free(abbrevs->raw);
	free(abbrevs);
}

size_t dwarf_abbrevs_bytes(const struct dwarf_abbrevs *abbrevs)
{
	return sizeof(*abbrevs) + abbrevs->capacity * sizeof(*abbrevs->declarations) +
	       abbrevs->step_capacity * sizeof(*abbrevs->steps) + abbrevs->raw_bytes;
}

const struct dwarf_declaration *dwarf_abbrevs_search(const struct dwarf_abbrevs *abbrevs,
						     uint64_t code)
{
	size_t low = 0, high = abbrevs->cnt;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (abbrevs->declarations[middle].code < code)
			low = middle + 1;
		else
			high = middle;
	}
	return low < abbrevs->cnt && abbrevs->declarations[low].code == code ?
		       &abbrevs->declarations[low] :
		       NULL;
}

/* ---- single entries ------------------------------------------------------------------------- */

/* 0, 1 when the bytes end before the declaration is there, -ENOEXEC when the table does. */
static int find_declaration(struct byte_cursor *cursor, uint64_t code, uint16_t *ret_tag)
{
	uint64_t other, tag, attribute, form;
	int64_t implicit;

	for (;;) {
		struct byte_cursor attributes;

		other = read_uleb128(cursor);
		if (!cursor->failed && !other)
			return -ENOEXEC;
		tag = read_uleb128(cursor);
		read_u8(cursor);
		attributes = *cursor;
		while (next_attribute(cursor, &attribute, &form, &implicit)) {
			if (cursor->at - attributes.at > ATTRIBUTES_BYTES_MAX)
				return -ENOEXEC;
		}
		if (cursor->failed)
			return 1;
		if (other != code)
			continue;
		*ret_tag = tag > UINT16_MAX ? 0 : (uint16_t)tag;
		*cursor = attributes;
		return 0;
	}
}

int dwarf_declaration_find(const struct dwarf_unit *unit, uint64_t code, uint16_t *ret_tag,
			   struct byte_cursor *ret)
{
	struct dwarf_section *section = &unit->file->abbrev;
	size_t want = SCAN_BYTES_MAX / 4;
	const uint8_t *start;
	int found;

	for (;; want *= 4) {
		int error = dwarf_section_at(section, unit->abbrev_offset, want, ret);

		if (error)
			return error;
		start = ret->at;
		ret->end = start + MIN(bytes_left(ret), want);
		found = find_declaration(ret, code, ret_tag);
		error = dwarf_work(unit->dwarf, (uint64_t)(ret->at - start));
		if (error || found <= 0)
			return error ? error : found;
		if (want >= section->section.size - unit->abbrev_offset)
			return -ENOEXEC;
		if (want >= SCAN_BYTES_MAX)
			return -E2BIG;
	}
}

static struct dwarf_value *place_of(struct dwarf_attributes *attributes, uint64_t attribute)
{
	switch (attribute) {
	case DW_AT_name:
		return &attributes->name;
	case DW_AT_linkage_name:
	case DW_AT_MIPS_linkage_name:
		return &attributes->linkage_name;
	case DW_AT_abstract_origin:
		return &attributes->abstract_origin;
	case DW_AT_specification:
		return &attributes->specification;
	case DW_AT_decl_line:
		return &attributes->decl_line;
	case DW_AT_low_pc:
		return &attributes->low_pc;
	case DW_AT_high_pc:
		return &attributes->high_pc;
	case DW_AT_ranges:
		return &attributes->ranges;
	case DW_AT_stmt_list:
		return &attributes->stmt_list;
	case DW_AT_comp_dir:
		return &attributes->comp_dir;
	case DW_AT_language:
		return &attributes->language;
	case DW_AT_str_offsets_base:
		return &attributes->str_offsets_base;
	case DW_AT_addr_base:
	case DW_AT_GNU_addr_base:
		return &attributes->addr_base;
	case DW_AT_rnglists_base:
		return &attributes->rnglists_base;
	case DW_AT_GNU_ranges_base:
		return &attributes->ranges_base;
	case DW_AT_dwo_name:
	case DW_AT_GNU_dwo_name:
		return &attributes->dwo_name;
	case DW_AT_GNU_dwo_id:
		return &attributes->dwo_id;
	default:
		return NULL;
	}
}

void dwarf_attributes_read(const struct dwarf_unit *unit, struct byte_cursor *attributes,
			   struct byte_cursor *entry, uint64_t offset, struct dwarf_attributes *ret)
{
	const uint8_t *start = entry->at;
	struct dwarf_value value, *place;
	uint64_t attribute, form;
	int64_t implicit;

	while (!entry->failed && next_attribute(attributes, &attribute, &form, &implicit)) {
		value = (struct dwarf_value){};
		dwarf_form_read(entry, &unit->encoding, form, &value);
		if (form == DW_FORM_implicit_const)
			value.value = (uint64_t)implicit;
		else if (value.form == DW_FORM_string)
			value.value = offset + (uint64_t)(entry->at - start) - value.value;
		place = place_of(ret, attribute);
		if (place && !entry->failed)
			*place = value;
	}
	if (attributes->failed)
		bytes_fail(entry);
}
