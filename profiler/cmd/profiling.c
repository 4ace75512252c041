/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/cmd/profiling.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "profiler/base/capabilities.h"
#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "profiler/base/err.h"
#include "profiler/cmd/command.h"
#include "profiler/cmd/host_check.h"
#include "profiler/cmd/privileges.h"
#include "profiler/cmd/target_opts.h"

#define UNWIND_BYTES_MIN (16u << 20)
#define FIELD(name) offsetof(struct profiling, name)

static int opt_pids(void *config, const char *value, struct errmsg *err)
{
	return targets_add_pids(&((struct profiling *)config)->targets, value, false, err);
}

static int opt_tids(void *config, const char *value, struct errmsg *err)
{
	return targets_add_pids(&((struct profiling *)config)->targets, value, true, err);
}

static int opt_comm(void *config, const char *value, struct errmsg *err)
{
	return targets_add_comm(&((struct profiling *)config)->targets, value, err);
}

static int opt_cgroup(void *config, const char *value, struct errmsg *err)
{
	return targets_add_cgroup(&((struct profiling *)config)->targets, value, err);
}

/* "1", "0.5", "1%" */
static int opt_max_overhead(void *config, const char *value, struct errmsg *err)
{
	char *end;
	double percent = strtod(value, &end);

	if (end == value || (strcmp(end, "") != 0 && strcmp(end, "%") != 0) ||
	    !(percent >= 0.01 && percent <= 100))
		return err_say(err, -EINVAL, "--max-overhead '%s': not a percentage from 0.01 to 100",
			       value);
	((struct profiling *)config)->max_overhead = percent;
	return 0;
}

const struct opt profiling_opts[] = {
	{ OPT_SET, 'a', "all", NULL, "the whole machine: the default, other targets\nnarrow it", FIELD(all) },
	{ OPT_CALL, 'p', "pid", "PID[,PID]", "these processes and the children they fork",
	  .call = opt_pids },
	{ OPT_CALL, 't', "tid", "TID[,TID]", "these threads", .call = opt_tids },
	{ OPT_CALL, 'c', "comm", "NAME", "processes of this name; repeatable", .call = opt_comm },
	{ OPT_CALL, 0, "cgroup", "PATH", "a cgroup v2 directory and those below; repeatable",
	  .call = opt_cgroup },
	{ OPT_SECONDS, 'd', "duration", "SEC", "how long, fractions allowed",
	  FIELD(duration_ns) },
	{ OPT_COUNT, 'F', "freq", "HZ", "samples per second and CPU (99)", FIELD(freq_hz), 1,
	  10000 },
	{ OPT_CALL, 0, "max-overhead", "PCT",
	  "lower the rate when our own cost is more than\nPCT percent of the host's CPUs",
	  .call = opt_max_overhead },
	{ OPT_TEXT, 'e', "event", "EVENT", "cpu (the default), or cycles of a hardware PMU",
	  FIELD(event) },
	{ OPT_SET, 0, "user", NULL, "user frames only; no sample is dropped", FIELD(user_only) },
	{ OPT_SET, 0, "kernel", NULL, "kernel frames only; no sample is dropped",
	  FIELD(kernel_only) },
	{ OPT_SET, 0, "idle", NULL, "count the idle task too", FIELD(with_idle) },
	{ OPT_SET, 0, "no-follow", NULL, "not the children of -p and of the command",
	  FIELD(no_follow) },
	{ OPT_TEXT, 0, "unwind", "HOW",
	  "auto (the default): by unwind tables, by frame\npointer where there are none; fp or table: by\none of them alone",
	  FIELD(unwind) },
	{ OPT_TEXT, 0, "source", "HOW",
	  "auto (the default): by BPF, and where it cannot\nbe loaded by perf events alone, with frame\npointers only; bpf or ring: by one of them",
	  FIELD(source) },
	{ OPT_TEXT, 0, "tier", "TIER",
	  "hook into the kernel by tp_btf, raw_tp or kprobe\nonly; without it by the best that works",
	  FIELD(tier) },
	{ OPT_BYTES, 0, "unwind-memory", "BYTES", "kernel memory for unwind tables (64M)",
	  FIELD(unwind_bytes) },
	NAMING_OPTS(FIELD(naming)),
	{ OPT_SET, 0, "jvm-perfmap", NULL,
	  "ask the JVMs among the targets (HotSpot 17 and\nnewer) to write their perf-map, as jcmd does",
	  FIELD(jvm_perfmap) },
	{ OPT_SECONDS, 0, "flush", "SEC", "how often the kernel's counts are drained (10)",
	  FIELD(flush_ns) },
	{ OPT_COUNT, 0, "map-entries", "N", "distinct samples the kernel holds per flush",
	  FIELD(map_entries), 64, 1u << 22 },
	{ OPT_BYTES, 0, "ring-size", "BYTES", "ring buffer for stacks: a power of two",
	  FIELD(ring_bytes) },
	{ OPT_BYTES, 0, "sideband-size", "BYTES", "ring per CPU for process records",
	  FIELD(sideband_bytes) },
	{ OPT_BYTES, 0, "profile-memory", "BYTES",
	  "beyond this new samples lose their pid\nand tid labels (256M)", FIELD(profile_bytes) },
	{ OPT_SET, 0, "stats", NULL,
	  "measure the BPF programs' run time; it taxes\nevery BPF program of the host",
	  FIELD(stats) },
	{ OPT_SET, 0, "force", NULL, "run even on a kernel that may freeze meanwhile",
	  FIELD(force) },
	{ OPT_SET, 0, "no-sandbox", NULL,
	  "keep all privileges, allow all system calls\n(to find out whether their loss is a problem)",
	  FIELD(no_sandbox) },
	{ OPT_SET, 'q', "quiet", NULL, "no progress and no summary", FIELD(quiet) },
	{ OPT_END },
};

