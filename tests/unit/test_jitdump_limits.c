/* SPDX-License-Identifier: BSD-2-Clause */
/* symbolizer/jitdump: torn, changed, hostile and large files; time and memory. */
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

static void test_names_are_bounded_and_without_control_characters(void **state)
{
	static char name[5000];
	struct jitdump_symbol symbol;
	struct jitdump_state *own = *state;

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
	struct jitdump_state *own = *state;
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
	struct jitdump_state *own = *state;

	strbuf_clear(&own->bytes);
	put_header(&own->bytes, OWN_MACHINE, 1);
	put_load(&own->bytes, 100000, 0x1000, 16, "old");
	put_load(&own->bytes, 200000, 0x1000, 16, "new");
	assert_int_equal(update(own), 2);
	assert_code(own, 0x1000, 1, "new");
	assert_code(own, 0x1000, 150000, "new");
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
		struct jitdump_state *own;
		int added;

		jitdump_set_up(&one);
		own = one;
		strbuf_clear(&own->bytes);
		strbuf_add(&own->bytes, sample.text, sample.len);
		added = update_to(own, cut);
		assert_true(added >= 0);
		assert_int_equal(added + update(own), 3);
		assert_line(own, 0x1008, 6, "a.py");
		assert_code(own, 0x3000, 40, "g");
		assert_int_equal(jitdump_skipped(own->dump), 0);
		jitdump_tear_down(&one);
	}
	strbuf_free(&sample);
}

static void test_a_torn_record_is_known_once_only_code_is_missing(void **state)
{
	struct jitdump_state *own = *state;
	size_t begin, name_end, cut;

	put_load(&own->bytes, 10, 0x1000, 0x100, "early");
	begin = own->bytes.len;
	put_load(&own->bytes, 20, 0x2000, 0x100, "late");
	name_end = own->bytes.len - 0x100;
	for (cut = begin; cut < own->bytes.len; cut++) {
		assert_int_equal(update_to(own, cut), cut == begin || cut == name_end);
		assert_code(own, 0x2080, NEVER, cut < name_end ? NULL : "late");
	}
	assert_int_equal(update(own), 0);
	assert_code(own, 0x1080, NEVER, "early");
	put_load(&own->bytes, 30, 0x3000, 0x10, "next");
	assert_int_equal(update(own), 1);
	assert_code(own, 0x3008, NEVER, "next");
	assert_int_equal(jitdump_cnt(own->dump), 3);
}

static void test_a_torn_record_of_another_size_than_its_code_waits(void **state)
{
	struct jitdump_state *own = *state;
	size_t begin = own->bytes.len;

	put_load(&own->bytes, 10, 0x1000, 0x100, "name");
	own->bytes.text[begin + 4]++; /* the record's size */
	assert_int_equal(update_to(own, own->bytes.len - 8), 0);
	assert_code(own, 0x1080, NEVER, NULL);
	strbuf_add_char(&own->bytes, '\0');
	assert_int_equal(update(own), 1);
	assert_code(own, 0x1080, NEVER, "name");
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
			struct jitdump_state *own;

			jitdump_set_up(&one);
			own = one;
			strbuf_clear(&own->bytes);
			strbuf_add(&own->bytes, sample.text, sample.len);
			own->bytes.text[at] = (char)(own->bytes.text[at] ^ 1 << bit);
			assert_true(update(own) >= -ENOEXEC);
			jitdump_find(own->dump, 0x1008, 15, &symbol);
			jitdump_find(own->dump, 0x3000, 5, &symbol);
			assert_true(jitdump_bytes(own->dump) < 100000);
			jitdump_tear_down(&one);
		}
	}
	strbuf_free(&sample);
}

static void test_a_file_begun_anew_is_read_anew(void **state)
{
	struct jitdump_state *own = *state;

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
	struct jitdump_state *own = *state;

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
	struct jitdump_state *own = *state;
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
	struct jitdump_state *own = *state;
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
	struct jitdump_state *own = *state;
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
	struct jitdump_state *own = *state;
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

static void test_each_failed_allocation_is_survived(void **state)
{
	struct jitdump_state *own = *state;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		FACT(test_names_are_bounded_and_without_control_characters),
		FACT(test_dumps_of_others_are_refused),
		FACT(test_time_stamps_of_another_clock_are_not_compared),
		cmocka_unit_test(test_a_torn_record_waits),
		FACT(test_a_torn_record_is_known_once_only_code_is_missing),
		FACT(test_a_torn_record_of_another_size_than_its_code_waits),
		cmocka_unit_test(test_flipped_bytes_do_no_harm),
		FACT(test_a_file_begun_anew_is_read_anew),
		FACT(test_room_that_is_not_written_yet_waits),
		FACT(test_overlaps_agree_with_painting),
		FACT(test_large_dumps_are_read_in_bounded_steps),
		FACT(test_memory_is_bounded_and_what_is_new_is_not_misnamed),
		FACT(test_code_made_anew_for_days_keeps_being_named),
		FACT(test_each_failed_allocation_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
