/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sampler: takes samples by BPF or, where that cannot be loaded, from the rings of perf events
 * (sampler_about.h), and hands both out in the same shape.
 *
 * Order of use: sampler_new, sampler_start, then any number of {sampler_drain_bodies;
 * sampler_end_epoch + sampler_drain_bodies + sampler_drain_counts}, sampler_stop, once more
 * sampler_end_epoch and the drains, sampler_free.  Not thread-safe.
 */
#ifndef EBPFPROF_COLLECT_SAMPLER_H
#define EBPFPROF_COLLECT_SAMPLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bpf/sample.h"
#include "profiler/collect/sampler_about.h"
#include "profiler/collect/sampler_totals.h"
#include "profiler/collect/tracer.h"

struct errmsg;
struct sampler;
struct shared_maps;
struct sideband;
struct targets;

struct sampler_config {
	enum sampler_by by;
	enum sampler_event event;
	enum sampler_unwind unwind;
	enum tier tier; /* of every tracer; TIER_NONE = the best that is possible */
	unsigned int freq_hz; /* per CPU */
	uint64_t flush_ns;    /* how often the counts will be drained: sizes the maps */
	bool with_user, with_kernel, with_idle;
	bool measure_bpf; /* BPF_ENABLE_STATS while we run: taxes every BPF program of the host */
	size_t ring_bytes;	/* 0 = by CPUs and Hz */
	uint32_t counts_entries; /* per bank; 0 = by CPUs, Hz and flush */
};

int sampler_new(const struct sampler_config *config, const struct targets *targets,
		struct sampler **ret, struct errmsg *err);
void sampler_free(struct sampler *sampler);

/** sampler_about - how it samples and what it misses; borrowed */
const struct sampler_about *sampler_about(const struct sampler *sampler);

/** sampler_follow_command - profile @tgid (and its children) as the command of the target set */
int sampler_follow_command(struct sampler *sampler, pid_t tgid);

/**
 * sampler_forked, sampler_ended - the side-band says that @tgid was forked by @parent, has ended
 *
 * Where the fork tracer runs it has seen to both already, in the fork and in the end themselves.  0,
 * or -E2BIG: too many processes are followed.
 */
int sampler_forked(struct sampler *sampler, pid_t parent, pid_t tgid);
void sampler_ended(struct sampler *sampler, pid_t tgid);

/** sampler_open_sideband - records of the processes that it can meet; after the command is told */
int sampler_open_sideband(struct sampler *sampler, size_t ring_bytes_per_cpu,
			  struct sideband **ret, struct errmsg *err);

/** sampler_period - what one sample stands for at the rate of sampler_config, in ns or cycles */
uint64_t sampler_period(const struct sampler *sampler);

/**
 * sampler_set_freq - another rate, from the end of this epoch on, so that an epoch has one period
 * Errors: -ENOTSUP: this way of sampling cannot.
 */
int sampler_set_freq(struct sampler *sampler, unsigned int freq_hz);

int sampler_start(struct sampler *sampler, struct errmsg *err);

/** sampler_stop - no program runs any more when this returns */
void sampler_stop(struct sampler *sampler);

/** sampler_check_cpus - follow CPUs that came or went; returns how many, or -errno */
int sampler_check_cpus(struct sampler *sampler);

/** sampler_cpu_cnt - CPUs sampled now */
unsigned int sampler_cpu_cnt(const struct sampler *sampler);

/**
 * sampler_end_epoch - flip the bank and wait until nothing runs under the old epoch
 * @ret: the ended epoch's events; `fired` etc. are exact.  `due` is read at the flip, a timer
 * period apart at most, so not_fired may be -1 per CPU in one window and +1 in the next; over
 * all windows the sums are exact
 *
 * Returns the ended epoch's number through @ret_epoch. -errno.
 */
int sampler_end_epoch(struct sampler *sampler, uint32_t *ret_epoch, struct sampler_totals *ret);

/** sampler_counted - samples counted since the start, for a progress line */
uint64_t sampler_counted(const struct sampler *sampler);

struct body_handler {
	/* Bodies are borrowed for the call. A non-zero answer ends the drain and is returned. */
	int (*stack)(void *context, const struct stack_body *body);
	int (*task)(void *context, const struct task_body *body);
	int (*sample)(void *context, const struct sample_body *body);
	int (*raw_stack)(void *context, const struct raw_stack_body *body);
	void *context;
};

/** sampler_drain_bodies - everything that is in the ring now */
int sampler_drain_bodies(struct sampler *sampler, const struct body_handler *handler);

/**
 * sampler_drain_counts - read and empty the counts of the ended epoch @epoch
 * @count: called once per key
 */
int sampler_drain_counts(struct sampler *sampler, uint32_t epoch,
			 int (*count)(void *context, const struct sample_key *key, uint64_t value),
			 void *context);

/** sampler_raise_generation - equal addresses of @tgid mean other code from now on */
void sampler_raise_generation(struct sampler *sampler, pid_t tgid);

/** sampler_quiesce - wait until no program runs that runs now */
void sampler_quiesce(struct sampler *sampler);

/** sampler_poll_fd - wakes (edge-triggered) when raw stacks are about to fill the ring */
int sampler_poll_fd(const struct sampler *sampler);

/** sampler_shared_maps - those shared with other BPF objects, living as long as it; NULL: no BPF */
struct shared_maps *sampler_shared_maps(struct sampler *sampler);

/** sampler_next_followed - walk the followed processes: 0 first; returns 0 at the end */
pid_t sampler_next_followed(const struct sampler *sampler, pid_t tgid);

/** sampler_tracers - what became of the tracers beside it: to @ret [TRACERS_MAX], their number */
size_t sampler_tracers(const struct sampler *sampler, struct tracer_outcome *ret);

void sampler_cost(const struct sampler *sampler, struct sampler_cost *ret);

#endif
