/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "tests/unit/fail_malloc.h"
#include "tests/unit/fake_unwind_maps.h"
#include "tests/unit/fake_frame_tables.h"
#include "profiler/pipeline/unwind_files.h"

#define BINARIES 8
#define OLD 10 /* ticks without a look after which a table may be taken away */
#define RETRY 6

struct setting {
	struct unwind_files files;
	struct binary binaries[BINARIES];
	bool forgotten[BINARIES]; /* by the symbolizer */
};

static bool is_known(void *context, uint64_t binary_id)
{
	return !((struct setting *)context)->forgotten[binary_id];
}

static void tick(struct setting *setting, unsigned int cnt)
{
	while (cnt--)
		unwind_files_trim(&setting->files, is_known, setting);
}

static struct setting *make(void)
{
	static struct setting setting;
	uint64_t i;

	fake_maps_clear();
	fake_questions = 0;
	setting = (struct setting){};
	unwind_files_init(&setting.files, NULL, NULL);
	setting.files.quiesce = fake_quiesce;
	for (i = 0; i < BINARIES; i++)
		setting.binaries[i] = fake_binary(i, FRAME_STATE_READY);
	return &setting;
}

/* All references are given back. */
static void unmake(struct setting *setting)
{
	size_t i;

	unwind_files_free(&setting->files);
	for (i = 0; i < BINARIES; i++)
		assert_int_equal(setting->binaries[i].refs, 0);
	for (i = 0; i < FAKE_FILES; i++)
		assert_int_equal(fake_maps.files[i].refs, 0);
}

/* A stack needs the table of binary @index. */
static int need(struct setting *setting, size_t index)
{
	struct unwind_rule rule;

	return unwind_files_rule(&setting->files, &setting->binaries[index], 0x10, &rule);
}

static uint32_t index_of(struct setting *setting, size_t index)
{
	uint32_t file = UNWIND_FILE_NONE;

	assert_int_equal(unwind_files_index(&setting->files, &setting->binaries[index], &file), 0);
	return file;
}

static struct fake_file *file_of(struct setting *setting, size_t index)
{
	return &fake_maps.files[index_of(setting, index)];
}

/* Binary @index has a table of @bytes, which is loaded. */
static void load(struct setting *setting, size_t index, uint32_t bytes)
{
	setting->binaries[index].table.row_cnt = bytes / sizeof(struct unwind_row);
	need(setting, index);
	unwind_files_load(&setting->files);
}

static void test_a_file_has_one_place(void **state)
{
	struct setting *setting = make();
	uint32_t first = index_of(setting, 0);

	(void)state;
	assert_int_equal(index_of(setting, 0), first);
	assert_int_not_equal(index_of(setting, 1), first);
	assert_int_equal(fake_maps.loads, 0); /* nobody has needed them */
	assert_int_equal(fake_questions, 0);
	unmake(setting);
}

static void test_without_a_place_there_is_none(void **state)
{
	struct setting *setting = make();
	uint32_t file;

	(void)state;
	fake_maps.file_room = 1;
	assert_int_equal(index_of(setting, 0), 0);
	assert_int_equal(unwind_files_index(&setting->files, &setting->binaries[1], &file), -ENOSPC);
	assert_int_equal(need(setting, 1), 0); /* here it serves all the same */
	unwind_files_load(&setting->files);
	assert_int_equal(fake_maps.loads, 0);
	unmake(setting);
}

static void test_a_table_is_loaded_once_when_it_has_come(void **state)
{
	struct setting *setting = make();

	(void)state;
	setting->binaries[0].state = FRAME_STATE_PENDING;
	assert_int_equal(need(setting, 0), -EAGAIN);
	unwind_files_load(&setting->files);
	assert_int_equal(fake_maps.loads, 0);
	assert_int_equal(setting->binaries[0].refs, 1);
	setting->binaries[0].state = FRAME_STATE_READY;
	unwind_files_load(&setting->files);
	assert_int_equal(file_of(setting, 0)->state, UNWIND_FILE_READY);
	assert_int_equal(setting->binaries[0].refs, 0);
	need(setting, 0);
	unwind_files_load(&setting->files);
	assert_int_equal(fake_maps.loads, 1);
	assert_int_equal(setting->files.loaded, 1);
	unmake(setting);
	assert_int_equal(setting->files.loaded, 0);
}

