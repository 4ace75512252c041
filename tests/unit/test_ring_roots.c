/* SPDX-License-Identifier: BSD-2-Clause */
/* Of two events of one thread the samples of one count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "profiler/collect/ring_roots.h"
#include "profiler/collect/task_record.h"
#include "tests/unit/fail_malloc.h"

#define OWN 501
#define INHERITED 502

static struct ring_roots roots;

static int make(void **state)
{
	(void)state;
	ring_roots_init(&roots);
	return 0;
}

static int unmake(void **state)
{
	(void)state;
	ring_roots_free(&roots);
	return 0;
}

static void apply(enum task_record_kind kind, pid_t tid)
{
	const struct task_record record = { .kind = kind,
					    .pid = (uint32_t)tid,
					    .tid = (uint32_t)tid };

	ring_roots_apply(&roots, &record);
}

static void test_the_first_root_of_a_thread_on_a_cpu_counts(void **state)
{
	(void)state;
	assert_true(ring_roots_accept(&roots, 10, 0, OWN));
	assert_false(ring_roots_accept(&roots, 10, 0, INHERITED));
	assert_true(ring_roots_accept(&roots, 10, 0, OWN));
	assert_true(ring_roots_accept(&roots, 10, 1, INHERITED)); /* each CPU by itself */
	assert_false(ring_roots_accept(&roots, 10, 1, OWN));
	assert_true(ring_roots_accept(&roots, 11, 0, INHERITED)); /* each thread by itself */
	assert_false(ring_roots_accept(&roots, 11, 0, OWN));
	assert_false(ring_roots_accept(&roots, 10, 0, INHERITED));
}

static void test_a_number_that_serves_twice_begins_anew(void **state)
{
	static const enum task_record_kind kinds[] = { TASK_EXITED, TASK_FORKED };
	unsigned int cpu;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		for (cpu = 0; cpu < 5; cpu++)
			assert_true(ring_roots_accept(&roots, 10, cpu, OWN));
		ring_roots_accept(&roots, 11, 0, OWN);
		apply(kinds[i], 10);
		assert_int_equal(roots.choices.cnt, 1); /* nothing stays behind */
		assert_int_equal(roots.threads.cnt, 1);
		for (cpu = 0; cpu < 5; cpu++) {
			assert_true(ring_roots_accept(&roots, 10, cpu, INHERITED));
			assert_false(ring_roots_accept(&roots, 10, cpu, OWN));
		}
		assert_false(ring_roots_accept(&roots, 11, 0, INHERITED));
		apply(TASK_EXITED, 10);
	}
	apply(TASK_EXITED, 12); /* never met */
	assert_int_equal(roots.threads.cnt, 1);
}

static void test_a_new_name_changes_nothing(void **state)
{
	(void)state;
	ring_roots_accept(&roots, 10, 0, OWN);
	apply(TASK_RENAMED, 10);
	apply(TASK_EXECED, 10);
	assert_false(ring_roots_accept(&roots, 10, 0, INHERITED));
}

static void test_tasks_without_a_number_are_not_told_apart(void **state)
{
	(void)state;
	assert_true(ring_roots_accept(&roots, 0, 0, OWN));
	assert_true(ring_roots_accept(&roots, 0, 0, INHERITED));
	assert_true(ring_roots_accept(&roots, -1, 0, OWN));
	assert_true(ring_roots_accept(&roots, -1, 0, INHERITED));
	assert_int_equal(roots.choices.cnt, 0);
}

static void test_a_full_table_begins_anew(void **state)
{
	const pid_t more = 1000;
	pid_t tid;

	(void)state;
	for (tid = 1; tid <= (pid_t)RING_ROOTS_MAX / 2 + more; tid++) {
		assert_true(ring_roots_accept(&roots, tid, 0, OWN));
		assert_true(ring_roots_accept(&roots, tid, 1, OWN));
		assert_true(roots.choices.cnt <= RING_ROOTS_MAX);
		assert_false(ring_roots_accept(&roots, tid, 0, INHERITED));
	}
	assert_int_equal(roots.choices.cnt, 2 * more);
	assert_int_equal(roots.threads.cnt, more);
	assert_true(ring_roots_accept(&roots, 1, 0, INHERITED));
	assert_false(ring_roots_accept(&roots, 1, 0, OWN));
}

static void test_after_lost_records_all_begin_anew(void **state)
{
	(void)state;
	ring_roots_accept(&roots, 10, 0, OWN);
	ring_roots_clear(&roots);
	assert_true(ring_roots_accept(&roots, 10, 0, INHERITED));
	assert_false(ring_roots_accept(&roots, 10, 0, OWN));
}

static void test_without_memory_samples_count(void **state)
{
	pid_t tid;
	bool hit;
	long n;

	for (n = 1;; n++) {
		unmake(state);
		make(state);
		fail_malloc_at(n);
		for (tid = 1; tid <= 100; tid++)
			assert_true(ring_roots_accept(&roots, tid, (unsigned int)tid % 3, OWN));
		hit = fail_malloc_hit();
		assert_true(roots.threads.cnt == roots.choices.cnt);
		/* Once there is memory again, the choice is remembered. */
		assert_true(ring_roots_accept(&roots, 200, 0, OWN));
		assert_false(ring_roots_accept(&roots, 200, 0, INHERITED));
		for (tid = 1; tid <= 200; tid++)
			apply(TASK_EXITED, tid);
		assert_int_equal(roots.threads.cnt + roots.choices.cnt, 0);
		if (!hit)
			break;
	}
	assert_true(n > 4);
}

#define FACT(f) cmocka_unit_test_setup_teardown(f, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FACT(test_the_first_root_of_a_thread_on_a_cpu_counts),
		FACT(test_a_number_that_serves_twice_begins_anew),
		FACT(test_a_new_name_changes_nothing),
		FACT(test_tasks_without_a_number_are_not_told_apart),
		FACT(test_a_full_table_begins_anew),
		FACT(test_after_lost_records_all_begin_anew),
		FACT(test_without_memory_samples_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
