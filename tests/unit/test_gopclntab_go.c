/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs that the installed Go builds.  They print what their own runtime says of addresses
 * all over their code; llvm-symbolizer, which reads DWARF, says who was inlined into whom.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <elf.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/elf.h"
#include "symbolizer/gopclntab.h"
#include "symbolizer/source_frames.h"
#include "tests/unit/elf_fixture.h"

#define LINE_MAX 4096
#define SYMBOLS_MAX 65536
#define GO "env GOTOOLCHAIN=local GO111MODULE=off GOFLAGS= "

/* Lines are known by the words after the @ signs. */
static const char source[] =
	"package main\n"
	"\n"
	"import (\n"
	"	\"os\"\n"
	"	\"runtime\"\n"
	")\n"
	"\n"
	"type number interface{ ~int | ~float64 }\n"
	"\n"
	"type point struct{ x, y int }\n"
	"\n"
	"//go:noinline\n"
	"func (p *point) Norm(k int) int { // @Norm\n"
	"	return p.x*p.x + p.y*p.y + k // @in-Norm\n"
	"}\n"
	"\n"
	"func leaf(x int) int { // @leaf\n"
	"	return x*x + len(os.Args) // @in-leaf\n"
	"}\n"
	"\n"
	"func middle(x int) int { // @middle\n"
	"	return leaf(x+1) + 3 // @in-middle\n"
	"}\n"
	"\n"
	"//go:noinline\n"
	"func outer(x int) int { // @outer\n"
	"	x++\n"
	"	return middle(x) * 2 // @in-outer\n"
	"}\n"
	"\n"
	"//go:noinline\n"
	"func Map[T number](in []T, f func(T) T) []T { // @Map\n"
	"	for i := range in {\n"
	"		in[i] = f(in[i]) // @in-Map\n"
	"	}\n"
	"	return in\n"
	"}\n"
	"\n"
	"func say(pc, base uintptr) bool {\n"
	"	f := runtime.FuncForPC(pc)\n"
	"	if f == nil {\n"
	"		return false\n"
	"	}\n"
	"	file, line := f.FileLine(pc)\n"
	"	println(int(pc)-int(base), \"\\t\", f.Name(), \"\\t\", file, \"\\t\", line)\n"
	"	return true\n"
	"}\n"
	"\n"
	"func main() {\n"
	"	p := &point{1, 2}\n"
	"	m := Map([]int{1, 2}, func(i int) int { // @closure\n"
	"		return i + p.Norm(i) // @in-closure\n"
	"	})\n"
	"	pc, _, _, _ := runtime.Caller(0)\n"
	"	base := runtime.FuncForPC(pc).Entry()\n"
	"	for pc = base; say(pc, base); pc -= 61 {\n"
	"	}\n"
	"	for pc = base; say(pc, base); pc += 61 {\n"
	"	}\n"
	"	os.Exit(outer(m[0]) & 0)\n"
	"}\n";

static bool have_go;
static bool has_starts;	      /* Go 1.20 and newer: where functions are declared */
static uint64_t main_address; /* of the programs at a fixed address */
static struct fixture_symbol *symbols;

static void need_go(void)
{
	if (!have_go)
		skip();
}

static unsigned int line_of(const char *word)
{
	const char *at = strstr(source, word), *line;
	unsigned int number = 1;

	assert_non_null(at);
	for (line = source; line < at; line++)
		number += *line == '\n';
	return number;
}

static unsigned int start_of(const char *word)
{
	return has_starts ? line_of(word) : 0;
}

static bool build(const char *name, const char *environment, const char *options)
{
	return fixture_shell(GO "%s go build -o %s %s program.go >build.log 2>&1", environment,
			     name, options);
}

