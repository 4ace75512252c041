/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files made to be slow: each part of them is small, their product is not.  Without its bound each
 * of these takes a quarter of a minute or (most) far longer, with it a second at most; the
 * seconds allowed here are for sanitizers on a slow machine.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <elf.h>
#include <zstd.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/dwarf_constants.h"
#include "symbolizer/elf.h"
#include "tests/unit/dwarf_image.h"

#define DW_TAG_compile_unit 0x11
#define DW_TAG_base_type 0x24
#define SECONDS_MAX 8.0
#define NESTED 60 /* inlined calls in each other; answers have 64 frames at most */

static double cpu_seconds(void)
{
	struct timespec now;

	assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now), 0);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double started;

static int start_clock(void **state)
{
	(void)state;
	started = cpu_seconds();
	return 0;
}

/* As a teardown: fails the test that took too long. */
static int check_clock(void **state)
{
	(void)state;
	return cpu_seconds() - started > SECONDS_MAX ? -1 : 0;
}

/* Declarations that nothing uses: @cnt of them, with codes from @first on. */
static void put_filler(struct dwarf_image *image, unsigned int first, unsigned int cnt)
{
	unsigned int i;

	for (i = 0; i < cnt; i++)
		image_abbrev(image, first + i, DW_TAG_base_type, false, 0);
}

/* A unit whose abbreviations begin at @abbrev. */
static void begin_unit(struct dwarf_image *image, size_t abbrev)
{
	image_unit(image, 4, 0);
	memcpy(image->sections[INFO].text + image->unit + 6, &abbrev, 4);
}

static void put_text_range(struct dwarf_image *image)
{
	put(image, INFO, IMAGE_TEXT, 8);
	put(image, INFO, IMAGE_TEXT_BYTES, 8);
}

static void ask_everywhere(struct dwarf_image *image)
{
	struct dwarf *dwarf = image_open(image);
	uint64_t address;

	for (address = IMAGE_TEXT; address < IMAGE_TEXT + IMAGE_TEXT_BYTES; address += 0x400)
		answer_at(dwarf, address);
	dwarf_close(dwarf);
}

/* ---- roots ---------------------------------------------------------------------------------- */

static void put_root(struct dwarf_image *image)
{
	image_abbrev(image, 900000, DW_TAG_compile_unit, true, DW_AT_low_pc, DW_FORM_addr,
		     DW_AT_high_pc, DW_FORM_data8, 0);
	image_abbrev(image, 900001, DW_TAG_subprogram, false, DW_AT_name, DW_FORM_string,
		     DW_AT_low_pc, DW_FORM_addr, DW_AT_high_pc, DW_FORM_data8, 0);
}

static void put_far_root(struct dwarf_image *image, unsigned int filler_cnt)
{
	put_filler(image, 2, filler_cnt);
	put_root(image);
	put(image, ABBREV, 0, 1);
}

static void test_a_root_entry_far_behind_in_its_table_is_read(void **state)
{
	struct dwarf_image image;
	struct dwarf *dwarf;

	(void)state;
	image_init(&image);
	put_far_root(&image, 10000);
	image_unit(&image, 4, 0);
	put_uleb(&image, INFO, 900000);
	put_text_range(&image);
	put_uleb(&image, INFO, 900001);
	put_text(&image, INFO, "far");
	put_text_range(&image);
	put(&image, INFO, 0, 1);
	image_end(&image);
	dwarf = image_open(&image);
	assert_string_equal(answer_at(dwarf, IMAGE_TEXT), "far@:0");
	dwarf_close(dwarf);
	image_free(&image);
}

static void test_many_root_entries_far_behind_do_not_search_anew(void **state)
{
	struct dwarf_image image;
	unsigned int i;

	(void)state;
	image_init(&image);
	put_far_root(&image, 100000);
	for (i = 0; i < 100000; i++) {
		image_unit(&image, 4, 0);
		put_uleb(&image, INFO, 900000);
		put_text_range(&image);
		image_end(&image);
	}
	ask_everywhere(&image);
	image_free(&image);
}

/* As many tables as there are units, each without a few declarations of the one before. */
static void test_tables_that_lie_in_each_other_are_not_all_made(void **state)
{
	struct dwarf_image image;
	size_t table_bytes;
	unsigned int i;

	(void)state;
	image_init(&image);
	put_filler(&image, 20, 1);
	table_bytes = put_at(&image, ABBREV);
	put_filler(&image, 21, 99);
	put_filler(&image, 1000000, 50000);
	image_abbrev(&image, 2000000, DW_TAG_compile_unit, true, DW_AT_stmt_list,
		     DW_FORM_sec_offset, 0);
	put(&image, ABBREV, 0, 1);
	for (i = 0; i < 50000; i++) {
		begin_unit(&image, i % 100 * table_bytes);
		put_uleb(&image, INFO, 2000000);
		put(&image, INFO, 0, 4);
		image_end(&image);
	}
	ask_everywhere(&image);
	image_free(&image);
}

