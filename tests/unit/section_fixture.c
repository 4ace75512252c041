/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/section_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <elf.h>
#include <sys/mman.h>
#include <zlib.h>
#include <zstd.h>

#include "symbolizer/elf.h"

#define MADE_NAMES_MAX 8192

/* The contents of a compressed section: gABI's header and @packed.  Heap. */
static uint8_t *made_compressed(uint32_t type, uint64_t size, const void *packed,
				size_t packed_size)
{
	Elf64_Chdr header = { .ch_type = type, .ch_size = size, .ch_addralign = 1 };
	uint8_t *bytes = malloc(sizeof(header) + packed_size);

	memcpy(bytes, &header, sizeof(header));
	memcpy(bytes + sizeof(header), packed, packed_size);
	return bytes;
}

static Elf64_Ehdr made_header(size_t section_cnt, uint64_t sections)
{
	return (Elf64_Ehdr){
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_DYN,
#ifdef __x86_64__
		.e_machine = EM_X86_64,
#else
		.e_machine = EM_AARCH64,
#endif
		.e_shoff = sections,
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = (uint16_t)section_cnt,
		.e_shstrndx = (uint16_t)(section_cnt - 1),
	};
}

uint8_t *made_elf(const struct made_section *sections, size_t cnt, size_t before_names,
		  size_t *ret_size)
{
	size_t i, at = sizeof(Elf64_Ehdr), names_len = before_names + 1, total = at;
	static char names[MADE_NAMES_MAX];
	Elf64_Shdr headers[16] = {};
	Elf64_Ehdr header;
	uint8_t *bytes;

	for (i = 0; i < cnt; i++)
		total += sections[i].size;
	bytes = calloc(1, total + sizeof(names) + sizeof(headers));
	memset(names, 'x', before_names);
	for (i = 0; i < cnt; i++) {
		headers[i + 1] = (Elf64_Shdr){
			.sh_name = (uint32_t)names_len,
			.sh_type = sections[i].type ? sections[i].type : SHT_PROGBITS,
			.sh_flags = sections[i].flags,
			.sh_addr = 0x1000 * i,
			.sh_offset = at,
			.sh_size = sections[i].size,
		};
		if (sections[i].size && sections[i].bytes)
			memcpy(bytes + at, sections[i].bytes, sections[i].size);
		at += sections[i].size;
		strcpy(names + names_len, sections[i].name);
		names_len += strlen(sections[i].name) + 1;
	}
	headers[cnt + 1] =
		(Elf64_Shdr){ .sh_type = SHT_STRTAB, .sh_offset = at, .sh_size = names_len };
	memcpy(bytes + at, names, names_len);
	at += names_len;
	header = made_header(cnt + 2, at);
	memcpy(bytes, &header, sizeof(header));
	memcpy(bytes + at, headers, (cnt + 2) * sizeof(headers[0]));
	*ret_size = at + (cnt + 2) * sizeof(headers[0]);
	return bytes;
}

struct opened open_memory(uint8_t *bytes, size_t size)
{
	struct opened opened = { .bytes = bytes, .fd = -1 };

	assert_int_equal(elf_file_open_memory(bytes, size, &opened.elf, NULL), 0);
	return opened;
}

struct opened open_file(uint8_t *bytes, size_t size)
{
	struct opened opened = { .fd = memfd_create("section", MFD_CLOEXEC) };

	assert_int_equal(write(opened.fd, bytes, size), size);
	assert_int_equal(elf_file_open(opened.fd, &opened.elf, NULL), 0);
	free(bytes);
	return opened;
}

void close_opened(struct opened *opened)
{
	elf_file_close(opened->elf);
	free(opened->bytes);
	if (opened->fd >= 0)
		close(opened->fd);
}

struct opened open_with(opener open, const char *name, uint64_t flags, uint8_t *contents,
			size_t size)
{
	struct made_section section = { name, contents, size, flags, 0 };
	size_t bytes_size;
	uint8_t *bytes = made_elf(&section, 1, 0, &bytes_size);

	free(contents);
	return open(bytes, bytes_size);
}

const uint8_t *contents(void)
{
	static uint8_t bytes[CONTENTS_SIZE];
	uint32_t i, value = 1;

	for (i = 0; i < CONTENTS_SIZE; i++) {
		if (i % 7 == 0)
			value = value * 1664525 + 1013904223;
		bytes[i] = i % 7 ? (uint8_t)(i >> 6) : (uint8_t)(value >> 24);
	}
	return bytes;
}

uint8_t *zlib_of(const void *bytes, size_t size, size_t *ret_size)
{
	uLongf packed_size = compressBound(size);
	uint8_t *packed = malloc(packed_size);

	assert_int_equal(compress2(packed, &packed_size, bytes, size, 6), Z_OK);
	*ret_size = packed_size;
	return packed;
}

uint8_t *zstd_of(const void *bytes, size_t size, size_t *ret_size)
{
	size_t bound = ZSTD_compressBound(size);
	uint8_t *packed = malloc(bound);

	*ret_size = ZSTD_compress(packed, bound, bytes, size, 3);
	assert_false(ZSTD_isError(*ret_size));
	return packed;
}

uint8_t *section_of(uint32_t type, uint64_t size, uint8_t *packed, size_t *packed_size)
{
	uint8_t *bytes = made_compressed(type, size, packed, *packed_size);

	free(packed);
	*packed_size += sizeof(Elf64_Chdr);
	return bytes;
}
