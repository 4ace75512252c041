/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <errno.h>

#include "profiler/base/err.h"
#include "symbolizer/kallsyms.h"
#include "tests/unit/fail_malloc.h"

#define KERNEL 0xffffffff81000000ull

static const char fixture[] = "0000000000000000 A fixed_percpu_data\n"
			      "ffffffff81000000 T _stext\n"
			      "ffffffff81000000 T _text\n"
			      "ffffffff81000000 t startup_64\n"
			      "ffffffff81000100 t __pfx_do_one\n"
			      "ffffffff81000110 t do_one\n"
			      "ffffffff81000200 t local_alias\n"
			      "ffffffff81000200 T __x64_sys_read\n"
			      "ffffffff81000200 W weak_alias\n"
			      "ffffffff81000300 T __under\n"
			      "ffffffff81000300 T under\n"
			      "ffffffff81000400 t part.0\n"
			      "ffffffff81000400 t whole_thing\n"
			      "ffffffff81000480 w weak_one\n"
			      "ffffffff81000500 D jiffies\n"
			      "ffffffff81000600 T last_function\n"
			      "ffffffff81000700 T _etext\n"
			      "ffffffff81200000 D some_data\n"
			      "ffffffffc0600000 t nft_do_chain\t[nf_tables]\n"
			      "ffffffffc0600100 b nft_data\t[nf_tables]\n"
			      "ffffffffc0400000 t first_of_module\t[zram]\n"
			      "ffffffffc0800000 t bpf_prog_6deef7357e7b4530_on_switch\t[bpf]\n"
			      "ffffffffc0800100 t bpf_prog_6deef7357e7b4530\t[bpf]\n"
			      "ffffffffc0800200 t bpf_dispatcher_xdp\t[bpf]\n"
			      "ffffffffc0900000 t ftrace_trampoline\t[__builtin__ftrace]\n"
			      "ffff800000001000 t far_away\t[bpf]\n";

/* Loads @text from a file made for it. */
static int load_text(const char *text, size_t len, struct kallsyms **ret)
{
	char path[] = "/tmp/ebpfprof-kallsyms-XXXXXX";
	int fd = mkstemp(path), code;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	close(fd);
	code = kallsyms_load(path, ret, NULL);
	unlink(path);
	return code;
}

static struct kallsyms *load_fixture(void)
{
	struct kallsyms *table;

	assert_int_equal(load_text(fixture, sizeof(fixture) - 1, &table), 0);
	return table;
}

static void assert_symbol(const struct kallsyms *table, uint64_t address, const char *name,
			  const char *module)
{
	struct kernel_symbol symbol;

	if (!kallsyms_find(table, address, &symbol))
		fail_msg("0x%llx has no name", (unsigned long long)address);
	assert_string_equal(symbol.name, name);
	assert_string_equal(symbol.module, module);
	assert_true(symbol.address <= address);
}

static void test_kallsyms_finds_the_symbol_before_an_address(void **state)
{
	struct kallsyms *table = load_fixture();
	struct kernel_symbol symbol;

	(void)state;
	assert_symbol(table, KERNEL + 0x100, "__pfx_do_one", "");
	assert_symbol(table, KERNEL + 0x110, "do_one", "");
	assert_symbol(table, KERNEL + 0x1ff, "do_one", "");
	assert_symbol(table, KERNEL + 0x490, "weak_one", "");
	assert_true(kallsyms_find(table, KERNEL + 0x1ff, &symbol));
	assert_int_equal(symbol.address, KERNEL + 0x110);
	assert_false(kallsyms_find(table, 0x1000, &symbol));
	assert_false(kallsyms_find(table, KERNEL - 1, &symbol));
	assert_false(kallsyms_hidden(table));
	assert_true(kallsyms_bytes(table) > sizeof(fixture) / 4);
	kallsyms_free(table);
}

static void test_kallsyms_prefers_the_best_of_aliases(void **state)
{
	struct kallsyms *table = load_fixture();

	(void)state;
	assert_symbol(table, KERNEL, "startup_64", "");
	assert_symbol(table, KERNEL + 0x200, "__x64_sys_read", "");
	assert_symbol(table, KERNEL + 0x300, "under", "");
	assert_symbol(table, KERNEL + 0x400, "whole_thing", "");
	kallsyms_free(table);
}

