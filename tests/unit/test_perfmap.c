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
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "symbolizer/perfmap.h"
#include "tests/unit/fail_malloc.h"

static struct perfmap *parse(const char *text)
{
	struct perfmap *map;

	assert_int_equal(perfmap_new(&map), 0);
	assert_true(perfmap_parse(map, text, strlen(text)) >= 0);
	return map;
}

static void assert_symbol(const struct perfmap *map, uint64_t address, const char *name)
{
	struct perfmap_symbol symbol = {};
	bool found = perfmap_find(map, address, &symbol);

	if (name && !found)
		fail_msg("0x%llx has no name", (unsigned long long)address);
	if (!name && found)
		fail_msg("0x%llx is %s", (unsigned long long)address, symbol.name);
	if (name) {
		assert_string_equal(symbol.name, name);
		assert_true(address - symbol.address < symbol.size);
	}
}

static void test_perfmap_finds_names_with_spaces(void **state)
{
	struct perfmap *map = parse("7f0000001000 40 LazyCompile:*run /app/a b.js:3\n"
				    "0x7f0000002000 0x10 void Foo::bar(int, int)\r\n"
				    "7F0000003000\t1A  upper case\n");
	struct perfmap_symbol symbol;

	(void)state;
	assert_symbol(map, 0x7f0000001000, "LazyCompile:*run /app/a b.js:3");
	assert_symbol(map, 0x7f000000103f, "LazyCompile:*run /app/a b.js:3");
	assert_symbol(map, 0x7f0000001040, NULL);
	assert_symbol(map, 0x7f0000000fff, NULL);
	assert_symbol(map, 0x7f000000200f, "void Foo::bar(int, int)");
	assert_symbol(map, 0x7f0000003019, "upper case");
	assert_symbol(map, 0, NULL);
	assert_symbol(map, UINT64_MAX, NULL);
	assert_true(perfmap_find(map, 0x7f0000001003, &symbol));
	assert_int_equal(symbol.address, 0x7f0000001000);
	assert_int_equal(symbol.size, 0x40);
	assert_int_equal(perfmap_cnt(map), 3);
	assert_int_equal(perfmap_skipped(map), 0);
	perfmap_free(map);
}

static void test_perfmap_later_line_wins_where_they_overlap(void **state)
{
	struct perfmap *map = parse("1000 100 old\n1080 100 newer\n1040 10 inside\n");

	(void)state;
	assert_symbol(map, 0x1000, "old");
	assert_symbol(map, 0x103f, "old");
	assert_symbol(map, 0x1040, "inside");
	assert_symbol(map, 0x1050, "old");
	assert_symbol(map, 0x1080, "newer");
	assert_symbol(map, 0x117f, "newer");
	assert_true(perfmap_parse(map, "1000 200 all\n", 13) == 1);
	assert_symbol(map, 0x1040, "all");
	assert_symbol(map, 0x11ff, "all");
	assert_int_equal(perfmap_cnt(map), 1);
	assert_true(perfmap_parse(map, "1000 200 same\n", 14) == 1);
	assert_symbol(map, 0x1000, "same");
	perfmap_free(map);
}

/* Against a plain array in which every line paints its addresses. */
static void test_perfmap_overlaps_agree_with_painting(void **state)
{
	enum { SPAN = 4096, LINES = 1500 };
	int painted[SPAN] = {}, i, k;
	struct perfmap *map = parse("");
	char line[64], batch[4096];
	size_t len = 0;

	(void)state;
	srandom(7);
	for (i = 1; i <= LINES; i++) {
		int start = (int)(random() % SPAN);
		int size = 1 + (int)(random() % (random() % 4 ? 32 : 600));

		for (k = start; k < start + size && k < SPAN; k++)
			painted[k] = i;
		len += (size_t)snprintf(batch + len, sizeof(batch) - len, "%x %x n%d\n",
					0x10000 + start, size, i);
		if (len > 3500 || i == LINES || random() % 20 == 0) {
			assert_true(perfmap_parse(map, batch, len) >= 0);
			len = 0;
		}
	}
	for (k = 0; k < SPAN; k++) {
		snprintf(line, sizeof(line), "n%d", painted[k]);
		assert_symbol(map, 0x10000 + (uint64_t)k, painted[k] ? line : NULL);
	}
	perfmap_free(map);
}

