/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program run one instruction at a time, with a shadow stack beside it: the return addresses
 * that its calls pushed and that have not been left, known by watching alone and without any
 * unwind table.  It is what a walk is compared with.
 *
 * An entry is made by a call, and ends when the stack pointer has risen above where it lies: so
 * returns, longjmp() and functions that are jumped to need no knowledge of their own.  Stacks that
 * lie above one another (makecontext) are not for it.
 */
#ifndef EBPFPROF_TESTS_STEPPER_H
#define EBPFPROF_TESTS_STEPPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "profiler/collect/unwind_offline.h"

#define SHADOW_MAX 4096

struct shadow_entry {
	uint64_t slot; /* where on the stack the return address lies; below it everything is younger */
	uint64_t address;
	bool is_exact; /* no call stands before it: interrupted there, or a signal's trampoline */
};

struct stepper {
	pid_t pid;
	uint64_t steps, syscalls, signals;
	uint64_t instruction; /* of the last step */
	bool called;	      /* that was a call */
	bool maps_changed;    /* since it was last cleared: by a system call of the program */
	int status;	      /* how it ended: wait status */
	struct unwind_start now;
	struct shadow_entry shadow[SHADOW_MAX]; /* outermost first */
	size_t shadow_cnt;
	int send; /* signal that the next step delivers if it is not blocked; 0 = none */
};

/**
 * stepper_start - run @argv up to its very first instruction, in the dynamic loader
 * It gets the same addresses each time, and an environment of nothing.
 * -EPERM: a process may not trace its child here.
 */
int stepper_start(struct stepper *stepper, const char *const *argv);

/** stepper_run_to_entry - up to the program's own first instruction, at full speed */
int stepper_run_to_entry(struct stepper *stepper);

/** stepper_step - one instruction; 1, or 0 when the program has ended, or negative errno */
int stepper_step(struct stepper *stepper);

/** stepper_stop - end it, if it runs */
void stepper_stop(struct stepper *stepper);

/** stepper_handles - does the program handle @signal by now? */
bool stepper_handles(const struct stepper *stepper, int signal);

/** stepper_is_in_handler - was it interrupted by a signal, and has not returned? */
bool stepper_is_in_handler(const struct stepper *stepper);

/** stepper_expected - what a walk is to find, leaf first, exact ones with STACK_FRAME_IS_EXACT */
size_t stepper_expected(const struct stepper *stepper, uint64_t *ret, size_t max);

#endif
