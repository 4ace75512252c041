/* SPDX-License-Identifier: BSD-2-Clause */
/* Stacks that the kernel sent whole: over fakes for the kernel's maps, processes and tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>

#include "tests/unit/fail_malloc.h"
#include "tests/unit/fake_unwind_maps.h"
#include "tests/unit/fake_frame_tables.h"
#include "tests/unit/fake_processes.h"
#include "profiler/base/err.h"
#include "profiler/collect/images.h"
#include "profiler/collect/sampler.h"
#include "profiler/pipeline/unwinding.h"

#define PID 100
#define CODE 0x400000ull
#define JIT 0x800000ull
#define SP 0x7fff00000f00ull
#define GOT_MAX 1024

static struct binary program;
static const struct code_region regions[] = {
	{ .start = CODE, .end = CODE + 0x1000, .bias = CODE, .binary = &program },
	{ .start = JIT, .end = JIT + 0x1000 },
};
static struct process before_exec;
static struct unwinding *unwinding;
static struct raw_stack_body raw;
static struct stack_body got[8]; /* the first ones */
static size_t got_cnt;
static int answer; /* of on_stack() */
static bool has_bpf = true;

/* ---- what unwinding.c calls beside maps and tables ---- */

void sampler_quiesce(struct sampler *sampler)
{
	(void)sampler;
	fake_quiesce(NULL);
}

struct shared_maps *sampler_shared_maps(struct sampler *sampler)
{
	(void)sampler;
	return has_bpf ? (struct shared_maps *)&has_bpf : NULL; /* nothing here looks into them */
}

int images_new(struct shared_maps *maps, struct images **ret, struct errmsg *err)
{
	(void)maps;
	(void)ret;
	return err_say(err, -EPERM, "no hooks here");
}

void images_free(struct images *images)
{
	assert_null(images);
}

bool images_has_seeded(const struct images *images)
{
	return images != NULL;
}

int unwind_maps_new(struct shared_maps *maps, uint64_t bytes_max, struct unwind_maps **ret,
		    struct errmsg *err)
{
	(void)maps;
	(void)err;
	fake_maps_clear();
	fake_maps.bytes_max = bytes_max;
	*ret = (struct unwind_maps *)&fake_maps;
	return 0;
}

void unwind_maps_free(struct unwind_maps *unwind)
{
	(void)unwind;
}

int frame_tables_new(const struct frame_tables_config *config, struct frame_tables **ret)
{
	(void)config;
	*ret = (struct frame_tables *)&fake_pending;
	return 0;
}

void frame_tables_free(struct frame_tables *tables)
{
	(void)tables;
}

void frame_tables_trim(struct frame_tables *tables, uint64_t before_ns)
{
	(void)tables;
	(void)before_ns;
}

/* ---- the setting: 0x400100 was called by 0x400440, whose rule is the bottom's ---- */

static void make(void)
{
	const struct unwinding_config config = {};
	struct errmsg err = {};

	fake_symbolizer = (struct symbolizer){};
	fake_collected = fake_pending = 0;
	program = fake_binary(1, FRAME_STATE_READY);
	fake_rules[2] = (struct frame_rule){ .cfa = FRAME_BOTTOM };
	program.code[0x440 - 5] = 0xe8;
	fake_run(PID, regions, ARRAY_SIZE(regions));
	got_cnt = 0;
	answer = 0;
	assert_int_equal(unwinding_new(&config, NULL, &fake_symbolizer, &unwinding, &err), 0);
}

static void unmake(void)
{
	unwinding_free(unwinding);
	assert_int_equal(program.refs, 0);
}

static void put(uint64_t address, uint64_t word)
{
	memcpy(raw.stack + (address - SP), &word, sizeof(word));
}

static struct raw_stack_body *stack_of(uint64_t id, uint32_t epoch)
{
	raw = (struct raw_stack_body){
		.header = { .kind = BODY_RAW_STACK, .epoch = epoch, .time_ns = 77 },
		.id = id,
		.tgid = PID,
		.exec_id = 3,
		.start_boottime_ns = 5,
		.stack_bytes = 0x100,
	};
	raw.regs[UNWIND_REG_IP] = CODE + 0x100;
	raw.regs[UNWIND_REG_SP] = SP;
	put(SP, CODE + 0x440);
	return &raw;
}

