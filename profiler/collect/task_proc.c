/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/collect/task_proc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "profiler/base/fileio.h"
#include "profiler/base/strbuf.h"

#define STAT_PPID 4 /* fields of /proc/PID/stat, counted from 1 */
#define STAT_FLAGS 9
#define STAT_STARTTIME 22
#define PF_KTHREAD 0x00200000u /* include/linux/sched.h */

static int visit_numbers(const char *path, int (*visit)(void *context, pid_t id), void *context)
{
	_cleanup_(dir_closep) DIR *dir = opendir(path);
	struct dirent *entry;
	int code = 0;

	if (!dir)
		return -errno;
	while (!code && (entry = readdir(dir))) {
		char *end;
		long id = strtol(entry->d_name, &end, 10);

		if (id > 0 && !*end)
			code = visit(context, (pid_t)id);
	}
	return code;
}

int task_proc_processes(int (*visit)(void *context, pid_t tgid), void *context)
{
	return visit_numbers("/proc", visit, context);
}

int task_proc_threads(pid_t tgid, int (*visit)(void *context, pid_t tid), void *context)
{
	char path[64];
	int code;

	snprintf(path, sizeof(path), "/proc/%d/task", tgid);
	code = visit_numbers(path, visit, context);
	return code == -ENOENT || code == -ESRCH ? 0 : code;
}

static int read_proc(pid_t tid, const char *name, struct strbuf *text)
{
	char path[64];
	int code;

	snprintf(path, sizeof(path), "/proc/%d/%s", tid, name);
	code = read_path(path, 4096, text);
	return code == -ENOENT ? -ESRCH : code;
}

int task_proc_comm(pid_t tid, char ret[STACK_COMM_BYTES])
{
	struct strbuf text = STRBUF_INIT;
	int code = read_proc(tid, "comm", &text);

	if (!code && !text.len)
		code = -ESRCH;
	if (!code) {
		size_t len = text.len - (text.text[text.len - 1] == '\n');

		memset(ret, 0, STACK_COMM_BYTES);
		memcpy(ret, text.text, MIN(len, (size_t)STACK_COMM_BYTES - 1));
	}
	strbuf_free(&text);
	return code;
}

/* The field at @number, counted from 1; NULL: there are not so many. */
static const char *find_field(const char *text, int number)
{
	/* The name may hold blanks and brackets: fields are counted behind its last bracket. */
	const char *at = strrchr(text, ')');
	int field;

	at = at && at[1] == ' ' ? at + 2 : NULL;
	for (field = 3; field < number && at; field++) {
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	return at;
}

bool task_proc_stat_parse(const char *text, long ticks_per_sec, struct task_proc_stat *ret)
{
	const char *parent = find_field(text, STAT_PPID), *flags = find_field(text, STAT_FLAGS);
	const char *start = find_field(text, STAT_STARTTIME);
	uint64_t ticks;

	if (!parent || !flags || !start || ticks_per_sec <= 0)
		return false;
	ticks = strtoull(start, NULL, 10);
	*ret = (struct task_proc_stat){
		.start_boottime_ns = ticks * (NS_PER_SEC / (uint64_t)ticks_per_sec),
		.parent = (pid_t)strtol(parent, NULL, 10),
		.kernel_thread = (strtoul(flags, NULL, 10) & PF_KTHREAD) != 0,
	};
	return true;
}

int task_proc_stat(pid_t tgid, struct task_proc_stat *ret)
{
	struct strbuf text = STRBUF_INIT;
	int code = read_proc(tgid, "stat", &text);

	if (!code && (!text.len || !task_proc_stat_parse(text.text, sysconf(_SC_CLK_TCK), ret)))
		code = -EBADMSG;
	strbuf_free(&text);
	return code;
}
