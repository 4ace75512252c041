/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rows of a line number program, from the order in which the program gives them to sorted.
 *
 * While the program runs all rows lie in one array, each sequence closed by a row whose file is
 * LINE_FILE_END; that row is what makes the gap behind the sequence.  Compilers emit sequences
 * in ascending order nearly always, and linkers keep it, so nothing is sorted then.  Where they
 * do not (hot and cold parts, Go, order files for the linker) whole sequences are moved, as the
 * rows in them ascend already.  Sorting all rows by address was the alternative: it costs
 * more, and mixes rows of sequences that share addresses (folded identical functions) so that
 * a line of one would end with the other.  Of such twins the first sequence stays, as in LLVM.
 */
#include <errno.h>
#include <stdlib.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/dwarf_line_private.h"

#define PACKED_END UINT32_MAX

struct sequence {
	uint32_t start, end; /* offsets */
	uint32_t first, cnt; /* rows, the closing one among them */
};

int line_rows_grow(struct line_rows *rows)
{
	size_t capacity = rows->capacity + rows->capacity / 2 + 64;
	void *more;

	if (rows->cnt < rows->capacity)
		return 0;
	if (rows->cnt >= LINE_ROWS_MAX)
		return -EFBIG;
	capacity = MIN(capacity, (size_t)LINE_ROWS_MAX);
	more = realloc(rows->rows, capacity * sizeof(*rows->rows));
	if (!more)
		return -ENOMEM;
	rows->rows = more;
	rows->capacity = capacity;
	return 0;
}

static int compare_numbers(const void *a, const void *b)
{
	uint64_t left, right;

	memcpy(&left, a, sizeof(left));
	memcpy(&right, b, sizeof(right));
	return left < right ? -1 : left > right;
}

/* Sorts @cnt rows by address; those of one address stay in their order. */
static int sort_rows(struct line_row *rows, size_t cnt)
{
	_cleanup_free_ uint64_t *keys = malloc(cnt * sizeof(*keys));
	_cleanup_free_ struct line_row *copy = malloc(cnt * sizeof(*copy));
	size_t i;

	if (!keys || !copy)
		return -ENOMEM;
	memcpy(copy, rows, cnt * sizeof(*copy));
	for (i = 0; i < cnt; i++)
		keys[i] = (uint64_t)rows[i].offset << 32 | i;
	qsort(keys, cnt, sizeof(*keys), compare_numbers);
	for (i = 0; i < cnt; i++)
		rows[i] = copy[(uint32_t)keys[i]];
	return 0;
}

static void open_sequence(struct line_rows *rows)
{
	rows->first = rows->cnt;
	rows->dead = false;
	rows->rows_mixed = false;
}

static void drop_sequence(struct line_rows *rows)
{
	rows->cnt = rows->first;
	open_sequence(rows);
}

static int close_sequence(struct line_rows *rows, uint32_t end)
{
	int ret = 0;

	if (rows->rows_mixed)
		ret = sort_rows(rows->rows + rows->first, rows->cnt - rows->first);
	/* A row at the end, or behind it, covers nothing. */
	while (rows->cnt > rows->first && rows->rows[rows->cnt - 1].offset >= end)
		rows->cnt--;
	if (!ret && rows->cnt > rows->first)
		ret = line_rows_grow(rows);
	if (ret || rows->cnt == rows->first) {
		drop_sequence(rows);
		return ret;
	}
	if (rows->first && rows->rows[rows->first].offset < rows->rows[rows->first - 1].offset)
		rows->sequences_mixed = true;
	rows->rows[rows->cnt++] = (struct line_row){ end, LINE_FILE_END, 0 };
	open_sequence(rows);
	return 0;
}

int line_rows_end(struct line_rows *rows, uint64_t address)
{
	uint64_t end = address - rows->base; /* wraps where it is below the base */

	if (rows->dead || rows->cnt == rows->first || end > UINT32_MAX) {
		drop_sequence(rows);
		return 0;
	}
	return close_sequence(rows, (uint32_t)end);
}

int line_rows_break_off(struct line_rows *rows)
{
	if (rows->dead || rows->cnt == rows->first) {
		drop_sequence(rows);
		return 0;
	}
	return close_sequence(rows, rows->rows[rows->cnt - 1].offset);
}

static int compare_sequences(const void *a, const void *b)
{
	const struct sequence *left = a, *right = b;

	if (left->start != right->start)
		return left->start < right->start ? -1 : 1;
	return left->first < right->first ? -1 : 1;
}

static size_t count_sequences(const struct line_rows *rows)
{
	size_t i, cnt = 0;

	for (i = 0; i < rows->cnt; i++)
		cnt += rows->rows[i].file == LINE_FILE_END;
	return cnt;
}

static void list_sequences(const struct line_rows *rows, struct sequence *sequences)
{
	size_t i, first = 0, cnt = 0;

	for (i = 0; i < rows->cnt; i++) {
		if (rows->rows[i].file != LINE_FILE_END)
			continue;
		sequences[cnt++] = (struct sequence){
			.start = rows->rows[first].offset,
			.end = rows->rows[i].offset,
			.first = (uint32_t)first,
			.cnt = (uint32_t)(i + 1 - first),
		};
		first = i + 1;
	}
}

