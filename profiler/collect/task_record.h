/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records of a sampling event, as bytes (perf_event_open(2)): the samples, and what tells of tasks.
 *
 * Pure: no state, no I/O.  @record is 8-byte aligned and record->size bytes of it are readable;
 * beyond that nothing in it is trusted.  Layout: see event_rings.h.
 */
#ifndef EBPFPROF_COLLECT_TASK_RECORD_H
#define EBPFPROF_COLLECT_TASK_RECORD_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum task_record_kind {
	TASK_FORKED, /* a process or a thread */
	TASK_EXITED,
	TASK_RENAMED,
	TASK_EXECED, /* renamed too */
};

struct task_record {
	enum task_record_kind kind;
	uint32_t pid, tid;
	uint32_t parent_pid, parent_tid; /* of TASK_FORKED */
	uint64_t time_ns;
	char comm[16]; /* of TASK_RENAMED, TASK_EXECED: NUL-padded */
};

/** task_record_parse - false: another kind of record, or a damaged one */
bool task_record_parse(const struct perf_event_header *record, struct task_record *ret);

struct ring_sample {
	uint32_t pid, tid;
	uint64_t time_ns;
	uint64_t root_id;	       /* of the event, or of the one that it was inherited from */
	const uint64_t *kernel, *user; /* [_cnt] innermost first, in the record */
	size_t kernel_cnt, user_cnt;
};

/** ring_sample_parse - a PERF_RECORD_SAMPLE; false: it is none, or its call chain leaves it */
bool ring_sample_parse(const struct perf_event_header *record, struct ring_sample *ret);

#endif
