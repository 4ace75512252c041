/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Units: their headers (DWARF 5 section 7.5.1, earlier ones section 7.5.1 of their version) and
 * what the root entry says for all the others: bases of tables, language, first address.
 *
 * Units are values that a look-up reads anew, from a hundred bytes; kept ones would be hundreds
 * of bytes each, of which large programs have ten thousands.
 */
#include <errno.h>
#include <stdlib.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/dwarf_abbrev.h"
#include "symbolizer/dwarf_constants.h"
#include "symbolizer/dwarf_form.h"
#include "symbolizer/dwarf_work.h"

#define HEADER_BYTES_MAX 64
#define ENTRY_BYTES 256		   /* enough for nearly all entries that are read singly */
#define ENTRY_BYTES_MAX (1u << 20) /* texts and blocks among the attributes */
#define UNITS_MAX (4u << 20)

/* ---- headers -------------------------------------------------------------------------------- */

/* The length at the beginning of units and of most tables. */
static uint64_t read_length(struct byte_cursor *cursor, uint8_t *ret_offset_bytes)
{
	uint64_t length = read_u32(cursor);

	*ret_offset_bytes = 4;
	if (length == UINT32_MAX) {
		*ret_offset_bytes = 8;
		length = read_u64(cursor);
	} else if (length >= 0xfffffff0u) {
		bytes_fail(cursor); /* reserved */
	}
	return length;
}

static void read_version_5(struct byte_cursor *cursor, struct dwarf_unit *unit)
{
	unit->type = read_u8(cursor);
	unit->encoding.address_bytes = read_u8(cursor);
	unit->abbrev_offset = read_bytes(cursor, unit->encoding.offset_bytes);
	if (unit->type == DW_UT_skeleton || unit->type == DW_UT_split_compile) {
		unit->dwo_id = read_u64(cursor);
		unit->has_dwo_id = true;
	} else if (unit->type == DW_UT_type || unit->type == DW_UT_split_type) {
		skip_bytes(cursor, 8u + unit->encoding.offset_bytes); /* signature, type */
	}
}

static void read_version_2(struct byte_cursor *cursor, struct dwarf_unit *unit)
{
	unit->type = DW_UT_compile;
	unit->abbrev_offset = read_bytes(cursor, unit->encoding.offset_bytes);
	unit->encoding.address_bytes = read_u8(cursor);
}

static void use_own_tables(struct dwarf_unit *unit)
{
	unit->addr = &unit->file->addr;
	unit->ranges = &unit->file->ranges;
	unit->rnglists = &unit->file->rnglists;
}

int dwarf_unit_header(struct dwarf *dwarf, struct dwarf_file *file, uint64_t offset,
		      struct dwarf_unit *ret)
{
	struct dwarf_unit *unit = ret;
	struct byte_cursor cursor;
	const uint8_t *start;
	uint64_t length, head;
	uint16_t version;
	int code;

	*unit = (struct dwarf_unit){ .dwarf = dwarf, .file = file, .offset = offset };
	code = dwarf_section_at(&file->info, offset, HEADER_BYTES_MAX, &cursor);
	if (code)
		return code;
	start = cursor.at;
	length = read_length(&cursor, &unit->encoding.offset_bytes);
	head = (uint64_t)(cursor.at - start);
	if (cursor.failed || length > file->info.section.size - offset - head)
		return -ENOEXEC;
	unit->end = offset + head + length;
	version = read_u16(&cursor);
	if (version < 2 || version > 5)
		return -ENOEXEC;
	unit->encoding.version = (uint8_t)version;
	if (version == 5)
		read_version_5(&cursor, unit);
	else
		read_version_2(&cursor, unit);
	unit->first_die = offset + (uint64_t)(cursor.at - start);
	if (cursor.failed || unit->first_die > unit->end)
		return -ENOEXEC;
	if (unit->encoding.address_bytes != 4 && unit->encoding.address_bytes != 8)
		return -ENOEXEC;
	use_own_tables(unit);
	return 0;
}

/* ---- entries -------------------------------------------------------------------------------- */

/* A cursor over at most the entry's unit; *ret_whole: reading further would not help. */
static int entry_at(const struct dwarf_unit *unit, uint64_t offset, size_t want,
		    struct byte_cursor *ret, bool *ret_whole)
{
	uint64_t left = unit->end - offset;
	int code = dwarf_section_at(&unit->file->info, offset, MIN(want, left), ret);

	if (code)
		return code;
	if (bytes_left(ret) > left)
		ret->end = ret->at + left;
	*ret_whole = bytes_left(ret) >= left || want >= ENTRY_BYTES_MAX;
	return 0;
}

/* By the unit's table, or (@scan), if that is not kept, by looking for the one declaration. */
static int find_attributes(const struct dwarf_unit *unit, uint64_t code, bool scan,
			   uint16_t *ret_tag, struct byte_cursor *ret)
{
	const struct dwarf_declaration *declaration;
	const struct dwarf_abbrevs *abbrevs = dwarf_abbrevs_kept(unit);
	int error;

	if (!abbrevs && scan) {
		error = dwarf_declaration_find(unit, code, ret_tag, ret);
		if (error != -E2BIG)
			return error;
	}
	if (!abbrevs) {
		error = dwarf_abbrevs_of(unit, &abbrevs);
		if (error)
			return error;
	}
	declaration = dwarf_abbrevs_find(abbrevs, code);
	if (!declaration)
		return -ENOEXEC;
	*ret_tag = declaration->tag;
	*ret = byte_cursor(abbrevs->raw + declaration->attributes,
			   abbrevs->raw_bytes - declaration->attributes);
	return 0;
}

