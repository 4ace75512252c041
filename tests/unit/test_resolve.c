/* SPDX-License-Identifier: BSD-2-Clause */
/* Stack bodies to named stacks, over a symbolizer that tells what it was asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "profiler/collect/sampler.h"
#include "profiler/pipeline/resolve.h"
#include "profiler/pipeline/stacks.h"
#include "tests/unit/fail_malloc.h"
#include "tests/unit/fake_symbolizer.h"

#define TGID 77
#define TIME_NS 1234567890123

static const struct location_mapping library = { .filename = "/usr/lib/x86_64/libnofp.so.1" };

struct setting {
	struct symbolizer symbolizer;
	struct stacks stacks;
	struct stack_body body;
};

/* A user stack of @frame_cnt frames at 0x1000, 0x1001, ... of a process that is known. */
static void setup(struct setting *setting, uint16_t frame_cnt, enum stack_end end)
{
	size_t i;

	memset(setting, 0, sizeof(*setting));
	setting->symbolizer.process.tgid = TGID;
	stacks_init(&setting->stacks);
	setting->body = (struct stack_body){
		.header = { .kind = BODY_USER_STACK, .epoch = 6, .time_ns = TIME_NS },
		.id = 42,
		.tgid = TGID,
		.frame_cnt = frame_cnt,
		.end = (uint8_t)end,
		.leaf_is_exact = 1,
	};
	for (i = 0; i < MIN(frame_cnt, STACK_FRAMES_MAX + 1); i++)
		setting->body.frames[i] = 0x1000 + i;
}

static void teardown(struct setting *setting)
{
	stacks_free(&setting->stacks);
	fake_free(&setting->symbolizer);
}

static const struct named_stack *resolve(struct setting *setting,
					 const struct location *const **ret_locations)
{
	const struct named_stack *stack;

	assert_true(resolve_stack(&setting->symbolizer, &setting->stacks, &setting->body) >= 0);
	stack = stacks_find(&setting->stacks, setting->body.header.epoch, setting->body.id,
			    ret_locations);
	assert_non_null(stack);
	return stack;
}

static const char *name_of(const struct location *location)
{
	return location->lines[0].function;
}

static void test_leaf_is_looked_up_exactly_and_callers_as_return_addresses(void **state)
{
	const struct location *const *locations;
	struct setting setting;
	size_t i;

	(void)state;
	setup(&setting, 4, STACK_COMPLETE);
	assert_int_equal(resolve(&setting, &locations)->cnt, 4);
	assert_int_equal(setting.symbolizer.call_cnt, 4);
	for (i = 0; i < 4; i++) {
		const struct fake_call *call = &setting.symbolizer.calls[i];

		assert_int_equal(call->ip, 0x1000 + i);
		assert_int_equal(call->return_address, i > 0);
		assert_false(call->kernel);
		assert_true(call->time_ns == TIME_NS);
		assert_ptr_equal(call->process, &setting.symbolizer.process);
	}
	assert_string_equal(name_of(locations[0]), "f_1000");
	assert_string_equal(name_of(locations[3]), "f_1003");
	teardown(&setting);
}

static void test_leaf_behind_a_system_call_is_a_return_address_too(void **state)
{
	const struct location *const *locations;
	struct setting setting;

	(void)state;
	setup(&setting, 2, STACK_COMPLETE);
	setting.body.leaf_is_exact = 0;
	resolve(&setting, &locations);
	assert_true(setting.symbolizer.calls[0].return_address);
	assert_true(setting.symbolizer.calls[1].return_address);
	teardown(&setting);
}

static void test_kernel_stack_asks_for_no_process(void **state)
{
	const struct location *const *locations;
	const struct named_stack *stack;
	struct setting setting;

	(void)state;
	setup(&setting, 3, STACK_KERNEL_END);
	setting.body.header.kind = BODY_KERNEL_STACK;
	stack = resolve(&setting, &locations);
	assert_int_equal(stack->cnt, 3);
	assert_true(stack->complete);
	assert_true(setting.symbolizer.calls[0].kernel);
	assert_false(setting.symbolizer.calls[0].return_address);
	assert_true(setting.symbolizer.calls[2].kernel);
	assert_true(setting.symbolizer.calls[2].return_address);
	teardown(&setting);
}

