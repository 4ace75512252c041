/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The stack walk of the BPF programs (bpf/unwind_walk.h), compiled for user space: the same steps
 * over memory, code and rules that the caller gives.
 *
 * For samples that the kernel sent whole because it lacked a table, and for tests that step through
 * programs.
 */
#ifndef EBPFPROF_COLLECT_UNWIND_OFFLINE_H
#define EBPFPROF_COLLECT_UNWIND_OFFLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/sample.h"
#include "bpf/unwind.h"

enum unwind_mode {
	UNWIND_AUTO,  /* by table where there is one, else by frame pointer */
	UNWIND_BY_FP, /* by frame pointer alone */
	UNWIND_BY_TABLE, /* never by frame pointer */
};

/* What the walk asks its caller. */
struct unwind_target {
	void *context;
	/* Read [@address, @address + @size) of the process, stack or code; false: not there. */
	bool (*read)(void *context, uint64_t address, void *bytes, size_t size);
	/*
	 * The rule for the instruction at @pc.  0; -ENOENT: nothing executable is mapped there;
	 * -EAGAIN: its table is not here (the walk ends STACK_NOT_READY); -ENOSPC: nor will be.
	 */
	int (*rule)(void *context, uint64_t pc, struct unwind_rule *ret);
};

/* Where a walk begins: registers by DWARF number, as in raw_stack_body. */
struct unwind_start {
	uint64_t regs[UNWIND_REG_CNT];
	uint64_t start_stack, tls_base; /* 0 = unknown */
	bool in_syscall;
};

/**
 * unwind_offline - the frames from @start on
 * @ret: frames, frame_cnt, end, leaf_is_exact are set; the rest is the caller's
 */
void unwind_offline(const struct unwind_target *target, const struct unwind_start *start,
		    enum unwind_mode mode, struct stack_body *ret);

#endif