/* @name ends with [ for the only function with type arguments that begins so. */
static uint64_t address_of(const char *program, const char *name, uint64_t *ret_size)
{
	size_t i, cnt = fixture_nm(fixture_path(program), "", symbols, SYMBOLS_MAX);
	size_t len = strlen(name) + (strchr(name, '[') == NULL);

	for (i = 0; i < cnt; i++) {
		if (strncmp(symbols[i].name, name, len) != 0)
			continue;
		if (ret_size)
			*ret_size = symbols[i].size;
		return symbols[i].address;
	}
	fail_msg("%s has no symbol %s", program, name);
	return 0;
}

/* ---- what a program says of itself ------------------------------------------------------------ */

struct program {
	void *bytes;
	struct elf_file *elf;
	struct gopclntab *table;
};

static struct program program_open(const char *name, bool keep_sections)
{
	struct program program;
	Elf64_Ehdr *header;
	size_t size;

	program.bytes = header = fixture_read(fixture_path(name), &size);
	if (!keep_sections)
		header->e_shoff = header->e_shnum = header->e_shstrndx = 0;
	assert_int_equal(elf_file_open_memory(program.bytes, size, &program.elf, NULL), 0);
	assert_int_equal(gopclntab_open(program.elf, &program.table), 0);
	assert_true(gopclntab_has_inlines(program.table));
	assert_true(gopclntab_functions(program.table) > 500);
	return program;
}

static void program_close(struct program *program)
{
	gopclntab_close(program->table);
	elf_file_close(program->elf);
	free(program->bytes);
}

/* One line of say(): our innermost frame must be the same. */
static void assert_said(struct gopclntab *table, uint64_t base, char *line)
{
	struct source_frames frames = {};
	char *name, *file, *number;

	line[strcspn(line, "\n")] = '\0';
	name = strstr(line, " \t ");
	assert_non_null(name);
	file = strstr(name + 3, " \t ");
	assert_non_null(file);
	number = strstr(file + 3, " \t ");
	assert_non_null(number);
	*name = *file = *number = '\0';
	source_frames_clear(&frames);
	assert_true(gopclntab_find(table, base + (uint64_t)strtoll(line, NULL, 10), &frames));
	if (name[3]) /* the one function whose name is at offset 0 has none for the runtime */
		assert_string_equal(source_frames_name(&frames, 0), name + 3);
	else
		assert_true(source_frames_name(&frames, 0)[0]);
	assert_string_equal(source_frames_filename(&frames, 0),
			    strcmp(file + 3, "?") == 0 ? "" : file + 3);
	assert_int_equal(frames.frames[0].line, atoi(number + 3));
	source_frames_free(&frames);
}

/* Each form of a program against what it prints when it runs. */
static void assert_runtime_agrees(const char *name, uint64_t base, bool keep_sections)
{
	struct program program = program_open(name, keep_sections);
	FILE *pipe = fixture_popen("./%s 2>&1", name);
	char line[LINE_MAX];
	size_t lines = 0;

	while (fgets(line, sizeof(line), pipe)) {
		assert_said(program.table, base, line);
		lines++;
	}
	assert_int_equal(pclose(pipe), 0);
	assert_true(lines > 3000);
	program_close(&program);
}

static void test_the_runtime_says_the_same(void **state)
{
	(void)state;
	need_go();
	assert_runtime_agrees("program", main_address, true);
	assert_runtime_agrees("program", main_address, false);
}

static void test_the_runtime_says_the_same_of_a_stripped_program(void **state)
{
	(void)state;
	need_go();
	if (!build("stripped", "CGO_ENABLED=0", "-ldflags='-s -w'"))
		fail_msg("go build -ldflags='-s -w' fails");
	/* The code is where it was: without debug information only what follows it moves. */
	assert_runtime_agrees("stripped", main_address, true);
	assert_runtime_agrees("stripped", main_address, false);
}

static void test_the_runtime_says_the_same_of_a_pie(void **state)
{
	uint64_t address;

	(void)state;
	need_go();
	if (!build("pie", "CGO_ENABLED=0", "-buildmode=pie")) {
		print_message("go build -buildmode=pie does not work here\n");
		skip();
	}
	address = address_of("pie", "main.main", NULL);
	assert_runtime_agrees("pie", address, true);
	assert_runtime_agrees("pie", address, false);
}

