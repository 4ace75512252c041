/* SPDX-License-Identifier: BSD-2-Clause */
/* Line number programs: which row covers an address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "symbolizer/dwarf_line.h"
#include "tests/unit/line_fixture.h"

static struct dwarf_lines *load(struct program *program)
{
	struct dwarf_lines *lines;

	assert_int_equal(program_load(program, &lines), 0);
	return lines;
}

#define CHECK_AT(lines, address, expected) assert_string_equal(lines_at(lines, address), expected)

/* ---- opcodes ---- */

static void test_special_opcodes_advance_address_and_line(void **state)
{
	struct program program = program_new(4);
	struct dwarf_lines *lines;

	(void)state;
	put_address(&program, BASE);
	line_put(&program, SPECIAL(0, 4), 1);  /* line 5 */
	line_put(&program, SPECIAL(3, -5), 1); /* +3, line 0 */
	line_put(&program, SPECIAL(1, 8), 1);  /* +4, line 8 */
	line_put(&program, CONST_ADD_PC, 1);	  /* +21: 17, as opcode 255 */
	line_put(&program, SPECIAL(2, 0), 1);  /* +23, the same line */
	line_put(&program, SPECIAL(1, 1), 1);  /* +24, line 9 */
	line_put(&program, ADVANCE_PC, 1);
	line_put_uleb(&program, 300);
	put_end(&program);
	lines = load(&program);
	CHECK_AT(lines, BASE - 1, "-");
	CHECK_AT(lines, BASE, "1:5");
	CHECK_AT(lines, BASE + 2, "1:5");
	CHECK_AT(lines, BASE + 3, "1:0");
	CHECK_AT(lines, BASE + 4, "1:8");
	CHECK_AT(lines, BASE + 23, "1:8");
	CHECK_AT(lines, BASE + 24, "1:9");
	CHECK_AT(lines, BASE + 323, "1:9");
	CHECK_AT(lines, BASE + 324, "-");
	CHECK_AT(lines, 0, "-");
	CHECK_AT(lines, UINT64_MAX, "-");
	CHECK_AT(lines, BASE + (1ull << 32), "-");
	dwarf_lines_free(lines);
}

/* What is kept of a row is one word for both, where they fit. */
static void test_files_and_lines_of_any_size_come_back(void **state)
{
	static const struct {
		unsigned int file, line;
	} largest[] = {
		{ 1, 1 },	    { 4, 0x3fffffff }, { 3, 0x3fffffff }, { 2, 0x3fffffff },
		{ 2, 0x7fffffff },  { 1, 0x7fffffff }, { 1, 0x80000000 }, { 1, UINT32_MAX },
		{ 0x7ffffffe, 1 },  { 0x7fffffff, 1 }, { UINT32_MAX - 1, 1 },
		{ 0x3fffffff, 3 },  { 0x3ffffffe, 3 }, { UINT32_MAX - 1, UINT32_MAX },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(largest) / sizeof(*largest); i++) {
		struct program program = program_new(4);
		struct dwarf_lines *lines;
		char expected[32];

		put_row(&program, BASE, 1, 0);
		put_row(&program, BASE + 4, largest[i].file, largest[i].line);
		put_row(&program, BASE + 8, 0, 7);
		line_put(&program, ADVANCE_PC, 1);
		line_put_uleb(&program, 4);
		put_end(&program);
		lines = load(&program);
		snprintf(expected, sizeof(expected), "%u:%u", largest[i].file, largest[i].line);
		CHECK_AT(lines, BASE - 1, "-");
		CHECK_AT(lines, BASE, "1:0");
		CHECK_AT(lines, BASE + 7, expected);
		CHECK_AT(lines, BASE + 11, "0:7");
		CHECK_AT(lines, BASE + 12, "-");
		dwarf_lines_free(lines);
	}
}

