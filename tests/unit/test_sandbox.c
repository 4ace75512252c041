/* SPDX-License-Identifier: BSD-2-Clause */
/* Capabilities and system calls given up, by processes of the test's own: nothing gives them back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ioctl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "profiler/base/capabilities.h"
#include "profiler/base/err.h"
#include "profiler/base/sandbox.h"

#define CHILD_FAILED 99
#define KEPT (CAPABILITY(CAP_SYS_PTRACE) | CAPABILITY(CAP_DAC_READ_SEARCH))

/* In the child. */
#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition,  \
				errno);                                                            \
			_exit(CHILD_FAILED);                                                       \
		}                                                                                  \
	} while (0)

static void in_child(void (*run)(void))
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		alarm(60);
		run();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* A line of /proc/self/status; hexadecimal for sets of capabilities. */
static uint64_t status_of(const char *name, int base)
{
	FILE *file = fopen("/proc/thread-self/status", "re");
	uint64_t value = UINT64_MAX;
	char line[256];

	CHECK(file);
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
			value = strtoull(line + strlen(name) + 1, NULL, base);
	fclose(file);
	return value;
}

static const struct sandbox_call *const no_tables[] = { NULL };

static void enter(const struct sandbox_call *const *tables)
{
	struct errmsg err = {};

	CHECK(sandbox_no_new_privs(&err) == 0);
	if (sandbox_enter(tables, &err) != 0)
		fprintf(stderr, "%s\n", err.text);
	CHECK(err.text[0] == '\0');
}

static bool is_refused(long result)
{
	return result == -1 && errno == EPERM;
}

/* ---- capabilities ---- */

static void keep_two(void)
{
	uint64_t before = status_of("CapEff", 16), bounding = status_of("CapBnd", 16), now;
	struct errmsg err = {};

	CHECK(capabilities_effective(&now) == 0 && now == before);
	CHECK(capabilities_keep(KEPT, &err) == 0);
	CHECK(status_of("CapEff", 16) == (before & KEPT));
	CHECK(status_of("CapPrm", 16) == (before & KEPT));
	CHECK(status_of("CapInh", 16) == 0);
	CHECK(status_of("CapAmb", 16) == 0);
	if (before & CAPABILITY(CAP_SETPCAP))
		CHECK(status_of("CapBnd", 16) == (bounding & KEPT));
	CHECK(capabilities_effective(&now) == 0 && now == (before & KEPT));
	/* For good. */
	capabilities_set_effective(UINT64_MAX);
	CHECK(status_of("CapEff", 16) == (before & KEPT));
}

static void test_what_is_not_kept_is_gone_from_every_set(void **state)
{
	(void)state;
	in_child(keep_two);
}

static void *in_thread(void *function)
{
	(*(void (**)(void))function)();
	return NULL;
}

static void *check_thread(void *before)
{
	CHECK(status_of("CapEff", 16) == (*(uint64_t *)before & KEPT));
	CHECK(status_of("CapPrm", 16) == (*(uint64_t *)before & KEPT));
	return NULL;
}

