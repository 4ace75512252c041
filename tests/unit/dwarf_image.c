/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/dwarf_image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <elf.h>

#include "symbolizer/elf.h"
#include "symbolizer/source_frames.h"

struct symbol_memory image_memory;

static const char *const names[IMAGE_SECTIONS] = {
	[INFO] = ".debug_info",	      [ABBREV] = ".debug_abbrev",
	[STR] = ".debug_str",	      [ADDR] = ".debug_addr",
	[RANGES] = ".debug_ranges",   [RNGLISTS] = ".debug_rnglists",
	[LINE] = ".debug_line",	      [STR_OFFSETS] = ".debug_str_offsets",
	[ARANGES] = ".debug_aranges", [CU_INDEX] = ".debug_cu_index",
};

void image_init(struct dwarf_image *image)
{
	*image = (struct dwarf_image){ .offset_bytes = 4 };
	symbol_memory_init(&image_memory, 1u << 20);
}

void image_free(struct dwarf_image *image)
{
	size_t i;

	for (i = 0; i < IMAGE_SECTIONS; i++)
		strbuf_free(&image->sections[i]);
	elf_file_close(image->elf);
	strbuf_free(&image->bytes);
}

void put(struct dwarf_image *image, enum image_section section, uint64_t value, unsigned int bytes)
{
	strbuf_add(&image->sections[section], &value, bytes);
}

void put_uleb(struct dwarf_image *image, enum image_section section, uint64_t value)
{
	do {
		put(image, section, (value & 0x7f) | (value >> 7 ? 0x80 : 0), 1);
		value >>= 7;
	} while (value);
}

void put_text(struct dwarf_image *image, enum image_section section, const char *text)
{
	strbuf_add(&image->sections[section], text, strlen(text) + 1);
}

size_t put_at(const struct dwarf_image *image, enum image_section section)
{
	return image->sections[section].len;
}

void image_abbrev(struct dwarf_image *image, unsigned int code, unsigned int tag, bool children,
		  ...)
{
	unsigned int attribute;
	va_list args;

	put_uleb(image, ABBREV, code);
	put_uleb(image, ABBREV, tag);
	put(image, ABBREV, children, 1);
	va_start(args, children);
	while ((attribute = va_arg(args, unsigned int))) {
		put_uleb(image, ABBREV, attribute);
		put_uleb(image, ABBREV, va_arg(args, unsigned int));
	}
	va_end(args);
	put(image, ABBREV, 0, 2);
}

void image_unit(struct dwarf_image *image, unsigned int version, unsigned int type)
{
	if (image->offset_bytes == 8)
		put(image, INFO, UINT32_MAX, 4);
	image->unit = put_at(image, INFO);
	put(image, INFO, 0, image->offset_bytes);
	put(image, INFO, version, 2);
	if (version >= 5) {
		put(image, INFO, type, 1);
		put(image, INFO, 8, 1);
	}
	put(image, INFO, 0, image->offset_bytes);
	if (version < 5)
		put(image, INFO, 8, 1);
}

void image_end(struct dwarf_image *image)
{
	uint64_t length = put_at(image, INFO) - image->unit - image->offset_bytes;

	memcpy(image->sections[INFO].text + image->unit, &length, image->offset_bytes);
}

static void add_section(struct dwarf_image *image, enum image_section section,
			struct strbuf *strings, Elf64_Shdr *ret)
{
	bool is_split = image->split && section != CU_INDEX;

	ret->sh_type = image->sections[section].len ? SHT_PROGBITS : SHT_NULL;
	ret->sh_name = (uint32_t)strings->len;
	ret->sh_offset = image->bytes.len;
	ret->sh_size = image->sections[section].len;
	strbuf_printf(strings, "%s%s", names[section], is_split ? ".dwo" : "");
	strbuf_add_char(strings, '\0');
	if (ret->sh_size)
		strbuf_add(&image->bytes, image->sections[section].text, ret->sh_size);
}

static void make_bytes(struct dwarf_image *image)
{
	Elf64_Shdr headers[IMAGE_SECTIONS + 2] = {};
	Elf64_Phdr text = { .p_type = PT_LOAD,
			    .p_flags = PF_R | PF_X,
			    .p_offset = IMAGE_TEXT,
			    .p_vaddr = IMAGE_TEXT,
			    .p_memsz = IMAGE_TEXT_BYTES };
	Elf64_Ehdr header = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC,
#ifdef __x86_64__
		.e_machine = EM_X86_64,
#else
		.e_machine = EM_AARCH64,
#endif
		.e_phoff = sizeof(header),
		.e_phentsize = sizeof(text),
		.e_phnum = 1,
		.e_shentsize = sizeof(headers[0]),
		.e_shnum = IMAGE_SECTIONS + 2,
		.e_shstrndx = IMAGE_SECTIONS + 1,
	};
	struct strbuf strings = STRBUF_INIT;
	unsigned int i;

	strbuf_add(&image->bytes, &header, sizeof(header));
	strbuf_add(&image->bytes, &text, sizeof(text));
	strbuf_add_char(&strings, '\0');
	for (i = 0; i < IMAGE_SECTIONS; i++)
		add_section(image, i, &strings, &headers[i + 1]);
	headers[i + 1].sh_type = SHT_STRTAB;
	headers[i + 1].sh_offset = image->bytes.len;
	headers[i + 1].sh_size = strings.len;
	strbuf_add(&image->bytes, strings.text, strings.len);
	header.e_shoff = image->bytes.len;
	strbuf_add(&image->bytes, headers, sizeof(headers));
	memcpy(image->bytes.text, &header, sizeof(header));
	strbuf_free(&strings);
}

struct elf_file *image_elf(struct dwarf_image *image)
{
	if (!image->elf) {
		make_bytes(image);
		assert_int_equal(elf_file_open_memory(image->bytes.text, image->bytes.len,
						      &image->elf, NULL),
				 0);
	}
	return image->elf;
}

struct dwarf *image_open(struct dwarf_image *image)
{
	struct dwarf_config config = { .elf = image_elf(image), .memory = &image_memory };
	struct dwarf *dwarf;

	assert_int_equal(dwarf_open(&config, &dwarf), 0);
	return dwarf;
}

const char *answer_at(struct dwarf *dwarf, uint64_t address)
{
	static char text[32768];
	struct source_frames frames = {};
	size_t i, len = 0;

	source_frames_clear(&frames);
	if (!dwarf_find(dwarf, address, &frames)) {
		assert_int_equal(frames.cnt, 0);
		source_frames_free(&frames);
		return "-";
	}
	assert_true(frames.cnt > 0 && frames.cnt <= SOURCE_FRAMES_MAX);
	text[0] = '\0';
	for (i = 0; i < frames.cnt && len < sizeof(text); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s@%s:%u",
					i ? " < " : "", source_frames_name(&frames, i),
					source_frames_filename(&frames, i), frames.frames[i].line);
	source_frames_free(&frames);
	return text;
}
