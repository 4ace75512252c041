/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stack bodies to named stacks: which frames are return addresses, how a walk that did not reach
 * the stack's base says so (design: honest frames).
 */
#ifndef EBPFPROF_PIPELINE_RESOLVE_H
#define EBPFPROF_PIPELINE_RESOLVE_H

#include <stdint.h>

struct stack_body;
struct stacks;
struct symbolizer;

/**
 * resolve_stack - name the frames of @body and remember them under its id and epoch
 *
 * The outermost location of an unfinished user stack is a note: `[truncated: depth]`,
 * `[no unwind info: libx.so]`, `[jit without frame pointer]`, ... (end_notes in resolve.c).
 * Returns 1 when a frame lies in code made at run time that has no name yet, in no mapping that we
 * know of yet, or in a file whose debug file is being fetched: the same body may be named better
 * later.  Else 0.  Errors: -ENOMEM.
 */
int resolve_stack(struct symbolizer *symbolizer, struct stacks *stacks,
		  const struct stack_body *body);

#endif
