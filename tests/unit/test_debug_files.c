/* SPDX-License-Identifier: BSD-2-Clause */
/* symbolizer/debug_files: separate debug files.  Those of dwz and split DWARF: test_debug_sup.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/elf_private.h"
#include "symbolizer/section.h"
#include "tests/unit/debug_fixture.h"
#include "tests/unit/elf_fixture.h"
#include "tests/unit/fail_malloc.h"

#define FLAGS "-nostdlib -static -g -O1 -Wl,--build-id="
#define FORGED "fedcba9876543210fedcba9876543210fedcba98"

static bool have_tools;

static const char source[] = "__attribute__((noinline)) int leaf(int x) { return x * 3; }\n"
			     "void _start(void) { leaf(2); for (;;); }\n";

/*
 * prog has a build-id, plain has none, twin has prog's name but another build-id.  X.stripped has
 * a link to X.debug in it.
 */
static int make_programs(void **state)
{
	static const struct {
		const char *name, *flags;
	} programs[] = { { "prog", FLAGS "sha1" },
			 { "plain", FLAGS "none" },
			 { "twin", FLAGS "0x" FORGED } };
	size_t i;

	(void)state;
	have_tools = fixture_open() && fixture_shell("command -v objcopy >/dev/null");
	for (i = 0; have_tools && i < ARRAY_SIZE(programs); i++) {
		const char *name = programs[i].name;

		fixture_cc(name, source, programs[i].flags);
		SHELL("objcopy --only-keep-debug %s %s.debug && strip -o %s.stripped %s && "
		      "objcopy --add-gnu-debuglink=%s.debug %s.stripped",
		      name, name, name, name, name, name);
	}
	return 0;
}

static int remove_programs(void **state)
{
	(void)state;
	fixture_close();
	return 0;
}

static int enter(void **state)
{
	(void)state;
	if (!have_tools)
		return 0;
	alarm(60); /* nothing here may block */
	fresh_trees();
	return 0;
}

static void need_tools(void)
{
	if (!have_tools)
		skip();
}

/* As the process sees it that runs @path below its own root. */
static struct debug_search search_of(const char *path)
{
	return (struct debug_search){
		.proc_root = KEPT_PATH("proc"),
		.tgid = 1234,
		.path = path,
	};
}

static int find(const struct debug_search *search, const char *name, struct debug_file *ret)
{
	struct opened opened = open_elf(fixture_path(name));
	int r = debug_file_find(search, opened.elf, ret);

	close_elf(&opened);
	return r;
}

static void check_finds(const struct debug_search *search, const char *name, const char *expected)
{
	struct debug_file file;
	int r = find(search, name, &file);

	check_found(r, &file, expected);
}

static void check_fails(const struct debug_search *search, const char *name, int expected)
{
	struct debug_file file = { .fd = -77 };

	assert_int_equal(find(search, name, &file), expected);
	assert_int_equal(file.fd, -77);
	assert_null(file.path);
}

static void put_by_id(const char *tree, const char *of, const char *file)
{
	const char *path = id_path(of);

	SHELL("mkdir -p %s/.build-id/%.2s && cp %s %s/.build-id/%s.debug", tree, path, file, tree,
	      path);
}

static void test_a_build_id_leads_to_the_file_below_the_process_root(void **state)
{
	struct debug_search search;
	char expected[256];
	struct debug_file file;

	(void)state;
	need_tools();
	search = search_of("/bin/prog");
	check_fails(&search, "prog.stripped", -ENOENT);
	put_by_id("root/usr/lib/debug", "prog", "prog.debug");
	snprintf(expected, sizeof(expected), "root/usr/lib/debug/.build-id/%s.debug",
		 id_path("prog"));
	check_finds(&search, "prog.stripped", expected);
	assert_int_equal(find(&search, "prog.stripped", &file), 0);
	assert_memory_equal(file.path, fixture_path("proc/1234/root/usr/lib/debug/.build-id/"),
			    strlen(fixture_path("proc/1234/root/usr/lib/debug/.build-id/")));
	debug_file_close(&file);
	assert_int_equal(file.fd, -1);
	assert_null(file.path);

	search.path = NULL; /* the vdso has no name */
	check_finds(&search, "prog.stripped", expected);
	search.tgid = 0;
	check_fails(&search, "prog.stripped", -ENOENT);
}

