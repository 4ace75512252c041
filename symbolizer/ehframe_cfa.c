/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Call frame instructions, run to rows.
 *
 * Of the table that DWARF describes only the columns are kept that a walk by sp and rbp needs: the
 * CFA, the return address, rbp, sp, and rbx.  A state is 88 bytes, so that remembering one is a
 * copy, on a stack of fixed depth.  Rows are handed on as they come up; nothing is collected.
 * Keeping all 17 columns, as an unwinder for exceptions must, was the alternative: it costs three
 * times the time and none of it would reach a rule.
 *
 * Where instructions contradict themselves, what came before them stands, and from there to the
 * function's end the rule is FRAME_CORRUPT: what came before is what each other tool would use too.
 *
 * Bounded: each instruction moves on in the bytes; locations beyond the function's end end it.
 * Source: DWARF 5 section 6.4.2; LSB 5.0 and gcc's unwind-dw2.c for the GNU ones.
 */
#include <string.h>

#include "symbolizer/ehframe_private.h"
#include "symbolizer/frame_table.h"

#define REMEMBERED_MAX 32 /* compilers: 1 or 2 */

/* Where the parts of Linux' struct sigcontext stand (asm/sigcontext.h). */
#define SIGCONTEXT_FP 80
#define SIGCONTEXT_SP 120
#define SIGCONTEXT_IP 128

/* The high two bits of an instruction; the rest is its operand. */
enum {
	DW_CFA_advance_loc = 0x40,
	DW_CFA_offset = 0x80,
	DW_CFA_restore = 0xc0,
};

enum {
	DW_CFA_nop = 0x00,
	DW_CFA_set_loc = 0x01,
	DW_CFA_advance_loc1 = 0x02,
	DW_CFA_advance_loc2 = 0x03,
	DW_CFA_advance_loc4 = 0x04,
	DW_CFA_offset_extended = 0x05,
	DW_CFA_restore_extended = 0x06,
	DW_CFA_undefined = 0x07,
	DW_CFA_same_value = 0x08,
	DW_CFA_register = 0x09,
	DW_CFA_remember_state = 0x0a,
	DW_CFA_restore_state = 0x0b,
	DW_CFA_def_cfa = 0x0c,
	DW_CFA_def_cfa_register = 0x0d,
	DW_CFA_def_cfa_offset = 0x0e,
	DW_CFA_def_cfa_expression = 0x0f,
	DW_CFA_expression = 0x10,
	DW_CFA_offset_extended_sf = 0x11,
	DW_CFA_def_cfa_sf = 0x12,
	DW_CFA_def_cfa_offset_sf = 0x13,
	DW_CFA_val_offset = 0x14,
	DW_CFA_val_offset_sf = 0x15,
	DW_CFA_val_expression = 0x16,
	DW_CFA_GNU_args_size = 0x2e,
	DW_CFA_GNU_negative_offset_extended = 0x2f,
};

struct cfa_run {
	struct ehframe *frames; /* NULL for a CIE's instructions */
	const struct ehframe_cie *cie;
	struct frame_builder *builder;
	struct byte_cursor at;
	uint64_t location, end;
	int error;	  /* of the builder */
	bool contradicts; /* itself, or the format */
	unsigned int depth;
	struct cfa_state state;
	struct cfa_state remembered[REMEMBERED_MAX]; /* [depth] */
};

/* ---- from a state to a rule ---- */

static bool fits_i16(int64_t value)
{
	return value == (int16_t)value;
}

static bool fits_i32(int64_t value)
{
	return value == (int32_t)value;
}

