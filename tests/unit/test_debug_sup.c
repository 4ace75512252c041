/* SPDX-License-Identifier: BSD-2-Clause */
/* symbolizer/debug_files: what dwz and split DWARF put into files of their own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/elf_private.h"
#include "symbolizer/section.h"
#include "tests/unit/debug_fixture.h"
#include "tests/unit/elf_fixture.h"
#include "tests/unit/fail_malloc.h"

static bool have_cc;

static const char source[] =
	"struct shared { int some_member, another_member, and_a_third_one; };\n"
	"int member_of(struct shared *s) { return s->some_member + s->another_member; }\n"
	"int main(void) { struct shared s = { 1, 2, 3 }; return member_of(&s); }\n";

static int set_up(void **state)
{
	(void)state;
	have_cc = fixture_open();
	return 0;
}

static int clean_up(void **state)
{
	(void)state;
	fixture_close();
	return 0;
}

static int enter(void **state)
{
	(void)state;
	if (!have_cc)
		return 0;
	alarm(60); /* nothing here may block */
	fresh_trees();
	return 0;
}

static void need(const char *tool)
{
	if (!have_cc || !fixture_shell("command -v %s >/dev/null", tool)) {
		print_message("skipped: needs cc and %s\n", tool);
		skip();
	}
}

static struct debug_search search_of(const char *path)
{
	return (struct debug_search){
		.proc_root = KEPT_PATH("proc"),
		.tgid = 1234,
		.path = path,
	};
}

/* ---- dwz ------------------------------------------------------------------------------------ */

/* Makes PROGRAM and its supplementary file COMMON; PROGRAM's link to it reads @link. */
static void make_pair(const char *program, const char *common, const char *link,
		      const char *options)
{
	fixture_cc(program, source, "-g");
	SHELL("cp %s copy && dwz %s -m %s -M %s %s copy && rm copy", program, options, common, link,
	      program);
}

static int find_sup(const struct debug_search *search, const char *program, const char *debug_path,
		    struct debug_file *ret)
{
	struct opened opened = open_elf(fixture_path(program));
	int r = debug_file_find_sup(search, opened.elf, debug_path, ret);

	close_elf(&opened);
	return r;
}

static void check_sup(const struct debug_search *search, const char *program,
		      const char *debug_path, const char *expected)
{
	struct debug_file file;
	int r = find_sup(search, program, debug_path, &file);

	check_found(r, &file, expected);
}

static void check_no_sup(const struct debug_search *search, const char *program,
			 const char *debug_path, int expected)
{
	struct debug_file file = { .fd = -77 };

	assert_int_equal(find_sup(search, program, debug_path, &file), expected);
	assert_int_equal(file.fd, -77);
}

static void test_an_absolute_altlink_is_seen_from_the_process_root(void **state)
{
	struct debug_search search;

	(void)state;
	need("dwz");
	make_pair("prog", "common", "/opt/dwz/common", "");
	search = search_of("/bin/prog");
	check_no_sup(&search, "prog", "/bin/prog", -ENOENT);
	SHELL("mkdir -p root/opt/dwz && cp common root/opt/dwz/");
	check_sup(&search, "prog", "/bin/prog", "root/opt/dwz/common");
	check_sup(&search, "prog", NULL, "root/opt/dwz/common");
	SHELL("mkfifo root/opt/dwz/fifo && mv root/opt/dwz/fifo root/opt/dwz/common");
	check_no_sup(&search, "prog", "/bin/prog", -ENOENT);
	SHELL("rm root/opt/dwz/common && ln -s \"$PWD/common\" root/opt/dwz/common");
	check_no_sup(&search, "prog", "/bin/prog", -ENOENT);
}

static void test_a_relative_altlink_counts_from_where_the_debug_file_is(void **state)
{
	struct debug_search search;
	struct debug_file debug;
	struct opened opened;
	const char *id;

	(void)state;
	need("dwz");
	make_pair("prog", "common", "../../.dwz/common", "");
	SHELL("cp prog prog.debug && strip prog");
	id = id_path("prog");
	/* As Fedora does: the build-id's name is a link to the file. */
	SHELL("cd root/usr/lib/debug && mkdir -p .build-id/%.2s .dwz usr/bin && cp $OLDPWD/common "
	      ".dwz/ && cp $OLDPWD/prog.debug usr/bin/ && "
	      "ln -s ../../usr/bin/prog.debug .build-id/%s.debug",
	      id, id);
	search = search_of("/bin/prog");
	opened = open_elf(fixture_path("prog"));
	assert_int_equal(debug_file_find(&search, opened.elf, &debug), 0);
	close_elf(&opened);
	assert_string_equal(debug.path,
			    fixture_path("proc/1234/root/usr/lib/debug/usr/bin/prog.debug"));
	check_sup(&search, "prog.debug", debug.path, "root/usr/lib/debug/.dwz/common");
	check_sup(&search, "prog.debug", "/usr/lib/debug/usr/bin/prog.debug",
		  "root/usr/lib/debug/.dwz/common");
	debug_file_close(&debug);

	SHELL("mv root/usr/lib/debug/.dwz/common own/");
	check_no_sup(&search, "prog.debug", "/usr/lib/debug/usr/bin/prog.debug", -ENOENT);
	SHELL("mkdir -p .dwz a/b && mv own/common .dwz/"); /* below our own root */
	check_sup(&search, "prog.debug", fixture_path("a/b/prog.debug"), ".dwz/common");
	check_no_sup(&search, "prog.debug", "a/b/prog.debug", -ENOENT);
	SHELL("rm -r .dwz a");
}

