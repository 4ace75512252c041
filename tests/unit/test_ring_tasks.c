/* SPDX-License-Identifier: BSD-2-Clause */
/* Who the tasks of samples are, by records and by /proc. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/collect/ring_tasks.h"
#include "profiler/collect/targets.h"
#include "tests/unit/fail_malloc.h"
#include "tests/unit/fake_task_proc.h"

/* Beyond pid_max, so that nobody has them. */
#define SHELL 5000001
#define CHILD 5000002
#define OTHER 5000003
#define THREAD 5000004

static struct ring_tasks tasks;
static struct targets targets;
static pid_t pids[] = { SHELL };
static struct target_comm comms[] = { { "worker" } };

static int make(void **state)
{
	(void)state;
	memset(fake_tasks, 0, sizeof(fake_tasks));
	fake_tasks[0] = (struct fake_task){ SHELL, 1, 1000, "sh", false };
	fake_tasks[1] = (struct fake_task){ OTHER, 1, 2000, "other", false };
	fake_reads = 0;
	targets = (struct targets){ .follow = true };
	ring_tasks_init(&tasks, &targets);
	return 0;
}

static int unmake(void **state)
{
	(void)state;
	ring_tasks_free(&tasks);
	return 0;
}

static void apply_fork(pid_t pid, pid_t tid, pid_t parent, uint64_t time_ns)
{
	const struct task_record record = {
		.kind = TASK_FORKED,
		.pid = (uint32_t)pid,
		.tid = (uint32_t)tid,
		.parent_pid = (uint32_t)parent,
		.parent_tid = (uint32_t)parent,
		.time_ns = time_ns,
	};

	assert_int_equal(ring_tasks_apply(&tasks, &record), 0);
}

static void apply_name(enum task_record_kind kind, pid_t pid, pid_t tid, const char *name)
{
	struct task_record record = { .kind = kind, .pid = (uint32_t)pid, .tid = (uint32_t)tid };

	strncpy(record.comm, name, sizeof(record.comm) - 1);
	assert_int_equal(ring_tasks_apply(&tasks, &record), 0);
}

static void apply_exit(pid_t pid, pid_t tid)
{
	const struct task_record record = {
		.kind = TASK_EXITED, .pid = (uint32_t)pid, .tid = (uint32_t)tid
	};

	assert_int_equal(ring_tasks_apply(&tasks, &record), 0);
}

static struct ring_task get(pid_t tgid, pid_t tid)
{
	struct ring_task task;

	assert_int_equal(ring_tasks_get(&tasks, tgid, tid, &task), 0);
	return task;
}

static bool matches(pid_t tgid, pid_t tid)
{
	const struct ring_task task = get(tgid, tid);

	return ring_tasks_match(&tasks, tid, &task);
}

static void test_what_runs_already_is_read_from_proc_once(void **state)
{
	struct ring_task task = get(SHELL, SHELL);
	int reads = fake_reads;

	(void)state;
	assert_string_equal(task.comm, "sh");
	assert_string_equal(task.leader_comm, "sh");
	assert_true(task.process.start_boottime_ns == 1000);
	get(SHELL, SHELL);
	assert_int_equal(fake_reads, reads);
	assert_int_equal(ring_tasks_scan(&tasks), 0);
	reads = fake_reads;
	assert_string_equal(get(OTHER, OTHER).comm, "other");
	assert_int_equal(fake_reads, reads);
}

static void test_a_child_has_its_parents_name_until_it_execs(void **state)
{
	struct ring_task before, after;

	(void)state;
	apply_fork(CHILD, CHILD, SHELL, 77);
	before = get(CHILD, CHILD);
	assert_string_equal(before.comm, "sh");
	apply_name(TASK_EXECED, CHILD, CHILD, "cat");
	after = get(CHILD, CHILD);
	assert_string_equal(after.comm, "cat");
	assert_true(before.process.start_boottime_ns == after.process.start_boottime_ns);
	assert_int_not_equal(before.process.exec_id, after.process.exec_id);
}

