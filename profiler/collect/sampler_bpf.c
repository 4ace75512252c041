/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flip and drain.  The programs read the epoch once, at their start, and use the bank epoch & 1
 * for all they do.  After the flip, membarrier(MEMBARRIER_CMD_GLOBAL) waits for a grace period of
 * RCU, inside whose read sections every BPF program runs; then the old bank has no writer, its
 * counters add up, and its entries can be taken out without a lock.  A map-in-map would give the
 * same guarantee (its update waits, kernel/bpf/syscall.c maybe_wait_bpf_programs()) at the price
 * of one more look-up in each sample.
 */
#include "profiler/collect/sampler.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bpf/pids.h"
#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "profiler/base/err.h"
#include "profiler/base/fileio.h"
#include "profiler/base/strbuf.h"
#include "profiler/collect/bpf_log.h"
#include "profiler/collect/cpus.h"
#include "profiler/collect/follow.h"
#include "profiler/collect/host.h"
#include "profiler/collect/perf_event.h"
#include "profiler/collect/sampler_source.h"
#include "profiler/collect/shared.h"
#include "profiler/collect/sideband.h"
#include "profiler/collect/targets.h"

#include "sampler.skel.h"

#define DRAIN_BATCH 512u
#define RING_BYTES_MIN (4u << 20) /* room for raw stacks, which fill it up to its half */
#define RING_BYTES_PER_CPU (64u << 10) /* at 99 Hz: 10 new stacks of 80 frames each 100 ms */
#define SEEN_SLOTS_MIN 4096u
#define SEEN_SLOTS_MAX 65536u

struct bpf_sampler {
	struct sampler base;
	struct shared_maps *maps;
	struct sampler_bpf *skel;
	struct loaded_tracer *follow; /* NULL: no process is followed */
	struct ring_buffer *ring;
	struct body_handler handler; /* of the drain that is under way */
	int stats_fd;		     /* BPF_ENABLE_STATS as long as it is open */
	uint64_t period;       /* of this epoch's samples */
	uint64_t next_period;  /* of those from its end on */
	bool started, follows_by_sideband;
	int *event_fds; /* [CPUS_MAX] -1 = none */
	uint64_t retired_count; /* due of events whose CPU has gone, and of earlier periods */
	uint64_t *counted_until; /* [CPUS_MAX] what of an event's count is in retired_count */
	uint64_t due_reported;
	uint64_t stats_reported[2][STAT_CNT];
};

static struct bpf_sampler *of(struct sampler *sampler)
{
	return (struct bpf_sampler *)sampler;
}

static const struct bpf_sampler *const_of(const struct sampler *sampler)
{
	return (const struct bpf_sampler *)sampler;
}

static void size_config(struct sampler_config *config, unsigned int cpu_cnt)
{
	uint64_t samples = sampler_samples_in(config, cpu_cnt, config->flush_ns);

	if (!config->counts_entries)
		config->counts_entries =
			sampler_power_of_two(samples / 2, SAMPLER_COUNTS_MIN, SAMPLER_COUNTS_MAX);
	if (!config->ring_bytes) {
		uint64_t per_cpu = RING_BYTES_PER_CPU * MAX(config->freq_hz / 99, 1u);

		config->ring_bytes = sampler_power_of_two(cpu_cnt * MIN(per_cpu, 512u << 10),
							  RING_BYTES_MIN, 8u << 20);
	}
}

static int load_sampler(struct bpf_sampler *sampler, const struct targets *targets,
			uint32_t seen_slots, struct errmsg *err)
{
	const struct sampler_config *config = &sampler->base.config;
	struct sampler_bpf *skel;
	int code;

	bpf_log_begin();
	skel = sampler_bpf__open();
	sampler->skel = skel;
	if (!skel)
		return bpf_log_failed(-errno, "the sampler", err);
	code = bpf_map__set_max_entries(skel->maps.counts_0, config->counts_entries);
	if (!code)
		code = bpf_map__set_max_entries(skel->maps.counts_1, config->counts_entries);
	if (!code)
		code = bpf_map__set_max_entries(skel->maps.raw_rooms,
						(uint32_t)cpus_possible_cnt());
	if (!code)
		code = shared_maps_lend(sampler->maps, skel->obj, err);
	if (code)
		return code;
	shared_maps_filter(targets, (struct target_filter *)&skel->rodata->filter);
	skel->rodata->knobs.with_user = config->with_user;
	skel->rodata->knobs.with_kernel = config->with_kernel;
	skel->rodata->knobs.with_idle = config->with_idle;
	skel->rodata->knobs.seen_mask = seen_slots - 1;
	skel->rodata->unwind_mode = config->unwind;
	code = sampler_bpf__load(skel);
	return code ? bpf_log_failed(code, "the sampler", err) : 0;
}

