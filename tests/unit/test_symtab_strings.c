/* SPDX-License-Identifier: BSD-2-Clause */
/* Symbol tables that leave the names of a large string table in the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>

#include "profiler/base/strbuf.h"
#include "symbolizer/elf.h"
#include "symbolizer/symtab.h"
#include "tests/unit/elf_fixture.h"
#include "tests/unit/fail_malloc.h"

#define FUNCTIONS 5000
#define NAME                                                                                       \
	"a_name_so_long_that_some_thousand_of_them_are_what_a_table_does_not_want_to_hold_in_memory_"
#define SYMBOLS_MAX (3 * FUNCTIONS)

static bool have_cc;

static void need_cc(void)
{
	if (!have_cc)
		skip();
}

struct file {
	int fd;
	struct elf_file *elf;
	void *bytes; /* of one in memory */
};

/*
 * A library of FUNCTIONS functions of one byte.  Each tenth has other names that are as good: one
 * with underscores, one that is the least in order; before each hundredth stands a label.
 */
static const char *build(void)
{
	struct strbuf text = STRBUF_INIT;
	int i;

	need_cc();
	strbuf_add_str(&text, ".text\n");
	for (i = 0; i < FUNCTIONS; i++) {
		if (i % 100 == 0)
			strbuf_printf(&text, "label_%d: nop\n", i);
		if (i % 10 == 0)
			strbuf_printf(&text,
				      ".type __%d_" NAME ",@function\n__%d_" NAME ":\n"
				      ".type b_%d_" NAME ",@function\nb_%d_" NAME ":\n",
				      i, i, i, i);
		strbuf_printf(&text,
			      ".type f_%d_" NAME NAME NAME ",@function\nf_%d_" NAME NAME NAME
			      ": nop\n"
			      ".size f_%d_" NAME NAME NAME ",1\n",
			      i, i, i);
		if (i % 10 == 0)
			strbuf_printf(&text, ".size __%d_" NAME ",1\n.size b_%d_" NAME ",1\n", i,
				      i);
	}
	fixture_write("many.s", text.text, text.len);
	strbuf_free(&text);
	assert_true(fixture_shell("cc -shared -nostdlib -o many many.s"));
	return fixture_path("many");
}

static struct file open_file(const char *path, bool in_memory)
{
	struct file file = { .fd = -1 };
	size_t size;

	if (in_memory) {
		file.bytes = fixture_read(path, &size);
		assert_int_equal(elf_file_open_memory(file.bytes, size, &file.elf, NULL), 0);
		return file;
	}
	file.fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(file.fd >= 0);
	assert_int_equal(elf_file_open(file.fd, &file.elf, NULL), 0);
	return file;
}

static void close_file(struct file *file)
{
	elf_file_close(file->elf);
	if (file->fd >= 0)
		close(file->fd);
	free(file->bytes);
}

static struct symtab *load(struct file *file)
{
	struct symtab *table;

	assert_int_equal(symtab_load(&file->elf, 1, &table), 0);
	return table;
}

/* Of all addresses of the text; how many have a name. */
static size_t assert_same_answers(const struct elf_file *elf, const struct symtab *left,
				  const struct symtab *right)
{
	const struct elf_segment *segments;
	size_t i, cnt = elf_file_segments(elf, &segments), found = 0;
	struct symbol a, b;
	uint64_t at;

	for (i = 0; i < cnt; i++) {
		if (!segments[i].executable)
			continue;
		for (at = segments[i].vaddr; at < segments[i].vaddr + segments[i].memsz; at++) {
			bool has_name = symtab_find(left, at, &a);

			assert_int_equal(symtab_find(right, at, &b), has_name);
			if (!has_name)
				continue;
			assert_string_equal(a.name, b.name);
			assert_true(a.address == b.address && a.size == b.size);
			found++;
		}
	}
	return found;
}

