/* SPDX-License-Identifier: BSD-2-Clause */
/* The reader on damaged and hostile bytes: it must say no, within its limits, and leak nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <zlib.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"
#include "profiler/base/strbuf.h"
#include "proto/folded.h"
#include "proto/pprof.h"
#include "proto/profile_read.h"
#include "tests/unit/fail_malloc.h"
#include "tests/unit/sample_profile.h"
#include "tests/unit/same_profile.h"

#define MIB ((size_t)1 << 20)
#define HUGE_BYTES (32 * MIB)

static int add_to_text(void *context, const void *bytes, size_t len)
{
	struct strbuf *text = context;

	strbuf_add(text, bytes, len);
	return text->failed ? -ENOMEM : 0;
}

static struct strbuf encode(bool gzip)
{
	_cleanup_(profile_freep) struct profile *profile = new_sample_profile();
	struct strbuf bytes = STRBUF_INIT;

	assert_int_equal(pprof_write(profile, gzip, add_to_text, &bytes), 0);
	return bytes;
}

/* Read a copy of the exact size, so that sanitizers see one byte too many; use what was read. */
static int read_copy(const void *bytes, size_t len, const struct pprof_limits *limits)
{
	_cleanup_(profile_freep) struct profile *profile = NULL;
	_cleanup_(strbuf_free) struct strbuf again = STRBUF_INIT;
	struct errmsg err = { "" };
	void *copy = malloc(len ? len : 1);
	int error;

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	error = pprof_read(copy, len, limits, &profile, &err);
	free(copy);
	assert_int_equal(!error, profile != NULL);
	assert_int_equal(!error, err.text[0] == '\0');
	if (error)
		return error;
	assert_int_equal(pprof_write(profile, false, add_to_text, &again), 0);
	assert_int_equal(folded_write(profile, NULL, add_to_text, &again, NULL), 0);
	return 0;
}

/* Deflate into a gzip file of one member. */
static struct strbuf gzip_of(const void *bytes, size_t len)
{
	struct strbuf out = STRBUF_INIT;
	z_stream stream = { .next_in = (unsigned char *)bytes, .avail_in = (uInt)len };

	assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_true(strbuf_reserve(&out, deflateBound(&stream, len)));
	stream.next_out = (unsigned char *)out.text;
	stream.avail_out = (uInt)out.capacity;
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	out.len = stream.total_out;
	deflateEnd(&stream);
	return out;
}

static void test_every_cut_of_a_gzip_profile_is_an_error(void **state)
{
	_cleanup_(strbuf_free) struct strbuf bytes = encode(true);
	size_t len;

	(void)state;
	for (len = 0; len < bytes.len; len++)
		assert_int_equal(read_copy(bytes.text, len, NULL), -EBADMSG);
	assert_int_equal(read_copy(bytes.text, bytes.len, NULL), 0);
}

static void test_every_cut_of_a_raw_profile_is_read_or_refused(void **state)
{
	_cleanup_(strbuf_free) struct strbuf bytes = encode(false);
	size_t len;
	int error, good = 0;

	(void)state;
	for (len = 0; len <= bytes.len; len++) {
		error = read_copy(bytes.text, len, NULL);
		assert_true(error == 0 || error == -EBADMSG);
		good += !error;
	}
	/* Only cuts behind the string table, between scalars, can be whole. */
	assert_in_range(good, 1, 8);
}

