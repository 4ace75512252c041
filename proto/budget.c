/* SPDX-License-Identifier: BSD-2-Clause */
#include "proto/budget.h"

#include <stddef.h>
#include <stdlib.h>

/* In front of each allocation: its size, to give back when it is freed. */
struct header {
	_Alignas(max_align_t) size_t charged;
};

#define MALLOC_OVERHEAD 16u /* glibc: size field and rounding to 16 */

static void *budget_alloc(void *context, size_t size)
{
	struct budget *budget = context;
	size_t overhead = sizeof(struct header) + MALLOC_OVERHEAD;
	size_t left = budget->limit - budget->used;
	struct header *header;

	if (left < overhead || size > left - overhead) {
		budget->exhausted = true;
		return NULL;
	}
	header = malloc(sizeof(*header) + size);
	if (!header) {
		budget->out_of_memory = true;
		return NULL;
	}
	header->charged = size + overhead;
	budget->used += header->charged;
	return header + 1;
}

static void budget_free(void *context, void *memory)
{
	struct budget *budget = context;
	struct header *header;

	if (!memory)
		return;
	header = (struct header *)memory - 1;
	budget->used -= header->charged;
	free(header);
}

ProtobufCAllocator budget_allocator(struct budget *budget)
{
	return (ProtobufCAllocator){
		.alloc = budget_alloc,
		.free = budget_free,
		.allocator_data = budget,
	};
}
