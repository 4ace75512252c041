/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a walk asks of a process that is being stepped: its memory, and the rules from the unwind
 * tables of the files that it has mapped, by frame_source_build() as the profiler makes them.
 */
#ifndef EBPFPROF_TESTS_STEP_TARGET_H
#define EBPFPROF_TESTS_STEP_TARGET_H

#include <stddef.h>
#include <stdint.h>

#include "profiler/collect/unwind_offline.h"

struct step_target;
struct stepper;

/** step_target_new - @stepper is borrowed */
struct step_target *step_target_new(struct stepper *stepper);
void step_target_free(struct step_target *target);

/** step_target_ask - the callbacks of a walk at the stepper's present stop */
struct unwind_target step_target_ask(struct step_target *target);

/** step_target_place - "file+0xaddress" of an address */
void step_target_place(struct step_target *target, uint64_t address, char *text, size_t size);

#endif
