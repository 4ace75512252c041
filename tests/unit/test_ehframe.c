/* SPDX-License-Identifier: BSD-2-Clause */
/* Entries: their forms, encodings and order.  Instructions: test_ehframe_cfa.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "symbolizer/ehframe.h"
#include "symbolizer/elf.h"
#include "symbolizer/frame_table.h"
#include "tests/unit/cfi_image.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

struct opened_frames {
	struct ehframe_section section;
	struct ehframe *frames;
	struct ehframe_counts counts;
};

static struct opened_frames open_image(struct cfi_image *image)
{
	struct opened_frames opened = { .section = cfi_section(image) };

	free(image);
	assert_int_equal(ehframe_open(&opened.section, &opened.frames), 0);
	ehframe_counts(opened.frames, &opened.counts);
	return opened;
}

static void close_image(struct opened_frames *opened)
{
	ehframe_close(opened->frames);
	free((void *)(uintptr_t)opened->section.bytes);
}

static void check_range(const struct opened_frames *opened, size_t index, uint64_t start,
			uint64_t end)
{
	uint64_t found_start, found_end;

	assert_true(index < ehframe_cnt(opened->frames));
	ehframe_range(opened->frames, index, &found_start, &found_end);
	assert_int_equal(found_start, start);
	assert_int_equal(found_end, end);
}

/* One function of 32 bytes with a push at 1. */
static void add_function(struct cfi_image *image, uint64_t start, uint64_t end)
{
	cfi_fde(image, start, end);
	CFI(image, 0x41, 0x0e, 16, 0x86, 2);
	cfi_end(image);
}

static void check_push(struct opened_frames *opened)
{
	struct frame_builder *builder;
	const struct frame_rule *rule;
	struct frame_table table;
	size_t size, i;
	uint64_t start, end;
	void *bytes;

	assert_int_equal(frame_builder_new(&builder), 0);
	for (i = 0; i < ehframe_cnt(opened->frames); i++)
		assert_int_equal(ehframe_emit(opened->frames, i, builder), 0);
	assert_int_equal(frame_builder_finish(builder, &bytes, &size), 0);
	frame_builder_free(builder);
	assert_int_equal(frame_table_of_bytes(bytes, size, &table), 0);
	for (i = 0; i < ehframe_cnt(opened->frames); i++) {
		ehframe_range(opened->frames, i, &start, &end);
		rule = frame_table_find(&table, start);
		assert_true(rule->cfa == FRAME_SP && rule->cfa_offset == 8);
		assert_int_equal(rule->fp, FRAME_SAME);
		rule = frame_table_find(&table, end - 1);
		assert_true(rule->cfa == FRAME_SP && rule->cfa_offset == 16);
		assert_true(rule->fp == FRAME_AT_CFA && rule->fp_offset == -16);
		assert_int_equal(rule->bx, FRAME_LOST);
	}
	free(bytes);
}

/* ---- forms ---- */

static void test_functions_are_found_in_each_form(void **state)
{
	struct opened_frames opened;
	struct cfi_image *image;
	int form, wide;

	(void)state;
	for (form = EHFRAME_EH; form <= EHFRAME_DEBUG; form++) {
		for (wide = 0; wide < 2; wide++) {
			image = cfi_new((enum ehframe_form)form);
			image->is_64_bits = wide;
			cfi_cie(image, PCREL_SDATA4);
			add_function(image, CFI_CODE, CFI_CODE + 32);
			add_function(image, CFI_CODE + 64, CFI_CODE + 96);
			opened = open_image(image);
			assert_int_equal(ehframe_cnt(opened.frames), 2);
			check_range(&opened, 0, CFI_CODE, CFI_CODE + 32);
			check_range(&opened, 1, CFI_CODE + 64, CFI_CODE + 96);
			assert_int_equal(opened.counts.corrupt, 0);
			check_push(&opened);
			close_image(&opened);
		}
	}
}

static void test_pointers_are_read_in_each_encoding(void **state)
{
	static const uint8_t known[] = { 0x00, 0x01, 0x03, 0x04, 0x09, 0x0b, 0x0c,
					 0x10, 0x13, 0x14, 0x1b, 0x1c, 0x50 };
	struct opened_frames opened;
	struct cfi_image *image;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(known); i++) {
		image = cfi_new(EHFRAME_EH);
		cfi_cie(image, known[i]);
		add_function(image, CFI_CODE + 0x1000, CFI_CODE + 0x1020);
		opened = open_image(image);
		if (ehframe_cnt(opened.frames) != 1)
			fail_msg("encoding %#x", known[i]);
		check_range(&opened, 0, CFI_CODE + 0x1000, CFI_CODE + 0x1020);
		check_push(&opened);
		close_image(&opened);
	}
}

