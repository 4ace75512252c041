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
#include "tests/unit/fake_processes.h"
#include "profiler/pipeline/unwind_files.h"
#include "profiler/pipeline/unwind_processes.h"

#define PID 100
#define CHILD 101
#define START 5000 /* boot time */

static struct binary program, library;
static struct unwind_files files;
static struct unwind_processes processes;
static uint64_t now = 1;

static const struct code_region regions[] = {
	{ .start = 0x400000, .end = 0x401000, .bias = 0x400000, .binary = &program },
	{ .start = 0x700000, .end = 0x702000, .bias = 0x6ff000, .binary = &library },
	{ .start = 0x800000, .end = 0x801000 }, /* made at run time */
};
#define REGIONS ARRAY_SIZE(regions)

static void make(bool has_hooks)
{
	fake_maps_clear();
	fake_symbolizer = (struct symbolizer){};
	program = fake_binary(1, FRAME_STATE_READY);
	library = fake_binary(2, FRAME_STATE_READY);
	unwind_files_init(&files, NULL, NULL);
	files.quiesce = fake_quiesce;
	unwind_processes_init(&processes, NULL, &files, &fake_symbolizer);
	processes.has_hooks = has_hooks;
}

static void unmake(void)
{
	size_t i;

	unwind_processes_free(&processes);
	unwind_files_free(&files);
	for (i = 0; i < FAKE_LISTS; i++)
		assert_int_equal(fake_maps.lists[i].refs, 0);
}

/* As records_apply() does, with no record between the two. */
static int publish(void)
{
	unwind_processes_read_images(&processes);
	return unwind_processes_publish(&processes, ++now);
}

/* A process that runs @cnt of the regions, of which a record tells. */
static struct process *start(pid_t tgid, size_t cnt)
{
	fake_hook(tgid, START + (uint64_t)tgid, 7);
	assert_int_equal(unwind_processes_changed(&processes, tgid, PROCESS_NEW), 0);
	return fake_run(tgid, regions, cnt);
}

static const struct unwind_list *list_of(pid_t tgid)
{
	const struct fake_process *process = fake_process_at(tgid);

	return process ? process->list : NULL;
}

static int see(pid_t tgid, uint32_t exec_id)
{
	return unwind_processes_seen(&processes, tgid, START + (uint64_t)tgid, exec_id, now);
}

static void test_mappings_are_published_under_the_image_that_the_hooks_know(void **state)
{
	const struct fake_process *process;

	(void)state;
	make(true);
	start(PID, REGIONS);
	assert_int_equal(publish(), 0);
	process = fake_process_at(PID);
	assert_int_equal(process->start_boottime_ns, START + PID);
	assert_int_equal(process->exec_id, 7);
	assert_int_equal(process->mapped_ns, now);
	assert_int_equal(process->list->cnt, REGIONS);
	assert_int_equal(process->list->first[1].start, 0x700000);
	assert_int_equal(process->list->first[1].end, 0x702000);
	assert_int_equal(process->list->first[1].bias, 0x6ff000);
	assert_int_not_equal(process->list->first[1].file, process->list->first[0].file);
	assert_int_equal(process->list->first[2].file, UNWIND_FILE_NONE);
	publish(); /* nothing was told since */
	assert_int_equal(fake_symbolizer.listed, 1);
	unmake();
}

static void test_a_record_behind_the_image_puts_it_off(void **state)
{
	(void)state;
	make(true);
	start(PID, 1);
	unwind_processes_read_images(&processes);
	unwind_processes_changed(&processes, PID, PROCESS_MAPPED);
	unwind_processes_publish(&processes, ++now);
	assert_null(list_of(PID));
	publish();
	assert_non_null(list_of(PID));
	unmake();
}

/* exec: the record is there, the hook has not run: the new mappings under the old image would be wrong. */
static void test_an_exec_behind_the_image_makes_it_unknown(void **state)
{
	(void)state;
	make(true);
	start(PID, 1);
	publish();
	unwind_processes_read_images(&processes);
	fake_run(PID, regions, REGIONS);
	unwind_processes_changed(&processes, PID, PROCESS_NEW);
	unwind_processes_publish(&processes, ++now);
	assert_int_equal(list_of(PID)->cnt, 1);
	fake_hook(PID, START + PID, 8);
	publish();
	assert_int_equal(fake_process_at(PID)->exec_id, 8);
	assert_int_equal(list_of(PID)->cnt, REGIONS);
	assert_int_equal(fake_lists_used(), 1);
	unmake();
}

static void test_equal_mappings_are_one_list(void **state)
{
	(void)state;
	make(true);
	start(PID, REGIONS);
	start(CHILD, REGIONS);
	publish();
	assert_ptr_equal(list_of(PID), list_of(CHILD));
	assert_int_equal(fake_lists_used(), 1);
	fake_run(CHILD, regions, 2);
	unwind_processes_changed(&processes, CHILD, PROCESS_MAPPED);
	publish();
	assert_int_equal(fake_lists_used(), 2);
	unwind_processes_forget(&processes, PID);
	assert_int_equal(fake_lists_used(), 1);
	unwind_processes_forget(&processes, CHILD);
	assert_int_equal(fake_lists_used(), 0);
	assert_int_equal(fake_maps.stale, 0);
	unmake();
}

