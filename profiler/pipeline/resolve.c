/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/pipeline/resolve.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "profiler/collect/sampler.h"
#include "profiler/base/cleanup.h"
#include "profiler/collect/return_address.h"
#include "profiler/pipeline/stacks.h"
#include "symbolizer/binary_code.h"
#include "symbolizer/process_code.h"
#include "symbolizer/symbolizer.h"

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

/* What each end is called; one with %s names the file of the outermost frame. */
static const char *const end_notes[STACK_END_CNT] = {
	[STACK_DEPTH] = "[truncated: depth]",
	[STACK_BROKEN] = "[no frame pointer: %s]",
	[STACK_UNREADABLE] = "[stack page not resident]",
	[STACK_COMPAT] = "[32-bit process]",
	[STACK_NO_INFO] = "[no unwind info: %s]",
	[STACK_EXPRESSION] = "[expression: %s]",
	[STACK_CORRUPT] = "[corrupt unwind info: %s]",
	[STACK_JIT] = "[jit without frame pointer]",
	[STACK_NOT_READY] = "[tables not ready]",
	[STACK_FULL] = "[unwind memory full: %s]",
	[STACK_CUT] = "[truncated: stack copy]",
	[STACK_EXEC] = "[truncated: exec]",
};

/* Why a walk that ended behind @outermost did not get further; NULL: it did. */
static const char *end_note(enum stack_end end, const struct location *outermost, char *text,
			    size_t size)
{
	const char *note = end_notes[end], *at = note ? strstr(note, "%s") : NULL;

	if (end == STACK_BROKEN && outermost->kind == LOCATION_JIT)
		return end_notes[STACK_JIT];
	if (!at)
		return note;
	snprintf(text, size, "%.*s%s%s", (int)(at - note), note,
		 outermost->mapping ? base_name(outermost->mapping->filename) : "unknown",
		 at + strlen("%s"));
	return text;
}

/* The leaf has no such bit, and may be in the legacy [vsyscall] page, at the end of all addresses. */
static uint64_t frame_address(const struct stack_body *body, size_t index)
{
	return index ? body->frames[index] & ~STACK_FRAME_IS_EXACT : body->frames[0];
}

static const struct location *resolve_frame(struct symbolizer *symbolizer, struct process *process,
					    const struct stack_body *body, size_t index)
{
	bool is_kernel = body->header.kind == BODY_KERNEL_STACK;
	bool is_exact = index == 0 ? body->leaf_is_exact :
				     !is_kernel && (body->frames[index] & STACK_FRAME_IS_EXACT);

	if (is_kernel)
		return symbolizer_kernel(symbolizer, body->frames[index], !is_exact);
	return symbolizer_user(symbolizer, process, body->header.time_ns,
			       frame_address(body, index), !is_exact);
}

/*
 * Was the code at frame @index mapped after the kernel had been told what is there?  Then the walk
 * went on from it, or ended there, by the rules of something else, in the fraction of a second until
 * it was told.
 */
static bool is_stale(const struct stack_body *body, const struct process *process, size_t index)
{
	struct code_region region;

	return process &&
	       process_find_code(process, frame_address(body, index), body->header.time_ns,
				 &region) &&
	       region.born_ns > body->mapped_ns;
}

/*
 * Is frame @index for certain no caller?  A frame pointer that points at data leads to any number
 * that lies there, and some are addresses of code.  Code that has no file cannot be looked at.
 */
static bool is_no_caller(const struct stack_body *body, const struct process *process, size_t index)
{
	uint64_t address = frame_address(body, index), in_file;
	struct code_region region;
	uint8_t before[8], after[8];

	if (!index || !body->unchecked || !process ||
	    !process_find_code(process, address, body->header.time_ns, &region) || !region.binary)
		return false;
	in_file = address - region.bias;
	return binary_read_code(region.binary, in_file - sizeof(before), before, sizeof(before)) &&
	       binary_read_code(region.binary, in_file, after, sizeof(after)) &&
	       !return_address_is_possible(before, after);
}

int resolve_stack(struct symbolizer *symbolizer, struct stacks *stacks,
		  const struct stack_body *body)
{
	const struct location *locations[STACK_FRAMES_MAX + 1];
	struct named_stack stack = {};
	enum stack_end end = MIN((enum stack_end)body->end, STACK_END_CNT - 1);
	struct process *process = NULL;
	const char *note = NULL;
	char text[300];
	size_t i, cnt = MIN((size_t)body->frame_cnt, (size_t)STACK_FRAMES_MAX);
	bool may_be_named = false;
	int err;

	if (body->header.kind == BODY_USER_STACK)
		process = symbolizer_process(symbolizer, (pid_t)body->tgid, body->header.time_ns);
	for (i = 0; i < cnt; i++) {
		locations[i] = resolve_frame(symbolizer, process, body, i);
		if (!locations[i])
			return -ENOMEM;
		may_be_named |= locations[i]->awaited ||
				(!locations[i]->named && (locations[i]->kind == LOCATION_JIT ||
							  locations[i]->kind == LOCATION_UNKNOWN));
		/* A caller outside all executable mappings is none, whatever stands before it. */
		if ((i > 0 && process && locations[i]->kind == LOCATION_UNKNOWN) ||
		    is_no_caller(body, process, i)) {
			cnt = i;
			end = STACK_BROKEN;
			break;
		}
		stack.frames++;
		stack.named += locations[i]->named;
		if (is_stale(body, process, i)) {
			cnt = i + 1;
			end = STACK_NOT_READY;
		}
	}
	if (cnt && !(locations[cnt - 1]->stack_bottom && end != STACK_DEPTH))
		note = end_note(end, locations[cnt - 1], text, sizeof(text));
	stack.cnt = (uint32_t)cnt;
	stack.complete = !note;
	if (note) {
		locations[cnt] = symbolizer_note(symbolizer, note);
		if (!locations[cnt])
			return -ENOMEM;
		stack.cnt++;
	}
	err = stacks_add(stacks, body->header.epoch, body->id, locations, &stack);
	return err ? err : may_be_named;
}
