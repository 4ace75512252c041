/* SPDX-License-Identifier: BSD-2-Clause */
/* What the rooms of unwind_maps.h share: unwind_maps.c (files), unwind_lists.c (processes). */
#ifndef EBPFPROF_COLLECT_UNWIND_MAPS_PRIVATE_H
#define EBPFPROF_COLLECT_UNWIND_MAPS_PRIVATE_H

#include "profiler/collect/unwind_array.h"
#include "profiler/collect/unwind_blocks.h"
#include "profiler/collect/unwind_maps.h"
#include "profiler/collect/unwind_rules.h"
#include "profiler/collect/unwind_space.h"

/* What must be given back when a file's table goes: not read back from what the kernel reads. */
struct unwind_place {
	uint32_t refs;	/* 0: no such file */
	uint32_t given; /* how often this place was given to a file */
	uint32_t state; /* enum unwind_file_state */
	uint32_t pages, page_cnt;
	uint32_t row_cnt, rule_cnt;
	uint32_t unloaded_at; /* unwind_maps.settle_cnt + 1; 0 = it has not been */
	struct unwind_extents runs;
	uint16_t *rules; /* [rule_cnt] */
};

struct unwind_maps {
	struct sampler_control *control;
	int processes_fd; /* borrowed */
	uint64_t fixed_bytes, bytes_max;
	struct unwind_array mappings, files, pages, rule_slots;
	struct unwind_space mapping_space, file_space, page_space;
	struct unwind_blocks blocks;
	struct unwind_rules rules;
	struct unwind_place *places; /* [UNWIND_FILES_MAX] */
	uint32_t settle_cnt;
	uint32_t list_serial; /* of the list made last */
	uint32_t list_cnt;
	uint64_t row_cnt, mapping_cnt;
	uint64_t rules_refused;
};

/* A file that unwind_maps_add_file() gave and that has not been put since. */
static inline bool unwind_maps_has_file(const struct unwind_maps *unwind, uint32_t file)
{
	return file < UNWIND_FILES_MAX && unwind->places[file].refs;
}

/** unwind_maps_file_name - @file as mappings have it: see struct unwind_mapping */
uint32_t unwind_maps_file_name(const struct unwind_maps *unwind, uint32_t file);

#endif
