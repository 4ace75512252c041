/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Intervals into runs, by a sweep over their starts.
 *
 * Intervals of functions and inlined calls ought to nest, those of units ought not to touch; in
 * files made by linkers that fold equal functions, and in hostile ones, they do what they like.
 * A stack of open intervals, enough for nested ones, gives answers then that depend on luck;
 * inserting each interval into what there is (as llvm does) is quadratic in hostile files.  So
 * the open ones are in a heap whose top is the one that counts; those that have ended are
 * dropped when they come up.  Nested input keeps that heap as small as a stack would be.
 */
#include "symbolizer/dwarf_runs.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"

#define RADIX_BITS 11
#define RADIX_CNT (1u << RADIX_BITS)
#define FEW 48	       /* sorted by insertion */
#define KEPT_MAX 65536 /* intervals */
#define RUNS_FIRST_MAX (1u << 20)

/* ---- text ----------------------------------------------------------------------------------- */

bool dwarf_text_init(struct dwarf_text *text, const struct elf_file *elf)
{
	const struct elf_segment *segments;
	size_t i, cnt = elf_file_segments(elf, &segments);

	*text = (struct dwarf_text){ .base = UINT64_MAX };
	for (i = 0; i < cnt; i++) {
		uint64_t start = segments[i].vaddr, end = start + segments[i].memsz;

		if (!segments[i].executable || start == end)
			continue;
		text->base = MIN(text->base, start);
		/* What begins at 0 there is no code but the ELF header: a tombstone. */
		if (!start && !segments[i].offset)
			start = MIN(sizeof(Elf64_Ehdr), end);
		text->parts[text->cnt].start = start;
		text->parts[text->cnt++].end = end;
	}
	return text->cnt;
}

bool dwarf_text_offset(const struct dwarf_text *text, uint64_t address, uint32_t *ret)
{
	if (address < text->base || address - text->base >= UINT32_MAX)
		return false;
	*ret = (uint32_t)(address - text->base);
	return true;
}

/* ---- intervals ------------------------------------------------------------------------------ */

static bool reserve(void **array, size_t *capacity, size_t cnt, size_t size)
{
	size_t more = *capacity ? *capacity * 2 : 64;
	void *larger;

	if (cnt < *capacity)
		return true;
	larger = realloc(*array, more * size);
	if (!larger)
		return false;
	*array = larger;
	*capacity = more;
	return true;
}

int dwarf_intervals_add(struct dwarf_intervals *intervals, uint64_t start, uint64_t end,
			uint32_t owner)
{
	const struct dwarf_text *text = intervals->text;
	uint32_t offset;
	size_t i;

	for (i = 0; i < text->cnt; i++) {
		if (start >= text->parts[i].start && start < text->parts[i].end)
			break;
	}
	if (i == text->cnt || end <= start || !dwarf_text_offset(text, start, &offset) ||
	    intervals->cnt == DWARF_INTERVALS_MAX)
		return 0;
	end = MIN(end, text->parts[i].end) - text->base;
	if (!reserve((void **)&intervals->items, &intervals->capacity, intervals->cnt,
		     sizeof(*intervals->items)))
		return -ENOMEM;
	intervals->items[intervals->cnt++] = (struct dwarf_interval){
		.start = offset,
		.end = (uint32_t)MIN(end, (uint64_t)UINT32_MAX),
		.owner = owner,
	};
	return 0;
}

void dwarf_intervals_free(struct dwarf_intervals *intervals)
{
	free(intervals->items);
	free(intervals->spare);
	*intervals = (struct dwarf_intervals){ .text = intervals->text };
}

void dwarf_intervals_clear(struct dwarf_intervals *intervals)
{
	if (MAX(intervals->capacity, intervals->spare_capacity) > KEPT_MAX)
		dwarf_intervals_free(intervals);
	intervals->cnt = 0;
}

size_t dwarf_intervals_heap_bytes(const struct dwarf_intervals *intervals)
{
	return (intervals->capacity + intervals->spare_capacity) * sizeof(*intervals->items);
}

/* ---- sorting by start ----------------------------------------------------------------------- */

static void sort_few(struct dwarf_interval *items, size_t cnt)
{
	size_t i, k;

	for (i = 1; i < cnt; i++) {
		struct dwarf_interval item = items[i];

		for (k = i; k && items[k - 1].start > item.start; k--)
			items[k] = items[k - 1];
		items[k] = item;
	}
}

static void radix_pass(const struct dwarf_interval *from, struct dwarf_interval *to, size_t cnt,
		       unsigned int shift)
{
	size_t starts[RADIX_CNT] = {}, i, sum = 0;

	for (i = 0; i < cnt; i++)
		starts[from[i].start >> shift & (RADIX_CNT - 1)]++;
	for (i = 0; i < RADIX_CNT; i++) {
		size_t n = starts[i];

		starts[i] = sum;
		sum += n;
	}
	for (i = 0; i < cnt; i++)
		to[starts[from[i].start >> shift & (RADIX_CNT - 1)]++] = from[i];
}

static bool is_sorted(const struct dwarf_interval *items, size_t cnt, uint32_t *ret_max)
{
	bool sorted = true;
	uint32_t max = 0;
	size_t i;

	for (i = 0; i < cnt; i++) {
		max = MAX(max, items[i].start);
		sorted = sorted && (!i || items[i - 1].start <= items[i].start);
	}
	*ret_max = max;
	return sorted;
}

static bool make_spare(struct dwarf_intervals *intervals)
{
	if (intervals->spare_capacity >= intervals->cnt)
		return true;
	free(intervals->spare);
	intervals->spare = malloc(intervals->capacity * sizeof(*intervals->spare));
	intervals->spare_capacity = intervals->spare ? intervals->capacity : 0;
	return intervals->spare;
}