static uint32_t next_random(void)
{
	static uint32_t state = 88172645u;

	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

static void test_flipped_bytes_are_read_or_refused(void **state)
{
	const struct pprof_limits limits = { .inflated_bytes = MIB, .heap_bytes = 4 * MIB };
	int gzip, round, flips, error;

	(void)state;
	for (gzip = 0; gzip < 2; gzip++) {
		_cleanup_(strbuf_free) struct strbuf bytes = encode(gzip);
		_cleanup_(strbuf_free) struct strbuf damaged = STRBUF_INIT;

		for (round = 0; round < 4000; round++) {
			strbuf_clear(&damaged);
			strbuf_add(&damaged, bytes.text, bytes.len);
			for (flips = 1 + round % 4; flips; flips--)
				damaged.text[next_random() % damaged.len] ^=
					(char)(1u << (next_random() % 8));
			error = read_copy(damaged.text, damaged.len, &limits);
			assert_true(error == 0 || error == -EBADMSG || error == -EFBIG);
		}
	}
}

static void test_gzip_members_may_follow_each_other(void **state)
{
	_cleanup_(profile_freep) struct profile *expected = new_sample_profile();
	_cleanup_(profile_freep) struct profile *profile = NULL;
	_cleanup_(strbuf_free) struct strbuf raw = encode(false);
	_cleanup_(strbuf_free) struct strbuf whole = STRBUF_INIT;
	size_t at, len;

	(void)state;
	for (at = 0; at < raw.len; at += len) {
		_cleanup_(strbuf_free) struct strbuf part = STRBUF_INIT;

		len = MIN(raw.len - at, 100);
		part = gzip_of(raw.text + at, len);
		strbuf_add(&whole, part.text, part.len);
	}
	assert_int_equal(pprof_read(whole.text, whole.len, NULL, &profile, NULL), 0);
	assert_same_profile(profile, expected);
	strbuf_add(&whole, "\0", 1);
	assert_int_equal(read_copy(whole.text, whole.len, NULL), -EBADMSG);
	strbuf_add(&whole, "\x1f\x8b\x08", 3);
	assert_int_equal(read_copy(whole.text, whole.len, NULL), -EBADMSG);
}

static void test_gzip_bomb_stops_at_its_limit(void **state)
{
	const struct pprof_limits limits = { .inflated_bytes = 2 * MIB };
	_cleanup_free_ char *zeros = calloc(64, MIB);
	_cleanup_(strbuf_free) struct strbuf bomb = gzip_of(zeros, 64 * MIB);
	_cleanup_(strbuf_free) struct strbuf many = STRBUF_INIT;
	struct profile *profile = NULL;
	struct errmsg err;
	int i;

	(void)state;
	assert_true(bomb.len < 70000);
	assert_int_equal(pprof_read(bomb.text, bomb.len, &limits, &profile, &err), -EFBIG);
	assert_string_equal(err.text, "the profile inflates to more than 2 MiB");
	/* The same in small members. */
	_cleanup_(strbuf_free) struct strbuf member = gzip_of(zeros, 65536);

	for (i = 0; i < 33; i++)
		strbuf_add(&many, member.text, member.len);
	assert_int_equal(pprof_read(many.text, many.len, &limits, &profile, &err), -EFBIG);
	many.len -= member.len;
	assert_int_equal(pprof_read(many.text, many.len, &limits, &profile, &err), -EBADMSG);
	assert_int_equal(pprof_read(zeros, 2 * MIB + 1, &limits, &profile, &err), -EFBIG);
	assert_string_equal(err.text, "the profile is larger than 2 MiB");
}

/* @cnt times @part, behind a good beginning. */
static struct strbuf repeat(const char *part, size_t part_len, size_t cnt)
{
	struct strbuf bytes = STRBUF_INIT;

	strbuf_add(&bytes,
		   "\x0a\x04\x08\x01\x10\x02\x32\x00\x32\x01"
		   "a\x32\x01"
		   "b",
		   14);
	while (cnt--)
		strbuf_add(&bytes, part, part_len);
	return bytes;
}

static void test_empty_messages_stop_at_the_heap_limit(void **state)
{
	/* Empty sample, mapping, location, function, string; a label; packed ids. */
	static const char parts[][8] = {
		"\x12\x00",
		"\x1a\x00",
		"\x22\x00",
		"\x2a\x00",
		"\x32\x00",
		"\x12\x02\x1a\x00",
		"\x12\x04\x0a\x02\x01\x01",
		"\x22\x02\x22\x00",
	};
	static const size_t lens[] = { 2, 2, 2, 2, 2, 4, 6, 4 };
	const struct pprof_limits limits = { .heap_bytes = 8 * MIB };
	struct rusage before, after;
	size_t i;

	(void)state;
	assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		_cleanup_(strbuf_free) struct strbuf bytes = repeat(parts[i], lens[i], 1000000);
		struct profile *profile = NULL;
		struct errmsg err;

		assert_int_equal(pprof_read(bytes.text, bytes.len, &limits, &profile, &err),
				 -EFBIG);
		assert_string_equal(err.text, "the profile needs more than 8 MiB of memory");
	}
	assert_int_equal(getrusage(RUSAGE_SELF, &after), 0);
#ifndef __SANITIZE_ADDRESS__ /* whose quarantine keeps what was freed */
	/* Our own copies of the input are 6 MB and grow by doubling. */
	assert_in_range(after.ru_maxrss - before.ru_maxrss, 0, 40 * 1024);
#endif
}

