/* SPDX-License-Identifier: BSD-2-Clause */
/* A small ELF file around the bytes of one section, for fuzzers of what stands in it. */
#ifndef EBPFPROF_TESTS_SECTION_IMAGE_H
#define EBPFPROF_TESTS_SECTION_IMAGE_H

#include <elf.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "symbolizer/elf.h"

#if defined(__aarch64__)
#define IMAGE_MACHINE EM_AARCH64
#else
#define IMAGE_MACHINE EM_X86_64
#endif

struct section_image {
	Elf64_Ehdr header;
	Elf64_Shdr sections[3]; /* none, the names, the section */
	char names[32];
	uint8_t bytes[];
};

/* The file, which is its own image in memory; elf_file_close() it, then free() *@ret_image. */
static inline struct elf_file *open_section_image(const char *name, const uint8_t *data,
						  size_t size, struct section_image **ret_image)
{
	struct section_image *image = calloc(1, sizeof(*image) + size);
	struct elf_file *elf;

	if (!image)
		abort();
	memcpy(image->header.e_ident, ELFMAG, SELFMAG);
	image->header.e_ident[EI_CLASS] = ELFCLASS64;
	image->header.e_ident[EI_DATA] = ELFDATA2LSB;
	image->header.e_type = ET_DYN;
	image->header.e_machine = IMAGE_MACHINE;
	image->header.e_shoff = offsetof(struct section_image, sections);
	image->header.e_shentsize = sizeof(Elf64_Shdr);
	image->header.e_shnum = 3;
	image->header.e_shstrndx = 1;
	image->sections[1] = (Elf64_Shdr){
		.sh_type = SHT_STRTAB,
		.sh_offset = offsetof(struct section_image, names),
		.sh_size = sizeof(image->names),
	};
	image->sections[2] = (Elf64_Shdr){
		.sh_name = 1,
		.sh_type = SHT_PROGBITS,
		.sh_offset = offsetof(struct section_image, bytes),
		.sh_size = size,
	};
	strncpy(image->names + 1, name, sizeof(image->names) - 2);
	if (size)
		memcpy(image->bytes, data, size);
	if (elf_file_open_memory(image, sizeof(*image) + size, &elf, NULL))
		abort();
	*ret_image = image;
	return elf;
}

#endif
