/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of functions: from the entry of one, by abstract origins and specifications, through
 * other units and the supplementary file; and the scopes around a name (C++, Rust).
 */
#ifndef EBPFPROF_SYMBOLIZER_DWARF_NAME_H
#define EBPFPROF_SYMBOLIZER_DWARF_NAME_H

#include "profiler/base/strbuf.h"
#include "symbolizer/dwarf_private.h"

#define DWARF_NAME_MAX 16384 /* bytes of a name; the rest is cut off */

struct dwarf_name {
	struct strbuf text;  /* empty: there is none */
	uint32_t start_line; /* 0 = unknown */
	bool linker_name;
};

/**
 * dwarf_name_read - the name of the function whose entry is at @offset of @file's .debug_info
 * @unit: a unit of @file that it is likely in, or NULL
 * @ret: its text is cleared first.  Errors: -ENOEXEC; -EFBIG; -EIO; -ENOMEM; @ret has what
 * was found up to then, perhaps nothing.
 */
int dwarf_name_read(struct dwarf *dwarf, struct dwarf_file *file, uint64_t offset,
		    const struct dwarf_unit *unit, struct dwarf_name *ret);

/* An entry and the unit that it is in. */
struct dwarf_place {
	struct dwarf_unit unit;
	uint64_t offset;
};

/** dwarf_place_origin - go to what the entry is an instance or the definition of; -ENODATA */
int dwarf_place_origin(struct dwarf_place *place, const struct dwarf_attributes *attributes);

/** dwarf_scope_prefix - append "outer::inner::" of @function at @place, "" at file scope */
int dwarf_scope_prefix(const struct dwarf_place *place, const char *function, struct strbuf *text);

#endif
