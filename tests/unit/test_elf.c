/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/auxv.h>

#include "profiler/base/err.h"
#include "symbolizer/elf.h"
#include "symbolizer/elf_private.h"
#include "symbolizer/symtab.h"
#include "tests/unit/elf_fixture.h"
#include "tests/unit/fail_malloc.h"

#define TINY_FLAGS "-nostdlib -static -O1 -Wl,--build-id=sha1 -z noexecstack"

static const char tiny_source[] =
	"__attribute__((noinline)) int leaf(int x) { return x * 3; }\n"
	"static __attribute__((noinline,used)) int hidden(int x) { return leaf(x) + 1; }\n"
	"void _start(void) { hidden(2); for (;;); }\n";

static const char library_source[] =
	"#include <stdlib.h>\n#include <string.h>\n#include <stdio.h>\n"
	"void *(*pointer)(size_t) = malloc;\n"
	"int exported(const char *s) { puts(s); return (int)strlen(s) + atoi(s); }\n"
	"void *other(size_t n) { free(pointer(n)); return malloc(n); }\n";

static bool have_cc;

static void need_cc(void)
{
	if (!have_cc)
		skip();
}

static struct elf_file *open_path(const char *path, int *ret_fd)
{
	struct errmsg err = {};
	struct elf_file *elf;

	*ret_fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(*ret_fd >= 0);
	if (elf_file_open(*ret_fd, &elf, &err))
		fail_msg("%s: %s", path, err.text);
	return elf;
}

static void test_elf_build_id_is_what_readelf_prints(void **state)
{
	const char *path;
	struct elf_file *elf;
	char text[64], expected[64] = "";
	FILE *pipe;
	int fd;

	(void)state;
	need_cc();
	path = fixture_cc("id", tiny_source, TINY_FLAGS);
	pipe = fixture_popen("readelf -n %s | sed -n 's/.*Build ID: //p'", path);
	assert_non_null(fgets(expected, sizeof(expected), pipe));
	pclose(pipe);
	expected[strcspn(expected, "\n")] = '\0';
	elf = open_path(path, &fd);
	elf_build_id_hex(elf_file_build_id(elf), text);
	assert_string_equal(text, expected);
	elf_file_close(elf);
	close(fd);
}

static void test_elf_without_build_id_has_none(void **state)
{
	struct elf_file *elf;
	char text[64] = "x";
	int fd;

	(void)state;
	need_cc();
	elf = open_path(fixture_cc("noid", tiny_source, TINY_FLAGS " -Wl,--build-id=none"), &fd);
	elf_build_id_hex(elf_file_build_id(elf), text);
	assert_string_equal(text, "");
	elf_file_close(elf);
	close(fd);
}

static void test_elf_segments_are_what_readelf_prints(void **state)
{
	unsigned long long offset, vaddr, filesz, memsz;
	const struct elf_segment *segments;
	size_t cnt, i = 0;
	struct elf_file *elf;
	const char *path;
	char line[256];
	FILE *pipe;
	int fd;

	(void)state;
	need_cc();
	path = fixture_cc("segments.so", library_source, "-shared -fPIC");
	elf = open_path(path, &fd);
	cnt = elf_file_segments(elf, &segments);
	pipe = fixture_popen("readelf -lW %s", path);
	while (fgets(line, sizeof(line), pipe)) {
		if (sscanf(line, " LOAD %llx %llx %*x %llx %llx", &offset, &vaddr, &filesz,
			   &memsz) != 4)
			continue;
		assert_true(i < cnt);
		assert_int_equal(segments[i].offset, offset);
		assert_int_equal(segments[i].vaddr, vaddr);
		assert_int_equal(segments[i].filesz, filesz);
		assert_int_equal(segments[i].memsz, memsz);
		assert_int_equal(segments[i].executable, strstr(line, " R E ") != NULL);
		i++;
	}
	pclose(pipe);
	assert_int_equal(i, cnt);
	assert_true(cnt > 1);
	elf_file_close(elf);
	close(fd);
}

