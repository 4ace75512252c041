/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expressions in call frame information, computed with names in place of numbers: what is on the
 * stack is a constant, a register plus a constant, the CFA plus a constant, or what memory holds
 * there plus a constant; anything else ends the computation, as no rule could say it.
 *
 * Comparing bytes with the few expressions that are known was the alternative.  It takes as much
 * code and fails on each other way to write the same: gcc, LLVM and people who write CFI by hand
 * (OpenSSL) each add and dereference in their own order.  Only the PLT's expression, which linkers
 * write and nobody else, is compared.
 *
 * Bounded: each operation moves on in the expression, and the stack has a fixed size.
 * Source: DWARF 5 section 2.5 (operations) and 7.7.1 (encoding).
 */
#include <string.h>

#include "symbolizer/ehframe_private.h"

#define STACK_MAX 8

enum {
	DW_OP_deref = 0x06,
	DW_OP_const1u = 0x08,
	DW_OP_const1s = 0x09,
	DW_OP_const2u = 0x0a,
	DW_OP_const2s = 0x0b,
	DW_OP_const4u = 0x0c,
	DW_OP_const4s = 0x0d,
	DW_OP_const8u = 0x0e,
	DW_OP_const8s = 0x0f,
	DW_OP_constu = 0x10,
	DW_OP_consts = 0x11,
	DW_OP_minus = 0x1c,
	DW_OP_plus = 0x22,
	DW_OP_plus_uconst = 0x23,
	DW_OP_lit0 = 0x30,
	DW_OP_lit31 = 0x4f,
	DW_OP_breg0 = 0x70,
	DW_OP_breg31 = 0x8f,
	DW_OP_bregx = 0x92,
	DW_OP_nop = 0x96,
};

struct evaluation {
	struct byte_cursor at;
	struct frame_value stack[STACK_MAX];
	unsigned int depth;
};

static bool push(struct evaluation *run, struct frame_value value)
{
	if (run->depth == STACK_MAX)
		return false;
	run->stack[run->depth++] = value;
	return true;
}

static bool push_constant(struct evaluation *run, int64_t constant)
{
	return push(run, (struct frame_value){ .kind = VALUE_CONSTANT, .offset = constant });
}

static bool push_register(struct evaluation *run, uint64_t reg)
{
	int64_t offset = read_sleb128(&run->at);

	if (reg > REGISTER_RETURN)
		return false;
	return push(run, (struct frame_value){
				 .kind = VALUE_REGISTER, .reg = (uint8_t)reg, .offset = offset });
}

static bool add_to(struct frame_value *value, int64_t constant)
{
	int64_t *to = value->kind == VALUE_MEMORY ? &value->add : &value->offset;

	return !__builtin_add_overflow(*to, constant, to);
}

static bool add_constant(struct evaluation *run, uint64_t constant)
{
	return run->depth && constant <= INT64_MAX &&
	       add_to(&run->stack[run->depth - 1], (int64_t)constant);
}

static bool add(struct evaluation *run, bool subtract)
{
	struct frame_value *left, *right, sum;

	if (run->depth < 2)
		return false;
	right = &run->stack[--run->depth];
	left = &run->stack[run->depth - 1];
	if (subtract) {
		if (right->kind != VALUE_CONSTANT ||
		    __builtin_sub_overflow((int64_t)0, right->offset, &right->offset))
			return false;
	}
	if (right->kind == VALUE_CONSTANT)
		return add_to(left, right->offset);
	if (left->kind != VALUE_CONSTANT)
		return false;
	sum = *right;
	if (!add_to(&sum, left->offset))
		return false;
	*left = sum;
	return true;
}

static bool dereference(struct evaluation *run)
{
	struct frame_value *top;

	if (!run->depth)
		return false;
	top = &run->stack[run->depth - 1];
	if (top->kind != VALUE_REGISTER)
		return false;
	top->kind = VALUE_MEMORY;
	return true;
}

static bool push_sized(struct evaluation *run, uint8_t operation)
{
	struct byte_cursor *at = &run->at;

	switch (operation) {
	case DW_OP_const1u:
		return push_constant(run, read_u8(at));
	case DW_OP_const1s:
		return push_constant(run, (int8_t)read_u8(at));
	case DW_OP_const2u:
		return push_constant(run, read_u16(at));
	case DW_OP_const2s:
		return push_constant(run, (int16_t)read_u16(at));
	case DW_OP_const4u:
		return push_constant(run, read_u32(at));
	case DW_OP_const4s:
		return push_constant(run, (int32_t)read_u32(at));
	case DW_OP_const8u:
	case DW_OP_const8s:
		return push_constant(run, (int64_t)read_u64(at));
	case DW_OP_constu:
		return push_constant(run, (int64_t)read_uleb128(at));
	case DW_OP_consts:
		return push_constant(run, read_sleb128(at));
	default:
		return false;
	}
}

static bool step(struct evaluation *run)
{
	uint8_t operation = read_u8(&run->at);

	if (operation >= DW_OP_lit0 && operation <= DW_OP_lit31)
		return push_constant(run, operation - DW_OP_lit0);
	if (operation >= DW_OP_breg0 && operation <= DW_OP_breg31)
		return push_register(run, operation - DW_OP_breg0);
	switch (operation) {
	case DW_OP_bregx:
		return push_register(run, read_uleb128(&run->at));
	case DW_OP_plus_uconst:
		return add_constant(run, read_uleb128(&run->at));
	case DW_OP_plus:
	case DW_OP_minus:
		return add(run, operation == DW_OP_minus);
	case DW_OP_deref:
		return dereference(run);
	case DW_OP_nop:
		return true;
	default:
		return push_sized(run, operation);
	}
}

/* breg7 8; breg16 0; lit15; and; litN; ge; lit3; shl; plus: N is 11, and with CET's stubs 10. */
static bool is_plt(const uint8_t *expression, size_t size, struct frame_value *ret)
{
	static const uint8_t before[] = { 0x77, 8, 0x80, 0, 0x3f, 0x1a };
	static const uint8_t after[] = { 0x2a, 0x33, 0x24, 0x22 };
	uint8_t threshold;

	if (size != sizeof(before) + 1 + sizeof(after) ||
	    memcmp(expression, before, sizeof(before)) != 0 ||
	    memcmp(expression + sizeof(before) + 1, after, sizeof(after)) != 0)
		return false;
	threshold = expression[sizeof(before)];
	if (threshold < DW_OP_lit0 || threshold > DW_OP_lit0 + 15)
		return false;
	*ret = (struct frame_value){ .kind = VALUE_PLT, .offset = threshold - DW_OP_lit0 };
	return true;
}

struct frame_value frame_value_of(const uint8_t *expression, size_t size, bool with_cfa)
{
	struct evaluation run = { .at = byte_cursor(expression, size) };
	struct frame_value value = { .kind = VALUE_UNKNOWN };

	if (is_plt(expression, size, &value))
		return value;
	if (with_cfa)
		push(&run, (struct frame_value){ .kind = VALUE_CFA });
	while (bytes_left(&run.at)) {
		if (!step(&run) || run.at.failed)
			return value;
	}
	return run.depth ? run.stack[run.depth - 1] : value;
}
