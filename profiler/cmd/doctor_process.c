/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/cmd/doctor_process.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "profiler/base/clock.h"
#include "profiler/base/err.h"
#include "profiler/base/options.h"
#include "profiler/cmd/command.h"
#include "profiler/cmd/naming_report.h"
#include "profiler/cmd/profiling.h"
#include "profiler/cmd/target_opts.h"
#include "proto/profile.h"
#include "symbolizer/naming_advice.h"
#include "symbolizer/symbolizer_source.h"

#define SECONDS 3

static int drop_window(void *context, struct profile *profile, const struct window_report *report,
		       struct errmsg *err)
{
	(void)context;
	(void)report;
	(void)err;
	profile_free(profile);
	return 0;
}

static void print_file(void *context, const char *path, const struct symbolizer_source *source)
{
	char advice[300] = "";

	*(bool *)context = true;
	if (source->is_poor && !source->is_unreadable)
		naming_advice_file("", path, source->build_id, advice, sizeof(advice));
	printf("  %-48s %s%s%s\n", path, source->names_from, advice[0] ? "; " : "", advice);
}

/* All that it maps, sampled or not. */
static int print_files(pid_t tgid, struct errmsg *err)
{
	struct symbolizer_config config = { .demangle = true, .with_lines = true, .with_cache = true };
	struct symbolizer *symbolizer;
	struct process *process = NULL;
	uint64_t now_ns = monotonic_ns();
	bool has_files = false;
	int r = symbolizer_new(&config, &symbolizer, err);

	if (r < 0)
		return r;
	r = symbolizer_scan_one(symbolizer, tgid, now_ns);
	if (r == 0)
		process = symbolizer_process(symbolizer, tgid, now_ns);
	if (process) {
		printf("executable files that it maps, and where their names come from:\n");
		symbolizer_visit_files(symbolizer, process, print_file, &has_files);
		if (!has_files)
			printf("  none: a thread of the kernel, or code made at run time only\n");
	}
	symbolizer_free(symbolizer);
	return process ? 0 :
			 err_set(err, r ? r : -ESRCH, "cannot read the mappings of process %d",
				 tgid);
}

static int sample(pid_t tgid, struct errmsg *err)
{
	struct profiling profiling;
	struct session_config config;
	struct session_result result;
	struct opt_rest rest = {};
	char pid[16];
	int r;

	profiling_init(&profiling);
	snprintf(pid, sizeof(pid), "%d", tgid);
	r = targets_add_pids(&profiling.targets, pid, false, err);
	profiling.duration_ns = SECONDS * NS_PER_SEC;
	profiling.quiet = true;
	if (r == 0)
		r = profiling_prepare(&profiling, "doctor", &rest, &config);
	if (r == 0) {
		config.window = drop_window;
		r = session_run(&config, &result, err);
		if (r == 0 && result.total.totals.counted) {
			printf("%" PRIu64 " samples in %d s, by the file that they lie in:\n",
			       result.total.totals.counted, SECONDS);
			naming_report(stdout, "  ", &result.binaries);
		} else if (r == 0) {
			printf("it used no CPU in %d s: no samples\n", SECONDS);
		}
		binaries_free(&result.binaries);
	}
	profiling_free(&profiling);
	return r;
}

int doctor_process(pid_t tgid)
{
	struct errmsg err = {};
	int r = sample(tgid, &err);

	if (r > 0)
		return r;
	if (r == 0)
		r = print_files(tgid, &err);
	return r < 0 ? failure(&err) : EXIT_DONE;
}
