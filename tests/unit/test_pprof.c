/* SPDX-License-Identifier: BSD-2-Clause */
/* What the writer writes: against our reader, and against go tool pprof. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "profile.pb-c.h"
#include "profiler/base/cleanup.h"
#include "profiler/base/fileio.h"
#include "profiler/base/strbuf.h"
#include "proto/pprof.h"
#include "proto/profile_read.h"
#include "tests/unit/fail_malloc.h"
#include "tests/unit/sample_profile.h"
#include "tests/unit/same_profile.h"

static int add_to_text(void *context, const void *bytes, size_t len)
{
	struct strbuf *text = context;

	strbuf_add(text, bytes, len);
	return text->failed ? -ENOMEM : 0;
}

static struct strbuf encode(const struct profile *profile, bool gzip)
{
	struct strbuf bytes = STRBUF_INIT;

	assert_int_equal(pprof_write(profile, gzip, add_to_text, &bytes), 0);
	return bytes;
}

static struct profile *decode(const struct strbuf *bytes)
{
	struct profile *profile;

	assert_int_equal(pprof_read(bytes->text, bytes->len, NULL, &profile, NULL), 0);
	return profile;
}

static void test_profile_survives_the_round_trip(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_sample_profile();
	int gzip;

	(void)state;
	for (gzip = 0; gzip < 2; gzip++) {
		_cleanup_(strbuf_free) struct strbuf bytes = encode(profile, gzip);
		_cleanup_(profile_freep) struct profile *copy = decode(&bytes);
		_cleanup_(strbuf_free) struct strbuf again = encode(copy, gzip);

		assert_same_profile(profile, copy);
		assert_int_equal(bytes.len, again.len);
		assert_memory_equal(bytes.text, again.text, bytes.len);
	}
}

static void test_empty_profile_survives_the_round_trip(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = NULL;

	(void)state;
	assert_int_equal(profile_new(&profile), 0);
	_cleanup_(strbuf_free) struct strbuf bytes = encode(profile, true);
	_cleanup_(profile_freep) struct profile *copy = decode(&bytes);

	assert_same_profile(profile, copy);
}

/* More than one chunk of every size, and a stack of the greatest length. */
static void test_large_profile_survives_the_round_trip(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_cpu_profile();
	static int64_t stack[PROFILE_FRAMES_MAX];
	struct profile_line lines[300];
	char name[40];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(stack); i++) {
		snprintf(name, sizeof(name), "function %zu", i * 7919);
		stack[i] = add_frame(profile, 0, i << 40, name);
	}
	for (i = 0; i < ARRAY_SIZE(lines); i++)
		lines[i] = (struct profile_line){ (int64_t)i + 1, (int64_t)i - 5 };
	stack[7] = must(profile_add_location(profile, 0, 1, lines, ARRAY_SIZE(lines)));
	for (i = 1; i <= ARRAY_SIZE(stack); i += 100)
		must(profile_add_sample(profile, stack, i, (int64_t[]){ (int64_t)i, 1 }, NULL, 0));
	must(profile_add_sample(profile, stack, ARRAY_SIZE(stack), (int64_t[]){ 1, 1 }, NULL, 0));
	_cleanup_(strbuf_free) struct strbuf bytes = encode(profile, true);
	_cleanup_(profile_freep) struct profile *copy = decode(&bytes);

	assert_same_profile(profile, copy);
}

static void test_empty_string_label_is_left_out(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_cpu_profile();
	const struct profile_label labels[] = {
		{ .key = "process", .str = "" },
		{ .key = "thread", .str = "t" },
	};
	struct profile_sample_view sample;
	struct profile_label label;

	(void)state;
	must(profile_add_sample(profile, NULL, 0, (int64_t[]){ 1, 1 }, labels, 2));
	_cleanup_(strbuf_free) struct strbuf bytes = encode(profile, true);
	_cleanup_(profile_freep) struct profile *copy = decode(&bytes);

	profile_sample(copy, 1, &sample);
	assert_int_equal(sample.label_cnt, 1);
	profile_sample_label(copy, &sample, 0, &label);
	assert_string_equal(label.key, "thread");
}

static void test_mappings_claim_only_what_their_locations_have(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_sample_profile();
	_cleanup_(strbuf_free) struct strbuf bytes = encode(profile, false);
	Perftools__Profiles__Profile *message =
		perftools__profiles__profile__unpack(NULL, bytes.len, (const uint8_t *)bytes.text);
	size_t i;

	(void)state;
	assert_non_null(message);
	assert_int_equal(message->n_mapping, 4);
	for (i = 0; i < message->n_mapping; i++) {
		const Perftools__Profiles__Mapping *mapping = message->mapping[i];

		assert_int_equal(mapping->id, i + 1);
		assert_true(mapping->has_functions);
		/* Only the first has source lines and inlined functions. */
		assert_int_equal(mapping->has_filenames, i == 0);
		assert_int_equal(mapping->has_line_numbers, i == 0);
		assert_int_equal(mapping->has_inline_frames, i == 0);
	}
	assert_string_equal(message->string_table[0], "");
	perftools__profiles__profile__free_unpacked(message, NULL);
}

static int refuse_later(void *context, const void *bytes, size_t len)
{
	int *calls = context;

	(void)bytes;
	assert_true(len > 0);
	return ++*calls > 1 ? -EPIPE : 0;
}

