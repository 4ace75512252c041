/* SPDX-License-Identifier: BSD-2-Clause */
/* exporters/file.h's second half: formats, and a profile to a file in each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "exporters/file.h"
#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"
#include "profiler/base/fileio.h"
#include "profiler/base/strbuf.h"
#include "proto/folded.h"
#include "tests/unit/fail_malloc.h"
#include "tests/unit/place.h"
#include "tests/unit/sample_profile.h"

static void test_formats_by_name_and_suffix(void **state)
{
	(void)state;
	assert_int_equal(profile_format_by_name("pprof"), FORMAT_PPROF_GZIP);
	assert_int_equal(profile_format_by_name("pprof-raw"), FORMAT_PPROF);
	assert_int_equal(profile_format_by_name("folded"), FORMAT_FOLDED);
	assert_int_equal(profile_format_by_name("Folded"), FORMAT_UNKNOWN);
	assert_int_equal(profile_format_by_name(""), FORMAT_UNKNOWN);
	assert_int_equal(profile_format_by_suffix("a/x.pb.gz"), FORMAT_PPROF_GZIP);
	assert_int_equal(profile_format_by_suffix("x.pb"), FORMAT_PPROF);
	assert_int_equal(profile_format_by_suffix("x.y.folded"), FORMAT_FOLDED);
	assert_int_equal(profile_format_by_suffix("x.gz"), FORMAT_UNKNOWN);
	assert_int_equal(profile_format_by_suffix("-"), FORMAT_UNKNOWN);
	assert_string_equal(profile_format_names(), "pprof, pprof-raw, folded");
}

static void test_reader_that_left_is_no_message(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_sample_profile();
	struct errmsg err = { "untouched" };
	int ends[2], saved = dup(STDOUT_FILENO), error;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	fflush(stdout);
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDOUT_FILENO);
	close(ends[1]);
	close(ends[0]);
	error = profile_save(profile, FORMAT_FOLDED, NULL, "-", &err);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	assert_int_equal(error, -EPIPE);
	assert_string_equal(err.text, "untouched");
}

static void test_save_writes_each_format(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_sample_profile();
	struct strbuf bytes = STRBUF_INIT;
	struct errmsg err;

	(void)state;
	assert_int_equal(profile_save(profile, FORMAT_PPROF_GZIP, NULL, "out", NULL), 0);
	assert_int_equal(read_path("out", 1 << 20, &bytes), 0);
	assert_memory_equal(bytes.text, "\x1f\x8b", 2);
	strbuf_clear(&bytes);
	assert_int_equal(profile_save(profile, FORMAT_PPROF, NULL, "out", NULL), 0);
	assert_int_equal(read_path("out", 1 << 20, &bytes), 0);
	assert_memory_equal(bytes.text, "\x0a\x04\x08\x01\x10\x02", 6); /* sample_type */
	strbuf_clear(&bytes);
	assert_int_equal(profile_save(profile, FORMAT_FOLDED,
				      &(struct folded_options){ .value = "cpu" }, "out", NULL),
			 0);
	assert_int_equal(read_path("out", 1 << 20, &bytes), 0);
	assert_non_null(strstr(bytes.text, "main;ns::outer(int);inlined 10101010\n"));
	assert_int_equal(profile_save(profile, FORMAT_FOLDED,
				      &(struct folded_options){ .value = "none" }, "out", &err),
			 -ENOENT);
	assert_non_null(strstr(err.text, "samples, cpu"));
	assert_int_equal(profile_save(profile, FORMAT_UNKNOWN, NULL, "out", &err), -EINVAL);
	assert_int_equal(count_entries("."), 1);
	strbuf_free(&bytes);
	unlink("out");
}

static void test_save_survives_failed_allocations(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = new_sample_profile();
	long n;

	(void)state;
	assert_int_equal(mkdir("dir", 0755), 0);
	assert_int_equal(symlink("dir/real", "link"), 0);
	for (n = 1;; n++) {
		struct errmsg err = { "" };
		int error;

		fail_malloc_at(n);
		error = profile_save(profile, FORMAT_PPROF_GZIP, NULL, "link", &err);
		if (!fail_malloc_hit()) {
			assert_int_equal(error, 0);
			break;
		}
		assert_int_equal(error, -ENOMEM);
		assert_string_equal(err.text, "cannot write 'link': Cannot allocate memory");
		assert_int_equal(count_entries("dir"), 0);
	}
	assert_true(n > 10);
	unlink("dir/real");
	unlink("link");
	rmdir("dir");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_formats_by_name_and_suffix),
		IN_PLACE(test_reader_that_left_is_no_message),
		IN_PLACE(test_save_writes_each_format),
		IN_PLACE(test_save_survives_failed_allocations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
