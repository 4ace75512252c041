/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Go's frames.
 *
 * sp: each function has a table of pc-values that says how far sp is below where the call left it
 * (cmd/internal/obj/pcln.go, from the sizes of pushes and of `ADJSP`), so CFA = sp + delta + 8.  The
 * .debug_frame that Go's linker writes is made of the same table.
 *
 * fp: the compiler's functions with a frame save it right below the return address.  Up to Go 1.20
 * `sub $N,%rsp; mov %rbp,N-8(%rsp); lea N-8(%rsp),%rbp`: it is not saved yet for one instruction
 * after sp has changed, whose length follows from N.  From Go 1.21 on `push %rbp; mov %rsp,%rbp;
 * sub $N-8,%rsp`: it is saved as soon as sp has changed.  Which of the two a program has is seen from
 * the steps: only the second one has 8, and more three bytes later.  Functions written in assembler
 * do as they like; their code is looked at (frame_go_code.c).
 *
 * Functions that give sp another value say so by a flag, and their table means nothing from there
 * on.  Those of the runtime (systemstack, asmcgocall, cgocallback, nanotime1, ...) have a frame
 * pointer of their own across the other stack from Go 1.21 on, which leads back.  Where they have
 * none (systemstack and asmcgocall up to Go 1.20, morestack, gogo) the way back is in the goroutine
 * (g.sched), which nothing that we follow leads to: FRAME_EXPRESSION.  Leaving them by the caller's
 * frame pointer was the alternative, as profilers without tables do; it silently leaves out the
 * caller.  mcall never returns: behind its switch is the bottom of the scheduler's stack.
 *
 * Both tables are read whole, as a program's functions point all over the second one: 22 MB for
 * anthoscli, which has 121, 94 MB for terraform-provider-aws, which has 674; they are given back
 * when the rows are made.  A pread for each function was the alternative.
 */
#include "symbolizer/frame_go.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/byte_cursor.h"
#include "symbolizer/elf_private.h"
#include "symbolizer/frame_go_private.h"
#include "symbolizer/frame_table.h"
#include "symbolizer/gopclntab.h"
#include "symbolizer/gopclntab_private.h"

#define PADDING_MAX 64		  /* behind a function; belongs to it */
#define MOV_BP_BYTES 3		  /* mov %rsp,%rbp */
#define STYLE_FUNCTIONS_MAX 65536 /* looked at to learn which prologue a program has */
#define SPECIAL_NAME_MAX 24
#define SIGNAL_CONTEXT 40 /* of struct sigcontext in struct ucontext, which sp leads to */

#define FUNCTION_BYTES 44 /* runtime._func; Go 1.18 and 1.19 have one word less */
#define FLAGS_AT 41

/* ---- reading the tables --------------------------------------------------------------------- */

static bool parse_function(const struct frame_go *go, size_t index, struct go_frames *ret)
{
	const struct gopclntab *table = go->table;
	const struct go_entry *entry = &table->entries[index];
	size_t less = table->old ? sizeof(uint32_t) : 0, bytes = FUNCTION_BYTES - less;
	struct byte_cursor cursor;
	uint32_t offset;

	*ret = (struct go_frames){ .start = table->text + entry->offset,
				   .size = entry[1].offset - entry->offset };
	ret->extent = ret->size;
	if (entry->function > table->functions.bytes ||
	    bytes > table->functions.bytes - entry->function)
		return false;
	cursor = byte_cursor(go->functions + entry->function, bytes);
	offset = read_u32(&cursor);
	ret->name = read_u32(&cursor);
	skip_bytes(&cursor, 8); /* args, deferreturn */
	ret->steps = read_u32(&cursor);
	ret->flags = go->functions[entry->function + FLAGS_AT - less];
	/* Twice in the file: when they differ, this is no function. */
	return offset == entry->offset;
}

static inline bool read_varint(struct byte_cursor *cursor, uint32_t *ret)
{
	uint32_t value = 0;
	unsigned int shift;
	uint8_t byte;

	for (shift = 0; shift < 35 && cursor->at < cursor->end; shift += 7) {
		byte = *cursor->at++;
		value |= (uint32_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret = value;
			return true;
		}
	}
	return false;
}

static int add_step(struct frame_go *go, uint32_t at, int32_t delta)
{
	if (go->step_cnt == go->step_capacity) {
		size_t capacity = go->step_capacity ? go->step_capacity * 2 : 256;
		void *steps = realloc(go->steps, capacity * sizeof(*go->steps));

		if (!steps)
			return -ENOMEM;
		go->steps = steps;
		go->step_capacity = capacity;
	}
	go->steps[go->step_cnt++] = (struct go_step){ at, delta };
	return 0;
}

