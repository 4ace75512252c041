/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inputs of fuzz_dwarf: one byte of flags, then pieces, each of a header of three bytes (which
 * section of which file; how many bytes, little-endian) and so many bytes.  The last piece may be
 * cut short; of two for one section the later one counts.  tests/fuzz/make-dwarf-seeds writes it.
 */
#ifndef EBPFPROF_TESTS_DWARF_INPUT_H
#define EBPFPROF_TESTS_DWARF_INPUT_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sanitizer/asan_interface.h>

#if defined(__aarch64__)
#define DWARF_INPUT_MACHINE EM_AARCH64
#else
#define DWARF_INPUT_MACHINE EM_X86_64
#endif

#define DWARF_INPUT_TEXT 0x1000u
#define DWARF_INPUT_TEXT_BYTES 0x1000000u
#define DWARF_INPUT_IN_FILE 1u /* flag: read through descriptors, piece by piece */
#define DWARF_PIECE_HEADER 3u
#define DWARF_PIECE_MAX UINT16_MAX

enum dwarf_input_file { INPUT_MAIN, INPUT_SUP, INPUT_SPLIT, INPUT_PACKAGE, INPUT_FILES };

static const char *const dwarf_input_sections[] = {
	".debug_info",	  ".debug_abbrev",   ".debug_str",
	".debug_line",	  ".debug_line_str", ".debug_addr",
	".debug_ranges",  ".debug_rnglists", ".debug_str_offsets",
	".debug_aranges", ".debug_cu_index", "patches of the index", /* the last is no section */
};
#define INPUT_SECTIONS (sizeof(dwarf_input_sections) / sizeof(dwarf_input_sections[0]))
#define INPUT_INDEX_PATCHES (INPUT_SECTIONS - 1)

struct dwarf_piece {
	const uint8_t *bytes;
	size_t size;
};

struct dwarf_input {
	uint8_t flags;
	struct dwarf_piece pieces[INPUT_FILES][INPUT_SECTIONS];
};

struct dwarf_input_image {
	Elf64_Ehdr header;
	Elf64_Phdr text;
	Elf64_Shdr sections[INPUT_SECTIONS + 1]; /* none, the names, those above */
	char names[INPUT_SECTIONS + 1][32];	 /* the first one is "" */
	uint8_t bytes[]; /* the sections, with bytes between them that nobody may read */
};
#define IMAGE_GAP 16u

static inline size_t dwarf_input_room(size_t section_bytes)
{
	return (section_bytes + 7) / 8 * 8 + IMAGE_GAP;
}

static inline void dwarf_input_head(struct dwarf_input_image *image)
{
	image->header = (Elf64_Ehdr){
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = DWARF_INPUT_MACHINE,
		.e_phoff = offsetof(struct dwarf_input_image, text),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 1,
		.e_shoff = offsetof(struct dwarf_input_image, sections),
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = INPUT_SECTIONS + 1,
		.e_shstrndx = 1,
	};
	image->text = (Elf64_Phdr){ .p_type = PT_LOAD,
				    .p_flags = PF_R | PF_X,
				    .p_offset = DWARF_INPUT_TEXT,
				    .p_vaddr = DWARF_INPUT_TEXT,
				    .p_memsz = DWARF_INPUT_TEXT_BYTES };
	image->sections[1] = (Elf64_Shdr){ .sh_type = SHT_STRTAB,
					   .sh_offset = offsetof(struct dwarf_input_image, names),
					   .sh_size = sizeof(image->names) };
}

static inline void dwarf_input_copy(struct dwarf_input_image *image,
				    const struct dwarf_piece *pieces, bool poison)
{
	uint8_t *at = image->bytes;
	size_t i;

	for (i = 0; i < INPUT_INDEX_PATCHES; i++) {
		size_t size = pieces[i].size, room = dwarf_input_room(size);

		if (!pieces[i].bytes)
			continue;
		image->sections[i + 2] = (Elf64_Shdr){
			.sh_name = (uint32_t)((i + 1) * sizeof(image->names[0])),
			.sh_type = SHT_PROGBITS,
			.sh_offset = (uint64_t)(at - (uint8_t *)image),
			.sh_size = size,
		};
		memcpy(at, pieces[i].bytes, size);
		if (poison)
			ASAN_POISON_MEMORY_REGION(at + size, room - size);
		at += room;
	}
}

/**
 * dwarf_input_image - an ELF file of @pieces [INPUT_SECTIONS]; end it with dwarf_input_free()
 * @split: the sections are named *.dwo
 */
static inline struct dwarf_input_image *dwarf_input_image(const struct dwarf_piece *pieces,
							  bool split, bool poison, size_t *ret_size)
{
	struct dwarf_input_image *image;
	size_t i, size = sizeof(*image);

	for (i = 0; i < INPUT_INDEX_PATCHES; i++)
		size += dwarf_input_room(pieces[i].size);
	image = calloc(1, size);
	if (!image)
		abort();
	dwarf_input_head(image);
	for (i = 0; i < INPUT_INDEX_PATCHES; i++) {
		bool is_dwo = split && strcmp(dwarf_input_sections[i], ".debug_cu_index") != 0;

		snprintf(image->names[i + 1], sizeof(image->names[0]), "%s%s",
			 dwarf_input_sections[i], is_dwo ? ".dwo" : "");
	}
	dwarf_input_copy(image, pieces, poison);
	*ret_size = size;
	return image;
}

static inline void dwarf_input_free(struct dwarf_input_image *image, size_t size)
{
	ASAN_UNPOISON_MEMORY_REGION(image, size);
	free(image);
}

#endif
