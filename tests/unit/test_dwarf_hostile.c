/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DWARF cut at every byte and with every byte changed.  It is read through a descriptor, so that
 * each piece of it is an allocation of its own, beyond which sanitizers let nobody read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sys/mman.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/dwarf_constants.h"
#include "symbolizer/elf.h"
#include "tests/unit/dwarf_image.h"

#define DW_TAG_compile_unit 0x11
#define SECOND 0x9000u /* where the code of the second unit is */
#define ANSWER "inner@:0 < outer@:7"

/* ---- samples: two units, each of a function with an inlined call ----------------------------- */

/* In DWARF 2 and 3 DW_AT_high_pc is an address, and offsets are of the form of numbers. */
static void put_end(struct dwarf_image *image, unsigned int version, uint64_t text, uint64_t bytes)
{
	put(image, INFO, version < 4 ? text + bytes : bytes, 8);
}

static void put_unit_4(struct dwarf_image *image, unsigned int version, uint64_t text)
{
	size_t inner;

	image_unit(image, version, 0);
	put_uleb(image, INFO, 1);
	put(image, INFO, text, 8);
	put_end(image, version, text, 0x100);
	inner = put_at(image, INFO) - image->unit;
	put_uleb(image, INFO, 2);
	put_text(image, INFO, "inner");
	put_uleb(image, INFO, 3);
	put(image, INFO, 1, 4); /* in .debug_str */
	put(image, INFO, text, 8);
	put_end(image, version, text, 0x80);
	put_uleb(image, INFO, 4);
	put(image, INFO, inner, 4);
	put(image, INFO, put_at(image, RANGES), 4);
	put(image, INFO, 7, 1);
	put(image, INFO, 0, 2);
	image_end(image);
	put(image, RANGES, 0x10, 8);
	put(image, RANGES, 0x20, 8);
	put(image, RANGES, 0, 8);
	put(image, RANGES, 0, 8);
}

static void make_sample_4(struct dwarf_image *image, unsigned int version)
{
	unsigned int end = version < 4 ? DW_FORM_addr : DW_FORM_data8;
	unsigned int offset = version < 4 ? DW_FORM_data4 : DW_FORM_sec_offset;

	image_abbrev(image, 1, DW_TAG_compile_unit, true, DW_AT_low_pc, DW_FORM_addr, DW_AT_high_pc,
		     end, 0);
	image_abbrev(image, 2, DW_TAG_subprogram, false, DW_AT_name, DW_FORM_string, 0);
	image_abbrev(image, 3, DW_TAG_subprogram, true, DW_AT_name, DW_FORM_strp, DW_AT_low_pc,
		     DW_FORM_addr, DW_AT_high_pc, end, 0);
	image_abbrev(image, 4, DW_TAG_inlined_subroutine, false, DW_AT_abstract_origin,
		     DW_FORM_ref4, DW_AT_ranges, offset, DW_AT_call_line, DW_FORM_data1, 0);
	put(image, ABBREV, 0, 1);
	put_text(image, STR, "");
	put_text(image, STR, "outer");
	put_unit_4(image, version, IMAGE_TEXT);
	put_unit_4(image, version, SECOND);
}

static void put_unit_5(struct dwarf_image *image, unsigned int address)
{
	size_t inner;

	image_unit(image, 5, DW_UT_compile);
	put_uleb(image, INFO, 1);
	put(image, INFO, 8, 4);
	put(image, INFO, 8, 4);
	put(image, INFO, 12, 4);
	put_uleb(image, INFO, address);
	put(image, INFO, 0x100, 2);
	inner = put_at(image, INFO) - image->unit;
	put_uleb(image, INFO, 2);
	put(image, INFO, 0, 1);
	put_uleb(image, INFO, 3);
	put(image, INFO, 1, 1);
	put_uleb(image, INFO, address);
	put(image, INFO, 0x80, 2);
	put_uleb(image, INFO, 4);
	put(image, INFO, inner, 4);
	put_uleb(image, INFO, address);
	put(image, INFO, 7, 1);
	put(image, INFO, 0, 2);
	image_end(image);
}