static void test_a_supplementary_file_is_found_by_its_build_id(void **state)
{
	char expected[256];
	struct debug_search search;
	const char *id;

	(void)state;
	need("dwz");
	make_pair("prog", "common", "/nowhere/.dwz/x/common", "");
	search = search_of("/bin/prog");
	id = id_path("common");
	SHELL("mkdir -p root/usr/lib/debug/.build-id/%.2s && "
	      "cp common root/usr/lib/debug/.build-id/%s.debug",
	      id, id);
	snprintf(expected, sizeof(expected), "root/usr/lib/debug/.build-id/%s.debug", id);
	check_sup(&search, "prog", "/bin/prog", expected);
	search.debug_dir = KEPT_PATH("dbg");
	SHELL("mkdir -p dbg/.dwz/x && cp common dbg/.dwz/x/common");
	check_sup(&search, "prog", "/bin/prog", "dbg/.dwz/x/common");
	SHELL("mkdir -p dbg/.build-id/%.2s && cp common dbg/.build-id/%s.debug", id, id);
	snprintf(expected, sizeof(expected), "dbg/.build-id/%s.debug", id);
	check_sup(&search, "prog", "/bin/prog", expected);
}

static void test_a_supplementary_file_of_another_build_is_stale(void **state)
{
	struct debug_search search;

	(void)state;
	need("dwz");
	make_pair("prog", "common", "/common", "");
	search = search_of("/bin/prog");
	SHELL("cp prog root/common");
	check_no_sup(&search, "prog", "/bin/prog", -ESTALE);
	SHELL("objcopy --remove-section .note.gnu.build-id common root/common");
	check_no_sup(&search, "prog", "/bin/prog", -ESTALE);
	SHELL("cp common root/common");
	check_sup(&search, "prog", "/bin/prog", "root/common");
}

static void test_debug_sup_of_dwarf_5_is_an_altlink_too(void **state)
{
	struct debug_search search;

	(void)state;
	need("dwz");
	fixture_cc("prog", source, "-gdwarf-5");
	if (!fixture_shell("cp prog copy && dwz --dwarf-5 -m common -M dwz/common prog copy")) {
		print_message("skipped: a dwz without --dwarf-5\n");
		skip();
	}
	search = search_of("/bin/prog");
	SHELL("mkdir root/bin/dwz && cp common root/bin/dwz/");
	check_sup(&search, "prog", "/bin/prog", "root/bin/dwz/common");
	check_no_sup(&search, "common", "/bin/common", -ENODATA);
	/* of the same form, another checksum; then none at all */
	SHELL("cp common changed && objcopy -O binary -j .debug_sup --set-section-flags "
	      ".debug_sup=alloc common sup && printf '\\252' | "
	      "dd of=sup bs=1 seek=10 conv=notrunc status=none && "
	      "objcopy --update-section .debug_sup=sup changed root/bin/dwz/common");
	check_no_sup(&search, "prog", "/bin/prog", -ESTALE);
	SHELL("cp prog root/bin/dwz/common");
	check_no_sup(&search, "prog", "/bin/prog", -ENOENT);
}

static void test_without_an_altlink_there_is_nothing_to_find(void **state)
{
	struct debug_search search;

	(void)state;
	need("cc");
	fixture_cc("prog", source, "-g");
	search = search_of("/bin/prog");
	check_no_sup(&search, "prog", "/bin/prog", -ENODATA);
}

/* An ELF file with @size bytes as section @name. */
static void add_section(const char *name, const void *bytes, size_t size)
{
	fixture_write("section", bytes, size);
	SHELL("objcopy --add-section %s=section plain changed", name);
}

