/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as .debug_line, which also serves as each of the string sections.  The first byte
 * chooses the base; that the rows are in order shows in that lines change as addresses grow, and
 * nothing is found outside of 4 GiB.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/strbuf.h"
#include "symbolizer/dwarf_line.h"
#include "symbolizer/dwarf_line_private.h"
#include "symbolizer/section.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint64_t bases[] = { 0, 1, 0x400000, 0x1000, UINT64_MAX - 0x1000, 1ull << 40 };
#define BASE_CNT (sizeof(bases) / sizeof(bases[0]))

static void look_up(const struct dwarf_lines *lines, uint64_t base)
{
	uint32_t file, line;
	uint64_t step;

	for (step = 0; step < 0x2000; step += 7) {
		if (dwarf_lines_find(lines, base + step, &file, &line) && file == LINE_FILE_END)
			abort();
	}
	for (step = 1; step; step <<= 1)
		dwarf_lines_find(lines, base + step, &file, &line);
	if (base && dwarf_lines_find(lines, base - 1, &file, &line))
		abort();
	if (dwarf_lines_find(lines, base + (1ull << 32), &file, &line))
		abort();
}

static void name(const struct dwarf_lines *lines)
{
	struct strbuf path = STRBUF_INIT;
	uint32_t file;

	for (file = 0; file < 64; file++) {
		strbuf_clear(&path);
		if (dwarf_lines_path(lines, file, &path) != (path.len > 0))
			abort();
		if (path.len > 3 * LINE_PATH_MAX + 2)
			abort();
	}
	dwarf_lines_path(lines, UINT32_MAX, &path);
	strbuf_free(&path);
}

/* The programs of a section follow each other. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct section section;
	struct dwarf_line_source source = {
		.line = &section,
		.line_str = &section,
		.str = &section,
		.sup_str = &section,
		.str_offsets = &section,
		.comp_dir = "/work",
	};
	struct dwarf_lines *lines;
	uint32_t length;

	if (!size)
		return 0;
	source.base = bases[data[0] % BASE_CNT];
	source.str_offsets_base = data[0];
	section_of_memory(data + 1, size - 1, &section);
	while (source.offset < section.size) {
		if (!dwarf_lines_load(&source, &lines)) {
			look_up(lines, source.base);
			name(lines);
			/* Rows of 12 bytes, one for each byte; names of 4096 bytes. */
			if (dwarf_lines_bytes(lines) > 1000 + 20 * size + LINE_PATH_MAX * size)
				abort();
			dwarf_lines_free(lines);
		}
		if (section.size - source.offset < sizeof(length))
			break;
		memcpy(&length, section.bytes + source.offset, sizeof(length));
		source.offset += sizeof(length) + (uint64_t)length;
	}
	return 0;
}