static void test_elf_address_prefers_executable_segments(void **state)
{
	struct elf_file elf = { .segment_cnt = 3 };
	uint64_t address;

	(void)state;
	elf.segments[0] = (struct elf_segment){ 0x1000, 0x2730, 0x0, 0x1730, false };
	elf.segments[1] = (struct elf_segment){ 0x3730, 0x1000, 0x1730, 0x1000, true };
	elf.segments[2] = (struct elf_segment){ 0x6000, 0x9000, 0x8000, 0x100, false };
	assert_true(elf_file_address(&elf, 0x1740, &address));
	assert_int_equal(address, 0x3740);
	/* In the page that begins with the end of the segment before, but is mapped twice. */
	assert_true(elf_file_address(&elf, 0x1000, &address));
	assert_int_equal(address, 0x3000);
	assert_true(elf_file_address(&elf, 0x10, &address));
	assert_int_equal(address, 0x1010);
	assert_false(elf_file_address(&elf, 0x8100, &address));
	assert_false(elf_file_address(&elf, UINT64_MAX, &address));
}

static int open_bytes(void *bytes, size_t size)
{
	struct errmsg err = {};
	struct elf_file *elf;
	int ret = elf_file_open_memory(bytes, size, &elf, &err);

	if (!ret)
		elf_file_close(elf);
	else
		assert_true(err.text[0]);
	return ret;
}

static void test_elf_refuses_what_is_not_ours(void **state)
{
	Elf64_Ehdr header, whole;
	struct elf_file *elf;
	size_t size;
	void *bytes;
	int fds[2];

	(void)state;
	need_cc();
	bytes = fixture_read(fixture_cc("refuse", tiny_source, TINY_FLAGS), &size);
	memcpy(&whole, bytes, sizeof(whole));
	assert_int_equal(open_bytes(bytes, size), 0);
	assert_int_equal(open_bytes(bytes, 0), -ENOEXEC);
	assert_int_equal(open_bytes(bytes, 20), -ENOEXEC);
	header = whole;
	header.e_ident[0] = '#';
	memcpy(bytes, &header, sizeof(header));
	assert_int_equal(open_bytes(bytes, size), -ENOEXEC);
	header = whole;
	header.e_ident[EI_CLASS] = ELFCLASS32;
	memcpy(bytes, &header, sizeof(header));
	assert_int_equal(open_bytes(bytes, size), -ENOTSUP);
	header = whole;
	header.e_ident[EI_DATA] = ELFDATA2MSB;
	memcpy(bytes, &header, sizeof(header));
	assert_int_equal(open_bytes(bytes, size), -ENOTSUP);
	header = whole;
	header.e_machine = whole.e_machine == EM_X86_64 ? EM_AARCH64 : EM_X86_64;
	memcpy(bytes, &header, sizeof(header));
	assert_int_equal(open_bytes(bytes, size), -ENOTSUP);
	header = whole;
	header.e_type = ET_CORE;
	memcpy(bytes, &header, sizeof(header));
	assert_int_equal(open_bytes(bytes, size), -ENOTSUP);
	free(bytes);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(elf_file_open(fds[0], &elf, NULL), -ENOEXEC);
	close(fds[0]);
	close(fds[1]);
}

static void test_elf_refuses_too_many_segments(void **state)
{
	struct {
		Elf64_Ehdr header;
		Elf64_Phdr segments[ELF_SEGMENTS_MAX + 1];
	} image = {};
	size_t i;

	(void)state;
	memcpy(image.header.e_ident, ELFMAG "\2\1\1", 7);
	image.header.e_type = ET_DYN;
#ifdef __x86_64__
	image.header.e_machine = EM_X86_64;
#else
	image.header.e_machine = EM_AARCH64;
#endif
	image.header.e_phoff = sizeof(image.header);
	image.header.e_phentsize = sizeof(Elf64_Phdr);
	image.header.e_phnum = ELF_SEGMENTS_MAX;
	for (i = 0; i <= ELF_SEGMENTS_MAX; i++)
		image.segments[i].p_type = PT_LOAD;
	assert_int_equal(open_bytes(&image, sizeof(image)), 0);
	image.header.e_phnum++;
	assert_int_equal(open_bytes(&image, sizeof(image)), -EFBIG);
	image.segments[0].p_vaddr = 1;
	image.segments[0].p_memsz = UINT64_MAX;
	assert_int_equal(open_bytes(&image, sizeof(image)), -ENOEXEC);
}