/*
 * As runtime.step(): pairs of (how the delta changes, zig-zag; for how much code it then holds).
 * Negative is what is left after the return address was popped (syscall.rawVforkSyscall).
 * Errors: -EINVAL broken; -EFBIG far too many in the file; -ENOMEM.
 */
static int read_steps(struct frame_go *go, struct go_frames *function)
{
	uint64_t total = go->table->pc_values.bytes, at = 0;
	struct byte_cursor cursor;
	uint32_t change, code, delta = UINT32_MAX;
	int ret;

	go->step_cnt = 0;
	if (function->steps >= total)
		return -EINVAL;
	cursor = byte_cursor(go->pc_values + function->steps, total - function->steps);
	while (at < function->size) {
		if (!read_varint(&cursor, &change))
			return -EINVAL;
		if (!change && at)
			break;
		if (!read_varint(&cursor, &code) || !code)
			return -EINVAL;
		delta += -(change & 1) ^ (change >> 1);
		if ((delta & 7) || (int32_t)delta < -8 || delta == INT32_MAX - 7u ||
		    go->step_cnt == GO_STEPS_MAX)
			return -EINVAL;
		if (!go->steps_left--) {
			go->steps_left = 0;
			return -EFBIG;
		}
		ret = add_step(go, (uint32_t)at, (int32_t)delta);
		if (ret)
			return ret;
		at += (uint64_t)code * GO_PC_QUANTUM;
	}
	if (function->size - MIN(at, function->size) >= PADDING_MAX)
		function->extent = (uint32_t)at;
	return 0;
}

/* ---- opening -------------------------------------------------------------------------------- */

static int load(struct frame_go *go, struct go_range range, uint8_t **ret)
{
	if (range.bytes > GO_TABLE_BYTES_MAX)
		return -EFBIG;
	*ret = malloc(MAX(range.bytes, 1u));
	if (!*ret)
		return -ENOMEM;
	return elf_read(go->table->elf, *ret, range.bytes, range.offset);
}

/* 1: it pushes the frame pointer; 0: it stores it; -1: it does not tell. */
static int style_of(const struct frame_go *go)
{
	const struct go_step *steps = go->steps;

	if (go->step_cnt < 3 || steps[0].delta || steps[1].delta < 8)
		return -1;
	if (steps[1].delta > 8)
		return 0;
	return steps[2].delta > 8 && steps[2].at - steps[1].at == MOV_BP_BYTES ? 1 : -1;
}

static int learn_style(struct frame_go *go)
{
	size_t i, cnt = MIN(go->table->cnt, (size_t)STYLE_FUNCTIONS_MAX);
	struct go_frames function;
	int ret, style = -1;

	for (i = 0; i < cnt && style < 0; i++) {
		if (!parse_function(go, i, &function) || !function.steps ||
		    (function.flags & GO_ASSEMBLER))
			continue;
		ret = read_steps(go, &function);
		if (ret && ret != -EINVAL)
			return ret;
		if (!ret)
			style = style_of(go);
	}
	go->pushes = style != 0;
	return 0;
}

static int find_restorer(struct frame_go *go)
{
	struct go_frames function;
	int found = 0;
	size_t i;

	go->restorer = SIZE_MAX;
	for (i = 0; i < go->table->cnt && !found; i++) {
		if (!parse_function(go, i, &function) || !function.size ||
		    !(function.flags & GO_ASSEMBLER))
			continue;
		found = go_code_restores_signal(go, function.start);
		if (found > 0)
			go->restorer = i;
	}
	return MIN(found, 0);
}

static int open_tables(struct frame_go *go, struct elf_file *elf)
{
	int ret;

#if !defined(__x86_64__)
	return -ENOTSUP;
#endif
	ret = gopclntab_open(elf, &go->table);
	if (!ret)
		ret = load(go, go->table->functions, &go->functions);
	if (!ret)
		ret = load(go, go->table->pc_values, &go->pc_values);
	if (ret)
		return ret;
	go->steps_left = GO_STEPS_ALL_MAX;
	go->code = calloc(1, sizeof(*go->code));
	if (!go->code)
		return -ENOMEM;
	ret = learn_style(go);
	return ret ? ret : find_restorer(go);
}

int frame_go_open(struct elf_file *elf, struct frame_go **ret)
{
	struct frame_go *go = calloc(1, sizeof(*go));
	int code;

	if (!go)
		return -ENOMEM;
	code = open_tables(go, elf);
	if (code) {
		frame_go_close(go);
		return code;
	}
	*ret = go;
	return 0;
}

