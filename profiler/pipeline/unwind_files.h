/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files and their unwind tables: which are wanted, which are in the kernel, which go when room is
 * wanted.
 *
 * A file has a place in the kernel as soon as a process that is known there maps it; its table
 * follows when a stack has needed it.  Tables that no walk has looked at for a while are taken away
 * when another one finds no room.
 */
#ifndef EBPFPROF_PIPELINE_UNWIND_FILES_H
#define EBPFPROF_PIPELINE_UNWIND_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "profiler/base/hashmap.h"
#include "profiler/collect/unwind_maps.h"
#include "symbolizer/frame_tables.h"

struct binary;

struct unwind_files {
	struct frame_tables *tables; /* borrowed, as is the next one */
	struct unwind_maps *maps;
	struct hashmap by_binary; /* uint64_t binary_id() -> struct unwind_binary */
	void (*quiesce)(void *context); /* wait until no walk is under way that began before */
	void *context;
	uint32_t clock; /* of unwind_maps_tick() */
	uint32_t loaded; /* tables in the kernel */
	uint64_t evicted, refused; /* tables taken away for others; for which there was no room */
};

struct unwind_binary {
	uint32_t file;	     /* index in the kernel; UNWIND_FILE_NONE = no place yet */
	bool wanted;	     /* a stack needs its table */
	bool loaded;	     /* it is in the kernel */
	uint32_t refused_at; /* the clock when it found no room; 0 = not */
	uint64_t binary_id;
	struct binary *binary; /* reference held while it is wanted and not yet loaded, else NULL */
};

void unwind_files_init(struct unwind_files *files, struct frame_tables *tables,
		       struct unwind_maps *maps);
void unwind_files_free(struct unwind_files *files);

/** unwind_files_index - the place of @binary in the kernel; -ENOSPC: there is none left; -ENOMEM */
int unwind_files_index(struct unwind_files *files, struct binary *binary, uint32_t *ret);

/**
 * unwind_files_rule - the rule at ELF virtual address @address of @binary, for unwinding here
 * Its table is wanted in the kernel from now on.
 * 0; -EAGAIN: the table is being made.  A file without one has rules UNWIND_NO_INFO.
 */
int unwind_files_rule(struct unwind_files *files, struct binary *binary, uint64_t address,
		      struct unwind_rule *ret);

/** unwind_files_load - bring wanted tables that are ready into the kernel */
void unwind_files_load(struct unwind_files *files);

/** unwind_files_trim - end of a flush: the clock ticks, what nobody knows any more goes */
void unwind_files_trim(struct unwind_files *files, bool (*is_known)(void *context, uint64_t binary_id),
		       void *context);

#endif
