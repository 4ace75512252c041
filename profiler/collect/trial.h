/* SPDX-License-Identifier: BSD-2-Clause */
/* Every BPF object of ours loaded and attached once, to know what this kernel takes. */
#ifndef EBPFPROF_COLLECT_TRIAL_H
#define EBPFPROF_COLLECT_TRIAL_H

#include <stddef.h>

#include "profiler/collect/tracer.h"

struct errmsg;

struct trial {
	struct tracer_outcome outcomes[TRACERS_MAX];
	size_t outcome_cnt;
};

/**
 * trial_run - load all, note what became of each, let go of all
 *
 * Nothing is sampled meanwhile.  Errors: the sampler or the maps were refused, with the reason in @err;
 * a refused tracer is none, it stands in @ret.
 */
int trial_run(struct trial *ret, struct errmsg *err);

#endif
