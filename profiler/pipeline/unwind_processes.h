/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's knowledge of processes: their executable mappings, made known as records tell of
 * them, so that walks find their tables.
 *
 * What is published is for one image: a process by start time and exec count.  The kernel's hooks
 * (bpf/images.bpf.c) and samples tell which image it is, records tell its mappings; the two are
 * brought together so that mappings are never published under a later image than they are of:
 * an image is read first, then records up to now are applied, then it is published unless they
 * told of the process again.
 *
 * A process without room in the kernel costs more and loses nothing: its samples travel whole.
 */
#ifndef EBPFPROF_PIPELINE_UNWIND_PROCESSES_H
#define EBPFPROF_PIPELINE_UNWIND_PROCESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "profiler/base/hashmap.h"

struct symbolizer;
struct unwind_mapping;
struct unwind_files;
struct unwind_maps;

struct unwind_processes {
	struct unwind_maps *maps; /* borrowed, as are the next two */
	struct unwind_files *files;
	struct symbolizer *symbolizer;
	struct hashmap published; /* pid_t -> struct published_process */
	struct hashmap changed;	  /* pid_t -> struct changed_process */
	struct hashmap lists;	  /* struct list_key -> struct shared_list: equal mappings once */
	struct unwind_mapping *scratch; /* [scratch_capacity] */
	size_t scratch_capacity;
	uint64_t applied_ns;	  /* records up to then are known */
	bool has_hooks;		  /* a living process's image is always known */
	bool is_behind;		  /* records were lost, and /proc was not read since */
	bool made_room;		  /* since the last unwind_processes_publish() */
	uint32_t round;		  /* who was refused in it is not tried again before the next */
	uint64_t refused;	  /* processes for which there was no room */
};

enum process_change {
	PROCESS_MAPPED,
	PROCESS_NEW, /* fork or exec */
	PROCESS_ENDED, /* its leader, perhaps not the last thread */
};

void unwind_processes_init(struct unwind_processes *processes, struct unwind_maps *maps,
			   struct unwind_files *files, struct symbolizer *symbolizer);
void unwind_processes_free(struct unwind_processes *processes);

/** unwind_processes_changed - a record told of @tgid; -ENOMEM */
int unwind_processes_changed(struct unwind_processes *processes, pid_t tgid,
			     enum process_change change);

/** unwind_processes_add_all - after a scan of /proc: all of them changed; -ENOMEM */
int unwind_processes_add_all(struct unwind_processes *processes);

/**
 * unwind_processes_seen - a sample at @time_ns was of this image, and the kernel did not know it
 * Cheap when it has been published since, or refused in this round.  -ENOMEM
 */
int unwind_processes_seen(struct unwind_processes *processes, pid_t tgid,
			  uint64_t start_boottime_ns, uint32_t exec_id, uint64_t time_ns);

/** unwind_processes_read_images - what the hooks know of the changed ones; then apply records */
void unwind_processes_read_images(struct unwind_processes *processes);

/**
 * unwind_processes_publish - those that were read and of which no record told since
 * @applied_ns: records up to then were applied
 */
int unwind_processes_publish(struct unwind_processes *processes, uint64_t applied_ns);

/** unwind_processes_lost - records are missing: publish nothing until the next unwind_processes_publish() */
void unwind_processes_lost(struct unwind_processes *processes);

void unwind_processes_forget(struct unwind_processes *processes, pid_t tgid);

/** unwind_processes_settled - unwind_maps_settle() was called: there may be room again */
void unwind_processes_settled(struct unwind_processes *processes);

#endif
