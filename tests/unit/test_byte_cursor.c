/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "symbolizer/byte_cursor.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* A cursor over a copy of exactly this size, so that the sanitizer sees a read beyond it. */
static struct byte_cursor cursor_over(const void *bytes, size_t size, void **ret_copy)
{
	*ret_copy = malloc(size + !size);
	memcpy(*ret_copy, bytes, size);
	return byte_cursor(*ret_copy, size);
}

static void check_failed(const struct byte_cursor *cursor)
{
	assert_true(cursor->failed);
	assert_int_equal(bytes_left(cursor), 0);
}

static void test_numbers_are_little_endian(void **state)
{
	const uint8_t bytes[] = { 1,  2,  3,  4,  5,  6,  7,	8,    9,
				  10, 11, 12, 13, 14, 15, 0xff, 0xfe, 0xfd };
	struct byte_cursor cursor = byte_cursor(bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(read_u8(&cursor), 1);
	assert_int_equal(read_u16(&cursor), 0x0302);
	assert_int_equal(read_u32(&cursor), 0x07060504);
	assert_int_equal(read_u64(&cursor), 0x0f0e0d0c0b0a0908);
	assert_int_equal(bytes_left(&cursor), 3);
	assert_int_equal(read_bytes(&cursor, 3), 0xfdfeff);
	assert_int_equal(read_bytes(&cursor, 0), 0);
	assert_false(cursor.failed);
	assert_int_equal(bytes_left(&cursor), 0);
}

static void test_a_read_past_the_end_gives_zero_and_ends(void **state)
{
	unsigned int size, want;
	struct byte_cursor cursor;
	void *copy;

	(void)state;
	for (size = 0; size < 8; size++) {
		for (want = size + 1; want <= 8; want++) {
			cursor = cursor_over("\1\1\1\1\1\1\1\1", size, &copy);
			assert_int_equal(read_bytes(&cursor, want), 0);
			check_failed(&cursor);
			/* It stays so, also where nothing is asked for. */
			assert_int_equal(read_bytes(&cursor, 0), 0);
			assert_int_equal(read_uleb128(&cursor), 0);
			check_failed(&cursor);
			free(copy);
		}
	}
}

static void test_skipping_ends_at_the_end(void **state)
{
	struct byte_cursor cursor = byte_cursor("abcd", 4);

	(void)state;
	skip_bytes(&cursor, 3);
	assert_int_equal(read_u8(&cursor), 'd');
	skip_bytes(&cursor, 0);
	assert_false(cursor.failed);
	skip_bytes(&cursor, 1);
	check_failed(&cursor);
	cursor = byte_cursor("abcd", 4);
	skip_bytes(&cursor, UINT64_MAX); /* does not wrap around */
	check_failed(&cursor);
}

/* Examples of DWARF 5 section 7.6, and the ends of 64 bits. */
static void test_leb128_is_what_the_standard_says(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
		uint64_t as_unsigned;
		int64_t as_signed;
	} cases[] = {
		{ "\x00", 1, 0, 0 },
		{ "\x02", 1, 2, 2 },
		{ "\x7f", 1, 127, -1 },
		{ "\x7e", 1, 126, -2 },
		{ "\x80\x01", 2, 128, 128 },
		{ "\x81\x01", 2, 129, 129 },
		{ "\xff\x00", 2, 127, 127 },
		{ "\x80\x7f", 2, 16256, -128 },
		{ "\xff\x7e", 2, 16255, -129 },
		{ "\xb9\x64", 2, 12857, -3527 },
		{ "\x80\x80\x00", 3, 0, 0 }, /* longer than it has to be */
		{ "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, UINT64_MAX, -1 },
		{ "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7f", 10, 1ull << 63, INT64_MIN },
		{ "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00", 10, INT64_MAX, INT64_MAX },
		/* Bits beyond the 64th are dropped. */
		{ "\x81\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7f", 13, 1, 1 },
	};
	struct byte_cursor cursor;
	size_t i, cut;
	void *copy;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		cursor = cursor_over(cases[i].bytes, cases[i].size, &copy);
		assert_true(read_uleb128(&cursor) == cases[i].as_unsigned);
		assert_false(cursor.failed);
		assert_int_equal(bytes_left(&cursor), 0);
		cursor = byte_cursor(copy, cases[i].size);
		assert_true(read_sleb128(&cursor) == cases[i].as_signed);
		assert_false(cursor.failed);
		assert_int_equal(bytes_left(&cursor), 0);
		free(copy);
		for (cut = 0; cut < cases[i].size; cut++) {
			cursor = cursor_over(cases[i].bytes, cut, &copy);
			assert_int_equal(read_uleb128(&cursor), 0);
			check_failed(&cursor);
			cursor = byte_cursor(copy, cut);
			assert_int_equal(read_sleb128(&cursor), 0);
			check_failed(&cursor);
			free(copy);
		}
	}
}

static void test_strings_need_their_end(void **state)
{
	struct byte_cursor cursor;
	void *copy;

	(void)state;
	cursor = cursor_over("one\0\0two\0thr", 12, &copy);
	assert_string_equal(read_string(&cursor), "one");
	assert_string_equal(read_string(&cursor), "");
	assert_string_equal(read_string(&cursor), "two");
	assert_false(cursor.failed);
	assert_string_equal(read_string(&cursor), "");
	check_failed(&cursor);
	free(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_are_little_endian),
		cmocka_unit_test(test_a_read_past_the_end_gives_zero_and_ends),
		cmocka_unit_test(test_skipping_ends_at_the_end),
		cmocka_unit_test(test_leb128_is_what_the_standard_says),
		cmocka_unit_test(test_strings_need_their_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