static void test_broken_links_are_refused(void **state)
{
	static const struct {
		const char *name, *bytes;
		size_t size;
		int expected;
	} links[] = {
		{ ".gnu_debugaltlink", "", 0, -ENOEXEC },
		{ ".gnu_debugaltlink", "/a", 2, -ENOEXEC },
		{ ".gnu_debugaltlink", "/a", 3, -ENOEXEC },
		{ ".gnu_debugaltlink", "\0abcdefghijklmnopqrst", 21, -ENOEXEC },
		{ ".gnu_debugaltlink", "/a\0abcdefghijklmnopqrstu", 24, -ENOEXEC },
		{ ".gnu_debugaltlink", "/a\0abcdefghijklmnopqrst", 23, -ENOENT },
		{ ".gnu_debugaltlink", "/a\0a", 4, -ENOENT },
		{ ".debug_sup", "\5\0", 2, -ENOEXEC },
		{ ".debug_sup", "\4\0\0/a\0\1a", 8, -ENOEXEC },
		{ ".debug_sup", "\5\0\0/a", 5, -ENOEXEC },
		{ ".debug_sup", "\5\0\0/a\0", 6, -ENOEXEC },
		{ ".debug_sup", "\5\0\0/a\0\2a", 8, -ENOEXEC },
		{ ".debug_sup", "\5\0\0/a\0\200\1", 8, -ENOEXEC },
		{ ".debug_sup", "\5\0\0\0\1a", 6, -ENOEXEC },
		{ ".debug_sup", "\5\0\0/a\0\0", 7, -ENOEXEC },
		{ ".debug_sup", "\5\0\1/a\0\1a", 8, -ENODATA },
		{ ".debug_sup", "\5\0\0/a\0\1a", 8, -ENOENT },
	};
	static char longest[5000];
	struct debug_search search;
	size_t i;

	(void)state;
	need("objcopy");
	fixture_cc("plain", source, "-g");
	search = search_of("/bin/prog");
	for (i = 0; i < ARRAY_SIZE(links); i++) {
		add_section(links[i].name, links[i].bytes, links[i].size);
		check_no_sup(&search, "changed", "/bin/prog", links[i].expected);
	}
	memset(longest, 'a', sizeof(longest) - 10);
	for (i = 4095; i <= 5000; i += 905) {
		add_section(".gnu_debugaltlink", longest, i);
		check_no_sup(&search, "changed", "/bin/prog", -ENOEXEC);
	}
	longest[4080] = '\0'; /* with the folder before it, too long for a path */
	add_section(".gnu_debugaltlink", longest, 4090);
	check_no_sup(&search, "changed", "/usr/lib/debug/usr/bin/prog", -ENOENT);
}

static void test_every_failing_allocation_is_survived(void **state)
{
	struct debug_search search;
	int r;
	long n;

	(void)state;
	need("dwz");
	make_pair("prog", "common", "/common", "");
	SHELL("cp common root/");
	search = search_of("/bin/prog");
	for (n = 1;; n++) {
		struct opened opened = open_elf(fixture_path("prog"));
		struct debug_file file = { .fd = -1 };

		fail_malloc_at(n);
		r = debug_file_find_sup(&search, opened.elf, "/bin/prog", &file);
		close_elf(&opened);
		if (r == 0)
			debug_file_close(&file);
		assert_int_equal(file.fd, -1);
		if (!fail_malloc_hit())
			break;
		assert_int_equal(r, -ENOMEM);
	}
	assert_int_equal(r, 0);
	assert_true(n > 5);
}

/* ---- split DWARF ---------------------------------------------------------------------------- */

/* Makes prog, and its only .dwo under whatever name the compiler gives it. */
static void make_split(const char *flags)
{
	char all[64];

	snprintf(all, sizeof(all), "-g -gsplit-dwarf %s", flags);
	SHELL("rm -f *.dwo");
	fixture_cc("prog", source, all);
}

static void check_package(const struct debug_search *search, const char *expected)
{
	struct debug_file file;
	int r = debug_file_find_package(search, &file);

	check_found(r, &file, expected);
}

static void test_a_package_lies_beside_the_program_or_its_debug_file(void **state)
{
	const char *places[] = { "bin/prog.dwp", "bin/prog.debug.dwp", "usr/lib/debug/bin/prog.dwp",
				 "usr/lib/debug/bin/prog.debug.dwp" };
	char shown[160], expected[64];
	struct debug_search search;
	struct debug_file file;
	size_t i;

	(void)state;
	need("dwp");
	/* GNU dwp 2.40 crashes on DWARF 5. */
	make_split("-gdwarf-4");
	SHELL("dwp -e prog -o prog.dwp");
	search = search_of("/bin/prog");
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		fresh_trees();
		assert_int_equal(debug_file_find_package(&search, &file), -ENOENT);
		SHELL("mkdir -p root/usr/lib/debug/bin && cp prog.dwp root/%s", places[i]);
		snprintf(expected, sizeof(expected), "root/%s", places[i]);
		check_package(&search, expected);
	}
	/* the debug file's path, as debug_file_find() tells it */
	strcpy(shown, fixture_path("proc/1234/root/usr/lib/debug/bin/prog.debug"));
	search.path = shown;
	check_package(&search, expected);
	search.path = "/bin/prog";
	search.debug_dir = KEPT_PATH("dbg");
	SHELL("cp prog.dwp dbg/");
	check_package(&search, "dbg/prog.dwp");
	SHELL("mkdir dbg/bin && cp prog.dwp dbg/bin/");
	check_package(&search, "dbg/bin/prog.dwp");
	SHELL("cp prog dbg/bin/prog.dwp"); /* an ELF file, and no package */
	check_package(&search, "dbg/prog.dwp");
	search.path = NULL;
	assert_int_equal(debug_file_find_package(&search, &file), -ENOENT);
}

