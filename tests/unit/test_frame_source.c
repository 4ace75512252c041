/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>

#include "symbolizer/elf.h"
#include "symbolizer/frame_source.h"
#include "symbolizer/frame_table.h"
#include "tests/unit/cfi_image.h"
#include "tests/unit/elf_fixture.h"
#include "tests/unit/fail_malloc.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define SYMBOLS_MAX 4096

static bool have_cc;

/* Of these files the rules are x86-64's. */
static void need_x86_64(void)
{
#ifndef __x86_64__
	print_message("skipped: not on x86-64\n");
	skip();
#endif
}

static void need_cc(void)
{
	need_x86_64();
	if (!have_cc)
		skip();
}

struct built {
	int ret;
	void *bytes;
	size_t size;
	struct frame_table table;
	struct frame_census census;
};

static struct built build(struct elf_file *elf)
{
	struct built built = {};

	built.ret = frame_source_build(elf, &built.bytes, &built.size, &built.census);
	if (!built.ret)
		assert_int_equal(frame_table_of_bytes(built.bytes, built.size, &built.table), 0);
	return built;
}

static struct built build_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct elf_file *elf;
	struct built built;

	assert_true(fd >= 0);
	assert_int_equal(elf_file_open(fd, &elf, NULL), 0);
	built = build(elf);
	elf_file_close(elf);
	close(fd);
	return built;
}

static struct built build_memory(void *image, size_t size)
{
	struct elf_file *elf;
	struct built built;

	assert_int_equal(elf_file_open_memory(image, size, &elf, NULL), 0);
	built = build(elf);
	elf_file_close(elf);
	return built;
}

static void drop(struct built *built)
{
	free(built->bytes);
}

static struct frame_rule rule_at(const struct built *built, uint64_t address)
{
	const struct frame_rule *rule = frame_table_find(&built->table, address);

	return rule ? *rule : (struct frame_rule){};
}

static uint64_t address_of(const char *path, const char *name)
{
	static struct fixture_symbol symbols[SYMBOLS_MAX];
	size_t i, cnt = fixture_nm(path, "", symbols, SYMBOLS_MAX);

	for (i = 0; i < cnt; i++) {
		if (strcmp(symbols[i].name, name) == 0)
			return symbols[i].address;
	}
	fail_msg("%s has no %s", path, name);
	return 0;
}

static void check_sp(const struct built *built, uint64_t address, int32_t offset)
{
	struct frame_rule rule = rule_at(built, address);

	assert_int_equal(rule.cfa, FRAME_SP);
	assert_int_equal(rule.cfa_offset, offset);
}

/* ---- programs of this machine's compiler ---- */

static const char program[] =
	"#include <stdio.h>\n"
	"int __attribute__((noinline)) leaf(int n) { return n * 3; }\n"
	"int main(int n, char **a) { return printf(\"%d%s\\n\", leaf(n), a[0]); }\n";

static void test_a_program_has_its_functions_and_its_bottom(void **state)
{
	const char *path;
	struct built built;

	(void)state;
	need_cc();
	path = fixture_cc("program", program, "-O2 -fasynchronous-unwind-tables");
	built = build_file(path);
	assert_int_equal(built.ret, 0);
	check_sp(&built, address_of(path, "main"), 8);
	check_sp(&built, address_of(path, "leaf"), 8);
	assert_int_equal(rule_at(&built, address_of(path, "_start")).cfa, FRAME_BOTTOM);
	assert_true(built.census.eh_functions >= 3);
	assert_int_equal(built.census.corrupt, 0);
	assert_int_equal(built.census.expressions, 0);
	drop(&built);
}

static void drop_section_headers(const char *from, const char *to)
{
	Elf64_Ehdr header;
	size_t size;
	void *bytes = fixture_read(from, &size);

	memcpy(&header, bytes, sizeof(header));
	header.e_shoff = 0;
	header.e_shnum = header.e_shstrndx = 0;
	memcpy(bytes, &header, sizeof(header));
	fixture_write(to, bytes, size);
	free(bytes);
}

/* With a C library's start files, which end .eh_frame by a terminator, and without. */
static void test_section_headers_are_not_needed(void **state)
{
	static const char bare[] = "int __attribute__((noinline)) leaf(int n) { return n * 3; }\n"
				   "int _start(void) { return leaf(leaf(4)); }\n";
	struct built with, without;
	int i;

	(void)state;
	need_cc();
	for (i = 0; i < 2; i++) {
		fixture_cc("with", i ? bare : program,
			   i ? "-O2 -nostdlib -fasynchronous-unwind-tables" :
			       "-O2 -fasynchronous-unwind-tables");
		drop_section_headers(fixture_path("with"), "without");
		with = build_file(fixture_path("with"));
		without = build_file(fixture_path("without"));
		assert_int_equal(with.ret, 0);
		assert_int_equal(without.ret, 0);
		assert_true(with.census.eh_functions >= 2);
		assert_int_equal(with.size, without.size);
		assert_memory_equal(with.bytes, without.bytes, with.size);
		drop(&with);
		drop(&without);
	}
}

