/* SPDX-License-Identifier: BSD-2-Clause */
/* Is a task there?  From /proc/TID/stat (proc_pid_stat(5)). */
#ifndef EBPFPROF_SYMBOLIZER_PROC_STAT_H
#define EBPFPROF_SYMBOLIZER_PROC_STAT_H

#include <stdbool.h>
#include <sys/types.h>

/**
 * proc_stat_is_running - is there a task @tid that can still run?
 *
 * A zombie and a dead task are none; but a thread group whose leader has exited runs on as long
 * as another thread does.
 */
bool proc_stat_is_running(pid_t tid);

/** proc_stat_tgid - thread group of task @tid; 0 = no such task */
pid_t proc_stat_tgid(pid_t tid);

#endif
