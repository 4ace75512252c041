/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Order matters in three places.
 * Start: the command is forked and the BPF programs are loaded with all privileges, then those are
 * given up, and only then a thread begins or what others wrote is read.  The side-band opens
 * before /proc is scanned, so that no process falls between the two, and both come before the
 * first sample; the command is let go last.
 * Tick: stack bodies leave the ring first, then the side-band is applied up to now, then the
 * bodies are named, by the mappings of their own time.
 * Flush: the bank is flipped, then a tick brings in all bodies of the ended epoch, then its
 * counts are read: nothing in them refers to what has not arrived.
 */
#include "profiler/pipeline/session.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "profiler/base/err.h"
#include "profiler/base/fileio.h"
#include "profiler/base/strbuf.h"
#include "profiler/collect/sideband.h"
#include "profiler/pipeline/bodies.h"
#include "profiler/pipeline/command.h"
#include "profiler/pipeline/join.h"
#include "profiler/pipeline/records.h"
#include "profiler/pipeline/report.h"
#include "profiler/pipeline/resolve.h"
#include "profiler/pipeline/stacks.h"
#include "profiler/pipeline/watch.h"
#include "proto/profile.h"

#define DRAIN_NS (100 * NS_PER_MS)
#define DRAIN_HURRY_NS (20 * NS_PER_MS) /* while programs start: their stacks want their tables */
#define NAMELESS_BYTES_MAX (2u << 20)
#define AWAIT_NS (2 * NS_PER_SEC)
#define AWAIT_STEP_NS (10 * NS_PER_MS)
#define AWAIT_IN_VAIN 5 /* steps: more than a raw stack waits to be tried again */
#define LATE_NS NS_PER_SEC /* how long after a flush older samples may still be named */

struct session {
	const struct session_config *config;
	struct session_result *result;
	struct errmsg *err;
	struct watch watch;
	struct command_process command;
	struct symbolizer *symbolizer;
	struct sampler *sampler;
	struct unwinding *unwinding;
	struct stacks stacks;
	struct bodies bodies;
	struct bodies nameless; /* named in part: tried once more when their epoch is joined */
	struct join join;
	struct records records;
	struct governor governor;
	uint64_t governed_cpu_ns, governed_bpf_ns; /* what was spent when it was last asked */
	uint64_t refused;			   /* in the last epoch, by full rings and maps */
	uint64_t start_ns, window_start_ns, window_start_wall_ns; /* monotonic, UTC */
	uint64_t next_flush_ns, next_window_ns, next_second_ns, last_flush_ns, pulled_ns;
};

static int on_stack(void *context, const struct stack_body *body)
{
	return bodies_add(&((struct session *)context)->bodies, body);
}

static int on_task(void *context, const struct task_body *body)
{
	return stacks_add_task(&((struct session *)context)->stacks, body);
}

/* A sample that found the counts full: it is its own key. Kept until its epoch is joined. */
static int on_sample(void *context, const struct sample_body *body)
{
	struct session *session = context;
	struct hashmap *spilled = &session->stacks.sides[body->header.epoch & 1].spilled;
	uint64_t *count = hashmap_put(spilled, &body->key, NULL);

	if (!count)
		return -ENOMEM;
	*count += body->count;
	return 0;
}

static int on_raw_stack(void *context, const struct raw_stack_body *body)
{
	return unwinding_add_raw(((struct session *)context)->unwinding, body);
}

static int fail(struct session *session, int code, const char *what)
{
	return err_set(session->err, code, "cannot %s", what);
}

/*
 * A body comes once per epoch, perhaps before its JIT has written the function's line to the
 * perf-map, or before a mapping whose record was lost was read from /proc.
 */
static int name_again(struct session *session, uint32_t epoch)
{
	struct bodies later = {};
	const struct stack_body *body;
	size_t cursor = 0;
	int err = 0;

	while (err >= 0 && (body = bodies_next(&session->nameless, &cursor))) {
		if (body->header.epoch == epoch)
			err = resolve_stack(session->symbolizer, &session->stacks, body);
		else
			bodies_add(&later, body);
	}
	bodies_free(&session->nameless);
	session->nameless = later;
	return MIN(err, 0);
}

