/* SPDX-License-Identifier: BSD-2-Clause */
/* Records of the kernel's side-band, as a 6.x kernel wrote them, and damaged ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/collect/sideband.h"
#include "profiler/collect/sideband_record.h"

/*
 * `/bin/true`, followed by perf_event_open(2) with sample_id_all, PERF_SAMPLE_TIME, build_id; what
 * PERF_SAMPLE_TID and PERF_SAMPLE_ID add at the end was put in by hand.
 */
static const char fork_of_process[] =
	"\x07\x00\x00\x00\x00\x00\x38\x00\x3c\x21\x00\x00\x3a\x21\x00\x00"
	"\x3c\x21\x00\x00\x3a\x21\x00\x00\x41\xe9\x78\x27\x85\x03\x00\x00"
	"\x3a\x21\x00\x00\x3a\x21\x00\x00\xc9\xe8\x78\x27\x85\x03\x00\x00"
	"\xb5\x01\x00\x00\x00\x00\x00\x00";
static const char fork_of_thread[] =
	"\x07\x00\x00\x00\x00\x00\x38\x00\x3a\x21\x00\x00\x3a\x21\x00\x00"
	"\x3b\x21\x00\x00\x3a\x21\x00\x00\xd9\xe3\x77\x27\x85\x03\x00\x00"
	"\x3a\x21\x00\x00\x3a\x21\x00\x00\xd1\xe2\x77\x27\x85\x03\x00\x00"
	"\xb5\x01\x00\x00\x00\x00\x00\x00";
static const char exit_of_thread[] =
	"\x04\x00\x00\x00\x00\x00\x38\x00\x3a\x21\x00\x00\x2e\x21\x00\x00"
	"\x3b\x21\x00\x00\x2e\x21\x00\x00\x90\x21\x78\x27\x85\x03\x00\x00"
	"\x3a\x21\x00\x00\x3b\x21\x00\x00\xfd\x20\x78\x27\x85\x03\x00\x00"
	"\xb5\x01\x00\x00\x00\x00\x00\x00";
static const char comm_of_exec[] =
	"\x03\x00\x00\x00\x00\x20\x30\x00\x3c\x21\x00\x00\x3c\x21\x00\x00"
	"\x74\x72\x75\x65\x00\x00\x00\x00\x3c\x21\x00\x00\x3c\x21\x00\x00"
	"\xe1\x81\x7a\x27\x85\x03\x00\x00\xb5\x01\x00\x00\x00\x00\x00\x00";
static const char mmap_with_inode[] =
	"\x0a\x00\x00\x00\x02\x00\x70\x00\x3c\x21\x00\x00\x3c\x21\x00\x00"
	"\x00\x80\x4b\xa8\x60\x55\x00\x00\x00\x40\x00\x00\x00\x00\x00\x00"
	"\x00\x20\x00\x00\x00\x00\x00\x00\xfe\x00\x00\x00\x01\x00\x00\x00"
	"\x29\xc8\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	"\x05\x00\x00\x00\x02\x00\x00\x00\x2f\x75\x73\x72\x2f\x62\x69\x6e"
	"\x2f\x74\x72\x75\x65\x00\x00\x00\x3c\x21\x00\x00\x3c\x21\x00\x00"
	"\xa6\xab\x7a\x27\x85\x03\x00\x00\xb5\x01\x00\x00\x00\x00\x00\x00";
static const char mmap_with_build_id[] =
	"\x0a\x00\x00\x00\x02\x40\x70\x00\x40\x21\x00\x00\x40\x21\x00\x00"
	"\x00\x80\x25\xc8\xde\x55\x00\x00\x00\x40\x00\x00\x00\x00\x00\x00"
	"\x00\x20\x00\x00\x00\x00\x00\x00\x14\x00\x00\x00\xc8\x91\x56\xeb"
	"\xda\xbf\x85\x9f\x4e\xe7\x0c\xb0\xc3\x03\x00\x4d\xcc\xf1\xae\x51"
	"\x05\x00\x00\x00\x02\x00\x00\x00\x2f\x75\x73\x72\x2f\x62\x69\x6e"
	"\x2f\x74\x72\x75\x65\x00\x00\x00\x40\x21\x00\x00\x40\x21\x00\x00"
	"\x96\x8c\xaf\x27\x85\x03\x00\x00\xb5\x01\x00\x00\x00\x00\x00\x00";
