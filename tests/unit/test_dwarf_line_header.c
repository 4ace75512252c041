/* SPDX-License-Identifier: BSD-2-Clause */
/* Tables of directories and files of line number programs, and the paths made of them. */
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

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define CHECK_PATH(lines, file, expected) assert_string_equal(lines_path(lines, file), expected)

/* DWARF's forms */
enum {
	BLOCK2 = 0x03,
	BLOCK4 = 0x04,
	DATA2 = 0x05,
	DATA4 = 0x06,
	DATA8 = 0x07,
	STRING = 0x08,
	BLOCK = 0x09,
	BLOCK1 = 0x0a,
	DATA1 = 0x0b,
	STRP = 0x0e,
	UDATA = 0x0f,
	STRX = 0x1a,
	STRP_SUP = 0x1d,
	DATA16 = 0x1e,
	LINE_STRP = 0x1f,
	STRX1 = 0x25,
	STRX2 = 0x26,
	STRX3 = 0x27,
	STRX4 = 0x28,
	GNU_STRP_ALT = 0x1f21,
};

#define PATH 1
#define DIRECTORY 2
#define MD5 5
#define SOURCE_OF_LLVM 0x2001

static struct dwarf_lines *load(struct program *program)
{
	struct dwarf_lines *lines;

	assert_int_equal(program_load(program, &lines), 0);
	return lines;
}

static struct dwarf_lines *load_in(struct program *program, const char *comp_dir)
{
	struct section section;
	struct dwarf_line_source source = program_source(program, &section);
	struct dwarf_lines *lines;

	source.comp_dir = comp_dir;
	assert_int_equal(dwarf_lines_load(&source, &lines), 0);
	return lines;
}

/* ---- before DWARF 5 ---- */

static struct program old_program(void)
{
	static const char *const directories[] = { "rel", "/abs", "end/" };
	static const struct {
		const char *name;
		unsigned int directory;
	} files[] = { { "a.c", 0 }, { "b.c", 1 },    { "c.c", 2 }, { "/d.c", 1 },
		      { "e.c", 3 }, { "../f.c", 1 }, { "g.c", 4 }, { "h.c", 1000000 } };
	struct program program = program_of(3);
	size_t i;

	program_begin(&program);
	for (i = 0; i < ARRAY_SIZE(directories); i++)
		put_string(&program, directories[i]);
	line_put(&program, 0, 1);
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		put_string(&program, files[i].name);
		line_put_uleb(&program, files[i].directory);
		line_put_uleb(&program, 12345); /* time */
		line_put_uleb(&program, 1ull << 33);
	}
	line_put(&program, 0, 1);
	program_code(&program);
	return program;
}

static void test_old_files_are_counted_from_one(void **state)
{
	struct program program = old_program();
	struct dwarf_lines *lines = load_in(&program, "/work");

	(void)state;
	CHECK_PATH(lines, 0, "-");
	CHECK_PATH(lines, 1, "/work/a.c");
	CHECK_PATH(lines, 2, "/work/rel/b.c");
	CHECK_PATH(lines, 3, "/abs/c.c");
	CHECK_PATH(lines, 4, "/d.c");
	CHECK_PATH(lines, 5, "/work/end/e.c");
	CHECK_PATH(lines, 6, "/work/rel/../f.c");
	/* Of a directory that is not there. */
	CHECK_PATH(lines, 7, "/work/g.c");
	CHECK_PATH(lines, 8, "/work/h.c");
	CHECK_PATH(lines, 9, "-");
	CHECK_PATH(lines, UINT32_MAX, "-");
	dwarf_lines_free(lines);
}

static void test_old_paths_are_as_absolute_as_the_unit(void **state)
{
	struct program program = old_program();
	struct dwarf_lines *lines = load_in(&program, NULL);

	(void)state;
	CHECK_PATH(lines, 1, "a.c");
	CHECK_PATH(lines, 2, "rel/b.c");
	CHECK_PATH(lines, 3, "/abs/c.c");
	dwarf_lines_free(lines);
	lines = load_in(&program, "./here/");
	CHECK_PATH(lines, 1, "./here/a.c");
	CHECK_PATH(lines, 2, "./here/rel/b.c");
	dwarf_lines_free(lines);
}

