/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Look-ups in Go's tables.
 *
 * What the runtime does for a traceback, on the file in place of memory: the last function whose
 * entry is not behind the address; its pc-values for file and line; and the inline tree, climbed
 * as runtime.inlineUnwinder does.  A table of pc-values says which call of the tree the address
 * was inlined by.  That call names the function that was inlined and an instruction (parentPc)
 * of its caller, which stands for the place of the call: asking all three tables again there
 * gives the caller's line and what the caller itself was inlined by.
 *
 * Only the sorted entries are kept, eight bytes a function; everything else is read when it is
 * asked for.  Keeping the whole table was the alternative: 10 to 60 MB for the programs that are
 * profiled most (kubelet, dockerd, cmd/compile), of which a profile touches some hundred
 * functions.
 *
 * Wrappers that the compiler generates (funcID wrapper) are reported as any function.  The
 * runtime leaves them out of tracebacks where they only call the wrapped function, yet time is
 * spent in them, DWARF has them, and a stack's frames must not depend on which of the two was
 * there to name them.
 *
 * Where the file is broken in a way that shows, less is said (no line, no inlined calls), never
 * something made up from other bytes of the file.
 */
#include "symbolizer/gopclntab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/strbuf.h"
#include "symbolizer/elf_private.h"
#include "symbolizer/gopclntab_private.h"
#include "symbolizer/source_frames.h"

#define INLINE_DEPTH_MAX 1024 /* calls inlined into one another; beyond it a file is broken */

/* ---- opening -------------------------------------------------------------------------------- */