/* Where a register is saved, in the terms of rules; false: in a way that we do not follow. */
static bool saved_of(const struct register_state *saved, const struct frame_rule *rule,
		     uint8_t *ret, int16_t *ret_offset)
{
	int64_t offset = saved->offset;
	uint8_t place = saved->place;

	if (place == PLACE_AT_REGISTER && saved->reg == REGISTER_SP &&
	    (rule->cfa == FRAME_SP || rule->cfa == FRAME_SP_RETURN) &&
	    !__builtin_sub_overflow(offset, rule->cfa_offset, &offset))
		place = PLACE_AT_CFA;
	if (place == PLACE_UNSET || place == PLACE_SAME) {
		*ret = FRAME_SAME;
		return true;
	}
	*ret = FRAME_LOST;
	if (place == PLACE_UNDEFINED)
		return true;
	if (!fits_i16(offset))
		return false;
	if (place == PLACE_AT_CFA)
		*ret = FRAME_AT_CFA;
	else if (place == PLACE_AT_REGISTER && saved->reg == REGISTER_FP)
		*ret = FRAME_AT_FP;
	else
		return false;
	*ret_offset = (int16_t)offset;
	return true;
}

/*
 * The frame that the kernel makes for a signal's handler, as C libraries describe it: each register
 * at its place in a struct sigcontext.  What the walk will read is checked, not the other 13.
 */
static bool is_signal(const struct cfa_state *state, int64_t *ret_offset)
{
	const struct register_state *ip = &state->return_address, *fp = &state->fp;
	int64_t base;

	if (ip->place != PLACE_AT_REGISTER || ip->reg != REGISTER_SP || !fits_i16(ip->offset))
		return false;
	base = ip->offset - SIGCONTEXT_IP;
	*ret_offset = base;
	return state->cfa.kind == VALUE_MEMORY && state->cfa.reg == REGISTER_SP &&
	       state->cfa.offset == base + SIGCONTEXT_SP && !state->cfa.add &&
	       fp->place == PLACE_AT_REGISTER && fp->reg == REGISTER_SP &&
	       fp->offset == base + SIGCONTEXT_FP;
}

static uint8_t kind_of_register(struct cfa_run *run, uint8_t reg)
{
	if (reg == REGISTER_SP)
		return FRAME_SP;
	if (reg == REGISTER_FP)
		return FRAME_FP;
	if (reg != REGISTER_BX)
		return FRAME_REGISTER;
	run->frames->met_bx = true;
	return run->frames->track_bx ? FRAME_BX : FRAME_REGISTER;
}

/* False: in a way that we do not follow. */
static bool set_cfa(struct cfa_run *run, const struct frame_value *cfa, struct frame_rule *rule)
{
	if (!fits_i32(cfa->offset) || !fits_i32(cfa->add))
		return false;
	rule->cfa_offset = (int32_t)cfa->offset;
	rule->cfa_add = (int32_t)cfa->add;
	if (cfa->kind == VALUE_PLT) {
		rule->cfa = FRAME_PLT;
		return true;
	}
	if (cfa->kind == VALUE_REGISTER && cfa->reg < REGISTER_RETURN) {
		rule->cfa = kind_of_register(run, cfa->reg);
		rule->reg = rule->cfa == FRAME_REGISTER ? cfa->reg : 0;
		return true;
	}
	if (cfa->kind != VALUE_MEMORY)
		return false;
	rule->cfa = cfa->reg == REGISTER_SP ? FRAME_SP_DEREF : FRAME_FP_DEREF;
	return cfa->reg == REGISTER_SP || cfa->reg == REGISTER_FP;
}

static struct frame_rule not_followed(uint32_t *count)
{
	++*count;
	return (struct frame_rule){ .cfa = FRAME_EXPRESSION };
}

/* Below the CFA, or in a register while the CFA is found by sp. */
static bool return_address_is_followed(const struct cfa_state *state)
{
	const struct register_state *at = &state->return_address;

	if (at->place == PLACE_REGISTER)
		return state->cfa.kind == VALUE_REGISTER && state->cfa.reg == REGISTER_SP;
	return at->place == PLACE_AT_CFA && at->offset == -8;
}

static struct frame_rule rule_of(struct cfa_run *run)
{
	struct ehframe_counts *counts = &run->frames->counts;
	const struct cfa_state *state = &run->state;
	struct frame_rule rule = { .bx = FRAME_LOST };
	int64_t offset;

