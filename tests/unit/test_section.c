/* SPDX-License-Identifier: BSD-2-Clause */
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
#include "symbolizer/section.h"
#include "tests/unit/elf_fixture.h"
#include "tests/unit/section_fixture.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static const opener openers[] = { open_memory, open_file };
static bool have_cc;

static void need_cc(void)
{
	if (!have_cc)
		skip();
}

static void check_contents(struct section *section, const void *expected, size_t size)
{
	size_t tail = size < 3 ? size : 3;
	struct section_view view;

	assert_int_equal(section->size, size);
	assert_int_equal(section_read(section, 0, size, &view), 0);
	assert_int_equal(view.size, size);
	assert_memory_equal(view.bytes, expected, size);
	section_view_close(&view);
	assert_int_equal(section_read(section, size - tail, tail, &view), 0);
	assert_memory_equal(view.bytes, (const uint8_t *)expected + size - tail, tail);
	section_view_close(&view);
	assert_int_equal(section_read(section, size - tail, tail + 1, &view), -ENOEXEC);
	assert_int_equal(section_read(section, UINT64_MAX, 1, &view), -ENOEXEC);
	assert_int_equal(section_read(section, size, 0, &view), 0);
	section_view_close(&view);
}

/* ---- sections that other tools have written ---- */

static const char *const debug_sections[] = { ".debug_info", ".debug_line", ".debug_str",
					      ".debug_abbrev" };

static const char big_source[] = "#include <stdio.h>\n#include <stdlib.h>\n#include <elf.h>\n"
				 "Elf64_Ehdr header; Elf64_Shdr section;\n"
				 "int main(void) { puts(getenv(\"HOME\")); return 0; }\n";

/* Each of them is in @name what it is in the file "plain". */
static void compare_sections(const char *name, bool packed)
{
	size_t i, size;
	struct opened opened = {};
	struct section section;
	void *expected;

	opened.fd = open(fixture_path(name), O_RDONLY | O_CLOEXEC);
	assert_int_equal(elf_file_open(opened.fd, &opened.elf, NULL), 0);
	for (i = 0; i < ARRAY_SIZE(debug_sections); i++) {
		assert_true(fixture_shell("objcopy --dump-section %s=dump plain /dev/null",
					  debug_sections[i]));
		expected = fixture_read(fixture_path("dump"), &size);
		assert_true(size > 10);
		assert_int_equal(section_open_debug(opened.elf, debug_sections[i], &section), 0);
		/* What would grow is left plain. */
		if (packed && size > 512)
			assert_int_not_equal(section.packing, SECTION_PLAIN);
		check_contents(&section, expected, size);
		section_close(&section);
		free(expected);
	}
	close_opened(&opened);
}

static void test_plain_sections_are_what_objcopy_dumps(void **state)
{
	(void)state;
	need_cc();
	fixture_cc("plain", big_source, "-g");
	compare_sections("plain", false);
}

static void check_packed_by_objcopy(const char *form)
{
	need_cc();
	fixture_cc("plain", big_source, "-g");
	if (!fixture_shell("objcopy --compress-debug-sections=%s plain packed 2>/dev/null", form)) {
		print_message("skipped: objcopy cannot write %s\n", form);
		skip();
	}
	compare_sections("packed", true);
}

static void test_zlib_by_objcopy_is_inflated(void **state)
{
	(void)state;
	check_packed_by_objcopy("zlib");
}

static void test_zdebug_by_objcopy_is_inflated(void **state)
{
	(void)state;
	check_packed_by_objcopy("zlib-gnu");
}

static void test_zstd_by_objcopy_is_inflated(void **state)
{
	(void)state;
	check_packed_by_objcopy("zstd");
}

