/* SPDX-License-Identifier: BSD-2-Clause */
/* Rings of several CPUs, read in the order of time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"
#include "profiler/collect/event_rings.h"
#include "tests/unit/fail_malloc.h"
#include "tests/unit/ring_fixture.h"

#define RING_CNT 3
#define RING_BYTES 4096

struct setting {
	struct event_ring array[RING_CNT];
	struct event_rings rings;
};

/* Positions at which records soon go round the end. */
static void make(struct setting *setting)
{
	unsigned int i;

	*setting = (struct setting){ .rings = EVENT_RINGS_INIT };
	for (i = 0; i < RING_CNT; i++)
		ring_make(&setting->array[i], i, RING_BYTES, RING_BYTES * i + RING_BYTES - 40);
	setting->rings.rings = setting->array;
	setting->rings.cnt = RING_CNT;
	setting->rings.bytes = RING_BYTES;
}

static void unmake(struct setting *setting)
{
	unsigned int i;

	for (i = 0; i < RING_CNT; i++)
		ring_unmake(&setting->array[i]);
}

static void write_fork(struct setting *setting, unsigned int ring, uint32_t pid, uint64_t time_ns)
{
	struct made_record record = task_of(PERF_RECORD_FORK, pid, pid, 1, 1, time_ns);

	ring_write(&setting->array[ring], record.bytes, record.len);
}

static void write_sample(struct setting *setting, unsigned int ring, uint64_t time_ns)
{
	const uint64_t ips[] = { (uint64_t)PERF_CONTEXT_USER, 0x1000, 0x2000 };
	struct made_record record = sample_of(1, 1, time_ns, ips, ARRAY_SIZE(ips));

	ring_write(&setting->array[ring], record.bytes, record.len);
}

static void test_records_of_all_rings_come_in_the_order_of_time(void **state)
{
	struct setting setting;
	const struct perf_event_header *record;
	uint64_t expected = 100;

	(void)state;
	make(&setting);
	write_fork(&setting, 2, 5, 100);
	write_sample(&setting, 0, 101);
	write_sample(&setting, 0, 102);
	write_fork(&setting, 1, 6, 103);
	write_sample(&setting, 2, 104);
	write_sample(&setting, 0, 105);
	event_rings_begin(&setting.rings);
	while ((record = event_rings_next(&setting.rings, UINT64_MAX)))
		assert_true(perf_record_time(record) == expected++);
	assert_true(expected == 106);
	assert_true(setting.array[0].ring.page->data_tail == setting.array[0].ring.page->data_head);
	unmake(&setting);
}

static void test_what_is_later_than_the_cut_waits(void **state)
{
	struct setting setting;

	(void)state;
	make(&setting);
	write_sample(&setting, 0, 10);
	write_sample(&setting, 1, 11);
	write_sample(&setting, 1, 12);
	event_rings_begin(&setting.rings);
	assert_non_null(event_rings_next(&setting.rings, 11));
	assert_non_null(event_rings_next(&setting.rings, 11));
	assert_null(event_rings_next(&setting.rings, 11));
	assert_null(event_rings_next(&setting.rings, 11));
	event_rings_begin(&setting.rings);
	assert_true(perf_record_time(event_rings_next(&setting.rings, 12)) == 12);
	assert_null(event_rings_next(&setting.rings, 12));
	unmake(&setting);
}

/* The caller stops in the middle: what it got counts as read, what it did not does not. */
static void test_a_drain_may_end_early(void **state)
{
	struct setting setting;

	(void)state;
	make(&setting);
	write_sample(&setting, 0, 10);
	write_sample(&setting, 0, 20);
	event_rings_begin(&setting.rings);
	assert_true(perf_record_time(event_rings_next(&setting.rings, 99)) == 10);
	write_sample(&setting, 1, 15); /* comes in meanwhile */
	event_rings_begin(&setting.rings);
	assert_true(perf_record_time(event_rings_next(&setting.rings, 99)) == 15);
	assert_true(perf_record_time(event_rings_next(&setting.rings, 99)) == 20);
	assert_null(event_rings_next(&setting.rings, 99));
	unmake(&setting);
}

