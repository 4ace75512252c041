/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Look-ups in the sorted symbol table of one file, and its flat form.
 *
 * Lookup: binary search for the last row that starts at or before the address.  Where rows
 * nest (a small function inside of the range of a large one), ROW_NESTED says that an earlier row
 * still reaches here, and the search walks back.
 *
 * The flat form is the table as it stands in memory: header, rows, names.  So a cached table is
 * used where it is mapped, without reading it first, and costs the pages that look-ups touch.
 * Only the sum of the sizes is checked then; every reference is held against its bounds when it
 * is followed, which costs a look-up less than checking all rows would cost a start.
 *
 * Names that were left in the file are read by one pread each, when asked for: callers keep what
 * they were told, so that a name is read once.
 */
#include "symbolizer/symtab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/elf_symbols.h"
#include "symbolizer/symtab_private.h"

#define WALK_BACK_MAX 512 /* rows; a bound for tables made to be slow */
#define NAME_MAX_BYTES (ELF_NAME_MAX + sizeof("@plt"))

ssize_t symtab_row_before(const struct symtab *table, uint32_t offset)
{
	size_t low = 0, high = table->header.row_cnt;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (table->rows[middle].offset <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return (ssize_t)low - 1;
}

const struct symtab_row *symtab_row_at(const struct symtab *table, uint32_t offset)
{
	ssize_t i = symtab_row_before(table, offset), stop = MAX(i - WALK_BACK_MAX, (ssize_t)0);

	for (; i >= stop; i--) {
		const struct symtab_row *row = &table->rows[i];

		/* Borrowed rows need not be in order: one before may start behind. */
		if (offset >= row->offset && offset - row->offset < row->size)
			return row;
		if (!(row->bits & ROW_NESTED))
			break;
	}
	return NULL;
}

bool symtab_is_better_name(const char *name, size_t len, const char *than)
{
	size_t left = MIN(strspn(name, "_"), len), right = strspn(than, "_");
	int difference;

	if (left != right)
		return left < right;
	difference = strncmp(name, than, len);
	return difference < 0 || (!difference && than[len]);
}

/* @name: [ELF_NAME_MAX] */
static bool read_name(const struct symtab *table, uint32_t at, char *name)
{
	const struct symtab_header *header = &table->header;
	char *version;

	if (!table->strings_elf ||
	    elf_name_read(table->strings_elf, header->strings, header->strings_bytes, at, name))
		return false;
	version = strchr(name, '@');
	if (version && version > name)
		*version = '\0';
	return name[0];
}

static const char *choose_name(const struct symtab *table, size_t at)
{
	char *best = NULL, *name = table->name_buffers[0];
	size_t i, end = MIN(at + CHOICES_MAX, (size_t)table->header.choice_cnt);

	for (i = at; i < end; i++) {
		if (read_name(table, table->choices[i] & ~CHOICE_LAST, name) &&
		    (!best || symtab_is_better_name(name, strlen(name), best))) {
			best = name;
			name = table->name_buffers[best == table->name_buffers[0]];
		}
		if (table->choices[i] & CHOICE_LAST)
			break;
	}
	return best;
}

/* NULL unless it is a name that ends; tables that were not loaded here may say anything. */
static const char *name_of(const struct symtab *table, const struct symtab_row *row)
{
	size_t at = row->bits & ROW_NAME, left;

	if (at < table->header.strings_bytes)
		return read_name(table, (uint32_t)at, table->name_buffers[0]) ?
			       table->name_buffers[0] :
			       NULL;
	at -= table->header.strings_bytes;
	if (at < table->header.choice_cnt * sizeof(*table->choices))
		return choose_name(table, at / sizeof(*table->choices));
	at -= table->header.choice_cnt * sizeof(*table->choices);
	if (at >= table->header.name_bytes || !table->names[at])
		return NULL;
	left = MIN(table->header.name_bytes - at, NAME_MAX_BYTES);
	return memchr(table->names + at, '\0', left) ? table->names + at : NULL;
}

bool symtab_find(const struct symtab *table, uint64_t address, struct symbol *ret)
{
	uint64_t offset = address - table->header.base;
	const struct symtab_row *row;
	const char *name;

	if (address < table->header.base || offset > UINT32_MAX)
		return false;
	row = symtab_row_at(table, (uint32_t)offset);
	name = row ? name_of(table, row) : NULL;
	if (!name)
		return false;
	*ret = (struct symbol){
		.name = name,
		.address = table->header.base + row->offset,
		.size = row->size,
	};
	return true;
}

void symtab_free(struct symtab *table)
{
	if (!table)
		return;
	free(table->owned_rows);
	free(table->owned_names);
	free(table->owned_choices);
	free(table->name_buffers[0]);
	free(table);
}

int symtab_use_strings(struct symtab *table, const struct elf_file *elf)
{
	table->name_buffers[0] = malloc((size_t)2 * ELF_NAME_MAX);
	if (!table->name_buffers[0])
		return -ENOMEM;
	table->name_buffers[1] = table->name_buffers[0] + ELF_NAME_MAX;
	table->strings_elf = elf;
	return 0;
}

bool symtab_reads_files(const struct symtab *table)
{
	return table->strings_elf;
}

void symtab_parts(const struct symtab *table, struct iovec parts[SYMTAB_PARTS])
{
	const struct symtab_header *header = &table->header;
	size_t i;

	/* iovec is for reading too, hence the casts. */
	parts[0] = (struct iovec){ (void *)(uintptr_t)header, sizeof(*header) };
	parts[1] = (struct iovec){ (void *)(uintptr_t)table->rows,
				   header->row_cnt * sizeof(*table->rows) };
	parts[2] = (struct iovec){ (void *)(uintptr_t)table->choices,
				   header->choice_cnt * sizeof(*table->choices) };
	parts[3] = (struct iovec){ (void *)(uintptr_t)table->names, header->name_bytes };
	/* Some functions must not be given NULL for no bytes either. */
	for (i = 1; i < SYMTAB_PARTS; i++) {
		if (!parts[i].iov_len)
			parts[i].iov_base = parts[0].iov_base;
	}
}

int symtab_from_bytes(const void *bytes, size_t size, struct elf_file *const *files, size_t cnt,
		      struct symtab **ret)
{
	const struct symtab_header *header = bytes;
	struct symtab *table;

	if ((uintptr_t)bytes % 8 || size < sizeof(*header) || header->format != SYMTAB_FORMAT ||
	    header->name_bytes > SYMTAB_NAMES_MAX || header->strings_bytes > SYMTAB_STRINGS_MAX ||
	    header->choice_cnt > CHOICES_SUM_MAX ||
	    sizeof(*header) + header->row_cnt * (uint64_t)sizeof(struct symtab_row) +
			    header->choice_cnt * (uint64_t)sizeof(*table->choices) +
			    header->name_bytes !=
		    size)
		return -ENOEXEC;
	table = calloc(1, sizeof(*table));
	if (!table)
		return -ENOMEM;
	table->header = *header;
	table->rows = (const struct symtab_row *)(header + 1);
	table->choices = (const uint32_t *)(table->rows + header->row_cnt);
	table->names = (const char *)(table->choices + header->choice_cnt);
	if (header->strings_bytes && header->strings_file < cnt &&
	    symtab_use_strings(table, files[header->strings_file])) {
		symtab_free(table);
		return -ENOMEM;
	}
	*ret = table;
	return 0;
}

size_t symtab_cnt(const struct symtab *table)
{
	return table->header.row_cnt;
}

size_t symtab_dropped(const struct symtab *table)
{
	return table->header.dropped;
}

unsigned int symtab_sources(const struct symtab *table)
{
	return table->header.sources;
}

size_t symtab_bytes(const struct symtab *table)
{
	return sizeof(*table) + table->row_capacity * sizeof(*table->rows) + table->name_capacity +
	       table->choice_capacity * sizeof(*table->choices) +
	       (table->name_buffers[0] ? 2 * ELF_NAME_MAX : 0);
}
