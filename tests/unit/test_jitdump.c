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

#define NEVER UINT64_MAX

struct state {
	struct jitdump *dump;
	struct strbuf bytes; /* of the file */
	size_t written;
	int fd;
};

static int set_up(void **state)
{
	struct state *own = calloc(1, sizeof(*own));

	assert_int_equal(jitdump_new(&own->dump), 0);
	own->fd = memfd_create("jitdump", MFD_CLOEXEC);
	assert_true(own->fd >= 0);
	put_header(&own->bytes, OWN_MACHINE, 0);
	*state = own;
	return 0;
}

static int tear_down(void **state)
{
	struct state *own = *state;

	jitdump_free(own->dump);
	strbuf_free(&own->bytes);
	close(own->fd);
	free(own);
	return 0;
}

/* Writes what is new up to @len of the file, and reads it. */
static int update_to(struct state *own, size_t len)
{
	size_t more = len - own->written;

	assert_int_equal(pwrite(own->fd, own->bytes.text + own->written, more, (off_t)own->written),
			 more);
	own->written = len;
	return jitdump_update(own->dump, own->fd);
}

static int update(struct state *own)
{
	return update_to(own, own->bytes.len);
}

static void assert_code(struct state *own, uint64_t address, uint64_t time_ns, const char *name)
{
	struct jitdump_symbol symbol = {};
	bool found = jitdump_find(own->dump, address, time_ns, &symbol);

	if (name && !found)
		fail_msg("0x%llx has no name", (unsigned long long)address);
	if (!name && found)
		fail_msg("0x%llx is %s", (unsigned long long)address, symbol.name);
	if (name)
		assert_string_equal(symbol.name, name);
}

static void assert_line(struct state *own, uint64_t address, uint32_t line, const char *file)
{
	struct jitdump_symbol symbol;

	assert_true(jitdump_find(own->dump, address, NEVER, &symbol));
	if (symbol.line != line)
		fail_msg("0x%llx is in line %u", (unsigned long long)address, symbol.line);
	if (file)
		assert_string_equal(symbol.filename, file);
	else
		assert_null(symbol.filename);
}

static void test_code_is_found_by_address(void **state)
{
	struct state *own = *state;
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
	struct state *own = *state;

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
	struct state *own = *state;

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
	struct state *own = *state;

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
	struct state *own = *state;

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
	struct state *own = *state;

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
	struct state *own = *state;

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
	struct state *own = *state;
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
	struct state *own = *state;

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
	struct state *own = *state;

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

static void test_names_are_bounded_and_without_control_characters(void **state)
{
	static char name[5000];
	struct jitdump_symbol symbol;
	struct state *own = *state;

	memset(name, 'n', sizeof(name) - 1);
	put_load(&own->bytes, 1, 0x1000, 16, name);
	put_load(&own->bytes, 1, 0x2000, 16, "a\x1b[31mb\nc");
	put_load(&own->bytes, 1, 0x3000, 16, "");
	assert_int_equal(update(own), 3);
	assert_true(jitdump_find(own->dump, 0x1000, 1, &symbol));
	assert_int_equal(strlen(symbol.name), JITDUMP_NAME_MAX - 1);
	assert_code(own, 0x2000, 1, "a?[31mb?c");
	assert_code(own, 0x3000, 1, "");
}

static void test_dumps_of_others_are_refused(void **state)
{
	static const struct {
		size_t at;
		const char *bytes;
	} changes[] = {
		{ 0, "JiTD" }, /* the other byte order */
		{ 0, "\x7f"
		     "ELF" },	      /* something else */
		{ 4, "\2\0\0\0" },    /* version */
		{ 8, "\x27\0\0\0" },  /* a header of 39 bytes */
		{ 12, "\x08\0\0\0" }, /* MIPS */
	};
	struct state *own = *state;
	size_t i;

	put_load(&own->bytes, 10, 0x1000, 16, "f");
	for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		char kept[4];

		memcpy(kept, own->bytes.text + changes[i].at, 4);
		memcpy(own->bytes.text + changes[i].at, changes[i].bytes, 4);
		own->written = 0;
		assert_int_equal(update(own), -ENOEXEC);
		assert_code(own, 0x1000, 20, NULL);
		memcpy(own->bytes.text + changes[i].at, kept, 4);
	}
	own->written = 0;
	assert_int_equal(update(own), 1);
}