static void test_rules_are_the_tables(void **state)
{
	struct setting *setting = make();
	struct unwind_rule rule;

	(void)state;
	fake_rules[2] = (struct frame_rule){ .cfa = FRAME_FP, .cfa_offset = 16, .fp_offset = -16 };
	assert_int_equal(unwind_files_rule(&setting->files, &setting->binaries[0], 0x404, &rule), 0);
	assert_int_equal(rule.cfa, UNWIND_FP);
	assert_int_equal(rule.cfa_offset, 16);
	assert_int_equal(rule.fp_offset, -16);
	assert_int_equal(unwind_files_rule(&setting->files, &setting->binaries[0], 1 << 20, &rule), 0);
	assert_int_equal(rule.cfa, UNWIND_NO_INFO);
	setting->binaries[1].state = FRAME_STATE_NO_INFO;
	assert_int_equal(unwind_files_rule(&setting->files, &setting->binaries[1], 0x404, &rule), 0);
	assert_int_equal(rule.cfa, UNWIND_NO_INFO);
	unmake(setting);
}

static void test_that_a_file_has_no_table_is_told(void **state)
{
	struct setting *setting = make();

	(void)state;
	setting->binaries[0].state = FRAME_STATE_NO_INFO;
	need(setting, 0);
	unwind_files_load(&setting->files);
	tick(setting, 2 * RETRY);
	assert_int_equal(file_of(setting, 0)->state, UNWIND_FILE_NO_INFO); /* for good */
	unmake(setting);
}

static void test_what_failed_is_tried_again_later(void **state)
{
	struct setting *setting = make();

	(void)state;
	setting->binaries[0].state = FRAME_STATE_FAILED;
	need(setting, 0);
	unwind_files_load(&setting->files);
	assert_int_equal(file_of(setting, 0)->state, UNWIND_FILE_NO_INFO);
	setting->binaries[0].state = FRAME_STATE_READY;
	tick(setting, RETRY + 1);
	assert_int_equal(file_of(setting, 0)->state, UNWIND_FILE_ABSENT);
	need(setting, 0);
	unwind_files_load(&setting->files);
	assert_int_equal(file_of(setting, 0)->state, UNWIND_FILE_READY);
	unmake(setting);
}

/* ---- when room is wanted ---- */

static void test_the_oldest_go_all_at_once(void **state)
{
	struct setting *setting = make();
	size_t i;

	(void)state;
	fake_maps.bytes_max = 1000;
	for (i = 0; i < 5; i++) {
		load(setting, i, 200);
		tick(setting, 1);
	}
	tick(setting, OLD);
	file_of(setting, 0)->used = fake_maps.clock; /* a walk has looked at it */
	load(setting, 5, 580);
	assert_int_equal(setting->files.evicted, 3);
	assert_int_equal(fake_maps.quiesces, 1);
	assert_int_equal(file_of(setting, 0)->state, UNWIND_FILE_READY);
	for (i = 1; i <= 3; i++)
		assert_int_equal(file_of(setting, i)->state, UNWIND_FILE_ABSENT);
	assert_int_equal(file_of(setting, 4)->state, UNWIND_FILE_READY);
	assert_int_equal(file_of(setting, 5)->state, UNWIND_FILE_READY);
	assert_int_equal(setting->files.loaded, 3);
	/* Who was taken away comes back when a stack needs it, and there is room. */
	fake_maps.bytes_max = 2000;
	load(setting, 1, 200);
	assert_int_equal(file_of(setting, 1)->state, UNWIND_FILE_READY);
	unmake(setting);
}

static void test_tables_in_use_stay(void **state)
{
	struct setting *setting = make();

	(void)state;
	fake_maps.bytes_max = 1000;
	load(setting, 0, 800);
	tick(setting, OLD - 1);
	load(setting, 1, 400);
	assert_int_equal(file_of(setting, 0)->state, UNWIND_FILE_READY);
	assert_int_equal(file_of(setting, 1)->state, UNWIND_FILE_FULL);
	assert_int_equal(setting->files.refused, 1);
	assert_int_equal(setting->files.evicted, 0);
	unmake(setting);
}

