/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What `record` and `folded` share: options that choose targets and sampling, the checks before a
 * session, and its words on stderr.
 */
#ifndef EBPFPROF_CMD_PROFILING_H
#define EBPFPROF_CMD_PROFILING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "profiler/base/options.h"
#include "profiler/cmd/naming_opts.h"
#include "profiler/collect/targets.h"
#include "profiler/pipeline/hot.h"
#include "profiler/pipeline/session.h"

struct errmsg;
struct profile;

struct profiling {
	bool all, quiet, user_only, kernel_only, with_idle, no_follow, jvm_perfmap, force, stats;
	bool no_sandbox;
	struct naming_opts naming;
	unsigned int freq_hz;
	double max_overhead; /* percent; 0 = any */
	uint64_t duration_ns, flush_ns;
	const char *event, *unwind, *source, *tier;
	unsigned int map_entries;
	size_t ring_bytes, profile_bytes, sideband_bytes, unwind_bytes;
	struct targets targets;
	uint64_t held; /* capabilities, before any is given up */
};

extern const struct opt profiling_opts[];

void profiling_init(struct profiling *profiling);
void profiling_free(struct profiling *profiling);

/**
 * profiling_prepare - check the options and the host, fill @config
 * @rest: the command to run, if any
 *
 * Returns 0, or the exit status of the program after saying why.
 */
int profiling_prepare(struct profiling *profiling, const char *command,
		      const struct opt_rest *rest, struct session_config *config);

/**
 * profiling_restrict - a session_config.restrict_self, unless there is --no-sandbox
 * @output: the file that will be written; NULL or "-": stdout
 */
void profiling_restrict(const struct profiling *profiling, const char *output, bool with_command);

/** profiling_sampling - a session_config.sampling: warns where samples are not taken by BPF */
void profiling_sampling(void *context, const struct sampler_about *about);

/** profiling_progress - a session_config.progress for a terminal */
void profiling_progress(void *context, double seconds, uint64_t samples, uint64_t processes);

/** profiling_progress_end - clear the line that profiling_progress() wrote */
void profiling_progress_end(void);

/** profiling_summary - what was seen, lost and spent, on stderr */
void profiling_summary(const struct profiling *profiling, const struct session_result *result,
		       const struct hot_list *hot);

/** profiling_status - exit status after a session that worked */
int profiling_status(const struct session_config *config, const struct session_result *result);

#endif
