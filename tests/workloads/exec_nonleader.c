/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exec_nonleader SECONDS PROGRAM [ARGS]: a thread that is not the leader spins SECONDS in
 * before_exec and then executes PROGRAM, which goes on under the leader's pid and tid.
 */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "spin.h"

struct job {
	uint64_t ns;
	char **command;
};

static void before_exec(uint64_t ns)
{
	SPIN_FOR(CLOCK_MONOTONIC, ns);
}

static void *thread_main(void *argument)
{
	const struct job *job = argument;

	before_exec(job->ns);
	execv(job->command[0], job->command);
	perror("exec_nonleader: execv");
	_exit(1);
}

int main(int argc, char **argv)
{
	struct job job = { argument_ns(argc, argv, 1, 1), argv + 2 };
	pthread_t thread;

	if (argc < 3 || pthread_create(&thread, NULL, thread_main, &job))
		return 2;
	pthread_join(thread, NULL);
	return 1;
}