static void test_pointers_of_two_bytes_are_read(void **state)
{
	static const struct elf_segment low = { .vaddr = 0, .memsz = 65536, .executable = true };
	static const uint8_t known[] = { 0x02, 0x0a, 0x12, 0x1a };
	struct ehframe_section section;
	struct cfi_image *image;
	struct ehframe *frames;
	uint64_t start, end;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(known); i++) {
		image = cfi_new(EHFRAME_EH);
		cfi_cie(image, known[i]);
		add_function(image, 0x3000, 0x3020);
		section = cfi_section(image);
		section.segments = &low;
		section.segment_cnt = 1;
		assert_int_equal(ehframe_open(&section, &frames), 0);
		assert_int_equal(ehframe_cnt(frames), 1);
		ehframe_range(frames, 0, &start, &end);
		assert_int_equal(start, 0x3000);
		assert_int_equal(end, 0x3020);
		ehframe_close(frames);
		free((void *)(uintptr_t)section.bytes);
		free(image);
	}
}

static void test_other_encodings_are_refused_and_counted(void **state)
{
	/* text-, data-, function-relative; indirect; unknown forms; none at all */
	static const uint8_t refused[] = { 0x2b, 0x3b, 0x4b, 0x6b, 0x9b, 0x05, 0x0f, 0xff };
	struct opened_frames opened;
	struct cfi_image *image;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(refused); i++) {
		image = cfi_new(EHFRAME_EH);
		cfi_cie(image, refused[i]);
		add_function(image, CFI_CODE, CFI_CODE + 32);
		opened = open_image(image);
		assert_int_equal(ehframe_cnt(opened.frames), 0);
		assert_int_equal(opened.counts.corrupt, 1);
		close_image(&opened);
	}
}

static void test_versions_one_three_and_four_are_known(void **state)
{
	struct opened_frames opened;
	struct cfi_image *image;
	uint8_t version;
	bool known;

	(void)state;
	for (version = 0; version < 7; version++) {
		known = version == 1 || version == 3 || version == 4;
		image = cfi_new(EHFRAME_DEBUG);
		cfi_cie_header(image, version, "");
		CFI(image, 0x0c, 7, 8, 0x90, 1);
		cfi_end(image);
		add_function(image, CFI_CODE, CFI_CODE + 32);
		opened = open_image(image);
		assert_int_equal(ehframe_cnt(opened.frames), known);
		assert_int_equal(opened.counts.corrupt, !known);
		check_push(&opened);
		close_image(&opened);
	}
}

static void test_addresses_of_other_sizes_are_refused(void **state)
{
	struct opened_frames opened;
	struct cfi_image *image;

	(void)state;
	image = cfi_new(EHFRAME_DEBUG);
	cfi_cie_header(image, 4, "");
	assert_int_equal(image->bytes[image->size - 5], 8);
	image->bytes[image->size - 5] = 4;
	CFI(image, 0x0c, 7, 8, 0x90, 1);
	cfi_end(image);
	add_function(image, CFI_CODE, CFI_CODE + 32);
	opened = open_image(image);
	assert_int_equal(ehframe_cnt(opened.frames), 0);
	assert_int_equal(opened.counts.corrupt, 1);
	close_image(&opened);
}

/* ---- augmentations ---- */

static struct opened_frames open_augmented(const char *augmentation, const uint8_t *data,
					   size_t size, uint8_t encoding)
{
	struct cfi_image *image = cfi_new(EHFRAME_EH);

	cfi_cie_header(image, 1, augmentation);
	if (image->has_data) {
		cfi_uleb(image, size);
		cfi_bytes(image, data, size);
	}
	image->encoding = encoding;
	CFI(image, 0x0c, 7, 8, 0x90, 1);
	cfi_end(image);
	add_function(image, CFI_CODE, CFI_CODE + 32);
	return open_image(image);
}

