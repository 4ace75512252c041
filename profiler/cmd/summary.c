/* SPDX-License-Identifier: BSD-2-Clause */
/* The words at the end of a session: what was seen, what was lost and why, what it cost. */
#include <inttypes.h>
#include <stdio.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "profiler/cmd/naming_report.h"
#include "profiler/cmd/privileges.h"
#include "profiler/cmd/profiling.h"

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0.0;
}

static void print_samples(const struct window_report *report, const struct sampler_about *about)
{
	const struct sampler_totals *totals = &report->totals;

	fprintf(stderr,
		"  samples    %" PRIu64 " due = %" PRIu64 " fired + %" PRId64 " not fired (%s)\n",
		totals->due, totals->fired, totals->not_fired,
		about->system_wide ? "CPU idle, timer late" :
		about->sees_kernel ? "shorter than a period" :
				     "in the kernel, or shorter than a period");
	fprintf(stderr,
		"             %" PRIu64 " fired = %" PRIu64 " counted + %" PRIu64 " idle + %" PRIu64
		" filtered + %" PRIu64 " lost\n",
		totals->fired, totals->counted, totals->idle, totals->filtered,
		totals->lost_full + totals->lost_busy);
}

static void print_loss(const char *what, uint64_t cnt, const char *advice)
{
	if (cnt)
		fprintf(stderr, "  WARNING    %" PRIu64 " %s; %s\n", cnt, what, advice);
}

static void print_losses(const struct window_report *report)
{
	const struct sampler_totals *totals = &report->totals;

	print_loss("samples lost: counts and ring full", totals->lost_full,
		   "raise --map-entries and --ring-size");
	print_loss("samples lost: counts busy and ring full", totals->lost_busy,
		   "raise --ring-size");
	print_loss("samples without their stack: ring full", report->without_stack,
		   "raise --ring-size");
	print_loss("samples without process name: ring full", report->without_names,
		   "raise --ring-size");
	print_loss("samples without pid and tid: profile at its limit", report->without_labels,
		   "raise --profile-memory or use --every");
	print_loss("children not followed: table full", totals->follow_full,
		   "profile a --cgroup instead");
	print_loss("times the kernel paused sampling for its cost", totals->throttled,
		   "lower -F; see kernel.perf_event_max_sample_rate");
	print_loss("records of new processes lost", report->sideband_lost,
		   "raise --sideband-size");
	print_loss("records of new processes refused: too many processes or mappings",
		   report->sideband_refused, "some frames have no names");
}

static void print_stacks(const struct window_report *report, const struct hot_list *hot)
{
	const struct stack_quality *quality = &report->quality;
	size_t i;

	fprintf(stderr, "  processes  %" PRIu64 "   distinct stacks %" PRIu64 "\n",
		report->processes, report->stacks);
	if (quality->user)
		fprintf(stderr,
			"  user       %.1f %% of stacks walked to their end, %.1f %% of frames "
			"named\n",
			percent(quality->complete, quality->user),
			percent(quality->named, quality->frames));
	if (hot->samples != report->totals.counted)
		fputs("  of the last file:\n", stderr);
	for (i = 0; i < hot->note_cnt; i++)
		fprintf(stderr, "             %5.1f %%  %s\n",
			percent(hot->notes[i].samples, hot->user_samples), hot->notes[i].name);
	for (i = 0; i < hot->function_cnt; i++)
		fprintf(stderr, "  %s   %5.1f %%  %s\n", i ? "       " : "hottest",
			percent(hot->functions[i].samples, hot->samples), hot->functions[i].name);
}

static void print_governor(const struct governor *governor)
{
	if (governor->max_percent <= 0)
		return;
	fprintf(stderr, "  governor   %.2f %% of the host at most in an epoch, limit %.2f %%: ",
		governor->worst_percent, governor->max_percent);
	if (governor->lowest_hz < governor->wanted_hz)
		fprintf(stderr, "rate lowered to %u Hz, %u at the end; each sample has its own weight\n",
			governor->lowest_hz, governor->hz);
	else
		fprintf(stderr, "rate kept at %u Hz\n", governor->hz);
}

