/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/pipeline/join.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/pipeline/stacks.h"
#include "proto/profile_read.h"
#include "symbolizer/symbolizer.h"

#define PROFILE_BYTES_MAX (256u << 20)
#define LINES_MAX 64 /* inlined functions of one address */

/* What is known of a location within an epoch. */
struct joined {
	int64_t id;		/* in the profile */
	struct binary_use *use; /* NULL = no code */
};

void join_init(struct join *join, const struct session_config *config, uint64_t period,
	       struct stacks *stacks, struct symbolizer *symbolizer)
{
	*join = (struct join){
		.stacks = stacks,
		.symbolizer = symbolizer,
		.event = config->sampler.event,
		.period = period,
		.profile_bytes_max = config->profile_bytes_max ? config->profile_bytes_max :
								 PROFILE_BYTES_MAX,
		.with_user = config->sampler.with_user,
		.with_kernel = config->sampler.with_kernel,
		.has_targets = !targets_is_everything(config->targets),
	};
	hashmap_init(&join->location_ids, sizeof(const struct location *),
		     sizeof(struct joined));
	binaries_init(&join->binaries);
	hashmap_init(&join->processes, sizeof(struct task_key), 0);
}

void join_free(struct join *join)
{
	profile_freep(&join->profile);
	hashmap_free(&join->location_ids);
	hashmap_free(&join->processes);
	binaries_free(&join->binaries);
}

int join_begin_window(struct join *join)
{
	bool cycles = join->event == SAMPLER_CYCLES;
	const char *type = cycles ? "cycles" : "cpu", *unit = cycles ? "count" : "nanoseconds";
	int err;

	profile_freep(&join->profile);
	join->report = (struct window_report){};
	hashmap_clear(&join->processes);
	hashmap_clear(&join->location_ids); /* ids of the last window's profile */
	err = profile_new(&join->profile);
	if (!err)
		err = profile_add_sample_type(join->profile, "samples", "count");
	if (!err)
		err = profile_add_sample_type(join->profile, type, unit);
	if (!err)
		err = profile_set_period(join->profile, type, unit, (int64_t)join->period);
	return err < 0 ? err : 0;
}

void join_begin_epoch(struct join *join, uint32_t epoch, uint64_t period)
{
	join->epoch = epoch;
	join->epoch_period = period;
	/* Locations may have been freed since, and their places taken by others. */
	hashmap_clear(&join->location_ids);
}

static int64_t add_mapping(struct join *join, const struct location_mapping *mapping)
{
	struct profile_mapping added = {
		.start = mapping->start,
		.limit = mapping->limit,
		.offset = mapping->offset,
		.filename = mapping->filename,
		.build_id = mapping->build_id && mapping->build_id[0] ? mapping->build_id : NULL,
	};

	return profile_add_mapping(join->profile, &added);
}

/* Adds @location to the profile; its id. */
static int64_t add_location(struct join *join, const struct location *location)
{
	struct profile_line lines[LINES_MAX];
	uint32_t i, cnt = MIN(location->line_cnt, (uint32_t)LINES_MAX);
	int64_t mapping = 0;

	if (location->mapping) {
		mapping = add_mapping(join, location->mapping);
		if (mapping < 0)
			return mapping;
	}
	for (i = 0; i < cnt; i++) {
		const struct location_line *line = &location->lines[i];
		struct profile_function function = {
			.name = line->function,
			.system_name = line->system_name,
			.filename = line->filename,
			.start_line = line->start_line,
		};

		lines[i].function_id = profile_add_function(join->profile, &function);
		lines[i].line = line->line;
		if (lines[i].function_id < 0)
			return lines[i].function_id;
	}
	return profile_add_location(join->profile, mapping,
				    location->mapping ? location->address : 0, lines, cnt);
}

/* What is known of @location, learned if it is new; its id may be an error. */
static struct joined get_joined(struct join *join, const struct location *location)
{
	struct joined *known = hashmap_get(&join->location_ids, &location), joined;

