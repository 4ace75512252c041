/* SPDX-License-Identifier: BSD-2-Clause */
/* Made-up unwind tables, and a generator of numbers that are the same in each run. */
#ifndef EBPFPROF_TESTS_UNWIND_FIXTURE_H
#define EBPFPROF_TESTS_UNWIND_FIXTURE_H

#include <stdint.h>

#include "profiler/collect/unwind_maps.h"

struct random_numbers {
	uint64_t state;
};

/** random_below - a number in [0, @end) */
uint32_t random_below(struct random_numbers *random, uint32_t end);

/* What makes a table: numbers of rows are random up to the maximum. */
struct table_shape {
	uint32_t page_cnt;
	uint32_t page_rows_max; /* of one page, up to UNWIND_BLOCK_ROWS */
	uint32_t rule_cnt;	/* at least 2; the first is UNWIND_NO_INFO */
	uint32_t first_rule;	/* rules of two tables are equal where their numbers are */
	uint32_t full_page;	/* this one has UNWIND_BLOCK_ROWS rows; UINT32_MAX = none */
};

/** table_make - a sound table; table_free() frees what it points at */
struct unwind_table_view table_make(struct random_numbers *random, const struct table_shape *shape);
void table_free(struct unwind_table_view *table);

/** table_rule - the rule of number @number, different for each */
struct unwind_rule table_rule(uint32_t number);

#endif
