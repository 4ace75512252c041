/* SPDX-License-Identifier: BSD-2-Clause */
/* The steps of the stack walk (bpf/unwind_walk.h) by rules, over a made process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "profiler/base/cleanup.h"
#include "profiler/collect/unwind_offline.h"
#include "tests/unit/made_process.h"

static void test_stack_pointer_rules_lead_to_the_bottom(void **state)
{
	struct made made;

	(void)state;
	make_chain(&made);
	walk(&made);
	expect(&made, STACK_COMPLETE, 3, function(0), behind_call(1), behind_call(2));
	assert_true(made.body.leaf_is_exact);
}

/* libgcc has such a slot for an instant while it throws. */
static void test_a_return_address_of_0_is_no_caller(void **state)
{
	struct made made;

	(void)state;
	make_chain(&made);
	put(&made, STACK + 32, 0);
	walk(&made);
	expect(&made, STACK_CORRUPT, 2, function(0), behind_call(1));
}

static void test_the_frame_pointer_is_followed_through_frames_that_save_it(void **state)
{
	struct made made;

	(void)state;
	make_chain(&made);
	/* 0 saves it beside other registers and does not use it; 1 has its frame by it. */
	made.rules[0].fp = UNWIND_AT_CFA;
	made.rules[0].fp_offset = -24;
	put(&made, STACK, STACK + 0x100);
	made.rules[1] = (struct unwind_rule){
		.cfa = UNWIND_FP, .cfa_offset = 16, .fp = UNWIND_AT_CFA, .fp_offset = -16
	};
	put(&made, STACK + 0x108, behind_call(2));
	walk(&made);
	expect(&made, STACK_COMPLETE, 3, function(0), behind_call(1), behind_call(2));
}

static void test_a_plt_stub_has_its_return_address_below_what_it_pushed(void **state)
{
	const struct unwind_rule plt = { .cfa = UNWIND_PLT, .cfa_offset = 11 };
	struct made made;

	(void)state;
	make_chain(&made);
	made.rules[0] = plt;
	put(&made, STACK, behind_call(1));
	put(&made, STACK + 16, behind_call(2));
	made.start.regs[UNWIND_REG_IP] = function(0) + 10;
	walk(&made);
	expect(&made, STACK_COMPLETE, 3, function(0) + 10, behind_call(1), behind_call(2));

	make_chain(&made);
	made.rules[0] = plt;
	put(&made, STACK + 8, behind_call(1));
	put(&made, STACK + 24, behind_call(2));
	made.start.regs[UNWIND_REG_IP] = function(0) + 11;
	walk(&made);
	expect(&made, STACK_COMPLETE, 3, function(0) + 11, behind_call(1), behind_call(2));
}

static void test_a_realigned_stack_is_left_by_the_saved_pointer(void **state)
{
	struct made made;

	(void)state;
	make_chain(&made);
	/* gcc: CFA is at fp - 8, fp itself where it points; the caller's follows the CFA. */
	made.rules[0] = (struct unwind_rule){
		.cfa = UNWIND_FP_DEREF, .cfa_offset = -8, .fp = UNWIND_AT_FP
	};
	made.start.regs[UNWIND_REG_FP] = STACK + 0x40;
	put(&made, STACK + 0x38, STACK + 0x100);
	put(&made, STACK + 0x40, STACK + 0x200);
	put(&made, STACK + 0xf8, behind_call(1));
	made.rules[1] = (struct unwind_rule){ .cfa = UNWIND_FP, .cfa_offset = 16 };
	put(&made, STACK + 0x208, behind_call(2));
	walk(&made);
	expect(&made, STACK_COMPLETE, 3, function(0), behind_call(1), behind_call(2));
}

static void test_a_dereferenced_stack_pointer_adds_afterwards(void **state)
{
	struct made made;

	(void)state;
	make_chain(&made);
	made.rules[0] = (struct unwind_rule){
		.cfa = UNWIND_SP_DEREF, .cfa_offset = 32, .cfa_add = 8
	};
	put(&made, STACK + 32, STACK + 0xf8);
	put(&made, STACK + 0xf8, behind_call(1));
	put(&made, STACK + 0x108, behind_call(2));
	walk(&made);
	expect(&made, STACK_COMPLETE, 3, function(0), behind_call(1), behind_call(2));
}

