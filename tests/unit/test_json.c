/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "exporters/json.h"
#include "profiler/base/strbuf.h"

static void check(const char *text, const char *expected)
{
	struct strbuf out = STRBUF_INIT;

	json_add_string(&out, text);
	assert_false(out.failed);
	assert_string_equal(out.text, expected);
	strbuf_free(&out);
}

static void test_plain_text_is_quoted(void **state)
{
	(void)state;
	check("", "\"\"");
	check("std::vector<int>::push_back(int const&)",
	      "\"std::vector<int>::push_back(int const&)\"");
	check("h\xc3\xa9llo", "\"h\xc3\xa9llo\"");
}

static void test_what_would_end_or_break_a_string_is_escaped(void **state)
{
	(void)state;
	check("a\"b\\c", "\"a\\\"b\\\\c\"");
	check("a\nb\tc\x01", "\"a\\u000ab\\u0009c\\u0001\"");
}

static void test_bad_utf8_becomes_the_replacement_character(void **state)
{
	(void)state;
	check("a\xff" "b", "\"a\xef\xbf\xbd" "b\"");
	check("\xc3", "\"\xef\xbf\xbd\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_text_is_quoted),
		cmocka_unit_test(test_what_would_end_or_break_a_string_is_escaped),
		cmocka_unit_test(test_bad_utf8_becomes_the_replacement_character),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