static void test_standard_opcodes_do_what_they_say(void **state)
{
	struct program program = program_of(4);
	struct dwarf_lines *lines;

	(void)state;
	program.min_instruction = 4;
	program_begin(&program);
	program_tables(&program);
	program_code(&program);
	put_address(&program, BASE);
	line_put(&program, ADVANCE_LINE, 1);
	line_put_sleb(&program, 100000);
	line_put(&program, SET_COLUMN, 1);
	line_put_uleb(&program, 300);
	line_put(&program, NEGATE_STMT, 1);
	line_put(&program, SET_BASIC_BLOCK, 1);
	line_put(&program, PROLOGUE_END, 1);
	line_put(&program, EPILOGUE_BEGIN, 1);
	line_put(&program, SET_ISA, 1);
	line_put_uleb(&program, 3000000);
	line_put(&program, COPY, 1); /* 100001 */
	line_put(&program, ADVANCE_PC, 1);
	line_put_uleb(&program, 200); /* instructions of 4 bytes */
	line_put(&program, ADVANCE_LINE, 1);
	line_put_sleb(&program, -99000);
	line_put(&program, SET_FILE, 1);
	line_put_uleb(&program, 2);
	line_put(&program, COPY, 1);
	line_put(&program, FIXED_ADVANCE_PC, 1);
	line_put(&program, 0x1003, 2); /* bytes, whatever instructions have */
	line_put(&program, SPECIAL(1, 1), 1);
	put_end(&program);
	/* A sequence starts with fresh registers. */
	put_address(&program, BASE + 0x10000);
	line_put(&program, COPY, 1);
	line_put(&program, SPECIAL(1, 1), 1);
	line_put(&program, CONST_ADD_PC, 1);
	put_end(&program);
	lines = load(&program);
	CHECK_AT(lines, BASE, "1:100001");
	CHECK_AT(lines, BASE + 799, "1:100001");
	CHECK_AT(lines, BASE + 800, "2:1001");
	CHECK_AT(lines, BASE + 800 + 0x1002 + 4, "2:1001");
	CHECK_AT(lines, BASE + 800 + 0x1003 + 4, "-"); /* the last row covers nothing */
	CHECK_AT(lines, BASE + 0x10000, "1:1");
	CHECK_AT(lines, BASE + 0x10004, "1:2");
	CHECK_AT(lines, BASE + 0x10004 + 17 * 4 - 1, "1:2");
	CHECK_AT(lines, BASE + 0x10004 + 17 * 4, "-");
	dwarf_lines_free(lines);
}

static void test_operations_of_an_instruction_share_its_address(void **state)
{
	struct program program = program_of(4);
	struct dwarf_lines *lines;

	(void)state;
	program.min_instruction = 16;
	program.max_operations = 3;
	program_begin(&program);
	program_tables(&program);
	program_code(&program);
	put_address(&program, BASE);
	line_put(&program, SPECIAL(0, 1), 1); /* operation 0: line 2 */
	line_put(&program, SPECIAL(2, 1), 1); /* operation 2: line 3 */
	line_put(&program, SPECIAL(2, 1), 1); /* operation 4: the second instruction, line 4 */
	line_put(&program, ADVANCE_PC, 1);
	line_put_uleb(&program, 5); /* operation 9: the fourth */
	line_put(&program, SPECIAL(0, 1), 1);
	line_put(&program, CONST_ADD_PC, 1); /* operation 26: the ninth */
	put_end(&program);
	lines = load(&program);
	CHECK_AT(lines, BASE, "1:3");
	CHECK_AT(lines, BASE + 15, "1:3");
	CHECK_AT(lines, BASE + 16, "1:4");
	CHECK_AT(lines, BASE + 47, "1:4");
	CHECK_AT(lines, BASE + 48, "1:5");
	CHECK_AT(lines, BASE + 8 * 16 - 1, "1:5");
	CHECK_AT(lines, BASE + 8 * 16, "-");
	dwarf_lines_free(lines);
}

