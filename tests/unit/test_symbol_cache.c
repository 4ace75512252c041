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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