static void test_files_defined_by_the_program_are_appended(void **state)
{
	struct program program = old_program();
	struct dwarf_lines *lines;

	(void)state;
	put_address(&program, BASE);
	line_put(&program, 0, 1);
	line_put_uleb(&program, 10);
	line_put(&program, 3, 1);
	put_string(&program, "new.h");
	line_put(&program, 2, 1);
	line_put(&program, 0, 2);
	line_put(&program, 0, 1); /* one without an end */
	line_put_uleb(&program, 3);
	line_put(&program, 3, 1);
	line_put(&program, 'x', 1);
	line_put(&program, 'x', 1);
	line_put(&program, 4, 1); /* set_file */
	line_put_uleb(&program, 9);
	line_put(&program, COPY, 1);
	put_address(&program, BASE + 1);
	put_end(&program);
	lines = load(&program);
	assert_string_equal(lines_at(lines, BASE), "9:1");
	CHECK_PATH(lines, 9, "/abs/new.h");
	CHECK_PATH(lines, 10, "-");
	dwarf_lines_free(lines);
}

/* ---- DWARF 5 ---- */

static void test_new_files_are_counted_from_zero(void **state)
{
	struct program program = program_new(5);
	struct dwarf_lines *lines = load(&program);

	(void)state;
	CHECK_PATH(lines, 0, "/work/a.c");
	CHECK_PATH(lines, 1, "/work/a.c");
	CHECK_PATH(lines, 2, "/work/inc/b.h");
	CHECK_PATH(lines, 3, "-");
	dwarf_lines_free(lines);
}

static void test_sixty_four_bit_dwarf_is_read(void **state)
{
	unsigned int version;

	(void)state;
	for (version = 2; version <= 5; version++) {
		struct program program = program_of(version);
		struct dwarf_lines *lines;

		program.offset_bytes = 8;
		program_begin(&program);
		program_tables(&program);
		program_code(&program);
		put_row(&program, BASE, 2, 7);
		put_address(&program, BASE + 4);
		put_end(&program);
		lines = load(&program);
		assert_string_equal(lines_at(lines, BASE + 3), "2:7");
		CHECK_PATH(lines, 2, "/work/inc/b.h");
		dwarf_lines_free(lines);
	}
}

/* A DWARF 5 program with the directories @first and "sub", file a.c in 0 and b.c in 1. */
static struct program program_in(const char *first)
{
	struct program program = program_of(5);

	program_begin(&program);
	line_put(&program, 1, 1);
	line_put_uleb(&program, PATH);
	line_put_uleb(&program, STRING);
	line_put_uleb(&program, 2);
	put_string(&program, first);
	put_string(&program, "sub");
	line_put(&program, 2, 1);
	line_put_uleb(&program, DIRECTORY);
	line_put_uleb(&program, UDATA);
	line_put_uleb(&program, PATH);
	line_put_uleb(&program, STRING);
	line_put_uleb(&program, 2);
	line_put_uleb(&program, 0);
	put_string(&program, "a.c");
	line_put_uleb(&program, 1);
	put_string(&program, "b.c");
	program_code(&program);
	return program;
}

