/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * held PROGRAM [ARGUMENT...]: waits for a line on stdin, then becomes PROGRAM; all that it starts,
 * and itself, without randomized addresses.  Both because of perf: it keeps the mappings of before
 * an exec, and looks up a library's unwind table at the lowest address where it has ever stood.  So
 * this program is also static.
 */
#include <stdio.h>
#include <sys/personality.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char byte = 0;

	if (argc < 2)
		return 2;
	if (!(personality(0xffffffff) & ADDR_NO_RANDOMIZE)) {
		if (personality(ADDR_NO_RANDOMIZE) < 0)
			return 126;
		execv("/proc/self/exe", argv);
		return 126;
	}
	do {
		if (read(STDIN_FILENO, &byte, 1) != 1)
			return 1;
	} while (byte != '\n');
	execvp(argv[1], argv + 1);
	perror(argv[1]);
	return 127;
}
