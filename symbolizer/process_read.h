/* SPDX-License-Identifier: BSD-2-Clause */
/* What /proc says of one process.  Part of process.c; every read may fail at any time. */
#ifndef EBPFPROF_SYMBOLIZER_PROCESS_READ_H
#define EBPFPROF_SYMBOLIZER_PROCESS_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct strbuf;

struct process_birth {
	uint64_t start_ns; /* CLOCK_MONOTONIC; never by more than slack_ns off */
	uint64_t slack_ns;
	bool kernel_thread;
};

/** process_parse_stat - the same from the bytes of /proc/PID/stat; false: they are none */
bool process_parse_stat(const char *stat, uint64_t *ret_flags, uint64_t *ret_start_ticks);

/** process_read_birth - when did @tgid start?  -ESRCH; -ENOMEM */
int process_read_birth(const char *proc_root, pid_t tgid, struct process_birth *ret);

/**
 * process_read_maps - append /proc/TGID/maps to @text
 * @ret_tid: a thread whose /proc/TID leads to the memory: @tgid itself, or another one of its
 * threads when the leader has exited
 *
 * Errors: -ESRCH it has no memory any more; -ENOMEM.
 */
int process_read_maps(const char *proc_root, pid_t tgid, struct strbuf *text, pid_t *ret_tid);

#endif
