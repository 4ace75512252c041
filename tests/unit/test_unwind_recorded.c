/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Walks over registers, memory and rules that were recorded while programs were stepped
 * (test_unwind_step.c): one stop for each instruction that was met, in handlers and in what they
 * interrupted more.  No process, no table and no privilege is needed.
 *
 *	build/obj/tests/unit/test_unwind_step -e -s 397 -r tests/golden/NAME.steps PROGRAM
 *
 * made them of tests/workloads/unwind/stepped.c, by the compilers of Debian 12.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "profiler/collect/unwind_offline.h"
#include "tests/unit/step_record.h"

struct seen {
	size_t stops, deepest, interrupted;
	size_t leaf_kinds[UNWIND_CFA_CNT];
};

static void show(const char *what, const uint64_t *frames, size_t cnt)
{
	size_t i;

	print_message("  %s:", what);
	for (i = 0; i < cnt; i++)
		print_message(" %lx", (unsigned long)frames[i]);
	print_message("\n");
}

static void check_stop(struct step_replay *replay, const struct unwind_start *start,
		       const uint64_t *expected, size_t cnt, enum unwind_mode mode)
{
	struct unwind_target ask = step_replay_ask(replay);
	static struct stack_body stack;

	unwind_offline(&ask, start, mode, &stack);
	if (stack.end == STACK_COMPLETE && stack.frame_cnt == cnt &&
	    !memcmp(stack.frames, expected, cnt * sizeof(*expected)))
		return;
	print_message("mode %d, end %u: rip %lx rsp %lx rbp %lx rbx %lx\n", (int)mode, stack.end,
		      (unsigned long)start->regs[UNWIND_REG_IP],
		      (unsigned long)start->regs[UNWIND_REG_SP],
		      (unsigned long)start->regs[UNWIND_REG_FP],
		      (unsigned long)start->regs[UNWIND_REG_BX]);
	show("walked", (const uint64_t *)stack.frames, stack.frame_cnt);
	show("pushed", expected, cnt);
	fail_msg("a walk is not the true one");
}

static struct seen replay_all(const char *path)
{
	struct step_replay *replay = step_replay_open(path);
	const uint64_t *expected;
	struct unwind_start start;
	struct unwind_target ask;
	struct unwind_rule rule;
	struct seen seen = {};
	size_t cnt, i;

	assert_non_null(replay);
	while (step_replay_next(replay, &start, &expected, &cnt)) {
		check_stop(replay, &start, expected, cnt, UNWIND_AUTO);
		check_stop(replay, &start, expected, cnt, UNWIND_BY_TABLE);
		ask = step_replay_ask(replay);
		assert_int_equal(ask.rule(ask.context, start.regs[UNWIND_REG_IP], &rule), 0);
		seen.leaf_kinds[rule.cfa]++;
		seen.stops++;
		seen.deepest = cnt > seen.deepest ? cnt : seen.deepest;
		for (i = 1; i < cnt; i++)
			seen.interrupted += !!(expected[i] & STACK_FRAME_IS_EXACT);
	}
	step_replay_close(replay);
	return seen;
}

static void test_code_of_gcc(void **state)
{
	struct seen seen = replay_all("tests/golden/unwind_gcc.steps");

	(void)state;
	assert_true(seen.stops > 4000 && seen.deepest >= 18 && seen.interrupted > 500);
	assert_true(seen.leaf_kinds[UNWIND_SP] > 3000 && seen.leaf_kinds[UNWIND_FP] > 100);
	assert_true(seen.leaf_kinds[UNWIND_PLT] > 20 && seen.leaf_kinds[UNWIND_SIGNAL] > 1);
	assert_true(seen.leaf_kinds[UNWIND_BX] > 20 && seen.leaf_kinds[UNWIND_BOTTOM] > 5);
	assert_true(seen.leaf_kinds[UNWIND_FP_DEREF] > 10 && seen.leaf_kinds[UNWIND_REGISTER] > 5);
}

static void test_code_of_clang(void **state)
{
	struct seen seen = replay_all("tests/golden/unwind_clang.steps");

	(void)state;
	assert_true(seen.stops > 3000 && seen.deepest >= 18 && seen.interrupted > 300);
	assert_true(seen.leaf_kinds[UNWIND_SP] > 2000 && seen.leaf_kinds[UNWIND_FP] > 100);
	assert_true(seen.leaf_kinds[UNWIND_PLT] > 20 && seen.leaf_kinds[UNWIND_SIGNAL] > 1);
}

/* What was not recorded is not there: walks end, with a reason, and say nothing untrue. */
static void test_a_walk_without_its_memory_ends(void **state)
{
	struct step_replay *replay = step_replay_open("tests/golden/unwind_gcc.steps");
	static struct stack_body stack;
	const uint64_t *expected;
	struct unwind_start start;
	struct unwind_target ask;
	size_t cnt;

	(void)state;
	assert_non_null(replay);
	assert_true(step_replay_next(replay, &start, &expected, &cnt));
	while (step_replay_next(replay, &start, &expected, &cnt) && cnt < 8)
		;
	ask = step_replay_ask(replay);
	start.regs[UNWIND_REG_SP] = 0x1000;
	start.regs[UNWIND_REG_FP] = 0x1000;
	unwind_offline(&ask, &start, UNWIND_AUTO, &stack);
	assert_int_not_equal(stack.end, STACK_COMPLETE);
	assert_int_equal(stack.frame_cnt, 1);
	assert_int_equal(stack.frames[0], start.regs[UNWIND_REG_IP]);
	step_replay_close(replay);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_code_of_gcc),
		cmocka_unit_test(test_code_of_clang),
		cmocka_unit_test(test_a_walk_without_its_memory_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
