/* SPDX-License-Identifier: BSD-2-Clause */
/* Line tables of gcc and clang: each row as llvm-dwarfdump, each path as llvm-symbolizer says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <fcntl.h>

#include "symbolizer/dwarf_line.h"
#include "symbolizer/elf.h"
#include "symbolizer/section.h"
#include "tests/unit/elf_fixture.h"
#include "tests/unit/line_fixture.h"

#define MAX_UNITS 8
#define MAX_ROWS 4096

static bool have_cc;

static const char inner_source[] = "static inline int twice(int value)\n"
				   "{\n"
				   "	if (value > 100)\n"
				   "		return value;\n"
				   "	return value * 2;\n"
				   "}\n";

static const char first_source[] = "#include \"sub/inner.h\"\n"
				   "__attribute__((cold)) void report(int);\n"
				   "int first(int a, int b)\n"
				   "{\n"
				   "	int i, sum = 0;\n"
				   "	for (i = a; i < b; i++) {\n"
				   "		if (__builtin_expect(i % 1000 == 999, 0))\n"
				   "			report(i);\n"
				   "		sum += twice(i);\n"
				   "	}\n"
				   "	return sum;\n"
				   "}\n"
				   "\n"
				   "void nothing(void)\n"
				   "{\n"
				   "}\n";

static const char second_source[] = "#include \"sub/inner.h\"\n"
				    "void report(int value);\n"
				    "int second(int *values)\n"
				    "{\n"
				    "\treturn twice(values[0]) +\n"
				    "\t       twice(values[1]);\n"
				    "}\n"
				    "int third(int value)\n"
				    "{\n"
				    "#line 100000 \"generated.y\"\n"
				    "\treturn value / 7;\n"
				    "}\n";

static bool have(const char *tool)
{
	return fixture_shell("command -v %s >/dev/null", tool);
}

/* A library of both with @compiler and @flags; skips where that cannot be made. */
static void build(const char *compiler, const char *flags)
{
	if (!have_cc || !have(compiler) || !have("llvm-dwarfdump") || !have("llvm-symbolizer")) {
		print_message("skipped: needs cc, %s, llvm-dwarfdump and llvm-symbolizer\n",
			      compiler);
		skip();
	}
	assert_true(fixture_shell("mkdir -p sub"));
	fixture_write("sub/inner.h", inner_source, strlen(inner_source));
	fixture_write("first.c", first_source, strlen(first_source));
	fixture_write("second.c", second_source, strlen(second_source));
	if (!fixture_shell("%s -O2 -fPIC -shared -nostdlib first.c \"$PWD/second.c\" -o lib.so %s "
			   "2>errors",
			   compiler, flags)) {
		print_message("skipped: %s cannot build with %s\n", compiler, flags);
		skip();
	}
}

/* ---- our answers ---- */

struct library {
	int fd;
	struct elf_file *elf;
	struct section line, line_str, str;
	struct dwarf_lines *units[MAX_UNITS];
	unsigned long offsets[MAX_UNITS];
	size_t cnt;
};

static void add_unit(struct library *library, unsigned long offset, const char *comp_dir)
{
	struct dwarf_line_source source = {
		.line = &library->line,
		.line_str = &library->line_str,
		.str = &library->str,
		.offset = offset,
		.comp_dir = comp_dir,
		.base = 1,
		.address_bytes = 8,
	};

	assert_true(library->cnt < MAX_UNITS);
	library->offsets[library->cnt] = offset;
	assert_int_equal(dwarf_lines_load(&source, &library->units[library->cnt++]), 0);
}

/* The units of lib.so, as llvm-dwarfdump lists them. */
static void open_library(struct library *library)
{
	FILE *pipe = fixture_popen("llvm-dwarfdump --debug-info lib.so; echo Compile Unit: end");
	char line[1024], comp_dir[512] = "";
	unsigned long offset = 0;

	*library = (struct library){ .fd = open(fixture_path("lib.so"), O_RDONLY | O_CLOEXEC) };
	assert_int_equal(elf_file_open(library->fd, &library->elf, NULL), 0);
	assert_int_equal(section_open_debug(library->elf, ".debug_line", &library->line), 0);
	section_open_debug(library->elf, ".debug_line_str", &library->line_str);
	section_open_debug(library->elf, ".debug_str", &library->str);
	while (fgets(line, sizeof(line), pipe)) {
		sscanf(line, " DW_AT_stmt_list (%lx)", &offset);
		sscanf(line, " DW_AT_comp_dir (\"%511[^\"]", comp_dir);
		if (!strstr(line, "Compile Unit:") || !comp_dir[0])
			continue;
		add_unit(library, offset, comp_dir);
		comp_dir[0] = '\0';
	}
	pclose(pipe);
	assert_int_equal(library->cnt, 2);
}

