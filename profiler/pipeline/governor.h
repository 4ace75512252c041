/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Holds our own cost below a share of the host: `--max-overhead`.
 *
 * After each epoch it is told what that one has cost and answers with the rate of the next.  The rate
 * falls in proportion, at once, and rises again slowly, never beyond what was asked for.
 */
#ifndef EBPFPROF_PIPELINE_GOVERNOR_H
#define EBPFPROF_PIPELINE_GOVERNOR_H

#include <stdint.h>

struct governor {
	double max_percent;   /* of all CPUs together; 0 = no limit */
	unsigned int wanted_hz; /* per CPU */
	unsigned int hz;
	unsigned int lowest_hz; /* so far */
	double worst_percent;	/* of an epoch, so far */
	unsigned int epochs_below; /* since the last change, in a row */
};

/* What one epoch has cost. */
struct governor_epoch {
	uint64_t elapsed_ns;
	unsigned int cpu_cnt;
	uint64_t own_cpu_ns; /* of this process, all threads */
	uint64_t bpf_ns;     /* of our BPF programs; 0 where it is not measured */
	uint64_t refused;    /* what found a ring or a map full */
};

void governor_init(struct governor *governor, double max_percent, unsigned int wanted_hz);

/** governor_next - the rate for the next epoch, from 1 to wanted_hz */
unsigned int governor_next(struct governor *governor, const struct governor_epoch *epoch);

/** governor_percent - the cost of @epoch in percent of the host's CPUs */
double governor_percent(const struct governor_epoch *epoch);

#endif