static int ring_visit(void *context, void *data, size_t bytes)
{
	const struct body_handler *handler = &((struct bpf_sampler *)context)->handler;
	const struct body_header *header = data;

	if (bytes < sizeof(*header))
		return 0;
	switch (header->kind) {
	case BODY_USER_STACK:
	case BODY_KERNEL_STACK:
		return handler->stack(handler->context, data);
	case BODY_TASK:
		return handler->task(handler->context, data);
	case BODY_SAMPLE:
		return handler->sample(handler->context, data);
	case BODY_RAW_STACK:
		return handler->raw_stack(handler->context, data);
	default:
		return 0;
	}
}

static int open_all(struct bpf_sampler *sampler, const struct targets *targets, struct errmsg *err)
{
	struct shared_config shared = {};
	struct cpu_set_bits online;
	unsigned int i;
	int code;

	code = cpus_online(&online);
	if (code)
		return err_set(err, code, "cannot read /sys/devices/system/cpu/online");
	size_config(&sampler->base.config, cpus_cnt(&online));
	shared.with_tables = true;
	shared.tier = sampler->base.config.tier;
	shared.pid_namespace = host_pid_namespace();
	shared.ring_bytes = sampler->base.config.ring_bytes;
	shared.seen_slots = sampler_power_of_two(sampler->base.config.counts_entries,
						 SEEN_SLOTS_MIN, SEEN_SLOTS_MAX);
	sampler->event_fds = malloc(CPUS_MAX * sizeof(*sampler->event_fds));
	sampler->counted_until = calloc(CPUS_MAX, sizeof(*sampler->counted_until));
	if (!sampler->event_fds || !sampler->counted_until)
		return err_set(err, -ENOMEM, "cannot start the sampler");
	for (i = 0; i < CPUS_MAX; i++)
		sampler->event_fds[i] = -1;
	sampler->period = sampler->next_period = sampler->base.period;
	host_raise_files(); /* only now: a command that was forked before keeps its own limits */
	host_raise_memlock();
	code = shared_maps_new(&shared, targets, &sampler->maps, err);
	/* Refused, it costs its own part: the outcome is noted, the side-band follows. */
	if (!code && (targets->pid_cnt || targets->by_command))
		sampler->follows_by_sideband =
			follow_new(sampler->maps, targets, &sampler->follow, NULL) != 0 &&
			targets->follow;
	if (!code)
		code = load_sampler(sampler, targets, shared.seen_slots, err);
	if (code)
		return code;
	if (sampler->base.config.measure_bpf) /* by CAP_SYS_ADMIN, which goes before sampling starts */
		sampler->stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	sampler->ring =
		ring_buffer__new(shared_maps_bodies_fd(sampler->maps), ring_visit, sampler, NULL);
	return sampler->ring ? 0 : err_set(err, -errno, "cannot map the BPF ring buffer");
}

static void bpf_free(struct sampler *base)
{
	struct bpf_sampler *sampler = of(base);
	unsigned int i;

	for (i = 0; sampler->event_fds && i < CPUS_MAX; i++)
		fd_closep(&sampler->event_fds[i]);
	free(sampler->event_fds);
	free(sampler->counted_until);
	fd_closep(&sampler->stats_fd);
	ring_buffer__free(sampler->ring);
	tracer_free(sampler->follow);
	sampler_bpf__destroy(sampler->skel);
	shared_maps_free(sampler->maps);
	free(sampler);
}

static int bpf_open(const struct sampler_config *config, const struct targets *targets,
		    struct sampler **ret, struct errmsg *err)
{
	struct bpf_sampler *sampler = calloc(1, sizeof(*sampler));
	int code;

	if (!sampler)
		return err_set(err, -ENOMEM, "cannot start the sampler");
	sampler_init(&sampler->base, &sampler_source_bpf, config);
	sampler->base.about.by = SAMPLER_BY_BPF;
	sampler->base.about.system_wide = sampler->base.about.sees_kernel = true;
	sampler->stats_fd = -1;
	code = open_all(sampler, targets, err);
	if (code) {
		bpf_free(&sampler->base);
		return code;
	}
	*ret = &sampler->base;
	return 0;
}

