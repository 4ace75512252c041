/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sorted table of the function symbols of one file: address -> name.
 *
 * Compact: a row is a 32-bit address offset, a size and a name reference, 12 bytes in all; names
 * are stored once. Among symbols at one address typed ones win over labels over PLT stubs, then
 * global over weak over local, then the longer size, then the name with fewer leading
 * underscores. A symbol without size reaches to the next symbol or the end of its section; an
 * address behind the end of a sized symbol, as in padding, has no name, unless a longer symbol
 * around it covers it. A label without size inside of a sized function is left out.
 */
#ifndef EBPFPROF_SYMBOLIZER_SYMTAB_H
#define EBPFPROF_SYMBOLIZER_SYMTAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_file;
struct symtab;

#define SYMTAB_NAMES_MAX (64u << 20) /* bytes; symbols beyond are left out, and counted */

struct symbol {
	const char *name; /* mangled, without @version; PLT stubs: `name@plt`; owned by the table */
	uint64_t address;
	uint64_t size; /* as far as it reaches, where the file does not say */
};

/**
 * symtab_load - read the symbols of @elf
 *
 * A table without rows is a success: the file is stripped. So are broken tables: what could be
 * read is there. When no symbol covers the entry point of a program or dynamic loader, `_start`
 * is added there (of a size that is usual for it), so that the bottom of a stripped program's
 * stack has its name.
 * Symbols more than 4 GiB above the lowest executable segment are left out.
 * Errors: -ENOMEM.
 */
int symtab_load(struct elf_file *elf, struct symtab **ret);
void symtab_free(struct symtab *table);

/** symtab_find - the function that covers ELF virtual address @address; false if none does */
bool symtab_find(const struct symtab *table, uint64_t address, struct symbol *ret);

size_t symtab_cnt(const struct symtab *table);
size_t symtab_dropped(const struct symtab *table); /* symbols left out for want of room */
size_t symtab_bytes(const struct symtab *table);   /* heap held */

#endif