static void test_time_stamps_of_another_clock_are_not_compared(void **state)
{
	struct state *own = *state;

	strbuf_clear(&own->bytes);
	put_header(&own->bytes, OWN_MACHINE, 1);
	put_load(&own->bytes, 100000, 0x1000, 16, "old");
	put_load(&own->bytes, 200000, 0x1000, 16, "new");
	assert_int_equal(update(own), 2);
	assert_code(own, 0x1000, 1, "new");
	assert_code(own, 0x1000, 150000, "new");
}

static void put_sample(struct strbuf *bytes)
{
	static const struct debug_entry lines[] = { { 0x1000, 5, "a.py", 0 },
						    { 0x1008, 6, "\xff", 0 } };

	put_debug(bytes, 5, 0x1000, lines, 2);
	put_load(bytes, 10, 0x1000, 0x10, "f");
	put_load(bytes, 20, 0x2000, 0x10, "g");
	put_move(bytes, 30, 0x2000, 0x3000, 0x10);
}

static void test_a_torn_record_waits(void **state)
{
	struct strbuf sample = STRBUF_INIT;
	size_t cut;

	(void)state;
	put_header(&sample, OWN_MACHINE, 0);
	put_sample(&sample);
	for (cut = 0; cut <= sample.len; cut++) {
		void *one;
		struct state *own;
		int added;

		set_up(&one);
		own = one;
		strbuf_clear(&own->bytes);
		strbuf_add(&own->bytes, sample.text, sample.len);
		added = update_to(own, cut);
		assert_true(added >= 0);
		assert_int_equal(added + update(own), 3);
		assert_line(own, 0x1008, 6, "a.py");
		assert_code(own, 0x3000, 40, "g");
		assert_int_equal(jitdump_skipped(own->dump), 0);
		tear_down(&one);
	}
	strbuf_free(&sample);
}

static void test_flipped_bytes_do_no_harm(void **state)
{
	struct strbuf sample = STRBUF_INIT;
	struct jitdump_symbol symbol;
	size_t at;
	int bit;

	(void)state;
	put_header(&sample, OWN_MACHINE, 0);
	put_sample(&sample);
	for (at = 0; at < sample.len; at++) {
		for (bit = 0; bit < 8; bit++) {
			void *one;
			struct state *own;

			set_up(&one);
			own = one;
			strbuf_clear(&own->bytes);
			strbuf_add(&own->bytes, sample.text, sample.len);
			own->bytes.text[at] = (char)(own->bytes.text[at] ^ 1 << bit);
			assert_true(update(own) >= -ENOEXEC);
			jitdump_find(own->dump, 0x1008, 15, &symbol);
			jitdump_find(own->dump, 0x3000, 5, &symbol);
			assert_true(jitdump_bytes(own->dump) < 100000);
			tear_down(&one);
		}
	}
	strbuf_free(&sample);
}

static void test_a_file_begun_anew_is_read_anew(void **state)
{
	struct state *own = *state;

	put_load(&own->bytes, 10, 0x1000, 64, "first");
	assert_int_equal(update(own), 1);
	strbuf_clear(&own->bytes);
	put_header(&own->bytes, OWN_MACHINE, 0);
	own->bytes.text[24] = 17; /* its time */
	put_load(&own->bytes, 20, 0x2000, 16, "second, short");
	put_load(&own->bytes, 20, 0x3000, 16, "third");
	own->written = 0;
	assert_int_equal(ftruncate(own->fd, 0), 0);
	assert_int_equal(update(own), 2); /* longer than before */
	assert_code(own, 0x1000, 30, NULL);
	assert_code(own, 0x3000, 30, "third");
	own->written = 0;
	assert_int_equal(ftruncate(own->fd, 0), 0);
	assert_int_equal(update_to(own, 100), 0); /* shorter */
	assert_code(own, 0x3000, 30, NULL);
	assert_int_equal(update(own), 2);
	assert_int_equal(jitdump_update(own->dump, -1), -EBADF);
	assert_code(own, 0x3000, 30, "third");
}

