/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Intervals of addresses with owners, that nest or overlap in any way, made into runs that do
 * not: which owner counts at each address.
 */
#ifndef EBPFPROF_SYMBOLIZER_DWARF_RUNS_H
#define EBPFPROF_SYMBOLIZER_DWARF_RUNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "symbolizer/elf.h"

#define DWARF_NOBODY UINT32_MAX /* owner of what nobody owns */
#define DWARF_INTERVALS_MAX (8u << 20)

/* Where a file has code. */
struct dwarf_text {
	uint64_t base; /* lowest address of code: offsets of 32 bits count from here */
	size_t cnt;
	struct {
		uint64_t start, end;
	} parts[ELF_SEGMENTS_MAX];
};

/** dwarf_text_init - from the executable segments of @elf; false when there are none */
bool dwarf_text_init(struct dwarf_text *text, const struct elf_file *elf);

/** dwarf_text_offset - offset of @address; false when it is too far from the base */
bool dwarf_text_offset(const struct dwarf_text *text, uint64_t address, uint32_t *ret);

/* From `start` up to the next run's start. */
struct dwarf_run {
	uint32_t start;
	uint32_t owner;
};

struct dwarf_interval {
	uint32_t start, end;
	uint32_t owner;
};

struct dwarf_intervals {
	const struct dwarf_text *text;
	struct dwarf_interval *items; /* [cnt] */
	size_t cnt, capacity;
	struct dwarf_interval *spare; /* [spare_capacity] to sort into, or NULL */
	size_t spare_capacity;
};

/**
 * dwarf_intervals_add - [start, end) is @owner's
 * What starts outside of the text (code that the linker dropped), and what would be more than
 * DWARF_INTERVALS_MAX, is left out; ends are clipped.  0 or -ENOMEM.
 */
int dwarf_intervals_add(struct dwarf_intervals *intervals, uint64_t start, uint64_t end,
			uint32_t owner);

/* Whose address it is where intervals overlap. */
enum dwarf_precedence {
	DWARF_LARGEST_OWNER, /* owners are numbered so that inner ones come after outer ones */
	DWARF_LATEST_START,  /* then the shorter one, then the smaller owner */
};

/**
 * dwarf_intervals_flatten - the runs of all intervals; the last one is nobody's
 * @ret: heap, the caller's; neighbours have different owners, starts ascend strictly
 * The intervals are sorted meanwhile.  0 or -ENOMEM.
 */
int dwarf_intervals_flatten(struct dwarf_intervals *intervals, enum dwarf_precedence precedence,
			    struct dwarf_run **ret, size_t *ret_cnt);

void dwarf_intervals_free(struct dwarf_intervals *intervals);

/** dwarf_intervals_clear - make it empty; memory of a usual size stays for the next use */
void dwarf_intervals_clear(struct dwarf_intervals *intervals);
size_t dwarf_intervals_heap_bytes(const struct dwarf_intervals *intervals);

/** dwarf_runs_find - the owner of @offset, or DWARF_NOBODY */
uint32_t dwarf_runs_find(const struct dwarf_run *runs, size_t cnt, uint32_t offset);

#endif
