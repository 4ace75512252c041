/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames of programs that the installed Go builds.  readelf, which reads the .debug_frame that Go's
 * linker wrote, says where the CFA is at each instruction; the instructions say whether the frame
 * pointer has been saved.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/elf.h"
#include "symbolizer/frame_go.h"
#include "symbolizer/frame_table.h"
#include "tests/unit/elf_fixture.h"

#define SYMBOLS_MAX 65536
#define GO "env GOTOOLCHAIN=local GO111MODULE=off GOFLAGS= "
#define GO_119 "/usr/lib/go-1.19/bin/go" /* Debian 12's */

static const char source[] = "package main\n"
			     "import \"fmt\"\n"
			     "func main() { fmt.Println(\"here\") }\n";

static bool have_go, pushes;
static struct fixture_symbol *symbols;

static void need_go(void)
{
	if (!have_go)
		skip();
}

static bool build(const char *name, const char *environment, const char *options)
{
	return fixture_shell(GO "%s go build -o %s %s program.go >build.log 2>&1", environment,
			     name, options);
}

/* ---- a program's table ---------------------------------------------------------------------- */

struct program {
	uint8_t *bytes;
	size_t size;
	struct elf_file *elf;
	void *table_bytes;
	struct frame_table table;
};

static struct program program_open(const char *name)
{
	struct frame_builder *builder;
	struct program program;
	struct frame_go *go;
	size_t i, size;

	program.bytes = fixture_read(fixture_path(name), &program.size);
	assert_int_equal(elf_file_open_memory(program.bytes, program.size, &program.elf, NULL), 0);
	assert_int_equal(frame_go_open(program.elf, &go), 0);
	assert_int_equal(frame_builder_new(&builder), 0);
	for (i = 0; i < frame_go_cnt(go); i++)
		assert_int_equal(frame_go_emit(go, i, builder), 0);
	assert_int_equal(frame_builder_finish(builder, &program.table_bytes, &size), 0);
	assert_int_equal(frame_table_of_bytes(program.table_bytes, size, &program.table), 0);
	frame_builder_free(builder);
	frame_go_close(go);
	return program;
}

static void program_close(struct program *program)
{
	free(program->table_bytes);
	elf_file_close(program->elf);
	free(program->bytes);
}

static const struct frame_rule *rule_at(const struct program *program, uint64_t address)
{
	const struct frame_rule *rule = frame_table_find(&program->table, address);

	assert_non_null(rule);
	return rule;
}

static const uint8_t *code_at(const struct program *program, uint64_t address)
{
	const struct elf_segment *segments;
	size_t i, cnt = elf_file_segments(program->elf, &segments);

	for (i = 0; i < cnt; i++) {
		if (segments[i].executable && address - segments[i].vaddr < segments[i].filesz)
			return program->bytes + segments[i].offset + (address - segments[i].vaddr);
	}
	fail_msg("no code at 0x%llx", (unsigned long long)address);
	return NULL;
}

/* 0: there is none. */
static uint64_t find_symbol(const char *program, const char *name, uint64_t *ret_size)
{
	size_t i, cnt = fixture_nm(fixture_path(program), "", symbols, SYMBOLS_MAX);
	size_t len = strlen(name);

	for (i = 0; i < cnt; i++) {
		if (strncmp(symbols[i].name, name, len) != 0 ||
		    (symbols[i].name[len] && strcmp(symbols[i].name + len, ".abi0") != 0))
			continue;
		*ret_size = symbols[i].size;
		return symbols[i].address;
	}
	return 0;
}

/* ---- the CFA, by readelf -------------------------------------------------------------------- */

/* What was compared, in bytes of code. */
struct comparison {
	uint64_t same, special, different, functions;
};

/* readelf has rsp+@offset for [@start, @end) of the function at @function. */
static void compare(const struct program *program, uint64_t function, uint64_t start, uint64_t end,
		    int offset, struct comparison *comparison)
{
	uint64_t at;

	for (at = start; at < end; at++) {
		const struct frame_rule *rule = rule_at(program, at);

		if (rule->cfa != FRAME_SP) {
			comparison->special++;
		} else if (rule->cfa_offset == offset) {
			comparison->same++;
		} else {
			comparison->different++;
			print_message("0x%llx in 0x%llx: sp+%d, readelf: sp+%d\n",
				      (unsigned long long)at, (unsigned long long)function,
				      rule->cfa_offset, offset);
		}
	}
}

static struct comparison compare_all(const struct program *program, const char *name)
{
	FILE *pipe = fixture_popen("readelf --debug-dump=frames-interp %s 2>/dev/null", name);
	unsigned long long start, end = 0, at, function = 0, from = 0;
	struct comparison comparison = {};
	int offset = 0, next;
	char line[512];
	const char *pc;