	if (state->return_address.place == PLACE_UNDEFINED)
		return (struct frame_rule){ .cfa = FRAME_BOTTOM };
	if (is_signal(state, &offset))
		return (struct frame_rule){ .cfa = FRAME_SIGNAL, .cfa_offset = (int32_t)offset };
	if (!return_address_is_followed(state))
		return not_followed(&counts->expression_return_address);
	if (state->sp.place != PLACE_UNSET && (state->sp.place != PLACE_IS_CFA || state->sp.offset))
		return not_followed(&counts->expression_register);
	if (state->cfa.kind == VALUE_NONE) {
		run->contradicts = true;
		return (struct frame_rule){ .cfa = FRAME_CORRUPT };
	}
	if (!set_cfa(run, &state->cfa, &rule))
		return not_followed(&counts->expression_cfa);
	if (state->return_address.place == PLACE_REGISTER) {
		rule.cfa = FRAME_SP_RETURN;
		rule.reg = state->return_address.reg;
	}
	if (!saved_of(&state->fp, &rule, &rule.fp, &rule.fp_offset))
		counts->expression_register++;
	if (run->frames->track_bx && !saved_of(&state->bx, &rule, &rule.bx, &rule.bx_offset))
		counts->expression_register++;
	return rule;
}

/* ---- instructions ---- */

static struct register_state *column(struct cfa_state *state, uint64_t reg)
{
	switch (reg) {
	case REGISTER_BX:
		return &state->bx;
	case REGISTER_FP:
		return &state->fp;
	case REGISTER_SP:
		return &state->sp;
	case REGISTER_RETURN:
		return &state->return_address;
	default:
		return NULL;
	}
}

static void set_place(struct cfa_run *run, uint64_t reg, enum register_place place, int64_t offset)
{
	struct register_state *at = column(&run->state, reg);

	if (at)
		*at = (struct register_state){ .place = (uint8_t)place, .offset = offset };
}

static bool set_factored(struct cfa_run *run, uint64_t reg, enum register_place place,
			 int64_t factored)
{
	int64_t offset;

	if (__builtin_mul_overflow(factored, run->cie->data_alignment, &offset))
		return false;
	set_place(run, reg, place, offset);
	return true;
}

/* Back to what the CIE says; in the CIE itself to nothing. */
static void restore(struct cfa_run *run, uint64_t reg)
{
	struct cfa_state initial = run->cie->initial;
	struct register_state *at = column(&run->state, reg);

	if (at)
		*at = *column(&initial, reg);
}

static void set_expression(struct cfa_run *run, bool is_value)
{
	uint64_t reg = read_uleb128(&run->at), size = read_uleb128(&run->at);
	struct register_state *at = column(&run->state, reg);
	const uint8_t *expression = run->at.at;
	struct frame_value value;

	skip_bytes(&run->at, size);
	if (!at || run->at.failed)
		return;
	value = frame_value_of(expression, size, true);
	*at = (struct register_state){ .place = PLACE_OTHER };
	if (value.kind == VALUE_CFA)
		at->place = is_value ? PLACE_IS_CFA : PLACE_AT_CFA;
	else if (value.kind == VALUE_REGISTER && !is_value)
		at->place = PLACE_AT_REGISTER;
	if (at->place != PLACE_OTHER) {
		at->reg = value.reg;
		at->offset = value.offset;
	}
}

/* Where one is followed: a return address that was popped into another one, by vfork. */
static void set_register(struct cfa_run *run, uint64_t reg, uint64_t other)
{
	struct register_state *at = column(&run->state, reg);

	set_place(run, reg, PLACE_OTHER, 0);
	if (reg != REGISTER_RETURN || other >= REGISTER_RETURN)
		return;
	at->place = PLACE_REGISTER;
	at->reg = (uint8_t)other;
}

static void define_cfa(struct cfa_run *run, uint64_t reg, int64_t offset)
{
	run->state.cfa = (struct frame_value){ .kind = VALUE_REGISTER, .offset = offset };
	if (reg < REGISTER_RETURN)
		run->state.cfa.reg = (uint8_t)reg;
	else
		run->state.cfa.kind = VALUE_UNKNOWN;
}