static void test_rbx_is_followed_where_callees_keep_track_of_it(void **state)
{
	struct made made;

	(void)state;
	make_chain(&made);
	made.rules[0].bx = UNWIND_AT_CFA;
	made.rules[0].bx_offset = -16;
	put(&made, STACK + 8, STACK + 0x100);
	made.rules[1] = (struct unwind_rule){ .cfa = UNWIND_BX, .cfa_offset = 24 };
	put(&made, STACK + 0x110, behind_call(2));
	walk(&made);
	expect(&made, STACK_COMPLETE, 3, function(0), behind_call(1), behind_call(2));

	made.rules[0].bx = UNWIND_LOST;
	walk(&made);
	expect(&made, STACK_EXPRESSION, 2, function(0), behind_call(1));
}

static void test_other_registers_are_known_in_the_interrupted_frame_alone(void **state)
{
	const struct unwind_rule r11 = { .cfa = UNWIND_REGISTER, .reg = 11, .cfa_offset = 8 };
	struct made made;

	(void)state;
	make_chain(&made);
	made.rules[0] = r11;
	made.start.regs[11] = STACK + 0x100;
	put(&made, STACK + 0x100, behind_call(1));
	put(&made, STACK + 0x110, behind_call(2));
	walk(&made);
	expect(&made, STACK_COMPLETE, 3, function(0), behind_call(1), behind_call(2));

	make_chain(&made);
	made.rules[1] = r11;
	made.start.regs[11] = STACK + 0x100;
	put(&made, STACK + 0x100, behind_call(2));
	walk(&made);
	expect(&made, STACK_EXPRESSION, 2, function(0), behind_call(1));
}

/* Handler 0 returns into trampoline 3, which returns to the middle of 4, called by 2. */
static void make_signal(struct made *made)
{
	uint64_t context = STACK + 24 + 40;

	make_chain(made);
	put(made, STACK + 16, CODE + 3 * FUNCTION_BYTES + 1); /* no call stands before it */
	made->rules[3] = (struct unwind_rule){ .cfa = UNWIND_SIGNAL, .cfa_offset = 40 };
	put(made, context + 3 * 8, STACK + 0x300);  /* r11 */
	put(made, context + 10 * 8, STACK + 0x200); /* rbp */
	put(made, context + 15 * 8, STACK + 0x180); /* rsp */
	put(made, context + 16 * 8, function(4));   /* rip */
	made->rules[4] = sp_rule(8);
	put(made, STACK + 0x180, behind_call(2));
}

static void test_a_signal_handler_is_left_to_what_it_interrupted(void **state)
{
	struct made made;

	(void)state;
	make_signal(&made);
	walk(&made);
	expect(&made, STACK_COMPLETE, 4, function(0), (CODE + 3 * FUNCTION_BYTES + 1) | STACK_FRAME_IS_EXACT,
	       function(4) | STACK_FRAME_IS_EXACT, behind_call(2));
}

static void test_what_a_signal_interrupted_has_its_registers_and_its_frame_pointer(void **state)
{
	struct made made;

	(void)state;
	make_signal(&made);
	made.rules[4] = (struct unwind_rule){ .cfa = UNWIND_REGISTER, .reg = 11, .cfa_offset = 8 };
	put(&made, STACK + 0x300, behind_call(2));
	walk(&made);
	expect(&made, STACK_COMPLETE, 4, function(0), (CODE + 3 * FUNCTION_BYTES + 1) | STACK_FRAME_IS_EXACT,
	       function(4) | STACK_FRAME_IS_EXACT, behind_call(2));

	make_signal(&made);
	made.rules[4] = (struct unwind_rule){ .cfa = UNWIND_FP, .cfa_offset = 16 };
	put(&made, STACK + 0x208, behind_call(2));
	walk(&made);
	expect(&made, STACK_COMPLETE, 4, function(0), (CODE + 3 * FUNCTION_BYTES + 1) | STACK_FRAME_IS_EXACT,
	       function(4) | STACK_FRAME_IS_EXACT, behind_call(2));
}

static void test_vforks_return_address_is_in_a_register(void **state)
{
	const struct unwind_rule rdi = { .cfa = UNWIND_SP_RETURN, .reg = 5 };
	struct made made;

	(void)state;
	make_chain(&made);
	made.rules[0] = rdi;
	made.start.regs[5] = behind_call(1);
	put(&made, STACK + 8, behind_call(2));
	walk(&made);
	expect(&made, STACK_COMPLETE, 3, function(0), behind_call(1), behind_call(2));
	made.rules[1] = rdi;
	walk(&made);
	expect(&made, STACK_EXPRESSION, 2, function(0), behind_call(1));
}

