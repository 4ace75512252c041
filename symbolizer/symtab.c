/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sorted symbol table of one file.
 *
 * Loading: every symbol is appended as a row and its name to the pool; the rows are sorted by
 * address (radix sort), the best row of each address is kept, sizes are settled, and the pool is
 * packed in place, because .dynsym repeats names of .symtab.  Nothing but the rows, the pool and
 * the sort's scratch rows lives meanwhile.
 *
 * Lookup: binary search for the last row that starts at or before the address.  Where rows
 * nest (a small function inside of the range of a large one), `nested` says that an earlier row
 * still reaches here, and the search walks back.
 *
 * Names are most of the memory (node: 5.7 of 6.7 MB, librustc: 16 of 17).  Reading them from the
 * file when they are needed would save that, but the file may be gone by then.
 *
 * Invariants after loading: offsets ascend strictly; every row has size > 0 and ends within its
 * section or, failing that, its segment, unless the file gave a larger size.
 */
#include "symbolizer/symtab.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/elf.h"

#define RADIX_BITS 11
#define RADIX_CNT (1u << RADIX_BITS)
#define WALK_BACK_MAX 512 /* rows; a bound for tables made to be slow */

/* glibc's _start is 34 to 60 bytes, the dynamic loader's about as long. */
#define ENTRY_BYTES 48

/* From worst to best; the lower two bits are the binding. */
enum rank {
	RANK_LOCAL = 0,
	RANK_WEAK = 1,
	RANK_GLOBAL = 2,
	RANK_PLT = 0u << 2,
	RANK_LABEL = 1u << 2,
	RANK_FUNCTION = 2u << 2,
};

struct row {
	uint32_t offset;    /* from symtab.base */
	uint32_t size;	    /* open: while loading up to the limit, later up to the next row */
	uint32_t name : 26; /* in the pool, see SYMTAB_NAMES_MAX */
	uint32_t rank : 4;
	uint32_t open : 1;   /* the file gives no size */
	uint32_t nested : 1; /* an earlier row reaches beyond this row's start */
};

_Static_assert(sizeof(struct row) == 12, "rows are packed");
_Static_assert(SYMTAB_NAMES_MAX <= 1u << 26, "row.name reaches all of the pool");

struct symtab {
	uint64_t base;
	struct row *rows; /* [cnt] */
	size_t cnt, capacity;
	char *names;
	size_t names_len, names_capacity;
	size_t dropped;
};

struct load {
	struct symtab *table;
	bool no_memory;
};

static void freesymtab(struct symtab **table)
{
	symtab_free(*table);
}

static bool grow_rows(struct symtab *table)
{
	size_t capacity = table->capacity ? table->capacity * 2 : 64;
	void *rows;

	if (table->cnt < table->capacity)
		return true;
	rows = realloc(table->rows, capacity * sizeof(*table->rows));
	if (!rows)
		return false;
	table->rows = rows;
	table->capacity = capacity;
	return true;
}

static bool grow_names(struct symtab *table, size_t more)
{
	size_t capacity = table->names_capacity ? table->names_capacity : 1024;
	void *names;

	while (capacity < table->names_len + more)
		capacity *= 2;
	if (capacity == table->names_capacity)
		return true;
	names = realloc(table->names, capacity);
	if (!names)
		return false;
	table->names = names;
	table->names_capacity = capacity;
	return true;
}

/* Appends @len bytes of @name, then @suffix, to the pool; -ENOSPC when it is full. */
static int64_t add_name(struct symtab *table, const char *name, size_t len, const char *suffix)
{
	size_t suffix_len = strlen(suffix), start = table->names_len;
	size_t bytes = len + suffix_len + 1;

	if (bytes > SYMTAB_NAMES_MAX - start)
		return -ENOSPC;
	if (!grow_names(table, bytes))
		return -ENOMEM;
	memcpy(table->names + start, name, len);
	memcpy(table->names + start + len, suffix, suffix_len + 1);
	table->names_len += bytes;
	return (int64_t)start;
}

static int add_row(struct symtab *table, const struct row *row, const char *name, size_t len,
		   const char *suffix)
{
	int64_t at;

	if (!grow_rows(table))
		return -ENOMEM;
	at = add_name(table, name, len, suffix);
	if (at < 0)
		return (int)at;
	table->rows[table->cnt] = *row;
	table->rows[table->cnt++].name = (uint32_t)at;
	return 0;
}

static unsigned int rank_of(const struct elf_symbol_visit *symbol)
{
	unsigned int rank = symbol->plt ? RANK_PLT : symbol->untyped ? RANK_LABEL : RANK_FUNCTION;

	if (symbol->binding == STB_LOCAL)
		return rank | RANK_LOCAL;
	return rank | (symbol->binding == STB_WEAK ? RANK_WEAK : RANK_GLOBAL);
}

/* Length of the name without @VERSION or @@VERSION, which .symtab has and .dynsym has not. */
static size_t unversioned_len(const char *name)
{
	const char *at = strchr(name, '@');

	return at && at > name ? (size_t)(at - name) : strlen(name);
}