static void test_no_list_goes_while_a_process_has_it(void **state)
{
	unsigned int i;

	(void)state;
	make(true);
	start(PID, 1);
	for (i = 0; i < 20; i++) {
		fake_run(PID, regions, 1 + i % REGIONS);
		unwind_processes_changed(&processes, PID, PROCESS_MAPPED);
		publish();
		assert_int_equal(list_of(PID)->cnt, 1 + i % REGIONS);
		assert_int_equal(fake_lists_used(), 1);
	}
	assert_int_equal(fake_maps.stale, 0);
	unmake();
}

/* Else dead processes would fill the kernel's map between two flushes. */
static void test_a_process_that_has_gone_is_not_published_again(void **state)
{
	(void)state;
	make(true);
	start(PID, REGIONS);
	publish();
	unwind_maps_forget(NULL, PID); /* the hook, when it was reaped */
	unwind_processes_changed(&processes, PID, PROCESS_ENDED);
	publish();
	assert_null(fake_process_at(PID));
	assert_int_equal(processes.published.cnt, 0);
	assert_int_equal(fake_lists_used(), 0);
	unmake();
}

static void test_the_legacy_page_at_the_end_of_all_addresses_is_left_out(void **state)
{
	static const struct code_region with_vsyscall[] = {
		{ .start = 0x400000, .end = 0x401000, .binary = &program },
		{ .start = 0xffffffffff600000, .end = 0xffffffffff601000 },
	};

	(void)state;
	make(true);
	start(PID, 1);
	fake_run(PID, with_vsyscall, ARRAY_SIZE(with_vsyscall));
	publish();
	assert_int_equal(list_of(PID)->cnt, 1);
	unmake();
}

/* As code made at run time its frames would be walked by frame pointer. */
static void test_a_file_without_a_place_is_left_out(void **state)
{
	(void)state;
	make(true);
	fake_maps.file_room = 1;
	start(PID, REGIONS);
	publish();
	assert_int_equal(list_of(PID)->cnt, 2);
	assert_int_equal(list_of(PID)->first[1].start, 0x800000);
	unmake();
}

/* ---- samples of processes that the kernel does not know ---- */

static void test_a_sample_tells_of_its_image(void **state)
{
	(void)state;
	make(false);
	fake_run(PID, regions, REGIONS);
	unwind_processes_changed(&processes, PID, PROCESS_NEW);
	publish();
	assert_null(fake_process_at(PID)); /* without hooks nobody knows which image it is */
	assert_int_equal(see(PID, 9), 0);
	assert_int_equal(fake_process_at(PID)->exec_id, 9);
	assert_int_equal(list_of(PID)->cnt, REGIONS);
	see(PID, 9);
	assert_int_equal(fake_symbolizer.listed, 1);
	/* And later changes are of that image. */
	unwind_maps_forget(NULL, PID);
	fake_run(PID, regions, 1);
	unwind_processes_changed(&processes, PID, PROCESS_MAPPED);
	publish();
	assert_int_equal(fake_process_at(PID)->exec_id, 9);
	assert_int_equal(list_of(PID)->cnt, 1);
	unmake();
}

static void test_a_sample_of_an_image_that_has_ended_tells_nothing(void **state)
{
	(void)state;
	make(false);
	fake_run(PID, regions, REGIONS)->ended = true;
	see(PID, 9);
	see(CHILD, 9);
	assert_null(fake_process_at(PID));
	assert_null(fake_process_at(CHILD));
	unmake();
}

/* An exec record may be among those that were lost: then the mappings are the old program's. */
static void test_nothing_is_published_while_records_are_missing(void **state)
{
	(void)state;
	make(true);
	fake_run(PID, regions, REGIONS);
	unwind_processes_lost(&processes);
	see(PID, 9);
	assert_null(fake_process_at(PID));
	publish(); /* /proc has been read */
	see(PID, 9);
	assert_non_null(list_of(PID));
	unmake();
}

/* ---- room ---- */

static void test_room_that_was_given_up_is_waited_for_once_a_tick(void **state)
{
	(void)state;
	make(true);
	fake_maps.mappings_max = 4;
	start(PID, REGIONS);
	publish();
	fake_run(PID, regions, 1);
	unwind_processes_changed(&processes, PID, PROCESS_MAPPED);
	publish();
	assert_int_equal(fake_maps.quiesces, 0);
	start(CHILD, REGIONS);
	publish();
	assert_int_equal(fake_maps.quiesces, 1);
	assert_int_equal(list_of(CHILD)->cnt, REGIONS);
	assert_int_equal(processes.refused, 0);
	start(CHILD + 1, 2); /* nothing was given up: no use to wait */
	publish();
	assert_int_equal(fake_maps.quiesces, 1);
	assert_int_equal(processes.refused, 1);
	unmake();
}

