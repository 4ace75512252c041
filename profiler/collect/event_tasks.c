/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scan must neither miss a thread nor open two events for one, which would count its time
 * twice.  A thread that was born of one with events has inherited them, one that was born of
 * another has none, and both look the same in /proc.  The rings tell them apart: an event that can
 * be inherited writes a PERF_RECORD_FORK of each child.  So each pass first lists who is there,
 * then reads which of them were announced, and opens events for the rest; until a pass finds
 * nobody new.  perf record scans once, and misses threads that start meanwhile.
 */
#include "profiler/collect/event_tasks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "profiler/base/err.h"
#include "profiler/collect/event_rings.h"
#include "profiler/collect/task_record.h"
#include "profiler/collect/task_proc.h"
#include "profiler/collect/targets.h"

#define PASSES_MAX 20
#define FILES_KEPT 256 /* for binaries and all else; two sets of events share the rest */
#define ANNOUNCED_NS (2 * NS_PER_MS) /* a fork's record is written just after it shows in /proc */

struct task_list {
	pid_t *tids; /* [cnt] */
	size_t cnt, capacity;
};

void event_tasks_init(struct event_tasks *tasks, const struct perf_event_attr *attr,
		      const struct event_rings *rings)
{
	struct rlimit limit = { .rlim_cur = 1024 };
	size_t files;

	getrlimit(RLIMIT_NOFILE, &limit);
	files = (size_t)MIN(limit.rlim_cur, (rlim_t)1 << 30);
	*tasks = (struct event_tasks){
		.attr = *attr,
		.rings = rings,
		.cnt_max = (files > 2 * FILES_KEPT ? files - FILES_KEPT : files / 2) / 2,
	};
	hashmap_init(&tasks->opened, sizeof(pid_t), 0);
	hashmap_init(&tasks->born, sizeof(pid_t), 0);
}

void event_tasks_close(struct event_tasks *tasks)
{
	size_t i;

	for (i = 0; i < tasks->cnt; i++)
		close(tasks->fds[i]);
	free(tasks->fds);
	hashmap_free(&tasks->opened);
	hashmap_free(&tasks->born);
	tasks->fds = NULL;
	tasks->cnt = tasks->capacity = 0;
}

static int keep_fd(struct event_tasks *tasks, int *fd)
{
	if (tasks->cnt == tasks->capacity) {
		size_t capacity = MAX(tasks->capacity * 2, (size_t)64);
		int *fds = realloc(tasks->fds, capacity * sizeof(*fds));

		if (!fds)
			return -ENOMEM;
		tasks->fds = fds;
		tasks->capacity = capacity;
	}
	tasks->fds[tasks->cnt++] = fd_take(fd);
	return 0;
}

/* One event on each CPU; what was opened of a thread that cannot have all is closed again. */
static int open_thread(struct event_tasks *tasks, pid_t tid)
{
	size_t before = tasks->cnt, i;
	int code = tasks->cnt + tasks->rings->cnt > tasks->cnt_max ? -EMFILE : 0;

	for (i = 0; i < tasks->rings->cnt && !code; i++) {
		const struct event_ring *ring = &tasks->rings->rings[i];
		_cleanup_close_ int fd = perf_event_open_of(&tasks->attr, tid, (int)ring->cpu, 0);

		code = fd < 0 ? fd : event_ring_attach(ring, fd);
		if (!code)
			code = keep_fd(tasks, &fd);
	}
	while (code && tasks->cnt > before)
		close(tasks->fds[--tasks->cnt]);
	return code;
}

/* ---- who is there ---- */

static int list_add(struct task_list *list, pid_t tid)
{
	if (list->cnt == list->capacity) {
		size_t capacity = MAX(list->capacity * 2, (size_t)256);
		pid_t *tids = realloc(list->tids, capacity * sizeof(*tids));

		if (!tids)
			return -ENOMEM;
		list->tids = tids;
		list->capacity = capacity;
	}
	list->tids[list->cnt++] = tid;
	return 0;
}

static int list_threads(void *context, pid_t tid)
{
	return list_add(context, tid);
}

struct list_processes {
	const struct targets *targets;
	struct task_list *list;
};

