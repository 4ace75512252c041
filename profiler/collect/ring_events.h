/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The events that sample into rings: of whole CPUs where that is allowed, else of each thread of
 * our own processes.
 */
#ifndef EBPFPROF_COLLECT_RING_EVENTS_H
#define EBPFPROF_COLLECT_RING_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "profiler/collect/event_rings.h"
#include "profiler/collect/event_tasks.h"
#include "profiler/collect/sampler.h"

/* An event of a whole CPU. */
struct cpu_event {
	int fd;
	unsigned int cpu;
	uint64_t counted_until; /* what of its count is in retired_count */
};

struct ring_events {
	const struct targets *targets; /* borrowed */
	struct perf_event_attr attr;
	struct event_rings rings;
	struct event_tasks tasks;     /* of threads, unless about->system_wide */
	struct cpu_event *cpu_events; /* [cpu_event_cnt], if it is */
	size_t cpu_event_cnt;
	unsigned int cpu_cnt;	     /* sampled now */
	uint64_t retired_count;	     /* due of events whose CPU has gone, and of earlier periods */
	struct sampler_about *about; /* borrowed: what was found to be allowed */
};

/** ring_events_stack_max - how many addresses a call chain has at most, both kinds together */
unsigned int ring_events_stack_max(void);

/** ring_events_init - nothing is opened yet; @period as sampler_period() */
void ring_events_init(struct ring_events *events, const struct sampler_config *config,
		      uint64_t period, const struct targets *targets, struct sampler_about *about);

/** ring_events_open - open rings of @ring_bytes, or less, and find out what is allowed */
int ring_events_open(struct ring_events *events, size_t ring_bytes, struct errmsg *err);
void ring_events_close(struct ring_events *events);

/** ring_events_start - @command: the process of targets->by_command, 0 = none */
int ring_events_start(struct ring_events *events, pid_t command, struct errmsg *err);
void ring_events_stop(struct ring_events *events);

/** ring_events_check_cpus - follow CPUs that came or went; returns how many, or -errno */
int ring_events_check_cpus(struct ring_events *events);

/** ring_events_start_again - what was stopped goes on */
void ring_events_start_again(struct ring_events *events);

/**
 * ring_events_set_period - of stopped events: what is under way is neither due nor sampled
 * Errors: -ENOTSUP: those of threads cannot, because those that inherited them would not.
 */
int ring_events_set_period(struct ring_events *events, uint64_t period);

/** ring_events_due - periods that have passed, by the events' own counts */
uint64_t ring_events_due(const struct ring_events *events);

#endif