static void test_frames_that_may_get_a_name_later_are_told(void **state)
{
	struct location *jit;
	struct setting setting;

	(void)state;
	setup(&setting, 3, STACK_COMPLETE);
	jit = fake_place(&setting.symbolizer, 0x1001, "[jit]", LOCATION_JIT, NULL);
	jit->named = false;
	assert_int_equal(resolve_stack(&setting.symbolizer, &setting.stacks, &setting.body), 1);
	jit->named = true;
	assert_int_equal(resolve_stack(&setting.symbolizer, &setting.stacks, &setting.body), 0);
	fake_place(&setting.symbolizer, 0x1000, "f_1000", LOCATION_USER, NULL)->kind =
		LOCATION_UNKNOWN;
	fake_place(&setting.symbolizer, 0x1000, "", LOCATION_USER, NULL)->named = false;
	assert_int_equal(resolve_stack(&setting.symbolizer, &setting.stacks, &setting.body), 1);
	teardown(&setting);
}

static void test_stack_is_kept_under_its_epoch_and_id(void **state)
{
	const struct location *const *locations;
	struct setting setting;

	(void)state;
	setup(&setting, 3, STACK_COMPLETE);
	resolve(&setting, &locations);
	assert_null(stacks_find(&setting.stacks, 7, 42, &locations));
	assert_null(stacks_find(&setting.stacks, 6, 43, &locations));
	teardown(&setting);
}

/* What stands behind the outermost frame, "" = nothing, of a stack that ended in @end. */
static void check_note(enum stack_end end, enum location_kind outermost_kind,
		       const struct location_mapping *mapping, const char *note)
{
	const struct location *const *locations;
	const struct named_stack *stack;
	struct setting setting;

	setup(&setting, 3, end);
	fake_place(&setting.symbolizer, 0x1002, "outermost", outermost_kind, mapping);
	stack = resolve(&setting, &locations);
	assert_int_equal(stack->frames, 3);
	assert_int_equal(stack->complete, !*note);
	assert_int_equal(stack->cnt, *note ? 4 : 3);
	if (*note) {
		assert_string_equal(name_of(locations[3]), note);
		assert_int_equal(locations[3]->kind, LOCATION_NOTE);
	}
	teardown(&setting);
}

static void test_each_end_of_a_walk_has_its_note(void **state)
{
	(void)state;
	check_note(STACK_COMPLETE, LOCATION_USER, &library, "");
	check_note(STACK_KERNEL_END, LOCATION_KERNEL, NULL, "");
	check_note(STACK_DEPTH, LOCATION_USER, &library, "[truncated: depth]");
	check_note(STACK_UNREADABLE, LOCATION_USER, &library, "[stack page not resident]");
	check_note(STACK_COMPAT, LOCATION_USER, &library, "[32-bit process]");
	check_note(STACK_BROKEN, LOCATION_USER, &library, "[no frame pointer: libnofp.so.1]");
	check_note(STACK_BROKEN, LOCATION_VDSO, &(struct location_mapping){ .filename = "[vdso]" },
		   "[no frame pointer: [vdso]]");
	check_note(STACK_BROKEN, LOCATION_USER, NULL, "[no frame pointer: unknown]");
	check_note(STACK_BROKEN, LOCATION_JIT, &(struct location_mapping){ .filename = "[jit]" },
		   "[jit without frame pointer]");
	check_note(STACK_UNREADABLE, LOCATION_JIT, NULL, "[stack page not resident]");
	check_note(STACK_NO_INFO, LOCATION_USER, &library, "[no unwind info: libnofp.so.1]");
	check_note(STACK_EXPRESSION, LOCATION_USER, &library, "[expression: libnofp.so.1]");
	check_note(STACK_CORRUPT, LOCATION_USER, &library, "[corrupt unwind info: libnofp.so.1]");
	check_note(STACK_JIT, LOCATION_JIT, NULL, "[jit without frame pointer]");
	check_note(STACK_NOT_READY, LOCATION_USER, &library, "[tables not ready]");
	check_note(STACK_EXEC, LOCATION_USER, &library, "[truncated: exec]");
	check_note(STACK_FULL, LOCATION_USER, &library, "[unwind memory full: libnofp.so.1]");
	check_note(STACK_CUT, LOCATION_USER, &library, "[truncated: stack copy]");
}

