/* SPDX-License-Identifier: BSD-2-Clause */
/* Which package has the debug symbols of a file, by a host's files that the test makes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "symbolizer/elf.h"
#include "symbolizer/naming_advice.h"

#define STRIPPED "stripped: build it without strip and -s"

static char root[] = "/tmp/test_naming_advice.XXXXXX";

static int set_up(void **state)
{
	char command[1024];

	(void)state;
	if (!mkdtemp(root))
		return -1;
	snprintf(command, sizeof(command),
		 "cd %s && mkdir -p var/lib/dpkg/info etc && cd var/lib/dpkg/info && "
		 "printf '/.\\n/usr\\n/usr/bin/prog-extra\\n/usr/bin/prog\\n' > prog.list && "
		 "printf '/.\\n/lib/x/libc.so.6\\n' > libc6:amd64.list && "
		 "printf '/.\\n/usr/lib/liblast.so.1' > liblast1:amd64.list && "
		 "echo /usr/bin/other > notalist",
		 root);
	return system(command);
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

static void check(const char *path, const char *expected)
{
	char text[300];

	naming_advice_file(root, path, NULL, text, sizeof(text));
	assert_string_equal(text, expected);
}

static void test_the_package_that_lists_the_file(void **state)
{
	(void)state;
	check("/usr/bin/prog", "apt install prog-dbgsym");
	check("/usr/lib/liblast.so.1", "apt install liblast1-dbgsym");
	check("/usr/bin/pro", STRIPPED);
	check("/usr/bin/other", STRIPPED);
}

static void test_libc_and_merged_usr(void **state)
{
	(void)state;
	check("/usr/lib/x/libc.so.6", "apt install libc6-dbg");
	check("/lib/x/libc.so.6", "apt install libc6-dbg");
}

static void test_a_file_of_no_package_was_stripped_by_its_builder(void **state)
{
	(void)state;
	check("/home/me/prog", STRIPPED);
}

static void test_what_is_no_path_gets_no_advice(void **state)
{
	(void)state;
	check("relative", "");
	check("", "");
	check("/usr/bin/prog-extra\n/usr/bin/prog", "");
}

/* A container's file, or one that was upgraded since: the package's names are not its. */
static void test_another_build_at_the_path_gets_no_advice(void **state)
{
	char command[256], text[300], own[2 * ELF_BUILD_ID_MAX + 1];
	struct elf_file *elf;
	int fd = open("/proc/self/exe", O_RDONLY);

	(void)state;
	assert_int_equal(elf_file_open(fd, &elf, NULL), 0);
	elf_build_id_hex(elf_file_build_id(elf), own);
	elf_file_close(elf);
	close(fd);
	snprintf(command, sizeof(command), "mkdir -p %s/usr/bin && cp /proc/%d/exe %s/usr/bin/prog",
		 root, getpid(), root);
	assert_int_equal(system(command), 0);
	naming_advice_file(root, "/usr/bin/prog", own, text, sizeof(text));
	assert_string_equal(text, "apt install prog-dbgsym");
	naming_advice_file(root, "/usr/bin/prog", "0123456789", text, sizeof(text));
	assert_string_equal(text, "");
	naming_advice_file(root, "/usr/bin/prog-extra", own, text, sizeof(text));
	assert_string_equal(text, "");
}

static void test_fedora_has_a_command_for_paths(void **state)
{
	char command[256];

	(void)state;
	snprintf(command, sizeof(command), "echo 'ID=fedora' > %s/etc/os-release", root);
	assert_int_equal(system(command), 0);
	check("/opt/prog", "dnf debuginfo-install /opt/prog");
}

static void test_runtimes(void **state)
{
	(void)state;
	assert_string_equal(naming_advice_jit(RUNTIME_NODE), "node --perf-basic-prof");
	assert_non_null(strstr(naming_advice_jit(RUNTIME_JVM), "--jvm-perfmap"));
	assert_string_equal(naming_advice_jit(RUNTIME_OTHER), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_package_that_lists_the_file),
		cmocka_unit_test(test_libc_and_merged_usr),
		cmocka_unit_test(test_a_file_of_no_package_was_stripped_by_its_builder),
		cmocka_unit_test(test_what_is_no_path_gets_no_advice),
		cmocka_unit_test(test_another_build_at_the_path_gets_no_advice),
		cmocka_unit_test(test_fedora_has_a_command_for_paths),
		cmocka_unit_test(test_runtimes),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
