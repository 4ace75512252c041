/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bodies wait in a queue because an epoch can end while nobody takes them: sampler_end_epoch()
 * must count what is still in the rings.  The queue is bounded; a body that finds no room is not
 * marked as seen, so that the stack's next sample brings it.  A key that finds no room is lost, and
 * so is one that finds no memory: the profiler goes on, and says how many there were.
 */
#include "profiler/collect/ring_counts.h"

#include <errno.h>
#include <string.h>

#include "bpf/target.h"
#include "profiler/base/cleanup.h"

#define QUEUE_BYTES_MAX (16u << 20)
#define SEEN_PER_COUNT 4u /* two stacks and a task, and some that found no count */

void ring_counts_init(struct ring_counts *counts, uint32_t entries_max, size_t stack_max)
{
	int i;

	*counts = (struct ring_counts){ .entries_max = entries_max, .stack_max = stack_max };
	for (i = 0; i < 2; i++) {
		hashmap_init(&counts->banks[i].counts, sizeof(struct sample_key), sizeof(uint64_t));
		hashmap_init(&counts->banks[i].seen, sizeof(uint64_t), 0);
	}
}

void ring_counts_free(struct ring_counts *counts)
{
	int i;

	for (i = 0; i < 2; i++) {
		hashmap_free(&counts->banks[i].counts);
		hashmap_free(&counts->banks[i].seen);
	}
	strbuf_free(&counts->bodies);
}

struct ring_bank *ring_counts_bank(struct ring_counts *counts)
{
	return &counts->banks[counts->epoch & 1];
}

/* ---- bodies ---- */

/* Queue a body of @bytes unless its id was in this epoch. */
static void send_body(struct ring_counts *counts, uint64_t id, const void *body, size_t bytes)
{
	struct ring_bank *bank = ring_counts_bank(counts);
	static const char padding[8];
	size_t padded = (bytes + 7) / 8 * 8;

	if (hashmap_get(&bank->seen, &id))
		return;
	if (bank->seen.cnt >= (size_t)counts->entries_max * SEEN_PER_COUNT ||
	    counts->bodies.len + padded > QUEUE_BYTES_MAX ||
	    !strbuf_reserve(&counts->bodies, padded)) {
		counts->bodies.failed = false;
		bank->totals.body_ring_full++;
		return;
	}
	/* Without memory to remember it, it comes twice. */
	hashmap_put(&bank->seen, &id, NULL);
	strbuf_add(&counts->bodies, body, bytes);
	strbuf_add(&counts->bodies, padding, padded - bytes);
}

static void begin_body(const struct ring_counts *counts, struct body_header *header, uint32_t kind,
		       uint64_t time_ns)
{
	header->kind = kind;
	header->epoch = counts->epoch;
	header->time_ns = time_ns;
}

/* What an id is of, besides the frames: hashed, so no padding. */
struct stack_identity {
	uint64_t start_boottime_ns, frames;
	uint32_t tgid, exec_id, generation, end;
};

/* counts->body with its frames and identity, to the queue; its id. */
static uint64_t send_stack(struct ring_counts *counts, uint32_t generation)
{
	struct stack_body *body = &counts->body;
	const struct stack_identity identity = {
		.start_boottime_ns = body->start_boottime_ns,
		.frames = hash_bytes(body->frames, body->frame_cnt * sizeof(body->frames[0])),
		.tgid = body->tgid,
		.exec_id = body->exec_id,
		.generation = generation,
		.end = body->end | (uint32_t)body->header.kind << 8,
	};

	body->id = hash_bytes(&identity, sizeof(identity));
	body->id += body->id == 0;
	send_body(counts, body->id, body,
		  offsetof(struct stack_body, frames) + body->frame_cnt * sizeof(body->frames[0]));
	return body->id;
}

static uint64_t take_kernel_stack(struct ring_counts *counts, const struct ring_sample *sample)
{
	struct stack_body *body = &counts->body;
	size_t cnt = MIN(sample->kernel_cnt, (size_t)STACK_FRAMES_MAX);

	if (!cnt)
		return 0;
	begin_body(counts, &body->header, BODY_KERNEL_STACK, sample->time_ns);
	body->start_boottime_ns = 0;
	body->tgid = body->exec_id = 0;
	body->frame_cnt = (uint16_t)cnt;
	body->end = sample->kernel_cnt >= counts->stack_max ? STACK_DEPTH : STACK_KERNEL_END;
	body->leaf_is_exact = 1;
	body->unchecked = 0;
	body->mapped_ns = 0;
	memcpy(body->frames, sample->kernel, cnt * sizeof(body->frames[0]));
	return send_stack(counts, 0);
}

/*
 * The kernel does not say why its walk ended: at the mark of the ABI, at memory that is not there
 * or that holds no frame.  So it is never taken for complete here; the names tell whether the last
 * frame is where a thread starts (pipeline/resolve.c).
 */
