/* SPDX-License-Identifier: BSD-2-Clause */
/* The command that is profiled: it waits before its exec, and comes out as a shell would run it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"
#include "profiler/pipeline/command.h"
#include "tests/unit/place.h"

#define WAIT_MS 10000

static sigset_t own_mask(void)
{
	sigset_t mask;

	sigprocmask(SIG_BLOCK, NULL, &mask);
	return mask;
}

static void start(struct command_process *command, char **argv, bool stdout_to_stderr)
{
	sigset_t mask = own_mask();
	struct errmsg err = {};

	if (command_start(argv, &mask, stdout_to_stderr, command, &err) != 0)
		fail_msg("%s", err.text);
	assert_true(command->pid > 0);
	assert_int_equal(command->status, -1);
}

#define SHELL(script)                                                                              \
	((char *[]){ (char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",                           \
		     (char *)(uintptr_t)(script), NULL })
#define PROGRAM(name) ((char *[]){ (char *)(uintptr_t)(name), NULL })

/* Its status once it has ended. */
static int wait_for(struct command_process *command)
{
	int i;

	for (i = 0; i < WAIT_MS && !command_reap(command); i++)
		usleep(1000);
	assert_true(command->pid < 0);
	command_discard(command);
	return command->status;
}

static int run_shell(const char *script)
{
	struct command_process command;
	struct errmsg err = {};

	start(&command, SHELL(script), false);
	assert_int_equal(command_exec(&command, "sh", &err), 0);
	assert_true(command.go_fd < 0 && command.answer_fd < 0);
	return wait_for(&command);
}

static void test_exit_status_is_passed_on(void **state)
{
	(void)state;
	assert_int_equal(run_shell("exit 0"), 0);
	assert_int_equal(run_shell("exit 7"), 7);
	assert_int_equal(run_shell("exit 255"), 255);
}

static void test_signal_gives_128_and_its_number(void **state)
{
	(void)state;
	assert_int_equal(run_shell("kill -KILL $$"), 128 + SIGKILL);
	assert_int_equal(run_shell("kill -TERM $$"), 128 + SIGTERM);
}

static void check_cannot_run(const char *name, int code, int status, const char *text)
{
	struct command_process command;
	struct errmsg err = {};

	start(&command, PROGRAM(name), false);
	assert_int_equal(command_exec(&command, name, &err), code);
	assert_int_equal(command.status, status);
	assert_int_equal(command.pid, -1);
	assert_string_equal(err.text, text);
	assert_true(command_reap(&command));
	command_discard(&command);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no zombie is left */
	assert_int_equal(errno, ECHILD);
}

static void test_unknown_command_is_127(void **state)
{
	(void)state;
	check_cannot_run("no-such-command-anywhere", -ENOENT, 127,
			 "cannot run 'no-such-command-anywhere': No such file or directory; is it "
			 "spelt right and in PATH?");
	check_cannot_run("./missing", -ENOENT, 127,
			 "cannot run './missing': No such file or directory; is it spelt right and "
			 "in PATH?");
	check_cannot_run("", -ENOENT, 127,
			 "cannot run '': No such file or directory; is it spelt right and in PATH?");
}

static void test_what_cannot_be_executed_is_126(void **state)
{
	(void)state;
	put_file("text", "echo hello\n");
	check_cannot_run("./text", -EACCES, 126, "cannot run './text': Permission denied");
	check_cannot_run("/", -EACCES, 126, "cannot run '/': Permission denied");
	unlink("text");
}

static void test_command_keeps_the_pid_of_its_start(void **state)
{
	struct command_process command;
	char expected[32];

	(void)state;
	start(&command, SHELL("echo $$ > out"), false);
	snprintf(expected, sizeof(expected), "%d\n", command.pid);
	assert_int_equal(command_exec(&command, "sh", NULL), 0);
	assert_int_equal(wait_for(&command), 0);
	check_file("out", expected);
	unlink("out");
}

