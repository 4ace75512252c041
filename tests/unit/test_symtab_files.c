/* SPDX-License-Identifier: BSD-2-Clause */
/* One symbol table of several files, and as bytes; the rest is in test_symtab.c. */
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
#include "symbolizer/symtab.h"
#include "tests/unit/elf_fixture.h"
#include "tests/unit/fail_malloc.h"

static const char source[] =
	"#include <stdio.h>\n#include <stdlib.h>\n"
	"static int __attribute__((noinline)) hidden(int x) { return x * 2; }\n"
	"int exported(int x) { return hidden(x) + 1; }\n"
	"extern int alias(int x) __attribute__((alias(\"exported\")));\n"
	"extern int __alias(int x) __attribute__((alias(\"exported\")));\n"
	"int __attribute__((weak)) weak(int x) { return exported(x) + atoi(\"1\"); }\n"
	"__asm__(\".text\\nassembly: nop\\nnop\\n.type typed,@function\\ntyped: nop\\n\"\n"
	"	\".size typed,1\\nnop\\n\");\n"
	"int main(int argc, char **argv) { (void)argv; return printf(\"%d\", weak(argc)) < 0; }\n";

static bool have_cc;

static void need_cc(void)
{
	if (!have_cc)
		skip();
}

struct file {
	struct elf_file *elf;
	int fd;
	void *bytes; /* of one in memory */
	size_t size;
};

static struct file open_file(const char *name)
{
	struct file file = { .fd = open(fixture_path(name), O_RDONLY | O_CLOEXEC) };

	assert_true(file.fd >= 0);
	assert_int_equal(elf_file_open(file.fd, &file.elf, NULL), 0);
	return file;
}

static struct file read_file(const char *name)
{
	struct file file = { .fd = -1 };

	file.bytes = fixture_read(fixture_path(name), &file.size);
	assert_int_equal(elf_file_open_memory(file.bytes, file.size, &file.elf, NULL), 0);
	return file;
}

static void close_file(struct file *file)
{
	elf_file_close(file->elf);
	if (file->fd >= 0)
		close(file->fd);
	free(file->bytes);
}

static struct symtab *load(struct file *first, struct file *second, struct file *third)
{
	struct elf_file *files[3] = { first->elf };
	struct symtab *table;
	size_t cnt = 1;

	if (second)
		files[cnt++] = second->elf;
	if (third)
		files[cnt++] = third->elf;
	assert_int_equal(symtab_load(files, cnt, &table), 0);
	return table;
}

/* Each address of @elf's code has the same answer. */
static size_t assert_same_answers(const struct elf_file *elf, const struct symtab *a,
				  const struct symtab *b)
{
	const struct elf_segment *segments;
	size_t i, cnt = elf_file_segments(elf, &segments), found = 0;
	uint64_t at;

	for (i = 0; i < cnt; i++) {
		for (at = 0; segments[i].executable && at < segments[i].memsz + 16; at++) {
			struct symbol left = {}, right = {};
			uint64_t address = segments[i].vaddr + at;

			if (symtab_find(a, address, &left) != symtab_find(b, address, &right))
				fail_msg("0x%lx: %s, but %s", (unsigned long)address,
					 left.name ? left.name : "nothing",
					 right.name ? right.name : "nothing");
			if (!left.name)
				continue;
			assert_string_equal(left.name, right.name);
			assert_int_equal(left.address, right.address);
			assert_int_equal(left.size, right.size);
			found++;
		}
	}
	return found;
}

/* whole: as the linker made it; stripped: without .symtab; debug: what was split off. */
static void build(const char *flags)
{
	fixture_cc("whole", source, flags);
	assert_true(fixture_shell("objcopy --only-keep-debug whole debug && "
				  "strip -o stripped whole"));
}