static void test_error_of_sink_ends_the_writing(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_cpu_profile();
	char name[64];
	int calls, i;

	(void)state;
	for (i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "%x %x", i * 0x9e3779b1u, i * 0x85ebca6bu);
		add_frame(profile, 0, (uint64_t)i, name);
	}
	for (i = 0; i < 2; i++) {
		calls = 0;
		assert_int_equal(pprof_write(profile, i, refuse_later, &calls), -EPIPE);
		assert_int_equal(calls, 2);
	}
}

static int swallow(void *context, const void *bytes, size_t len)
{
	(void)context;
	(void)bytes;
	(void)len;
	return 0;
}

static void test_write_survives_failed_allocations(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_sample_profile();
	long n;
	int gzip, error;

	(void)state;
	for (gzip = 0; gzip < 2; gzip++) {
		for (n = 1;; n++) {
			fail_malloc_at(n);
			error = pprof_write(profile, gzip, swallow, NULL);
			if (!fail_malloc_hit())
				break;
			assert_int_equal(error, -ENOMEM);
		}
		assert_int_equal(error, 0);
		assert_true(n > 5);
	}
}

/* What `go tool pprof -raw` prints of the profile. */
static void run_go_pprof(const struct strbuf *profile, struct strbuf *ret)
{
	char path[] = "/tmp/test_pprof.XXXXXX", command[128];
	_cleanup_close_ int fd = mkstemp(path);
	FILE *output;

	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, profile->text, profile->len), 0);
	snprintf(command, sizeof(command), "GOTOOLCHAIN=local go tool pprof -raw %s 2>&1", path);
	output = popen(command, "r");
	assert_non_null(output);
	assert_int_equal(read_fd(fileno(output), 1 << 20, ret), 0);
	unlink(path);
	if (pclose(output) != 0)
		fail_msg("%s", ret->text);
}

static void check_contains(const struct strbuf *text, const char *part)
{
	if (!strstr(text->text, part))
		fail_msg("no '%s' in:\n%s", part, text->text);
}

/*
 * Go from 1.21 prints columns, `:7:0 s=0`, and before that `:7 s=0`: leave them out.  Returns
 * whether there were any: an older pprof also gives ids of its own.
 */
static bool drop_columns(struct strbuf *text)
{
	char *at = text->text;
	bool had = false;

	while ((at = strstr(at, ":0 s="))) {
		const char *line = at;

		while (line > text->text && line[-1] >= '0' && line[-1] <= '9')
			line--;
		if (line < at && line > text->text && line[-1] == ':') {
			memmove(at, at + 2, strlen(at + 2) + 1);
			had = true;
		} else {
			at++;
		}
	}
	return had;
}

static void test_go_pprof_reads_what_was_written(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_sample_profile();
	_cleanup_(strbuf_free) struct strbuf bytes = encode(profile, true);
	_cleanup_(strbuf_free) struct strbuf text = STRBUF_INIT;
	bool has_our_ids;

	(void)state;
	if (system("command -v go > /dev/null 2>&1 && "
		   "GOTOOLCHAIN=local go tool pprof -h > /dev/null 2>&1") != 0) {
		print_message("no working `go tool pprof` in PATH\n");
		skip();
	}
	run_go_pprof(&bytes, &text);
	has_our_ids = drop_columns(&text);
	check_contains(&text, "Comment: 3 samples lost: ring full\nComment: host: caf\xc3\xa9\n");
	check_contains(&text, "PeriodType: cpu nanoseconds\nPeriod: 10101010\n"
			      "Time: 2025-11-21 00:00:00 +0000 UTC\nDuration: 10s\n"
			      "Samples:\nsamples/count cpu/nanoseconds\n");
	check_contains(&text, "\n          3   30303030: ");
	check_contains(&text, "                process:[web server] thread:[w\xc3\xb6rker]\n"
			      "                pid:[4242 pid]\n");
	check_contains(&text, "\n          7 9223372036854775807: ");
	check_contains(&text, "zero:[0 count]");
	check_contains(&text, ": 0x1234 M=1 main :0 s=0\n");
	check_contains(&text, ": 0x2345 M=1 inlined /src/a/inline.h:7 s=0\n"
			      "             ns::outer(int) /src/a/outer.cc:35 s=30"
			      "(_ZN2ns5outerEi)\n");
	check_contains(&text, "1: 0x1000/0x9000/0x1000 /usr/bin/web 0123456789abcdef "
			      "[FN][FL][LN][IN]\n");
	if (!has_our_ids)
		return;
	check_contains(&text, "          3   30303030: 4 2 1 \n");
	check_contains(&text, "          7 9223372036854775807: 5 3 1 \n"
			      "                process:[other]\n");
	check_contains(&text, "          1          1: 2 1 \n");
	check_contains(&text, "6: 0xdead no mapping :0 s=0\n");
	check_contains(&text, "3: 0x0/0x0/0x0 [kernel.kallsyms]  [FN]\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_profile_survives_the_round_trip),
		cmocka_unit_test(test_empty_profile_survives_the_round_trip),
		cmocka_unit_test(test_large_profile_survives_the_round_trip),
		cmocka_unit_test(test_empty_string_label_is_left_out),
		cmocka_unit_test(test_mappings_claim_only_what_their_locations_have),
		cmocka_unit_test(test_error_of_sink_ends_the_writing),
		cmocka_unit_test(test_write_survives_failed_allocations),
		cmocka_unit_test(test_go_pprof_reads_what_was_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
