/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Walks at every single instruction of programs, from the dynamic loader's first to exit: through
 * prologues, epilogues, PLT stubs and lazy binding, libc and its callbacks, the vdso, realigned
 * stacks, handlers and what they interrupt.  Each walk must find exactly the return addresses that
 * the program's calls pushed (stepper.h), and end at the bottom of the stack.
 *
 *	build/obj/tests/unit/test_unwind_step [-e] [-s EVERY] [-n STEPS] [-r FILE] PROGRAM [ARGUMENT...]
 *
 * steps any program, for a look; -e: from its entry point; -s: SIGUSR1 every so many steps; -r:
 * records a stop at each instruction for test_unwind_recorded.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "profiler/base/hashmap.h"
#include "profiler/collect/unwind_offline.h"
#include "symbolizer/frame_source.h"
#include "tests/unit/elf_fixture.h"
#include "tests/unit/step_record.h"
#include "tests/unit/step_target.h"
#include "tests/unit/stepper.h"

#define STEPS_MAX 3000000

struct totals {
	uint64_t walks, frames;
	uint64_t wrong;	  /* a frame that is not the true one, or an end that is none */
	uint64_t guessed; /* the same, from code that no table tells of, by frame pointer */
	uint64_t stopped; /* true frames, then a reason: mode auto */
	uint64_t stopped_by_table;	      /* the same by tables alone */
	uint64_t leaf_kinds[UNWIND_CFA_CNT];  /* walks that began in a frame of this kind */
	uint64_t interrupted;		      /* walks that went through a signal's frame */
	size_t instruction_cnt, function_cnt; /* addresses where a walk began; that were called */
	struct hashmap instructions, functions, shown_places, recorded;
	size_t shown_max;
	size_t deepest;
};

static struct stepper stepper;

/* ---- one walk ---- */

static void show_frames(struct step_target *target, const char *what, const uint64_t *frames,
			size_t cnt)
{
	char place[PATH_MAX + 32];
	size_t i;

	print_message("  %s:", what);
	for (i = 0; i < cnt && i < 24; i++) {
		step_target_place(target, frames[i] & ~STACK_FRAME_IS_EXACT, place, sizeof(place));
		print_message(" %s%s", place, frames[i] & STACK_FRAME_IS_EXACT ? "!" : "");
	}
	print_message("%s\n", i < cnt ? " ..." : "");
}

static void show_mismatch(struct step_target *target, const struct stack_body *stack,
			  const uint64_t *expected, size_t cnt, enum unwind_mode mode,
			  const char *how)
{
	const uint64_t *regs = stepper.now.regs;
	struct unwind_target ask = step_target_ask(target);
	struct unwind_rule rule = {};
	int r = ask.rule(ask.context, regs[UNWIND_REG_IP], &rule);

	print_message("%s at step %lu, mode %d, end %u: rip %lx rsp %lx rbp %lx rbx %lx\n", how,
		      (unsigned long)stepper.steps, (int)mode, stack->end,
		      (unsigned long)regs[UNWIND_REG_IP], (unsigned long)regs[UNWIND_REG_SP],
		      (unsigned long)regs[UNWIND_REG_FP], (unsigned long)regs[UNWIND_REG_BX]);
	print_message("  the leaf's rule: %d, cfa %u reg %u %+d %+d, fp %u %+d, bx %u %+d\n", r,
		      rule.cfa, rule.reg, rule.cfa_offset, rule.cfa_add, rule.fp, rule.fp_offset,
		      rule.bx, rule.bx_offset);
	show_frames(target, "walked", (const uint64_t *)stack->frames, stack->frame_cnt);
	show_frames(target, "pushed", expected, cnt);
}

static bool is_true(const struct stack_body *stack, const uint64_t *expected, size_t cnt)
{
	return stack->frame_cnt <= cnt && stack->leaf_is_exact &&
	       !memcmp(stack->frames, expected, stack->frame_cnt * sizeof(*expected));
}

/* Where the rule of frame @i is looked up. */
static uint64_t address_of(const uint64_t *frames, size_t i)
{
	if (i > 0 && !(frames[i] & STACK_FRAME_IS_EXACT))
		return frames[i] - 1;
	return frames[i] & ~STACK_FRAME_IS_EXACT;
}

/* Where the true stack was not found: how wrong is that? */
static const char *judge(struct step_target *target, struct totals *totals,
			 const struct stack_body *stack, const uint64_t *expected, size_t cnt,
			 enum unwind_mode mode)
{
	struct unwind_target ask = step_target_ask(target);
	struct unwind_rule rule = {};
	size_t i = 0;