static void test_elf_knows_programs_from_libraries(void **state)
{
	struct elf_file *elf;
	int fd;

	(void)state;
	need_cc();
	elf = open_path(fixture_cc("fixed", tiny_source, TINY_FLAGS " -no-pie"), &fd);
	assert_true(elf_file_is_fixed(elf));
	assert_true(elf_file_starts(elf));
	elf_file_close(elf);
	close(fd);
	elf = open_path(fixture_cc("pie", "int main(void){return 0;}", "-pie -fPIE"), &fd);
	assert_false(elf_file_is_fixed(elf));
	assert_true(elf_file_starts(elf));
	elf_file_close(elf);
	close(fd);
	elf = open_path(fixture_cc("lib.so", library_source, "-shared -fPIC -Wl,-e,exported"), &fd);
	assert_false(elf_file_starts(elf));
	elf_file_close(elf);
	close(fd);
}

/* Reads all there is to read of an image; the heap buffer has its exact size, for ASan. */
static void exercise(const uint8_t *bytes, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	struct elf_file *elf;
	struct symtab *table;
	struct symbol symbol;
	uint64_t address;
	char text[64];

	assert_non_null(copy);
	memcpy(copy, bytes, size);
	if (!elf_file_open_memory(copy, size, &elf, NULL)) {
		elf_build_id_hex(elf_file_build_id(elf), text);
		elf_file_address(elf, size / 2, &address);
		assert_int_equal(symtab_load(&elf, 1, &table), 0);
		if (symtab_find(table, elf_file_entry(elf), &symbol))
			assert_true(strlen(symbol.name) < ELF_NAME_MAX + 8);
		symtab_free(table);
		elf_file_close(elf);
	}
	free(copy);
}

static void test_elf_survives_every_cut(void **state)
{
	size_t size, cut;
	uint8_t *bytes;

	(void)state;
	need_cc();
	bytes = fixture_read(fixture_cc("cut", tiny_source, TINY_FLAGS), &size);
	for (cut = 0; cut <= size; cut += cut < 1024 || cut > size - 4096 ? 1 : 97)
		exercise(bytes, cut);
	free(bytes);
	bytes = fixture_read(fixture_cc("cut.so", library_source, "-shared -fPIC"), &size);
	for (cut = 0; cut <= size; cut += cut < 1024 || cut > size - 3000 ? 1 : 29)
		exercise(bytes, cut);
	free(bytes);
}

static void flip_bytes(const char *name, const char *source, const char *flags, int rounds)
{
	size_t size;
	uint8_t *bytes = fixture_read(fixture_cc(name, source, flags), &size);
	int i, k;

	srandom(1);
	for (i = 0; i < rounds; i++) {
		size_t at[4];
		uint8_t old[4];

		for (k = 0; k < 4; k++) {
			/* Half of them in the headers at the start and the tables at the end. */
			at[k] = (size_t)random() % (random() & 1 ? size : 2048);
			if (random() & 1)
				at[k] = size - 1 - at[k];
			old[k] = bytes[at[k]];
			bytes[at[k]] = random() & 1 ? 0xff : (uint8_t)random();
		}
		exercise(bytes, size);
		for (k = 3; k >= 0; k--)
			bytes[at[k]] = old[k];
	}
	free(bytes);
}

static void test_elf_survives_flipped_bytes(void **state)
{
	(void)state;
	need_cc();
	flip_bytes("flip", tiny_source, TINY_FLAGS, 4000);
	flip_bytes("flip.so", library_source, "-shared -fPIC", 4000);
}

struct counts {
	size_t all, of[ELF_TABLES_MAX]; /* by enum elf_table_kind */
};

static bool count(void *context, const struct elf_function *function)
{
	(void)function;
	(*(size_t *)context)++;
	return true;
}

static int count_functions(struct elf_file *elf, struct counts *counts)
{
	struct elf_code code = { .program = elf };
	struct elf_symbol_tables tables;
	int ret = elf_find_tables(elf, false, &tables);
	size_t i;

	for (i = 0; !ret && i < tables.cnt; i++)
		ret = elf_visit_functions(elf, &tables.tables[i], &code, count,
					  &counts->of[tables.tables[i].kind]);
	for (i = 0; i < ELF_TABLES_MAX; i++)
		counts->all += counts->of[i];
	elf_tables_free(&tables);
	return ret;
}

