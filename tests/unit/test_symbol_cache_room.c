/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "profiler/base/strbuf.h"
#include "symbolizer/symbol_cache.h"
#include "symbolizer/symbol_cache_private.h"
#include "tests/unit/fail_malloc.h"
#include "tests/unit/symbol_cache_fixture.h"

static void test_where_the_cache_lies(void **state)
{
	static const struct {
		uid_t owner;
		const char *xdg, *home, *sudo_uid, *expected;
	} cases[] = {
		{ 1000, "/xdg", "/home/u", NULL, "/xdg/ebpfprof" },
		{ 1000, "relative", "/home/u", NULL, "/home/u/.cache/ebpfprof" },
		{ 1000, "", "/home/u", NULL, "/home/u/.cache/ebpfprof" },
		{ 1000, NULL, "/home/u", NULL, "/home/u/.cache/ebpfprof" },
		{ 1000, NULL, NULL, NULL, NULL },
		{ 1000, NULL, "home", NULL, NULL },
		{ 0, NULL, "/root", NULL, "/var/cache/ebpfprof" },
		{ 0, NULL, NULL, NULL, "/var/cache/ebpfprof" },
		{ 0, "/xdg", "/root", NULL, "/xdg/ebpfprof" },
		{ 0, "/xdg", "/home/u", "1000", "/var/cache/ebpfprof" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct strbuf path = STRBUF_INIT;
		const struct {
			const char *name, *value;
		} variables[] = { { "XDG_CACHE_HOME", cases[i].xdg },
				  { "HOME", cases[i].home },
				  { "SUDO_UID", cases[i].sudo_uid } };
		size_t k;

		for (k = 0; k < 3; k++) {
			unsetenv(variables[k].name);
			if (variables[k].value)
				setenv(variables[k].name, variables[k].value, 1);
		}
		assert_int_equal(cache_default_folder(cases[i].owner, &path),
				 cases[i].expected ? 0 : -ENOENT);
		if (cases[i].expected)
			assert_string_equal(path.text, cases[i].expected);
		strbuf_free(&path);
	}
}

static struct elf_build_id numbered(unsigned int n)
{
	return (struct elf_build_id){ { 0xee, (uint8_t)(n >> 8), (uint8_t)n }, 3 };
}

static void set_age(unsigned int n, time_t seconds)
{
	struct timespec times[2] = { { .tv_sec = time(NULL) - seconds } };
	char name[16];

	times[1] = times[0];
	snprintf(name, sizeof(name), "ee%02x%02x", n >> 8, n & 255);
	assert_int_equal(utimensat(AT_FDCWD, entry_path(name), times, 0), 0);
}

static bool is_there(struct symbol_cache *cache, unsigned int n)
{
	struct elf_build_id build_id = numbered(n);
	struct symbol_cache_entry entry;

	if (symbol_cache_get(cache, CACHE_SYMTAB, &build_id, STAMP, &entry))
		return false;
	symbol_cache_release(&entry);
	return true;
}

static void test_the_entries_used_longest_ago_go(void **state)
{
	struct symbol_cache *cache = open_cache(64 << 10);
	char text[5001] = {};
	unsigned int i;

	(void)state;
	memset(text, 'n', 5000); /* two blocks with the header: eight fit */
	for (i = 0; i < 8; i++) {
		struct elf_build_id build_id = numbered(i);

		assert_int_equal(put_text(cache, &build_id, text), 0);
		set_age(i, 100000 - 7200 * i);
	}
	assert_true(is_there(cache, 0)); /* was used, and is the newest now */
	assert_int_equal(put_text(cache, &id, text), 0);
	assert_true(is_there(cache, 0));
	assert_false(is_there(cache, 1));
	assert_false(is_there(cache, 2)); /* an eighth is spare */
	for (i = 3; i < 8; i++)
		assert_true(is_there(cache, i));
	assert_text(cache, text);
	symbol_cache_free(cache);
}

static void test_use_is_noted_at_most_once_an_hour(void **state)
{
	struct symbol_cache *cache = open_cache(0);
	const struct elf_build_id build_id = numbered(1);
	struct stat before, after;

	(void)state;
	assert_int_equal(put_text(cache, &build_id, "x"), 0);
	set_age(1, 3000);
	assert_int_equal(stat(entry_path("ee0001"), &before), 0);
	assert_true(is_there(cache, 1));
	assert_int_equal(stat(entry_path("ee0001"), &after), 0);
	assert_int_equal(before.st_mtime, after.st_mtime);
	set_age(1, 4000);
	assert_true(is_there(cache, 1));
	assert_int_equal(stat(entry_path("ee0001"), &after), 0);
	assert_true(after.st_mtime >= time(NULL) - 60);
	symbol_cache_free(cache);
}

static void test_an_entry_of_more_than_a_quarter_is_refused(void **state)
{
	struct symbol_cache *cache = open_cache(64 << 10);
	static char text[(16 << 10) + 1];

	(void)state;
	memset(text, 'n', sizeof(text) - 1);
	assert_int_equal(put_text(cache, &id, text), -EFBIG);
	assert_int_equal(count_files(""), 0);
	text[(16 << 10) - 64] = '\0';
	assert_int_equal(put_text(cache, &id, text), 0);
	symbol_cache_free(cache);
}

static void test_leftovers_of_dead_writers_go(void **state)
{
	struct timespec times[2] = { { .tv_sec = time(NULL) - 4000 } };
	struct symbol_cache *cache = open_cache(0);

	(void)state;
	times[1] = times[0];
	write_entry(".tmp-old", (const uint8_t *)"x", 1);
	write_entry(".tmp-new", (const uint8_t *)"x", 1);
	write_entry("README", (const uint8_t *)"x", 1); /* whoever put it there */
	assert_int_equal(utimensat(AT_FDCWD, entry_path(".tmp-old"), times, 0), 0);
	assert_int_equal(utimensat(AT_FDCWD, entry_path("README"), times, 0), 0);
	assert_int_equal(put_text(cache, &id, "x"), 0);
	assert_int_equal(count_files(".tmp-old"), 0);
	assert_int_equal(count_files(".tmp-new"), 1);
	assert_int_equal(count_files("README"), 1);
	symbol_cache_free(cache);
}

/* As on a full disk: writing fails in the middle. */
static void test_a_put_that_fails_leaves_nothing(void **state)
{
	struct rlimit unlimited, limit;
	struct symbol_cache *cache = open_cache(0);
	static char text[100001];

	(void)state;
	memset(text, 'n', sizeof(text) - 1);
	assert_int_equal(put_text(cache, &id, "before"), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &unlimited), 0);
	limit = unlimited;
	limit.rlim_cur = 70000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(put_text(cache, &id, text), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &unlimited), 0);
	assert_int_equal(count_files(""), 1);
	assert_text(cache, "before");
	assert_int_equal(put_text(cache, &id, "after"), 0);
	assert_text(cache, "after");
	symbol_cache_free(cache);
}

