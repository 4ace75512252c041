/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as .eh_frame or .debug_frame (the first byte says which, and how it is read): functions
 * are in order, their table is sound, there are no more rows than bytes told of, and a function's
 * rules do not depend on what was emitted before it.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "symbolizer/ehframe.h"
#include "symbolizer/elf.h"
#include "symbolizer/frame_table.h"

#define ADDRESS 0x100000
#define COMPARED_MAX 4 /* functions that are emitted alone too */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct made {
	void *bytes;
	struct frame_table table;
};

/* The table of functions [first, first + cnt). */
static struct made make(struct ehframe *frames, size_t first, size_t cnt, size_t section_size)
{
	struct frame_builder_counts counts;
	struct frame_builder *builder;
	struct made made = {};
	size_t size, i;

	if (frame_builder_new(&builder))
		abort();
	for (i = first; i < first + cnt; i++) {
		if (ehframe_emit(frames, i, builder))
			abort();
	}
	frame_builder_counts(builder, &counts);
	if (counts.rows_met > section_size + cnt || counts.overlapping)
		abort();
	if (frame_builder_finish(builder, &made.bytes, &size) ||
	    frame_table_of_bytes(made.bytes, size, &made.table))
		abort();
	frame_builder_free(builder);
	return made;
}

static void compare(const struct frame_table *all, const struct frame_table *one, uint64_t address)
{
	const struct frame_rule *left = frame_table_find(all, address);
	const struct frame_rule *right = frame_table_find(one, address);

	if (!left || !right || memcmp(left, right, sizeof(*left)) != 0)
		abort();
}

static void check(struct ehframe *frames, size_t size)
{
	size_t i, cnt = ehframe_cnt(frames);
	uint64_t start, end, last = 0;
	struct made all, one;

	for (i = 0; i < cnt; i++) {
		ehframe_range(frames, i, &start, &end);
		if (start < last || end <= start)
			abort();
		last = end;
	}
	all = make(frames, 0, cnt, size);
	for (i = 0; i < cnt && i < COMPARED_MAX; i++) {
		ehframe_range(frames, i, &start, &end);
		one = make(frames, i, 1, size);
		compare(&all.table, &one.table, start);
		compare(&all.table, &one.table, start + (end - start) / 2);
		compare(&all.table, &one.table, end - 1);
		free(one.bytes);
	}
	free(all.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct elf_segment segments[] = {
		{ .vaddr = 0, .memsz = 0x1000 },
		{ .vaddr = 0x1000, .memsz = 1 << 30, .executable = true },
	};
	struct ehframe_section section = { .address = ADDRESS,
					   .segments = segments,
					   .segment_cnt = 2 };
	struct ehframe *frames;

	if (!size)
		return 0;
	section.form = data[0] & 1 ? EHFRAME_DEBUG : EHFRAME_EH;
	section.ends_at_terminator = data[0] & 2;
	section.bytes = data + 1;
	section.size = size - 1;
	if (ehframe_open(&section, &frames))
		abort();
	if (data[0] & 4)
		ehframe_track_bx(frames);
	check(frames, section.size);
	ehframe_close(frames);
	return 0;
}
