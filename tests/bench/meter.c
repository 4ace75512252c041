/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * meter SECONDS INPUT COMMAND [ARGUMENT...]: run COMMAND with the file INPUT as its stdin, pass on
 * its output, and end it after SECONDS.  The last line, on stderr, is what the run cost, as JSON:
 * seconds until its first output and until its end, seconds of CPU, peak RSS.
 *
 * A program of its own because the kernel counts into a process's peak RSS what its parent had at
 * the fork: below a script the smallest peak that can be seen would be the interpreter's.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "profiler/base/clock.h"

extern char **environ;

struct run {
	uint64_t start_ns, first_ns, end_ns;
	bool timed_out;
};

static int fail(const char *what, int err)
{
	fprintf(stderr, "meter: %s: %s\n", what, strerror(err));
	return 1;
}

static int start(const char *input, char **command, pid_t *ret_pid, int *ret_fd)
{
	posix_spawn_file_actions_t actions;
	int err, fds[2];

	if (pipe2(fds, O_CLOEXEC) != 0)
		return errno;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
	err = posix_spawnp(ret_pid, command[0], &actions, NULL, command, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	*ret_fd = fds[0];
	return err;
}

/* Until the output ends or its time is over. */
static int pass_on(int fd, uint64_t limit_ns, struct run *run)
{
	static char buffer[1 << 16];
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	ssize_t n;

	for (;;) {
		uint64_t now_ns = monotonic_ns();

		run->timed_out = now_ns >= limit_ns;
		if (run->timed_out)
			return 0;
		if (poll(&ready, 1, (int)((limit_ns - now_ns) / NS_PER_MS) + 1) <= 0)
			continue;
		n = read(fd, buffer, sizeof(buffer));
		if (n <= 0)
			return n < 0 ? errno : 0;
		if (!run->first_ns)
			run->first_ns = monotonic_ns();
		if (fwrite(buffer, (size_t)n, 1, stdout) != 1)
			return errno;
	}
}

static double seconds(uint64_t ns)
{
	return (double)ns / (double)NS_PER_SEC;
}

static double cpu_seconds(const struct rusage *usage)
{
	return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) +
	       (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv)
{
	struct run run = {};
	struct rusage usage;
	int err, fd, status;
	pid_t pid;

	if (argc < 4 || atoi(argv[1]) <= 0)
		return 2;
	run.start_ns = monotonic_ns();
	err = start(argv[2], argv + 3, &pid, &fd);
	if (err)
		return fail(argv[3], err);
	err = pass_on(fd, run.start_ns + (uint64_t)atoi(argv[1]) * NS_PER_SEC, &run);
	if (err || run.timed_out)
		kill(pid, SIGKILL);
	if (wait4(pid, &status, 0, &usage) != pid)
		return fail("wait4", errno);
	run.end_ns = monotonic_ns();
	if (err || fflush(stdout) != 0)
		return fail("cannot pass on the output", err ? err : errno);
	fprintf(stderr,
		"{\"first_sec\": %.6f, \"wall_sec\": %.6f, \"cpu_sec\": %.6f, "
		"\"rss_bytes\": %ld, \"timed_out\": %s, \"exited\": %s, \"status\": %d}\n",
		run.first_ns ? seconds(run.first_ns - run.start_ns) : 0,
		seconds(run.end_ns - run.start_ns), cpu_seconds(&usage), usage.ru_maxrss * 1024,
		run.timed_out ? "true" : "false", WIFEXITED(status) ? "true" : "false",
		WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	return 0;
}
