/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses that an entry covers: low_pc and high_pc, or a range list in .debug_ranges (DWARF 2
 * to 4, section 2.17.3) or .debug_rnglists (DWARF 5 section 2.17.3).
 */
#ifndef EBPFPROF_SYMBOLIZER_DWARF_RANGES_H
#define EBPFPROF_SYMBOLIZER_DWARF_RANGES_H

#include "symbolizer/dwarf_private.h"

struct dwarf_range_visit {
	/* [start, end), start < end; returns 0, or an error that ends the visit. */
	int (*visit)(void *context, uint64_t start, uint64_t end);
	void *context;
	uint64_t items_left; /* list items that may still be read: bounds the work for a unit */
};

/**
 * dwarf_ranges_visit - visit what the three attributes cover; absent ones have form 0
 * Errors: -ENOEXEC a broken list (what came before was visited); -E2BIG items_left ran out;
 * -EIO; -ENOMEM; what visit() returned.
 */
int dwarf_ranges_visit(const struct dwarf_unit *unit, const struct dwarf_value *low_pc,
		       const struct dwarf_value *high_pc, const struct dwarf_value *ranges,
		       struct dwarf_range_visit *visit);

/** dwarf_ranges_budget - items that honest lists in these sections can have */
uint64_t dwarf_ranges_budget(const struct dwarf_section *ranges,
			     const struct dwarf_section *rnglists);

#endif
