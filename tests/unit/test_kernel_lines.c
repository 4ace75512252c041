/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines and inlined functions of a kernel that cc made, moved as KASLR does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <inttypes.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/symbolizer.h"
#include "symbolizer/symbolizer_source.h"
#include "tests/unit/debug_fixture.h"
#include "tests/unit/elf_fixture.h"
#include "tests/unit/kernel_fixture.h"

#define MOVED_BY 0x1e200000ull

static bool have_cc;

/* The marked instruction is in inner(), inlined into outer() in line 10. */
static const char source[] = "volatile int counter;\n"
			     "extern const char mark[];\n"
			     "static inline __attribute__((always_inline)) void inner(int x)\n"
			     "{\n"
			     "	counter += x;\n"
			     "	__asm__ volatile(\".globl mark\\nmark: nop\");\n"
			     "}\n"
			     "__attribute__((noinline)) void outer(int x)\n"
			     "{\n"
			     "	inner(x);\n"
			     "	counter++;\n"
			     "}\n"
			     "void start_kernel(void) { for (;;) outer(1); }\n";

static int set_up(void **state)
{
	(void)state;
	have_cc = fixture_open() && fixture_shell("command -v objcopy >/dev/null");
	if (!have_cc)
		return 0;
	fixture_write("script", kernel_script, strlen(kernel_script));
	fixture_cc("kernel", source, KERNEL_FLAGS " -Wl,--build-id=sha1");
	SHELL("objcopy --dump-section .notes=notes kernel copy && rm copy && "
	      "mkdir -p dbg/.build-id/%.2s && cp kernel dbg/.build-id/%s.debug",
	      id_path("kernel"), id_path("kernel"));
	return 0;
}

static int clean_up(void **state)
{
	(void)state;
	fixture_close();
	return 0;
}

static uint64_t address_of(const char *name)
{
	FILE *pipe = fixture_popen("nm kernel | sed -n 's/ . %s$//p'", name);
	uint64_t address = 0;

	assert_int_equal(fscanf(pipe, "%" SCNx64, &address), 1);
	pclose(pipe);
	return address + MOVED_BY;
}

/* What /proc/kallsyms of this kernel has; @outer: how it calls outer(). */
static void write_kallsyms(const char *outer)
{
	char text[600];
	int len = snprintf(text, sizeof(text),
			   "%" PRIx64 " T _text\n%" PRIx64 " T _stext\n%" PRIx64 " T %s\n%" PRIx64
			   " T start_kernel\n%" PRIx64 " T _etext\n"
			   "ffffffffc0000000 t module_function\t[nf_tables]\n",
			   address_of("_text"), address_of("_stext"), address_of("outer"), outer,
			   address_of("start_kernel"), address_of("_etext"));

	fixture_write("kallsyms", text, (size_t)len);
}

static struct symbolizer *open_symbolizer(bool with_lines, const char *notes)
{
	static char kallsyms[160], debug_dir[160], notes_path[160];
	struct symbolizer_config config = {
		.kallsyms = strcpy(kallsyms, fixture_path("kallsyms")),
		.kernel_notes = strcpy(notes_path, fixture_path(notes)),
		.debug_dir = strcpy(debug_dir, fixture_path("dbg")),
		.demangle = true,
		.with_lines = with_lines,
	};
	struct symbolizer *symbolizer;

	assert_int_equal(symbolizer_new(&config, &symbolizer, NULL), 0);
	return symbolizer;
}

static void need_cc(void)
{
	if (!have_cc)
		skip();
}

static void test_the_kernel_has_lines_and_inlined_functions(void **state)
{
	const struct location *location;
	struct symbolizer_source from;
	struct symbolizer *symbolizer;

	(void)state;
	need_cc();
	write_kallsyms("outer");
	symbolizer = open_symbolizer(true, "notes");
	location = symbolizer_kernel(symbolizer, address_of("mark"), false);
	assert_int_equal(location->line_cnt, 2);
	assert_string_equal(location->lines[0].function, "inner");
	assert_int_equal(location->lines[0].line, 6);
	assert_int_equal(location->lines[0].start_line, 3);
	assert_string_equal(location->lines[1].function, "outer");
	assert_int_equal(location->lines[1].line, 10);
	assert_int_equal(location->lines[1].start_line, 8);
	assert_non_null(strstr(location->lines[0].filename, ".c"));
	assert_string_equal(location->mapping->filename, "[kernel.kallsyms]");
	assert_int_equal(location->address, address_of("mark"));
	symbolizer_source(symbolizer, location, &from);
	assert_string_equal(from.names_from, "DWARF, kallsyms");
	symbolizer_free(symbolizer);
}

static void test_the_outermost_name_is_that_of_kallsyms(void **state)
{
	const struct location *location;
	struct symbolizer *symbolizer;

	(void)state;
	need_cc();
	write_kallsyms("__pfx_outer_as_linked");
	symbolizer = open_symbolizer(true, "notes");
	location = symbolizer_kernel(symbolizer, address_of("mark"), false);
	assert_int_equal(location->line_cnt, 2);
	assert_string_equal(location->lines[0].function, "inner");
	assert_string_equal(location->lines[1].function, "__pfx_outer_as_linked");
	symbolizer_free(symbolizer);
}

/* Whoever wants no lines, another kernel's vmlinux, a module: names alone. */
static void test_without_lines_there_are_names(void **state)
{
	const struct location *location;
	struct symbolizer *symbolizer;
	const char *notes[] = { "notes", "/nowhere" };
	size_t i;

	(void)state;
	need_cc();
	write_kallsyms("outer");
	for (i = 0; i < ARRAY_SIZE(notes); i++) {
		symbolizer = open_symbolizer(i > 0, notes[i]);
		location = symbolizer_kernel(symbolizer, address_of("mark"), false);
		assert_int_equal(location->line_cnt, 1);
		assert_string_equal(location->lines[0].function, "outer");
		assert_null(location->lines[0].filename);
		symbolizer_free(symbolizer);
	}
	symbolizer = open_symbolizer(true, "notes");
	location = symbolizer_kernel(symbolizer, 0xffffffffc0000010, false);
	assert_string_equal(location->lines[0].function, "module_function");
	assert_null(location->lines[0].filename);
	symbolizer_free(symbolizer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_kernel_has_lines_and_inlined_functions),
		cmocka_unit_test(test_the_outermost_name_is_that_of_kallsyms),
		cmocka_unit_test(test_without_lines_there_are_names),
	};

	return cmocka_run_group_tests(tests, set_up, clean_up);
}