/* Empty the rings: bodies wait to be named, records are applied. */
static int pull(struct session *session)
{
	struct body_handler handler = {
		.stack = on_stack,
		.task = on_task,
		.sample = on_sample,
		.raw_stack = on_raw_stack,
		.context = session,
	};
	int err = sampler_drain_bodies(session->sampler, &handler);

	session->pulled_ns = monotonic_ns();
	return err ? err : records_apply(&session->records);
}

/*
 * Name every body that waits.  Reading a large program's debug information can take a second, in
 * which the rings would fill: they are emptied meanwhile, and what comes waits for its turn.
 */
static int name_bodies(struct session *session)
{
	struct bodies batch = session->bodies;
	const struct stack_body *body;
	size_t cursor = 0;
	int err = 0;

	session->bodies = (struct bodies){};
	while (err >= 0 && (body = bodies_next(&batch, &cursor))) {
		err = resolve_stack(session->symbolizer, &session->stacks, body);
		/* Without memory, or with too many, they stay as they are. */
		if (err > 0 && session->nameless.bytes.len < NAMELESS_BYTES_MAX)
			bodies_add(&session->nameless, body);
		if (err >= 0 && monotonic_ns() - session->pulled_ns > DRAIN_NS)
			err = pull(session);
	}
	bodies_clear(&batch);
	if (session->bodies.bytes.len)
		bodies_free(&batch);
	else
		session->bodies = batch; /* its memory serves again */
	return MIN(err, 0);
}

static int drain(struct session *session)
{
	int err = pull(session);

	watch_set_interval(&session->watch, session->records.programs_started ? DRAIN_HURRY_NS :
										DRAIN_NS);
	session->records.programs_started = false;
	symbolizer_await_names(session->symbolizer, false);
	if (!err)
		err = unwinding_tick(session->unwinding, false, 0, on_stack, session);
	if (!err)
		err = name_bodies(session);
	return err ? fail(session, err, "drain the samples") : 0;
}

/* Names that others were asked for come soon or not at all. */
static int await_names(struct session *session)
{
	uint64_t until_ns = monotonic_ns() + AWAIT_NS;
	const struct timespec pause = { .tv_nsec = AWAIT_STEP_NS };
	bool hurry = true;
	int err = 0;

	while (!err && symbolizer_await_names(session->symbolizer, hurry) &&
	       monotonic_ns() < until_ns) {
		hurry = false;
		nanosleep(&pause, NULL);
		err = pull(session);
	}
	return err ? fail(session, err, "drain the samples") : 0;
}

/*
 * Tables that are being made come soon, or the stacks that need them end early.  Those that lack a
 * mapping, of which all records are in by now, do not wait as long.
 */
static int await_tables(struct session *session, uint32_t epoch)
{
	uint64_t until_ns = monotonic_ns() + AWAIT_NS;
	const struct timespec pause = { .tv_nsec = AWAIT_STEP_NS };
	unsigned int in_vain = 0;
	bool last = false;
	int err = 0;

	while (!err && !last && unwinding_waits(session->unwinding, epoch)) {
		nanosleep(&pause, NULL);
		in_vain = unwinding_makes_tables(session->unwinding) ? 0 : in_vain + 1;
		last = in_vain > AWAIT_IN_VAIN || monotonic_ns() >= until_ns;
		err = pull(session);
		if (!err)
			err = unwinding_tick(session->unwinding, last, epoch, on_stack, session);
	}
	if (!err)
		err = name_bodies(session);
	return err ? fail(session, err, "unwind the samples") : 0;
}

static int join_spilled(struct session *session, uint32_t epoch)
{
	struct hashmap *spilled = &session->stacks.sides[epoch & 1].spilled;
	size_t cursor = 0;
	const void *key;
	void *count;
	int err = 0;

	while (!err && hashmap_next(spilled, &cursor, &key, &count))
		err = join_count(&session->join, key, *(uint64_t *)count);
	return err;
}

