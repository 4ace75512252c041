/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Function symbols of ELF files, and their names.  Part of the ELF reader; for symtab_load.c.
 *
 * The two are read apart: of the symbols at one address only one keeps its name, and names are
 * four fifths of the bytes.  So the symbols are looked through first, and the names that are
 * needed then, in the order in which they stand in the file.
 */
#ifndef EBPFPROF_SYMBOLIZER_ELF_SYMBOLS_H
#define EBPFPROF_SYMBOLIZER_ELF_SYMBOLS_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "symbolizer/elf.h"

#define ELF_TABLES_MAX 3

enum elf_table_kind {
	ELF_TABLE_SYMTAB,
	ELF_TABLE_DYNSYM,
	ELF_TABLE_PLT, /* stubs, with the names of what they call */
};

/* A symbol table and its strings, clipped to the file. */
struct elf_symbol_table {
	enum elf_table_kind kind;
	uint64_t offset;	/* of Elf64_Sym [cnt] */
	uint64_t cnt;		/* ELF_SYMBOLS_MAX at most are read */
	uint64_t strings;	/* file offset of the string table */
	uint64_t strings_bytes; /* 0: names cannot be read */
	Elf64_Sym *stubs;	/* ELF_TABLE_PLT: heap [cnt]; else NULL */
};

struct elf_symbol_tables {
	struct elf_symbol_table tables[ELF_TABLES_MAX];
	size_t cnt;
};

/**
 * elf_find_tables - the symbol tables of @elf
 * @separate: @elf is a debug file, whose dynamic symbols and code are not its own
 *
 * .symtab and .dynsym, or the dynamic symbols that PT_DYNAMIC leads to in a file without
 * sections, and the PLT stubs (.plt, .plt.sec, .plt.got: through .rela.plt / .rela.dyn slots).
 * End with elf_tables_free().
 * Errors: -ENODATA there is none; -ENOEXEC something is broken or cut short (@ret has what is
 * whole); -EIO; -ENOMEM.
 */
int elf_find_tables(struct elf_file *elf, bool separate, struct elf_symbol_tables *ret);
void elf_tables_free(struct elf_symbol_tables *tables);

struct elf_function {
	uint64_t address;
	uint64_t size;	 /* 0 = the file does not say */
	uint64_t limit;	 /* end of the section (or segment) that holds it */
	uint32_t string; /* its name's place in the string table */
	uint8_t binding; /* STB_* */
	bool untyped;	 /* STT_NOTYPE: a label, perhaps inside of a function */
};

/* What the addresses of a table mean. */
struct elf_code {
	const struct elf_file *program; /* whose executable segments count */
	uint64_t shift;			/* added to addresses of the table to be @program's */
};

/**
 * elf_visit_functions - call @visit for each function of @table, a table of @elf
 *
 * Those that are defined in an executable segment and are STT_FUNC or STT_GNU_IFUNC, or
 * STT_NOTYPE in an executable section (hand-written assembly).  @visit returns false to stop.
 * In no order, with duplicates.
 * Errors: -ENOEXEC the file became shorter; -EIO; -ENOMEM.
 */
int elf_visit_functions(const struct elf_file *elf, const struct elf_symbol_table *table,
			const struct elf_code *code,
			bool (*visit)(void *context, const struct elf_function *function),
			void *context);

/* Names of one string table; cheap when they are asked for in ascending order. */
struct elf_names;

int elf_names_new(struct elf_names **ret);
void elf_names_free(struct elf_names *names);

/** elf_names_start - the names of @table, a table of @elf, from now on; both are borrowed */
void elf_names_start(struct elf_names *names, const struct elf_file *elf,
		     const struct elf_symbol_table *table);

/**
 * elf_names_get - the name at @string of the string table
 * @ret: as in the file, NUL-terminated; valid until the next call
 * Errors: -ENOEXEC there is none, or it is longer than ELF_NAME_MAX; -EIO.
 */
int elf_names_get(struct elf_names *names, uint32_t string, const char **ret, size_t *ret_len);

/**
 * elf_name_read - one name, by itself
 * @strings, @strings_bytes: as in struct elf_symbol_table, not checked before
 * @ret: [ELF_NAME_MAX], NUL-terminated
 * Errors: as elf_names_get().
 */
int elf_name_read(const struct elf_file *elf, uint64_t strings, uint64_t strings_bytes,
		  uint32_t string, char *ret);

/** elf_is_local_label - labels of assemblers and compilers that are no functions: .L12, $x */
bool elf_is_local_label(const char *name);

#endif
