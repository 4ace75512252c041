/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Taking stacks: ids for the key, bodies through the ring once per epoch (sample.h).
 */
#ifndef EBPFPROF_BPF_STACK_BPF_H
#define EBPFPROF_BPF_STACK_BPF_H

#include "bpf/shared.bpf.h"
#include "bpf/unwind.bpf.h"

#define __maybe_unused __attribute__((unused)) /* an object need not take every kind of stack */

/* Room to build a body in, too large for the stack: an element of a per-CPU map. */
struct stack_room {
	struct stack_body body;
	struct walk walk;
};

/* Per event: what belongs to one moment. */
struct moment {
	__u64 time_ns;
	__u32 epoch;
	__u32 generation; /* of the process's mappings */
	__u32 seen_mask;
};

static __always_inline void stat_add(__u32 epoch, enum stat stat)
{
	__u32 row = (epoch & 1) * STAT_CNT + stat;
	__u64 *count = bpf_map_lookup_elem(&stats, &row);

	if (count)
		(*count)++;
}

static __always_inline struct sampler_control *sampler_control(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&control, &zero);
}

/*
 * The place of @id in `seen`, or NULL if its body was sent in this epoch.  The caller writes *@tag
 * there once the body is in the ring.
 */
static __always_inline __u64 *unseen_place(const struct moment *moment, __u64 id, __u64 *tag)
{
	__u32 index = (__u32)id & moment->seen_mask;
	struct seen_slot *slot = bpf_map_lookup_elem(&seen, &index);

	*tag = id ^ ((__u64)(moment->epoch + 1) * 0xd6e8feb86659fd93ull);
	if (!slot || slot->tags[0] == *tag || slot->tags[1] == *tag)
		return NULL;
	return (id >> 63) ? &slot->tags[1] : &slot->tags[0];
}

static __always_inline void body_output(const struct moment *moment, __u64 *place, __u64 tag,
					void *body, __u32 bytes)
{
	if (bpf_ringbuf_output(&bodies, body, bytes, BPF_RB_NO_WAKEUP) == 0)
		*place = tag;
	else
		stat_add(moment->epoch, STAT_BODY_RING_FULL);
}

static __always_inline void body_begin(const struct moment *moment, struct body_header *header,
				       __u32 kind)
{
	header->kind = kind;
	header->epoch = moment->epoch;
	header->time_ns = moment->time_ns;
}

static __always_inline void stack_send(const struct moment *moment, struct stack_body *body)
{
	__u64 tag, *place = unseen_place(moment, body->id, &tag);
	__u32 cnt = body->frame_cnt;

	if (!place || cnt > STACK_FRAMES_MAX)
		return;
	body_output(moment, place, tag, body,
		    __builtin_offsetof(struct stack_body, frames) + cnt * sizeof(__u64));
}

static __always_inline __u64 process_hash(const struct task_facts *facts)
{
	__u64 hash = hash_mix(facts->start_boottime_ns,
			      ((__u64)facts->tgid << 32) | facts->exec_id);

	return hash_mix(hash, 1);
}

/* Id of the user stack at @regs, its body sent if it is new. */
static __noinline __maybe_unused __u64 user_stack_id(const struct moment *moment,
					   const struct task_facts *facts,
					   const struct user_regs *regs, struct stack_room *room)
{
	struct stack_body *body = &room->body;
	struct walk *walk = &room->walk;

	walk->process = hash_mix(process_hash(facts), moment->generation);
	walk->start_stack = facts->start_stack;
	walk->tls_base = arch_tls_base(facts->task);
	walk_user_stack(walk, body->frames, regs);
	body->id = hash_mix(walk->hash, walk->end);
	if (body->id == 0)
		body->id = 1;
	body_begin(moment, &body->header, BODY_USER_STACK);
	body->start_boottime_ns = facts->start_boottime_ns;
	body->tgid = facts->tgid;
	body->exec_id = facts->exec_id;
	body->end = walk->end;
	body->leaf_is_exact = !walk->leaf_is_call;
	body->frame_cnt = walk->cnt;
	stack_send(moment, body);
	return body->id;
}

/* Id of the kernel stack below the event @ctx; 0 when the kernel gave none. */
static __noinline __maybe_unused __u64 kernel_stack_id(const struct moment *moment, void *ctx,
					struct stack_room *room)
{
	struct stack_body *body = &room->body;
	long bytes = bpf_get_stack(ctx, body->frames, sizeof(body->frames) - sizeof(__u64), 0);
	__u64 hash = 2;
	__u32 i;

	if (bytes <= 0)
		return 0;
	body->frame_cnt = (__u32)bytes / sizeof(__u64);
	for (i = 0; i < STACK_FRAMES_MAX; i++) {
		if (i >= body->frame_cnt)
			break;
		hash = hash_mix(hash, body->frames[i]);
	}
	body->id = hash ? hash : 1;
	body_begin(moment, &body->header, BODY_KERNEL_STACK);
	body->start_boottime_ns = 0;
	body->tgid = 0;
	body->exec_id = 0;
	body->end = body->frame_cnt >= STACK_FRAMES_MAX ? STACK_DEPTH : STACK_KERNEL_END;
	body->leaf_is_exact = 1;
	stack_send(moment, body);
	return body->id;
}

/*
 * Who the task is: sent once per epoch and name.  Returns a hash of its names for the key, so that
 * samples before and after a rename stay apart.
 */
static __noinline __maybe_unused __u16 task_send(const struct moment *moment,
						 const struct task_facts *facts)
{
	struct task_body body = {};
	__u64 id, tag, *place, words[2], names = 0;

	bpf_get_current_comm(body.comm, sizeof(body.comm));
	__builtin_memcpy(words, body.comm, sizeof(words));
	names = hash_mix(hash_mix(names, words[0]), words[1]);
	if (facts->tid == facts->tgid)
		__builtin_memcpy(body.leader_comm, body.comm, sizeof(body.leader_comm));
	else
		leader_comm_read(facts->task, body.leader_comm);
	__builtin_memcpy(words, body.leader_comm, sizeof(words));
	names = hash_mix(hash_mix(names, words[0]), words[1]);
	id = hash_mix(hash_mix(process_hash(facts), facts->tid), names);
	body.names = (__u16)names;
	place = unseen_place(moment, id, &tag);
	if (!place)
		return body.names;
	body_begin(moment, &body.header, BODY_TASK);
	body.start_boottime_ns = facts->start_boottime_ns;
	body.tgid = facts->tgid;
	body.tid = facts->tid;
	body.exec_id = facts->exec_id;
	body.flags = facts->flags & PF_KTHREAD ? TASK_IS_KERNEL_THREAD : 0;
	body_output(moment, place, tag, &body, sizeof(body));
	return body.names;
}

#endif
