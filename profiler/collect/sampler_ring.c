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
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "profiler/base/err.h"
#include "profiler/base/fileio.h"
#include "profiler/base/strbuf.h"
#include "profiler/collect/cpus.h"
#include "profiler/collect/event_rings.h"
#include "profiler/collect/event_tasks.h"
#include "profiler/collect/host.h"
#include "profiler/collect/ring_counts.h"
#include "profiler/collect/ring_tasks.h"
#include "profiler/collect/sampler_source.h"
#include "profiler/collect/sideband.h"
#include "profiler/collect/targets.h"

#define RING_BYTES (128u << 10) /* with the side-band's less than a user may lock by default */
#define RING_BYTES_MAX (8u << 20)
#define COUNTS_PER_CPU_MAX 262144u
#define STACK_MAX_DEFAULT 127u
#define ADOPT_NS NS_PER_SEC

/* An event of a whole CPU. */
struct cpu_event {
	int fd;
	unsigned int cpu;
};

struct ring_sampler {
	struct sampler base;
	const struct targets *targets; /* borrowed */
	struct perf_event_attr attr;
	struct event_rings rings;
	struct event_tasks events;   /* of threads, unless system_wide */
	struct cpu_event *cpu_events; /* [cpu_event_cnt], if system_wide */
	size_t cpu_event_cnt;
	uint64_t retired_count; /* periods of events whose CPU has gone */
	uint64_t due_reported;
	struct ring_tasks tasks;
	struct ring_counts counts;
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

/* How deep the kernel's walk goes; it cannot be changed while our events are open. */
static unsigned int stack_max(void)
{
	struct strbuf text = STRBUF_INIT;
	unsigned long max = 0;

	if (read_path("/proc/sys/kernel/perf_event_max_stack", 64, &text) == 0)
		max = strtoul(text.text, NULL, 10);
	strbuf_free(&text);
	return (unsigned int)MIN(max ? max : STACK_MAX_DEFAULT, (unsigned long)STACK_FRAMES_MAX);
}

static void fill_attr(struct ring_sampler *sampler)
{
	const struct sampler_config *config = &sampler->base.config;

	sampler->attr = (struct perf_event_attr){
		.size = sizeof(sampler->attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = sampler->base.period,
		.sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_CALLCHAIN,
		.sample_id_all = 1,
		.sample_max_stack = (uint16_t)sampler->counts.stack_max,
		.exclude_callchain_user = !config->with_user,
		.exclude_callchain_kernel = !config->with_kernel,
		.task = 1,
		.comm = 1,
		.comm_exec = 1,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
	};
	if (config->event == SAMPLER_CYCLES) {
		sampler->attr.type = PERF_TYPE_HARDWARE;
		sampler->attr.config = PERF_COUNT_HW_CPU_CYCLES;
	}
}

/* Would @attr open for @pid on @cpu? 0 or -errno. */
static int try_event(struct perf_event_attr attr, pid_t pid, int cpu)
{
	int fd;

	attr.disabled = 1;
	fd = perf_event_open_of(&attr, pid, cpu, 0);
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

/* What of the machine may be seen: @attr gets what it has to leave out. 0 or -errno. */
static int find_scope(struct perf_event_attr *attr, int cpu, struct sampler_about *about)
{
	int code = try_event(*attr, -1, cpu);

	about->system_wide = about->sees_kernel = code == 0;
	if (code != -EACCES && code != -EPERM)
		return code;
	code = try_event(*attr, 0, cpu);
	about->sees_kernel = code == 0;
	if (code != -EACCES && code != -EPERM)
		return code;
	attr->exclude_kernel = 1;
	return try_event(*attr, 0, cpu);
}

int sampler_ring_try(bool *ret_system_wide)
{
	struct ring_sampler sampler = {};
	struct cpu_set_bits online;
	struct sampler_config config = {
		.freq_hz = 1, .with_user = true, .with_kernel = true
	};
	int code = cpus_online(&online), cpu = 0;

	if (code)
		return code;
	while (!cpus_has(&online, (unsigned int)cpu))
		cpu++;
	sampler_init(&sampler.base, &sampler_source_ring, &config);
	sampler.counts.stack_max = stack_max();
	fill_attr(&sampler);
	code = find_scope(&sampler.attr, cpu, &sampler.base.about);
	if (!code)
		*ret_system_wide = sampler.base.about.system_wide;
	return code;
}

/* What this way cannot do, said before anything is opened. */
static int check_config(const struct ring_sampler *sampler, struct errmsg *err)
{
	const struct sampler_about *about = &sampler->base.about;

	if (sampler->base.config.unwind == SAMPLER_UNWIND_TABLE)
		return err_say(err, -ENOTSUP, "--unwind table: without BPF stacks are walked by "
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

/* Where locked memory is short, the side-band's rings are to find as much as these. */
static int open_rings(struct ring_sampler *sampler, struct errmsg *err)
{
	size_t bytes = ring_bytes(&sampler->base.config), got;
	int code = event_rings_open(&sampler->rings, bytes, err);

	got = sampler->rings.bytes;
	if (code || got == bytes)
		return code;
	event_rings_close(&sampler->rings);
	return event_rings_open(&sampler->rings, got / 2, err);
}

static int ring_open_all(struct ring_sampler *sampler, struct errmsg *err)
{
	struct sampler_config *config = &sampler->base.config;
	uint64_t samples;
	int code;

	host_raise_files(); /* a command that was forked before keeps its own limits */
	host_raise_memlock();
	code = open_rings(sampler, err);
	if (code)
		return code;
	samples = sampler_samples_in(config, (unsigned int)sampler->rings.cnt, config->flush_ns);
	if (!config->counts_entries)
		config->counts_entries = sampler_power_of_two(samples, SAMPLER_COUNTS_MIN,
							      COUNTS_PER_CPU_MAX);
	ring_counts_init(&sampler->counts, config->counts_entries, stack_max());
	fill_attr(sampler);
	code = find_scope(&sampler->attr, (int)sampler->rings.rings[0].cpu, &sampler->base.about);
	if (code)
		return perf_event_failed(code,
					 config->event == SAMPLER_CYCLES ? "cycles" : "cpu-clock",
					 (int)sampler->rings.rings[0].cpu, err);
	return check_config(sampler, err);
}

static void ring_free(struct sampler *base)
{
	struct ring_sampler *sampler = of(base);
	size_t i;

	for (i = 0; i < sampler->cpu_event_cnt; i++)
		close(sampler->cpu_events[i].fd);
	free(sampler->cpu_events);
	event_tasks_close(&sampler->events);
	event_rings_close(&sampler->rings);
	ring_tasks_free(&sampler->tasks);
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
	sampler->rings = (struct event_rings)EVENT_RINGS_INIT;
	ring_tasks_init(&sampler->tasks, targets);
	ring_counts_init(&sampler->counts, 0, 0);
	event_tasks_init(&sampler->events, &sampler->attr, &sampler->rings);
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

static int ring_open_sideband(struct sampler *base, size_t ring_bytes_per_cpu,
			      struct sideband **ret, struct errmsg *err)
{
	struct ring_sampler *sampler = of(base);

	if (base->about.system_wide)
		return sideband_new(ring_bytes_per_cpu, false, ret, err);
	return sideband_new_of(sampler->targets, sampler->command, ring_bytes_per_cpu, ret, err);
}

/* ---- events of CPUs ---- */

static int open_cpu_event(struct ring_sampler *sampler, const struct event_ring *ring, pid_t pid,
			  unsigned long flags)
{
	struct cpu_event *events = realloc(sampler->cpu_events,
					   (sampler->cpu_event_cnt + 1) * sizeof(*events));
	_cleanup_close_ int fd = -1;
	int code;

	if (!events)
		return -ENOMEM;
	sampler->cpu_events = events;
	fd = perf_event_open_of(&sampler->attr, pid, (int)ring->cpu, flags);
	code = fd < 0 ? fd : event_ring_attach(ring, fd);
	if (code)
		return code;
	events[sampler->cpu_event_cnt++] = (struct cpu_event){ fd_take(&fd), ring->cpu };
	return 0;
}

/* Does the directory @inner lie in @outer?  Then outer's events meet its tasks too. */
static bool is_below(int inner, int outer)
{
	char link[64], paths[2][4096];
	int fds[2] = { inner, outer }, i;
	size_t len;

	for (i = 0; i < 2; i++) {
		ssize_t n;

		snprintf(link, sizeof(link), "/proc/self/fd/%d", fds[i]);
		n = readlink(link, paths[i], sizeof(paths[i]) - 1);
		if (n < 0)
			return false;
		paths[i][n] = '\0';
	}
	len = strlen(paths[1]);
	return strncmp(paths[0], paths[1], len) == 0 && (!paths[0][len] || paths[0][len] == '/');
}

static bool is_covered(const struct targets *targets, size_t index)
{
	size_t i;

	for (i = 0; i < targets->cgroup_cnt; i++) {
		if (i == index || !is_below(targets->cgroup_fds[index], targets->cgroup_fds[i]))
			continue;
		/* Of one that is named twice the first counts. */
		if (i < index || !is_below(targets->cgroup_fds[i], targets->cgroup_fds[index]))
			return true;
	}
	return false;
}

static int open_cpu(struct ring_sampler *sampler, const struct event_ring *ring)
{
	const struct targets *targets = sampler->targets;
	size_t i;
	int code = 0;

	if (!targets->cgroup_cnt)
		code = open_cpu_event(sampler, ring, -1, 0);
	for (i = 0; i < targets->cgroup_cnt && !code; i++)
		if (!is_covered(targets, i))
			code = open_cpu_event(sampler, ring, targets->cgroup_fds[i],
					      PERF_FLAG_PID_CGROUP);
	sampler->base.cpu_cnt += !code;
	return code;
}

static uint64_t event_count(int fd)
{
	uint64_t count = 0;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static void close_cpu(struct ring_sampler *sampler, unsigned int cpu)
{
	size_t i;

	for (i = 0; i < sampler->cpu_event_cnt;) {
		struct cpu_event *event = &sampler->cpu_events[i];

		if (event->cpu != cpu) {
			i++;
			continue;
		}
		sampler->retired_count += event_count(event->fd) / sampler->base.period;
		close(event->fd);
		*event = sampler->cpu_events[--sampler->cpu_event_cnt];
	}
	sampler->base.cpu_cnt--;
}

static bool has_cpu(const struct ring_sampler *sampler, unsigned int cpu)
{
	size_t i;

	for (i = 0; i < sampler->cpu_event_cnt; i++)
		if (sampler->cpu_events[i].cpu == cpu)
			return true;
	return false;
}

/* A thread's events wait on an offline CPU; a CPU that was never online has none. */
static int ring_check_cpus(struct sampler *base)
{
	struct ring_sampler *sampler = of(base);
	struct cpu_set_bits online;
	int code = cpus_online(&online), changed = 0;
	unsigned int cpu;

	if (code || !sampler->started || !base->about.system_wide)
		return code;
	for (cpu = 0; cpu < CPUS_MAX; cpu++) {
		bool have = has_cpu(sampler, cpu);

		if (have == cpus_has(&online, cpu))
			continue;
		if (have)
			close_cpu(sampler, cpu);
		else if (event_rings_find(&sampler->rings, cpu) ||
			 event_rings_add_cpu(&sampler->rings, cpu) == 0)
			open_cpu(sampler, event_rings_find(&sampler->rings, cpu));
		changed++;
	}
	return changed;
}

/* ---- start and stop ---- */

static void say_scope(struct ring_sampler *sampler)
{
	const struct event_tasks *events = &sampler->events;
	struct sampler_about *about = &sampler->base.about;
	int n;

	if (sampler->command || sampler->targets->pid_cnt || sampler->targets->tid_cnt)
		return;
	n = snprintf(about->scope, sizeof(about->scope),
		     "%zu threads of this user, and what they start, are sampled; others not",
		     events->taken_cnt);
	if (events->files_short)
		snprintf(about->scope + n, sizeof(about->scope) - (size_t)n,
			 ": the limit of open files is too low (ulimit -n 65536)");
	else if (events->refused_cnt)
		snprintf(about->scope + n, sizeof(about->scope) - (size_t)n,
			 ", such as %zu that have more privileges", events->refused_cnt);
}

static int start_system(struct ring_sampler *sampler, struct errmsg *err)
{
	size_t i;
	int code;

	for (i = 0; i < sampler->rings.cnt; i++) {
		code = open_cpu(sampler, &sampler->rings.rings[i]);
		/* It may have gone offline since. */
		if (code && code != -ENODEV)
			return perf_event_failed(code, sampler->targets->cgroup_cnt ?
							       "cgroup's cpu-clock" : "cpu-clock",
						 (int)sampler->rings.rings[i].cpu, err);
	}
	return 0;
}

static int start_own(struct ring_sampler *sampler, struct errmsg *err)
{
	int code;

	/* A thread of -t is watched without those that it starts. */
	sampler->attr.inherit = !sampler->targets->tid_cnt;
	sampler->events.attr = sampler->attr;
	code = event_tasks_open(&sampler->events, sampler->targets, sampler->command, err);
	sampler->base.cpu_cnt = (unsigned int)sampler->rings.cnt;
	say_scope(sampler);
	return code;
}

static int ring_start(struct sampler *base, struct errmsg *err)
{
	struct ring_sampler *sampler = of(base);
	int code = base->about.system_wide ? start_system(sampler, err) : start_own(sampler, err);

	if (code)
		return code;
	/* Behind the events, so that nobody who starts now falls between the two. */
	if (ring_tasks_scan(&sampler->tasks) == -ENOMEM)
		return err_set(err, -ENOMEM, "cannot remember the host's processes");
	sampler->started = true;
	return 0;
}

static void ring_stop(struct sampler *base)
{
	struct ring_sampler *sampler = of(base);
	size_t i;

	for (i = 0; i < sampler->cpu_event_cnt; i++)
		ioctl(sampler->cpu_events[i].fd, PERF_EVENT_IOC_DISABLE, 0);
	for (i = 0; i < sampler->events.cnt; i++)
		ioctl(sampler->events.fds[i], PERF_EVENT_IOC_DISABLE, 0);
	sampler->started = false;
}

/* ---- draining ---- */

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
		return;
	}
	if (sample.pid == 0 && !sampler->base.config.with_idle) {
		totals->idle++;
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
	/* Forks may have been among them. */
	if (sampler->next_adopt_ns < monotonic_ns()) {
		sampler->next_adopt_ns = monotonic_ns() + ADOPT_NS;
		ring_tasks_adopt(&sampler->tasks);
	}
}

static int pull(struct ring_sampler *sampler, uint64_t until_ns)
{
	const struct perf_event_header *record;
	struct task_record task;
	int code = 0;

	event_rings_begin(&sampler->rings);
	while (!code && (record = event_rings_next(&sampler->rings, until_ns))) {
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
			if (task_record_parse(record, &task))
				code = ring_tasks_apply(&sampler->tasks, &task);
			break;
		}
	}
	return code;
}

static uint64_t due_so_far(const struct ring_sampler *sampler)
{
	uint64_t due = sampler->retired_count;
	size_t i;

	for (i = 0; i < sampler->cpu_event_cnt; i++)
		due += event_count(sampler->cpu_events[i].fd) / sampler->base.period;
	/* Of a thread's event the counts of those that inherited it are part. */
	for (i = 0; i < sampler->events.cnt; i++)
		due += event_count(sampler->events.fds[i]) / sampler->base.period;
	return due;
}

static int ring_end_epoch(struct sampler *base, uint32_t *ret_epoch, struct sampler_totals *ret)
{
	struct ring_sampler *sampler = of(base);
	uint64_t due = due_so_far(sampler);
	int code = pull(sampler, monotonic_ns());

	if (code)
		return code;
	*ret_epoch = ring_counts_end_epoch(&sampler->counts, ret);
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
	return const_of(base)->rings.epoll_fd;
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

static void ring_cost(const struct sampler *base, struct sampler_cost *ret)
{
	*ret = (struct sampler_cost){
		.map_bytes = event_rings_map_bytes(&const_of(base)->rings),
	};
}

const struct sampler_source sampler_source_ring = {
	.open = ring_open,
	.free = ring_free,
	.follow_command = ring_follow_command,
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
	.cost = ring_cost,
};