static void test_unknown_opcodes_are_skipped(void **state)
{
	struct program program = program_of(3);
	struct dwarf_lines *lines;

	(void)state;
	program.opcode_base = 20;
	program.unknown_operands = 3;
	program_begin(&program);
	program_tables(&program);
	program_code(&program);
	put_address(&program, BASE);
	line_put(&program, 17, 1); /* with three operands */
	line_put_uleb(&program, 1);
	line_put_uleb(&program, 1ull << 40);
	line_put_uleb(&program, 1);
	line_put(&program, 0, 1); /* extended: a user's, 5 bytes */
	line_put_uleb(&program, 5);
	line_put(&program, 0x0101010180, 5);
	line_put(&program, 0, 1); /* a discriminator */
	line_put_uleb(&program, 3);
	line_put(&program, 4, 1);
	line_put_uleb(&program, 1000);
	line_put(&program, 0, 2); /* extended, and empty */
	line_put(&program, COPY, 1);
	line_put(&program, 20 + 5 + 6 + 14 * 9, 1); /* special: 9 bytes, 6 lines */
	line_put(&program, CONST_ADD_PC, 1);
	put_end(&program);
	lines = load(&program);
	CHECK_AT(lines, BASE + 8, "1:1");
	CHECK_AT(lines, BASE + 9, "1:7");
	CHECK_AT(lines, BASE + 9 + 16 - 1, "1:7"); /* (255 - 20) / 14 */
	CHECK_AT(lines, BASE + 9 + 16, "-");
	dwarf_lines_free(lines);
}

static void test_opcodes_from_opcode_base_on_are_special(void **state)
{
	struct program program = program_of(2);
	struct dwarf_lines *lines;

	(void)state;
	program.opcode_base = 10;
	program_begin(&program);
	program_tables(&program);
	program_code(&program);
	put_address(&program, BASE);
	line_put(&program, COPY, 1);
	line_put(&program, 12, 1); /* is no DW_LNS_set_isa: -3 lines */
	line_put(&program, ADVANCE_PC, 1);
	line_put_uleb(&program, 1);
	put_end(&program);
	lines = load(&program);
	CHECK_AT(lines, BASE, "1:4294967294");
	dwarf_lines_free(lines);
}

static void test_a_line_range_of_zero_divides_nothing(void **state)
{
	struct program program = program_of(4);
	struct dwarf_lines *lines;

	(void)state;
	program.line_range = 0;
	program.line_base = 3;
	program_begin(&program);
	program_tables(&program);
	program_code(&program);
	put_address(&program, BASE);
	line_put(&program, 200, 1);
	line_put(&program, CONST_ADD_PC, 1);
	line_put(&program, FIXED_ADVANCE_PC, 1);
	line_put(&program, 1, 2);
	put_end(&program);
	lines = load(&program);
	CHECK_AT(lines, BASE, "1:4");
	CHECK_AT(lines, BASE + 1, "-");
	dwarf_lines_free(lines);
}

/* ---- rows ---- */

static void test_the_last_row_of_an_address_counts(void **state)
{
	struct program program = program_new(5);
	struct dwarf_lines *lines;

	(void)state;
	put_row(&program, BASE, 1, 10);
	put_row(&program, BASE, 1, 11);
	put_row(&program, BASE + 5, 2, 20);
	put_row(&program, BASE + 5, 2, 21);
	put_row(&program, BASE + 5, 1, 11);
	put_row(&program, BASE + 8, 1, 12);
	put_address(&program, BASE + 9);
	put_end(&program);
	lines = load(&program);
	CHECK_AT(lines, BASE, "1:11");
	CHECK_AT(lines, BASE + 5, "1:11");
	CHECK_AT(lines, BASE + 7, "1:11");
	CHECK_AT(lines, BASE + 8, "1:12");
	dwarf_lines_free(lines);
}

