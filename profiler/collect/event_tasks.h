/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Perf events of threads: one for each thread and CPU, which its children inherit.  What an
 * ordinary user may open, where events of whole CPUs are for the privileged.
 */
#ifndef EBPFPROF_COLLECT_EVENT_TASKS_H
#define EBPFPROF_COLLECT_EVENT_TASKS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "profiler/base/hashmap.h"
#include "profiler/collect/perf_event.h"

struct errmsg;
struct event_rings;
struct targets;

struct event_tasks {
	struct perf_event_attr attr;
	const struct event_rings *rings; /* borrowed: where they write */
	int *fds;			 /* [cnt] */
	size_t cnt, capacity, cnt_max;
	struct hashmap opened; /* pid_t tid -> uint64_t: its events are complete since; 0 = none */
	struct hashmap announced; /* pid_t tid -> who started it and when (event_tasks.c) */
	size_t taken_cnt;	  /* threads that have events of their own */
	size_t refused_cnt;	  /* threads of our user that are more privileged than we are */
	bool files_short;	  /* the limit of open files ended the scan */
};

/**
 * event_tasks_init - events of @attr (disabled = 0, task = 1), which write into @rings
 *
 * Nothing is opened yet.
 */
void event_tasks_init(struct event_tasks *tasks, const struct perf_event_attr *attr,
		      const struct event_rings *rings);
void event_tasks_close(struct event_tasks *tasks);

/**
 * event_tasks_open - the threads of all targets that are there now
 * @command: the process of targets->by_command, 0 = none
 *
 * Without targets: all processes of our effective user.  Threads that are born meanwhile are met,
 * either because they inherit or by another look at /proc; some both ways, and they have two events
 * on some CPUs or all: see ring_roots.h.
 * Errors: -EACCES, -EPERM (a thread that -p, -t names is not ours to watch), -EMFILE, -ENOMEM, with
 * @err; a thread that has ended is none.
 */
int event_tasks_open(struct event_tasks *tasks, const struct targets *targets, pid_t command,
		     struct errmsg *err);

#endif