static int sort_items(struct dwarf_intervals *intervals)
{
	size_t capacity = intervals->capacity;
	unsigned int shift;
	uint32_t max;

	if (is_sorted(intervals->items, intervals->cnt, &max))
		return 0;
	if (intervals->cnt <= FEW) {
		sort_few(intervals->items, intervals->cnt);
		return 0;
	}
	if (!make_spare(intervals))
		return -ENOMEM;
	for (shift = 0; shift < 32 && max >> shift; shift += RADIX_BITS) {
		struct dwarf_interval *from = intervals->items;

		radix_pass(from, intervals->spare, intervals->cnt, shift);
		intervals->items = intervals->spare;
		intervals->spare = from;
		intervals->capacity = intervals->spare_capacity;
		intervals->spare_capacity = capacity;
		capacity = intervals->capacity;
	}
	return 0;
}

/* ---- sweeping ------------------------------------------------------------------------------- */

struct sweep {
	const struct dwarf_interval *items;
	enum dwarf_precedence precedence;
	uint32_t *heap; /* [open_cnt] indexes of open intervals; the first one counts */
	size_t open_cnt, heap_capacity;
	struct dwarf_run *runs;
	size_t cnt, capacity;
};

static inline bool comes_first(const struct sweep *sweep, uint32_t a, uint32_t b)
{
	const struct dwarf_interval *left = &sweep->items[a], *right = &sweep->items[b];

	if (sweep->precedence == DWARF_LARGEST_OWNER)
		return left->owner > right->owner;
	if (left->start != right->start)
		return left->start > right->start;
	if (left->end != right->end)
		return left->end < right->end;
	return left->owner < right->owner;
}

static int heap_push(struct sweep *sweep, uint32_t index)
{
	size_t at = sweep->open_cnt;

	if (!reserve((void **)&sweep->heap, &sweep->heap_capacity, at, sizeof(*sweep->heap)))
		return -ENOMEM;
	sweep->open_cnt++;
	while (at && comes_first(sweep, index, sweep->heap[(at - 1) / 2])) {
		sweep->heap[at] = sweep->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	sweep->heap[at] = index;
	return 0;
}

static void heap_pop(struct sweep *sweep)
{
	uint32_t index = sweep->heap[--sweep->open_cnt];
	size_t at = 0, child;

	for (;;) {
		child = 2 * at + 1;
		if (child >= sweep->open_cnt)
			break;
		if (child + 1 < sweep->open_cnt &&
		    comes_first(sweep, sweep->heap[child + 1], sweep->heap[child]))
			child++;
		if (!comes_first(sweep, sweep->heap[child], index))
			break;
		sweep->heap[at] = sweep->heap[child];
		at = child;
	}
	sweep->heap[at] = index;
}

static int add_run(struct sweep *sweep, uint32_t start, uint32_t owner)
{
	if (sweep->cnt ? sweep->runs[sweep->cnt - 1].owner == owner : owner == DWARF_NOBODY)
		return 0;
	if (!reserve((void **)&sweep->runs, &sweep->capacity, sweep->cnt, sizeof(*sweep->runs)))
		return -ENOMEM;
	sweep->runs[sweep->cnt++] = (struct dwarf_run){ start, owner };
	return 0;
}

static int sweep_items(struct sweep *sweep, size_t cnt)
{
	uint32_t at = 0;
	size_t i = 0;
	int ret = 0;

	while (!ret && (i < cnt || sweep->open_cnt)) {
		const struct dwarf_interval *top;

		while (sweep->open_cnt && sweep->items[sweep->heap[0]].end <= at)
			heap_pop(sweep);
		if (!sweep->open_cnt && (i == cnt || sweep->items[i].start > at)) {
			ret = add_run(sweep, at, DWARF_NOBODY);
			at = i < cnt ? sweep->items[i].start : at;
			continue;
		}
		while (!ret && i < cnt && sweep->items[i].start == at)
			ret = heap_push(sweep, (uint32_t)i++);
		if (ret)
			break;
		top = &sweep->items[sweep->heap[0]];
		ret = add_run(sweep, at, top->owner);
		at = i < cnt ? MIN(top->end, sweep->items[i].start) : top->end;
	}
	return ret;
}

int dwarf_intervals_flatten(struct dwarf_intervals *intervals, enum dwarf_precedence precedence,
			    struct dwarf_run **ret, size_t *ret_cnt)
{
	struct sweep sweep = { .precedence = precedence };
	struct dwarf_run *smaller;
	int code = sort_items(intervals);

	sweep.items = intervals->items;
	/* What is not used is never there; growing step by step would copy it all. */
	sweep.capacity = MIN(2 * intervals->cnt + 1, (size_t)RUNS_FIRST_MAX);
	sweep.runs = malloc(sweep.capacity * sizeof(*sweep.runs));
	if (!code && !sweep.runs)
		code = -ENOMEM;
	if (!code)
		code = sweep_items(&sweep, intervals->cnt);
	free(sweep.heap);
	if (code) {
		free(sweep.runs);
		return code;
	}
	smaller = realloc(sweep.runs, MAX(sweep.cnt, (size_t)1) * sizeof(*sweep.runs));
	*ret = smaller ? smaller : sweep.runs;
	*ret_cnt = sweep.cnt;
	return 0;
}

uint32_t dwarf_runs_find(const struct dwarf_run *runs, size_t cnt, uint32_t offset)
{
	size_t low = 0, high = cnt;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (runs[middle].start <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? runs[low - 1].owner : DWARF_NOBODY;
}