/* Both only say something where the CFA is a register and an offset. */
static bool change_cfa_register(struct cfa_run *run, uint64_t reg)
{
	if (run->state.cfa.kind != VALUE_REGISTER)
		return false;
	define_cfa(run, reg, run->state.cfa.offset);
	return true;
}

static bool change_cfa_offset(struct cfa_run *run, int64_t offset)
{
	if (run->state.cfa.kind != VALUE_REGISTER)
		return false;
	run->state.cfa.offset = offset;
	return true;
}

static bool scale(const struct cfa_run *run, int64_t factored, int64_t *ret)
{
	return !__builtin_mul_overflow(factored, run->cie->data_alignment, ret);
}

static void set_cfa_expression(struct cfa_run *run)
{
	uint64_t size = read_uleb128(&run->at);
	const uint8_t *expression = run->at.at;

	skip_bytes(&run->at, size);
	if (!run->at.failed)
		run->state.cfa = frame_value_of(expression, size, false);
}

/* The instructions that say what the CFA is. */
static bool step_cfa(struct cfa_run *run, uint8_t instruction)
{
	uint64_t reg = 0;
	int64_t offset;

	switch (instruction) {
	case DW_CFA_def_cfa:
		reg = read_uleb128(&run->at);
		define_cfa(run, reg, (int64_t)read_uleb128(&run->at));
		return true;
	case DW_CFA_def_cfa_sf:
		reg = read_uleb128(&run->at);
		if (!scale(run, read_sleb128(&run->at), &offset))
			return false;
		define_cfa(run, reg, offset);
		return true;
	case DW_CFA_def_cfa_register:
		return change_cfa_register(run, read_uleb128(&run->at));
	case DW_CFA_def_cfa_offset:
		return change_cfa_offset(run, (int64_t)read_uleb128(&run->at));
	case DW_CFA_def_cfa_offset_sf:
		return scale(run, read_sleb128(&run->at), &offset) &&
		       change_cfa_offset(run, offset);
	case DW_CFA_def_cfa_expression:
		set_cfa_expression(run);
		return true;
	default:
		return false;
	}
}

/* The instructions that say where a register is. */
static bool step_register(struct cfa_run *run, uint8_t instruction)
{
	uint64_t reg = 0;

	if (instruction == DW_CFA_expression || instruction == DW_CFA_val_expression) {
		set_expression(run, instruction == DW_CFA_val_expression);
		return true;
	}
	reg = read_uleb128(&run->at);
	switch (instruction) {
	case DW_CFA_offset_extended:
		return set_factored(run, reg, PLACE_AT_CFA, (int64_t)read_uleb128(&run->at));
	case DW_CFA_offset_extended_sf:
		return set_factored(run, reg, PLACE_AT_CFA, read_sleb128(&run->at));
	case DW_CFA_GNU_negative_offset_extended:
		return set_factored(run, reg, PLACE_AT_CFA, (int64_t)(0 - read_uleb128(&run->at)));
	case DW_CFA_val_offset:
		return set_factored(run, reg, PLACE_IS_CFA, (int64_t)read_uleb128(&run->at));
	case DW_CFA_val_offset_sf:
		return set_factored(run, reg, PLACE_IS_CFA, read_sleb128(&run->at));
	case DW_CFA_restore_extended:
		restore(run, reg);
		return true;
	case DW_CFA_undefined:
		set_place(run, reg, PLACE_UNDEFINED, 0);
		return true;
	case DW_CFA_same_value:
		set_place(run, reg, PLACE_SAME, 0);
		return true;
	case DW_CFA_register:
		set_register(run, reg, read_uleb128(&run->at));
		return true;
	default:
		return false;
	}
}

static bool step_state(struct cfa_run *run, uint8_t instruction)
{
	if (instruction == DW_CFA_remember_state) {
		if (run->depth == REMEMBERED_MAX)
			return false;
		run->remembered[run->depth++] = run->state;
		return true;
	}
	if (!run->depth)
		return false;
	run->state = run->remembered[--run->depth];
	return true;
}