static void test_nothing_goes_in_vain(void **state)
{
	struct setting *setting = make();

	(void)state;
	fake_maps.bytes_max = 1000;
	load(setting, 0, 400);
	load(setting, 1, 400);
	tick(setting, OLD);
	load(setting, 2, 1200);
	assert_int_equal(setting->files.evicted, 0);
	assert_int_equal(fake_maps.quiesces, 0);
	assert_int_equal(file_of(setting, 2)->state, UNWIND_FILE_FULL);
	unmake(setting);
}

static void test_what_found_no_room_is_not_tried_by_each_stack(void **state)
{
	struct setting *setting = make();
	unsigned int i, loads;

	(void)state;
	fake_maps.bytes_max = 100;
	load(setting, 0, 400);
	loads = fake_maps.loads;
	for (i = 0; i < 10; i++)
		load(setting, 0, 400);
	assert_int_equal(fake_maps.loads, loads);
	assert_int_equal(setting->files.refused, 1);
	assert_int_equal(setting->binaries[0].refs, 0);
	fake_maps.bytes_max = 1000;
	tick(setting, RETRY + 1);
	assert_int_equal(file_of(setting, 0)->state, UNWIND_FILE_ABSENT);
	load(setting, 0, 400);
	assert_int_equal(file_of(setting, 0)->state, UNWIND_FILE_READY);
	unmake(setting);
}

/* ---- forgetting ---- */

static void test_what_the_symbolizer_has_forgotten_goes(void **state)
{
	struct setting *setting = make();
	uint32_t gone;

	(void)state;
	load(setting, 0, 40);
	load(setting, 1, 40);
	gone = index_of(setting, 0);
	setting->binaries[2].state = FRAME_STATE_PENDING;
	need(setting, 2);
	setting->forgotten[0] = setting->forgotten[2] = true;
	tick(setting, 1);
	assert_int_equal(fake_maps.files[gone].refs, 0);
	assert_int_equal(setting->files.loaded, 1);
	assert_int_equal(setting->binaries[2].refs, 1); /* its table is being made */
	assert_int_equal(setting->files.by_binary.cnt, 2);
	setting->binaries[2].state = FRAME_STATE_READY;
	unwind_files_load(&setting->files);
	tick(setting, 1);
	assert_int_equal(setting->files.by_binary.cnt, 1);
	unmake(setting);
}

static void test_without_memory_nothing_is_leaked_or_wrong(void **state)
{
	long n;

	(void)state;
	for (n = 1;; n++) {
		struct setting *setting = make();
		struct unwind_rule rule;
		bool hit;

		fail_malloc_at(n);
		load(setting, 0, 40);
		assert_int_equal(unwind_files_rule(&setting->files, &setting->binaries[0], 0, &rule), 0);
		assert_int_equal(rule.cfa, UNWIND_SP); /* unwound here without memory too */
		load(setting, 1, 40);
		tick(setting, 1);
		load(setting, 0, 40);
		hit = fail_malloc_hit();
		unmake(setting);
		if (!hit)
			break;
	}
	assert_true(n > 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_file_has_one_place),
		cmocka_unit_test(test_without_a_place_there_is_none),
		cmocka_unit_test(test_a_table_is_loaded_once_when_it_has_come),
		cmocka_unit_test(test_rules_are_the_tables),
		cmocka_unit_test(test_that_a_file_has_no_table_is_told),
		cmocka_unit_test(test_what_failed_is_tried_again_later),
		cmocka_unit_test(test_the_oldest_go_all_at_once),
		cmocka_unit_test(test_tables_in_use_stay),
		cmocka_unit_test(test_nothing_goes_in_vain),
		cmocka_unit_test(test_what_found_no_room_is_not_tried_by_each_stack),
		cmocka_unit_test(test_what_the_symbolizer_has_forgotten_goes),
		cmocka_unit_test(test_without_memory_nothing_is_leaked_or_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
