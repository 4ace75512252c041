/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the events of an epoch, or of a whole window, went; what they cost. */
#ifndef EBPFPROF_COLLECT_SAMPLER_TOTALS_H
#define EBPFPROF_COLLECT_SAMPLER_TOTALS_H

#include <stdint.h>

/* One window's events. due is signed in its remainder: see sampler_end_epoch(). */
struct sampler_totals {
	uint64_t period; /* what one sample of the epoch stands for; of several epochs: the longest */
	uint64_t due;	/* the events' counts / period */
	int64_t not_fired; /* due - fired: CPU idle, timer late */
	uint64_t fired, idle, filtered, counted;
	uint64_t lost_full, lost_busy;
	/* not in the sum: */
	uint64_t counts_full, body_ring_full, raw_refused, follow_full;
	uint64_t throttled; /* times that the kernel paused an event of the ring's */
	uint64_t outside; /* of filtered: they ran outside of our pid namespace */
};

/* What sampling has cost so far. */
struct sampler_cost {
	uint64_t map_bytes;
	uint64_t bpf_ns, bpf_runs; /* of sample_cpu; 0 without measure_bpf */
};

#endif