static bool on_symbol(void *context, const struct elf_symbol_visit *symbol)
{
	struct load *load = context;
	struct symtab *table = load->table;
	uint64_t size = symbol->size;
	struct row row = {};
	int ret;

	if (symbol->address < table->base || symbol->address - table->base > UINT32_MAX) {
		table->dropped++;
		return true;
	}
	if (!size) {
		row.open = 1;
		size = symbol->limit > symbol->address ? symbol->limit - symbol->address : 1;
	}
	row.offset = (uint32_t)(symbol->address - table->base);
	row.size = (uint32_t)MIN(size, (uint64_t)UINT32_MAX);
	row.rank = rank_of(symbol) & 15;
	ret = add_row(table, &row, symbol->name, unversioned_len(symbol->name),
		      symbol->plt ? "@plt" : "");
	if (ret == -ENOSPC)
		table->dropped++;
	load->no_memory = ret == -ENOMEM;
	return !load->no_memory;
}

static uint32_t key_of(const struct row *row, bool by_name)
{
	return by_name ? row->name : row->offset;
}

static void radix_pass(const struct row *from, struct row *to, size_t cnt, bool by_name,
		       unsigned int shift)
{
	size_t starts[RADIX_CNT] = {}, i, sum = 0;

	for (i = 0; i < cnt; i++)
		starts[key_of(&from[i], by_name) >> shift & (RADIX_CNT - 1)]++;
	for (i = 0; i < RADIX_CNT; i++) {
		size_t n = starts[i];

		starts[i] = sum;
		sum += n;
	}
	for (i = 0; i < cnt; i++)
		to[starts[key_of(&from[i], by_name) >> shift & (RADIX_CNT - 1)]++] = from[i];
}

static int sort_rows(struct symtab *table, bool by_name)
{
	struct row *scratch = malloc(MAX(table->cnt, (size_t)1) * sizeof(*scratch));
	unsigned int shift;

	if (!scratch)
		return -ENOMEM;
	for (shift = 0; shift < 32; shift += RADIX_BITS) {
		struct row *from = table->rows;

		radix_pass(from, scratch, table->cnt, by_name, shift);
		table->rows = scratch;
		scratch = from;
	}
	/* Three passes: the rows are now in what was allocated above, with no room to spare. */
	free(scratch);
	table->capacity = MAX(table->cnt, (size_t)1);
	return 0;
}

static size_t underscores(const char *name)
{
	return strspn(name, "_");
}

/* Whether @a names its address better than @b does. */
static bool is_better(const struct symtab *table, const struct row *a, const struct row *b)
{
	const char *left = table->names + a->name, *right = table->names + b->name;
	uint32_t left_size = a->open ? 0 : a->size, right_size = b->open ? 0 : b->size;

	if (a->rank != b->rank)
		return a->rank > b->rank;
	if (left_size != right_size)
		return left_size > right_size;
	if (underscores(left) != underscores(right))
		return underscores(left) < underscores(right);
	return strcmp(left, right) < 0;
}

/* Keeps the best row of each address. */
static void drop_aliases(struct symtab *table)
{
	size_t i, kept = 0;

	for (i = 0; i < table->cnt; i++) {
		struct row *last = kept ? &table->rows[kept - 1] : NULL;

		if (!last || last->offset != table->rows[i].offset)
			table->rows[kept++] = table->rows[i];
		else if (is_better(table, &table->rows[i], last))
			*last = table->rows[i];
	}
	table->cnt = kept;
}

/* Ends rows without size at the next row, drops labels inside of functions, marks nesting. */
static void settle_sizes(struct symtab *table)
{
	uint64_t reach = 0; /* end of the sized row so far that ends last */
	size_t i, kept = 0;

	for (i = 0; i < table->cnt; i++) {
		struct row row = table->rows[i];

		if (row.open && row.rank < RANK_FUNCTION && row.offset < reach)
			continue;
		if (kept && table->rows[kept - 1].open)
			table->rows[kept - 1].size = MIN(table->rows[kept - 1].size,
							 row.offset - table->rows[kept - 1].offset);
		row.nested = row.offset < reach;
		if (!row.open)
			reach = MAX(reach, (uint64_t)row.offset + row.size);
		table->rows[kept++] = row;
	}
	table->cnt = kept;
}

/* Moves the names that rows refer to together, when a good part of the pool is unused. */
static int pack_names(struct symtab *table)
{
	size_t i, used = 0, len;
	int ret;

	for (i = 0; i < table->cnt; i++)
		used += strlen(table->names + table->rows[i].name) + 1;
	if (used > table->names_len - table->names_len / 16)
		return 0;
	ret = sort_rows(table, true);
	if (ret)
		return ret;
	used = 0;
	for (i = 0; i < table->cnt; i++) {
		len = strlen(table->names + table->rows[i].name) + 1;
		memmove(table->names + used, table->names + table->rows[i].name, len);
		table->rows[i].name = used & (SYMTAB_NAMES_MAX - 1);
		used += len;
	}
	table->names_len = used;
	return sort_rows(table, false);
}

