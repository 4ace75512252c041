/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contents of ELF sections.
 *
 * A section is in one of three states: in memory (bytes set: it was given so, the file is an
 * image in memory, or it was loaded), plain in the file (each read is one pread into a buffer of
 * the view's), or packed.  Anything asked of a packed section loads it first; there is no index
 * into a deflate stream, and inflating from its start for each read would be quadratic.
 *
 * zlib streams go through libdeflate, two to three times as fast as zlib's inflate.  It wants
 * one stream and the exact size; what it refuses is tried once more with inflate, which also
 * reads several streams in a row (`ld -r` joined packed sections so).  Streaming with inflate
 * alone was the alternative: it spares the buffer of packed bytes, which lives only while we
 * inflate and is a third of the result.
 *
 * A packed section states its size.  That is held against SECTION_BYTES_MAX and against what
 * its format can reach before memory is taken, and it must come out exactly: so a bomb costs
 * what its file's size honestly allows, and pages that inflating does not write are never
 * touched (allocations of this size are fresh mappings).
 */
#include "symbolizer/section.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libdeflate.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/strbuf.h"
#include "symbolizer/elf_private.h"

#ifndef ELFCOMPRESS_ZSTD
#define ELFCOMPRESS_ZSTD 2
#endif

#define NAME_MAX_BYTES 64 /* longer names of sections are asked for by nobody */
#define NAMES_WINDOW 4096 /* section names beyond it are read one by one */
#define STRING_CHUNK 512  /* read at once while a string's end is looked for */
#define ZDEBUG_HEADER 12  /* "ZLIB" and the size */
#define ZLIB_RATIO 1100	  /* deflate reaches 1032:1 (258 bytes in two bits) */
#define ZSTD_RATIO 32768  /* a block of 128 KiB that repeats one byte takes four */

static const uint8_t nothing[1];

/* ---- finding ---------------------------------------------------------------------------- */

/* The section names, or their beginning. */
struct names {
	uint64_t offset, bytes; /* in the file */
	size_t len;		/* of the window */
	char window[NAMES_WINDOW];
};

static int load_names(struct elf_file *elf, struct names *names)
{
	size_t index = elf->header.e_shstrndx;
	const Elf64_Shdr *section;

	if (index == SHN_XINDEX) /* gABI: a number that does not fit stands in the first's link */
		index = elf->sections[0].sh_link;
	if (index >= elf->section_cnt)
		return -ENOEXEC;
	section = &elf->sections[index];
	if (section->sh_type == SHT_NOBITS)
		return -ENOEXEC;
	names->offset = section->sh_offset;
	names->bytes = section->sh_size;
	elf_clip(elf, names->offset, &names->bytes);
	names->len = MIN(names->bytes, sizeof(names->window));
	return elf_read(elf, names->window, names->len, names->offset);
}

/* Whether the name at @at is the @size bytes of @name, its NUL among them; or an error. */
static int has_name(const struct elf_file *elf, const struct names *names, uint64_t at,
		    const char *name, size_t size)
{
	char other[NAME_MAX_BYTES];
	int ret;

	if (at > names->bytes || size > names->bytes - at)
		return 0;
	if (at + size <= names->len)
		return memcmp(names->window + at, name, size) == 0;
	ret = elf_read(elf, other, size, names->offset + at);
	return ret ? ret : memcmp(other, name, size) == 0;
}

static int find_section(struct elf_file *elf, const char *name, const Elf64_Shdr **ret)
{
	size_t i, size = strlen(name) + 1;
	struct names names;
	int code;

	if (size > NAME_MAX_BYTES)
		return -ENOENT;
	code = elf_load_sections(elf);
	if (code)
		return code;
	if (!elf->section_cnt)
		return -ENOENT;
	code = load_names(elf, &names);
	for (i = 0; i < elf->section_cnt && !code; i++) {
		const Elf64_Shdr *section = &elf->sections[i];

		if (section->sh_type == SHT_NULL || section->sh_type == SHT_NOBITS)
			continue;
		code = has_name(elf, &names, section->sh_name, name, size);
		if (code > 0)
			*ret = section;
	}
	return code > 0 ? 0 : code ? code : -ENOENT;
}

/* ---- opening ---------------------------------------------------------------------------- */

static int check_size(const struct section *section)
{
	uint64_t ratio = section->packing == SECTION_ZSTD ? ZSTD_RATIO : ZLIB_RATIO;

	if (section->size > SECTION_BYTES_MAX || section->packed_size > SECTION_BYTES_MAX)
		return -EFBIG;
	return section->size / ratio > section->packed_size ? -ENOEXEC : 0;
}

static int take_header(struct section *section, size_t bytes)
{
	section->offset += bytes;
	section->packed_size -= bytes;
	return check_size(section);
}

static int open_compressed(struct section *section)
{
	Elf64_Chdr header;
	int ret;

	if (section->packed_size < sizeof(header))
		return -ENOEXEC;
	ret = elf_read(section->elf, &header, sizeof(header), section->offset);
	if (ret)
		return ret;
	if (header.ch_type == ELFCOMPRESS_ZLIB)
		section->packing = SECTION_ZLIB;
	else if (header.ch_type == ELFCOMPRESS_ZSTD)
		section->packing = SECTION_ZSTD;
	else
		return -ENOTSUP;
	section->size = header.ch_size;
	return take_header(section, sizeof(header));
}

/* What GNU tools wrote before SHF_COMPRESSED was agreed on, and Go up to 1.18. */
static int open_zdebug(struct section *section)
{
	uint8_t header[ZDEBUG_HEADER];
	uint64_t size;
	int ret;

	if (section->packed_size < sizeof(header))
		return -ENOEXEC;
	ret = elf_read(section->elf, header, sizeof(header), section->offset);
	if (ret)
		return ret;
	if (memcmp(header, "ZLIB", 4) != 0)
		return -ENOEXEC;
	memcpy(&size, header + 4, sizeof(size));
	section->packing = SECTION_ZLIB;
	section->size = __builtin_bswap64(size);
	return take_header(section, sizeof(header));
}

int section_open(struct elf_file *elf, const char *name, struct section *ret)
{
	struct section section = { .elf = elf };
	const Elf64_Shdr *header;
	int code;

	*ret = (struct section){};
	code = find_section(elf, name, &header);
	if (code)
		return code;
	section.offset = header->sh_offset;
	section.address = header->sh_addr;
	section.size = section.packed_size = header->sh_size;
	if (!elf_clip(elf, section.offset, &section.packed_size))
		return -ENOEXEC;
	if (header->sh_flags & SHF_COMPRESSED)
		code = open_compressed(&section);
	else if (strncmp(name, ".zdebug_", 8) == 0)
		code = open_zdebug(&section);
	if (code)
		return code;
	if (section.packing == SECTION_PLAIN && elf->image)
		section.bytes = elf->image + section.offset;
	*ret = section;
	return 0;
}

int section_open_debug(struct elf_file *elf, const char *name, struct section *ret)
{
	char old[NAME_MAX_BYTES] = ".z";
	int code;

	code = section_open(elf, name, ret);
	if (code != -ENOENT || strlen(name) + 2 > sizeof(old))
		return code;
	strcpy(old + 2, name + 1);
	return section_open(elf, old, ret);
}

int section_open_address(struct elf_file *elf, uint64_t address, uint64_t bytes_max,
			 struct section *ret)
{
	struct section section = { .elf = elf, .address = address };
	uint64_t bytes;
	size_t i;

	*ret = (struct section){};
	for (i = 0; i < elf->segment_cnt; i++) {
		const struct elf_segment *segment = &elf->segments[i];

		if (address < segment->vaddr || address - segment->vaddr >= segment->filesz)
			continue;
		section.offset = segment->offset + (address - segment->vaddr);
		bytes = MIN(segment->filesz - (address - segment->vaddr), bytes_max);
		elf_clip(elf, section.offset, &bytes);
		if (!bytes)
			return -ENOENT;
		section.size = section.packed_size = bytes;
		section.bytes = elf->image ? elf->image + section.offset : NULL;
		*ret = section;
		return 0;
	}
	return -ENOENT;
}

void section_of_memory(const void *bytes, size_t size, struct section *ret)
{
	*ret = (struct section){ .packed_size = size,
				 .size = size,
				 .bytes = size ? bytes : nothing };
}

void section_close(struct section *section)
{
	free(section->owned);
	*section = (struct section){};
}

/* ---- inflating -------------------------------------------------------------------------- */

static int inflate_fast(const struct section *section, const uint8_t *packed, uint8_t *ret)
{
	struct libdeflate_decompressor *inflater = libdeflate_alloc_decompressor();
	enum libdeflate_result result;

	if (!inflater)
		return -ENOMEM;
	/* Without a place for the size that comes out, less than asked for is a failure. */
	result = libdeflate_zlib_decompress(inflater, packed, section->packed_size, ret,
					    section->size, NULL);
	libdeflate_free_decompressor(inflater);
	return result == LIBDEFLATE_SUCCESS ? 0 : -ENOEXEC;
}

/* Several streams in a row.  Both sizes fit zlib's 32 bits: check_size(). */
static int inflate_streams(const struct section *section, const uint8_t *packed, uint8_t *ret)
{
	z_stream stream = {
		.next_in = (uint8_t *)(uintptr_t)packed, /* zlib's type lacks the const */
		.avail_in = (unsigned int)section->packed_size,
		.next_out = ret,
		.avail_out = (unsigned int)section->size,
	};
	int code;

	code = inflateInit(&stream);
	if (code != Z_OK)
		return code == Z_MEM_ERROR ? -ENOMEM : -ENOEXEC;
	do {
		code = inflate(&stream, Z_FINISH);
		if (code == Z_STREAM_END && stream.avail_out && stream.avail_in)
			code = inflateReset(&stream);
	} while (code == Z_OK);
	inflateEnd(&stream);
	if (code == Z_MEM_ERROR)
		return -ENOMEM;
	return code == Z_STREAM_END && !stream.avail_out ? 0 : -ENOEXEC;
}

static int inflate_zstd(const struct section *section, const uint8_t *packed, uint8_t *ret)
{
	size_t size = ZSTD_decompress(ret, section->size, packed, section->packed_size);

	if (ZSTD_isError(size))
		return ZSTD_getErrorCode(size) == ZSTD_error_memory_allocation ? -ENOMEM : -ENOEXEC;
	return size == section->size ? 0 : -ENOEXEC;
}

static int unpack(const struct section *section, const uint8_t *packed, uint8_t *ret)
{
	int code;

	if (section->packing == SECTION_ZSTD)
		return inflate_zstd(section, packed, ret);
	code = inflate_fast(section, packed, ret);
	return code == -ENOEXEC ? inflate_streams(section, packed, ret) : code;
}

/* The bytes in the file; *ret_owned is where they were copied to, if they had to be. */
static int read_packed(const struct section *section, const uint8_t **ret, uint8_t **ret_owned)
{
	if (section->elf->image) {
		*ret = section->elf->image + section->offset;
		return 0;
	}
	*ret_owned = malloc(section->packed_size + !section->packed_size);
	*ret = *ret_owned;
	if (!*ret_owned)
		return -ENOMEM;
	return elf_read(section->elf, *ret_owned, section->packed_size, section->offset);
}

static int load(struct section *section)
{
	_cleanup_free_ uint8_t *packed_owned = NULL, *bytes = NULL;
	const uint8_t *packed;
	int ret;

	if (section->size > SECTION_BYTES_MAX)
		return -EFBIG;
	ret = read_packed(section, &packed, &packed_owned);
	if (ret)
		return ret;
	if (section->packing == SECTION_PLAIN) {
		/* Of an image in memory it would be in memory already. */
		bytes = TAKE_PTR(packed_owned);
	} else {
		bytes = malloc(section->size);
		if (!bytes)
			return -ENOMEM;
		ret = unpack(section, packed, bytes);
		if (ret)
			return ret;
	}
	section->owned = TAKE_PTR(bytes);
	section->bytes = section->owned;
	return 0;
}

int section_load(struct section *section)
{
	int ret;

	if (section->bytes || section->error)
		return section->error;
	if (!section->size) {
		section->bytes = nothing;
		return 0;
	}
	ret = load(section);
	if (ret != -ENOMEM) /* there may be memory later */
		section->error = ret;
	return ret;
}

/* ---- reading ---------------------------------------------------------------------------- */

int section_read(struct section *section, uint64_t offset, size_t size, struct section_view *ret)
{
	_cleanup_free_ uint8_t *bytes = NULL;
	int code;

	if (offset > section->size || size > section->size - offset)
		return -ENOEXEC;
	if (!size) {
		*ret = (struct section_view){ .bytes = nothing };
		return 0;
	}
	if (section->packing != SECTION_PLAIN) {
		code = section_load(section);
		if (code)
			return code;
	}
	if (section->bytes) {
		*ret = (struct section_view){ .bytes = section->bytes + offset, .size = size };
		return 0;
	}
	bytes = malloc(size);
	if (!bytes)
		return -ENOMEM;
	code = elf_read(section->elf, bytes, size, section->offset + offset);
	if (code)
		return code;
	ret->size = size;
	ret->owned = TAKE_PTR(bytes);
	ret->bytes = ret->owned;
	return 0;
}

bool section_is_in_file(const struct section *section)
{
	return section->packing == SECTION_PLAIN && !section->bytes && section->elf;
}

int section_read_into(struct section *section, uint64_t offset, size_t size, uint8_t *buffer,
		      struct section_view *ret)
{
	int code;

	if (offset > section->size || size > section->size - offset)
		return -ENOEXEC;
	code = elf_read(section->elf, buffer, size, section->offset + offset);
	if (code)
		return code;
	*ret = (struct section_view){ .bytes = buffer, .size = size };
	return 0;
}

int section_read_up_to(struct section *section, uint64_t offset, size_t size,
		       struct section_view *ret)
{
	if (offset <= section->size)
		size = MIN(size, section->size - offset);
	return section_read(section, offset, size, ret);
}

void section_view_close(struct section_view *view)
{
	free(view->owned);
	*view = (struct section_view){};
}

/* Appends up to a NUL or @size bytes; whether a NUL was there. */
static bool add_until_nul(struct strbuf *text, const void *bytes, size_t size)
{
	const char *start = bytes, *nul = memchr(start, 0, size);

	strbuf_add(text, start, nul ? (size_t)(nul - start) : size);
	return nul;
}

static int read_string_of_file(struct section *section, uint64_t offset, size_t max,
			       struct strbuf *text)
{
	char chunk[STRING_CHUNK];
	size_t size;
	int ret;

	for (; max; max -= size, offset += size) {
		size = MIN(MIN(sizeof(chunk), max), section->size - offset);
		if (!size)
			return -ENOEXEC;
		ret = elf_read(section->elf, chunk, size, section->offset + offset);
		if (ret)
			return ret;
		if (add_until_nul(text, chunk, size))
			break;
	}
	return 0;
}

static int read_string_of_memory(struct section *section, uint64_t offset, size_t max,
				 struct strbuf *text)
{
	size_t size = MIN(max, section->size - offset);

	return add_until_nul(text, section->bytes + offset, size) || size == max ? 0 : -ENOEXEC;
}

int section_read_string(struct section *section, uint64_t offset, size_t max, struct strbuf *text)
{
	size_t len = text->len;
	int ret = 0;

	if (offset >= section->size)
		return -ENOEXEC;
	if (section->packing != SECTION_PLAIN)
		ret = section_load(section);
	if (!ret)
		ret = section->bytes ? read_string_of_memory(section, offset, max, text) :
				       read_string_of_file(section, offset, max, text);
	if (!ret && text->failed)
		ret = -ENOMEM;
	if (ret && text->len > len) {
		text->len = len;
		text->text[len] = '\0';
	}
	return ret;
}

size_t section_heap_bytes(const struct section *section)
{
	return section->owned ? section->size : 0;
}
