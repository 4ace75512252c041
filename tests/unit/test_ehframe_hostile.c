/* SPDX-License-Identifier: BSD-2-Clause */
/* Call frame information of those who wish us ill: bounded work, no read beyond the bytes. */
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
#include "tests/unit/fail_malloc.h"

static void add_function(struct cfi_image *image, uint64_t start, uint64_t end)
{
	cfi_fde(image, start, end);
	CFI(image, 0x41, 0x0e, 16, 0x86, 2);
	cfi_end(image);
}

static struct cfi_image *mixed_image(enum ehframe_form form)
{
	struct cfi_image *image = cfi_new(form);
	int i;

	cfi_cie(image, PCREL_SDATA4);
	for (i = 0; i < 4; i++)
		add_function(image, CFI_CODE + (4 - i) * 100, CFI_CODE + (4 - i) * 100 + 90);
	cfi_fde(image, CFI_CODE, CFI_CODE + 90);
	CFI(image, 0x41, 0x0a, 0x0f, 3, 0x77, 8, 0x06, 0x42, 0x0b, 0x10, 6, 2, 0x76, 0, 0x43, 0x07,
	    16, 0x02, 7, 0x0d, 6, 0x2e, 0x20, 0xc6);
	cfi_end(image);
	return image;
}

static void emit_all(const struct ehframe_section *section)
{
	struct frame_builder *builder;
	struct ehframe *frames;
	size_t i;

	if (ehframe_open(section, &frames))
		return;
	assert_int_equal(frame_builder_new(&builder), 0);
	ehframe_track_bx(frames);
	for (i = 0; i < ehframe_cnt(frames); i++)
		assert_int_equal(ehframe_emit(frames, i, builder), 0);
	frame_builder_free(builder);
	ehframe_close(frames);
}

static void test_a_section_cut_anywhere_is_read_as_far_as_it_is_whole(void **state)
{
	struct cfi_image *image;
	struct ehframe_section section;
	size_t size, whole;
	int form;

	(void)state;
	for (form = EHFRAME_EH; form <= EHFRAME_DEBUG; form++) {
		image = mixed_image((enum ehframe_form)form);
		whole = image->size;
		for (size = 0; size <= whole; size++) {
			image->size = size;
			section = cfi_section(image);
			emit_all(&section);
			free((void *)(uintptr_t)section.bytes);
		}
		free(image);
	}
}

