/* SPDX-License-Identifier: BSD-2-Clause */
/* symbolizer/symbolizer: addresses of this very process, of the kernel and of JIT code, named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "symbolizer/process.h"
#include "symbolizer/symbolizer.h"
#include "tests/unit/fail_malloc.h"

#define NOBODY (1 << 23) /* a pid beyond any pid_max */

struct fixture {
	struct symbolizer *symbolizer;
	struct process *self;
	char kallsyms[64]; /* "" or a file of the test's */
};

/* Named as C++ would name foo::bar(). */
void _ZN3foo3barEv(void);
void _ZN3foo3barEv(void)
{
	__asm__ volatile("");
}

static struct symbolizer *new_symbolizer(const char *kallsyms, bool demangle)
{
	struct symbolizer_config config = { .kallsyms = kallsyms, .demangle = demangle };
	struct symbolizer *symbolizer;

	assert_int_equal(symbolizer_new(&config, &symbolizer, NULL), 0);
	return symbolizer;
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	fixture->symbolizer = new_symbolizer(NULL, true);
	fixture->self = symbolizer_process(fixture->symbolizer, getpid(), monotonic_ns());
	*state = fixture;
	return fixture->self ? 0 : -1;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	symbolizer_free(fixture->symbolizer);
	if (fixture->kallsyms[0])
		unlink(fixture->kallsyms);
	free(fixture);
	return 0;
}

static const struct location *name_ip(struct fixture *fixture, uint64_t ip)
{
	const struct location *location =
		symbolizer_user(fixture->symbolizer, fixture->self, monotonic_ns(), ip, false);

	assert_non_null(location);
	assert_int_equal(location->line_cnt, 1);
	assert_true(location->lines[0].function[0]);
	if (location->mapping) {
		assert_true(location->mapping->start <= location->address);
		assert_true(location->address < location->mapping->limit);
	}
	return location;
}

static void test_own_function_is_named(void **state)
{
	struct fixture *fixture = *state;
	uint64_t start = (uintptr_t)test_own_function_is_named;
	const struct location *location = name_ip(fixture, start);
	Dl_info info;

	assert_string_equal(location->lines[0].function, "test_own_function_is_named");
	assert_int_equal(location->kind, LOCATION_USER);
	assert_true(location->named);
	assert_false(location->stack_bottom);
	assert_non_null(strstr(location->mapping->filename, "test_symbolizer"));
	assert_int_equal(strlen(location->mapping->build_id), 40);
	assert_true(dladdr((void *)(uintptr_t)start, &info));
	assert_int_equal(location->address, start - (uintptr_t)info.dli_fbase);
	assert_ptr_equal(name_ip(fixture, start), location);
	assert_ptr_equal(name_ip(fixture, start + 1)->mapping, location->mapping);
}

static void test_return_address_is_looked_up_in_its_call(void **state)
{
	struct fixture *fixture = *state;
	uint64_t start = (uintptr_t)test_return_address_is_looked_up_in_its_call;
	const struct location *caller = symbolizer_user(fixture->symbolizer, fixture->self,
							monotonic_ns(), start + 1, true);

	assert_ptr_equal(caller, name_ip(fixture, start));
	caller = symbolizer_user(fixture->symbolizer, fixture->self, monotonic_ns(), start, true);
	assert_string_not_equal(caller->lines[0].function,
				"test_return_address_is_looked_up_in_its_call");
}

static void test_functions_of_libc_are_named_as_by_dladdr(void **state)
{
	static const char *const names[] = { "qsort", "getenv", "fopen", "printf" };
	struct fixture *fixture = *state;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		/* not through our own PLT, and not a sanitizer's interceptor */
		void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
		uint64_t ip = (uintptr_t)dlsym(libc, names[i]);
		const struct location *location = name_ip(fixture, ip + 1);
		Dl_info info;

		assert_true(dladdr((void *)(uintptr_t)ip, &info));
		assert_int_equal(location->address, ip + 1 - (uintptr_t)info.dli_fbase);
		assert_non_null(strstr(location->mapping->filename, "libc"));
		assert_true(location->named);
		/* one function may have several names */
		assert_int_equal((uintptr_t)dlsym(libc, location->lines[0].system_name), ip);
		dlclose(libc);
	}
}