static void print_cost(const struct session_result *result)
{
	double seconds = (double)result->total.duration_ns / NS_PER_SEC;
	double cpu = (double)result->own_cpu_ns / NS_PER_SEC;

	fprintf(stderr, "  cost       %.2f s CPU (%.2f %% of a core), %" PRIu64
		" MiB RSS, %.1f MiB %s", cpu, seconds > 0 ? 100 * cpu / seconds : 0,
		result->peak_rss_bytes >> 20, (double)result->cost.map_bytes / (1 << 20),
		result->about.by == SAMPLER_BY_RING ? "rings" : "BPF maps");
	if (result->cost.bpf_runs)
		fprintf(stderr, ", BPF %.2f us a sample",
			(double)result->cost.bpf_ns / 1000 / (double)result->cost.bpf_runs);
	fputc('\n', stderr);
}

/* What the walks go by, and what it takes. */
static void print_unwinding(const struct session_result *result)
{
	const struct unwinding_stats *stats = &result->unwinding;

	fprintf(stderr,
		"  unwinding  %u tables, %" PRIu64 " rows in %.1f of %.0f MiB for %u processes; %" PRIu64
		" stacks unwound here\n",
		stats->tables, stats->rows, (double)stats->kernel_bytes / (1 << 20),
		(double)stats->kernel_bytes_max / (1 << 20), stats->processes, stats->raw);
	if (stats->evicted)
		fprintf(stderr, "  NOTE       %" PRIu64 " unwind tables made room for others\n",
			stats->evicted);
	if (stats->expression_cfa + stats->expression_return_address +
	    stats->expression_register + stats->corrupt)
		fprintf(stderr,
			"  NOTE       of %" PRIu64 " rows of new tables not followed: CFA %u, return "
			"address %u,\n             a register's place %u; contradicting functions %u\n",
			stats->made_rows, stats->expression_cfa, stats->expression_return_address,
			stats->expression_register, stats->corrupt);
	print_loss("unwind tables found no room", stats->refused, "raise --unwind-memory");
	print_loss("stacks could not wait for their tables", stats->raw_dropped,
		   "they have no frames; they came too fast");
	print_loss("rows of unwind tables without their rule", stats->rules_refused,
		   "stacks end there; there are too many different ones");
	print_loss("processes had no room in the unwind maps for a while", stats->processes_refused,
		   "their stacks were unwound here, at a higher cost");
	print_loss("stacks ended at their leaf: no room for their copy", result->total.totals.raw_refused,
		   "raise --ring-size");
}

/* What samples without BPF do not show. */
static void print_source(const struct session_result *result)
{
	const struct sampler_totals *totals = &result->total.totals;
	const struct sampler_about *about = &result->about;

	if (about->by != SAMPLER_BY_RING)
		return;
	fprintf(stderr, "  unwinding  frame pointers only: the kernel's own call chains\n");
	fprintf(stderr, "  NOTE       sampling without BPF: %s\n",
		about->why[0] ? about->why : "as --source asked");
	if (!about->sees_kernel)
		fprintf(stderr, "  NOTE       time in the kernel is not seen: it is among the samples "
				"not fired\n");
	/* Each thread's event begins with a whole period of its own. */
	if (!about->system_wide && totals->not_fired * 10 > (int64_t)totals->due)
		fprintf(stderr, "  NOTE       programs and threads that live shorter than a sampling "
				"period are missed:\n             raise -F\n");
	if (about->scope[0])
		fprintf(stderr, "  NOTE       %s\n", about->scope);
}

/* How many kinds of targets were given: they are AND-ed. */
static int target_kinds(const struct targets *targets)
{
	return (targets->pid_cnt != 0) + (targets->tid_cnt != 0) + (targets->comm_cnt != 0) +
	       (targets->cgroup_cnt != 0) + targets->by_command;
}

