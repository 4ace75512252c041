/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A task that has exited is kept until the end of the epoch: samples of its last moments, in the
 * kernel, come behind the record of its exit.  A fork's record makes its pid a new process, an
 * exec's record another program in the same process; so two programs never share an identity, even
 * where one pid serves twice within an epoch.
 */
#include "profiler/collect/ring_tasks.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "profiler/base/clock.h"
#include "profiler/base/cleanup.h"
#include "profiler/collect/targets.h"
#include "profiler/collect/task_proc.h"

#define TICK_NS (10 * NS_PER_MS)
#define TASKS_MAX (1u << 20) /* beyond that new ones have no names */

void ring_tasks_init(struct ring_tasks *tasks, const struct targets *targets)
{
	*tasks = (struct ring_tasks){
		.targets = targets,
		.boot_offset_ns = clock_read_ns(CLOCK_BOOTTIME) - monotonic_ns(),
	};
	/* Start times in /proc are in clock ticks. */
	tasks->since_boottime_ns = clock_read_ns(CLOCK_BOOTTIME) - TICK_NS;
	hashmap_init(&tasks->processes, sizeof(pid_t), sizeof(struct ring_process));
	hashmap_init(&tasks->threads, sizeof(pid_t), sizeof(struct ring_thread));
}

void ring_tasks_free(struct ring_tasks *tasks)
{
	hashmap_free(&tasks->processes);
	hashmap_free(&tasks->threads);
}

/* ---- who is there ---- */

/* The process @tgid, read from /proc if it is new; NULL: no memory. */
static struct ring_process *learn_process(struct ring_tasks *tasks, pid_t tgid)
{
	struct task_proc_stat stat = {};
	struct ring_process *process;
	bool is_new;

	process = hashmap_put(&tasks->processes, &tgid, &is_new);
	if (!process || !is_new)
		return process;
	if (task_proc_stat(tgid, &stat) == 0) {
		process->start_boottime_ns = stat.start_boottime_ns;
		process->kernel_thread = stat.kernel_thread;
	} else {
		/* It has gone before we met it: nothing is known but its number. */
		process->exited = tasks->has_exited = true;
	}
	return process;
}

static struct ring_thread *learn_thread(struct ring_tasks *tasks, pid_t tgid, pid_t tid)
{
	struct ring_thread *thread;
	bool is_new;

	thread = hashmap_put(&tasks->threads, &tid, &is_new);
	if (!thread || !is_new)
		return thread;
	thread->tgid = tgid;
	if (task_proc_comm(tid, thread->comm) != 0)
		thread->exited = tasks->has_exited = true;
	return thread;
}

struct scan {
	struct ring_tasks *tasks;
	pid_t tgid;
};

static int scan_thread(void *context, pid_t tid)
{
	struct scan *scan = context;

	if (scan->tasks->threads.cnt >= TASKS_MAX)
		return 0;
	return learn_thread(scan->tasks, scan->tgid, tid) ? 0 : -ENOMEM;
}

static int scan_process(void *context, pid_t tgid)
{
	struct scan *scan = context;
	int code;

	scan->tgid = tgid;
	if (!learn_process(scan->tasks, tgid))
		return -ENOMEM;
	code = task_proc_threads(tgid, scan_thread, scan);
	return code == -ENOMEM ? code : 0; /* others' threads may be hidden */
}

int ring_tasks_scan(struct ring_tasks *tasks)
{
	struct scan scan = { .tasks = tasks };

	return task_proc_processes(scan_process, &scan);
}

static int adopt_process(void *context, pid_t tgid)
{
	struct ring_tasks *tasks = context;
	const struct ring_process *parent;
	struct task_proc_stat stat;

	if (hashmap_get(&tasks->processes, &tgid) || task_proc_stat(tgid, &stat) != 0 ||
	    stat.start_boottime_ns < tasks->since_boottime_ns)
		return 0;
	parent = hashmap_get(&tasks->processes, &stat.parent);
	if (!parent || !parent->target_bits)
		return 0;
	return ring_tasks_follow(tasks, tgid, parent->target_bits);
}

int ring_tasks_adopt(struct ring_tasks *tasks)
{
	return tasks->targets->follow ? task_proc_processes(adopt_process, tasks) : 0;
}

int ring_tasks_follow(struct ring_tasks *tasks, pid_t tgid, uint32_t bits)
{
	struct ring_process *process = learn_process(tasks, tgid);

	if (!process || !learn_thread(tasks, tgid, tgid))
		return -ENOMEM;
	process->target_bits |= bits;
	return 0;
}

/* ---- records ---- */

static int apply_fork(struct ring_tasks *tasks, const struct task_record *record)
{
	pid_t tid = (pid_t)record->tid, tgid = (pid_t)record->pid;
	pid_t parent_tid = (pid_t)record->parent_tid, parent_tgid = (pid_t)record->parent_pid;
	char comm[STACK_COMM_BYTES];
	struct ring_thread *thread;
	struct ring_process *process;
	uint32_t bits;

	/* The parent first: adding another moves values. */
	thread = learn_thread(tasks, parent_tgid, parent_tid);
	process = learn_process(tasks, parent_tgid);
	if (!thread || !process)
		return -ENOMEM;
	memcpy(comm, thread->comm, sizeof(comm));
	bits = tasks->targets->follow ? process->target_bits : 0;
	thread = hashmap_put(&tasks->threads, &tid, NULL);
	if (!thread)
		return -ENOMEM;
	*thread = (struct ring_thread){ .tgid = tgid };
	memcpy(thread->comm, comm, sizeof(comm));
	if (tgid == parent_tgid)
		return 0;
	process = hashmap_put(&tasks->processes, &tgid, NULL);
	if (!process)
		return -ENOMEM;
	*process = (struct ring_process){
		.start_boottime_ns = record->time_ns + tasks->boot_offset_ns,
		.target_bits = bits,
	};
	return 0;
}

