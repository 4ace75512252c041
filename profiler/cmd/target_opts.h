/* SPDX-License-Identifier: BSD-2-Clause */
/* The values of -p, -t, -c and --cgroup, parsed into struct targets. */
#ifndef EBPFPROF_CMD_TARGET_OPTS_H
#define EBPFPROF_CMD_TARGET_OPTS_H

#include <stdbool.h>

struct errmsg;
struct targets;

/** targets_add_pids - "4711,4712": numbers only; whether they exist is targets_check()'s */
int targets_add_pids(struct targets *targets, const char *list, bool threads, struct errmsg *err);

/** targets_add_comm - a process name; longer than 15 bytes: cut, said on stderr */
int targets_add_comm(struct targets *targets, const char *name, struct errmsg *err);

/**
 * targets_add_cgroup - a cgroup v2 directory, absolute or relative to the mount
 * Errors: -EINVAL no name; -ENOENT no such group, or no cgroup v2 mount; -ENOTSUP a v1 directory.
 */
int targets_add_cgroup(struct targets *targets, const char *path, struct errmsg *err);

/** targets_check - do the processes and threads exist? -ESRCH */
int targets_check(const struct targets *targets, struct errmsg *err);

void targets_free(struct targets *targets);

#endif