static void test_a_contexts_stack_begins_at_its_start(void **state)
{
	static const uint8_t start_context[] = { 0x48, 0x89, 0xdc, 0x48, 0x8b, 0x3c, 0x24 };
	struct made made;

	(void)state;
	make_chain(&made);
	memcpy(made.code + FUNCTION_BYTES, start_context, sizeof(start_context));
	put(&made, STACK + 16, CODE + FUNCTION_BYTES);
	walk(&made);
	expect(&made, STACK_COMPLETE, 2, function(0),
	       (CODE + FUNCTION_BYTES) | STACK_FRAME_IS_EXACT);
}

static void test_musls_signal_trampoline_is_known_by_its_code(void **state)
{
	static const uint8_t trampoline[] = { 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05 };
	uint64_t context = STACK + 24 + 40;
	struct made made;

	(void)state;
	make_chain(&made);
	memcpy(made.code + FUNCTION_BYTES, trampoline, sizeof(trampoline));
	made.rules[1] = (struct unwind_rule){};
	put(&made, STACK + 16, CODE + FUNCTION_BYTES);
	put(&made, context + 15 * 8, STACK + 0x180); /* rsp */
	put(&made, context + 16 * 8, function(4));   /* rip */
	made.rules[4] = sp_rule(8);
	put(&made, STACK + 0x180, behind_call(2));
	walk(&made);
	expect(&made, STACK_COMPLETE, 4, function(0),
	       (CODE + FUNCTION_BYTES) | STACK_FRAME_IS_EXACT, function(4) | STACK_FRAME_IS_EXACT,
	       behind_call(2));
}

static void test_an_address_behind_no_call_is_no_caller(void **state)
{
	struct made made;

	(void)state;
	make_chain(&made);
	put(&made, STACK + 16, behind_call(1) + 1);
	walk(&made);
	expect(&made, STACK_CORRUPT, 1, function(0));
	put(&made, STACK + 16, 0x123456789aull);
	walk(&made);
	expect(&made, STACK_CORRUPT, 1, function(0));
}

static void test_a_missing_table_is_not_ready(void **state)
{
	struct made made;

	(void)state;
	make_chain(&made);
	made.answers[1] = -EAGAIN;
	walk(&made);
	expect(&made, STACK_NOT_READY, 2, function(0), behind_call(1));
	made.answers[1] = -ENOSPC;
	walk(&made);
	expect(&made, STACK_FULL, 2, function(0), behind_call(1));
	made.answers[0] = -ENOENT;
	walk(&made);
	expect(&made, STACK_NOT_READY, 1, function(0));
}

static void test_frames_that_do_not_advance_end_the_walk(void **state)
{
	struct made made;

	(void)state;
	make_chain(&made);
	made.rules[1] = (struct unwind_rule){ .cfa = UNWIND_FP, .cfa_offset = 16 };
	made.start.regs[UNWIND_REG_FP] = STACK + 0x100;
	put(&made, STACK + 0x108, behind_call(1));
	walk(&made);
	assert_int_equal(made.body.end, STACK_CORRUPT);
	assert_in_range(made.body.frame_cnt, 2, 16);
}

static void test_deep_stacks_are_cut_and_say_so(void **state)
{
	struct made made;
	unsigned int i;

	(void)state;
	make(&made);
	made.rules[0] = made.rules[1] = sp_rule(8);
	for (i = 0; i < STACK_FRAMES_MAX + 10; i++)
		put(&made, STACK + i * 8, behind_call(1));
	walk(&made);
	assert_int_equal(made.body.end, STACK_DEPTH);
	assert_int_equal(made.body.frame_cnt, STACK_FRAMES_MAX);
}

static void test_stack_memory_that_cannot_be_read(void **state)
{
	struct made made;

	(void)state;
	make_chain(&made);
	made.unreadable = STACK + 32;
	walk(&made);
	expect(&made, STACK_UNREADABLE, 2, function(0), behind_call(1));
	made.rules[0].cfa_offset = 1 << 30;
	walk(&made);
	expect(&made, STACK_CORRUPT, 1, function(0));
}

