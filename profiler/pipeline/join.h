/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The join: counts of an ended epoch + named stacks and tasks -> samples of a profile.
 */
#ifndef EBPFPROF_PIPELINE_JOIN_H
#define EBPFPROF_PIPELINE_JOIN_H

#include <stdbool.h>
#include <stdint.h>

#include "profiler/base/hashmap.h"
#include "profiler/collect/sampler.h"
#include "profiler/pipeline/binaries.h"
#include "profiler/pipeline/session.h"

struct profile;
struct stacks;
struct symbolizer;

struct join {
	struct profile *profile; /* of the window under way, owned */
	struct window_report report;
	struct stacks *stacks;	       /* borrowed */
	struct symbolizer *symbolizer; /* borrowed */
	enum sampler_event event;
	uint64_t period;       /* of the rate that was asked for: the profile's */
	uint64_t epoch_period; /* of the samples of this epoch */
	size_t profile_bytes_max;
	bool with_user, with_kernel, has_targets;
	struct hashmap location_ids; /* const struct location * -> struct joined, of one epoch */
	struct binaries binaries;    /* of the session */
	struct hashmap processes;    /* struct task_key with tid 0, of the window */
	uint32_t epoch;		     /* being joined */
};

/** join_init - @config's event and limits; stacks and symbolizer are borrowed */
void join_init(struct join *join, const struct session_config *config, uint64_t period,
	       struct stacks *stacks, struct symbolizer *symbolizer);
void join_free(struct join *join);

/** join_begin_window - an empty profile with its sample types; -ENOMEM */
int join_begin_window(struct join *join);

/** join_begin_epoch - @epoch's counts follow, each of which stands for @period */
void join_begin_epoch(struct join *join, uint32_t epoch, uint64_t period);

/** join_count - add one key of the counts; for sampler_drain_counts() */
int join_count(void *join, const struct sample_key *key, uint64_t value);

/** join_end_window - close the profile; the caller owns it */
struct profile *join_end_window(struct join *join, uint64_t start_ns, uint64_t duration_ns);

#endif
