/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Split DWARF: units whose entries are in another file, a .dwo of their own or a package (.dwp)
 * of many.  DWARF 5 sections 3.1.2, 3.1.3, 7.3.2 and 7.3.5; before version 5 as GNU tools have it
 * ("DebugFission", "DebugFissionDWP").
 */
#ifndef EBPFPROF_SYMBOLIZER_DWARF_SPLIT_H
#define EBPFPROF_SYMBOLIZER_DWARF_SPLIT_H

#include "symbolizer/dwarf_private.h"

/**
 * dwarf_split_unit - the unit with the entries of @skeleton, opened if need be
 * @ret: valid until the next call
 * Errors: -ENODATA @skeleton is whole itself; -ENOENT, -ESTALE the file is not there, or is of
 * another build; -ENOEXEC; -EIO; -ENOMEM; what config.open_split() gave.
 */
int dwarf_split_unit(const struct dwarf_unit *skeleton, struct dwarf_unit *ret);

/** dwarf_package_open - use config.package; -ENODATA it is none; -EIO; -ENOMEM */
int dwarf_package_open(struct dwarf *dwarf);

/** dwarf_splits_close - give back all files, and the package */
void dwarf_splits_close(struct dwarf *dwarf);
size_t dwarf_splits_heap_bytes(const struct dwarf *dwarf);

/* What of a package's sections belongs to one unit; 0 where the package has no such column. */
struct dwarf_package_row {
	uint64_t info, abbrev, str_offsets, rnglists;
};

/** dwarf_package_find - look @dwo_id up in .debug_cu_index, [@size] @bytes; -ENOENT; -ENOEXEC */
int dwarf_package_find(const uint8_t *bytes, size_t size, uint64_t dwo_id,
		       struct dwarf_package_row *ret);

#endif