static void test_a_rename_is_no_other_program(void **state)
{
	struct ring_task before = get(SHELL, SHELL), after;

	(void)state;
	apply_name(TASK_RENAMED, SHELL, SHELL, "renamed");
	after = get(SHELL, SHELL);
	assert_string_equal(after.comm, "renamed");
	assert_int_equal(before.process.exec_id, after.process.exec_id);
}

static void test_a_thread_is_named_apart_from_its_leader(void **state)
{
	struct ring_task task;

	(void)state;
	apply_fork(SHELL, THREAD, SHELL, 5);
	apply_name(TASK_RENAMED, SHELL, THREAD, "io");
	task = get(SHELL, THREAD);
	assert_string_equal(task.comm, "io");
	assert_string_equal(task.leader_comm, "sh");
	assert_true(task.process.start_boottime_ns == 1000); /* a thread begins no process */
}

static void test_a_pid_that_serves_twice_is_two_processes(void **state)
{
	struct ring_task first, second;

	(void)state;
	apply_fork(CHILD, CHILD, SHELL, 100);
	apply_name(TASK_EXECED, CHILD, CHILD, "one");
	first = get(CHILD, CHILD);
	apply_exit(CHILD, CHILD);
	assert_string_equal(get(CHILD, CHILD).comm, "one"); /* its last moments are its own */
	apply_fork(CHILD, CHILD, SHELL, 200);
	second = get(CHILD, CHILD);
	assert_true(first.process.start_boottime_ns != second.process.start_boottime_ns);
	assert_int_equal(second.process.exec_id, 0);
	assert_string_equal(second.comm, "sh");
}

static void test_children_of_targets_are_targets(void **state)
{
	(void)state;
	targets.pids = pids;
	targets.pid_cnt = 1;
	assert_int_equal(ring_tasks_follow(&tasks, SHELL, TARGET_BY_PID), 0);
	apply_fork(CHILD, CHILD, SHELL, 1);
	assert_true(matches(SHELL, SHELL));
	assert_true(matches(CHILD, CHILD));
	assert_false(matches(OTHER, OTHER));
	assert_int_equal(ring_tasks_next_followed(&tasks, 0), SHELL);
	assert_int_equal(ring_tasks_next_followed(&tasks, SHELL), CHILD);
	assert_int_equal(ring_tasks_next_followed(&tasks, CHILD), 0);
	/* Its pid taken by another's child: no target. */
	apply_exit(CHILD, CHILD);
	apply_fork(CHILD, CHILD, OTHER, 2);
	assert_false(matches(CHILD, CHILD));
}

static void test_without_follow_children_are_none(void **state)
{
	(void)state;
	targets.by_command = true;
	targets.follow = false;
	assert_int_equal(ring_tasks_follow(&tasks, SHELL, TARGET_BY_COMMAND), 0);
	apply_fork(CHILD, CHILD, SHELL, 1);
	apply_fork(SHELL, THREAD, SHELL, 1);
	assert_false(matches(CHILD, CHILD));
	assert_true(matches(SHELL, THREAD));
}

static void test_names_and_threads_narrow_the_targets(void **state)
{
	pid_t tids[] = { THREAD };

	(void)state;
	targets.comms = comms;
	targets.comm_cnt = 1;
	assert_false(matches(SHELL, SHELL));
	apply_name(TASK_RENAMED, SHELL, SHELL, "worker");
	assert_true(matches(SHELL, SHELL));
	apply_fork(SHELL, THREAD, SHELL, 1);
	apply_name(TASK_RENAMED, SHELL, THREAD, "x");
	assert_true(matches(SHELL, THREAD)); /* the leader's name is the process's */
	targets.tids = tids;
	targets.tid_cnt = 1;
	assert_true(matches(SHELL, THREAD));
	assert_false(matches(SHELL, SHELL));
}