static void add(uint64_t id, uint32_t epoch)
{
	assert_int_equal(unwinding_add_raw(unwinding, stack_of(id, epoch)), 0);
}

static int on_stack(void *context, const struct stack_body *body)
{
	(void)context;
	if (answer)
		return answer;
	if (got_cnt < ARRAY_SIZE(got))
		got[got_cnt] = *body;
	got_cnt++;
	return 0;
}

static int tick(bool last, uint32_t epoch)
{
	return unwinding_tick(unwinding, last, epoch, on_stack, NULL);
}

static void tick_often(void)
{
	int i;

	for (i = 0; i < 8; i++) /* of which some try again what waits */
		assert_int_equal(tick(false, 0), 0);
}

static struct unwinding_stats stats(void)
{
	struct unwinding_stats ret;

	unwinding_stats(unwinding, &ret);
	return ret;
}

/* ---- what becomes of one ---- */

static void test_a_stack_is_unwound_by_its_registers_and_its_copy(void **state)
{
	(void)state;
	make();
	add(9, 4);
	tick(false, 0);
	assert_int_equal(got_cnt, 1);
	assert_int_equal(got[0].header.kind, BODY_USER_STACK);
	assert_int_equal(got[0].header.epoch, 4);
	assert_int_equal(got[0].header.time_ns, 77);
	assert_int_equal(got[0].id, 9);
	assert_int_equal(got[0].tgid, PID);
	assert_int_equal(got[0].exec_id, 3);
	assert_int_equal(got[0].start_boottime_ns, 5);
	assert_true(got[0].mapped_ns == UINT64_MAX);
	assert_int_equal(got[0].end, STACK_COMPLETE);
	assert_int_equal(got[0].frame_cnt, 2);
	assert_int_equal(got[0].frames[0], CODE + 0x100);
	assert_int_equal(got[0].frames[1], CODE + 0x440);
	assert_int_equal(stats().raw, 1);
	assert_int_equal(unwinding_waits(unwinding, 4), 0);
	unmake();
}

static void test_its_process_and_table_come_into_the_kernel(void **state)
{
	(void)state;
	make();
	unwinding_before_records(unwinding);
	unwinding_publish(unwinding, 50);
	add(9, 4);
	tick(false, 0);
	assert_int_equal(fake_process_at(PID)->exec_id, 3);
	assert_int_equal(fake_process_at(PID)->mapped_ns, 50);
	assert_int_equal(fake_process_at(PID)->list->cnt, ARRAY_SIZE(regions));
	assert_int_equal(fake_maps.loads, 1);
	assert_int_equal(stats().tables, 1);
	assert_int_equal(stats().processes, 1);
	unmake();
}

static void test_it_waits_for_its_table(void **state)
{
	(void)state;
	make();
	program.state = FRAME_STATE_PENDING;
	fake_pending = 1;
	add(9, 4);
	tick_often();
	assert_int_equal(got_cnt, 0);
	assert_int_equal(unwinding_waits(unwinding, 4), 1);
	assert_int_equal(unwinding_waits(unwinding, 5), 0);
	assert_true(unwinding_makes_tables(unwinding));
	program.state = FRAME_STATE_READY;
	fake_collected = 1;
	tick(false, 0);
	assert_int_equal(got_cnt, 1);
	assert_int_equal(got[0].end, STACK_COMPLETE);
	unmake();
}

static void test_what_waits_is_not_tried_at_each_tick(void **state)
{
	unsigned int asked;

	(void)state;
	make();
	program.state = FRAME_STATE_PENDING;
	add(9, 4);
	tick_often();
	asked = fake_questions;
	add(10, 4);
	tick(false, 0);
	/* For the new one, and once to load the table. */
	assert_in_range(fake_questions - asked, 1, 2);
	assert_int_equal(unwinding_waits(unwinding, 4), 2);
	unmake();
}