void frame_go_close(struct frame_go *go)
{
	if (!go)
		return;
	gopclntab_close(go->table);
	free(go->functions);
	free(go->pc_values);
	free(go->steps);
	free(go->code);
	free(go);
}

size_t frame_go_cnt(const struct frame_go *go)
{
	return go->table->cnt;
}

/*
 * The kernel has signal handlers return to the first byte of the restorer.  Return addresses are
 * looked up one byte lower, so that this byte, padding of the function before, belongs to it.
 */
void frame_go_range(const struct frame_go *go, size_t index, uint64_t *ret_start, uint64_t *ret_end)
{
	const struct go_entry *entry = &go->table->entries[index];
	uint64_t start = go->table->text + entry->offset, end = go->table->text + entry[1].offset;

	if (index == go->restorer && index && entry->offset > entry[-1].offset)
		start--;
	if (index + 1 == go->restorer && end > start)
		end--;
	*ret_start = start;
	*ret_end = end;
}

/* ---- rules ---------------------------------------------------------------------------------- */

static struct frame_rule rule_of_kind(enum frame_cfa cfa)
{
	return (struct frame_rule){ .cfa = (uint8_t)cfa,
				    .cfa_offset = cfa == FRAME_SIGNAL ? SIGNAL_CONTEXT : 0 };
}

/* The rule at offset @at of a function, where the step is @step. */
static struct frame_rule rule_by_sp(const struct go_step *step, uint32_t at,
				    const struct go_saved *saved)
{
	struct frame_rule rule = {
		.cfa = FRAME_SP, .cfa_offset = step->delta + 8, .fp = FRAME_SAME, .bx = FRAME_LOST
	};

	if (saved->from != GO_NONE && at >= saved->from && step->delta >= saved->delta) {
		rule.fp = FRAME_AT_CFA;
		rule.fp_offset = saved->offset;
	}
	return rule;
}

static struct frame_rule rule_by_fp(const struct go_saved *saved)
{
	return (struct frame_rule){ .cfa = FRAME_FP,
				    .cfa_offset = -saved->offset,
				    .fp = FRAME_AT_CFA,
				    .fp_offset = saved->offset,
				    .bx = FRAME_LOST };
}

static int add_row(struct frame_builder *builder, const struct go_frames *function, uint32_t at,
		   struct frame_rule rule)
{
	return frame_builder_row(builder, function->start + at, &rule);
}

static uint32_t step_end(const struct frame_go *go, const struct go_frames *function, size_t index)
{
	return index + 1 < go->step_cnt ? go->steps[index + 1].at : function->extent;
}

/* ---- functions ------------------------------------------------------------------------------ */

/* How the compiler's functions save the frame pointer. */
static struct go_saved saved_by_compiler(const struct frame_go *go)
{
	struct go_saved saved = { .from = GO_NONE };
	const struct go_step *step;
	int32_t local;

	if (go->step_cnt < 2 || go->steps[1].delta < 8)
		return saved;
	step = &go->steps[1];
	local = step->delta - 8;
	saved = (struct go_saved){ step->at, GO_NONE, step->delta, -16, false };
	if (!go->pushes || local) /* mov %rbp,local(%rsp) */
		saved.from += local > INT8_MAX ? 8 : local ? 5 : 4;
	return saved;
}

/* Rows by sp of the steps up to @limit. */
static int add_rows_by_sp(const struct frame_go *go, const struct go_frames *function,
			  const struct go_saved *saved, uint32_t limit,
			  struct frame_builder *builder)
{
	size_t i;
	int ret = 0;

	for (i = 0; i < go->step_cnt && go->steps[i].at < limit && !ret; i++) {
		const struct go_step *step = &go->steps[i];

		ret = add_row(builder, function, step->at, rule_by_sp(step, step->at, saved));
		if (!ret && saved->from > step->at && saved->from < limit &&
		    saved->from < step_end(go, function, i))
			ret = add_row(builder, function, saved->from,
				      rule_by_sp(step, saved->from, saved));
	}
	return ret;
}

/* Bytes of `add $N,%rsp`, by which a frame of @delta bytes ends. */
static uint32_t leave_bytes(int32_t delta)
{
	return delta <= 128 ? 4 : 7; /* 128 is `sub $-128` */
}