static void test_c_code_of_a_go_program_is_no_go_code(void **state)
{
	struct source_frames frames = {};
	struct program program;
	uint64_t address;

	(void)state;
	need_go();
	if (!build("external", "CGO_ENABLED=1", "-buildmode=pie -ldflags=-linkmode=external")) {
		print_message("go build -ldflags=-linkmode=external does not work here\n");
		skip();
	}
	address = address_of("external", "main.main", NULL);
	assert_runtime_agrees("external", address, true);
	assert_runtime_agrees("external", address, false);
	program = program_open("external", true);
	source_frames_clear(&frames);
	address = address_of("external", "_start", NULL);
	assert_false(gopclntab_find(program.table, address, &frames));
	address = address_of("external", "_fini", NULL);
	assert_false(gopclntab_find(program.table, address, &frames));
	source_frames_free(&frames);
	program_close(&program);
}

/* ---- who was inlined into whom ------------------------------------------------------------------ */

static void frames_to_text(const struct source_frames *frames, char *text, size_t size)
{
	size_t i, len = 0;

	for (i = 0; i < frames->cnt && len < size; i++)
		len += (size_t)snprintf(text + len, size - len, "%s%s:%u(%u)", i ? " < " : "",
					source_frames_name(frames, i), frames->frames[i].line,
					frames->frames[i].start_line);
}

/* Some address of the function @symbol has these frames, and all have @outermost last. */
static void assert_has_frames(struct gopclntab *table, const char *symbol, const char *outermost,
			      const char *expected)
{
	struct source_frames frames = {};
	char text[LINE_MAX] = "";
	uint64_t at, size, address = address_of("program", symbol, &size);
	bool found = false;

	assert_true(size > 0);
	for (at = 0; at < size; at++) {
		source_frames_clear(&frames);
		assert_true(gopclntab_find(table, address + at, &frames));
		assert_string_equal(source_frames_name(&frames, frames.cnt - 1), outermost);
		frames_to_text(&frames, text, sizeof(text));
		found |= strcmp(text, expected) == 0;
	}
	if (!found)
		fail_msg("%s has no frames %s; its last ones are %s", symbol, expected, text);
	source_frames_free(&frames);
}

static void test_inlined_calls_closures_methods_and_generics(void **state)
{
	struct program program;
	char text[LINE_MAX];

	(void)state;
	need_go();
	program = program_open("program", true);
	snprintf(text, sizeof(text), "main.leaf:%u(%u) < main.middle:%u(%u) < main.outer:%u(%u)",
		 line_of("@in-leaf"), start_of("@leaf"), line_of("@in-middle"), start_of("@middle"),
		 line_of("@in-outer"), start_of("@outer"));
	assert_has_frames(program.table, "main.outer", "main.outer", text);
	snprintf(text, sizeof(text), "main.(*point).Norm:%u(%u)", line_of("@in-Norm"),
		 start_of("@Norm"));
	assert_has_frames(program.table, "main.(*point).Norm", "main.(*point).Norm", text);
	snprintf(text, sizeof(text), "main.Map[...]:%u(%u)", line_of("@in-Map"), start_of("@Map"));
	assert_has_frames(program.table, "main.Map[", "main.Map[...]", text);
	snprintf(text, sizeof(text), "main.main.func1:%u(%u)", line_of("@in-closure"),
		 start_of("@closure"));
	assert_has_frames(program.table, "main.main.func1", "main.main.func1", text);
	program_close(&program);
}

