/* SPDX-License-Identifier: BSD-2-Clause */
/* symbolizer/jvm_attach: against processes that do as a JVM does, or otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "profiler/base/clock.h"
#include "symbolizer/jvm_attach.h"
#include "symbolizer/jvm_attach_private.h"
#include "tests/unit/fail_malloc.h"

static const char request[] = "1\0jcmd\0Compiler.perfmap\0\0"; /* one NUL more at its end */

/* What the process in question is and does. */
struct fake {
	const char *maps[2];  /* names of files that it maps */
	bool catches_sigquit; /* and listens then, as a JVM would */
	bool listens;	      /* from the start */
	const char *answer;   /* NULL = none: it keeps the connection open */
	bool deaf;	      /* it catches the signal, and no more */
};

static char folder[32];
static pid_t child;
static volatile sig_atomic_t got_sigquit;

static void on_sigquit(int signal)
{
	(void)signal;
	got_sigquit = 1;
}

static const char *tmp_name(const char *prefix, pid_t pid)
{
	static char names[4][64];
	static unsigned int turn;
	char *name = names[turn++ % 4];

	snprintf(name, sizeof(names[0]), "/tmp/.%s%d", prefix, pid);
	return name;
}

static void map_file(const char *name)
{
	char path[80];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || ftruncate(fd, 4096) < 0 ||
	    mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED)
		_exit(2);
	close(fd);
}

/* HotSpot looks for a file that its own user has made. */
static bool is_triggered(void)
{
	struct stat st;

	return stat(tmp_name("attach_pid", getpid()), &st) == 0 && st.st_uid == geteuid() &&
	       (st.st_mode & 0777) == 0600;
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s.tmp", path);
	unlink(address.sun_path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 5) < 0 ||
	    rename(address.sun_path, path) < 0)
		return -1;
	return fd;
}

static void serve(const struct fake *fake)
{
	int server = listen_at(tmp_name("java_pid", getpid()));
	char bytes[64] = "";

	for (;;) {
		int fd = accept(server, NULL, NULL);

		if (fd < 0 || recv(fd, bytes, sizeof(bytes), 0) != sizeof(request) ||
		    memcmp(bytes, request, sizeof(request)) != 0)
			_exit(3);
		if (!fake->answer)
			continue;
		if (write(fd, fake->answer, strlen(fake->answer)) < 0)
			_exit(4);
		close(fd);
	}
}

static void run_fake(const struct fake *fake, int ready)
{
	struct sigaction action = { .sa_handler = on_sigquit };
	size_t i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (i = 0; i < 2 && fake->maps[i]; i++)
		map_file(fake->maps[i]);
	if (fake->catches_sigquit)
		sigaction(SIGQUIT, &action, NULL);
	if (write(ready, "", 1) != 1)
		_exit(1);
	if (fake->listens)
		serve(fake);
	for (;;) {
		usleep(5000);
		if (got_sigquit && !fake->deaf && is_triggered())
			serve(fake);
	}
}

static pid_t start(const struct fake *fake)
{
	int ready[2];
	char byte;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		run_fake(fake, ready[1]);
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	while (fake->listens && access(tmp_name("java_pid", child), F_OK) < 0)
		usleep(1000);
	return child;
}

