/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /proc/TGID of a process whose leader has exited while other threads go on has no maps, no root
 * and no map_files.  /proc/TID of a living thread has them all, though no listing of /proc shows
 * it: so one thread id replaces the process id, and /proc/TGID/task/TID, which has no map_files,
 * is needed only to find it.
 */
#include "symbolizer/process_read.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "profiler/base/fileio.h"
#include "profiler/base/strbuf.h"

#define STAT_MAX 4096
#define MAPS_MAX (32u << 20)
#define THREADS_TRIED_MAX 64	  /* in search of one that still has its memory */
#define KERNEL_THREAD 0x00200000u /* PF_KTHREAD, include/linux/sched.h */
#define START_SLACK_NS (50 * NS_PER_MS)

bool process_parse_stat(const char *stat, uint64_t *ret_flags, uint64_t *ret_start_ticks)
{
	const char *at = strrchr(stat, ')'); /* the name may hold blanks and brackets */
	unsigned int field;

	if (!at)
		return false;
	at++;
	for (field = 3; field <= 22; field++) {
		if (*at != ' ')
			return false;
		at++;
		if (field == 9)
			*ret_flags = strtoull(at, NULL, 10);
		else if (field == 22)
			*ret_start_ticks = strtoull(at, NULL, 10);
		at += strcspn(at, " \n");
	}
	return true;
}

/* How much CLOCK_BOOTTIME is ahead: the time spent suspended. */
static uint64_t boottime_lead_ns(void)
{
	uint64_t monotonic = monotonic_ns();
	uint64_t boottime = clock_read_ns(CLOCK_BOOTTIME);

	return boottime > monotonic ? boottime - monotonic : 0;
}

static int read_file(const char *proc_root, pid_t tid, const char *name, size_t max_bytes,
		     struct strbuf *text)
{
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/%d/%s", proc_root, tid, name) >= sizeof(path))
		return -ENAMETOOLONG;
	return read_path(path, max_bytes, text);
}

int process_read_birth(const char *proc_root, pid_t tgid, struct process_birth *ret)
{
	uint64_t tick_ns = NS_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK);
	uint64_t flags, ticks, start_ns, lead_ns = boottime_lead_ns();
	struct strbuf text = STRBUF_INIT;
	bool parsed;
	int r = read_file(proc_root, tgid, "stat", STAT_MAX, &text);

	parsed = r == 0 && text.len && process_parse_stat(text.text, &flags, &ticks);
	strbuf_free(&text);
	if (r == -ENOMEM)
		return r;
	if (!parsed)
		return -ESRCH;
	start_ns = ticks * tick_ns;
	ret->start_ns = start_ns > lead_ns ? start_ns - lead_ns : 0;
	ret->slack_ns = tick_ns + START_SLACK_NS;
	ret->kernel_thread = flags & KERNEL_THREAD;
	return 0;
}

/* 0 when there are maps; what was added to @text before is kept otherwise. */
static int read_maps_of(const char *proc_root, pid_t tid, struct strbuf *text)
{
	size_t before = text->len;
	int r = read_file(proc_root, tid, "maps", MAPS_MAX, text);

	if (r == -ENOMEM)
		return r;
	if (text->len > before)
		return 0; /* cut short is better than nothing */
	return r == -EACCES || r == -EPERM ? -EACCES : -ESRCH;
}

int process_read_maps(const char *proc_root, pid_t tgid, struct strbuf *text, pid_t *ret_tid)
{
	_cleanup_(dir_closep) DIR *dir = NULL;
	char path[PATH_MAX];
	struct dirent *entry;
	unsigned int tried = 0;
	int r = read_maps_of(proc_root, tgid, text);

	*ret_tid = tgid;
	if (r != -ESRCH)
		return r;
	if ((size_t)snprintf(path, sizeof(path), "%s/%d/task", proc_root, tgid) >= sizeof(path))
		return -ENAMETOOLONG;
	dir = opendir(path);
	while (dir && tried < THREADS_TRIED_MAX && (entry = readdir(dir))) {
		pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (tid <= 0 || tid == tgid)
			continue;
		tried++;
		r = read_maps_of(proc_root, tid, text);
		if (r != -ESRCH) {
			*ret_tid = tid;
			return r;
		}
	}
	return -ESRCH;
}