static void test_a_file_of_another_build_is_stale(void **state)
{
	struct debug_search search;

	(void)state;
	need_tools();
	search = search_of("/bin/prog");
	put_by_id("root/usr/lib/debug", "prog", "twin.debug");
	check_fails(&search, "prog.stripped", -ESTALE);
	put_by_id("root/usr/lib/debug", "prog", "plain.debug"); /* no build-id at all */
	check_fails(&search, "prog.stripped", -ESTALE);
	SHELL("cp prog.debug root/bin/"); /* the right one, found later */
	check_finds(&search, "prog.stripped", "root/bin/prog.debug");
	SHELL("cp twin.debug root/bin/prog.debug");
	check_fails(&search, "prog.stripped", -ESTALE);
}

static void test_a_link_is_looked_up_in_three_folders(void **state)
{
	const char *places[] = { "bin", "bin/.debug", "usr/lib/debug/bin" };
	const char *programs[] = { "prog", "plain" };
	char path[128], name[64], expected[128];
	struct debug_search search;
	size_t i, k;

	(void)state;
	need_tools();
	for (i = 0; i < ARRAY_SIZE(programs); i++) {
		snprintf(path, sizeof(path), "/bin/%s", programs[i]);
		snprintf(name, sizeof(name), "%s.stripped", programs[i]);
		search = search_of(path);
		for (k = 0; k < ARRAY_SIZE(places); k++) {
			fresh_trees();
			check_fails(&search, name, -ENOENT);
			SHELL("mkdir -p root/%s && cp %s.debug root/%s", places[k], programs[i],
			      places[k]);
			snprintf(expected, sizeof(expected), "root/%s/%s.debug", places[k],
				 programs[i]);
			check_finds(&search, name, expected);
		}
	}
}

static void test_without_build_ids_the_crc_decides(void **state)
{
	struct debug_search search;

	(void)state;
	need_tools();
	search = search_of("/bin/plain");
	SHELL("cp plain.debug root/bin/ && printf x >> root/bin/plain.debug");
	check_fails(&search, "plain.stripped", -ESTALE);
	SHELL("cp plain.debug root/bin/");
	check_finds(&search, "plain.stripped", "root/bin/plain.debug");
	/* a large file, read in several pieces */
	SHELL("cp plain.debug large && head -c 3000001 /dev/urandom >> large && "
	      "cp large root/bin/large.debug && cp large large.debug && "
	      "strip -o large.stripped plain && "
	      "objcopy --add-gnu-debuglink=large.debug large.stripped");
	check_finds(&search, "large.stripped", "root/bin/large.debug");
	SHELL("cp twin.debug root/bin/plain.debug"); /* a build-id on one side proves nothing */
	check_fails(&search, "plain.stripped", -ESTALE);
}

static void test_equal_build_ids_make_the_crc_needless(void **state)
{
	struct debug_search search;

	(void)state;
	need_tools();
	search = search_of("/bin/prog");
	SHELL("objcopy --compress-debug-sections prog.debug root/bin/prog.debug && "
	      "! cmp -s prog.debug root/bin/prog.debug");
	check_finds(&search, "prog.stripped", "root/bin/prog.debug");
}

static void test_a_program_is_not_its_own_debug_file(void **state)
{
	struct debug_search search;

	(void)state;
	need_tools();
	/* the link names the file that it stands in */
	SHELL("cp prog own/self && cp prog.debug self && objcopy --add-gnu-debuglink=self own/self "
	      "&& rm self && ln own/self root/bin/self");
	search = search_of("/bin/self");
	check_fails(&search, "own/self", -ENOENT);
	/* a copy without anything of use in it */
	SHELL("cp prog.stripped root/bin/prog.debug");
	search = search_of("/bin/prog");
	check_fails(&search, "prog.stripped", -ENOENT);
}

