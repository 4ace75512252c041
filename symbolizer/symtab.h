/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sorted table of the function symbols of one program or library: address -> name.
 *
 * Compact: a row is a 32-bit address offset, a size and a name reference, 12 bytes in all; names
 * are stored once, and those of large string tables stay in the file until asked for. Among symbols at one address typed ones win over labels over PLT stubs, then
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
#include <sys/uio.h>

struct elf_file;
struct symtab;

#define SYMTAB_FILES_MAX 4
#define SYMTAB_NAMES_MAX (64u << 20) /* bytes; symbols beyond are left out, and counted */

struct symbol {
	/* Mangled, without @version; PLT stubs: `name@plt`; the table's until the next look-up. */
	const char *name;
	uint64_t address;
	uint64_t size; /* as far as it reaches, where the file does not say */
};

/* Where names came from. */
enum symtab_source {
	SYMTAB_FROM_SYMTAB = 1 << 0,	 /* the program's own .symtab */
	SYMTAB_FROM_DYNSYM = 1 << 1,	 /* its .dynsym, PLT stubs included */
	SYMTAB_FROM_DEBUG_FILE = 1 << 2, /* a separate debug file */
	SYMTAB_FROM_MINI_DEBUG = 1 << 3, /* its unpacked .gnu_debugdata */
};

/**
 * symtab_load - read the symbols of @files into one table
 * @files: the program or library, then what was split off it, in any order: separate debug files
 *         and its .gnu_debugdata (told apart by elf_file_open_memory()).  1..SYMTAB_FILES_MAX
 *
 * A table without rows is a success: the file is stripped. So are broken tables: what could be
 * read is there. When no symbol covers the entry point of a program or dynamic loader, `_start`
 * is added there (of a size that is usual for it), so that the bottom of a stripped program's
 * stack has its name.
 * Symbols more than 4 GiB above the lowest executable segment are left out. Addresses of a debug
 * file whose executable segment lies elsewhere (the program was prelinked) are moved by the
 * difference.
 * The table reads names from @files as long as it lives, if symtab_reads_files() says so.
 * Errors: -EINVAL @cnt; -ENOMEM.
 */
int symtab_load(struct elf_file *const *files, size_t cnt, struct symtab **ret);
void symtab_free(struct symtab *table);

/** symtab_find - the function that covers ELF virtual address @address; false if none does */
bool symtab_find(const struct symtab *table, uint64_t address, struct symbol *ret);

/** symtab_reads_files - whether the files that it was made of must outlive @table */
bool symtab_reads_files(const struct symtab *table);

size_t symtab_cnt(const struct symtab *table);
size_t symtab_dropped(const struct symtab *table); /* symbols left out for want of room */
size_t symtab_bytes(const struct symtab *table);   /* heap held; without borrowed bytes */

/** symtab_sources - enum symtab_source, OR-ed: what gave at least one name */
unsigned int symtab_sources(const struct symtab *table);

#define SYMTAB_PARTS 4

/** symtab_parts - the table as bytes: these parts, one behind the other; owned by @table */
void symtab_parts(const struct symtab *table, struct iovec parts[SYMTAB_PARTS]);

/**
 * symtab_from_bytes - a table over what symtab_parts() gave, of this machine and program version
 * @bytes: 8-byte aligned; borrowed until symtab_free()
 * @files: the files that the table was made of; names that were left in one that is not there
 *         now are not found
 *
 * Costs nothing that grows with the table.  For bytes that are no table look-ups fail or give
 * nonsense, but stay within @bytes.
 * Errors: -ENOEXEC sizes that do not fit, another format; -ENOMEM.
 */
int symtab_from_bytes(const void *bytes, size_t size, struct elf_file *const *files, size_t cnt,
		      struct symtab **ret);

#endif