	if (is_true(stack, expected, cnt) && stack->end != STACK_COMPLETE && stack->frame_cnt) {
		*(mode == UNWIND_AUTO ? &totals->stopped : &totals->stopped_by_table) += 1;
		return "stopped";
	}
	while (i < cnt && i < stack->frame_cnt && stack->frames[i] == expected[i])
		i++;
	/* The last true frame led astray. */
	if (i > 0)
		ask.rule(ask.context, address_of(expected, i - 1), &rule);
	if (rule.cfa == UNWIND_NO_INFO && mode == UNWIND_AUTO) {
		totals->guessed++;
		return "guessed";
	}
	totals->wrong++;
	return "WRONG";
}

/* True: the walk gave the true stack. */
static bool check_walk(struct step_target *target, struct totals *totals, enum unwind_mode mode)
{
	static uint64_t expected[STACK_FRAMES_MAX];
	static struct stack_body stack;
	struct unwind_target ask = step_target_ask(target);
	size_t cnt = stepper_expected(&stepper, expected, STACK_FRAMES_MAX), i;
	uint64_t place = stepper.now.regs[UNWIND_REG_IP];
	bool is_new = false;
	const char *how;

	unwind_offline(&ask, &stepper.now, mode, &stack);
	totals->walks++;
	totals->frames += stack.frame_cnt;
	totals->deepest = cnt > totals->deepest ? cnt : totals->deepest;
	for (i = 1; i < cnt; i++) {
		if (expected[i] & STACK_FRAME_IS_EXACT) {
			totals->interrupted++;
			break;
		}
	}
	if (is_true(&stack, expected, cnt) && stack.end == STACK_COMPLETE && stack.frame_cnt == cnt)
		return true;
	how = judge(target, totals, &stack, expected, cnt, mode);
	hashmap_put(&totals->shown_places, &place, &is_new);
	if (how[0] == 'W' || (is_new && totals->shown_places.cnt <= totals->shown_max))
		show_mismatch(target, &stack, expected, cnt, mode, how);
	return false;
}

/* ---- a whole program ---- */

static void count_place(struct step_target *target, struct totals *totals)
{
	struct unwind_target ask = step_target_ask(target);
	uint64_t ip = stepper.now.regs[UNWIND_REG_IP];
	struct unwind_rule rule = {};

	if (ask.rule(ask.context, ip, &rule) == 0)
		totals->leaf_kinds[rule.cfa]++;
	hashmap_put(&totals->instructions, &ip, NULL);
	if (stepper.called)
		hashmap_put(&totals->functions, &ip, NULL);
}

struct run {
	const char *const *argv;
	bool from_entry;       /* at full speed through the dynamic loader */
	uint64_t signal_every; /* SIGUSR1 after so many steps outside of handlers; 0 = never */
	uint64_t steps_max;
	size_t shown_max;
	struct step_recorder *recorder; /* NULL = none */
};

/* True if a stop at this instruction, in or out of a handler, is the first. */
static bool is_new_stop(struct totals *totals)
{
	uint64_t ip = stepper.now.regs[UNWIND_REG_IP];
	bool is_new;

	if (stepper_is_in_handler(&stepper))
		ip |= STACK_FRAME_IS_EXACT;
	hashmap_put(&totals->recorded, &ip, &is_new);
	return is_new;
}

static void record(const struct run *run, struct step_target *target, struct totals *totals)
{
	static uint64_t expected[STACK_FRAMES_MAX];
	struct unwind_target ask = step_target_ask(target);

	if (!run->recorder || !is_new_stop(totals))
		return;
	step_recorder_add(run->recorder, &ask, &stepper.now, expected,
			  stepper_expected(&stepper, expected, STACK_FRAMES_MAX));
}

static void free_maps(struct totals *totals)
{
	hashmap_free(&totals->instructions);
	hashmap_free(&totals->functions);
	hashmap_free(&totals->shown_places);
	hashmap_free(&totals->recorded);
}

static void maybe_signal(const struct run *run, uint64_t *due, bool *handles)
{
	if (stepper_is_in_handler(&stepper)) {
		*due = stepper.steps + run->signal_every;
	} else if (run->signal_every && stepper.steps >= *due) {
		*handles = *handles || stepper_handles(&stepper, SIGUSR1);
		stepper.send = *handles ? SIGUSR1 : 0;
		*due = stepper.steps + run->signal_every;
	}
}

