/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Samples without BPF: the kernel writes each one, with the call chain that it walked by frame
 * pointers, into rings of perf events; here they are filtered and counted.
 *
 * With CAP_PERFMON, or where kernel.perf_event_paranoid lets everybody, there is one event for each
 * CPU (or cgroup and CPU), which meets every task.  Else there is one for each thread and CPU of
 * our own processes, inherited by what they fork.  Which of the two is found by trying.
 *
 * The sampling events themselves report forks, execs, exits and renames: so those lie between the
 * samples in the order of time, and a sample is matched against the targets and named as its task
 * was at that moment.  With the records of the side-band it would be a tick late.
 *
 * Epochs are cut by time: what is stamped before the cut and counted in the ring belongs to the
 * epoch that ends.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "profiler/base/err.h"
#include "profiler/collect/host.h"
#include "profiler/collect/ring_counts.h"
#include "profiler/collect/ring_events.h"
#include "profiler/collect/ring_roots.h"
#include "profiler/collect/ring_tasks.h"
#include "profiler/collect/sampler_source.h"
#include "profiler/collect/sideband.h"
#include "profiler/collect/targets.h"

#define RING_BYTES (128u << 10) /* with the side-band's less than a user may lock by default */
#define RING_BYTES_MAX (8u << 20)
#define COUNTS_MAX 262144u
#define ADOPT_NS NS_PER_SEC

struct ring_sampler {
	struct sampler base;
	const struct targets *targets; /* borrowed */
	struct ring_events events;
	struct ring_tasks tasks;
	struct ring_roots roots;
	struct ring_counts counts;
	uint64_t due_reported;
	uint64_t next_period; /* of samples from this epoch's end on */
	pid_t command;
	bool started;
	uint64_t next_adopt_ns;
};

static struct ring_sampler *of(struct sampler *sampler)
{
	return (struct ring_sampler *)sampler;
}

static const struct ring_sampler *const_of(const struct sampler *sampler)
{
	return (const struct ring_sampler *)sampler;
}

/* ---- opening ---- */

/* What this way cannot do, said before anything is opened. */
static int check_config(const struct ring_sampler *sampler, struct errmsg *err)
{
	const struct sampler_about *about = &sampler->base.about;

	if (sampler->base.config.unwind == SAMPLER_UNWIND_TABLE)
		return err_say(err, -ENOTSUP,
			       "--unwind table: without BPF stacks are walked by "
			       "frame pointers only");
	if (sampler->targets->cgroup_cnt && !about->system_wide)
		return err_say(err, -EPERM, "--cgroup needs CAP_PERFMON: run with sudo");
	return 0;
}

static size_t ring_bytes(const struct sampler_config *config)
{
	uint64_t want = (uint64_t)RING_BYTES * MAX(config->freq_hz / 99, 1u);

	return config->ring_bytes ? config->ring_bytes :
				    sampler_power_of_two(want, RING_BYTES, RING_BYTES_MAX);
}

static int ring_open_all(struct ring_sampler *sampler, struct errmsg *err)
{
	struct sampler_config *config = &sampler->base.config;
	uint64_t samples;
	int code = ring_events_open(&sampler->events, ring_bytes(config), err);

	if (code)
		return code;
	samples = sampler_samples_in(config, (unsigned int)sampler->events.rings.cnt,
				     config->flush_ns);
	if (!config->counts_entries)
		config->counts_entries =
			sampler_power_of_two(samples, SAMPLER_COUNTS_MIN, COUNTS_MAX);
	ring_counts_init(&sampler->counts, config->counts_entries, ring_events_stack_max());
	return check_config(sampler, err);
}

static void ring_free(struct sampler *base)
{
	struct ring_sampler *sampler = of(base);

	ring_events_close(&sampler->events);
	ring_tasks_free(&sampler->tasks);
	ring_roots_free(&sampler->roots);
	ring_counts_free(&sampler->counts);
	free(sampler);
}

static int ring_open(const struct sampler_config *config, const struct targets *targets,
		     struct sampler **ret, struct errmsg *err)
{
	struct ring_sampler *sampler = calloc(1, sizeof(*sampler));
	size_t i;
	int code;

	if (!sampler)
		return err_set(err, -ENOMEM, "cannot start the sampler");
	sampler_init(&sampler->base, &sampler_source_ring, config);
	sampler->base.about.by = SAMPLER_BY_RING;
	sampler->targets = targets;
	host_raise_files(); /* a command that was forked before keeps its own limits */
	host_raise_memlock();
	ring_tasks_init(&sampler->tasks, targets);
	ring_roots_init(&sampler->roots);
	ring_counts_init(&sampler->counts, 0, 0);
	sampler->next_period = sampler->base.period;
	ring_events_init(&sampler->events, config, sampler->base.period, targets,
			 &sampler->base.about);
	code = ring_open_all(sampler, err);
	for (i = 0; i < targets->pid_cnt && !code; i++) {
		code = ring_tasks_follow(&sampler->tasks, targets->pids[i], TARGET_BY_PID);
		if (code)
			err_set(err, code, "cannot follow process %d", targets->pids[i]);
	}
	if (code) {
		ring_free(&sampler->base);
		return code;
	}
	*ret = &sampler->base;
	return 0;
}

