/* SPDX-License-Identifier: BSD-2-Clause */
/* What is special of walks in user space: rules and code that come from files, or do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "profiler/base/cleanup.h"
#include "profiler/collect/unwind_offline.h"
#include "tests/unit/made_process.h"

/* The code of functions from @hidden on cannot be read: a file that was deleted. */
struct hiding {
	struct made made; /* first: read_made() and rule_made() get it */
	uint64_t hidden;
};

static bool read_hiding(void *context, uint64_t address, void *bytes, size_t size)
{
	struct hiding *hiding = context;

	if (address + size > hiding->hidden && address < CODE + CODE_BYTES)
		return false;
	return read_made(context, address, bytes, size);
}

static void walk_hiding(struct hiding *hiding, enum unwind_mode mode)
{
	const struct unwind_target target = { hiding, read_hiding, rule_made };

	unwind_offline(&target, &hiding->made.start, mode, &hiding->made.body);
}

static void test_code_that_cannot_be_read_is_a_caller_where_code_is_mapped(void **state)
{
	struct hiding hiding = { .hidden = CODE };

	(void)state;
	make_chain(&hiding.made);
	walk_hiding(&hiding, UNWIND_AUTO);
	expect(&hiding.made, STACK_COMPLETE, 3, function(0), behind_call(1), behind_call(2));
	hiding.made.answers[1] = -ENOENT; /* there is none */
	walk_hiding(&hiding, UNWIND_AUTO);
	expect(&hiding.made, STACK_CORRUPT, 1, function(0));
}

static void test_by_frame_pointer_a_leaf_need_not_be_mapped(void **state)
{
	struct made made;

	(void)state;
	make_chain(&made);
	made.answers[0] = -ENOENT;
	made.start.regs[UNWIND_REG_FP] = STACK + 0x100;
	put(&made, STACK + 0x100, 0);
	put(&made, STACK + 0x108, behind_call(3));
	walk_as(&made, UNWIND_BY_FP);
	expect(&made, STACK_COMPLETE, 2, function(0), behind_call(3));
	walk_as(&made, UNWIND_AUTO);
	expect(&made, STACK_NOT_READY, 1, function(0));
}

static void test_tables_that_are_missing_do_not_hinder_frame_pointers(void **state)
{
	struct made made;

	(void)state;
	make_chain(&made);
	made.answers[0] = made.answers[3] = -EAGAIN;
	made.start.regs[UNWIND_REG_FP] = STACK + 0x100;
	put(&made, STACK + 0x100, 0);
	put(&made, STACK + 0x108, behind_call(3));
	walk_as(&made, UNWIND_BY_FP);
	expect(&made, STACK_COMPLETE, 2, function(0), behind_call(3));
}

/* The rule of one frame is still used while the next one's is looked for. */
static void test_each_frame_goes_by_its_own_rule(void **state)
{
	struct made made;
	unsigned int i;
	uint64_t at = STACK;

	(void)state;
	make(&made);
	for (i = 0; i < 40; i++) { /* function i + 1 calls i, each with another frame */
		made.rules[i] = sp_rule((int32_t)(8 * (i % 7 + 1)));
		at += 8 * (i % 7 + 1);
		put(&made, at - 8, behind_call(i + 1));
	}
	made.rules[40] = (struct unwind_rule){ .cfa = UNWIND_BOTTOM };
	walk(&made);
	assert_int_equal(made.body.end, STACK_COMPLETE);
	assert_int_equal(made.body.frame_cnt, 41);
	for (i = 1; i <= 40; i++)
		assert_int_equal(made.body.frames[i], behind_call(i));
}

static void test_addresses_at_both_ends_are_no_code(void **state)
{
	static const uint64_t ends[] = { 0, 1, 7, 8, UINT64_MAX, UINT64_MAX - 7, 1ull << 63 };
	struct made made;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(ends); i++) {
		make_chain(&made);
		put(&made, STACK + 16, ends[i]);
		walk(&made);
		expect(&made, STACK_CORRUPT, 1, function(0));
		make_chain(&made);
		made.start.regs[UNWIND_REG_IP] = ends[i];
		made.start.in_syscall = true;
		walk(&made);
		expect(&made, STACK_NOT_READY, 1, ends[i]);
		make_chain(&made);
		made.start.regs[UNWIND_REG_SP] = ends[i];
		walk(&made);
		assert_int_equal(made.body.frame_cnt, 1);
		assert_int_not_equal(made.body.end, STACK_COMPLETE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_code_that_cannot_be_read_is_a_caller_where_code_is_mapped),
		cmocka_unit_test(test_by_frame_pointer_a_leaf_need_not_be_mapped),
		cmocka_unit_test(test_tables_that_are_missing_do_not_hinder_frame_pointers),
		cmocka_unit_test(test_each_frame_goes_by_its_own_rule),
		cmocka_unit_test(test_addresses_at_both_ends_are_no_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
