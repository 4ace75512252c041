/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * To keep a thread from ever having two events would need that no clone() is under way while its
 * events are opened, one CPU after another: they would have to be stopped, which a profiler must
 * not do.  So doubles are let happen and recognised, by an id that the kernel writes into samples.
 *
 * This holds for clocks and counters.  For other software events, page faults for one, the kernel
 * fills in one sample for all events of a task (do_perf_sw_event(), 6.18): both come with the id of
 * the first.
 *
 * First come, first chosen: either event has the thread's whole time on that CPU from then on, so
 * no answer is better, and none has to be waited for.
 *
 * A thread's choices are a list through `next_cpu`: it ends without a look at every CPU.
 */
#include "profiler/collect/ring_roots.h"

#include "profiler/collect/task_record.h"

#define NO_CPU UINT32_MAX

struct choice_key {
	pid_t tid;
	uint32_t cpu;
};

struct choice {
	uint64_t root_id;
	uint32_t next_cpu; /* of the same thread; NO_CPU = the last */
};

void ring_roots_init(struct ring_roots *roots)
{
	hashmap_init(&roots->choices, sizeof(struct choice_key), sizeof(struct choice));
	hashmap_init(&roots->threads, sizeof(pid_t), sizeof(uint32_t));
}

void ring_roots_free(struct ring_roots *roots)
{
	hashmap_free(&roots->choices);
	hashmap_free(&roots->threads);
}

void ring_roots_clear(struct ring_roots *roots)
{
	hashmap_clear(&roots->choices);
	hashmap_clear(&roots->threads);
}

static void choose(struct ring_roots *roots, const struct choice_key *key, uint64_t root_id)
{
	uint32_t *newest;
	struct choice *choice;
	bool is_first;

	if (roots->choices.cnt >= RING_ROOTS_MAX)
		ring_roots_clear(roots);
	newest = hashmap_put(&roots->threads, &key->tid, &is_first);
	if (!newest)
		return;
	choice = hashmap_put(&roots->choices, key, NULL);
	if (!choice) {
		if (is_first)
			hashmap_del(&roots->threads, &key->tid);
		return;
	}
	*choice = (struct choice){ .root_id = root_id, .next_cpu = is_first ? NO_CPU : *newest };
	*newest = key->cpu;
}

bool ring_roots_accept(struct ring_roots *roots, pid_t tid, unsigned int cpu, uint64_t root_id)
{
	const struct choice_key key = { .tid = tid, .cpu = cpu };
	const struct choice *choice = hashmap_get(&roots->choices, &key);

	if (choice)
		return choice->root_id == root_id;
	/* 0: of several, outside of our pid namespace; -1: one that has no number any more. */
	if (tid > 0)
		choose(roots, &key, root_id);
	return true;
}

static void forget(struct ring_roots *roots, pid_t tid)
{
	const uint32_t *newest = hashmap_get(&roots->threads, &tid);
	struct choice_key key = { .tid = tid };
	const struct choice *choice;
	uint32_t next_cpu;

	if (!newest)
		return;
	for (key.cpu = *newest; key.cpu != NO_CPU; key.cpu = next_cpu) {
		choice = hashmap_get(&roots->choices, &key);
		next_cpu = choice ? choice->next_cpu : NO_CPU;
		hashmap_del(&roots->choices, &key);
	}
	hashmap_del(&roots->threads, &tid);
}

void ring_roots_apply(struct ring_roots *roots, const struct task_record *record)
{
	/* A start too: the end of the thread that had the number before may not have been told. */
	if (record->kind == TASK_FORKED || record->kind == TASK_EXITED)
		forget(roots, (pid_t)record->tid);
}