static void test_room_that_is_not_written_yet_waits(void **state)
{
	struct state *own = *state;

	assert_int_equal(ftruncate(own->fd, 100000), 0);
	assert_int_equal(jitdump_update(own->dump, own->fd), 0);
	put_load(&own->bytes, 10, 0x1000, 64, "f");
	assert_int_equal(update(own), 1);
	assert_int_equal(update(own), 0);
	put_load(&own->bytes, 10, 0x2000, 64, "g");
	assert_int_equal(update(own), 1);
	assert_int_equal(jitdump_skipped(own->dump), 0);
}

/* Against a plain array in which every piece paints its addresses at its time. */
static void test_overlaps_agree_with_painting(void **state)
{
	enum { SPAN = 2048, PIECES = 3000, EVERY = 50 };
	static uint16_t painted[PIECES / EVERY][SPAN];
	static uint16_t now[SPAN];
	struct state *own = *state;
	struct jitdump_symbol symbol;
	char name[16];
	int i, k, t;

	srandom(7);
	for (i = 1; i <= PIECES; i++) {
		int start = (int)(random() % SPAN);
		int size = 1 + (int)(random() % (random() % 4 ? 8 : 300));

		for (k = start; k < start + size && k < SPAN; k++)
			now[k] = (uint16_t)i;
		snprintf(name, sizeof(name), "n%d", i);
		put_load(&own->bytes, (uint64_t)i, 0x10000 + (uint64_t)start, (uint64_t)size, name);
		if (i % EVERY == 0)
			memcpy(painted[i / EVERY - 1], now, sizeof(now));
		if (random() % 100 == 0)
			assert_true(update(own) >= 0);
	}
	assert_true(update(own) >= 0);
	for (t = 0; t < PIECES / EVERY; t++) {
		for (k = 0; k < SPAN; k++) {
			if (!painted[t][k])
				continue;
			snprintf(name, sizeof(name), "n%d", painted[t][k]);
			assert_true(jitdump_find(own->dump, 0x10000 + (uint64_t)k,
						 (uint64_t)(t + 1) * EVERY, &symbol));
			assert_string_equal(symbol.name, name);
		}
	}
	for (k = 0; k < SPAN; k++)
		assert_int_equal(jitdump_find(own->dump, 0x10000 + (uint64_t)k, NEVER, &symbol),
				 now[k] != 0);
}

static void test_large_dumps_are_read_in_bounded_steps(void **state)
{
	struct state *own = *state;
	unsigned int i, added = 0, calls = 0;
	int n;

	for (i = 0; i < 600; i++) {
		uint64_t size = i == 300 ? 5 << 20 : 80000; /* more than one look at the file */

		put_load(&own->bytes, i, 0x100000000 + i * 0x1000000ull, size, "f");
	}
	n = update(own);
	do {
		added += (unsigned int)n;
		calls++;
	} while ((n = jitdump_update(own->dump, own->fd)) > 0);
	assert_int_equal(n, 0);
	assert_int_equal(added, 600);
	assert_true(calls >= 3);
	assert_code(own, 0x100000000 + 599 * 0x1000000ull + 79999, 600, "f");
	assert_true(jitdump_bytes(own->dump) < 200000);
}