static void test_linker_names_are_demangled(void **state)
{
	struct fixture *fixture = *state;
	const struct location *location = name_ip(fixture, (uintptr_t)_ZN3foo3barEv);
	struct symbolizer *plain = new_symbolizer(NULL, false);

	assert_string_equal(location->lines[0].function, "foo::bar()");
	assert_string_equal(location->lines[0].system_name, "_ZN3foo3barEv");
	location = symbolizer_user(plain, symbolizer_process(plain, getpid(), monotonic_ns()),
				   monotonic_ns(), (uintptr_t)_ZN3foo3barEv, false);
	assert_string_equal(location->lines[0].function, "_ZN3foo3barEv");
	symbolizer_free(plain);
}

static void test_program_entry_is_a_stack_bottom(void **state)
{
	struct fixture *fixture = *state;
	const struct location *location = name_ip(fixture, getauxval(AT_ENTRY));

	assert_string_equal(location->lines[0].function, "_start");
	assert_true(location->stack_bottom);
}

static void test_vdso_is_named(void **state)
{
	struct fixture *fixture = *state;
	uint64_t start = getauxval(AT_SYSINFO_EHDR), ip;
	const struct location *location = NULL;

	if (!start) {
		print_message("skipped: this kernel has no vdso\n");
		skip();
	}
	for (ip = start; ip < start + 0x1000; ip++) {
		location = name_ip(fixture, ip);
		if (strstr(location->lines[0].function, "clock_gettime"))
			break;
	}
	assert_non_null(strstr(location->lines[0].function, "clock_gettime"));
	assert_int_equal(location->kind, LOCATION_VDSO);
	assert_string_equal(location->mapping->filename, "[vdso]");
	assert_true(location->named);
}

static void test_vsyscall_page_is_known_in_any_process(void **state)
{
	struct fixture *fixture = *state;

	assert_string_equal(name_ip(fixture, 0xffffffffff600400)->lines[0].function, "[vsyscall]");
}

static void test_address_without_symbol_is_file_and_offset(void **state)
{
	struct fixture *fixture = *state;
	char path[] = "/tmp/test_symbolizer.XXXXXX", expected[64];
	_cleanup_close_ int fd = mkstemp(path);
	const struct location *location;
	void *mapped;

	assert_int_equal(ftruncate(fd, 0x3000), 0);
	mapped = mmap(NULL, 0x1000, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0x2000);
	assert_int_equal(symbolizer_scan_one(fixture->symbolizer, getpid(), monotonic_ns()), 0);
	location = name_ip(fixture, (uintptr_t)mapped + 0x10);
	snprintf(expected, sizeof(expected), "%s+0x2010", path + strlen("/tmp/"));
	assert_string_equal(location->lines[0].function, expected);
	assert_string_equal(location->mapping->filename, path);
	assert_int_equal(location->address, 0x2010);
	assert_false(location->named);
	munmap(mapped, 0x1000);
	unlink(path);
}

static void test_unknown_addresses_share_one_location(void **state)
{
	struct fixture *fixture = *state;
	const struct location *unknown = name_ip(fixture, 1);

	assert_string_equal(unknown->lines[0].function, "[unknown]");
	assert_int_equal(unknown->kind, LOCATION_UNKNOWN);
	assert_int_equal(unknown->address, 0);
	assert_false(unknown->named);
	assert_null(unknown->mapping);
	assert_ptr_equal(name_ip(fixture, 0x123456), unknown);
	assert_ptr_equal(symbolizer_user(fixture->symbolizer, fixture->self, 0, 0, true), unknown);
	assert_ptr_equal(symbolizer_user(fixture->symbolizer, NULL, 0, 77, false), unknown);
}

static void test_address_is_named_by_what_was_mapped_then(void **state)
{
	struct fixture *fixture = *state;
	struct mmap_event event = {
		.tgid = NOBODY,
		.time_ns = 100,
		.start = 0x10000,
		.length = 0x10000,
		.path = "/nonexistent/old",
	};
	const struct location *location;
	struct process *process;
	bool replaced;

	assert_int_equal(symbolizer_on_exec(fixture->symbolizer, NOBODY, 50), 0);
	assert_int_equal(symbolizer_on_mmap(fixture->symbolizer, &event, &replaced), 0);
	event.time_ns = 200;
	event.path = "/nonexistent/new";
	assert_int_equal(symbolizer_on_mmap(fixture->symbolizer, &event, &replaced), 0);
	assert_true(replaced);
	process = symbolizer_process(fixture->symbolizer, NOBODY, 150);
	location = symbolizer_user(fixture->symbolizer, process, 150, 0x10004, false);
	assert_string_equal(location->lines[0].function, "old+0x4");
	location = symbolizer_user(fixture->symbolizer, process, 200, 0x10004, false);
	assert_string_equal(location->lines[0].function, "new+0x4");
}