static void test_a_limit_of_file_sizes_is_no_end(void **state)
{
	struct symbol_cache *cache = open_cache(0);
	struct rlimit old, small;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = (struct rlimit){ 20, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(put_text(cache, &id, "names"), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(put_text(cache, &id, "names"), 0);
	assert_text(cache, "names");
	symbol_cache_free(cache);
}

static void test_a_read_only_folder_still_gives(void **state)
{
	struct symbol_cache *cache;
	bool root = geteuid() == 0;

	(void)state;
	assert_int_equal(chmod(directory, 0777), 0);
	if (root)
		assert_int_equal(seteuid(NOBODY), 0);
	cache = open_cache(0);
	assert_int_equal(put_text(cache, &id, "names"), 0);
	symbol_cache_free(cache);
	assert_int_equal(chmod(entry_path(""), 0500), 0);
	cache = open_cache(0);
	assert_text(cache, "names");
	assert_int_equal(put_text(cache, &id, "other"), -EACCES);
	assert_int_equal(put_text(cache, &id, "other"), -EACCES);
	assert_text(cache, "names");
	symbol_cache_free(cache);
	assert_int_equal(chmod(directory, 0500), root ? -1 : 0);
	snprintf(folder, sizeof(folder), "%s/%s", directory, "new");
	if (!root)
		assert_true(try_folder() < 0);
	if (root)
		assert_int_equal(seteuid(0), 0);
}

/* Puts and gets in a child, which must not leave by a failing assertion; its exit status. */
static int write_and_read(char letter)
{
	struct symbol_cache_config config = { .folder = folder, .max_bytes = 256 << 10 };
	struct symbol_cache *cache;
	char text[20001] = {};
	size_t i, k, found = 0;

	memset(text, letter, 20000);
	if (symbol_cache_new(&config, &cache))
		return 1;
	for (i = 0; i < 200; i++) {
		struct elf_build_id build_id = numbered((unsigned int)i % 16);
		struct symbol_cache_entry entry;
		const char *payload;

		if (put_text(cache, &build_id, text))
			return 2;
		if (symbol_cache_get(cache, CACHE_SYMTAB, &build_id, STAMP, &entry))
			continue; /* evicted */
		payload = entry.payload;
		for (k = 0; k < entry.size && payload[k] == payload[0]; k++)
			;
		if (entry.size != 20000 || k != entry.size) /* not all of one writer */
			return 3;
		symbol_cache_release(&entry);
		found++;
	}
	symbol_cache_free(cache);
	return found ? 0 : 4;
}

static void test_writers_at_the_same_time_do_not_meet(void **state)
{
	int writer, status;

	(void)state;
	for (writer = 0; writer < 4; writer++) {
		if (fork() == 0)
			_exit(write_and_read((char)('a' + writer)));
	}
	for (writer = 0; writer < 4; writer++) {
		assert_true(wait(&status) > 0);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
	assert_int_equal(count_files(".tmp-"), 0);
	assert_true(count_files("") > 0);
}

static void test_cache_survives_failing_allocations(void **state)
{
	struct symbol_cache_config config = { .folder = folder };
	bool hit = true;
	long n;

	(void)state;
	for (n = 1; hit && n < 100; n++) {
		struct symbol_cache *cache = NULL;
		struct symbol_cache_entry entry = {};
		int ret;

		fail_malloc_at(n);
		ret = symbol_cache_new(&config, &cache);
		ret = ret ? ret : put_text(cache, &id, "text");
		ret = ret ? ret : get(cache, &entry);
		hit = fail_malloc_hit();
		fail_malloc_at(0);
		assert_int_equal(ret, hit ? -ENOMEM : 0);
		symbol_cache_release(&entry);
		symbol_cache_free(cache);
	}
	assert_false(hit);
	assert_int_equal(count_files(".tmp-"), 0);
}
int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(test_where_the_cache_lies),
		IN_FOLDER(test_the_entries_used_longest_ago_go),
		IN_FOLDER(test_use_is_noted_at_most_once_an_hour),
		IN_FOLDER(test_an_entry_of_more_than_a_quarter_is_refused),
		IN_FOLDER(test_leftovers_of_dead_writers_go),
		IN_FOLDER(test_a_put_that_fails_leaves_nothing),
		IN_FOLDER(test_a_limit_of_file_sizes_is_no_end),
		IN_FOLDER(test_a_read_only_folder_still_gives),
		IN_FOLDER(test_writers_at_the_same_time_do_not_meet),
		IN_FOLDER(test_cache_survives_failing_allocations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