static void test_command_waits_until_it_may_run(void **state)
{
	struct command_process command;

	(void)state;
	start(&command, SHELL("touch out"), false);
	usleep(50000);
	assert_int_equal(access("out", F_OK), -1);
	assert_false(command_reap(&command));
	assert_int_equal(command_exec(&command, "sh", NULL), 0);
	assert_int_equal(wait_for(&command), 0);
	assert_int_equal(unlink("out"), 0);
}

static void test_discarded_command_never_runs(void **state)
{
	struct command_process command;
	pid_t pid;

	(void)state;
	start(&command, SHELL("touch out"), false);
	pid = command.pid;
	command_discard(&command);
	assert_int_equal(command.go_fd, -1);
	assert_int_equal(command.answer_fd, -1);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
	assert_int_equal(access("out", F_OK), -1);
}

static void test_discard_of_nothing_does_nothing(void **state)
{
	struct command_process command = COMMAND_PROCESS_INIT;

	(void)state;
	command_discard(&command);
	command_discard(&command);
	assert_true(command_reap(&command));
	assert_int_equal(command.status, -1);
}

static void test_running_command_survives_discard(void **state)
{
	struct command_process command;
	int status;

	(void)state;
	start(&command, SHELL("exec sleep 100"), false);
	assert_int_equal(command_exec(&command, "sh", NULL), 0);
	assert_false(command_reap(&command));
	command_discard(&command);
	assert_int_equal(command.status, -1);
	assert_int_equal(kill(command.pid, SIGKILL), 0);
	assert_int_equal(waitpid(command.pid, &status, 0), command.pid);
	assert_true(WIFSIGNALED(status));
}

/* What this program was started with is not ours to hide from the command. */
static void close_inherited_on_exec(void)
{
	int fd;

	for (fd = 3; fd < 1024; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static void test_command_gets_no_descriptor_of_ours(void **state)
{
	struct command_process waiting, command;

	(void)state;
	close_inherited_on_exec();
	start(&waiting, PROGRAM("true"), false);
	/* The glob's own descriptor is closed when -e asks for it. */
	start(&command,
	      SHELL("exec >> out; for fd in /proc/self/fd/*; do "
		    "[ ! -e $fd ] || echo ${fd##*/}; done"),
	      true);
	assert_int_equal(command_exec(&command, "sh", NULL), 0);
	assert_int_equal(wait_for(&command), 0);
	command_discard(&waiting);
	check_file("out", "0\n1\n2\n");
	unlink("out");
}

/* No shell: that has a mask and actions of its own. */
#define COPY_STATUS                                                                                \
	((char *[]){ (char *)(uintptr_t) "cp", (char *)(uintptr_t) "/proc/self/status",            \
		     (char *)(uintptr_t) "out", NULL })

/* The hexadecimal mask behind @name in the command's own /proc/self/status. */
static uint64_t signals_of(const char *name)
{
	struct strbuf text = STRBUF_INIT;
	uint64_t mask;
	const char *at;

	assert_int_equal(read_path("out", 1 << 20, &text), 0);
	at = strstr(text.text, name);
	assert_non_null(at);
	mask = strtoull(at + strlen(name), NULL, 16);
	strbuf_free(&text);
	return mask;
}

#define SIGNAL_BIT(signal) (1ull << ((signal)-1))

static void test_command_gets_the_given_signal_mask(void **state)
{
	struct command_process command;
	sigset_t blocked, given, before;

	(void)state;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGINT);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGCHLD);
	sigprocmask(SIG_SETMASK, &blocked, &before);
	sigemptyset(&given);
	sigaddset(&given, SIGUSR1);
	assert_int_equal(command_start(COPY_STATUS, &given, false, &command, NULL), 0);
	assert_int_equal(command_exec(&command, "cp", NULL), 0);
	sigprocmask(SIG_SETMASK, &before, NULL);
	assert_int_equal(wait_for(&command), 0);
	assert_true(signals_of("SigBlk:") == SIGNAL_BIT(SIGUSR1));
	unlink("out");
}