static void check_debug_frame(const char *path)
{
	struct built built = build_file(path);

	assert_int_equal(built.ret, 0);
	assert_true(built.census.debug_functions >= 2);
	assert_true(built.census.eh_functions >= 1); /* the start files' */
	check_sp(&built, address_of(path, "leaf"), 8);
	check_sp(&built, address_of(path, "main"), 8);
	assert_int_equal(rule_at(&built, address_of(path, "_start")).cfa, FRAME_BOTTOM);
	drop(&built);
}

static void test_debug_frame_serves_where_eh_frame_says_nothing(void **state)
{
	(void)state;
	need_cc();
	check_debug_frame(fixture_cc("debug", program,
				     "-O2 -g -fno-asynchronous-unwind-tables -fno-unwind-tables"));
	if (fixture_shell("objcopy --compress-debug-sections=zlib debug packed"))
		check_debug_frame(fixture_path("packed"));
}

static void test_an_entry_point_that_nothing_tells_of_is_the_bottom(void **state)
{
	static const char source[] =
		"__asm__(\".globl _start\\n_start: call body\\n .fill 20, 1, 0x90\\n\");\n"
		"__asm__(\".globl body\\nbody: .cfi_startproc\\n ret\\n .cfi_endproc\\n\");\n"
		"__asm__(\".fill 100, 1, 0x90\\n\");\n";
	struct built built;
	uint64_t start, body;
	const char *path;

	(void)state;
	need_cc();
	path = fixture_cc("entry", source, "-nostdlib");
	built = build_file(path);
	start = address_of(path, "_start");
	body = address_of(path, "body");
	assert_int_equal(rule_at(&built, start).cfa, FRAME_BOTTOM);
	assert_int_equal(rule_at(&built, body - 1).cfa, FRAME_BOTTOM);
	check_sp(&built, body, 8);
	drop(&built);
	built = build_file(fixture_cc("body",
				      "__asm__(\".globl _start\\n_start: ret\\n .fill 100\\n\");",
				      "-nostdlib"));
	start = address_of(fixture_path("body"), "_start");
	assert_int_equal(rule_at(&built, start + 47).cfa, FRAME_BOTTOM);
	assert_int_equal(rule_at(&built, start + 48).cfa, FRAME_NO_INFO);
	drop(&built);
}

static void test_a_library_without_frames_has_no_table(void **state)
{
	struct built built;

	(void)state;
	need_cc();
	built = build_file(fixture_cc("bare.so", "int f(int n) { return n; }",
				      "-shared -nostdlib -fPIC -fno-asynchronous-unwind-tables "
				      "-fno-unwind-tables"));
	assert_int_equal(built.ret, -ENODATA);
}

static void test_rbx_is_tracked_in_files_that_need_it(void **state)
{
	static const char source[] =
		"__asm__(\".globl based\\nbased: .cfi_startproc\\n push %rbx\\n"
		" .cfi_def_cfa_offset 16\\n .cfi_offset rbx, -16\\n mov %rsp, %rbx\\n"
		" .cfi_def_cfa_register rbx\\n ret\\n .cfi_endproc\\n\");\n"
		"int main(void) { return 0; }\n";
	struct built built;
	uint64_t at;

	(void)state;
	need_cc();
	built = build_file(fixture_cc("based", source, "-O2"));
	at = address_of(fixture_path("based"), "based");
	assert_int_equal(rule_at(&built, at).bx, FRAME_SAME);
	assert_int_equal(rule_at(&built, at + 1).bx, FRAME_AT_CFA);
	assert_int_equal(rule_at(&built, at + 1).bx_offset, -16);
	assert_int_equal(rule_at(&built, at + 4).cfa, FRAME_BX);
	assert_int_equal(rule_at(&built, at + 4).cfa_offset, 16);
	drop(&built);
	built = build_file(fixture_cc("program", program, "-O2 -fasynchronous-unwind-tables"));
	assert_int_equal(rule_at(&built, address_of(fixture_path("program"), "main")).bx,
			 FRAME_LOST);
	drop(&built);
}

