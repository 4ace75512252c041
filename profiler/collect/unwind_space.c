/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A sorted list of free extents, searched from its beginning (first fit).
 *
 * The kernel's side of the arrays holds no headers or links, so nothing can be kept in the free
 * parts themselves, and a bit for each unit would cost 32 MiB for the rows.  A list costs 8 bytes
 * for each hole; a host has some thousand.  A buddy allocator would find room faster and waste a
 * quarter of it: tables have any size, and the budget is what users feel.
 *
 * Giving back must not fail for want of memory.  Each extent that is given back adds at most one
 * hole, so there are never more holes than extents taken and rooms added: the list is made long
 * enough for that when they are.
 */
#include "profiler/collect/unwind_space.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"

#define FIRST_CAPACITY 16u

void unwind_space_init(struct unwind_space *space, uint32_t boundary)
{
	*space = (struct unwind_space){ .boundary = boundary };
}

void unwind_space_free(struct unwind_space *space)
{
	free(space->free.at);
	free(space->deferred.at);
	unwind_space_init(space, space->boundary);
}

static int reserve(struct unwind_extents *list, size_t cnt)
{
	size_t capacity = MAX(list->capacity, (size_t)FIRST_CAPACITY);
	struct unwind_extent *grown;

	if (cnt <= list->capacity)
		return 0;
	while (capacity < cnt)
		capacity *= 2;
	grown = realloc(list->at, capacity * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	list->at = grown;
	list->capacity = capacity;
	return 0;
}

/* Index of the first free extent that begins at @first or later. */
static size_t position(const struct unwind_space *space, uint32_t first)
{
	size_t low = 0, high = space->free.cnt;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (space->free.at[middle].first < first)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void delete_at(struct unwind_extents *list, size_t at)
{
	list->cnt--;
	memmove(&list->at[at], &list->at[at + 1], (list->cnt - at) * sizeof(*list->at));
}

/* May extents that meet at @unit be one? */
static bool may_merge(const struct unwind_space *space, uint32_t unit)
{
	return !space->boundary || unit % space->boundary;
}

static void insert_free(struct unwind_space *space, uint32_t first, uint32_t cnt)
{
	struct unwind_extents *list = &space->free;
	size_t at = position(space, first);
	struct unwind_extent *next = at < list->cnt ? &list->at[at] : NULL;
	struct unwind_extent *before = at ? &list->at[at - 1] : NULL;
	bool joins_next = next && first + cnt == next->first && may_merge(space, next->first);
	bool joins_before = before && before->first + before->cnt == first &&
			    may_merge(space, first);

	space->free_units += cnt;
	if (joins_before) {
		before->cnt += cnt + (joins_next ? next->cnt : 0);
		if (joins_next)
			delete_at(list, at);
	} else if (joins_next) {
		next->first = first;
		next->cnt += cnt;
	} else {
		memmove(&list->at[at + 1], &list->at[at], (list->cnt - at) * sizeof(*list->at));
		list->at[at] = (struct unwind_extent){ first, cnt };
		list->cnt++;
	}
}

int unwind_space_add(struct unwind_space *space, uint32_t first, uint32_t cnt)
{
	int err = reserve(&space->free, space->taken_cnt + space->room_cnt + 1);

	if (err)
		return err;
	space->room_cnt++;
	insert_free(space, first, cnt);
	return 0;
}

bool unwind_space_remove(struct unwind_space *space, uint32_t first, uint32_t cnt)
{
	size_t at = position(space, first);
	struct unwind_extent *found = at < space->free.cnt ? &space->free.at[at] : NULL;

	if (!found || found->first != first || found->cnt != cnt)
		return false;
	delete_at(&space->free, at);
	space->free_units -= cnt;
	space->room_cnt--;
	return true;
}

bool unwind_space_fit(const struct unwind_space *space, uint32_t cnt, struct unwind_extent *ret)
{
	size_t i;

	for (i = 0; i < space->free.cnt; i++) {
		if (space->free.at[i].cnt >= cnt) {
			*ret = space->free.at[i];
			return true;
		}
	}
	return false;
}

int unwind_space_take(struct unwind_space *space, uint32_t first, uint32_t cnt)
{
	size_t at = position(space, first);
	struct unwind_extent *found = at < space->free.cnt ? &space->free.at[at] : NULL;

	if (!found || found->first != first || found->cnt < cnt || !cnt)
		return -EINVAL;
	if (reserve(&space->free, space->taken_cnt + 1 + space->room_cnt) ||
	    reserve(&space->deferred, space->taken_cnt + 1))
		return -ENOMEM;
	found = &space->free.at[at];
	found->first += cnt;
	found->cnt -= cnt;
	if (!found->cnt)
		delete_at(&space->free, at);
	space->taken_cnt++;
	space->free_units -= cnt;
	return 0;
}

void unwind_space_give(struct unwind_space *space, uint32_t first, uint32_t cnt)
{
	insert_free(space, first, cnt);
	space->taken_cnt--;
}

void unwind_space_defer(struct unwind_space *space, uint32_t first, uint32_t cnt)
{
	space->deferred.at[space->deferred.cnt++] = (struct unwind_extent){ first, cnt };
	space->deferred_units += cnt;
}

void unwind_space_settle(struct unwind_space *space)
{
	size_t i;

	for (i = 0; i < space->deferred.cnt; i++)
		unwind_space_give(space, space->deferred.at[i].first, space->deferred.at[i].cnt);
	space->deferred.cnt = 0;
	space->deferred_units = 0;
}
