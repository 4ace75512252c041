/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The walk of a user stack: pure steps from frame to frame, compiled into the BPF programs
 * (unwind.bpf.h) and into user space (profiler/collect/unwind_offline.c, tests).
 *
 * Each frame goes by its own rule (unwind.h): by the file's unwind table where one tells of its
 * instructions, by its frame pointer (mode auto) only where none does.  Nothing is believed unseen:
 * - An address is a caller only if it lies in executable memory and a call instruction stands
 *   before it; signal trampolines and the bottoms of stacks are known by their rules.
 * - A leaf without rule may have no frame yet or no more: its caller is taken from the stack; on
 *   arm64, where all go without rules, the code is asked (walk_record.h).
 * - The walk knows how it ended: at the stack's bottom, or why before it (enum stack_end).
 *
 * Whoever includes this defines before:
 *	static bool walk_read(struct walk *walk, __u64 address, void *to, __u32 size);
 *		copy @size bytes of the process's memory; false: not there
 *	static int walk_find(struct walk *walk, __u64 ip, __u32 is_exact);
 *		the rule for the instruction at @ip, or of the call before it (!is_exact):
 *		index | WALK_FOLLOWS_CALL (a call stands before it, or none need), or
 *		-(enum stack_end): STACK_BROKEN nothing executable is there
 *	static const struct unwind_rule *walk_rule(struct walk *walk, __u32 index);
 *
 * VERIFIER: struct walk lives in map memory, not on the program's stack: values are not followed
 * through map memory, so all frames look alike.
 */
#ifndef EBPFPROF_BPF_UNWIND_WALK_H
#define EBPFPROF_BPF_UNWIND_WALK_H

#include "bpf/call_site.h"
#include "bpf/link_register.h"
#include "bpf/sample.h"
#include "bpf/unwind.h"

#define WALK_FOLLOWS_CALL 0x8000
#define WALK_RULE_MASK 0x7fff
#define WALK_SLOTS 8 /* power of two: a return address and all registers that a callee saves */
#define WALK_SWITCHES_MAX 8	   /* steps to a lower stack pointer: switched stacks */
#define WALK_STEP_MAX (1ull << 20) /* memory this near above the stack pointer is the stack's */

/* main()'s frame lies this near to the initial stack pointer, start_thread()'s to the TLS. */
#define WALK_BASE_BYTES_MAIN 768
#define WALK_BASE_BYTES_THREAD 1024

enum walk_mode {
	WALK_AUTO,     /* by table where there is one, else by frame pointer */
	WALK_BY_FP,    /* by frame pointer alone */
	WALK_BY_TABLE, /* never by frame pointer */
};

/* How the present frame was found. */
enum walk_via {
	WALK_VIA_REGS, /* it was interrupted: the leaf, or what a signal interrupted */
	WALK_VIA_TABLE,
	WALK_VIA_FP,
};

struct walk {
	__u64 process; /* hash of the process's identity and its mappings' generation */
	__u64 hash;    /* over the frames so far */
	__u64 start_stack, tls_base; /* near the bases of the main thread's and a thread's stack */
	__u64 ip, sp, fp, bx; /* of the present frame; ip is not yet among the frames */
	__u64 last_fp;	      /* address of the outermost frame record used, 0 = none */
	__u64 regs_at;	      /* the struct sigcontext with its registers; 0 = `regs` */
	__u64 regs[UNWIND_REG_CNT]; /* of the leaf, by DWARF number */
	__u64 slots[WALK_SLOTS];    /* the words below a frame's CFA, see walk_fast() */
	__u32 cnt;		    /* frames */
	__u16 end;		    /* enum stack_end, once the walk has ended */
	__u8 mode;		    /* enum walk_mode */
	__u8 via;		    /* enum walk_via */
	__u8 why;	 /* enum stack_end: what was amiss with the last frame's rule */
	__u8 falls;	 /* steps to a lower stack pointer */
	__u8 fp_is_lost, bx_is_lost;
	__u8 in_syscall; /* the task is in the kernel, perhaps by a system call */
	__u8 leaf_is_call; /* frame 0 lies behind a system call instruction */
	__u8 fp_steps;	   /* frames in a row left by their frame pointer: 0, 1, 2 or more */
	__u8 is_trampoline; /* the present frame is a signal's (walk_record.h) */
#if defined(__TARGET_ARCH_arm64)
	__u64 link_register; /* of an interrupted frame */
	struct link_scan link;
#endif
};