static void test_the_end_of_its_epoch_ends_the_wait(void **state)
{
	(void)state;
	make();
	program.state = FRAME_STATE_PENDING;
	add(9, 4);
	add(10, 5);
	tick(true, 4);
	assert_int_equal(got_cnt, 1);
	assert_int_equal(got[0].id, 9);
	assert_int_equal(got[0].end, STACK_NOT_READY);
	assert_int_equal(got[0].frame_cnt, 1);
	assert_int_equal(unwinding_waits(unwinding, 4), 0);
	assert_int_equal(unwinding_waits(unwinding, 5), 1);
	program.state = FRAME_STATE_READY;
	tick(true, 5);
	assert_int_equal(got_cnt, 2);
	assert_int_equal(got[1].id, 10);
	assert_int_equal(got[1].end, STACK_COMPLETE);
	unmake();
}

static void test_a_process_that_nobody_knows_ends_with_its_leaf(void **state)
{
	(void)state;
	make();
	stack_of(9, 4)->tgid = PID + 1;
	unwinding_add_raw(unwinding, &raw);
	tick_often();
	assert_int_equal(got_cnt, 0);
	assert_false(unwinding_makes_tables(unwinding)); /* nothing is worth a wait */
	tick(true, 4);
	assert_int_equal(got[0].end, STACK_NOT_READY);
	assert_int_equal(got[0].frames[0], CODE + 0x100);
	unmake();
}

static void test_others_are_given_out_while_one_waits(void **state)
{
	static struct binary slow;
	static const struct code_region with_slow[] = {
		{ .start = CODE, .end = CODE + 0x1000, .bias = CODE, .binary = &program },
		{ .start = JIT, .end = JIT + 0x1000, .bias = JIT, .binary = &slow },
	};
	uint64_t id;

	(void)state;
	make();
	slow = fake_binary(2, FRAME_STATE_PENDING);
	fake_run(PID, with_slow, 2);
	for (id = 1; id <= 6; id++) {
		stack_of(id, 4)->stack_bytes = (uint32_t)(0x40 + 3 * id); /* of different sizes */
		if (id % 2)
			raw.regs[UNWIND_REG_IP] = JIT + 0x100;
		unwinding_add_raw(unwinding, &raw);
	}
	tick(false, 0);
	assert_int_equal(got_cnt, 3);
	assert_int_equal(unwinding_waits(unwinding, 4), 3);
	slow.state = FRAME_STATE_READY;
	tick_often();
	assert_int_equal(got_cnt, 6);
	for (id = 1; id <= 3; id++) {
		assert_int_equal(got[id - 1].id, 2 * id);
		assert_int_equal(got[id + 2].id, 2 * id - 1);
		assert_int_equal(got[id + 2].end, STACK_COMPLETE);
	}
	unwinding_free(unwinding);
	assert_int_equal(slow.refs, 0);
}

/* ---- what it is read from ---- */

static void test_no_more_of_the_stack_is_read_than_was_copied(void **state)
{
	(void)state;
	make();
	stack_of(9, 4)->stack_bytes = 7;
	unwinding_add_raw(unwinding, &raw);
	stack_of(10, 4)->stack_bytes = 0;
	raw.has_code = 1;
	unwinding_add_raw(unwinding, &raw);
	tick(false, 0);
	assert_int_equal(got_cnt, 2);
	assert_int_equal(got[0].end, STACK_CUT);
	assert_int_equal(got[0].frame_cnt, 1);
	assert_int_equal(got[1].end, STACK_CUT);
	unmake();
}

static void test_sizes_that_lie_are_held_against_what_there_is(void **state)
{
	struct raw_stack_body *lie = calloc(1, sizeof(*lie));

	(void)state;
	make();
	*lie = *stack_of(9, 4);
	lie->stack_bytes = UINT32_MAX;
	assert_int_equal(unwinding_add_raw(unwinding, lie), 0);
	lie->regs[UNWIND_REG_SP] = UINT64_MAX - 3;
	lie->stack_hole = UINT32_MAX;
	assert_int_equal(unwinding_add_raw(unwinding, lie), 0);
	lie->regs[UNWIND_REG_IP] = UINT64_MAX;
	lie->has_code = lie->in_syscall = UINT16_MAX;
	assert_int_equal(unwinding_add_raw(unwinding, lie), 0);
	free(lie);
	tick(true, 4);
	assert_int_equal(got_cnt, 3);
	assert_int_equal(got[0].end, STACK_COMPLETE);
	unmake();
}

