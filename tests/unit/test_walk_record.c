/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The walk of arm64, compiled for that machine here: what its code says of the link register, in
 * sequences as gcc, clang and Go make them (words by aarch64-linux-gnu-as), and walks over a memory of
 * code and stack made by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#undef __TARGET_ARCH_x86
#undef __TARGET_ARCH_arm64
#define __TARGET_ARCH_arm64
#include "bpf/unwind_walk.h"

#define CODE 0x10000ull /* the address of code[0] */
#define CODE_WORDS 256
#define STACK 0x7ffff000ull
#define STACK_WORDS 1024

#define NOP 0xd503201f
#define RET 0xd65f03c0
#define PACIASP 0xd503233f
#define STP_FP_LR 0xa9be7bfd  /* stp x29, x30, [sp, #-32]! */
#define LDP_FP_LR 0xa8c27bfd  /* ldp x29, x30, [sp], #32 */
#define MOV_FP_SP 0x910003fd  /* mov x29, sp */
#define STR_LR 0xf81f0ffe     /* str x30, [sp, #-16]! */
#define LDR_LR 0xf84107fe     /* ldr x30, [sp], #16 */
#define LDR_LR_160 0xf94053fe /* ldr x30, [sp, #160] */
#define STR_LR_160 0xf90053fe /* str x30, [sp, #160] */
#define LDUR_FP 0xf85f83fd    /* ldur x29, [sp, #-8] */
#define MOV_LR_X7 0xaa0703fe  /* mov x30, x7 */
#define BLR_X3 0xd63f0060     /* blr x3 */
#define BR_X1 0xd61f0020      /* br x1 */
#define BR_X17 0xd61f0220     /* br x17 */
#define BRK 0xd4200020	      /* brk #1 */
#define SIGRETURN 0xd2801168  /* mov x8, #139 */
#define SVC 0xd4000001	      /* svc #0 */
#define BL(words) (0x94000000 | ((uint32_t)(words)&0x3ffffff))
#define B(words) (0x14000000 | ((uint32_t)(words)&0x3ffffff))
#define B_NE(words) (0x54000001 | ((uint32_t)(words)&0x7ffff) << 5)
#define CBZ_X0(words) (0xb4000000 | ((uint32_t)(words)&0x7ffff) << 5)
#define TBNZ_W0(words) (0x37000000 | ((uint32_t)(words)&0x3fff) << 5)

static uint32_t code[CODE_WORDS];
static uint64_t stack[STACK_WORDS];

static bool walk_read(struct walk *walk, __u64 address, void *to, __u32 size)
{
	(void)walk;
	if (address >= CODE && address - CODE <= sizeof(code) - size) {
		memcpy(to, (const uint8_t *)code + (address - CODE), size);
		return true;
	}
	if (address >= STACK && address - STACK <= sizeof(stack) - size) {
		memcpy(to, (const uint8_t *)stack + (address - STACK), size);
		return true;
	}
	return false;
}

static int walk_find(struct walk *walk, __u64 ip, __u32 is_exact)
{
	uint8_t before[8];

	if (ip < CODE || ip >= CODE + sizeof(code))
		return -STACK_BROKEN;
	if (is_exact)
		return WALK_FOLLOWS_CALL;
	return walk_read(walk, ip - 8, before, sizeof(before)) && call_site_ends(before) ?
		       WALK_FOLLOWS_CALL :
		       0;
}

static const struct unwind_rule *walk_rule(struct walk *walk, __u32 index)
{
	static const struct unwind_rule none;

	(void)walk, (void)index;
	return &none;
}

static int walk_link(struct walk *walk, __u64 ip, __u32 is_caller)
{
	int i;

	link_begin(&walk->link, ip, is_caller);
	for (i = 0; i < LINK_WINDOWS_MAX && link_window(walk); i++)
		;
	return walk->link.place;
}

static enum link_place place(bool is_caller, const uint32_t *words, size_t cnt)
{
	static struct walk walk;
	size_t i;

	for (i = 0; i < CODE_WORDS; i++)
		code[i] = BRK;
	memcpy(code + 20, words, cnt * sizeof(*words)); /* not at a window's begin */
	return (enum link_place)walk_link(&walk, CODE + 20 * 4, is_caller);
}

#define WORDS(...)                                                                                 \
	((const uint32_t[]){ __VA_ARGS__ }),                                                       \
		sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t)
#define INTERRUPTED(...) place(false, WORDS(__VA_ARGS__))
#define CALLER(...) place(true, WORDS(__VA_ARGS__))

static void test_a_leaf_returns_by_the_link_register(void **state)
{
	(void)state;
	assert_int_equal(INTERRUPTED(RET), LINK_REGISTER);
	assert_int_equal(INTERRUPTED(NOP, NOP, 0xd65f0bff /* retaa */), LINK_REGISTER);
	assert_int_equal(INTERRUPTED(CBZ_X0(2), NOP, RET), LINK_REGISTER);
	/* A PLT's entry, and a jump to another leaf. */
	assert_int_equal(INTERRUPTED(0x90000010, 0xf9400211, 0x91000210, BR_X17), LINK_REGISTER);
	assert_int_equal(INTERRUPTED(B(3), BRK, BRK, NOP, RET), LINK_REGISTER);
}

