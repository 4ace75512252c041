/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * forktree [MS=10] [CHILDREN=200]: forks one child after the other, each of which spends MS
 * milliseconds of CPU time in child_work and exits; every tenth first forks a child of its own,
 * which spends them in grandchild_work.  The parent only waits.  Prints how many ran.
 */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spin.h"

#define TENTH 10

static void child_work(uint64_t ns)
{
	SPIN_FOR(CLOCK_THREAD_CPUTIME_ID, ns);
}

static void grandchild_work(uint64_t ns)
{
	SPIN_FOR(CLOCK_THREAD_CPUTIME_ID, ns);
}

/* Forks, has the child do `work`, waits for it; whether it worked. */
static int run_child(void (*work)(uint64_t ns), uint64_t ns, int with_grandchild)
{
	int status;
	pid_t pid;

	pid = fork();
	if (pid < 0)
		return 0;
	if (pid == 0) {
		if (with_grandchild && !run_child(grandchild_work, ns, 0))
			_exit(1);
		work(ns);
		_exit(0);
	}
	return waitpid(pid, &status, 0) == pid && status == 0;
}

int main(int argc, char **argv)
{
	double ms = argc > 1 ? strtod(argv[1], NULL) : 10;
	int children = argc > 2 ? atoi(argv[2]) : 200;
	int ran = 0, i;

	if (!(ms >= 0) || children < 0 || ms * children * 1.1 > SECONDS_MAX * 1000)
		return 2;
	for (i = 0; i < children; i++)
		ran += run_child(child_work, (uint64_t)(ms * 1e6), i % TENTH == 0);
	printf("%d children\n", ran);
	return ran == children ? 0 : 1;
}
