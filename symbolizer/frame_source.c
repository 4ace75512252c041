/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Joining what a file tells of frames into one table.
 *
 * Sources, the better ones first: the bottom of contexts (frame_context.c); .eh_frame, which the
 * program itself unwinds by when it throws; Go's pclntab, which Go's runtime unwinds by;
 * .debug_frame, which only debuggers read; stubs that the linker left untold (frame_stubs.c); the
 * entry point.  Each gives its functions by ascending address without overlaps, and a sweep over all
 * of them hands each address to the best source that covers it: a function of a lesser one is cut
 * where a better one begins.  One array of all ranges, sorted, was the alternative: 24 bytes a
 * function more, and sorted already.
 *
 * .debug_frame is not read in Go programs: it says what the pclntab says, compressed, in megabytes.
 *
 * Whether a file has frames that are based on rbx is known when one was met.  Then everything is
 * built a second time, with rules that keep track of it: that costs the few files that have some
 * (the dynamic loader is one) twice the time, and all others nothing.
 */
#include "symbolizer/frame_source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/ehframe.h"
#include "symbolizer/elf.h"
#include "symbolizer/frame_go.h"
#include "symbolizer/frame_source_private.h"
#include "symbolizer/frame_table.h"
#include "symbolizer/section.h"

/* Of a start routine, whose length nothing tells: glibc's, the longest, calls up to its 48th. */
#define ENTRY_BYTES 48
#define PIECES_MAX 8 /* of one function, between better ones; the rest of it is left out */

enum source {
	SOURCE_CONTEXT,
	SOURCE_EH,
	SOURCE_GO,
	SOURCE_DEBUG,
	SOURCE_STUBS,
	SOURCE_ENTRY,
	SOURCE_CNT,
};

struct sources {
	struct section eh_section, debug_section;
	struct ehframe *eh, *debug;
	struct frame_go *go;
	struct frame_stubs stubs;
	uint64_t entry, context;
	size_t cnt[SOURCE_CNT]; /* functions of each */
};

/* The next function of a source, of which [start, end) is not passed yet. */
struct next {
	size_t index;
	uint64_t start, end;
	unsigned int pieces;
};

static void close_sources(struct sources *sources)
{
	ehframe_close(sources->eh);
	ehframe_close(sources->debug);
	frame_go_close(sources->go);
	section_close(&sources->eh_section);
	section_close(&sources->debug_section);
}

/* ---- opening ---- */

static int open_frames(struct elf_file *elf, struct section *section, enum ehframe_form form,
		       bool ends_at_terminator, struct ehframe **ret)
{
	struct ehframe_section frames = { .form = form, .ends_at_terminator = ends_at_terminator };
	int code;

	if (section->size > EHFRAME_BYTES_MAX)
		return -EFBIG;
	code = section_load(section);
	if (code)
		return code;
	frames.bytes = section->bytes;
	frames.size = section->size;
	frames.address = section->address;
	frames.segment_cnt = elf_file_segments(elf, &frames.segments);
	return ehframe_open(&frames, ret);
}

static bool is_broken(int code)
{
	return code == -ENOENT || code == -ENOEXEC || code == -ENOTSUP;
}

static int open_eh(struct elf_file *elf, struct sources *sources)
{
	bool ends_at_terminator = false;
	int ret;

	ret = section_open(elf, ".eh_frame", &sources->eh_section);
	if (is_broken(ret))
		ret = frame_section_of_header(elf, &sources->eh_section, &ends_at_terminator);
	if (!ret)
		ret = open_frames(elf, &sources->eh_section, EHFRAME_EH, ends_at_terminator,
				  &sources->eh);
	return is_broken(ret) ? 0 : ret;
}

/* Too large a one is left out: .eh_frame has what matters. */
static int open_debug(struct elf_file *elf, struct sources *sources)
{
	int ret;

	ret = section_open_debug(elf, ".debug_frame", &sources->debug_section);
	if (!ret)
		ret = open_frames(elf, &sources->debug_section, EHFRAME_DEBUG, false,
				  &sources->debug);
	return is_broken(ret) || ret == -EFBIG ? 0 : ret;
}

static int open_go(struct elf_file *elf, struct sources *sources)
{
	int ret = frame_go_open(elf, &sources->go);

	return is_broken(ret) || ret == -ENODATA ? 0 : ret;
}