static void test_the_debug_dir_goes_first_then_the_process_root(void **state)
{
	struct debug_search search;
	char path[160], expected[256];

	(void)state;
	need_tools();
	snprintf(path, sizeof(path), "%s", fixture_path("own/prog"));
	search = search_of(path);
	SHELL("cp prog.debug own/.debug/");
	check_finds(&search, "prog.stripped", "own/.debug/prog.debug");
	SHELL("mkdir -p root$PWD/own && cp prog.debug root$PWD/own/");
	snprintf(expected, sizeof(expected), "root%s/prog.debug", fixture_path("own"));
	check_finds(&search, "prog.stripped", expected);

	search.debug_dir = KEPT_PATH("nowhere");
	check_finds(&search, "prog.stripped", expected);
	search.debug_dir = KEPT_PATH("dbg");
	check_finds(&search, "prog.stripped", expected);
	SHELL("cp prog.debug dbg/");
	check_finds(&search, "prog.stripped", "dbg/prog.debug");
	SHELL("mkdir -p dbg$PWD/own && cp prog.debug dbg$PWD/own/prog.debug");
	snprintf(expected, sizeof(expected), "dbg%s.debug", path);
	check_finds(&search, "prog.stripped", expected);
	put_by_id("dbg", "prog", "prog.debug");
	snprintf(expected, sizeof(expected), "dbg/.build-id/%s.debug", id_path("prog"));
	check_finds(&search, "prog.stripped", expected);
	SHELL("rm -r root/* own/.debug");
	check_finds(&search, "prog.stripped", expected);
}

static void test_links_in_the_debug_dir_may_lead_out_of_it(void **state)
{
	struct debug_search search;
	const char *path;

	(void)state;
	need_tools();
	search = search_of("/bin/prog");
	path = id_path("prog");
	SHELL("cp prog.debug own/real && mkdir -p dbg/.build-id/%.2s && "
	      "ln -s ../../../own/real dbg/.build-id/%s.debug",
	      path, path);
	search.debug_dir = KEPT_PATH("dbg");
	check_finds(&search, "prog.stripped", "own/real");
}

static void test_a_path_cannot_climb_out_of_the_debug_dir(void **state)
{
	struct debug_search search;

	(void)state;
	need_tools();
	SHELL("cp prog.debug own/prog.debug");
	search = search_of("/../own/prog");
	search.debug_dir = KEPT_PATH("dbg");
	check_fails(&search, "prog.stripped", -ENOENT);
	search.path = "/x/../../own/prog";
	check_fails(&search, "prog.stripped", -ENOENT);
}

static void test_a_deleted_program_still_has_its_debug_file(void **state)
{
	struct debug_search search;

	(void)state;
	need_tools();
	SHELL("cp prog.debug root/bin/");
	search = search_of("/bin/gone (deleted)");
	check_finds(&search, "prog.stripped", "root/bin/prog.debug");
	SHELL("mkdir -p root/usr/lib/debug/bin && "
	      "mv root/bin/prog.debug root/usr/lib/debug/bin/gone.debug");
	check_finds(&search, "prog.stripped", "root/usr/lib/debug/bin/gone.debug");
}

static void test_links_cannot_lead_out_of_the_root(void **state)
{
	struct debug_search search;
	char expected[256];

	(void)state;
	need_tools();
	search = search_of("/bin/prog");
	SHELL("cp prog.debug outside.debug");
	SHELL("ln -s ../../outside.debug root/bin/prog.debug");
	check_fails(&search, "prog.stripped", -ENOENT);
	SHELL("ln -sf \"$PWD/outside.debug\" root/bin/prog.debug");
	check_fails(&search, "prog.stripped", -ENOENT);
	SHELL("ln -sfn \"$PWD\" root/bin/.debug && cp prog.debug outside");
	check_fails(&search, "prog.stripped", -ENOENT);
	/* the same name inside is meant */
	SHELL("mkdir -p root/$PWD && cp prog.debug root/$PWD/outside.debug");
	snprintf(expected, sizeof(expected), "root%s", fixture_path("outside.debug"));
	check_finds(&search, "prog.stripped", expected);
}

static void test_magic_links_are_not_followed(void **state)
{
	_cleanup_close_ int fd = -1;
	struct debug_search search;
	char path[256];

	(void)state;
	need_tools();
	snprintf(path, sizeof(path), "%s", fixture_path("own/prog"));
	search = search_of(path);
	fd = open(fixture_path("prog.debug"), O_RDONLY | O_CLOEXEC);
	SHELL("ln -s /proc/%d/fd/%d own/prog.debug && cmp prog.debug own/prog.debug", getpid(), fd);
	check_fails(&search, "prog.stripped", -ENOENT);
}

