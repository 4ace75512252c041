/* SPDX-License-Identifier: BSD-2-Clause */
/* Processes and threads that run now, from /proc (proc(5)). */
#ifndef EBPFPROF_COLLECT_TASK_PROC_H
#define EBPFPROF_COLLECT_TASK_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bpf/sample.h"

/** task_proc_processes - hand on every process; its first non-zero answer, or -errno */
int task_proc_processes(int (*visit)(void *context, pid_t tgid), void *context);

/** task_proc_threads - hand on every thread of @tgid; none when it has ended; as above */
int task_proc_threads(pid_t tgid, int (*visit)(void *context, pid_t tid), void *context);

/** task_proc_comm - name of task @tid, NUL-padded; -ESRCH, -errno */
int task_proc_comm(pid_t tid, char ret[STACK_COMM_BYTES]);

struct task_proc_stat {
	uint64_t start_boottime_ns; /* in steps of a clock tick */
	pid_t parent;
	bool kernel_thread;
};

/** task_proc_stat - of process @tgid; -ESRCH, -errno, -EBADMSG */
int task_proc_stat(pid_t tgid, struct task_proc_stat *ret);

/** task_proc_stat_parse - the content of /proc/PID/stat; false: it is none */
bool task_proc_stat_parse(const char *text, long ticks_per_sec, struct task_proc_stat *ret);

#endif
