/* SPDX-License-Identifier: BSD-2-Clause */
/* symbolizer/debuginfod, against a server of the test's own on the loopback interface. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "profiler/base/fileio.h"
#include "symbolizer/debuginfod.h"
#include "tests/unit/debug_fixture.h"
#include "tests/unit/elf_fixture.h"
#include "tests/unit/fail_malloc.h"

#define DEADLINE_NS (20 * NS_PER_SEC)
#define WRONG_ID "00112233445566778899aabbccddeeff00112233" /* the server sends prog for it */

enum serving {
	SERVING,
	HANGING, /* takes the connection and never says a word */
};

struct server {
	pid_t pid;
	atomic_int *requests; /* shared with it */
	uint8_t *prog;
	size_t prog_size;
	char prog_id[80];
	struct elf_build_id prog_build_id;
	int cache; /* number of the folder */
};

static bool have_tools;

static void send_file(int connection, const struct server *server)
{
	char head[128];
	int len = snprintf(head, sizeof(head),
			   "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
			   server->prog_size);

	if (write_all(connection, head, (size_t)len) == 0)
		write_all(connection, server->prog, server->prog_size);
}

static void answer(int connection, const struct server *server, enum serving serving)
{
	static const char missing[] =
		"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
	char request[4096], path[128];
	ssize_t len = 0, n;

	atomic_fetch_add(server->requests, 1);
	if (serving == HANGING)
		pause();
	do {
		n = read(connection, request + len, sizeof(request) - 1 - (size_t)len);
		len += n > 0 ? n : 0;
		request[len] = '\0';
	} while (n > 0 && !strstr(request, "\r\n\r\n"));
	snprintf(path, sizeof(path), "GET /buildid/%s/debuginfo ", server->prog_id);
	if (strncmp(request, path, strlen(path)) == 0 ||
	    strncmp(request, "GET /buildid/" WRONG_ID "/", strlen(WRONG_ID) + 14) == 0)
		send_file(connection, server);
	else
		write_all(connection, missing, strlen(missing));
}

static void serve(int listener, const struct server *server, enum serving serving)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(60);
	for (;;) {
		int connection = accept(listener, NULL, NULL);

		if (connection < 0)
			_exit(1);
		answer(connection, server, serving);
		close(connection);
	}
}

static int listen_somewhere(unsigned int *ret_port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	*ret_port = ntohs(address.sin_port);
	return fd;
}

/* Each server comes with an empty cache. */
static void set_environment(struct server *server, unsigned int port)
{
	char text[256];

	snprintf(text, sizeof(text), "http://127.0.0.1:%u", port);
	setenv("DEBUGINFOD_URLS", text, 1);
	snprintf(text, sizeof(text), "cache-%d", server->cache++);
	setenv("DEBUGINFOD_CACHE_PATH", fixture_path(text), 1);
}

static void stop_server(struct server *server)
{
	if (!server->pid)
		return;
	kill(server->pid, SIGKILL);
	waitpid(server->pid, NULL, 0);
	server->pid = 0;
}

static void start_server(struct server *server, enum serving serving)
{
	unsigned int port;
	int listener = listen_somewhere(&port);

	stop_server(server);
	atomic_store(server->requests, 0);
	set_environment(server, port);
	fflush(NULL);
	server->pid = fork();
	assert_true(server->pid >= 0);
	if (server->pid == 0)
		serve(listener, server, serving);
	close(listener);
}

static struct elf_build_id id_of(const char *hex)
{
	struct elf_build_id id = {};
	unsigned int byte;

	for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
		id.bytes[id.len++] = (uint8_t)byte;
	return id;
}

