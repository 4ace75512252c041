/* SPDX-License-Identifier: BSD-2-Clause */
/* The steps of the stack walk (bpf/unwind_walk.h) where no rule tells, over a made process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "profiler/base/cleanup.h"
#include "profiler/collect/unwind_offline.h"
#include "tests/unit/made_process.h"

static void test_a_frame_without_rule_is_left_by_its_frame_pointer(void **state)
{
	struct made made;

	(void)state;
	make_chain(&made);
	made.rules[1] = (struct unwind_rule){};
	made.start.regs[UNWIND_REG_FP] = STACK + 0x100;
	put(&made, STACK + 0x100, STACK + 0x200);
	put(&made, STACK + 0x108, behind_call(3));
	made.rules[3] = sp_rule(8); /* by table again: sp is behind the frame record */
	put(&made, STACK + 0x110, behind_call(2));
	walk(&made);
	expect(&made, STACK_COMPLETE, 4, function(0), behind_call(1), behind_call(3),
	       behind_call(2));
	walk_as(&made, UNWIND_BY_TABLE);
	expect(&made, STACK_NO_INFO, 2, function(0), behind_call(1));
}

static void test_a_frame_pointer_that_is_none_ends_the_walk_with_its_reason(void **state)
{
	static const struct {
		enum unwind_cfa cfa;
		enum stack_end end;
	} cases[] = {
		{ UNWIND_NO_INFO, STACK_NO_INFO },
		{ UNWIND_EXPRESSION, STACK_EXPRESSION },
		{ UNWIND_CORRUPT, STACK_CORRUPT },
		{ UNWIND_JIT, STACK_JIT },
	};
	struct made made;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		make_chain(&made);
		made.rules[1] = (struct unwind_rule){ .cfa = (uint8_t)cases[i].cfa };
		made.start.regs[UNWIND_REG_FP] = STACK + 0x100;
		put(&made, STACK + 0x108, behind_call(3) + 1);
		walk(&made);
		expect(&made, cases[i].end, 2, function(0), behind_call(1));
	}
}

/* Rules that are not followed are rules: what the frame pointer says then leaves frames out. */
static void test_a_rule_that_is_not_followed_ends_the_walk(void **state)
{
	struct made made;

	(void)state;
	make_chain(&made);
	made.rules[1] = (struct unwind_rule){ .cfa = UNWIND_EXPRESSION };
	made.start.regs[UNWIND_REG_FP] = STACK + 0x100;
	put(&made, STACK + 0x108, behind_call(3));
	walk(&made);
	expect(&made, STACK_EXPRESSION, 2, function(0), behind_call(1));
}

static void test_a_leaf_without_rule_and_frame_has_its_caller_on_the_stack(void **state)
{
	struct made made;

	(void)state;
	make_chain(&made);
	made.rules[0] = (struct unwind_rule){};
	made.code[0x20] = 0x55; /* push %rbp is still to come */
	put(&made, STACK, behind_call(1));
	put(&made, STACK + 16, behind_call(2));
	walk(&made);
	expect(&made, STACK_COMPLETE, 3, function(0), behind_call(1), behind_call(2));
}

static void test_code_made_at_run_time_may_be_returned_to_without_a_call(void **state)
{
	struct made made;

	(void)state;
	make_chain(&made);
	put(&made, STACK + 16, CODE + FUNCTION_BYTES + 7);
	made.rules[1] = (struct unwind_rule){ .cfa = UNWIND_JIT };
	made.start.regs[UNWIND_REG_FP] = STACK + 0x100;
	put(&made, STACK + 0x108, behind_call(2));
	walk(&made);
	expect(&made, STACK_COMPLETE, 3, function(0), CODE + FUNCTION_BYTES + 7, behind_call(2));
}

static void test_frame_pointers_alone(void **state)
{
	struct made made;

	(void)state;
	make_chain(&made); /* its tables lead elsewhere */
	made.start.regs[UNWIND_REG_FP] = STACK + 0x100;
	put(&made, STACK + 0x100, STACK + 0x200);
	put(&made, STACK + 0x108, behind_call(3));
	put(&made, STACK + 0x200, 0);
	put(&made, STACK + 0x208, behind_call(4));
	walk_as(&made, UNWIND_BY_FP);
	expect(&made, STACK_COMPLETE, 3, function(0), behind_call(3), behind_call(4));
	put(&made, STACK + 0x208, behind_call(4) + 1);
	walk_as(&made, UNWIND_BY_FP);
	expect(&made, STACK_BROKEN, 2, function(0), behind_call(3));
}

/* One number that leads to the base is none; two frames in a row that lead there are frames. */
static void test_the_base_of_the_stack_is_known_by_its_place(void **state)
{
	struct made made;

	(void)state;
	make_chain(&made);
	made.rules[2] = (struct unwind_rule){};
	made.start.tls_base = STACK + 0x200;
	made.start.regs[UNWIND_REG_FP] = STACK + 0x100;
	put(&made, STACK + 0x100, 0);
	put(&made, STACK + 0x108, behind_call(3));
	made.rules[3] = (struct unwind_rule){};
	walk(&made);
	expect(&made, STACK_NO_INFO, 4, function(0), behind_call(1), behind_call(2),
	       behind_call(3));
	put(&made, STACK + 0x100, STACK + 0x180);
	put(&made, STACK + 0x180, 12345);
	put(&made, STACK + 0x188, behind_call(3));
	walk(&made);
	expect(&made, STACK_COMPLETE, 5, function(0), behind_call(1), behind_call(2),
	       behind_call(3), behind_call(3));
	made.start.tls_base = STACK + 0x4000;
	walk(&made);
	expect(&made, STACK_NO_INFO, 5, function(0), behind_call(1), behind_call(2),
	       behind_call(3), behind_call(3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_frame_without_rule_is_left_by_its_frame_pointer),
		cmocka_unit_test(test_a_frame_pointer_that_is_none_ends_the_walk_with_its_reason),
		cmocka_unit_test(test_a_rule_that_is_not_followed_ends_the_walk),
		cmocka_unit_test(test_a_leaf_without_rule_and_frame_has_its_caller_on_the_stack),
		cmocka_unit_test(test_code_made_at_run_time_may_be_returned_to_without_a_call),
		cmocka_unit_test(test_frame_pointers_alone),
		cmocka_unit_test(test_the_base_of_the_stack_is_known_by_its_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
