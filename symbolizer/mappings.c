/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two arrays: `live`, sorted by address and free of overlap, answers nearly every question by
 * binary search; `dead` holds what was covered, and is looked at only for samples older than the
 * living mapping at their address.  An interval tree over both would be one structure instead of
 * two, at the price of a pointer tree per process for a history that hardly any process has.
 *
 * Invariants:
 *  1. live[i].end <= live[i + 1].start.
 *  2. At each address and time the truth is the mapping that covers the address and has the
 *     greatest born_ns <= time; whatever order mappings are added in, it is in one of the arrays.
 *     So died_ns serves only to forget, and an upper bound of the true death is good enough.
 *  3. Pieces of one file at one distance ("same code") never replace each other: they stay side
 *     by side, each with its own birth, until mappings_trim() passes both births and joins them.
 *     A JIT that changes the protection of its pages all day thus makes no history.
 *
 * `live` has room at both ends, because the kernel hands out addresses from the top down and the
 * mappings of a process arrive mostly in falling order.
 */
#include "symbolizer/mappings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/binary.h"

#define DEAD_MAX 4096 /* covered mappings kept: a lookup in the past walks all of them */
#define PIECES_ON_STACK 16

struct mappings {
	unsigned int refs;
	struct mapping *room; /* [capacity]; the living ones are [first, first + cnt) */
	size_t capacity, first, cnt;
	struct mapping *dead; /* [dead_cnt], in order of death, nearly */
	size_t dead_cnt, dead_capacity;
};

/* What one call of mappings_add() makes of the living mappings under the new one. */
struct overlay {
	struct mapping *pieces; /* replace live[low, high) */
	size_t piece_cnt;
	struct mapping *dead; /* go to history */
	size_t dead_cnt;
	bool replaced;
};

static struct mapping *live_of(const struct mappings *list)
{
	return list->room ? list->room + list->first : NULL;
}

static void unref_binary(struct binary *binary)
{
	if (binary)
		binary_put(binary);
}

static struct binary *ref_binary(struct binary *binary)
{
	return binary ? binary_ref(binary) : NULL;
}

