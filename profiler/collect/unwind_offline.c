/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/collect/unwind_offline.h"

#include <errno.h>
#include <string.h>

#if defined(__x86_64__)
#define __TARGET_ARCH_x86
#elif defined(__aarch64__)
#define __TARGET_ARCH_arm64
#endif

#include "bpf/unwind_walk.h"

#define FIRST_ADDRESS 4096 /* nothing is mapped below */
#define RULES_KEPT 4	   /* a rule is still used while the next one is looked for */

_Static_assert((int)WALK_AUTO == UNWIND_AUTO && (int)WALK_BY_FP == UNWIND_BY_FP &&
		       (int)WALK_BY_TABLE == UNWIND_BY_TABLE,
	       "the modes are the walk's");

struct offline {
	struct walk walk; /* first: the steps get it */
	const struct unwind_target *target;
	struct unwind_rule none; /* UNWIND_RULE_NO_INFO */
	struct unwind_rule rules[RULES_KEPT];
	unsigned int next;
};

static bool walk_read(struct walk *walk, __u64 address, void *to, __u32 size)
{
	const struct unwind_target *target = ((struct offline *)walk)->target;

	return target->read(target->context, address, to, size);
}

static const struct unwind_rule *walk_rule(struct walk *walk, __u32 index)
{
	const struct offline *offline = (const struct offline *)walk;

	return index == UNWIND_RULE_NO_INFO ? &offline->none :
					      &offline->rules[(index - 1) % RULES_KEPT];
}

/* Does a call stand before @ip?  -1: its code cannot be read. */
static int follows_call(const struct unwind_target *target, uint64_t ip)
{
	uint8_t code[8];

	if (ip < FIRST_ADDRESS ||
	    !target->read(target->context, ip - sizeof(code), code, sizeof(code)))
		return -1;
	return call_site_ends(code);
}

/* As rule_without_call() in bpf/unwind.bpf.h. */
static void set_rule_without_call(const struct unwind_target *target, uint64_t ip,
				  struct unwind_rule *rule)
{
	uint8_t code[8];

	if (!target->read(target->context, ip, code, sizeof(code)))
		return;
	if (call_site_is_context_start(code))
		*rule = (struct unwind_rule){ .cfa = UNWIND_BOTTOM };
	else if (call_site_is_signal_return(code))
		*rule = (struct unwind_rule){ .cfa = UNWIND_SIGNAL,
					      .cfa_offset = UNWIND_SIGCONTEXT_OFFSET };
}

/*
 * As walk_find() in bpf/unwind.bpf.h, which knows nothing of mappings that are not there yet: here
 * all are known, and what lies in none is no code.  Code that cannot be read must do.
 */
static int walk_find(struct walk *walk, __u64 ip, __u32 is_exact)
{
	struct offline *offline = (struct offline *)walk;
	const struct unwind_target *target = offline->target;
	struct unwind_rule rule = {};
	int r = target->rule(target->context, is_exact ? ip : ip - 1, &rule), call = 1;
	uint32_t index;

	if (walk->mode == WALK_BY_FP && r < 0) {
		rule = offline->none;
		r = r == -ENOENT && !is_exact && follows_call(target, ip) <= 0 ? r : 0;
	}
	if (r < 0)
		return r == -EAGAIN ? -STACK_NOT_READY : r == -ENOSPC ? -STACK_FULL : -STACK_BROKEN;
	if (!is_exact && rule.cfa != UNWIND_JIT)
		call = follows_call(target, ip) != 0;
	if (!call && walk->mode != WALK_BY_FP)
		set_rule_without_call(target, ip, &rule);
	index = offline->next++ % RULES_KEPT;
	offline->rules[index] = rule;
	return (int)(index + 1) | (call ? WALK_FOLLOWS_CALL : 0);
}

#if defined(__TARGET_ARCH_arm64)
static int walk_link(struct walk *walk, __u64 ip, __u32 is_caller)
{
	int i;

	link_begin(&walk->link, ip, is_caller);
	for (i = 0; i < LINK_WINDOWS_MAX && link_window(walk); i++)
		;
	/* Nor has its file the code: nothing more will come. */
	if (walk->link.place == LINK_UNREADABLE)
		return is_caller ? LINK_SAVED : LINK_UNKNOWN;
	return walk->link.place;
}
#endif

void unwind_offline(const struct unwind_target *target, const struct unwind_start *start,
		    enum unwind_mode mode, struct stack_body *ret)
{
	struct offline offline = { .target = target };
	struct walk *walk = &offline.walk;

	memcpy(walk->regs, start->regs, sizeof(walk->regs));
	walk->start_stack = start->start_stack;
	walk->tls_base = start->tls_base;
	walk->in_syscall = start->in_syscall;
	walk->mode = (uint8_t)mode;
	walk_begin(walk);
	while (walk_frame(walk, ret->frames))
		;
	ret->frame_cnt = (uint16_t)walk->cnt;
	ret->end = (uint8_t)walk->end;
	ret->leaf_is_exact = !walk->leaf_is_call;
}