/* A frame that was just made has not been written to: the page is not there yet. */
static void test_a_hole_at_the_top_is_not_read(void **state)
{
	(void)state;
	make();
	stack_of(9, 4)->stack_hole = 0x40;
	raw.regs[UNWIND_REG_IP] = CODE + 0x810;
	fake_rules[3] = (struct frame_rule){ .cfa = FRAME_SP, .cfa_offset = 0x48 };
	put(SP + 0x40, CODE + 0x440);
	unwinding_add_raw(unwinding, &raw);
	stack_of(10, 4)->stack_hole = 0x40; /* its return address lies in it, as a 0 */
	put(SP, 0);
	unwinding_add_raw(unwinding, &raw);
	tick(false, 0);
	assert_int_equal(got_cnt, 2);
	assert_int_equal(got[0].end, STACK_COMPLETE);
	assert_int_equal(got[0].frame_cnt, 2);
	assert_int_equal(got[1].end, STACK_CUT);
	unmake();
}

/* Nothing is read from the process: it may be gone, or another, or make us wait for ever. */
static void test_the_leafs_code_comes_with_it(void **state)
{
	(void)state;
	make();
	stack_of(9, 4)->regs[UNWIND_REG_IP] = JIT + 0x10;
	raw.has_code = 1;
	raw.code[2] = 0xc3; /* ret */
	unwinding_add_raw(unwinding, &raw);
	stack_of(10, 4)->regs[UNWIND_REG_IP] = JIT + 0x10;
	unwinding_add_raw(unwinding, &raw);
	tick(false, 0);
	assert_int_equal(got_cnt, 2);
	assert_int_equal(got[0].end, STACK_COMPLETE);
	assert_int_equal(got[0].frames[1], CODE + 0x440);
	assert_int_equal(got[1].end, STACK_JIT);
	unmake();
}

static void test_in_exec_the_stack_has_gone_with_the_program(void **state)
{
	(void)state;
	make();
	stack_of(9, 4)->stack_bytes = 0;
	raw.in_syscall = 1;
	symbolizer_process(&fake_symbolizer, PID, 0)->before = &before_exec;
	unwinding_add_raw(unwinding, &raw);
	tick(false, 0);
	assert_int_equal(got[0].end, STACK_EXEC);
	assert_int_equal(got[0].frame_cnt, 1);
	unmake();
}

static void test_code_that_cannot_be_read_must_do(void **state)
{
	(void)state;
	make();
	program.unreadable = true; /* deleted: but its table is known */
	add(9, 4);
	tick(false, 0);
	assert_int_equal(got[0].end, STACK_COMPLETE);
	assert_int_equal(got[0].frame_cnt, 2);
	unmake();
}

/* ---- bounds ---- */

static void test_what_finds_no_room_to_wait_is_counted(void **state)
{
	uint64_t id, room;

	(void)state;
	make();
	program.state = FRAME_STATE_PENDING;
	for (id = 1; !stats().raw_dropped; id++) {
		stack_of(id, 4)->stack_bytes = RAW_STACK_BYTES;
		assert_int_equal(unwinding_add_raw(unwinding, &raw), 0);
	}
	room = id - 2;
	assert_in_range(room * RAW_STACK_BYTES, 8u << 20, 16u << 20);
	assert_int_equal(stats().raw_dropped, 1);
	assert_int_equal(unwinding_waits(unwinding, 4), room);
	program.state = FRAME_STATE_READY;
	tick_often();
	assert_int_equal(got_cnt, room);
	add(1, 4); /* there is room again */
	assert_int_equal(stats().raw_dropped, 1);
	unmake();
}

static void test_after_an_error_the_rest_waits(void **state)
{
	(void)state;
	make();
	add(1, 4);
	add(2, 4);
	answer = -ENOMEM;
	assert_int_equal(tick(false, 0), -ENOMEM);
	assert_int_equal(unwinding_waits(unwinding, 4), 2);
	answer = 0;
	tick_often();
	assert_int_equal(got_cnt, 2);
	assert_int_equal(got[0].id, 1);
	assert_int_equal(got[1].id, 2);
	assert_int_equal(stats().raw, 2);
	unmake();
}

