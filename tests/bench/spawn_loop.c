/* SPDX-License-Identifier: BSD-2-Clause */
/* spawn_loop COUNT PROGRAM: run PROGRAM that often, one after the other. */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

int main(int argc, char **argv)
{
	int i, err, status, count = argc == 3 ? atoi(argv[1]) : 0;
	pid_t pid;

	if (count < 1)
		return 2;
	for (i = 0; i < count; i++) {
		err = posix_spawn(&pid, argv[2], NULL, NULL, argv + 2, environ);
		if (err) {
			fprintf(stderr, "spawn_loop: cannot run %s: %s\n", argv[2], strerror(err));
			return 1;
		}
		if (waitpid(pid, &status, 0) != pid || status != 0) {
			fprintf(stderr, "spawn_loop: %s failed\n", argv[2]);
			return 1;
		}
	}
	return 0;
}