static bool has_wanted_name(const struct targets *targets, pid_t tgid)
{
	char comm[TARGET_COMM_BYTES] = {};

	return !targets->comm_cnt ||
	       (task_proc_comm(tgid, comm) == 0 && targets_have_comm(targets, comm));
}

static int list_process(void *context, pid_t tgid)
{
	struct list_processes *lister = context;
	char path[64];
	struct stat owner;

	snprintf(path, sizeof(path), "/proc/%d", tgid);
	if (stat(path, &owner) != 0 || owner.st_uid != geteuid() ||
	    !has_wanted_name(lister->targets, tgid))
		return 0;
	return task_proc_threads(tgid, list_threads, lister->list);
}

/* All threads that the targets name; different options are AND-ed, so the narrowest is enough. */
static int list_targets(const struct event_tasks *tasks, const struct targets *targets,
			pid_t command, struct task_list *list)
{
	struct list_processes lister = { .targets = targets, .list = list };
	size_t i;
	int code = 0;

	list->cnt = 0;
	if (command)
		return task_proc_threads(command, list_threads, list);
	/* What inherits is to see all of the process: a mapping is made by any of its threads. */
	for (i = 0; i < targets->tid_cnt && !code; i++)
		code = tasks->attr.inherit ?
			       task_proc_threads(targets->tids[i], list_threads, list) :
			       list_add(list, targets->tids[i]);
	if (targets->tid_cnt)
		return code;
	for (i = 0; i < targets->pid_cnt && !code; i++)
		code = task_proc_threads(targets->pids[i], list_threads, list);
	if (targets->pid_cnt)
		return code;
	return task_proc_processes(list_process, &lister);
}

/* ---- the passes ---- */

static void note_born(void *context, const struct perf_event_header *record)
{
	struct event_tasks *tasks = context;
	struct task_record fork;
	pid_t tid;

	if (!task_record_parse(record, &fork) || fork.kind != TASK_FORKED)
		return;
	tid = (pid_t)fork.tid;
	/* A failed allocation: it may get events of its own too, in a scan that has no memory. */
	hashmap_put(&tasks->born, &tid, NULL);
}

static bool is_new(const struct event_tasks *tasks, pid_t tid)
{
	return !hashmap_get(&tasks->opened, &tid) && !hashmap_get(&tasks->born, &tid);
}

/* Open what is new in @list; how many, or an error with whose it is. */
static int open_new(struct event_tasks *tasks, const struct task_list *list, bool named,
		    struct errmsg *err)
{
	int added = 0, code;
	size_t i;

	for (i = 0; i < list->cnt; i++) {
		pid_t tid = list->tids[i];

		if (!is_new(tasks, tid))
			continue;
		if (!hashmap_put(&tasks->opened, &tid, NULL))
			return err_set(err, -ENOMEM, "cannot open perf events");
		code = open_thread(tasks, tid);
		added += !code;
		tasks->taken_cnt += !code;
		if (!code || code == -ESRCH)
			continue;
		if (code == -EMFILE && !named) {
			tasks->files_short = true;
			return 0;
		}
		if ((code != -EACCES && code != -EPERM) || named) {
			err_set(err, code, "cannot open perf events of task %d", tid);
			if (code == -EACCES || code == -EPERM)
				err_hint(err, "it is another user's, or has more privileges: run "
					      "with sudo");
			return code;
		}
		tasks->refused_cnt++;
	}
	return added;
}

int event_tasks_open(struct event_tasks *tasks, const struct targets *targets, pid_t command,
		     struct errmsg *err)
{
	bool named = command || targets->pid_cnt || targets->tid_cnt;
	const struct timespec pause = { .tv_nsec = ANNOUNCED_NS };
	struct task_list list = {};
	int pass, code = 1;

	for (pass = 0; pass < PASSES_MAX && code > 0; pass++) {
		code = list_targets(tasks, targets, command, &list);
		if (code) {
			err_set(err, code, "cannot list the threads of the targets");
			break;
		}
		if (pass && tasks->attr.inherit) {
			nanosleep(&pause, NULL);
			event_rings_look(tasks->rings, note_born, tasks);
		}
		code = open_new(tasks, &list, named, err);
	}
	free(list.tids);
	return MIN(code, 0);
}
