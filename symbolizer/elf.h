/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the profiler needs of an ELF file: type, entry, PT_LOAD segments, build-id (symbols:
 * symtab.h).
 * Every byte is hostile: offsets and sizes are checked against the file, no file is mapped (a
 * file cut short under a mapping would kill us with SIGBUS), and what a file can make us
 * allocate or read is bounded.
 */
#ifndef EBPFPROF_SYMBOLIZER_ELF_H
#define EBPFPROF_SYMBOLIZER_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct errmsg;
struct elf_file;

#define ELF_BUILD_ID_MAX 20
#define ELF_SEGMENTS_MAX 64	   /* PT_LOADs kept; files with more are refused */
#define ELF_SYMBOLS_MAX (4u << 20) /* entries read of one symbol table; the rest is left out */
#define ELF_NAME_MAX 16384	   /* symbols with longer names are left out */

struct elf_segment {
	uint64_t vaddr, memsz;
	uint64_t offset, filesz;
	bool executable;
};

struct elf_build_id {
	uint8_t bytes[ELF_BUILD_ID_MAX];
	uint8_t len; /* 0 = none */
};

/**
 * elf_file_open - read the headers of the ELF file behind @fd
 * @fd: open for reading, borrowed until elf_file_close(); its position is not used
 *
 * Errors: -ENOEXEC not ELF or cut short; -ENOTSUP not 64-bit little endian of this machine's
 * kind (a 32-bit file); -EFBIG too many headers; -EIO; -ENOMEM.
 */
int elf_file_open(int fd, struct elf_file **ret, struct errmsg *err);

/** elf_file_open_memory - the same for an image in memory (vdso); @image is borrowed */
int elf_file_open_memory(void *image, size_t size, struct elf_file **ret, struct errmsg *err);

void elf_file_close(struct elf_file *elf);
void elf_file_closep(struct elf_file **elf);

/** elf_file_fd - the descriptor that it reads; -1 = in memory */
int elf_file_fd(const struct elf_file *elf);

/** elf_file_is_cut - the file ends before its section headers, which linkers put last, do */
bool elf_file_is_cut(struct elf_file *elf);

bool elf_file_is_in_memory(const struct elf_file *elf);
uint64_t elf_file_bytes(const struct elf_file *elf); /* its size when it was opened */
uint64_t elf_file_entry(const struct elf_file *elf);

/**
 * elf_file_starts - whether the kernel may start this file at its entry point
 *
 * True for programs and dynamic loaders.  Linkers leave an entry, often the first byte of .text,
 * in other libraries too; it means nothing there.
 */
bool elf_file_starts(const struct elf_file *elf);

/** elf_file_frame_header - where PT_GNU_EH_FRAME (.eh_frame_hdr) says it is; false: there is none */
bool elf_file_frame_header(const struct elf_file *elf, uint64_t *ret_address, uint64_t *ret_bytes);

bool elf_file_is_fixed(const struct elf_file *elf); /* ET_EXEC */
const struct elf_build_id *elf_file_build_id(const struct elf_file *elf);
size_t elf_file_segments(const struct elf_file *elf, const struct elf_segment **ret);

/**
 * elf_file_address - ELF virtual address of a file offset inside an executable mapping
 * @offset: file offset of the byte
 *
 * Returns false when no PT_LOAD covers the offset. Where several do, executable ones win, also
 * in the rest of their first and last page, which the kernel maps with them.
 */
bool elf_file_address(const struct elf_file *elf, uint64_t offset, uint64_t *ret_address);

/** elf_build_id_hex - lower-case hex; @text has 2 * ELF_BUILD_ID_MAX + 1 bytes; "" if none */
void elf_build_id_hex(const struct elf_build_id *id, char *text);

#endif