static void test_status_is_known_where_children_were_ignored(void **state)
{
	struct command_process command;

	(void)state;
	signal(SIGCHLD, SIG_IGN);
	assert_int_equal(run_shell("exit 3"), 3);
	signal(SIGCHLD, SIG_IGN);
	start(&command, COPY_STATUS, false);
	assert_int_equal(command_exec(&command, "cp", NULL), 0);
	assert_int_equal(wait_for(&command), 0);
	assert_true(signals_of("SigIgn:") & SIGNAL_BIT(SIGCHLD)); /* as we were started */
	signal(SIGCHLD, SIG_DFL);
	unlink("out");
}

/* What a command wrote to stdout and to stderr, each into a file. */
static void run_with_outputs(bool stdout_to_stderr)
{
	struct command_process command;
	int saved_out = dup(STDOUT_FILENO), saved_err = dup(STDERR_FILENO), fd;

	fflush(stdout);
	fd = open("out", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
	dup2(fd, STDOUT_FILENO);
	close(fd);
	fd = open("err", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
	dup2(fd, STDERR_FILENO);
	close(fd);
	start(&command, SHELL("echo data; echo words >&2"), stdout_to_stderr);
	command_exec(&command, "sh", NULL);
	wait_for(&command);
	dup2(saved_out, STDOUT_FILENO);
	dup2(saved_err, STDERR_FILENO);
	close(saved_out);
	close(saved_err);
}

static void test_its_stdout_can_go_to_stderr(void **state)
{
	(void)state;
	run_with_outputs(false);
	check_file("out", "data\n");
	check_file("err", "words\n");
	run_with_outputs(true);
	check_file("out", "");
	check_file("err", "data\nwords\n");
	unlink("out");
	unlink("err");
}

static void test_no_free_descriptors_is_an_error_that_leaks_none(void **state)
{
	int first = dup(STDOUT_FILENO), more;
	struct command_process command = COMMAND_PROCESS_INIT;
	struct rlimit limit, low;
	sigset_t mask = own_mask();

	(void)state;
	close(first);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	for (more = 0; more < 4; more++) {
		struct errmsg err = {};
		int code, next;

		low = (struct rlimit){ (rlim_t)(first + more), limit.rlim_max };
		setrlimit(RLIMIT_NOFILE, &low);
		code = command_start(PROGRAM("true"), &mask, false, &command, &err);
		setrlimit(RLIMIT_NOFILE, &limit);
		assert_int_equal(code, -EMFILE);
		assert_string_equal(err.text, "cannot start 'true': Too many open files; raise "
					      "the limit of open files: ulimit -n 65536");
		assert_int_equal(command.pid, -1);
		next = dup(STDOUT_FILENO);
		close(next);
		assert_int_equal(next, first);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exit_status_is_passed_on),
		cmocka_unit_test(test_signal_gives_128_and_its_number),
		IN_PLACE(test_unknown_command_is_127),
		IN_PLACE(test_what_cannot_be_executed_is_126),
		IN_PLACE(test_command_keeps_the_pid_of_its_start),
		IN_PLACE(test_command_waits_until_it_may_run),
		IN_PLACE(test_discarded_command_never_runs),
		cmocka_unit_test(test_discard_of_nothing_does_nothing),
		cmocka_unit_test(test_running_command_survives_discard),
		IN_PLACE(test_command_gets_no_descriptor_of_ours),
		IN_PLACE(test_command_gets_the_given_signal_mask),
		IN_PLACE(test_status_is_known_where_children_were_ignored),
		IN_PLACE(test_its_stdout_can_go_to_stderr),
		cmocka_unit_test(test_no_free_descriptors_is_an_error_that_leaks_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
