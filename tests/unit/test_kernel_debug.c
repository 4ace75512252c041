/* SPDX-License-Identifier: BSD-2-Clause */
/* symbolizer/kernel_debug, with kernels that cc and a linker script make. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/utsname.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/kernel_debug.h"
#include "tests/unit/debug_fixture.h"
#include "tests/unit/elf_fixture.h"
#include "tests/unit/fail_malloc.h"
#include "tests/unit/kernel_fixture.h"

#define RELEASE "6.1.0-77-test"

static bool have_cc;

static const char source[] = "int counter;\n"
			     "__attribute__((noinline)) int count(int x) { return counter += x; }\n"
			     "void start_kernel(void) { for (;;) count(1); }\n";

static int set_up(void **state)
{
	(void)state;
	have_cc = fixture_open() && fixture_shell("command -v objcopy >/dev/null");
	if (!have_cc)
		return 0;
	fixture_write("script", kernel_script, strlen(kernel_script));
	fixture_cc("kernel", source, KERNEL_FLAGS " -Wl,--build-id=sha1");
	fixture_cc("other", source,
		   KERNEL_FLAGS " -Wl,--build-id=0xfedcba9876543210fedcba9876543210fedcba98");
	fixture_cc("nameless", source, KERNEL_FLAGS " -Wl,--build-id=none");
	/* Xen's and Linux's notes stand around it, as on Debian. */
	SHELL("objcopy --dump-section .notes=id kernel copy && rm copy "
	      "&& printf '\\4\\0\\0\\0\\10\\0\\0\\0\\22\\0\\0\\0Xen\\0\\0\\376x\\3\\0\\0\\0\\0"
	      "\\4\\0\\0\\0\\6\\0\\0\\0\\3\\0\\0\\0Xen\\0linux\\0\\0\\0' > notes && cat id >> notes && "
	      "printf '\\6\\0\\0\\0\\1\\0\\0\\0\\0\\1\\0\\0Linux\\0\\0\\0\\0\\0\\0\\0' >> notes");
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
	alarm(60);
	fresh_trees();
	return 0;
}

static void need_cc(void)
{
	if (!have_cc)
		skip();
}

/* ---- build-id ------------------------------------------------------------------------------- */

static const char *hex_of(const struct elf_build_id *id)
{
	static char hex[2 * ELF_BUILD_ID_MAX + 1];

	elf_build_id_hex(id, hex);
	return hex;
}

static void check_id(const char *notes, const char *file)
{
	struct elf_build_id id;
	const char *expected = id_path(file);
	char hex[80];

	snprintf(hex, sizeof(hex), "%.2s%s", expected, expected + 3);
	assert_int_equal(kernel_build_id(notes, &id), 0);
	assert_string_equal(hex_of(&id), hex);
}

static void test_the_build_id_stands_among_other_notes(void **state)
{
	(void)state;
	need_cc();
	check_id(fixture_path("notes"), "kernel");
	check_id(fixture_path("id"), "kernel");
}

static void test_the_running_kernels_build_id_is_what_readelf_prints(void **state)
{
	struct elf_build_id id;

	(void)state;
	need_cc();
	if (access("/sys/kernel/notes", R_OK) < 0 ||
	    kernel_build_id("/sys/kernel/notes", &id) == -ENODATA)
		skip();
	SHELL("cat /sys/kernel/notes > running && "
	      "objcopy --add-section .note.running=running nameless with_notes");
	check_id("/sys/kernel/notes", "with_notes");
}

static void test_notes_cut_anywhere_or_flipped_are_survived(void **state)
{
	struct elf_build_id id, whole;
	uint8_t *bytes;
	size_t size, i;

	(void)state;
	need_cc();
	bytes = fixture_read(fixture_path("notes"), &size);
	assert_int_equal(kernel_build_id(fixture_path("notes"), &whole), 0);
	for (i = 0; i < size; i++) {
		const char *path = fixture_write("cut", bytes, i);
		int r = kernel_build_id(path, &id);

		assert_true(r == -ENODATA || r == -ENOEXEC ||
			    (r == 0 && strcmp(hex_of(&id), hex_of(&whole)) == 0));
	}
	for (i = 0; i < size; i++) {
		bytes[i] = (uint8_t)~bytes[i];
		fixture_write("cut", bytes, size);
		bytes[i] = (uint8_t)~bytes[i];
		kernel_build_id(fixture_path("cut"), &id);
	}
	free(bytes);
	assert_int_equal(kernel_build_id(fixture_path("missing"), &id), -ENOENT);
	SHELL("head -c 100000 /dev/zero > zeros");
	assert_int_equal(kernel_build_id(fixture_path("zeros"), &id), -EFBIG);
	SHELL("head -c 60000 /dev/zero > zeros");
	assert_int_equal(kernel_build_id(fixture_path("zeros"), &id), -ENODATA);
}

/* ---- the file ------------------------------------------------------------------------------- */

