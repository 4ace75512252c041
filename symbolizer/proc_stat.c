/* SPDX-License-Identifier: BSD-2-Clause */
#include "symbolizer/proc_stat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/fileio.h"
#include "profiler/base/strbuf.h"

static int read_proc(pid_t tid, const char *name, struct strbuf *text)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", tid, name);
	return read_path(path, 65536, text);
}

bool proc_stat_is_running(pid_t tid)
{
	struct strbuf text = STRBUF_INIT;
	long threads = 0;
	char state = 'X';
	const char *at;
	int field;

	/* The name may hold blanks and brackets: fields are counted behind its last bracket. */
	if (read_proc(tid, "stat", &text) == 0 && (at = strrchr(text.text, ')')) && at[1] == ' ') {
		state = at[2];
		for (field = 3, at += 2; field < 20 && at; field++) {
			at = strchr(at, ' ');
			at = at ? at + 1 : NULL;
		}
		threads = at ? strtol(at, NULL, 10) : 0;
	}
	strbuf_free(&text);
	if (state == 'Z')
		return threads > 1;
	return state != 'X' && state != 'x';
}

pid_t proc_stat_tgid(pid_t tid)
{
	struct strbuf text = STRBUF_INIT;
	pid_t tgid = 0;
	const char *at;

	if (read_proc(tid, "status", &text) == 0 && (at = strstr(text.text, "\nTgid:")))
		tgid = (pid_t)strtol(at + strlen("\nTgid:"), NULL, 10);
	strbuf_free(&text);
	return tgid;
}