static int ring_follow_command(struct sampler *base, pid_t tgid)
{
	struct ring_sampler *sampler = of(base);

	sampler->command = tgid;
	return ring_tasks_follow(&sampler->tasks, tgid, TARGET_BY_COMMAND);
}

/* The samples' own ring has told of forks already, and of ends. */
static int ring_forked(struct sampler *base, pid_t parent, pid_t tgid)
{
	(void)base;
	(void)parent;
	(void)tgid;
	return 0;
}

static void ring_ended(struct sampler *base, pid_t tgid)
{
	(void)base;
	(void)tgid;
}

/* A thread's event passes its period on to those that inherit it, once. */
static int ring_set_freq(struct sampler *base, unsigned int freq_hz)
{
	if (!base->about.system_wide)
		return -ENOTSUP;
	of(base)->next_period = sampler_period_at(&base->config, freq_hz);
	return 0;
}

static int ring_open_sideband(struct sampler *base, size_t ring_bytes_per_cpu,
			      struct sideband **ret, struct errmsg *err)
{
	struct ring_sampler *sampler = of(base);

	if (base->about.system_wide)
		return sideband_new(ring_bytes_per_cpu, false, ret, err);
	return sideband_new_of(sampler->targets, sampler->command, ring_bytes_per_cpu, ret, err);
}

static int ring_start(struct sampler *base, struct errmsg *err)
{
	struct ring_sampler *sampler = of(base);
	int code = ring_events_start(&sampler->events, sampler->command, err);

	if (code)
		return code;
	/* Behind the events, so that nobody who starts now falls between the two. */
	if (ring_tasks_adopt(&sampler->tasks) == -ENOMEM ||
	    ring_tasks_scan(&sampler->tasks) == -ENOMEM)
		return err_set(err, -ENOMEM, "cannot remember the host's processes");
	base->cpu_cnt = sampler->events.cpu_cnt;
	sampler->started = true;
	return 0;
}

static void ring_stop(struct sampler *base)
{
	ring_events_stop(&of(base)->events);
	of(base)->started = false;
}

static int ring_check_cpus(struct sampler *base)
{
	struct ring_sampler *sampler = of(base);
	int changed = sampler->started ? ring_events_check_cpus(&sampler->events) : 0;

	base->cpu_cnt = sampler->events.cpu_cnt;
	return changed;
}

/* ---- draining ---- */

/* Does it count, or has the thread another event whose samples do?  The CPU is the ring's. */
static bool is_accepted(struct ring_sampler *sampler, const struct ring_sample *sample)
{
	return sampler->base.about.system_wide ||
	       ring_roots_accept(&sampler->roots, (pid_t)sample->tid,
				 sampler->events.rings.taken->cpu, sample->root_id);
}

static void take_sample(struct ring_sampler *sampler, const struct perf_event_header *record)
{
	struct sampler_totals *totals = &ring_counts_bank(&sampler->counts)->totals;
	struct ring_sample sample;
	struct ring_task task;

	totals->fired++;
	if (!ring_sample_parse(record, &sample)) {
		totals->lost_full++;
		return;
	}
	/* Tasks of a pid namespace that is not ours or below have pid 0 here too. */
	if (sample.pid == 0 && sample.user_cnt) {
		totals->filtered++;
		totals->outside++;
		return;
	}
	if (sample.pid == 0 && !sampler->base.config.with_idle) {
		totals->idle++;
		return;
	}
	if (!is_accepted(sampler, &sample)) {
		totals->filtered++;
		return;
	}
	if (ring_tasks_get(&sampler->tasks, (pid_t)sample.pid, (pid_t)sample.tid, &task) != 0)
		totals->lost_full++;
	else if (!ring_tasks_match(&sampler->tasks, (pid_t)sample.tid, &task))
		totals->filtered++;
	else
		ring_counts_add(&sampler->counts, &sample, &task);
}

/* Records of other kinds that found no room are in this number too: how many is not said. */
static void take_lost(struct ring_sampler *sampler, const struct perf_event_header *record)
{
	struct sampler_totals *totals = &ring_counts_bank(&sampler->counts)->totals;
	uint64_t lost; /* header, id, lost */

	if (record->size < sizeof(*record) + 2 * sizeof(lost))
		return;
	memcpy(&lost, (const char *)record + sizeof(*record) + sizeof(lost), sizeof(lost));
	totals->fired += lost;
	totals->lost_full += lost;
	/* Forks may have been among them, and exits. */
	ring_roots_clear(&sampler->roots);
	if (sampler->next_adopt_ns < monotonic_ns()) {
		sampler->next_adopt_ns = monotonic_ns() + ADOPT_NS;
		ring_tasks_adopt(&sampler->tasks);
	}
}