/* Runs it to its end: 0, or why not. */
static int step_through(const struct run *run, struct totals *totals)
{
	struct step_target *target;
	uint64_t due = run->signal_every;
	bool handles = false, is_true_stop;
	int r;

	*totals = (struct totals){ .shown_max = run->shown_max };
	hashmap_init(&totals->instructions, sizeof(uint64_t), 0);
	hashmap_init(&totals->functions, sizeof(uint64_t), 0);
	hashmap_init(&totals->shown_places, sizeof(uint64_t), 0);
	hashmap_init(&totals->recorded, sizeof(uint64_t), 0);
	r = stepper_start(&stepper, run->argv);
	if (r == 0 && run->from_entry)
		r = stepper_run_to_entry(&stepper);
	if (r < 0)
		return r;
	target = step_target_new(&stepper);
	for (r = 1; r > 0 && stepper.steps < run->steps_max;) {
		count_place(target, totals);
		is_true_stop = check_walk(target, totals, UNWIND_AUTO);
		if (check_walk(target, totals, UNWIND_BY_TABLE) && is_true_stop)
			record(run, target, totals);
		maybe_signal(run, &due, &handles);
		r = stepper_step(&stepper);
	}
	stepper_stop(&stepper);
	step_target_free(target);
	totals->instruction_cnt = totals->instructions.cnt;
	totals->function_cnt = totals->functions.cnt;
	free_maps(totals);
	return r < 0 ? r : 0;
}

static void show_totals(const char *name, const struct totals *totals)
{
	print_message("%s: %lu steps, %lu walks, %.1f frames each, deepest %zu, %zu instructions "
		      "in %zu functions; %lu walks through %lu signals; %lu and %lu "
		      "stopped, %lu guessed, %lu wrong\n",
		      name, (unsigned long)stepper.steps, (unsigned long)totals->walks,
		      (double)totals->frames / (double)(totals->walks ? totals->walks : 1),
		      totals->deepest, totals->instruction_cnt, totals->function_cnt,
		      (unsigned long)totals->interrupted, (unsigned long)stepper.signals,
		      (unsigned long)totals->stopped, (unsigned long)totals->stopped_by_table,
		      (unsigned long)totals->guessed, (unsigned long)totals->wrong);
	print_message(
		"  leaves: none %lu, sp %lu, fp %lu, bx %lu, register %lu, *sp %lu, *fp %lu, plt "
		"%lu, signal %lu, bottom %lu, expression %lu, corrupt %lu\n",
		(unsigned long)totals->leaf_kinds[UNWIND_NO_INFO],
		(unsigned long)totals->leaf_kinds[UNWIND_SP],
		(unsigned long)totals->leaf_kinds[UNWIND_FP],
		(unsigned long)totals->leaf_kinds[UNWIND_BX],
		(unsigned long)totals->leaf_kinds[UNWIND_REGISTER],
		(unsigned long)totals->leaf_kinds[UNWIND_SP_DEREF],
		(unsigned long)totals->leaf_kinds[UNWIND_FP_DEREF],
		(unsigned long)totals->leaf_kinds[UNWIND_PLT],
		(unsigned long)totals->leaf_kinds[UNWIND_SIGNAL],
		(unsigned long)totals->leaf_kinds[UNWIND_BOTTOM],
		(unsigned long)totals->leaf_kinds[UNWIND_EXPRESSION],
		(unsigned long)totals->leaf_kinds[UNWIND_CORRUPT]);
}

/* ---- the tests ---- */

struct build {
	const char *compiler, *flags;
	bool from_entry;
	uint64_t signal_every;
	bool is_static_code; /* no PLT stubs that bind lazily */
};

static char *root; /* of the tree */

static bool have(const char *compiler)
{
	return fixture_shell("command -v %s >/dev/null", compiler);
}

/* All kinds of rules that the program was written for are met, and no walk is wrong. */
static void check_totals(const struct build *build, const struct totals *totals)
{
	bool is_gcc = !strcmp(build->compiler, "gcc");

	assert_int_equal(totals->wrong, 0);
	/* Code of the C start-up files without tables, longjmp() in the midst of its jump. */
	assert_true(totals->stopped <= totals->walks / 400);
	assert_true(totals->stopped_by_table <= totals->walks / 50);
	assert_true(totals->guessed <= totals->walks / 1000);
	assert_true(totals->walks > 20000 && totals->function_cnt > 50);
	assert_true(totals->deepest >= 16);
	assert_true(stepper.signals >= (build->signal_every ? 20 : 2));
	assert_true(totals->interrupted > 100);
	assert_true(totals->leaf_kinds[UNWIND_SIGNAL] > 0);
	assert_true(totals->leaf_kinds[UNWIND_FP] > 0 && totals->leaf_kinds[UNWIND_SP] > 0);
	if (is_gcc && !build->is_static_code)
		assert_true(totals->leaf_kinds[UNWIND_PLT] > 0);
	if (is_gcc)
		assert_true(totals->leaf_kinds[UNWIND_FP_DEREF] > 0 &&
			    totals->leaf_kinds[UNWIND_REGISTER] > 0);
}