static void test_augmentations_that_are_known_are_read(void **state)
{
	/* The personality is indirect and relative: it is skipped by its size. */
	static const uint8_t all[] = { 0x9b, 1, 2, 3, 4, 0x1b, 0x1b };
	static const uint8_t no_personality[] = { 0xff, 0x1b };
	static const uint8_t beyond[] = { 0x1b, 0x77, 0x77 };
	const struct {
		const char *augmentation;
		const uint8_t *data;
		size_t size;
		uint8_t encoding;
	} cases[] = {
		{ "", NULL, 0, 0 },
		{ "eh", NULL, 0, 0 },
		{ "z", NULL, 0, 0 },
		{ "zPLRSB", all, sizeof(all), 0x1b },
		{ "zPR", no_personality, sizeof(no_personality), 0x1b },
		{ "zR", beyond, sizeof(beyond), 0x1b }, /* more data than letters */
	};
	struct opened_frames opened;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		opened = open_augmented(cases[i].augmentation, cases[i].data, cases[i].size,
					cases[i].encoding);
		if (ehframe_cnt(opened.frames) != 1)
			fail_msg("augmentation \"%s\"", cases[i].augmentation);
		check_push(&opened);
		close_image(&opened);
	}
}

static void test_unknown_augmentations_are_refused_and_counted(void **state)
{
	static const char *const unknown[] = { "zQ", "zRQ", "armcc+", "R", "mz" };
	static const uint8_t data[] = { 0x1b, 0 };
	struct opened_frames opened;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(unknown); i++) {
		opened = open_augmented(unknown[i], data, sizeof(data), 0x1b);
		assert_int_equal(ehframe_cnt(opened.frames), 0);
		assert_int_equal(opened.counts.corrupt, 1);
		close_image(&opened);
	}
}

static void test_data_that_letters_reach_beyond_is_refused(void **state)
{
	static const uint8_t data[] = { 0x9b, 1, 2 };
	struct opened_frames opened = open_augmented("zPR", data, sizeof(data), 0x1b);

	(void)state;
	assert_int_equal(ehframe_cnt(opened.frames), 0);
	close_image(&opened);
}

/* ---- order ---- */

static void test_a_cie_may_stand_behind_its_functions(void **state)
{
	struct cfi_image *image = cfi_new(EHFRAME_DEBUG);
	struct opened_frames opened;

	(void)state;
	image->cie = 4 + 4 + 16 + 5; /* length, id, range, instructions */
	add_function(image, CFI_CODE, CFI_CODE + 32);
	assert_int_equal(image->size, image->cie);
	cfi_cie(image, 0);
	opened = open_image(image);
	assert_int_equal(ehframe_cnt(opened.frames), 1);
	check_push(&opened);
	close_image(&opened);
}

static void test_what_is_no_entry_is_no_cie(void **state)
{
	struct cfi_image *image = cfi_new(EHFRAME_DEBUG);
	struct opened_frames opened;

	(void)state;
	cfi_cie(image, 0);
	image->cie += 1;
	add_function(image, CFI_CODE, CFI_CODE + 32);
	image->cie = 0x7fffffff;
	add_function(image, CFI_CODE + 32, CFI_CODE + 64);
	opened = open_image(image);
	assert_int_equal(ehframe_cnt(opened.frames), 0);
	assert_int_equal(opened.counts.corrupt, 2);
	close_image(&opened);
}

static void test_functions_come_sorted(void **state)
{
	struct cfi_image *image = cfi_new(EHFRAME_EH);
	struct opened_frames opened;
	uint64_t start, end, last = 0;
	size_t i;

	(void)state;
	cfi_cie(image, PCREL_SDATA4);
	for (i = 0; i < 1000; i++) {
		start = CFI_CODE + i * 7919 % 1000 * 1000;
		add_function(image, start, start + 900);
	}
	opened = open_image(image);
	assert_int_equal(ehframe_cnt(opened.frames), 1000);
	for (i = 0; i < 1000; i++) {
		ehframe_range(opened.frames, i, &start, &end);
		assert_true(start == CFI_CODE + i * 1000 && end == start + 900 && start >= last);
		last = end;
	}
	check_push(&opened);
	close_image(&opened);
}

static void test_the_function_that_begins_later_wins(void **state)
{
	struct cfi_image *image = cfi_new(EHFRAME_EH);
	struct opened_frames opened;

	(void)state;
	cfi_cie(image, PCREL_SDATA4);
	add_function(image, CFI_CODE, CFI_CODE + 0x1000);
	add_function(image, CFI_CODE + 0x100, CFI_CODE + 0x200);
	add_function(image, CFI_CODE + 0x300, CFI_CODE + 0x400);
	add_function(image, CFI_CODE + 0x300, CFI_CODE + 0x500);
	opened = open_image(image);
	assert_int_equal(ehframe_cnt(opened.frames), 3);
	check_range(&opened, 0, CFI_CODE, CFI_CODE + 0x100);
	check_range(&opened, 1, CFI_CODE + 0x100, CFI_CODE + 0x200);
	check_range(&opened, 2, CFI_CODE + 0x300, CFI_CODE + 0x400);
	assert_int_equal(opened.counts.overlapping, 1);
	close_image(&opened);
}