static int bpf_follow_command(struct sampler *base, pid_t tgid)
{
	return shared_maps_follow(of(base)->maps, tgid, TARGET_BY_COMMAND);
}

static int bpf_forked(struct sampler *base, pid_t parent, pid_t tgid)
{
	struct bpf_sampler *sampler = of(base);

	if (!sampler->follows_by_sideband)
		return 0;
	return shared_maps_follow_child(sampler->maps, parent, tgid);
}

/* In a pid namespace the tracer cannot know the numbers of what has ended. */
static void bpf_ended(struct sampler *base, pid_t tgid)
{
	struct bpf_sampler *sampler = of(base);

	if (sampler->follows_by_sideband || host_pid_namespace())
		shared_maps_unfollow(sampler->maps, tgid);
}

static int bpf_set_freq(struct sampler *base, unsigned int freq_hz)
{
	struct bpf_sampler *sampler = of(base);

	sampler->next_period = sampler_period_at(&sampler->base.config, freq_hz);
	return 0;
}

static int bpf_open_sideband(struct sampler *base, size_t ring_bytes_per_cpu, struct sideband **ret,
			     struct errmsg *err)
{
	(void)base;
	return sideband_new(ring_bytes_per_cpu, false, ret, err);
}

static int open_event(struct bpf_sampler *sampler, unsigned int cpu)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = sampler->period,
		.disabled = 1,
	};
	_cleanup_close_ int fd = -1;

	if (sampler->base.config.event == SAMPLER_CYCLES) {
		attr.type = PERF_TYPE_HARDWARE;
		attr.config = PERF_COUNT_HW_CPU_CYCLES;
	}
	fd = perf_event_open(&attr, (int)cpu);
	if (fd < 0)
		return fd;
	if (ioctl(fd, PERF_EVENT_IOC_SET_BPF,
		  bpf_program__fd(sampler->skel->progs.sample_cpu)) != 0)
		return -errno;
	if (ioctl(fd, PERF_EVENT_IOC_ENABLE, 0) != 0)
		return -errno;
	sampler->event_fds[cpu] = fd_take(&fd);
	sampler->base.cpu_cnt++;
	return 0;
}

static uint64_t event_count(int fd)
{
	uint64_t count = 0;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

/* Periods of one event since its period is what it is. */
static uint64_t due_of(const struct bpf_sampler *sampler, unsigned int cpu)
{
	return (event_count(sampler->event_fds[cpu]) - sampler->counted_until[cpu]) /
	       sampler->period;
}

static void close_event(struct bpf_sampler *sampler, unsigned int cpu)
{
	sampler->retired_count += due_of(sampler, cpu);
	sampler->counted_until[cpu] = 0;
	close(fd_take(&sampler->event_fds[cpu]));
	sampler->base.cpu_cnt--;
}

static void each_event(struct bpf_sampler *sampler, unsigned long request, void *argument)
{
	unsigned int cpu;

	for (cpu = 0; cpu < CPUS_MAX; cpu++)
		if (sampler->event_fds[cpu] >= 0)
			ioctl(sampler->event_fds[cpu], request, argument);
}

static int bpf_start(struct sampler *base, struct errmsg *err)
{
	struct bpf_sampler *sampler = of(base);
	struct cpu_set_bits online;
	unsigned int cpu;
	int code;

	code = cpus_online(&online);
	if (code)
		return err_set(err, code, "cannot read /sys/devices/system/cpu/online");
	for (cpu = 0; cpu < CPUS_MAX; cpu++) {
		if (!cpus_has(&online, cpu))
			continue;
		code = open_event(sampler, cpu);
		/* It may have gone offline since. */
		if (code && code != -ENODEV)
			return perf_event_failed(code,
						 sampler->base.config.event == SAMPLER_CYCLES ?
							 "cycles" :
							 "cpu-clock",
						 (int)cpu, err);
	}
	sampler->started = true;
	return 0;
}

static void bpf_stop(struct sampler *base)
{
	each_event(of(base), PERF_EVENT_IOC_DISABLE, NULL);
	of(base)->started = false;
}

static int bpf_check_cpus(struct sampler *base)
{
	struct bpf_sampler *sampler = of(base);
	struct cpu_set_bits online;
	int code = cpus_online(&online), changed = 0;
	unsigned int cpu;

	if (code || !sampler->started)
		return code;
	for (cpu = 0; cpu < CPUS_MAX; cpu++) {
		bool have = sampler->event_fds[cpu] >= 0;

		if (have && !cpus_has(&online, cpu))
			close_event(sampler, cpu);
		else if (!have && cpus_has(&online, cpu))
			open_event(sampler, cpu);
		else
			continue;
		changed++;
	}
	return changed;
}

static uint64_t due_so_far(const struct bpf_sampler *sampler)
{
	uint64_t due = sampler->retired_count;
	unsigned int cpu;

	for (cpu = 0; cpu < CPUS_MAX; cpu++)
		if (sampler->event_fds[cpu] >= 0)
			due += due_of(sampler, cpu);
	return due;
}

/* While the events stand still: what is under way of a period is neither due nor sampled. */
static void change_period(struct bpf_sampler *sampler)
{
	unsigned int cpu;

	for (cpu = 0; cpu < CPUS_MAX; cpu++) {
		if (sampler->event_fds[cpu] < 0)
			continue;
		sampler->retired_count += due_of(sampler, cpu);
		sampler->counted_until[cpu] = event_count(sampler->event_fds[cpu]);
	}
	sampler->period = sampler->next_period;
	each_event(sampler, PERF_EVENT_IOC_PERIOD, &sampler->period);
}

static void wait_for_programs(void)
{
	struct timespec pause = { .tv_nsec = 100 * 1000 * 1000 };

	/* Refused on kernels with nohz_full CPUs: then 100 ms stand for the microseconds needed. */
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) != 0)
		nanosleep(&pause, NULL);
}

