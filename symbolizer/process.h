/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The processes of the host over time, each with its executable mappings.
 *
 * Fed by the kernel's own ordered records (fork, exec, mmap, exit; perf_event_open(2)) and by
 * one scan of /proc at start for what was there before.  A pid is reused, and exec keeps pid and
 * start time, so a process here is one *image*: it begins by fork or exec and ends by exec or
 * exit, and is found by (tgid, time).  Times are CLOCK_MONOTONIC ns.
 *
 * An ended image is kept until process_table_trim() passes its end, because samples taken in it
 * are named a little later.
 */
#ifndef EBPFPROF_SYMBOLIZER_PROCESS_H
#define EBPFPROF_SYMBOLIZER_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "symbolizer/elf.h"

#define PROCESS_IMAGES_MAX (1u << 18) /* kept at once; beyond, -ENOSPC */

struct binary_cache;
struct errmsg;
struct mappings;
struct process;
struct process_table;

/* One executable mapping, as in PERF_RECORD_MMAP2. */
struct mmap_event {
	pid_t tgid;
	uint64_t time_ns;
	uint64_t start, length, offset;
	uint32_t major, minor; /* 0 when build_id is given */
	uint64_t inode;
	struct elf_build_id build_id;
	const char *path; /* "//anon", "[vdso]", "/usr/bin/x", "/memfd:x (deleted)", ... */
};

int process_table_new(const char *proc_root, struct binary_cache *binaries,
		      struct process_table **ret);
void process_table_free(struct process_table *table);

/**
 * process_table_scan - learn the executable mappings of all processes that run now
 *
 * Records that come in later with an earlier time stamp are of a process the scan has seen
 * already: applying them again changes nothing. Kernel threads have no mappings and are left out.
 * Errors: -errno when /proc cannot be listed; a process that vanishes meanwhile is none.
 */
int process_table_scan(struct process_table *table, struct errmsg *err);

/** process_table_scan_one - for one process; -ESRCH it has ended; -EACCES it is not ours to read */
int process_table_scan_one(struct process_table *table, pid_t tgid, uint64_t now_ns);

/*
 * Records, in order of time. -ENOMEM, -ENOSPC. A new thread (not process) is no fork. The exit is
 * the last thread's; when it was only the leader's, what still runs is found again.
 */
int process_on_fork(struct process_table *table, pid_t tgid, pid_t parent_tgid, uint64_t time_ns);
int process_on_exec(struct process_table *table, pid_t tgid, uint64_t time_ns);
int process_on_exit(struct process_table *table, pid_t tgid, uint64_t time_ns);

/** process_on_mmap - @ret_replaced as in mappings_add() */
int process_on_mmap(struct process_table *table, const struct mmap_event *event,
		    bool *ret_replaced);

/**
 * process_find - the image that ran as @tgid at @time_ns
 *
 * A process that no record told us of is read from /proc now, if it is alive and its start time
 * is not later than @time_ns.  NULL: unknown.  The pointer is valid until process_table_trim().
 */
struct process *process_find(struct process_table *table, pid_t tgid, uint64_t time_ns);

/** process_table_trim - forget images that ended before @before_ns and their dead mappings */
void process_table_trim(struct process_table *table, uint64_t before_ns);

/** process_of_id - the image whose process_id() is @id, or NULL: it was forgotten */
const struct process *process_of_id(const struct process_table *table, uint64_t id);

/** process_id - of the image: unique for the life of the table, never reused */
uint64_t process_id(const struct process *process);
pid_t process_tgid(const struct process *process);

/**
 * process_before_exec - the image that called execve, if @time_ns is shortly after it
 *
 * Until the kernel has loaded the new program, samples carry the user address of the system call
 * in the old one, though the exec record was written already.  NULL: not so.
 */
struct process *process_before_exec(const struct process *process, uint64_t time_ns);

const struct mappings *process_mappings(const struct process *process);

/** process_perfmap_written - @tgid has written it anew: it is read at the next question */
void process_perfmap_written(struct process_table *table, pid_t tgid);

/* What is known of code made at run time. */
struct jit_frame {
	const char *name;	/* as the runtime wrote it: see jit_name.h; never "" */
	uint64_t address, size; /* of its code */
	const char *filename; /* of the line; NULL = unknown: then the name's own, if it has one */
	uint32_t line;	      /* that executes, of inlined code where it is inlined; 0 = unknown */
};

/**
 * process_jit_find - the code made at run time that was at @address at @time_ns
 * @now_ns: its files are looked at no more than once per 50 ms
 *
 * By its jitdump, else by its perf-map, which has no times: the newest name of the address.
 * False: neither knows.  @ret is valid until the next call for the process, or a trim.
 */
bool process_jit_find(struct process_table *table, struct process *process, uint64_t address,
		      uint64_t time_ns, uint64_t now_ns, struct jit_frame *ret);

enum jit_source {
	JIT_SOURCE_NONE,
	JIT_SOURCE_PERFMAP,
	JIT_SOURCE_JITDUMP, /* perhaps a perf-map as well */
};

/** process_jit_source - what has given names of JIT code so far */
enum jit_source process_jit_source(const struct process *process);

/** process_table_visit - call @visit for each living process, until it answers non-zero: returned */
int process_table_visit(const struct process_table *table,
			int (*visit)(void *context, pid_t tgid), void *context);

size_t process_table_cnt(const struct process_table *table);
/* lines of perf-maps and records of jitdumps */
uint64_t process_table_perfmap_skipped(const struct process_table *table);
size_t process_table_bytes(const struct process_table *table);

#endif
