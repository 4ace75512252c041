/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Of which event a thread's samples count, where it has two.
 *
 * A thread may have events of its own and others that it inherited, all of them or those of some
 * CPUs only (event_tasks.c says when).  Each fires once a period, so samples of one (thread, CPU)
 * are accepted from one event only.  Events are known by their roots: what is inherited, by
 * however many generations, has the id of the event that event_tasks opened.
 */
#ifndef EBPFPROF_COLLECT_RING_ROOTS_H
#define EBPFPROF_COLLECT_RING_ROOTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "profiler/base/hashmap.h"

struct task_record;

#define RING_ROOTS_MAX 262144u /* (thread, CPU) pairs */

struct ring_roots {
	struct hashmap choices; /* (tid, cpu) -> the root that was chosen */
	struct hashmap threads; /* pid_t tid -> the CPU of its newest choice */
};

void ring_roots_init(struct ring_roots *roots);
void ring_roots_free(struct ring_roots *roots);

/**
 * ring_roots_accept - does a sample of thread @tid on @cpu, by an event of root @root_id, count?
 *
 * The first root that is met is chosen.  Without memory to remember that: yes.  When RING_ROOTS_MAX
 * are chosen all begin anew: a thread with two events is then counted once too often at most.
 */
bool ring_roots_accept(struct ring_roots *roots, pid_t tid, unsigned int cpu, uint64_t root_id);

/** ring_roots_apply - a thread that starts or ends has no choices; in the order of time */
void ring_roots_apply(struct ring_roots *roots, const struct task_record *record);

/** ring_roots_clear - all begin anew: starts and ends may have been lost */
void ring_roots_clear(struct ring_roots *roots);

#endif