/* execve is still at work: the mappings are gone, the address is that of the system call. */
static void test_address_in_execve_is_the_old_programs(void **state)
{
	struct fixture *fixture = *state;
	struct mmap_event event = {
		.tgid = NOBODY,
		.time_ns = 100,
		.start = 0x10000,
		.length = 0x10000,
		.path = "/nonexistent/old",
	};
	const struct location *location;
	struct process *process;

	assert_int_equal(symbolizer_on_exec(fixture->symbolizer, NOBODY, 50), 0);
	assert_int_equal(symbolizer_on_mmap(fixture->symbolizer, &event, NULL), 0);
	assert_int_equal(symbolizer_on_exec(fixture->symbolizer, NOBODY, 200), 0);
	process = symbolizer_process(fixture->symbolizer, NOBODY, 201);
	location = symbolizer_user(fixture->symbolizer, process, 201, 0x10004, false);
	assert_string_equal(location->lines[0].function, "old+0x4");
	location = symbolizer_user(fixture->symbolizer, process, 201 + NS_PER_SEC, 0x10004, false);
	assert_int_equal(location->kind, LOCATION_UNKNOWN);
}

/* ---- JIT ---- */

static void write_perfmap(const char *mode, const char *text, uint64_t address)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
	file = fopen(path, mode);
	assert_non_null(file);
	fprintf(file, "%lx 10 %s\n", (unsigned long)address, text);
	fclose(file);
}

static void remove_perfmap(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
	unlink(path);
}

static void test_jit_code_is_named_by_the_growing_perfmap(void **state)
{
	struct fixture *fixture = *state;
	uint64_t code = (uintptr_t)mmap(NULL, 0x1000, PROT_READ | PROT_EXEC,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const struct location *first, *none, *renamed;

	assert_int_equal(symbolizer_scan_one(fixture->symbolizer, getpid(), monotonic_ns()), 0);
	none = name_ip(fixture, code);
	assert_string_equal(none->lines[0].function, "[jit]");
	assert_string_equal(none->mapping->filename, "[jit]");
	assert_int_equal(none->kind, LOCATION_JIT);
	assert_false(none->named);
	assert_ptr_equal(name_ip(fixture, code + 0x800), none);

	write_perfmap("w", "first function", code);
	usleep(250000); /* a missing file is looked for after 50, then 100 ms */
	first = name_ip(fixture, code + 4);
	assert_string_equal(first->lines[0].function, "first function");
	assert_string_equal(first->mapping->filename, "[jit]");
	assert_int_equal(first->address, code + 4);
	assert_true(first->named);

	write_perfmap("a", "second function", code + 0x20);
	usleep(60000);
	assert_string_equal(name_ip(fixture, code + 0x20)->lines[0].function, "second function");
	assert_ptr_equal(name_ip(fixture, code + 4), first);

	write_perfmap("a", "compiled anew", code);
	usleep(60000);
	renamed = name_ip(fixture, code + 4);
	assert_ptr_not_equal(renamed, first);
	assert_string_equal(renamed->lines[0].function, "compiled anew");
	assert_string_equal(first->lines[0].function, "first function");
	assert_ptr_equal(name_ip(fixture, code + 0x800), none);
	remove_perfmap();
	munmap((void *)(uintptr_t)code, 0x1000);
}

/* ---- kernel ---- */

static void test_kernel_function_is_named(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_(file_closep) FILE *file = fopen("/proc/kallsyms", "r");
	const struct location *location;
	unsigned long address = 0;
	char line[512], name[256], type;

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx %c %255s", &address, &type, name) == 3 &&
		    strcmp(name, "vfs_read") == 0)
			break;
		address = 0;
	}
	if (!address) {
		print_message("skipped: kernel addresses are hidden from us\n");
		skip();
	}
	location = symbolizer_kernel(fixture->symbolizer, address + 1, true);
	assert_string_equal(location->lines[0].function, "vfs_read");
	assert_int_equal(location->kind, LOCATION_KERNEL);
	assert_int_equal(location->address, address);
	assert_string_equal(location->mapping->filename, "[kernel.kallsyms]");
	assert_true(location->mapping->start <= address && address < location->mapping->limit);
	assert_false(symbolizer_kernel_hidden(fixture->symbolizer));
}

