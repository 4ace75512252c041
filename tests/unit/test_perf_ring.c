/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel's ring of a perf event, drained from one that lies in memory of ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"
#include "profiler/collect/perf_event.h"

#define SEEN_MAX 64
#define RECORD_MAX 65528 /* the largest multiple of 8 that the header's 16 bits hold */

struct fake {
	struct perf_ring ring;
	char *data;
	/* what the visitor saw: */
	size_t seen_cnt;
	uint32_t types[SEEN_MAX];
	size_t sizes[SEEN_MAX];
	uint32_t stop_type; /* answered with stop_code */
	int stop_code;
};

/* The data ends where the allocation does, so that a sanitizer sees a read behind it. */
static struct fake fake_new(size_t data_bytes, uint64_t position)
{
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	struct fake fake = { .ring.data_bytes = data_bytes };

	assert_int_equal(posix_memalign((void **)&fake.ring.page, page_bytes,
					page_bytes + data_bytes),
			 0);
	memset(fake.ring.page, 0, page_bytes + data_bytes);
	fake.data = (char *)fake.ring.page + page_bytes;
	fake.ring.page->data_head = fake.ring.page->data_tail = position;
	return fake;
}

static void fake_free(struct fake *fake)
{
	free(fake->ring.page);
}

/* As the kernel writes one: bytes go round the end.  The body is filled from @type. */
static void write_record(struct fake *fake, uint32_t type, size_t bytes)
{
	struct perf_event_header header = { .type = type, .size = (uint16_t)bytes };
	uint64_t head = fake->ring.page->data_head;
	size_t i;

	for (i = 0; i < bytes; i++)
		fake->data[(head + i) % fake->ring.data_bytes] =
			i < sizeof(header) ? ((char *)&header)[i] : (char)(type + i);
	fake->ring.page->data_head = head + bytes;
}

static int visit(void *context, const struct perf_event_header *record)
{
	struct fake *fake = context;
	const char *bytes = (const char *)record;
	size_t i;

	assert_int_equal((uintptr_t)record % 8, 0);
	for (i = sizeof(*record); i < record->size; i++)
		assert_int_equal(bytes[i], (char)(record->type + i));
	assert_true(fake->seen_cnt < SEEN_MAX);
	fake->types[fake->seen_cnt] = record->type;
	fake->sizes[fake->seen_cnt++] = record->size;
	return record->type == fake->stop_type ? fake->stop_code : 0;
}

static void check_empty(const struct fake *fake)
{
	assert_true(fake->ring.page->data_tail == fake->ring.page->data_head);
}

static void test_empty_ring_shows_nothing(void **state)
{
	struct fake fake = fake_new(4096, 4096 * 7);

	(void)state;
	assert_int_equal(perf_ring_drain(&fake.ring, visit, &fake), 0);
	assert_int_equal(fake.seen_cnt, 0);
	fake_free(&fake);
}

static void test_records_come_in_order_and_make_room(void **state)
{
	struct fake fake = fake_new(4096, 0);

	(void)state;
	write_record(&fake, 1, 8);
	write_record(&fake, 2, 40);
	write_record(&fake, 3, 4096 - 48);
	assert_int_equal(perf_ring_drain(&fake.ring, visit, &fake), 0);
	assert_int_equal(fake.seen_cnt, 3);
	assert_int_equal(fake.types[0], 1);
	assert_int_equal(fake.types[2], 3);
	assert_int_equal(fake.sizes[2], 4048);
	check_empty(&fake);
	assert_int_equal(perf_ring_drain(&fake.ring, visit, &fake), 0);
	assert_int_equal(fake.seen_cnt, 3);
	fake_free(&fake);
}

static void test_record_across_the_end_is_whole(void **state)
{
	size_t before;

	(void)state;
	/* Each place at which 64 bytes can be cut, the header standing alone included. */
	for (before = 8; before <= 64; before += 8) {
		struct fake fake = fake_new(4096, 4096 * 3 - before);

		write_record(&fake, 1, 64);
		write_record(&fake, 2, 16);
		assert_int_equal(perf_ring_drain(&fake.ring, visit, &fake), 0);
		assert_int_equal(fake.seen_cnt, 2);
		assert_int_equal(fake.sizes[0], 64);
		assert_int_equal(fake.sizes[1], 16);
		check_empty(&fake);
		fake_free(&fake);
	}
}