static void test_discarded_functions_are_left_out(void **state)
{
	const uint64_t code_end = CFI_CODE + CFI_CODE_BYTES;
	struct cfi_image *image = cfi_new(EHFRAME_EH);
	struct opened_frames opened;

	(void)state;
	cfi_cie(image, PCREL_SDATA4);
	add_function(image, 0x100, 0x200); /* a segment that is not executable */
	add_function(image, code_end, code_end + 16);
	add_function(image, CFI_CODE - 1, CFI_CODE + 16);
	add_function(image, code_end - 16, code_end + 16);
	add_function(image, CFI_CODE + 0x100, CFI_CODE + 0x100); /* of no bytes */
	opened = open_image(image);
	assert_int_equal(ehframe_cnt(opened.frames), 1);
	check_range(&opened, 0, code_end - 16, code_end);
	assert_int_equal(opened.counts.discarded, 3);
	assert_int_equal(opened.counts.corrupt, 0);
	close_image(&opened);
}

/* Linkers write 0 where the pointer stood, and with it being relative that is some address. */
static void test_a_pointer_of_nothing_is_a_discarded_function(void **state)
{
	struct cfi_image *image = cfi_new(EHFRAME_EH);
	static const struct elf_segment all = { .memsz = 1 << 30, .executable = true };
	struct ehframe_counts counts;
	struct ehframe_section section;
	struct ehframe *frames;

	(void)state;
	cfi_cie(image, PCREL_SDATA4);
	add_function(image, CFI_ADDRESS + image->size + 8, CFI_ADDRESS + image->size + 40);
	section = cfi_section(image);
	section.segments = &all;
	section.segment_cnt = 1;
	assert_int_equal(ehframe_open(&section, &frames), 0);
	ehframe_counts(frames, &counts);
	assert_int_equal(counts.discarded, 1);
	assert_int_equal(ehframe_cnt(frames), 0);
	ehframe_close(frames);
	free((void *)(uintptr_t)section.bytes);
	free(image);
}

static void test_a_terminator_ends_only_what_has_no_size(void **state)
{
	struct cfi_image *image = cfi_new(EHFRAME_EH);
	struct ehframe_section section;
	struct ehframe *frames;
	int ends;

	(void)state;
	cfi_cie(image, PCREL_SDATA4);
	add_function(image, CFI_CODE, CFI_CODE + 32);
	CFI(image, 0, 0, 0, 0);
	add_function(image, CFI_CODE + 32, CFI_CODE + 64);
	section = cfi_section(image);
	for (ends = 0; ends < 2; ends++) {
		section.ends_at_terminator = ends;
		assert_int_equal(ehframe_open(&section, &frames), 0);
		assert_int_equal(ehframe_cnt(frames), 2 - ends);
		ehframe_close(frames);
	}
	free((void *)(uintptr_t)section.bytes);
	free(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_functions_are_found_in_each_form),
		cmocka_unit_test(test_pointers_are_read_in_each_encoding),
		cmocka_unit_test(test_pointers_of_two_bytes_are_read),
		cmocka_unit_test(test_other_encodings_are_refused_and_counted),
		cmocka_unit_test(test_versions_one_three_and_four_are_known),
		cmocka_unit_test(test_addresses_of_other_sizes_are_refused),
		cmocka_unit_test(test_augmentations_that_are_known_are_read),
		cmocka_unit_test(test_unknown_augmentations_are_refused_and_counted),
		cmocka_unit_test(test_data_that_letters_reach_beyond_is_refused),
		cmocka_unit_test(test_a_cie_may_stand_behind_its_functions),
		cmocka_unit_test(test_what_is_no_entry_is_no_cie),
		cmocka_unit_test(test_functions_come_sorted),
		cmocka_unit_test(test_the_function_that_begins_later_wins),
		cmocka_unit_test(test_discarded_functions_are_left_out),
		cmocka_unit_test(test_a_pointer_of_nothing_is_a_discarded_function),
		cmocka_unit_test(test_a_terminator_ends_only_what_has_no_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