static void test_new_paths_begin_with_the_units_directory_once(void **state)
{
	static const struct {
		const char *first, *comp_dir, *a, *b;
	} cases[] = {
		{ "/src", "/src", "/src/a.c", "/src/sub/b.c" },
		{ "/other", "/src", "/other/a.c", "/src/sub/b.c" },
		{ "/src", NULL, "/src/a.c", "sub/b.c" },
		{ ".", ".", "./a.c", "./sub/b.c" }, /* -ffile-prefix-map */
		{ ".", "/src", "/src/./a.c", "/src/sub/b.c" },
		{ "mapped", "mapped", "mapped/a.c", "mapped/sub/b.c" },
		{ "mapped/low", "mapped", "mapped/low/a.c", "mapped/sub/b.c" },
		{ "mapped2", "mapped", "mapped/mapped2/a.c", "mapped/sub/b.c" },
		{ "", "/src", "/src/a.c", "/src/sub/b.c" },
		{ "", ".", "./a.c", "./sub/b.c" },
		{ "", NULL, "a.c", "sub/b.c" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct program program = program_in(cases[i].first);
		struct dwarf_lines *lines = load_in(&program, cases[i].comp_dir);

		CHECK_PATH(lines, 0, cases[i].a);
		CHECK_PATH(lines, 1, cases[i].b);
		dwarf_lines_free(lines);
	}
}

/* ---- forms ---- */

/* Sections that names may stand in; offsets of "at string" and the like are as the macros say. */
struct names {
	struct section line, line_str, str, sup, offsets;
	uint32_t table[8];
};

#define LINE_STR "x\0in line_str"
#define STR "xx\0in str\0third"
#define SUP "xxx\0in sup"

static struct dwarf_line_source source_with(struct program *program, struct names *names)
{
	struct dwarf_line_source source = program_source(program, &names->line);
	const uint32_t table[8] = { 0xffffffff, 0xffffffff, 0xffffffff, 3, 10, 0x10000, 0, 10 };

	memcpy(names->table, table, sizeof(table));
	section_of_memory(LINE_STR, sizeof(LINE_STR), &names->line_str);
	section_of_memory(STR, sizeof(STR), &names->str);
	section_of_memory(SUP, sizeof(SUP), &names->sup);
	section_of_memory(names->table, sizeof(names->table), &names->offsets);
	source.line_str = &names->line_str;
	source.str = &names->str;
	source.sup_str = &names->sup;
	source.str_offsets = &names->offsets;
	source.str_offsets_base = 8;
	return source;
}

/* No directories; one file whose name is in @form with @bytes bytes of @value, then "next.c". */
static struct program program_with(uint64_t form, uint64_t value, unsigned int bytes)
{
	struct program program = program_of(5);
	unsigned int i;

	program_begin(&program);
	line_put(&program, 0, 2);
	line_put(&program, 1, 1);
	line_put_uleb(&program, PATH);
	line_put_uleb(&program, form);
	line_put_uleb(&program, 2);
	for (i = 0; i < 2; i++)
		line_put(&program, value, bytes);
	program_code(&program);
	put_row(&program, BASE, 1, 7);
	put_address(&program, BASE + 4);
	put_end(&program);
	return program;
}

/* The path of file 1 of such a program; rows are always there. */
static const char *name_by(uint64_t form, uint64_t value, unsigned int bytes)
{
	struct program program = program_with(form, value, bytes);
	struct names names;
	struct dwarf_line_source source = source_with(&program, &names);
	struct dwarf_lines *lines;
	const char *path;

	assert_int_equal(dwarf_lines_load(&source, &lines), 0);
	assert_string_equal(lines_at(lines, BASE), "1:7");
	path = lines_path(lines, 1);
	dwarf_lines_free(lines);
	return path;
}

static void test_names_stand_in_every_form(void **state)
{
	(void)state;
	assert_string_equal(name_by(STRING, 'a', 2), "/work/a");
	assert_string_equal(name_by(LINE_STRP, 2, 4), "/work/in line_str");
	assert_string_equal(name_by(STRP, 3, 4), "/work/in str");
	assert_string_equal(name_by(STRP_SUP, 4, 4), "/work/in sup");
	assert_string_equal(name_by(GNU_STRP_ALT, 4, 4), "/work/in sup");
	assert_string_equal(name_by(STRX, 1, 1), "/work/in str");
	assert_string_equal(name_by(STRX1, 2, 1), "/work/third");
	assert_string_equal(name_by(STRX2, 1, 2), "/work/in str");
	assert_string_equal(name_by(STRX3, 2, 3), "/work/third");
	assert_string_equal(name_by(STRX4, 1, 4), "/work/in str");
}

static void test_names_that_are_nowhere_are_unknown(void **state)
{
	(void)state;
	assert_string_equal(name_by(LINE_STRP, 15, 4), "-");
	assert_string_equal(name_by(LINE_STRP, 0xffffffff, 4), "-");
	assert_string_equal(name_by(STRP, 100000, 4), "-");
	assert_string_equal(name_by(STRP, 2, 4), "-");	/* empty */
	assert_string_equal(name_by(STRX1, 3, 1), "-"); /* string beyond .debug_str */
	assert_string_equal(name_by(STRX1, 6, 1), "-"); /* beyond .debug_str_offsets */
	assert_string_equal(name_by(STRX4, 0xffffffff, 4), "-");
	assert_string_equal(name_by(DATA4, 3, 4), "-"); /* no string */
	assert_string_equal(name_by(0x99, 3, 4), "-");
	assert_string_equal(name_by(1ull << 40, 3, 4), "-");
}

static void test_sections_that_are_missing_are_no_error(void **state)
{
	static const unsigned int forms[] = { LINE_STRP, STRP, STRP_SUP, STRX4 };
	struct dwarf_lines *lines;
	struct section section;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		struct program program = program_with(forms[i], 2, 4);
		struct dwarf_line_source source = program_source(&program, &section);

		assert_int_equal(dwarf_lines_load(&source, &lines), 0);
		assert_string_equal(lines_at(lines, BASE), "1:7");
		CHECK_PATH(lines, 1, "-");
		dwarf_lines_free(lines);
	}
}

