/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of a perf-map: names of JIT code.
 *
 * `rows` holds disjoint address ranges in ascending order; lookups are a binary search.  Lines
 * that arrive are collected in `fresh` and painted over `rows` by one sweep at the end of each
 * update: ranges in order of their start, and among those that cover a place the latest line
 * on top of a heap.  A batch of k lines into n rows costs O(n + k log k), not a sort of all.
 *
 * Rows that later lines have covered are gone with the sweep, but their names stay in the pool
 * until it is full; then the names in use are moved to a new pool.  A program that recompiles
 * its functions for days thus keeps being named.
 *
 * Invariants outside of update: fresh is empty; rows do not overlap, none is empty.
 */
#include "symbolizer/perfmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/fileio.h"

#define BUFFER_BYTES 65536
#define FRESH_MAX 65536 /* lines between two sweeps */
#define TAIL_BYTES 64

struct row {
	uint64_t start;
	uint32_t size;
	uint32_t name; /* in the pool */
};

struct perfmap {
	struct row *rows; /* [cnt] */
	size_t cnt, capacity;
	struct row *fresh; /* [fresh_cnt], in order of arrival */
	size_t fresh_cnt, fresh_capacity;
	char *names;
	size_t names_len, names_capacity;
	bool full;	 /* even without unused names */
	uint64_t offset; /* read of the file so far */
	char tail[TAIL_BYTES]; /* [tail_len] what stands in the file before offset */
	size_t tail_len;
	uint64_t skipped;
	bool cut_counted;	     /* that the file is beyond PERFMAP_FILE_MAX */
	char line[PERFMAP_LINE_MAX]; /* the beginning of a torn line */
	size_t line_len;
};

static bool grow(void **array, size_t *capacity, size_t need, size_t item_bytes)
{
	size_t more = *capacity ? *capacity : 64;
	void *bigger;

	while (more < need)
		more *= 2;
	if (more == *capacity)
		return true;
	bigger = realloc(*array, more * item_bytes);
	if (!bigger)
		return false;
	*array = bigger;
	*capacity = more;
	return true;
}

/* ---- painting fresh lines over the rows ---- */

/* A range to paint; of those that cover one place the one with the highest order is seen. */
struct layer {
	uint64_t start, end;
	uint32_t name;
	uint32_t order; /* 0: an old row; n: the n-th fresh line */
};

struct sweep {
	struct layer *layers; /* the fresh lines, by start */
	size_t layer_cnt;
	const struct row *old; /* [old_cnt], by start */
	size_t old_cnt;
	struct layer *heap; /* of layers begun and perhaps not ended, highest order first */
	size_t heap_cnt;
	struct row *out; /* [out_max] */
	size_t out_cnt;
};

static void freesweep(struct sweep *sweep)
{
	free(sweep->layers);
	free(sweep->heap);
	free(sweep->out);
}

static int compare_layers(const void *a, const void *b)
{
	const struct layer *left = a, *right = b;

	if (left->start != right->start)
		return left->start < right->start ? -1 : 1;
	return left->order < right->order ? -1 : left->order > right->order;
}

