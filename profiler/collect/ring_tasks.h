/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who the tasks of samples are, and whether they are targets: what the BPF programs read from the
 * kernel's own structs is put together here from records (task_record.h), and from /proc for tasks
 * that were there before.
 */
#ifndef EBPFPROF_COLLECT_RING_TASKS_H
#define EBPFPROF_COLLECT_RING_TASKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bpf/sample.h"
#include "profiler/base/hashmap.h"
#include "profiler/collect/task_record.h"

struct targets;

struct ring_tasks {
	const struct targets *targets; /* borrowed */
	struct hashmap processes;      /* pid_t tgid -> struct ring_process */
	struct hashmap threads;	       /* pid_t tid -> struct ring_thread */
	uint64_t boot_offset_ns;       /* CLOCK_BOOTTIME - CLOCK_MONOTONIC */
	uint64_t since_boottime_ns;    /* older children of targets are none */
	bool has_exited;	       /* some can be forgotten */
};

struct ring_process {
	uint64_t start_boottime_ns; /* of /proc, or of the fork's record: an identity, not a time */
	uint32_t exec_id;	    /* execs since we know it */
	uint32_t target_bits;	    /* enum target_bit */
	bool kernel_thread, exited;
};

struct ring_thread {
	pid_t tgid;
	char comm[STACK_COMM_BYTES];
	bool exited;
};

/* Everything that a sample's key and task_body say of its task. */
struct ring_task {
	struct ring_process process;
	char comm[STACK_COMM_BYTES], leader_comm[STACK_COMM_BYTES];
};

void ring_tasks_init(struct ring_tasks *tasks, const struct targets *targets);
void ring_tasks_free(struct ring_tasks *tasks);

/** ring_tasks_follow - process @tgid is a target for the reason @bits (enum target_bit); -ENOMEM */
int ring_tasks_follow(struct ring_tasks *tasks, pid_t tgid, uint32_t bits);

/** ring_tasks_scan - learn the names of all that run now: -ENOMEM, or what keeps /proc shut */
int ring_tasks_scan(struct ring_tasks *tasks);

/** ring_tasks_adopt - no record told of them: children of targets, born since, are targets; -errno */
int ring_tasks_adopt(struct ring_tasks *tasks);

/** ring_tasks_apply - what a record told; records come in the order of their time; -ENOMEM */
int ring_tasks_apply(struct ring_tasks *tasks, const struct task_record *record);

/** ring_tasks_get - the task of a sample, learned if it is new; -ENOMEM */
int ring_tasks_get(struct ring_tasks *tasks, pid_t tgid, pid_t tid, struct ring_task *ret);

/** ring_tasks_match - does it meet all target options? (cgroups are matched by the events) */
bool ring_tasks_match(const struct ring_tasks *tasks, pid_t tid, const struct ring_task *task);

/** ring_tasks_forget_exited - those that have gone and are no longer sampled */
void ring_tasks_forget_exited(struct ring_tasks *tasks);

/** ring_tasks_next_followed - as sampler_next_followed() */
pid_t ring_tasks_next_followed(const struct ring_tasks *tasks, pid_t tgid);

#endif