static void use_kallsyms(struct fixture *fixture, const char *text)
{
	FILE *file;

	if (!fixture->kallsyms[0]) {
		snprintf(fixture->kallsyms, sizeof(fixture->kallsyms), "/tmp/kallsyms.%d",
			 getpid());
		symbolizer_free(fixture->symbolizer);
		fixture->symbolizer = new_symbolizer(fixture->kallsyms, true);
	}
	file = fopen(fixture->kallsyms, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

#define KERNEL_TEXT                                                                                \
	"ffffffff81000000 T _stext\n"                                                              \
	"ffffffff81000100 T ret_from_fork_asm\n"                                                   \
	"ffffffff81000200 T asm_exc_page_fault\n"                                                  \
	"ffffffff81000300 T schedule\n"                                                            \
	"ffffffff81000400 T _etext\n"                                                              \
	"ffffffffc0000000 t module_function\t[nf_tables]\n"

static const struct location *kernel_at(struct fixture *fixture, uint64_t address)
{
	const struct location *location = symbolizer_kernel(fixture->symbolizer, address, false);

	assert_non_null(location);
	return location;
}

static void test_modules_and_bpf_programs_have_their_kinds(void **state)
{
	struct fixture *fixture = *state;
	const struct location *location;

	use_kallsyms(fixture,
		     KERNEL_TEXT "ffffffffc0001000 t bpf_prog_6deef7357e7b4530_sample\t[bpf]\n");
	location = kernel_at(fixture, 0xffffffffc0000010);
	assert_string_equal(location->lines[0].function, "module_function");
	assert_int_equal(location->kind, LOCATION_KERNEL);
	assert_string_equal(location->mapping->filename, "[kernel.kallsyms]");
	location = kernel_at(fixture, 0xffffffffc0001010);
	assert_string_equal(location->lines[0].function, "sample");
	assert_int_equal(location->kind, LOCATION_BPF);
	assert_string_equal(location->mapping->filename, "[bpf]");
	assert_true(kernel_at(fixture, 0xffffffff81000110)->stack_bottom);
	assert_true(kernel_at(fixture, 0xffffffff81000210)->stack_bottom);
	assert_false(kernel_at(fixture, 0xffffffff81000310)->stack_bottom);
}

static void test_program_loaded_later_is_found(void **state)
{
	struct fixture *fixture = *state;
	const struct location *location;

	use_kallsyms(fixture,
		     KERNEL_TEXT "ffffffffc0001000 t bpf_prog_6deef7357e7b4530_a\t[bpf]\n");
	location = kernel_at(fixture, 0xffffffffc0001010);
	assert_string_equal(location->lines[0].function, "a");
	use_kallsyms(fixture,
		     KERNEL_TEXT "ffffffffc0001000 t bpf_prog_6deef7357e7b4530_a\t[bpf]\n"
				 "ffffffffc0301000 t bpf_prog_7deef7357e7b4530_b\t[bpf]\n");
	assert_false(kernel_at(fixture, 0xffffffffc0301010)->named); /* not twice in one second */
	usleep(1050000);
	assert_string_equal(kernel_at(fixture, 0xffffffffc0301010)->lines[0].function, "b");
	assert_ptr_equal(kernel_at(fixture, 0xffffffffc0001010), location);
}

static void test_hidden_kernel_gives_addresses(void **state)
{
	struct fixture *fixture = *state;
	const struct location *location;

	use_kallsyms(fixture, "0000000000000000 T _stext\n0000000000000000 T schedule\n");
	location = kernel_at(fixture, 0xffffffff81000310);
	assert_string_equal(location->lines[0].function, "[kernel]+0xffffffff81000310");
	assert_false(location->named);
	assert_true(symbolizer_kernel_hidden(fixture->symbolizer));
}

static void test_missing_kallsyms_is_no_failure(void **state)
{
	struct fixture *fixture = *state;

	use_kallsyms(fixture, "");
	unlink(fixture->kallsyms);
	assert_false(kernel_at(fixture, 0xffffffff81000310)->named);
}

/* ---- life ---- */

static size_t location_cnt(const struct fixture *fixture)
{
	struct symbolizer_stats stats;

	symbolizer_stats(fixture->symbolizer, &stats);
	return stats.locations;
}

static void test_note_is_one_location_per_text(void **state)
{
	struct fixture *fixture = *state;
	char text[] = "[truncated: depth]";
	const struct location *note = symbolizer_note(fixture->symbolizer, text);

	text[0] = '?';
	assert_string_equal(note->lines[0].function, "[truncated: depth]");
	assert_int_equal(note->kind, LOCATION_NOTE);
	assert_null(note->mapping);
	assert_ptr_equal(symbolizer_note(fixture->symbolizer, "[truncated: depth]"), note);
	assert_ptr_not_equal(symbolizer_note(fixture->symbolizer, "[other]"), note);
}

static void test_location_lives_through_one_trim(void **state)
{
	struct fixture *fixture = *state;
	const struct location *kept = symbolizer_note(fixture->symbolizer, "kept");

	symbolizer_note(fixture->symbolizer, "dropped");
	name_ip(fixture, (uintptr_t)test_own_function_is_named);
	assert_int_equal(location_cnt(fixture), 3);
	symbolizer_trim(fixture->symbolizer, 0);
	assert_int_equal(location_cnt(fixture), 3);
	assert_ptr_equal(symbolizer_note(fixture->symbolizer, "kept"), kept);
	symbolizer_trim(fixture->symbolizer, 0);
	assert_int_equal(location_cnt(fixture), 1);
	assert_string_equal(kept->lines[0].function, "kept");
	symbolizer_trim(fixture->symbolizer, 0);
	assert_int_equal(location_cnt(fixture), 0);
}

/* Ten thousand addresses named and trimmed again and again need no more memory than once. */
static void test_trimming_gives_memory_back(void **state)
{
	struct fixture *fixture = *state;
	struct symbolizer_stats first = {}, stats;
	unsigned int round, i;
	char text[32];

	for (round = 0; round < 5; round++) {
		for (i = 0; i < 10000; i++) {
			snprintf(text, sizeof(text), "note %u %u", round, i);
			assert_non_null(symbolizer_note(fixture->symbolizer, text));
		}
		symbolizer_stats(fixture->symbolizer, round ? &stats : &first);
		symbolizer_trim(fixture->symbolizer, 0);
		symbolizer_trim(fixture->symbolizer, 0);
	}
	assert_in_range(stats.bytes, 10000, first.bytes + 1000);
}

static void test_survives_each_failed_allocation(void **state)
{
	struct fixture *fixture = *state;
	bool hit = true;
	long n;

	use_kallsyms(fixture, KERNEL_TEXT);
	for (n = 1; hit; n++) {
		struct symbolizer_config config = { .kallsyms = fixture->kallsyms,
						    .demangle = true };
		struct symbolizer *symbolizer;
		struct process *self;
		uint64_t now = monotonic_ns();

		fail_malloc_at(n);
		if (symbolizer_new(&config, &symbolizer, NULL) == 0) {
			self = symbolizer_process(symbolizer, getpid(), now);
			symbolizer_user(symbolizer, self, now, (uintptr_t)_ZN3foo3barEv, false);
			symbolizer_user(symbolizer, self, now, 0x1000, false);
			symbolizer_kernel(symbolizer, 0xffffffff81000310, false);
			symbolizer_note(symbolizer, "[note]");
			symbolizer_trim(symbolizer, 0);
			symbolizer_trim(symbolizer, 0);
			symbolizer_free(symbolizer);
		}
		hit = fail_malloc_hit();
	}
	assert_true(n > 40);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(test_own_function_is_named),
		WITH_FIXTURE(test_return_address_is_looked_up_in_its_call),
		WITH_FIXTURE(test_functions_of_libc_are_named_as_by_dladdr),
		WITH_FIXTURE(test_linker_names_are_demangled),
		WITH_FIXTURE(test_program_entry_is_a_stack_bottom),
		WITH_FIXTURE(test_vdso_is_named),
		WITH_FIXTURE(test_vsyscall_page_is_known_in_any_process),
		WITH_FIXTURE(test_address_without_symbol_is_file_and_offset),
		WITH_FIXTURE(test_unknown_addresses_share_one_location),
		WITH_FIXTURE(test_address_is_named_by_what_was_mapped_then),
		WITH_FIXTURE(test_address_in_execve_is_the_old_programs),
		WITH_FIXTURE(test_jit_code_is_named_by_the_growing_perfmap),
		WITH_FIXTURE(test_kernel_function_is_named),
		WITH_FIXTURE(test_modules_and_bpf_programs_have_their_kinds),
		WITH_FIXTURE(test_program_loaded_later_is_found),
		WITH_FIXTURE(test_hidden_kernel_gives_addresses),
		WITH_FIXTURE(test_missing_kallsyms_is_no_failure),
		WITH_FIXTURE(test_note_is_one_location_per_text),
		WITH_FIXTURE(test_location_lives_through_one_trim),
		WITH_FIXTURE(test_trimming_gives_memory_back),
		WITH_FIXTURE(test_survives_each_failed_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
