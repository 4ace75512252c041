/* SPDX-License-Identifier: BSD-2-Clause */
/* ELF files made by hand, of nothing but sections. */
#ifndef EBPFPROF_TESTS_SECTION_FIXTURE_H
#define EBPFPROF_TESTS_SECTION_FIXTURE_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

struct elf_file;

#define ZSTD_TYPE 2 /* ELFCOMPRESS_ZSTD, which older <elf.h> lack */

struct made_section {
	const char *name;
	const void *bytes;
	size_t size;
	uint64_t flags;
	uint32_t type; /* 0: SHT_PROGBITS */
};

/**
 * made_elf - header, contents, names, section headers; heap
 * @before_names: bytes of names of nobody's before the names
 */
uint8_t *made_elf(const struct made_section *sections, size_t cnt, size_t before_names,
		  size_t *ret_size);

/* An ELF file, in memory or behind a descriptor. */
struct opened {
	struct elf_file *elf;
	uint8_t *bytes;
	int fd;
};

typedef struct opened (*opener)(uint8_t *bytes, size_t size);

/** open_memory, open_file - @bytes, from the heap, are theirs */
struct opened open_memory(uint8_t *bytes, size_t size);
struct opened open_file(uint8_t *bytes, size_t size);
void close_opened(struct opened *opened);

/** open_with - a file with section @name of these contents, which are freed */
struct opened open_with(opener open, const char *name, uint64_t flags, uint8_t *contents,
			size_t size);

#define CONTENTS_SIZE 300000u

/** contents - CONTENTS_SIZE bytes that neither repeat nor are random */
const uint8_t *contents(void);

/** zlib_of, zstd_of - @bytes packed; heap */
uint8_t *zlib_of(const void *bytes, size_t size, size_t *ret_size);
uint8_t *zstd_of(const void *bytes, size_t size, size_t *ret_size);

/** section_of - @packed, freed, behind the header of a compressed section that claims @size */
uint8_t *section_of(uint32_t type, uint64_t size, uint8_t *packed, size_t *packed_size);

#endif