static void test_what_a_signal_interrupted_is_looked_up_exactly(void **state)
{
	const struct location *const *locations;
	struct setting setting;

	(void)state;
	setup(&setting, 3, STACK_COMPLETE);
	setting.body.frames[1] |= STACK_FRAME_IS_EXACT;
	resolve(&setting, &locations);
	assert_int_equal(setting.symbolizer.calls[1].ip, 0x1001);
	assert_false(setting.symbolizer.calls[1].return_address);
	assert_true(setting.symbolizer.calls[2].return_address);
	teardown(&setting);
}

/* The kernel's walk went by the mappings of before: what it found behind such code is no caller. */
static void test_code_mapped_after_the_kernel_was_told_ends_the_stack(void **state)
{
	const struct location *const *locations;
	struct setting setting;

	(void)state;
	setup(&setting, 4, STACK_COMPLETE);
	setting.body.mapped_ns = TIME_NS - 50;
	setting.symbolizer.process.young_ip = 0x1001;
	setting.symbolizer.process.young_ns = TIME_NS - 50;
	assert_int_equal(resolve(&setting, &locations)->cnt, 4);
	setting.symbolizer.process.young_ns++;
	assert_int_equal(resolve(&setting, &locations)->cnt, 3);
	assert_string_equal(name_of(locations[2]), "[tables not ready]");
	/* The last one too: that the stack ends there was said of something else. */
	setting.symbolizer.process.young_ip = 0x1003;
	assert_false(resolve(&setting, &locations)->complete);
	assert_string_equal(name_of(locations[4]), "[tables not ready]");
	teardown(&setting);
}

/* In a frame beyond the leaf the address's last bit says something else. */
static void test_a_leaf_in_the_legacy_page_has_its_whole_address(void **state)
{
	const struct location *const *locations;
	struct setting setting;

	(void)state;
	setup(&setting, 2, STACK_COMPLETE);
	setting.body.frames[0] = 0xffffffffff600000;
	setting.body.frames[1] = 0x1001 | STACK_FRAME_IS_EXACT;
	resolve(&setting, &locations);
	assert_int_equal(setting.symbolizer.calls[0].ip, 0xffffffffff600000);
	assert_int_equal(setting.symbolizer.calls[1].ip, 0x1001);
	teardown(&setting);
}

static void test_odd_file_names_in_a_note(void **state)
{
	char longest[4096];
	struct location_mapping mapping = { .filename = longest };
	const struct location *const *locations;
	struct setting setting;

	(void)state;
	check_note(STACK_BROKEN, LOCATION_USER, &(struct location_mapping){ .filename = "/" },
		   "[no frame pointer: /]");
	check_note(STACK_BROKEN, LOCATION_USER, &(struct location_mapping){ .filename = "x/" },
		   "[no frame pointer: x/]");
	check_note(STACK_BROKEN, LOCATION_USER, &(struct location_mapping){ .filename = "" },
		   "[no frame pointer: ]");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	setup(&setting, 1, STACK_BROKEN);
	fake_place(&setting.symbolizer, 0x1000, "f", LOCATION_USER, &mapping);
	assert_int_equal(resolve(&setting, &locations)->cnt, 2);
	assert_int_equal(strlen(name_of(locations[1])), 299);
	teardown(&setting);
}

static void test_function_where_stacks_begin_completes_a_stack(void **state)
{
	static const enum stack_end ends[] = { STACK_BROKEN, STACK_UNREADABLE, STACK_COMPLETE };
	const struct location *const *locations;
	struct setting setting;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(ends); i++) {
		setup(&setting, 3, ends[i]);
		fake_place(&setting.symbolizer, 0x1002, "_start", LOCATION_USER, &library)
			->stack_bottom = true;
		assert_int_equal(resolve(&setting, &locations)->cnt, 3);
		assert_true(resolve(&setting, &locations)->complete);
		teardown(&setting);
	}
	/* But not when the walker stopped for want of room: there was more behind it. */
	setup(&setting, 3, STACK_DEPTH);
	fake_place(&setting.symbolizer, 0x1002, "_start", LOCATION_USER, &library)->stack_bottom =
		true;
	assert_false(resolve(&setting, &locations)->complete);
	teardown(&setting);
}

