/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who has which part of an array that the kernel reads while we write it: extents of units.
 *
 * What is deferred may still be read by somebody; it is free again after unwind_space_settle().
 * Room is found from the low end, so that the high end empties.  Not thread-safe.
 */
#ifndef EBPFPROF_COLLECT_UNWIND_SPACE_H
#define EBPFPROF_COLLECT_UNWIND_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct unwind_extent {
	uint32_t first, cnt;
};

struct unwind_extents {
	struct unwind_extent *at;
	size_t cnt, capacity;
};

struct unwind_space {
	uint32_t boundary;	    /* no extent reaches over a multiple of it; 0 = none */
	struct unwind_extents free; /* sorted, neighbours merged */
	struct unwind_extents deferred;
	size_t taken_cnt; /* extents, the deferred ones included */
	size_t room_cnt;  /* calls of unwind_space_add() less those of _remove() */
	uint64_t free_units, deferred_units;
};

/** unwind_space_init - without any room */
void unwind_space_init(struct unwind_space *space, uint32_t boundary);
void unwind_space_free(struct unwind_space *space);

/** unwind_space_add - more room: units that the space did not have; -ENOMEM */
int unwind_space_add(struct unwind_space *space, uint32_t first, uint32_t cnt);

/** unwind_space_remove - take away room that is one free extent; false: it is not */
bool unwind_space_remove(struct unwind_space *space, uint32_t first, uint32_t cnt);

/** unwind_space_fit - the first free extent of @cnt units or more, whole; false: there is none */
bool unwind_space_fit(const struct unwind_space *space, uint32_t cnt, struct unwind_extent *ret);

/**
 * unwind_space_take - the first @cnt units (at least 1) of the free extent that begins at @first
 * -ENOMEM; -EINVAL: there is no such extent.  What was taken can be given back without memory.
 */
int unwind_space_take(struct unwind_space *space, uint32_t first, uint32_t cnt);

/** unwind_space_give - free an extent, as it was taken, that nobody can have seen */
void unwind_space_give(struct unwind_space *space, uint32_t first, uint32_t cnt);

/** unwind_space_defer - free an extent, as it was taken, at the next unwind_space_settle() */
void unwind_space_defer(struct unwind_space *space, uint32_t first, uint32_t cnt);

void unwind_space_settle(struct unwind_space *space);

#endif
