/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parts of the ELF reader share: elf.c (headers), elf_symbols.c (symbol tables),
 * elf_names.c (names), elf_plt.c (names of PLT stubs).  Nobody else includes this, tests of the decoders aside.
 */
#ifndef EBPFPROF_SYMBOLIZER_ELF_PRIVATE_H
#define EBPFPROF_SYMBOLIZER_ELF_PRIVATE_H

#include <elf.h>

#include "symbolizer/elf.h"
#include "symbolizer/elf_symbols.h"

struct elf_file {
	int fd;		      /* -1: in memory */
	const uint8_t *image; /* [size], when in memory */
	uint64_t size;
	Elf64_Ehdr header;
	struct elf_segment segments[ELF_SEGMENTS_MAX];
	size_t segment_cnt;
	uint64_t dynamic_offset, dynamic_bytes; /* PT_DYNAMIC; 0 = none */
	uint64_t frame_header, frame_header_bytes; /* PT_GNU_EH_FRAME: address; 0 bytes = none */
	bool has_interpreter;			/* PT_INTERP */
	struct elf_build_id build_id;
	size_t note_cnt; /* looked at for it */
	Elf64_Shdr *sections; /* [section_cnt], once elf_load_sections() was called */
	size_t section_cnt;
	bool sections_loaded;
};

#define ELF_DYNAMIC_MAX 1024 /* entries of PT_DYNAMIC that are looked at */

/** elf_read - read exactly @len bytes at file offset @offset; -ENOEXEC where the file ends, -EIO */
int elf_read(const struct elf_file *elf, void *bytes, size_t len, uint64_t offset);

/**
 * elf_load_sections - read the section headers, once
 *
 * A file without any is a success with section_cnt 0.
 * Errors: -ENOEXEC the table is broken (section_cnt is 0 then); -EFBIG; -EIO; -ENOMEM.
 */
int elf_load_sections(struct elf_file *elf);

/** elf_clip - [offset, offset + bytes) cut to the file; false when something was cut off */
bool elf_clip(const struct elf_file *elf, uint64_t offset, uint64_t *bytes);

/** elf_text_segment - the executable segment that holds @address in memory, or NULL */
const struct elf_segment *elf_text_segment(const struct elf_file *elf, uint64_t address);

/** elf_offset_of - file offset of the byte at @address; false when the file has none */
bool elf_offset_of(const struct elf_file *elf, uint64_t address, uint64_t *ret_offset);

/**
 * elf_table_of_section - describe the symbol table in section @index
 *
 * Errors: -ENOEXEC cut short (what is whole is described), or not a symbol table.
 */
int elf_table_of_section(const struct elf_file *elf, size_t index, struct elf_symbol_table *ret);

/**
 * elf_plt_symbols - the PLT stubs, as if they were entries of the dynamic symbol table
 * @ret: heap array, st_name in the strings of @ret_table, st_value and st_size the stub's
 *
 * Errors: -ENODATA no stubs with names; -ENOEXEC; -EIO; -ENOMEM.
 */
int elf_plt_symbols(struct elf_file *elf, Elf64_Sym **ret, size_t *ret_cnt,
		    struct elf_symbol_table *ret_table);

/**
 * elf_plt_decode_x86_64, elf_plt_decode_aarch64 - look at the code at @code for a PLT stub
 * @address:  where the code is loaded
 * @ret_slot: the slot of the global offset table that it jumps through; 0 when it is no stub
 *
 * Returns how many bytes belong to what was looked at, never 0.
 */
size_t elf_plt_decode_x86_64(const uint8_t *code, size_t len, uint64_t address, uint64_t *ret_slot);
size_t elf_plt_decode_aarch64(const uint8_t *code, size_t len, uint64_t address,
			      uint64_t *ret_slot);

#endif
