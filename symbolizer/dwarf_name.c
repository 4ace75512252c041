/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of functions.
 *
 * The entry that an address leads to is often an instance (DW_AT_abstract_origin) of the
 * definition (DW_AT_specification) of what was declared in a class, and each of the three may
 * have the name, the linkage name, or the line.  The chain is followed to its end for a linkage
 * name; the first name and line on the way are taken.
 */
#include "symbolizer/dwarf_name.h"

#include <errno.h>

#include "symbolizer/dwarf_constants.h"
#include "symbolizer/dwarf_form.h"

#define CHAIN_MAX 16 /* honest chains have at most three entries */

int dwarf_place_origin(struct dwarf_place *place, const struct dwarf_attributes *attributes)
{
	const struct dwarf_value *value = attributes->abstract_origin.form ?
						  &attributes->abstract_origin :
						  &attributes->specification;
	struct dwarf_unit *unit = &place->unit;
	struct dwarf_file *file;
	int ret;

	if (!value->form)
		return -ENODATA;
	ret = dwarf_reference(unit, value, &file, &place->offset);
	if (ret)
		return ret;
	if (file == unit->file && place->offset >= unit->offset && place->offset < unit->end)
		return 0;
	return dwarf_unit_around(unit->dwarf, file, place->offset, unit);
}

static bool has_scopes(const struct dwarf_unit *unit)
{
	switch (unit->language) {
	case DW_LANG_C89:
	case DW_LANG_C:
	case DW_LANG_C99:
	case DW_LANG_C11:
	case DW_LANG_C17:
	case DW_LANG_Go:
	case DW_LANG_Mips_Assembler:
		return false;
	default:
		return true;
	}
}

/* Follows the chain; @short_name gets the name without scopes if a linkage name was not first. */
static int follow(struct dwarf_place *place, struct dwarf_name *ret, struct strbuf *short_name)
{
	struct dwarf_attributes entry;
	int i, code = 0;

	for (i = 0; i < CHAIN_MAX && !code && !(ret->linker_name && ret->start_line); i++) {
		code = dwarf_entry_read(&place->unit, place->offset, &entry);
		if (code)
			break;
		if (!ret->start_line && entry.decl_line.value <= UINT32_MAX)
			ret->start_line = (uint32_t)entry.decl_line.value;
		if (entry.linkage_name.form && !ret->linker_name)
			ret->linker_name = !dwarf_string(&place->unit, &entry.linkage_name,
							 DWARF_NAME_MAX, &ret->text) &&
					   ret->text.len;
		if (entry.name.form && !ret->linker_name && !short_name->len)
			dwarf_string(&place->unit, &entry.name, DWARF_NAME_MAX, short_name);
		code = dwarf_place_origin(place, &entry);
	}
	return code == -ENODATA ? 0 : code;
}

int dwarf_name_read(struct dwarf *dwarf, struct dwarf_file *file, uint64_t offset,
		    const struct dwarf_unit *unit, struct dwarf_name *ret)
{
	struct dwarf_place place = { .offset = offset };
	struct strbuf short_name = STRBUF_INIT;
	int code = 0;

	strbuf_clear(&ret->text);
	ret->start_line = 0;
	ret->linker_name = false;
	if (unit && unit->file == file && offset >= unit->offset && offset < unit->end)
		place.unit = *unit;
	else
		code = dwarf_unit_around(dwarf, file, offset, &place.unit);
	if (!code)
		code = follow(&place, ret, &short_name);
	if (!ret->text.len && short_name.len) {
		/* The last entry of the chain is the one that stands where it was declared. */
		if (has_scopes(&place.unit))
			code = dwarf_scope_prefix(&place, short_name.text, &ret->text);
		ret->linker_name = !ret->text.len && place.unit.language != DW_LANG_Go;
		strbuf_add(&ret->text, short_name.text, short_name.len);
	}
	if (short_name.failed || ret->text.failed)
		code = -ENOMEM;
	strbuf_free(&short_name);
	return code;
}