/*
 * Before the flip: what the epoch has cost decides the rate of the next.  Where sampling cannot change
 * its rate it stays, which the summary tells by the governor's own figures.
 */
static void govern(struct session *session, uint64_t now_ns)
{
	uint64_t cpu_ns = process_cpu_ns();
	unsigned int before_hz = session->governor.hz, hz;
	struct governor_epoch epoch;
	struct sampler_cost cost;

	if (!session->config->max_overhead)
		return;
	sampler_cost(session->sampler, &cost);
	epoch = (struct governor_epoch){
		.elapsed_ns = now_ns - session->last_flush_ns,
		.cpu_cnt = sampler_cpu_cnt(session->sampler),
		.own_cpu_ns = cpu_ns - session->governed_cpu_ns,
		.bpf_ns = cost.bpf_ns - session->governed_bpf_ns,
		.refused = session->refused,
	};
	session->governed_cpu_ns = cpu_ns;
	session->governed_bpf_ns = cost.bpf_ns;
	hz = governor_next(&session->governor, &epoch);
	if (hz != before_hz && sampler_set_freq(session->sampler, hz) < 0)
		session->governor.hz = session->governor.lowest_hz = before_hz;
}

/* End the epoch and bring all of it into the profile. */
static int flush(struct session *session)
{
	uint64_t now_ns = monotonic_ns(), before_ns;
	struct sampler_totals totals;
	uint32_t epoch;
	int err;

	govern(session, now_ns);
	err = sampler_end_epoch(session->sampler, &epoch, &totals);
	if (err)
		return fail(session, err, "read the sampler's counters");
	session->refused = totals.lost_full + totals.lost_busy + totals.body_ring_full +
			   totals.raw_refused;
	unwinding_settle(session->unwinding); /* before anything else is taken away */
	err = drain(session);
	if (!err)
		err = await_tables(session, epoch);
	if (!err)
		err = await_names(session);
	if (err)
		return err;
	join_begin_epoch(&session->join, epoch, totals.period);
	err = name_again(session, epoch);
	if (!err)
		err = sampler_drain_counts(session->sampler, epoch, join_count, &session->join);
	if (!err)
		err = join_spilled(session, epoch);
	if (err)
		return fail(session, err, "join samples with their stacks");
	window_report_add_totals(&session->join.report, &totals);
	session->join.report.sideband_lost += session->records.lost;
	session->join.report.sideband_refused += session->records.refused;
	session->records.lost = session->records.refused = 0;
	stacks_clear(&session->stacks, epoch);
	before_ns = session->last_flush_ns > LATE_NS ? session->last_flush_ns - LATE_NS : 0;
	records_forget_exited(&session->records, now_ns);
	symbolizer_trim(session->symbolizer, before_ns);
	unwinding_end_epoch(session->unwinding, before_ns);
	session->last_flush_ns = now_ns;
	return 0;
}

static void begin_window(struct session *session, uint64_t now_ns)
{
	session->window_start_ns = now_ns;
	session->window_start_wall_ns = realtime_ns() - (monotonic_ns() - now_ns);
	if (session->config->every_ns)
		session->next_window_ns = now_ns + session->config->every_ns;
}

/* Flush, close the profile and hand it on; the next window has begun at the flip. */
static int end_window(struct session *session, bool last)
{
	const struct session_config *config = session->config;
	uint64_t now_ns = monotonic_ns();
	struct window_report report;
	struct profile *profile;
	int err = flush(session);

	if (err)
		return err;
	profile = join_end_window(&session->join, session->window_start_wall_ns,
				  now_ns - session->window_start_ns);
	report = session->join.report;
	window_report_add(&session->result->total, &report);
	err = config->window(config->context, profile, &report, session->err);
	if (err || last)
		return err;
	begin_window(session, now_ns);
	err = join_begin_window(&session->join);
	return err ? fail(session, err, "begin a window") : 0;
}

