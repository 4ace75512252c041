/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Named stacks and tasks of the epochs that are not drained yet: what the ids and numbers of a
 * counts key stand for.  Two epochs at most are open at one time (the bank that counts and the
 * one being drained), so there are two sides, each forgotten as a whole.
 */
#ifndef EBPFPROF_PIPELINE_STACKS_H
#define EBPFPROF_PIPELINE_STACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "profiler/collect/sampler.h"
#include "profiler/base/hashmap.h"

struct location;

/* One stack body with its frames named; frames are in the side's pool. */
struct named_stack {
	uint32_t first; /* index into the pool */
	uint32_t cnt;	/* locations, leaf first, the note of an unfinished walk included */
	bool complete;
	uint32_t frames, named; /* real frames (no notes), those with a name */
};

struct task_key {
	uint64_t start_boottime_ns;
	uint32_t tgid, tid, exec_id;
	uint32_t names; /* hash of both names: see sample_key */
};

struct task_names {
	char comm[STACK_COMM_BYTES + 1];
	char leader_comm[STACK_COMM_BYTES + 1];
	bool kernel_thread;
};

struct stack_side {
	struct hashmap stacks; /* uint64_t id -> struct named_stack */
	struct hashmap tasks;  /* struct task_key -> struct task_names */
	struct hashmap spilled; /* struct sample_key -> uint64_t: samples that came by the ring */
	const struct location **pool;
	size_t pool_cnt, pool_capacity;
};

struct stacks {
	struct stack_side sides[2]; /* by epoch & 1 */
};

void stacks_init(struct stacks *stacks);
void stacks_free(struct stacks *stacks);

/** stacks_clear - forget epoch @epoch */
void stacks_clear(struct stacks *stacks, uint32_t epoch);

/** stacks_add - remember a named stack; adding an id again replaces it; -ENOMEM */
int stacks_add(struct stacks *stacks, uint32_t epoch, uint64_t id,
	       const struct location *const *locations, const struct named_stack *stack);

/** stacks_find - NULL: its body did not arrive */
const struct named_stack *stacks_find(const struct stacks *stacks, uint32_t epoch, uint64_t id,
				      const struct location *const **ret_locations);

int stacks_add_task(struct stacks *stacks, const struct task_body *body);
const struct task_names *stacks_find_task(const struct stacks *stacks, uint32_t epoch,
					  const struct task_key *key);

/** stacks_task_cnt - tasks seen in the open epochs */
size_t stacks_task_cnt(const struct stacks *stacks);

#endif
