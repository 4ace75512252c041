/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a walk finds in the maps (bpf/unwind.h), by bpf(2) and through the kernel's own copy only.
 * For test_unwind_maps*.c; needs CAP_BPF.
 */
#ifndef EBPFPROF_TESTS_UNWIND_READER_H
#define EBPFPROF_TESTS_UNWIND_READER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "profiler/collect/shared.h"
#include "profiler/collect/unwind_maps.h"

/** reader_maps - the maps, with tables; NULL: this process may not make them (skip the test) */
struct shared_maps *reader_maps(void);

/** reader_maps_of - the same, for tracers of @tier */
struct shared_maps *reader_maps_of(enum tier tier);

enum reader_answer {
	READER_FOUND,
	READER_NO_PROCESS,
	READER_OTHER_IMAGE,
	READER_NO_MAPPING,
	READER_GIVEN_UP, /* the mapping is of another list */
	READER_NOT_READY,
	READER_NO_ROWS,
	READER_BAD, /* an index leads outside */
};

/** reader_find - the rule at @address of process @tgid, if it is the image that is named */
enum reader_answer reader_find(struct shared_maps *maps, pid_t tgid, uint64_t start_boottime_ns,
			       uint32_t exec_id, uint64_t address, struct unwind_rule *ret);

/** reader_rule - the rule at ELF virtual address @address of @file */
enum reader_answer reader_rule(struct shared_maps *maps, uint32_t file, uint64_t address,
			       struct unwind_rule *ret);

/** reader_file - what the kernel has of @file */
struct unwind_file reader_file(struct shared_maps *maps, uint32_t file);

/** reader_check_rows - the rows and rules that @at leads to are @table's; asserts */
void reader_check_rows(struct shared_maps *maps, const struct unwind_file *at,
		       const struct unwind_table_view *table);

/** reader_check - @file is READY and has the rows and rules of @table; asserts */
void reader_check(struct shared_maps *maps, uint32_t file, const struct unwind_table_view *table);

#endif
