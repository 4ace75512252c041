/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What one address stands for in the source: the function that holds it and, where the compiler
 * inlined, its callers, innermost first.  A value that its user owns and uses again and again:
 * the texts of one answer live in one buffer, frames hold offsets into it.
 */
#ifndef EBPFPROF_SYMBOLIZER_SOURCE_FRAMES_H
#define EBPFPROF_SYMBOLIZER_SOURCE_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "profiler/base/strbuf.h"

#define SOURCE_FRAMES_MAX 64	 /* the outermost function is always kept; see _add() */
#define SOURCE_TEXT_MAX (1u << 20) /* bytes of all texts of one answer */

struct source_frame {
	uint32_t name;	     /* in the text: linkage name where there is one, else the source's */
	uint32_t filename;   /* in the text; 0 = unknown */
	uint32_t line;	     /* innermost: of the address; others: of the call; 0 = unknown */
	uint32_t start_line; /* where the function is declared; 0 = unknown */
	bool linker_name;    /* may be mangled and may carry the suffixes of clones */
};

struct source_frames {
	struct source_frame frames[SOURCE_FRAMES_MAX];
	size_t cnt;
	struct strbuf text; /* begins with a NUL: offset 0 is "" */
};

/** source_frames_clear - back to no frames; also makes a zeroed struct ready for use */
void source_frames_clear(struct source_frames *frames);
void source_frames_free(struct source_frames *frames);

/** source_frames_text - copy @len bytes of @text in; its offset, 0 for "" or without memory */
uint32_t source_frames_text(struct source_frames *frames, const char *text, size_t len);

/**
 * source_frames_add - append the next outer frame
 * When SOURCE_FRAMES_MAX are there it takes the place of the last one.
 */
void source_frames_add(struct source_frames *frames, const struct source_frame *frame);

/** source_frames_name, source_frames_filename - texts of frame @index; "" = unknown */
const char *source_frames_name(const struct source_frames *frames, size_t index);
const char *source_frames_filename(const struct source_frames *frames, size_t index);

#endif