/* ---- entries -------------------------------------------------------------------------------- */

/* A function of which each of @cnt attributes is a value without bytes. */
static void put_empty_values(struct dwarf_image *image, unsigned int form, unsigned int cnt)
{
	put_uleb(image, ABBREV, 2);
	put_uleb(image, ABBREV, DW_TAG_subprogram);
	put(image, ABBREV, 0, 1);
	while (cnt--) {
		put_uleb(image, ABBREV, DW_AT_low_pc);
		put_uleb(image, ABBREV, form);
		if (form == DW_FORM_implicit_const)
			put(image, ABBREV, 0, 1);
	}
	put(image, ABBREV, 0, 3);
}

static void ask_of_empty_values(unsigned int form, unsigned int cnt)
{
	struct dwarf_image image;
	unsigned int i;

	image_init(&image);
	image_abbrev(&image, 1, DW_TAG_compile_unit, true, DW_AT_low_pc, DW_FORM_addr,
		     DW_AT_high_pc, DW_FORM_data8, 0);
	put_empty_values(&image, form, cnt);
	image_unit(&image, 5, DW_UT_compile);
	put_uleb(&image, INFO, 1);
	put_text_range(&image);
	for (i = 0; i < 500000; i++)
		put(&image, INFO, 2, 1);
	image_end(&image);
	ask_everywhere(&image);
	image_free(&image);
}

static void test_values_without_bytes_are_not_steps_without_number(void **state)
{
	(void)state;
	ask_of_empty_values(DW_FORM_flag_present, 60000);
	ask_of_empty_values(DW_FORM_flag_present, 1900);
	ask_of_empty_values(DW_FORM_implicit_const, 60000);
	ask_of_empty_values(DW_FORM_implicit_const, 1300);
}

/* All units' functions refer to one list. */
static void test_a_range_list_is_not_read_for_each_function(void **state)
{
	struct dwarf_image image;
	unsigned int i;

	(void)state;
	image_init(&image);
	image_abbrev(&image, 1, DW_TAG_compile_unit, true, DW_AT_stmt_list, DW_FORM_sec_offset, 0);
	image_abbrev(&image, 2, DW_TAG_subprogram, false, DW_AT_ranges, DW_FORM_sec_offset, 0);
	put(&image, ABBREV, 0, 1);
	for (i = 0; i < 50000; i++) {
		image_unit(&image, 4, 0);
		put_uleb(&image, INFO, 1);
		put(&image, INFO, 0, 4);
		put_uleb(&image, INFO, 2);
		put(&image, INFO, 0, 4);
		put(&image, INFO, 0, 1);
		image_end(&image);
	}
	for (i = 0; i < 60000; i++) {
		put(&image, RANGES, 2, 8); /* below the text */
		put(&image, RANGES, 3, 8);
	}
	put(&image, RANGES, 0, 8);
	put(&image, RANGES, 0, 8);
	ask_everywhere(&image);
	image_free(&image);
}

/* ---- memory --------------------------------------------------------------------------------- */

#define TABLE_UNITS 9

/* Units of a function each, and tables that lie in each other: each of them takes 6 MB. */
static void test_tables_of_abbreviations_are_kept_within_some_megabytes(void **state)
{
	struct dwarf_image image;
	struct dwarf *dwarf;
	size_t table_bytes;
	unsigned int i;

	(void)state;
	image_init(&image);
	put_filler(&image, 20, 1);
	table_bytes = put_at(&image, ABBREV);
	put_filler(&image, 21, TABLE_UNITS);
	put_root(&image);
	put_filler(&image, 1000000, 200000);
	put(&image, ABBREV, 0, 1);
	for (i = 0; i < TABLE_UNITS; i++) {
		uint64_t text = IMAGE_TEXT + 0x100 * i;

		begin_unit(&image, i * table_bytes);
		put_uleb(&image, INFO, 900000);
		put(&image, INFO, text, 8);
		put(&image, INFO, 0x100, 8);
		put_uleb(&image, INFO, 900001);
		put_text(&image, INFO, "function");
		put(&image, INFO, text, 8);
		put(&image, INFO, 0x100, 8);
		put(&image, INFO, 0, 1);
		image_end(&image);
	}
	dwarf = image_open(&image);
	for (i = 0; i < TABLE_UNITS; i++) {
		assert_string_equal(answer_at(dwarf, IMAGE_TEXT + 0x100 * i), "function@:0");
		assert_true(dwarf_heap_bytes(dwarf) < 20u << 20);
	}
	assert_true(dwarf_heap_bytes(dwarf) > 10u << 20);
	dwarf_close(dwarf);
	image_free(&image);
}