static void keep_and_start_a_thread(void)
{
	uint64_t before = status_of("CapEff", 16);
	pthread_t thread;

	CHECK(capabilities_keep(KEPT, NULL) == 0);
	CHECK(pthread_create(&thread, NULL, check_thread, &before) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
}

static void test_later_threads_have_no_more(void **state)
{
	(void)state;
	in_child(keep_and_start_a_thread);
}

static void lower_and_raise(void)
{
	uint64_t before = status_of("CapEff", 16);

	CHECK(capabilities_set_effective(before & ~CAPABILITY(CAP_DAC_OVERRIDE)) == 0);
	CHECK(status_of("CapEff", 16) == (before & ~CAPABILITY(CAP_DAC_OVERRIDE)));
	CHECK(status_of("CapPrm", 16) == before);
	CHECK(capabilities_set_effective(before) == 0);
	CHECK(status_of("CapEff", 16) == before);
}

static void test_what_is_not_in_effect_for_a_while_comes_back(void **state)
{
	(void)state;
	in_child(lower_and_raise);
}

/* ---- system calls ---- */

static void see_the_state(void)
{
	enter(no_tables);
	CHECK(status_of("NoNewPrivs", 10) == 1);
	CHECK(status_of("Seccomp", 10) == 2);
}

static void test_a_process_shows_its_sandbox(void **state)
{
	(void)state;
	in_child(see_the_state);
}

static void try_forbidden(void)
{
	char *const argv[] = { NULL };
	pid_t parent = getppid();
	int fds[2];

	enter(no_tables);
	CHECK(is_refused(execve("/bin/true", argv, argv)));
	CHECK(is_refused(fork()));
#ifndef __SANITIZE_ADDRESS__ /* whose calls are more */
	CHECK(is_refused(syscall(SYS_ptrace, 0, 0, 0, 0)));
	CHECK(is_refused(prctl(PR_SET_PDEATHSIG, SIGTERM)));
#endif
	CHECK(is_refused(syscall(SYS_process_vm_writev, getpid(), NULL, 0, NULL, 0, 0)));
	CHECK(is_refused(syscall(SYS_mount, NULL, NULL, NULL, 0, NULL)));
	CHECK(is_refused(syscall(SYS_setns, -1, 0)));
	CHECK(is_refused(unshare(0)));
	CHECK(is_refused(syscall(SYS_finit_module, -1, "", 0)));
	CHECK(is_refused(syscall(SYS_kexec_load, 0, 0, NULL, 0)));
	CHECK(is_refused(syscall(SYS_bpf, 5, NULL, 0)));
	CHECK(is_refused(syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0)));
	CHECK(is_refused(socket(AF_INET, SOCK_STREAM, 0)));
	CHECK(is_refused(socketpair(AF_UNIX, SOCK_STREAM, 0, fds)));
	CHECK(is_refused(setuid(getuid())));
	CHECK(is_refused(ioctl(STDIN_FILENO, TIOCSTI, "x")));
	CHECK(is_refused(kill(getpid(), SIGUSR1)));
	CHECK(is_refused(syscall(SYS_tgkill, parent, parent, 0)));
	CHECK(is_refused(syscall(100000))); /* of a kernel to come */
}

static void test_a_call_that_is_not_listed_fails_and_kills_nobody(void **state)
{
	(void)state;
	in_child(try_forbidden);
}

