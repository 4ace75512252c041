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
#include "symbolizer/symtab.h"
#include "tests/unit/elf_fixture.h"
#include "tests/unit/fail_malloc.h"

#define TEXT 0x1000u /* address and file offset of the image's only section of code */
#define TEXT_BYTES 0x2000u
#define MAX_SYMBOLS 8192

static bool have_cc;

static void need_cc(void)
{
	if (!have_cc)
		skip();
}

/* ---- an ELF file made by hand: the code is nothing, the symbols are what a test says ---- */

struct image {
	Elf64_Sym symbols[MAX_SYMBOLS];
	size_t cnt;
	char *names;
	size_t names_len;
	uint64_t entry;
};

static struct image *image_new(void)
{
	struct image *image = calloc(1, sizeof(*image));

	assert_non_null(image);
	image->names = calloc(1, 1 << 20);
	assert_non_null(image->names);
	image->names_len = 1;
	image->cnt = 1;
	return image;
}

static void image_add(struct image *image, const char *name, uint64_t address, uint64_t size,
		      unsigned int binding, unsigned int type)
{
	image->symbols[image->cnt++] = (Elf64_Sym){
		.st_name = (uint32_t)image->names_len,
		.st_info = ELF64_ST_INFO(binding, type),
		.st_shndx = 1,
		.st_value = address,
		.st_size = size,
	};
	strcpy(image->names + image->names_len, name);
	image->names_len += strlen(name) + 1;
}

static void function(struct image *image, const char *name, uint64_t address, uint64_t size)
{
	image_add(image, name, address, size, STB_GLOBAL, STT_FUNC);
}

static Elf64_Ehdr make_header(const struct image *image, uint64_t sections)
{
	Elf64_Ehdr header = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC,
#ifdef __x86_64__
		.e_machine = EM_X86_64,
#else
		.e_machine = EM_AARCH64,
#endif
		.e_entry = image->entry,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 1,
		.e_shoff = sections,
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = 4,
	};

	return header;
}

/* The table of the image, which is freed. */
static struct symtab *image_load(struct image *image)
{
	uint64_t symbols = TEXT + TEXT_BYTES * 2, symbol_bytes = image->cnt * sizeof(Elf64_Sym);
	uint64_t strings = symbols + symbol_bytes, sections = strings + image->names_len;
	Elf64_Ehdr header = make_header(image, sections);
	Elf64_Phdr segment = { .p_type = PT_LOAD,
			       .p_flags = PF_R | PF_X,
			       .p_offset = TEXT,
			       .p_vaddr = TEXT,
			       .p_filesz = TEXT_BYTES * 2,
			       .p_memsz = TEXT_BYTES * 2 };
	Elf64_Shdr headers[4] = {
		{},
		{ .sh_type = SHT_PROGBITS,
		  .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
		  .sh_addr = TEXT,
		  .sh_offset = TEXT,
		  .sh_size = TEXT_BYTES },
		{ .sh_type = SHT_SYMTAB,
		  .sh_offset = symbols,
		  .sh_size = symbol_bytes,
		  .sh_link = 3,
		  .sh_entsize = sizeof(Elf64_Sym) },
		{ .sh_type = SHT_STRTAB, .sh_offset = strings, .sh_size = image->names_len },
	};
	uint64_t size = sections + sizeof(headers);
	char *bytes = calloc(1, size);
	struct elf_file *elf;
	struct symtab *table;

	assert_non_null(bytes);
	memcpy(bytes, &header, sizeof(header));
	memcpy(bytes + sizeof(header), &segment, sizeof(segment));
	memcpy(bytes + symbols, image->symbols, symbol_bytes);
	memcpy(bytes + strings, image->names, image->names_len);
	memcpy(bytes + sections, headers, sizeof(headers));
	assert_int_equal(elf_file_open_memory(bytes, size, &elf, NULL), 0);
	assert_int_equal(symtab_load(&elf, 1, &table), 0);
	elf_file_close(elf);
	free(bytes);
	free(image->names);
	free(image);
	return table;
}

static void assert_name(const struct symtab *table, uint64_t address, const char *expected)
{
	struct symbol symbol = {};
	bool found = symtab_find(table, address, &symbol);

	if (!expected && found)
		fail_msg("0x%llx has the name %s", (unsigned long long)address, symbol.name);
	if (expected && !found)
		fail_msg("0x%llx has no name", (unsigned long long)address);
	if (expected)
		assert_string_equal(symbol.name, expected);
}

