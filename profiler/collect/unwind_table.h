/* SPDX-License-Identifier: BSD-2-Clause */
/* A table as it is handed in (struct unwind_table_view): is it sound, and where are its pages? */
#ifndef EBPFPROF_COLLECT_UNWIND_TABLE_H
#define EBPFPROF_COLLECT_UNWIND_TABLE_H

#include <stdint.h>

#include "profiler/collect/unwind_maps.h"

/**
 * unwind_table_check - 0, or -EINVAL: a walk could go wrong by it
 *
 * Each page's rows begin at its first address and ascend, each row's rule is there, each rule is
 * one that a walk knows, all page numbers fit into 32 bits.
 */
int unwind_table_check(const struct unwind_table_view *table);

/** unwind_table_page_rows - the number of rows of page @page; of a table that was checked */
static inline uint32_t unwind_table_page_rows(const struct unwind_table_view *table, uint32_t page)
{
	return table->page_rows[page + 1] - table->page_rows[page];
}

#endif