static int open_unwinding(struct session *session)
{
	const struct session_config *config = session->config;
	const struct unwinding_config unwinding = {
		.mode = config->sampler.unwind,
		.kernel_bytes_max = config->unwind_bytes_max,
		.with_cache = config->symbolizer.with_cache,
		.cache_dir = config->symbolizer.cache_dir,
		.before_threads = config->restrict_self,
		.context = config->context,
	};

	return unwinding_new(&unwinding, session->sampler, session->symbolizer,
			     &session->unwinding, session->err);
}

static int open_all(struct session *session)
{
	const struct session_config *config = session->config;
	int err;

	err = symbolizer_new(&config->symbolizer, &session->symbolizer, session->err);
	if (!err)
		err = sampler_new(&config->sampler, config->targets, &session->sampler,
				  session->err);
	if (!err)
		err = open_unwinding(session);
	if (!err && session->command.pid > 0) {
		err = sampler_follow_command(session->sampler, session->command.pid);
		if (err)
			return fail(session, err, "follow the command");
	}
	if (!err)
		err = records_open(&session->records, config, session->symbolizer, session->sampler,
				   session->unwinding, session->err);
	if (err)
		return err;
	if (config->sampling)
		config->sampling(config->context, sampler_about(session->sampler));
	join_init(&session->join, config, sampler_period(session->sampler), &session->stacks,
		  session->symbolizer);
	err = join_begin_window(&session->join);
	if (err)
		return fail(session, err, "begin a window");
	return watch_start(&session->watch, DRAIN_NS, sideband_poll_fd(session->records.sideband),
			   sampler_poll_fd(session->sampler), session->err);
}

static int start(struct session *session)
{
	const struct session_config *config = session->config;
	int err;

	err = sampler_start(session->sampler, session->err);
	if (err)
		return err;
	session->start_ns = session->last_flush_ns = monotonic_ns();
	governor_init(&session->governor, config->max_overhead, config->sampler.freq_hz);
	session->governed_cpu_ns = process_cpu_ns();
	begin_window(session, session->start_ns);
	session->next_flush_ns = session->start_ns + config->sampler.flush_ns;
	session->next_second_ns = session->start_ns + NS_PER_SEC;
	if (config->command)
		err = command_exec(&session->command, config->command[0], session->err);
	if (!err && config->started)
		config->started(config->context);
	return err;
}

/* Has the session come to its end? */
static bool ended(struct session *session, uint64_t now_ns, int signal)
{
	const struct session_config *config = session->config;
	struct session_result *result = session->result;

	if (signal) {
		result->end = SESSION_END_SIGNAL;
		result->signal = signal;
		if (signal == SIGTERM && session->command.pid > 0)
			kill(session->command.pid, SIGTERM);
		return true;
	}
	if (config->command && command_reap(&session->command)) {
		result->end = SESSION_END_COMMAND;
		return true;
	}
	if (config->duration_ns && now_ns >= session->start_ns + config->duration_ns) {
		result->end = SESSION_END_DURATION;
		return true;
	}
	if (!config->command && targets_gone(config->targets, session->sampler)) {
		result->end = SESSION_END_TARGET;
		return true;
	}
	return false;
}

static void each_second(struct session *session, uint64_t now_ns)
{
	const struct session_config *config = session->config;

	if (now_ns < session->next_second_ns)
		return;
	session->next_second_ns += NS_PER_SEC;
	sampler_check_cpus(session->sampler);
	sideband_check_cpus(session->records.sideband);
	if (config->progress)
		config->progress(config->context,
				 (double)(now_ns - session->start_ns) / NS_PER_SEC,
				 sampler_counted(session->sampler),
				 MAX(session->join.processes.cnt,
				     stacks_task_cnt(&session->stacks)));
}

