/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a file has Go's table: a section's name, or the header's bytes.
 *
 * Programs that Go's linker wrote have a section .gopclntab, PIE of Go up to 1.25 one called
 * .data.rel.ro.gopclntab, which the system's linker (cgo) makes a part of .data.rel.ro: then the
 * eight bytes that a header starts with are looked for in the segments, and what stands behind
 * them has to look like a header.  That reads much of a large file, so a file whose sections
 * have names, none of them Go's, is no Go program and is not searched.  Files without section
 * headers are; there is nothing else to go by, since a note with Go's build-id is easily left out
 * (-buildid=).
 *
 * Asking .symtab for runtime.pclntab was the alternative; programs without it are what this
 * table is wanted for most.
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/byte_cursor.h"
#include "symbolizer/elf_private.h"
#include "symbolizer/gopclntab_private.h"
#include "symbolizer/section.h"

#define SCAN_CHUNK 65536
#define POINTER_BYTES 8
#define GO_MAGIC_12 0xfffffffbu	 /* Go 1.2 to 1.15 */
#define GO_MAGIC_116 0xfffffffau /* Go 1.16 and 1.17 */

/* ---- the header ----------------------------------------------------------------------------- */

/* Magic, two bytes of padding, pc quantum, size of a pointer. */
static uint64_t first_word(uint32_t magic)
{
	return magic | (uint64_t)GO_PC_QUANTUM << 48 | (uint64_t)POINTER_BYTES << 56;
}

/* The five parts follow one another; the last one ends where @limit says. */
static bool set_parts(struct gopclntab *table, const uint64_t *starts, struct go_range limit)
{
	struct go_range *parts[] = { &table->names, &table->filename_offsets, &table->filenames,
				     &table->pc_values, &table->functions };
	uint64_t least = GO_HEADER_BYTES;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		uint64_t end = i + 1 < ARRAY_SIZE(parts) ? starts[i + 1] : limit.bytes;

		if (starts[i] < least || starts[i] > end || end > limit.bytes)
			return false;
		*parts[i] = (struct go_range){ limit.offset + starts[i], end - starts[i] };
		least = starts[i];
	}
	return true;
}

/* Take @limit's first bytes for a header, if they can be one. */
static bool parse_header(struct gopclntab *table, struct go_range limit, uint64_t address)
{
	uint8_t bytes[GO_HEADER_BYTES];
	struct byte_cursor cursor = byte_cursor(bytes, sizeof(bytes));
	uint64_t starts[5], word, cnt, text;
	size_t i;

	if (limit.bytes < sizeof(bytes) || elf_read(table->elf, bytes, sizeof(bytes), limit.offset))
		return false;
	word = read_u64(&cursor);
	if (word != first_word(GO_MAGIC_118) && word != first_word(GO_MAGIC_120))
		return false;
	cnt = read_u64(&cursor);
	skip_bytes(&cursor, 8); /* the number of files */
	text = read_u64(&cursor);
	for (i = 0; i < ARRAY_SIZE(starts); i++)
		starts[i] = read_u64(&cursor);
	if (!cnt || cnt > GO_FUNCTIONS_MAX || !set_parts(table, starts, limit) ||
	    table->functions.bytes < cnt * sizeof(struct go_entry) + sizeof(uint32_t))
		return false;
	table->old = word == first_word(GO_MAGIC_118);
	table->cnt = cnt;
	table->header_text = text;
	table->offset = limit.offset;
	table->address = address;
	return true;
}

/* ---- by looking at the segments ------------------------------------------------------------- */

static int scan_chunk(struct gopclntab *table, const uint8_t *bytes, size_t len, uint64_t address,
		      uint64_t word, uint64_t mask, int (*visit)(struct gopclntab *, uint64_t))
{
	uint64_t here;
	size_t at;
	int ret;

	for (at = 0; at + sizeof(here) <= len; at += sizeof(here)) {
		memcpy(&here, bytes + at, sizeof(here));
		if ((here & mask) != word)
			continue;
		ret = visit(table, address + at);
		if (ret)
			return ret;
	}
	return 0;
}