/* Copies the part of a sequence that is not covered yet, from offset @reach on; the rows added. */
static size_t copy_sequence(const struct line_row *from, size_t cnt, uint32_t reach,
			    struct line_row *to)
{
	size_t skip = 0;

	while (skip + 1 < cnt && from[skip + 1].offset <= reach)
		skip++;
	memcpy(to, from + skip, (cnt - skip) * sizeof(*to));
	if (to->offset < reach)
		to->offset = reach;
	return cnt - skip;
}

static int order_sequences(struct line_rows *rows)
{
	size_t i, cnt = count_sequences(rows), out = 0;
	_cleanup_free_ struct sequence *sequences = malloc(cnt * sizeof(*sequences));
	struct line_row *ordered;
	uint32_t reach = 0;

	if (!sequences)
		return -ENOMEM;
	list_sequences(rows, sequences);
	qsort(sequences, cnt, sizeof(*sequences), compare_sequences);
	ordered = malloc(rows->cnt * sizeof(*ordered));
	if (!ordered)
		return -ENOMEM;
	for (i = 0; i < cnt; i++) {
		if (sequences[i].end <= reach)
			continue;
		out += copy_sequence(rows->rows + sequences[i].first, sequences[i].cnt, reach,
				     ordered + out);
		reach = sequences[i].end;
	}
	free(rows->rows);
	rows->rows = ordered;
	rows->capacity = rows->cnt;
	rows->cnt = out;
	return 0;
}

/*
 * In nearly all units a row's file and line fit into one word: a third less to keep.  The rows
 * move down over themselves.
 */
static void pack_rows(struct line_rows *rows)
{
	uint32_t max_file = 0, max_line = 0, *words = (uint32_t *)rows->rows;
	size_t i;

	for (i = 0; i < rows->cnt; i++) {
		if (rows->rows[i].file == LINE_FILE_END)
			continue;
		max_file = MAX(max_file, rows->rows[i].file);
		max_line = MAX(max_line, rows->rows[i].line);
	}
	rows->line_bits = (uint8_t)(32 - __builtin_clz(max_line | 1));
	/* A word of which all bits are set is the end of a sequence. */
	if (rows->line_bits == 32 || max_file >= UINT32_MAX >> rows->line_bits)
		return;
	for (i = 0; i < rows->cnt; i++) {
		struct line_row row = rows->rows[i];

		words[2 * i] = row.offset;
		words[2 * i + 1] = row.file == LINE_FILE_END ? PACKED_END :
							       row.file << rows->line_bits | row.line;
	}
	rows->packed = words;
	rows->rows = NULL;
}

int line_rows_finish(struct line_rows *rows)
{
	size_t cnt, size;
	void *less;
	int ret;

	if (rows->sequences_mixed) {
		ret = order_sequences(rows);
		if (ret)
			return ret;
	}
	if (!rows->rows)
		return 0;
	pack_rows(rows);
	cnt = MAX(rows->cnt, (size_t)1);
	size = rows->packed ? 2 * sizeof(*rows->packed) : sizeof(*rows->rows);
	less = realloc(rows->packed ? (void *)rows->packed : rows->rows, cnt * size);
	if (!less) /* they stay where they are, with room to spare */
		return 0;
	rows->capacity = cnt;
	if (rows->packed)
		rows->packed = less;
	else
		rows->rows = less;
	return 0;
}

void line_rows_free(struct line_rows *rows)
{
	free(rows->packed ? (void *)rows->packed : rows->rows);
}

size_t line_rows_bytes(const struct line_rows *rows)
{
	return rows->capacity * (rows->packed ? 2 * sizeof(*rows->packed) : sizeof(*rows->rows));
}

/* The last row that starts at or before @offset; the first one does. */
static size_t row_before(const struct line_rows *rows, uint64_t offset)
{
	const uint32_t *words = rows->packed ? rows->packed : (const uint32_t *)rows->rows;
	size_t row_words = rows->packed ? 2 : sizeof(*rows->rows) / sizeof(*words);
	size_t row = 0, left = rows->cnt, half;

	/* It is one of the `left` from `row` on. */
	while (left > 1) {
		half = left / 2;
		if (words[(row + half) * row_words] <= offset)
			row += half;
		left -= half;
	}
	return row;
}

bool line_rows_find(const struct line_rows *rows, uint64_t address, uint32_t *ret_file,
		    uint32_t *ret_line)
{
	uint64_t offset = address - rows->base;
	size_t row;

	if (address < rows->base || offset > UINT32_MAX || !rows->cnt ||
	    (rows->packed ? rows->packed[0] : rows->rows->offset) > offset)
		return false;
	row = row_before(rows, offset);
	if (rows->packed) {
		uint32_t word = rows->packed[2 * row + 1];

		if (word == PACKED_END)
			return false;
		*ret_file = word >> rows->line_bits;
		*ret_line = word & ((1u << rows->line_bits) - 1);
		return true;
	}
	if (rows->rows[row].file == LINE_FILE_END)
		return false;
	*ret_file = rows->rows[row].file;
	*ret_line = rows->rows[row].line;
	return true;
}
