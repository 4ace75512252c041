/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The DWARF sections of one file, read in pieces.
 *
 * What a look-up wants of a section is a few entries, list items or numbers, often near to each
 * other; so each section keeps the piece that was read last.  Reading every item by a pread of
 * its own was several times slower, loading sections whole wants their size in memory.
 */
#include <errno.h>
#include <stdlib.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/dwarf_private.h"
#include "symbolizer/elf.h"

#define ENTRY_PIECE 1024 /* root entries and names' entries lie far apart */
#define LIST_PIECE 32768 /* range lists and addresses are read in their order */

/*
 * What compressed sections may have together: each alone can be SECTION_BYTES_MAX, out of one
 * stream of 40 KB that is the contents of them all.  The densest seen is 31 times its packed size.
 */
#define INFLATED_MIN (8ull << 20)
#define INFLATED_RATIO 64

struct wanted {
	const char *name, *split_name;
	struct section *section;
	struct dwarf_section *pieces; /* NULL: `section` is of no struct dwarf_section */
	size_t piece_bytes;
};

static uint64_t room_of(const struct elf_file *elf)
{
	return INFLATED_MIN + MIN(elf_file_bytes(elf), UINT64_MAX / 128) * INFLATED_RATIO;
}

int dwarf_section_open(struct elf_file *elf, const char *name, uint64_t *room, struct section *ret)
{
	uint64_t own_room = room_of(elf);
	int code = section_open_debug(elf, name, ret);

	if (code || ret->packing == SECTION_PLAIN)
		return code;
	if (!room)
		room = &own_room;
	if (ret->size > *room) {
		section_close(ret);
		return -EFBIG;
	}
	*room -= ret->size;
	return 0;
}

static int open_one(struct elf_file *elf, bool split, const struct wanted *wanted,
		    uint64_t inflated_max, uint64_t *room)
{
	const char *name = split ? wanted->split_name : wanted->name;
	struct section *section = wanted->pieces ? &wanted->pieces->section : wanted->section;
	int ret;

	if (wanted->pieces)
		wanted->pieces->piece_bytes = wanted->piece_bytes;
	ret = name ? dwarf_section_open(elf, name, room, section) : 0;
	if (ret == -EFBIG &&
	    inflated_max < room_of(elf)) /* an honest file, for which we lack room */
		return ret;
	/* What is missing or broken is empty: whatever refers to it fails, alone. */
	return ret == -ENOMEM || ret == -EIO ? ret : 0;
}

static int open_all(struct elf_file *elf, bool split, uint64_t inflated_max,
		    struct dwarf_file *file)
{
	const struct wanted wanted[] = {
		{ ".debug_abbrev", ".debug_abbrev.dwo", NULL, &file->abbrev, ENTRY_PIECE },
		{ ".debug_addr", NULL, NULL, &file->addr, LIST_PIECE },
		{ ".debug_ranges", NULL, NULL, &file->ranges, LIST_PIECE },
		{ ".debug_rnglists", ".debug_rnglists.dwo", NULL, &file->rnglists, LIST_PIECE },
		{ ".debug_str_offsets", ".debug_str_offsets.dwo", NULL, &file->str_offsets,
		  ENTRY_PIECE },
		{ ".debug_str", ".debug_str.dwo", &file->str, NULL, 0 },
		{ ".debug_line", NULL, &file->line, NULL, 0 },
		{ ".debug_line_str", NULL, &file->line_str, NULL, 0 },
	};
	uint64_t room = MIN(room_of(elf), inflated_max);
	size_t i;
	int ret;

	file->info.piece_bytes = ENTRY_PIECE;
	ret = dwarf_section_open(elf, split ? ".debug_info.dwo" : ".debug_info", &room,
				 &file->info.section);
	if (ret)
		return ret == -ENOENT ? -ENODATA : ret;
	if (file->info.section.size > UINT32_MAX)
		return -EFBIG;
	for (i = 0; i < ARRAY_SIZE(wanted) && !ret; i++)
		ret = open_one(elf, split, &wanted[i], inflated_max, &room);
	return ret;
}

int dwarf_file_open(struct elf_file *elf, bool split, uint64_t inflated_max, struct dwarf_file *ret)
{
	struct dwarf_file file = {};
	int code = open_all(elf, split, inflated_max, &file);

	if (code) {
		dwarf_file_close(&file);
		return code;
	}
	*ret = file;
	return 0;
}

static void close_pieces(struct dwarf_section *section)
{
	section_view_close(&section->view);
	section_close(&section->section);
}

void dwarf_file_close(struct dwarf_file *file)
{
	close_pieces(&file->info);
	close_pieces(&file->abbrev);
	close_pieces(&file->addr);
	close_pieces(&file->ranges);
	close_pieces(&file->rnglists);
	close_pieces(&file->str_offsets);
	section_close(&file->str);
	section_close(&file->line);
	section_close(&file->line_str);
	free(file->owned_units);
	*file = (struct dwarf_file){};
}

static size_t piece_heap_bytes(const struct dwarf_section *section)
{
	return section_heap_bytes(&section->section) +
	       (section->view.owned ? section->view.size : 0);
}

size_t dwarf_file_heap_bytes(const struct dwarf_file *file)
{
	size_t bytes = piece_heap_bytes(&file->info) + piece_heap_bytes(&file->abbrev) +
		       piece_heap_bytes(&file->addr) + piece_heap_bytes(&file->ranges) +
		       piece_heap_bytes(&file->rnglists) + piece_heap_bytes(&file->str_offsets);

	bytes += section_heap_bytes(&file->str) + section_heap_bytes(&file->line) +
		 section_heap_bytes(&file->line_str);
	return bytes + (file->owned_units ? file->unit_cnt * sizeof(*file->owned_units) : 0);
}

static bool in_view(const struct dwarf_section *section, uint64_t offset, size_t want)
{
	uint64_t end = section->view_offset + section->view.size;

	return offset >= section->view_offset && offset < end &&
	       (want <= end - offset || end == section->section.size);
}

int dwarf_section_at(struct dwarf_section *section, uint64_t offset, size_t want,
		     struct byte_cursor *ret)
{
	struct section_view view;
	size_t skip;
	int code;

	if (offset >= section->section.size)
		return -ENOEXEC;
	if (section->section.bytes) {
		*ret = byte_cursor(section->section.bytes + offset, section->section.size - offset);
		return 0;
	}
	if (!in_view(section, offset, want)) {
		code = section_read_up_to(&section->section, offset,
					  MAX(want, section->piece_bytes), &view);
		if (code)
			return code;
		section_view_close(&section->view);
		section->view = view;
		section->view_offset = offset;
	}
	skip = offset - section->view_offset;
	*ret = byte_cursor(section->view.bytes + skip, section->view.size - skip);
	return 0;
}

int dwarf_section_number(struct dwarf_section *section, uint64_t offset, unsigned int bytes,
			 uint64_t *ret)
{
	struct byte_cursor cursor;
	uint64_t number;
	int code = dwarf_section_at(section, offset, bytes, &cursor);

	if (code)
		return code;
	number = read_bytes(&cursor, bytes);
	if (cursor.failed)
		return -ENOEXEC;
	*ret = number;
	return 0;
}