void profiling_init(struct profiling *profiling)
{
	*profiling = (struct profiling){
		.freq_hz = 99, .flush_ns = 10 * NS_PER_SEC, .event = "cpu", .unwind = "auto",
		.source = "auto",
	};
}

void profiling_free(struct profiling *profiling)
{
	targets_free(&profiling->targets);
}

static bool is_power_of_two(size_t n)
{
	return n && !(n & (n - 1));
}

static const char *const unwind_names[] = {
	[SAMPLER_UNWIND_AUTO] = "auto",
	[SAMPLER_UNWIND_FP] = "fp",
	[SAMPLER_UNWIND_TABLE] = "table",
};

static const char *const source_names[] = {
	[SAMPLER_BY_AUTO] = "auto",
	[SAMPLER_BY_BPF] = "bpf",
	[SAMPLER_BY_RING] = "ring",
};

/* The index of @name in @names, or -EINVAL */
static int find_name(const char *name, const char *const *names, size_t cnt)
{
	size_t i;

	for (i = 0; i < cnt; i++)
		if (strcmp(name, names[i]) == 0)
			return (int)i;
	return -EINVAL;
}

/* enum sampler_unwind, or -EINVAL */
static int find_unwind(const char *name)
{
	return find_name(name, unwind_names, ARRAY_SIZE(unwind_names));
}

/* enum sampler_by, or -EINVAL */
static int find_source(const char *name)
{
	return find_name(name, source_names, ARRAY_SIZE(source_names));
}

static int check_options(const struct profiling *profiling, const struct opt_rest *rest,
			 struct errmsg *err)
{
	if (profiling->user_only && profiling->kernel_only)
		return err_say(err, -EINVAL, "--user and --kernel exclude each other: without "
					     "either, both kinds of frames are kept");
	if (strcmp(profiling->event, "cpu") != 0 && strcmp(profiling->event, "cycles") != 0)
		return err_say(err, -EINVAL, "--event '%s': not one of cpu, cycles",
			       profiling->event);
	if (find_unwind(profiling->unwind) < 0)
		return err_say(err, -EINVAL, "--unwind '%s': not one of auto, fp, table",
			       profiling->unwind);
	if (find_source(profiling->source) < 0)
		return err_say(err, -EINVAL, "--source '%s': not one of auto, bpf, ring",
			       profiling->source);
	if (profiling->tier && tier_by_name(profiling->tier) == TIER_NONE)
		return err_say(err, -EINVAL, "--tier '%s': not one of tp_btf, raw_tp, kprobe",
			       profiling->tier);
	if (profiling->unwind_bytes && profiling->unwind_bytes < UNWIND_BYTES_MIN)
		return err_say(err, -EINVAL, "--unwind-memory: less than 16M has no room for "
					     "tables beside what they are found by");
	if (profiling->ring_bytes &&
	    (!is_power_of_two(profiling->ring_bytes) || profiling->ring_bytes < 4096 ||
	     profiling->ring_bytes > 1u << 30))
		return err_say(err, -EINVAL, "--ring-size: not a power of two from 4K to 1G");
	if (profiling->sideband_bytes &&
	    (!is_power_of_two(profiling->sideband_bytes) || profiling->sideband_bytes < 4096 ||
	     profiling->sideband_bytes > 64u << 20))
		return err_say(err, -EINVAL, "--sideband-size: not a power of two from 4K to 64M");
	if (rest->after_dashes && !rest->cnt)
		return err_say(err, -EINVAL, "no command behind --");
	return 0;
}