static void test_who_is_refused_is_known_without_mappings_and_tried_once_a_round(void **state)
{
	unsigned int i, listed;

	(void)state;
	make(true);
	start(PID, 1);
	publish();
	fake_maps.mappings_max = 2;
	fake_run(PID, regions, REGIONS);
	unwind_processes_changed(&processes, PID, PROCESS_MAPPED);
	publish();
	assert_null(list_of(PID)); /* not the old ones, which are not true any more */
	assert_int_equal(fake_process_at(PID)->exec_id, 7);
	assert_int_equal(fake_maps.stale, 0);
	listed = fake_symbolizer.listed;
	for (i = 0; i < 10; i++) {
		see(PID, 7);
		unwind_processes_changed(&processes, PID, PROCESS_MAPPED);
		publish();
	}
	assert_int_equal(fake_symbolizer.listed, listed);
	assert_int_equal(processes.refused, 1);
	fake_maps.mappings_max = 100;
	unwind_processes_settled(&processes);
	see(PID, 7);
	assert_int_equal(list_of(PID)->cnt, REGIONS);
	unmake();
}

static void test_one_process_does_not_take_all_room(void **state)
{
	static struct code_region many[20000];
	size_t i;

	(void)state;
	make(true);
	fake_maps.mappings_max = UNWIND_MAPPINGS_MAX;
	for (i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct code_region){ .start = (i + 1) << 16,
						.end = ((i + 1) << 16) + 4096 };
	start(PID, 1);
	fake_run(PID, many, ARRAY_SIZE(many));
	publish();
	assert_null(list_of(PID));
	assert_int_equal(processes.refused, 1);
	start(CHILD, 1);
	fake_run(CHILD, many, 10000);
	publish();
	assert_int_equal(list_of(CHILD)->cnt, 10000);
	unmake();
}

static void test_a_full_map_of_processes_is_no_error(void **state)
{
	(void)state;
	make(true);
	fake_maps.publish_error = -ENOSPC;
	start(PID, 1);
	assert_int_equal(publish(), 0);
	assert_int_equal(processes.refused, 1);
	assert_int_equal(fake_lists_used(), 0);
	unmake();
}

/* ---- memory ---- */

static void test_without_memory_nothing_is_forgotten(void **state)
{
	long n;

	(void)state;
	for (n = 1;; n++) {
		bool hit;
		int r;

		make(true);
		start(PID, REGIONS);
		start(CHILD, 2);
		fail_malloc_at(n);
		r = publish();
		if (!r)
			r = see(PID, 8);
		hit = fail_malloc_hit();
		assert_true(r == 0 || (hit && r == -ENOMEM));
		assert_int_equal(publish(), 0); /* what was not done is done now */
		assert_int_equal(see(PID, 8), 0);
		assert_int_equal(list_of(PID)->cnt, REGIONS);
		assert_int_equal(list_of(CHILD)->cnt, 2);
		assert_int_equal(fake_maps.stale, 0);
		unmake();
		if (!hit)
			break;
	}
	assert_true(n > 3);
}

static void test_all_processes_are_published_after_a_scan(void **state)
{
	(void)state;
	make(true);
	fake_hook(PID, START, 1);
	fake_hook(CHILD, START, 1);
	fake_run(PID, regions, 1);
	fake_run(CHILD, regions, 2);
	assert_int_equal(unwind_processes_add_all(&processes), 0);
	publish();
	assert_int_equal(list_of(PID)->cnt, 1);
	assert_int_equal(list_of(CHILD)->cnt, 2);
	unmake();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mappings_are_published_under_the_image_that_the_hooks_know),
		cmocka_unit_test(test_a_record_behind_the_image_puts_it_off),
		cmocka_unit_test(test_an_exec_behind_the_image_makes_it_unknown),
		cmocka_unit_test(test_equal_mappings_are_one_list),
		cmocka_unit_test(test_no_list_goes_while_a_process_has_it),
		cmocka_unit_test(test_a_process_that_has_gone_is_not_published_again),
		cmocka_unit_test(test_the_legacy_page_at_the_end_of_all_addresses_is_left_out),
		cmocka_unit_test(test_a_file_without_a_place_is_left_out),
		cmocka_unit_test(test_a_sample_tells_of_its_image),
		cmocka_unit_test(test_a_sample_of_an_image_that_has_ended_tells_nothing),
		cmocka_unit_test(test_nothing_is_published_while_records_are_missing),
		cmocka_unit_test(test_room_that_was_given_up_is_waited_for_once_a_tick),
		cmocka_unit_test(
			test_who_is_refused_is_known_without_mappings_and_tried_once_a_round),
		cmocka_unit_test(test_one_process_does_not_take_all_room),
		cmocka_unit_test(test_a_full_map_of_processes_is_no_error),
		cmocka_unit_test(test_without_memory_nothing_is_forgotten),
		cmocka_unit_test(test_all_processes_are_published_after_a_scan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
