/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * deleted SECONDS [replace]: copies itself to a temporary file and executes it; the copy unlinks
 * its own file and spins in deleted_work.  With `replace` it puts another program, /bin/true, in
 * the file's place while it runs, and removes it at its end.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spin.h"

static void deleted_work(uint64_t ns)
{
	SPIN_FOR(CLOCK_MONOTONIC, ns);
}

/* Copies @from to the open file @out, which it closes. */
static int copy_program(const char *from, int out)
{
	int in = open(from, O_RDONLY | O_CLOEXEC);
	struct stat info;
	int ret = -1;

	if (in >= 0 && fstat(in, &info) == 0 &&
	    sendfile(out, in, NULL, (size_t)info.st_size) == info.st_size)
		ret = fchmod(out, 0755);
	if (in >= 0)
		close(in);
	close(out);
	return ret;
}

static int run_copy(char **argv)
{
	static char copy_flag[] = "DELETED_COPY=1";
	char path[] = "/tmp/deleted-XXXXXX";
	int out = mkostemp(path, O_CLOEXEC);

	if (out < 0 || copy_program("/proc/self/exe", out) < 0)
		return 1;
	putenv(copy_flag);
	execv(path, argv);
	unlink(path);
	return 1;
}

int main(int argc, char **argv)
{
	int replace = argc > 2 && strcmp(argv[2], "replace") == 0;
	char path[PATH_MAX] = "";

	if (!getenv("DELETED_COPY"))
		return run_copy(argv);
	if (readlink("/proc/self/exe", path, sizeof(path) - 1) < 0 || unlink(path) < 0)
		return 1;
	if (replace && copy_program("/bin/true", open(path, O_WRONLY | O_CREAT | O_EXCL, 0700)) < 0)
		return 1;
	printf("%s\n", path);
	fflush(stdout);
	deleted_work(argument_ns(argc, argv, 1, 5));
	if (replace)
		unlink(path);
	return 0;
}
