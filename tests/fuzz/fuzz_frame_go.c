/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as a Go program: its frames become a table that can be read, or nothing. */
#include <stdint.h>
#include <stdlib.h>

#include "profiler/base/err.h"
#include "symbolizer/elf.h"
#include "symbolizer/frame_go.h"
#include "symbolizer/frame_table.h"

#define ADDRESSES 256 /* looked up in the table */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_up(const void *bytes, size_t size)
{
	struct frame_table table;
	uint64_t start, step;
	size_t i;

	if (frame_table_of_bytes(bytes, size, &table))
		abort();
	start = table.first_page << FRAME_PAGE_BITS;
	step = ((uint64_t)table.page_cnt << FRAME_PAGE_BITS) / ADDRESSES + 1;
	for (i = 0; i < ADDRESSES; i++) {
		const struct frame_rule *rule = frame_table_find(&table, start + i * step);

		if (rule && rule->cfa > FRAME_CORRUPT)
			abort();
	}
}

static void emit_all(struct frame_go *go)
{
	struct frame_builder *builder;
	uint64_t start, end, last = 0;
	void *bytes;
	size_t i, size;
	int ret = 0;

	if (frame_builder_new(&builder))
		return;
	for (i = 0; i < frame_go_cnt(go) && !ret; i++) {
		frame_go_range(go, i, &start, &end);
		if (start <= end && start < last && last - start < UINT32_MAX)
			abort();
		last = start;
		ret = frame_go_emit(go, i, builder);
	}
	if (!ret && !frame_builder_finish(builder, &bytes, &size)) {
		look_up(bytes, size);
		free(bytes);
	}
	frame_builder_free(builder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct elf_file *elf;
	struct frame_go *go;

	if (elf_file_open_memory((void *)data, size, &elf, NULL))
		return 0;
	if (!frame_go_open(elf, &go)) {
		emit_all(go);
		frame_go_close(go);
	}
	elf_file_close(elf);
	return 0;
}
