/* SPDX-License-Identifier: BSD-2-Clause */
/* Stands in for profiler/collect/task_proc.c: processes of one thread each, as a test lists them. */
#ifndef EBPFPROF_TESTS_FAKE_TASK_PROC_H
#define EBPFPROF_TESTS_FAKE_TASK_PROC_H

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "profiler/collect/task_proc.h"

static struct fake_task {
	pid_t tgid; /* 0 = none */
	pid_t parent;
	uint64_t start_ns;
	const char *comm;
	bool kernel_thread;
} fake_tasks[8];
static int fake_reads; /* how often /proc was asked for a task */

static struct fake_task *fake_task_find(pid_t tgid)
{
	size_t i;

	for (i = 0; i < sizeof(fake_tasks) / sizeof(fake_tasks[0]); i++)
		if (fake_tasks[i].tgid == tgid && tgid)
			return &fake_tasks[i];
	return NULL;
}

int task_proc_processes(int (*visit)(void *context, pid_t tgid), void *context)
{
	size_t i;
	int code = 0;

	for (i = 0; i < sizeof(fake_tasks) / sizeof(fake_tasks[0]) && !code; i++)
		if (fake_tasks[i].tgid)
			code = visit(context, fake_tasks[i].tgid);
	return code;
}

int task_proc_threads(pid_t tgid, int (*visit)(void *context, pid_t tid), void *context)
{
	return fake_task_find(tgid) ? visit(context, tgid) : 0;
}

int task_proc_comm(pid_t tid, char ret[STACK_COMM_BYTES])
{
	const struct fake_task *task = fake_task_find(tid);

	fake_reads++;
	if (!task)
		return -ESRCH;
	memset(ret, 0, STACK_COMM_BYTES);
	strncpy(ret, task->comm, STACK_COMM_BYTES - 1);
	return 0;
}

int task_proc_stat(pid_t tgid, struct task_proc_stat *ret)
{
	const struct fake_task *task = fake_task_find(tgid);

	if (!task)
		return -ESRCH;
	*ret = (struct task_proc_stat){ .start_boottime_ns = task->start_ns,
					.parent = task->parent,
					.kernel_thread = task->kernel_thread };
	return 0;
}

#endif
