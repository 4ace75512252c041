/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/collect/task_proc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/fileio.h"
#include "profiler/base/strbuf.h"

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

int task_proc_stat(pid_t tgid, struct task_proc_stat *ret)
{
	struct strbuf text = STRBUF_INIT;
	int code = read_proc(tgid, "stat", &text);

	if (!code && (!text.len || !task_proc_stat_parse(text.text, sysconf(_SC_CLK_TCK), ret)))
		code = -EBADMSG;
	strbuf_free(&text);
	return code;
}