	if (known)
		return *known;
	joined.id = add_location(join, location);
	joined.use = binaries_get(&join->binaries, join->symbolizer, location);
	known = joined.id > 0 ? hashmap_put(&join->location_ids, &location, NULL) : NULL;
	if (known)
		*known = joined;
	return joined;
}

static int64_t note_id(struct join *join, const char *text)
{
	const struct location *note = symbolizer_note(join->symbolizer, text);

	return note ? get_joined(join, note).id : -ENOMEM;
}

/* Append the ids of stack @id; returns how many, or -errno. */
static int64_t add_stack(struct join *join, uint64_t id, uint64_t samples, bool user, bool is_leaf,
			 bool *lost, int64_t *ret_ids)
{
	struct stack_quality *quality = &join->report.quality;
	const struct location *const *locations;
	const struct named_stack *stack;
	uint32_t i;

	stack = stacks_find(join->stacks, join->epoch, id, &locations);
	if (!stack) {
		*lost = true;
		ret_ids[0] = note_id(join, "[stack lost: ring buffer full]");
		return ret_ids[0] < 0 ? ret_ids[0] : 1;
	}
	for (i = 0; i < stack->cnt; i++) {
		struct joined joined = get_joined(join, locations[i]);

		ret_ids[i] = joined.id;
		if (ret_ids[i] < 0)
			return ret_ids[i];
		if (!joined.use)
			continue;
		joined.use->samples += is_leaf && i == 0 ? samples : 0;
		joined.use->frames += samples;
		joined.use->named += locations[i]->named ? samples : 0;
		joined.use->stacks += user && i == 0 ? samples : 0;
		joined.use->complete += user && i == 0 && stack->complete ? samples : 0;
	}
	if (user) {
		quality->user += samples;
		quality->complete += stack->complete ? samples : 0;
		quality->frames += stack->frames * samples;
		quality->named += stack->named * samples;
	}
	return stack->cnt;
}

/* Kernel frames, then user frames; something in any case, as a sample without frames is lost
 * by most readers. */
static int64_t add_stacks(struct join *join, const struct sample_key *key, uint64_t samples,
			  int64_t *ids)
{
	int64_t cnt = 0, more;
	bool lost = false;

	if (key->kernel_stack) {
		cnt = add_stack(join, key->kernel_stack, samples, false, true, &lost, ids);
		if (cnt < 0)
			return cnt;
	}
	if (key->user_stack) {
		more = add_stack(join, key->user_stack, samples, true, cnt == 0, &lost, ids + cnt);
		if (more < 0)
			return more;
		cnt += more;
	}
	join->report.without_stack += lost ? samples : 0;
	if (cnt == 0) {
		ids[0] = note_id(join, join->with_user && join->with_kernel ? "[no stack]" :
				       join->with_user			    ? "[kernel]" :
									      "[user]");
		cnt = ids[0] < 0 ? ids[0] : 1;
	}
	return cnt;
}

static size_t add_labels(struct join *join, const struct sample_key *key,
			 const struct task_names *names, struct profile_label labels[4])
{
	labels[0] = (struct profile_label){ .key = "process",
					    .str = names ? names->leader_comm : "[unknown]" };
	labels[1] =
		(struct profile_label){ .key = "thread", .str = names ? names->comm : "[unknown]" };
	labels[2] = (struct profile_label){ .key = "pid", .num = key->tgid, .unit = "pid" };
	labels[3] = (struct profile_label){ .key = "tid", .num = key->tid, .unit = "tid" };
	if (profile_bytes(join->profile) <= join->profile_bytes_max)
		return 4;
	return 2;
}