/* ---- locations ---- */

static void emit(struct cfa_run *run)
{
	struct frame_rule rule = rule_of(run);

	run->error = frame_builder_row(run->builder, run->location, &rule);
}

static bool advance(struct cfa_run *run, uint64_t factored)
{
	uint64_t delta;

	if (!run->frames) /* a CIE has no locations */
		return false;
	if (__builtin_mul_overflow(factored, run->cie->code_alignment, &delta))
		return false;
	if (!delta)
		return true;
	emit(run);
	run->location = delta < run->end - run->location ? run->location + delta : run->end;
	return !run->error;
}

static bool set_location(struct cfa_run *run)
{
	const struct ehframe_section *section;
	uint64_t location;
	bool is_null;

	if (!run->frames)
		return false;
	section = &run->frames->section;
	if (!read_pointer(&run->at, section->bytes, section->address, run->cie->encoding, &location,
			  &is_null) ||
	    location < run->location)
		return false;
	if (location == run->location)
		return true;
	emit(run);
	run->location = location < run->end ? location : run->end;
	return !run->error;
}

/* False: broken; or the builder had an error. */
static bool step(struct cfa_run *run)
{
	uint8_t instruction = read_u8(&run->at), operand = instruction & 0x3f;

	switch (instruction & 0xc0) {
	case DW_CFA_advance_loc:
		return advance(run, operand);
	case DW_CFA_offset:
		return set_factored(run, operand, PLACE_AT_CFA, (int64_t)read_uleb128(&run->at));
	case DW_CFA_restore:
		restore(run, operand);
		return true;
	}
	switch (instruction) {
	case DW_CFA_nop:
		return true;
	case DW_CFA_set_loc:
		return set_location(run);
	case DW_CFA_advance_loc1:
		return advance(run, read_u8(&run->at));
	case DW_CFA_advance_loc2:
		return advance(run, read_u16(&run->at));
	case DW_CFA_advance_loc4:
		return advance(run, read_u32(&run->at));
	case DW_CFA_GNU_args_size:
		read_uleb128(&run->at);
		return true;
	case DW_CFA_remember_state:
	case DW_CFA_restore_state:
		return step_state(run, instruction);
	case DW_CFA_def_cfa:
	case DW_CFA_def_cfa_sf:
	case DW_CFA_def_cfa_register:
	case DW_CFA_def_cfa_offset:
	case DW_CFA_def_cfa_offset_sf:
	case DW_CFA_def_cfa_expression:
		return step_cfa(run, instruction);
	default:
		return step_register(run, instruction);
	}
}

bool cfa_run_initial(struct ehframe_cie *cie, struct byte_cursor instructions)
{
	struct cfa_run run;

	run.frames = NULL;
	run.cie = cie;
	run.at = instructions;
	run.depth = 0;
	run.error = 0;
	run.state = (struct cfa_state){};
	cie->initial = run.state;
	while (bytes_left(&run.at)) {
		if (!step(&run) || run.at.failed)
			return false;
	}
	cie->initial = run.state;
	return true;
}

int cfa_run_function(struct ehframe *frames, const struct ehframe_cie *cie,
		     const struct ehframe_function *function, struct byte_cursor instructions,
		     struct frame_builder *builder)
{
	static const struct frame_rule corrupt = { .cfa = FRAME_CORRUPT };
	struct cfa_run run; /* what was remembered is not cleared: it is 3 KiB */
	bool broken = false;

	run.frames = frames;
	run.cie = cie;
	run.builder = builder;
	run.at = instructions;
	run.location = function->start;
	run.end = function->end;
	run.depth = 0;
	run.error = 0;
	run.contradicts = false;
	run.state = cie->initial;
	while (bytes_left(&run.at) && run.location < run.end && !broken)
		broken = !step(&run) || run.at.failed;
	if (run.error)
		return run.error;
	if (broken)
		run.error = frame_builder_row(builder, run.location, &corrupt);
	else if (run.location < run.end)
		emit(&run);
	frames->counts.corrupt += broken || run.contradicts;
	return run.error;
}
