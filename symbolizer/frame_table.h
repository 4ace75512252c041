/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The unwind table of one file: for each range of code, the rule that leads from a frame in it to
 * the caller's (DWARF 5 section 6.4, "Call Frame Information", made flat).
 *
 * Rows are 4 bytes: 16 bits of the address, within a page of 64 KiB, and the index of a rule.  Rules
 * are shared: a file has some hundred distinct ones.  The table is one run of bytes without
 * pointers, as it is kept on disk and mapped from there.
 *
 * Layout of the enums, struct frame_rule and struct frame_row: equal to bpf/unwind.h, which
 * profiler/pipeline asserts at compile time.
 */
#ifndef EBPFPROF_SYMBOLIZER_FRAME_TABLE_H
#define EBPFPROF_SYMBOLIZER_FRAME_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_PAGE_BITS 16
#define FRAME_PAGES_MAX 65536	      /* 4 GiB of addresses from the first to the last */
#define FRAME_ROWS_MAX (12u << 20)    /* 48 MiB; a larger table is refused */
#define FRAME_RULES_MAX 16384	      /* of one file; further ones become FRAME_EXPRESSION */
#define FRAME_GAP_MAX 15	      /* padding between two functions: belongs to the first */

/* How the canonical frame address is found; see enum unwind_cfa for each. */
enum frame_cfa {
	FRAME_NO_INFO,
	FRAME_SP,
	FRAME_FP,
	FRAME_BX,
	FRAME_REGISTER,
	FRAME_SP_DEREF,
	FRAME_FP_DEREF,
	FRAME_PLT,
	FRAME_SIGNAL,
	FRAME_BOTTOM,
	FRAME_EXPRESSION,
	FRAME_CORRUPT,
	FRAME_JIT, /* not in tables */
	FRAME_SP_RETURN,
};

enum frame_saved {
	FRAME_SAME,
	FRAME_AT_CFA,
	FRAME_AT_FP,
	FRAME_LOST,
};

/* See struct unwind_rule. Fields without meaning for a kind are 0, so that equal rules are equal. */
struct frame_rule {
	uint8_t cfa;
	uint8_t reg;
	uint8_t fp;
	uint8_t bx;
	int32_t cfa_offset;
	int32_t cfa_add;
	int16_t fp_offset;
	int16_t bx_offset;
};

struct frame_row {
	uint16_t pc;
	uint16_t rule; /* index into the table's own rules */
};

/*
 * A view; who made it owns the bytes.  Page P has rows [page_rows[P], page_rows[P + 1]); a page with
 * rows begins with one at its first address.  Rule 0 is FRAME_NO_INFO.
 */
struct frame_table {
	uint64_t first_page; /* ELF virtual address >> FRAME_PAGE_BITS */
	uint32_t page_cnt, row_cnt, rule_cnt;
	const uint32_t *page_rows;	/* [page_cnt + 1] */
	const struct frame_row *rows;	/* [row_cnt] */
	const struct frame_rule *rules; /* [rule_cnt] */
};

/** frame_table_find - the rule at ELF virtual address @address; NULL: the table ends before it */
const struct frame_rule *frame_table_find(const struct frame_table *table, uint64_t address);

/* ---- making one ---- */

struct frame_builder;

int frame_builder_new(struct frame_builder **ret);
void frame_builder_free(struct frame_builder *builder);
void frame_builder_freep(struct frame_builder **builder);

/**
 * frame_builder_begin - a function [@start, @end) follows, its rows by frame_builder_row()
 *
 * In ascending order of start.  What an earlier function covers already stays as it is.  Between
 * functions more than FRAME_GAP_MAX apart there is FRAME_NO_INFO.
 * Errors, also of frame_builder_row(): -EFBIG beyond FRAME_ROWS_MAX or FRAME_PAGES_MAX; -ENOMEM;
 * -EINVAL @start below an earlier one's, or @end not above @start.
 */
int frame_builder_begin(struct frame_builder *builder, uint64_t start, uint64_t end);

/** frame_builder_row - @rule holds from @address on; ascending; a row equal to the last is merged */
int frame_builder_row(struct frame_builder *builder, uint64_t address,
		      const struct frame_rule *rule);

/** frame_builder_window - of the functions that follow, only what is in [@start, @end) counts */
void frame_builder_window(struct frame_builder *builder, uint64_t start, uint64_t end);

struct frame_builder_counts {
	uint64_t rows_met;	/* calls of frame_builder_row() */
	uint32_t overlapping;	/* functions of which nothing was free */
	uint32_t rule_overflow; /* rows whose rule found no room */
	uint32_t rows, rules, pages;
};

void frame_builder_counts(const struct frame_builder *builder, struct frame_builder_counts *ret);

/**
 * frame_builder_finish - the table, as one run of bytes
 * @ret_bytes: heap, the caller's; to be read by frame_table_of_bytes()
 */
int frame_builder_finish(struct frame_builder *builder, void **ret_bytes, size_t *ret_size);

/**
 * frame_table_of_bytes - a view of bytes that frame_builder_finish() made
 * @bytes: borrowed; 8-byte aligned
 * Checks all that a look-up relies on: the bytes may come from disk.  -EINVAL: they are no table.
 */
int frame_table_of_bytes(const void *bytes, size_t size, struct frame_table *ret);

#endif