static void close_library(struct library *library)
{
	while (library->cnt)
		dwarf_lines_free(library->units[--library->cnt]);
	section_close(&library->line);
	section_close(&library->line_str);
	section_close(&library->str);
	elf_file_close(library->elf);
	close(library->fd);
}

/* ---- llvm-dwarfdump's rows ---- */

struct row {
	uint64_t address;
	unsigned int unit, file, line;
	bool end;
	bool dead; /* of a sequence at 0: the linker threw its code away */
};

struct rows {
	struct row rows[MAX_ROWS];
	size_t cnt;
};

static void read_rows(const struct library *library, struct rows *rows)
{
	FILE *pipe = fixture_popen("llvm-dwarfdump --debug-line lib.so");
	unsigned long long address;
	unsigned long offset;
	unsigned int unit = 0, line, column, file;
	bool dead = false, first = true;
	char text[1024];

	rows->cnt = 0;
	while (fgets(text, sizeof(text), pipe)) {
		if (sscanf(text, "debug_line[%lx]", &offset) == 1) {
			for (unit = 0; unit < library->cnt; unit++) {
				if (library->offsets[unit] == offset)
					break;
			}
		}
		if (sscanf(text, "0x%16llx %u %u %u", &address, &line, &column, &file) != 4)
			continue;
		assert_true(rows->cnt < MAX_ROWS);
		dead = first ? !address : dead;
		first = strstr(text, "end_sequence");
		rows->rows[rows->cnt++] = (struct row){ address, unit, file, line, first, dead };
	}
	pclose(pipe);
	assert_true(rows->cnt > 20);
}

/* Whether a row of @unit covers @address. */
static bool is_covered(const struct rows *rows, unsigned int unit, uint64_t address)
{
	size_t i;

	for (i = 0; i + 1 < rows->cnt; i++) {
		const struct row *row = &rows->rows[i];

		if (row->unit == unit && !row->end && !row->dead && address >= row->address &&
		    address < row[1].address)
			return true;
	}
	return false;
}

/* A row covers all from its address up to the next one's. */
static void check_rows(const struct library *library, const struct rows *rows)
{
	size_t i, checked = 0;
	char expected[32];
	uint64_t at, end;

	for (i = 0; i < rows->cnt; i++) {
		const struct row *row = &rows->rows[i];

		assert_true(row->unit < library->cnt);
		if (row->dead || (row->end && is_covered(rows, row->unit, row->address)))
			continue;
		snprintf(expected, sizeof(expected), "%u:%u", row->file, row->line);
		if (row->end)
			strcpy(expected, "-");
		end = row->end ? row->address + 1 : row[1].address;
		for (at = row->address; at < end; at++) {
			const char *got = lines_at(library->units[row->unit], at);

			if (strcmp(got, expected) != 0)
				fail_msg("%#lx: %s instead of %s", (unsigned long)at, got,
					 expected);
			checked++;
		}
	}
	assert_true(checked > 10);
}

/* ---- llvm-symbolizer's paths ---- */

/* "PATH:LINE" of the address, by whichever unit has it; "??:0". */
static void our_place(const struct library *library, uint64_t address, char *ret, size_t size)
{
	uint32_t file, line;
	size_t i;

	snprintf(ret, size, "??:0");
	for (i = 0; i < library->cnt; i++) {
		if (dwarf_lines_find(library->units[i], address, &file, &line))
			snprintf(ret, size, "%s:%u", lines_path(library->units[i], file), line);
	}
}

static void check_paths(const struct library *library, const struct rows *rows)
{
	FILE *pipe, *list = fopen(fixture_path("addresses"), "w");
	char text[1024], ours[1024], *cut, *theirs;
	size_t i;

	for (i = 0; i < rows->cnt; i++)
		fprintf(list, "%#lx\n", (unsigned long)rows->rows[i].address);
	fclose(list);
	pipe = fixture_popen("llvm-symbolizer --obj=lib.so --no-inlines --functions=none "
			     "--output-style=GNU < addresses");
	for (i = 0; i < rows->cnt && fgets(text, sizeof(text), pipe);) {
		text[strcspn(text, "\n")] = '\0';
		if (!text[0])
			continue;
		cut = strstr(text, " (discriminator");
		if (cut)
			*cut = '\0';
		our_place(library, rows->rows[i].address, ours, sizeof(ours));
		if (rows->rows[i].dead) /* there it would name what is not in the program */
			strcpy(ours, text);
		if (strcmp(text, "??:?") == 0)
			strcpy(text, "??:0");
		/* It puts a unit's directory that is "." in front of itself. */
		theirs = strncmp(text, "././", 4) == 0 ? text + 2 : text;
		if (strcmp(theirs, ours) != 0)
			fail_msg("%#lx: %s instead of %s", (unsigned long)rows->rows[i].address,
				 ours, theirs);
		i++;
	}
	pclose(pipe);
	assert_int_equal(i, rows->cnt);
}