/* As llvm-symbolizer says it, in the form NAME:LINE < ..., from two lines for each frame. */
static size_t read_symbolized(FILE *pipe, char *text, size_t size)
{
	char name[LINE_MAX], position[LINE_MAX];
	size_t len = 0, cnt = 0;

	while (fgets(name, sizeof(name), pipe) && name[0] != '\n' &&
	       fgets(position, sizeof(position), pipe)) {
		char *open = strchr(name, '['), *close = strrchr(name, ']'), *abi, *line;

		name[strcspn(name, "\n")] = '\0';
		abi = strstr(name, ".abi0"); /* of .symtab; no function's name in Go */
		if (abi)
			*abi = '\0';
		line = strchr(position, ':');
		assert_non_null(line);
		len += (size_t)snprintf(text + len, size - len, "%s%.*s%s%s:%d", cnt++ ? " < " : "",
					open && close ? (int)(open + 1 - name) : LINE_MAX, name,
					open && close ? "..." : "", open && close ? close : "",
					atoi(line + 1));
		assert_true(len < size);
	}
	return cnt;
}

static void write_addresses(uint64_t address, size_t cnt, uint64_t step)
{
	FILE *file = fopen(fixture_path("addresses"), "w");
	size_t i;

	assert_non_null(file);
	for (i = 0; i < cnt; i++)
		fprintf(file, "0x%llx\n", (unsigned long long)(address + i * step));
	assert_int_equal(fclose(file), 0);
}

/* One of its answers; 1: the same, 0: not, -1: DWARF knows nothing there (padding, wrappers). */
static int compare_symbolized(struct gopclntab *table, uint64_t address, FILE *pipe, bool *bad)
{
	char theirs[LINE_MAX], ours[LINE_MAX];
	struct source_frames frames = {};
	size_t i, len = 0;

	assert_true(read_symbolized(pipe, theirs, sizeof(theirs)) > 0);
	if (strncmp(theirs, "??", 2) == 0 || strstr(theirs, ":0"))
		return -1;
	source_frames_clear(&frames);
	assert_true(gopclntab_find(table, address, &frames));
	for (i = 0; i < frames.cnt; i++)
		len += (size_t)snprintf(ours + len, sizeof(ours) - len, "%s%s:%u", i ? " < " : "",
					source_frames_name(&frames, i), frames.frames[i].line);
	*bad = strcmp(ours, theirs) != 0;
	if (*bad)
		print_message("0x%llx: %s, DWARF: %s\n", (unsigned long long)address, ours, theirs);
	source_frames_free(&frames);
	return !*bad;
}

static void test_dwarf_has_the_same_chains(void **state)
{
	size_t i, same = 0, known = 0, cnt = 4000;
	struct program program;
	uint64_t start, step;
	FILE *pipe;

	(void)state;
	need_go();
	if (!fixture_shell("command -v llvm-symbolizer >/dev/null")) {
		print_message("llvm-symbolizer is needed, and not installed\n");
		skip();
	}
	program = program_open("program", true);
	start = address_of("program", "runtime.text", NULL);
	step = (address_of("program", "runtime.etext", NULL) - start) / cnt;
	write_addresses(start, cnt, step);
	pipe = fixture_popen("llvm-symbolizer --inlines --functions=linkage -e program <addresses");
	for (i = 0; i < cnt; i++) {
		bool bad = false;
		int result = compare_symbolized(program.table, start + i * step, pipe, &bad);

		known += result >= 0;
		same += result > 0;
	}
	pclose(pipe);
	program_close(&program);
	assert_true(known > cnt * 8 / 10);
	assert_true(same * 1000 >= known * 995);
}

/* ---- the group ------------------------------------------------------------------------------------ */

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
	main_address = address_of("program", "main.main", NULL);
	has_starts = fixture_shell("! go version | grep -q 'go1[.]1[89]'");
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
		cmocka_unit_test(test_the_runtime_says_the_same),
		cmocka_unit_test(test_the_runtime_says_the_same_of_a_stripped_program),
		cmocka_unit_test(test_the_runtime_says_the_same_of_a_pie),
		cmocka_unit_test(test_c_code_of_a_go_program_is_no_go_code),
		cmocka_unit_test(test_inlined_calls_closures_methods_and_generics),
		cmocka_unit_test(test_dwarf_has_the_same_chains),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
