/* SPDX-License-Identifier: BSD-2-Clause */
/* Steps 1 to 3 of loading a symbol table.  Part of symtab_load.c; nobody else includes this. */
#ifndef EBPFPROF_SYMBOLIZER_SYMTAB_CANDIDATES_H
#define EBPFPROF_SYMBOLIZER_SYMTAB_CANDIDATES_H

#include "symbolizer/elf_symbols.h"
#include "symbolizer/symtab_private.h"

#define SYMTAB_SOURCES_MAX (SYMTAB_FILES_MAX * ELF_TABLES_MAX)

/* A function symbol that may become a row, or name one. */
struct symtab_candidate {
	uint32_t place;	 /* offset from the base; once there are rows: which row it is for */
	uint32_t size;	 /* open: up to the limit */
	uint32_t string; /* place of its name */
	uint32_t bits;	 /* CANDIDATE_* */
};

#define CANDIDATE_RANK 15u /* enum symtab_rank */
#define CANDIDATE_OPEN (1u << 4)
#define CANDIDATE_FIRST_HAND (1u << 5) /* not from a .dynsym that .symtab repeats */
#define CANDIDATE_SOURCE_SHIFT 8       /* above: index in symtab_load.sources */

/* One symbol table of one file. */
struct symtab_load_source {
	const struct elf_file *elf;
	const struct elf_symbol_table *table;
	struct elf_code code;
	enum symtab_source kind;
};

struct symtab_load {
	struct symtab *table;
	struct elf_file *const *files; /* [file_cnt] the program first */
	size_t file_cnt;
	struct elf_symbol_tables tables[SYMTAB_FILES_MAX];
	struct symtab_load_source sources[SYMTAB_SOURCES_MAX];
	size_t source_cnt;
	size_t source; /* that is being read */
	const struct symtab_load_source *left; /* some of its names stay in its file; or NULL */
	bool has_full_symtab;
	struct symtab_candidate *candidates; /* [cnt] */
	size_t cnt, capacity;
	struct elf_names *names;
	uint64_t name_bytes_read;
};

/**
 * symtab_collect_candidates - fill load->table's rows, all without names, and load->candidates
 * with what may name them, by source and by place in its string table
 *
 * Of the names of several candidates for one row the better is to be taken.
 * Errors: -ENOMEM.
 */
int symtab_collect_candidates(struct symtab_load *load);

/** symtab_text_base - the lowest executable address; false when there is no code at all */
bool symtab_text_base(const struct elf_file *elf, uint64_t *ret);

bool symtab_is_executable(const struct elf_file *elf, uint64_t address);

#endif
