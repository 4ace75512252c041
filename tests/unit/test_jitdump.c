/* SPDX-License-Identifier: BSD-2-Clause */
/* symbolizer/jitdump: dumps made by hand, after the specification and after what V8 writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "symbolizer/jitdump.h"
#include "tests/unit/fail_malloc.h"
#include "tests/unit/jitdump_fixture.h"

static void test_code_is_found_by_address(void **state)
{
	struct jitdump_state *own = *state;
	struct jitdump_symbol symbol;

	put_load(&own->bytes, 10, 0x1000, 0x80, "py::f:/a b.py");
	put_load(&own->bytes, 20, 0x7f0000000000, 1, "one byte");
	assert_int_equal(update(own), 2);
	assert_code(own, 0xfff, 99, NULL);
	assert_code(own, 0x1000, 99, "py::f:/a b.py");
	assert_code(own, 0x107f, 99, "py::f:/a b.py");
	assert_code(own, 0x1080, 99, NULL);
	assert_code(own, 0x7f0000000000, 99, "one byte");
	assert_code(own, 0, 99, NULL);
	assert_code(own, UINT64_MAX, 99, NULL);
	assert_true(jitdump_find(own->dump, 0x1010, 99, &symbol));
	assert_int_equal(symbol.address, 0x1000);
	assert_int_equal(symbol.size, 0x80);
	assert_int_equal(symbol.line, 0);
	assert_null(symbol.filename);
	assert_int_equal(jitdump_cnt(own->dump), 2);
	assert_int_equal(jitdump_skipped(own->dump), 0);
	assert_int_equal(update(own), 0);
}

static void test_reused_addresses_go_by_time(void **state)
{
	struct jitdump_state *own = *state;

	put_load(&own->bytes, 100, 0x1000, 0x100, "first");
	put_load(&own->bytes, 200, 0x1080, 0x100, "second");
	put_load(&own->bytes, 300, 0x1000, 0x100, "third");
	assert_int_equal(update(own), 3);
	assert_code(own, 0x1000, 150, "first");
	assert_code(own, 0x10ff, 150, "first");
	assert_code(own, 0x1000, 250, "first");
	assert_code(own, 0x1080, 250, "second");
	assert_code(own, 0x1000, 300, "third");
	assert_code(own, 0x10ff, NEVER, "third");
	assert_code(own, 0x1100, 350, "second");
	assert_code(own, 0x1000, 50, "first"); /* ran before its record */
	assert_code(own, 0x117f, 50, "second");
	jitdump_trim(own->dump, 301);
	assert_code(own, 0x1000, 150, "third");
}

static void test_a_piece_in_the_middle_leaves_both_rests(void **state)
{
	struct jitdump_state *own = *state;

	put_load(&own->bytes, 1, 0x1000, 0x100, "outer");
	put_load(&own->bytes, 2, 0x1040, 0x40, "inner");
	assert_int_equal(update(own), 2);
	assert_int_equal(jitdump_cnt(own->dump), 3);
	assert_code(own, 0x103f, 3, "outer");
	assert_code(own, 0x1040, 3, "inner");
	assert_code(own, 0x1080, 3, "outer");
	assert_code(own, 0x1060, 1, "outer");
}

static void test_moved_code_keeps_its_lines(void **state)
{
	static const struct debug_entry lines[] = { { 0x1000, 5, "a.py", 0 },
						    { 0x1010, 6, "a.py", 0 } };
	struct jitdump_state *own = *state;

	put_debug(&own->bytes, 100, 0x1000, lines, 2);
	put_load(&own->bytes, 100, 0x1000, 0x40, "mover");
	put_load(&own->bytes, 110, 0x2000, 0x40, "was there");
	put_move(&own->bytes, 200, 0x1000, 0x2000, 0x40);
	put_move(&own->bytes, 300, 0x2000, 0x2010, 0x40); /* onto itself */
	put_move(&own->bytes, 300, 0x5000, 0x6000, 0x40); /* nothing is there */
	assert_int_equal(update(own), 4);
	assert_code(own, 0x2000, 150, "was there");
	assert_code(own, 0x2000, 250, "mover");
	assert_code(own, 0x204f, 350, "mover");
	assert_line(own, 0x2010, 5, "a.py");
	assert_line(own, 0x2020, 6, "a.py");
	assert_code(own, 0x6000, 350, NULL);
	assert_int_equal(jitdump_skipped(own->dump), 1);
}