static void test_symtab_prefers_global_over_weak_over_local(void **state)
{
	struct image *image = image_new();
	struct symtab *table;

	(void)state;
	image_add(image, "local", TEXT, 16, STB_LOCAL, STT_FUNC);
	image_add(image, "weak", TEXT, 16, STB_WEAK, STT_FUNC);
	image_add(image, "__global", TEXT, 8, STB_GLOBAL, STT_FUNC);
	image_add(image, "weak2", TEXT + 32, 16, STB_WEAK, STT_FUNC);
	image_add(image, "local2", TEXT + 32, 16, STB_LOCAL, STT_FUNC);
	table = image_load(image);
	assert_name(table, TEXT, "__global");
	assert_name(table, TEXT + 32, "weak2");
	assert_int_equal(symtab_cnt(table), 2);
	symtab_free(table);
}

static void test_symtab_prefers_longer_then_fewer_underscores(void **state)
{
	struct image *image = image_new();
	struct symtab *table;

	(void)state;
	function(image, "__libc_malloc", TEXT, 16);
	function(image, "malloc", TEXT, 16);
	function(image, "_malloc", TEXT, 16);
	function(image, "short", TEXT + 32, 4);
	function(image, "___long", TEXT + 32, 16);
	table = image_load(image);
	assert_name(table, TEXT + 3, "malloc");
	assert_name(table, TEXT + 32, "___long");
	symtab_free(table);
}

static void test_symtab_prefers_functions_over_labels(void **state)
{
	struct image *image = image_new();
	struct symtab *table;

	(void)state;
	image_add(image, "etext", TEXT + 16, 0, STB_GLOBAL, STT_NOTYPE);
	image_add(image, "_fini", TEXT + 16, 0, STB_LOCAL, STT_FUNC);
	table = image_load(image);
	assert_name(table, TEXT + 17, "_fini");
	symtab_free(table);
}

static void test_symtab_sizeless_symbol_reaches_next_or_end_of_section(void **state)
{
	struct image *image = image_new();
	struct symtab *table;
	struct symbol symbol;

	(void)state;
	function(image, "first", TEXT, 0);
	function(image, "second", TEXT + 100, 0);
	image_add(image, "asm_label", TEXT + 200, 0, STB_LOCAL, STT_NOTYPE);
	table = image_load(image);
	assert_name(table, TEXT - 1, NULL);
	assert_name(table, TEXT + 99, "first");
	assert_name(table, TEXT + 100, "second");
	assert_name(table, TEXT + TEXT_BYTES - 1, "asm_label");
	assert_name(table, TEXT + TEXT_BYTES, NULL);
	assert_true(symtab_find(table, TEXT + 99, &symbol));
	assert_int_equal(symbol.address, TEXT);
	assert_int_equal(symbol.size, 100);
	symtab_free(table);
}

static void test_symtab_padding_has_no_name(void **state)
{
	struct image *image = image_new();
	struct symtab *table;

	(void)state;
	function(image, "first", TEXT, 10);
	function(image, "second", TEXT + 16, 10);
	table = image_load(image);
	assert_name(table, TEXT + 9, "first");
	assert_name(table, TEXT + 10, NULL);
	assert_name(table, TEXT + 16, "second");
	assert_name(table, TEXT + 26, NULL);
	symtab_free(table);
}

static void test_symtab_finds_the_symbol_around_a_nested_one(void **state)
{
	struct image *image = image_new();
	struct symtab *table;

	(void)state;
	function(image, "outer", TEXT, 100);
	function(image, "inner", TEXT + 10, 10);
	function(image, "innermost", TEXT + 12, 2);
	function(image, "beside", TEXT + 40, 10);
	function(image, "after", TEXT + 200, 10);
	table = image_load(image);
	assert_name(table, TEXT + 11, "inner");
	assert_name(table, TEXT + 13, "innermost");
	assert_name(table, TEXT + 15, "inner");
	assert_name(table, TEXT + 30, "outer");
	assert_name(table, TEXT + 45, "beside");
	assert_name(table, TEXT + 99, "outer");
	assert_name(table, TEXT + 100, NULL);
	assert_name(table, TEXT + 199, NULL);
	symtab_free(table);
}

static void test_symtab_leaves_labels_inside_of_functions_out(void **state)
{
	struct image *image = image_new();
	struct symtab *table;

	(void)state;
	function(image, "memcpy", TEXT, 100);
	image_add(image, "copy_loop", TEXT + 50, 0, STB_LOCAL, STT_NOTYPE);
	image_add(image, ".L5", TEXT + 120, 0, STB_LOCAL, STT_NOTYPE);
	image_add(image, "$x", TEXT + 130, 0, STB_LOCAL, STT_NOTYPE);
	table = image_load(image);
	assert_name(table, TEXT + 60, "memcpy");
	assert_int_equal(symtab_cnt(table), 1);
	symtab_free(table);
}