static void test_kallsyms_leaves_data_out(void **state)
{
	struct kallsyms *table = load_fixture();

	(void)state;
	assert_symbol(table, KERNEL + 0x500, "weak_one", "");
	assert_symbol(table, 0xffffffffc0600100ull, "nft_do_chain", "nf_tables");
	kallsyms_free(table);
}

static void test_kallsyms_ends_the_kernel_at_its_end_of_text(void **state)
{
	struct kallsyms *table = load_fixture();
	struct kernel_symbol symbol;
	uint64_t start, end;

	(void)state;
	kallsyms_text_range(table, &start, &end);
	assert_int_equal(start, KERNEL);
	assert_int_equal(end, KERNEL + 0x700);
	assert_symbol(table, KERNEL + 0x6ff, "last_function", "");
	assert_false(kallsyms_find(table, KERNEL + 0x700, &symbol));
	assert_false(kallsyms_find(table, KERNEL + 0x800, &symbol));
	kallsyms_free(table);
}

static void test_kallsyms_limits_the_reach_of_a_symbol(void **state)
{
	struct kallsyms *table = load_fixture();
	struct kernel_symbol symbol;

	(void)state;
	assert_symbol(table, 0xffffffffc0700000ull, "nft_do_chain", "nf_tables");
	assert_false(kallsyms_find(table, 0xffffffffc0700001ull, &symbol));
	assert_false(kallsyms_find(table, UINT64_MAX, &symbol));
	kallsyms_free(table);
}

static void test_kallsyms_knows_modules_and_bpf_programs(void **state)
{
	struct kallsyms *table = load_fixture();

	(void)state;
	assert_symbol(table, 0xffffffffc0400010ull, "first_of_module", "zram");
	assert_symbol(table, 0xffffffffc0800010ull, "on_switch", "bpf");
	assert_symbol(table, 0xffffffffc0800110ull, "bpf_prog_6deef7357e7b4530", "bpf");
	assert_symbol(table, 0xffffffffc0800210ull, "bpf_dispatcher_xdp", "bpf");
	assert_symbol(table, 0xffffffffc0900010ull, "ftrace_trampoline", "ftrace");
	assert_symbol(table, 0xffff800000001010ull, "far_away", "bpf");
	kallsyms_free(table);
}

static void test_kallsyms_hidden_addresses_are_told(void **state)
{
	static const char text[] = "0000000000000000 T _stext\n0000000000000000 T startup_64\n"
				   "0000000000000000 t x\t[zram]\n";
	struct kallsyms *table;
	struct kernel_symbol symbol;
	uint64_t start, end;

	(void)state;
	assert_int_equal(load_text(text, sizeof(text) - 1, &table), 0);
	assert_true(kallsyms_hidden(table));
	assert_int_equal(kallsyms_cnt(table), 0);
	assert_false(kallsyms_find(table, KERNEL, &symbol));
	kallsyms_text_range(table, &start, &end);
	assert_int_equal(start | end, 0);
	kallsyms_free(table);

	assert_int_equal(load_text("", 0, &table), 0);
	assert_false(kallsyms_hidden(table));
	kallsyms_free(table);
}

static void test_kallsyms_skips_what_is_no_symbol(void **state)
{
	static const char text[] =
		"garbage\n\n \nffff\nffffffff81000000\nffffffff81000000 T\n"
		"ffffffff81000000 T \n1ffffffff81000000 T too_long_address\n"
		"ffffffff81000000  T two_blanks\nFFFFFFFF81000000 T upper\n"
		"ffffffff81000000 T nul\0name\n"
		"ffffffff81000010 T good\nffffffff81000020 T last_without_newline";
	struct kallsyms *table;

	(void)state;
	assert_int_equal(load_text(text, sizeof(text) - 1, &table), 0);
	assert_int_equal(kallsyms_cnt(table), 2);
	assert_symbol(table, KERNEL + 0x10, "good", "");
	assert_symbol(table, KERNEL + 0x20, "last_without_newline", "");
	kallsyms_free(table);
}

static void test_kallsyms_skips_lines_longer_than_its_buffer(void **state)
{
	size_t len = 300000;
	char *text = malloc(len);
	struct kallsyms *table;
	int n;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', len);
	n = snprintf(text, len, "ffffffff81000010 T good\nffffffff81000018 T ");
	text[n] = 'x';
	memcpy(text + len - 40, "\nffffffff81000020 T after_it_all________", 40);
	assert_int_equal(load_text(text, len, &table), 0);
	assert_int_equal(kallsyms_cnt(table), 2);
	assert_symbol(table, KERNEL + 0x20, "after_it_all________", "");
	kallsyms_free(table);
	free(text);
}