static struct kernel_debug_search search_of(const char *notes)
{
	static char path[160];

	strcpy(path, fixture_path(notes));
	return (struct kernel_debug_search){
		.notes_path = path,
		.root = KEPT_PATH("root"),
		.release = RELEASE,
	};
}

static void check_finds(const struct kernel_debug_search *search, const char *expected)
{
	struct debug_file file = { .fd = -1 };
	int r = kernel_debug_find(search, &file);

	check_found(r, &file, expected);
}

static void check_fails(const struct kernel_debug_search *search, int expected)
{
	struct debug_file file = { .fd = -77 };

	assert_int_equal(kernel_debug_find(search, &file), expected);
	assert_int_equal(file.fd, -77);
}

/* The best place last: each is found though the former are still there. */
static const char *const places[] = {
	"root/lib/modules/" RELEASE "/build/vmlinux",
	"root/lib/modules/" RELEASE "/vmlinux",
	"root/boot/vmlinux-" RELEASE,
	"root/usr/lib/debug/usr/lib/modules/" RELEASE "/vmlinux.debug",
	"root/usr/lib/debug/lib/modules/" RELEASE "/vmlinux.debug",
	"root/usr/lib/debug/lib/modules/" RELEASE "/vmlinux",
	"root/usr/lib/debug/boot/vmlinux-" RELEASE ".debug",
	"root/usr/lib/debug/boot/vmlinux-" RELEASE,
	"dbg/vmlinux",
	"dbg/vmlinux-" RELEASE,
	"dbg/lib/modules/" RELEASE "/vmlinux",
	"dbg/boot/vmlinux-" RELEASE,
};

static void test_vmlinux_is_found_where_packages_put_it(void **state)
{
	struct kernel_debug_search search;
	char expected[256];
	size_t i;

	(void)state;
	need_cc();
	search = search_of("notes");
	search.debug_dir = KEPT_PATH("dbg");
	check_fails(&search, -ENOENT);
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		SHELL("mkdir -p $(dirname %s) && cp kernel %s", places[i], places[i]);
		check_finds(&search, places[i]);
	}
	SHELL("rm -r dbg/*");
	SHELL("mkdir -p root/usr/lib/debug/.build-id/%.2s", id_path("kernel"));
	snprintf(expected, sizeof(expected), "root/usr/lib/debug/.build-id/%s.debug",
		 id_path("kernel"));
	SHELL("cp kernel %s", expected);
	check_finds(&search, expected);
	SHELL("mkdir -p dbg/.build-id/%.2s", id_path("kernel"));
	snprintf(expected, sizeof(expected), "dbg/.build-id/%s.debug", id_path("kernel"));
	SHELL("cp kernel %s", expected);
	check_finds(&search, expected);
}

static void test_a_kernel_of_another_build_is_stale(void **state)
{
	struct kernel_debug_search search;

	(void)state;
	need_cc();
	search = search_of("notes");
	SHELL("mkdir root/boot && cp other root/boot/vmlinux-" RELEASE);
	check_fails(&search, -ESTALE);
	SHELL("mkdir -p root/lib/modules/" RELEASE " && cp kernel root/lib/modules/" RELEASE
	      "/vmlinux");
	check_finds(&search, "root/lib/modules/" RELEASE "/vmlinux");
}

static void test_without_a_build_id_the_release_decides(void **state)
{
	struct kernel_debug_search search;

	(void)state;
	need_cc();
	search = search_of("missing"); /* the running kernel's is not known */
	search.debug_dir = KEPT_PATH("dbg");
	SHELL("cp kernel dbg/vmlinux"); /* of which kernel? */
	check_fails(&search, -ENOENT);
	SHELL("cp kernel dbg/vmlinux-" RELEASE);
	check_finds(&search, "dbg/vmlinux-" RELEASE);
	search = search_of("notes"); /* the file's is not known */
	SHELL("mkdir root/boot && cp nameless root/boot/vmlinux-" RELEASE);
	check_finds(&search, "root/boot/vmlinux-" RELEASE);
	search.release = "6.1.0-78-test";
	check_fails(&search, -ENOENT);
	search.release = "../boot/vmlinux-" RELEASE;
	check_fails(&search, -ENOENT);
}

static void test_the_running_release_is_the_default(void **state)
{
	struct kernel_debug_search search;
	struct utsname name;
	char expected[256];

	(void)state;
	need_cc();
	assert_int_equal(uname(&name), 0);
	search = search_of("notes");
	search.release = NULL;
	snprintf(expected, sizeof(expected), "root/boot/vmlinux-%s", name.release);
	SHELL("mkdir root/boot && cp kernel %s", expected);
	check_finds(&search, expected);
}