static bool walk_read(struct walk *walk, __u64 address, void *to, __u32 size);
static int walk_find(struct walk *walk, __u64 ip, __u32 is_exact);
static const struct unwind_rule *walk_rule(struct walk *walk, __u32 index);

#define walk_inline static inline __attribute__((always_inline))

walk_inline __u64 hash_mix(__u64 hash, __u64 word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
	return hash ^ (hash >> 32);
}

walk_inline bool walk_ends(struct walk *walk, enum stack_end end)
{
	walk->end = (__u16)end;
	return false;
}

/* Is @address in the last frame of the main thread's or of a thread's stack? */
walk_inline bool walk_at_base(const struct walk *walk, __u64 address)
{
	return walk->start_stack - address < WALK_BASE_BYTES_MAIN ||
	       walk->tls_base - address < WALK_BASE_BYTES_THREAD;
}

/* Memory near above the stack pointer that cannot be read was paged out; elsewhere it is a number. */
walk_inline bool walk_unreadable(struct walk *walk, __u64 address)
{
	return walk_ends(walk, address - walk->sp < WALK_STEP_MAX ? STACK_UNREADABLE :
								    STACK_CORRUPT);
}

/* The caller's frame begins at @cfa. */
walk_inline bool walk_arrive(struct walk *walk, __u64 cfa, __u64 ip, enum walk_via via)
{
	/* Stacks grow down: the pointer falls where the stack is switched, and in a circle. */
	if (cfa <= walk->sp && ++walk->falls > WALK_SWITCHES_MAX)
		return walk_ends(walk, STACK_CORRUPT);
	walk->sp = cfa;
	walk->ip = ip;
	walk->via = (__u8)via;
	return true;
}

/* ---- by frame pointer ---- */

#if defined(__TARGET_ARCH_arm64)

#include "bpf/walk_record.h"

#else

/*
 * The walk cannot go on by frame pointers: is this where the stack begins?
 *
 * What lies in the register below the base frame is libc's business.  A 0 is the ABI's mark, but in
 * the leaf's register it is as likely a number: only a frame's saved 0 counts.  Where tables tell of
 * the stack's bottom, code without rule at its base is rare, and a number that happens to lead there
 * is not: then two frames in a row must have been frames.
 */
walk_inline bool walk_fp_ends(struct walk *walk)
{
	bool at_base = walk->last_fp && walk_at_base(walk, walk->last_fp);

	if (walk->mode == WALK_BY_FP ? at_base || (walk->last_fp && walk->fp == 0) :
				       at_base && walk->fp_steps >= 2)
		return walk_ends(walk, STACK_COMPLETE);
	return walk_ends(walk, (enum stack_end)walk->why);
}

/* An interrupted frame without rule: has it no frame of its own here?  Then true, walked. */
walk_inline bool walk_leaf(struct walk *walk)
{
	__u64 address;
	__u8 code[8];
	int offset, found;

	if (!walk_read(walk, walk->ip - 2, code, sizeof(code)))
		return false;
	offset = call_site_leaf_offset(code, walk->in_syscall && walk->cnt == 1);
	if (offset < 0 || !walk_read(walk, walk->sp + (__u64)offset, &address, sizeof(address)))
		return false;
	found = walk_find(walk, address, 0);
	if (found < 0 || !(found & WALK_FOLLOWS_CALL))
		return false;
	return walk_arrive(walk, walk->sp + (__u64)offset + 8, address, WALK_VIA_FP);
}

walk_inline bool walk_by_fp(struct walk *walk)
{
	__u64 record[2], fp = walk->fp; /* the caller's frame pointer, the return address */
	const struct unwind_rule *rule;
	bool is_bottom;
	int found;

	if (walk->via == WALK_VIA_REGS && walk_leaf(walk))
		return true;
	if (walk->fp_is_lost || fp == 0 || (fp & 7))
		return walk_fp_ends(walk);
	if (!walk_read(walk, fp, record, sizeof(record))) {
		if (fp - walk->sp < WALK_STEP_MAX)
			return walk_ends(walk, STACK_UNREADABLE);
		return walk_fp_ends(walk);
	}
	found = walk_find(walk, record[1], 0);
	if (found == -STACK_NOT_READY || found == -STACK_FULL)
		return walk_ends(walk, (enum stack_end)-found);
	if (found < 0)
		return walk_fp_ends(walk);
	rule = walk_rule(walk, (__u32)found & WALK_RULE_MASK);
	is_bottom = walk->mode != WALK_BY_FP && rule && rule->cfa == UNWIND_BOTTOM;
	if (!(found & WALK_FOLLOWS_CALL) && !is_bottom) {
		__u8 code[8];

		/* Go starts a goroutine as if goexit had called it; its table says so. */
		if (walk->mode != WALK_BY_FP || record[0] || !walk_read(walk, record[1] - 8, code, sizeof(code)) ||
		    !call_site_is_thread_start(code))
			return walk_fp_ends(walk);
	}
	walk->last_fp = fp;
	walk->fp_steps += walk->fp_steps < 2;
	walk->fp = record[0];
	walk->bx_is_lost = 1;
	return walk_arrive(walk, fp + 16, record[1], WALK_VIA_FP);
}

