/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * .gnu_debugdata ("MiniDebugInfo": GDB manual; Fedora and others): an ELF file with the symbols
 * that .dynsym lacks, packed by xz, in a section of a stripped program.
 *
 * The packed bytes are read piecewise, the result grows in steps: what is taken grows with what
 * came out, so that a claim costs nothing and a bomb (300 MB of zeros are 44 KB) ends at
 * MINI_DEBUG_MAX.  Believing the size in the xz stream's index, and allocating it at once, was
 * the alternative: it stands behind the data and can lie.  The decoder's own memory is limited
 * as well; its dictionary is what the packer asks for, up to 4 GB.  xz -9 needs 65 MB.
 *
 * One stream is unpacked; whatever stands behind it in the section is padding.
 */
#include <errno.h>
#include <lzma.h>
#include <stdlib.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/debug_files.h"
#include "symbolizer/section.h"

#define DECODER_BYTES_MAX (80ull << 20)
#define PACKED_CHUNK (64u << 10)
#define OUTPUT_MIN (64u << 10) /* of the first step */

struct unpacking {
	lzma_stream stream;
	struct section section;
	struct section_view view; /* what the stream's input points into */
	uint64_t offset;	  /* in the section, of what is read next */
	uint8_t *bytes;		  /* heap, [capacity] */
	size_t capacity;
};

/* liblzma's memory by our allocator, so that tests can make it fail. */
static void *allocate(void *opaque, size_t cnt, size_t size)
{
	(void)opaque;
	return calloc(cnt, size);
}

static void release(void *opaque, void *memory)
{
	(void)opaque;
	free(memory);
}

static const lzma_allocator allocator = { .alloc = allocate, .free = release };

static void unpacking_close(struct unpacking *unpacking)
{
	lzma_end(&unpacking->stream);
	section_view_close(&unpacking->view);
	section_close(&unpacking->section);
	free(unpacking->bytes);
}

static int error_of(lzma_ret code)
{
	switch (code) {
	case LZMA_OK:
	case LZMA_STREAM_END:
		return 0;
	case LZMA_MEM_ERROR:
		return -ENOMEM;
	case LZMA_MEMLIMIT_ERROR:
		return -EFBIG;
	default:
		return -ENOEXEC;
	}
}

static int read_more(struct unpacking *unpacking)
{
	int r;

	section_view_close(&unpacking->view);
	r = section_read_up_to(&unpacking->section, unpacking->offset, PACKED_CHUNK,
			       &unpacking->view);
	if (r < 0)
		return r;
	unpacking->offset += unpacking->view.size;
	unpacking->stream.next_in = unpacking->view.bytes;
	unpacking->stream.avail_in = unpacking->view.size;
	return 0;
}

/* Makes room behind what has come out. */
static int grow(struct unpacking *unpacking)
{
	size_t capacity = MAX(unpacking->capacity * 2, OUTPUT_MIN);
	uint8_t *bytes;

	if (unpacking->capacity == MINI_DEBUG_MAX)
		return -EFBIG;
	capacity = MIN(capacity, MINI_DEBUG_MAX);
	bytes = realloc(unpacking->bytes, capacity);
	if (!bytes)
		return -ENOMEM;
	unpacking->bytes = bytes;
	unpacking->stream.next_out = bytes + unpacking->capacity;
	unpacking->stream.avail_out = capacity - unpacking->capacity;
	unpacking->capacity = capacity;
	return 0;
}

static int unpack(struct unpacking *unpacking)
{
	lzma_stream *stream = &unpacking->stream;
	lzma_ret code;
	int r = 0;

	do {
		if (!stream->avail_in)
			r = read_more(unpacking);
		if (r == 0 && !stream->avail_out)
			r = grow(unpacking);
		if (r < 0)
			return r;
		/* Behind the section's end the decoder is told that nothing follows. */
		code = lzma_code(stream, stream->avail_in ? LZMA_RUN : LZMA_FINISH);
	} while (code == LZMA_OK);
	return code == LZMA_STREAM_END ? 0 : error_of(code);
}

int mini_debug_load(struct elf_file *elf, uint8_t **ret, size_t *ret_size)
{
	_cleanup_(unpacking_close) struct unpacking unpacking = { .stream = LZMA_STREAM_INIT };
	size_t size;
	uint8_t *bytes;
	int r = section_open(elf, ".gnu_debugdata", &unpacking.section);

	if (r < 0)
		return r == -ENOENT ? -ENODATA : r == -ENOTSUP ? -ENOEXEC : r;
	if (unpacking.section.packing != SECTION_PLAIN) /* nobody packs it twice, bombs aside */
		return -ENOEXEC;
	unpacking.stream.allocator = &allocator;
	r = error_of(lzma_stream_decoder(&unpacking.stream, DECODER_BYTES_MAX, 0));
	if (r == 0)
		r = unpack(&unpacking);
	if (r < 0)
		return r;
	size = (size_t)unpacking.stream.total_out;
	if (!size)
		return -ENOEXEC;
	bytes = realloc(unpacking.bytes, size); /* what was taken too much goes back */
	*ret = bytes ? bytes : unpacking.bytes;
	*ret_size = size;
	unpacking.bytes = NULL;
	return 0;
}
