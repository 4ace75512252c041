/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reader itself, and what it keeps of units in the symbol memory: the line table and the
 * function table, and separately the scope table, which few units need.
 */
#ifndef EBPFPROF_SYMBOLIZER_DWARF_TABLES_H
#define EBPFPROF_SYMBOLIZER_DWARF_TABLES_H

#include "profiler/base/strbuf.h"
#include "symbolizer/dwarf_abbrev.h"
#include "symbolizer/dwarf_functions.h"
#include "symbolizer/dwarf_index.h"
#include "symbolizer/dwarf_name.h"
#include "symbolizer/symbol_memory.h"

struct dwarf_lines;
struct dwarf_package;
struct dwarf_split;

#define DWARF_ABBREVS_KEPT 8
#define DWARF_ABBREVS_BYTES_KEPT (16u << 20) /* or the one in use; eight honest ones: some MB */
#define DWARF_SCOPES_KEPT 8
#define DWARF_SPLITS_KEPT 32 /* .dwo files open at once */

/* Of one unit of the main file.  Any call that adds an item may drop another one. */
struct dwarf_tables {
	struct symbol_memory_item item;
	struct dwarf *dwarf;
	uint32_t unit;		   /* its number */
	bool of_split;		   /* the functions are those of its split unit */
	struct dwarf_lines *lines; /* NULL = none */
	struct dwarf_functions functions;
};

/* The functions and scopes of a unit of any file, each with what it lies in. */
struct dwarf_scopes {
	struct symbol_memory_item item;
	struct dwarf *dwarf;
	struct dwarf_file *file;
	uint64_t unit_offset;
	uint64_t used; /* time of the last use, in uses */
	struct dwarf_scope *scopes; /* [cnt] by offset */
	size_t cnt;
};

struct dwarf {
	struct dwarf_config config;
	struct dwarf_file main, sup;
	bool has_sup;
	struct dwarf_text text;
	const struct dwarf_index *index; /* the configuration's, or owned_index */
	struct dwarf_index *owned_index;
	struct dwarf_tables **tables; /* [index->unit_cnt] NULL = not there */
	struct {
		struct dwarf_abbrevs *abbrevs;
		uint64_t used; /* time of the last use, in uses */
	} abbrevs[DWARF_ABBREVS_KEPT];
	struct dwarf_scopes *scopes[DWARF_SCOPES_KEPT];
	struct dwarf_split *splits[DWARF_SPLITS_KEPT];
	struct dwarf_package *package; /* NULL = none */
	uint64_t uses;
	/*
	 * Bytes that this look-up, or the making of the index, may still go through.  References
	 * lead anywhere: a hostile file makes each of them want another unit's root, table of
	 * abbreviations or scopes, and the product of all these is seconds out of 64 KB.  Whoever
	 * finds nothing left gives up; one unit, however large, can always be walked over.
	 */
	uint64_t work_left;

	/* Scratch, kept because the kernel clears memory that is given back and taken again. */
	struct dwarf_name name;
	struct dwarf_intervals intervals; /* of one unit's functions */
	uint8_t *walk_bytes;		  /* [walk_capacity] the unit that is walked over */
	size_t walk_capacity;
	bool walk_bytes_used;
};

/**
 * dwarf_tables_get - those of unit @number; NULL only when memory is out
 */
struct dwarf_tables *dwarf_tables_get(struct dwarf *dwarf, uint32_t number,
				      const struct dwarf_unit *unit);

/** dwarf_tables_drop_all - of all units */
void dwarf_tables_drop_all(struct dwarf *dwarf);

/** dwarf_scopes_forget, dwarf_abbrevs_forget - drop those made of @file; NULL = of any */
void dwarf_scopes_forget(struct dwarf *dwarf, const struct dwarf_file *file);
void dwarf_abbrevs_forget(struct dwarf *dwarf, const struct dwarf_file *file);

#endif