static void test_after_a_loss_children_are_found_by_their_parents(void **state)
{
	(void)state;
	targets.pids = pids;
	targets.pid_cnt = 1;
	assert_int_equal(ring_tasks_follow(&tasks, SHELL, TARGET_BY_PID), 0);
	fake_tasks[2] = (struct fake_task){ CHILD, SHELL, tasks.since_boottime_ns, "lost", false };
	fake_tasks[3] = (struct fake_task){ THREAD, SHELL, 3000, "long before", false };
	assert_int_equal(ring_tasks_adopt(&tasks), 0);
	assert_true(matches(CHILD, CHILD));
	assert_false(matches(THREAD, THREAD));
	assert_false(matches(OTHER, OTHER));
}

static void test_who_was_gone_before_we_looked_has_a_note_for_a_name(void **state)
{
	(void)state;
	assert_string_equal(get(CHILD, CHILD).comm, "[exited]");
	assert_string_equal(get(0, 0).comm, "swapper");
}

static void test_the_exited_are_forgotten(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 3000; i++) {
		apply_fork(CHILD + i, CHILD + i, SHELL, 1);
		apply_exit(CHILD + i, CHILD + i);
	}
	assert_true(tasks.threads.cnt >= 3000);
	ring_tasks_forget_exited(&tasks);
	assert_int_equal(tasks.threads.cnt, 1);
	assert_int_equal(tasks.processes.cnt, 1);
}

static void test_without_memory_it_says_so_and_goes_on(void **state)
{
	long n;

	for (n = 1;; n++) {
		struct task_record fork = { .kind = TASK_FORKED, .pid = CHILD, .tid = CHILD,
					    .parent_pid = SHELL, .parent_tid = SHELL };
		struct ring_task task;
		int codes[3], i;

		unmake(state);
		make(state);
		fail_malloc_at(n);
		codes[0] = ring_tasks_follow(&tasks, SHELL, TARGET_BY_PID);
		codes[1] = ring_tasks_apply(&tasks, &fork);
		codes[2] = ring_tasks_get(&tasks, OTHER, OTHER, &task);
		for (i = 0; i < 3; i++)
			assert_true(codes[i] == 0 || codes[i] == -ENOMEM);
		if (!fail_malloc_hit())
			break;
		assert_true(codes[0] || codes[1] || codes[2]);
	}
	assert_true(n > 1);
}

static void test_proc_stat_is_parsed_behind_the_name(void **state)
{
	static const char text[] =
		"123 (a) b (c) S 45 123 123 0 -1 2097216 1 0 0 0 5 6 0 0 20 0 1 0 777 1000 2\n";
	struct task_proc_stat stat = {};
	char cut[sizeof(text)];
	size_t len;

	(void)state;
	assert_true(task_proc_stat_parse(text, 100, &stat));
	assert_int_equal(stat.parent, 45);
	assert_true(stat.kernel_thread);
	assert_true(stat.start_boottime_ns == 7770000000ull);
	for (len = 0; len < sizeof(text) - 1; len++) {
		memcpy(cut, text, len);
		cut[len] = '\0';
		task_proc_stat_parse(cut, 100, &stat);
	}
	assert_false(task_proc_stat_parse("", 100, &stat));
	assert_false(task_proc_stat_parse("1 (x) S 2 3", 100, &stat));
	assert_false(task_proc_stat_parse(text, 0, &stat));
}

#define FACT(f) cmocka_unit_test_setup_teardown(f, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FACT(test_what_runs_already_is_read_from_proc_once),
		FACT(test_a_child_has_its_parents_name_until_it_execs),
		FACT(test_a_rename_is_no_other_program),
		FACT(test_a_thread_is_named_apart_from_its_leader),
		FACT(test_a_pid_that_serves_twice_is_two_processes),
		FACT(test_children_of_targets_are_targets),
		FACT(test_without_follow_children_are_none),
		FACT(test_names_and_threads_narrow_the_targets),
		FACT(test_after_a_loss_children_are_found_by_their_parents),
		FACT(test_who_was_gone_before_we_looked_has_a_note_for_a_name),
		FACT(test_the_exited_are_forgotten),
		FACT(test_without_memory_it_says_so_and_goes_on),
		FACT(test_proc_stat_is_parsed_behind_the_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
