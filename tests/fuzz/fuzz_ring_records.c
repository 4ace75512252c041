/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as the content of two rings of perf events, read as the sampler reads them: merged by
 * time, tasks learnt, samples accepted and counted, bodies and counts drained.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/collect/event_rings.h"
#include "profiler/collect/ring_counts.h"
#include "profiler/collect/ring_roots.h"
#include "profiler/collect/ring_tasks.h"
#include "profiler/collect/targets.h"
#include "profiler/collect/task_record.h"
#include "tests/unit/ring_fixture.h"

#define RING_BYTES 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct drained {
	uint64_t samples, frames;
};

static int on_stack(void *context, const struct stack_body *body)
{
	struct drained *drained = context;
	uint16_t i;

	if (body->frame_cnt > STACK_FRAMES_MAX || !body->frame_cnt || !body->id)
		abort();
	for (i = 0; i < body->frame_cnt; i++)
		drained->frames += body->frames[i] & 1;
	return 0;
}

static int on_task(void *context, const struct task_body *body)
{
	(void)context;
	if (body->comm[STACK_COMM_BYTES - 1] || body->leader_comm[STACK_COMM_BYTES - 1])
		abort();
	return 0;
}

static int on_count(void *context, const struct sample_key *key, uint64_t value)
{
	if (!value || key->kind != SAMPLE_CPU)
		abort();
	((struct drained *)context)->samples += value;
	return 0;
}

static void read_rings(struct event_rings *rings, struct ring_roots *roots,
		       struct ring_tasks *tasks, struct ring_counts *counts)
{
	const struct perf_event_header *record;

	event_rings_begin(rings);
	while ((record = event_rings_next(rings, UINT64_MAX))) {
		struct ring_sample sample;
		struct task_record task;
		struct ring_task who;

		if (task_record_parse(record, &task)) {
			ring_roots_apply(roots, &task);
			ring_tasks_apply(tasks, &task);
		} else if (ring_sample_parse(record, &sample) &&
			   ring_roots_accept(roots, (pid_t)sample.tid, rings->taken->cpu,
					     sample.root_id) &&
			   ring_tasks_get(tasks, (pid_t)sample.pid, (pid_t)sample.tid, &who) == 0 &&
			   ring_tasks_match(tasks, (pid_t)sample.tid, &who)) {
			ring_counts_add(counts, &sample, &who);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct body_handler handler = { .stack = on_stack, .task = on_task };
	const struct targets targets = { .follow = true };
	struct event_rings rings = EVENT_RINGS_INIT;
	struct event_ring array[2];
	struct body_handler with;
	struct ring_counts *counts = malloc(sizeof(*counts));
	struct sampler_totals totals;
	struct drained drained = {};
	struct ring_tasks tasks;
	struct ring_roots roots;
	size_t half = size > 2 * RING_BYTES ? RING_BYTES : size / 2;
	int i;

	if (!counts)
		abort();
	for (i = 0; i < 2; i++) {
		ring_make(&array[i], (unsigned int)i, RING_BYTES, i ? RING_BYTES - 64 : 0);
		ring_write(&array[i], data + (size_t)i * half, half / 8 * 8);
	}
	rings.rings = array;
	rings.cnt = 2;
	ring_tasks_init(&tasks, &targets);
	ring_counts_init(counts, 64, 127);
	with = handler;
	with.context = &drained;
	ring_roots_init(&roots);
	read_rings(&rings, &roots, &tasks, counts);
	if (roots.threads.cnt > roots.choices.cnt)
		abort();
	ring_counts_end_epoch(counts, &totals);
	ring_counts_drain_bodies(counts, &with);
	ring_counts_drain(counts, 0, on_count, &drained);
	if (drained.samples != totals.counted)
		abort();
	ring_tasks_forget_exited(&tasks);
	ring_tasks_free(&tasks);
	ring_roots_free(&roots);
	ring_counts_free(counts);
	free(counts);
	for (i = 0; i < 2; i++)
		ring_unmake(&array[i]);
	return 0;
}
