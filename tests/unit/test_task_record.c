/* SPDX-License-Identifier: BSD-2-Clause */
/* Records of sampling events: as the kernel writes them, and damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/collect/return_address.h"
#include "profiler/collect/task_record.h"
#include "tests/unit/ring_fixture.h"

#define KERNEL ((uint64_t)PERF_CONTEXT_KERNEL)
#define USER ((uint64_t)PERF_CONTEXT_USER)
#define GUEST ((uint64_t)PERF_CONTEXT_GUEST)
#define GUEST_USER ((uint64_t)PERF_CONTEXT_GUEST_USER)

#define SAMPLE(...)                                                                                \
	sample_of(7, 8, 1000, (const uint64_t[]){ __VA_ARGS__ },                                   \
		  sizeof((const uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t))

static void test_a_call_chain_is_split_at_its_markers(void **state)
{
	struct made_record record = SAMPLE(KERNEL, 0xffffffff81000010, 0xffffffff81000020, USER,
					   0x401000, 0x402000, 0x403000);
	struct ring_sample sample;

	(void)state;
	assert_true(ring_sample_parse(header_of(&record), &sample));
	assert_int_equal(sample.pid, 7);
	assert_int_equal(sample.tid, 8);
	assert_true(sample.time_ns == 1000);
	assert_true(sample.root_id == RECORD_ROOT_ID);
	assert_int_equal(sample.kernel_cnt, 2);
	assert_true(sample.kernel[0] == 0xffffffff81000010);
	assert_true(sample.kernel[1] == 0xffffffff81000020);
	assert_int_equal(sample.user_cnt, 3);
	assert_true(sample.user[0] == 0x401000);
	assert_true(sample.user[2] == 0x403000);
}

static void test_a_chain_may_have_one_side_or_none(void **state)
{
	struct made_record user = SAMPLE(USER, 0x401000), kernel = SAMPLE(KERNEL, 0xffffffff81000010);
	struct made_record bare = sample_of(7, 8, 1000, NULL, 0), marker = SAMPLE(USER);
	struct ring_sample sample;

	(void)state;
	assert_true(ring_sample_parse(header_of(&user), &sample));
	assert_int_equal(sample.kernel_cnt, 0);
	assert_int_equal(sample.user_cnt, 1);
	assert_true(ring_sample_parse(header_of(&kernel), &sample));
	assert_int_equal(sample.kernel_cnt, 1);
	assert_int_equal(sample.user_cnt, 0);
	assert_true(ring_sample_parse(header_of(&bare), &sample));
	assert_int_equal(sample.kernel_cnt + sample.user_cnt, 0);
	assert_true(ring_sample_parse(header_of(&marker), &sample));
	assert_int_equal(sample.user_cnt, 0);
}

static void test_guests_and_repeated_contexts_are_left_out(void **state)
{
	struct made_record record = SAMPLE(0x99, GUEST, 0xffffffff82000000, GUEST_USER, 0x77,
					   USER, 0x401000, KERNEL, 0xffffffff81000010, USER,
					   0x500000, 0x600000);
	struct ring_sample sample;

	(void)state;
	assert_true(ring_sample_parse(header_of(&record), &sample));
	assert_int_equal(sample.user_cnt, 1);
	assert_true(sample.user[0] == 0x401000);
	assert_int_equal(sample.kernel_cnt, 1);
	assert_true(sample.kernel[0] == 0xffffffff81000010);
}

/* [vsyscall] is at the end of all addresses, but below the markers. */
static void test_the_legacy_page_is_no_marker(void **state)
{
	struct made_record record = SAMPLE(USER, 0xffffffffff600400, 0x401000);
	struct ring_sample sample;

	(void)state;
	assert_true(ring_sample_parse(header_of(&record), &sample));
	assert_int_equal(sample.user_cnt, 2);
}

static void test_a_chain_longer_than_its_record_is_refused(void **state)
{
	static const uint64_t lies[] = { 3, 4, 1u << 16, 1ull << 32, 1ull << 61, UINT64_MAX };
	struct ring_sample sample = { .pid = 99 };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(lies); i++) {
		struct made_record record = SAMPLE(USER, 0x401000);

		memcpy(record.bytes + 32, &lies[i], sizeof(lies[i]));
		assert_false(ring_sample_parse(header_of(&record), &sample));
		assert_int_equal(sample.pid, 99);
	}
}

static void test_forks_tell_child_and_parent(void **state)
{
	struct made_record record = task_of(PERF_RECORD_FORK, 20, 21, 10, 11, 555);
	struct task_record task;

	(void)state;
	assert_true(task_record_parse(header_of(&record), &task));
	assert_int_equal(task.kind, TASK_FORKED);
	assert_int_equal(task.pid, 20);
	assert_int_equal(task.tid, 21);
	assert_int_equal(task.parent_pid, 10);
	assert_int_equal(task.parent_tid, 11);
	assert_true(task.time_ns == 555);
	record = task_of(PERF_RECORD_EXIT, 20, 21, 10, 11, 556);
	assert_true(task_record_parse(header_of(&record), &task));
	assert_int_equal(task.kind, TASK_EXITED);
}