static void fill_config(struct profiling *profiling, const struct opt_rest *rest,
			struct session_config *config)
{
	profiling->targets.by_command = rest->cnt > 0;
	profiling->targets.follow = !profiling->no_follow;
	*config = (struct session_config){
		.sampler = {
			.by = (enum sampler_by)find_source(profiling->source),
			.event = strcmp(profiling->event, "cycles") == 0 ? SAMPLER_CYCLES :
									   SAMPLER_CPU_CLOCK,
			.unwind = (enum sampler_unwind)find_unwind(profiling->unwind),
			.tier = profiling->tier ? tier_by_name(profiling->tier) : TIER_NONE,
			.freq_hz = profiling->freq_hz,
			.flush_ns = profiling->flush_ns,
			.with_user = !profiling->kernel_only,
			.with_kernel = !profiling->user_only,
			.with_idle = profiling->with_idle,
			.measure_bpf = profiling->stats,
			.ring_bytes = profiling->ring_bytes,
			.counts_entries = profiling->map_entries,
		},
		.sampling = profiling_sampling,
		.max_overhead = profiling->max_overhead,
		.targets = &profiling->targets,
		.command = rest->cnt ? rest->words : NULL,
		.duration_ns = profiling->duration_ns,
		.profile_bytes_max = profiling->profile_bytes,
		.sideband_ring_bytes = profiling->sideband_bytes,
		.unwind_bytes_max = profiling->unwind_bytes,
	};
	naming_config(&profiling->naming, &config->symbolizer);
	config->symbolizer.jvm_perfmap = profiling->jvm_perfmap;
}

int profiling_prepare(struct profiling *profiling, const char *command,
		      const struct opt_rest *rest, struct session_config *config)
{
	struct errmsg err = {};

	if (check_options(profiling, rest, &err))
		return usage_error(command, &err);
	if (host_check_before_profiling(profiling->force,
					(enum sampler_by)find_source(profiling->source), &err))
		return failure(&err);
	if (capabilities_effective(&profiling->held) < 0)
		profiling->held = UINT64_MAX; /* not known to lack any */
	if (targets_check(&profiling->targets, &err))
		return failure(&err);
	fill_config(profiling, rest, config);
	if (!profiling->quiet && isatty(STDERR_FILENO))
		config->progress = profiling_progress;
	return 0;
}

void profiling_restrict(const struct profiling *profiling, const char *output, bool with_command)
{
	const struct privileges privileges = {
		.output = output,
		.with_command = with_command,
		.jvm_perfmap = profiling->jvm_perfmap,
		.debuginfod = !profiling->naming.no_lines,
	};

	if (!profiling->no_sandbox)
		privileges_drop(&privileges);
}

void profiling_sampling(void *context, const struct sampler_about *about)
{
	(void)context;
	if (about->by == SAMPLER_BY_RING && about->why[0])
		fprintf(stderr, "ebpfprof: warning: sampling without BPF: %s; frame pointers "
				"only%s%s\n",
			about->why, about->sees_kernel ? "" : ", no time in the kernel",
			about->system_wide ? "" : ", own processes only");
}

void profiling_progress(void *context, double seconds, uint64_t samples, uint64_t processes)
{
	(void)context;
	fprintf(stderr, "\r%6.0f s  %" PRIu64 " samples  %" PRIu64 " processes \033[K", seconds,
		samples, processes);
}

void profiling_progress_end(void)
{
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
}

int profiling_status(const struct session_config *config, const struct session_result *result)
{
	if (!config->command || result->end == SESSION_END_DURATION)
		return EXIT_DONE;
	if (result->command_status >= 0)
		return result->command_status;
	return result->signal ? 128 + result->signal : EXIT_DONE;
}