static void check_split(const char *flags)
{
	struct file whole, stripped, debug;
	struct symtab *expected, *alone, *together;

	build(flags);
	whole = open_file("whole");
	stripped = open_file("stripped");
	debug = open_file("debug");
	expected = load(&whole, NULL, NULL);
	alone = load(&stripped, NULL, NULL);
	together = load(&stripped, &debug, NULL);
	assert_true(symtab_cnt(alone) < symtab_cnt(expected));
	assert_int_equal(symtab_cnt(together), symtab_cnt(expected));
	assert_true(assert_same_answers(whole.elf, expected, together) > 50);
	assert_int_equal(symtab_sources(expected) & ~SYMTAB_FROM_DYNSYM, SYMTAB_FROM_SYMTAB);
	assert_int_equal(symtab_sources(alone) & ~SYMTAB_FROM_DYNSYM, 0);
	assert_int_equal(symtab_sources(together) & ~SYMTAB_FROM_DYNSYM, SYMTAB_FROM_DEBUG_FILE);
	symtab_free(expected);
	symtab_free(alone);
	symtab_free(together);
	close_file(&whole);
	close_file(&stripped);
	close_file(&debug);
}

static void test_symtab_of_a_split_program_is_that_of_the_whole(void **state)
{
	(void)state;
	need_cc();
	check_split("-O1 -g");
	check_split("-O1 -g -rdynamic");
	check_split("-O1 -no-pie");
	check_split("-O1 -shared -fPIC");
}

static void test_symtab_of_a_debug_file_alone_finds_its_functions(void **state)
{
	struct file whole, debug;
	struct symtab *expected, *table;
	const struct elf_segment *segments;
	struct symbol symbol, same;
	size_t found = 0;
	uint64_t i;

	(void)state;
	need_cc();
	build("-O1 -g");
	whole = open_file("whole");
	debug = open_file("debug");
	expected = load(&whole, NULL, NULL);
	table = load(&debug, NULL, NULL);
	assert_true(elf_file_segments(whole.elf, &segments) > 0);
	for (i = 0; i < segments[0].memsz + 0x4000; i++) {
		if (!symtab_find(table, segments[0].vaddr + i, &symbol))
			continue;
		/* All but PLT stubs, whose code is not there. */
		assert_true(symtab_find(expected, segments[0].vaddr + i, &same));
		assert_string_equal(symbol.name, same.name);
		found++;
	}
	assert_true(found > 50);
	assert_int_equal(symtab_sources(table), SYMTAB_FROM_SYMTAB);
	symtab_free(expected);
	symtab_free(table);
	close_file(&whole);
	close_file(&debug);
}

/* As Fedora does it: the functions that .dynsym has not, in a small file of their own. */
static void test_symtab_merges_the_symbols_of_mini_debug(void **state)
{
	struct file whole, stripped, mini;
	struct symtab *expected, *together;

	(void)state;
	need_cc();
	build("-O1 -shared -fPIC");
	assert_true(fixture_shell(
		"nm -D whole --format=posix --defined-only | awk '{print $1}' | sort > dynamic && "
		"nm whole --format=posix --defined-only | awk '$2 ~ /[tTwW]/ {print $1}' | "
		"sort > all && comm -13 dynamic all > keep && "
		"objcopy -S --remove-section .comment --keep-symbols=keep debug mini"));
	whole = open_file("whole");
	stripped = open_file("stripped");
	mini = read_file("mini");
	expected = load(&whole, NULL, NULL);
	together = load(&stripped, &mini, NULL);
	assert_true(assert_same_answers(whole.elf, expected, together) > 50);
	assert_int_equal(symtab_sources(together), SYMTAB_FROM_MINI_DEBUG | SYMTAB_FROM_DYNSYM);
	symtab_free(together);
	/* It adds nothing to a debug file that has all. */
	close_file(&stripped);
	stripped = open_file("debug");
	together = load(&whole, &mini, &stripped);
	assert_same_answers(whole.elf, expected, together);
	symtab_free(together);
	symtab_free(expected);
	close_file(&whole);
	close_file(&stripped);
	close_file(&mini);
}

