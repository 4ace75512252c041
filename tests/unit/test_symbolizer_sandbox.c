/* SPDX-License-Identifier: BSD-2-Clause */
/* Where libdebuginfod writes to, by its environment, and whether it is asked at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "profiler/base/strbuf.h"
#include "symbolizer/symbolizer_sandbox.h"
#include "tests/unit/fail_malloc.h"

static int clear(void **state)
{
	(void)state;
	unsetenv("DEBUGINFOD_URLS");
	unsetenv("DEBUGINFOD_CACHE_PATH");
	unsetenv("XDG_CACHE_HOME");
	setenv("HOME", "/nowhere/home", 1);
	return 0;
}

static void assert_folder(const char *expected)
{
	struct strbuf folder = STRBUF_INIT;

	assert_int_equal(debuginfod_cache_folder(&folder), 0);
	assert_string_equal(folder.text, expected);
	strbuf_free(&folder);
}

static void test_debuginfod_is_wanted_where_it_has_a_server(void **state)
{
	(void)state;
	assert_false(debuginfod_is_wanted());
	setenv("DEBUGINFOD_URLS", "", 1);
	assert_false(debuginfod_is_wanted());
	setenv("DEBUGINFOD_URLS", "  ", 1);
	assert_false(debuginfod_is_wanted());
	setenv("DEBUGINFOD_URLS", " http://127.0.0.1/", 1);
	assert_true(debuginfod_is_wanted());
}

static void test_the_cache_is_found_as_the_library_finds_it(void **state)
{
	(void)state;
	assert_folder("/nowhere/home/.cache/debuginfod_client");
	setenv("XDG_CACHE_HOME", "", 1);
	assert_folder("/nowhere/home/.cache/debuginfod_client");
	setenv("XDG_CACHE_HOME", "/nowhere/xdg", 1);
	assert_folder("/nowhere/xdg/debuginfod_client");
	setenv("DEBUGINFOD_CACHE_PATH", "", 1);
	assert_folder("/nowhere/xdg/debuginfod_client");
	setenv("DEBUGINFOD_CACHE_PATH", "/nowhere/cache", 1);
	assert_folder("/nowhere/cache");
}

static void test_an_old_cache_goes_on_being_used(void **state)
{
	char home[] = "/tmp/ebpfprof-home-XXXXXX", old[64];

	(void)state;
	assert_non_null(mkdtemp(home));
	setenv("HOME", home, 1);
	setenv("XDG_CACHE_HOME", "/nowhere/xdg", 1);
	assert_folder("/nowhere/xdg/debuginfod_client");
	snprintf(old, sizeof(old), "%s/.debuginfod_client_cache", home);
	assert_int_equal(mkdir(old, 0700), 0);
	assert_folder(old);
	rmdir(old);
	rmdir(home);
}

static void test_every_failing_allocation_is_survived(void **state)
{
	struct strbuf folder;
	long n;
	int r;

	(void)state;
	for (n = 1;; n++) {
		folder = (struct strbuf)STRBUF_INIT;
		fail_malloc_at(n);
		r = debuginfod_cache_folder(&folder);
		strbuf_free(&folder);
		if (!fail_malloc_hit())
			break;
		assert_int_equal(r, -ENOMEM);
	}
	assert_int_equal(r, 0);
	assert_true(n > 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_debuginfod_is_wanted_where_it_has_a_server, clear),
		cmocka_unit_test_setup(test_the_cache_is_found_as_the_library_finds_it, clear),
		cmocka_unit_test_setup(test_an_old_cache_goes_on_being_used, clear),
		cmocka_unit_test_setup(test_every_failing_allocation_is_survived, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
