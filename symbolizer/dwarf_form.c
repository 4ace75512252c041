/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values of attributes: how long they are (DWARF 5 section 7.5.6), and what they stand for:
 * addresses, texts, other entries, partly by way of tables (.debug_addr, .debug_str_offsets).
 *
 * A value is read as a number with its form; what it means is asked for later, once the bases
 * are known that may stand behind it in the same entry.
 */
#include <errno.h>

#include "profiler/base/strbuf.h"
#include "symbolizer/dwarf_constants.h"
#include "symbolizer/dwarf_form.h"
#include "symbolizer/dwarf_private.h"

int dwarf_form_bytes(const struct dwarf_encoding *encoding, uint64_t form)
{
	switch (form) {
	case DW_FORM_flag_present:
	case DW_FORM_implicit_const:
		return 0;
	case DW_FORM_data1:
	case DW_FORM_ref1:
	case DW_FORM_flag:
	case DW_FORM_strx1:
	case DW_FORM_addrx1:
		return 1;
	case DW_FORM_data2:
	case DW_FORM_ref2:
	case DW_FORM_strx2:
	case DW_FORM_addrx2:
		return 2;
	case DW_FORM_strx3:
	case DW_FORM_addrx3:
		return 3;
	case DW_FORM_data4:
	case DW_FORM_ref4:
	case DW_FORM_ref_sup4:
	case DW_FORM_strx4:
	case DW_FORM_addrx4:
		return 4;
	case DW_FORM_data8:
	case DW_FORM_ref8:
	case DW_FORM_ref_sup8:
	case DW_FORM_ref_sig8:
		return 8;
	case DW_FORM_data16:
		return 16;
	case DW_FORM_addr:
		return encoding->address_bytes;
	case DW_FORM_ref_addr: /* DWARF 2 had addresses here */
		return encoding->version <= 2 ? encoding->address_bytes : encoding->offset_bytes;
	case DW_FORM_strp:
	case DW_FORM_line_strp:
	case DW_FORM_strp_sup:
	case DW_FORM_sec_offset:
	case DW_FORM_GNU_ref_alt:
	case DW_FORM_GNU_strp_alt:
		return encoding->offset_bytes;
	case DW_FORM_udata:
	case DW_FORM_sdata:
	case DW_FORM_ref_udata:
	case DW_FORM_string:
	case DW_FORM_block:
	case DW_FORM_block1:
	case DW_FORM_block2:
	case DW_FORM_block4:
	case DW_FORM_exprloc:
	case DW_FORM_indirect:
	case DW_FORM_strx:
	case DW_FORM_addrx:
	case DW_FORM_loclistx:
	case DW_FORM_rnglistx:
	case DW_FORM_GNU_addr_index:
	case DW_FORM_GNU_str_index:
		return DWARF_FORM_VARIABLE;
	default:
		return DWARF_FORM_UNKNOWN;
	}
}

static uint64_t read_variable(struct byte_cursor *cursor, uint64_t form)
{
	const uint8_t *start = cursor->at;

	switch (form) {
	case DW_FORM_sdata:
		return (uint64_t)read_sleb128(cursor);
	case DW_FORM_string:
		read_string(cursor);
		return (uint64_t)(cursor->at - start);
	case DW_FORM_block:
	case DW_FORM_exprloc:
		skip_bytes(cursor, read_uleb128(cursor));
		return 0;
	case DW_FORM_block1:
		skip_bytes(cursor, read_u8(cursor));
		return 0;
	case DW_FORM_block2:
		skip_bytes(cursor, read_u16(cursor));
		return 0;
	case DW_FORM_block4:
		skip_bytes(cursor, read_u32(cursor));
		return 0;
	default: /* the numbers that dwarf_form_bytes() calls variable */
		return read_uleb128(cursor);
	}
}

