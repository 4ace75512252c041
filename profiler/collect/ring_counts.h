/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Samples of the rings, counted: what the BPF programs do in the kernel, in the same shape.  Two
 * banks by epoch & 1; ids of stacks are hashes, and what they stand for goes once per epoch into a
 * queue of bodies.
 */
#ifndef EBPFPROF_COLLECT_RING_COUNTS_H
#define EBPFPROF_COLLECT_RING_COUNTS_H

#include <stddef.h>
#include <stdint.h>

#include "profiler/base/hashmap.h"
#include "profiler/base/strbuf.h"
#include "profiler/collect/ring_tasks.h"
#include "profiler/collect/sampler.h"

struct ring_bank {
	struct hashmap counts; /* struct sample_key -> uint64_t */
	struct hashmap seen;   /* uint64_t id -> nothing: its body is in the queue or was */
	struct sampler_totals totals;
};

struct ring_counts {
	struct ring_bank banks[2];
	uint32_t epoch;
	uint32_t entries_max; /* of counts */
	size_t stack_max;     /* addresses of one call chain, both kinds together */
	uint64_t counted;     /* since the start */
	struct strbuf bodies; /* each begins with a struct body_header, padded to 8 bytes */
	size_t bodies_given;  /* bytes of them that the caller has */
	uint32_t generations[MAP_GENERATIONS];
	struct stack_body body; /* being built */
};

void ring_counts_init(struct ring_counts *counts, uint32_t entries_max, size_t stack_max);
void ring_counts_free(struct ring_counts *counts);

/** ring_counts_bank - of the epoch under way */
struct ring_bank *ring_counts_bank(struct ring_counts *counts);

/** ring_counts_add - count @sample of @task; what finds no room is counted as lost_full */
void ring_counts_add(struct ring_counts *counts, const struct ring_sample *sample,
		     const struct ring_task *task);

/** ring_counts_end_epoch - begin the next one; returns the number of the ended one */
uint32_t ring_counts_end_epoch(struct ring_counts *counts, struct sampler_totals *ret);

/** ring_counts_drain_bodies, ring_counts_drain - see sampler.h */
int ring_counts_drain_bodies(struct ring_counts *counts, const struct body_handler *handler);
int ring_counts_drain(struct ring_counts *counts, uint32_t epoch,
		      int (*count)(void *context, const struct sample_key *key, uint64_t value),
		      void *context);

/** ring_counts_bytes - memory that it holds */
size_t ring_counts_bytes(const struct ring_counts *counts);

#endif
