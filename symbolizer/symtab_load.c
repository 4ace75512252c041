/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes a symbol table of one program out of its ELF files.
 *
 * Names are nine tenths of the bytes (librustc: 16 of 17 MB), so they come last, and only those
 * that are needed:
 *
 *   1. every function symbol of every table becomes a candidate of 16 bytes, without its name;
 *   2. candidates are sorted by address (radix sort); the best of each address becomes a row.
 *      Candidates that are equal but for the name (C++ constructors) all wait for step 4;
 *   3. names in a large string table stay where they are, all of those between which a look-up
 *      has to choose.  Candidates that are left are sorted by the place of their name;
 *   4. names are read, in one pass over each string table, into the pool; of equal candidates'
 *      names the better takes the place of the other;
 *   5. sizes are settled.
 *
 * The pool is allocated once, as large as the string tables; what is not written to is never
 * there, and the rest is given back.  At its peak a load holds 32 bytes per symbol and a window
 * above the finished table.
 *
 * Names that stay are read by pread from the open file, which a package upgrade or the end of a
 * container does not take away; in a file that is cut short they are not found.  So the table
 * must not outlive the open file, which only large programs are worth.  Reading all names was what
 * half of the time and nine tenths of the memory went to, for a few hundred that are asked for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/elf.h"
#include "symbolizer/symtab_candidates.h"

#define NAME_BYTES_READ_MAX (4ull * SYMTAB_NAMES_MAX) /* real tables repeat few names */

/* glibc's _start is 34 to 60 bytes, the dynamic loader's about as long. */
#define ENTRY_BYTES 48

static void free_load(struct symtab_load *load)
{
	size_t i;

	for (i = 0; i < load->file_cnt; i++)
		elf_tables_free(&load->tables[i]);
	free(load->candidates);
	elf_names_free(load->names);
	symtab_free(load->table);
}

/* ---- step 4: names ---- */

/* What ROW_NAME leaves for it. */
static size_t pool_bytes_max(const struct symtab *table)
{
	return SYMTAB_NAMES_MAX - symtab_places_before_names(&table->header);
}

static int make_pool(struct symtab_load *load)
{
	struct symtab *table = load->table;
	uint64_t bytes = 64;
	size_t i;

	for (i = 0; i < load->source_cnt; i++) {
		if (&load->sources[i] != load->left)
			bytes += MIN(load->sources[i].table->strings_bytes,
				     (uint64_t)SYMTAB_NAMES_MAX);
	}
	table->name_capacity = MIN(bytes, (uint64_t)pool_bytes_max(table));
	table->owned_names = malloc(table->name_capacity);
	table->names = table->owned_names;
	return table->owned_names ? 0 : -ENOMEM;
}

/* String tables that share tails hold more names than they have bytes. */
static bool grow_pool(struct symtab *table, size_t want)
{
	size_t capacity = MIN(MAX(table->name_capacity * 2, want), pool_bytes_max(table));
	void *names;

	if (want <= table->name_capacity)
		return true;
	names = realloc(table->owned_names, capacity);
	if (!names)
		return false;
	table->names = table->owned_names = names;
	table->name_capacity = capacity;
	return true;
}

/* Where in the pool the name goes: -ENOSPC when the pool is full, -ENOMEM. */
static int64_t pool_place(struct symtab *table, size_t bytes)
{
	size_t at = table->header.name_bytes;

	if (bytes > pool_bytes_max(table) - at)
		return -ENOSPC;
	if (!grow_pool(table, at + bytes))
		return -ENOMEM;
	table->header.name_bytes += (uint32_t)bytes;
	return (int64_t)at;
}

static int name_row(struct symtab *table, struct symtab_row *row, const char *name, size_t len,
		    const char *suffix)
{
	size_t suffix_len = strlen(suffix), bytes = len + suffix_len + 1;
	bool has_name = (row->bits & ROW_NAME) != ROW_NO_NAME;
	uint32_t before = symtab_places_before_names(&table->header);
	int64_t at = (int64_t)(row->bits & ROW_NAME) - before;

	if (has_name && !symtab_is_better_name(name, len, table->names + at))
		return 0;
	/* In the place of the worse name, if it fits: constructors' C1 and C2 do. */
	if (!has_name || bytes > strlen(table->names + at) + 1)
		at = pool_place(table, bytes);
	if (at < 0)
		return (int)at;
	memcpy(table->owned_names + at, name, len);
	memcpy(table->owned_names + at + len, suffix, suffix_len + 1);
	row->bits = (row->bits & ~ROW_NAME) | (before + (uint32_t)at);
	return 0;
}

/* Length of the name without @VERSION or @@VERSION, which .symtab has and .dynsym has not. */
static size_t unversioned_len(const char *name, size_t len)
{
	const char *at = memchr(name, '@', len);

	return at && at > name ? (size_t)(at - name) : len;
}

