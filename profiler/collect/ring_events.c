/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether events of whole CPUs are allowed is found by trying: the answer depends on capabilities,
 * kernel.perf_event_paranoid, security modules and seccomp filters, and only the kernel knows all.
 */
#include "profiler/collect/ring_events.h"

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
#include "profiler/collect/targets.h"

#define STACK_MAX_DEFAULT 127u

/* How deep the kernel's walk goes; it cannot be changed while our events are open. */
unsigned int ring_events_stack_max(void)
{
	struct strbuf text = STRBUF_INIT;
	unsigned long max = 0;

	if (read_path("/proc/sys/kernel/perf_event_max_stack", 64, &text) == 0)
		max = strtoul(text.text, NULL, 10);
	strbuf_free(&text);
	return (unsigned int)MIN(max ? max : STACK_MAX_DEFAULT, (unsigned long)STACK_FRAMES_MAX);
}

void ring_events_init(struct ring_events *events, const struct sampler_config *config,
		      uint64_t period, const struct targets *targets, struct sampler_about *about)
{
	struct perf_event_attr *attr = &events->attr;

	*events = (struct ring_events){ .targets = targets,
					.rings = EVENT_RINGS_INIT,
					.about = about };
	*attr = (struct perf_event_attr){
		.size = sizeof(*attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = period,
		.sample_type = PERF_SAMPLE_ID_TYPE | PERF_SAMPLE_CALLCHAIN,
		.sample_id_all = 1,
		.sample_max_stack = (uint16_t)ring_events_stack_max(),
		.exclude_callchain_user = !config->with_user,
		.exclude_callchain_kernel = !config->with_kernel,
		.task = 1,
		.comm = 1,
		.comm_exec = 1,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
	};
	if (config->event == SAMPLER_CYCLES) {
		attr->type = PERF_TYPE_HARDWARE;
		attr->config = PERF_COUNT_HW_CPU_CYCLES;
	}
	event_tasks_init(&events->tasks, attr, &events->rings);
}

static const char *event_name(const struct ring_events *events)
{
	return events->attr.type == PERF_TYPE_HARDWARE ? "cycles" : "cpu-clock";
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
	/* 6.12 refuses chains that could have kernel frames, though samples of user mode have none. */
	attr->exclude_kernel = attr->exclude_callchain_kernel = 1;
	return try_event(*attr, 0, cpu);
}

int sampler_ring_try(bool *ret_system_wide)
{
	const struct sampler_config config = { .with_user = true, .with_kernel = true };
	struct sampler_about about = {};
	struct ring_events events;
	struct cpu_set_bits online;
	int code = cpus_online(&online), cpu = 0;

	if (code)
		return code;
	while (cpu < CPUS_MAX - 1 && !cpus_has(&online, (unsigned int)cpu))
		cpu++;
	ring_events_init(&events, &config, NS_PER_SEC, NULL, &about);
	code = find_scope(&events.attr, cpu, &about);
	if (!code)
		*ret_system_wide = about.system_wide;
	return code;
}

/* Where locked memory is short, the side-band's rings are to find as much as these. */
static int open_rings(struct event_rings *rings, size_t bytes, struct errmsg *err)
{
	int code = event_rings_open(rings, bytes, err);
	size_t got = rings->bytes;

	if (code || got == bytes)
		return code;
	event_rings_close(rings);
	return event_rings_open(rings, got / 2, err);
}

int ring_events_open(struct ring_events *events, size_t ring_bytes, struct errmsg *err)
{
	int code = open_rings(&events->rings, ring_bytes, err), cpu;

	if (code)
		return code;
	cpu = (int)events->rings.rings[0].cpu;
	code = find_scope(&events->attr, cpu, events->about);
	return code ? perf_event_failed(code, event_name(events), cpu, err) : 0;
}

void ring_events_close(struct ring_events *events)
{
	size_t i;

	for (i = 0; i < events->cpu_event_cnt; i++)
		close(events->cpu_events[i].fd);
	free(events->cpu_events);
	event_tasks_close(&events->tasks);
	event_rings_close(&events->rings);
}

/* ---- events of CPUs ---- */

static int open_cpu_event(struct ring_events *events, const struct event_ring *ring, pid_t pid,
			  unsigned long flags)
{
	struct cpu_event *more =
		realloc(events->cpu_events, (events->cpu_event_cnt + 1) * sizeof(*more));
	_cleanup_close_ int fd = -1;
	int code;

	if (!more)
		return -ENOMEM;
	events->cpu_events = more;
	fd = perf_event_open_of(&events->attr, pid, (int)ring->cpu, flags);
	code = fd < 0 ? fd : event_ring_attach(ring, fd);
	if (code)
		return code;
	more[events->cpu_event_cnt++] = (struct cpu_event){ .fd = fd_take(&fd), .cpu = ring->cpu };
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

static int open_cpu(struct ring_events *events, const struct event_ring *ring)
{
	const struct targets *targets = events->targets;
	size_t i;
	int code = 0;

	if (!targets->cgroup_cnt)
		code = open_cpu_event(events, ring, -1, 0);
	for (i = 0; i < targets->cgroup_cnt && !code; i++)
		if (!is_covered(targets, i))
			code = open_cpu_event(events, ring, targets->cgroup_fds[i],
					      PERF_FLAG_PID_CGROUP);
	events->cpu_cnt += !code;
	return code;
}

static uint64_t event_count(int fd)
{
	uint64_t count = 0;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

/* Periods of one event since its period is what it is. */
static uint64_t due_of(const struct ring_events *events, const struct cpu_event *event)
{
	return (event_count(event->fd) - event->counted_until) / events->attr.sample_period;
}

static void close_cpu(struct ring_events *events, unsigned int cpu)
{
	size_t i;

	for (i = 0; i < events->cpu_event_cnt;) {
		struct cpu_event *event = &events->cpu_events[i];

		if (event->cpu != cpu) {
			i++;
			continue;
		}
		events->retired_count += due_of(events, event);
		close(event->fd);
		*event = events->cpu_events[--events->cpu_event_cnt];
	}
	events->cpu_cnt--;
}

static bool has_cpu(const struct ring_events *events, unsigned int cpu)
{
	size_t i;

	for (i = 0; i < events->cpu_event_cnt; i++)
		if (events->cpu_events[i].cpu == cpu)
			return true;
	return false;
}

/* A thread's events wait on an offline CPU; a CPU that was never online has none. */
int ring_events_check_cpus(struct ring_events *events)
{
	struct cpu_set_bits online;
	int code = cpus_online(&online), changed = 0;
	unsigned int cpu;

	if (code || !events->about->system_wide)
		return code;
	for (cpu = 0; cpu < CPUS_MAX; cpu++) {
		bool have = has_cpu(events, cpu);

		if (have == cpus_has(&online, cpu))
			continue;
		if (have)
			close_cpu(events, cpu);
		else if (event_rings_find(&events->rings, cpu) ||
			 event_rings_add_cpu(&events->rings, cpu) == 0)
			open_cpu(events, event_rings_find(&events->rings, cpu));
		changed++;
	}
	return changed;
}

/* ---- start and stop ---- */

static void say_scope(const struct ring_events *events, pid_t command)
{
	const struct event_tasks *tasks = &events->tasks;
	struct sampler_about *about = events->about;
	int n;

	if (command || events->targets->pid_cnt || events->targets->tid_cnt)
		return;
	n = snprintf(about->scope, sizeof(about->scope),
		     "%zu threads of this user, and what they start, are sampled; others not",
		     tasks->taken_cnt);
	if (tasks->files_short)
		snprintf(about->scope + n, sizeof(about->scope) - (size_t)n,
			 ": the limit of open files is too low (ulimit -n 65536)");
	else if (tasks->refused_cnt)
		snprintf(about->scope + n, sizeof(about->scope) - (size_t)n,
			 ", such as %zu that have more privileges", tasks->refused_cnt);
}

static int start_system(struct ring_events *events, struct errmsg *err)
{
	size_t i;
	int code;

	for (i = 0; i < events->rings.cnt; i++) {
		code = open_cpu(events, &events->rings.rings[i]);
		/* It may have gone offline since. */
		if (code && code != -ENODEV)
			return perf_event_failed(code, event_name(events),
						 (int)events->rings.rings[i].cpu, err);
	}
	return 0;
}

static int start_own(struct ring_events *events, pid_t command, struct errmsg *err)
{
	int code;

	/* A thread of -t is watched without those that it starts. */
	events->attr.inherit = !events->targets->tid_cnt;
	events->tasks.attr = events->attr;
	code = event_tasks_open(&events->tasks, events->targets, command, err);
	events->cpu_cnt = (unsigned int)events->rings.cnt;
	say_scope(events, command);
	return code;
}

int ring_events_start(struct ring_events *events, pid_t command, struct errmsg *err)
{
	return events->about->system_wide ? start_system(events, err) :
					    start_own(events, command, err);
}

static void each_event(const struct ring_events *events, unsigned long request, void *argument)
{
	size_t i;

	for (i = 0; i < events->cpu_event_cnt; i++)
		ioctl(events->cpu_events[i].fd, request, argument);
	for (i = 0; i < events->tasks.cnt; i++)
		ioctl(events->tasks.fds[i], request, argument);
}

void ring_events_stop(struct ring_events *events)
{
	each_event(events, PERF_EVENT_IOC_DISABLE, NULL);
}

void ring_events_start_again(struct ring_events *events)
{
	each_event(events, PERF_EVENT_IOC_ENABLE, NULL);
}

int ring_events_set_period(struct ring_events *events, uint64_t period)
{
	size_t i;

	if (!events->about->system_wide)
		return -ENOTSUP;
	for (i = 0; i < events->cpu_event_cnt; i++) {
		struct cpu_event *event = &events->cpu_events[i];

		events->retired_count += due_of(events, event);
		event->counted_until = event_count(event->fd);
	}
	events->attr.sample_period = period;
	each_event(events, PERF_EVENT_IOC_PERIOD, &period);
	return 0;
}

uint64_t ring_events_due(const struct ring_events *events)
{
	uint64_t due = events->retired_count;
	size_t i;

	for (i = 0; i < events->cpu_event_cnt; i++)
		due += due_of(events, &events->cpu_events[i]);
	/*
	 * Of a thread's event the counts of those that inherited it are part.  A thread that has two
	 * is twice in the sum, and in that of what fired: see ring_roots.h.
	 */
	for (i = 0; i < events->tasks.cnt; i++)
		due += event_count(events->tasks.fds[i]) / events->attr.sample_period;
	return due;
}
