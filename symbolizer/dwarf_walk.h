/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One walk over all entries of a unit, in their order, that stops at the kinds wanted.
 */
#ifndef EBPFPROF_SYMBOLIZER_DWARF_WALK_H
#define EBPFPROF_SYMBOLIZER_DWARF_WALK_H

#include "symbolizer/dwarf_abbrev.h"

#define DWARF_UNIT_BYTES_MAX (256u << 20) /* larger units are not walked */

struct dwarf_walk {
	const struct dwarf_unit *unit;
	const struct dwarf_abbrevs *abbrevs; /* of dwarf_abbrevs_of(): not called meanwhile */
	struct section_view view;	     /* the unit's bytes */
	const uint8_t *at, *end;
	uint32_t depth;	     /* of the next entry; the root's is 0 */
	unsigned int wanted; /* bit set of enum dwarf_kind */
	bool opaque_types;
	int error;

	/* The entry at which it stands. */
	const struct dwarf_declaration *declaration;
	uint64_t offset; /* in .debug_info */
	uint32_t entry_depth;
	uint32_t lowest_depth; /* of the entries' ends between the one before and this one */
	struct dwarf_value values[DWARF_SLOT_CNT]; /* those of declaration->slots */
};

/** dwarf_walk_start - -EFBIG the unit is too large; -ENOEXEC; -EIO; -ENOMEM */
int dwarf_walk_start(const struct dwarf_unit *unit, unsigned int wanted, struct dwarf_walk *ret);

/** dwarf_walk_next - go on to the next entry wanted; false at the end, or with walk->error */
bool dwarf_walk_next(struct dwarf_walk *walk);

void dwarf_walk_end(struct dwarf_walk *walk);

/** dwarf_walk_value - what the walk picked up, of form 0 where the entry lacks it */
static inline struct dwarf_value dwarf_walk_value(const struct dwarf_walk *walk,
						  enum dwarf_slot slot)
{
	if (walk->declaration->slots & 1u << slot)
		return walk->values[slot];
	return (struct dwarf_value){};
}

/*
 * Which wanted entries are around the present one: those that have children and have not ended
 * yet.  The deepest ones beyond NESTING_MAX are left out.
 */
#define DWARF_NESTING_MAX 256

struct dwarf_nesting {
	struct {
		uint32_t depth, number;
	} entries[DWARF_NESTING_MAX];
	size_t cnt;
};

/** dwarf_nesting_parent - leave what has ended; the number of the innermost open one, or @none */
static inline uint32_t dwarf_nesting_parent(struct dwarf_nesting *nesting, const struct dwarf_walk *walk,
					 uint32_t none)
{
	while (nesting->cnt && nesting->entries[nesting->cnt - 1].depth >= walk->lowest_depth)
		nesting->cnt--;
	return nesting->cnt ? nesting->entries[nesting->cnt - 1].number : none;
}

/** dwarf_nesting_push - entry @number, at which the walk stands, is around what follows */
static inline void dwarf_nesting_push(struct dwarf_nesting *nesting, const struct dwarf_walk *walk,
				   uint32_t number)
{
	if (!walk->declaration->children || nesting->cnt == DWARF_NESTING_MAX)
		return;
	nesting->entries[nesting->cnt].depth = walk->entry_depth;
	nesting->entries[nesting->cnt++].number = number;
}

#endif