/* Names in a compressed .debug_str of @bytes, nearly all of them zeros. */
static void pack_strings(struct dwarf_image *image, size_t bytes)
{
	Elf64_Chdr header = { .ch_type = 2, .ch_size = bytes, .ch_addralign = 1 }; /* zstd */
	size_t bound = ZSTD_compressBound(bytes), size;
	char *text = calloc(1, bytes), *packed = malloc(bound);

	assert_non_null(text);
	assert_non_null(packed);
	strcpy(text + 1, "packed");
	size = ZSTD_compress(packed, bound, text, bytes, 1);
	assert_false(ZSTD_isError(size));
	strbuf_add(&image->sections[STR], &header, sizeof(header));
	strbuf_add(&image->sections[STR], packed, size);
	free(text);
	free(packed);
}

/* The image once more, its section of strings marked as compressed. */
static struct elf_file *open_packed(struct dwarf_image *image)
{
	struct elf_file *elf;
	Elf64_Ehdr header;
	Elf64_Shdr section;
	size_t at;

	image_elf(image);
	memcpy(&header, image->bytes.text, sizeof(header));
	at = header.e_shoff + (STR + 1) * sizeof(section);
	memcpy(&section, image->bytes.text + at, sizeof(section));
	section.sh_flags |= SHF_COMPRESSED;
	memcpy(image->bytes.text + at, &section, sizeof(section));
	assert_int_equal(elf_file_open_memory(image->bytes.text, image->bytes.len, &elf, NULL), 0);
	return elf;
}

static void check_packed(size_t bytes, const char *answer, size_t bytes_max)
{
	struct dwarf_config config = { .memory = &image_memory };
	struct dwarf_image image;
	struct dwarf *dwarf;

	image_init(&image);
	image_memory.max_bytes = 32u << 20;
	image_abbrev(&image, 1, DW_TAG_compile_unit, true, DW_AT_low_pc, DW_FORM_addr,
		     DW_AT_high_pc, DW_FORM_data8, 0);
	image_abbrev(&image, 2, DW_TAG_subprogram, false, DW_AT_name, DW_FORM_strp, DW_AT_low_pc,
		     DW_FORM_addr, DW_AT_high_pc, DW_FORM_data8, 0);
	put(&image, ABBREV, 0, 1);
	image_unit(&image, 4, 0);
	put_uleb(&image, INFO, 1);
	put_text_range(&image);
	put_uleb(&image, INFO, 2);
	put(&image, INFO, 1, 4);
	put_text_range(&image);
	put(&image, INFO, 0, 1);
	image_end(&image);
	pack_strings(&image, bytes);
	config.elf = open_packed(&image);
	assert_int_equal(dwarf_open(&config, &dwarf), 0);
	assert_string_equal(answer_at(dwarf, IMAGE_TEXT), answer);
	assert_true(dwarf_heap_bytes(dwarf) < bytes_max);
	dwarf_close(dwarf);
	elf_file_close(config.elf);
	image_free(&image);
}

static void test_sections_that_inflate_beyond_measure_are_as_good_as_missing(void **state)
{
	(void)state;
	check_packed(4u << 20, "packed@:0", 5u << 20);
	check_packed(64u << 20, "@:0", 1u << 20);
}

/* ---- names ---------------------------------------------------------------------------------- */

/* The first unit: a function with NESTED calls in each other; the origin of each is at @origins. */
static void put_nested(struct dwarf_image *image, size_t abbrev, const size_t *origins)
{
	unsigned int i;

	begin_unit(image, abbrev);
	put_uleb(image, INFO, 1);
	put_text_range(image);
	put_uleb(image, INFO, 2);
	put_text_range(image);
	for (i = 0; i < NESTED; i++) {
		put_uleb(image, INFO, 3);
		put_text_range(image);
		put(image, INFO, origins[i], 4);
	}
	for (i = 0; i < NESTED + 2; i++)
		put(image, INFO, 0, 1);
	image_end(image);
}