/* The word below a CFA of sp + 8 may lie in a page that was never touched. */
static void test_nothing_below_the_stack_pointer_is_read(void **state)
{
	struct made made;

	(void)state;
	make_chain(&made);
	made.rules[0] = sp_rule(8);
	put(&made, STACK, behind_call(1));
	put(&made, STACK + 16, behind_call(2));
	walk(&made);
	expect(&made, STACK_COMPLETE, 3, function(0), behind_call(1), behind_call(2));
}

/* gcc's CFI of a realigned frame, behind `leave`: rbp is the caller's again. */
static void test_a_frame_pointer_that_was_restored_is_kept(void **state)
{
	struct made made;

	(void)state;
	make_chain(&made);
	made.rules[0] = (struct unwind_rule){ .cfa = UNWIND_SP, .cfa_offset = 24, .fp = UNWIND_AT_FP };
	made.start.regs[UNWIND_REG_FP] = STACK + 0x100; /* beyond the CFA */
	put(&made, STACK + 0x100, STACK + 0x200);
	made.rules[1] = (struct unwind_rule){ .cfa = UNWIND_FP, .cfa_offset = 16 };
	put(&made, STACK + 0x108, behind_call(2));
	walk(&made);
	expect(&made, STACK_COMPLETE, 3, function(0), behind_call(1), behind_call(2));
}

static void test_rbx_may_be_saved_below_the_frame_pointer(void **state)
{
	struct made made;

	(void)state;
	make_chain(&made);
	made.rules[0] = (struct unwind_rule){
		.cfa = UNWIND_SP, .cfa_offset = 0x80, .fp = UNWIND_AT_FP,
		.bx = UNWIND_AT_FP, .bx_offset = -24,
	};
	made.start.regs[UNWIND_REG_FP] = STACK + 0x40;
	put(&made, STACK + 0x28, STACK + 0x100);
	put(&made, STACK + 0x40, STACK + 0x200);
	put(&made, STACK + 0x78, behind_call(1));
	made.rules[1] = (struct unwind_rule){ .cfa = UNWIND_BX, .cfa_offset = 24 };
	put(&made, STACK + 0x110, behind_call(2));
	walk(&made);
	expect(&made, STACK_COMPLETE, 3, function(0), behind_call(1), behind_call(2));
}

static void test_a_system_call_is_named_by_its_instruction(void **state)
{
	struct made made;

	(void)state;
	make_chain(&made);
	made.start.in_syscall = true;
	made.code[0x1e] = 0x0f;
	made.code[0x1f] = 0x05;
	walk(&made);
	assert_false(made.body.leaf_is_exact);
	made.code[0x1f] = 0x06; /* an interrupt */
	walk(&made);
	assert_true(made.body.leaf_is_exact);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stack_pointer_rules_lead_to_the_bottom),
		cmocka_unit_test(test_a_return_address_of_0_is_no_caller),
		cmocka_unit_test(test_the_frame_pointer_is_followed_through_frames_that_save_it),
		cmocka_unit_test(test_a_plt_stub_has_its_return_address_below_what_it_pushed),
		cmocka_unit_test(test_a_realigned_stack_is_left_by_the_saved_pointer),
		cmocka_unit_test(test_a_dereferenced_stack_pointer_adds_afterwards),
		cmocka_unit_test(test_rbx_is_followed_where_callees_keep_track_of_it),
		cmocka_unit_test(test_other_registers_are_known_in_the_interrupted_frame_alone),
		cmocka_unit_test(test_a_signal_handler_is_left_to_what_it_interrupted),
		cmocka_unit_test(
			test_what_a_signal_interrupted_has_its_registers_and_its_frame_pointer),
		cmocka_unit_test(test_vforks_return_address_is_in_a_register),
		cmocka_unit_test(test_a_contexts_stack_begins_at_its_start),
		cmocka_unit_test(test_musls_signal_trampoline_is_known_by_its_code),
		cmocka_unit_test(test_an_address_behind_no_call_is_no_caller),
		cmocka_unit_test(test_a_missing_table_is_not_ready),
		cmocka_unit_test(test_frames_that_do_not_advance_end_the_walk),
		cmocka_unit_test(test_deep_stacks_are_cut_and_say_so),
		cmocka_unit_test(test_stack_memory_that_cannot_be_read),
		cmocka_unit_test(test_nothing_below_the_stack_pointer_is_read),
		cmocka_unit_test(test_a_frame_pointer_that_was_restored_is_kept),
		cmocka_unit_test(test_rbx_may_be_saved_below_the_frame_pointer),
		cmocka_unit_test(test_a_system_call_is_named_by_its_instruction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