static int bpf_end_epoch(struct sampler *base, uint32_t *ret_epoch, struct sampler_totals *ret)
{
	struct bpf_sampler *sampler = of(base);
	struct sampler_control *control = shared_maps_control(sampler->maps);
	uint64_t stats[STAT_CNT], delta[STAT_CNT], due;
	bool changes = sampler->next_period != sampler->period;
	uint64_t period = sampler->period;
	uint32_t epoch = control->epoch;
	int err, i;

	/* No sample may find the other epoch: they stand still for some microseconds. */
	if (changes)
		each_event(sampler, PERF_EVENT_IOC_DISABLE, NULL);
	__atomic_store_n(&control->epoch, epoch + 1, __ATOMIC_SEQ_CST);
	due = due_so_far(sampler);
	if (changes) {
		change_period(sampler);
		if (sampler->started)
			each_event(sampler, PERF_EVENT_IOC_ENABLE, NULL);
	}
	wait_for_programs();
	err = shared_maps_stats(sampler->maps, epoch & 1, stats);
	if (err)
		return err;
	for (i = 0; i < STAT_CNT; i++) {
		delta[i] = stats[i] - sampler->stats_reported[epoch & 1][i];
		sampler->stats_reported[epoch & 1][i] = stats[i];
	}
	*ret = (struct sampler_totals){
		.period = period,
		.due = due - sampler->due_reported,
		.fired = delta[STAT_FIRED],
		.idle = delta[STAT_IDLE],
		.filtered = delta[STAT_FILTERED],
		.counted = delta[STAT_COUNTED],
		.lost_full = delta[STAT_LOST_FULL],
		.lost_busy = delta[STAT_LOST_BUSY],
		.counts_full = delta[STAT_COUNTS_FULL],
		.body_ring_full = delta[STAT_BODY_RING_FULL],
		.raw_refused = delta[STAT_RAW_REFUSED],
		.follow_full = delta[STAT_FOLLOW_FULL],
		.outside = delta[STAT_OUTSIDE],
	};
	ret->not_fired = (int64_t)ret->due - (int64_t)ret->fired;
	sampler->due_reported = due;
	*ret_epoch = epoch;
	return 0;
}

static uint64_t bpf_counted(const struct sampler *base)
{
	const struct bpf_sampler *sampler = const_of(base);
	uint64_t stats[STAT_CNT], counted = 0;
	unsigned int bank;

	for (bank = 0; bank < 2; bank++)
		if (shared_maps_stats(sampler->maps, bank, stats) == 0)
			counted += stats[STAT_COUNTED];
	return counted;
}

static int bpf_drain_bodies(struct sampler *base, const struct body_handler *handler)
{
	struct bpf_sampler *sampler = of(base);
	int n;

	sampler->handler = *handler;
	n = ring_buffer__consume(sampler->ring);
	return n < 0 ? n : 0;
}