static void test_rows_of_one_line_take_the_room_of_one(void **state)
{
	struct program one = program_new(5), many = program_new(5);
	struct dwarf_lines *left, *right;
	unsigned int i;

	(void)state;
	put_row(&one, BASE, 1, 10);
	put_address(&one, BASE + 1000);
	put_end(&one);
	put_row(&many, BASE, 1, 10);
	line_put(&many, ADVANCE_LINE, 1);
	line_put_sleb(&many, 9);
	for (i = 0; i < 500; i++)
		line_put(&many, SPECIAL(1, 0), 1);
	put_address(&many, BASE + 1000);
	put_end(&many);
	left = load(&one);
	right = load(&many);
	CHECK_AT(right, BASE + 999, "1:10");
	assert_int_equal(dwarf_lines_bytes(left), dwarf_lines_bytes(right));
	dwarf_lines_free(left);
	dwarf_lines_free(right);
}

static void test_rows_that_go_back_are_put_in_order(void **state)
{
	struct program program = program_new(5);
	struct dwarf_lines *lines;

	(void)state;
	put_row(&program, BASE + 10, 1, 10);
	put_row(&program, BASE + 30, 1, 30);
	put_row(&program, BASE + 20, 1, 20);
	put_row(&program, BASE + 40, 1, 39);
	put_row(&program, BASE + 5, 1, 5);
	put_row(&program, BASE + 40, 1, 40);
	put_row(&program, BASE + 60, 1, 60);
	put_address(&program, BASE + 50);
	put_end(&program);
	put_row(&program, BASE + 50, 1, 50);
	put_address(&program, BASE + 55);
	put_end(&program);
	lines = load(&program);
	CHECK_AT(lines, BASE + 4, "-");
	CHECK_AT(lines, BASE + 5, "1:5");
	CHECK_AT(lines, BASE + 10, "1:10");
	CHECK_AT(lines, BASE + 20, "1:20");
	CHECK_AT(lines, BASE + 30, "1:30");
	CHECK_AT(lines, BASE + 49, "1:40");
	CHECK_AT(lines, BASE + 54, "1:50");
	CHECK_AT(lines, BASE + 55, "-");
	dwarf_lines_free(lines);
}

/* ---- sequences ---- */

static void put_sequence(struct program *program, uint64_t start, uint64_t end, unsigned int line)
{
	put_row(program, start, 1, line);
	put_row(program, start + (end - start) / 2, 1, line + 1);
	put_address(program, end);
	put_end(program);
}

static void test_sequences_come_in_any_order(void **state)
{
	struct program program = program_new(4);
	struct dwarf_lines *lines;
	unsigned int i;

	(void)state;
	for (i = 0; i < 50; i++) /* 37 goes through all of 0 to 49 */
		put_sequence(&program, BASE + i * 37 % 50 * 16, BASE + i * 37 % 50 * 16 + 10,
			     i * 37 % 50 * 10 + 1);
	lines = load(&program);
	for (i = 0; i < 50; i++) {
		char first[16], second[16];

		snprintf(first, sizeof(first), "1:%u", i * 10 + 1);
		snprintf(second, sizeof(second), "1:%u", i * 10 + 2);
		CHECK_AT(lines, BASE + i * 16, first);
		CHECK_AT(lines, BASE + i * 16 + 4, first);
		CHECK_AT(lines, BASE + i * 16 + 5, second);
		CHECK_AT(lines, BASE + i * 16 + 9, second);
		CHECK_AT(lines, BASE + i * 16 + 10, "-");
		CHECK_AT(lines, BASE + i * 16 + 15, "-");
	}
	dwarf_lines_free(lines);
}

/* Linkers that fold identical functions leave the lines of both. */
static void test_of_sequences_at_one_place_the_first_counts(void **state)
{
	struct program program = program_new(4);
	struct dwarf_lines *lines;

	(void)state;
	put_sequence(&program, BASE + 0x100, BASE + 0x110, 10);
	put_sequence(&program, BASE + 0x100, BASE + 0x110, 20);
	put_sequence(&program, BASE + 0x108, BASE + 0x120, 30); /* in part */
	put_sequence(&program, BASE, BASE + 0x100, 40);
	put_sequence(&program, BASE + 0x80, BASE + 0x90, 50); /* within */
	lines = load(&program);
	CHECK_AT(lines, BASE + 0x100, "1:10");
	CHECK_AT(lines, BASE + 0x10f, "1:11");
	CHECK_AT(lines, BASE + 0x110, "1:30");
	CHECK_AT(lines, BASE + 0x114, "1:31");
	CHECK_AT(lines, BASE + 0x11f, "1:31");
	CHECK_AT(lines, BASE + 0x120, "-");
	CHECK_AT(lines, BASE + 0x85, "1:41");
	CHECK_AT(lines, BASE + 0xff, "1:41");
	dwarf_lines_free(lines);
}

