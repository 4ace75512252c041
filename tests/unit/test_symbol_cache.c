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

#define NOBODY 65534
#define STAMP 0x1122334455667788ull

static char directory[64]; /* one for each test */
static char folder[96];	   /* of the cache, in it */

static const struct elf_build_id id = { { 0xab, 0xcd, 0xef, 1, 2, 3, 4, 5 }, 8 };
#define ID_NAME "abcdef0102030405"

static struct symbol_cache *open_cache(uint64_t max_bytes)
{
	struct symbol_cache_config config = { .folder = folder, .max_bytes = max_bytes };
	struct symbol_cache *cache;

	assert_int_equal(symbol_cache_new(&config, &cache), 0);
	return cache;
}

static const char *entry_path(const char *name)
{
	static char path[192];

	snprintf(path, sizeof(path), "%s/symtab/%s", folder, name);
	return path;
}

static int put_text(struct symbol_cache *cache, const struct elf_build_id *build_id,
		    const char *text)
{
	struct iovec part = { (void *)(uintptr_t)text, strlen(text) };

	return symbol_cache_put(cache, CACHE_SYMTAB, build_id, STAMP, &part, 1);
}

static int get(struct symbol_cache *cache, struct symbol_cache_entry *entry)
{
	return symbol_cache_get(cache, CACHE_SYMTAB, &id, STAMP, entry);
}

static void assert_missing(struct symbol_cache *cache)
{
	struct symbol_cache_entry entry;

	assert_int_equal(get(cache, &entry), -ENOENT);
}

static void assert_text(struct symbol_cache *cache, const char *text)
{
	struct symbol_cache_entry entry;

	assert_int_equal(get(cache, &entry), 0);
	assert_int_equal(entry.size, strlen(text));
	assert_memory_equal(entry.payload, text, entry.size);
	symbol_cache_release(&entry);
}

static size_t count_files(const char *prefix)
{
	DIR *files = opendir(entry_path(""));
	const struct dirent *file;
	size_t cnt = 0;

	assert_non_null(files);
	while ((file = readdir(files)))
		cnt += strcmp(file->d_name, ".") != 0 && strcmp(file->d_name, "..") != 0 &&
		       strncmp(file->d_name, prefix, strlen(prefix)) == 0;
	closedir(files);
	return cnt;
}

static int set_up(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/ebpfprof-cache-XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	snprintf(folder, sizeof(folder), "%s/above/ebpfprof", directory);
	return 0;
}

static int tear_down(void **state)
{
	char command[192];

	(void)state;
	snprintf(command, sizeof(command), "chmod -R u+w %s; rm -rf %s", directory, directory);
	return system(command);
}

static void test_cache_gives_what_was_put(void **state)
{
	struct symbol_cache *cache = open_cache(0);
	struct symbol_cache_entry entry;
	char one[] = "one ", two[] = "two ", three[] = "three";
	struct iovec parts[] = { { one, 4 }, { NULL, 0 }, { two, 4 }, { three, 5 } };

	(void)state;
	assert_missing(cache);
	assert_int_equal(symbol_cache_put(cache, CACHE_SYMTAB, &id, STAMP, parts, 4), 0);
	assert_text(cache, "one two three");
	assert_int_equal(get(cache, &entry), 0);
	assert_int_equal((uintptr_t)entry.payload % 8, 0);
	symbol_cache_release(&entry);
	symbol_cache_free(cache);
	/* In another run, and for another kind. */
	cache = open_cache(0);
	assert_text(cache, "one two three");
	assert_int_equal(symbol_cache_get(cache, CACHE_DWARF_INDEX, &id, STAMP, &entry), -ENOENT);
	symbol_cache_free(cache);
}

static void test_cache_is_readable_by_its_owner_only(void **state)
{
	struct symbol_cache *cache = open_cache(0);
	struct stat info;

	(void)state;
	assert_int_equal(put_text(cache, &id, "x"), 0);
	assert_int_equal(stat(folder, &info), 0);
	assert_int_equal(info.st_mode & 07777, 0700);
	assert_int_equal(stat(entry_path("."), &info), 0);
	assert_int_equal(info.st_mode & 07777, 0700);
	assert_int_equal(stat(entry_path(ID_NAME), &info), 0);
	assert_int_equal(info.st_mode & 07777, 0600);
	symbol_cache_free(cache);
}

static void test_cache_holds_empty_payloads(void **state)
{
	struct symbol_cache *cache = open_cache(0);

	(void)state;
	assert_int_equal(symbol_cache_put(cache, CACHE_SYMTAB, &id, STAMP, NULL, 0), 0);
	assert_text(cache, "");
	symbol_cache_free(cache);
}

static void test_a_put_replaces_under_a_reader(void **state)
{
	struct symbol_cache *cache = open_cache(0);
	struct symbol_cache_entry old;

	(void)state;
	assert_int_equal(put_text(cache, &id, "old"), 0);
	assert_int_equal(get(cache, &old), 0);
	assert_int_equal(put_text(cache, &id, "newer"), 0);
	assert_memory_equal(old.payload, "old", 3);
	assert_text(cache, "newer");
	symbol_cache_release(&old);
	assert_int_equal(count_files(""), 1);
	symbol_cache_free(cache);
}