static int set_up(void **state)
{
	struct server *server = calloc(1, sizeof(*server));
	void *library = dlopen("libdebuginfod.so.1", RTLD_NOW);
	const char *id;

	*state = server;
	have_tools = library && fixture_open();
	if (!have_tools) {
		print_message("needs cc and libdebuginfod\n");
		return 0;
	}
	server->requests = mmap(NULL, sizeof(*server->requests), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	fixture_cc("prog", "int main(void) { return 0; }\n", "-g -Wl,--build-id=sha1");
	server->prog = fixture_read(fixture_path("prog"), &server->prog_size);
	id = id_path("prog");
	snprintf(server->prog_id, sizeof(server->prog_id), "%.2s%s", id, id + 3);
	server->prog_build_id = id_of(server->prog_id);
	setenv("no_proxy", "*", 1);
	setenv("DEBUGINFOD_TIMEOUT", "30", 1);
	unsetenv("DEBUGINFOD_VERBOSE");
	unsetenv("DEBUGINFOD_PROGRESS");
	return 0;
}

static int clean_up(void **state)
{
	struct server *server = *state;

	if (have_tools) {
		munmap(server->requests, sizeof(*server->requests));
		fixture_close();
	}
	free(server->prog);
	free(server);
	return 0;
}

static int leave(void **state)
{
	stop_server(*state);
	return 0;
}

static struct debuginfod *start(void)
{
	struct debuginfod *client = NULL;

	assert_int_equal(debuginfod_start(&client), 0);
	assert_non_null(client);
	return client;
}

static void need_tools(void)
{
	if (!have_tools)
		skip();
	alarm(100);
}

/* Asks until there is an answer. */
static int wait_for(struct debuginfod *client, const struct elf_build_id *id, int *ret_fd)
{
	uint64_t deadline = monotonic_ns() + DEADLINE_NS;
	int r;

	while ((r = debuginfod_ask(client, id, ret_fd)) == -EAGAIN && monotonic_ns() < deadline)
		usleep(2000);
	return r;
}

static void check_is_prog(int fd, const struct server *server)
{
	char *bytes = malloc(server->prog_size + 1);

	assert_int_equal(pread_full(fd, bytes, server->prog_size + 1, 0), server->prog_size);
	assert_memory_equal(bytes, server->prog, server->prog_size);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	free(bytes);
	close(fd);
}

static unsigned int count_threads(void)
{
	unsigned int cnt = 0;
	DIR *folder = opendir("/proc/self/task");

	while (readdir(folder))
		cnt++;
	closedir(folder);
	return cnt - 2;
}

/* An abandoned thread ends with the library's next look at the clock. */
static void wait_for_threads(void)
{
	uint64_t deadline = monotonic_ns() + DEADLINE_NS;

	while (count_threads() > 1 && monotonic_ns() < deadline)
		usleep(5000);
	assert_int_equal(count_threads(), 1);
}

static void test_without_urls_there_is_no_client(void **state)
{
	struct debuginfod *client = (void *)1;

	(void)state;
	unsetenv("DEBUGINFOD_URLS");
	assert_int_equal(debuginfod_start(&client), 0);
	assert_null(client);
	client = (void *)1;
	setenv("DEBUGINFOD_URLS", " ", 1);
	assert_int_equal(debuginfod_start(&client), 0);
	assert_null(client);
	debuginfod_stop(client);
	assert_int_equal(count_threads(), 1);
}

static void test_what_a_server_has_is_fetched_once(void **state)
{
	struct server *server = *state;
	struct debuginfod *client;
	int fd = -77;

	need_tools();
	start_server(server, SERVING);
	client = start();
	assert_int_equal(debuginfod_ask(client, &server->prog_build_id, &fd), -EAGAIN);
	assert_int_equal(fd, -77);
	assert_int_equal(wait_for(client, &server->prog_build_id, &fd), 0);
	check_is_prog(fd, server);
	assert_int_equal(debuginfod_ask(client, &server->prog_build_id, &fd), 0);
	check_is_prog(fd, server);
	assert_int_equal(atomic_load(server->requests), 1);
	SHELL("rm -r cache-*"); /* as the library does with what was long not used */
	assert_int_equal(debuginfod_ask(client, &server->prog_build_id, &fd), -EAGAIN);
	assert_int_equal(wait_for(client, &server->prog_build_id, &fd), 0);
	check_is_prog(fd, server);
	assert_int_equal(atomic_load(server->requests), 2);
	debuginfod_stop(client);
	wait_for_threads();
}

static void test_what_no_server_has_is_asked_for_once(void **state)
{
	struct elf_build_id id = id_of("0123456789"), none = {};
	struct server *server = *state;
	struct debuginfod *client;
	int fd = -77, i;

	need_tools();
	start_server(server, SERVING);
	client = start();
	assert_int_equal(wait_for(client, &id, &fd), -ENOENT);
	SHELL("rm -r cache-*"); /* the library remembers, too */
	for (i = 0; i < 10; i++) {
		assert_int_equal(debuginfod_ask(client, &id, &fd), -ENOENT);
		usleep(1000);
	}
	assert_int_equal(atomic_load(server->requests), 1);
	assert_int_equal(debuginfod_ask(client, &none, &fd), -ENOENT);
	assert_int_equal(wait_for(client, &server->prog_build_id, &fd), 0);
	check_is_prog(fd, server);
	debuginfod_stop(client);
}

static void test_a_file_of_another_build_is_none(void **state)
{
	struct elf_build_id id = id_of(WRONG_ID);
	struct server *server = *state;
	struct debuginfod *client;
	int fd = -77;

	need_tools();
	start_server(server, SERVING);
	client = start();
	assert_int_equal(wait_for(client, &id, &fd), -ENOENT);
	assert_int_equal(atomic_load(server->requests), 1);
	assert_int_equal(fd, -77);
	debuginfod_stop(client);
}

static void test_who_waits_gets_the_answer_of_the_first_question(void **state)
{
	struct elf_build_id id = id_of("0123456789"), none = {};
	struct server *server = *state;
	struct debuginfod *client;
	unsigned int port;
	int fd = -77;

	need_tools();
	start_server(server, SERVING);
	client = start();
	assert_int_equal(debuginfod_wait(client, &id, &fd), -ENOENT);
	assert_int_equal(debuginfod_wait(client, &none, &fd), -ENOENT);
	assert_int_equal(fd, -77);
	assert_int_equal(debuginfod_wait(client, &server->prog_build_id, &fd), 0);
	check_is_prog(fd, server);
	debuginfod_stop(client);
	SHELL("rm -r cache-*");
	close(listen_somewhere(&port));
	set_environment(server, port);
	client = start();
	assert_int_equal(debuginfod_wait(client, &server->prog_build_id, &fd), -ENOENT);
	debuginfod_stop(client);
	wait_for_threads();
}

static void test_a_server_that_is_down_has_nothing(void **state)
{
	struct server *server = *state;
	struct debuginfod *client;
	unsigned int port;
	int fd = -77;

	need_tools();
	close(listen_somewhere(&port));
	set_environment(server, port);
	client = start();
	assert_int_equal(wait_for(client, &server->prog_build_id, &fd), -ENOENT);
	assert_int_equal(debuginfod_ask(client, &server->prog_build_id, &fd), -ENOENT);
	debuginfod_stop(client);
	wait_for_threads();
}

static void test_stop_does_not_wait_for_a_server_that_hangs(void **state)
{
	struct server *server = *state;
	struct debuginfod *client;
	uint64_t begin;
	int fd;

	need_tools();
	start_server(server, HANGING);
	client = start();
	assert_int_equal(debuginfod_ask(client, &server->prog_build_id, &fd), -EAGAIN);
	begin = monotonic_ns();
	while (!atomic_load(server->requests) && monotonic_ns() - begin < DEADLINE_NS)
		usleep(1000);
	assert_int_equal(atomic_load(server->requests), 1);
	usleep(50000);
	assert_int_equal(debuginfod_ask(client, &server->prog_build_id, &fd), -EAGAIN);
	begin = monotonic_ns();
	debuginfod_stop(client);
	assert_true(monotonic_ns() - begin < NS_PER_SEC);
	wait_for_threads();
}

static void test_a_full_queue_says_so(void **state)
{
	struct elf_build_id id = id_of("0123456789");
	struct server *server = *state;
	struct debuginfod *client;
	int fd, i, r = -EAGAIN;

	need_tools();
	start_server(server, HANGING);
	client = start();
	for (i = 0; i < 1000 && r == -EAGAIN; i++) {
		id.bytes[0] = (uint8_t)i;
		id.bytes[1] = (uint8_t)(i >> 8);
		r = debuginfod_ask(client, &id, &fd);
	}
	assert_int_equal(r, -ENOSPC);
	assert_in_range(i, 257, 258); /* one may have left the queue */
	id.bytes[0] = 1;
	id.bytes[1] = 0;
	assert_int_equal(debuginfod_ask(client, &id, &fd), -EAGAIN);
	debuginfod_stop(client);
	wait_for_threads();
}

static void test_the_thread_starts_late_and_takes_no_signals(void **state)
{
	const int signals[] = { SIGTERM, SIGINT, SIGPIPE, SIGALRM, SIGCHLD, SIGUSR1, SIGRTMAX };
	unsigned long long blocked = 0;
	struct server *server = *state;
	struct debuginfod *client;
	sigset_t mine;
	FILE *pipe;
	size_t i;
	int fd;

	need_tools();
	start_server(server, SERVING);
	client = start();
	/* Only then: what a thread may do is settled when it starts. */
	assert_int_equal(count_threads(), 1);
	assert_int_equal(debuginfod_ask(client, &server->prog_build_id, &fd), -EAGAIN);
	assert_int_equal(count_threads(), 2);
	pipe = fixture_popen("cat $(ls -d /proc/%d/task/* | grep -v '/%d$')/status | "
			     "sed -n 's/^SigBlk:[ \t]*//p'",
			     getpid(), getpid());
	assert_int_equal(fscanf(pipe, "%llx", &blocked), 1);
	pclose(pipe);
	for (i = 0; i < ARRAY_SIZE(signals); i++)
		assert_true(blocked >> (signals[i] - 1) & 1);
	assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &mine), 0);
	assert_false(sigismember(&mine, SIGTERM)); /* and we still do */
	debuginfod_stop(client);
	wait_for_threads();
}