static void test_positions_run_past_32_and_64_bits(void **state)
{
	static const uint64_t starts[] = { (1ull << 32) - 64, UINT64_MAX - 63 };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(starts); i++) {
		struct fake fake = fake_new(4096, starts[i]);

		write_record(&fake, 1, 56);
		write_record(&fake, 2, 48);
		assert_int_equal(perf_ring_drain(&fake.ring, visit, &fake), 0);
		assert_int_equal(fake.seen_cnt, 2);
		check_empty(&fake);
		fake_free(&fake);
	}
}

static void test_largest_record_passes_whole_and_cut(void **state)
{
	static const size_t starts[] = { 0, 131072 - 8, 131072 - RECORD_MAX + 8 };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(starts); i++) {
		struct fake fake = fake_new(131072, starts[i]);

		write_record(&fake, 9, RECORD_MAX);
		assert_int_equal(perf_ring_drain(&fake.ring, visit, &fake), 0);
		assert_int_equal(fake.seen_cnt, 1);
		assert_int_equal(fake.sizes[0], RECORD_MAX);
		check_empty(&fake);
		fake_free(&fake);
	}
}

/* A good record, then one whose size field says @bytes while @room bytes are in the ring. */
static void check_corrupt(size_t bytes, size_t room, uint64_t start)
{
	struct fake fake = fake_new(4096, start);
	struct perf_event_header header = { .type = 2, .size = (uint16_t)bytes };

	write_record(&fake, 1, 16);
	memcpy(fake.data + (start + 16) % 4096, &header, sizeof(header));
	fake.ring.page->data_head += room;
	assert_int_equal(perf_ring_drain(&fake.ring, visit, &fake), -EBADMSG);
	assert_int_equal(fake.seen_cnt, 1);
	check_empty(&fake);
	/* What comes after is read as ever. */
	write_record(&fake, 3, 24);
	assert_int_equal(perf_ring_drain(&fake.ring, visit, &fake), 0);
	assert_int_equal(fake.types[1], 3);
	fake_free(&fake);
}

static void test_sizes_that_make_no_sense_empty_the_ring(void **state)
{
	(void)state;
	check_corrupt(0, 64, 0);
	check_corrupt(7, 64, 0);
	check_corrupt(72, 64, 0);
	check_corrupt(65535, 64, 0);
	check_corrupt(65528, 4000, 0);
	check_corrupt(16, 8, 0);
	/* Not a multiple of 8: the next header would lie across the end. */
	check_corrupt(12, 64, 4096 - 32);
	check_corrupt(9, 64, 0);
	/* More than the whole ring holds, between a head and a tail that are as far apart. */
	check_corrupt(8192, 16384, 0);
}

static void test_visitor_that_stops_has_read_its_record(void **state)
{
	struct fake fake = fake_new(4096, 4080);

	(void)state;
	fake.stop_type = 2;
	fake.stop_code = -ENOMEM;
	write_record(&fake, 1, 24);
	write_record(&fake, 2, 32);
	write_record(&fake, 3, 40);
	assert_int_equal(perf_ring_drain(&fake.ring, visit, &fake), -ENOMEM);
	assert_int_equal(fake.seen_cnt, 2);
	assert_int_equal(fake.ring.page->data_tail, 4080 + 24 + 32);
	assert_int_equal(perf_ring_drain(&fake.ring, visit, &fake), 0);
	assert_int_equal(fake.seen_cnt, 3);
	assert_int_equal(fake.types[2], 3);
	check_empty(&fake);
	fake_free(&fake);
}

static void test_refused_events_say_what_to_do(void **state)
{
	struct errmsg err;

	(void)state;
	assert_int_equal(perf_event_failed(-EACCES, "sampling", 3, &err), -EACCES);
	assert_non_null(strstr(err.text, "cannot open the sampling event on CPU 3: "));
	assert_non_null(strstr(err.text, "CAP_PERFMON"));
	perf_event_failed(-ENOENT, "cycles", 0, &err);
	assert_non_null(strstr(err.text, "-e cpu"));
	perf_event_failed(-EMFILE, "sampling", 0, &err);
	assert_non_null(strstr(err.text, "ulimit -n"));
	assert_int_equal(perf_event_failed(-EIO, "sampling", 0, NULL), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_ring_shows_nothing),
		cmocka_unit_test(test_records_come_in_order_and_make_room),
		cmocka_unit_test(test_record_across_the_end_is_whole),
		cmocka_unit_test(test_positions_run_past_32_and_64_bits),
		cmocka_unit_test(test_largest_record_passes_whole_and_cut),
		cmocka_unit_test(test_sizes_that_make_no_sense_empty_the_ring),
		cmocka_unit_test(test_visitor_that_stops_has_read_its_record),
		cmocka_unit_test(test_refused_events_say_what_to_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
