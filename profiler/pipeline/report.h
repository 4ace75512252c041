/* SPDX-License-Identifier: BSD-2-Clause */
/* What a window was made of: samples by their fate, losses by their cause. */
#ifndef EBPFPROF_PIPELINE_REPORT_H
#define EBPFPROF_PIPELINE_REPORT_H

#include <stdint.h>

#include "profiler/collect/sampler.h"

/* How the stacks of a window ended; samples. */
struct stack_quality {
	uint64_t user;	   /* samples with a user stack */
	uint64_t complete; /* of them, walked to the stack's base */
	uint64_t frames, named; /* user frames of these samples, those with a name */
};

/* What one window was made of. `totals` fits the profile exactly. */
struct window_report {
	struct sampler_totals totals;
	struct stack_quality quality;
	uint64_t processes;	  /* distinct (pid, start, exec) */
	uint64_t stacks;	  /* distinct stacks (kernel and user frames together) */
	uint64_t without_stack;	  /* counted, but the frames were lost: ring full */
	uint64_t without_names;   /* counted, but the task's names were lost: ring full */
	uint64_t without_labels;  /* counted without pid and tid: the profile was at its limit */
	uint64_t sideband_lost;	  /* records of processes that the kernel dropped */
	uint64_t sideband_refused; /* ... that a table of ours had no room for */
	uint64_t start_ns, end_ns; /* wall clock, UTC */
	uint64_t duration_ns;	   /* by the monotonic clock */
};

/** window_report_add - @more joins @sum, whose time goes on to the end of @more */
void window_report_add(struct window_report *sum, const struct window_report *more);

/** window_report_add_totals - the same for a part of a window */
void window_report_add_totals(struct window_report *sum, const struct sampler_totals *more);

#endif
