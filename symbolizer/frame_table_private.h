/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes of an unwind table, between who writes them (frame_builder.c) and who reads them
 * (frame_table.c): this header, then rules, page_rows, rows; nothing between them, nothing after.
 */
#ifndef EBPFPROF_SYMBOLIZER_FRAME_TABLE_PRIVATE_H
#define EBPFPROF_SYMBOLIZER_FRAME_TABLE_PRIVATE_H

#include "symbolizer/frame_table.h"

#define FRAME_MAGIC 0x31656d617266ull /* "frame1": another layout gets another number */
#define FRAME_ADDRESS_BITS 48	      /* of ELF virtual addresses; higher ones are no user code */

struct frame_table_header {
	uint64_t magic;
	uint64_t first_page;
	uint32_t page_cnt, row_cnt, rule_cnt;
	uint32_t reserved; /* 0 */
};

_Static_assert(sizeof(struct frame_rule) == 16, "a rule has no padding");
_Static_assert(sizeof(struct frame_row) == 4, "a row has no padding");
_Static_assert(sizeof(struct frame_table_header) % sizeof(uint64_t) == 0, "rules are aligned");

static inline size_t frame_table_bytes(uint32_t page_cnt, uint32_t row_cnt, uint32_t rule_cnt)
{
	return sizeof(struct frame_table_header) + rule_cnt * sizeof(struct frame_rule) +
	       ((size_t)page_cnt + 1) * sizeof(uint32_t) + row_cnt * sizeof(struct frame_row);
}

#endif
