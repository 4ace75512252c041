/* SPDX-License-Identifier: BSD-2-Clause */
/* ebpfprof: the table of commands, and the way to them. */
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/cmd/command.h"

#ifndef EBPFPROF_VERSION
#define EBPFPROF_VERSION "0.1.0"
#endif

static const struct command *const commands[] = { &cmd_record, &cmd_folded, &cmd_symbolize,
						   &cmd_doctor };

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

static void print_help(FILE *out)
{
	size_t i;

	fputs("Usage: ebpfprof COMMAND [OPTIONS]\n"
	      "Where does this machine's time go? Nothing is added to the applications.\n\n",
	      out);
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
	fputs("  help       this text; help COMMAND: the options of a command\n\n"
	      "  sudo ebpfprof record -d 30 -o out.pb.gz && go tool pprof -top out.pb.gz\n"
	      "  sudo ebpfprof folded | flamegraph.pl > x.svg\n",
	      out);
}

static int unknown_command(const char *name)
{
	fprintf(stderr, "ebpfprof: no command '%s'; see 'ebpfprof help'\n", name);
	return EXIT_USAGE;
}

static int help(const char *name)
{
	const struct command *command;

	if (!name) {
		print_help(stdout);
		return EXIT_DONE;
	}
	command = find_command(name);
	if (!command)
		return unknown_command(name);
	command->help(stdout);
	return EXIT_DONE;
}

/*
 * Started with a standard stream closed (`2>&-`), the next file opened would take its place, and
 * messages would go into a profile.  What fills it fails as a closed one does: it cannot be read
 * from (stdin) or written to.
 */
static void fill_standard_streams(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
			return;
}

int main(int argc, char **argv)
{
	const struct command *command;

	/*
	 * Large tables live in mappings of their own, which grow without a copy and go back to the
	 * kernel when freed. Left to itself glibc raises this limit to 32 MiB after the first one.
	 */
	mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	fill_standard_streams();
	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "help") == 0)
		return help(argv[2]);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return help(NULL);
	if (strcmp(argv[1], "--version") == 0) {
		puts("ebpfprof " EBPFPROF_VERSION);
		return EXIT_DONE;
	}
	command = find_command(argv[1]);
	if (!command)
		return unknown_command(argv[1]);
	if (argc > 2 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0)) {
		command->help(stdout);
		return EXIT_DONE;
	}
	return command->run(argc - 1, argv + 1);
}