static void test_memory_is_bounded_and_what_is_new_is_not_misnamed(void **state)
{
	struct state *own = *state;
	char name[1024];
	uint64_t i, cnt = 40000;

	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	put_load(&own->bytes, 1, 0x100, 0x10, "old");
	for (i = 0; i < cnt; i++)
		put_load(&own->bytes, i + 2, 0x10000 + i * 0x100, 1, name);
	put_load(&own->bytes, cnt + 2, 0x100, 0x10, "new, no room");
	while (update(own) > 0)
		;
	assert_true(jitdump_cnt(own->dump) > 20000);
	assert_true(jitdump_skipped(own->dump) > 1000);
	assert_int_equal(jitdump_cnt(own->dump) + jitdump_skipped(own->dump), cnt + 1);
	assert_true(jitdump_bytes(own->dump) < JITDUMP_BYTES_MAX + (1 << 20));
	assert_code(own, 0x100, NEVER, NULL);
}

static void test_code_made_anew_for_days_keeps_being_named(void **state)
{
	struct state *own = *state;
	char name[64];
	uint64_t i, day;

	for (day = 0; day < 40; day++) {
		strbuf_clear(&own->bytes);
		put_header(&own->bytes, OWN_MACHINE, 0);
		for (i = 0; i < 10000; i++) {
			snprintf(name, sizeof(name), "day %d of function %d", (int)day, (int)i);
			put_load(&own->bytes, day * 10000 + i, 0x10000 + i * 16, 16, name);
		}
		assert_int_equal(lseek(own->fd, 0, SEEK_END) >= 0, 1);
		assert_true(write(own->fd, own->bytes.text + (day ? 40 : 0),
				  own->bytes.len - (day ? 40 : 0)) > 0);
		while (jitdump_update(own->dump, own->fd) > 0)
			;
	}
	assert_int_equal(jitdump_cnt(own->dump), 10000);
	assert_int_equal(jitdump_skipped(own->dump), 0);
	assert_true(jitdump_bytes(own->dump) < 6 << 20);
	assert_code(own, 0x10000 + 16 * 9999, NEVER, "day 39 of function 9999");
	assert_code(own, 0x10000 + 16 * 9999, 39 * 10000 + 9998, "day 38 of function 9999");
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

static void test_each_failed_allocation_is_survived(void **state)
{
	struct state *own = *state;
	bool hit = true;
	long n;

	put_sample(&own->bytes);
	put_load(&own->bytes, 40, 0x1000, 0x10, "again");
	assert_int_equal(update(own), 4);
	for (n = 1; hit && n < 100; n++) {
		struct jitdump *dump = NULL;
		struct jitdump_symbol symbol;
		int r;

		fail_malloc_at(n);
		r = jitdump_new(&dump);
		if (r == 0)
			r = jitdump_update(dump, own->fd);
		hit = fail_malloc_hit();
		fail_malloc_at(0);
		assert_true(r == -ENOMEM || r == 4);
		if (dump && r == -ENOMEM)
			assert_int_equal(jitdump_update(dump, own->fd), 4);
		if (dump) {
			assert_true(jitdump_find(dump, 0x1008, NEVER, &symbol));
			assert_string_equal(symbol.name, "again");
		}
		jitdump_free(dump);
	}
	assert_false(hit);
}

#define FACT(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

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
		FACT(test_names_are_bounded_and_without_control_characters),
		FACT(test_dumps_of_others_are_refused),
		FACT(test_time_stamps_of_another_clock_are_not_compared),
		cmocka_unit_test(test_a_torn_record_waits),
		cmocka_unit_test(test_flipped_bytes_do_no_harm),
		FACT(test_a_file_begun_anew_is_read_anew),
		FACT(test_room_that_is_not_written_yet_waits),
		FACT(test_overlaps_agree_with_painting),
		FACT(test_large_dumps_are_read_in_bounded_steps),
		FACT(test_memory_is_bounded_and_what_is_new_is_not_misnamed),
		FACT(test_code_made_anew_for_days_keeps_being_named),
		cmocka_unit_test(test_markers_are_known_by_their_name),
		FACT(test_each_failed_allocation_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