static void test_flipped_bits_do_no_harm(void **state)
{
	struct ehframe_section section;
	struct cfi_image *image;
	size_t bit;
	int form;

	(void)state;
	for (form = EHFRAME_EH; form <= EHFRAME_DEBUG; form++) {
		image = mixed_image((enum ehframe_form)form);
		for (bit = 0; bit < image->size * 8; bit++) {
			image->bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			section = cfi_section(image);
			emit_all(&section);
			free((void *)(uintptr_t)section.bytes);
			image->bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		free(image);
	}
}

static void test_a_section_too_large_is_refused(void **state)
{
	struct ehframe_section section = { .bytes = (const uint8_t *)"",
					   .size = EHFRAME_BYTES_MAX + 1ull };
	struct ehframe *frames;

	(void)state;
	assert_int_equal(ehframe_open(&section, &frames), -EFBIG);
}

static void test_too_many_functions_are_refused(void **state)
{
	const size_t cnt = EHFRAME_FUNCTIONS_MAX + 1, bytes = 12;
	struct cfi_image *image = cfi_new(EHFRAME_EH);
	struct ehframe_section section = { .size = 64 + cnt * bytes };
	uint8_t *all = calloc(1, section.size);
	struct ehframe *frames;
	uint32_t id, length = 8;
	size_t i, at;

	(void)state;
	cfi_cie(image, 0x03);
	memcpy(all, image->bytes, image->size);
	at = image->size;
	for (i = 0; i < cnt; i++, at += bytes) {
		id = (uint32_t)at + 4;
		memcpy(all + at, &length, 4);
		memcpy(all + at + 4, &id, 4);
	}
	section.bytes = all;
	assert_int_equal(ehframe_open(&section, &frames), -EFBIG);
	free(all);
	free(image);
}

/* ---- work ---- */

/* The rows of one function, made of @bytes over and over. */
static uint64_t rows_of_many(uint64_t code_bytes, const uint8_t *bytes, size_t size, size_t times,
			     struct ehframe_counts *ret)
{
	struct elf_segment segment = { .vaddr = CFI_CODE, .memsz = code_bytes, .executable = true };
	struct cfi_image *image = cfi_new(EHFRAME_EH);
	struct ehframe_section section;
	struct frame_builder_counts counts;
	struct frame_builder *builder;
	struct ehframe *frames;
	uint32_t length;
	uint8_t *all;
	size_t i;

	cfi_cie(image, PCREL_SDATA4);
	cfi_fde(image, CFI_CODE, CFI_CODE + code_bytes);
	section = cfi_section(image);
	free((void *)(uintptr_t)section.bytes);
	section.segments = &segment;
	section.segment_cnt = 1;
	section.size = image->size + size * times;
	all = malloc(section.size);
	memcpy(all, image->bytes, image->size);
	for (i = 0; i < times; i++)
		memcpy(all + image->size + i * size, bytes, size);
	length = (uint32_t)(section.size - image->entry - 4);
	memcpy(all + image->entry, &length, sizeof(length));
	section.bytes = all;
	assert_int_equal(ehframe_open(&section, &frames), 0);
	assert_int_equal(ehframe_cnt(frames), 1);
	assert_int_equal(frame_builder_new(&builder), 0);
	assert_int_equal(ehframe_emit(frames, 0, builder), 0);
	ehframe_counts(frames, ret);
	frame_builder_counts(builder, &counts);
	frame_builder_free(builder);
	ehframe_close(frames);
	free(all);
	free(image);
	return counts.rows_met;
}

static void test_advancing_by_nothing_makes_no_rows(void **state)
{
	static const uint8_t none[] = { 0x40, 0x02, 0, 0x0e, 16, 0x40, 0x0e, 24 };
	struct ehframe_counts counts;

	(void)state;
	assert_int_equal(rows_of_many(1000, none, sizeof(none), 1000000, &counts), 1);
	assert_int_equal(counts.corrupt, 0);
}

static void test_a_huge_advance_ends_the_function(void **state)
{
	static const uint8_t far[] = { 0x04, 0xff, 0xff, 0xff, 0xff, 0x0e, 16 };
	struct ehframe_counts counts;

	(void)state;
	assert_int_equal(rows_of_many(0x7fffffff, far, sizeof(far), 1000000, &counts), 1);
	assert_int_equal(counts.corrupt, 0);
}

static void test_remembering_without_end_is_corrupt(void **state)
{
	static const uint8_t remember[] = { 0x0a };
	static const uint8_t both[] = { 0x0a, 0x0b };
	struct ehframe_counts counts;

	(void)state;
	assert_int_equal(rows_of_many(1000, remember, 1, 10000000, &counts), 1);
	assert_int_equal(counts.corrupt, 1);
	assert_int_equal(rows_of_many(1000, both, 2, 5000000, &counts), 1);
	assert_int_equal(counts.corrupt, 0);
}

static void test_five_million_rows_are_read(void **state)
{
	static const uint8_t rows[] = { 0x41, 0x0e, 16, 0x41, 0x0e, 8 };
	struct ehframe_counts counts;

	(void)state;
	assert_int_equal(rows_of_many(10000000, rows, sizeof(rows), 2500000, &counts), 5000001);
	assert_int_equal(counts.corrupt, 0);
}

static void test_memory_that_is_out_is_reported(void **state)
{
	struct cfi_image *image = mixed_image(EHFRAME_EH);
	struct ehframe_section section = cfi_section(image);
	struct ehframe *frames;
	long n;
	int ret;

	(void)state;
	for (n = 1;; n++) {
		fail_malloc_at(n);
		ret = ehframe_open(&section, &frames);
		if (!ret)
			ehframe_close(frames);
		if (!fail_malloc_hit())
			break;
		assert_int_equal(ret, -ENOMEM);
	}
	assert_int_equal(ret, 0);
	assert_int_equal(n, 5); /* itself, CIEs, functions, sorting */
	free((void *)(uintptr_t)section.bytes);
	free(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_section_cut_anywhere_is_read_as_far_as_it_is_whole),
		cmocka_unit_test(test_flipped_bits_do_no_harm),
		cmocka_unit_test(test_a_section_too_large_is_refused),
		cmocka_unit_test(test_too_many_functions_are_refused),
		cmocka_unit_test(test_advancing_by_nothing_makes_no_rows),
		cmocka_unit_test(test_a_huge_advance_ends_the_function),
		cmocka_unit_test(test_remembering_without_end_is_corrupt),
		cmocka_unit_test(test_five_million_rows_are_read),
		cmocka_unit_test(test_memory_that_is_out_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
