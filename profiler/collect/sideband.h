/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's own ordered account of processes: fork, exec, exit and executable mappings, from a
 * dummy perf event per CPU (perf_event_open(2), PERF_RECORD_MMAP2 and others), on
 * CLOCK_MONOTONIC.
 *
 * Each CPU has a ring; a drain merges them by time.
 */
#ifndef EBPFPROF_COLLECT_SIDEBAND_H
#define EBPFPROF_COLLECT_SIDEBAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct errmsg;
struct sideband;
struct targets;

enum sideband_kind {
	SIDEBAND_FORK, /* of a process, not of a thread */
	SIDEBAND_EXEC,
	SIDEBAND_EXIT, /* of one task */
	SIDEBAND_MMAP, /* executable */
};

struct sideband_event {
	enum sideband_kind kind;
	uint64_t time_ns;
	pid_t tgid, tid;
	pid_t parent_tgid; /* of a fork */
	/* of a mapping: */
	uint64_t start, length, offset;
	uint32_t major, minor; /* 0 with a build-id */
	uint64_t inode;
	uint8_t build_id[20];
	uint8_t build_id_len; /* 0 = none */
	const char *path;     /* borrowed for the call */
};

/**
 * sideband_new - open and start the events of all online CPUs
 * @build_ids: have the kernel (from 5.12) put build-ids into records in place of device and inode.
 * Harms others: while such an event is open, the kernel flags the mmap records of every other
 * perf event too, without putting a build-id there (seen on 6.18: perf_event_mmap_output() does
 * not take the flag back), and a `perf record` that runs beside us aborts in build-id.c.
 */
int sideband_new(size_t ring_bytes_per_cpu, bool build_ids, struct sideband **ret,
		 struct errmsg *err);

/**
 * sideband_new_of - the same for an ordinary user: of the threads of @targets and what they start
 * @command: the process of targets->by_command, 0 = none
 * @ring_bytes_per_cpu: less where no more may be locked
 *
 * Errors: see event_tasks_open() and event_rings_open().
 */
int sideband_new_of(const struct targets *targets, pid_t command, size_t ring_bytes_per_cpu,
		    struct sideband **ret, struct errmsg *err);
void sideband_free(struct sideband *sideband);

/** sideband_poll_fd - an epoll descriptor, readable when a ring is half full */
int sideband_poll_fd(const struct sideband *sideband);

/** sideband_check_cpus - follow CPUs that came or went */
int sideband_check_cpus(struct sideband *sideband);

/**
 * sideband_drain - hand on, in order of time, every record stamped up to @until_ns
 *
 * Later ones are kept for the next drain.  Returns the first negative answer of @visit, or
 * -ENOMEM (what was not handed on stays); else the number of records that the kernel dropped
 * since the last drain because a ring was full.
 */
int64_t sideband_drain(struct sideband *sideband, uint64_t until_ns,
		       int (*visit)(void *context, const struct sideband_event *event),
		       void *context);

#endif
