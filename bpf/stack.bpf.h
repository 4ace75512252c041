/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Taking stacks: ids for the key, bodies through the ring once per epoch (sample.h).
 */
#ifndef EBPFPROF_BPF_STACK_BPF_H
#define EBPFPROF_BPF_STACK_BPF_H

#include "bpf/shared.bpf.h"
#include "bpf/unwind.bpf.h"

#define PAGE_BYTES 4096
#define __maybe_unused __attribute__((unused)) /* an object need not take every kind of stack */

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

/*
 * How much of the stack to copy: up to its base, where that is known, and the less the fuller the
 * ring is: many shallow stacks are better than few deep ones.  0: half of it is kept for others.
 */
static __always_inline __u32 stack_depth(const struct walk *walk)
{
	__u64 quarter = bpf_ringbuf_query(&bodies, BPF_RB_RING_SIZE) / 4;
	__u64 used = bpf_ringbuf_query(&bodies, BPF_RB_AVAIL_DATA);
	__u64 main_depth = walk->start_stack - walk->regs[UNWIND_REG_SP] + 16;
	__u64 thread_depth = walk->tls_base - walk->regs[UNWIND_REG_SP];
	__u32 depth = RAW_STACK_BYTES;

	if (used > 2 * quarter)
		return 0;
	if (used > quarter)
		depth = RAW_STACK_BYTES / 4;
	if (main_depth < depth)
		depth = (__u32)main_depth;
	if (thread_depth < depth)
		depth = (__u32)thread_depth;
	return depth;
}

/*
 * Copy the stack's top @depth bytes, page by page as far as it can be read; the number of bytes.  The
 * first page may be missing: a frame that was just made has not been written to yet.
 */
static __always_inline __u32 stack_copy(struct raw_stack_body *raw, __u64 sp, __u32 depth)
{
	__u32 bytes = PAGE_BYTES - (sp & (PAGE_BYTES - 1)); /* up to the page's end */
	int i;

	raw->stack_hole = 0;
	if (bpf_probe_read_user(raw->stack, bytes & (2 * PAGE_BYTES - 1), (void *)sp))
		raw->stack_hole = bytes;
	for (i = 0; i < RAW_STACK_BYTES / PAGE_BYTES - 1; i++) {
		/* VERIFIER: clang knows that the sum fits, drops the check and adds by an OR. */
		asm volatile("" : "+r"(bytes));
		if (bytes >= depth || bytes > RAW_STACK_BYTES - PAGE_BYTES ||
		    bpf_probe_read_user(raw->stack + bytes, PAGE_BYTES, (void *)(sp + bytes)))
			break;
		bytes += PAGE_BYTES;
	}
	if (bytes == raw->stack_hole)
		return 0;
	return bytes < depth ? bytes : depth;
}

/*
 * Send what the walk began with instead of a stack: user space unwinds it when it has what was
 * missing.  Its id, or 0: it found no room in the ring.
 */
static __noinline __maybe_unused __u64 raw_stack_send(const struct moment *moment,
						      const struct task_facts *facts,
						      struct stack_room *room)
{
	__u32 bytes, place = bpf_get_smp_processor_id() * STACK_ROOMS + room->number;
	struct raw_stack_body *raw = bpf_map_lookup_elem(&raw_rooms, &place);
	__u64 flags;

