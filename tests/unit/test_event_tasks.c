/* SPDX-License-Identifier: BSD-2-Clause */
/* Events of real threads, some of which are born while the scan runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "profiler/base/err.h"
#include "profiler/collect/event_rings.h"
#include "profiler/collect/event_tasks.h"
#include "profiler/collect/host.h"
#include "profiler/collect/ring_roots.h"
#include "profiler/collect/targets.h"
#include "profiler/collect/task_proc.h"
#include "profiler/collect/task_record.h"
#include "tests/unit/fail_malloc.h"

#define THREADS_BEFORE 8
#define THREADS_MEANWHILE 60
#define THREADS (THREADS_BEFORE + THREADS_MEANWHILE)
#define ROUNDS 5
#define CPUS_TRIED 8
#define PERIOD_NS (NS_PER_MS / 2)
#define BURN_PERIODS 10 /* of CPU time that a thread uses on each CPU at least */

static struct event_rings rings;
static struct event_tasks tasks;
static struct perf_event_attr attr;
static struct ring_roots roots;
static pid_t watched; /* a process of the test that is going on; 0 = none */

/* Between the test and the process that it watches: bytes, numbers of threads, or the closing. */
enum { START, BORN, BURN, BURNT, PIPES };
static int pipes[PIPES][2] = { { -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 } };

static void close_end(int *fd)
{
	fd_closep(fd);
	*fd = -1;
}

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
		.sample_type = PERF_SAMPLE_ID_TYPE,
		.sample_id_all = 1,
		.exclude_kernel = 1,
		.task = 1,
		.comm = 1,
		.inherit = 1,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
	};
	ring_roots_init(&roots);
	if (event_rings_open(&rings, 524288, &err) != 0)
		return 0; /* each test skips */
	event_tasks_init(&tasks, &attr, &rings);
	return 0;
}

static int unmake(void **state)
{
	int i;

	(void)state;
	if (watched) {
		kill(watched, SIGKILL);
		waitpid(watched, NULL, 0);
		watched = 0;
	}
	for (i = 0; i < PIPES; i++) {
		close_end(&pipes[i][0]);
		close_end(&pipes[i][1]);
	}
	if (rings.cnt)
		event_tasks_close(&tasks);
	event_rings_close(&rings);
	ring_roots_free(&roots);
	return 0;
}

/* ---- the process that is watched ---- */

static unsigned int cpus[CPUS_TRIED]; /* [cpu_cnt] */
static size_t cpu_cnt;

static void find_cpus(void)
{
	cpu_set_t allowed;
	size_t i;

	cpu_cnt = 0;
	CPU_ZERO(&allowed);
	sched_getaffinity(0, sizeof(allowed), &allowed);
	for (i = 0; i < rings.cnt && cpu_cnt < CPUS_TRIED; i++)
		if (rings.rings[i].cpu < CPU_SETSIZE && CPU_ISSET(rings.rings[i].cpu, &allowed))
			cpus[cpu_cnt++] = rings.rings[i].cpu;
}

/* Work in user mode, which everybody may sample. */
static void work(unsigned int rounds)
{
	volatile unsigned int i;

	for (; rounds > 0; rounds--)
		for (i = 0; i < 10000; i++)
			;
}

static unsigned int burn_rounds; /* of work, that take BURN_PERIODS at the least */

/* By the fastest of some tries: whoever is held up needs longer. */
static void find_burn_rounds(void)
{
	uint64_t fastest_ns = UINT64_MAX, before_ns;
	int i;

	for (i = 0; i < 20; i++) {
		before_ns = clock_read_ns(CLOCK_THREAD_CPUTIME_ID);
		work(10);
		fastest_ns = MIN(fastest_ns, clock_read_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns);
	}
	burn_rounds = (unsigned int)(10 * BURN_PERIODS * PERIOD_NS / fastest_ns);
}

struct burnt {
	pid_t tid;
	uint64_t ns[CPUS_TRIED];
};

static void burn_on_each_cpu(struct burnt *ret)
{
	size_t i;

	for (i = 0; i < cpu_cnt; i++) {
		cpu_set_t one;

		CPU_ZERO(&one);
		CPU_SET(cpus[i], &one);
		if (sched_setaffinity(0, sizeof(one), &one) != 0)
			_exit(1);
		ret->ns[i] = clock_read_ns(CLOCK_THREAD_CPUTIME_ID);
		work(burn_rounds);
		ret->ns[i] = clock_read_ns(CLOCK_THREAD_CPUTIME_ID) - ret->ns[i];
	}
}

