/* SPDX-License-Identifier: BSD-2-Clause */
/* What is to be profiled, as the user said it; collect turns it into the maps of bpf/target.h. */
#ifndef EBPFPROF_COLLECT_TARGETS_H
#define EBPFPROF_COLLECT_TARGETS_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/types.h>

#include "bpf/target.h"

/* All empty: the whole machine. */
struct targets {
	pid_t *pids; /* [pid_cnt] thread group ids of -p, owned */
	size_t pid_cnt;
	pid_t *tids; /* [tid_cnt] of -t, owned */
	size_t tid_cnt;
	struct target_comm *comms; /* [comm_cnt] of -c, owned */
	size_t comm_cnt;
	int cgroup_fds[TARGET_CGROUPS_MAX]; /* directories of --cgroup, owned */
	size_t cgroup_cnt;
	bool by_command; /* the process given to sampler_follow_command() */
	bool follow;	 /* children of -p and of the command too */
};

static inline bool targets_is_everything(const struct targets *targets)
{
	return !targets->pid_cnt && !targets->tid_cnt && !targets->comm_cnt &&
	       !targets->cgroup_cnt && !targets->by_command;
}

/* Is @comm, NUL-padded, one of -c? */
static inline bool targets_have_comm(const struct targets *targets,
				     const char comm[TARGET_COMM_BYTES])
{
	size_t i;

	for (i = 0; i < targets->comm_cnt; i++)
		if (memcmp(targets->comms[i].name, comm, TARGET_COMM_BYTES) == 0)
			return true;
	return false;
}

#endif