static void check(const char *compiler, const char *flags)
{
	static struct rows rows;
	struct library library;

	build(compiler, flags);
	open_library(&library);
	read_rows(&library, &rows);
	check_rows(&library, &rows);
	check_paths(&library, &rows);
	close_library(&library);
}

#define CHECK_TEST(name, compiler, flags)                                                          \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		check(compiler, flags);                                                            \
	}

CHECK_TEST(test_gcc_dwarf_2, "gcc", "-gdwarf-2 -gstrict-dwarf")
CHECK_TEST(test_gcc_dwarf_3, "gcc", "-gdwarf-3 -gno-strict-dwarf")
CHECK_TEST(test_gcc_dwarf_4, "gcc", "-gdwarf-4")
CHECK_TEST(test_gcc_dwarf_5, "gcc", "-gdwarf-5")
CHECK_TEST(test_gcc_dwarf_5_by_the_compiler, "gcc", "-gdwarf-5 -gno-as-loc-support")
CHECK_TEST(test_gcc_dwarf_4_by_the_compiler, "gcc", "-gdwarf-4 -gno-as-loc-support")
CHECK_TEST(test_gcc_64_bit_dwarf, "gcc", "-gdwarf-5 -gdwarf64")
CHECK_TEST(test_gcc_sections_thrown_away, "gcc",
	   "-g -ffunction-sections -fvisibility=hidden -Wl,--gc-sections -Wl,--entry=second")
CHECK_TEST(test_gcc_relative_directories, "gcc", "-g -fdebug-prefix-map=$PWD=.")
CHECK_TEST(test_gcc_packed_by_zlib, "gcc", "-g -gz=zlib")
CHECK_TEST(test_gcc_packed_the_old_way, "gcc", "-g -Wl,--compress-debug-sections=zlib-gnu")
CHECK_TEST(test_clang_dwarf_2, "clang", "-gdwarf-2")
CHECK_TEST(test_clang_dwarf_3, "clang", "-gdwarf-3")
CHECK_TEST(test_clang_dwarf_4, "clang", "-gdwarf-4")
CHECK_TEST(test_clang_dwarf_5, "clang", "-gdwarf-5")
CHECK_TEST(test_clang_64_bit_dwarf, "clang", "-gdwarf-5 -gdwarf64")
CHECK_TEST(test_clang_with_sources_embedded, "clang", "-gdwarf-5 -gembed-source")
CHECK_TEST(test_clang_sections, "clang", "-g -ffunction-sections")
CHECK_TEST(test_lld_folding_and_throwing_away, "clang",
	   "-g -ffunction-sections -fuse-ld=lld -Wl,--icf=all -Wl,--gc-sections")

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gcc_dwarf_2),
		cmocka_unit_test(test_gcc_dwarf_3),
		cmocka_unit_test(test_gcc_dwarf_4),
		cmocka_unit_test(test_gcc_dwarf_5),
		cmocka_unit_test(test_gcc_dwarf_5_by_the_compiler),
		cmocka_unit_test(test_gcc_dwarf_4_by_the_compiler),
		cmocka_unit_test(test_gcc_64_bit_dwarf),
		cmocka_unit_test(test_gcc_sections_thrown_away),
		cmocka_unit_test(test_gcc_relative_directories),
		cmocka_unit_test(test_gcc_packed_by_zlib),
		cmocka_unit_test(test_gcc_packed_the_old_way),
		cmocka_unit_test(test_clang_dwarf_2),
		cmocka_unit_test(test_clang_dwarf_3),
		cmocka_unit_test(test_clang_dwarf_4),
		cmocka_unit_test(test_clang_dwarf_5),
		cmocka_unit_test(test_clang_64_bit_dwarf),
		cmocka_unit_test(test_clang_with_sources_embedded),
		cmocka_unit_test(test_clang_sections),
		cmocka_unit_test(test_lld_folding_and_throwing_away),
	};
	int ret;

	have_cc = fixture_open();
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	fixture_close();
	return ret;
}