#endif

/* No table leads on from here, because of @why. */
walk_inline bool walk_without_rule(struct walk *walk, enum stack_end why)
{
	walk->why = (__u8)why;
	return walk->mode == WALK_BY_TABLE ? walk_ends(walk, why) : walk_by_fp(walk);
}

/* ---- by table ---- */

/* struct sigcontext (arch/x86/include/uapi/asm/sigcontext.h): its word with DWARF register @reg. */
walk_inline __u32 walk_sigcontext_word(__u32 reg)
{
	return (__u32)(0x76543210fa89becdull >> (reg & 15) * 4) & 15;
}

walk_inline bool walk_signal(struct walk *walk, const struct unwind_rule *rule)
{
	__u64 at = walk->sp + (__u64)(__s64)rule->cfa_offset;
	__u64 words[7]; /* rbp, rbx, rdx, rax, rcx, rsp, rip */

	if (!walk_read(walk, at + 10 * 8, words, sizeof(words)))
		return walk_unreadable(walk, at);
	walk->regs_at = at;
	walk->fp = words[0];
	walk->bx = words[1];
	walk->fp_is_lost = walk->bx_is_lost = 0;
	return walk_arrive(walk, words[5], words[6], WALK_VIA_REGS);
}

/* The canonical frame address by @rule; false when the walk has ended. */
walk_inline bool walk_cfa(struct walk *walk, const struct unwind_rule *rule, __u64 *ret)
{
	__u64 offset = (__u64)(__s64)rule->cfa_offset, base = walk->sp;
	__u32 cfa = rule->cfa;

	if (cfa == UNWIND_FP || cfa == UNWIND_FP_DEREF) {
		if (walk->fp_is_lost)
			return walk_ends(walk, STACK_CORRUPT);
		base = walk->fp;
	} else if (cfa == UNWIND_BX) {
		if (walk->bx_is_lost)
			return walk_ends(walk, STACK_EXPRESSION);
		base = walk->bx;
	} else if (cfa == UNWIND_REGISTER) {
		/* Callees may have changed it: only what was interrupted still has it. */
		if (walk->via != WALK_VIA_REGS)
			return walk_ends(walk, STACK_EXPRESSION);
		if (!walk->regs_at)
			base = walk->regs[rule->reg & 15];
		else if (!walk_read(walk, walk->regs_at + walk_sigcontext_word(rule->reg) * 8,
				    &base, sizeof(base)))
			return walk_unreadable(walk, walk->regs_at);
	} else if (cfa == UNWIND_SP_RETURN) {
		if (walk->via != WALK_VIA_REGS || walk->regs_at)
			return walk_ends(walk, STACK_EXPRESSION);
	} else if (cfa == UNWIND_PLT) {
		offset = (walk->ip & 15) >= offset ? 16 : 8;
	}
	base += offset;
	if (cfa == UNWIND_SP_DEREF || cfa == UNWIND_FP_DEREF) {
		__u64 at = base;

		if (!walk_read(walk, at, &base, sizeof(base)))
			return walk_unreadable(walk, at);
		base += (__u64)(__s64)rule->cfa_add;
	}
	*ret = base;
	return true;
}

/* What the caller had in a register, saved at @at_cfa or @at_fp. */
walk_inline bool walk_saved(struct walk *walk, __u32 how, __u64 at_cfa, __u64 at_fp,
			    __u64 *value, __u8 *is_lost)
{
	__u64 at = how == UNWIND_AT_CFA ? at_cfa : at_fp;

	if (how == UNWIND_SAME)
		return true;
	if (how == UNWIND_LOST) {
		*is_lost = 1;
		return true;
	}
	if (!walk_read(walk, at, value, sizeof(*value)))
		return walk_unreadable(walk, at);
	*is_lost = 0;
	return true;
}

/*
 * How @how is to be taken.  gcc says of its realigned frames that registers are saved below the
 * frame pointer, and goes on to say so in the last instructions, when `leave` has restored it: then
 * it is the caller's, outside of this frame, and so are the others.
 */