static void test_a_prologue_has_no_record_before_its_last_instruction(void **state)
{
	(void)state;
	assert_int_equal(INTERRUPTED(PACIASP, STP_FP_LR, MOV_FP_SP, BL(9)), LINK_REGISTER);
	assert_int_equal(INTERRUPTED(MOV_FP_SP, BL(9), LDP_FP_LR, RET), LINK_REGISTER);
	assert_int_equal(INTERRUPTED(BL(9), LDP_FP_LR, RET), LINK_RECORD);
	assert_int_equal(INTERRUPTED(NOP, LDP_FP_LR, RET), LINK_RECORD);
	assert_int_equal(INTERRUPTED(RET, LDP_FP_LR, RET), LINK_REGISTER); /* the epilogue's end */
	/* Go: sub x29, sp, #8 */
	assert_int_equal(INTERRUPTED(0xd10023fd, BL(9)), LINK_REGISTER);
}

static void test_a_caller_has_what_its_end_restores(void **state)
{
	(void)state;
	assert_int_equal(CALLER(NOP, BLR_X3, LDP_FP_LR, RET), LINK_RECORD);
	assert_int_equal(CALLER(NOP, BLR_X3, LDR_LR, RET), LINK_ELSEWHERE);
	assert_int_equal(CALLER(LDR_LR, NOP, B(4), BRK, BRK, BRK, STP_FP_LR), LINK_ELSEWHERE);
	assert_int_equal(CALLER(LDUR_FP, LDR_LR, RET), LINK_RECORD); /* Go */
	assert_int_equal(INTERRUPTED(NOP, LDR_LR, RET), LINK_ELSEWHERE);
}

static void test_the_link_register_is_also_used_as_any_other(void **state)
{
	(void)state;
	assert_int_equal(CALLER(STR_LR_160, LDR_LR_160, NOP, BL(9), LDP_FP_LR, RET), LINK_RECORD);
	assert_int_equal(INTERRUPTED(MOV_LR_X7, STR_LR_160, NOP, LDP_FP_LR, RET), LINK_RECORD);
	assert_int_equal(CALLER(LDR_LR_160, MOV_LR_X7, LDP_FP_LR, RET), LINK_RECORD);
}

static void test_a_loop_is_left_by_its_branches(void **state)
{
	(void)state;
	assert_int_equal(CALLER(NOP, B_NE(4), NOP, B(-3), BRK, LDP_FP_LR, RET), LINK_RECORD);
	assert_int_equal(CALLER(NOP, TBNZ_W0(4), NOP, B(-3), BRK, LDR_LR, RET), LINK_ELSEWHERE);
	assert_int_equal(INTERRUPTED(NOP, CBZ_X0(4), NOP, B(-3), BRK, RET), LINK_REGISTER);
}

static void test_what_leads_nowhere_is_not_guessed(void **state)
{
	(void)state;
	assert_int_equal(INTERRUPTED(NOP, B(-1)), LINK_UNKNOWN);
	assert_int_equal(INTERRUPTED(BR_X1), LINK_UNKNOWN); /* a switch's table */
	assert_int_equal(CALLER(BRK), LINK_SAVED);
	/* A call that does not return, then another function. */
	assert_int_equal(CALLER(NOP, BL(50), STP_FP_LR, MOV_FP_SP, LDR_LR, RET), LINK_SAVED);
	assert_int_equal(INTERRUPTED(BL(50), RET), LINK_SAVED);
}

static void test_any_code_is_looked_at_for_a_bounded_time(void **state)
{
	static struct walk walk;
	uint32_t seed = 1;
	int round, i;

	(void)state;
	for (round = 0; round < 20000; round++) {
		for (i = 0; i < CODE_WORDS; i++) {
			seed = seed * 1664525u + 1013904223u;
			code[i] = (seed >> 16 & 3) ? 0x14000000 | (seed & 0xf) : seed;
			if ((seed >> 20 & 7) == 0)
				code[i] = B_NE((int)(seed >> 24) - 128);
		}
		assert_in_range(walk_link(&walk, CODE + 4 * (seed >> 24), round & 1), LINK_UNKNOWN,
				LINK_UNREADABLE);
	}
}

/* ---- walks ---- */

static const __u64 *frames_of(struct walk *walk, enum walk_mode mode)
{
	static __u64 frames[STACK_FRAMES_MAX];

	walk->mode = (__u8)mode;
	walk_begin(walk);
	while (walk_frame(walk, frames))
		;
	return frames;
}

/* Two functions with records: returns to them are at words 10 and 20; a leaf at word 30. */
static void make_functions(void)
{
	memset(stack, 0, sizeof(stack));
	memset(code, 0, sizeof(code));
	code[9] = BL(10), code[10] = LDP_FP_LR, code[11] = RET;
	code[19] = BL(11), code[20] = LDP_FP_LR, code[21] = RET;
	code[30] = NOP, code[31] = RET;
	code[41] = SIGRETURN, code[42] = SVC;
	stack[100] = STACK + 8 * 200, stack[101] = CODE + 40; /* of the function at word 20 */
}