static void shrink(struct symtab *table)
{
	void *smaller;

	smaller = realloc(table->rows, MAX(table->cnt, (size_t)1) * sizeof(*table->rows));
	if (smaller) {
		table->rows = smaller;
		table->capacity = MAX(table->cnt, (size_t)1);
	}
	smaller = realloc(table->names, MAX(table->names_len, (size_t)1));
	if (smaller) {
		table->names = smaller;
		table->names_capacity = MAX(table->names_len, (size_t)1);
	}
}

static int settle(struct symtab *table)
{
	int ret;

	ret = sort_rows(table, false);
	if (ret)
		return ret;
	drop_aliases(table);
	settle_sizes(table);
	return pack_names(table);
}

/* The last row that starts at or before @offset, or -1. */
static ssize_t row_before(const struct symtab *table, uint32_t offset)
{
	size_t low = 0, high = table->cnt;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (table->rows[middle].offset <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return (ssize_t)low - 1;
}

static const struct row *find_row(const struct symtab *table, uint32_t offset)
{
	ssize_t i = row_before(table, offset), stop = MAX(i - WALK_BACK_MAX, (ssize_t)0);

	for (; i >= stop; i--) {
		const struct row *row = &table->rows[i];

		if (offset - row->offset < row->size)
			return row;
		if (!row->nested)
			break;
	}
	return NULL;
}

/* Names the entry point that no symbol with a size covers; see symtab_load(). */
static int add_start(struct symtab *table, uint64_t entry)
{
	const struct row *covering;
	struct row row = { .size = ENTRY_BYTES, .rank = RANK_FUNCTION | RANK_GLOBAL };
	ssize_t before;

	if (entry < table->base || entry - table->base > UINT32_MAX)
		return 0;
	row.offset = (uint32_t)(entry - table->base);
	covering = find_row(table, row.offset);
	if (covering && (!covering->open || covering->offset == row.offset))
		return 0;
	before = row_before(table, row.offset);
	if (before + 1 < (ssize_t)table->cnt)
		row.size = MIN(row.size, table->rows[before + 1].offset - row.offset);
	if (before >= 0 && table->rows[before].open)
		table->rows[before].size =
			MIN(table->rows[before].size, row.offset - table->rows[before].offset);
	if (add_row(table, &row, "_start", strlen("_start"), "") == -ENOMEM)
		return -ENOMEM;
	row = table->rows[table->cnt - 1];
	memmove(&table->rows[before + 2], &table->rows[before + 1],
		((ssize_t)table->cnt - 2 - before) * sizeof(row));
	table->rows[before + 1] = row;
	return 0;
}

/* The lowest executable address; false when there is no code at all. */
static bool text_base(const struct elf_file *elf, uint64_t *ret)
{
	const struct elf_segment *segments;
	size_t i, cnt = elf_file_segments(elf, &segments);
	bool found = false;

	for (i = 0; i < cnt; i++) {
		if (!segments[i].executable || (found && segments[i].vaddr >= *ret))
			continue;
		*ret = segments[i].vaddr;
		found = true;
	}
	return found;
}

static bool is_executable(const struct elf_file *elf, uint64_t address)
{
	const struct elf_segment *segments;
	size_t i, cnt = elf_file_segments(elf, &segments);

	for (i = 0; i < cnt; i++) {
		if (segments[i].executable && address >= segments[i].vaddr &&
		    address - segments[i].vaddr < segments[i].memsz)
			return true;
	}
	return false;
}

int symtab_load(struct elf_file *elf, struct symtab **ret)
{
	_cleanup_(freesymtab) struct symtab *table = calloc(1, sizeof(*table));
	struct load load = { .table = table };
	int code = 0;

	if (!table)
		return -ENOMEM;
	if (text_base(elf, &table->base))
		code = elf_file_visit_symbols(elf, on_symbol, &load);
	if (code == -ENOMEM || load.no_memory)
		return -ENOMEM;
	code = settle(table);
	if (!code && elf_file_starts(elf) && is_executable(elf, elf_file_entry(elf)))
		code = add_start(table, elf_file_entry(elf));
	if (code)
		return code;
	shrink(table);
	*ret = TAKE_PTR(table);
	return 0;
}

void symtab_free(struct symtab *table)
{
	if (!table)
		return;
	free(table->rows);
	free(table->names);
	free(table);
}

bool symtab_find(const struct symtab *table, uint64_t address, struct symbol *ret)
{
	const struct row *row;

	if (address < table->base || address - table->base > UINT32_MAX)
		return false;
	row = find_row(table, (uint32_t)(address - table->base));
	if (!row)
		return false;
	*ret = (struct symbol){
		.name = table->names + row->name,
		.address = table->base + row->offset,
		.size = row->size,
	};
	return true;
}

size_t symtab_cnt(const struct symtab *table)
{
	return table->cnt;
}

size_t symtab_dropped(const struct symtab *table)
{
	return table->dropped;
}

size_t symtab_bytes(const struct symtab *table)
{
	return sizeof(*table) + table->capacity * sizeof(*table->rows) + table->names_capacity;
}
