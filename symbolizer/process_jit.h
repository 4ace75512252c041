/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The perf-map and the jitdump of one process: when to look for them and when to read on.  Part
 * of process.c.
 */
#ifndef EBPFPROF_SYMBOLIZER_PROCESS_JIT_H
#define EBPFPROF_SYMBOLIZER_PROCESS_JIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "symbolizer/process.h"

struct jitdump_marker;
struct perfmap;
struct process_jit;

/* Shared by all processes of one table. */
struct process_jit_host {
	const char *proc_root;
	unsigned int open_cnt; /* perf-maps and dumps kept open */
};

/* When and about whom is asked. */
struct process_jit_query {
	pid_t tgid;	   /* 0 = do not open files now: the pid is another image's */
	uint64_t begin_ns; /* a perf-map last written before was left by an earlier process */
	uint64_t now_ns;
};

/**
 * process_jit_notice - open the perf-map of a process that maps JIT code, before it is gone
 * @jit: NULL at first
 */
void process_jit_notice(struct process_jit **jit, struct process_jit_host *host,
			const struct process_jit_query *query);

/** process_jit_notice_file - the same for the dump behind a mapping, if it is a dump's marker */
void process_jit_notice_file(struct process_jit **jit, struct process_jit_host *host,
			     const struct jitdump_marker *marker,
			     const struct process_jit_query *query);

/** process_jit_update - its perf-map, read on if it has grown; NULL: no readable file yet */
const struct perfmap *process_jit_update(struct process_jit **jit, struct process_jit_host *host,
					 const struct process_jit_query *query);

/** process_jit_written - its perf-map was written anew just now: to be read at the next look */
void process_jit_written(struct process_jit *jit);

/** process_jit_lookup - process_jit_find() of process.h */
bool process_jit_lookup(struct process_jit **jit, struct process_jit_host *host,
			const struct process_jit_query *query, uint64_t address, uint64_t time_ns,
			struct jit_frame *ret);

enum jit_source process_jit_names(const struct process_jit *jit);
void process_jit_trim(struct process_jit *jit, uint64_t before_ns);
void process_jit_free(struct process_jit_host *host, struct process_jit *jit);

size_t process_jit_bytes(const struct process_jit *jit);
uint64_t process_jit_skipped(const struct process_jit *jit); /* lines and records */

#endif
