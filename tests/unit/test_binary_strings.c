/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * symbolizer/binary: tables that read names from their file, within a budget, and what the cache
 * keeps of programs without build-id.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <time.h>

#include "symbolizer/symbol_cache.h"
#include "tests/unit/binary_fixture.h"

#define FUNCTIONS 5000
#define LONG                                                                                       \
	"_which_has_a_name_so_long_that_the_string_table_of_all_is_more_than_a_megabyte_and_so_"   \
	"stays_where_it_is_instead_of_being_copied_into_the_memory_of_whoever_asks_for_one_name_"  \
	"that_is_in_it_and_for_some_others_perhaps_later_on"

/* A library whose functions are called PREFIX_NUMBER and so on; false when there is no cc. */
static bool build(const struct fixture *fixture, const char *name, char prefix)
{
	FILE *file = fopen(at(fixture, "source.s"), "w");
	char command[512];
	int i;

	assert_non_null(file);
	fputs(".text\n", file);
	for (i = 0; i < FUNCTIONS; i++)
		fprintf(file,
			".type %c_%d" LONG ",@function\n%c_%d" LONG ": nop\n"
			".size %c_%d" LONG ",1\n",
			prefix, i, prefix, i, prefix, i);
	assert_int_equal(fclose(file), 0);
	snprintf(command, sizeof(command),
		 "cc -shared -nostdlib -Wl,--build-id=none -o %s %s 2>/dev/null", at(fixture, name),
		 at(fixture, "source.s"));
	return system(command) == 0;
}

static struct binary *open_library(struct fixture *fixture, const char *name)
{
	struct binary *binary = get(fixture, by_inode(at(fixture, name)));

	assert_int_equal(binary_error(binary), 0);
	return binary;
}

/* How many addresses below 64 KiB have a name; each is @prefix's. */
static unsigned int count_names(struct binary *binary, char prefix)
{
	unsigned int found = 0;
	struct symbol symbol;
	uint64_t address;

	for (address = 0; address < 65536; address += 7) {
		if (!binary_find_symbol(binary, address, &symbol))
			continue;
		assert_int_equal(symbol.name[0], prefix);
		found++;
	}
	return found;
}

static void test_files_dropped_for_others_give_names_again(void **state)
{
	struct fixture *fixture = *state;
	struct binary *binaries[2];
	int i;

	if (!build(fixture, "liba.so", 'a') || !build(fixture, "libb.so", 'b'))
		skip();
	renew_cache(fixture, "/proc", 1, 16); /* no budget: each drops the other */
	binaries[0] = open_library(fixture, "liba.so");
	binaries[1] = open_library(fixture, "libb.so");
	for (i = 0; i < 4; i++)
		assert_true(count_names(binaries[i % 2], "ab"[i % 2]) > FUNCTIONS / 10);
	binary_put(binaries[0]);
	binary_put(binaries[1]);
}

static void test_names_outlive_the_removal_of_the_file(void **state)
{
	struct fixture *fixture = *state;
	struct binary *binary;
	unsigned int cnt;

	if (!build(fixture, "liba.so", 'a'))
		skip();
	renew_cache(fixture, "/proc", MANY, 16);
	binary = open_library(fixture, "liba.so");
	cnt = count_names(binary, 'a');
	assert_true(cnt > FUNCTIONS / 10);
	assert_true(binary_cache_bytes(fixture->cache) < 256 << 10); /* of 1.2 MB of names */
	assert_int_equal(unlink(at(fixture, "liba.so")), 0);
	assert_int_equal(count_names(binary, 'a'), cnt);
	binary_put(binary);
}

/* ---- without build-id ---- */

static unsigned int count_entries(const struct fixture *fixture)
{
	DIR *folder = opendir(at(fixture, "cache/symtab"));
	const struct dirent *file;
	unsigned int cnt = 0;

	assert_non_null(folder);
	while ((file = readdir(folder)))
		cnt += file->d_name[0] != '.';
	closedir(folder);
	return cnt;
}

/* A new process would begin so. */
static unsigned int count_names_anew(struct fixture *fixture, char prefix)
{
	struct symbol_cache_config config = { .folder = at(fixture, "cache") };
	struct binary_naming naming = {};
	struct binary *binary;
	unsigned int cnt;

	renew_cache(fixture, "/proc", MANY, 16);
	assert_int_equal(symbol_cache_new(&config, &naming.cache), 0);
	binary_cache_configure(fixture->cache, &naming);
	binary = open_library(fixture, "lib.so");
	cnt = count_names(binary, prefix);
	binary_put(binary);
	renew_cache(fixture, "/proc", MANY, 16);
	symbol_cache_free(naming.cache);
	return cnt;
}

static void wait_until_settled(const struct fixture *fixture)
{
	struct timespec tenth = { .tv_nsec = 100 * 1000 * 1000 };
	struct stat st;

	assert_int_equal(stat(at(fixture, "lib.so"), &st), 0);
	while (time(NULL) - st.st_ctim.tv_sec < 2)
		nanosleep(&tenth, NULL);
}

static void test_programs_without_build_id_are_cached_once_they_are_settled(void **state)
{
	struct fixture *fixture = *state;
	unsigned int cnt;

	if (!build(fixture, "lib.so", 'a') || !build(fixture, "other.so", 'b'))
		skip();
	cnt = count_names_anew(fixture, 'a');
	assert_true(cnt > FUNCTIONS / 10);
	assert_int_equal(count_entries(fixture), 0); /* it may be written to within this tick */
	wait_until_settled(fixture);
	assert_int_equal(count_names_anew(fixture, 'a'), cnt);
	assert_int_equal(count_entries(fixture), 1);
	assert_int_equal(count_names_anew(fixture, 'a'), cnt);
	/* The same inode and size, other contents. */
	copy_file(at(fixture, "other.so"), at(fixture, "lib.so"));
	assert_int_equal(count_names_anew(fixture, 'b'), cnt);
	wait_until_settled(fixture);
	assert_int_equal(count_names_anew(fixture, 'b'), cnt);
	assert_int_equal(count_entries(fixture), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_files_dropped_for_others_give_names_again,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_names_outlive_the_removal_of_the_file, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			test_programs_without_build_id_are_cached_once_they_are_settled, set_up,
			tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