static int bpf_drain_counts(struct sampler *base, uint32_t epoch,
			 int (*count)(void *context, const struct sample_key *key, uint64_t value),
			 void *context)
{
	struct bpf_sampler *sampler = of(base);
	_cleanup_free_ struct sample_key *keys = calloc(DRAIN_BATCH, sizeof(*keys));
	_cleanup_free_ uint64_t *values = calloc(DRAIN_BATCH, sizeof(*values));
	struct bpf_map *map = epoch & 1 ? sampler->skel->maps.counts_1 :
					  sampler->skel->maps.counts_0;
	uint32_t cursor = 0, n, i;
	bool first = true;
	int err = 0;

	if (!keys || !values)
		return -ENOMEM;
	while (!err) {
		n = DRAIN_BATCH;
		err = bpf_map_lookup_and_delete_batch(bpf_map__fd(map), first ? NULL : &cursor,
						      &cursor, keys, values, &n, NULL);
		if (err && err != -ENOENT)
			return err;
		first = false;
		for (i = 0; i < n; i++) {
			int code = count(context, &keys[i], values[i]);

			if (code)
				return code;
		}
	}
	return 0;
}

static void bpf_raise_generation(struct sampler *base, pid_t tgid)
{
	struct bpf_sampler *sampler = of(base);
	struct sampler_control *control = shared_maps_control(sampler->maps);

	__atomic_fetch_add(&control->generations[(uint32_t)tgid % MAP_GENERATIONS], 1,
			   __ATOMIC_RELAXED);
}

static void bpf_quiesce(struct sampler *base)
{
	(void)base;
	wait_for_programs();
}

static int bpf_poll_fd(const struct sampler *base)
{
	return shared_maps_bodies_fd(const_of(base)->maps);
}

static struct shared_maps *bpf_shared_maps(struct sampler *base)
{
	return of(base)->maps;
}

static pid_t bpf_next_followed(const struct sampler *base, pid_t tgid)
{
	return shared_maps_next_followed(const_of(base)->maps, tgid);
}

static size_t bpf_tracers(const struct sampler *base, struct tracer_outcome *ret)
{
	const struct bpf_sampler *sampler = const_of(base);
	size_t cnt;
	const struct tracer_outcome *outcomes = shared_maps_outcomes(sampler->maps, &cnt);

	memcpy(ret, outcomes, cnt * sizeof(*ret));
	return cnt;
}

static void bpf_cost(const struct sampler *base, struct sampler_cost *ret)
{
	const struct bpf_sampler *sampler = const_of(base);
	struct bpf_prog_info info = {};
	uint32_t info_bytes = sizeof(info);
	struct bpf_map *map;

	*ret = (struct sampler_cost){ .map_bytes = shared_maps_bytes(sampler->maps) };
	ret->map_bytes += map_memlock_bytes(bpf_map__fd(sampler->skel->maps.counts_0)) * 2;
	bpf_object__for_each_map(map, sampler->skel->obj)
		if (map == sampler->skel->maps.stack_rooms ||
		    map == sampler->skel->maps.raw_rooms)
			ret->map_bytes += map_memlock_bytes(bpf_map__fd(map));
	if (bpf_obj_get_info_by_fd(bpf_program__fd(sampler->skel->progs.sample_cpu), &info,
				   &info_bytes) == 0) {
		ret->bpf_ns = info.run_time_ns;
		ret->bpf_runs = info.run_cnt;
	}
}

const struct sampler_source sampler_source_bpf = {
	.open = bpf_open,
	.free = bpf_free,
	.follow_command = bpf_follow_command,
	.forked = bpf_forked,
	.ended = bpf_ended,
	.set_freq = bpf_set_freq,
	.open_sideband = bpf_open_sideband,
	.start = bpf_start,
	.stop = bpf_stop,
	.check_cpus = bpf_check_cpus,
	.end_epoch = bpf_end_epoch,
	.counted = bpf_counted,
	.drain_bodies = bpf_drain_bodies,
	.drain_counts = bpf_drain_counts,
	.raise_generation = bpf_raise_generation,
	.quiesce = bpf_quiesce,
	.poll_fd = bpf_poll_fd,
	.shared_maps = bpf_shared_maps,
	.next_followed = bpf_next_followed,
	.tracers = bpf_tracers,
	.cost = bpf_cost,
};
