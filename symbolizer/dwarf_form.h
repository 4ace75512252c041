/* SPDX-License-Identifier: BSD-2-Clause */
/* Attribute values of DWARF entries (DWARF 5 section 7.5.6).  Part of the reader of dwarf.h. */
#ifndef EBPFPROF_SYMBOLIZER_DWARF_FORM_H
#define EBPFPROF_SYMBOLIZER_DWARF_FORM_H

#include "symbolizer/dwarf_private.h"

#define DWARF_FORM_VARIABLE (-1)
#define DWARF_FORM_UNKNOWN (-2)

/** dwarf_form_bytes - size of a value of @form, or one of the above */
int dwarf_form_bytes(const struct dwarf_encoding *encoding, uint64_t form);

/**
 * dwarf_form_read - read one value; unknown forms fail the cursor.  @form may be indirect
 * Of a DW_FORM_string the value is its size, that of an implicit constant is not read here.
 */
void dwarf_form_read(struct byte_cursor *cursor, const struct dwarf_encoding *encoding,
		     uint64_t form, struct dwarf_value *ret);

/** dwarf_address - the address that @value is; -ENOEXEC it is none */
int dwarf_address(const struct dwarf_unit *unit, const struct dwarf_value *value, uint64_t *ret);
bool dwarf_is_address(const struct dwarf_value *value);

/** dwarf_reference - where the entry is that @value refers to: a file and an offset in it */
int dwarf_reference(const struct dwarf_unit *unit, const struct dwarf_value *value,
		    struct dwarf_file **ret_file, uint64_t *ret_offset);

/** dwarf_string - append the text that @value is, cut after @max bytes */
int dwarf_string(const struct dwarf_unit *unit, const struct dwarf_value *value, size_t max,
		 struct strbuf *text);

#endif
