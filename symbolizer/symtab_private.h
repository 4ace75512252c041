/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of symtab.c, as symtab_load.c fills it.  Nobody else includes this. */
#ifndef EBPFPROF_SYMBOLIZER_SYMTAB_PRIVATE_H
#define EBPFPROF_SYMBOLIZER_SYMTAB_PRIVATE_H

#include <sys/types.h>

#include "symbolizer/symtab.h"

/* "EPSY" and a version: another one for each change of what follows. */
#define SYMTAB_FORMAT 0x59535002u

/* Begins the flat form; then rows [row_cnt], choices [choice_cnt], names [name_bytes]. */
struct symtab_header {
	uint32_t format;
	uint32_t sources; /* enum symtab_source */
	uint64_t base;	  /* address of offset 0 */
	uint64_t dropped;
	uint32_t row_cnt;
	uint32_t name_bytes;
	uint64_t strings;	/* place in its file of the string table that names were left in */
	uint32_t strings_bytes; /* 0 = none was */
	uint32_t strings_file;	/* which of the files */
	uint32_t choice_cnt;
	uint32_t unused;
};

struct symtab_row {
	uint32_t offset; /* from base */
	uint32_t size;	 /* open: while loading up to the limit, later up to the next row */
	uint32_t bits;	 /* ROW_* */
};

_Static_assert(sizeof(struct symtab_header) == 56 && sizeof(struct symtab_row) == 12,
	       "neither has padding");

/*
 * A place in, one behind the other: the string table, the choices (as bytes), the names.  Choices
 * are places in the string table, several for a row, of which the best name is taken.
 */
#define ROW_NAME 0x03ffffffu
#define ROW_NO_NAME ROW_NAME
#define ROW_RANK_SHIFT 26
#define ROW_RANK (15u << ROW_RANK_SHIFT)
#define ROW_OPEN (1u << 30)   /* the file gives no size */
#define ROW_NESTED (1u << 31) /* an earlier row reaches beyond this row's start */

_Static_assert(SYMTAB_NAMES_MAX <= ROW_NAME + 1, "ROW_NAME reaches all names");

/* A string table of this many bytes stays in its file; the rest of ROW_NAME is for the others. */
#define SYMTAB_STRINGS_MIN (1u << 20)
#define SYMTAB_STRINGS_MAX (48u << 20)

#define CHOICE_LAST (1u << 31) /* of a row */
#define CHOICES_MAX 256	       /* for one row */
#define CHOICES_SUM_MAX (1u << 20)

_Static_assert(SYMTAB_STRINGS_MAX + CHOICES_SUM_MAX * sizeof(uint32_t) < SYMTAB_NAMES_MAX,
	       "ROW_NAME has places for names too");

/* From worst to best; the lower two bits are the binding. */
enum symtab_rank {
	RANK_LOCAL = 0,
	RANK_WEAK = 1,
	RANK_GLOBAL = 2,
	RANK_PLT = 0u << 2,
	RANK_LABEL = 1u << 2,
	RANK_FUNCTION = 2u << 2,
};

/* A label without size, which counts only where no function is. */
static inline bool symtab_row_is_label(const struct symtab_row *row)
{
	return (row->bits & ROW_OPEN) && (row->bits & ROW_RANK) < RANK_FUNCTION << ROW_RANK_SHIFT;
}

/* Offsets ascend strictly; each size is > 0. */
struct symtab {
	struct symtab_header header;
	const struct symtab_row *rows; /* [header.row_cnt], as owned_rows or borrowed */
	const uint32_t *choices;       /* [header.choice_cnt], as owned_choices or borrowed */
	const char *names;	       /* [header.name_bytes] */
	struct symtab_row *owned_rows; /* [row_capacity] or NULL */
	uint32_t *owned_choices;       /* [choice_capacity] or NULL */
	char *owned_names;	       /* [name_capacity] or NULL */
	size_t row_capacity, choice_capacity, name_capacity;
	const struct elf_file *strings_elf; /* borrowed; NULL = no names were left in a file */
	char *name_buffers[2];		    /* [ELF_NAME_MAX] with strings_elf: such names */
};

/** symtab_use_strings - names can be read from the string table of the header in @elf */
int symtab_use_strings(struct symtab *table, const struct elf_file *elf);

/** symtab_is_better_name - @name has @len bytes; what follows them does not count */
bool symtab_is_better_name(const char *name, size_t len, const char *than);

/** symtab_places_before_names - how much of ROW_NAME is not for the names */
static inline uint32_t symtab_places_before_names(const struct symtab_header *header)
{
	return header->strings_bytes + header->choice_cnt * (uint32_t)sizeof(uint32_t);
}

/** symtab_row_before - the last row that starts at or before @offset, or -1 */
ssize_t symtab_row_before(const struct symtab *table, uint32_t offset);

/** symtab_row_at - the row that covers @offset, or NULL */
const struct symtab_row *symtab_row_at(const struct symtab *table, uint32_t offset);

#endif