/* The file has no section headers, as after sstrip. */
static void check_without_sections(const char *name, const char *flags)
{
	struct counts with = {}, without = {};
	struct elf_file *elf;
	Elf64_Ehdr *header;
	size_t size;
	void *bytes;

	bytes = fixture_read(fixture_cc(name, library_source, flags), &size);
	header = bytes;
	assert_int_equal(elf_file_open_memory(bytes, size, &elf, NULL), 0);
	assert_int_equal(count_functions(elf, &with), 0);
	elf_file_close(elf);
	header->e_shoff = 0;
	header->e_shnum = 0;
	header->e_shstrndx = 0;
	assert_int_equal(elf_file_open_memory(bytes, size, &elf, NULL), 0);
	assert_int_equal(count_functions(elf, &without), 0);
	assert_true(elf_file_build_id(elf)->len > 0);
	elf_file_close(elf);
	assert_true(with.of[ELF_TABLE_DYNSYM] >= 2);
	assert_int_equal(without.all, with.of[ELF_TABLE_DYNSYM]);
	free(bytes);
}

static void test_elf_without_sections_has_dynamic_symbols(void **state)
{
	(void)state;
	need_cc();
	check_without_sections("sysv.so", "-shared -fPIC -Wl,--hash-style=sysv,--build-id");
	check_without_sections("gnu.so", "-shared -fPIC -Wl,--hash-style=gnu,--build-id");
}

static void test_elf_without_any_symbols_says_so(void **state)
{
	struct counts counts = {};
	struct elf_file *elf;
	int fd;

	(void)state;
	need_cc();
	elf = open_path(fixture_cc("none", tiny_source, TINY_FLAGS " -s -no-pie"), &fd);
	assert_int_equal(count_functions(elf, &counts), -ENODATA);
	assert_int_equal(counts.all, 0);
	elf_file_close(elf);
	close(fd);
}

/* Lines of objdump such as `0000000000001030 <malloc@plt>:` */
static size_t compare_with_objdump(const char *path)
{
	struct elf_file *elf;
	struct symtab *table;
	struct symbol symbol;
	size_t compared = 0;
	char line[512];
	FILE *pipe;
	int fd;

	elf = open_path(path, &fd);
	assert_int_equal(symtab_load(&elf, 1, &table), 0);
	pipe = fixture_popen("objdump -d -j .plt -j .plt.sec -j .plt.got %s 2>/dev/null", path);
	while (fgets(line, sizeof(line), pipe)) {
		unsigned long long address;
		char name[256], *at;

		if (sscanf(line, "%llx <%255[^>]>:", &address, name) != 2)
			continue;
		at = strstr(name, "@plt");
		if (!at || at[4] || name[0] == '*') /* the resolver; local ifuncs */
			continue;
		if (!symtab_find(table, address, &symbol))
			fail_msg("%s: no name for %s at 0x%llx", path, name, address);
		assert_string_equal(symbol.name, name);
		assert_int_equal(symbol.address, address);
		compared++;
	}
	pclose(pipe);
	symtab_free(table);
	elf_file_close(elf);
	close(fd);
	return compared;
}

static void test_elf_plt_names_are_those_of_objdump(void **state)
{
	(void)state;
	need_cc();
	assert_true(compare_with_objdump(fixture_cc("plt.so", library_source,
						    "-shared -fPIC -Wl,-z,lazy")) >= 4);
	assert_true(compare_with_objdump(
			    fixture_cc("now.so", library_source, "-shared -fPIC -Wl,-z,now")) >= 4);
#ifdef __x86_64__
	assert_true(compare_with_objdump(fixture_cc(
			    "ibt.so", library_source,
			    "-shared -fPIC -fcf-protection -Wl,-z,lazy -Wl,-z,ibtplt")) >= 4);
#endif
}

static void test_elf_plt_names_of_libstdcxx_too(void **state)
{
	FILE *pipe;
	char path[512] = "";

	(void)state;
	need_cc();
	pipe = fixture_popen("realpath \"$(cc -print-file-name=libstdc++.so.6)\"");
	if (!fgets(path, sizeof(path), pipe) || path[0] != '/') {
		pclose(pipe);
		print_message("no libstdc++.so.6 here\n");
		skip();
	}
	pclose(pipe);
	path[strcspn(path, "\n")] = '\0';
	assert_true(compare_with_objdump(path) > 50);
}