	while (fgets(line, sizeof(line), pipe)) {
		pc = strstr(line, "pc=");
		if (pc && sscanf(pc, "pc=%llx..%llx", &start, &end) == 2) {
			comparison.functions++;
			function = from = start;
			offset = 8;
		} else if (end && sscanf(line, "%llx rsp%d", &at, &next) == 2) {
			compare(program, function, from, at, offset, &comparison);
			from = at;
			offset = next;
		} else if (end && line[0] == '\n') {
			compare(program, function, from, end, offset, &comparison);
			end = 0;
		}
	}
	pclose(pipe);
	return comparison;
}

/* The functions that we know better about are few. */
static void assert_as_readelf(const char *name)
{
	struct program program = program_open(name);
	struct comparison comparison = compare_all(&program, name);

	print_message("%s: %llu functions, %llu bytes of code as readelf, %llu special\n", name,
		      (unsigned long long)comparison.functions, (unsigned long long)comparison.same,
		      (unsigned long long)comparison.special);
	assert_true(comparison.functions > 1000);
	assert_true(comparison.same > 100000);
	assert_int_equal(comparison.different, 0);
	assert_in_range(comparison.special, 1, 2000);
	program_close(&program);
}

static void test_the_cfa_is_where_readelf_has_it(void **state)
{
	(void)state;
	need_go();
	assert_as_readelf("program");
}

static void test_of_a_pie_too(void **state)
{
	(void)state;
	need_go();
	if (!build("pie", "CGO_ENABLED=0", "-buildmode=pie")) {
		print_message("go build -buildmode=pie does not work here\n");
		skip();
	}
	assert_as_readelf("pie");
}

static void test_of_a_program_by_the_systems_linker_too(void **state)
{
	uint64_t address, size;
	struct program program;

	(void)state;
	need_go();
	if (!build("external", "CGO_ENABLED=1", "-ldflags=-linkmode=external")) {
		print_message("go build -ldflags=-linkmode=external does not work here\n");
		skip();
	}
	program = program_open("external");
	address = find_symbol("external", "_start", &size);
	assert_true(address > 0);
	if (address >> FRAME_PAGE_BITS >= program.table.first_page)
		assert_int_equal(rule_at(&program, address)->cfa, FRAME_NO_INFO);
	program_close(&program);
}

static void test_of_a_stripped_program_all_is_known(void **state)
{
	struct program whole, stripped;

	(void)state;
	need_go();
	if (!build("stripped", "CGO_ENABLED=0", "-ldflags='-s -w'"))
		fail_msg("go build -ldflags='-s -w' fails");
	whole = program_open("program");
	stripped = program_open("stripped");
	/* The code is where it was: without debug information only what follows it moves. */
	assert_int_equal(whole.table.row_cnt, stripped.table.row_cnt);
	assert_memory_equal(whole.table.rows, stripped.table.rows,
			    whole.table.row_cnt * sizeof(*whole.table.rows));
	program_close(&whole);
	program_close(&stripped);
}

/* ---- the frame pointer, by the instructions ------------------------------------------------- */

/* The instruction before @code saves it right below the return address. */
static bool ends_save(const uint8_t *code, int32_t cfa_offset)
{
	int32_t local = cfa_offset - 16;

	if (code[-1] == 0x55 && !local)
		return true;
	if (!local)
		return memcmp(code - 4, "\x48\x89\x2c\x24", 4) == 0;
	if (local <= INT8_MAX)
		return memcmp(code - 5, "\x48\x89\x6c\x24", 4) == 0 && code[-1] == local;
	return memcmp(code - 8, "\x48\x89\xac\x24", 4) == 0 && memcmp(code - 4, &local, 4) == 0;
}

/* Where the rules of a function of the compiler first say saved, it has just been. */
static void assert_saved_by_instructions(const char *name)
{
	struct program program = program_open(name);
	size_t i, cnt = fixture_nm(fixture_path(name), "", symbols, SYMBOLS_MAX), saves = 0;

	for (i = 0; i < cnt; i++) {
		const struct fixture_symbol *symbol = &symbols[i];
		uint64_t at, end = symbol->address + symbol->size;

		if (strncmp(symbol->name, "fmt.", 4) != 0 && strncmp(symbol->name, "os.", 3) != 0 &&
		    strncmp(symbol->name, "reflect.", 8) != 0 &&
		    strncmp(symbol->name, "internal/", 9) != 0)
			continue;
		for (at = symbol->address; at < end; at++) {
			const struct frame_rule *rule = rule_at(&program, at);
			const uint8_t *code = code_at(&program, at);

			if (code[0] == 0x55 && rule->cfa_offset == 8)
				assert_int_equal(rule->fp, FRAME_SAME);
			if (rule->fp != FRAME_AT_CFA)
				continue;
			assert_int_equal(rule->fp_offset, -16);
			if (!ends_save(code, rule->cfa_offset))
				fail_msg("%s: saved at +%llu", symbol->name,
					 (unsigned long long)(at - symbol->address));
			saves++;
			break;
		}
	}
	assert_true(saves > 100);
	program_close(&program);
}