static void test_a_stale_stamp_is_no_entry_and_removed(void **state)
{
	struct symbol_cache *cache = open_cache(0);
	struct symbol_cache_entry entry;

	(void)state;
	assert_int_equal(put_text(cache, &id, "x"), 0);
	assert_int_equal(symbol_cache_get(cache, CACHE_SYMTAB, &id, STAMP + 1, &entry), -ENOENT);
	assert_int_equal(count_files(""), 0);
	symbol_cache_free(cache);
}

static void test_files_without_build_id_are_not_cached(void **state)
{
	struct symbol_cache *cache = open_cache(0);
	struct symbol_cache_entry entry;
	struct elf_build_id none = {};

	(void)state;
	assert_int_equal(put_text(cache, &none, "x"), -EINVAL);
	assert_int_equal(symbol_cache_get(cache, CACHE_SYMTAB, &none, STAMP, &entry), -ENOENT);
	symbol_cache_free(cache);
}

/* The bytes of an entry that is as it should be. */
static size_t read_entry(uint8_t *bytes, size_t max)
{
	FILE *file = fopen(entry_path(ID_NAME), "rb");
	size_t size;

	assert_non_null(file);
	size = fread(bytes, 1, max, file);
	fclose(file);
	return size;
}

static void write_entry(const char *name, const uint8_t *bytes, size_t size)
{
	FILE *file;

	unlink(entry_path(name));
	file = fopen(entry_path(name), "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	fclose(file);
	assert_int_equal(chmod(entry_path(name), 0600), 0);
}

static void test_a_flipped_bit_anywhere_is_noticed(void **state)
{
	struct symbol_cache *cache = open_cache(0);
	uint8_t bytes[256];
	size_t size, i;

	(void)state;
	assert_int_equal(put_text(cache, &id, "some names"), 0);
	size = read_entry(bytes, sizeof(bytes));
	assert_int_equal(size, 64 + 10);
	for (i = 0; i < size * 8; i++) {
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
		write_entry(ID_NAME, bytes, size);
		assert_missing(cache);
		assert_int_equal(count_files(""), 0); /* removed, to be made anew */
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	write_entry(ID_NAME, bytes, size);
	assert_text(cache, "some names");
	symbol_cache_free(cache);
}

static void test_a_truncated_or_longer_entry_is_noticed(void **state)
{
	struct symbol_cache *cache = open_cache(0);
	uint8_t bytes[256] = {};
	size_t size, cut;

	(void)state;
	assert_int_equal(put_text(cache, &id, "some names"), 0);
	size = read_entry(bytes, sizeof(bytes));
	for (cut = 0; cut < size + 20; cut++) {
		if (cut == size)
			continue;
		write_entry(ID_NAME, bytes, cut);
		assert_missing(cache);
	}
	symbol_cache_free(cache);
}

/* An entry of another program under this one's name. */
static void test_an_entry_under_another_name_is_noticed(void **state)
{
	const struct elf_build_id other = { { 1, 2, 3, 4 }, 4 };
	struct symbol_cache *cache = open_cache(0);
	char from[192];

	(void)state;
	assert_int_equal(put_text(cache, &other, "other"), 0);
	snprintf(from, sizeof(from), "%s", entry_path("01020304"));
	assert_int_equal(rename(from, entry_path(ID_NAME)), 0);
	assert_missing(cache);
	symbol_cache_free(cache);
}

static void test_entries_that_others_can_write_are_not_used(void **state)
{
	struct symbol_cache *cache = open_cache(0);
	static const mode_t modes[] = { 0620, 0602, 0666 };
	uint8_t bytes[256];
	size_t size, i;

	(void)state;
	assert_int_equal(put_text(cache, &id, "names"), 0);
	size = read_entry(bytes, sizeof(bytes));
	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		write_entry(ID_NAME, bytes, size);
		assert_int_equal(chmod(entry_path(ID_NAME), modes[i]), 0);
		assert_missing(cache);
	}
	if (geteuid() == 0) {
		write_entry(ID_NAME, bytes, size);
		assert_int_equal(chown(entry_path(ID_NAME), NOBODY, NOBODY), 0);
		assert_missing(cache);
	}
	symbol_cache_free(cache);
}

static void test_what_is_no_regular_file_is_not_used(void **state)
{
	struct symbol_cache *cache = open_cache(0);
	uint8_t bytes[256];
	char target[192];
	size_t size;

	(void)state;
	assert_int_equal(put_text(cache, &id, "names"), 0);
	size = read_entry(bytes, sizeof(bytes));
	write_entry("target", bytes, size);
	snprintf(target, sizeof(target), "%s", entry_path("target"));
	unlink(entry_path(ID_NAME));
	assert_int_equal(symlink(target, entry_path(ID_NAME)), 0);
	assert_missing(cache);
	assert_int_equal(access(target, F_OK), 0);
	assert_int_equal(mkfifo(entry_path(ID_NAME), 0600), 0); /* must not hang */
	assert_missing(cache);
	assert_int_equal(mkdir(entry_path(ID_NAME), 0700), 0);
	assert_missing(cache);
	symbol_cache_free(cache);
}

static int try_folder(void)
{
	struct symbol_cache_config config = { .folder = folder };
	struct symbol_cache *cache = NULL;
	int ret = symbol_cache_new(&config, &cache);

	symbol_cache_free(cache);
	return ret;
}

static void test_folders_that_are_not_ours_are_not_used(void **state)
{
	char target[192];

	(void)state;
	symbol_cache_free(open_cache(0));
	assert_int_equal(chmod(folder, 0770), 0);
	assert_int_equal(try_folder(), -EPERM);
	assert_int_equal(chmod(folder, 0707), 0);
	assert_int_equal(try_folder(), -EPERM);
	assert_int_equal(chmod(folder, 0755), 0);
	assert_int_equal(try_folder(), 0);
	assert_int_equal(chmod(entry_path(""), 0777), 0);
	assert_int_equal(try_folder(), -EPERM);
	assert_int_equal(chmod(entry_path(""), 0700), 0);
	snprintf(target, sizeof(target), "%s/real", directory);
	assert_int_equal(rename(folder, target), 0);
	assert_int_equal(symlink(target, folder), 0);
	assert_true(try_folder() < 0);
	if (geteuid() != 0)
		return;
	assert_int_equal(unlink(folder), 0);
	assert_int_equal(rename(target, folder), 0);
	assert_int_equal(try_folder(), 0);
	assert_int_equal(chown(folder, NOBODY, NOBODY), 0);
	assert_int_equal(try_folder(), -EPERM);
}

/* Root's files are not to be used by another user, nor the other way. */
static void test_entries_of_another_user_are_not_used(void **state)
{
	struct symbol_cache *cache;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(directory, 0777), 0);
	cache = open_cache(0);
	assert_int_equal(put_text(cache, &id, "root's"), 0);
	symbol_cache_free(cache);
	assert_int_equal(chmod(folder, 0755), 0);
	assert_int_equal(seteuid(NOBODY), 0);
	assert_true(try_folder() < 0);
	assert_int_equal(seteuid(0), 0);
}

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

