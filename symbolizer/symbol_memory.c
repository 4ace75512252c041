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

void symbol_memory_add(struct symbol_memory *memory, struct symbol_memory_item *item)
{
	struct symbol_memory_item *oldest;

	TAILQ_INSERT_TAIL(&memory->items, item, link);
	memory->bytes += item->bytes;
	/* drop() may remove other items too: look at the head anew each time. */
	while (memory->bytes > memory->max_bytes) {
		oldest = TAILQ_FIRST(&memory->items);
		if (oldest == item)
			break;
		symbol_memory_remove(memory, oldest);
		oldest->drop(oldest);
	}
}