#define SIGNED(address) ((address) | 0x003a000000000000ull)

static void test_a_leafs_caller_is_not_left_out(void **state)
{
	struct walk walk = { .regs[UNWIND_REG_IP] = CODE + 120,
			     .regs[UNWIND_REG_SP] = STACK + 8 * 100,
			     .regs[UNWIND_REG_FP] = STACK + 8 * 100,
			     .regs[UNWIND_REG_LR] = SIGNED(CODE + 80) };
	const __u64 *frames;

	(void)state;
	make_functions();
	stack[101] = SIGNED(stack[101]);
	stack[100] = 0;
	frames = frames_of(&walk, WALK_AUTO);
	assert_int_equal(walk.end, STACK_COMPLETE);
	assert_int_equal(walk.cnt, 3);
	assert_int_equal(frames[0], CODE + 120);
	assert_int_equal(frames[1], CODE + 80);
	assert_int_equal(frames[2], CODE + 40);
}

static void test_a_function_without_record_ends_the_walk(void **state)
{
	struct walk walk = { .regs[UNWIND_REG_IP] = CODE + 120,
			     .regs[UNWIND_REG_SP] = STACK + 8 * 90,
			     .regs[UNWIND_REG_FP] = STACK + 8 * 100,
			     .regs[UNWIND_REG_LR] = CODE + 80 };

	(void)state;
	make_functions();
	code[20] = LDR_LR;
	frames_of(&walk, WALK_AUTO);
	assert_int_equal(walk.cnt, 2);
	assert_int_equal(walk.end, STACK_BROKEN);
	/* A number in the link register is no caller. */
	walk.regs[UNWIND_REG_LR] = 0x1234;
	frames_of(&walk, WALK_BY_FP);
	assert_int_equal(walk.cnt, 1);
	assert_int_equal(walk.end, STACK_BROKEN);
}

static void test_code_that_is_not_in_memory_is_left_to_user_space(void **state)
{
	struct walk walk = { .regs[UNWIND_REG_IP] = CODE + sizeof(code) - 4,
			     .regs[UNWIND_REG_SP] = STACK,
			     .regs[UNWIND_REG_LR] = CODE + 80 };

	(void)state;
	make_functions();
	code[CODE_WORDS - 1] = NOP;
	frames_of(&walk, WALK_AUTO);
	assert_int_equal(walk.end, STACK_NOT_READY);
	frames_of(&walk, WALK_BY_FP);
	assert_int_equal(walk.end, STACK_BROKEN);
}

static void test_a_handler_leads_to_what_was_interrupted(void **state)
{
	const size_t record = 700, saved = record - WALK_SIGFRAME_BYTES / 8 + WALK_SIGFRAME_FP / 8;
	struct walk walk = { .regs[UNWIND_REG_IP] = CODE + 120, /* a handler that is a leaf */
			     .regs[UNWIND_REG_SP] = STACK,
			     .regs[UNWIND_REG_FP] = STACK + 8 * record,
			     .regs[UNWIND_REG_LR] = CODE + 164 };
	const __u64 *frames;

	(void)state;
	make_functions();
	stack[100] = 0;
	stack[record] = stack[saved] = STACK + 8 * 100;	  /* x29 */
	stack[record + 1] = stack[saved + 1] = CODE + 80; /* x30 */
	stack[saved + 2] = STACK + 8 * 100;		  /* sp */
	stack[saved + 3] = CODE + 124;			  /* pc: a leaf's ret */
	frames = frames_of(&walk, WALK_AUTO);
	assert_int_equal(walk.end, STACK_COMPLETE);
	assert_int_equal(walk.cnt, 5);
	assert_int_equal(frames[1], (CODE + 164) | STACK_FRAME_IS_EXACT);
	assert_int_equal(frames[2], (CODE + 124) | STACK_FRAME_IS_EXACT);
	assert_int_equal(frames[3], CODE + 80);
	assert_int_equal(frames[4], CODE + 40);
	/* Larger registers were saved: the frame lies elsewhere, and what is here is not believed. */
	stack[saved + 1]++;
	frames_of(&walk, WALK_AUTO);
	assert_int_equal(walk.cnt, 2);
	assert_int_equal(walk.end, STACK_BROKEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_leaf_returns_by_the_link_register),
		cmocka_unit_test(test_a_prologue_has_no_record_before_its_last_instruction),
		cmocka_unit_test(test_a_caller_has_what_its_end_restores),
		cmocka_unit_test(test_the_link_register_is_also_used_as_any_other),
		cmocka_unit_test(test_a_loop_is_left_by_its_branches),
		cmocka_unit_test(test_what_leads_nowhere_is_not_guessed),
		cmocka_unit_test(test_any_code_is_looked_at_for_a_bounded_time),
		cmocka_unit_test(test_a_leafs_caller_is_not_left_out),
		cmocka_unit_test(test_a_function_without_record_ends_the_walk),
		cmocka_unit_test(test_code_that_is_not_in_memory_is_left_to_user_space),
		cmocka_unit_test(test_a_handler_leads_to_what_was_interrupted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