static void test_sequences_of_code_thrown_away_are_left_out(void **state)
{
	static const uint64_t dead[] = { 0,	     0x1000,	    BASE - 2, BASE + (1ull << 32),
					 UINT64_MAX, UINT64_MAX - 1 };
	struct dwarf_lines *lines;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(dead) / sizeof(dead[0]); i++) {
		struct program program = program_new(4);

		put_sequence(&program, BASE, BASE + 0x10, 10);
		put_address(&program, dead[i]);
		line_put(&program, SPECIAL(0, 1), 1);
		line_put(&program, SPECIAL(1, 1), 1);
		line_put(&program, ADVANCE_PC, 1); /* reaches over all that lives */
		line_put_uleb(&program, 2 * BASE);
		line_put(&program, COPY, 1);
		line_put(&program, ADVANCE_PC, 1);
		line_put_uleb(&program, 2 * BASE);
		put_end(&program);
		put_sequence(&program, BASE + 0x20, BASE + 0x30, 20);
		lines = load(&program);
		CHECK_AT(lines, BASE, "1:10");
		CHECK_AT(lines, BASE + 0x18, "-");
		CHECK_AT(lines, BASE + 0x2f, "1:21");
		CHECK_AT(lines, BASE + 0x30, "-");
		CHECK_AT(lines, dead[i], "-");
		CHECK_AT(lines, dead[i] + 1, "-");
		dwarf_lines_free(lines);
	}
}

static void test_sequences_without_extent_are_left_out(void **state)
{
	struct program program = program_new(4);
	struct dwarf_lines *lines;
	size_t bytes;

	(void)state;
	lines = load(&program);
	bytes = dwarf_lines_bytes(lines);
	CHECK_AT(lines, BASE, "-");
	dwarf_lines_free(lines);
	put_end(&program);
	put_row(&program, BASE, 1, 10);
	put_end(&program);
	put_row(&program, BASE + 10, 1, 10);
	put_address(&program, BASE + 5);
	put_end(&program);
	lines = load(&program);
	CHECK_AT(lines, BASE, "-");
	CHECK_AT(lines, BASE + 7, "-");
	CHECK_AT(lines, BASE + 10, "-");
	assert_true(dwarf_lines_bytes(lines) <= bytes + 12); /* of room */
	dwarf_lines_free(lines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_special_opcodes_advance_address_and_line),
		cmocka_unit_test(test_standard_opcodes_do_what_they_say),
		cmocka_unit_test(test_files_and_lines_of_any_size_come_back),
		cmocka_unit_test(test_operations_of_an_instruction_share_its_address),
		cmocka_unit_test(test_unknown_opcodes_are_skipped),
		cmocka_unit_test(test_opcodes_from_opcode_base_on_are_special),
		cmocka_unit_test(test_a_line_range_of_zero_divides_nothing),
		cmocka_unit_test(test_the_last_row_of_an_address_counts),
		cmocka_unit_test(test_rows_of_one_line_take_the_room_of_one),
		cmocka_unit_test(test_rows_that_go_back_are_put_in_order),
		cmocka_unit_test(test_sequences_come_in_any_order),
		cmocka_unit_test(test_of_sequences_at_one_place_the_first_counts),
		cmocka_unit_test(test_sequences_of_code_thrown_away_are_left_out),
		cmocka_unit_test(test_sequences_without_extent_are_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