	bytes = stack_depth(&room->walk);
	if (!raw || !bytes)
		return 0;
	body_begin(moment, &raw->header, BODY_RAW_STACK);
	raw->id = hash_mix(hash_mix(room->walk.process, moment->time_ns), facts->tid) | 1;
	raw->start_boottime_ns = facts->start_boottime_ns;
	raw->tgid = facts->tgid;
	raw->exec_id = facts->exec_id;
	raw->start_stack = room->walk.start_stack;
	raw->tls_base = room->walk.tls_base;
	__builtin_memcpy(raw->regs, room->walk.regs, sizeof(raw->regs));
	raw->has_code = bpf_probe_read_user(raw->code, sizeof(raw->code),
					    (void *)(raw->regs[UNWIND_REG_IP] - 2)) == 0;
	raw->in_syscall = room->walk.in_syscall;
	bytes = stack_copy(raw, raw->regs[UNWIND_REG_SP], bytes);
	raw->stack_bytes = bytes;
	bytes &= 2 * RAW_STACK_BYTES - 1;
	if (bytes > RAW_STACK_BYTES)
		return 0;
	/* A burst of them fills the ring before the next tick. */
	flags = bpf_ringbuf_query(&bodies, BPF_RB_AVAIL_DATA) >
				bpf_ringbuf_query(&bodies, BPF_RB_RING_SIZE) / 8 ?
			BPF_RB_FORCE_WAKEUP :
			BPF_RB_NO_WAKEUP;
	if (bpf_ringbuf_output(&bodies, raw, __builtin_offsetof(struct raw_stack_body, stack) + bytes,
			       flags))
		return 0;
	return raw->id;
}

/* A 32-bit task's stack is its instruction alone. */
static __always_inline void compat_stack(struct stack_room *room)
{
	struct stack_body *body = &room->body;
	struct walk *walk = &room->walk;

	walk->cnt = 1;
	walk->end = STACK_COMPAT;
	walk->leaf_is_call = 0;
	body->frames[0] = walk->regs[UNWIND_REG_IP];
	walk->hash = hash_mix(walk->process, body->frames[0]);
	room->mapping_cnt = 0;
}

/*
 * Id of the user stack at room->walk.regs (in_syscall set too), its body sent if it is new.
 * @number: of the room, in which nothing else is kept
 */
static __noinline __maybe_unused __u64 user_stack_id(const struct moment *moment,
						     const struct task_facts *facts,
						     struct stack_room *room, __u32 number)
{
	struct sampler_control *state = sampler_control();
	struct stack_body *body = &room->body;
	struct walk *walk = &room->walk;
	__u64 id;

	if (!state)
		return 0;
	walk->process = hash_mix(process_hash(facts), moment->generation);
	walk->start_stack = facts->start_stack;
	walk->tls_base = arch_tls_base(facts->task);
	if (room->is_compat)
		compat_stack(room);
	else
		unwind_user_stack(room, number, facts, state);
	if (walk->end == STACK_NOT_READY) {
		id = raw_stack_send(moment, facts, room);
		if (id)
			return id;
		stat_add(moment->epoch, STAT_RAW_REFUSED);
	}
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
	/* Frame pointers are the same whatever is mapped. */
	body->mapped_ns = room->mapping_cnt && unwind_mode != WALK_BY_FP ? room->mapped_ns : ~0ull;
	stack_send(moment, body);
	return body->id;
}

/* Id of the kernel stack below the event @ctx; 0 when the kernel gave none. */
static __noinline __maybe_unused __u64 kernel_stack_id(const struct moment *moment, void *ctx,
					struct stack_room *room)
{
	struct stack_body *body = &room->body;
	long bytes = bpf_get_stack(ctx, body->frames, KERNEL_FRAMES_MAX * sizeof(__u64), 0);
	__u64 hash = 2;
	__u32 i;

	if (bytes <= 0)
		return 0;
	body->frame_cnt = (__u32)bytes / sizeof(__u64);
	for (i = 0; i < KERNEL_FRAMES_MAX; i++) {
		if (i >= body->frame_cnt)
			break;
		hash = hash_mix(hash, body->frames[i]);
	}
	body->id = hash ? hash : 1;
	body_begin(moment, &body->header, BODY_KERNEL_STACK);
	body->start_boottime_ns = 0;
	body->tgid = 0;
	body->exec_id = 0;
	body->end = body->frame_cnt >= KERNEL_FRAMES_MAX ? STACK_DEPTH : STACK_KERNEL_END;
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