/* Moves all addresses of an ELF image, as prelink does. */
static void move_image(uint8_t *bytes, uint64_t by)
{
	Elf64_Ehdr *header = (Elf64_Ehdr *)bytes;
	Elf64_Phdr *segments = (Elf64_Phdr *)(bytes + header->e_phoff);
	Elf64_Shdr *sections = (Elf64_Shdr *)(bytes + header->e_shoff);
	unsigned int i, k;

	header->e_entry += by;
	for (i = 0; i < header->e_phnum; i++)
		segments[i].p_vaddr += by;
	for (i = 0; i < header->e_shnum; i++) {
		Elf64_Sym *symbols = (Elf64_Sym *)(bytes + sections[i].sh_offset);

		if (sections[i].sh_addr)
			sections[i].sh_addr += by;
		for (k = 0; sections[i].sh_type == SHT_SYMTAB &&
			    k < sections[i].sh_size / sizeof(*symbols);
		     k++)
			symbols[k].st_value += by;
	}
}

static void test_symtab_moves_a_debug_file_to_its_program(void **state)
{
	static const uint64_t moves[] = { 0x7000000, (uint64_t)-0x400000, 0x1000 };
	struct file whole, stripped, debug;
	struct symtab *expected, *together;
	const char *path;
	size_t i;

	(void)state;
	need_cc();
	build("-O1 -shared -fPIC");
	whole = open_file("whole");
	stripped = open_file("stripped");
	expected = load(&whole, NULL, NULL);
	for (i = 0; i < sizeof(moves) / sizeof(moves[0]); i++) {
		debug = read_file("debug");
		elf_file_close(debug.elf);
		move_image(debug.bytes, moves[i]);
		path = fixture_write("moved", debug.bytes, debug.size);
		free(debug.bytes);
		assert_non_null(path);
		debug = open_file("moved");
		together = load(&stripped, &debug, NULL);
		assert_int_equal(symtab_sources(together) & SYMTAB_FROM_DEBUG_FILE,
				 SYMTAB_FROM_DEBUG_FILE);
		assert_true(assert_same_answers(whole.elf, expected, together) > 50);
		symtab_free(together);
		close_file(&debug);
	}
	symtab_free(expected);
	close_file(&whole);
	close_file(&stripped);
}

static void test_symtab_refuses_no_files_and_too_many(void **state)
{
	struct elf_file *files[SYMTAB_FILES_MAX + 1] = {};
	struct symtab *table;

	(void)state;
	assert_int_equal(symtab_load(files, 0, &table), -EINVAL);
	assert_int_equal(symtab_load(files, SYMTAB_FILES_MAX + 1, &table), -EINVAL);
}

static void test_symtab_of_several_files_survives_failing_allocations(void **state)
{
	struct file stripped, debug;
	bool hit = true;
	long n;

	(void)state;
	need_cc();
	build("-O1 -rdynamic");
	stripped = read_file("stripped");
	debug = read_file("debug");
	for (n = 1; hit && n < 200; n++) {
		struct elf_file *files[] = { stripped.elf, debug.elf };
		struct symtab *table = NULL;
		int ret;

		fail_malloc_at(n);
		ret = symtab_load(files, 2, &table);
		hit = fail_malloc_hit();
		fail_malloc_at(0);
		/* Room that cannot be given back is no failure. */
		assert_true(hit ? ret == -ENOMEM || (!ret && table) : !ret);
		symtab_free(table);
	}
	assert_false(hit);
	close_file(&stripped);
	close_file(&debug);
}

/* ---- as bytes ---- */

/* The flat form, on the heap. */
static uint8_t *flatten(const struct symtab *table, size_t *ret_size)
{
	struct iovec parts[SYMTAB_PARTS];
	uint8_t *bytes, *at;
	int i;

	symtab_parts(table, parts);
	*ret_size = 0;
	for (i = 0; i < SYMTAB_PARTS; i++)
		*ret_size += parts[i].iov_len;
	bytes = at = malloc(*ret_size);
	assert_non_null(bytes);
	for (i = 0; i < SYMTAB_PARTS; i++) {
		memcpy(at, parts[i].iov_base, parts[i].iov_len);
		at += parts[i].iov_len;
	}
	return bytes;
}

