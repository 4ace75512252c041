/* SPDX-License-Identifier: BSD-2-Clause */
#include "symbolizer/process_code.h"

#include "symbolizer/binary.h"
#include "symbolizer/mappings.h"
#include "symbolizer/process.h"
#include "symbolizer/process_private.h"

static void describe(const struct mapping *mapping, struct code_region *ret)
{
	uint64_t start, limit, offset, address;

	*ret = (struct code_region){
		.start = mapping->start,
		.end = mapping->end,
		.born_ns = mapping->born_ns,
	};
	if (!mapping->binary)
		return;
	/* Of a file that could not be read, addresses are offsets: it has no table either. */
	binary_segment(mapping->binary, mapping->offset, &start, &limit, &offset, &address);
	ret->binary = mapping->binary;
	ret->bias = mapping->start - address;
}

bool process_find_code(const struct process *process, uint64_t address, uint64_t time_ns,
		       struct code_region *ret)
{
	const struct mapping *mapping = mappings_find(process->mappings, address, time_ns);
	struct process *before = mapping ? NULL : process_before_exec(process, time_ns);

	if (before)
		mapping = mappings_find(before->mappings, address, time_ns);
	if (mapping)
		describe(mapping, ret);
	return mapping != NULL;
}

bool process_next_code(const struct process *process, size_t *cursor, struct code_region *ret)
{
	const struct mapping *mapping = mappings_next(process->mappings, cursor);

	if (mapping)
		describe(mapping, ret);
	return mapping != NULL;
}

bool process_is_alive(const struct process *process)
{
	return process->end_ns == ALIVE;
}