static void test_what_is_no_name_is_skipped_in_every_form(void **state)
{
	/* As bytes of an entry, little-endian. */
	static const struct {
		unsigned int form;
		uint64_t value;
		unsigned int bytes;
	} others[] = {
		{ DATA1, 1, 1 },       { DATA2, 1, 2 },		{ DATA4, 1, 4 },
		{ DATA8, 1, 8 },       { UDATA, 0x0180, 2 },	{ BLOCK, 0xccbbaa03, 4 },
		{ BLOCK1, 0xaa01, 2 }, { BLOCK2, 0xaa0001, 3 }, { BLOCK4, 0xbbaa00000002, 6 },
		{ STRING, 'x', 2 },    { STRX1, 1, 1 },		{ STRX3, 1, 3 },
		{ LINE_STRP, 1, 4 },   { STRP, 1, 4 },		{ 0x17, 1, 4 },
		{ 0x0d, 1, 1 },	       { 0x0c, 1, 1 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		struct program program = program_of(5);
		struct dwarf_lines *lines;

		program_begin(&program);
		line_put(&program, 0, 2);
		line_put(&program, 4, 1);
		line_put_uleb(&program, SOURCE_OF_LLVM);
		line_put_uleb(&program, others[i].form);
		line_put_uleb(&program, MD5);
		line_put_uleb(&program, DATA16);
		line_put_uleb(&program, PATH);
		line_put_uleb(&program, STRING);
		line_put_uleb(&program, 99);
		line_put_uleb(&program, others[i].form);
		line_put_uleb(&program, 1);
		line_put(&program, others[i].value, others[i].bytes);
		line_put(&program, UINT64_MAX, 8);
		line_put(&program, UINT64_MAX, 8);
		put_string(&program, "name.c");
		line_put(&program, others[i].value, others[i].bytes);
		program_code(&program);
		lines = load(&program);
		CHECK_PATH(lines, 0, "/work/name.c");
		dwarf_lines_free(lines);
	}
}

/* ---- tables that lie ---- */

static void test_counts_beyond_the_bytes_end_the_tables(void **state)
{
	static const unsigned int formats[] = { 0, 1 };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(formats); i++) {
		struct program program = program_of(5);
		struct dwarf_lines *lines;

		program_begin(&program);
		line_put(&program, 0, 2);
		line_put(&program, formats[i], 1); /* entries of no bytes, or of some */
		if (formats[i]) {
			line_put_uleb(&program, PATH);
			line_put_uleb(&program, STRING);
		}
		line_put_uleb(&program, UINT64_MAX);
		put_string(&program, "a.c");
		put_string(&program, "b.c");
		line_put(&program, 'c', 1);
		program_code(&program);
		put_row(&program, BASE, 1, 7);
		put_address(&program, BASE + 4);
		put_end(&program);
		lines = load(&program);
		assert_string_equal(lines_at(lines, BASE), "1:7");
		CHECK_PATH(lines, 1, formats[i] ? "/work/b.c" : "-");
		CHECK_PATH(lines, 2, "-");
		dwarf_lines_free(lines);
	}
}