/* -EIO: the rest of the source cannot be read either. */
static int read_name(struct symtab_load *load, const struct symtab_candidate *candidate)
{
	const struct symtab_load_source *source = &load->sources[load->source];
	struct symtab *table = load->table;
	struct symtab_row *row = &table->owned_rows[candidate->place];
	const char *name;
	size_t len;
	int ret;

	ret = elf_names_get(load->names, candidate->string, &name, &len);
	if (ret)
		return ret == -EIO ? ret : 0;
	load->name_bytes_read += len + 1;
	if (!len || (symtab_row_is_label(row) && elf_is_local_label(name)))
		return 0;
	ret = load->name_bytes_read > NAME_BYTES_READ_MAX ? -ENOSPC : 0;
	if (!ret)
		ret = name_row(table, row, name, unversioned_len(name, len),
			       source->table->kind == ELF_TABLE_PLT ? "@plt" : "");
	if (ret == -ENOSPC) {
		table->header.dropped++;
		return 0;
	}
	if (!ret)
		table->header.sources |= source->kind;
	return ret;
}

static int read_names(struct symtab_load *load)
{
	bool unreadable = false;
	size_t i;
	int ret;

	ret = elf_names_new(&load->names);
	if (ret)
		return ret;
	load->source = SIZE_MAX;
	for (i = 0; i < load->cnt; i++) {
		const struct symtab_candidate *candidate = &load->candidates[i];
		size_t source = candidate->bits >> CANDIDATE_SOURCE_SHIFT;

		if (source != load->source) {
			load->source = source;
			unreadable = false;
			elf_names_start(load->names, load->sources[source].elf,
					load->sources[source].table);
		}
		if (unreadable)
			continue;
		ret = read_name(load, candidate);
		if (ret == -ENOMEM)
			return ret;
		unreadable = ret == -EIO;
	}
	return 0;
}

/* ---- step 5 ---- */

/* Drops what has no name, ends rows without size at the next row, and marks nesting. */
static void settle(struct symtab *table)
{
	struct symtab_row *rows = table->owned_rows;
	uint64_t reach = 0; /* end of the sized row so far that ends last */
	uint32_t i, kept = 0;

	for (i = 0; i < table->header.row_cnt; i++) {
		struct symtab_row row = rows[i], *last = kept ? &rows[kept - 1] : NULL;

		if ((row.bits & ROW_NAME) == ROW_NO_NAME)
			continue;
		if (last && (last->bits & ROW_OPEN))
			last->size = MIN(last->size, row.offset - last->offset);
		if (row.offset < reach)
			row.bits |= ROW_NESTED;
		if (!(row.bits & ROW_OPEN))
			reach = MAX(reach, (uint64_t)row.offset + row.size);
		rows[kept++] = row;
	}
	table->header.row_cnt = kept;
}

/* Names the entry point that no symbol with a size covers; see symtab_load(). */
static int add_start(struct symtab *table, uint64_t entry)
{
	struct symtab_row *rows = table->owned_rows;
	struct symtab_row row = { .size = ENTRY_BYTES, .bits = ROW_NO_NAME };
	const struct symtab_row *covering;
	ssize_t before, cnt = table->header.row_cnt;
	int ret;

	if (entry < table->header.base || entry - table->header.base > UINT32_MAX)
		return 0;
	row.offset = (uint32_t)(entry - table->header.base);
	covering = symtab_row_at(table, row.offset);
	if (covering && (!(covering->bits & ROW_OPEN) || covering->offset == row.offset))
		return 0;
	ret = name_row(table, &row, "_start", strlen("_start"), "");
	if (ret)
		return ret == -ENOSPC ? 0 : ret;
	before = symtab_row_before(table, row.offset);
	if (before + 1 < cnt)
		row.size = MIN(row.size, rows[before + 1].offset - row.offset);
	if (before >= 0 && (rows[before].bits & ROW_OPEN))
		rows[before].size = MIN(rows[before].size, row.offset - rows[before].offset);
	memmove(&rows[before + 2], &rows[before + 1], (size_t)(cnt - 1 - before) * sizeof(row));
	rows[before + 1] = row;
	table->header.row_cnt++;
	return 0;
}

static void give_back(struct symtab *table)
{
	size_t rows = MAX(table->header.row_cnt, 1u), names = MAX(table->header.name_bytes, 1u);
	void *smaller;

	smaller = realloc(table->owned_rows, rows * sizeof(*table->rows));
	if (smaller) {
		table->rows = table->owned_rows = smaller;
		table->row_capacity = rows;
	}
	smaller = realloc(table->owned_names, names);
	if (smaller) {
		table->names = table->owned_names = smaller;
		table->name_capacity = names;
	}
}

static int run_load(struct symtab_load *load)
{
	const struct elf_file *program = load->files[0];
	struct symtab *table = load->table;
	int ret;

	ret = symtab_collect_candidates(load);
	ret = ret ? ret : make_pool(load);
	ret = ret ? ret : read_names(load);
	if (ret)
		return ret;
	settle(table);
	if (elf_file_starts(program) && symtab_is_executable(program, elf_file_entry(program)))
		ret = add_start(table, elf_file_entry(program));
	if (!ret)
		give_back(table);
	return ret;
}

int symtab_load(struct elf_file *const *files, size_t cnt, struct symtab **ret)
{
	_cleanup_(free_load) struct symtab_load load = { .files = files, .file_cnt = cnt };
	int code;

	if (!cnt || cnt > SYMTAB_FILES_MAX) {
		load.file_cnt = 0;
		return -EINVAL;
	}
	load.table = calloc(1, sizeof(*load.table));
	if (!load.table)
		return -ENOMEM;
	load.table->header.format = SYMTAB_FORMAT;
	code = run_load(&load);
	if (code)
		return code;
	*ret = TAKE_PTR(load.table);
	return 0;
}
