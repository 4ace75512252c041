/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * .eh_frame of a file without section headers, found as the C++ runtime finds it: by the segment
 * PT_GNU_EH_FRAME, whose first bytes (.eh_frame_hdr) say where .eh_frame begins.
 *
 * Nothing says where it ends.  An entry of length 0 should, which gcc's start files add; without
 * them (the vdso, programs without a C library) the next section's bytes would be taken for
 * entries.  So the end is taken from the header's search table, as that of its last FDE; the
 * terminator serves where there is no table.
 * Source: LSB 5.0 "The .eh_frame_hdr section".
 */
#include <errno.h>
#include <stddef.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/byte_cursor.h"
#include "symbolizer/ehframe.h"
#include "symbolizer/elf.h"
#include "symbolizer/frame_source_private.h"
#include "symbolizer/section.h"

#define HEADER_BYTES 4	    /* version, three encodings */
#define TABLE_ENCODING 0x3b /* DW_EH_PE_datarel | DW_EH_PE_sdata4, the only one that is sorted */
#define PAIR_BYTES 8	    /* of the table: a function's start, its FDE */

struct header {
	uint64_t frames;   /* address of .eh_frame */
	uint64_t last_fde; /* address of the one that stands last; 0 = there is no table */
};

static uint64_t last_fde_of(const struct section *section, size_t at, uint64_t cnt)
{
	uint64_t fde, last = 0;
	int32_t distance;

	for (; cnt && section->size - at >= PAIR_BYTES; cnt--, at += PAIR_BYTES) {
		memcpy(&distance, section->bytes + at + sizeof(distance), sizeof(distance));
		fde = section->address + (uint64_t)distance;
		last = MAX(last, fde);
	}
	return last;
}

static int read_header(const struct section *section, struct header *ret)
{
	struct header header = {};
	const uint8_t *bytes = section->bytes;
	size_t at = HEADER_BYTES;
	uint64_t cnt;

	if (section->size < HEADER_BYTES || bytes[0] != 1 ||
	    !ehframe_read_pointer(bytes, section->size, at, section->address, bytes[1],
				  &header.frames, &at))
		return -ENOEXEC;
	if (bytes[3] == TABLE_ENCODING &&
	    ehframe_read_pointer(bytes, section->size, at, section->address, bytes[2], &cnt, &at))
		header.last_fde = last_fde_of(section, at, cnt);
	*ret = header;
	return 0;
}

/* How many bytes there are from @start to the end of the entry at @last; 0 = it is no entry. */
static uint64_t bytes_up_to(struct elf_file *elf, uint64_t start, uint64_t last)
{
	struct section section;
	struct section_view view;
	struct byte_cursor cursor;
	uint64_t length;

	if (last < start || section_open_address(elf, last, 12, &section) ||
	    section_read(&section, 0, section.size, &view))
		return 0;
	cursor = byte_cursor(view.bytes, view.size);
	length = read_u32(&cursor);
	if (length == UINT32_MAX)
		length = read_u64(&cursor);
	length = cursor.failed ? 0 : length + (uint64_t)(cursor.at - view.bytes);
	section_view_close(&view);
	return length > EHFRAME_BYTES_MAX ? 0 : last - start + length;
}

int frame_section_of_header(struct elf_file *elf, struct section *ret, bool *ret_ends_at_terminator)
{
	_cleanup_(section_close) struct section section = {};
	uint64_t address, bytes;
	struct header header;
	int code;

	if (!elf_file_frame_header(elf, &address, &bytes))
		return -ENOENT;
	code = section_open_address(elf, address, MIN(bytes, (uint64_t)EHFRAME_BYTES_MAX),
				    &section);
	if (!code)
		code = section_load(&section);
	if (!code)
		code = read_header(&section, &header);
	if (code)
		return code;
	bytes = bytes_up_to(elf, header.frames, header.last_fde);
	*ret_ends_at_terminator = !bytes;
	return section_open_address(elf, header.frames, bytes ? bytes : EHFRAME_BYTES_MAX, ret);
}
