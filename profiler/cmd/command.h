/* SPDX-License-Identifier: BSD-2-Clause */
/* One subcommand. Each file of this folder that defines one ends in a const struct command. */
#ifndef EBPFPROF_CMD_COMMAND_H
#define EBPFPROF_CMD_COMMAND_H

#include <stdio.h>

struct errmsg;

enum exit_status {
	EXIT_DONE = 0,
	EXIT_FAILED = 1, /* one line on stderr says what, why and what to do */
	EXIT_USAGE = 2,
};

struct command {
	const char *name;
	const char *summary;			       /* one line */
	int (*run)(int argc, char **argv);	       /* argv[0] is the command's name */
	void (*help)(FILE *out);
};

extern const struct command cmd_record;
extern const struct command cmd_folded;
extern const struct command cmd_symbolize;
extern const struct command cmd_doctor;

/** usage_error - `ebpfprof COMMAND: TEXT; see 'ebpfprof help COMMAND'`; returns EXIT_USAGE */
int usage_error(const char *command, const struct errmsg *err);

/** failure - `ebpfprof: TEXT`; returns EXIT_FAILED */
int failure(const struct errmsg *err);

#endif