/* Asked for a build-id, the kernel gives the inode of what has none. */
static const char mmap_of_vdso[] =
	"\x0a\x00\x00\x00\x02\x00\x68\x00\x40\x21\x00\x00\x40\x21\x00\x00"
	"\x00\x00\x8e\x00\xcb\x7f\x00\x00\x00\x20\x00\x00\x00\x00\x00\x00"
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	"\x05\x00\x00\x00\x02\x00\x00\x00\x5b\x76\x64\x73\x6f\x5d\x00\x00"
	"\x40\x21\x00\x00\x40\x21\x00\x00\xe0\xce\xaf\x27\x85\x03\x00\x00"
	"\xb5\x01\x00\x00\x00\x00\x00\x00";
/* By hand: tools/include/uapi/linux/perf_event.h, PERF_RECORD_LOST. */
static const char lost_seven[] =
	"\x02\x00\x00\x00\x00\x00\x30\x00\x05\x00\x00\x00\x00\x00\x00\x00"
	"\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	"\x96\x8c\xaf\x27\x85\x03\x00\x00\xb5\x01\x00\x00\x00\x00\x00\x00";

#define PATH_OFFSET 72

/* A copy whose end is the allocation's, so that a sanitizer sees a read behind it. */
static struct perf_event_header *copy_bytes(const char *bytes, size_t size)
{
	struct perf_event_header *record = malloc(size);

	memcpy(record, bytes, size);
	record->size = (uint16_t)size;
	return record;
}

#define COPY(bytes) copy_bytes(bytes, sizeof(bytes) - 1)

static void test_fork_names_child_and_parent(void **state)
{
	_cleanup_free_ struct perf_event_header *record = COPY(fork_of_process);
	struct sideband_event event;
	uint64_t time_ns;

	(void)state;
	assert_true(sideband_record_time(record, &time_ns));
	assert_true(time_ns == 0x03852778e8c9);
	assert_true(sideband_record_parse(record, true, &event));
	assert_int_equal(event.kind, SIDEBAND_FORK);
	assert_int_equal(event.tgid, 0x213c);
	assert_int_equal(event.tid, 0x213c);
	assert_int_equal(event.parent_tgid, 0x213a);
	assert_true(event.time_ns == time_ns);
	assert_null(event.path);
}

static void test_new_thread_is_no_event(void **state)
{
	_cleanup_free_ struct perf_event_header *record = COPY(fork_of_thread);
	struct sideband_event event;

	(void)state;
	assert_false(sideband_record_parse(record, true, &event));
}

static void test_exit_is_of_one_task(void **state)
{
	_cleanup_free_ struct perf_event_header *record = COPY(exit_of_thread);
	struct sideband_event event;

	(void)state;
	assert_true(sideband_record_parse(record, true, &event));
	assert_int_equal(event.kind, SIDEBAND_EXIT);
	assert_int_equal(event.tgid, 0x213a);
	assert_int_equal(event.tid, 0x213b);
}

static void test_comm_counts_only_with_the_exec_bit(void **state)
{
	_cleanup_free_ struct perf_event_header *record = COPY(comm_of_exec);
	struct sideband_event event;
	uint64_t time_ns;

	(void)state;
	assert_true(sideband_record_parse(record, true, &event));
	assert_int_equal(event.kind, SIDEBAND_EXEC);
	assert_int_equal(event.tgid, 0x213c);
	assert_int_equal(event.tid, 0x213c);
	assert_true(event.time_ns == 0x0385277a81e1);
	record->misc = 0; /* prctl(PR_SET_NAME) */
	assert_false(sideband_record_time(record, &time_ns));
	assert_false(sideband_record_parse(record, true, &event));
}