static void test_lines_by_address(void **state)
{
	static const struct debug_entry lines[] = {
		{ 0x1004, 10, "/src/a.c", 0 }, { 0x1010, 11, "\xff", 0 },
		{ 0x1010, 12, "\xff", 0 },     { 0x1020, 3, "/src/b.h", 0 },
		{ 0x1030, 4, "\xff", 0 },      { 0x1018, 13, "/src/a.c", 0 },
	};
	struct jitdump_state *own = *state;

	put_debug(&own->bytes, 1, 0x1000, lines, 6);
	put_load(&own->bytes, 1, 0x1000, 0x40, "f");
	put_load(&own->bytes, 1, 0x2000, 0x40, "no lines");
	assert_int_equal(update(own), 2);
	assert_line(own, 0x1003, 0, NULL);
	assert_line(own, 0x1004, 10, "/src/a.c");
	assert_line(own, 0x1010, 12, "/src/a.c");
	assert_line(own, 0x101f, 13, "/src/a.c");
	assert_line(own, 0x1020, 3, "/src/b.h");
	assert_line(own, 0x103f, 4, "/src/b.h");
	assert_line(own, 0x2000, 0, NULL);
}

/* V8 and LLVM: as if an ELF header stood in front. */
static void test_shifted_lines_are_shifted_back(void **state)
{
	static const struct debug_entry first[] = { { 0x1040, 3, "/a.js", 0 },
						    { 0x1050, 4, "/a.js", 0 } };
	static const struct debug_entry second[] = { { 0x204a, 8, "file:///a%20b.mjs", 0 },
						     { 0x207f, 9, "file:///a%20b.mjs", 0 } };
	static const struct debug_entry plain[] = { { 0x3000, 1, "/b.js", 0 } };
	struct jitdump_state *own = *state;

	put_debug(&own->bytes, 1, 0x1000, first, 2);
	put_load(&own->bytes, 1, 0x1000, 0x20, "f");
	put_debug(&own->bytes, 1, 0x2000, second, 2);
	put_load(&own->bytes, 1, 0x2000, 0x40, "g");
	assert_int_equal(update(own), 2);
	assert_line(own, 0x1000, 3, "/a.js");
	assert_line(own, 0x100f, 3, "/a.js");
	assert_line(own, 0x1010, 4, "/a.js");
	assert_line(own, 0x2009, 0, NULL);
	assert_line(own, 0x200a, 8, "/a b.mjs");
	assert_line(own, 0x203f, 9, "/a b.mjs");

	put_debug(&own->bytes, 1, 0x3000, plain, 1); /* this writer shifts nothing */
	put_load(&own->bytes, 1, 0x3000, 0x20, "h");
	assert_int_equal(update(own), 1);
	assert_line(own, 0x3000, 1, "/b.js");
	assert_line(own, 0x1000, 0, NULL);
}

/* V8 of node 20 writes names from freed memory, in their right length. */
static void test_lines_between_garbage_names_are_read(void **state)
{
	static const char garbage[] = "\x82\xf6\x03\0\0\xe7j\0PABCDEF\0\xff";
	static const struct debug_entry lines[] = {
		{ 0x7fde50006ac0, 2, garbage, 16 },
		{ 0x7fde50006ae7, 3, garbage, 16 },
		{ 0x7fde50006afd, 5, garbage, 16 },
	};
	static const struct debug_entry text[] = { { 0x7fde50007000, 6, "\x82\xf6\x03", 0 } };
	struct jitdump_state *own = *state;

	put_debug(&own->bytes, 1, 0x7fde50006a80, lines, 3);
	put_load(&own->bytes, 1, 0x7fde50006a80, 0x1a8, "JS:*hot /lines.js:2:13");
	put_debug(&own->bytes, 1, 0x7fde50006fc0, text, 1);
	put_load(&own->bytes, 1, 0x7fde50006fc0, 0x40, "g");
	assert_int_equal(update(own), 2);
	assert_line(own, 0x7fde50006a80, 2, NULL);
	assert_line(own, 0x7fde50006aa7, 3, NULL);
	assert_line(own, 0x7fde50006abd, 5, NULL);
	assert_line(own, 0x7fde50006fc0, 6, NULL);
	assert_int_equal(jitdump_skipped(own->dump), 0);
}

