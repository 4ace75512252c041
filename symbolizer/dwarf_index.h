/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The range index of a file: which unit covers which addresses.  Flat bytes without pointers: a
 * header, the units' places in .debug_info, the runs of addresses whose owners are units.
 */
#ifndef EBPFPROF_SYMBOLIZER_DWARF_INDEX_H
#define EBPFPROF_SYMBOLIZER_DWARF_INDEX_H

#include "symbolizer/dwarf_private.h"
#include "symbolizer/dwarf_runs.h"

#define DWARF_INDEX_VERSION 1 /* to be raised with each change of layout or of meaning */

struct dwarf_index {
	char magic[8];
	uint32_t version;
	uint32_t unit_cnt, run_cnt;
	uint32_t unused;
	uint64_t text_base;
	uint64_t info_bytes; /* size of .debug_info */
	/* then struct dwarf_unit_span [unit_cnt], struct dwarf_run [run_cnt] */
};

static inline const struct dwarf_unit_span *dwarf_index_units(const struct dwarf_index *index)
{
	return (const struct dwarf_unit_span *)(index + 1);
}

static inline const struct dwarf_run *dwarf_index_runs(const struct dwarf_index *index)
{
	return (const struct dwarf_run *)(dwarf_index_units(index) + index->unit_cnt);
}

static inline size_t dwarf_index_bytes(const struct dwarf_index *index)
{
	return sizeof(*index) + index->unit_cnt * sizeof(struct dwarf_unit_span) +
	       index->run_cnt * sizeof(struct dwarf_run);
}

/**
 * dwarf_index_build - from the root entries of the units of @file, which has its units then
 * @ret: heap, the caller's.  Errors: -EIO; -ENOMEM.
 */
int dwarf_index_build(struct dwarf *dwarf, struct elf_file *elf, struct dwarf_file *file,
		      const struct dwarf_text *text, struct dwarf_index **ret);

/** dwarf_index_fits - whether @bytes are an index of this file that can be used as it is */
bool dwarf_index_fits(const void *bytes, size_t size, const struct dwarf_file *file,
		      const struct dwarf_text *text);

#endif