static void find_entry(struct elf_file *elf, struct sources *sources)
{
	uint64_t entry = elf_file_entry(elf);
	const struct elf_segment *segments;
	size_t i, cnt = elf_file_segments(elf, &segments);

	if (!elf_file_starts(elf))
		return;
	for (i = 0; i < cnt; i++) {
		if (segments[i].executable && entry >= segments[i].vaddr &&
		    entry - segments[i].vaddr < segments[i].memsz) {
			sources->entry = entry;
			sources->cnt[SOURCE_ENTRY] = 1;
		}
	}
}

static int open_sources(struct elf_file *elf, struct sources *sources)
{
	int ret;

	ret = open_eh(elf, sources);
	if (!ret)
		ret = open_go(elf, sources);
	if (!ret && !sources->go)
		ret = open_debug(elf, sources);
	if (!ret)
		ret = frame_stubs_open(elf, &sources->stubs);
	if (!ret)
		ret = frame_context_find(elf, &sources->context);
	if (ret)
		return ret;
	sources->cnt[SOURCE_CONTEXT] = sources->context != 0;
	find_entry(elf, sources);
	sources->cnt[SOURCE_STUBS] = sources->stubs.cnt;
	sources->cnt[SOURCE_EH] = sources->eh ? ehframe_cnt(sources->eh) : 0;
	sources->cnt[SOURCE_GO] = sources->go ? frame_go_cnt(sources->go) : 0;
	sources->cnt[SOURCE_DEBUG] = sources->debug ? ehframe_cnt(sources->debug) : 0;
	return 0;
}

/* ---- the sweep ---- */

static void range_of(const struct sources *sources, enum source source, struct next *next)
{
	switch (source) {
	case SOURCE_CONTEXT:
		/* From one byte before, where callers are looked up. */
		next->start = sources->context - 1;
		next->end = sources->context + 1;
		break;
	case SOURCE_EH:
		ehframe_range(sources->eh, next->index, &next->start, &next->end);
		break;
	case SOURCE_GO:
		frame_go_range(sources->go, next->index, &next->start, &next->end);
		break;
	case SOURCE_DEBUG:
		ehframe_range(sources->debug, next->index, &next->start, &next->end);
		break;
	case SOURCE_STUBS:
		frame_stubs_range(&sources->stubs, next->index, &next->start, &next->end);
		break;
	default:
		next->start = sources->entry;
		next->end = sources->entry + ENTRY_BYTES;
	}
}

/* @begins: it is returned to at its first instruction, see enum unwind_cfa */
static int emit_bottom(uint64_t start, uint64_t end, bool begins, struct frame_builder *builder)
{
	const struct frame_rule bottom = { .cfa = FRAME_BOTTOM, .reg = begins };
	int ret;

	ret = frame_builder_begin(builder, start, end);
	return ret ? ret : frame_builder_row(builder, start, &bottom);
}

static int emit(struct sources *sources, enum source source, size_t index,
		struct frame_builder *builder)
{
	switch (source) {
	case SOURCE_CONTEXT:
		return emit_bottom(sources->context - 1, sources->context + 1, true, builder);
	case SOURCE_EH:
		return ehframe_emit(sources->eh, index, builder);
	case SOURCE_GO:
		return frame_go_emit(sources->go, index, builder);
	case SOURCE_DEBUG:
		return ehframe_emit(sources->debug, index, builder);
	case SOURCE_STUBS:
		return frame_stubs_emit(&sources->stubs, index, builder);
	default:
		return emit_bottom(sources->entry, sources->entry + ENTRY_BYTES, false, builder);
	}
}

/* Moves on to the first function that reaches beyond @at.  A start is none when it was passed. */
static void skip_passed(const struct sources *sources, enum source source, uint64_t at,
			struct next *next)
{
	while (next->index < sources->cnt[source] &&
	       (next->end <= at || next->pieces == PIECES_MAX ||
		(source == SOURCE_ENTRY && next->start < at))) {
		next->pieces = 0;
		if (++next->index < sources->cnt[source])
			range_of(sources, source, next);
	}
}

