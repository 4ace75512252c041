/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Binaries and their unwind tables as a test says, in place of symbolizer/binary*.c and
 * frame_tables.c (see fake_symbolizer.h).  Include it behind cmocka.h, in one file of a program.
 */
#ifndef EBPFPROF_TESTS_FAKE_FRAME_TABLES_H
#define EBPFPROF_TESTS_FAKE_FRAME_TABLES_H

#include <string.h>

#include "symbolizer/binary.h"
#include "symbolizer/binary_code.h"
#include "symbolizer/frame_tables.h"

#define FAKE_CODE_BYTES 4096

struct binary {
	uint64_t id;
	int refs;
	enum frame_state state;
	struct frame_table table;
	uint8_t code[FAKE_CODE_BYTES]; /* at ELF virtual address 0 */
	bool unreadable;
};

static size_t fake_collected; /* what the next frame_tables_collect() answers */
static size_t fake_pending;
static unsigned int fake_questions; /* calls of frame_tables_get() */

/* One page of rows: rule 1, `sp + 8`, everywhere; a test writes rules 2 and 3. */
static const struct frame_row fake_rows[] = { { 0, 1 }, { 0x400, 2 }, { 0x800, 3 } };
static struct frame_rule fake_rules[4];
static const uint32_t fake_page_rows[] = { 0, ARRAY_SIZE(fake_rows) };

static inline struct binary fake_binary(uint64_t id, enum frame_state state)
{
	struct binary binary = { .id = id, .state = state };

	fake_rules[1] = (struct frame_rule){ .cfa = FRAME_SP, .cfa_offset = 8 };
	binary.table = (struct frame_table){
		.page_cnt = 1,
		.row_cnt = ARRAY_SIZE(fake_rows),
		.rule_cnt = ARRAY_SIZE(fake_rules),
		.page_rows = fake_page_rows,
		.rows = fake_rows,
		.rules = fake_rules,
	};
	return binary;
}

uint64_t binary_id(const struct binary *binary)
{
	return binary->id;
}

struct binary *binary_ref(struct binary *binary)
{
	binary->refs++;
	return binary;
}

void binary_put(struct binary *binary)
{
	assert_true(binary->refs > 0);
	binary->refs--;
}

bool binary_read_code(struct binary *binary, uint64_t address, void *bytes, size_t size)
{
	if (binary->unreadable || address > FAKE_CODE_BYTES || size > FAKE_CODE_BYTES - address)
		return false;
	memcpy(bytes, binary->code + address, size);
	return true;
}

enum frame_state frame_tables_get(struct frame_tables *tables, struct binary *binary,
				  const struct frame_table **ret, int *ret_error)
{
	(void)tables;
	fake_questions++;
	if (binary->state == FRAME_STATE_READY)
		*ret = &binary->table;
	if (binary->state == FRAME_STATE_FAILED && ret_error)
		*ret_error = -EIO;
	return binary->state;
}

size_t frame_tables_collect(struct frame_tables *tables)
{
	size_t cnt = fake_collected;

	(void)tables;
	fake_collected = 0;
	return cnt;
}

void frame_tables_stats(const struct frame_tables *tables, struct frame_tables_stats *ret)
{
	(void)tables;
	*ret = (struct frame_tables_stats){ .pending = fake_pending };
}

#endif
