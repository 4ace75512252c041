/* SPDX-License-Identifier: BSD-2-Clause */
#include "symbolizer/symbol_memory.h"

void symbol_memory_init(struct symbol_memory *memory, size_t max_bytes)
{
	memory->max_bytes = max_bytes;
	memory->bytes = 0;
	TAILQ_INIT(&memory->items);
}

void symbol_memory_remove(struct symbol_memory *memory, struct symbol_memory_item *item)
{
	TAILQ_REMOVE(&memory->items, item, link);
	memory->bytes -= item->bytes;
}

void symbol_memory_use(struct symbol_memory *memory, struct symbol_memory_item *item)
{
	if (!TAILQ_NEXT(item, link))
		return;
	TAILQ_REMOVE(&memory->items, item, link);
	TAILQ_INSERT_TAIL(&memory->items, item, link);
}

static struct symbol_memory_item *find_victim(const struct symbol_memory *memory,
					      const struct symbol_memory_item *keep)
{
	struct symbol_memory_item *item;

	for (item = TAILQ_FIRST(&memory->items); item; item = TAILQ_NEXT(item, link)) {
		if (!item->pinned && item != keep)
			return item;
	}
	return NULL;
}

static void make_room(struct symbol_memory *memory, const struct symbol_memory_item *keep)
{
	struct symbol_memory_item *victim;

	/* drop() may remove other items too: look from the head each time. */
	while (memory->bytes > memory->max_bytes && (victim = find_victim(memory, keep))) {
		symbol_memory_remove(memory, victim);
		victim->drop(victim);
	}
}

void symbol_memory_add(struct symbol_memory *memory, struct symbol_memory_item *item)
{
	TAILQ_INSERT_TAIL(&memory->items, item, link);
	memory->bytes += item->bytes;
	make_room(memory, item);
}

void symbol_memory_resize(struct symbol_memory *memory, struct symbol_memory_item *item,
			  size_t bytes)
{
	memory->bytes += bytes - item->bytes;
	item->bytes = bytes;
	make_room(memory, item);
}
