/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Range lists.
 *
 * Lists are read item by item through the section's piece.  Many entries of a hostile unit can
 * refer to one long list, so that work would be their product: the visit counts items, and its
 * owner says how many there may be.
 *
 * Code that the linker dropped leaves ranges at 0, 1, -1 or -2 (the tombstones of various
 * linkers).  Those at the top are dropped here, where they would wrap around; the others by who
 * knows where the file has code.
 */
#include "symbolizer/dwarf_ranges.h"

#include <errno.h>

#include "symbolizer/dwarf_constants.h"
#include "symbolizer/dwarf_form.h"

#define ITEM_BYTES 32 /* an item of honest length is whole in so many */
#define BUDGET_MIN 65536

struct list {
	const struct dwarf_unit *unit;
	struct dwarf_range_visit *visit;
	uint64_t base;
	uint64_t address_max; /* of the unit's address size */
	bool dead;	      /* the base is a tombstone */
};

static void set_base(struct list *list, uint64_t base)
{
	list->base = base;
	list->dead = base >= list->address_max - 1;
}

static int visit_one(struct list *list, uint64_t start, uint64_t end)
{
	if (start >= end || start >= list->address_max - 1)
		return 0;
	return list->visit->visit(list->visit->context, start, end);
}

static int visit_pair(struct list *list, uint64_t start, uint64_t end)
{
	/* Modulo the address size: Go writes negative offsets so (seen of 1.26). */
	start = (start + list->base) & list->address_max;
	end = (end + list->base) & list->address_max;
	return list->dead ? 0 : visit_one(list, start, end);
}

static int visit_length(struct list *list, uint64_t start, uint64_t length)
{
	return length > UINT64_MAX - start ? 0 : visit_one(list, start, start + length);
}

/* 1 at the end of the list, 0 there is more, or an error. */
static int visit_item_4(struct list *list, struct byte_cursor *cursor)
{
	unsigned int bytes = list->unit->encoding.address_bytes;
	uint64_t start = read_bytes(cursor, bytes), end = read_bytes(cursor, bytes);

	if (cursor->failed)
		return -ENOEXEC;
	if (!start && !end)
		return 1;
	if (start != list->address_max)
		return visit_pair(list, start, end);
	set_base(list, end);
	return 0;
}

static int indexed(const struct list *list, uint64_t index, uint64_t *ret)
{
	struct dwarf_value value = { .value = index, .form = DW_FORM_addrx };

	return dwarf_address(list->unit, &value, ret);
}

static int visit_indexed(struct list *list, uint8_t kind, uint64_t first, uint64_t second)
{
	uint64_t start, end;
	int ret = indexed(list, first, &start);

	if (ret)
		return ret;
	if (kind == DW_RLE_base_addressx) {
		set_base(list, start);
		return 0;
	}
	if (kind == DW_RLE_startx_length)
		return visit_length(list, start, second);
	ret = indexed(list, second, &end);
	return ret ? ret : visit_one(list, start, end);
}

static int visit_item_5(struct list *list, struct byte_cursor *cursor)
{
	unsigned int bytes = list->unit->encoding.address_bytes;
	uint8_t kind = read_u8(cursor);
	uint64_t first = 0, second = 0;

	if (kind >= DW_RLE_base_addressx && kind <= DW_RLE_offset_pair)
		first = read_uleb128(cursor);
	else if (kind >= DW_RLE_base_address && kind <= DW_RLE_start_length)
		first = read_bytes(cursor, bytes);
	else if (kind != DW_RLE_end_of_list)
		return -ENOEXEC;
	if (kind == DW_RLE_start_end)
		second = read_bytes(cursor, bytes);
	else if (kind != DW_RLE_base_addressx && kind != DW_RLE_base_address && kind)
		second = read_uleb128(cursor);
	if (cursor->failed)
		return -ENOEXEC;
	switch (kind) {
	case DW_RLE_end_of_list:
		return 1;
	case DW_RLE_offset_pair:
		return visit_pair(list, first, second);
	case DW_RLE_base_address:
		set_base(list, first);
		return 0;
	case DW_RLE_start_end:
		return visit_one(list, first, second);
	case DW_RLE_start_length:
		return visit_length(list, first, second);
	default:
		return visit_indexed(list, kind, first, second);
	}
}

static int visit_list(struct list *list, struct dwarf_section *section, uint64_t offset)
{
	bool is_5 = list->unit->encoding.version >= 5;
	struct byte_cursor cursor;
	const uint8_t *start;
	int ret;

	ret = dwarf_section_at(section, offset, ITEM_BYTES, &cursor);
	while (!ret) {
		if (!list->visit->items_left)
			return -E2BIG;
		list->visit->items_left--;
		if (bytes_left(&cursor) < ITEM_BYTES) {
			ret = dwarf_section_at(section, offset, ITEM_BYTES, &cursor);
			if (ret)
				break;
		}
		start = cursor.at;
		ret = is_5 ? visit_item_5(list, &cursor) : visit_item_4(list, &cursor);
		offset += (uint64_t)(cursor.at - start);
	}
	return ret > 0 ? 0 : ret;
}

/* Where the list is that DW_AT_ranges refers to. */
static int list_offset(const struct dwarf_unit *unit, const struct dwarf_value *ranges,
		       uint64_t *ret)
{
	uint64_t offset = ranges->value;
	int code;

	if (unit->encoding.version < 5) {
		*ret = offset + unit->ranges_base;
		return *ret < offset ? -ENOEXEC : 0;
	}
	if (ranges->form != DW_FORM_rnglistx) {
		*ret = offset + unit->rnglists_start;
		return *ret < offset ? -ENOEXEC : 0;
	}
	if (offset > UINT32_MAX || unit->rnglists_base > UINT64_MAX / 2)
		return -ENOEXEC;
	code = dwarf_section_number(unit->rnglists,
				    unit->rnglists_base + offset * unit->encoding.offset_bytes,
				    unit->encoding.offset_bytes, &offset);
	if (code)
		return code;
	*ret = unit->rnglists_base + offset;
	return *ret < offset ? -ENOEXEC : 0;
}

int dwarf_ranges_visit(const struct dwarf_unit *unit, const struct dwarf_value *low_pc,
		       const struct dwarf_value *high_pc, const struct dwarf_value *ranges,
		       struct dwarf_range_visit *visit)
{
	struct list list = {
		.unit = unit,
		.visit = visit,
		.address_max = unit->encoding.address_bytes == 4 ? UINT32_MAX : UINT64_MAX,
	};
	uint64_t start, end;
	int ret;

	if (ranges->form) {
		set_base(&list, unit->low_pc);
		ret = list_offset(unit, ranges, &start);
		if (ret)
			return ret;
		return visit_list(&list, unit->encoding.version < 5 ? unit->ranges : unit->rnglists,
				  start);
	}
	if (!low_pc->form || !high_pc->form)
		return 0;
	ret = dwarf_address(unit, low_pc, &start);
	if (ret)
		return ret;
	if (!dwarf_is_address(high_pc))
		return visit_length(&list, start, high_pc->value);
	ret = dwarf_address(unit, high_pc, &end);
	return ret ? ret : visit_one(&list, start, end);
}

uint64_t dwarf_ranges_budget(const struct dwarf_section *ranges,
			     const struct dwarf_section *rnglists)
{
	/* Items are a byte or more; some lists are referred to twice. */
	return BUDGET_MIN + 2 * (ranges->section.size + rnglists->section.size);
}