/* Say who we are; when told, use CPU time; say how much, and stay. */
static _Noreturn void burn_when_told(void)
{
	struct burnt burnt = { .tid = gettid() };
	char byte;

	if (write(pipes[BORN][1], &burnt.tid, sizeof(burnt.tid)) != sizeof(burnt.tid) ||
	    read(pipes[BURN][0], &byte, 1) != 0)
		_exit(1);
	burn_on_each_cpu(&burnt);
	if (write(pipes[BURNT][1], &burnt, sizeof(burnt)) != sizeof(burnt))
		_exit(1);
	for (;;)
		pause();
}

/* @arg: how many start each other, this one among them. */
static void *start_another(void *arg)
{
	intptr_t left = (intptr_t)arg;
	pthread_t thread;

	pause_us(200);
	if (left > 1 && pthread_create(&thread, NULL, start_another, (void *)(left - 1)) != 0)
		_exit(1);
	burn_when_told();
}

/* Threads before the scan, and when told others that each start the next. */
static _Noreturn void run_threads(intptr_t before, intptr_t later)
{
	pthread_t thread;
	char byte;

	for (; before > 0; before--)
		if (pthread_create(&thread, NULL, start_another, (void *)1) != 0)
			_exit(1);
	if (read(pipes[START][0], &byte, 1) != 1 ||
	    pthread_create(&thread, NULL, start_another, (void *)later) != 0)
		_exit(1);
	for (;;)
		pause();
}

/* After this a read from it tells its end. */
static void watch_threads(intptr_t before, intptr_t later)
{
	int i;

	for (i = 0; i < PIPES; i++)
		assert_int_equal(pipe(pipes[i]), 0);
	watched = fork();
	assert_true(watched >= 0);
	if (watched == 0) {
		close(pipes[BURN][1]);
		run_threads(before, later);
	}
	close_end(&pipes[START][0]);
	close_end(&pipes[BORN][1]);
	close_end(&pipes[BURN][0]);
	close_end(&pipes[BURNT][1]);
}

/* ---- the samples ---- */

static pid_t tids[THREADS]; /* [tid_cnt] */
static size_t tid_cnt;
static unsigned int accepted[THREADS][CPUS_TRIED], refused[THREADS][CPUS_TRIED];
static uint64_t burnt_ns[THREADS][CPUS_TRIED];

static void wait_for_births(size_t cnt)
{
	while (cnt-- > 0)
		assert_int_equal(read(pipes[BORN][0], &tids[tid_cnt++], sizeof(pid_t)),
				 sizeof(pid_t));
}

static void count_sample(const struct ring_sample *sample, unsigned int cpu,
			 unsigned int counts[THREADS][CPUS_TRIED])
{
	size_t i, j;

	for (i = 0; i < tid_cnt; i++)
		for (j = 0; j < cpu_cnt; j++)
			counts[i][j] += tids[i] == (pid_t)sample->tid && cpus[j] == cpu;
}

/* As the sampler reads them. */
static void read_samples(bool count)
{
	const struct perf_event_header *record;
	struct task_record task;
	struct ring_sample sample;

	event_rings_begin(&rings);
	while ((record = event_rings_next(&rings, UINT64_MAX))) {
		unsigned int cpu = rings.taken->cpu;
		bool good;

		assert_int_not_equal(record->type, PERF_RECORD_LOST);
		if (task_record_parse(record, &task))
			ring_roots_apply(&roots, &task);
		if (!ring_sample_parse(record, &sample))
			continue;
		good = ring_roots_accept(&roots, (pid_t)sample.tid, cpu, sample.root_id);
		if (count)
			count_sample(&sample, cpu, good ? accepted : refused);
	}
}

static void wait_for_burnt(void)
{
	struct pollfd ready = { .fd = pipes[BURNT][0], .events = POLLIN };
	struct burnt burnt;
	size_t i;

	/* The rings have no room for all that fires in the meantime. */
	while (poll(&ready, 1, 5) == 0)
		read_samples(true);
	assert_int_equal(read(pipes[BURNT][0], &burnt, sizeof(burnt)), sizeof(burnt));
	for (i = 0; i < tid_cnt; i++)
		if (tids[i] == burnt.tid)
			memcpy(burnt_ns[i], burnt.ns, sizeof(burnt.ns));
}

/*
 * An event that is there fires, and one alone not more often than its periods pass.  It may fire
 * less: a virtual machine's clocks go on while its CPU is taken away.
 */
static void check_each_counts_once(void)
{
	size_t i, j, wrong = 0, sum = 0, periods = 0;

	for (i = 0; i < tid_cnt; i++)
		for (j = 0; j < cpu_cnt; j++) {
			unsigned int expected = (unsigned int)(burnt_ns[i][j] / PERIOD_NS);

			sum += accepted[i][j];
			periods += expected;
			if (accepted[i][j] > 0 && accepted[i][j] < expected + expected / 4 + 2)
				continue;
			print_message("thread %zu, cpu %u: %u samples in %u periods, %u refused\n",
				      i, cpus[j], accepted[i][j], expected, refused[i][j]);
			wrong++;
		}
	print_message("%zu samples in %zu periods\n", sum, periods);
	assert_int_equal(wrong, 0);
	assert_in_range(sum, periods / 2, periods + periods / 10);
}

