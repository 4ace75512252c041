/* SPDX-License-Identifier: BSD-2-Clause */
/* symbolizer/proc_maps: the lines of /proc/PID/maps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/fileio.h"
#include "profiler/base/strbuf.h"
#include "symbolizer/proc_maps.h"

static const char sample[] =
	"55d0c8a00000-55d0c8a02000 r--p 00000000 fe:00 324 /usr/bin/cat\n"
	"55d0c8a02000-55d0c8a07000 r-xp 00002000 fe:00 324                        /usr/bin/cat\n"
	"7f0000000000-7f0000001000 rwxp 00000000 00:00 0 \n"
	"7f0000001000-7f0000002000 r-xp 00000000 00:01 1025   /memfd:a b (deleted)\n"
	"7f0000002000-7f0000003000 --xs 0000f000 103:0a 18446744073709551615  /tmp/new\\012line\n"
	"7f0000003000-7f0000004000 r-xp 00000000 00:00 0      [vdso]\n"
	"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n";

static size_t count(const char *text, size_t len)
{
	const char *cursor = text;
	struct proc_map map;
	size_t cnt = 0;

	while (proc_maps_next(&cursor, text + len, &map)) {
		assert_true(map.start < map.end);
		assert_non_null(memchr(map.path, '\0', sizeof(map.path)));
		cnt++;
	}
	assert_ptr_equal(cursor, text + len);
	return cnt;
}

static bool parse_one(const char *line, struct proc_map *ret)
{
	const char *cursor = line;

	return proc_maps_next(&cursor, line + strlen(line), ret);
}

static void test_executable_mappings_are_read(void **state)
{
	const char *cursor = sample, *end = sample + strlen(sample);
	struct proc_map map;

	(void)state;
	assert_true(proc_maps_next(&cursor, end, &map));
	assert_int_equal(map.start, 0x55d0c8a02000);
	assert_int_equal(map.end, 0x55d0c8a07000);
	assert_int_equal(map.offset, 0x2000);
	assert_int_equal(map.major, 0xfe);
	assert_int_equal(map.minor, 0);
	assert_int_equal(map.inode, 324);
	assert_string_equal(map.path, "/usr/bin/cat");
	assert_true(proc_maps_next(&cursor, end, &map));
	assert_string_equal(map.path, "");
	assert_true(proc_maps_next(&cursor, end, &map));
	assert_string_equal(map.path, "/memfd:a b (deleted)");
	assert_true(proc_maps_next(&cursor, end, &map));
	assert_string_equal(map.path, "/tmp/new\nline");
	assert_int_equal(map.inode, UINT64_MAX);
	assert_int_equal(map.major, 0x103);
	assert_int_equal(map.minor, 10);
	assert_true(proc_maps_next(&cursor, end, &map));
	assert_string_equal(map.path, "[vdso]");
	assert_true(proc_maps_next(&cursor, end, &map));
	assert_int_equal(map.start, 0xffffffffff600000);
	assert_false(proc_maps_next(&cursor, end, &map));
	assert_false(proc_maps_next(&cursor, end, &map));
}

static void test_text_cut_at_any_byte_gives_the_whole_lines_before(void **state)
{
	size_t len, whole = 0;

	(void)state;
	for (len = 0; len <= strlen(sample); len++) {
		char *copy = malloc(len + 1); /* exact, for AddressSanitizer */

		if (len && sample[len - 1] == '\n' && len > 70)
			whole++;
		memcpy(copy, sample, len);
		copy = realloc(copy, len ? len : 1);
		assert_int_equal(count(copy, len), whole);
		free(copy);
	}
	assert_int_equal(whole, 6);
}

static void test_lines_that_are_none_are_skipped(void **state)
{
	static const char *const lines[] = {
		"\n",
		"garbage\n",
		"1000-2000\n",
		"1000-2000 r-xp\n",
		"1000-2000 r-xp 0\n",
		"1000-2000 r-xp 0 1:2\n",
		"1000-2000 r-xp 0 1:2 \n",
		"1000-2000 r-xp 0 1:2 3x /a\n",
		"2000-1000 r-xp 0 1:2 3 /a\n",
		"1000-1000 r-xp 0 1:2 3 /a\n",
		"-1000-2000 r-xp 0 1:2 3 /a\n",
		"1000-10000000000000000 r-xp 0 1:2 3 /a\n",
		"1000-2000 r-xp 0 1ffffffff:2 3 /a\n",
		"1000-2000 r-xp 0 1:2 18446744073709551616 /a\n",
		"1000 -2000 r-xp 0 1:2 3 /a\n",
		"1000-2000 r--p 0 1:2 3 /a\n",
	};
	struct proc_map map;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_false(parse_one(lines[i], &map));
	assert_true(parse_one("\nxyz\n1000-2000 r-xp 0 1:2 3\n", &map));
	assert_string_equal(map.path, "");
}

static void test_long_path_is_cut(void **state)
{
	char *line = malloc(3 * PATH_MAX);
	struct proc_map map;
	size_t len;

	(void)state;
	len = (size_t)sprintf(line, "1000-2000 r-xp 0 1:2 3 /");
	memset(line + len, 'a', 2 * PATH_MAX);
	strcpy(line + len + 2 * PATH_MAX, "\n");
	assert_true(parse_one(line, &map));
	assert_int_equal(strlen(map.path), PATH_MAX - 1);
	free(line);
}

static void test_own_maps_hold_this_function(void **state)
{
	uint64_t here = (uintptr_t)test_own_maps_hold_this_function;
	struct strbuf text = STRBUF_INIT;
	const char *cursor;
	struct proc_map map;
	bool found = false;

	(void)state;
	assert_int_equal(read_path("/proc/self/maps", 1 << 24, &text), 0);
	cursor = text.text;
	while (proc_maps_next(&cursor, text.text + text.len, &map)) {
		if (map.start <= here && here < map.end)
			found = strstr(map.path, "test_proc_maps") != NULL;
	}
	assert_true(found);
	strbuf_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_executable_mappings_are_read),
		cmocka_unit_test(test_text_cut_at_any_byte_gives_the_whole_lines_before),
		cmocka_unit_test(test_lines_that_are_none_are_skipped),
		cmocka_unit_test(test_long_path_is_cut),
		cmocka_unit_test(test_own_maps_hold_this_function),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