static void test_perfmap_skips_and_counts_bad_lines(void **state)
{
	static const char *const bad[] = {
		"",
		"garbage",
		"1000",
		"1000 10",
		"1000 10 ",
		"1000 0 empty",
		"1000 100000000 four_gigabytes",
		"fffffffffffffff0 20 beyond_the_end",
		"11000000000000000 10 seventeen_digits",
		"1000 zz name",
		"xyz 10 name",
		"-1000 10 name",
		"0x 10 name",
		" 1000 10 leading_blank",
		"\x7f"
		"ELF\2\1\1",
	};
	size_t i, cnt = sizeof(bad) / sizeof(bad[0]);
	struct perfmap *map = parse("");

	(void)state;
	for (i = 0; i < cnt; i++) {
		assert_int_equal(perfmap_parse(map, bad[i], strlen(bad[i])), 0);
		assert_int_equal(perfmap_parse(map, "\n", 1), 0);
		assert_int_equal(perfmap_skipped(map), i + 1);
	}
	assert_int_equal(perfmap_cnt(map), 0);
	assert_int_equal(perfmap_parse(map, "fffffffffffffff0 f at_the_end\n", 30), 1);
	assert_symbol(map, UINT64_MAX - 1, "at_the_end");
	perfmap_free(map);
}

static void test_perfmap_control_characters_become_question_marks(void **state)
{
	struct perfmap *map = parse("");

	(void)state;
	assert_int_equal(perfmap_parse(map, "1000 10 a\0b\x1b[31m\n", 17), 1);
	assert_symbol(map, 0x1000, "a?b?[31m");
	perfmap_free(map);
}

static void test_perfmap_cuts_names_of_huge_lines(void **state)
{
	struct perfmap *map = parse("1000 10 ");
	struct perfmap_symbol symbol;
	char chunk[1000];
	int i;

	(void)state;
	memset(chunk, 'x', sizeof(chunk));
	for (i = 0; i < 5000; i++)
		assert_int_equal(perfmap_parse(map, chunk, sizeof(chunk)), 0);
	assert_int_equal(perfmap_parse(map, "\n2000 10 next\n", 14), 2);
	assert_true(perfmap_find(map, 0x1000, &symbol));
	assert_int_equal(strlen(symbol.name), PERFMAP_LINE_MAX - strlen("1000 10 "));
	assert_symbol(map, 0x2000, "next");
	assert_true(perfmap_bytes(map) < 100000);
	perfmap_free(map);
}

static void test_perfmap_torn_line_waits_for_its_rest(void **state)
{
	static const char text[] = "1000 10 first\n2000 10 second name\n3000 10 third\n";
	size_t cut, len = strlen(text);

	(void)state;
	for (cut = 0; cut <= len; cut++) {
		struct perfmap *map = parse("");
		int added = perfmap_parse(map, text, cut);

		assert_int_equal(added + perfmap_parse(map, text + cut, len - cut), 3);
		assert_symbol(map, 0x1000, "first");
		assert_symbol(map, 0x2000, "second name");
		assert_symbol(map, 0x3000, "third");
		perfmap_free(map);
	}
}