static void test_mmap_with_inode(void **state)
{
	_cleanup_free_ struct perf_event_header *record = COPY(mmap_with_inode);
	struct sideband_event event;

	(void)state;
	assert_true(sideband_record_parse(record, true, &event));
	assert_int_equal(event.kind, SIDEBAND_MMAP);
	assert_int_equal(event.tgid, 0x213c);
	assert_true(event.start == 0x5560a84b8000);
	assert_int_equal(event.length, 0x4000);
	assert_int_equal(event.offset, 0x2000);
	assert_int_equal(event.major, 0xfe);
	assert_int_equal(event.minor, 1);
	assert_int_equal(event.inode, 0x3c829);
	assert_int_equal(event.build_id_len, 0);
	assert_string_equal(event.path, "/usr/bin/true");
	assert_ptr_equal(event.path, (char *)record + PATH_OFFSET);
}

static void test_mmap_with_build_id_has_no_inode(void **state)
{
	_cleanup_free_ struct perf_event_header *record = COPY(mmap_with_build_id);
	struct sideband_event event;

	(void)state;
	assert_true(sideband_record_parse(record, true, &event));
	assert_int_equal(event.build_id_len, 20);
	assert_memory_equal(event.build_id,
			    "\xc8\x91\x56\xeb\xda\xbf\x85\x9f\x4e\xe7\x0c\xb0\xc3\x03\x00\x4d\xcc"
			    "\xf1\xae\x51",
			    20);
	assert_int_equal(event.major, 0);
	assert_int_equal(event.minor, 0);
	assert_int_equal(event.inode, 0);
	assert_string_equal(event.path, "/usr/bin/true");
}

static void test_flag_that_was_not_asked_for_is_not_believed(void **state)
{
	_cleanup_free_ struct perf_event_header *record = COPY(mmap_with_inode);
	struct sideband_event event;

	(void)state;
	record->misc |= PERF_RECORD_MISC_MMAP_BUILD_ID;
	assert_true(sideband_record_parse(record, false, &event));
	assert_int_equal(event.build_id_len, 0);
	assert_int_equal(event.major, 0xfe);
	assert_int_equal(event.inode, 0x3c829);
}

static void test_mmap_of_what_has_no_file(void **state)
{
	_cleanup_free_ struct perf_event_header *record = COPY(mmap_of_vdso);
	struct sideband_event event;

	(void)state;
	assert_true(sideband_record_parse(record, true, &event));
	assert_string_equal(event.path, "[vdso]");
	assert_int_equal(event.inode, 0);
	assert_int_equal(event.build_id_len, 0);
}

static void test_build_id_length_is_not_believed(void **state)
{
	_cleanup_free_ struct perf_event_header *record = COPY(mmap_with_build_id);
	uint8_t *length = (uint8_t *)record + 40;
	struct sideband_event event;

	(void)state;
	assert_int_equal(*length, 20);
	*length = 255;
	assert_true(sideband_record_parse(record, true, &event));
	assert_int_equal(event.build_id_len, 20);
	*length = 8;
	assert_true(sideband_record_parse(record, true, &event));
	assert_int_equal(event.build_id_len, 8);
	assert_int_equal(event.build_id[8], 0);
}

static void test_path_without_an_end_is_refused(void **state)
{
	_cleanup_free_ struct perf_event_header *record = COPY(mmap_with_inode);
	struct sideband_event event = { .tgid = 42 };
	char *path = (char *)record + PATH_OFFSET;

	(void)state;
	memset(path, 'x', 16); /* up to the perf_sample_id, which has bytes that are 0 */
	assert_false(sideband_record_parse(record, true, &event));
	assert_int_equal(event.tgid, 42);
	path[15] = '\0';
	assert_true(sideband_record_parse(record, true, &event));
	assert_int_equal(strlen(event.path), 15);
}

static void test_other_kinds_are_no_events(void **state)
{
	_cleanup_free_ struct perf_event_header *record = COPY(mmap_with_inode);
	struct sideband_event event;
	uint64_t time_ns;
	uint32_t type;

	(void)state;
	for (type = 0; type < 64; type++) {
		record->type = type;
		record->misc = 0;
		assert_int_equal(sideband_record_time(record, &time_ns),
				 type == PERF_RECORD_MMAP2 || type == PERF_RECORD_FORK ||
					 type == PERF_RECORD_EXIT);
		if (!sideband_record_time(record, &time_ns))
			assert_false(sideband_record_parse(record, true, &event));
	}
	record->type = UINT32_MAX;
	assert_false(sideband_record_parse(record, true, &event));
}