void dwarf_form_read(struct byte_cursor *cursor, const struct dwarf_encoding *encoding,
		     uint64_t form, struct dwarf_value *ret)
{
	int bytes;

	if (form == DW_FORM_indirect) {
		form = read_uleb128(cursor);
		/* The one has no value here, the other could go on for ever. */
		if (form == DW_FORM_implicit_const || form == DW_FORM_indirect)
			bytes_fail(cursor);
	}
	bytes = dwarf_form_bytes(encoding, form);
	if (bytes == DWARF_FORM_UNKNOWN) {
		bytes_fail(cursor);
		return;
	}
	ret->form = (uint16_t)form;
	ret->value = form == DW_FORM_flag_present;
	if (bytes == DWARF_FORM_VARIABLE)
		ret->value = read_variable(cursor, form);
	else if (bytes > 8)
		skip_bytes(cursor, (uint64_t)bytes);
	else if (bytes)
		ret->value = read_bytes(cursor, (unsigned int)bytes);
}

bool dwarf_is_address(const struct dwarf_value *value)
{
	switch (value->form) {
	case DW_FORM_addr:
	case DW_FORM_addrx:
	case DW_FORM_addrx1:
	case DW_FORM_addrx2:
	case DW_FORM_addrx3:
	case DW_FORM_addrx4:
	case DW_FORM_GNU_addr_index:
		return true;
	default:
		return false;
	}
}

/* The number of @bytes at index @index of a table that begins at @base. */
static int read_table(struct dwarf_section *section, uint64_t base, uint64_t index,
		      unsigned int bytes, uint64_t *ret)
{
	if (index > UINT32_MAX || base > UINT64_MAX / 2)
		return -ENOEXEC;
	return dwarf_section_number(section, base + index * bytes, bytes, ret);
}

int dwarf_address(const struct dwarf_unit *unit, const struct dwarf_value *value, uint64_t *ret)
{
	if (value->form == DW_FORM_addr) {
		*ret = value->value;
		return 0;
	}
	if (!dwarf_is_address(value))
		return -ENOEXEC;
	return read_table(unit->addr, unit->addr_base, value->value, unit->encoding.address_bytes,
			  ret);
}

int dwarf_reference(const struct dwarf_unit *unit, const struct dwarf_value *value,
		    struct dwarf_file **ret_file, uint64_t *ret_offset)
{
	struct dwarf_file *file = unit->file;
	uint64_t offset = value->value;

	switch (value->form) {
	case DW_FORM_ref1:
	case DW_FORM_ref2:
	case DW_FORM_ref4:
	case DW_FORM_ref8:
	case DW_FORM_ref_udata:
		if (offset >= unit->end - unit->offset)
			return -ENOEXEC;
		offset += unit->offset;
		break;
	case DW_FORM_ref_addr:
		break;
	case DW_FORM_ref_sup4:
	case DW_FORM_ref_sup8:
	case DW_FORM_GNU_ref_alt:
		file = dwarf_sup_file(unit->dwarf);
		break;
	default: /* DW_FORM_ref_sig8 leads to types, which no name needs */
		return -ENOEXEC;
	}
	if (!file || offset >= file->info.section.size)
		return -ENOEXEC;
	*ret_file = file;
	*ret_offset = offset;
	return 0;
}

static bool is_indexed_string(uint16_t form)
{
	return form == DW_FORM_strx || (form >= DW_FORM_strx1 && form <= DW_FORM_strx4) ||
	       form == DW_FORM_GNU_str_index;
}

int dwarf_string(const struct dwarf_unit *unit, const struct dwarf_value *value, size_t max,
		 struct strbuf *text)
{
	struct dwarf_file *sup = dwarf_sup_file(unit->dwarf);
	struct section *section = &unit->file->str;
	uint64_t offset = value->value;
	int ret;

	if (value->form == DW_FORM_string) {
		section = &unit->file->info.section;
	} else if (value->form == DW_FORM_line_strp) {
		section = &unit->file->line_str;
	} else if (value->form == DW_FORM_strp_sup || value->form == DW_FORM_GNU_strp_alt) {
		if (!sup)
			return -ENOEXEC;
		section = &sup->str;
	} else if (is_indexed_string(value->form)) {
		ret = read_table(&unit->file->str_offsets, unit->str_offsets_base, value->value,
				 unit->encoding.offset_bytes, &offset);
		if (ret)
			return ret;
	} else if (value->form != DW_FORM_strp) {
		return -ENOEXEC;
	}
	return section_read_string(section, offset, max, text);
}
