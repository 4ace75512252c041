/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/pipeline/report.h"

#include "profiler/base/cleanup.h"

static void add_totals(struct sampler_totals *sum, const struct sampler_totals *more)
{
	sum->period = MAX(sum->period, more->period);
	sum->due += more->due;
	sum->not_fired += more->not_fired;
	sum->fired += more->fired;
	sum->idle += more->idle;
	sum->filtered += more->filtered;
	sum->counted += more->counted;
	sum->lost_full += more->lost_full;
	sum->lost_busy += more->lost_busy;
	sum->counts_full += more->counts_full;
	sum->body_ring_full += more->body_ring_full;
	sum->raw_refused += more->raw_refused;
	sum->follow_full += more->follow_full;
	sum->throttled += more->throttled;
	sum->outside += more->outside;
}

void window_report_add(struct window_report *sum, const struct window_report *more)
{
	add_totals(&sum->totals, &more->totals);
	sum->quality.user += more->quality.user;
	sum->quality.complete += more->quality.complete;
	sum->quality.frames += more->quality.frames;
	sum->quality.named += more->quality.named;
	sum->processes += more->processes;
	sum->stacks += more->stacks;
	sum->without_stack += more->without_stack;
	sum->without_names += more->without_names;
	sum->without_labels += more->without_labels;
	sum->sideband_lost += more->sideband_lost;
	sum->sideband_refused += more->sideband_refused;
	sum->duration_ns += more->duration_ns;
	if (!sum->start_ns)
		sum->start_ns = more->start_ns;
	sum->end_ns = more->end_ns;
}

void window_report_add_totals(struct window_report *sum, const struct sampler_totals *more)
{
	add_totals(&sum->totals, more);
}