static void print_empty(const struct session_result *result, const struct targets *targets)
{
	const struct sampler_totals *totals = &result->total.totals;
	const char *why = "every CPU was idle";

	if (target_kinds(targets) > 1)
		why = "nothing that ran met all the targets: different options are AND-ed";
	else if (targets->comm_cnt)
		why = "no process of this name used CPU; names have 15 bytes: ps -eo comm";
	else if (result->end == SESSION_END_TARGET || result->end == SESSION_END_COMMAND)
		why = "the target ended before a sample met it: raise -F, or start it under record";
	else if (target_kinds(targets) && totals->due)
		why = "the target used no CPU meanwhile (asleep, or waiting for I/O)";
	else if (!totals->due)
		why = "the window was shorter than one sampling period: raise -d or -F";
	fprintf(stderr, "  NO SAMPLES %s\n", why);
}

/* Tracers that do not run cost their part, which is said; what they would be good for stays. */
static void print_tracers(const struct session_result *result)
{
	size_t i;

	for (i = 0; i < result->tracer_cnt; i++) {
		const struct tracer_outcome *tracer = &result->tracers[i];

		if (tracer->tier == TIER_NONE)
			fprintf(stderr, "  NOTE       tracer %s does not run: %s\n             %s\n",
				tracer->name, tracer->loss, tracer->why);
	}
}

static void print_refusals(const struct session_result *result)
{
	size_t told = MIN(result->refusal_cnt, (size_t)SESSION_REFUSALS_MAX), i;

	for (i = 0; i < told; i++)
		fprintf(stderr, "  NOTE       no perf-map of JVM %d: %s\n",
			(int)result->refusals[i].tgid, result->refusals[i].why);
	if (result->refusal_cnt > told)
		fprintf(stderr, "  NOTE       no perf-map of %zu more JVMs\n",
			result->refusal_cnt - told);
}

void profiling_summary(const struct profiling *profiling, const struct session_result *result,
		       const struct hot_list *hot)
{
	const struct window_report *report = &result->total;

	if (profiling->quiet)
		return;
	fprintf(stderr, "ebpfprof: %.1f s, %u CPU%s at %u Hz\n",
		(double)report->duration_ns / NS_PER_SEC, result->cpu_cnt,
		result->cpu_cnt == 1 ? "" : "s", profiling->freq_hz);
	print_samples(report, &result->about);
	print_losses(report);
	/* Processes and threads that were named by number are all inside. */
	if (!profiling->targets.pid_cnt && !profiling->targets.tid_cnt &&
	    !profiling->targets.by_command)
		print_loss("of the filtered samples ran outside of this pid namespace",
			   report->totals.outside,
			   "to see them start it with the host's pids: docker run --pid=host");
	if (report->totals.counted)
		print_stacks(report, hot);
	if (report->totals.counted)
		naming_report(stderr, "  ", &result->binaries);
	else
		print_empty(result, &profiling->targets);
	if (result->perfmap_skipped)
		fprintf(stderr, "  NOTE       %" PRIu64 " lines of perf-maps left out: no symbols, or "
				"beyond 16 MiB\n", result->perfmap_skipped);
	print_tracers(result);
	print_refusals(result);
	if (result->kernel_hidden)
		fprintf(stderr, "  NOTE       kernel functions have no names: kptr_restrict hides "
				"them; run as root or\n             sysctl kernel.kptr_restrict=1 "
				"and CAP_SYSLOG\n");
	/* An ordinary user's own processes need none of them. */
	if (result->about.system_wide)
		privileges_notes(stderr, profiling->held);
	print_source(result);
	if (report->quality.user && result->about.by != SAMPLER_BY_RING)
		print_unwinding(result);
	print_governor(&result->governor);
	print_cost(result);
}