static void test_a_kernel_without_dwarf_is_passed_over(void **state)
{
	struct kernel_debug_search search;

	(void)state;
	need_cc();
	search = search_of("notes");
	SHELL("mkdir root/boot && strip -g -o root/boot/vmlinux-" RELEASE " kernel");
	check_fails(&search, -ENOENT);
	SHELL("objcopy --compress-debug-sections=zlib-gnu kernel root/boot/vmlinux-" RELEASE);
	check_finds(&search, "root/boot/vmlinux-" RELEASE);
	SHELL("rm root/boot/* && mkfifo root/boot/vmlinux-" RELEASE);
	check_fails(&search, -ENOENT);
}

static void test_every_failing_allocation_is_survived(void **state)
{
	struct kernel_debug_search search;
	struct debug_file file;
	uint64_t shift;
	int r;
	long n;

	(void)state;
	need_cc();
	search = search_of("notes");
	search.debug_dir = KEPT_PATH("dbg");
	SHELL("mkdir root/boot && cp kernel root/boot/vmlinux-" RELEASE);
	for (n = 1;; n++) {
		struct opened opened = open_elf(fixture_path("kernel"));

		file = (struct debug_file){ .fd = -1 };
		fail_malloc_at(n);
		r = kernel_debug_find(&search, &file);
		if (r == 0)
			debug_file_close(&file);
		assert_int_equal(file.fd, -1);
		if (r == 0)
			r = kernel_debug_shift(opened.elf, 0xffffffff81000000, 0, &shift);
		close_elf(&opened);
		if (!fail_malloc_hit())
			break;
		assert_int_equal(r, -ENOMEM);
	}
	assert_int_equal(r, 0);
	assert_true(n > 8);
}

/* ---- KASLR ---------------------------------------------------------------------------------- */

static uint64_t address_of(const char *symbol)
{
	unsigned long long address = 0;
	FILE *pipe = fixture_popen("nm kernel | sed -n 's/ [A-Za-z] %s$//p'", symbol);

	assert_int_equal(fscanf(pipe, "%llx", &address), 1);
	pclose(pipe);
	return address;
}

static void test_the_shift_is_what_the_kernel_was_moved_by(void **state)
{
	const int64_t moved[] = { 0, 0x1e000000, 0x200000, -0x40000000ll, 4096 };
	const char *files[] = { "kernel", "kernel.debug" };
	uint64_t stext, etext, shift;
	size_t i, k;

	(void)state;
	need_cc();
	SHELL("objcopy --only-keep-debug kernel kernel.debug");
	stext = address_of("_stext");
	etext = address_of("_etext");
	assert_true(stext == 0xffffffff81000000 && etext > stext);
	for (k = 0; k < ARRAY_SIZE(files); k++) {
		struct opened opened = open_elf(fixture_path(files[k]));

		for (i = 0; i < ARRAY_SIZE(moved); i++) {
			uint64_t by = (uint64_t)moved[i];

			shift = 77;
			assert_int_equal(kernel_debug_shift(opened.elf, stext + by, etext + by,
							    &shift),
					 0);
			assert_int_equal(shift, by);
			shift = 77;
			assert_int_equal(kernel_debug_shift(opened.elf, stext + by, 0, &shift), 0);
			assert_int_equal(shift, by);
		}
		close_elf(&opened);
	}
}

static void test_a_kernel_that_does_not_fit_has_no_shift(void **state)
{
	struct opened opened;
	uint64_t stext, etext, shift = 77;

	(void)state;
	need_cc();
	opened = open_elf(fixture_path("kernel"));
	stext = address_of("_stext");
	etext = address_of("_etext");
	assert_int_equal(kernel_debug_shift(opened.elf, 0, 0, &shift), -ENODATA);
	assert_int_equal(kernel_debug_shift(opened.elf, stext + 16, etext + 16, &shift), -ESTALE);
	assert_int_equal(kernel_debug_shift(opened.elf, stext, etext + 16, &shift), -ESTALE);
	close_elf(&opened);
	SHELL("strip -o stripped kernel");
	opened = open_elf(fixture_path("stripped"));
	assert_int_equal(kernel_debug_shift(opened.elf, stext, etext, &shift), -ENODATA);
	close_elf(&opened);
	assert_int_equal(shift, 77);
}

#define FRESH(test) cmocka_unit_test_setup(test, enter)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRESH(test_the_build_id_stands_among_other_notes),
		FRESH(test_the_running_kernels_build_id_is_what_readelf_prints),
		FRESH(test_notes_cut_anywhere_or_flipped_are_survived),
		FRESH(test_vmlinux_is_found_where_packages_put_it),
		FRESH(test_a_kernel_of_another_build_is_stale),
		FRESH(test_without_a_build_id_the_release_decides),
		FRESH(test_the_running_release_is_the_default),
		FRESH(test_a_kernel_without_dwarf_is_passed_over),
		FRESH(test_every_failing_allocation_is_survived),
		FRESH(test_the_shift_is_what_the_kernel_was_moved_by),
		FRESH(test_a_kernel_that_does_not_fit_has_no_shift),
	};

	return cmocka_run_group_tests(tests, set_up, clean_up);
}