walk_inline __u32 walk_how(const struct walk *walk, __u32 how, __u64 fp, __u64 cfa)
{
	return how == UNWIND_AT_FP && fp - walk->sp >= cfa - walk->sp ? UNWIND_SAME : how;
}

walk_inline bool walk_by_rule(struct walk *walk, const struct unwind_rule *rule)
{
	__u64 cfa, words[2]; /* what lies below the CFA: often the frame pointer, the return address */
	__u64 fp = walk->fp;

	if (!walk_cfa(walk, rule, &cfa))
		return false;
	if (rule->cfa == UNWIND_SP_RETURN) {
		words[1] = walk->regs[rule->reg & 15];
	} else if (rule->fp == UNWIND_AT_CFA && rule->fp_offset == -16) {
		if (!walk_read(walk, cfa - 16, words, sizeof(words)))
			return walk_unreadable(walk, cfa - 16);
		walk->fp = words[0];
		walk->fp_is_lost = 0;
	} else {
		/* Not both at once: the lower one may lie below the stack. */
		if (!walk_read(walk, cfa - 8, &words[1], sizeof(words[1])))
			return walk_unreadable(walk, cfa - 8);
		if (!walk_saved(walk, walk_how(walk, rule->fp, fp, cfa),
				cfa + (__u64)(__s64)rule->fp_offset,
				fp + (__u64)(__s64)rule->fp_offset, &walk->fp, &walk->fp_is_lost))
			return false;
	}
	if (!walk_saved(walk, walk_how(walk, rule->bx, fp, cfa),
			cfa + (__u64)(__s64)rule->bx_offset, fp + (__u64)(__s64)rule->bx_offset,
			&walk->bx, &walk->bx_is_lost))
		return false;
	walk->last_fp = 0;
	walk->fp_steps = 0;
	return walk_arrive(walk, cfa, words[1], WALK_VIA_TABLE);
}

/* The first four fields of a rule as one word, as little-endian machines have them. */
#define WALK_SHAPE(cfa, fp) ((__u32)(cfa) | (__u32)(fp) << 16 | (__u32)UNWIND_LOST << 24)

/*
 * Three shapes are nearly all that is met: frames by the stack pointer that leave the frame pointer
 * alone or save it, and frames by the frame pointer.  False: it is another one, or to be looked at closely.
 */
walk_inline bool walk_fast(struct walk *walk, const struct unwind_rule *rule)
{
	__u64 offset = (__u64)(__s64)rule->cfa_offset, cfa, record[2];
	__u32 shape;

	__builtin_memcpy(&shape, rule, sizeof(shape));
	if (shape == WALK_SHAPE(UNWIND_SP, UNWIND_SAME)) {
		cfa = walk->sp + offset;
		if (!walk_read(walk, cfa - 8, &record[1], sizeof(record[1])))
			return false;
	} else if (shape == WALK_SHAPE(UNWIND_SP, UNWIND_AT_CFA)) {
		/*
		 * Both lie within some words: one read of them all is cheaper than two.  It begins
		 * below the stack pointer where the frame is smaller.  VERIFIER: "unbounded memory
		 * access" (5.10, 6.1) where its size is that of the frame.
		 */
		__u32 bytes = (__u32)-rule->fp_offset;

		cfa = walk->sp + offset;
		if (bytes < 16 || bytes > sizeof(walk->slots) || (bytes & 7) ||
		    !walk_read(walk, cfa - sizeof(walk->slots), walk->slots, sizeof(walk->slots)))
			return false;
		walk->fp = walk->slots[(WALK_SLOTS - (bytes >> 3)) & (WALK_SLOTS - 1)];
		walk->fp_is_lost = 0;
		record[1] = walk->slots[WALK_SLOTS - 1];
	} else if (shape == WALK_SHAPE(UNWIND_FP, UNWIND_AT_CFA) && rule->fp_offset == -16 &&
		   !walk->fp_is_lost) {
		cfa = walk->fp + offset;
		if (cfa <= walk->sp || !walk_read(walk, cfa - 16, record, sizeof(record)))
			return false;
		walk->fp = record[0];
	} else {
		return false;
	}
	walk->sp = cfa;
	walk->ip = record[1];
	walk->via = WALK_VIA_TABLE;
	walk->bx_is_lost = 1;
	walk->last_fp = 0;
	walk->fp_steps = 0;
	return true;
}