int join_count(void *context, const struct sample_key *key, uint64_t value)
{
	int64_t ids[2 * (STACK_FRAMES_MAX + 1)], cnt, values[2], id;
	struct task_key task = {
		.start_boottime_ns = key->start_boottime_ns,
		.tgid = key->tgid,
		.tid = key->tid,
		.exec_id = key->exec_id,
		.names = key->names,
	};
	struct profile_label labels[4];
	const struct task_names *names;
	struct join *join = context;
	size_t label_cnt;

	names = stacks_find_task(join->stacks, join->epoch, &task);
	join->report.without_names += names ? 0 : value;
	label_cnt = add_labels(join, key, names, labels);
	if (label_cnt < 4)
		join->report.without_labels += value;
	cnt = add_stacks(join, key, value, ids);
	if (cnt < 0)
		return (int)cnt;
	values[0] = (int64_t)value;
	values[1] = (int64_t)(value * join->epoch_period);
	id = profile_add_sample(join->profile, ids, (size_t)cnt, values, labels, label_cnt);
	if (id < 0)
		return (int)id;
	task.tid = task.names = 0;
	hashmap_put(&join->processes, &task, NULL);
	return 0;
}

static void add_comments(struct join *join)
{
	const struct sampler_totals *totals = &join->report.totals;
	char text[400];

	snprintf(text, sizeof(text),
		 "ebpfprof: samples due %" PRIu64 ", not fired %" PRId64 ", fired %" PRIu64
		 ", idle %" PRIu64 ", filtered %" PRIu64 ", counted %" PRIu64 ", lost %" PRIu64,
		 totals->due, totals->not_fired, totals->fired, totals->idle, totals->filtered,
		 totals->counted, totals->lost_full + totals->lost_busy);
	profile_add_comment(join->profile, text);
	if (totals->period > join->period) {
		snprintf(text, sizeof(text),
			 "ebpfprof: --max-overhead lowered the rate, to a period of %" PRIu64
			 " at most; each sample has the weight of its own",
			 totals->period);
		profile_add_comment(join->profile, text);
	}
	if (join->report.without_stack) {
		snprintf(text, sizeof(text), "ebpfprof: %" PRIu64 " samples without their stack",
			 join->report.without_stack);
		profile_add_comment(join->profile, text);
	}
}

/*
 * Is @filename a program rather than a library ("libx.so", "libx.so.1", "libx.so (deleted)") or
 * one of the kernel's pseudo files?
 */
static bool is_program(const char *filename)
{
	const char *at = strrchr(filename, '/');

	if (filename[0] != '/')
		return false;
	while ((at = strstr(at, ".so"))) {
		at += strlen(".so");
		if (*at == '\0' || *at == '.' || *at == ' ')
			return false;
	}
	return true;
}

/* The mapping that most samples have as the program below their libraries; 0 = none. */
static int64_t find_main_mapping(const struct profile *profile)
{
	size_t cnt = profile_mapping_cnt(profile), id, i, best = 0;
	_cleanup_free_ int64_t *samples = calloc(cnt + 1, sizeof(*samples));

	for (id = 1; samples && id <= profile_sample_cnt(profile); id++) {
		struct profile_sample_view sample;

		profile_sample(profile, id, &sample);
		for (i = sample.location_cnt; i-- > 0;) {
			struct profile_location_view location;
			struct profile_mapping mapping;

			profile_location(profile, sample.locations[i], &location);
			if (!location.mapping_id)
				continue;
			profile_mapping(profile, location.mapping_id, &mapping);
			if (!is_program(mapping.filename))
				continue;
			samples[location.mapping_id] += sample.values[0];
			break;
		}
	}
	for (id = 1; samples && id <= cnt; id++)
		if (samples[id] > samples[best])
			best = id;
	return (int64_t)best;
}

struct profile *join_end_window(struct join *join, uint64_t start_ns, uint64_t duration_ns)
{
	join->report.processes = join->processes.cnt;
	join->report.stacks = profile_stack_cnt(join->profile);
	join->report.start_ns = start_ns;
	join->report.end_ns = start_ns + duration_ns;
	join->report.duration_ns = duration_ns;
	profile_set_time(join->profile, (int64_t)start_ns, (int64_t)duration_ns);
	add_comments(join);
	if (join->has_targets)
		profile_set_main_mapping(join->profile, find_main_mapping(join->profile));
	return TAKE_PTR(join->profile);
}