static void check_split(const struct debug_search *search, const char *comp_dir, const char *name,
			const char *expected)
{
	struct debug_file file = { .fd = -1 };
	int r = debug_file_find_split(search, comp_dir, name, &file);

	if (expected)
		check_found(r, &file, expected);
	else
		assert_int_equal(r, -ENOENT);
}

static void test_a_split_unit_is_found_by_its_name(void **state)
{
	struct debug_search search;
	char path[160];

	(void)state;
	need("objcopy");
	make_split("");
	SHELL("cp *.dwo unit.dwo");
	search = search_of("/bin/prog");
	search.debug_dir = KEPT_PATH("dbg");
	check_split(&search, "/src", "obj/unit.dwo", NULL);
	SHELL("cp unit.dwo dbg/");
	check_split(&search, "/src", "obj/unit.dwo", "dbg/unit.dwo");
	SHELL("cp unit.dwo root/bin/");
	check_split(&search, "/src", "obj/unit.dwo", "root/bin/unit.dwo");
	SHELL("mkdir root/bin/obj && cp unit.dwo root/bin/obj/");
	check_split(&search, "/src", "obj/unit.dwo", "root/bin/obj/unit.dwo");
	check_split(&search, "/src", "/other/unit.dwo", "root/bin/unit.dwo");
	SHELL("mkdir -p root/src/obj && cp unit.dwo root/src/obj/");
	check_split(&search, "/src", "obj/unit.dwo", "root/src/obj/unit.dwo");
	SHELL("mkdir root/src/lib"); /* what ".." leaves must be there */
	check_split(&search, "/src/lib", "../obj/unit.dwo", "root/src/obj/unit.dwo");
	check_split(&search, NULL, "/src/obj/unit.dwo", "root/src/obj/unit.dwo");
	check_split(&search, NULL, "obj/unit.dwo", "root/bin/obj/unit.dwo");
	check_split(&search, ".", "obj/unit.dwo", "root/bin/obj/unit.dwo");
	SHELL("mkdir -p dbg/src/obj && cp unit.dwo dbg/src/obj/");
	check_split(&search, "/src", "obj/unit.dwo", "dbg/src/obj/unit.dwo");

	SHELL("rm -r dbg/* root/*"); /* below our own root */
	strcpy(path, fixture_path(""));
	check_split(&search, path, "unit.dwo", "unit.dwo");
}

static void test_what_is_no_split_unit_is_passed_over(void **state)
{
	struct debug_search search;

	(void)state;
	need("objcopy");
	make_split("");
	SHELL("cp *.dwo unit.dwo && cp prog root/bin/unit.dwo && mkfifo root/bin/fifo.dwo && "
	      "ln -s \"$PWD/unit.dwo\" root/bin/link.dwo");
	search = search_of("/bin/prog");
	check_split(&search, "/src", "unit.dwo", NULL);
	check_split(&search, "/src", "fifo.dwo", NULL);
	check_split(&search, "/src", "link.dwo", NULL);
	check_split(&search, "/src", "", NULL);
	check_split(&search, "/src", "/", NULL);
	check_split(&search, "", ".", NULL);
}

#define FRESH(test) cmocka_unit_test_setup(test, enter)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRESH(test_an_absolute_altlink_is_seen_from_the_process_root),
		FRESH(test_a_relative_altlink_counts_from_where_the_debug_file_is),
		FRESH(test_a_supplementary_file_is_found_by_its_build_id),
		FRESH(test_a_supplementary_file_of_another_build_is_stale),
		FRESH(test_debug_sup_of_dwarf_5_is_an_altlink_too),
		FRESH(test_without_an_altlink_there_is_nothing_to_find),
		FRESH(test_broken_links_are_refused),
		FRESH(test_every_failing_allocation_is_survived),
		FRESH(test_a_package_lies_beside_the_program_or_its_debug_file),
		FRESH(test_a_split_unit_is_found_by_its_name),
		FRESH(test_what_is_no_split_unit_is_passed_over),
	};

	return cmocka_run_group_tests(tests, set_up, clean_up);
}