static void test_the_vdso_is_read_from_memory(void **state)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long start = 0, end = 0, from, to;
	struct built built;
	char line[512];

	(void)state;
	need_x86_64();
	while (maps && fgets(line, sizeof(line), maps)) {
		if (strstr(line, "[vdso]") && sscanf(line, "%lx-%lx", &from, &to) == 2) {
			start = from;
			end = to;
		}
	}
	if (maps)
		fclose(maps);
	if (!start) {
		print_message("skipped: there is no vdso\n");
		skip();
	}
	built = build_memory((void *)start, end - start);
	assert_int_equal(built.ret, 0);
	assert_true(built.census.eh_functions >= 4);
	assert_true(built.census.rows > built.census.eh_functions);
	assert_int_equal(built.census.corrupt, 0);
	drop(&built);
}

/* ---- a file by hand: .eh_frame and .debug_frame of the same code ---- */

#define NAMES "\0.names\0.eh_frame\0.debug_frame"

struct hand_made {
	Elf64_Ehdr header;
	Elf64_Phdr segment;
	Elf64_Shdr sections[4];
	char names[64];
	uint8_t bytes[];
};

static void add_function(struct cfi_image *image, uint64_t start, uint64_t end, uint8_t offset)
{
	cfi_fde(image, start, end);
	CFI(image, 0x0e, offset);
	cfi_end(image);
}

static struct hand_made *hand_made(struct cfi_image *eh, struct cfi_image *debug, size_t *ret_size)
{
	size_t size = sizeof(struct hand_made) + eh->size + debug->size;
	struct hand_made *file = calloc(1, size);

	memcpy(file->header.e_ident, ELFMAG, SELFMAG);
	file->header.e_ident[EI_CLASS] = ELFCLASS64;
	file->header.e_ident[EI_DATA] = ELFDATA2LSB;
	file->header.e_type = ET_DYN;
	file->header.e_machine = EM_X86_64;
	file->header.e_phoff = offsetof(struct hand_made, segment);
	file->header.e_phentsize = sizeof(Elf64_Phdr);
	file->header.e_phnum = 1;
	file->header.e_shoff = offsetof(struct hand_made, sections);
	file->header.e_shentsize = sizeof(Elf64_Shdr);
	file->header.e_shnum = 4;
	file->header.e_shstrndx = 1;
	file->segment = (Elf64_Phdr){ .p_type = PT_LOAD,
				      .p_flags = PF_R | PF_X,
				      .p_vaddr = CFI_CODE,
				      .p_memsz = CFI_CODE_BYTES };
	memcpy(file->names, NAMES, sizeof(NAMES));
	file->sections[1] = (Elf64_Shdr){ .sh_type = SHT_STRTAB,
					  .sh_name = 1,
					  .sh_offset = offsetof(struct hand_made, names),
					  .sh_size = sizeof(file->names) };
	file->sections[2] = (Elf64_Shdr){ .sh_type = SHT_PROGBITS,
					  .sh_name = 8,
					  .sh_addr = CFI_ADDRESS,
					  .sh_offset = sizeof(*file),
					  .sh_size = eh->size };
	file->sections[3] = (Elf64_Shdr){ .sh_type = SHT_PROGBITS,
					  .sh_name = 18,
					  .sh_offset = sizeof(*file) + eh->size,
					  .sh_size = debug->size };
	memcpy(file->bytes, eh->bytes, eh->size);
	memcpy(file->bytes + eh->size, debug->bytes, debug->size);
	free(eh);
	free(debug);
	*ret_size = size;
	return file;
}

static void start_images(struct cfi_image **eh, struct cfi_image **debug)
{
	*eh = cfi_new(EHFRAME_EH);
	*debug = cfi_new(EHFRAME_DEBUG);
	cfi_cie(*eh, PCREL_SDATA4);
	cfi_cie(*debug, 0);
}

static void test_the_better_source_wins_where_both_tell(void **state)
{
	struct cfi_image *eh, *debug;
	struct hand_made *file;
	struct built built;
	size_t size;

	(void)state;
	need_x86_64();
	start_images(&eh, &debug);
	add_function(eh, CFI_CODE + 0x100, CFI_CODE + 0x200, 16);
	add_function(eh, CFI_CODE + 0x300, CFI_CODE + 0x380, 24);
	add_function(debug, CFI_CODE + 0x80, CFI_CODE + 0x400, 32); /* around both */
	add_function(debug, CFI_CODE + 0x800, CFI_CODE + 0x900, 40);
	file = hand_made(eh, debug, &size);
	built = build_memory(file, size);
	assert_int_equal(built.ret, 0);
	assert_int_equal(built.census.eh_functions, 2);
	assert_int_equal(built.census.debug_functions, 2);
	check_sp(&built, CFI_CODE + 0x80, 32);
	check_sp(&built, CFI_CODE + 0xff, 32);
	check_sp(&built, CFI_CODE + 0x100, 16);
	check_sp(&built, CFI_CODE + 0x1ff, 16);
	check_sp(&built, CFI_CODE + 0x200, 32);
	check_sp(&built, CFI_CODE + 0x2ff, 32);
	check_sp(&built, CFI_CODE + 0x300, 24);
	check_sp(&built, CFI_CODE + 0x380, 32);
	check_sp(&built, CFI_CODE + 0x3ff, 32);
	assert_int_equal(rule_at(&built, CFI_CODE + 0x400).cfa, FRAME_NO_INFO);
	check_sp(&built, CFI_CODE + 0x800, 40);
	drop(&built);
	free(file);
}