static void test_writers_at_the_same_time_do_not_meet(void **state)
{
	int writer, i, status;

	(void)state;
	for (writer = 0; writer < 4; writer++) {
		struct symbol_cache *cache;
		char text[20001] = {};

		if (fork())
			continue;
		cache = open_cache(256 << 10);
		memset(text, 'a' + writer, 20000 - writer);
		for (i = 0; i < 200; i++) {
			struct elf_build_id build_id = numbered((unsigned int)i % 16);
			struct symbol_cache_entry entry;

			if (put_text(cache, &build_id, text))
				_exit(1);
			if (symbol_cache_get(cache, CACHE_SYMTAB, &build_id, STAMP, &entry))
				continue; /* evicted */
			/* All of one writer. */
			for (size_t k = 1; k < entry.size; k++) {
				if (((const char *)entry.payload)[k] !=
				    ((const char *)entry.payload)[0])
					_exit(2);
			}
			symbol_cache_release(&entry);
		}
		symbol_cache_free(cache);
		_exit(0);
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

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(test_cache_gives_what_was_put),
		IN_FOLDER(test_cache_is_readable_by_its_owner_only),
		IN_FOLDER(test_cache_holds_empty_payloads),
		IN_FOLDER(test_a_put_replaces_under_a_reader),
		IN_FOLDER(test_a_stale_stamp_is_no_entry_and_removed),
		IN_FOLDER(test_files_without_build_id_are_not_cached),
		IN_FOLDER(test_a_flipped_bit_anywhere_is_noticed),
		IN_FOLDER(test_a_truncated_or_longer_entry_is_noticed),
		IN_FOLDER(test_an_entry_under_another_name_is_noticed),
		IN_FOLDER(test_entries_that_others_can_write_are_not_used),
		IN_FOLDER(test_what_is_no_regular_file_is_not_used),
		IN_FOLDER(test_folders_that_are_not_ours_are_not_used),
		IN_FOLDER(test_entries_of_another_user_are_not_used),
		IN_FOLDER(test_where_the_cache_lies),
		IN_FOLDER(test_the_entries_used_longest_ago_go),
		IN_FOLDER(test_use_is_noted_at_most_once_an_hour),
		IN_FOLDER(test_an_entry_of_more_than_a_quarter_is_refused),
		IN_FOLDER(test_leftovers_of_dead_writers_go),
		IN_FOLDER(test_a_put_that_fails_leaves_nothing),
		IN_FOLDER(test_a_read_only_folder_still_gives),
		IN_FOLDER(test_writers_at_the_same_time_do_not_meet),
		IN_FOLDER(test_cache_survives_failing_allocations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