/* The source whose function comes first from @at on; SOURCE_CNT: none does. */
static enum source choose(const struct sources *sources, const struct next *next, uint64_t at,
			  uint64_t *ret_start, uint64_t *ret_end)
{
	enum source best = SOURCE_CNT, i;
	uint64_t start;

	*ret_start = UINT64_MAX;
	for (i = 0; i < SOURCE_CNT; i++) {
		if (next[i].index >= sources->cnt[i])
			continue;
		start = MAX(next[i].start, at);
		if (start >= *ret_start)
			continue;
		best = i;
		*ret_start = start;
	}
	if (best == SOURCE_CNT)
		return best;
	*ret_end = next[best].end;
	for (i = 0; i < best; i++) {
		if (next[i].index < sources->cnt[i] && next[i].start < *ret_end)
			*ret_end = next[i].start;
	}
	return best;
}

static int sweep(struct sources *sources, struct frame_builder *builder)
{
	struct next next[SOURCE_CNT] = {};
	uint64_t at = 0, start, end;
	enum source i;
	int ret;

	for (i = 0; i < SOURCE_CNT; i++) {
		if (sources->cnt[i])
			range_of(sources, i, &next[i]);
	}
	for (;; at = end) {
		for (i = 0; i < SOURCE_CNT; i++)
			skip_passed(sources, i, at, &next[i]);
		i = choose(sources, next, at, &start, &end);
		if (i == SOURCE_CNT)
			return 0;
		next[i].pieces++;
		frame_builder_window(builder, start, end);
		ret = emit(sources, i, next[i].index, builder);
		if (ret)
			return ret;
	}
}

/* ---- building ---- */

static void take_counts(struct frame_census *census, const struct ehframe *frames)
{
	struct ehframe_counts counts;

	if (!frames)
		return;
	ehframe_counts(frames, &counts);
	census->expression_cfa += counts.expression_cfa;
	census->expression_return_address += counts.expression_return_address;
	census->expression_register += counts.expression_register;
	census->corrupt += counts.corrupt;
	census->overlapping += counts.overlapping;
}

static void take_census(const struct sources *sources, const struct frame_builder *builder,
			struct frame_census *ret)
{
	struct frame_builder_counts counts;

	*ret = (struct frame_census){
		.eh_functions = (uint32_t)sources->cnt[SOURCE_EH],
		.debug_functions = (uint32_t)sources->cnt[SOURCE_DEBUG],
		.go_functions = (uint32_t)sources->cnt[SOURCE_GO],
	};
	frame_builder_counts(builder, &counts);
	ret->rows_met = counts.rows_met;
	ret->rows = counts.rows;
	ret->rules = counts.rules;
	ret->pages = counts.pages;
	ret->rule_overflow = counts.rule_overflow;
	ret->overlapping = counts.overlapping;
	take_counts(ret, sources->eh);
	take_counts(ret, sources->debug);
	ret->expressions = ret->expression_cfa + ret->expression_return_address +
			   ret->expression_register + ret->rule_overflow;
}

static bool met_bx(const struct sources *sources)
{
	return (sources->eh && ehframe_met_bx(sources->eh)) ||
	       (sources->debug && ehframe_met_bx(sources->debug));
}

static void track_bx(struct sources *sources)
{
	if (sources->eh)
		ehframe_track_bx(sources->eh);
	if (sources->debug)
		ehframe_track_bx(sources->debug);
}

static int build(struct sources *sources, struct frame_builder **ret)
{
	_cleanup_(frame_builder_freep) struct frame_builder *builder = NULL;
	int code;

	code = frame_builder_new(&builder);
	if (!code)
		code = sweep(sources, builder);
	if (!code)
		*ret = TAKE_PTR(builder);
	return code;
}

static bool has_functions(const struct sources *sources)
{
	size_t i;

	for (i = 0; i < SOURCE_CNT; i++) {
		if (sources->cnt[i])
			return true;
	}
	return false;
}

int frame_source_build(struct elf_file *elf, void **ret_bytes, size_t *ret_size,
		       struct frame_census *ret_census)
{
	_cleanup_(frame_builder_freep) struct frame_builder *builder = NULL;
	_cleanup_(close_sources) struct sources sources = {};
	int ret;

#ifndef __x86_64__
	return -ENOTSUP;
#endif
	ret = open_sources(elf, &sources);
	if (!ret && !has_functions(&sources))
		ret = -ENODATA;
	if (!ret)
		ret = build(&sources, &builder);
	if (!ret && met_bx(&sources)) {
		frame_builder_freep(&builder);
		builder = NULL;
		track_bx(&sources);
		ret = build(&sources, &builder);
	}
	if (!ret)
		ret = frame_builder_finish(builder, ret_bytes, ret_size);
	if (!ret && ret_census)
		take_census(&sources, builder, ret_census);
	return ret;
}