static void test_every_failing_allocation_is_survived(void **state)
{
	struct elf_build_id id = id_of("0123456789");
	struct server *server = *state;
	int fd, r;
	long n;

	need_tools();
	start_server(server, SERVING);
	for (n = 1;; n++) {
		struct debuginfod *client = NULL;

		fail_malloc_at(n);
		r = debuginfod_start(&client);
		if (r == 0)
			r = debuginfod_ask(client, &id, &fd);
		if (r == -EAGAIN)
			assert_int_equal(wait_for(client, &id, &fd), -ENOENT);
		debuginfod_stop(client);
		if (!fail_malloc_hit())
			break;
		assert_true(r == -ENOMEM || r == -ENOSPC);
	}
	assert_int_equal(r, -EAGAIN);
	assert_true(n > 2);
}

#define WITH_SERVER(test) cmocka_unit_test_teardown(test, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(test_without_urls_there_is_no_client),
		WITH_SERVER(test_what_a_server_has_is_fetched_once),
		WITH_SERVER(test_what_no_server_has_is_asked_for_once),
		WITH_SERVER(test_a_file_of_another_build_is_none),
		WITH_SERVER(test_who_waits_gets_the_answer_of_the_first_question),
		WITH_SERVER(test_a_server_that_is_down_has_nothing),
		WITH_SERVER(test_stop_does_not_wait_for_a_server_that_hangs),
		WITH_SERVER(test_a_full_queue_says_so),
		WITH_SERVER(test_the_thread_starts_late_and_takes_no_signals),
		WITH_SERVER(test_every_failing_allocation_is_survived),
	};

	return cmocka_run_group_tests(tests, set_up, clean_up);
}