/* Rows by fp where it leads to the frame, by sp before and behind. */
static int add_rows_by_fp(const struct frame_go *go, const struct go_frames *function,
			  const struct go_saved *saved, struct frame_builder *builder)
{
	size_t i;
	int ret;

	ret = add_rows_by_sp(go, function, saved, saved->points, builder);
	for (i = 0; i < go->step_cnt && !ret; i++) {
		const struct go_step *step = &go->steps[i];
		uint32_t end = step_end(go, function, i), at = MAX(step->at, saved->points);
		uint32_t leaves = leave_bytes(step->delta);

		if (end <= at)
			continue;
		if (step->delta < saved->delta) {
			ret = add_row(builder, function, at, rule_by_sp(step, at, saved));
			continue;
		}
		ret = add_row(builder, function, at, rule_by_fp(saved));
		/* Up to Go 1.20 fp is the caller's again when sp is not yet. */
		if (!ret && saved->pops_last && i + 1 < go->step_cnt && !step[1].delta &&
		    end - at > leaves)
			ret = add_row(builder, function, end - leaves,
				      rule_by_sp(step, end - leaves, saved));
	}
	return ret;
}

/* The name of a function, cut. */
static void read_name(struct frame_go *go, const struct go_frames *function,
		      char name[SPECIAL_NAME_MAX + 1])
{
	struct go_range names = go->table->names;
	uint64_t left = names.bytes > function->name ? names.bytes - function->name : 0;
	size_t len = MIN(left, (uint64_t)SPECIAL_NAME_MAX);

	memset(name, 0, SPECIAL_NAME_MAX + 1);
	if (!go_read(go->table, names, function->name, name, len))
		name[0] = '\0';
}

static bool starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

/*
 * A function that goes to another stack.  Only of the runtime's do we know that their frame pointer
 * is left alone meanwhile; time.now is a copy of nanotime1.
 */
static int add_switching(struct frame_go *go, const struct go_frames *function, const char *name,
			 const struct go_saved *saved, struct frame_builder *builder)
{
	bool is_mcall = strcmp(name, "runtime.mcall") == 0;
	uint32_t other;
	int ret;

	ret = go_code_sp_write(go, function, &other);
	if (ret)
		return ret;
	if (other == GO_NONE)
		return add_row(builder, function, 0, rule_of_kind(FRAME_EXPRESSION));
	if (!is_mcall && saved->from != GO_NONE && saved->points <= other &&
	    (starts_with(name, "runtime.") || strcmp(name, "time.now") == 0))
		return add_rows_by_fp(go, function, saved, builder);
	ret = add_rows_by_sp(go, function, saved, other, builder);
	if (!ret && other < function->extent)
		ret = add_row(builder, function, other,
			      rule_of_kind(is_mcall ? FRAME_BOTTOM : FRAME_EXPRESSION));
	return ret;
}

/*
 * Where tracebacks end for the runtime too; but not at signal handlers, behind which is what was
 * interrupted.  The kernel starts programs at the first two names.
 */
static bool is_bottom(const struct go_frames *function, const char *name)
{
	return strcmp(name, "_rt0_amd64_linux") == 0 || strcmp(name, "_rt0_amd64") == 0 ||
	       ((function->flags & GO_TOP_FRAME) && strcmp(name, "runtime.sigtramp") != 0);
}

static int add_assembler(struct frame_go *go, const struct go_frames *function,
			 struct frame_builder *builder)
{
	char name[SPECIAL_NAME_MAX + 1];
	struct go_saved saved;
	int ret;

	read_name(go, function, name);
	if (is_bottom(function, name))
		return add_row(builder, function, 0, rule_of_kind(FRAME_BOTTOM));
	ret = go_code_saved(go, function, &saved);
	if (ret)
		return ret;
	if (function->flags & GO_WRITES_SP)
		return add_switching(go, function, name, &saved, builder);
	return add_rows_by_sp(go, function, &saved, function->extent, builder);
}

int frame_go_emit(struct frame_go *go, size_t index, struct frame_builder *builder)
{
	struct frame_rule signal = rule_of_kind(FRAME_SIGNAL);
	struct go_frames function;
	struct go_saved saved;
	uint64_t start, end;
	int code = 0, ret;

	if (!parse_function(go, index, &function))
		code = -EINVAL;
	else if (function.steps)
		code = read_steps(go, &function);
	else if (index != go->restorer)
		return 0;
	frame_go_range(go, index, &start, &end);
	if (code && code != -EINVAL)
		return code;
	if (end <= start)
		return 0;
	function.extent = (uint32_t)MIN(function.extent, end - function.start);
	end = function.start + function.extent;
	ret = frame_builder_begin(builder, start, end);
	if (ret)
		return ret;
	if (index == go->restorer)
		return frame_builder_row(builder, start, &signal);
	if (code)
		return add_row(builder, &function, 0, rule_of_kind(FRAME_CORRUPT));
	if (function.flags & (GO_ASSEMBLER | GO_TOP_FRAME | GO_WRITES_SP))
		return add_assembler(go, &function, builder);
	saved = saved_by_compiler(go);
	return add_rows_by_sp(go, &function, &saved, function.extent, builder);
}
