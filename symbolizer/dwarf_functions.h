/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Functions and inlined calls of one unit: address -> the innermost, and its callers.
 */
#ifndef EBPFPROF_SYMBOLIZER_DWARF_FUNCTIONS_H
#define EBPFPROF_SYMBOLIZER_DWARF_FUNCTIONS_H

#include "symbolizer/dwarf_private.h"
#include "symbolizer/dwarf_runs.h"

#define DWARF_CALLS_MAX (4u << 20) /* functions and inlined calls of a unit; the rest is left out */
#define DWARF_NO_PARENT 0x7fffffffu

/* A function with code of its own, or a place where one was inlined. */
struct dwarf_call {
	uint32_t origin;      /* the entry that has its name: offset in .debug_info */
	uint32_t parent : 31; /* into what it was inlined; DWARF_NO_PARENT = it is no inlined one */
	uint32_t in_sup : 1;  /* the origin is in the supplementary file */
	uint32_t call_file, call_line;
};

_Static_assert(sizeof(struct dwarf_call) == 16, "calls are packed");

struct dwarf_functions {
	struct dwarf_call *calls; /* [call_cnt] */
	struct dwarf_run *runs;	  /* [run_cnt], owners are indexes of calls */
	size_t call_cnt, run_cnt;
};

/**
 * dwarf_functions_load - one walk over the unit's entries
 * Errors: -ENOEXEC broken; -EFBIG; -EIO; -ENOMEM.
 */
int dwarf_functions_load(const struct dwarf_unit *unit, const struct dwarf_text *text,
			 struct dwarf_functions *ret);
void dwarf_functions_free(struct dwarf_functions *functions);
size_t dwarf_functions_bytes(const struct dwarf_functions *functions);

/**
 * dwarf_functions_add - add to @intervals what the unit's functions cover, as @owner's
 * @items_left: of range lists, for all units together; see struct dwarf_range_visit
 * Errors: -E2BIG they ran out; as above.
 */
int dwarf_functions_add(const struct dwarf_unit *unit, struct dwarf_intervals *intervals,
			uint32_t owner, uint64_t *items_left);

#endif