walk_inline bool walk_up(struct walk *walk, const struct unwind_rule *rule)
{
	switch (rule->cfa) {
	case UNWIND_BOTTOM:
		return walk_ends(walk, STACK_COMPLETE);
	case UNWIND_SIGNAL:
		return walk_signal(walk, rule);
	case UNWIND_EXPRESSION: /* it says where the caller is, and not by the frame pointer */
		return walk_ends(walk, STACK_EXPRESSION);
	case UNWIND_CORRUPT:
		return walk_ends(walk, STACK_CORRUPT);
	case UNWIND_NO_INFO:
		return walk_without_rule(walk, STACK_NO_INFO);
	case UNWIND_JIT:
		return walk_without_rule(walk, STACK_JIT);
	default:
		return walk_by_rule(walk, rule);
	}
}

/* ---- the walk ---- */

/* Is the present frame's address, whose rule was @found, one that something returns to? */
walk_inline bool walk_is_caller(const struct walk *walk, int found, const struct unwind_rule *rule)
{
	if (walk->via != WALK_VIA_TABLE) /* walk_by_fp() and walk_leaf() have looked */
		return true;
	return (found & WALK_FOLLOWS_CALL) || rule->cfa == UNWIND_SIGNAL ||
	       rule->cfa == UNWIND_BOTTOM;
}

/* What nothing called begins at its address: a signal's trampoline, a context's start. */
walk_inline bool walk_begins_here(int found, const struct unwind_rule *rule)
{
	return !(found & WALK_FOLLOWS_CALL) || rule->cfa == UNWIND_SIGNAL ||
	       (rule->cfa == UNWIND_BOTTOM && rule->reg);
}

/**
 * walk_frame - add the present frame to @frames and go to its caller
 * @frames: room for STACK_FRAMES_MAX
 * False: the walk has ended, walk->end says how.
 */
walk_inline bool walk_frame(struct walk *walk, __u64 *frames)
{
	bool is_exact = walk->via == WALK_VIA_REGS && !(walk->cnt == 0 && walk->leaf_is_call);
	const struct unwind_rule *rule;
	int found;

	if (walk->cnt >= STACK_FRAMES_MAX)
		return walk_ends(walk, STACK_DEPTH);
	found = walk_find(walk, walk->ip, is_exact);
	rule = walk_rule(walk, found < 0 ? UNWIND_RULE_NO_INFO : (__u32)found & WALK_RULE_MASK);
	if (!rule)
		return walk_ends(walk, STACK_CORRUPT);
	if (walk->via != WALK_VIA_REGS &&
	    (found == -STACK_BROKEN || (found >= 0 && !walk_is_caller(walk, found, rule))))
		return walk_ends(walk, STACK_CORRUPT);
	if (found >= 0 && walk_begins_here(found, rule))
		is_exact = true;
	frames[walk->cnt & (STACK_FRAMES_MAX - 1)] =
		walk->ip | (is_exact && walk->cnt ? STACK_FRAME_IS_EXACT : 0);
	walk->hash = hash_mix(walk->hash, walk->ip);
	walk->cnt++;
	if (found < 0)
		return walk_ends(walk, found == -STACK_BROKEN ? STACK_NOT_READY :
								(enum stack_end)-found);
	if (walk->mode != WALK_BY_FP && walk_fast(walk, rule))
		return true;
	if (walk->mode == WALK_BY_FP)
		return walk_without_rule(walk, rule->cfa == UNWIND_JIT ? STACK_JIT : STACK_BROKEN);
	return walk_up(walk, rule);
}

/**
 * walk_begin - at the registers in walk->regs
 * process, start_stack, tls_base, mode, in_syscall are set; cnt, hash and end are the answer.
 */
walk_inline void walk_begin(struct walk *walk)
{
	__u8 code[8];

	walk->ip = walk->regs[UNWIND_REG_IP];
	walk->sp = walk->regs[UNWIND_REG_SP];
	walk->fp = walk->regs[UNWIND_REG_FP];
	walk->bx = walk->regs[UNWIND_REG_BX];
	walk->hash = walk->process;
	walk->last_fp = walk->regs_at = 0;
	walk->cnt = 0;
	walk->fp_steps = 0;
	walk->end = STACK_BROKEN;
	walk->via = WALK_VIA_REGS;
	walk->why = STACK_BROKEN;
	walk->falls = walk->fp_is_lost = walk->bx_is_lost = 0;
	walk->leaf_is_call = walk->is_trampoline = 0;
#if defined(__TARGET_ARCH_arm64)
	walk->link_register = walk->regs[UNWIND_REG_LR];
#endif
	if (walk->in_syscall && walk_read(walk, walk->ip - 2, code, sizeof(code)))
		walk->leaf_is_call = call_site_is_syscall(code) ? 1 : 0;
}

#endif
