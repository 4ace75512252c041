/* SPDX-License-Identifier: BSD-2-Clause */
/* Line number programs that are broken or hostile, and memory that is out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "symbolizer/dwarf_line.h"
#include "tests/unit/fail_malloc.h"
#include "tests/unit/line_fixture.h"

static struct dwarf_lines *load(struct program *program)
{
	struct dwarf_lines *lines;

	assert_int_equal(program_load(program, &lines), 0);
	return lines;
}

#define CHECK_AT(lines, address, expected) assert_string_equal(lines_at(lines, address), expected)

static void put_sequence(struct program *program, uint64_t start, uint64_t end, unsigned int line)
{
	put_row(program, start, 1, line);
	put_row(program, start + (end - start) / 2, 1, line + 1);
	put_address(program, end);
	put_end(program);
}

static void test_a_program_that_breaks_off_gives_its_rows(void **state)
{
	struct program program = program_new(4);
	struct dwarf_lines *lines;

	(void)state;
	put_sequence(&program, BASE, BASE + 0x10, 10);
	put_row(&program, BASE + 0x20, 1, 20);
	put_row(&program, BASE + 0x30, 1, 30);
	line_put(&program, 0, 1); /* extended, of more than there is */
	line_put_uleb(&program, 100);
	line_put(&program, 1, 1);
	lines = load(&program);
	CHECK_AT(lines, BASE + 0xf, "1:11");
	CHECK_AT(lines, BASE + 0x10, "-");
	CHECK_AT(lines, BASE + 0x2f, "1:20");
	CHECK_AT(lines, BASE + 0x30, "-");
	dwarf_lines_free(lines);
}

static int load_with(struct program program, size_t at, uint64_t value, unsigned int bytes)
{
	struct dwarf_lines *lines;
	struct section section;
	struct dwarf_line_source source = program_source(&program, &section);
	int ret;

	memcpy(program.bytes + at, &value, bytes);
	ret = dwarf_lines_load(&source, &lines);
	if (!ret)
		dwarf_lines_free(lines);
	return ret;
}

static void test_broken_headers_are_refused(void **state)
{
	struct program program = program_new(4);
	struct section section;
	struct dwarf_line_source source = program_source(&program, &section);
	struct dwarf_lines *lines = NULL;

	(void)state;
	assert_int_equal(load_with(program, 4, 4, 2), 0);
	assert_int_equal(load_with(program, 4, 1, 2), -ENOEXEC);
	assert_int_equal(load_with(program, 4, 6, 2), -ENOEXEC);
	assert_int_equal(load_with(program, 4, 0x104, 2), -ENOEXEC);
	assert_int_equal(load_with(program, 0, 0xfffffff0, 4), -ENOEXEC);
	assert_int_equal(load_with(program, 0, 1, 4), -ENOEXEC);
	assert_int_equal(load_with(program, 6, 10000, 4), -ENOEXEC); /* header_length */
	assert_int_equal(load_with(program, 6, 3, 4), -ENOEXEC);
	/* More than there is: what is there. */
	assert_int_equal(load_with(program, 0, 0xffffffef, 4), 0);
	source.offset = program.len;
	assert_int_equal(dwarf_lines_load(&source, &lines), -ENOEXEC);
	source.offset = UINT64_MAX;
	assert_int_equal(dwarf_lines_load(&source, &lines), -ENOEXEC);
	assert_null(lines);
}

static void test_programs_beyond_all_measure_are_refused(void **state)
{
	struct program program = program_new(4);
	struct section section;
	struct dwarf_line_source source = program_source(&program, &section);
	struct dwarf_lines *lines;
	size_t size = (64u << 20) + 100, i;
	uint32_t length = (uint32_t)size - 4;
	uint8_t *bytes = calloc(1, size);

	(void)state;
	memcpy(bytes, program.bytes, program.len);
	memcpy(bytes, &length, sizeof(length));
	section_of_memory(bytes, size, &section);
	assert_int_equal(dwarf_lines_load(&source, &lines), -EFBIG);
	/* A row for each byte. */
	length = 20u << 20;
	memcpy(bytes, &length, sizeof(length));
	i = program.len;
	memcpy(bytes + i, "\0\x09\2\0\0\x40\0\0\0\0\0", 11);
	memset(bytes + i + 11, SPECIAL(1, 1), length - i);
	assert_int_equal(dwarf_lines_load(&source, &lines), -EFBIG);
	free(bytes);
}