static int set_up(void **state)
{
	(void)state;
	alarm(100);
	child = 0;
	snprintf(folder, sizeof(folder), "/tmp/jvm-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
	char command[64];

	(void)state;
	if (child > 0) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		unlink(tmp_name("java_pid", child));
		unlink(tmp_name("attach_pid", child));
	}
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static void assert_alive_and_clean(void)
{
	assert_int_equal(waitpid(child, NULL, WNOHANG), 0);
	assert_int_equal(access(tmp_name("attach_pid", child), F_OK), -1);
}

static int ask(void)
{
	return jvm_attach_perfmap("/proc", child, -1);
}

static void test_a_process_without_libjvm_is_no_jvm(void **state)
{
	struct fake fake = { .maps = { "libjvm-not.so", "mylibjvm.so" } };

	(void)state;
	start(&fake);
	assert_int_equal(ask(), -ENXIO);
	assert_alive_and_clean();
}

static void test_a_process_that_is_gone(void **state)
{
	struct fake fake = {};

	(void)state;
	start(&fake);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_int_equal(ask(), -ESRCH);
}

static void test_sigquit_is_not_sent_where_it_would_kill(void **state)
{
	struct fake fake = { .maps = { "libjvm.so" } };

	(void)state;
	start(&fake);
	assert_int_equal(ask(), -EUNATCH);
	usleep(50000);
	assert_alive_and_clean();
}

static void test_openj9_is_left_alone(void **state)
{
	struct fake fake = { .maps = { "libjvm.so", "libj9vm29.so" }, .catches_sigquit = true };

	(void)state;
	start(&fake);
	assert_int_equal(ask(), -EPROTONOSUPPORT);
	assert_alive_and_clean();
}

static void test_a_jvm_is_woken_and_asked(void **state)
{
	struct fake fake = { .maps = { "libjvm.so" }, .catches_sigquit = true, .answer = "0\n" };

	(void)state;
	start(&fake);
	assert_int_equal(ask(), 0);
	assert_alive_and_clean();
	assert_int_equal(ask(), 0); /* it listens now */
	assert_alive_and_clean();
}

static void test_a_listening_jvm_needs_no_signal(void **state)
{
	struct fake fake = { .maps = { "libjvm.so" }, .listens = true, .answer = "0\nfine\n" };

	(void)state;
	start(&fake);
	assert_int_equal(ask(), 0);
	assert_alive_and_clean();
}

static void test_answers_are_told_apart(void **state)
{
	static const struct {
		const char *answer;
		int result;
	} cases[] = {
		{ "0\n", 0 },
		{ "", -ECONNRESET },
		{ "1\njava.lang.IllegalArgumentException: Unknown diagnostic command\n", -ENOSYS },
		{ "1\njava.io.IOException: disk full\n", -EREMOTEIO },
		{ "101\n", -EREMOTEIO },
		{ "garbage\n", -EPROTO },
		{ "0", -EPROTO },
		{ "\n", -EPROTO },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fake fake = { .maps = { "libjvm.so" }, .listens = true };
		int result;

		fake.answer = cases[i].answer;
		start(&fake);
		result = ask();
		if (result != cases[i].result)
			fail_msg("'%s': %d (%s)", cases[i].answer, result,
				 jvm_attach_words(result));
		tear_down(state);
		set_up(state);
	}
}

static void test_a_huge_answer_is_read_within_bounds(void **state)
{
	static char answer[200000];
	struct fake fake = { .maps = { "libjvm.so" }, .listens = true, .answer = answer };

	(void)state;
	memset(answer, 'x', sizeof(answer) - 1);
	memcpy(answer, "0\n", 2);
	start(&fake);
	assert_int_equal(ask(), 0);
}

static void test_a_jvm_that_does_not_listen_is_given_up(void **state)
{
	struct fake fake = { .maps = { "libjvm.so" }, .catches_sigquit = true, .deaf = true };
	uint64_t start_ns;

	(void)state;
	start(&fake);
	start_ns = monotonic_ns();
	assert_int_equal(ask(), -ETIMEDOUT);
	assert_true(monotonic_ns() - start_ns < 8 * NS_PER_SEC);
	assert_alive_and_clean();
}

static void test_a_stopped_jvm_is_not_signalled(void **state)
{
	struct fake fake = { .maps = { "libjvm.so" }, .catches_sigquit = true, .answer = "0\n" };

	(void)state;
	start(&fake);
	kill(child, SIGSTOP);
	assert_int_equal(waitpid(child, NULL, WUNTRACED), child);
	assert_int_equal(ask(), -EBUSY);
	assert_int_equal(access(tmp_name("attach_pid", child), F_OK), -1);
	kill(child, SIGCONT);
	assert_int_equal(ask(), 0);
}

static void test_another_program_that_attaches_is_not_disturbed(void **state)
{
	struct fake fake = { .maps = { "libjvm.so" }, .catches_sigquit = true, .answer = "0\n" };
	struct timespec old[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
	int fd;

	(void)state;
	start(&fake);
	fd = open(tmp_name("attach_pid", child), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ask(), -EBUSY);
	assert_int_equal(access(tmp_name("attach_pid", child), F_OK), 0);
	assert_int_equal(futimens(fd, old), 0); /* of one that crashed long ago */
	close(fd);
	assert_int_equal(ask(), 0);
}

static void test_the_socket_must_be_the_jvms_own(void **state)
{
	struct fake fake = { .maps = { "libjvm.so" }, .catches_sigquit = true, .answer = "0\n" };
	const char *path;
	int server;

	(void)state;
	start(&fake);
	path = tmp_name("java_pid", child);
	assert_int_equal(symlink("/run/elsewhere", path), 0);
	assert_int_equal(ask(), -EPERM);
	unlink(path);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(ask(), -EPERM);
	unlink(path);
	server = listen_at(path); /* of our user, but we are not the JVM */
	assert_true(server >= 0);
	assert_int_equal(ask(), -EPERM);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 12345, 12345), 0);
		assert_int_equal(ask(), -EPERM);
	}
	close(server);
	unlink(path);
	assert_alive_and_clean();
	assert_int_equal(ask(), 0);
}