static void check_build(const struct build *build)
{
	const char *argv[] = { fixture_path("stepped"), NULL };
	struct run run = { argv, build->from_entry, build->signal_every, STEPS_MAX, 3, NULL };
	struct totals totals;
	int r;

	if (!have(build->compiler)) {
		print_message("no %s here\n", build->compiler);
		skip();
	}
	if (!fixture_shell("%s -std=gnu11 -D_GNU_SOURCE %s -o stepped "
			   "%s/tests/workloads/unwind/stepped.c 2>/dev/null",
			   build->compiler, build->flags, root)) {
		print_message("%s %s does not work here\n", build->compiler, build->flags);
		skip();
	}
	r = step_through(&run, &totals);
	if (r == -EPERM) {
		print_message("a process may not trace its child here\n");
		skip();
	}
	assert_int_equal(r, 0);
	show_totals(build->flags, &totals);
	assert_true(WIFEXITED(stepper.status) && WEXITSTATUS(stepper.status) == 0);
	check_totals(build, &totals);
}

#define BUILD_TEST(name, ...)                                                                      \
	static void name(void **state)                                                             \
	{                                                                                          \
		const struct build build = { __VA_ARGS__ };                                        \
                                                                                                   \
		(void)state;                                                                       \
		check_build(&build);                                                               \
	}

#define LAZY " -Wl,-z,lazy"
#define NO_FP " -fomit-frame-pointer"

BUILD_TEST(test_every_instruction_from_the_loader_to_exit, "gcc", "-O2" NO_FP LAZY)
BUILD_TEST(test_signals_anywhere, "gcc", "-O2" NO_FP LAZY, true, 397)
BUILD_TEST(test_unoptimized, "gcc", "-O0" LAZY, true)
BUILD_TEST(test_small_code, "gcc", "-Os" NO_FP LAZY, true)
BUILD_TEST(test_with_frame_pointers, "gcc", "-O2 -fno-omit-frame-pointer" LAZY, true)
BUILD_TEST(test_all_realigned, "gcc", "-O3 -mstackrealign" NO_FP LAZY, true)
BUILD_TEST(test_branch_tracking_stubs, "gcc", "-O2 -fcf-protection=full -Wl,-z,ibtplt" NO_FP LAZY,
	   true)
BUILD_TEST(test_no_pie, "gcc", "-O2 -no-pie" NO_FP LAZY, true)
BUILD_TEST(test_static, "gcc", "-O2 -static" NO_FP, true, 0, true)
BUILD_TEST(test_debug_frame_alone, "gcc",
	   "-O2 -g -fno-asynchronous-unwind-tables -fno-unwind-tables" NO_FP LAZY, true)
BUILD_TEST(test_clang, "clang", "-O3" NO_FP LAZY, true)
BUILD_TEST(test_clang_small_code, "clang", "-Oz" NO_FP LAZY, true, 397)
BUILD_TEST(test_clang_lld, "clang", "-O2 -fuse-ld=lld" NO_FP LAZY, true)

/* ---- by hand ---- */

static int step_by_hand(int argc, char **argv)
{
	struct run run = { .steps_max = STEPS_MAX, .shown_max = SIZE_MAX };
	const char *recorded = NULL;
	struct totals totals;
	int option, r;

	while ((option = getopt(argc, argv, "+es:n:r:")) > 0) {
		if (option == 'e')
			run.from_entry = true;
		else if (option == 's')
			run.signal_every = strtoull(optarg, NULL, 10);
		else if (option == 'n')
			run.steps_max = strtoull(optarg, NULL, 10);
		else if (option == 'r')
			recorded = optarg;
		else
			return 2;
	}
	if (optind == argc)
		return 2;
	run.argv = (const char *const *)argv + optind;
	run.recorder = recorded ? step_recorder_new() : NULL;
	r = step_through(&run, &totals);
	if (recorded && step_recorder_save(run.recorder, recorded) < 0)
		print_message("%s could not be written\n", recorded);
	show_totals(argv[optind], &totals);
	if (r < 0)
		print_message("stopped at step %lu: %s\n", (unsigned long)stepper.steps,
			      strerror(-r));
	return r < 0 || totals.wrong;
}

static int open_all(void **state)
{
	(void)state;
	root = realpath(".", NULL);
	return !root || !fixture_open();
}

static int close_all(void **state)
{
	(void)state;
	fixture_close();
	free(root);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_instruction_from_the_loader_to_exit),
		cmocka_unit_test(test_signals_anywhere),
		cmocka_unit_test(test_unoptimized),
		cmocka_unit_test(test_small_code),
		cmocka_unit_test(test_with_frame_pointers),
		cmocka_unit_test(test_all_realigned),
		cmocka_unit_test(test_branch_tracking_stubs),
		cmocka_unit_test(test_no_pie),
		cmocka_unit_test(test_static),
		cmocka_unit_test(test_debug_frame_alone),
		cmocka_unit_test(test_clang),
		cmocka_unit_test(test_clang_small_code),
		cmocka_unit_test(test_clang_lld),
	};

	if (argc > 1)
		return step_by_hand(argc, argv);
	return cmocka_run_group_tests(tests, open_all, close_all);
}