static void check_round_trip(const char *name)
{
	struct file file = open_file(name);
	struct symtab *table = load(&file, NULL, NULL), *flat;
	size_t size, again_size;
	uint8_t *bytes = flatten(table, &size), *again;

	assert_int_equal(symtab_from_bytes(bytes, size, NULL, 0, &flat), 0);
	assert_true(assert_same_answers(file.elf, table, flat) > 0);
	assert_int_equal(symtab_cnt(flat), symtab_cnt(table));
	assert_int_equal(symtab_sources(flat), symtab_sources(table));
	assert_int_equal(symtab_dropped(flat), symtab_dropped(table));
	assert_true(symtab_bytes(flat) < 200);
	again = flatten(flat, &again_size);
	assert_int_equal(again_size, size);
	assert_memory_equal(again, bytes, size);
	symtab_free(flat);
	symtab_free(table);
	free(bytes);
	free(again);
	close_file(&file);
}

static void test_symtab_as_bytes_gives_the_same_answers(void **state)
{
	(void)state;
	need_cc();
	build("-O1 -g");
	check_round_trip("whole");
	check_round_trip("stripped");
	build("-O1 -shared -fPIC");
	check_round_trip("whole");
}

/* Looks up what can be: no byte outside may be read (ASan), no answer may be broken. */
static void exercise(const uint8_t *original, size_t size)
{
	uint8_t *bytes = malloc(size ? size : 1);
	struct symtab *table;
	struct symbol symbol;
	uint64_t base, i;

	assert_non_null(bytes);
	memcpy(bytes, original, size);
	if (!symtab_from_bytes(bytes, size, NULL, 0, &table)) {
		memcpy(&base, bytes + 8, sizeof(base));
		for (i = 0; i < 2048; i++) {
			uint64_t address = base + i * (i < 1024 ? 1 : 0x400001);

			if (!symtab_find(table, address, &symbol))
				continue;
			assert_true(address - symbol.address < symbol.size);
			assert_true(symbol.name[0] && strlen(symbol.name) <= ELF_NAME_MAX + 4);
		}
		symtab_free(table);
	}
	free(bytes);
}

static void test_symtab_survives_bytes_that_are_none(void **state)
{
	struct file file;
	struct symtab *table;
	size_t size, i;
	uint8_t *bytes;

	(void)state;
	need_cc();
	build("-O1");
	file = open_file("whole");
	table = load(&file, NULL, NULL);
	bytes = flatten(table, &size);
	for (i = 0; i <= size; i++) {
		struct symtab *cut;

		exercise(bytes, i);
		if (i < size)
			assert_int_equal(symtab_from_bytes(bytes, i, NULL, 0, &cut), -ENOEXEC);
	}
	for (i = 0; i < size * 8; i += 1) {
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
		exercise(bytes, size);
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	for (i = 0; i < size; i++) {
		uint8_t old = bytes[i];

		bytes[i] = 0xff;
		exercise(bytes, size);
		bytes[i] = old;
	}
	free(bytes);
	symtab_free(table);
	close_file(&file);
}

static void test_symtab_refuses_bytes_of_another_format(void **state)
{
	uint64_t words[8] = {};
	struct symtab *table = NULL;

	(void)state;
	assert_int_equal(symtab_from_bytes(words, sizeof(words), NULL, 0, &table), -ENOEXEC);
	assert_int_equal(symtab_from_bytes((char *)words + 4, 32, NULL, 0, &table), -ENOEXEC);
	assert_int_equal(symtab_from_bytes(words, 0, NULL, 0, &table), -ENOEXEC);
	assert_null(table);
}

static int set_up(void **state)
{
	(void)state;
	have_cc = fixture_open();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fixture_close();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_symtab_of_a_split_program_is_that_of_the_whole),
		cmocka_unit_test(test_symtab_of_a_debug_file_alone_finds_its_functions),
		cmocka_unit_test(test_symtab_merges_the_symbols_of_mini_debug),
		cmocka_unit_test(test_symtab_moves_a_debug_file_to_its_program),
		cmocka_unit_test(test_symtab_refuses_no_files_and_too_many),
		cmocka_unit_test(test_symtab_of_several_files_survives_failing_allocations),
		cmocka_unit_test(test_symtab_as_bytes_gives_the_same_answers),
		cmocka_unit_test(test_symtab_survives_bytes_that_are_none),
		cmocka_unit_test(test_symtab_refuses_bytes_of_another_format),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
