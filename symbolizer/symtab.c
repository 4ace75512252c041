/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Look-ups in the sorted symbol table of one file, and its flat form.
 *
 * Lookup: binary search for the last row that starts at or before the address.  Where rows
 * nest (a small function inside of the range of a large one), ROW_NESTED says that an earlier row
 * still reaches here, and the search walks back.
 *
 * The flat form is the table as it stands in memory: header, rows, names.  So a cached table is
 * used where it is mapped, without reading it first, and costs the pages that look-ups touch:
 * of librustc's 17 MB some dozen KB.  Only the sum of the sizes is checked then; every reference
 * is held against its bounds when it is followed, which costs a look-up less than checking all
 * rows would cost a start.
 */
#include "symbolizer/symtab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/elf.h"
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

/* NULL unless it is a name that ends; tables that were not loaded here may say anything. */
static const char *name_of(const struct symtab *table, const struct symtab_row *row)
{
	size_t at = row->bits & ROW_NAME, left;

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
	free(table);
}

void symtab_parts(const struct symtab *table, struct iovec parts[SYMTAB_PARTS])
{
	const struct symtab_header *header = &table->header;

	/* iovec is for reading too, hence the casts. */
	parts[0] = (struct iovec){ (void *)(uintptr_t)header, sizeof(*header) };
	parts[1] = (struct iovec){ (void *)(uintptr_t)table->rows,
				   header->row_cnt * sizeof(*table->rows) };
	parts[2] = (struct iovec){ (void *)(uintptr_t)table->names, header->name_bytes };
}

int symtab_from_bytes(const void *bytes, size_t size, struct symtab **ret)
{
	const struct symtab_header *header = bytes;
	struct symtab *table;

	if ((uintptr_t)bytes % 8 || size < sizeof(*header) || header->format != SYMTAB_FORMAT ||
	    header->name_bytes > SYMTAB_NAMES_MAX ||
	    sizeof(*header) + header->row_cnt * (uint64_t)sizeof(struct symtab_row) +
			    header->name_bytes !=
		    size)
		return -ENOEXEC;
	table = calloc(1, sizeof(*table));
	if (!table)
		return -ENOMEM;
	table->header = *header;
	table->rows = (const struct symtab_row *)(header + 1);
	table->names = (const char *)(table->rows + header->row_cnt);
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
	return sizeof(*table) + table->row_capacity * sizeof(*table->rows) + table->name_capacity;
}
