/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ELF files made to be slow: many headers that all mean the same bytes.  Without their bounds each
 * of these takes minutes; the seconds allowed here are for sanitizers on a slow machine.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <elf.h>
#include <sys/mman.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/strbuf.h"
#include "symbolizer/elf.h"
#include "symbolizer/symtab.h"

#if defined(__aarch64__)
#define MACHINE_HERE EM_AARCH64
#else
#define MACHINE_HERE EM_X86_64
#endif

#define TEXT 0x1000u
#define TEXT_BYTES 0x100000u
#define SECONDS_MAX 8.0

static double started;

static double cpu_seconds(void)
{
	struct timespec now;

	assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now), 0);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int start_clock(void **state)
{
	(void)state;
	started = cpu_seconds();
	return 0;
}

static int check_clock(void **state)
{
	(void)state;
	return cpu_seconds() - started > SECONDS_MAX ? -1 : 0;
}

/* An ELF header, to be written over once it is known where the tables are. */
static Elf64_Ehdr begin_file(struct strbuf *file)
{
	Elf64_Ehdr header = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_DYN,
		.e_machine = MACHINE_HERE,
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_shentsize = sizeof(Elf64_Shdr),
	};

	strbuf_add(file, &header, sizeof(header));
	return header;
}

/* Behind a descriptor, where each read is a system call. */
static int end_file(struct strbuf *file, const Elf64_Ehdr *header)
{
	int fd = memfd_create("file", MFD_CLOEXEC);

	assert_false(file->failed);
	memcpy(file->text, header, sizeof(*header));
	assert_int_equal(write(fd, file->text, file->len), (ssize_t)file->len);
	strbuf_free(file);
	return fd;
}

/* ---- notes ---------------------------------------------------------------------------------- */

static void test_notes_are_not_read_for_each_of_their_headers(void **state)
{
	struct strbuf file = STRBUF_INIT;
	Elf64_Ehdr header = begin_file(&file);
	Elf64_Phdr segment = { .p_type = PT_NOTE, .p_offset = file.len, .p_align = 4 };
	Elf64_Nhdr note = { .n_type = NT_GNU_ABI_TAG };
	_cleanup_(elf_file_closep) struct elf_file *elf = NULL;
	int i, fd;

	(void)state;
	for (i = 0; i < 5000; i++)
		strbuf_add(&file, &note, sizeof(note));
	segment.p_filesz = file.len - segment.p_offset;
	header.e_phoff = file.len;
	header.e_phnum = 60000;
	for (i = 0; i < header.e_phnum; i++)
		strbuf_add(&file, &segment, sizeof(segment));
	fd = end_file(&file, &header);
	assert_int_equal(elf_file_open(fd, &elf, NULL), 0);
	assert_int_equal(elf_file_build_id(elf)->len, 0);
	close(fd);
}

/* ---- stubs and relocations ------------------------------------------------------------------ */

#ifdef __x86_64__

#define STUBS 4000
#define RELOCATIONS 2000
#define PLT_SECTIONS 8
#define RELA_SECTIONS 900
#define SLOT 0x200000u

static const char section_names[] = "\0.plt\0.rela.dyn\0.dynsym\0.strings";
static const char symbol_names[] = "\0imported";

/* `jmp *slot(%rip)` all through one slot, the last one through another. */
static void add_stubs(struct strbuf *file)
{
	uint8_t stub[16] = { 0xff, 0x25, 0, 0, 0, 0, 0x68 };
	uint32_t i, displacement;

	for (i = 0; i < STUBS; i++) {
		displacement = SLOT + (i == STUBS - 1 ? 8 : 0) - (TEXT + 16 * i + 6);
		memcpy(stub + 2, &displacement, sizeof(displacement));
		strbuf_add(file, stub, sizeof(stub));
	}
}

static void add_section(struct strbuf *headers, Elf64_Ehdr *header, const struct strbuf *file,
			Elf64_Shdr section)
{
	if (section.sh_type)
		section.sh_size = file->len - section.sh_offset;
	strbuf_add(headers, &section, sizeof(section));
	header->e_shnum++;
}

static int make_plt_file(void)
{
	Elf64_Sym symbols[2] = { {}, { .st_name = 1, .st_info = STT_FUNC } };
	Elf64_Rela relocation = { .r_offset = SLOT, .r_info = ELF64_R_INFO(1, R_X86_64_JUMP_SLOT) };
	Elf64_Phdr text = {
		.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = TEXT, .p_memsz = TEXT_BYTES
	};
	struct strbuf file = STRBUF_INIT, headers = STRBUF_INIT;
	Elf64_Ehdr header = begin_file(&file);
	Elf64_Shdr section = {};
	size_t start;
	int i;

	header.e_phoff = file.len;
	header.e_phnum = 1;
	header.e_shstrndx = 1;
	strbuf_add(&file, &text, sizeof(text));
	add_section(&headers, &header, &file, section);
	section = (Elf64_Shdr){ .sh_type = SHT_STRTAB, .sh_offset = file.len };
	strbuf_add(&file, section_names, sizeof(section_names));
	add_section(&headers, &header, &file, section);
	section.sh_offset = file.len;
	strbuf_add(&file, symbol_names, sizeof(symbol_names));
	add_section(&headers, &header, &file, section);
	section = (Elf64_Shdr){ .sh_type = SHT_DYNSYM,
				.sh_link = 2,
				.sh_offset = file.len,
				.sh_entsize = sizeof(symbols[0]) };
	strbuf_add(&file, symbols, sizeof(symbols));
	add_section(&headers, &header, &file, section);
	start = file.len;
	add_stubs(&file);
	section = (Elf64_Shdr){ .sh_type = SHT_PROGBITS,
				.sh_name = 1,
				.sh_flags = SHF_EXECINSTR,
				.sh_addr = TEXT,
				.sh_offset = start };
	for (i = 0; i < PLT_SECTIONS; i++)
		add_section(&headers, &header, &file, section);
	section = (Elf64_Shdr){ .sh_type = SHT_RELA, .sh_link = 3, .sh_offset = file.len };
	for (i = 0; i < RELOCATIONS; i++)
		strbuf_add(&file, &relocation, sizeof(relocation));
	for (i = 0; i < RELA_SECTIONS; i++)
		add_section(&headers, &header, &file, section);
	header.e_shoff = file.len;
	strbuf_add(&file, headers.text, headers.len);
	strbuf_free(&headers);
	return end_file(&file, &header);
}

static void test_relocations_of_one_slot_do_not_name_its_stubs_anew(void **state)
{
	_cleanup_(elf_file_closep) struct elf_file *elf = NULL;
	_cleanup_close_ int fd = make_plt_file();
	struct symtab *table;
	struct symbol symbol;

	(void)state;
	assert_int_equal(elf_file_open(fd, &elf, NULL), 0);
	assert_int_equal(symtab_load(&elf, 1, &table), 0);
	assert_true(symtab_find(table, TEXT, &symbol));
	assert_string_equal(symbol.name, "imported@plt");
	assert_true(symtab_find(table, TEXT + 16 * (STUBS - 2), &symbol));
	assert_string_equal(symbol.name, "imported@plt");
	assert_false(symtab_find(table, TEXT + 16 * (STUBS - 1), &symbol));
	symtab_free(table);
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_notes_are_not_read_for_each_of_their_headers,
						start_clock, check_clock),
#ifdef __x86_64__
		cmocka_unit_test_setup_teardown(
			test_relocations_of_one_slot_do_not_name_its_stubs_anew, start_clock,
			check_clock),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
