/* SPDX-License-Identifier: BSD-2-Clause */
/* The values of -p, -t, -c and --cgroup; and the help that names them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"
#include "profiler/cmd/command.h"
#include "profiler/cmd/profiling.h"
#include "profiler/cmd/target_opts.h"
#include "profiler/collect/targets.h"
#include "tests/unit/fail_malloc.h"
#include "tests/unit/place.h"

static void test_lists_of_pids_add_up(void **state)
{
	struct targets targets = {};

	(void)state;
	assert_true(targets_is_everything(&targets));
	assert_int_equal(targets_add_pids(&targets, "4711", false, NULL), 0);
	assert_int_equal(targets_add_pids(&targets, "1,2,4194304", false, NULL), 0);
	assert_int_equal(targets_add_pids(&targets, "5,6", true, NULL), 0);
	assert_int_equal(targets.pid_cnt, 4);
	assert_int_equal(targets.pids[0], 4711);
	assert_int_equal(targets.pids[3], 4194304);
	assert_int_equal(targets.tid_cnt, 2);
	assert_int_equal(targets.tids[1], 6);
	assert_false(targets_is_everything(&targets));
	targets_free(&targets);
	assert_true(targets_is_everything(&targets));
}

static void test_other_lists_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"abc",
		"0",
		"-1",
		"+1",
		" 1",
		"1 ",
		"1,",
		",1",
		"1,,2",
		"1;2",
		"1, 2",
		"1,x",
		"0x10",
		"4194305",
		"1.5",
		"18446744073709551617",
		"99999999999999999999",
		"1-3",
	};
	struct targets targets = {};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct errmsg err = {};

		if (targets_add_pids(&targets, bad[i], false, &err) != -EINVAL)
			fail_msg("'%s' was accepted", bad[i]);
		assert_non_null(strstr(err.text, bad[i]));
		assert_memory_equal(err.text, "--pid '", 7);
		targets_add_pids(&targets, bad[i], true, &err);
		assert_memory_equal(err.text, "--tid '", 7);
	}
	targets_free(&targets);
}

static void test_lists_have_an_end(void **state)
{
	struct targets targets = {};
	struct errmsg err;
	char name[16];
	int i;

	(void)state;
	for (i = 1; i <= TARGET_LIST_MAX; i++) {
		snprintf(name, sizeof(name), "%d", i);
		assert_int_equal(targets_add_pids(&targets, name, false, NULL), 0);
		assert_int_equal(targets_add_comm(&targets, name, NULL), 0);
	}
	assert_int_equal(targets_add_pids(&targets, "1", false, &err), -EINVAL);
	assert_string_equal(err.text, "--pid: more than 1024");
	assert_int_equal(targets_add_comm(&targets, "x", &err), -EINVAL);
	assert_string_equal(err.text, "--comm: more than 1024");
	assert_int_equal(targets_add_pids(&targets, "1", true, &err), 0);
	assert_int_equal(targets.pid_cnt, TARGET_LIST_MAX);
	assert_int_equal(targets.comm_cnt, TARGET_LIST_MAX);
	targets_free(&targets);
}

/* What targets_add_comm() printed. */
static void check_comm(const char *name, const char *kept, const char *said)
{
	char expected[TARGET_COMM_BYTES] = "";
	int saved = dup(STDERR_FILENO), fd;
	struct targets targets = {};

	fd = open("said", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	dup2(fd, STDERR_FILENO);
	close(fd);
	assert_int_equal(targets_add_comm(&targets, name, NULL), 0);
	dup2(saved, STDERR_FILENO);
	close(saved);
	memcpy(expected, kept, strlen(kept));
	assert_memory_equal(targets.comms[0].name, expected, sizeof(expected));
	check_file("said", said);
	unlink("said");
	targets_free(&targets);
}

static void test_names_are_cut_as_the_kernel_does(void **state)
{
	struct targets targets = {};
	struct errmsg err;

	(void)state;
	check_comm("nginx", "nginx", "");
	check_comm("a b:c", "a b:c", "");
	check_comm("fifteen-bytes-x", "fifteen-bytes-x", "");
	check_comm("sixteen-bytes-xy", "sixteen-bytes-x",
		   "ebpfprof: the kernel keeps 15 bytes of a name: -c 'sixteen-bytes-x'\n");
	assert_int_equal(targets_add_comm(&targets, "", &err), -EINVAL);
	assert_string_equal(err.text, "--comm '': the name of a process is not empty");
	assert_true(targets_is_everything(&targets));
}

static void check_cgroup_refused(const char *path, int code, const char *text)
{
	struct targets targets = {};
	struct errmsg err = {};

	assert_int_equal(targets_add_cgroup(&targets, path, &err), code);
	if (!strstr(err.text, text))
		fail_msg("'%s' gives \"%s\"", path, err.text);
	assert_int_equal(targets.cgroup_cnt, 0);
}

static void test_what_is_no_cgroup_is_refused(void **state)
{
	(void)state;
	check_cgroup_refused("", -EINVAL, "--cgroup ''");
	check_cgroup_refused("/proc", -ENOTSUP, "--cgroup '/proc': not a cgroup v2 directory");
	check_cgroup_refused("/", -ENOTSUP, "--cgroup '/': not a cgroup v2 directory");
}

/* Where a file system of @type is mounted. */
static bool find_mount(const char *type, char path[256])
{
	struct strbuf mounts = STRBUF_INIT;
	char *line, *rest = NULL, line_type[64];
	bool found = false;

	if (read_path("/proc/self/mounts", 4u << 20, &mounts) == 0)
		for (line = strtok_r(mounts.text, "\n", &rest); line && !found;
		     line = strtok_r(NULL, "\n", &rest))
			found = sscanf(line, "%*s %255s %63s", path, line_type) == 2 &&
				strcmp(line_type, type) == 0;
	strbuf_free(&mounts);
	return found;
}

static void test_cgroup_v1_is_named_as_such(void **state)
{
	char mount[256];

	(void)state;
	if (!find_mount("cgroup", mount)) {
		print_message("skipped: no cgroup v1 is mounted here\n");
		skip();
	}
	check_cgroup_refused(mount, -ENOTSUP, "this is a cgroup v1 hierarchy");
}

static void test_cgroups_are_found_absolute_and_below_the_mount(void **state)
{
	struct targets targets = {};
	char mount[256], missing[300];
	struct stat first, second;
	struct errmsg err;
	int i;

	(void)state;
	if (!find_mount("cgroup2", mount)) {
		check_cgroup_refused("x", -ENOENT, "no cgroup v2 is mounted");
		print_message("skipped: no cgroup v2 is mounted here\n");
		skip();
	}
	assert_int_equal(targets_add_cgroup(&targets, mount, &err), 0);
	assert_int_equal(targets_add_cgroup(&targets, ".", &err), 0);
	assert_int_equal(targets.cgroup_cnt, 2);
	assert_int_equal(fstat(targets.cgroup_fds[0], &first), 0);
	assert_int_equal(fstat(targets.cgroup_fds[1], &second), 0);
	assert_true(first.st_ino == second.st_ino && first.st_dev == second.st_dev);
	assert_int_equal(fcntl(targets.cgroup_fds[0], F_GETFD), FD_CLOEXEC);

	check_cgroup_refused("no/such/group", -ENOENT,
			     "--cgroup 'no/such/group': No such file or directory; name a "
			     "directory, absolute or below ");
	snprintf(missing, sizeof(missing), "%s/no/such/group", mount);
	check_cgroup_refused(missing, -ENOENT, missing);
	check_cgroup_refused("cgroup.procs", -ENOENT, "Not a directory");

	for (i = 2; i < TARGET_CGROUPS_MAX; i++)
		assert_int_equal(targets_add_cgroup(&targets, mount, &err), 0);
	assert_int_equal(targets_add_cgroup(&targets, mount, &err), -EINVAL);
	assert_string_equal(err.text, "--cgroup: more than 16");
	i = targets.cgroup_fds[0];
	targets_free(&targets);
	assert_int_equal(fcntl(i, F_GETFD), -1);
}

/* 0, or targets_check()'s answer and text for one pid or tid. */
static int check_one(pid_t id, bool thread, struct errmsg *err)
{
	struct targets targets = {};
	char list[16];
	int code;

	snprintf(list, sizeof(list), "%d", id);
	assert_int_equal(targets_add_pids(&targets, list, thread, NULL), 0);
	code = targets_check(&targets, err);
	targets_free(&targets);
	return code;
}

static void test_processes_that_ended_are_no_targets(void **state)
{
	char expected[64];
	struct errmsg err;
	siginfo_t info;
	pid_t pid;

	(void)state;
	assert_int_equal(targets_check(&(struct targets){}, NULL), 0);
	assert_int_equal(check_one(getpid(), false, &err), 0);
	assert_int_equal(check_one(getpid(), true, &err), 0);
	pid = fork();
	if (pid == 0)
		_exit(0);
	/* A zombie is none either. */
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(check_one(pid, false, &err), -ESRCH);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(check_one(pid, false, &err), -ESRCH);
	snprintf(expected, sizeof(expected), "no process %d: it has ended or never was", pid);
	assert_memory_equal(err.text, expected, strlen(expected));
	assert_int_equal(check_one(pid, true, &err), -ESRCH);
	snprintf(expected, sizeof(expected), "no thread %d: it has ended or never was", pid);
	assert_memory_equal(err.text, expected, strlen(expected));
}

struct helper_thread {
	pid_t tid;
	int ready[2], leave[2];
};

static void *run_thread(void *context)
{
	struct helper_thread *helper = context;
	char byte = 0;

	helper->tid = (pid_t)syscall(SYS_gettid);
	if (write(helper->ready[1], &byte, 1) != 1 || read(helper->leave[0], &byte, 1) < 0)
		return helper;
	return NULL;
}

static void test_thread_given_as_a_process_is_explained(void **state)
{
	struct helper_thread helper;
	char expected[128], byte;
	struct errmsg err;
	pthread_t thread;

	(void)state;
	assert_int_equal(pipe(helper.ready), 0);
	assert_int_equal(pipe(helper.leave), 0);
	assert_int_equal(pthread_create(&thread, NULL, run_thread, &helper), 0);
	assert_int_equal(read(helper.ready[0], &byte, 1), 1);
	assert_int_equal(check_one(helper.tid, true, &err), 0);
	assert_int_equal(check_one(helper.tid, false, &err), -ESRCH);
	snprintf(expected, sizeof(expected),
		 "no process %d: it is a thread of process %d; use -p %d, or -t %d for the thread",
		 helper.tid, getpid(), getpid(), helper.tid);
	assert_string_equal(err.text, expected);
	assert_int_equal(write(helper.leave[1], &byte, 1), 1);
	pthread_join(thread, NULL);
	close(helper.ready[0]);
	close(helper.ready[1]);
	close(helper.leave[0]);
	close(helper.leave[1]);
}

static void test_failed_allocations_lose_nothing_that_was_added(void **state)
{
	struct targets targets = {};
	struct errmsg err;
	int round;

	(void)state;
	for (round = 0; round < 3; round++) {
		fail_malloc_at(1);
		assert_int_equal(targets_add_pids(&targets, "7", false, &err), -ENOMEM);
		assert_true(fail_malloc_hit());
		fail_malloc_at(1);
		assert_int_equal(targets_add_comm(&targets, "name", &err), -ENOMEM);
		assert_true(fail_malloc_hit());
		assert_int_equal(targets_add_pids(&targets, "8", false, &err), 0);
		assert_int_equal(targets_add_comm(&targets, "name", &err), 0);
		assert_int_equal(targets.pid_cnt, round + 1);
		assert_int_equal(targets.comm_cnt, round + 1);
		assert_int_equal(targets.pids[0], 8);
	}
	targets_free(&targets);
}

static void test_options_reach_the_targets(void **state)
{
	char *words[] = { strdup("record"), strdup("-p1,2"), strdup("--pid=3"), strdup("-t"),
			  strdup("4"),	    strdup("-c"),    strdup("name"),	NULL };
	const struct opt *const tables[] = { profiling_opts, NULL };
	struct profiling profiling;
	struct opt_rest rest;
	size_t i;

	(void)state;
	profiling_init(&profiling);
	assert_int_equal(options_parse(ARRAY_SIZE(words) - 1, words, tables, &profiling, NULL,
				       &rest, NULL),
			 0);
	assert_int_equal(profiling.targets.pid_cnt, 3);
	assert_int_equal(profiling.targets.tid_cnt, 1);
	assert_int_equal(profiling.targets.comm_cnt, 1);
	assert_int_equal(profiling.freq_hz, 99);
	profiling_free(&profiling);
	for (i = 0; words[i]; i++)
		free(words[i]);
}

static void test_help_of_each_command_fits_80_columns(void **state)
{
	static const struct command *const commands[] = { &cmd_record, &cmd_folded, &cmd_doctor };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		_cleanup_free_ char *text = NULL;
		size_t size, column = 0, at;
		FILE *out = open_memstream(&text, &size);

		commands[i]->help(out);
		fclose(out);
		assert_true(size > 100);
		for (at = 0; at < size; at++) {
			column = text[at] == '\n' ? 0 : column + 1;
			if (column > 80)
				fail_msg("%s: ...%.40s", commands[i]->name, text + at - 40);
		}
		assert_int_equal(column, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists_of_pids_add_up),
		cmocka_unit_test(test_other_lists_are_refused),
		cmocka_unit_test(test_lists_have_an_end),
		IN_PLACE(test_names_are_cut_as_the_kernel_does),
		cmocka_unit_test(test_what_is_no_cgroup_is_refused),
		cmocka_unit_test(test_cgroup_v1_is_named_as_such),
		cmocka_unit_test(test_cgroups_are_found_absolute_and_below_the_mount),
		cmocka_unit_test(test_processes_that_ended_are_no_targets),
		cmocka_unit_test(test_thread_given_as_a_process_is_explained),
		cmocka_unit_test(test_failed_allocations_lose_nothing_that_was_added),
		cmocka_unit_test(test_options_reach_the_targets),
		cmocka_unit_test(test_help_of_each_command_fits_80_columns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
