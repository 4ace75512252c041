/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The sampler: one run per period of a perf event on each CPU.
 *
 * Filter, walk both stacks, count.  Nothing here sleeps, waits or allocates; it runs in the
 * timer's interrupt or in an NMI.  Two banks of `counts`: user space flips sampler_control.epoch,
 * waits until no program can still be running under the old one, and then has the idle bank for
 * itself.
 */
#include "bpf/shared.bpf.h"
#include "bpf/stack.bpf.h"
#include "bpf/target.bpf.h"

/*
 * Samples per (process, thread, stacks, request, flow) of one epoch, by bank.  Written: here.
 * Read and emptied: collect/sampler.c.  [load] CPUs x Hz x flush / 2, because real stacks repeat.
 * Full: a new key travels through the ring as one sample (STAT_COUNTS_FULL); known keys go on
 * counting.  Preallocated: allocation is not allowed in a perf event's context.
 */
#define COUNTS_MAP                                                                                 \
	{                                                                                          \
		__uint(type, BPF_MAP_TYPE_HASH);                                                   \
		__uint(max_entries, 1);                                                            \
		__type(key, struct sample_key);                                                    \
		__type(value, __u64);                                                              \
	}

struct COUNTS_MAP counts_0 SEC(".maps");
struct COUNTS_MAP counts_1 SEC(".maps");

const volatile struct sampler_knobs knobs = {};

/* The registers at which user mode was left; false: there are none. */
static __always_inline bool take_registers(struct bpf_perf_event_data *ctx, bool in_user,
					   const struct task_facts *facts, struct stack_room *room)
{
	if (in_user) {
		arch_copy_perf_regs(room->walk.regs, &ctx->regs);
		room->is_compat = arch_perf_regs_are_compat(&ctx->regs);
	} else {
		if (!user_regs_of_kernel_entry((struct task_facts *)facts, &room->kernel_regs))
			return false;
		arch_copy_perf_regs(room->walk.regs, &room->kernel_regs);
		room->is_compat = arch_kernel_regs_are_compat(&room->kernel_regs);
	}
	room->walk.in_syscall = !in_user;
	/* An io_uring worker has the process's memory but no user mode. */
	return room->walk.regs[UNWIND_REG_IP] != 0;
}

static __always_inline void take_stacks(struct bpf_perf_event_data *ctx,
					const struct moment *moment,
					const struct task_facts *facts, struct sample_key *key)
{
	bool in_user = arch_is_user(&ctx->regs);
	struct stack_room *room = stack_room(0);

	if (!room)
		return;
	if (knobs.with_kernel && !in_user)
		key->kernel_stack = kernel_stack_id(moment, ctx, room);
	if (!knobs.with_user || (facts->flags & PF_KTHREAD) || !facts->start_stack)
		return;
	if (take_registers(ctx, in_user, facts, room))
		key->user_stack = user_stack_id(moment, facts, room, 0);
}

/*
 * @key has found no place: the sample travels by itself.  0: it does.
 *
 * VERIFIER: a function of its own, whose room on the stack is not below the walk's: all frames that
 * call each other share 512 bytes, each rounded up to 32 before 6.8 (scripts/vm-test notices).
 */
static __noinline long sample_send(const struct moment *moment, const struct sample_key *key)
{
	struct sample_body body = {};

	body_begin(moment, &body.header, BODY_SAMPLE);
	body.key = *key;
	body.count = 1;
	return bpf_ringbuf_output(&bodies, &body, sizeof(body), BPF_RB_NO_WAKEUP);
}

/* One more sample of @key. Returns the stat that says what became of it. */
static __always_inline enum stat count_sample(const struct moment *moment, struct sample_key *key)
{
	__u64 one = 1, *count;
	long err;

	count = moment->epoch & 1 ? bpf_map_lookup_elem(&counts_1, key) :
				    bpf_map_lookup_elem(&counts_0, key);
	if (count) {
		__sync_fetch_and_add(count, 1);
		return STAT_COUNTED;
	}
	err = moment->epoch & 1 ? bpf_map_update_elem(&counts_1, key, &one, BPF_NOEXIST) :
				  bpf_map_update_elem(&counts_0, key, &one, BPF_NOEXIST);
	if (err == 0)
		return STAT_COUNTED;
	/* Two CPUs can have one key: the idle tasks all have id 0. */
	count = moment->epoch & 1 ? bpf_map_lookup_elem(&counts_1, key) :
				    bpf_map_lookup_elem(&counts_0, key);
	if (count) {
		__sync_fetch_and_add(count, 1);
		return STAT_COUNTED;
	}
	if (sample_send(moment, key) == 0) {
		stat_add(moment->epoch, STAT_COUNTS_FULL);
		return STAT_COUNTED;
	}
	return err == -7 /* E2BIG */ ? STAT_LOST_FULL : STAT_LOST_BUSY;
}

SEC("perf_event")
int sample_cpu(struct bpf_perf_event_data *ctx)
{
	struct sampler_control *state = sampler_control();
	struct task_facts facts = {};
	struct sample_key key = {};
	struct moment moment;

	if (!state)
		return 0;
	moment.epoch = *(volatile __u32 *)&state->epoch;
	stat_add(moment.epoch, STAT_FIRED);
	if (!knobs.with_idle && (__u32)bpf_get_current_pid_tgid() == 0) {
		stat_add(moment.epoch, STAT_IDLE);
		return 0;
	}
	task_facts_read(&facts);
	if (pid_view.namespace && (!facts.tgid || !facts.tid)) {
		stat_add(moment.epoch, STAT_FILTERED);
		stat_add(moment.epoch, STAT_OUTSIDE);
		return 0;
	}
	if (!target_matches(facts.tgid, facts.tid, facts.start_boottime_ns)) {
		stat_add(moment.epoch, STAT_FILTERED);
		return 0;
	}
	moment.time_ns = bpf_ktime_get_ns();
	moment.generation = state->generations[facts.tgid & (MAP_GENERATIONS - 1)];
	moment.seen_mask = knobs.seen_mask;

	key.kind = SAMPLE_CPU;
	key.tgid = facts.tgid;
	key.tid = facts.tid;
	key.exec_id = facts.exec_id;
	key.start_boottime_ns = facts.start_boottime_ns;
	take_stacks(ctx, &moment, &facts, &key);
	key.names = task_send(&moment, &facts);
	stat_add(moment.epoch, count_sample(&moment, &key));
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