static void test_caller_outside_all_mappings_ends_the_stack(void **state)
{
	const struct location *const *locations;
	const struct named_stack *stack;
	struct setting setting;

	(void)state;
	setup(&setting, 5, STACK_COMPLETE);
	fake_place(&setting.symbolizer, 0x1001, "caller", LOCATION_USER, &library);
	fake_place(&setting.symbolizer, 0x1002, "[unknown]", LOCATION_UNKNOWN, NULL);
	stack = resolve(&setting, &locations);
	assert_int_equal(stack->cnt, 3);
	assert_int_equal(stack->frames, 2);
	assert_int_equal(stack->named, 2);
	assert_false(stack->complete);
	assert_string_equal(name_of(locations[2]), "[no frame pointer: libnofp.so.1]");
	teardown(&setting);
}

static void test_frames_of_an_unknown_process_are_kept(void **state)
{
	const struct location *const *locations;
	const struct named_stack *stack;
	struct setting setting;

	(void)state;
	setup(&setting, 3, STACK_COMPLETE);
	setting.symbolizer.process.tgid = TGID + 1;
	fake_place(&setting.symbolizer, 0x1001, "[unknown]", LOCATION_UNKNOWN, NULL);
	stack = resolve(&setting, &locations);
	assert_null(setting.symbolizer.calls[0].process);
	assert_int_equal(stack->cnt, 3);
	assert_int_equal(stack->named, 2);
	assert_true(stack->complete);
	teardown(&setting);
}

static void test_deepest_stack_keeps_its_note(void **state)
{
	const struct location *const *locations;
	const struct named_stack *stack;
	struct setting setting;

	(void)state;
	setup(&setting, STACK_FRAMES_MAX, STACK_DEPTH);
	stack = resolve(&setting, &locations);
	assert_int_equal(stack->cnt, STACK_FRAMES_MAX + 1);
	assert_string_equal(name_of(locations[STACK_FRAMES_MAX]), "[truncated: depth]");
	teardown(&setting);
	/* A count that breaks the contract is cut to it. */
	setup(&setting, UINT16_MAX, STACK_DEPTH);
	assert_int_equal(resolve(&setting, &locations)->cnt, STACK_FRAMES_MAX + 1);
	teardown(&setting);
}

static void test_stack_without_frames_has_no_note(void **state)
{
	const struct location *const *locations;
	struct setting setting;

	(void)state;
	setup(&setting, 0, STACK_BROKEN);
	assert_int_equal(resolve(&setting, &locations)->cnt, 0);
	teardown(&setting);
}

static void test_failed_allocations_are_reported(void **state)
{
	const struct location *const *locations;
	struct setting setting;
	long n;

	(void)state;
	for (n = 1;; n++) {
		int error;

		setup(&setting, 3, STACK_DEPTH);
		fail_malloc_at(n);
		error = resolve_stack(&setting.symbolizer, &setting.stacks, &setting.body);
		if (!fail_malloc_hit()) {
			assert_int_equal(error, 0);
			teardown(&setting);
			break;
		}
		assert_int_equal(error, -ENOMEM);
		assert_null(stacks_find(&setting.stacks, 6, 42, &locations));
		teardown(&setting);
	}
	assert_true(n > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leaf_is_looked_up_exactly_and_callers_as_return_addresses),
		cmocka_unit_test(test_leaf_behind_a_system_call_is_a_return_address_too),
		cmocka_unit_test(test_kernel_stack_asks_for_no_process),
		cmocka_unit_test(test_frames_that_may_get_a_name_later_are_told),
		cmocka_unit_test(test_stack_is_kept_under_its_epoch_and_id),
		cmocka_unit_test(test_each_end_of_a_walk_has_its_note),
		cmocka_unit_test(test_what_a_signal_interrupted_is_looked_up_exactly),
		cmocka_unit_test(test_code_mapped_after_the_kernel_was_told_ends_the_stack),
		cmocka_unit_test(test_a_leaf_in_the_legacy_page_has_its_whole_address),
		cmocka_unit_test(test_odd_file_names_in_a_note),
		cmocka_unit_test(test_function_where_stacks_begin_completes_a_stack),
		cmocka_unit_test(test_caller_outside_all_mappings_ends_the_stack),
		cmocka_unit_test(test_frames_of_an_unknown_process_are_kept),
		cmocka_unit_test(test_deepest_stack_keeps_its_note),
		cmocka_unit_test(test_stack_without_frames_has_no_note),
		cmocka_unit_test(test_failed_allocations_are_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
