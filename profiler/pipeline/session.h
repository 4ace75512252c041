/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One profiling session: sample, name, label, and hand finished profiles to a sink.
 *
 * The only long loop of the program.  Every DRAIN_NS the rings are drained and new stacks are
 * named (while their processes and files are likely to be there still); every flush_ns the idle
 * bank of counts is joined with them into the profile; every every_ns, and at the end, the
 * profile goes to the sink.
 */
#ifndef EBPFPROF_PIPELINE_SESSION_H
#define EBPFPROF_PIPELINE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "profiler/collect/sampler.h"
#include "profiler/collect/targets.h"
#include "profiler/collect/tracer.h"
#include "profiler/pipeline/binaries.h"
#include "profiler/pipeline/governor.h"
#include "profiler/pipeline/report.h"
#include "profiler/pipeline/unwinding.h"
#include "symbolizer/symbolizer.h"

struct errmsg;
struct profile;

enum session_end {
	SESSION_END_DURATION,
	SESSION_END_TARGET, /* the last target has gone */
	SESSION_END_COMMAND,
	SESSION_END_SIGNAL,
};

#define SESSION_REFUSALS_MAX 4 /* that are told in full */

struct session_result {
	enum session_end end;
	int signal;	    /* of SESSION_END_SIGNAL */
	int command_status; /* as a shell has it: 0-255, 128 + signal; -1 = none or still running */
	struct window_report total; /* over all windows */
	struct sampler_cost cost;
	struct tracer_outcome tracers[TRACERS_MAX]; /* [tracer_cnt] */
	size_t tracer_cnt;
	struct sampler_about about;
	struct unwinding_stats unwinding; /* all 0 without BPF */
	struct governor governor;
	uint64_t own_cpu_ns;
	uint64_t peak_rss_bytes;
	unsigned int cpu_cnt;
	uint64_t period;
	uint64_t perfmap_skipped; /* lines of perf-maps: no symbol, or beyond the limit */
	struct symbolizer_refusal refusals[SESSION_REFUSALS_MAX]; /* [min(refusal_cnt, MAX)] */
	size_t refusal_cnt; /* JVMs that gave no perf-map */
	bool kernel_hidden; /* kernel addresses have no names: kptr_restrict */
	struct binaries binaries; /* the caller's: binaries_free() */
};

struct session_config {
	struct sampler_config sampler;
	double max_overhead; /* percent of the host's CPUs; 0 = any: the rate stays as it is */
	struct symbolizer_config symbolizer;
	struct targets *targets; /* borrowed */
	char **command;		 /* argv, NULL = none */
	bool command_stdout_to_stderr;
	uint64_t duration_ns; /* 0 = until a signal, the targets' or the command's end */
	uint64_t every_ns;    /* 0 = one profile */
	size_t profile_bytes_max; /* then samples lose pid and tid labels; 0 = 256 MiB */
	size_t sideband_ring_bytes; /* per CPU; 0 = 256 KiB */
	uint64_t unwind_bytes_max;  /* kernel memory for unwind tables; 0 = 64 MiB */

	/*
	 * A finished profile, now owned by the callee.  Non-zero ends the session with that error
	 * and what the callee put into @err.
	 */
	int (*window)(void *context, struct profile *profile, const struct window_report *report,
		      struct errmsg *err);
	/* About once a second. May be NULL. */
	void (*progress)(void *context, double seconds, uint64_t samples, uint64_t processes);
	/*
	 * What needs most privileges is done: the BPF programs are loaded, the command waits in a
	 * process of its own. There is one thread so far, and no other process was looked at.
	 * Here the program gives up what it needs no longer. May be NULL.
	 */
	void (*restrict_self)(void *context);
	/* How samples will be taken. May be NULL. */
	void (*sampling)(void *context, const struct sampler_about *about);
	/* Sampling has begun. May be NULL. */
	void (*started)(void *context);
	void *context;
};

/**
 * session_run - profile until the end that @config says
 *
 * Takes SIGINT, SIGTERM and SIGCHLD for itself meanwhile.  After the first of SIGINT and SIGTERM
 * they have their default action again, so that a second one ends the program.
 * Errors: -errno with @err; a command that cannot be run: -ENOENT, -EACCES with
 * ret->command_status 127, 126.
 */
int session_run(const struct session_config *config, struct session_result *ret,
		struct errmsg *err);

#endif