static void test_elf_decodes_aarch64_stubs(void **state)
{
	/* adrp x16, 0x1f000; ldr x17, [x16, #0xfb8]; add x16, x16, #0xfb8; br x17 */
	static const uint32_t plain[] = { 0xf00000f0, 0xf947de11, 0x913ee210, 0xd61f0220 };
	static const uint32_t bti[] = { 0xd503245f, 0xf00000f0, 0xf947de11, 0x913ee210,
					0xd61f0220 };
	static const uint32_t other[] = { 0xa9bf7bf0, 0xd503201f, 0xd503201f };
	uint64_t slot;

	(void)state;
	assert_int_equal(elf_plt_decode_aarch64((const uint8_t *)plain, sizeof(plain), 0x650,
						&slot),
			 16);
	assert_int_equal(slot, 0x1ffb8);
	assert_int_equal(elf_plt_decode_aarch64((const uint8_t *)bti, sizeof(bti), 0x650, &slot),
			 20);
	assert_int_equal(slot, 0x1ffb8);
	assert_int_equal(elf_plt_decode_aarch64((const uint8_t *)other, sizeof(other), 0x650,
						&slot),
			 4);
	assert_int_equal(slot, 0);
	assert_int_equal(elf_plt_decode_aarch64((const uint8_t *)plain, 8, 0x650, &slot), 4);
}

static void test_elf_reads_the_vdso_from_memory(void **state)
{
	Elf64_Ehdr *vdso = (Elf64_Ehdr *)getauxval(AT_SYSINFO_EHDR);
	const struct elf_segment *segments;
	struct symbol symbol = {};
	struct symtab *table;
	struct elf_file *elf;
	bool found = false;
	size_t size, i;

	(void)state;
	if (!vdso) {
		print_message("this kernel gives no vdso\n");
		skip();
	}
	size = vdso->e_shoff + (size_t)vdso->e_shnum * vdso->e_shentsize;
	assert_int_equal(elf_file_open_memory(vdso, size, &elf, NULL), 0);
	assert_int_equal(symtab_load(&elf, 1, &table), 0);
	assert_true(elf_file_segments(elf, &segments) > 0);
	for (i = 0; i < segments[0].memsz && !found; i++)
		found = symtab_find(table, segments[0].vaddr + i, &symbol) &&
			strstr(symbol.name, "clock_gettime");
	assert_true(found);
	symtab_free(table);
	assert_true(elf_file_build_id(elf)->len > 0);
	elf_file_close(elf);
}

static void test_elf_survives_failing_allocations(void **state)
{
	bool hit = true;
	size_t size;
	void *bytes;
	long n;

	(void)state;
	need_cc();
	bytes = fixture_read(fixture_cc("malloc.so", library_source, "-shared -fPIC"), &size);
	for (n = 1; hit && n < 200; n++) {
		struct counts counts = {};
		struct elf_file *elf = NULL;
		int ret;

		fail_malloc_at(n);
		ret = elf_file_open_memory(bytes, size, &elf, NULL);
		if (!ret)
			ret = count_functions(elf, &counts);
		hit = fail_malloc_hit();
		fail_malloc_at(0);
		assert_int_equal(ret, hit ? -ENOMEM : 0);
		elf_file_close(elf);
	}
	assert_false(hit);
	free(bytes);
}

static int set_up(void **state)
{
	(void)state;
	have_cc = fixture_open();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fixture_close();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_elf_build_id_is_what_readelf_prints),
		cmocka_unit_test(test_elf_without_build_id_has_none),
		cmocka_unit_test(test_elf_segments_are_what_readelf_prints),
		cmocka_unit_test(test_elf_address_prefers_executable_segments),
		cmocka_unit_test(test_elf_refuses_what_is_not_ours),
		cmocka_unit_test(test_elf_refuses_too_many_segments),
		cmocka_unit_test(test_elf_knows_programs_from_libraries),
		cmocka_unit_test(test_elf_survives_every_cut),
		cmocka_unit_test(test_elf_survives_flipped_bytes),
		cmocka_unit_test(test_elf_without_sections_has_dynamic_symbols),
		cmocka_unit_test(test_elf_without_any_symbols_says_so),
		cmocka_unit_test(test_elf_plt_names_are_those_of_objdump),
		cmocka_unit_test(test_elf_plt_names_of_libstdcxx_too),
		cmocka_unit_test(test_elf_decodes_aarch64_stubs),
		cmocka_unit_test(test_elf_reads_the_vdso_from_memory),
		cmocka_unit_test(test_elf_survives_failing_allocations),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