/* Lines that end anywhere with respect to the buffer. */
static void test_kallsyms_reads_lines_across_its_buffer(void **state)
{
	size_t lines = 20000, i, len = 0, capacity = lines * 64;
	char *text = malloc(capacity), name[64];
	struct kallsyms *table;

	(void)state;
	assert_non_null(text);
	for (i = 0; i < lines; i++)
		len += (size_t)snprintf(text + len, capacity - len, "%016llx t f_%0*zu\n",
					KERNEL + i * 16, (int)(i % 13), i);
	assert_int_equal(load_text(text, len, &table), 0);
	assert_int_equal(kallsyms_cnt(table), lines);
	for (i = 0; i < lines; i++) {
		snprintf(name, sizeof(name), "f_%0*zu", (int)(i % 13), i);
		assert_symbol(table, KERNEL + i * 16 + 3, name, "");
	}
	kallsyms_free(table);
	free(text);
}

static void test_kallsyms_missing_file_is_an_error(void **state)
{
	struct kallsyms *table;
	struct errmsg err = {};

	(void)state;
	assert_int_equal(kallsyms_load("/nonexistent/kallsyms", &table, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nonexistent/kallsyms"));
}

/* Any text symbol of the file is found at its address, under a name that the file has there. */
static void test_kallsyms_agrees_with_the_running_kernel(void **state)
{
	unsigned long long address, last = 0;
	char line[1024], name[512], type, found[512] = "";
	struct kernel_symbol symbol;
	bool matched = true;
	struct kallsyms *table;
	FILE *file;

	(void)state;
	if (kallsyms_load("/proc/kallsyms", &table, NULL) || kallsyms_hidden(table)) {
		print_message("/proc/kallsyms shows no addresses here\n");
		skip();
	}
	file = fopen("/proc/kallsyms", "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%llx %c %511s", &address, &type, name) != 3 || !address ||
		    !strchr("tTwW", type) || strncmp(name, "bpf_prog_", 9) == 0 ||
		    strchr(line, '['))
			continue;
		if (address != last) {
			if (!matched)
				fail_msg("0x%llx has no symbol %s", last, found);
			if (!kallsyms_find(table, address, &symbol))
				continue; /* _etext and what comes behind */
			assert_int_equal(symbol.address, address);
			snprintf(found, sizeof(found), "%s", symbol.name);
			matched = false;
			last = address;
		}
		matched |= strcmp(found, name) == 0;
	}
	assert_true(matched);
	fclose(file);
	kallsyms_free(table);
}

static void test_kallsyms_survives_failing_allocations(void **state)
{
	char path[] = "/tmp/ebpfprof-kallsyms-XXXXXX";
	bool hit = true;
	int fd = mkstemp(path);
	long n;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, fixture, sizeof(fixture) - 1), sizeof(fixture) - 1);
	close(fd);
	for (n = 1; hit && n < 200; n++) {
		struct kallsyms *table = NULL;
		int ret;

		fail_malloc_at(n);
		ret = kallsyms_load(path, &table, NULL);
		hit = fail_malloc_hit();
		fail_malloc_at(0);
		assert_true(hit ? ret == -ENOMEM || (!ret && table) : !ret);
		kallsyms_free(table);
	}
	assert_false(hit);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kallsyms_finds_the_symbol_before_an_address),
		cmocka_unit_test(test_kallsyms_prefers_the_best_of_aliases),
		cmocka_unit_test(test_kallsyms_leaves_data_out),
		cmocka_unit_test(test_kallsyms_ends_the_kernel_at_its_end_of_text),
		cmocka_unit_test(test_kallsyms_limits_the_reach_of_a_symbol),
		cmocka_unit_test(test_kallsyms_knows_modules_and_bpf_programs),
		cmocka_unit_test(test_kallsyms_hidden_addresses_are_told),
		cmocka_unit_test(test_kallsyms_skips_what_is_no_symbol),
		cmocka_unit_test(test_kallsyms_skips_lines_longer_than_its_buffer),
		cmocka_unit_test(test_kallsyms_reads_lines_across_its_buffer),
		cmocka_unit_test(test_kallsyms_missing_file_is_an_error),
		cmocka_unit_test(test_kallsyms_agrees_with_the_running_kernel),
		cmocka_unit_test(test_kallsyms_survives_failing_allocations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