/* runtime.moduledataverify1() is as strict. */
static int load_entries(struct gopclntab *table)
{
	size_t i, bytes = table->cnt * sizeof(struct go_entry);
	struct go_entry *entries;
	int ret;

	entries = table->entries = calloc(table->cnt + 1, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	/* Of the last one the file has only half. */
	ret = elf_read(table->elf, entries, bytes + sizeof(entries->offset),
		       table->functions.offset);
	if (ret)
		return ret;
	for (i = 0; i < table->cnt; i++) {
		if (entries[i].offset > entries[i + 1].offset ||
		    entries[i].function >= table->functions.bytes)
			return -ENOEXEC;
	}
	return 0;
}

static void closep(struct gopclntab **table)
{
	gopclntab_close(*table);
}

int gopclntab_open(struct elf_file *elf, struct gopclntab **ret)
{
	_cleanup_(closep) struct gopclntab *table = calloc(1, sizeof(*table));
	int code;

	if (!table)
		return -ENOMEM;
	table->elf = elf;
	table->scan_left = GO_SCAN_BYTES_MAX;
	code = go_locate_table(table);
	if (code)
		return code;
	code = load_entries(table);
	if (code)
		return code;
	table->blocks = calloc(1, sizeof(*table->blocks));
	if (!table->blocks)
		return -ENOMEM;
	code = go_locate_module(table);
	if (code)
		return code;
	*ret = TAKE_PTR(table);
	return 0;
}

void gopclntab_close(struct gopclntab *table)
{
	if (!table)
		return;
	free(table->entries);
	free(table->blocks);
	strbuf_free(&table->scratch);
	free(table);
}

bool gopclntab_has_inlines(const struct gopclntab *table)
{
	return table->inline_data.bytes;
}

size_t gopclntab_functions(const struct gopclntab *table)
{
	return table->cnt;
}

size_t gopclntab_bytes(const struct gopclntab *table)
{
	return sizeof(*table) + sizeof(*table->blocks) + table->scratch.capacity +
	       (table->cnt + 1) * sizeof(*table->entries);
}

/* ---- texts ---------------------------------------------------------------------------------- */

/*
 * As runtime.funcNameForPrint(): of what stands in brackets, which are type arguments that the
 * compiler made up (main.Map[go.shape.int]), "..." is left.  Up to Go 1.20 names are in the file
 * like this.  It is done to the length of an array too (type:.eq.[8]int), there as here.
 */
static void hide_type_arguments(struct strbuf *name)
{
	static const char hidden[] = "...";
	const size_t len = sizeof(hidden) - 1;
	size_t open, close;

	if (!strbuf_reserve(name, len))
		return;
	open = (size_t)(strchrnul(name->text, '[') - name->text);
	for (close = name->len; close > open && name->text[close] != ']'; close--)
		;
	if (close == open)
		return;
	memmove(name->text + open + 1 + len, name->text + close, name->len + 1 - close);
	memcpy(name->text + open + 1, hidden, len);
	name->len -= close - open - 1;
	name->len += len;
}

/* The first function's name is at 0; the runtime takes that for none, and we need not. */
static uint32_t add_name(struct gopclntab *table, uint32_t at, struct source_frames *frames)
{
	struct strbuf *name = &table->scratch;

	strbuf_clear(name);
	if (!go_read_string(table, table->names, at, name) || !name->len)
		return 0;
	hide_type_arguments(name);
	if (name->failed)
		return 0;
	return source_frames_text(frames, name->text, name->len);
}

static uint32_t add_filename(struct gopclntab *table, const struct go_function *function,
			     int32_t index, struct source_frames *frames)
{
	uint64_t at = ((uint64_t)function->first_file + (uint32_t)index) * sizeof(uint32_t);
	struct strbuf *name = &table->scratch;
	uint32_t offset; /* UINT32_MAX: the linker left this file out */

	strbuf_clear(name);
	if (!go_read(table, table->filename_offsets, at, &offset, sizeof(offset)) ||
	    !go_read_string(table, table->filenames, offset, name))
		return 0;
	return source_frames_text(frames, name->text, name->len);
}

/* ---- looking up ----------------------------------------------------------------------------- */

/* File and line at @target; as runtime.funcline1(), both or none. */
static void set_position(struct gopclntab *table, const struct go_function *function,
			 uint64_t target, struct source_frame *frame, struct source_frames *frames)
{
	int32_t file = go_pc_value(table, function->files, target);
	int32_t line = go_pc_value(table, function->lines, target);

	if (file < 0 || line < 0)
		return;
	frame->filename = add_filename(table, function, file, frames);
	frame->line = frame->filename ? (uint32_t)line : 0;
}

/* Append what was inlined at *@target, which then is where it was inlined; false: nothing was. */
static bool add_inlined(struct gopclntab *table, const struct go_function *function,
			uint64_t *target, struct source_frames *frames)
{
	int32_t index = go_pc_value(table, function->inlines, *target);
	struct source_frame frame = {};
	struct go_call call;

	if (index < 0 || !go_read_call(table, table->inline_data, function, index, &call) ||
	    call.parent >= function->size)
		return false;
	frame.name = add_name(table, call.name, frames);
	if (!frame.name)
		return false;
	frame.start_line = call.start_line;
	set_position(table, function, *target, &frame, frames);
	source_frames_add(frames, &frame);
	*target = call.parent;
	return true;
}

/* The last entry that is not behind @offset; entries of no bytes are passed over. */
static size_t find_entry(const struct gopclntab *table, uint64_t offset)
{
	size_t low = 0, high = table->cnt;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (table->entries[middle].offset <= offset)
			low = middle;
		else
			high = middle;
	}
	return low;
}

bool gopclntab_find(struct gopclntab *table, uint64_t address, struct source_frames *frames)
{
	uint64_t offset = address - table->text, target;
	struct source_frame outermost = {};
	struct go_function function;
	unsigned int depth;

	if (offset < table->entries[0].offset || offset >= table->entries[table->cnt].offset ||
	    !go_read_function(table, find_entry(table, offset), &function))
		return false;
	outermost.name = add_name(table, function.name, frames);
	if (!outermost.name)
		return false;
	table->steps_left = GO_PC_STEPS_MAX;
	target = offset - function.offset;
	if (gopclntab_has_inlines(table) && function.tree != UINT32_MAX) {
		for (depth = 0; depth < INLINE_DEPTH_MAX; depth++) {
			if (!add_inlined(table, &function, &target, frames))
				break;
		}
	}
	outermost.start_line = function.start_line;
	set_position(table, &function, target, &outermost, frames);
	source_frames_add(frames, &outermost);
	return true;
}
