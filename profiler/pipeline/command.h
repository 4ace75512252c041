/* SPDX-License-Identifier: BSD-2-Clause */
/* The command that is profiled from its first instruction: `ebpfprof record -- CMD ARGS`. */
#ifndef EBPFPROF_PIPELINE_COMMAND_H
#define EBPFPROF_PIPELINE_COMMAND_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "profiler/base/sandbox.h"

struct errmsg;

struct command_process {
	pid_t pid;
	int go_fd;	/* writing lets it exec */
	int go_read_fd; /* kept, so that writing to a child that was killed is no SIGPIPE */
	int answer_fd;	/* its errno if exec fails, EOF if it worked */
	int status;	/* as a shell has it; -1 = still running */
};

#define COMMAND_PROCESS_INIT                                                                       \
	{                                                                                          \
		.pid = -1, .go_fd = -1, .go_read_fd = -1, .answer_fd = -1, .status = -1            \
	}

/**
 * command_start - fork a child that waits before its exec
 * @signals: the signal mask it gets
 * @stdout_to_stderr: our stdout carries data, so its output goes to stderr
 *
 * SIGCHLD has its default action from here on; the command gets the action that it had.
 */
int command_start(char **argv, const sigset_t *signals, bool stdout_to_stderr,
		  struct command_process *ret, struct errmsg *err);

/** command_exec - let it run; fails with exec's errno and command->status 126 or 127 */
int command_exec(struct command_process *command, const char *name, struct errmsg *err);

/** command_reap - has it ended? Then its status is set. Does not wait. */
bool command_reap(struct command_process *command);

/** command_calls - what passing SIGTERM on takes, for sandbox_enter() */
extern const struct sandbox_call command_calls[];

/** command_discard - end a child that was never let run, close what is open */
void command_discard(struct command_process *command);

#endif