static int scan_segment(struct gopclntab *table, const struct elf_segment *segment, uint8_t *chunk,
			uint64_t word, uint64_t mask, int (*visit)(struct gopclntab *, uint64_t))
{
	uint64_t skip = -segment->vaddr % sizeof(word), bytes = segment->filesz, at;
	int ret;

	elf_clip(table->elf, segment->offset, &bytes);
	for (at = skip; at < bytes; at += SCAN_CHUNK) {
		size_t len = MIN(bytes - at, SCAN_CHUNK);

		if (len > table->scan_left)
			return 0;
		table->scan_left -= len;
		ret = elf_read(table->elf, chunk, len, segment->offset + at);
		if (ret)
			return ret;
		ret = scan_chunk(table, chunk, len, segment->vaddr + at, word, mask, visit);
		if (ret)
			return ret;
	}
	return 0;
}

int go_scan(struct gopclntab *table, uint64_t word, uint64_t mask,
	    int (*visit)(struct gopclntab *, uint64_t address))
{
	_cleanup_free_ uint8_t *chunk = malloc(SCAN_CHUNK);
	const struct elf_file *elf = table->elf;
	size_t i;
	int ret;

	if (!chunk)
		return -ENOMEM;
	/* Data comes last in the file, and is what is small and looked for. */
	for (i = elf->segment_cnt; i-- > 0;) {
		ret = scan_segment(table, &elf->segments[i], chunk, word, mask, visit);
		if (ret)
			return ret;
	}
	return 0;
}

bool go_range_at(const struct elf_file *elf, uint64_t address, struct go_range *ret)
{
	size_t i;

	for (i = 0; i < elf->segment_cnt; i++) {
		const struct elf_segment *segment = &elf->segments[i];
		uint64_t bytes = segment->filesz;

		elf_clip(elf, segment->offset, &bytes);
		if (address < segment->vaddr || address - segment->vaddr >= bytes)
			continue;
		ret->offset = segment->offset + (address - segment->vaddr);
		ret->bytes = bytes - (address - segment->vaddr);
		return true;
	}
	return false;
}

static int visit_header(struct gopclntab *table, uint64_t address)
{
	struct go_range limit;

	return go_range_at(table->elf, address, &limit) && parse_header(table, limit, address);
}

/* The two versions differ in the lowest bit. */
static int scan_for_header(struct gopclntab *table)
{
	int ret = go_scan(table, first_word(GO_MAGIC_118), ~(uint64_t)1, visit_header);

	return ret > 0 ? 0 : ret ? ret : -ENODATA;
}

/* ---- by the names of sections --------------------------------------------------------------- */

/* 1: there is one of this name, described by @ret; 0: none; or an error. */
static int find_section(struct elf_file *elf, const char *name, struct go_range *ret,
			uint64_t *ret_address)
{
	struct section section;
	int code;

	code = section_open(elf, name, &section);
	if (code == -EIO || code == -ENOMEM)
		return code;
	if (code || section.packing != SECTION_PLAIN)
		return 0;
	*ret = (struct go_range){ section.offset, section.size };
	*ret_address = section.address;
	section_close(&section);
	return 1;
}

static int find_any_section(struct elf_file *elf, const char *const *names, size_t cnt,
			    struct go_range *ret, uint64_t *ret_address)
{
	size_t i;
	int found = 0;

	for (i = 0; i < cnt && !found; i++)
		found = find_section(elf, names[i], ret, ret_address);
	return found;
}

/* Why the section @range is not a table that we read. */
static int why_not(const struct gopclntab *table, struct go_range range)
{
	uint32_t magic = 0;

	if (range.bytes >= sizeof(magic))
		elf_read(table->elf, &magic, sizeof(magic), range.offset);
	return magic == GO_MAGIC_12 || magic == GO_MAGIC_116 ? -ENOTSUP : -ENOEXEC;
}

int go_locate_table(struct gopclntab *table)
{
	static const char *const tables[] = { ".gopclntab", ".data.rel.ro.gopclntab" };
	static const char *const marks[] = { ".go.buildinfo", ".note.go.buildid", ".noptrdata" };
	struct elf_file *elf = table->elf;
	struct go_range range, mark;
	uint64_t address;
	int found, ret;

	found = find_any_section(elf, tables, ARRAY_SIZE(tables), &range, &address);
	if (found < 0)
		return found;
	if (found)
		return parse_header(table, range, address) ? 0 : why_not(table, range);
	if (elf->section_cnt) {
		found = find_any_section(elf, marks, ARRAY_SIZE(marks), &mark, &address);
		if (found <= 0)
			return found ? found : -ENODATA;
	}
	ret = scan_for_header(table);
	/* Marked as Go's, and nothing that we know in it. */
	return ret == -ENODATA && elf->section_cnt ? -ENOTSUP : ret;
}
