/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The budget of --symbol-memory: everything that was read out of files to name addresses and
 * can be read again (symbol tables, line and inline tables of units, indexes) is an item here.
 * When the sum passes the budget, the items least recently used are dropped.
 *
 * An item is a member of what it counts; drop() frees that, with the item.  Not thread-safe.
 */
#ifndef EBPFPROF_SYMBOLIZER_SYMBOL_MEMORY_H
#define EBPFPROF_SYMBOLIZER_SYMBOL_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

struct symbol_memory_item {
	TAILQ_ENTRY(symbol_memory_item) link;
	size_t bytes;
	bool pinned; /* in use by a caller further up: not to be dropped now */
	/* Give the memory back; the item was removed already. */
	void (*drop)(struct symbol_memory_item *item);
};

struct symbol_memory {
	size_t max_bytes, bytes;
	TAILQ_HEAD(, symbol_memory_item) items; /* least recently used first */
};

void symbol_memory_init(struct symbol_memory *memory, size_t max_bytes);

/** symbol_memory_add - count @item; drops others, not the pinned, until the rest fits */
void symbol_memory_add(struct symbol_memory *memory, struct symbol_memory_item *item);

/** symbol_memory_use - @item was used just now */
void symbol_memory_use(struct symbol_memory *memory, struct symbol_memory_item *item);

/** symbol_memory_resize - @item has @bytes now; drops others as symbol_memory_add() does */
void symbol_memory_resize(struct symbol_memory *memory, struct symbol_memory_item *item,
			  size_t bytes);

/** symbol_memory_remove - @item is going to be freed by its owner; drop() is not called */
void symbol_memory_remove(struct symbol_memory *memory, struct symbol_memory_item *item);

#endif
