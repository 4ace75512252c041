/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "profiler/base/clock.h"
#include "profiler/collect/task_proc.h"

#define STAT_PPID 4 /* fields of /proc/PID/stat, counted from 1 */
#define STAT_FLAGS 9
#define STAT_STARTTIME 22
#define PF_KTHREAD 0x00200000u /* include/linux/sched.h */

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
