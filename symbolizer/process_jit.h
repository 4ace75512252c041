/* SPDX-License-Identifier: BSD-2-Clause */
/* The perf-map of one process: when to look for it and when to read on.  Part of process.c. */
#ifndef EBPFPROF_SYMBOLIZER_PROCESS_JIT_H
#define EBPFPROF_SYMBOLIZER_PROCESS_JIT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct perfmap;
struct process_jit;

/* Shared by all processes of one table. */
struct process_jit_host {
	const char *proc_root;
	unsigned int open_cnt; /* perf-maps kept open */
};

/**
 * process_jit_notice - open the file of a process that maps JIT code, before it is gone
 * @jit: NULL at first
 * @begin_ns: a file last written before was left by an earlier process with this pid
 */
void process_jit_notice(struct process_jit **jit, struct process_jit_host *host, pid_t tgid,
			uint64_t begin_ns, uint64_t now_ns);

/**
 * process_jit_update - its symbols, read on if the file has grown
 * @tgid: 0 = do not open the file now: the pid is another image's
 *
 * NULL: no readable file yet.
 */
const struct perfmap *process_jit_update(struct process_jit **jit, struct process_jit_host *host,
					 pid_t tgid, uint64_t begin_ns, uint64_t now_ns);

void process_jit_free(struct process_jit_host *host, struct process_jit *jit);

size_t process_jit_bytes(const struct process_jit *jit);
uint64_t process_jit_skipped(const struct process_jit *jit); /* lines: perfmap_skipped() */

#endif
