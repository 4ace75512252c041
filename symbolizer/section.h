/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The contents of one ELF section as bytes, whether they stand plain in the file, compressed
 * (SHF_COMPRESSED with zlib or zstd: gABI "Compressed sections"; .zdebug_*: "ZLIB" and a
 * big-endian size), or in memory.
 *
 * Plain sections are read piecewise by pread: what a look-up needs of 60 MB of .debug_info is a
 * few units.  Compressed ones are inflated whole, when bytes of them are asked for first, after
 * their size was held against SECTION_BYTES_MAX and against what the format can compress to: a
 * bomb is refused by size.  No file is mapped (one cut short under a mapping would kill us).
 */
#ifndef EBPFPROF_SYMBOLIZER_SECTION_H
#define EBPFPROF_SYMBOLIZER_SECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECTION_BYTES_MAX (1ull << 30) /* inflated; larger compressed sections are refused */

struct elf_file;

enum section_packing {
	SECTION_PLAIN,
	SECTION_ZLIB,
	SECTION_ZSTD,
};

struct section {
	struct elf_file *elf; /* borrowed; NULL = empty section, or one in memory */
	uint64_t offset;      /* of the (packed) bytes in the file */
	uint64_t packed_size;
	uint64_t size; /* of the contents */
	uint64_t address; /* sh_addr */
	enum section_packing packing;
	const uint8_t *bytes; /* [size], when in memory */
	uint8_t *owned;	      /* heap to free, or NULL */
	int error;	      /* inflating failed once: it is not tried again */
};

/* Some bytes of a section. Ends with section_view_close(). */
struct section_view {
	const uint8_t *bytes; /* [size] */
	size_t size;
	uint8_t *owned;
};

/**
 * section_open - find section @name
 * @name: ".debug_info"; `.zdebug_info` and `.debug_info.dwo` are found only by these names
 * Errors: -ENOENT no such section, or one without contents in the file (SHT_NOBITS); -ENOEXEC
 * broken headers; -EFBIG; -ENOTSUP an unknown compression; -EIO; -ENOMEM.  @ret is empty then.
 */
int section_open(struct elf_file *elf, const char *name, struct section *ret);

/** section_open_debug - DWARF's section @name (".debug_line"), else its .zdebug_ form */
int section_open_debug(struct elf_file *elf, const char *name, struct section *ret);

/**
 * section_open_address - what a segment has in the file at ELF virtual address @address, as if it
 * were a section of at most @bytes_max bytes
 * For files without section headers.  Errors: -ENOENT nothing is there.
 */
int section_open_address(struct elf_file *elf, uint64_t address, uint64_t bytes_max,
			 struct section *ret);

/** section_of_memory - a section over bytes of the caller's, e.g. in tests */
void section_of_memory(const void *bytes, size_t size, struct section *ret);

/** section_close - give back its memory; the section is empty and usable */
void section_close(struct section *section);

/**
 * section_read - bytes [offset, offset + size) of the contents
 * Errors: -ENOEXEC beyond its end, or broken packing; -EFBIG; -EIO; -ENOMEM.
 */
int section_read(struct section *section, uint64_t offset, size_t size, struct section_view *ret);

/** section_read_up_to - the same, of less than @size bytes where the section ends before */
int section_read_up_to(struct section *section, uint64_t offset, size_t size,
		       struct section_view *ret);

/** section_is_in_file - whether each section_read() reads the file, into memory of its own */
bool section_is_in_file(const struct section *section);

/** section_read_into - section_read(), then, into @buffer, which must outlive the view */
int section_read_into(struct section *section, uint64_t offset, size_t size, uint8_t *buffer,
		      struct section_view *ret);

void section_view_close(struct section_view *view);

/**
 * section_read_string - append the NUL-terminated string at @offset to @text-like buffer
 * Cut after @max bytes.  Errors: -ENOEXEC beyond the end; -EIO; -ENOMEM.
 */
struct strbuf;
int section_read_string(struct section *section, uint64_t offset, size_t max, struct strbuf *text);

/** section_load - have the whole contents in memory: then section->bytes is set */
int section_load(struct section *section);

size_t section_heap_bytes(const struct section *section);

#endif