static uint64_t take_user_stack(struct ring_counts *counts, const struct ring_sample *sample,
				const struct ring_process *process)
{
	struct stack_body *body = &counts->body;
	size_t cnt = MIN(sample->user_cnt, (size_t)STACK_FRAMES_MAX);

	if (!cnt)
		return 0;
	begin_body(counts, &body->header, BODY_USER_STACK, sample->time_ns);
	body->start_boottime_ns = process->start_boottime_ns;
	body->tgid = sample->pid;
	body->exec_id = process->exec_id;
	body->frame_cnt = (uint16_t)cnt;
	body->end = cnt < sample->user_cnt ||
				    sample->kernel_cnt + sample->user_cnt >= counts->stack_max ?
			    STACK_DEPTH :
			    STACK_BROKEN;
	body->leaf_is_exact = 1;
	body->unchecked = 1;
	body->mapped_ns = UINT64_MAX; /* frame pointers are the same whatever is mapped */
	memcpy(body->frames, sample->user, cnt * sizeof(body->frames[0]));
	return send_stack(counts, counts->generations[sample->pid % MAP_GENERATIONS]);
}

/* Who the task is; a hash of its names for the key. */
static uint16_t send_task(struct ring_counts *counts, const struct ring_sample *sample,
			  const struct ring_task *task)
{
	struct task_body body = {};

	body.start_boottime_ns = task->process.start_boottime_ns;
	body.tgid = sample->pid;
	body.tid = sample->tid;
	body.exec_id = task->process.exec_id;
	body.flags = task->process.kernel_thread ? TASK_IS_KERNEL_THREAD : 0;
	memcpy(body.comm, task->comm, sizeof(body.comm));
	memcpy(body.leader_comm, task->leader_comm, sizeof(body.leader_comm));
	body.names = (uint16_t)(hash_bytes(body.comm, sizeof(body.comm)) * 31 +
				hash_bytes(body.leader_comm, sizeof(body.leader_comm)));
	begin_body(counts, &body.header, BODY_TASK, 0);
	send_body(counts, hash_bytes(&body, sizeof(body)), &body, sizeof(body));
	return body.names;
}

/* ---- counts ---- */

void ring_counts_add(struct ring_counts *counts, const struct ring_sample *sample,
		     const struct ring_task *task)
{
	struct ring_bank *bank = ring_counts_bank(counts);
	struct sample_key key = {};
	uint64_t *count;

	key.kind = SAMPLE_CPU;
	key.tgid = sample->pid;
	key.tid = sample->tid;
	key.start_boottime_ns = task->process.start_boottime_ns;
	key.exec_id = task->process.exec_id;
	key.kernel_stack = take_kernel_stack(counts, sample);
	key.user_stack = take_user_stack(counts, sample, &task->process);
	key.names = send_task(counts, sample, task);
	count = hashmap_get(&bank->counts, &key);
	if (!count && bank->counts.cnt < counts->entries_max)
		count = hashmap_put(&bank->counts, &key, NULL);
	if (!count) {
		bank->totals.lost_full++;
		return;
	}
	(*count)++;
	bank->totals.counted++;
	counts->counted++;
}

uint32_t ring_counts_end_epoch(struct ring_counts *counts, struct sampler_totals *ret)
{
	struct ring_bank *bank = ring_counts_bank(counts);

	*ret = bank->totals;
	bank->totals = (struct sampler_totals){};
	hashmap_clear(&bank->seen);
	return counts->epoch++;
}

/* ---- the caller's side ---- */

static size_t body_bytes(const struct body_header *header)
{
	const struct stack_body *stack = (const void *)header;

	if (header->kind == BODY_TASK)
		return sizeof(struct task_body);
	return offsetof(struct stack_body, frames) + stack->frame_cnt * sizeof(stack->frames[0]);
}

int ring_counts_drain_bodies(struct ring_counts *counts, const struct body_handler *handler)
{
	int code = 0;

	while (!code && counts->bodies_given < counts->bodies.len) {
		const void *body = counts->bodies.text + counts->bodies_given;
		const struct body_header *header = body;

		counts->bodies_given += (body_bytes(header) + 7) / 8 * 8;
		code = header->kind == BODY_TASK ? handler->task(handler->context, body) :
						   handler->stack(handler->context, body);
	}
	if (counts->bodies_given == counts->bodies.len) {
		strbuf_clear(&counts->bodies);
		counts->bodies_given = 0;
	}
	return code;
}

int ring_counts_drain(struct ring_counts *counts, uint32_t epoch,
		      int (*count)(void *context, const struct sample_key *key, uint64_t value),
		      void *context)
{
	struct hashmap *map = &counts->banks[epoch & 1].counts;
	size_t cursor = 0;
	const void *key;
	void *value;
	int code = 0;

	while (!code && hashmap_next(map, &cursor, &key, &value))
		code = count(context, key, *(const uint64_t *)value);
	hashmap_clear(map);
	return code;
}

size_t ring_counts_bytes(const struct ring_counts *counts)
{
	size_t bytes = counts->bodies.capacity;
	int i;

	for (i = 0; i < 2; i++)
		bytes += hashmap_bytes(&counts->banks[i].counts) +
			 hashmap_bytes(&counts->banks[i].seen);
	return bytes;
}