static void append(int fd, const char *text)
{
	assert_int_equal(lseek(fd, 0, SEEK_END) >= 0, 1);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void test_perfmap_update_reads_growth_and_starts_anew(void **state)
{
	int fd = memfd_create("perfmap", MFD_CLOEXEC);
	struct perfmap *map = parse("");

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(perfmap_update(map, fd), 0);
	append(fd, "1000 10 one\n2000 10 tw");
	assert_int_equal(perfmap_update(map, fd), 1);
	assert_symbol(map, 0x2000, NULL);
	assert_int_equal(perfmap_update(map, fd), 0);
	append(fd, "o\n");
	assert_int_equal(perfmap_update(map, fd), 1);
	assert_symbol(map, 0x1000, "one");
	assert_symbol(map, 0x2000, "two");
	assert_int_equal(ftruncate(fd, 0), 0);
	append(fd, "3000 10 three\n");
	assert_int_equal(perfmap_update(map, fd), 1);
	assert_symbol(map, 0x1000, NULL);
	assert_symbol(map, 0x3000, "three");
	assert_int_equal(perfmap_update(map, -1), -EBADF);
	assert_symbol(map, 0x3000, "three");
	perfmap_free(map);
	close(fd);
}

/* As jcmd's Compiler.perfmap does: the same file, from its beginning, and longer. */
static void test_perfmap_written_anew_and_longer_is_read_anew(void **state)
{
	int fd = memfd_create("perfmap", MFD_CLOEXEC);
	struct perfmap *map = parse("");

	(void)state;
	assert_true(fd >= 0);
	append(fd, "1000 10 one\n2000 10 two\n");
	assert_int_equal(perfmap_update(map, fd), 2);
	assert_int_equal(ftruncate(fd, 0), 0);
	append(fd, "1000 10 first\n3000 10 three\n4000 10 four\n");
	assert_int_equal(perfmap_update(map, fd), 3);
	assert_symbol(map, 0x1000, "first");
	assert_symbol(map, 0x2000, NULL);
	assert_symbol(map, 0x3000, "three");
	assert_symbol(map, 0x4000, "four");
	assert_int_equal(perfmap_skipped(map), 0);
	perfmap_free(map);
	close(fd);
}

/* A 2 GB file that is one hole after its first line. */
static void test_perfmap_reads_no_more_than_its_limit(void **state)
{
	int fd = memfd_create("perfmap", MFD_CLOEXEC);
	struct perfmap *map = parse("");

	(void)state;
	assert_true(fd >= 0);
	append(fd, "1000 10 one\n");
	assert_int_equal(ftruncate(fd, 2ll << 30), 0);
	assert_int_equal(perfmap_update(map, fd), 1);
	assert_int_equal(perfmap_skipped(map), 1);
	assert_symbol(map, 0x1000, "one");
	assert_true(perfmap_bytes(map) < 100000);
	assert_int_equal(perfmap_update(map, fd), 0);
	assert_int_equal(perfmap_skipped(map), 1);
	perfmap_free(map);
	close(fd);
}

/* Lines for @cnt functions of 16 bytes from @start on, with names of some 40 bytes. */
static void add_many(struct perfmap *map, uint64_t start, size_t cnt)
{
	size_t i, len = 0, capacity = cnt * 80;
	char *text = malloc(capacity);

	assert_non_null(text);
	for (i = 0; i < cnt; i++)
		len += (size_t)snprintf(text + len, capacity - len,
					"%llx 10 LazyCompile:*someFunction /srv/app.js:%zu\n",
					(unsigned long long)(start + i * 16), i);
	assert_true(perfmap_parse(map, text, len) >= 0);
	free(text);
}

static void test_perfmap_bounds_its_memory_and_counts_the_rest(void **state)
{
	struct perfmap *map = parse("");

	(void)state;
	add_many(map, 0x10000, 400000);
	assert_true(perfmap_cnt(map) > 200000);
	assert_int_equal(perfmap_cnt(map) + perfmap_skipped(map), 400000);
	assert_true(perfmap_bytes(map) < PERFMAP_BYTES_MAX + PERFMAP_BYTES_MAX / 2);
	perfmap_free(map);
}

static void test_perfmap_names_that_are_gone_make_room(void **state)
{
	struct perfmap *map = parse("1 1 keep\n");
	int i;

	(void)state;
	for (i = 0; i < 20; i++)
		add_many(map, 0x10000, 100000);
	assert_int_equal(perfmap_skipped(map), 0);
	assert_int_equal(perfmap_cnt(map), 100001);
	assert_symbol(map, 1, "keep");
	assert_symbol(map, 0x10000 + 16 * 99999, "LazyCompile:*someFunction /srv/app.js:99999");
	perfmap_free(map);
}

/* ---- the file ---- */

#define OWN_PID 77

static char root[64];

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static const char *below(const char *name)
{
	static char paths[4][160];
	static unsigned int turn;
	char *path = paths[turn++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", root, name);
	return path;
}

/* A /proc with one process, 500 in our namespace and OWN_PID in its own. */
static int make_proc(void **state)
{
	char status[256];

	(void)state;
	snprintf(root, sizeof(root), "/tmp/ebpfprof-proc-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	mkdir(below("500"), 0755);
	mkdir(below("500/root"), 0755);
	mkdir(below("500/root/tmp"), 0755);
	snprintf(status, sizeof(status),
		 "Name:\tx\nUid:\t99999\t%u\t0\t0\nNSpid:\t500\t12\t%d\nVmRSS:\t1 kB\n",
		 (unsigned int)geteuid(), OWN_PID);
	write_file(below("500/status"), status);
	return 0;
}

static int remove_proc(void **state)
{
	char command[96];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

static void assert_opens(const char *expected)
{
	char text[64] = "";
	int fd = -1;

	assert_int_equal(perfmap_open_file(root, 500, &fd), 0);
	assert_true(read(fd, text, sizeof(text) - 1) >= 0);
	assert_string_equal(text, expected);
	close(fd);
}

static void test_perfmap_file_by_innermost_pid_then_outer(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(perfmap_open_file(root, 500, &fd), -ENOENT);
	write_file(below("500/root/tmp/perf-500.map"), "outer");
	assert_opens("outer");
	write_file(below("500/root/tmp/perf-77.map"), "inner");
	assert_opens("inner");
	assert_int_equal(perfmap_open_file(root, 501, &fd), -ESRCH);
}

static void test_perfmap_file_below_a_linked_root(void **state)
{
	(void)state;
	assert_int_equal(rename(below("500/root"), below("container")), 0);
	assert_int_equal(symlink("../container", below("500/root")), 0);
	write_file(below("container/tmp/perf-77.map"), "linked root");
	assert_opens("linked root");
}

static void test_perfmap_file_must_be_regular(void **state)
{
	int fd;

	(void)state;
	write_file(below("secret"), "secret");
	assert_int_equal(symlink(below("secret"), below("500/root/tmp/perf-77.map")), 0);
	assert_int_equal(perfmap_open_file(root, 500, &fd), -EPERM);
	assert_int_equal(unlink(below("500/root/tmp/perf-77.map")), 0);
	assert_int_equal(mkfifo(below("500/root/tmp/perf-77.map"), 0644), 0);
	assert_int_equal(perfmap_open_file(root, 500, &fd), -EPERM);
	assert_int_equal(unlink(below("500/root/tmp/perf-77.map")), 0);
	assert_int_equal(mkdir(below("500/root/tmp/perf-77.map"), 0755), 0);
	assert_int_equal(perfmap_open_file(root, 500, &fd), -EPERM);
}

static void test_perfmap_file_follows_no_linked_directory(void **state)
{
	int fd;

	(void)state;
	mkdir(below("elsewhere"), 0755);
	write_file(below("elsewhere/perf-77.map"), "elsewhere");
	assert_int_equal(rmdir(below("500/root/tmp")), 0);
	assert_int_equal(symlink(below("elsewhere"), below("500/root/tmp")), 0);
	assert_int_equal(perfmap_open_file(root, 500, &fd), -EPERM);
}

static void test_perfmap_file_of_another_user_is_refused(void **state)
{
	int fd;

	(void)state;
	if (geteuid() != 0) {
		print_message("only root can give a file away\n");
		skip();
	}
	write_file(below("500/root/tmp/perf-77.map"), "theirs");
	assert_int_equal(chown(below("500/root/tmp/perf-77.map"), 12345, 12345), 0);
	assert_int_equal(perfmap_open_file(root, 500, &fd), -EPERM);
	write_file(below("500/status"), "Name:\tx\nUid:\t0\t12345\t0\t0\nNSpid:\t500\t77\n");
	assert_opens("theirs");
	assert_int_equal(chown(below("500/root/tmp/perf-77.map"), 0, 0), 0);
	assert_opens("theirs");
}

static void test_perfmap_file_of_a_real_process(void **state)
{
	char path[64];
	int fd = -1, ret;

	(void)state;
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
	write_file(path, "1000 10 me\n");
	ret = perfmap_open_file("/proc", getpid(), &fd);
	unlink(path);
	assert_int_equal(ret, 0);
	close(fd);
}

static void test_perfmap_survives_failing_allocations(void **state)
{
	static const char text[] = "1000 100 old\n1080 100 newer\n1040 10 inside\n";
	int fd = memfd_create("perfmap", MFD_CLOEXEC);
	bool hit = true;
	long n;

	(void)state;
	append(fd, text);
	for (n = 1; hit && n < 100; n++) {
		struct perfmap *map = NULL;
		int ret;

		fail_malloc_at(n);
		ret = perfmap_new(&map);
		if (!ret)
			ret = perfmap_update(map, fd);
		hit = fail_malloc_hit();
		fail_malloc_at(0);
		assert_true(hit ? ret == -ENOMEM || ret == 3 : ret == 3);
		if (map && ret == -ENOMEM)
			assert_int_equal(perfmap_update(map, fd), 3);
		if (map)
			assert_symbol(map, 0x1040, "inside");
		perfmap_free(map);
	}
	assert_false(hit);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_perfmap_finds_names_with_spaces),
		cmocka_unit_test(test_perfmap_later_line_wins_where_they_overlap),
		cmocka_unit_test(test_perfmap_overlaps_agree_with_painting),
		cmocka_unit_test(test_perfmap_skips_and_counts_bad_lines),
		cmocka_unit_test(test_perfmap_control_characters_become_question_marks),
		cmocka_unit_test(test_perfmap_cuts_names_of_huge_lines),
		cmocka_unit_test(test_perfmap_torn_line_waits_for_its_rest),
		cmocka_unit_test(test_perfmap_update_reads_growth_and_starts_anew),
		cmocka_unit_test(test_perfmap_written_anew_and_longer_is_read_anew),
		cmocka_unit_test(test_perfmap_reads_no_more_than_its_limit),
		cmocka_unit_test(test_perfmap_bounds_its_memory_and_counts_the_rest),
		cmocka_unit_test(test_perfmap_names_that_are_gone_make_room),
		cmocka_unit_test_setup_teardown(test_perfmap_file_by_innermost_pid_then_outer,
						make_proc, remove_proc),
		cmocka_unit_test_setup_teardown(test_perfmap_file_below_a_linked_root, make_proc,
						remove_proc),
		cmocka_unit_test_setup_teardown(test_perfmap_file_must_be_regular, make_proc,
						remove_proc),
		cmocka_unit_test_setup_teardown(test_perfmap_file_follows_no_linked_directory,
						make_proc, remove_proc),
		cmocka_unit_test_setup_teardown(test_perfmap_file_of_another_user_is_refused,
						make_proc, remove_proc),
		cmocka_unit_test(test_perfmap_file_of_a_real_process),
		cmocka_unit_test(test_perfmap_survives_failing_allocations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
