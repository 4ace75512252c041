/* SPDX-License-Identifier: BSD-2-Clause */
/* symbolizer/mini_debug: symbols packed into the program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/elf_private.h"
#include "symbolizer/section.h"
#include "symbolizer/symtab.h"
#include "tests/unit/debug_fixture.h"
#include "tests/unit/elf_fixture.h"
#include "tests/unit/fail_malloc.h"

static bool have_tools;

static const char source[] =
	"static __attribute__((noinline,used)) int hidden(int x) { return x + 1; }\n"
	"__attribute__((noinline)) int leaf(int x) { return hidden(x) * 3; }\n"
	"int main(void) { return leaf(2); }\n";

/* prog is stripped, and prog.symbols is what the section of "packed" unpacks to. */
static int set_up(void **state)
{
	(void)state;
	have_tools = fixture_open() && fixture_shell("command -v objcopy xz >/dev/null");
	if (!have_tools) {
		print_message("needs cc, objcopy and xz\n");
		return 0;
	}
	fixture_cc("whole", source, "-O1");
	SHELL("strip -o prog whole && "
	      "objcopy -S --remove-section .gdb_index --remove-section .comment "
	      "--keep-symbol hidden --keep-symbol leaf whole prog.symbols");
	return 0;
}

static int clean_up(void **state)
{
	(void)state;
	fixture_close();
	return 0;
}

static void need_tools(void)
{
	if (!have_tools)
		skip();
}