static void map_code(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *code;

	enter(no_tables);
#ifndef __SANITIZE_ADDRESS__
	code = mmap(NULL, page, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	CHECK(code == MAP_FAILED && errno == EPERM);
#endif
	code = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(code != MAP_FAILED);
#ifndef __SANITIZE_ADDRESS__
	CHECK(is_refused(mprotect(code, page, PROT_READ | PROT_WRITE | PROT_EXEC)));
#endif
	CHECK(mprotect(code, page, PROT_READ | PROT_EXEC) == 0);
	CHECK(munmap(code, page) == 0);
}

static void test_no_memory_is_written_and_executed(void **state)
{
	(void)state;
	in_child(map_code);
}

static void do_the_usual(void)
{
	char path[] = "/tmp/ebpfprof-sandbox-XXXXXX", text[4096], *memory;
	struct timespec pause = { .tv_nsec = 1000 };
	FILE *file;
	int fd;

	enter(no_tables);
	fd = mkstemp(path);
	CHECK(fd >= 0 && write(fd, "x", 1) == 1 && fsync(fd) == 0 && close(fd) == 0);
	file = fopen(path, "re");
	CHECK(file && fread(text, 1, sizeof(text), file) == 1 && fclose(file) == 0);
	CHECK(unlink(path) == 0);
	memory = malloc(8 << 20);
	CHECK(memory);
	memset(memory, 1, 8 << 20);
	free(memory);
	CHECK(nanosleep(&pause, NULL) == 0);
	CHECK(kill(getppid(), 0) == 0);
	CHECK(raise(SIGCONT) == 0);
	CHECK(!isatty(open("/dev/null", O_RDONLY | O_CLOEXEC)) && errno == ENOTTY);
	CHECK(sysconf(_SC_NPROCESSORS_ONLN) > 0);
}

static void test_the_usual_calls_work(void **state)
{
	(void)state;
	in_child(do_the_usual);
}

static void refuse_in_thread(void)
{
	CHECK(status_of("Seccomp", 10) == 2);
	CHECK(is_refused(fork()));
	CHECK(is_refused(socket(AF_UNIX, SOCK_STREAM, 0)));
}

static void start_a_thread(void)
{
	void (*run)(void) = refuse_in_thread;
	pthread_t thread;

	enter(no_tables);
	CHECK(pthread_create(&thread, NULL, in_thread, &run) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
}

static void test_later_threads_are_in_it(void **state)
{
	(void)state;
	in_child(start_a_thread);
}

static int ready[2], entered[2];

static void wait_and_refuse(void)
{
	char byte;

	CHECK(write(ready[1], "r", 1) == 1 && read(entered[0], &byte, 1) == 1);
	refuse_in_thread();
}

static void enter_beside_a_thread(void)
{
	void (*run)(void) = wait_and_refuse;
	pthread_t thread;
	char byte;

	CHECK(pipe(ready) == 0 && pipe(entered) == 0);
	CHECK(pthread_create(&thread, NULL, in_thread, &run) == 0);
	CHECK(read(ready[0], &byte, 1) == 1);
	enter(no_tables);
	CHECK(write(entered[1], "e", 1) == 1);
	CHECK(pthread_join(thread, NULL) == 0);
}

static void test_earlier_threads_are_in_it(void **state)
{
	(void)state;
	in_child(enter_beside_a_thread);
}

static void allow_some(void)
{
	static const struct sandbox_call sockets[] = {
		SANDBOX_INT("socket", 0, AF_UNIX),
		{ .name = "no_such_call_on_any_machine" },
		{},
	};
	static const struct sandbox_call signals[] = {
		SANDBOX_INT("kill", 1, SIGUSR1),
		SANDBOX_INT("socket", 0, AF_UNIX), /* twice is once */
		{},
	};
	static const struct sandbox_call *const tables[] = { sockets, signals, NULL };

	signal(SIGUSR1, SIG_IGN);
	enter(tables);
	CHECK(socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
	CHECK(is_refused(socket(AF_INET, SOCK_STREAM, 0)));
	CHECK(kill(getpid(), SIGUSR1) == 0);
	CHECK(is_refused(kill(getpid(), SIGUSR2)));
	/* The upper half of an int's register is nobody's. */
	CHECK(syscall(SYS_socket, (long)(AF_UNIX | 7ull << 32), SOCK_STREAM, 0) >= 0);
}

static void test_a_table_allows_what_it_says(void **state)
{
	(void)state;
	in_child(allow_some);
}

static void enter_twice(void)
{
	static const struct sandbox_call outer[] = {
		{ .name = "seccomp" }, { .name = "prctl" }, { .name = "socket" }, {}
	};
	static const struct sandbox_call *const outers[] = { outer, NULL };

	enter(outers);
	CHECK(socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
	enter(no_tables);
	CHECK(is_refused(socket(AF_UNIX, SOCK_STREAM, 0)));
}

static void test_a_sandbox_can_be_narrowed(void **state)
{
	(void)state;
	in_child(enter_twice);
}

static void enter_where_it_is_refused(void)
{
	struct errmsg err = {};

	enter(no_tables);
	CHECK(sandbox_enter(no_tables, &err) == -EPERM);
	CHECK(strstr(err.text, "seccomp"));
	err = (struct errmsg){};
#ifndef __SANITIZE_ADDRESS__
	CHECK(sandbox_no_new_privs(&err) == -EPERM);
	CHECK(strstr(err.text, "no_new_privs"));
#endif
}

static void test_what_the_kernel_refuses_is_an_error(void **state)
{
	(void)state;
	in_child(enter_where_it_is_refused);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_not_kept_is_gone_from_every_set),
		cmocka_unit_test(test_later_threads_have_no_more),
		cmocka_unit_test(test_what_is_not_in_effect_for_a_while_comes_back),
		cmocka_unit_test(test_a_process_shows_its_sandbox),
		cmocka_unit_test(test_a_call_that_is_not_listed_fails_and_kills_nobody),
		cmocka_unit_test(test_no_memory_is_written_and_executed),
		cmocka_unit_test(test_the_usual_calls_work),
		cmocka_unit_test(test_later_threads_are_in_it),
		cmocka_unit_test(test_earlier_threads_are_in_it),
		cmocka_unit_test(test_a_table_allows_what_it_says),
		cmocka_unit_test(test_a_sandbox_can_be_narrowed),
		cmocka_unit_test(test_what_the_kernel_refuses_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