static void test_lines_that_make_no_sense_are_dropped(void **state)
{
	static const struct debug_entry outside[] = { { 0x1000, 1, "a", 0 },
						      { 0x1061, 2, "a", 0 },
						      { 0x0fff, 3, "a", 0 } };
	static const struct debug_entry other[] = { { 0x1000, 1, "a", 0 } };
	struct jitdump_state *own = *state;
	size_t cnt_at;

	put_debug(&own->bytes, 1, 0x1000, outside, 3);
	put_load(&own->bytes, 1, 0x1000, 0x20, "f");
	put_debug(&own->bytes, 1, 0x1000, other, 1);
	put_load(&own->bytes, 1, 0x9000, 0x20, "lines of other code");
	cnt_at = own->bytes.len + 24;
	put_debug(&own->bytes, 1, 0xa000, other, 1);
	memset(own->bytes.text + cnt_at, 0xff, 8);
	put_load(&own->bytes, 1, 0xa000, 0x20, "more entries than bytes");
	assert_int_equal(update(own), 3);
	assert_line(own, 0x1000, 0, NULL);
	assert_line(own, 0x9000, 0, NULL);
	assert_line(own, 0xa000, 0, NULL);
	assert_int_equal(jitdump_skipped(own->dump), 2);
}

static void test_other_records_are_stepped_over(void **state)
{
	struct jitdump_state *own = *state;

	put_prefix(&own->bytes, 4, 56, 5); /* JIT_CODE_UNWINDING_INFO */
	strbuf_add(&own->bytes, "0123456789012345678901234567890123456789", 40);
	put_prefix(&own->bytes, 77, 21, 5);
	strbuf_add(&own->bytes, "12345", 5);
	put_load(&own->bytes, 10, 0x1000, 16, "f");
	put_prefix(&own->bytes, 3, 16, 9); /* JIT_CODE_CLOSE */
	put_load(&own->bytes, 11, 0x2000, 16, "g");
	assert_int_equal(update(own), 2);
	assert_code(own, 0x2000, 20, "g");
	assert_int_equal(jitdump_skipped(own->dump), 0);
}

static void test_bad_pieces_are_skipped_and_counted(void **state)
{
	struct jitdump_state *own = *state;

	put_load(&own->bytes, 1, 0x1000, 0, "empty");
	put_load(&own->bytes, 1, UINT64_MAX - 3, 16, "around the end");
	put_prefix(&own->bytes, 0, 30, 1);
	strbuf_add(&own->bytes, "12345678901234", 14);
	put_prefix(&own->bytes, 1, 16, 1);
	put_prefix(&own->bytes, 2, 16, 1);
	put_load(&own->bytes, 1, 0x2000, 16, "after them");
	assert_int_equal(update(own), 1);
	assert_int_equal(jitdump_skipped(own->dump), 5);
	assert_code(own, 0x2000, 1, "after them");
	/* a record shorter than its own head: there is no way on */
	put_prefix(&own->bytes, 0, 15, 1);
	put_load(&own->bytes, 1, 0x3000, 16, "behind it");
	assert_int_equal(update(own), 0);
	assert_int_equal(update(own), 0);
	assert_int_equal(jitdump_skipped(own->dump), 6);
	assert_code(own, 0x3000, 1, NULL);
	assert_code(own, 0x2000, 1, "after them");
}

static void test_markers_are_known_by_their_name(void **state)
{
	(void)state;
	assert_true(jitdump_is_marker("/tmp/jit-77.dump", 77));
	assert_true(jitdump_is_marker("/home/me/.debug/jit/x/jit-77.dump (deleted)", 77));
	assert_false(jitdump_is_marker("/tmp/jit-77.dump", 7));
	assert_false(jitdump_is_marker("/tmp/jit-7.dump", 77));
	assert_false(jitdump_is_marker("/tmp/jit-77.dumpster", 77));
	assert_false(jitdump_is_marker("/tmp/ajit-77.dump", 77));
	assert_false(jitdump_is_marker("jit-77.dump", 77));
	assert_false(jitdump_is_marker("", 77));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FACT(test_code_is_found_by_address),
		FACT(test_reused_addresses_go_by_time),
		FACT(test_a_piece_in_the_middle_leaves_both_rests),
		FACT(test_moved_code_keeps_its_lines),
		FACT(test_lines_by_address),
		FACT(test_shifted_lines_are_shifted_back),
		FACT(test_lines_between_garbage_names_are_read),
		FACT(test_lines_that_make_no_sense_are_dropped),
		FACT(test_other_records_are_stepped_over),
		FACT(test_bad_pieces_are_skipped_and_counted),
		cmocka_unit_test(test_markers_are_known_by_their_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