static int read_entry(const struct dwarf_unit *unit, uint64_t offset, bool scan,
		      struct dwarf_attributes *ret)
{
	struct byte_cursor entry, attributes;
	bool whole = false;
	const uint8_t *start;
	size_t want;
	int error;

	if (offset < unit->first_die || offset >= unit->end)
		return -ENOEXEC;
	for (want = ENTRY_BYTES; !whole; want *= 16) {
		uint64_t code;

		error = entry_at(unit, offset, want, &entry, &whole);
		if (error)
			return error;
		start = entry.at;
		code = read_uleb128(&entry);
		if (!code && !entry.failed)
			return -ENOEXEC; /* the end of some list of children */
		*ret = (struct dwarf_attributes){};
		error = find_attributes(unit, code, scan, &ret->tag, &attributes);
		if (error)
			return error;
		dwarf_attributes_read(unit, &attributes, &entry,
				      offset + (uint64_t)(entry.at - start), ret);
		error = dwarf_work(unit->dwarf, (uint64_t)(entry.at - start));
		if (error || !entry.failed)
			return error;
	}
	return -ENOEXEC;
}

int dwarf_entry_read(const struct dwarf_unit *unit, uint64_t offset, struct dwarf_attributes *ret)
{
	return read_entry(unit, offset, false, ret);
}

/* ---- roots ---------------------------------------------------------------------------------- */

static uint64_t base_or(const struct dwarf_value *value, uint64_t otherwise)
{
	return value->form ? value->value : otherwise;
}

static void take_bases(struct dwarf_unit *unit)
{
	const struct dwarf_attributes *root = &unit->root;
	bool is_5 = unit->encoding.version >= 5;
	uint64_t length_bytes = unit->encoding.offset_bytes == 8 ? 12 : 4;

	/* Where DWARF 5 units do not say, they mean what stands behind the table's header. */
	unit->str_offsets_base = base_or(&root->str_offsets_base, is_5 ? length_bytes + 4 : 0);
	unit->addr_base = base_or(&root->addr_base, is_5 ? length_bytes + 4 : 0);
	unit->rnglists_base = base_or(&root->rnglists_base, length_bytes + 8);
	unit->language = root->language.value;
	if (dwarf_address(unit, &root->low_pc, &unit->low_pc))
		unit->low_pc = 0;
	if (!unit->has_dwo_id && root->dwo_id.form) {
		unit->has_dwo_id = true;
		unit->dwo_id = root->dwo_id.value;
	}
}

int dwarf_unit_root(struct dwarf_unit *unit)
{
	/* A table for one entry would be made in vain where no other is wanted. */
	int ret = read_entry(unit, unit->first_die, true, &unit->root);

	if (ret)
		return ret;
	if (unit->root.tag == DW_TAG_partial_unit)
		unit->type = DW_UT_partial;
	else if (unit->root.tag == DW_TAG_type_unit)
		unit->type = DW_UT_type;
	take_bases(unit);
	return 0;
}

int dwarf_unit_open(struct dwarf *dwarf, struct dwarf_file *file, uint64_t offset,
		    struct dwarf_unit *ret)
{
	int code = dwarf_unit_header(dwarf, file, offset, ret);

	return code ? code : dwarf_unit_root(ret);
}

/* ---- all units of a file -------------------------------------------------------------------- */

static int add_span(struct dwarf_file *file, size_t *capacity, uint64_t offset, uint64_t end)
{
	size_t more = *capacity ? *capacity * 2 : 64;
	void *larger;

	if (file->unit_cnt == *capacity) {
		larger = realloc(file->owned_units, more * sizeof(*file->owned_units));
		if (!larger)
			return -ENOMEM;
		file->owned_units = larger;
		*capacity = more;
	}
	file->owned_units[file->unit_cnt++] = (struct dwarf_unit_span){
		.offset = (uint32_t)offset,
		.size = (uint32_t)(end - offset),
	};
	return 0;
}

static void forget_units(struct dwarf_file *file)
{
	free(file->owned_units);
	file->owned_units = NULL;
	file->unit_cnt = 0;
}

int dwarf_file_units(struct dwarf *dwarf, struct dwarf_file *file,
		     int (*visit)(void *context, struct dwarf_unit *unit, uint32_t number),
		     void *context)
{
	size_t capacity = 0, i;
	uint64_t offset = 0;
	int ret = 0;

	if (file->units_known)
		return 0;
	for (i = 0; i < UNITS_MAX && offset < file->info.section.size; i++) {
		struct dwarf_unit unit;

		ret = dwarf_unit_header(dwarf, file, offset, &unit);
		offset = unit.end;
		if (!ret)
			ret = add_span(file, &capacity, unit.offset, unit.end);
		if (!ret && visit)
			ret = visit(context, &unit, (uint32_t)file->unit_cnt - 1);
		/* A broken one is passed by, if it says where the next one is. */
		if (ret == -ENOMEM || ret == -EIO || !offset)
			break;
	}
	if (ret == -ENOMEM || ret == -EIO) {
		forget_units(file);
		return ret;
	}
	file->units = file->owned_units;
	file->units_known = true;
	return 0;
}

int dwarf_unit_around(struct dwarf *dwarf, struct dwarf_file *file, uint64_t offset,
		      struct dwarf_unit *ret)
{
	size_t low = 0, high;
	int code = dwarf_file_units(dwarf, file, NULL, NULL);

	if (code)
		return code;
	high = file->unit_cnt;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (file->units[middle].offset <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || offset - file->units[low - 1].offset >= file->units[low - 1].size)
		return -ENOEXEC;
	return dwarf_unit_open(dwarf, file, file->units[low - 1].offset, ret);
}