/* Events that sample, and nothing counted yet. */
static void begin_samples(void)
{
	tasks.attr.config = PERF_COUNT_SW_CPU_CLOCK;
	tasks.attr.sample_period = PERIOD_NS;
	tasks.attr.sample_type |= PERF_SAMPLE_CALLCHAIN;
	tasks.attr.exclude_callchain_kernel = tasks.attr.exclude_callchain_user = 1;
	find_cpus();
	find_burn_rounds();
	tid_cnt = 0;
	memset(accepted, 0, sizeof(accepted));
	memset(refused, 0, sizeof(refused));
}

static void check_samples_of_burning_threads(void)
{
	size_t i;

	read_samples(false);
	close_end(&pipes[BURN][1]);
	for (i = 0; i < tid_cnt; i++) {
		wait_for_burnt();
		read_samples(true);
	}
	check_each_counts_once();
}

static void scan_while_threads_start(void)
{
	struct targets targets = { .pid_cnt = 1, .pids = &watched };
	struct errmsg err = {};

	begin_samples();
	watch_threads(THREADS_BEFORE, THREADS_MEANWHILE);
	wait_for_births(THREADS_BEFORE);
	assert_int_equal(write(pipes[START][1], "s", 1), 1);
	pause_us(2000);
	assert_int_equal(event_tasks_open(&tasks, &targets, 0, &err), 0);
	assert_true(tasks.taken_cnt > THREADS_BEFORE);
	assert_int_equal(tasks.cnt, tasks.taken_cnt * rings.cnt);
	wait_for_births(THREADS_MEANWHILE);
	check_samples_of_burning_threads();
}

/* Whether a clone() falls into the opening of its caller's events is chance: so several rounds. */
static void test_threads_born_during_the_scan_count_once_on_each_cpu(void **state)
{
	int round;

	for (round = 0; round < ROUNDS; round++) {
		if (!rings.cnt)
			skip();
		scan_while_threads_start();
		unmake(state);
		make(state);
	}
}

/* What is chance above: each thread has two events on each CPU, by itself or from its parent. */
static void test_threads_with_two_events_count_once(void **state)
{
	struct targets targets = { .pid_cnt = 1, .pids = &watched };
	struct event_tasks again;
	struct errmsg err = {};
	int code;

	(void)state;
	if (!rings.cnt)
		skip();
	begin_samples();
	watch_threads(THREADS_BEFORE, THREADS_BEFORE);
	wait_for_births(THREADS_BEFORE);
	assert_int_equal(event_tasks_open(&tasks, &targets, 0, &err), 0);
	event_tasks_init(&again, &tasks.attr, &rings);
	code = event_tasks_open(&again, &targets, 0, &err);
	if (code == 0 && write(pipes[START][1], "s", 1) == 1) {
		wait_for_births(THREADS_BEFORE);
		check_samples_of_burning_threads();
	}
	event_tasks_close(&again);
	assert_int_equal(code, 0);
	assert_int_equal(tid_cnt, 2 * THREADS_BEFORE);
}

static void test_what_inherited_all_gets_no_events_of_its_own(void **state)
{
	struct targets targets = { .pid_cnt = 1, .pids = &watched };
	struct errmsg err = {};

	(void)state;
	if (!rings.cnt)
		skip();
	tid_cnt = 0;
	watch_threads(1, 10);
	wait_for_births(1);
	assert_int_equal(event_tasks_open(&tasks, &targets, 0, &err), 0);
	assert_int_equal(tasks.taken_cnt, 2);
	pause_us(50000); /* longer than a clone() may take */
	assert_int_equal(write(pipes[START][1], "s", 1), 1);
	wait_for_births(10);
	assert_int_equal(event_tasks_open(&tasks, &targets, 0, &err), 0);
	assert_int_equal(tasks.taken_cnt, 2);
	assert_int_equal(tasks.cnt, 2 * rings.cnt);
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
		FACT(test_threads_born_during_the_scan_count_once_on_each_cpu),
		FACT(test_threads_with_two_events_count_once),
		FACT(test_what_inherited_all_gets_no_events_of_its_own),
		FACT(test_a_named_process_that_ended_is_no_error),
		FACT(test_too_few_files_are_an_error_for_who_was_named),
		FACT(test_only_processes_of_that_name_are_taken),
		FACT(test_without_memory_it_says_so),
	};

	host_raise_files(); /* many threads, on many CPUs */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
