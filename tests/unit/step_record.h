/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stops of a program that was stepped, kept in a file: registers, the words of memory and the rules
 * that a walk may ask for, and the true callers.  So walks are tested where nothing can be traced,
 * and the same way on each machine.
 *
 * The file is an xz stream of 64-bit words: MAGIC, start_stack, tls_base, then items, each led by
 * a word KIND | COUNT << 8:
 *	RULES   1 rule, of two words; they count from 0
 *	PLACES  1 pair (address, rule): the instruction there has this rule
 *	WORDS   1 pair (address, value): this is in memory from now on
 *	STOP    COUNT words: UNWIND_REG_CNT registers, then the true stack as a walk is to give it
 */
#ifndef EBPFPROF_TESTS_STEP_RECORD_H
#define EBPFPROF_TESTS_STEP_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "profiler/collect/unwind_offline.h"

/* ---- writing ---- */

struct step_recorder;

struct step_recorder *step_recorder_new(void);

/** step_recorder_add - @start, whose true stack is @expected; @ask says what a walk may ask */
void step_recorder_add(struct step_recorder *recorder, const struct unwind_target *ask,
		       const struct unwind_start *start, const uint64_t *expected, size_t cnt);

/** step_recorder_save - write it to @path and free it; 0 or negative errno */
int step_recorder_save(struct step_recorder *recorder, const char *path);

/* ---- reading ---- */

struct step_replay;

/** step_replay_open - NULL: not such a file */
struct step_replay *step_replay_open(const char *path);
void step_replay_close(struct step_replay *replay);

/**
 * step_replay_next - the next stop
 * @ret_expected: valid until the next call
 * False at the end.
 */
bool step_replay_next(struct step_replay *replay, struct unwind_start *ret_start,
		      const uint64_t **ret_expected, size_t *ret_cnt);

/** step_replay_ask - the callbacks of a walk at the present stop */
struct unwind_target step_replay_ask(struct step_replay *replay);

#endif