static void test_what_is_no_regular_file_is_passed_over(void **state)
{
	const char *things[] = {
		"mkfifo root/bin/prog.debug",
		"mkdir root/bin/prog.debug",
		"ln -s prog.debug root/bin/prog.debug",
		"touch root/bin/prog.debug",
		"echo text > root/bin/prog.debug",
		"head -c 100 prog.debug > root/bin/prog.debug",
		"mkfifo root/f && ln -s /f root/bin/prog.debug",
		"mknod root/bin/prog.debug c 1 5 2>/dev/null || true",
	};
	struct debug_search search;
	size_t i;

	(void)state;
	need_tools();
	search = search_of("/bin/prog");
	for (i = 0; i < ARRAY_SIZE(things); i++) {
		fresh_trees();
		SHELL("%s", things[i]);
		check_fails(&search, "prog.stripped", -ENOENT);
		SHELL("mkdir root/bin/.debug && cp prog.debug root/bin/.debug/");
		check_finds(&search, "prog.stripped", "root/bin/.debug/prog.debug");
	}
}

/* In a child: from now on openat2(2) is not there. */
static void forbid_openat2(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { ARRAY_SIZE(code), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		_exit(77);
}

static void test_without_openat2_nothing_is_opened(void **state)
{
	struct debug_search search;
	struct debug_file file;
	struct opened opened;
	int status;
	pid_t pid;

	(void)state;
	need_tools();
	SHELL("cp prog.debug root/bin/ && cp prog.debug dbg/");
	search = search_of("/bin/prog");
	search.debug_dir = KEPT_PATH("dbg");
	opened = open_elf(fixture_path("prog.stripped"));
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		forbid_openat2();
		_exit(debug_file_find(&search, opened.elf, &file) == -ENOENT ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close_elf(&opened);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_odd_names_are_no_names(void **state)
{
	const char *paths[] = { "", "prog", "[vdso]", "//anon", "/", " (deleted)", "/ (deleted)" };
	struct debug_search search;
	char *longest;
	size_t i;

	(void)state;
	need_tools();
	for (i = 0; i < ARRAY_SIZE(paths); i++) {
		search = search_of(paths[i]);
		search.debug_dir = KEPT_PATH("dbg");
		check_fails(&search, "prog.stripped", -ENOENT);
	}
	longest = malloc(100000);
	memset(longest, '/', 99999);
	longest[99999] = '\0';
	search = search_of(longest);
	check_fails(&search, "prog.stripped", -ENOENT);
	longest[4095] = '\0';
	check_fails(&search, "prog.stripped", -ENOENT);
	free(longest);
}

/* Every byte of .gnu_debuglink flipped, and the section of every length. */
static void test_a_broken_link_leads_nowhere(void **state)
{
	struct debug_search search;
	struct section section;
	struct elf_file *elf;
	struct debug_file file;
	uint8_t *bytes;
	size_t size, i, found = 0;
	Elf64_Shdr *header;

	(void)state;
	need_tools();
	SHELL("cp plain.debug root/bin/");
	search = search_of("/bin/plain");
	bytes = fixture_read(fixture_path("plain.stripped"), &size);
	assert_int_equal(elf_file_open_memory(bytes, size, &elf, NULL), 0);
	assert_int_equal(section_open(elf, ".gnu_debuglink", &section), 0);
	header = NULL;
	for (i = 0; i < elf->section_cnt; i++) {
		if (elf->sections[i].sh_offset == section.offset &&
		    elf->sections[i].sh_size == section.size)
			header = (Elf64_Shdr *)(void *)(bytes + elf->header.e_shoff) + i;
	}
	elf_file_close(elf);
	assert_non_null(header);
	for (i = 0; i < 2 * section.size; i++) {
		uint8_t *at = bytes + section.offset + i % section.size;
		uint8_t old = *at;
		int r;

		*at = i < section.size ? (uint8_t)~old : '/';
		assert_int_equal(elf_file_open_memory(bytes, size, &elf, NULL), 0);
		r = debug_file_find(&search, elf, &file);
		if (r == 0) /* only the padding does not matter */
			debug_file_close(&file);
		else
			assert_true(r == -ENOENT || r == -ESTALE);
		found += r == 0;
		elf_file_close(elf);
		*at = old;
	}
	assert_true(found <= 6);
	for (i = 0; i <= section.size; i++) {
		header->sh_size = i;
		assert_int_equal(elf_file_open_memory(bytes, size, &elf, NULL), 0);
		assert_int_equal(debug_file_find(&search, elf, &file),
				 i < section.size ? -ENOENT : 0);
		elf_file_close(elf);
	}
	debug_file_close(&file);
	free(bytes);
}

static void test_every_failing_allocation_is_survived(void **state)
{
	struct debug_search search;
	struct opened opened;
	int r;
	long n;

	(void)state;
	need_tools();
	SHELL("cp plain.debug root/usr/lib/debug/ && mkdir -p root/usr/lib/debug/bin && "
	      "cp plain.debug root/usr/lib/debug/bin/");
	search = search_of("/bin/plain");
	search.debug_dir = KEPT_PATH("dbg");
	for (n = 1;; n++) {
		struct debug_file file = { .fd = -1 };

		opened = open_elf(fixture_path("plain.stripped"));
		fail_malloc_at(n);
		r = debug_file_find(&search, opened.elf, &file);
		close_elf(&opened);
		if (r == 0)
			debug_file_close(&file);
		assert_int_equal(file.fd, -1);
		if (!fail_malloc_hit())
			break;
		assert_true(r == -ENOMEM || r == 0);
	}
	assert_int_equal(r, 0);
	assert_true(n > 5);
	check_finds(&search, "plain.stripped", "root/usr/lib/debug/bin/plain.debug");
}

/* Not our own program: what Debian installs, where the package with its debug files is there. */
static void test_the_debug_file_of_libc_is_where_its_package_put_it(void **state)
{
	struct debug_search search = { .proc_root = "/proc", .tgid = getpid() };
	char libc[256] = "", expected[256];
	struct debug_file file;
	struct opened opened;
	FILE *pipe;
	int r;

	(void)state;
	need_tools();
	pipe = fixture_popen(
		"sed -n 's,.* \\(/.*/libc[.]so[.]6\\)$,\\1,p' /proc/%d/maps | head -n 1", getpid());
	if (fscanf(pipe, "%255s", libc) != 1)
		libc[0] = '\0';
	pclose(pipe);
	if (!libc[0])
		skip();
	snprintf(expected, sizeof(expected), "/usr/lib/debug/.build-id/%s.debug", id_path(libc));
	if (access(expected, R_OK) < 0)
		skip();
	search.path = libc;
	opened = open_elf(libc);
	r = debug_file_find(&search, opened.elf, &file);
	close_elf(&opened);
	assert_int_equal(r, 0);
	assert_true(is_file(&file, expected));
	debug_file_close(&file);
}

#define FRESH(test) cmocka_unit_test_setup(test, enter)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRESH(test_a_build_id_leads_to_the_file_below_the_process_root),
		FRESH(test_a_file_of_another_build_is_stale),
		FRESH(test_a_link_is_looked_up_in_three_folders),
		FRESH(test_without_build_ids_the_crc_decides),
		FRESH(test_equal_build_ids_make_the_crc_needless),
		FRESH(test_a_program_is_not_its_own_debug_file),
		FRESH(test_the_debug_dir_goes_first_then_the_process_root),
		FRESH(test_links_in_the_debug_dir_may_lead_out_of_it),
		FRESH(test_a_path_cannot_climb_out_of_the_debug_dir),
		FRESH(test_a_deleted_program_still_has_its_debug_file),
		FRESH(test_links_cannot_lead_out_of_the_root),
		FRESH(test_magic_links_are_not_followed),
		FRESH(test_what_is_no_regular_file_is_passed_over),
		FRESH(test_without_openat2_nothing_is_opened),
		FRESH(test_odd_names_are_no_names),
		FRESH(test_a_broken_link_leads_nowhere),
		FRESH(test_every_failing_allocation_is_survived),
		FRESH(test_the_debug_file_of_libc_is_where_its_package_put_it),
	};

	return cmocka_run_group_tests(tests, make_programs, remove_programs);
}