static void test_symtab_takes_functions_only(void **state)
{
	struct image *image = image_new();
	struct symtab *table;

	(void)state;
	image_add(image, "object", TEXT, 8, STB_GLOBAL, STT_OBJECT);
	image_add(image, "file.c", TEXT, 0, STB_LOCAL, STT_FILE);
	function(image, "outside", TEXT + 0x10000, 8);
	function(image, "", TEXT, 8);
	function(image, "undefined", TEXT, 8);
	image->symbols[image->cnt - 1].st_shndx = SHN_UNDEF;
	function(image, "absolute", TEXT, 8);
	image->symbols[image->cnt - 1].st_shndx = SHN_ABS;
	image_add(image, "resolver", TEXT + 64, 8, STB_GLOBAL, STT_GNU_IFUNC);
	table = image_load(image);
	assert_int_equal(symtab_cnt(table), 1);
	assert_name(table, TEXT + 64, "resolver");
	symtab_free(table);
}

static void test_symtab_drops_versions(void **state)
{
	struct image *image = image_new();
	struct symtab *table;

	(void)state;
	function(image, "memcpy@@GLIBC_2.14", TEXT, 8);
	function(image, "memcpy@GLIBC_2.2.5", TEXT + 16, 8);
	table = image_load(image);
	assert_name(table, TEXT, "memcpy");
	assert_name(table, TEXT + 16, "memcpy");
	symtab_free(table);
}

static void test_symtab_names_the_entry_point(void **state)
{
	struct image *image = image_new();
	struct symtab *table;

	(void)state;
	image->entry = TEXT + 64;
	function(image, "_init", TEXT, 0);
	function(image, "next", TEXT + 80, 8);
	table = image_load(image);
	assert_name(table, TEXT + 63, "_init");
	assert_name(table, TEXT + 64, "_start");
	assert_name(table, TEXT + 79, "_start");
	assert_name(table, TEXT + 80, "next");
	assert_int_equal(symtab_cnt(table), 3);
	symtab_free(table);

	image = image_new();
	image->entry = TEXT + 64;
	table = image_load(image);
	assert_name(table, TEXT + 63, NULL);
	assert_name(table, TEXT + 64, "_start");
	assert_name(table, TEXT + 64 + 48, NULL);
	symtab_free(table);
}

static void test_symtab_leaves_a_named_entry_point_alone(void **state)
{
	struct image *image = image_new();
	struct symtab *table;

	(void)state;
	image->entry = TEXT + 64;
	function(image, "begin", TEXT + 60, 20);
	table = image_load(image);
	assert_name(table, TEXT + 64, "begin");
	assert_int_equal(symtab_cnt(table), 1);
	symtab_free(table);
}

/* 8000 names of 16 KB each that share one string: 128 MB, were they all kept. */
static void test_symtab_bounds_the_memory_for_names(void **state)
{
	struct image *image = image_new();
	struct symtab *table;
	size_t i;

	(void)state;
	for (i = 0; i < 8000; i++) {
		function(image, "x", TEXT + i, 4);
		image->symbols[image->cnt - 1].st_name = 8001 + (uint32_t)i;
	}
	memset(image->names + 1, 'n', 24000);
	image->names_len = 24002;
	table = image_load(image);
	assert_true(symtab_dropped(table) > 1000);
	assert_true(symtab_cnt(table) > 1000);
	assert_true(symtab_bytes(table) < SYMTAB_NAMES_MAX + (1 << 20));
	symtab_free(table);
}

/* Every function symbol of nm must be found, under one of the names that nm has there. */
static size_t compare_with_nm(const char *path, const char *options)
{
	static struct fixture_symbol symbols[20000];
	size_t i, k, cnt = fixture_nm(path, options, symbols, 20000), compared = 0;
	struct elf_file *elf;
	struct symtab *table;
	struct symbol symbol;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(elf_file_open(fd, &elf, NULL), 0);
	assert_int_equal(symtab_load(&elf, 1, &table), 0);
	for (i = 0; i < cnt; i++) {
		if (!symbols[i].size)
			continue;
		if (!symtab_find(table, symbols[i].address, &symbol))
			fail_msg("%s: no name for %s", path, symbols[i].name);
		assert_int_equal(symbol.address, symbols[i].address);
		for (k = i; k && symbols[k - 1].address == symbols[i].address; k--)
			;
		for (; k < cnt && symbols[k].address == symbols[i].address; k++) {
			if (strcmp(symbols[k].name, symbol.name) == 0)
				break;
		}
		if (k == cnt || symbols[k].address != symbols[i].address)
			fail_msg("%s: nm does not know %s", path, symbol.name);
		compared++;
	}
	symtab_free(table);
	elf_file_close(elf);
	close(fd);
	return compared;
}