static void test_a_section_without_contents_is_not_there(void **state)
{
	struct section section;
	struct opened opened = {};

	(void)state;
	need_cc();
	fixture_cc("plain", big_source, "-g");
	assert_true(fixture_shell("objcopy --only-keep-debug plain kept"));
	opened.fd = open(fixture_path("kept"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(elf_file_open(opened.fd, &opened.elf, NULL), 0);
	assert_int_equal(section_open(opened.elf, ".text", &section), -ENOENT);
	assert_int_equal(section.size, 0);
	assert_int_equal(section_open(opened.elf, ".bss", &section), -ENOENT);
	assert_int_equal(section_open(opened.elf, ".debug_inf", &section), -ENOENT);
	assert_int_equal(section_open(opened.elf, ".debug_info2", &section), -ENOENT);
	assert_int_equal(section_open(opened.elf, "", &section), -ENOENT);
	assert_int_equal(section_open(opened.elf, ".debug_info", &section), 0);
	section_close(&section);
	close_opened(&opened);
}

/* ---- sections made by hand ---- */

static void test_packed_sections_are_inflated_wherever_they_are(void **state)
{
	struct opened opened;
	struct section section;
	size_t i, k, size;
	uint8_t *bytes;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(openers); i++) {
		for (k = 0; k < 2; k++) {
			bytes = k ? zstd_of(contents(), CONTENTS_SIZE, &size) :
				    zlib_of(contents(), CONTENTS_SIZE, &size);
			bytes = section_of(k ? ZSTD_TYPE : ELFCOMPRESS_ZLIB, CONTENTS_SIZE, bytes,
					   &size);
			opened = open_with(openers[i], ".a", SHF_COMPRESSED, bytes, size);
			assert_int_equal(section_open(opened.elf, ".a", &section), 0);
			assert_int_equal(section_heap_bytes(&section), 0);
			check_contents(&section, contents(), CONTENTS_SIZE);
			assert_int_equal(section_heap_bytes(&section), CONTENTS_SIZE);
			section_close(&section);
			assert_int_equal(section.size, 0);
			close_opened(&opened);
		}
	}
}

static void test_an_image_is_viewed_without_a_copy(void **state)
{
	struct section section;
	struct section_view view;
	struct opened opened;
	uint8_t *bytes = malloc(100);

	(void)state;
	memcpy(bytes, contents(), 100);
	opened = open_with(open_memory, ".a", 0, bytes, 100);
	assert_int_equal(section_open(opened.elf, ".a", &section), 0);
	assert_int_equal(section_read(&section, 10, 20, &view), 0);
	assert_ptr_equal(view.bytes, opened.bytes + sizeof(Elf64_Ehdr) + 10);
	assert_null(view.owned);
	section_view_close(&view);
	assert_int_equal(section_load(&section), 0);
	assert_int_equal(section_heap_bytes(&section), 0);
	section_close(&section);
	close_opened(&opened);
}

static void test_a_loaded_section_needs_its_file_no_more(void **state)
{
	struct section section;
	struct opened opened;
	uint8_t *bytes = malloc(1000);

	(void)state;
	memcpy(bytes, contents(), 1000);
	opened = open_with(open_file, ".a", 0, bytes, 1000);
	assert_int_equal(section_open(opened.elf, ".a", &section), 0);
	assert_null(section.bytes);
	assert_int_equal(section_load(&section), 0);
	close_opened(&opened);
	assert_int_equal(section_heap_bytes(&section), 1000);
	check_contents(&section, contents(), 1000);
	section_close(&section);
}

static void test_a_file_cut_short_meanwhile_is_an_error(void **state)
{
	struct section section;
	struct section_view view;
	struct strbuf text = STRBUF_INIT;
	struct opened opened;
	uint8_t *bytes = calloc(1, 1000);

	(void)state;
	opened = open_with(open_file, ".a", 0, bytes, 1000);
	assert_int_equal(section_open(opened.elf, ".a", &section), 0);
	assert_int_equal(ftruncate(opened.fd, 500), 0);
	assert_int_equal(section_read(&section, 0, 100, &view), 0);
	section_view_close(&view);
	assert_int_equal(section_read(&section, 400, 100, &view), -ENOEXEC);
	assert_int_equal(section_read_string(&section, 600, 100, &text), -ENOEXEC);
	assert_int_equal(section_load(&section), -ENOEXEC);
	section_close(&section);
	close_opened(&opened);
	strbuf_free(&text);
}

static void test_streams_in_a_row_are_joined(void **state)
{
	size_t first_size, second_size, half = CONTENTS_SIZE / 2;
	uint8_t *first = zlib_of(contents(), half, &first_size);
	uint8_t *second = zlib_of(contents() + half, CONTENTS_SIZE - half, &second_size);
	struct section section;
	struct opened opened;

	(void)state;
	first = realloc(first, first_size + second_size);
	memcpy(first + first_size, second, second_size);
	free(second);
	first_size += second_size;
	first = section_of(ELFCOMPRESS_ZLIB, CONTENTS_SIZE, first, &first_size);
	opened = open_with(open_file, ".a", SHF_COMPRESSED, first, first_size);
	assert_int_equal(section_open(opened.elf, ".a", &section), 0);
	check_contents(&section, contents(), CONTENTS_SIZE);
	section_close(&section);
	close_opened(&opened);
}

/* The densest that zlib and zstd write is not refused by its ratio. */
static void test_zeros_are_inflated(void **state)
{
	size_t i, size, zeros = 64 << 20;
	uint8_t *bytes = calloc(1, zeros), *packed;
	struct opened opened;
	struct section section;

	(void)state;
	for (i = 0; i < 2; i++) {
		packed = i ? zstd_of(bytes, zeros, &size) : zlib_of(bytes, zeros, &size);
		packed = section_of(i ? ZSTD_TYPE : ELFCOMPRESS_ZLIB, zeros, packed, &size);
		opened = open_with(open_memory, ".a", SHF_COMPRESSED, packed, size);
		assert_int_equal(section_open(opened.elf, ".a", &section), 0);
		assert_int_equal(section_load(&section), 0);
		assert_true(memcmp(section.bytes, bytes, zeros) == 0);
		section_close(&section);
		close_opened(&opened);
	}
	free(bytes);
}

static void test_names_far_into_their_table_are_found(void **state)
{
	const struct made_section made[] = { { ".first", "1", 1, 0, 0 },
					     { ".second", "2", 1, 0, 0 },
					     { ".nobits", NULL, 0, 0, SHT_NOBITS },
					     { ".third", "3", 1, 0, 0 } };
	size_t before, i, size;
	struct section section;
	struct opened opened;
	uint8_t *bytes;

	(void)state;
	for (before = 4060; before < 4110; before++) {
		for (i = 0; i < ARRAY_SIZE(openers); i++) {
			bytes = made_elf(made, ARRAY_SIZE(made), before, &size);
			opened = openers[i](bytes, size);
			assert_int_equal(section_open(opened.elf, ".second", &section), 0);
			assert_int_equal(section.address, 0x1000);
			check_contents(&section, "2", 1);
			section_close(&section);
			assert_int_equal(section_open(opened.elf, ".third", &section), 0);
			section_close(&section);
			assert_int_equal(section_open(opened.elf, ".thir", &section), -ENOENT);
			assert_int_equal(section_open(opened.elf, ".nobits", &section), -ENOENT);
			close_opened(&opened);
		}
	}
}

static void test_section_headers_beyond_16_bits_are_followed(void **state)
{
	struct made_section made = { ".a", "abc", 3, 0, 0 };
	struct section section;
	struct opened opened;
	Elf64_Ehdr header;
	Elf64_Shdr first;
	size_t size;
	uint8_t *bytes = made_elf(&made, 1, 0, &size);

	(void)state;
	memcpy(&header, bytes, sizeof(header));
	memcpy(&first, bytes + header.e_shoff, sizeof(first));
	first.sh_link = header.e_shstrndx;
	header.e_shstrndx = SHN_XINDEX;
	memcpy(bytes, &header, sizeof(header));
	memcpy(bytes + header.e_shoff, &first, sizeof(first));
	opened = open_memory(bytes, size);
	assert_int_equal(section_open(opened.elf, ".a", &section), 0);
	check_contents(&section, "abc", 3);
	close_opened(&opened);
}

/* ---- reading ---- */

static void test_reads_end_with_the_section(void **state)
{
	struct section section;
	struct section_view view;

	(void)state;
	section_of_memory("abcdef", 6, &section);
	assert_int_equal(section_read_up_to(&section, 4, 100, &view), 0);
	assert_int_equal(view.size, 2);
	assert_memory_equal(view.bytes, "ef", 2);
	assert_int_equal(section_read_up_to(&section, 0, 3, &view), 0);
	assert_int_equal(view.size, 3);
	assert_int_equal(section_read_up_to(&section, 6, 3, &view), 0);
	assert_int_equal(view.size, 0);
	assert_int_equal(section_read_up_to(&section, 7, 3, &view), -ENOEXEC);
	section_close(&section);
	assert_int_equal(section_read(&section, 0, 1, &view), -ENOEXEC);
	assert_int_equal(section_read(&section, 0, 0, &view), 0);
	assert_int_equal(section_load(&section), 0);
	section_of_memory(NULL, 0, &section);
	assert_int_equal(section_read(&section, 0, 1, &view), -ENOEXEC);
}

/* Strings of each length around the size of the chunks that files are read in. */
static void test_strings_end_at_their_nul(void **state)
{
	static const size_t lens[] = { 0, 1, 511, 512, 513, 1023, 1024, 1025, 3000 };
	struct strbuf text = STRBUF_INIT;
	struct section section;
	struct opened opened;
	size_t i, k;
	uint8_t *bytes;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		for (k = 0; k < ARRAY_SIZE(openers); k++) {
			bytes = malloc(lens[i] + 10);
			memset(bytes, 'a', lens[i] + 10);
			bytes[lens[i] + 5] = '\0';
			opened = open_with(openers[k], ".a", 0, bytes, lens[i] + 10);
			assert_int_equal(section_open(opened.elf, ".a", &section), 0);
			strbuf_clear(&text);
			strbuf_add_str(&text, "before ");
			assert_int_equal(section_read_string(&section, 5, 4096, &text), 0);
			assert_int_equal(text.len, 7 + lens[i]);
			assert_int_equal(strlen(text.text), text.len);
			/* Cut. */
			strbuf_clear(&text);
			assert_int_equal(section_read_string(&section, 5, 600, &text), 0);
			assert_int_equal(text.len, lens[i] < 600 ? lens[i] : 600);
			/* Not ended: nothing is left of it. */
			strbuf_clear(&text);
			strbuf_add_str(&text, "before");
			assert_int_equal(section_read_string(&section, lens[i] + 6, 600, &text),
					 -ENOEXEC);
			assert_int_equal(section_read_string(&section, lens[i] + 10, 600, &text),
					 -ENOEXEC);
			assert_int_equal(section_read_string(&section, UINT64_MAX, 600, &text),
					 -ENOEXEC);
			assert_string_equal(text.text, "before");
			section_close(&section);
			close_opened(&opened);
		}
	}
	strbuf_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_sections_are_what_objcopy_dumps),
		cmocka_unit_test(test_zlib_by_objcopy_is_inflated),
		cmocka_unit_test(test_zdebug_by_objcopy_is_inflated),
		cmocka_unit_test(test_zstd_by_objcopy_is_inflated),
		cmocka_unit_test(test_a_section_without_contents_is_not_there),
		cmocka_unit_test(test_packed_sections_are_inflated_wherever_they_are),
		cmocka_unit_test(test_an_image_is_viewed_without_a_copy),
		cmocka_unit_test(test_a_loaded_section_needs_its_file_no_more),
		cmocka_unit_test(test_a_file_cut_short_meanwhile_is_an_error),
		cmocka_unit_test(test_streams_in_a_row_are_joined),
		cmocka_unit_test(test_zeros_are_inflated),
		cmocka_unit_test(test_names_far_into_their_table_are_found),
		cmocka_unit_test(test_section_headers_beyond_16_bits_are_followed),
		cmocka_unit_test(test_reads_end_with_the_section),
		cmocka_unit_test(test_strings_end_at_their_nul),
	};
	int ret;

	have_cc = fixture_open();
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	fixture_close();
	return ret;
}