/* Makes "packed" of prog and of what the shell command @fmt... prints. */
__attribute__((format(printf, 1, 2))) static void pack(const char *fmt, ...)
{
	char command[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	SHELL("{ %s; } > data && objcopy --add-section .gnu_debugdata=data prog packed", command);
}

static int load(const char *name, uint8_t **ret, size_t *ret_size)
{
	struct opened opened = open_elf(fixture_path(name));
	int r = mini_debug_load(opened.elf, ret, ret_size);

	close_elf(&opened);
	return r;
}

static void check_unpacks(const char *expected_name)
{
	size_t size, expected_size;
	uint8_t *bytes, *expected = fixture_read(fixture_path(expected_name), &expected_size);

	assert_int_equal(load("packed", &bytes, &size), 0);
	assert_int_equal(size, expected_size);
	assert_memory_equal(bytes, expected, size);
	free(bytes);
	free(expected);
}

static void check_fails(int expected)
{
	uint8_t *bytes = NULL;
	size_t size = 77;

	assert_int_equal(load("packed", &bytes, &size), expected);
	assert_null(bytes);
	assert_int_equal(size, 77);
}

static void test_packed_symbols_are_what_nm_prints_of_the_whole_program(void **state)
{
	static struct fixture_symbol symbols[256];
	size_t i, cnt, size, seen = 0;
	struct symtab *table;
	struct elf_file *elf;
	struct symbol symbol;
	uint8_t *bytes;

	(void)state;
	need_tools();
	pack("xz < prog.symbols");
	check_unpacks("prog.symbols");
	assert_int_equal(load("packed", &bytes, &size), 0);
	assert_int_equal(elf_file_open_memory(bytes, size, &elf, NULL), 0);
	assert_int_equal(symtab_load(&elf, 1, &table), 0);
	cnt = fixture_nm("whole", "", symbols, ARRAY_SIZE(symbols));
	for (i = 0; i < cnt; i++) {
		if (strcmp(symbols[i].name, "hidden") != 0 && strcmp(symbols[i].name, "leaf") != 0)
			continue;
		assert_true(symtab_find(table, symbols[i].address, &symbol));
		assert_string_equal(symbol.name, symbols[i].name);
		seen++;
	}
	assert_int_equal(seen, 2);
	symtab_free(table);
	elf_file_close(elf);
	free(bytes);
}

static void test_all_that_xz_makes_is_unpacked(void **state)
{
	const char *options[] = { "-0",
				  "-6e",
				  "-9",
				  "--check=none",
				  "--check=crc32",
				  "--check=sha256",
				  "--x86",
				  "--block-size=4K",
				  "--delta=dist=4" };
	size_t i;

	(void)state;
	need_tools();
	SHELL("head -c 1000000 /dev/urandom | od -x > much && cat prog.symbols >> much");
	for (i = 0; i < ARRAY_SIZE(options); i++) {
		pack("xz %s%s < much", options[i],
		     options[i][2] == 'x' || options[i][2] == 'd' ? " --lzma2" : "");
		check_unpacks("much");
	}
}

static void test_what_stands_behind_the_stream_is_padding(void **state)
{
	(void)state;
	need_tools();
	pack("xz < prog.symbols; head -c 100000 /dev/zero");
	check_unpacks("prog.symbols");
}

static void test_a_program_without_the_section_has_no_data(void **state)
{
	uint8_t *bytes;
	size_t size;

	(void)state;
	need_tools();
	assert_int_equal(load("prog", &bytes, &size), -ENODATA);
}

static void test_what_is_not_xz_is_broken(void **state)
{
	(void)state;
	need_tools();
	pack("true");
	check_fails(-ENOEXEC);
	pack("cat prog.symbols");
	check_fails(-ENOEXEC);
	pack("gzip < prog.symbols");
	check_fails(-ENOEXEC);
	pack("xz --format=lzma < prog.symbols");
	check_fails(-ENOEXEC);
	pack("xz < /dev/null");
	check_fails(-ENOEXEC);
}

/* Of this process, so far. */
static long peak_kib(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss;
}

static void test_a_bomb_is_refused(void **state)
{
	long before;

	(void)state;
	need_tools();
	pack("head -c 300M /dev/zero | xz -0");
	before = peak_kib();
	check_fails(-EFBIG);
	assert_true(peak_kib() - before < 3 * (long)(MINI_DEBUG_MAX >> 10));
}

static void test_as_much_as_allowed_is_unpacked(void **state)
{
	size_t size;
	uint8_t *bytes;

	(void)state;
	need_tools();
	pack("head -c %u /dev/zero | xz -0", MINI_DEBUG_MAX - 1);
	assert_int_equal(load("packed", &bytes, &size), 0);
	assert_int_equal(size, MINI_DEBUG_MAX - 1);
	free(bytes);
}

static void test_a_decoder_that_wants_much_memory_is_refused(void **state)
{
	(void)state;
	need_tools();
	pack("xz --lzma2=dict=64MiB < prog.symbols");
	check_unpacks("prog.symbols");
	/* The packer shrinks what it needs not, so the header's byte is set: a 4 GiB dictionary. */
	SHELL("xz --check=none --lzma2=dict=64MiB < prog.symbols > big");
	{
		size_t size;
		uint8_t *bytes = fixture_read(fixture_path("big"), &size), *at;

		/* Block header behind the 12 of the stream: size, flags, 0x21, 1, dictionary. */
		at = bytes + 12;
		assert_int_equal(at[2], 0x21);
		assert_int_equal(at[3], 1);
		at[4] = 40;
		fixture_write("big", bytes, size);
		free(bytes);
	}
	/* its CRC-32, by a tool that is not ours */
	SHELL("head -c 20 big | tail -c 8 | gzip -c | tail -c 8 | head -c 4 > crc && "
	      "{ head -c 20 big; cat crc; tail -c +25 big; } > data2");
	pack("cat data2");
	check_fails(-EFBIG);
}

static void test_a_section_that_is_compressed_again_is_refused(void **state)
{
	size_t size, i;
	struct section section;
	struct elf_file *elf;
	uint8_t *bytes;

	(void)state;
	need_tools();
	pack("printf '\\1\\0\\0\\0\\0\\0\\0\\0\\0\\0\\1\\0\\0\\0\\0\\0\\1\\0\\0\\0\\0\\0\\0\\0'; "
	     "head -c 65536 /dev/zero");
	bytes = fixture_read(fixture_path("packed"), &size);
	assert_int_equal(elf_file_open_memory(bytes, size, &elf, NULL), 0);
	assert_int_equal(section_open(elf, ".gnu_debugdata", &section), 0);
	for (i = 0; i < elf->section_cnt; i++) {
		if (elf->sections[i].sh_offset == section.offset &&
		    elf->sections[i].sh_type == SHT_PROGBITS)
			elf->sections[i].sh_flags |= SHF_COMPRESSED;
	}
	{
		uint8_t *unpacked = NULL;
		size_t unpacked_size;

		assert_int_equal(mini_debug_load(elf, &unpacked, &unpacked_size), -ENOEXEC);
		assert_null(unpacked);
	}
	elf_file_close(elf);
	free(bytes);
}

/* @ret_at: of its section in the image */
static uint8_t *read_packed(size_t *ret_size, size_t *ret_at, size_t *ret_bytes)
{
	uint8_t *bytes = fixture_read(fixture_path("packed"), ret_size);
	struct section section;
	struct elf_file *elf;

	assert_int_equal(elf_file_open_memory(bytes, *ret_size, &elf, NULL), 0);
	assert_int_equal(section_open(elf, ".gnu_debugdata", &section), 0);
	*ret_at = section.offset;
	*ret_bytes = section.size;
	elf_file_close(elf);
	return bytes;
}

static void test_a_flipped_byte_is_noticed(void **state)
{
	size_t size, at, cnt, i, out_size;
	struct elf_file *elf;
	uint8_t *bytes, *out;

	(void)state;
	need_tools();
	pack("xz --check=crc32 < prog.symbols");
	bytes = read_packed(&size, &at, &cnt);
	assert_true(cnt > 500);
	for (i = 0; i < cnt; i++) {
		bytes[at + i] ^= (uint8_t)(1 + i % 255);
		out = NULL;
		assert_int_equal(elf_file_open_memory(bytes, size, &elf, NULL), 0);
		assert_true(mini_debug_load(elf, &out, &out_size) < 0);
		assert_null(out);
		elf_file_close(elf);
		bytes[at + i] ^= (uint8_t)(1 + i % 255);
	}
	free(bytes);
}

static void test_a_section_cut_anywhere_is_broken(void **state)
{
	size_t size, at, cnt, i, k, out_size;
	struct elf_file *elf;
	uint8_t *bytes, *out = NULL;

	(void)state;
	need_tools();
	pack("xz --check=crc32 < prog.symbols");
	bytes = read_packed(&size, &at, &cnt);
	assert_int_equal(elf_file_open_memory(bytes, size, &elf, NULL), 0);
	assert_int_equal(elf_load_sections(elf), 0);
	for (k = 0; k < elf->section_cnt && elf->sections[k].sh_offset != at; k++)
		;
	assert_true(k < elf->section_cnt && elf->sections[k].sh_size == cnt);
	for (i = 0; i < cnt; i++) {
		elf->sections[k].sh_size = i;
		assert_int_equal(mini_debug_load(elf, &out, &out_size), -ENOEXEC);
	}
	elf_file_close(elf);
	/* and the file itself cut: its section headers are gone, or the section lies beyond */
	for (i = 0; i < size; i += 1 + i / 256) {
		uint8_t *cut = malloc(i + !i);

		memcpy(cut, bytes, i);
		if (!elf_file_open_memory(cut, i, &elf, NULL)) {
			assert_true(mini_debug_load(elf, &out, &out_size) < 0);
			elf_file_close(elf);
		}
		free(cut);
	}
	assert_null(out);
	free(bytes);
}

static void test_every_failing_allocation_is_survived(void **state)
{
	int r;
	long n;

	(void)state;
	need_tools();
	SHELL("head -c 100000 /dev/urandom | od -x > much");
	pack("xz < much");
	for (n = 1;; n++) {
		struct opened opened = open_elf(fixture_path("packed"));
		uint8_t *bytes = NULL;
		size_t size;

		fail_malloc_at(n);
		r = mini_debug_load(opened.elf, &bytes, &size);
		close_elf(&opened);
		free(bytes);
		if (!fail_malloc_hit())
			break;
		/* the last one gives back what was too much, and may fail */
		assert_true(r == -ENOMEM || (r == 0 && bytes));
	}
	assert_int_equal(r, 0);
	assert_true(n > 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packed_symbols_are_what_nm_prints_of_the_whole_program),
		cmocka_unit_test(test_all_that_xz_makes_is_unpacked),
		cmocka_unit_test(test_what_stands_behind_the_stream_is_padding),
		cmocka_unit_test(test_a_program_without_the_section_has_no_data),
		cmocka_unit_test(test_what_is_not_xz_is_broken),
		cmocka_unit_test(test_a_bomb_is_refused),
		cmocka_unit_test(test_as_much_as_allowed_is_unpacked),
		cmocka_unit_test(test_a_decoder_that_wants_much_memory_is_refused),
		cmocka_unit_test(test_a_section_that_is_compressed_again_is_refused),
		cmocka_unit_test(test_a_flipped_byte_is_noticed),
		cmocka_unit_test(test_a_section_cut_anywhere_is_broken),
		cmocka_unit_test(test_every_failing_allocation_is_survived),
	};

	return cmocka_run_group_tests(tests, set_up, clean_up);
}
