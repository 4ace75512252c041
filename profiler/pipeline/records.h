/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's records of processes and mappings, applied in their order to who needs them: the
 * symbolizer, the sampler's generations, and what the kernel's walk is to know.
 */
#ifndef EBPFPROF_PIPELINE_RECORDS_H
#define EBPFPROF_PIPELINE_RECORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "profiler/base/hashmap.h"

struct errmsg;
struct sampler;
struct session_config;
struct sideband;
struct symbolizer;
struct unwinding;

struct records {
	struct sideband *sideband;
	struct symbolizer *symbolizer; /* borrowed, as are the next two */
	struct sampler *sampler;
	struct unwinding *unwinding;
	struct hashmap exited; /* pid_t -> nothing: leaders that have exited, perhaps not the last */
	uint64_t lost, refused; /* since the caller cleared them */
	bool programs_started;	/* the same */
	bool rescan_wanted;
	uint64_t next_rescan_ns;
};

/** records_open - begin to collect them, then scan /proc: no process falls between the two */
int records_open(struct records *records, const struct session_config *config,
		 struct symbolizer *symbolizer, struct sampler *sampler,
		 struct unwinding *unwinding, struct errmsg *err);
void records_close(struct records *records);

/**
 * records_apply - all up to now; then the kernel's walk knows the processes that they told of
 * Errors: -ENOMEM.
 */
int records_apply(struct records *records);

/** records_forget_exited - those whose leader exited: gone for good, or does a thread run on? */
void records_forget_exited(struct records *records, uint64_t now_ns);

#endif