static void count_forks(void *context, const struct perf_event_header *record)
{
	*(size_t *)context += record->type == PERF_RECORD_FORK;
}

static void test_a_look_leaves_records_where_they_are(void **state)
{
	struct setting setting;
	size_t forks = 0, read = 0;

	(void)state;
	make(&setting);
	write_fork(&setting, 0, 5, 100);
	write_fork(&setting, 2, 6, 90);
	write_sample(&setting, 2, 95);
	event_rings_look(&setting.rings, count_forks, &forks);
	assert_int_equal(forks, 2);
	event_rings_begin(&setting.rings);
	while (event_rings_next(&setting.rings, UINT64_MAX))
		read++;
	assert_int_equal(read, 3);
	unmake(&setting);
}

static void test_a_ring_that_makes_no_sense_is_emptied(void **state)
{
	const struct perf_event_header lies[] = {
		{ .type = PERF_RECORD_SAMPLE, .size = 0 },
		{ .type = PERF_RECORD_SAMPLE, .size = 7 },
		{ .type = PERF_RECORD_SAMPLE, .size = 20 },
		{ .type = PERF_RECORD_SAMPLE, .size = 4000 },
	};
	size_t i, forks = 0;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(lies); i++) {
		struct setting setting;

		make(&setting);
		ring_write(&setting.array[0], &lies[i], sizeof(lies[i]));
		write_sample(&setting, 1, 50);
		event_rings_look(&setting.rings, count_forks, &forks);
		event_rings_begin(&setting.rings);
		assert_true(perf_record_time(event_rings_next(&setting.rings, 99)) == 50);
		assert_null(event_rings_next(&setting.rings, 99));
		assert_int_equal(setting.rings.garbled, 1);
		assert_true(setting.array[0].ring.page->data_tail ==
			    setting.array[0].ring.page->data_head);
		unmake(&setting);
	}
}

/* A record too short for a time comes first, and is whoever reads it's to refuse. */
static void test_a_record_without_time_is_handed_on_at_once(void **state)
{
	const struct perf_event_header bare = { .type = PERF_RECORD_LOST, .size = sizeof(bare) };
	struct setting setting;

	(void)state;
	make(&setting);
	write_sample(&setting, 0, 50);
	ring_write(&setting.array[1], &bare, sizeof(bare));
	event_rings_begin(&setting.rings);
	assert_int_equal(event_rings_next(&setting.rings, 99)->type, PERF_RECORD_LOST);
	assert_int_equal(event_rings_next(&setting.rings, 99)->type, PERF_RECORD_SAMPLE);
	unmake(&setting);
}

static void test_rings_open_for_everybody_or_say_why_not(void **state)
{
	struct event_rings rings;
	struct errmsg err = {};
	long n;

	(void)state;
	if (event_rings_open(&rings, 16384, &err) != 0) {
		assert_true(err.text[0]);
		assert_int_equal(rings.cnt, 0);
		skip();
	}
	assert_true(rings.cnt > 0);
	assert_non_null(event_rings_find(&rings, rings.rings[0].cpu));
	assert_null(event_rings_find(&rings, 100000));
	assert_true(event_rings_map_bytes(&rings) >= rings.cnt * 8192);
	event_rings_begin(&rings);
	assert_null(event_rings_next(&rings, UINT64_MAX));
	event_rings_close(&rings);
	for (n = 1;; n++) {
		int code;

		fail_malloc_at(n);
		code = event_rings_open(&rings, 16384, &err);
		assert_true(code == 0 || code == -ENOMEM);
		event_rings_close(&rings);
		if (!fail_malloc_hit())
			break;
	}
	assert_true(n > 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records_of_all_rings_come_in_the_order_of_time),
		cmocka_unit_test(test_what_is_later_than_the_cut_waits),
		cmocka_unit_test(test_a_drain_may_end_early),
		cmocka_unit_test(test_a_look_leaves_records_where_they_are),
		cmocka_unit_test(test_a_ring_that_makes_no_sense_is_emptied),
		cmocka_unit_test(test_a_record_without_time_is_handed_on_at_once),
		cmocka_unit_test(test_rings_open_for_everybody_or_say_why_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