static uint8_t *flatten(const struct symtab *table, size_t *ret_size)
{
	struct iovec parts[SYMTAB_PARTS];
	uint8_t *bytes;
	int i;

	symtab_parts(table, parts);
	bytes = malloc(1u << 20);
	assert_non_null(bytes);
	for (*ret_size = 0, i = 0; i < SYMTAB_PARTS; *ret_size += parts[i++].iov_len)
		memcpy(bytes + *ret_size, parts[i].iov_base, parts[i].iov_len);
	return bytes;
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void test_symtab_leaves_the_names_of_a_large_table_in_its_file(void **state)
{
	struct file file;
	struct symtab *table;
	struct symbol symbol;
	struct fixture_symbol *symbols;
	size_t i, cnt;

	(void)state;
	file = open_file(build(), false);
	table = load(&file);
	assert_true(symtab_reads_files(table));
	assert_true(symtab_bytes(table) < 128 << 10); /* the names are 1.3 MB */
	assert_true(symtab_sources(table) & SYMTAB_FROM_SYMTAB);
	symbols = calloc(SYMBOLS_MAX, sizeof(*symbols));
	assert_non_null(symbols);
	cnt = fixture_nm(fixture_path("many"), "", symbols, SYMBOLS_MAX);
	assert_true(cnt >= FUNCTIONS);
	for (i = 0; i < cnt; i++) {
		int number;

		if (sscanf(symbols[i].name, "f_%d_", &number) != 1)
			continue;
		assert_true(symtab_find(table, symbols[i].address, &symbol));
		if (number % 10) {
			assert_string_equal(symbol.name, symbols[i].name);
			continue;
		}
		/* Of three the one without underscores that comes first. */
		assert_int_equal(symbol.name[0], 'b');
		assert_int_equal(atoi(symbol.name + 2), number);
	}
	free(symbols);
	symtab_free(table);
	close_file(&file);
}

static void test_symtab_names_are_the_same_as_if_all_were_read(void **state)
{
	struct file file = open_file(build(), false), memory = open_file(build(), true);
	struct symtab *left = load(&file), *read = load(&memory), *flat;
	size_t size;
	uint8_t *bytes;

	(void)state;
	assert_false(symtab_reads_files(read));
	assert_true(symtab_bytes(read) > 1 << 20);
	assert_true(assert_same_answers(file.elf, left, read) > FUNCTIONS);
	bytes = flatten(left, &size);
	assert_true(size < 128 << 10);
	assert_int_equal(symtab_from_bytes(bytes, size, &file.elf, 1, &flat), 0);
	assert_true(symtab_reads_files(flat));
	assert_true(assert_same_answers(file.elf, flat, read) > FUNCTIONS);
	symtab_free(flat);
	free(bytes);
	symtab_free(left);
	symtab_free(read);
	close_file(&file);
	close_file(&memory);
}

static void test_symtab_of_a_file_that_is_gone_finds_no_names(void **state)
{
	struct file file = open_file(build(), false);
	struct symtab *table = load(&file), *flat;
	const struct elf_segment *segments;
	size_t size, found = 0, i;
	struct symbol symbol;
	uint8_t *bytes = flatten(table, &size);

	(void)state;
	assert_true(elf_file_segments(file.elf, &segments) > 0);
	assert_int_equal(symtab_from_bytes(bytes, size, NULL, 0, &flat), 0);
	assert_int_equal(truncate(fixture_path("many"), 64 << 10), 0);
	for (i = 0; i < 1 << 16; i++) {
		bool has_name = symtab_find(table, i, &symbol);

		assert_false(has_name && strncmp(symbol.name, "label_", 6) != 0);
		assert_int_equal(symtab_find(flat, i, &symbol), has_name);
		found += has_name;
	}
	assert_true(found > 0); /* names of labels had to be read: some are no names */
	symtab_free(flat);
	symtab_free(table);
	free(bytes);
	close_file(&file);
}

static void test_symtab_with_strings_survives_any_bytes(void **state)
{
	struct file file = open_file(build(), false);
	struct symtab *table = load(&file);
	struct symbol symbol;
	size_t size, i, k;
	uint8_t *bytes = flatten(table, &size);
	uint64_t base;

	(void)state;
	symtab_free(table);
	memcpy(&base, bytes + 8, sizeof(base));
	for (i = 0; i < 300 * 8; i++) {
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
		if (symtab_from_bytes(bytes, size, &file.elf, 1, &table) == 0) {
			for (k = 0; k < 64; k++) {
				if (symtab_find(table, base + 0x1000 + k, &symbol))
					assert_true(strlen(symbol.name) < ELF_NAME_MAX);
			}
			symtab_free(table);
		}
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	free(bytes);
	close_file(&file);
}

static void test_symtab_with_strings_survives_failing_allocations(void **state)
{
	struct file file = open_file(build(), false);
	bool hit = true;
	long n;

	(void)state;
	for (n = 1; hit && n < 200; n++) {
		struct symtab *table = NULL;
		int ret;

		fail_malloc_at(n);
		ret = symtab_load(&file.elf, 1, &table);
		hit = fail_malloc_hit();
		fail_malloc_at(0);
		assert_true(hit ? ret == -ENOMEM || (!ret && table) : !ret);
		symtab_free(table);
	}
	assert_false(hit);
	close_file(&file);
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
		cmocka_unit_test(test_symtab_leaves_the_names_of_a_large_table_in_its_file),
		cmocka_unit_test(test_symtab_names_are_the_same_as_if_all_were_read),
		cmocka_unit_test(test_symtab_of_a_file_that_is_gone_finds_no_names),
		cmocka_unit_test(test_symtab_with_strings_survives_any_bytes),
		cmocka_unit_test(test_symtab_with_strings_survives_failing_allocations),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