static void put_nested_abbrevs(struct dwarf_image *image)
{
	image_abbrev(image, 1, DW_TAG_compile_unit, true, DW_AT_low_pc, DW_FORM_addr, DW_AT_high_pc,
		     DW_FORM_data8, 0);
	image_abbrev(image, 2, DW_TAG_subprogram, true, DW_AT_low_pc, DW_FORM_addr, DW_AT_high_pc,
		     DW_FORM_data8, 0);
	image_abbrev(image, 3, DW_TAG_inlined_subroutine, true, DW_AT_low_pc, DW_FORM_addr,
		     DW_AT_high_pc, DW_FORM_data8, DW_AT_abstract_origin, DW_FORM_ref_addr, 0);
	image_abbrev(image, 4, DW_TAG_compile_unit, true, 0);
	image_abbrev(image, 5, DW_TAG_subprogram, false, DW_AT_abstract_origin, DW_FORM_ref_addr,
		     0);
	image_abbrev(image, 6, DW_TAG_namespace, true, DW_AT_specification, DW_FORM_ref_addr, 0);
	image_abbrev(image, 7, DW_TAG_namespace, true, 0);
	image_abbrev(image, 8, DW_TAG_subprogram, false, DW_AT_name, DW_FORM_string, 0);
	image_abbrev(image, 9, DW_TAG_base_type, false, 0);
	put(image, ABBREV, 0, 1);
}

#define RING 12 /* units that refer to each other; fewer tables are kept */

/* Units of one function each, whose origin is in the next one; their tables are all different. */
static void test_chains_of_origins_do_not_make_tables_without_end(void **state)
{
	size_t origins[NESTED] = {}, entries[RING] = {}, first = 0;
	struct dwarf_image image;
	unsigned int pass, i;

	(void)state;
	image_init(&image);
	put_filler(&image, 20, 1);
	first = put_at(&image, ABBREV);
	put_filler(&image, 21, 50000);
	put_nested_abbrevs(&image);
	/* The second time around it is known where the entries are. */
	for (pass = 0; pass < 2; pass++) {
		image.sections[INFO].len = 0;
		for (i = 0; i < NESTED; i++)
			origins[i] = entries[i % RING];
		put_nested(&image, 0, origins);
		for (i = 0; i < RING; i++) {
			begin_unit(&image, (i + 1) * first);
			put_uleb(&image, INFO, 4);
			entries[i] = put_at(&image, INFO);
			put_uleb(&image, INFO, 5);
			put(&image, INFO, entries[(i + 1) % RING], 4);
			put(&image, INFO, 0, 1);
			image_end(&image);
		}
	}
	ask_everywhere(&image);
	image_free(&image);
}

/* Namespaces whose declaration is in the next unit, there in another namespace, and so on. */
static void put_scopes(struct dwarf_image *image, size_t inner_of_next, size_t *ret_inner,
		       size_t *ret_function)
{
	unsigned int i;

	begin_unit(image, 0);
	put_uleb(image, INFO, 4);
	put_uleb(image, INFO, 6);
	put(image, INFO, inner_of_next, 4);
	*ret_inner = put_at(image, INFO);
	put_uleb(image, INFO, 7);
	*ret_function = put_at(image, INFO);
	put_uleb(image, INFO, 8);
	put_text(image, INFO, "f");
	put(image, INFO, 0, 2);
	for (i = 0; i < 40000; i++)
		put_uleb(image, INFO, 9);
	put(image, INFO, 0, 1);
	image_end(image);
}

static void test_chains_of_scopes_do_not_walk_without_end(void **state)
{
	size_t origins[NESTED] = {}, inner[RING] = {}, functions[RING] = {};
	struct dwarf_image image;
	unsigned int pass, i;

	(void)state;
	image_init(&image);
	put_nested_abbrevs(&image);
	for (pass = 0; pass < 2; pass++) {
		image.sections[INFO].len = 0;
		for (i = 0; i < NESTED; i++)
			origins[i] = functions[i % RING];
		put_nested(&image, 0, origins);
		for (i = 0; i < RING; i++)
			put_scopes(&image, inner[(i + 1) % RING], &inner[i], &functions[i]);
	}
	ask_everywhere(&image);
	image_free(&image);
}

#define BOUNDED(test) cmocka_unit_test_setup_teardown(test, start_clock, check_clock)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_root_entry_far_behind_in_its_table_is_read),
		BOUNDED(test_many_root_entries_far_behind_do_not_search_anew),
		BOUNDED(test_tables_that_lie_in_each_other_are_not_all_made),
		BOUNDED(test_values_without_bytes_are_not_steps_without_number),
		BOUNDED(test_a_range_list_is_not_read_for_each_function),
		cmocka_unit_test(test_tables_of_abbreviations_are_kept_within_some_megabytes),
		cmocka_unit_test(test_sections_that_inflate_beyond_measure_are_as_good_as_missing),
		BOUNDED(test_chains_of_origins_do_not_make_tables_without_end),
		BOUNDED(test_chains_of_scopes_do_not_walk_without_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
