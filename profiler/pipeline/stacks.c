/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/pipeline/stacks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"

#define POOL_KEEP 65536u /* locations: a pool that had grown beyond is given back */

void stacks_init(struct stacks *stacks)
{
	int i;

	*stacks = (struct stacks){};
	for (i = 0; i < 2; i++) {
		hashmap_init(&stacks->sides[i].stacks, sizeof(uint64_t),
			     sizeof(struct named_stack));
		hashmap_init(&stacks->sides[i].tasks, sizeof(struct task_key),
			     sizeof(struct task_names));
		hashmap_init(&stacks->sides[i].spilled, sizeof(struct sample_key),
			     sizeof(uint64_t));
	}
}

void stacks_free(struct stacks *stacks)
{
	int i;

	for (i = 0; i < 2; i++) {
		hashmap_free(&stacks->sides[i].stacks);
		hashmap_free(&stacks->sides[i].tasks);
		hashmap_free(&stacks->sides[i].spilled);
		free(stacks->sides[i].pool);
	}
	stacks_init(stacks);
}

void stacks_clear(struct stacks *stacks, uint32_t epoch)
{
	struct stack_side *side = &stacks->sides[epoch & 1];

	hashmap_clear(&side->stacks);
	hashmap_clear(&side->tasks);
	hashmap_clear(&side->spilled);
	side->pool_cnt = 0;
	if (side->pool_capacity > POOL_KEEP) {
		free(side->pool);
		side->pool = NULL;
		side->pool_capacity = 0;
	}
}

int stacks_add(struct stacks *stacks, uint32_t epoch, uint64_t id,
	       const struct location *const *locations, const struct named_stack *stack)
{
	struct stack_side *side = &stacks->sides[epoch & 1];
	struct named_stack *entry;

	if (side->pool_cnt + stack->cnt > side->pool_capacity) {
		size_t capacity = side->pool_capacity ? side->pool_capacity * 2 : 4096;
		void *pool;

		if (capacity < side->pool_cnt + stack->cnt)
			capacity = side->pool_cnt + stack->cnt;
		pool = realloc(side->pool, capacity * sizeof(*side->pool));
		if (!pool)
			return -ENOMEM;
		side->pool = pool;
		side->pool_capacity = capacity;
	}
	entry = hashmap_put(&side->stacks, &id, NULL);
	if (!entry)
		return -ENOMEM;
	*entry = *stack;
	entry->first = (uint32_t)side->pool_cnt;
	if (stack->cnt)
		memcpy(side->pool + side->pool_cnt, locations, stack->cnt * sizeof(*locations));
	side->pool_cnt += stack->cnt;
	return 0;
}

const struct named_stack *stacks_find(const struct stacks *stacks, uint32_t epoch, uint64_t id,
				      const struct location *const **ret_locations)
{
	const struct stack_side *side = &stacks->sides[epoch & 1];
	const struct named_stack *stack = hashmap_get(&side->stacks, &id);

	if (stack)
		*ret_locations = stack->cnt ? side->pool + stack->first : NULL;
	return stack;
}

int stacks_add_task(struct stacks *stacks, const struct task_body *body)
{
	struct stack_side *side = &stacks->sides[body->header.epoch & 1];
	struct task_key key = {
		.start_boottime_ns = body->start_boottime_ns,
		.tgid = body->tgid,
		.tid = body->tid,
		.exec_id = body->exec_id,
		.names = body->names,
	};
	struct task_names *names = hashmap_put(&side->tasks, &key, NULL);

	if (!names)
		return -ENOMEM;
	memcpy(names->comm, body->comm, STACK_COMM_BYTES);
	memcpy(names->leader_comm, body->leader_comm, STACK_COMM_BYTES);
	names->comm[STACK_COMM_BYTES] = names->leader_comm[STACK_COMM_BYTES] = '\0';
	names->kernel_thread = (body->flags & TASK_IS_KERNEL_THREAD) != 0;
	return 0;
}

const struct task_names *stacks_find_task(const struct stacks *stacks, uint32_t epoch,
					  const struct task_key *key)
{
	return hashmap_get(&stacks->sides[epoch & 1].tasks, key);
}

size_t stacks_task_cnt(const struct stacks *stacks)
{
	return MAX(stacks->sides[0].tasks.cnt, stacks->sides[1].tasks.cnt);
}