static void test_without_memory_none_is_torn(void **state)
{
	long n;

	(void)state;
	for (n = 1;; n++) {
		uint64_t id, kept = 0;
		bool hit;

		make();
		fail_malloc_at(n);
		for (id = 1; id <= 40; id++) {
			int r;

			stack_of(id, 4)->stack_bytes = (uint32_t)(8 + 37 * id);
			r = unwinding_add_raw(unwinding, &raw);
			assert_true(r == 0 || r == -ENOMEM);
			kept += r == 0;
			if (id == 20 && tick(false, 0) < 0)
				assert_int_equal(tick(false, 0), 0);
		}
		hit = fail_malloc_hit();
		tick_often();
		assert_int_equal(got_cnt, kept);
		assert_true(kept >= 39);
		unmake();
		if (!hit)
			break;
	}
	assert_true(n > 3);
}

static void test_that_it_cannot_start_is_said(void **state)
{
	const struct unwinding_config config = {};
	struct errmsg err = {};

	(void)state;
	fail_malloc_at(1);
	assert_int_equal(unwinding_new(&config, NULL, &fake_symbolizer, &unwinding, &err), -ENOMEM);
	assert_true(fail_malloc_hit());
	assert_true(err.text[0]);
}

/* A sampler of perf events alone: nobody takes registers, and no map is there for tables. */
static void test_without_bpf_there_is_nothing_to_do(void **state)
{
	const struct unwinding_config config = {};
	struct unwinding_stats stats;
	struct errmsg err = {};

	(void)state;
	has_bpf = false;
	assert_int_equal(unwinding_new(&config, NULL, &fake_symbolizer, &unwinding, &err), 0);
	assert_null(unwinding);
	assert_int_equal(unwinding_scanned(NULL), 0);
	assert_int_equal(unwinding_changed(NULL, PID, PROCESS_NEW), 0);
	unwinding_forget(NULL, PID);
	unwinding_records_lost(NULL);
	unwinding_before_records(NULL);
	assert_int_equal(unwinding_publish(NULL, 1), 0);
	assert_int_equal(unwinding_tick(NULL, true, 0, on_stack, NULL), 0);
	assert_int_equal(unwinding_waits(NULL, 0), 0);
	assert_false(unwinding_makes_tables(NULL));
	unwinding_settle(NULL);
	unwinding_end_epoch(NULL, 0);
	unwinding_stats(NULL, &stats);
	assert_int_equal(stats.tables, 0);
	unwinding_free(NULL);
	has_bpf = true;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_stack_is_unwound_by_its_registers_and_its_copy),
		cmocka_unit_test(test_its_process_and_table_come_into_the_kernel),
		cmocka_unit_test(test_it_waits_for_its_table),
		cmocka_unit_test(test_what_waits_is_not_tried_at_each_tick),
		cmocka_unit_test(test_the_end_of_its_epoch_ends_the_wait),
		cmocka_unit_test(test_a_process_that_nobody_knows_ends_with_its_leaf),
		cmocka_unit_test(test_others_are_given_out_while_one_waits),
		cmocka_unit_test(test_no_more_of_the_stack_is_read_than_was_copied),
		cmocka_unit_test(test_sizes_that_lie_are_held_against_what_there_is),
		cmocka_unit_test(test_a_hole_at_the_top_is_not_read),
		cmocka_unit_test(test_the_leafs_code_comes_with_it),
		cmocka_unit_test(test_in_exec_the_stack_has_gone_with_the_program),
		cmocka_unit_test(test_code_that_cannot_be_read_must_do),
		cmocka_unit_test(test_what_finds_no_room_to_wait_is_counted),
		cmocka_unit_test(test_after_an_error_the_rest_waits),
		cmocka_unit_test(test_without_memory_none_is_torn),
		cmocka_unit_test(test_that_it_cannot_start_is_said),
		cmocka_unit_test(test_without_bpf_there_is_nothing_to_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