static void test_the_frame_pointer_is_saved_when_the_rules_say_so(void **state)
{
	(void)state;
	need_go();
	assert_saved_by_instructions("program");
}

static void test_an_older_go_stores_it(void **state)
{
	(void)state;
	need_go();
	if (!fixture_shell("test -x " GO_119)) {
		print_message(GO_119 " is not there\n");
		skip();
	}
	if (!fixture_shell(GO "CGO_ENABLED=0 " GO_119 " build -o older program.go"))
		fail_msg(GO_119 " build fails");
	assert_saved_by_instructions("older");
	assert_as_readelf("older");
}

/* ---- special functions ---------------------------------------------------------------------- */

/* Kinds of the first and the last rule of the function @name, and whether @kind is among them. */
static void assert_kinds(const struct program *program, const char *name, int first, int kind)
{
	uint64_t size, at, start = find_symbol("program", name, &size);
	bool found = false;

	if (!start || !size)
		fail_msg("the program has no %s", name);
	assert_int_equal(rule_at(program, start)->cfa, first);
	for (at = start; at < start + size; at++)
		found |= rule_at(program, at)->cfa == kind;
	if (!found)
		fail_msg("%s has no rule of kind %d", name, kind);
}

static void test_the_runtimes_special_functions(void **state)
{
	uint64_t size, restorer;
	struct program program;

	(void)state;
	need_go();
	program = program_open("program");
	assert_kinds(&program, "runtime.goexit", FRAME_BOTTOM, FRAME_BOTTOM);
	assert_kinds(&program, "runtime.mstart", FRAME_BOTTOM, FRAME_BOTTOM);
	assert_kinds(&program, "runtime.rt0_go", FRAME_BOTTOM, FRAME_BOTTOM);
	assert_kinds(&program, "_rt0_amd64_linux", FRAME_BOTTOM, FRAME_BOTTOM);
	assert_kinds(&program, "runtime.mcall", FRAME_SP, FRAME_BOTTOM);
	assert_kinds(&program, "runtime.morestack", FRAME_SP, FRAME_EXPRESSION);
	assert_kinds(&program, "gogo", FRAME_SP, FRAME_EXPRESSION);
	assert_kinds(&program, "runtime.sigtramp", FRAME_SP, FRAME_SP);
	assert_kinds(&program, "runtime.nanotime1", FRAME_SP, FRAME_FP);
	assert_kinds(&program, "runtime.systemstack", FRAME_SP,
		     pushes ? FRAME_FP : FRAME_EXPRESSION);
	assert_kinds(&program, "runtime.asmcgocall", FRAME_SP,
		     pushes ? FRAME_FP : FRAME_EXPRESSION);
	restorer = find_symbol("program", "runtime.sigreturn__sigaction", &size);
	if (!restorer)
		restorer = find_symbol("program", "runtime.sigreturn", &size);
	assert_true(restorer > 0);
	assert_int_equal(rule_at(&program, restorer)->cfa, FRAME_SIGNAL);
	assert_int_equal(rule_at(&program, restorer - 1)->cfa, FRAME_SIGNAL);
	assert_int_not_equal(rule_at(&program, restorer - 2)->cfa, FRAME_SIGNAL);
	program_close(&program);
}

/* ---- the group ------------------------------------------------------------------------------ */

static int set_up(void **state)
{
	(void)state;
	symbols = calloc(SYMBOLS_MAX, sizeof(*symbols));
	if (!symbols || !fixture_open())
		return 0;
	fixture_write("program.go", source, sizeof(source) - 1);
	if (!fixture_shell("command -v go >/dev/null")) {
		print_message("go is needed, and not installed\n");
		return 0;
	}
	if (!build("program", "CGO_ENABLED=0", "")) {
		fixture_shell("cat build.log");
		print_message("go is installed, and cannot build a program\n");
		return 0;
	}
	pushes = fixture_shell("! go version | grep -q 'go1[.]\\(18\\|19\\|20\\)'");
	have_go = true;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fixture_close();
	free(symbols);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_cfa_is_where_readelf_has_it),
		cmocka_unit_test(test_of_a_pie_too),
		cmocka_unit_test(test_of_a_program_by_the_systems_linker_too),
		cmocka_unit_test(test_of_a_stripped_program_all_is_known),
		cmocka_unit_test(test_the_frame_pointer_is_saved_when_the_rules_say_so),
		cmocka_unit_test(test_an_older_go_stores_it),
		cmocka_unit_test(test_the_runtimes_special_functions),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