/* Range lists: of the first unit by an offset, of the second one by an index of addresses. */
static void put_tables_5(struct dwarf_image *image)
{
	put(image, STR_OFFSETS, 12, 4);
	put(image, STR_OFFSETS, 5, 4);
	put(image, STR_OFFSETS, 0, 4);
	put(image, STR_OFFSETS, 6, 4);
	put_text(image, STR, "inner");
	put_text(image, STR, "outer");
	put(image, ADDR, 20, 4);
	put(image, ADDR, 5, 2);
	put(image, ADDR, 8, 2);
	put(image, ADDR, IMAGE_TEXT, 8);
	put(image, ADDR, SECOND, 8);
	put(image, RNGLISTS, 25, 4);
	put(image, RNGLISTS, 5, 2);
	put(image, RNGLISTS, 8, 2);
	put(image, RNGLISTS, 2, 4);
	put(image, RNGLISTS, 8, 4);
	put(image, RNGLISTS, 12, 4);
	put(image, RNGLISTS, DW_RLE_offset_pair, 1);
	put_uleb(image, RNGLISTS, 0x10);
	put_uleb(image, RNGLISTS, 0x20);
	put(image, RNGLISTS, DW_RLE_end_of_list, 1);
	put(image, RNGLISTS, DW_RLE_startx_length, 1);
	put_uleb(image, RNGLISTS, 1);
	put_uleb(image, RNGLISTS, 0x20);
	put(image, RNGLISTS, DW_RLE_end_of_list, 1);
}

static void make_sample_5(struct dwarf_image *image)
{
	image_abbrev(image, 1, DW_TAG_compile_unit, true, DW_AT_str_offsets_base,
		     DW_FORM_sec_offset, DW_AT_addr_base, DW_FORM_sec_offset, DW_AT_rnglists_base,
		     DW_FORM_sec_offset, DW_AT_low_pc, DW_FORM_addrx, DW_AT_high_pc, DW_FORM_data2,
		     0);
	image_abbrev(image, 2, DW_TAG_subprogram, false, DW_AT_name, DW_FORM_strx1, 0);
	image_abbrev(image, 3, DW_TAG_subprogram, true, DW_AT_name, DW_FORM_strx1, DW_AT_low_pc,
		     DW_FORM_addrx, DW_AT_high_pc, DW_FORM_data2, 0);
	image_abbrev(image, 4, DW_TAG_inlined_subroutine, false, DW_AT_abstract_origin,
		     DW_FORM_ref4, DW_AT_ranges, DW_FORM_rnglistx, DW_AT_call_line, DW_FORM_data1,
		     0);
	put(image, ABBREV, 0, 1);
	put_tables_5(image);
	put_unit_5(image, 0);
	put_unit_5(image, 1);
}

static void make_sample(struct dwarf_image *image, unsigned int version)
{
	image_init(image);
	if (version >= 5)
		make_sample_5(image);
	else
		make_sample_4(image, version);
}

/* ---- reading -------------------------------------------------------------------------------- */

struct answers {
	bool opened, first, second; /* they are whole */
};

/* Whoever asks: nothing stays behind, and an answer that is not whole is one all the same. */
static struct answers ask(struct dwarf_image *image)
{
	struct elf_file *in_memory = image_elf(image), *elf;
	struct dwarf_config config = { .memory = &image_memory };
	_cleanup_close_ int fd = memfd_create("image", MFD_CLOEXEC);
	struct answers answers = {};
	struct dwarf *dwarf;
	uint64_t address;

	assert_non_null(in_memory);
	assert_int_equal(write(fd, image->bytes.text, image->bytes.len), (ssize_t)image->bytes.len);
	assert_int_equal(elf_file_open(fd, &elf, NULL), 0);
	config.elf = elf;
	if (!dwarf_open(&config, &dwarf)) {
		answers.opened = true;
		answers.first = !strcmp(answer_at(dwarf, IMAGE_TEXT + 0x18), ANSWER);
		answers.second = !strcmp(answer_at(dwarf, SECOND + 0x18), ANSWER);
		for (address = IMAGE_TEXT; address < IMAGE_TEXT + IMAGE_TEXT_BYTES; address += 0x7f)
			answer_at(dwarf, address);
		dwarf_close(dwarf);
	}
	assert_int_equal(image_memory.bytes, 0);
	elf_file_close(elf);
	return answers;
}