/* Locations and samples that are small on the wire draw on the same limit once they are ours. */
static void test_finished_profile_draws_on_the_heap_limit(void **state)
{
	const struct pprof_limits limits = { .heap_bytes = 3 * MIB };
	_cleanup_(strbuf_free) struct strbuf bytes = repeat("", 0, 0);
	struct profile *profile = NULL;
	struct errmsg err;
	unsigned int id;

	(void)state;
	for (id = 1; id < 16384; id++) {
		const char low = (char)(id | 0x80), high = (char)(id >> 7);
		const char location[] = { 0x22, 6, 0x08, low, high, 0x18, low, high };

		strbuf_add(&bytes, location, sizeof(location));
	}
	assert_int_equal(pprof_read(bytes.text, bytes.len, &limits, &profile, &err), -EFBIG);
	assert_int_equal(pprof_read(bytes.text, bytes.len, NULL, &profile, &err), 0);
	assert_int_equal(profile_location_cnt(profile), 16383);
	profile_free(profile);
}

/* Time must not multiply: many references to one huge string, as name, label and file name. */
static void test_references_to_a_huge_string_are_cheap(void **state)
{
	_cleanup_free_ char *huge = malloc(HUGE_BYTES);
	_cleanup_(strbuf_free) struct strbuf bytes = repeat("", 0, 0);
	struct rusage before, after;
	struct profile *profile = NULL;
	struct errmsg err = { "" };
	unsigned int id;

	(void)state;
	memset(huge, 'n', HUGE_BYTES);
	strbuf_add(&bytes, "\x32\x80\x80\x80\x10", 5);
	strbuf_add(&bytes, huge, HUGE_BYTES);
	for (id = 1; id < 16384; id++) {
		const char low = (char)(id | 0x80), high = (char)(id >> 7);
		const char
			parts[] = {
				0x1a, 5,    0x08, low,	high, 0x28,
				3, /* mapping: id, filename */
				0x2a, 5,    0x08, low,	high, 0x10,
				3, /* function: id, name */
				0x22, 9,    0x08, low,	high, 0x10,
				low,			/* location without lines: id, mapping */
				high, 0x18, low,  high, /* address */
				0x12, 12,   0x0a, 2,	low,  high,
				0x10, 1,			 /* sample: location, value */
				0x1a, 4,    0x08, 3,	0x10, 3, /* label: key, str */
			};

		strbuf_add(&bytes, parts, sizeof(parts));
	}
	assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);
	if (pprof_read(bytes.text, bytes.len, NULL, &profile, &err))
		fail_msg("%s", err.text);
	assert_int_equal(getrusage(RUSAGE_SELF, &after), 0);
	assert_int_equal(profile_sample_cnt(profile), 16383);
	assert_int_equal(profile_mapping_cnt(profile), 1);
	profile_free(profile);
	/* Read each time, they would be 512 GiB: half a minute at least. */
	assert_in_range(after.ru_utime.tv_sec - before.ru_utime.tv_sec, 0, 9);
}

static void test_read_survives_failed_allocations(void **state)
{
	_cleanup_(profile_freep) struct profile *expected = new_sample_profile();
	_cleanup_(strbuf_free) struct strbuf bytes = encode(true);
	long n;

	(void)state;
	for (n = 1;; n++) {
		struct profile *profile = NULL;
		struct errmsg err = { "" };
		int error;

		fail_malloc_at(n);
		error = pprof_read(bytes.text, bytes.len, NULL, &profile, &err);
		if (!fail_malloc_hit()) {
			assert_int_equal(error, 0);
			assert_same_profile(profile, expected);
			profile_free(profile);
			break;
		}
		assert_int_equal(error, -ENOMEM);
		assert_null(profile);
		assert_string_equal(strrchr(err.text, ':'), ": Cannot allocate memory");
	}
	assert_true(n > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_cut_of_a_gzip_profile_is_an_error),
		cmocka_unit_test(test_every_cut_of_a_raw_profile_is_read_or_refused),
		cmocka_unit_test(test_flipped_bytes_are_read_or_refused),
		cmocka_unit_test(test_gzip_members_may_follow_each_other),
		cmocka_unit_test(test_gzip_bomb_stops_at_its_limit),
		cmocka_unit_test(test_empty_messages_stop_at_the_heap_limit),
		cmocka_unit_test(test_finished_profile_draws_on_the_heap_limit),
		cmocka_unit_test(test_references_to_a_huge_string_are_cheap),
		cmocka_unit_test(test_read_survives_failed_allocations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