static void test_lost_records_are_counted(void **state)
{
	_cleanup_free_ struct perf_event_header *record = COPY(lost_seven);
	_cleanup_free_ struct perf_event_header *shorter = copy_bytes(lost_seven, 16);
	_cleanup_free_ struct perf_event_header *other = COPY(comm_of_exec);

	(void)state;
	assert_int_equal(sideband_record_lost(record), 7);
	assert_int_equal(sideband_record_lost(shorter), 0);
	assert_int_equal(sideband_record_lost(other), 0);
}

static const struct {
	const char *bytes;
	size_t size, size_min; /* of what can still be understood */
} recorded[] = {
	{ fork_of_process, sizeof(fork_of_process) - 1, 56 },
	{ fork_of_thread, sizeof(fork_of_thread) - 1, 56 },
	{ exit_of_thread, sizeof(exit_of_thread) - 1, 56 },
	{ comm_of_exec, sizeof(comm_of_exec) - 1, 40 },
	{ mmap_with_inode, sizeof(mmap_with_inode) - 1, PATH_OFFSET + 25 },
	{ mmap_with_build_id, sizeof(mmap_with_build_id) - 1, PATH_OFFSET + 25 },
	{ mmap_of_vdso, sizeof(mmap_of_vdso) - 1, PATH_OFFSET + 25 },
	{ lost_seven, sizeof(lost_seven) - 1, SIZE_MAX },
};

static void test_short_records_are_refused(void **state)
{
	size_t i, size;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(recorded); i++) {
		for (size = sizeof(struct perf_event_header); size <= recorded[i].size; size++) {
			_cleanup_free_ struct perf_event_header *record =
				copy_bytes(recorded[i].bytes, size);
			struct sideband_event event;

			if (sideband_record_parse(record, true, &event))
				assert_true(size >= recorded[i].size_min);
			sideband_record_lost(record);
		}
	}
}

static void test_hostile_bytes_are_survived(void **state)
{
	uint32_t random = 2463534242u, round;

	(void)state;
	for (round = 0; round < 20000; round++) {
		size_t i = round % ARRAY_SIZE(recorded);
		_cleanup_free_ struct perf_event_header *record =
			copy_bytes(recorded[i].bytes, recorded[i].size);
		struct sideband_event event = {};
		int changes;

		for (changes = 0; changes < 4; changes++) {
			random ^= random << 13;
			random ^= random >> 17;
			random ^= random << 5;
			((uint8_t *)record)[random % recorded[i].size] = (uint8_t)(random >> 16);
		}
		record->size = (uint16_t)recorded[i].size;
		if (!sideband_record_parse(record, true, &event))
			continue;
		assert_true(event.build_id_len <= sizeof(event.build_id));
		assert_true(event.kind == SIDEBAND_MMAP ? strlen(event.path) < 100 : !event.path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fork_names_child_and_parent),
		cmocka_unit_test(test_flag_that_was_not_asked_for_is_not_believed),
		cmocka_unit_test(test_new_thread_is_no_event),
		cmocka_unit_test(test_exit_is_of_one_task),
		cmocka_unit_test(test_comm_counts_only_with_the_exec_bit),
		cmocka_unit_test(test_mmap_with_inode),
		cmocka_unit_test(test_mmap_with_build_id_has_no_inode),
		cmocka_unit_test(test_mmap_of_what_has_no_file),
		cmocka_unit_test(test_build_id_length_is_not_believed),
		cmocka_unit_test(test_path_without_an_end_is_refused),
		cmocka_unit_test(test_other_kinds_are_no_events),
		cmocka_unit_test(test_lost_records_are_counted),
		cmocka_unit_test(test_short_records_are_refused),
		cmocka_unit_test(test_hostile_bytes_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