static int apply_comm(struct ring_tasks *tasks, const struct task_record *record)
{
	pid_t tid = (pid_t)record->tid, tgid = (pid_t)record->pid;
	struct ring_process *process = learn_process(tasks, tgid);
	struct ring_thread *thread = hashmap_put(&tasks->threads, &tid, NULL);

	if (!process || !thread)
		return -ENOMEM;
	process->exec_id += record->kind == TASK_EXECED;
	thread->tgid = tgid;
	memcpy(thread->comm, record->comm, sizeof(thread->comm));
	return 0;
}

static void apply_exit(struct ring_tasks *tasks, const struct task_record *record)
{
	pid_t tid = (pid_t)record->tid, tgid = (pid_t)record->pid;
	struct ring_process *process = hashmap_get(&tasks->processes, &tgid);
	struct ring_thread *thread = hashmap_get(&tasks->threads, &tid);

	tasks->has_exited = true;
	if (thread)
		thread->exited = true;
	if (process && tid == tgid)
		process->exited = true;
}

int ring_tasks_apply(struct ring_tasks *tasks, const struct task_record *record)
{
	switch (record->kind) {
	case TASK_FORKED:
		return tasks->threads.cnt < TASKS_MAX ? apply_fork(tasks, record) : 0;
	case TASK_EXITED:
		apply_exit(tasks, record);
		return 0;
	case TASK_RENAMED:
	case TASK_EXECED:
		return tasks->threads.cnt < TASKS_MAX ? apply_comm(tasks, record) : 0;
	}
	return 0;
}

/* ---- samples ---- */

/* A task without a name was gone before we could ask. */
static void name_task(const struct ring_thread *thread, pid_t tid, char ret[STACK_COMM_BYTES])
{
	if (tid == 0)
		snprintf(ret, STACK_COMM_BYTES, "swapper");
	else if (thread && thread->comm[0])
		memcpy(ret, thread->comm, STACK_COMM_BYTES);
	else
		snprintf(ret, STACK_COMM_BYTES, "[exited]");
}

int ring_tasks_get(struct ring_tasks *tasks, pid_t tgid, pid_t tid, struct ring_task *ret)
{
	struct ring_process *process = learn_process(tasks, tgid);
	struct ring_task task = {};

	/* The second learning may move what the first returned. */
	if (!process || !learn_thread(tasks, tgid, tgid) || !learn_thread(tasks, tgid, tid))
		return -ENOMEM;
	task.process = *process;
	name_task(hashmap_get(&tasks->threads, &tid), tid, task.comm);
	name_task(hashmap_get(&tasks->threads, &tgid), tgid, task.leader_comm);
	*ret = task;
	return 0;
}

bool ring_tasks_match(const struct ring_tasks *tasks, pid_t tid, const struct ring_task *task)
{
	const struct targets *targets = tasks->targets;
	uint32_t need = (targets->pid_cnt ? TARGET_BY_PID : 0) |
			(targets->by_command ? TARGET_BY_COMMAND : 0);
	size_t i;

	if ((task->process.target_bits & need) != need)
		return false;
	for (i = 0; i < targets->tid_cnt; i++)
		if (targets->tids[i] == tid)
			break;
	if (targets->tid_cnt && i == targets->tid_cnt)
		return false;
	return !targets->comm_cnt || targets_have_comm(targets, task->leader_comm);
}

/* ---- the end of tasks ---- */

static bool has_gone(pid_t id)
{
	return kill(id, 0) != 0 && errno == ESRCH;
}

/* Delete one entry that has gone; false: there is none. A deletion moves others, so one at a time
 * would be quadratic: @gone collects up to a batch. */
static size_t find_gone(const struct hashmap *map, bool of_threads, pid_t *gone, size_t max)
{
	size_t cursor = 0, cnt = 0;
	const void *key;
	void *value;

	while (cnt < max && hashmap_next(map, &cursor, &key, &value)) {
		pid_t id = *(const pid_t *)key;
		bool exited = of_threads ? ((const struct ring_thread *)value)->exited :
					   ((const struct ring_process *)value)->exited;

		if (exited && has_gone(id))
			gone[cnt++] = id;
	}
	return cnt;
}

static void forget_gone(struct hashmap *map, bool of_threads)
{
	pid_t gone[512];
	size_t cnt, i;

	do {
		cnt = find_gone(map, of_threads, gone, ARRAY_SIZE(gone));
		for (i = 0; i < cnt; i++)
			hashmap_del(map, &gone[i]);
	} while (cnt == ARRAY_SIZE(gone));
}

void ring_tasks_forget_exited(struct ring_tasks *tasks)
{
	if (!tasks->has_exited)
		return;
	tasks->has_exited = false;
	forget_gone(&tasks->threads, true);
	forget_gone(&tasks->processes, false);
}

pid_t ring_tasks_next_followed(const struct ring_tasks *tasks, pid_t tgid)
{
	size_t cursor = 0;
	pid_t next = 0;
	const void *key;
	void *value;

	while (hashmap_next(&tasks->processes, &cursor, &key, &value)) {
		pid_t id = *(const pid_t *)key;

		if (((const struct ring_process *)value)->target_bits && id > tgid &&
		    (!next || id < next))
			next = id;
	}
	return next;
}
