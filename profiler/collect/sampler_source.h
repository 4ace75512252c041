/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a source of samples gives to sampler.c, which hands the calls of sampler.h on to it.  Each
 * function does what the one of its name in sampler.h says.  Private to collect.
 */
#ifndef EBPFPROF_COLLECT_SAMPLER_SOURCE_H
#define EBPFPROF_COLLECT_SAMPLER_SOURCE_H

#include "profiler/collect/sampler.h"

#define SAMPLER_COUNTS_MIN 4096u
#define SAMPLER_COUNTS_MAX 65536u

struct sampler_source {
	int (*open)(const struct sampler_config *config, const struct targets *targets,
		    struct sampler **ret, struct errmsg *err);
	void (*free)(struct sampler *sampler);
	int (*follow_command)(struct sampler *sampler, pid_t tgid);
	int (*forked)(struct sampler *sampler, pid_t parent, pid_t tgid);
	void (*ended)(struct sampler *sampler, pid_t tgid);
	int (*set_freq)(struct sampler *sampler, unsigned int freq_hz);
	int (*open_sideband)(struct sampler *sampler, size_t ring_bytes_per_cpu,
			     struct sideband **ret, struct errmsg *err);
	int (*start)(struct sampler *sampler, struct errmsg *err);
	void (*stop)(struct sampler *sampler);
	int (*check_cpus)(struct sampler *sampler);
	int (*end_epoch)(struct sampler *sampler, uint32_t *ret_epoch, struct sampler_totals *ret);
	uint64_t (*counted)(const struct sampler *sampler);
	int (*drain_bodies)(struct sampler *sampler, const struct body_handler *handler);
	int (*drain_counts)(struct sampler *sampler, uint32_t epoch,
			    int (*count)(void *context, const struct sample_key *key,
					 uint64_t value),
			    void *context);
	void (*raise_generation)(struct sampler *sampler, pid_t tgid);
	void (*quiesce)(struct sampler *sampler);
	int (*poll_fd)(const struct sampler *sampler);
	struct shared_maps *(*shared_maps)(struct sampler *sampler);
	pid_t (*next_followed)(const struct sampler *sampler, pid_t tgid);
	size_t (*tracers)(const struct sampler *sampler, struct tracer_outcome *ret);
	void (*cost)(const struct sampler *sampler, struct sampler_cost *ret);
};

/* First member of each source's own struct. */
struct sampler {
	const struct sampler_source *source;
	struct sampler_config config;
	struct sampler_about about;
	uint64_t period;      /* of the rate in config */
	unsigned int cpu_cnt; /* sampled now */
};

extern const struct sampler_source sampler_source_bpf, sampler_source_ring;

/** sampler_init - what every source begins with; the period is of config->event */
void sampler_init(struct sampler *sampler, const struct sampler_source *source,
		  const struct sampler_config *config);

/** sampler_period_at - what one sample stands for at @freq_hz, in ns or cycles */
uint64_t sampler_period_at(const struct sampler_config *config, unsigned int freq_hz);

/** sampler_power_of_two - the smallest from @min to @max that is no less than @at_least, or @max */
uint32_t sampler_power_of_two(uint64_t at_least, uint32_t min, uint32_t max);

/** sampler_samples_in - that @cpu_cnt CPUs can take in @ns */
uint64_t sampler_samples_in(const struct sampler_config *config, unsigned int cpu_cnt, uint64_t ns);

#endif
