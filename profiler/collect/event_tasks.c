/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scan must not miss a thread.  One that was born of a thread with events has inherited them,
 * one that was born of another has none, and both look the same in /proc.  The rings tell them
 * apart: an event that can be inherited writes a PERF_RECORD_FORK of each child.  So each pass lists
 * who is there, then reads which of them were announced, and opens events for the rest; until a pass
 * finds nobody new.  perf record scans once, and misses threads that start meanwhile.
 *
 * An announcement is no proof.  A clone() inherits at its beginning and announces at its end, and
 * each by the events that are there at that moment (kernel/fork.c, copy_process): while its caller's
 * events are being opened, CPU by CPU, a child may inherit those of some CPUs only, announced or
 * not, and be announced without having inherited any.  Only one that was announced CLONE_NS after
 * the last of its parent's events was opened is taken to have all, and so is what it starts.
 *
 * In doubt we open: what has two events is counted once, because samples are accepted by one of
 * them (ring_roots.h), where a thread without would be missed.  Events are kept even of a thread
 * that ends while they are opened: a child may have inherited them and count by them already.
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
/* A clone() takes less, as a rule: it may wait for its CPU, and copies the tables of pages. */
#define CLONE_NS (10 * NS_PER_MS)

struct announcement {
	pid_t parent_tid;
	uint64_t time_ns;
	bool has_inherited; /* as was found already */
};

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
	hashmap_init(&tasks->opened, sizeof(pid_t), sizeof(uint64_t));
	hashmap_init(&tasks->announced, sizeof(pid_t), sizeof(struct announcement));
}

void event_tasks_close(struct event_tasks *tasks)
{
	size_t i;

	for (i = 0; i < tasks->cnt; i++)
		close(tasks->fds[i]);
	free(tasks->fds);
	hashmap_free(&tasks->opened);
	hashmap_free(&tasks->announced);
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

/* One event on each CPU. */
static int open_thread(struct event_tasks *tasks, pid_t tid)
{
	size_t i;
	int code = tasks->cnt + tasks->rings->cnt > tasks->cnt_max ? -EMFILE : 0;

	for (i = 0; i < tasks->rings->cnt && !code; i++) {
		const struct event_ring *ring = &tasks->rings->rings[i];
		_cleanup_close_ int fd = perf_event_open_of(&tasks->attr, tid, (int)ring->cpu, 0);

		code = fd < 0 ? fd : event_ring_attach(ring, fd);
		if (!code)
			code = keep_fd(tasks, &fd);
	}
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

/* Records come again in each pass, and in no order. */
static void note_announced(void *context, const struct perf_event_header *record)
{
	struct event_tasks *tasks = context;
	struct announcement *announcement;
	struct task_record fork;
	pid_t tid;

	if (!task_record_parse(record, &fork) || fork.kind != TASK_FORKED)
		return;
	tid = (pid_t)fork.tid;
	announcement = hashmap_put(&tasks->announced, &tid, NULL);
	/* Without memory it gets events of its own.  Of a number that serves twice the newest counts. */
	if (announcement && fork.time_ns > announcement->time_ns)
		*announcement = (struct announcement){ .parent_tid = (pid_t)fork.parent_tid,
						       .time_ns = fork.time_ns };
}

/* From a parent whose events were complete, or that had inherited itself: times fall, so it ends. */
static bool has_inherited(const struct event_tasks *tasks, pid_t tid)
{
	struct announcement *asked = hashmap_get(&tasks->announced, &tid), *at = asked, *above;

	for (; at && !at->has_inherited; at = above) {
		const uint64_t *complete_ns = hashmap_get(&tasks->opened, &at->parent_tid);

		if (complete_ns && *complete_ns && at->time_ns > *complete_ns + CLONE_NS)
			break;
		above = hashmap_get(&tasks->announced, &at->parent_tid);
		if (above && above->time_ns >= at->time_ns)
			above = NULL;
	}
	if (at)
		asked->has_inherited = true;
	return at;
}

/* 1: it has events already. */
static int open_if_new(struct event_tasks *tasks, pid_t tid)
{
	uint64_t *complete_ns;
	int code;

	if (hashmap_get(&tasks->opened, &tid) || has_inherited(tasks, tid))
		return 1;
	complete_ns = hashmap_put(&tasks->opened, &tid, NULL);
	if (!complete_ns)
		return -ENOMEM;
	code = open_thread(tasks, tid);
	if (!code)
		*complete_ns = monotonic_ns();
	return code;
}

/* Open what is new in @list; how many, or an error with whose it is. */
static int open_new(struct event_tasks *tasks, const struct task_list *list, bool named,
		    struct errmsg *err)
{
	int added = 0, code;
	size_t i;

	for (i = 0; i < list->cnt; i++) {
		pid_t tid = list->tids[i];

		code = open_if_new(tasks, tid);
		added += !code;
		tasks->taken_cnt += !code;
		if (code >= 0 || code == -ESRCH)
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
	const struct timespec pause = { .tv_nsec = CLONE_NS };
	struct task_list list = {};
	int pass, code = 1;

	for (pass = 0; pass < PASSES_MAX && code > 0; pass++) {
		/* The last pass is to see the children of clone() calls that were under way before. */
		if (pass && tasks->attr.inherit)
			nanosleep(&pause, NULL);
		code = list_targets(tasks, targets, command, &list);
		if (code) {
			err_set(err, code, "cannot list the threads of the targets");
			break;
		}
		if (tasks->attr.inherit)
			event_rings_look(tasks->rings, note_announced, tasks);
		code = open_new(tasks, &list, named, err);
	}
	free(list.tids);
	return MIN(code, 0);
}
