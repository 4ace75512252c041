/* SPDX-License-Identifier: BSD-2-Clause */
/* Real forks, execs and exits in `unwind_processes`; needs CAP_BPF. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "profiler/base/err.h"
#include "profiler/collect/images.h"
#include "profiler/collect/probes.h"
#include "profiler/collect/tracer.h"
#include "profiler/collect/unwind_maps.h"
#include "tests/unit/unwind_reader.h"

#define WITH_HOOKS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* Whose turn it is: each test runs with every tier that this kernel has. */
static enum tier tier;

struct fixture {
	struct shared_maps *maps;
	struct unwind_maps *unwind;
	struct images *images;
	struct unwind_process own;
};

static bool look_up(const struct fixture *fixture, pid_t tgid, struct unwind_process *ret)
{
	uint32_t key = (uint32_t)tgid;

	return bpf_map_lookup_elem(shared_maps_fd(fixture->maps, "unwind_processes"), &key, ret) ==
	       0;
}

static const enum probe probes[] = { [TIER_TP_BTF] = PROBE_TP_BTF,
				     [TIER_RAW_TP] = PROBE_RAW_TP,
				     [TIER_KPROBE] = PROBE_KPROBE };

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	const struct tracer_outcome *outcomes;
	struct errmsg err = {};
	size_t cnt;

	*state = fixture;
	fixture->maps = reader_maps_of(tier);
	if (!fixture->maps)
		return 0;
	if (unwind_maps_new(fixture->maps, 64u << 20, &fixture->unwind, &err) != 0)
		fail_msg("%s", err.text);
	if (images_new(fixture->maps, &fixture->images, &err) != 0)
		fail_msg("%s", err.text);
	outcomes = shared_maps_outcomes(fixture->maps, &cnt);
	assert_int_equal(cnt, 2); /* images, images_seed */
	assert_int_equal(outcomes[0].tier, tier);
	assert_string_equal(outcomes[0].why, "");
	assert_true(images_has_seeded(fixture->images));
	assert_true(look_up(fixture, getpid(), &fixture->own));
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	images_free(fixture->images);
	unwind_maps_free(fixture->unwind);
	shared_maps_free(fixture->maps);
	free(fixture);
	return 0;
}

#define fixture_of(state)                                                                          \
	({                                                                                         \
		struct fixture *_fixture = *(state);                                               \
		if (!_fixture->images)                                                             \
			skip();                                                                    \
		_fixture;                                                                          \
	})

/* proc(5): field 22 of stat, clock ticks since boot; 0: no such process. */
static uint64_t start_ticks(pid_t pid)
{
	char path[64], line[1024] = "", *at;
	FILE *stat;
	int field;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	stat = fopen(path, "r");
	if (!stat)
		return 0;
	if (!fgets(line, sizeof(line), stat))
		line[0] = '\0';
	fclose(stat);
	at = strrchr(line, ')');
	for (field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at, NULL, 10) : 0;
}

static void check_start(pid_t pid, const struct unwind_process *image)
{
	uint64_t tick_ns = NS_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK);

	assert_int_equal(image->start_boottime_ns / tick_ns, start_ticks(pid));
}

/* A child that waits until it is killed. */
static pid_t fork_waiting(void)
{
	pid_t child = fork();

	assert_true(child >= 0);
	while (!child)
		pause();
	return child;
}

