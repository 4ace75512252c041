/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "profiler/base/strbuf.h"
#include "proto/utf8.h"

#define BAD "\xef\xbf\xbd"

static size_t encode(uint32_t code, char *out)
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | code >> 6);
		out[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xe0 | code >> 12);
		out[1] = (char)(0x80 | (code >> 6 & 0x3f));
		out[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | code >> 18);
	out[1] = (char)(0x80 | (code >> 12 & 0x3f));
	out[2] = (char)(0x80 | (code >> 6 & 0x3f));
	out[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

static void test_every_character_is_valid_and_no_surrogate(void **state)
{
	uint32_t code, got;
	char bytes[4];

	(void)state;
	for (code = 1; code < 0x110400; code++) {
		size_t len = encode(code, bytes);
		int valid = (code < 0xd800 || code > 0xdfff) && code <= 0x10ffff;

		if (utf8_valid_len(bytes, len) != (valid ? len : 0))
			fail_msg("U+%04X", code);
		if (valid && (utf8_next(bytes, len, &got) != len || got != code))
			fail_msg("U+%04X decoded as U+%04X", code, got);
	}
}

/* Every sequence of two bytes, and of three with each kind of third. */
static void test_no_second_reading_of_a_character(void **state)
{
	static const unsigned char third[] = { 0x00, 0x41, 0x7f, 0x80, 0xbf, 0xc0, 0xff };
	unsigned int first, second;
	size_t i;

	(void)state;
	for (first = 0; first < 256; first++) {
		for (second = 0; second < 256; second++) {
			for (i = 0; i < sizeof(third); i++) {
				char in[3] = { (char)first, (char)second, (char)third[i] }, out[4];
				uint32_t code;
				size_t step = utf8_next(in, 3, &code);

				assert_in_range(step, 1, 3);
				if (utf8_valid_len(in, 3) < step)
					continue;
				assert_int_equal(encode(code, out), step);
				assert_memory_equal(in, out, step);
			}
		}
	}
}

static void check(const char *in, const char *expected)
{
	struct strbuf out = STRBUF_INIT;

	utf8_sanitize(in, strlen(in), &out);
	assert_string_equal(out.text ? out.text : "", expected);
	assert_int_equal(utf8_valid_len(expected, strlen(expected)), strlen(expected));
	strbuf_free(&out);
}

static void test_bad_bytes_become_replacement_characters(void **state)
{
	(void)state;
	check("", "");
	check("plain", "plain");
	check("gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f");
	check("latin\xe9", "latin" BAD);
	check("a" BAD "b", "a" BAD "b");
	/* The examples of the Unicode standard, tables 3-8 to 3-11. */
	check("\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", BAD BAD BAD BAD BAD BAD BAD BAD "A");
	check("\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41", BAD BAD BAD BAD BAD BAD BAD BAD "A");
	check("\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", BAD BAD BAD BAD BAD "A" BAD BAD "B");
	check("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", BAD BAD BAD BAD "A");
}

static void test_character_cut_off_is_one_replacement(void **state)
{
	(void)state;
	check("name \xe2\x82", "name " BAD);
	check("name \xf0\x9f\x98", "name " BAD);
	check("name \xc3", "name " BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_character_is_valid_and_no_surrogate),
		cmocka_unit_test(test_no_second_reading_of_a_character),
		cmocka_unit_test(test_bad_bytes_become_replacement_characters),
		cmocka_unit_test(test_character_cut_off_is_one_replacement),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