static void heap_push(struct sweep *sweep, const struct layer *layer)
{
	size_t at = sweep->heap_cnt++;

	while (at && sweep->heap[(at - 1) / 2].order < layer->order) {
		sweep->heap[at] = sweep->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	sweep->heap[at] = *layer;
}

static void heap_pop(struct sweep *sweep)
{
	struct layer last = sweep->heap[--sweep->heap_cnt];
	size_t at = 0, child;

	while ((child = at * 2 + 1) < sweep->heap_cnt) {
		if (child + 1 < sweep->heap_cnt &&
		    sweep->heap[child + 1].order > sweep->heap[child].order)
			child++;
		if (sweep->heap[child].order <= last.order)
			break;
		sweep->heap[at] = sweep->heap[child];
		at = child;
	}
	if (sweep->heap_cnt)
		sweep->heap[at] = last;
}

/* Paints [from, to) with @layer, going on with the last piece if it is of the same line. */
static void emit(struct sweep *sweep, const struct layer *layer, uint64_t from, uint64_t to)
{
	struct row *last = sweep->out_cnt ? &sweep->out[sweep->out_cnt - 1] : NULL;

	if (last && last->name == layer->name && last->start + last->size == from &&
	    (to - last->start) <= UINT32_MAX) {
		last->size = (uint32_t)(to - last->start);
		return;
	}
	sweep->out[sweep->out_cnt++] = (struct row){
		.start = from,
		.size = (uint32_t)(to - from),
		.name = layer->name,
	};
}

/* Paints from @at up to @until with the layers that are in the heap. */
static void paint(struct sweep *sweep, uint64_t at, uint64_t until)
{
	while (sweep->heap_cnt && at < until) {
		const struct layer *top = &sweep->heap[0];
		uint64_t to = MIN(top->end, until);

		if (top->end <= at) {
			heap_pop(sweep);
			continue;
		}
		emit(sweep, top, at, to);
		at = to;
	}
}

/* The layer that starts next, of the fresh ones or the old rows; false at the end. */
static bool next_layer(struct sweep *sweep, size_t *fresh, size_t *old, struct layer *ret)
{
	bool has_old = *old < sweep->old_cnt;

	if (*fresh < sweep->layer_cnt &&
	    (!has_old || sweep->layers[*fresh].start < sweep->old[*old].start)) {
		*ret = sweep->layers[(*fresh)++];
		return true;
	}
	if (!has_old)
		return false;
	ret->start = sweep->old[*old].start;
	ret->end = ret->start + sweep->old[*old].size;
	ret->name = sweep->old[(*old)++].name;
	ret->order = 0;
	return true;
}

static void run_sweep(struct sweep *sweep)
{
	size_t fresh = 0, old = 0;
	struct layer layer;
	uint64_t at = 0;

	while (next_layer(sweep, &fresh, &old, &layer)) {
		paint(sweep, at, layer.start);
		at = layer.start;
		heap_push(sweep, &layer);
	}
	paint(sweep, at, UINT64_MAX);
}

/* Gives back the room of pieces that a sweep foresaw. */
static void shrink_rows(struct perfmap *map)
{
	size_t capacity = MAX(map->cnt, (size_t)1);
	void *rows = realloc(map->rows, capacity * sizeof(*map->rows));

	if (!rows)
		return;
	map->rows = rows;
	map->capacity = capacity;
}

/* The fresh lines become rows; the map is unchanged if memory is out. */
static int merge_fresh(struct perfmap *map)
{
	_cleanup_(freesweep) struct sweep sweep = { .old = map->rows, .old_cnt = map->cnt };
	size_t i, total = map->cnt + map->fresh_cnt;

	if (!map->fresh_cnt)
		return 0;
	sweep.layers = malloc(map->fresh_cnt * sizeof(*sweep.layers));
	sweep.heap = malloc(total * sizeof(*sweep.heap));
	sweep.out = malloc(total * 2 * sizeof(*sweep.out)); /* each range splits at most one */
	if (!sweep.layers || !sweep.heap || !sweep.out)
		return -ENOMEM;
	for (i = 0; i < map->fresh_cnt; i++) {
		sweep.layers[i] = (struct layer){
			.start = map->fresh[i].start,
			.end = map->fresh[i].start + map->fresh[i].size,
			.name = map->fresh[i].name,
			.order = (uint32_t)i + 1,
		};
	}
	sweep.layer_cnt = map->fresh_cnt;
	qsort(sweep.layers, sweep.layer_cnt, sizeof(*sweep.layers), compare_layers);
	run_sweep(&sweep);
	free(map->rows);
	map->rows = TAKE_PTR(sweep.out);
	map->cnt = sweep.out_cnt;
	map->capacity = total * 2;
	map->fresh_cnt = 0;
	shrink_rows(map);
	return 0;
}

/* ---- room ---- */

static size_t used_bytes(const struct perfmap *map)
{
	return (map->cnt + map->fresh_cnt) * sizeof(struct row) + map->names_len;
}

static int compare_names(const void *a, const void *b)
{
	const struct row *left = a, *right = b;

	return left->name < right->name ? -1 : left->name > right->name;
}

static int compare_starts(const void *a, const void *b)
{
	const struct row *left = a, *right = b;

	return left->start < right->start ? -1 : left->start > right->start;
}

/* Moves the names that rows refer to together; pieces of one line go on sharing theirs. */
static void pack_names(struct perfmap *map)
{
	size_t i, len, used = 0, last_from = SIZE_MAX, last_to = 0;

	qsort(map->rows, map->cnt, sizeof(*map->rows), compare_names);
	for (i = 0; i < map->cnt; i++) {
		struct row *row = &map->rows[i];

		if (row->name != last_from) {
			last_from = row->name;
			last_to = used;
			len = strlen(map->names + last_from) + 1;
			memmove(map->names + used, map->names + last_from, len);
			used += len;
		}
		row->name = (uint32_t)last_to;
	}
	map->names_len = used;
	qsort(map->rows, map->cnt, sizeof(*map->rows), compare_starts);
}

/* Drops what later lines have covered.  The map is full when that frees less than an eighth. */
static int make_room(struct perfmap *map)
{
	int ret = merge_fresh(map);

	if (ret)
		return ret;
	if (map->cnt)
		pack_names(map);
	map->full = used_bytes(map) > PERFMAP_BYTES_MAX / 8 * 7;
	return 0;
}

static void reset(struct perfmap *map)
{
	free(map->rows);
	free(map->fresh);
	free(map->names);
	*map = (struct perfmap){};
}

/* ---- lines ---- */

/* Hexadecimal, with or without 0x, then blanks; NULL when there is none or it is too large. */
static const char *parse_hex(const char *at, const char *end, uint64_t *ret)
{
	const char *start;

	if (end - at > 2 && at[0] == '0' && (at[1] == 'x' || at[1] == 'X'))
		at += 2;
	*ret = 0;
	for (start = at; at < end; at++) {
		unsigned int digit;

		if (*at >= '0' && *at <= '9')
			digit = (unsigned int)(*at - '0');
		else if ((*at | 0x20) >= 'a' && (*at | 0x20) <= 'f')
			digit = (unsigned int)((*at | 0x20) - 'a' + 10);
		else
			break;
		if (*ret >> 60)
			return NULL;
		*ret = *ret << 4 | digit;
	}
	if (at == start || at == end || (*at != ' ' && *at != '\t'))
		return NULL;
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	return at;
}

static int add_fresh(struct perfmap *map, uint64_t start, uint64_t size, const char *name,
		     size_t len)
{
	size_t i;
	char *to;

	if (!grow((void **)&map->fresh, &map->fresh_capacity, map->fresh_cnt + 1,
		  sizeof(*map->fresh)) ||
	    !grow((void **)&map->names, &map->names_capacity, map->names_len + len + 1, 1))
		return -ENOMEM;
	map->fresh[map->fresh_cnt++] = (struct row){
		.start = start,
		.size = (uint32_t)size,
		.name = (uint32_t)map->names_len,
	};
	to = map->names + map->names_len;
	for (i = 0; i < len; i++)
		to[i] = (unsigned char)name[i] < 0x20 || name[i] == 0x7f ? '?' : name[i];
	to[len] = '\0';
	map->names_len += len + 1;
	return 0;
}

/* One line; returns 1 added, 0 skipped (and counted), -ENOMEM. */
static int add_line(struct perfmap *map, const char *at, size_t len)
{
	const char *end = at + MIN(len, (size_t)PERFMAP_LINE_MAX);
	uint64_t start, size;
	int ret = 0;

	at = parse_hex(at, end, &start);
	if (at)
		at = parse_hex(at, end, &size);
	while (at && end > at && (end[-1] == '\r' || end[-1] == ' '))
		end--;
	if (!at || at == end || !size || size > UINT32_MAX || start + size < start) {
		map->skipped++;
		return 0;
	}
	if (map->fresh_cnt == FRESH_MAX)
		ret = merge_fresh(map);
	if (!ret && !map->full &&
	    used_bytes(map) + sizeof(struct row) + (size_t)(end - at) + 1 > PERFMAP_BYTES_MAX)
		ret = make_room(map);
	if (ret)
		return ret;
	if (map->full) {
		map->skipped++;
		return 0;
	}
	ret = add_fresh(map, start, size, at, (size_t)(end - at));
	return ret ? ret : 1;
}

/* Whole lines are parsed where they are; the beginning of a torn one is kept in map->line. */
static int add_bytes(struct perfmap *map, const char *bytes, size_t len)
{
	int added = 0, ret;

	while (len) {
		const char *newline = memchr(bytes, '\n', len);
		size_t n = newline ? (size_t)(newline - bytes) : len;

		ret = 0;
		if (newline && !map->line_len) {
			ret = add_line(map, bytes, n);
		} else {
			size_t take = MIN(n, sizeof(map->line) - map->line_len);

			memcpy(map->line + map->line_len, bytes, take);
			map->line_len += take;
			if (newline) {
				ret = add_line(map, map->line, map->line_len);
				map->line_len = 0;
			}
		}
		if (ret < 0)
			return ret;
		added += ret;
		n += newline ? 1 : 0;
		bytes += n;
		len -= n;
	}
	return added;
}

int perfmap_parse(struct perfmap *map, const char *bytes, size_t len)
{
	int added = add_bytes(map, bytes, len);
	int ret = added < 0 ? added : merge_fresh(map);

	if (ret) {
		reset(map);
		return ret;
	}
	return added;
}

void perfmap_restart(struct perfmap *map)
{
	map->offset = 0;
	map->tail_len = map->line_len = 0;
	map->skipped = 0;
	map->cut_counted = false;
}

/* Reads on from map->offset; the number of lines added, or -errno. */
static int read_growth(struct perfmap *map, int fd, char *buffer)
{
	int added = 0, ret;
	ssize_t n;

	while (map->offset < PERFMAP_FILE_MAX) {
		n = pread_full(fd, buffer, MIN(BUFFER_BYTES, PERFMAP_FILE_MAX - map->offset),
			       map->offset);
		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		map->offset += (uint64_t)n;
		map->tail_len = MIN((size_t)n, sizeof(map->tail));
		memcpy(map->tail, buffer + (size_t)n - map->tail_len, map->tail_len);
		ret = add_bytes(map, buffer, (size_t)n);
		if (ret < 0)
			return ret;
		added += ret;
	}
	return added;
}

/* Whether the file is another one than was read: jcmd's Compiler.perfmap writes it anew each time. */
static bool is_rewritten(const struct perfmap *map, int fd, uint64_t bytes)
{
	char tail[TAIL_BYTES];

	if (bytes < map->offset)
		return true;
	return pread_full(fd, tail, map->tail_len, map->offset - map->tail_len) !=
		       (ssize_t)map->tail_len ||
	       memcmp(tail, map->tail, map->tail_len) != 0;
}

int perfmap_update(struct perfmap *map, int fd)
{
	_cleanup_free_ char *buffer = NULL;
	int added, ret;
	struct stat info;

	if (fstat(fd, &info) < 0)
		return -errno;
	if ((uint64_t)info.st_size == map->offset)
		return 0;
	if (is_rewritten(map, fd, (uint64_t)info.st_size))
		reset(map);
	if (info.st_size > (off_t)PERFMAP_FILE_MAX && !map->cut_counted) {
		map->cut_counted = true;
		map->skipped++;
	}
	buffer = malloc(BUFFER_BYTES);
	if (!buffer)
		return -ENOMEM;
	added = read_growth(map, fd, buffer);
	ret = merge_fresh(map);
	if (added == -ENOMEM || ret == -ENOMEM) {
		reset(map);
		return -ENOMEM;
	}
	return added;
}

/* ---- the table ---- */

int perfmap_new(struct perfmap **ret)
{
	struct perfmap *map = calloc(1, sizeof(*map));

	if (!map)
		return -ENOMEM;
	*ret = map;
	return 0;
}

void perfmap_free(struct perfmap *map)
{
	if (map)
		reset(map);
	free(map);
}

bool perfmap_find(const struct perfmap *map, uint64_t address, struct perfmap_symbol *ret)
{
	size_t low = 0, high = map->cnt;
	const struct row *row;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (map->rows[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return false;
	row = &map->rows[low - 1];
	if (address - row->start >= row->size)
		return false;
	*ret = (struct perfmap_symbol){
		.name = map->names + row->name,
		.address = row->start,
		.size = row->size,
	};
	return true;
}

size_t perfmap_cnt(const struct perfmap *map)
{
	return map->cnt;
}

size_t perfmap_bytes(const struct perfmap *map)
{
	return sizeof(*map) + (map->capacity + map->fresh_capacity) * sizeof(struct row) +
	       map->names_capacity;
}

uint64_t perfmap_skipped(const struct perfmap *map)
{
	return map->skipped;
}