static void end(pid_t child)
{
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static void pause_ms(long ms)
{
	const struct timespec time = { .tv_nsec = ms * 1000 * 1000 };

	nanosleep(&time, NULL);
}

/* The kernel frees a task after a grace period. */
static bool is_gone_soon(const struct fixture *fixture, pid_t tgid)
{
	struct unwind_process image;
	int i;

	for (i = 0; i < 500 && look_up(fixture, tgid, &image); i++)
		pause_ms(10);
	return !look_up(fixture, tgid, &image);
}

static struct unwind_list *publish_own(struct fixture *fixture)
{
	const struct unwind_mapping mappings[] = {
		{ 0x1000, 0x2000, 0, UNWIND_FILE_NONE, 0 },
		{ 0x4000, 0x5000, 0, UNWIND_FILE_NONE, 0 },
	};
	struct unwind_list *list;

	assert_int_equal(unwind_maps_add_list(fixture->unwind, mappings, 2, &list), 0);
	assert_int_equal(unwind_maps_publish(fixture->unwind, getpid(),
					     fixture->own.start_boottime_ns, fixture->own.exec_id, 0,
					     list),
			 0);
	return list;
}

static void test_processes_older_than_the_hooks_are_known(void **state)
{
	struct fixture *fixture = fixture_of(state);
	struct unwind_process image;

	check_start(getpid(), &fixture->own);
	assert_int_equal(fixture->own.mapping_cnt, 0);
	assert_true(look_up(fixture, getppid(), &image));
	check_start(getppid(), &image);
	/* Kernel threads have no user code. */
	assert_false(look_up(fixture, 2, &image));
}

static void test_a_child_has_its_parents_mappings_and_its_own_identity(void **state)
{
	struct fixture *fixture = fixture_of(state);
	struct unwind_list *list = publish_own(fixture);
	struct unwind_process image = {};
	struct unwind_rule rule;
	uint64_t start = 0;
	uint32_t exec_id = 0;
	pid_t child;

	pause_ms(20); /* into another tick */
	child = fork_waiting();
	assert_true(look_up(fixture, child, &image));
	assert_true(unwind_maps_image(fixture->unwind, child, &start, &exec_id));
	assert_int_equal(start, image.start_boottime_ns);
	assert_int_equal(exec_id, fixture->own.exec_id);
	assert_true(image.start_boottime_ns > fixture->own.start_boottime_ns);
	check_start(child, &image);
	assert_int_equal(image.mapping_cnt, 2);
	assert_int_equal(reader_find(fixture->maps, child, start, exec_id, 0x4800, &rule),
			 READER_FOUND);
	/* Given up while the child, unknown to us, points at it. */
	unwind_maps_put_list(fixture->unwind, list);
	assert_int_equal(reader_find(fixture->maps, child, start, exec_id, 0x4800, &rule),
			 READER_GIVEN_UP);
	unwind_maps_settle(fixture->unwind);
	list = publish_own(fixture); /* the same place */
	assert_int_equal(reader_find(fixture->maps, child, start, exec_id, 0x4800, &rule),
			 READER_GIVEN_UP);
	unwind_maps_put_list(fixture->unwind, list);
	end(child);
	assert_true(is_gone_soon(fixture, child));
}

static void test_mappings_of_an_earlier_image_are_not_inherited(void **state)
{
	struct fixture *fixture = fixture_of(state);
	struct unwind_list *list = publish_own(fixture);
	struct unwind_process image = {};
	pid_t child;

	assert_int_equal(unwind_maps_publish(fixture->unwind, getpid(),
					     fixture->own.start_boottime_ns,
					     fixture->own.exec_id - 1, 0, list),
			 0);
	child = fork_waiting();
	assert_true(look_up(fixture, child, &image));
	assert_int_equal(image.mapping_cnt, 0);
	assert_int_equal(image.exec_id, fixture->own.exec_id);
	check_start(child, &image);
	end(child);

	unwind_maps_forget(fixture->unwind, getpid());
	child = fork_waiting();
	assert_true(look_up(fixture, child, &image));
	assert_int_equal(image.mapping_cnt, 0);
	end(child);
	unwind_maps_put_list(fixture->unwind, list);
}

static int wait_forever(void *unused)
{
	while (!unused)
		pause();
	return 0;
}

static void test_a_child_that_shares_memory_has_the_mappings_too(void **state)
{
	struct fixture *fixture = fixture_of(state);
	struct unwind_list *list = publish_own(fixture);
	struct unwind_process image = {};
	char *stack = malloc(65536);
	pid_t child = clone(wait_forever, stack + 65536, CLONE_VM | SIGCHLD, NULL);

	assert_true(child > 0);
	assert_true(look_up(fixture, child, &image));
	assert_int_equal(image.mapping_cnt, 2);
	check_start(child, &image);
	end(child);
	free(stack);
	unwind_maps_put_list(fixture->unwind, list);
}

static void *give_tid(void *ret)
{
	*(pid_t *)ret = (pid_t)syscall(SYS_gettid);
	return NULL;
}

static void test_threads_are_no_processes(void **state)
{
	struct fixture *fixture = fixture_of(state);
	struct unwind_list *list = publish_own(fixture);
	struct unwind_process image;
	pthread_t thread;
	pid_t tid = 0;

	assert_int_equal(pthread_create(&thread, NULL, give_tid, &tid), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(tid != getpid());
	assert_false(look_up(fixture, tid, &image));
	pause_ms(100); /* the thread is freed */
	assert_true(look_up(fixture, getpid(), &image));
	assert_int_equal(image.mapping_cnt, 2);
	unwind_maps_put_list(fixture->unwind, list);
}

/* Until the program in @child is named @comm. */
static void wait_for_comm(pid_t child, const char *comm)
{
	char path[64], name[32] = "";
	int i;

	snprintf(path, sizeof(path), "/proc/%d/comm", child);
	for (i = 0; i < 500 && strcmp(name, comm) != 0; i++) {
		FILE *file = fopen(path, "r");

		if (file && !fgets(name, sizeof(name), file))
			name[0] = '\0';
		if (file)
			fclose(file);
		name[strcspn(name, "\n")] = '\0';
		pause_ms(10);
	}
	assert_string_equal(name, comm);
}

static void test_each_exec_is_another_image_without_mappings(void **state)
{
	struct fixture *fixture = fixture_of(state);
	struct unwind_list *list = publish_own(fixture);
	struct unwind_process image = {};
	pid_t child = fork();

	assert_true(child >= 0);
	if (!child) {
		execl("/bin/sh", "sh", "-c", "exec sh -c 'exec sleep 100'", NULL);
		_exit(127);
	}
	wait_for_comm(child, "sleep");
	assert_true(look_up(fixture, child, &image));
	assert_int_equal(image.exec_id, fixture->own.exec_id + 3);
	assert_int_equal(image.mapping_cnt, 0);
	check_start(child, &image);
	end(child);
	assert_true(is_gone_soon(fixture, child));
	unwind_maps_put_list(fixture->unwind, list);
}

static void *exec_sleep(void *unused)
{
	execl("/bin/sleep", "sleep", "100", NULL);
	return unused;
}

static void test_an_exec_by_a_thread_is_its_processs(void **state)
{
	struct fixture *fixture = fixture_of(state);
	struct unwind_process before = {}, image = {};
	pid_t child = fork();
	pthread_t thread;

	assert_true(child >= 0);
	if (!child) {
		if (pthread_create(&thread, NULL, exec_sleep, NULL) == 0)
			pause();
		_exit(127);
	}
	assert_true(look_up(fixture, child, &before));
	wait_for_comm(child, "sleep");
	assert_true(look_up(fixture, child, &image));
	assert_int_equal(image.exec_id, fixture->own.exec_id + 1);
	check_start(child, &image);
	pause_ms(200); /* the old leader's task is freed, under another number */
	assert_true(look_up(fixture, child, &image));
	end(child);
	assert_true(is_gone_soon(fixture, child));
}

static void *wait_in_thread(void *unused)
{
	wait_forever(unused);
	return NULL;
}

static void test_a_process_lives_as_long_as_its_last_thread(void **state)
{
	struct fixture *fixture = fixture_of(state);
	struct unwind_process image = {};
	pid_t child = fork();
	pthread_t thread;

	assert_true(child >= 0);
	if (!child) {
		if (pthread_create(&thread, NULL, wait_in_thread, NULL) == 0)
			syscall(SYS_exit, 0); /* of this thread alone */
		_exit(127);
	}
	pause_ms(300);
	assert_true(look_up(fixture, child, &image));
	check_start(child, &image);
	end(child);
	assert_true(is_gone_soon(fixture, child));
}

static uint32_t process_cnt(const struct fixture *fixture)
{
	int fd = shared_maps_fd(fixture->maps, "unwind_processes");
	uint32_t key, next, cnt = 0;
	bool first = true;

	while (bpf_map_get_next_key(fd, first ? NULL : &key, &next) == 0) {
		first = false;
		key = next;
		cnt++;
	}
	return cnt;
}

static void test_a_thousand_short_processes_leave_nothing(void **state)
{
	struct fixture *fixture = fixture_of(state);
	uint32_t before = process_cnt(fixture), after = 0;
	/* The first tier is the one that is used. */
	int rounds = tier == TIER_TP_BTF ? 100 : 20;
	pid_t children[10];
	int i, k;

	for (i = 0; i < rounds; i++) {
		for (k = 0; k < 10; k++) {
			children[k] = fork();
			assert_true(children[k] >= 0);
			if (!children[k])
				_exit(0);
		}
		for (k = 0; k < 10; k++)
			assert_int_equal(waitpid(children[k], NULL, 0), children[k]);
	}
	/* Others may start and end programs meanwhile. */
	for (i = 0; i < 500; i++) {
		after = process_cnt(fixture);
		if (after <= before + 200)
			break;
		pause_ms(10);
	}
	assert_true(after <= before + 200);
	for (k = 0; k < 10; k++)
		assert_true(is_gone_soon(fixture, children[k]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_HOOKS(test_processes_older_than_the_hooks_are_known),
		WITH_HOOKS(test_a_child_has_its_parents_mappings_and_its_own_identity),
		WITH_HOOKS(test_mappings_of_an_earlier_image_are_not_inherited),
		WITH_HOOKS(test_a_child_that_shares_memory_has_the_mappings_too),
		WITH_HOOKS(test_threads_are_no_processes),
		WITH_HOOKS(test_each_exec_is_another_image_without_mappings),
		WITH_HOOKS(test_an_exec_by_a_thread_is_its_processs),
		WITH_HOOKS(test_a_process_lives_as_long_as_its_last_thread),
		WITH_HOOKS(test_a_thousand_short_processes_leave_nothing),
	};

	int failed = 0, name;

	for (name = TIER_TP_BTF; name < TIER_CNT; name++) {
		tier = (enum tier)name;
		if (probe_run(probes[tier]) == -ENOENT) {
			print_message("this kernel has no %s\n", tier_name(tier));
			continue;
		}
		failed += _cmocka_run_group_tests(tier_name(tier), tests, ARRAY_SIZE(tests), NULL,
						  NULL);
	}
	return failed;
}