static int take_task(struct ring_sampler *sampler, const struct perf_event_header *record)
{
	struct task_record task;

	if (!task_record_parse(record, &task))
		return 0;
	ring_roots_apply(&sampler->roots, &task);
	return ring_tasks_apply(&sampler->tasks, &task);
}

static int pull(struct ring_sampler *sampler, uint64_t until_ns)
{
	const struct perf_event_header *record;
	int code = 0;

	event_rings_begin(&sampler->events.rings);
	while (!code && (record = event_rings_next(&sampler->events.rings, until_ns))) {
		switch (record->type) {
		case PERF_RECORD_SAMPLE:
			take_sample(sampler, record);
			break;
		case PERF_RECORD_LOST:
			take_lost(sampler, record);
			break;
		case PERF_RECORD_THROTTLE:
			ring_counts_bank(&sampler->counts)->totals.throttled++;
			break;
		default:
			code = take_task(sampler, record);
			break;
		}
	}
	return code;
}

static int ring_end_epoch(struct sampler *base, uint32_t *ret_epoch, struct sampler_totals *ret)
{
	struct ring_sampler *sampler = of(base);
	uint64_t due, period = sampler->events.attr.sample_period;
	bool changes = sampler->next_period != period;
	int code;

	/* No sample of one period may come into the other's epoch: they stand still meanwhile. */
	if (changes)
		ring_events_stop(&sampler->events);
	due = ring_events_due(&sampler->events);
	code = pull(sampler, monotonic_ns());
	if (changes) {
		ring_events_set_period(&sampler->events, sampler->next_period);
		if (sampler->started)
			ring_events_start_again(&sampler->events);
	}
	if (code)
		return code;
	*ret_epoch = ring_counts_end_epoch(&sampler->counts, ret);
	ret->period = period;
	ret->due = due - sampler->due_reported;
	ret->not_fired = (int64_t)ret->due - (int64_t)ret->fired;
	sampler->due_reported = due;
	ring_tasks_forget_exited(&sampler->tasks);
	return 0;
}

static int ring_drain_bodies(struct sampler *base, const struct body_handler *handler)
{
	struct ring_sampler *sampler = of(base);
	int code = pull(sampler, monotonic_ns());

	return code ? code : ring_counts_drain_bodies(&sampler->counts, handler);
}

static int ring_drain_counts(struct sampler *base, uint32_t epoch,
			     int (*count)(void *context, const struct sample_key *key,
					  uint64_t value),
			     void *context)
{
	return ring_counts_drain(&of(base)->counts, epoch, count, context);
}

static uint64_t ring_counted(const struct sampler *base)
{
	return const_of(base)->counts.counted;
}

static void ring_raise_generation(struct sampler *base, pid_t tgid)
{
	of(base)->counts.generations[(uint32_t)tgid % MAP_GENERATIONS]++;
}

/* No program of ours runs in the kernel. */
static void ring_quiesce(struct sampler *base)
{
	(void)base;
}

static int ring_poll_fd(const struct sampler *base)
{
	return const_of(base)->events.rings.epoll_fd;
}

static struct shared_maps *ring_shared_maps(struct sampler *base)
{
	(void)base;
	return NULL;
}

static pid_t ring_next_followed(const struct sampler *base, pid_t tgid)
{
	return ring_tasks_next_followed(&const_of(base)->tasks, tgid);
}

static size_t ring_tracers(const struct sampler *base, struct tracer_outcome *ret)
{
	(void)base;
	(void)ret;
	return 0;
}

static void ring_cost(const struct sampler *base, struct sampler_cost *ret)
{
	*ret = (struct sampler_cost){
		.map_bytes = event_rings_map_bytes(&const_of(base)->events.rings),
	};
}

const struct sampler_source sampler_source_ring = {
	.open = ring_open,
	.free = ring_free,
	.follow_command = ring_follow_command,
	.forked = ring_forked,
	.ended = ring_ended,
	.set_freq = ring_set_freq,
	.open_sideband = ring_open_sideband,
	.start = ring_start,
	.stop = ring_stop,
	.check_cpus = ring_check_cpus,
	.end_epoch = ring_end_epoch,
	.counted = ring_counted,
	.drain_bodies = ring_drain_bodies,
	.drain_counts = ring_drain_counts,
	.raise_generation = ring_raise_generation,
	.quiesce = ring_quiesce,
	.poll_fd = ring_poll_fd,
	.shared_maps = ring_shared_maps,
	.next_followed = ring_next_followed,
	.tracers = ring_tracers,
	.cost = ring_cost,
};