static void test_a_stale_socket_is_an_error(void **state)
{
	struct fake fake = { .maps = { "libjvm.so" }, .catches_sigquit = true };
	const char *path;

	(void)state;
	start(&fake);
	path = tmp_name("java_pid", child);
	close(listen_at(path));
	assert_int_equal(ask(), -ECONNREFUSED);
	assert_alive_and_clean();
}

/* ---- monitoring data ---- */

/* A file of one other entry, then the capabilities. */
static size_t make_perf_data(uint8_t data[256], char capability)
{
	static const char *const names[] = { "java.ci.totalTime", "sun.rt.jvmCapabilities" };
	uint32_t at = 32, i;

	memset(data, 0, 256);
	memcpy(data, "\xca\xfe\xc0\xc0\x01\x02\0\x01", 8);
	memcpy(data + 24, &at, 4);
	data[28] = 2;
	for (i = 0; i < 2; i++) {
		uint32_t size = 80, name_at = 20, value_at = 64;

		memcpy(data + at, &size, 4);
		memcpy(data + at + 4, &name_at, 4);
		memcpy(data + at + 16, &value_at, 4);
		memcpy(data + at + name_at, names[i], strlen(names[i]));
		data[at + value_at] = (uint8_t)capability;
		at += size;
	}
	return at;
}

static void test_monitoring_data_says_whether_to_attach(void **state)
{
	uint8_t data[256];
	size_t len, cut;
	int bit;

	(void)state;
	len = make_perf_data(data, '0');
	assert_int_equal(jvm_read_capabilities(data, len), JVM_ATTACHABLE_NO);
	data[7] = 0; /* not filled in yet */
	assert_int_equal(jvm_read_capabilities(data, len), JVM_ATTACHABLE_UNKNOWN);
	len = make_perf_data(data, '1');
	assert_int_equal(jvm_read_capabilities(data, len), JVM_ATTACHABLE_YES);
	for (cut = 0; cut < len; cut++) {
		uint8_t *copy = malloc(cut ? cut : 1);

		memcpy(copy, data, cut);
		assert_int_equal(jvm_read_capabilities(copy, cut), JVM_ATTACHABLE_UNKNOWN);
		free(copy);
	}
	for (cut = 0; cut < len; cut++) {
		for (bit = 0; bit < 8; bit++) {
			data[cut] = (uint8_t)(data[cut] ^ 1 << bit);
			jvm_read_capabilities(data, len);
			data[cut] = (uint8_t)(data[cut] ^ 1 << bit);
		}
	}
}

/* ---- threads ---- */

static void take_answer(struct jvm_attach *attach, struct jvm_answer *ret)
{
	unsigned int tries = 0;

	while (!jvm_attach_next(attach, ret)) {
		assert_true(tries++ < 5000);
		usleep(1000);
	}
}

static void test_questions_are_answered_without_waiting(void **state)
{
	struct fake fake = { .maps = { "libjvm.so" }, .catches_sigquit = true, .answer = "0\n" };
	struct jvm_attach *attach;
	struct jvm_answer answer;
	uint64_t start_ns;
	int i;

	(void)state;
	start(&fake);
	assert_int_equal(jvm_attach_new("/proc", &attach), 0);
	assert_false(jvm_attach_next(attach, &answer));
	for (i = 0; i < 2; i++) {
		start_ns = monotonic_ns();
		assert_int_equal(jvm_attach_ask(attach, child), 0);
		assert_true(monotonic_ns() - start_ns < NS_PER_SEC / 2);
		take_answer(attach, &answer);
		assert_int_equal(answer.tgid, child);
		assert_int_equal(answer.result, 0);
		assert_int_equal(jvm_attach_pending(attach), 0);
	}
	assert_int_equal(jvm_attach_ask(attach, getpid()), 0);
	take_answer(attach, &answer);
	assert_int_equal(answer.tgid, getpid());
	assert_int_equal(answer.result, -ENXIO);
	jvm_attach_free(attach);
}

