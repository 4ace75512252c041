/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A pool that only grows, and an open-addressing index of (id, 32 bits of hash) over it.
 *
 * The index holds no keys: a hit on the hash is checked against the pool, so nothing is stored
 * twice.  base/hashmap keeps its key in each slot, needs keys of one size, and would cost four
 * times the memory here, where a host's profile has 100,000 stacks.  Nothing is ever removed.
 */
#include "proto/intern.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/hashmap.h"

#define FIRST_CAPACITY 16u

struct intern_slot {
	uint32_t id; /* 0 = free */
	uint32_t hash;
};

void intern_init(struct intern *table, enum intern_kind kind, size_t element_bytes)
{
	*table = (struct intern){ .kind = kind, .element_bytes = element_bytes };
}

void intern_free(struct intern *table)
{
	free(table->pool);
	free(table->ends);
	free(table->slots);
	intern_init(table, table->kind, table->element_bytes);
}

const void *intern_get(const struct intern *table, uint32_t id, size_t *ret_cnt)
{
	size_t start = id - 1, end = id;

	if (table->kind == INTERN_LISTS) {
		start = id > 1 ? table->ends[id - 2] : 0;
		end = table->ends[id - 1];
	}
	if (ret_cnt)
		*ret_cnt = end - start;
	return table->pool + start * table->element_bytes;
}

/* The slot of the list, or the free one where it would go. Needs slot_cnt > 0. */
static size_t find_slot(const struct intern *table, uint32_t hash, const void *elements, size_t cnt)
{
	size_t mask = table->slot_cnt - 1;
	size_t at = hash & mask;

	for (; table->slots[at].id; at = (at + 1) & mask) {
		const void *known;
		size_t known_cnt;

		if (table->slots[at].hash != hash)
			continue;
		known = intern_get(table, table->slots[at].id, &known_cnt);
		if (known_cnt == cnt && memcmp(known, elements, cnt * table->element_bytes) == 0)
			break;
	}
	return at;
}

static bool grow_slots(struct intern *table)
{
	size_t slot_cnt = table->slot_cnt ? table->slot_cnt * 2 : FIRST_CAPACITY;
	struct intern_slot *slots = calloc(slot_cnt, sizeof(*slots));
	size_t i;

	if (!slots)
		return false;
	for (i = 0; i < table->slot_cnt; i++) {
		size_t to = table->slots[i].hash & (slot_cnt - 1);

		if (!table->slots[i].id)
			continue;
		while (slots[to].id)
			to = (to + 1) & (slot_cnt - 1);
		slots[to] = table->slots[i];
	}
	free(table->slots);
	table->slots = slots;
	table->slot_cnt = slot_cnt;
	return true;
}

/* Room for @need elements of @size bytes in *array, which has room for *capacity. */
static bool grow_array(void *array, size_t *capacity, size_t need, size_t size)
{
	size_t wanted = MAX(MAX(*capacity + *capacity / 2, need), FIRST_CAPACITY);
	void *bigger;

	if (need <= *capacity)
		return true;
	bigger = realloc(*(void **)array, wanted * size);
	if (!bigger)
		return false;
	*(void **)array = bigger;
	*capacity = wanted;
	return true;
}

static bool make_room(struct intern *table, size_t cnt)
{
	if (((size_t)table->cnt + 1) * 4 > table->slot_cnt * 3 && !grow_slots(table))
		return false;
	if (table->kind == INTERN_LISTS &&
	    !grow_array(&table->ends, &table->ends_capacity, (size_t)table->cnt + 1,
			sizeof(*table->ends)))
		return false;
	return grow_array(&table->pool, &table->pool_capacity, table->pool_cnt + cnt,
			  table->element_bytes);
}

int64_t intern_add(struct intern *table, const void *elements, size_t cnt)
{
	uint32_t hash = (uint32_t)hash_bytes(elements, cnt * table->element_bytes);
	size_t slot;

	if (table->slot_cnt) {
		slot = find_slot(table, hash, elements, cnt);
		if (table->slots[slot].id)
			return table->slots[slot].id;
	}
	if (table->cnt >= INT32_MAX || cnt > UINT32_MAX - table->pool_cnt)
		return -EOVERFLOW;
	if (!make_room(table, cnt))
		return -ENOMEM;
	slot = find_slot(table, hash, elements, cnt);
	memcpy(table->pool + table->pool_cnt * table->element_bytes, elements,
	       cnt * table->element_bytes);
	table->pool_cnt += cnt;
	if (table->kind == INTERN_LISTS)
		table->ends[table->cnt] = (uint32_t)table->pool_cnt;
	table->slots[slot] = (struct intern_slot){ .id = ++table->cnt, .hash = hash };
	return table->cnt;
}

size_t intern_bytes(const struct intern *table)
{
	return table->pool_capacity * table->element_bytes +
	       table->ends_capacity * sizeof(*table->ends) +
	       table->slot_cnt * sizeof(*table->slots);
}
