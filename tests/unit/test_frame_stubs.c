/* SPDX-License-Identifier: BSD-2-Clause */
/* Stubs of the procedure linkage table, against objdump's reading of what linkers wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <fcntl.h>

#include "symbolizer/elf.h"
#include "symbolizer/frame_source.h"
#include "symbolizer/frame_table.h"
#include "tests/unit/elf_fixture.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static bool have_cc;

struct built {
	void *bytes;
	struct frame_table table;
};

static struct built build_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct elf_file *elf;
	struct built built;
	size_t size;

	assert_true(fd >= 0);
	assert_int_equal(elf_file_open(fd, &elf, NULL), 0);
	assert_int_equal(frame_source_build(elf, &built.bytes, &size, NULL), 0);
	assert_int_equal(frame_table_of_bytes(built.bytes, size, &built.table), 0);
	elf_file_close(elf);
	close(fd);
	return built;
}

static struct frame_rule rule_at(const struct built *built, uint64_t address)
{
	const struct frame_rule *rule = frame_table_find(&built->table, address);

	return rule ? *rule : (struct frame_rule){};
}

static const char stub_program[] = "#include <stdio.h>\n#include <stdlib.h>\n"
				   "int main(void) { puts(getenv(\"HOME\")); abort(); }\n";

/* What each instruction that objdump shows in a stub does to sp; how many were told. */
static int check_stubs(const char *path, const char *sections)
{
	struct built built = build_file(path);
	FILE *objdump = fixture_popen("objdump -d %s %s", sections, path);
	unsigned long long address;
	int offset = 8, pushed = 0, told = 0;
	struct frame_rule rule;
	char line[256];

	while (fgets(line, sizeof(line), objdump)) {
		if (!strstr(line, ":\t") || sscanf(line, " %llx", &address) != 1)
			continue;
		offset += pushed;
		pushed = strstr(line, "push") ? 8 : 0;
		/* Stubs are called, headers jumped to by what has pushed, but for mold's. */
		if (address % 16 == 0)
			offset = strstr(line, "push ") && strstr(line, "(%rip)") ? 16 : 8;
		if (strstr(line, "nop") || strstr(line, "xchg") || strstr(line, "int3"))
			continue;
		rule = rule_at(&built, address);
		told += rule.cfa != FRAME_NO_INFO;
		if (rule.cfa == FRAME_PLT)
			rule.cfa_offset = (int)(address & 15) >= rule.cfa_offset ? 16 : 8;
		if (rule.cfa != FRAME_NO_INFO && rule.cfa_offset != offset)
			fail_msg("%s: sp + %d, not %d, at%s", path, rule.cfa_offset, offset, line);
	}
	pclose(objdump);
	free(built.bytes);
	return told;
}

static void test_stubs_are_told_where_the_linker_does_not(void **state)
{
	static const struct {
		const char *linker, *flags, *sections;
		bool told;
	} cases[] = {
		{ "ld.lld", "-fuse-ld=lld -Wl,-z,lazy", "-j .plt", true },
		{ "ld.lld", "-fuse-ld=lld -Wl,-z,lazy,-z,force-ibt", "-j .plt -j .plt.sec", true },
		{ "ld.lld", "-fuse-ld=lld -Wl,-z,retpolineplt", "-j .plt", false },
		{ "mold", "-B/usr/libexec/mold -B/usr/lib/mold", "-j .plt -j .plt.got", true },
		{ "ld", "", "-j .plt -j .plt.got", true }, /* its own .eh_frame */
	};
	size_t i, done = 0;
	int told;

	(void)state;
#ifndef __x86_64__
	have_cc = false;
#endif
	if (!have_cc)
		skip();
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		char flags[200];

		if (!fixture_shell("command -v %s >/dev/null", cases[i].linker))
			continue;
		snprintf(flags, sizeof(flags), "-O2 -fno-pie -no-pie -fplt %s", cases[i].flags);
		told = check_stubs(fixture_cc("stubs", stub_program, flags), cases[i].sections);
		if ((told >= 6) != cases[i].told)
			fail_msg("%s %s: %d told", cases[i].linker, cases[i].flags, told);
		done++;
	}
	assert_true(done > 0);
}

static int open_fixture(void **state)
{
	(void)state;
	have_cc = fixture_open();
	return 0;
}

static int close_fixture(void **state)
{
	(void)state;
	fixture_close();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stubs_are_told_where_the_linker_does_not),
	};

	return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
