/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DWARF made by hand: sections are filled byte by byte and become an ELF file in memory, with
 * code at IMAGE_TEXT.  Answers come as one line of text: "inner@FILE:LINE < outer@FILE:LINE".
 */
#ifndef EBPFPROF_TESTS_DWARF_IMAGE_H
#define EBPFPROF_TESTS_DWARF_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "profiler/base/strbuf.h"
#include "symbolizer/dwarf.h"
#include "symbolizer/symbol_memory.h"

#define IMAGE_TEXT 0x1000u
#define IMAGE_TEXT_BYTES 0x10000u

enum image_section {
	INFO,
	ABBREV,
	STR,
	ADDR,
	RANGES,
	RNGLISTS,
	STR_OFFSETS,
	ARANGES,
	LINE,
	CU_INDEX,
	IMAGE_SECTIONS,
};

struct dwarf_image {
	struct strbuf sections[IMAGE_SECTIONS];
	bool split; /* names end in .dwo, the file is an object */
	size_t unit; /* where the unit begins that is being written */
	uint8_t offset_bytes; /* 4 or 8: 64-bit DWARF */
	struct strbuf bytes;  /* of the ELF file */
	struct elf_file *elf;
};

void image_init(struct dwarf_image *image);
void image_free(struct dwarf_image *image);

/* Appending to a section. */
void put(struct dwarf_image *image, enum image_section section, uint64_t value, unsigned int bytes);
void put_uleb(struct dwarf_image *image, enum image_section section, uint64_t value);
void put_text(struct dwarf_image *image, enum image_section section, const char *text);
size_t put_at(const struct dwarf_image *image, enum image_section section); /* its size so far */

/** image_abbrev - a declaration; pairs of attribute and form follow, then 0 */
void image_abbrev(struct dwarf_image *image, unsigned int code, unsigned int tag, bool children,
		  ...);

/** image_unit - begin a unit; @type is written in DWARF 5 only; its abbreviations are at 0 */
void image_unit(struct dwarf_image *image, unsigned int version, unsigned int type);

/** image_end - write the unit's length */
void image_end(struct dwarf_image *image);

/** image_elf - the ELF file, which is the image's */
struct elf_file *image_elf(struct dwarf_image *image);

/** image_open - dwarf_open() of the image; fails the test where that fails */
struct dwarf *image_open(struct dwarf_image *image);

/* What image_open() counts in. */
extern struct symbol_memory image_memory;

/** answer_at - the frames at @address in one line, "-" when nothing is known; a static buffer */
const char *answer_at(struct dwarf *dwarf, uint64_t address);

#endif
