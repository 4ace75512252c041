/* SPDX-License-Identifier: BSD-2-Clause */
/* Events of real threads, some of which are born while the scan runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"
#include "profiler/collect/event_rings.h"
#include "profiler/collect/event_tasks.h"
#include "profiler/collect/targets.h"
#include "profiler/collect/task_proc.h"
#include "profiler/collect/task_record.h"
#include "tests/unit/fail_malloc.h"

#define THREADS_BEFORE 8
#define THREADS_MEANWHILE 60

static struct event_rings rings;
static struct event_tasks tasks;
static struct perf_event_attr attr;

static void pause_us(long us)
{
	const struct timespec pause = { .tv_nsec = us * 1000 };

	nanosleep(&pause, NULL);
}

static int make(void **state)
{
	struct errmsg err;

	(void)state;
	attr = (struct perf_event_attr){
		.size = sizeof(attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_DUMMY,
		.sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME,
		.sample_id_all = 1,
		.exclude_kernel = 1,
		.task = 1,
		.comm = 1,
		.inherit = 1,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
	};
	if (event_rings_open(&rings, 65536, &err) != 0)
		return 0; /* each test skips */
	event_tasks_init(&tasks, &attr, &rings);
	return 0;
}

static int unmake(void **state)
{
	(void)state;
	if (rings.cnt)
		event_tasks_close(&tasks);
	event_rings_close(&rings);
	return 0;
}

static atomic_bool stop;

static void *wait_for_end(void *arg)
{
	while (!stop)
		pause_us(1000);
	return arg;
}

/* In a process of its own: threads before the scan, and more that each start another. */
static void *start_another(void *arg)
{
	intptr_t left = (intptr_t)arg;
	pthread_t thread;

	pause_us(200);
	if (left > 1)
		pthread_create(&thread, NULL, start_another, (void *)(left - 1));
	return wait_for_end(NULL);
}

static _Noreturn void run_threads(int go_fd, int ready_fd)
{
	pthread_t thread;
	char byte;
	int i;

	for (i = 0; i < THREADS_BEFORE; i++)
		pthread_create(&thread, NULL, wait_for_end, NULL);
	if (write(ready_fd, "r", 1) != 1 || read(go_fd, &byte, 1) != 1)
		_exit(1);
	pthread_create(&thread, NULL, start_another, (void *)(intptr_t)THREADS_MEANWHILE);
	for (;;)
		pause();
}

static int check_thread(void *context, pid_t tid)
{
	bool opened = hashmap_get(&tasks.opened, &tid) != NULL;
	bool born = hashmap_get(&tasks.born, &tid) != NULL;

	/* One or the other: with both its time would be counted twice, with none not at all. */
	assert_true(opened != born);
	++*(int *)context;
	return 0;
}

static void note_born(void *context, const struct perf_event_header *record)
{
	struct task_record fork;
	pid_t tid;

	(void)context;
	if (task_record_parse(record, &fork) && fork.kind == TASK_FORKED) {
		tid = (pid_t)fork.tid;
		hashmap_put(&tasks.born, &tid, NULL);
	}
}

static void test_threads_born_during_the_scan_have_events_once(void **state)
{
	int go[2], ready[2], cnt = 0, status;
	struct targets targets = { .pid_cnt = 1 };
	struct errmsg err = {};
	char byte;
	pid_t pid;

	(void)state;
	if (!rings.cnt)
		skip();
	assert_int_equal(pipe(go), 0);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0)
		run_threads(go[0], ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(write(go[1], "g", 1), 1);
	pause_us(2000);
	targets.pids = &pid;
	assert_int_equal(event_tasks_open(&tasks, &targets, 0, &err), 0);
	assert_true(tasks.taken_cnt > THREADS_BEFORE);
	assert_int_equal(tasks.cnt, tasks.taken_cnt * rings.cnt);
	pause_us(100000); /* the rest are born of threads that have events */
	event_rings_look(&rings, note_born, NULL);
	task_proc_threads(pid, check_thread, &cnt);
	assert_true(cnt > THREADS_BEFORE + THREADS_MEANWHILE / 2);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	close(go[0]);
	close(go[1]);
	close(ready[0]);
	close(ready[1]);
}

static void test_a_named_process_that_ended_is_no_error(void **state)
{
	struct targets targets = { .pid_cnt = 1 };
	struct errmsg err = {};
	pid_t pid = 5000000; /* beyond pid_max */

	(void)state;
	if (!rings.cnt)
		skip();
	targets.pids = &pid;
	assert_int_equal(event_tasks_open(&tasks, &targets, 0, &err), 0);
	assert_int_equal(tasks.cnt, 0);
}

static void test_too_few_files_are_an_error_for_who_was_named(void **state)
{
	struct targets targets = { .pid_cnt = 1 };
	struct targets everybody = {};
	struct errmsg err = {};
	pid_t pid = getpid();

	(void)state;
	if (!rings.cnt)
		skip();
	tasks.cnt_max = rings.cnt - 1;
	targets.pids = &pid;
	assert_int_equal(event_tasks_open(&tasks, &targets, 0, &err), -EMFILE);
	assert_non_null(strstr(err.text, "ulimit -n"));
	assert_int_equal(event_tasks_open(&tasks, &everybody, 0, &err), 0);
	assert_true(tasks.files_short);
}

static void test_only_processes_of_that_name_are_taken(void **state)
{
	struct target_comm comms[] = { { "no such name" } };
	struct targets targets = { .comms = comms, .comm_cnt = 1 };
	struct errmsg err = {};

	(void)state;
	if (!rings.cnt)
		skip();
	assert_int_equal(event_tasks_open(&tasks, &targets, 0, &err), 0);
	assert_int_equal(tasks.taken_cnt, 0);
	assert_int_equal(task_proc_comm(getpid(), comms[0].name), 0);
	assert_int_equal(event_tasks_open(&tasks, &targets, 0, &err), 0);
	assert_true(tasks.taken_cnt >= 1);
}

static void test_without_memory_it_says_so(void **state)
{
	struct targets targets = { .pid_cnt = 1 };
	struct errmsg err = {};
	pid_t pid = getpid();
	long n;
	int code;

	if (!rings.cnt)
		skip();
	targets.pids = &pid;
	for (n = 1;; n++) {
		unmake(state);
		make(state);
		fail_malloc_at(n);
		code = event_tasks_open(&tasks, &targets, 0, &err);
		if (!fail_malloc_hit())
			break;
		assert_int_equal(code, -ENOMEM);
	}
	assert_int_equal(code, 0);
	assert_true(n > 2);
}

#define FACT(f) cmocka_unit_test_setup_teardown(f, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FACT(test_threads_born_during_the_scan_have_events_once),
		FACT(test_a_named_process_that_ended_is_no_error),
		FACT(test_too_few_files_are_an_error_for_who_was_named),
		FACT(test_only_processes_of_that_name_are_taken),
		FACT(test_without_memory_it_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