static void test_symtab_agrees_with_nm(void **state)
{
	static const char source[] =
		"#include <stdio.h>\n"
		"static int __attribute__((noinline)) twice(int x){return x*2;}\n"
		"int shared(int x) { return twice(x) + 1; }\n"
		"int main(int argc, char **argv) {\n"
		"	(void)argv; return printf(\"%d\", shared(argc)) < 0; }\n";

	(void)state;
	need_cc();
	assert_true(compare_with_nm(fixture_cc("dynamic", source, "-O1"), "") >= 3);
	assert_true(compare_with_nm(fixture_cc("export", source, "-O1 -rdynamic"), "") >= 3);
	assert_true(compare_with_nm(fixture_cc("export", source, "-O1 -rdynamic -s"), "-D") >= 2);
	if (!fixture_shell("cc -static -O1 export.c -o static 2>/dev/null"))
		print_message("no static libc: not compared\n");
	else
		assert_true(compare_with_nm(fixture_path("static"), "") > 500);
}

static void test_symtab_agrees_with_nm_on_libc(void **state)
{
	char path[512] = "";
	FILE *pipe;

	(void)state;
	need_cc();
	pipe = fixture_popen("realpath \"$(cc -print-file-name=libc.so.6)\"");
	assert_non_null(fgets(path, sizeof(path), pipe));
	pclose(pipe);
	path[strcspn(path, "\n")] = '\0';
	assert_true(compare_with_nm(path, "-D") > 1500);
}

static void test_symtab_of_stripped_program_and_loader_has_start(void **state)
{
	char loader[512] = "";
	struct elf_file *elf;
	struct symtab *table;
	const char *path;
	FILE *pipe;
	int fd, i;

	(void)state;
	need_cc();
	path = fixture_cc("stripped", "int main(void) { return 0; }", "-s");
	pipe = fixture_popen("realpath \"$(readelf -lW %s | "
			     "sed -n 's/.*interpreter: \\(.*\\)]/\\1/p')\"",
			     path);
	assert_non_null(fgets(loader, sizeof(loader), pipe));
	pclose(pipe);
	loader[strcspn(loader, "\n")] = '\0';
	for (i = 0; i < 2; i++) {
		fd = open(i ? loader : path, O_RDONLY | O_CLOEXEC);
		assert_true(fd >= 0);
		assert_int_equal(elf_file_open(fd, &elf, NULL), 0);
		assert_int_equal(symtab_load(&elf, 1, &table), 0);
		assert_name(table, elf_file_entry(elf), "_start");
		symtab_free(table);
		elf_file_close(elf);
		close(fd);
	}
}

static void test_symtab_survives_failing_allocations(void **state)
{
	struct elf_file *elf;
	bool hit = true;
	size_t size;
	void *bytes;
	long n;

	(void)state;
	need_cc();
	bytes = fixture_read(fixture_cc("malloc", "int main(void) { return 0; }", ""), &size);
	assert_int_equal(elf_file_open_memory(bytes, size, &elf, NULL), 0);
	for (n = 1; hit && n < 200; n++) {
		struct symtab *table = NULL;
		int ret;

		fail_malloc_at(n);
		ret = symtab_load(&elf, 1, &table);
		hit = fail_malloc_hit();
		fail_malloc_at(0);
		/* Room that cannot be given back at the end is no failure. */
		assert_true(hit ? ret == -ENOMEM || (!ret && table) : !ret);
		symtab_free(table);
	}
	assert_false(hit);
	elf_file_close(elf);
	free(bytes);
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
		cmocka_unit_test(test_symtab_prefers_global_over_weak_over_local),
		cmocka_unit_test(test_symtab_prefers_longer_then_fewer_underscores),
		cmocka_unit_test(test_symtab_prefers_functions_over_labels),
		cmocka_unit_test(test_symtab_sizeless_symbol_reaches_next_or_end_of_section),
		cmocka_unit_test(test_symtab_padding_has_no_name),
		cmocka_unit_test(test_symtab_finds_the_symbol_around_a_nested_one),
		cmocka_unit_test(test_symtab_leaves_labels_inside_of_functions_out),
		cmocka_unit_test(test_symtab_takes_functions_only),
		cmocka_unit_test(test_symtab_drops_versions),
		cmocka_unit_test(test_symtab_names_the_entry_point),
		cmocka_unit_test(test_symtab_leaves_a_named_entry_point_alone),
		cmocka_unit_test(test_symtab_bounds_the_memory_for_names),
		cmocka_unit_test(test_symtab_agrees_with_nm),
		cmocka_unit_test(test_symtab_agrees_with_nm_on_libc),
		cmocka_unit_test(test_symtab_of_stripped_program_and_loader_has_start),
		cmocka_unit_test(test_symtab_survives_failing_allocations),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