static void test_names_are_cut_and_padded(void **state)
{
	struct made_record exec = comm_of(PERF_RECORD_MISC_COMM_EXEC, 5, 5, "cat", 9);
	struct made_record rename = comm_of(0, 5, 6, "fifteen-letters", 9);
	static const char fifteen[16] = "fifteen-letters", cat[16] = "cat";
	struct task_record task;

	(void)state;
	assert_true(task_record_parse(header_of(&exec), &task));
	assert_int_equal(task.kind, TASK_EXECED);
	assert_memory_equal(task.comm, cat, 16);
	assert_true(task_record_parse(header_of(&rename), &task));
	assert_int_equal(task.kind, TASK_RENAMED);
	assert_int_equal(task.tid, 6);
	assert_memory_equal(task.comm, fifteen, 16);
}

static void test_other_records_say_nothing(void **state)
{
	struct made_record record = record_begin(PERF_RECORD_THROTTLE, 0);
	struct ring_sample sample;
	struct task_record task;

	(void)state;
	record_id(&record, 1, 1, 2);
	assert_false(task_record_parse(header_of(&record), &task));
	assert_false(ring_sample_parse(header_of(&record), &sample));
}

/* Reads all that was said to be there: a sanitizer sees what is not. */
static uint64_t use_record(const struct perf_event_header *record)
{
	struct ring_sample sample;
	struct task_record task;
	uint64_t sum = perf_record_time(record);
	size_t i;

	if (task_record_parse(record, &task))
		sum += task.pid + task.tid + task.time_ns + strlen(task.comm);
	if (ring_sample_parse(record, &sample)) {
		for (i = 0; i < sample.kernel_cnt; i++)
			sum += sample.kernel[i];
		for (i = 0; i < sample.user_cnt; i++)
			sum += sample.user[i];
	}
	return sum;
}

static void test_records_cut_anywhere_and_with_flipped_bytes_do_no_harm(void **state)
{
	const struct made_record records[] = {
		SAMPLE(KERNEL, 0xffffffff81000010, USER, 0x401000),
		task_of(PERF_RECORD_FORK, 20, 21, 10, 11, 555),
		task_of(PERF_RECORD_EXIT, 20, 21, 10, 11, 555),
		comm_of(0, 5, 6, "name", 9),
	};
	volatile uint64_t sum = 0;
	size_t r, len, at;

	(void)state;
	for (r = 0; r < ARRAY_SIZE(records); r++) {
		for (len = sizeof(struct perf_event_header); len <= records[r].len; len++) {
			_cleanup_free_ char *copy = malloc(len);

			memcpy(copy, records[r].bytes, len);
			((struct perf_event_header *)copy)->size = (uint16_t)len;
			sum += use_record((void *)copy);
		}
		for (at = 0; at < records[r].len; at++) {
			_cleanup_free_ char *copy = malloc(records[r].len);

			memcpy(copy, records[r].bytes, records[r].len);
			copy[at] = (char)~copy[at];
			((struct perf_event_header *)copy)->size = (uint16_t)records[r].len;
			sum += use_record((void *)copy);
		}
	}
	assert_true(sum > 0);
}

#if defined(__x86_64__)
static void test_a_caller_stands_behind_a_call(void **state)
{
	static const uint8_t call[8] = { 0, 0, 0, 0xe8, 1, 2, 3, 4 };
	static const uint8_t data[8] = { 0x48, 0x89, 0xe5, 0x5d, 0x31, 0xc0, 0x48, 0x01 };
	static const uint8_t nop[8] = { 0, 0, 0, 0, 0, 0, 0, 0x90 };
	static const uint8_t restorer[8] = { 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f };

	(void)state;
	assert_true(return_address_is_possible(call, data));
	assert_false(return_address_is_possible(data, data));
	assert_false(return_address_is_possible(data, call));
	assert_true(return_address_is_possible(nop, data)); /* a goroutine's start */
	assert_true(return_address_is_possible(data, restorer));
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_call_chain_is_split_at_its_markers),
		cmocka_unit_test(test_a_chain_may_have_one_side_or_none),
		cmocka_unit_test(test_guests_and_repeated_contexts_are_left_out),
		cmocka_unit_test(test_the_legacy_page_is_no_marker),
		cmocka_unit_test(test_a_chain_longer_than_its_record_is_refused),
		cmocka_unit_test(test_forks_tell_child_and_parent),
		cmocka_unit_test(test_names_are_cut_and_padded),
		cmocka_unit_test(test_other_records_say_nothing),
		cmocka_unit_test(test_records_cut_anywhere_and_with_flipped_bytes_do_no_harm),
#if defined(__x86_64__)
		cmocka_unit_test(test_a_caller_stands_behind_a_call),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