static void test_samples_are_whole(void **state)
{
	unsigned int version;

	(void)state;
	for (version = 2; version <= 5; version++) {
		struct dwarf_image image;
		struct answers answers;

		make_sample(&image, version);
		answers = ask(&image);
		assert_true(answers.opened && answers.first && answers.second);
		image_free(&image);
	}
}

/* How many of the cuts left the first unit's answer whole; @ret_last: without the last byte. */
static size_t cut_everywhere(unsigned int version, enum image_section section, size_t *ret_size,
			     struct answers *ret_last)
{
	size_t cut, size, whole = 0;

	for (cut = 0, size = 1; cut < size; cut++) {
		struct dwarf_image image;

		make_sample(&image, version);
		size = put_at(&image, section);
		if (size)
			image.sections[section].len = cut;
		*ret_last = ask(&image);
		whole += ret_last->first;
		image_free(&image);
	}
	*ret_size = size;
	return whole;
}

static void test_info_cut_at_any_byte_keeps_the_units_before(void **state)
{
	unsigned int version;

	(void)state;
	for (version = 2; version <= 5; version++) {
		struct answers last;
		size_t size, whole = cut_everywhere(version, INFO, &size, &last);

		/* Both units are of one size: the first one is there in half of the cuts. */
		assert_int_equal(whole, size / 2);
		assert_true(last.opened && last.first && !last.second);
	}
}

static void test_tables_cut_at_any_byte_lose_what_was_there(void **state)
{
	static const enum image_section sections[] = { ABBREV, STR,	 ADDR,
						       RANGES, RNGLISTS, STR_OFFSETS };
	unsigned int version;
	size_t i, size, whole, used = 0;

	(void)state;
	for (version = 2; version <= 5; version++) {
		for (i = 0; i < ARRAY_SIZE(sections); i++) {
			/* Lists count up to where they break: only their end is cut off last. */
			bool is_list = sections[i] == RANGES || sections[i] == RNGLISTS;
			struct answers last;

			whole = cut_everywhere(version, sections[i], &size, &last);
			if (!size)
				continue; /* this version has no such table */
			assert_true(last.opened);
			assert_true(whole < size);
			assert_int_equal(last.second, is_list);
			used++;
		}
	}
	assert_int_equal(used, 3 * 3 + 5);
}

/* ---- changed bytes -------------------------------------------------------------------------- */

/* The answers with @mask laid over the byte at @at. */
static struct answers ask_changed(unsigned int version, enum image_section section, size_t at,
				  uint8_t mask)
{
	struct dwarf_image image;
	struct answers answers;

	make_sample(&image, version);
	image.sections[section].text[at] = (char)(image.sections[section].text[at] ^ mask);
	answers = ask(&image);
	image_free(&image);
	return answers;
}

static void change_everywhere(unsigned int version, enum image_section section)
{
	static const uint8_t masks[] = { 0x01, 0x02, 0x04, 0x20, 0x7f, 0x80, 0xff };
	struct dwarf_image image;
	size_t at, size, i;

	make_sample(&image, version);
	size = put_at(&image, section);
	image_free(&image);
	for (at = 0; at < size; at++) {
		for (i = 0; i < ARRAY_SIZE(masks); i++) {
			struct answers answers = ask_changed(version, section, at, masks[i]);

			assert_true(answers.opened);
			/* What stands in the second unit is nothing to the first one. */
			if (section == INFO && at >= size / 2 && masks[i] != 0x80)
				assert_true(answers.first);
		}
	}
}

static void test_a_changed_byte_of_a_unit_harms_that_unit_alone(void **state)
{
	unsigned int version;

	(void)state;
	for (version = 2; version <= 5; version++)
		change_everywhere(version, INFO);
}

static void test_any_changed_byte_of_a_table_is_survived(void **state)
{
	unsigned int version;

	(void)state;
	for (version = 2; version <= 5; version++) {
		change_everywhere(version, ABBREV);
		change_everywhere(version, RANGES);
		change_everywhere(version, RNGLISTS);
		change_everywhere(version, ADDR);
		change_everywhere(version, STR_OFFSETS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples_are_whole),
		cmocka_unit_test(test_info_cut_at_any_byte_keeps_the_units_before),
		cmocka_unit_test(test_tables_cut_at_any_byte_lose_what_was_there),
		cmocka_unit_test(test_a_changed_byte_of_a_unit_harms_that_unit_alone),
		cmocka_unit_test(test_any_changed_byte_of_a_table_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