static void test_text_is_bounded(void **state)
{
	struct program program = program_of(5);
	struct names names;
	struct dwarf_line_source source;
	struct dwarf_lines *lines;
	char *text = malloc(100000);
	unsigned int i;

	(void)state;
	memset(text, 'a', 100000);
	text[99999] = '\0';
	program_begin(&program);
	line_put(&program, 0, 2);
	line_put(&program, 1, 1);
	line_put_uleb(&program, PATH);
	line_put_uleb(&program, STRX1);
	line_put_uleb(&program, 5000);
	for (i = 0; i < 5000; i++)
		line_put(&program, 4, 1);
	program_code(&program);
	source = source_with(&program, &names);
	section_of_memory(text, 100000, &names.str);
	assert_int_equal(dwarf_lines_load(&source, &lines), 0);
	/* Where a byte of header could give 100,000 of text, each is cut, and they are all. */
	assert_int_equal(strlen(lines_path(lines, 0)), 4096 + strlen("/work/"));
	CHECK_PATH(lines, 4999, "-");
	assert_true(dwarf_lines_bytes(lines) < 17 << 20);
	dwarf_lines_free(lines);
	free(text);
}

static void test_memory_that_is_out_is_an_error(void **state)
{
	static const unsigned int forms[] = { LINE_STRP, STRP, STRP_SUP, STRX4 };
	size_t i;
	long n;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		unsigned int failed = 0;
		int ret;

		for (n = 1;; n++) {
			struct program program = program_with(forms[i], 1, 4);
			struct names names;
			struct dwarf_line_source source = source_with(&program, &names);
			struct dwarf_lines *lines = NULL;

			fail_malloc_at(n);
			ret = dwarf_lines_load(&source, &lines);
			if (!fail_malloc_hit()) {
				dwarf_lines_free(lines);
				break;
			}
			failed += ret == -ENOMEM;
			assert_true(ret == 0 || ret == -ENOMEM);
			assert_true(!ret == !!lines);
			dwarf_lines_free(lines);
		}
		assert_int_equal(ret, 0);
		assert_true(failed >= 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_old_files_are_counted_from_one),
		cmocka_unit_test(test_old_paths_are_as_absolute_as_the_unit),
		cmocka_unit_test(test_files_defined_by_the_program_are_appended),
		cmocka_unit_test(test_new_files_are_counted_from_zero),
		cmocka_unit_test(test_sixty_four_bit_dwarf_is_read),
		cmocka_unit_test(test_new_paths_begin_with_the_units_directory_once),
		cmocka_unit_test(test_names_stand_in_every_form),
		cmocka_unit_test(test_names_that_are_nowhere_are_unknown),
		cmocka_unit_test(test_sections_that_are_missing_are_no_error),
		cmocka_unit_test(test_what_is_no_name_is_skipped_in_every_form),
		cmocka_unit_test(test_counts_beyond_the_bytes_end_the_tables),
		cmocka_unit_test(test_text_is_bounded),
		cmocka_unit_test(test_memory_that_is_out_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
