/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a sample costs at the least: the kernel's own walk of the user stack, and nothing else. */
#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>

#include "bpf/sample.h"

struct stack {
	__u64 frames[STACK_FRAMES_MAX];
};

/* Where the frames go and stay unread.  Written: below; it cannot be full. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct stack);
} stacks SEC(".maps");

SEC("perf_event")
int reference(struct bpf_perf_event_data *ctx)
{
	__u32 zero = 0;
	struct stack *stack;

	if ((__u32)bpf_get_current_pid_tgid() == 0)
		return 0;
	stack = bpf_map_lookup_elem(&stacks, &zero);
	if (stack)
		bpf_get_stack(ctx, stack->frames, sizeof(stack->frames), BPF_F_USER_STACK);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