static void test_one_function_is_not_cut_again_and_again(void **state)
{
	struct cfi_image *eh, *debug;
	struct hand_made *file;
	struct built built;
	size_t size, i;

	(void)state;
	need_x86_64();
	start_images(&eh, &debug);
	for (i = 1; i <= 100; i++)
		add_function(eh, CFI_CODE + i * 0x100, CFI_CODE + i * 0x100 + 0x80, 16);
	add_function(debug, CFI_CODE, CFI_CODE + 0x10000, 32);
	add_function(debug, CFI_CODE + 0x10000, CFI_CODE + 0x10100, 40);
	file = hand_made(eh, debug, &size);
	built = build_memory(file, size);
	assert_int_equal(built.ret, 0);
	check_sp(&built, CFI_CODE + 0x180, 32);
	assert_int_equal(rule_at(&built, CFI_CODE + 0x5080).cfa, FRAME_NO_INFO);
	check_sp(&built, CFI_CODE + 0x6400, 16);
	check_sp(&built, CFI_CODE + 0x10000, 40);
	assert_true(built.census.rows_met < 130);
	drop(&built);
	free(file);
}

/* ---- hostile files, and little memory ---- */

static void build_any(void *bytes, size_t size)
{
	struct elf_file *elf;
	struct built built;

	if (elf_file_open_memory(bytes, size, &elf, NULL))
		return;
	built = build(elf);
	drop(&built);
	elf_file_close(elf);
}

static void test_files_cut_anywhere_and_flipped_bits_do_no_harm(void **state)
{
	static const char *const names[] = { "whole", "bare" };
	uint8_t *bytes, *copy;
	size_t size, at, i;

	(void)state;
	need_cc();
	fixture_cc("whole", "int _start(void) { return 0; }",
		   "-O2 -nostdlib -fasynchronous-unwind-tables -Wl,-z,max-page-size=512 -s");
	drop_section_headers(fixture_path("whole"), "bare");
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		bytes = fixture_read(fixture_path(names[i]), &size);
		for (at = 0; at < size; at++) {
			copy = malloc(at + !at);
			memcpy(copy, bytes, at);
			build_any(copy, at);
			free(copy);
		}
		for (at = 0; at < size; at++) {
			bytes[at] ^= (uint8_t)(1 << at % 8);
			build_any(bytes, size);
			bytes[at] ^= (uint8_t)(1 << at % 8);
		}
		free(bytes);
	}
}

static void test_memory_that_is_out_is_reported(void **state)
{
	struct built built = {};
	long n;

	(void)state;
	need_cc();
	fixture_cc("debug", program, "-O2 -g -fno-asynchronous-unwind-tables");
	for (n = 1;; n++) {
		int fd = open(fixture_path("debug"), O_RDONLY | O_CLOEXEC);
		struct elf_file *elf;

		assert_int_equal(elf_file_open(fd, &elf, NULL), 0);
		fail_malloc_at(n);
		built.ret = frame_source_build(elf, &built.bytes, &built.size, NULL);
		elf_file_close(elf);
		close(fd);
		if (!fail_malloc_hit())
			break;
		assert_int_equal(built.ret, -ENOMEM);
	}
	assert_int_equal(built.ret, 0);
	assert_true(n > 10);
	drop(&built);
}

static int open_fixture(void **state)
{
	(void)state;
	have_cc = fixture_open();
	return 0;
}

static int close_fixture(void **state)
{
	(void)state;
	fixture_close();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_program_has_its_functions_and_its_bottom),
		cmocka_unit_test(test_section_headers_are_not_needed),
		cmocka_unit_test(test_debug_frame_serves_where_eh_frame_says_nothing),
		cmocka_unit_test(test_an_entry_point_that_nothing_tells_of_is_the_bottom),
		cmocka_unit_test(test_a_library_without_frames_has_no_table),
		cmocka_unit_test(test_rbx_is_tracked_in_files_that_need_it),
		cmocka_unit_test(test_the_vdso_is_read_from_memory),
		cmocka_unit_test(test_the_better_source_wins_where_both_tell),
		cmocka_unit_test(test_one_function_is_not_cut_again_and_again),
		cmocka_unit_test(test_files_cut_anywhere_and_flipped_bits_do_no_harm),
		cmocka_unit_test(test_memory_that_is_out_is_reported),
	};

	return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
