/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parts of the reader of Go's frames share: frame_go.c (tables to rows), frame_go_code.c
 * (the few machine instructions that the tables leave out).  Nobody else includes this, tests aside.
 */
#ifndef EBPFPROF_SYMBOLIZER_FRAME_GO_PRIVATE_H
#define EBPFPROF_SYMBOLIZER_FRAME_GO_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gopclntab;

#define GO_TABLE_BYTES_MAX (128u << 20) /* of each of the two tables that are read whole */
#define GO_STEPS_MAX (1u << 20)		/* of one function; the largest seen has some thousand */
#define GO_STEPS_ALL_MAX (64u << 20) /* of a file; terraform-provider-aws, 700 MB, has 7 million */
#define GO_CODE_BYTES 65536
#define GO_NONE UINT32_MAX

/* From offset @at of the function on, sp is @delta bytes below where the call left it. */
struct go_step {
	uint32_t at;
	int32_t delta;
};

/* What we want to know of a runtime._func for its frames. */
struct go_frames {
	uint64_t start;	 /* its address */
	uint32_t size;	 /* up to the next function */
	uint32_t extent; /* that its steps tell of: not the padding behind it */
	uint32_t name;	 /* offset in the names */
	uint32_t steps;	 /* offset in the pc-values; 0 = it has none: not Go's */
	uint8_t flags;	 /* enum go_flag */
};

/* abi.FuncFlag, the same since Go 1.18. */
enum go_flag {
	GO_TOP_FRAME = 1,
	GO_WRITES_SP = 2, /* other than by adding a constant */
	GO_ASSEMBLER = 4,
};

/* Where a function saves the caller's frame pointer; offsets in the function. */
struct go_saved {
	uint32_t from;	 /* saved there and after; GO_NONE = it is not */
	uint32_t points; /* from here on the frame pointer leads to where it was saved */
	int32_t delta;	 /* the slot is part of the frame while sp is this far down */
	int16_t offset;	 /* from the CFA */
	bool pops_last;	 /* restored by a load before sp is moved: Go up to 1.20 */
};

/* A part of the file, read ahead: whoever asks goes upwards. */
struct go_code {
	uint64_t address;
	size_t len;
	uint8_t bytes[GO_CODE_BYTES];
};

struct frame_go {
	struct gopclntab *table;
	uint8_t *functions;    /* runtime.functab and each runtime._func, as in the file */
	uint8_t *pc_values;    /* runtime.pctab */
	size_t restorer;       /* index of the function that signal handlers return to; SIZE_MAX */
	bool pushes;	       /* prologues push the frame pointer: Go 1.21 and newer */
	struct go_step *steps; /* of the function at hand, [step_cnt] */
	size_t step_cnt, step_capacity;
	size_t steps_left; /* of GO_STEPS_ALL_MAX */
	struct go_code *code;
};

/* ---- frame_go_code.c ---- */

/**
 * go_code_restores_signal - whether the code at @address ends a signal handler (rt_sigreturn)
 * 1, 0 or -EIO
 */
int go_code_restores_signal(struct frame_go *go, uint64_t address);

/**
 * go_code_saved - how the function of @go->steps saves the frame pointer, by its code
 * For functions written in assembler; @ret->from is GO_NONE where it was not seen to.
 */
int go_code_saved(struct frame_go *go, const struct go_frames *function, struct go_saved *ret);

/** go_code_sp_write - offset behind the first instruction that gives sp another value, or GO_NONE */
int go_code_sp_write(struct frame_go *go, const struct go_frames *function, uint32_t *ret);

#endif