int mappings_new(struct mappings **ret)
{
	struct mappings *list = calloc(1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	list->refs = 1;
	*ret = list;
	return 0;
}

struct mappings *mappings_ref(struct mappings *list)
{
	list->refs++;
	return list;
}

void mappings_unref(struct mappings *list)
{
	size_t i;

	if (!list || --list->refs)
		return;
	for (i = 0; i < list->cnt; i++)
		unref_binary(live_of(list)[i].binary);
	for (i = 0; i < list->dead_cnt; i++)
		unref_binary(list->dead[i].binary);
	free(list->room);
	free(list->dead);
	free(list);
}

/* The index of the first living mapping that ends behind @address. */
static size_t find_live(const struct mappings *list, uint64_t address)
{
	const struct mapping *live = live_of(list);
	size_t low = 0, high = list->cnt;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (live[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Whether equal addresses in both mean the same code. */
static bool is_same_code(const struct mapping *a, const struct mapping *b)
{
	if (a->kind != b->kind || a->binary != b->binary)
		return false;
	return a->kind == MAPPING_JIT || a->start - a->offset == b->start - b->offset;
}

/* Room for @more in front of and behind the living ones. */
static int reserve_live(struct mappings *list, size_t more)
{
	size_t side = more + list->cnt / 16;
	struct mapping *room;

	if (list->first >= more && list->capacity - list->first - list->cnt >= more)
		return 0;
	room = malloc((list->cnt + 2 * side) * sizeof(*room));
	if (!room)
		return -ENOMEM;
	if (list->cnt)
		memcpy(room + side, live_of(list), list->cnt * sizeof(*room));
	free(list->room);
	list->room = room;
	list->first = side;
	list->capacity = list->cnt + 2 * side;
	return 0;
}

static int reserve_dead(struct mappings *list, size_t more)
{
	size_t capacity = list->dead_capacity + MAX(more, list->dead_capacity / 2);
	struct mapping *dead;

	if (list->dead_capacity - list->dead_cnt >= more)
		return 0;
	dead = realloc(list->dead, capacity * sizeof(*dead));
	if (!dead)
		return -ENOMEM;
	list->dead = dead;
	list->dead_capacity = capacity;
	return 0;
}

static void forget_oldest_dead(struct mappings *list, size_t cnt)
{
	size_t i;

	for (i = 0; i < cnt; i++)
		unref_binary(list->dead[i].binary);
	list->dead_cnt -= cnt;
	memmove(list->dead, list->dead + cnt, list->dead_cnt * sizeof(*list->dead));
}

static int copy_list(const struct mappings *list, struct mappings **ret)
{
	struct mappings *copy;
	size_t i;

	if (mappings_new(&copy) < 0)
		return -ENOMEM;
	if (reserve_live(copy, list->cnt + 1) < 0 ||
	    (list->dead_cnt && reserve_dead(copy, list->dead_cnt) < 0)) {
		mappings_unref(copy);
		return -ENOMEM;
	}
	for (i = 0; i < list->cnt; i++) {
		live_of(copy)[i] = live_of(list)[i];
		ref_binary(live_of(copy)[i].binary);
	}
	copy->cnt = list->cnt;
	for (i = 0; i < list->dead_cnt; i++) {
		copy->dead[i] = list->dead[i];
		ref_binary(copy->dead[i].binary);
	}
	copy->dead_cnt = list->dead_cnt;
	*ret = copy;
	return 0;
}

/* The part [start, end) of @mapping, with a reference of its own. */
static struct mapping cut(const struct mapping *mapping, uint64_t start, uint64_t end)
{
	struct mapping piece = *mapping;

	piece.offset += start - mapping->start;
	piece.start = start;
	piece.end = end;
	ref_binary(piece.binary);
	return piece;
}

/* Adds a piece of the new mapping behind the pieces so far, joined with the one before. */
static void add_new_piece(struct overlay *overlay, const struct mapping *mapping, uint64_t start,
			  uint64_t end)
{
	struct mapping *last = overlay->piece_cnt ? &overlay->pieces[overlay->piece_cnt - 1] : NULL;

	if (start >= end)
		return;
	if (last && last->end == start && last->born_ns == mapping->born_ns &&
	    is_same_code(last, mapping)) {
		last->end = end;
		return;
	}
	overlay->pieces[overlay->piece_cnt++] = cut(mapping, start, end);
}

static void add_dead(struct overlay *overlay, const struct mapping *mapping, uint64_t start,
		     uint64_t end, uint64_t died_ns)
{
	struct mapping *dead = &overlay->dead[overlay->dead_cnt++];

	*dead = cut(mapping, start, end);
	dead->died_ns = died_ns;
}

/* One living mapping under the new one. */
static void overlay_one(struct overlay *overlay, const struct mapping *old,
			const struct mapping *mapping)
{
	uint64_t start = MAX(old->start, mapping->start), end = MIN(old->end, mapping->end);

	if (old->born_ns > mapping->born_ns) { /* a record that comes late */
		add_dead(overlay, mapping, start, end, old->born_ns);
		overlay->pieces[overlay->piece_cnt++] = cut(old, old->start, old->end);
		return;
	}
	if (is_same_code(old, mapping)) {
		overlay->pieces[overlay->piece_cnt++] = cut(old, old->start, old->end);
		return;
	}
	if (old->start < start)
		overlay->pieces[overlay->piece_cnt++] = cut(old, old->start, start);
	add_dead(overlay, old, start, end, mapping->born_ns);
	add_new_piece(overlay, mapping, start, end);
	if (end < old->end)
		overlay->pieces[overlay->piece_cnt++] = cut(old, end, old->end);
	overlay->replaced = true;
}

static void make_overlay(struct overlay *overlay, const struct mapping *old, size_t cnt,
			 const struct mapping *mapping)
{
	uint64_t at = mapping->start;
	size_t i;

	for (i = 0; i < cnt; i++) {
		add_new_piece(overlay, mapping, at, MIN(old[i].start, mapping->end));
		overlay_one(overlay, &old[i], mapping);
		at = MAX(at, MIN(old[i].end, mapping->end));
	}
	add_new_piece(overlay, mapping, at, mapping->end);
}

/* live[low, high) becomes @pieces; the room was reserved. Moves the shorter side. */
static void splice_live(struct mappings *list, size_t low, size_t high,
			const struct mapping *pieces, size_t cnt)
{
	struct mapping *live = live_of(list);
	size_t old_cnt = high - low, i;
	ptrdiff_t shift = (ptrdiff_t)old_cnt - (ptrdiff_t)cnt;

	for (i = low; i < high; i++)
		unref_binary(live[i].binary);
	if (low < list->cnt - high) {
		memmove(live + shift, live, low * sizeof(*live));
		list->first = (size_t)((ptrdiff_t)list->first + shift);
	} else {
		memmove(live + low + cnt, live + high, (list->cnt - high) * sizeof(*live));
	}
	list->cnt = list->cnt + cnt - old_cnt;
	memcpy(live_of(list) + low, pieces, cnt * sizeof(*live));
}

/* In lots, so that a process that replaces all day does not move the array each time. */
static void bound_dead(struct mappings *list)
{
	size_t limit = MIN((size_t)DEAD_MAX, MAPPINGS_MAX - MIN(list->cnt, MAPPINGS_MAX));

	if (list->dead_cnt > limit)
		forget_oldest_dead(list, list->dead_cnt - (limit - limit / 8));
}

/* Lays @mapping over live[low, high). */
static int lay_over(struct mappings *list, size_t low, size_t high, const struct mapping *mapping,
		    bool *ret_replaced)
{
	struct mapping on_stack[PIECES_ON_STACK];
	_cleanup_free_ struct mapping *on_heap = NULL;
	size_t cnt = high - low, pieces_max = 2 * cnt + 3;
	struct overlay overlay = { .pieces = on_stack };
	int r;

	if (pieces_max + cnt > PIECES_ON_STACK) {
		on_heap = malloc((pieces_max + cnt) * sizeof(*on_heap));
		if (!on_heap)
			return -ENOMEM;
		overlay.pieces = on_heap;
	}
	overlay.dead = overlay.pieces + pieces_max;
	r = reserve_live(list, pieces_max);
	if (r == 0 && cnt)
		r = reserve_dead(list, cnt);
	if (r < 0)
		return r;
	make_overlay(&overlay, live_of(list) + low, cnt, mapping);
	splice_live(list, low, high, overlay.pieces, overlay.piece_cnt);
	if (overlay.dead_cnt)
		memcpy(list->dead + list->dead_cnt, overlay.dead,
		       overlay.dead_cnt * sizeof(*overlay.dead));
	list->dead_cnt += overlay.dead_cnt;
	bound_dead(list);
	*ret_replaced = overlay.replaced;
	return 0;
}

static int unshare(struct mappings **list)
{
	struct mappings *copy;
	int r;

	if ((*list)->refs == 1)
		return 0;
	r = copy_list(*list, &copy);
	if (r < 0)
		return r;
	mappings_unref(*list);
	*list = copy;
	return 0;
}

static int add_mapping(struct mappings **list, const struct mapping *mapping, bool *ret_replaced)
{
	size_t low, high;
	const struct mapping *live;
	int r;

	if (mapping->start >= mapping->end)
		return 0;
	low = find_live(*list, mapping->start);
	live = live_of(*list);
	if (low < (*list)->cnt && live[low].start <= mapping->start &&
	    live[low].end >= mapping->end && is_same_code(&live[low], mapping) &&
	    live[low].born_ns <= mapping->born_ns)
		return 0;
	if ((*list)->cnt >= MAPPINGS_MAX)
		return -ENOSPC;
	r = unshare(list);
	if (r < 0)
		return r;
	live = live_of(*list);
	for (high = low; high < (*list)->cnt && live[high].start < mapping->end; high++)
		;
	return lay_over(*list, low, high, mapping, ret_replaced);
}

int mappings_add(struct mappings **list, const struct mapping *mapping, bool *ret_replaced)
{
	struct mapping alive = *mapping;
	bool replaced = false;
	int r;

	alive.died_ns = UINT64_MAX;
	r = add_mapping(list, &alive, &replaced);
	unref_binary(alive.binary); /* each piece has taken a reference of its own */
	if (r == 0 && ret_replaced)
		*ret_replaced = replaced;
	return r;
}

/* Whether @a answers better than @b for @time_ns; @b may be NULL. */
static bool is_better(const struct mapping *a, const struct mapping *b, uint64_t time_ns)
{
	if (!b)
		return true;
	if (a->born_ns <= time_ns)
		return b->born_ns > time_ns || a->born_ns > b->born_ns;
	return b->born_ns > time_ns && a->born_ns < b->born_ns;
}

const struct mapping *mappings_find(const struct mappings *list, uint64_t address, uint64_t time_ns)
{
	size_t index = find_live(list, address), i;
	const struct mapping *best = NULL;

	if (index < list->cnt && live_of(list)[index].start <= address)
		best = &live_of(list)[index];
	if (best && best->born_ns <= time_ns)
		return best;
	for (i = list->dead_cnt; i-- > 0;) {
		const struct mapping *dead = &list->dead[i];

		if (dead->start <= address && address < dead->end && is_better(dead, best, time_ns))
			best = dead;
	}
	return best;
}

/* Neighbours that no question about @before_ns or later can tell apart become one. */
static void join_neighbours(struct mappings *list, uint64_t before_ns)
{
	struct mapping *live = live_of(list);
	size_t i, kept = 0;

	for (i = 0; i < list->cnt; i++) {
		struct mapping *last = kept ? &live[kept - 1] : NULL;

		if (last && last->end == live[i].start && last->born_ns < before_ns &&
		    live[i].born_ns < before_ns && is_same_code(last, &live[i])) {
			last->end = live[i].end;
			last->born_ns = MAX(last->born_ns, live[i].born_ns);
			unref_binary(live[i].binary);
			continue;
		}
		live[kept++] = live[i];
	}
	list->cnt = kept;
}

/* Gives back slack, for hosts with many processes; keeps the list as it is without memory. */
static void shrink(struct mappings *list)
{
	struct mapping *room;

	if (list->capacity <= list->cnt + list->cnt / 16 + 1)
		return;
	memmove(list->room, live_of(list), list->cnt * sizeof(*room));
	list->first = 0;
	if (!list->cnt) {
		free(list->room);
		list->room = NULL;
		list->capacity = 0;
		return;
	}
	room = realloc(list->room, list->cnt * sizeof(*room));
	if (!room)
		return;
	list->room = room;
	list->capacity = list->cnt;
}

void mappings_trim(struct mappings *list, uint64_t before_ns)
{
	size_t i, kept = 0;

	for (i = 0; i < list->dead_cnt; i++) {
		if (list->dead[i].died_ns < before_ns)
			unref_binary(list->dead[i].binary);
		else
			list->dead[kept++] = list->dead[i];
	}
	list->dead_cnt = kept;
	if (!kept) {
		free(list->dead);
		list->dead = NULL;
		list->dead_capacity = 0;
	}
	join_neighbours(list, before_ns);
	shrink(list);
}

const struct mapping *mappings_next(const struct mappings *list, size_t *cursor)
{
	return *cursor < list->cnt ? &list->room[list->first + (*cursor)++] : NULL;
}

size_t mappings_cnt(const struct mappings *list)
{
	return list->cnt + list->dead_cnt;
}

size_t mappings_bytes(const struct mappings *list)
{
	size_t bytes =
		sizeof(*list) + (list->capacity + list->dead_capacity) * sizeof(struct mapping);

	return (bytes + list->refs - 1) / list->refs;
}