/* ---- hostile bytes, no memory ---- */

static struct program rich_program(unsigned int version)
{
	struct program program = program_new(version);

	put_sequence(&program, BASE + 0x100, BASE + 0x180, 10);
	put_sequence(&program, BASE, BASE + 0x80, 20);
	put_row(&program, BASE + 0x220, 1, 5);
	put_row(&program, BASE + 0x210, 2, 6);
	line_put(&program, SPECIAL(3, 3), 1);
	line_put(&program, 0, 1); /* one more file */
	line_put_uleb(&program, 8);
	line_put(&program, 3, 1);
	put_string(&program, "x.h");
	line_put(&program, 0, 3);
	put_address(&program, BASE + 0x300);
	put_end(&program);
	return program;
}

/* Looks up and names all that can be; bytes of exactly this size, for the sanitizer. */
static void exercise(const uint8_t *bytes, size_t size)
{
	uint8_t *copy = malloc(size + !size);
	struct section section;
	struct dwarf_line_source source = { .line = &section, .base = BASE };
	struct dwarf_lines *lines;
	uint64_t i;

	memcpy(copy, bytes, size);
	section_of_memory(copy, size, &section);
	if (!dwarf_lines_load(&source, &lines)) {
		for (i = 0; i < 0x400; i += 8)
			lines_at(lines, BASE + i);
		for (i = 0; i < 10; i++)
			lines_path(lines, (uint32_t)i);
		lines_path(lines, UINT32_MAX);
		assert_true(dwarf_lines_bytes(lines) < 10000);
		dwarf_lines_free(lines);
	}
	free(copy);
}

static void test_programs_cut_or_flipped_do_no_harm(void **state)
{
	unsigned int version, bit;
	struct program program;
	struct section section;
	size_t i;

	(void)state;
	for (version = 2; version <= 5; version++) {
		program = rich_program(version);
		program_source(&program, &section);
		for (i = 0; i < program.len; i++)
			exercise(program.bytes, i);
		for (i = 0; i < program.len; i++) {
			for (bit = 0; bit < 8; bit++) {
				program.bytes[i] ^= (uint8_t)(1 << bit);
				exercise(program.bytes, program.len);
				program.bytes[i] ^= (uint8_t)(1 << bit);
			}
		}
	}
}

static void test_memory_that_is_out_is_an_error(void **state)
{
	struct program program = rich_program(5);
	struct dwarf_lines *lines;
	unsigned int failed = 0;
	long n;
	int ret;

	(void)state;
	for (n = 1;; n++) {
		lines = NULL;
		fail_malloc_at(n);
		ret = program_load(&program, &lines);
		if (!fail_malloc_hit())
			break;
		failed += ret == -ENOMEM;
		assert_true(ret == -ENOMEM || ret == 0); /* 0: could not be made smaller */
		if (!ret) {
			CHECK_AT(lines, BASE + 0x100, "1:10");
			assert_string_equal(lines_path(lines, 1), "/work/a.c");
			dwarf_lines_free(lines);
		} else {
			assert_null(lines);
		}
	}
	assert_int_equal(ret, 0);
	CHECK_AT(lines, BASE + 0x210, "2:6");
	dwarf_lines_free(lines);
	assert_true(failed >= 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_program_that_breaks_off_gives_its_rows),
		cmocka_unit_test(test_broken_headers_are_refused),
		cmocka_unit_test(test_programs_beyond_all_measure_are_refused),
		cmocka_unit_test(test_programs_cut_or_flipped_do_no_harm),
		cmocka_unit_test(test_memory_that_is_out_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