static void test_a_silent_jvm_holds_up_nobody(void **state)
{
	struct fake fake = { .maps = { "libjvm.so" }, .listens = true };
	struct jvm_attach *attach;
	struct jvm_answer answer;
	uint64_t start_ns;
	pid_t pid;

	(void)state;
	start(&fake);
	assert_int_equal(jvm_attach_new("/proc", &attach), 0);
	assert_int_equal(jvm_attach_ask(attach, child), 0);
	assert_int_equal(jvm_attach_ask(attach, child), -EALREADY);
	assert_int_equal(jvm_attach_ask(attach, getpid()), 0);
	take_answer(attach, &answer);
	assert_int_equal(answer.tgid, getpid());
	assert_int_equal(jvm_attach_pending(attach), 1);
	for (pid = 1000000000; pid < 1000000000 + JVM_ATTACH_QUEUE_MAX - 1; pid++)
		assert_int_equal(jvm_attach_ask(attach, pid), 0);
	assert_int_equal(jvm_attach_ask(attach, pid), -ENOSPC);
	start_ns = monotonic_ns();
	jvm_attach_free(attach);
	assert_true(monotonic_ns() - start_ns < 2 * NS_PER_SEC);
}

static void test_giving_up_is_possible_at_any_wait(void **state)
{
	struct fake silent = { .maps = { "libjvm.so" }, .listens = true };
	struct fake deaf = { .maps = { "libjvm.so" }, .catches_sigquit = true, .deaf = true };
	int cancel = eventfd(1, EFD_CLOEXEC);

	start(&silent);
	assert_int_equal(jvm_attach_perfmap("/proc", child, cancel), -ECANCELED);
	tear_down(state);
	set_up(state);
	start(&deaf);
	assert_int_equal(jvm_attach_perfmap("/proc", child, cancel), -ECANCELED);
	assert_alive_and_clean();
	close(cancel);
}

static void test_each_result_has_its_own_words(void **state)
{
	static const int results[] = { 0,	   -ESRCH,	-ENXIO,	    -EPROTONOSUPPORT,
				       -EPERM,	   -EOPNOTSUPP, -EUNATCH,   -EBUSY,
				       -EACCES,	   -ECONNRESET, -ETIMEDOUT, -ENOSYS,
				       -EREMOTEIO, -EPROTO,	-ECANCELED, -EROFS };
	size_t i, k, cnt = sizeof(results) / sizeof(results[0]);

	(void)state;
	for (i = 0; i < cnt; i++) {
		for (k = 0; k < i; k++)
			assert_string_not_equal(jvm_attach_words(results[i]),
						jvm_attach_words(results[k]));
	}
}

static void test_each_failed_allocation_is_survived(void **state)
{
	struct fake fake = { .maps = { "libjvm.so" }, .listens = true, .answer = "0\n" };
	bool hit = true;
	long n;

	(void)state;
	start(&fake);
	for (n = 1; hit && n < 200; n++) {
		struct jvm_attach *attach = NULL;
		int r;

		fail_malloc_at(n);
		r = ask();
		if (r == 0)
			r = jvm_attach_new("/proc", &attach);
		hit = fail_malloc_hit();
		jvm_attach_free(attach);
		assert_true(r == 0 || r == -ENOMEM || (hit && r == -ENXIO));
	}
	assert_false(hit);
	assert_true(n > 3);
}

#define FACT(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FACT(test_a_process_without_libjvm_is_no_jvm),
		FACT(test_a_process_that_is_gone),
		FACT(test_sigquit_is_not_sent_where_it_would_kill),
		FACT(test_openj9_is_left_alone),
		FACT(test_a_jvm_is_woken_and_asked),
		FACT(test_a_listening_jvm_needs_no_signal),
		FACT(test_answers_are_told_apart),
		FACT(test_a_huge_answer_is_read_within_bounds),
		FACT(test_a_jvm_that_does_not_listen_is_given_up),
		FACT(test_a_stopped_jvm_is_not_signalled),
		FACT(test_another_program_that_attaches_is_not_disturbed),
		FACT(test_the_socket_must_be_the_jvms_own),
		FACT(test_a_stale_socket_is_an_error),
		cmocka_unit_test(test_monitoring_data_says_whether_to_attach),
		FACT(test_questions_are_answered_without_waiting),
		FACT(test_a_silent_jvm_holds_up_nobody),
		FACT(test_giving_up_is_possible_at_any_wait),
		cmocka_unit_test(test_each_result_has_its_own_words),
		FACT(test_each_failed_allocation_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