/* The next end of a window: it is kept to the millisecond, not to the tick. */
static uint64_t next_edge_ns(const struct session *session)
{
	uint64_t end_ns = session->config->duration_ns ?
				  session->start_ns + session->config->duration_ns :
				  0;

	if (!end_ns || (session->next_window_ns && session->next_window_ns < end_ns))
		return session->next_window_ns;
	return end_ns;
}

static int loop(struct session *session)
{
	for (;;) {
		int signal = watch_wait(&session->watch, next_edge_ns(session)), err = 0;
		uint64_t now_ns = monotonic_ns();

		if (ended(session, now_ns, signal))
			break;
		if (session->next_window_ns && now_ns >= session->next_window_ns) {
			err = end_window(session, false);
			session->next_flush_ns = now_ns + session->config->sampler.flush_ns;
		} else if (now_ns >= session->next_flush_ns) {
			err = flush(session);
			session->next_flush_ns += session->config->sampler.flush_ns;
		} else {
			err = drain(session);
		}
		if (err)
			return err;
		each_second(session, now_ns);
	}
	sampler_stop(session->sampler);
	return end_window(session, true);
}

/* VmHWM, because getrusage()'s ru_maxrss goes on from before our exec. */
static uint64_t peak_rss_bytes(void)
{
	struct strbuf text = STRBUF_INIT;
	uint64_t kib = 0;
	const char *at;

	if (read_path("/proc/self/status", 65536, &text) == 0 &&
	    (at = strstr(text.text, "\nVmHWM:")))
		kib = strtoull(at + strlen("\nVmHWM:"), NULL, 10);
	strbuf_free(&text);
	return kib << 10;
}

static void fill_result(struct session *session)
{
	struct session_result *result = session->result;
	struct symbolizer_stats stats;

	result->about = *sampler_about(session->sampler); /* whom it met is known since its start */
	sampler_cost(session->sampler, &result->cost);
	result->governor = session->governor;
	result->tracer_cnt = sampler_tracers(session->sampler, result->tracers);
	unwinding_stats(session->unwinding, &result->unwinding);
	result->cpu_cnt = sampler_cpu_cnt(session->sampler);
	result->period = sampler_period(session->sampler);
	symbolizer_stats(session->symbolizer, &stats);
	result->perfmap_skipped = stats.perfmap_skipped;
	result->refusal_cnt = symbolizer_refusals(session->symbolizer, result->refusals,
						  SESSION_REFUSALS_MAX);
	result->kernel_hidden = symbolizer_kernel_hidden(session->symbolizer);
	result->binaries = session->join.binaries;
	binaries_init(&session->join.binaries);
	result->own_cpu_ns = process_cpu_ns();
	result->peak_rss_bytes = peak_rss_bytes();
	if (session->command.pid > 0)
		command_reap(&session->command);
	result->command_status = session->command.status;
}

static void close_all(struct session *session)
{
	command_discard(&session->command);
	join_free(&session->join);
	stacks_free(&session->stacks);
	bodies_free(&session->bodies);
	bodies_free(&session->nameless);
	unwinding_free(session->unwinding);
	sampler_free(session->sampler);
	records_close(&session->records);
	symbolizer_free(session->symbolizer);
	watch_close(&session->watch);
}

int session_run(const struct session_config *config, struct session_result *ret,
		struct errmsg *err)
{
	struct session session = {
		.config = config,
		.result = ret,
		.err = err,
		.watch = WATCH_INIT,
		.command = COMMAND_PROCESS_INIT,
	};
	int code;

	*ret = (struct session_result){ .command_status = -1 };
	binaries_init(&ret->binaries);
	stacks_init(&session.stacks);
	code = watch_open(&session.watch, err);
	if (!code && config->command)
		code = command_start(config->command, &session.watch.old_mask,
				     config->command_stdout_to_stderr, &session.command, err);
	if (!code)
		code = open_all(&session);
	if (!code)
		code = start(&session);
	if (!code)
		code = loop(&session);
	if (!code)
		fill_result(&session);
	else
		ret->command_status = session.command.status;
	close_all(&session);
	return code;
}
