/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as a Go program: what is found has a function's name, and is bounded. */
#include <stdint.h>
#include <stdlib.h>

#include "profiler/base/err.h"
#include "symbolizer/elf.h"
#include "symbolizer/gopclntab.h"
#include "symbolizer/source_frames.h"

#define LOOK_UPS 128 /* in each segment */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_up(struct gopclntab *table, uint64_t address, struct source_frames *frames)
{
	size_t i;

	source_frames_clear(frames);
	if (!gopclntab_find(table, address, frames)) {
		if (frames->cnt)
			abort();
		return;
	}
	if (!frames->cnt || frames->cnt > SOURCE_FRAMES_MAX)
		abort();
	for (i = 0; i < frames->cnt; i++) {
		const struct source_frame *frame = &frames->frames[i];

		if (!*source_frames_name(frames, i) || frame->linker_name ||
		    (frame->line && !frame->filename) ||
		    (i + 1 < frames->cnt && !gopclntab_has_inlines(table)))
			abort();
	}
}

/* All over each segment of code, and close to its beginning. */
static void look_up_all(struct elf_file *elf, struct gopclntab *table)
{
	const struct elf_segment *segments;
	struct source_frames frames = {};
	size_t i, k, cnt = elf_file_segments(elf, &segments);

	for (i = 0; i < cnt; i++) {
		if (!segments[i].executable)
			continue;
		for (k = 0; k < LOOK_UPS; k++) {
			look_up(table, segments[i].vaddr + k * 8, &frames);
			look_up(table, segments[i].vaddr + k * (segments[i].memsz / LOOK_UPS),
				&frames);
		}
	}
	look_up(table, UINT64_MAX, &frames);
	source_frames_free(&frames);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gopclntab *table;
	struct elf_file *elf;
	struct errmsg err;

	if (elf_file_open_memory((void *)(uintptr_t)data, size, &elf, &err))
		return 0;
	if (!gopclntab_open(elf, &table)) {
		look_up_all(elf, table);
		gopclntab_close(table);
	}
	elf_file_close(elf);
	return 0;
}
