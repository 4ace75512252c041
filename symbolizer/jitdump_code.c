/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What code is where, now and before.
 *
 * The present is a list of disjoint ranges by address, in chunks of up to 128, so that one more
 * range moves no more than a chunk and a table of chunk pointers: a dump is a stream of single
 * records at random addresses, and each may cut ranges that it covers.  (The sweep of perfmap.c
 * is cheaper for a batch, but keeps no time, and loses what comes and goes within a batch.)
 *
 * What is covered goes into a ring of past ranges, each with the time of its end.  Nearly every
 * question is of a time when the present range had begun, and ends there.  Else the ring is
 * searched from its end back to the time asked for: some seconds of recompiled functions.  A full
 * ring forgets its oldest.
 *
 * No address ever becomes free: a dump does not say when code is freed.
 */
#include "symbolizer/jitdump_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"

#define PAST_MAX 16384

/* ---- code ---- */

static size_t code_bytes(const struct jitdump_code *code)
{
	return sizeof(*code) + code->line_cnt * sizeof(code->lines[0]) + strlen(code->name) + 1;
}

struct jitdump_code *jitdump_code_new(struct jitdump_ranges *ranges, const char *name,
				      size_t name_len, uint32_t size,
				      const struct jitdump_line *lines, size_t line_cnt)
{
	size_t i, lines_bytes = line_cnt * sizeof(*lines);
	struct jitdump_code *code = malloc(sizeof(*code) + lines_bytes + name_len + 1);
	char *to;

	if (!code)
		return NULL;
	to = (char *)code + sizeof(*code) + lines_bytes;
	*code = (struct jitdump_code){
		.refs = 1,
		.size = size,
		.line_cnt = (uint32_t)line_cnt,
		.name = to,
	};
	if (line_cnt)
		memcpy(code->lines, lines, lines_bytes);
	for (i = 0; i < name_len; i++)
		to[i] = (unsigned char)name[i] < 0x20 || name[i] == 0x7f ? '?' : name[i];
	to[name_len] = '\0';
	ranges->code_bytes += code_bytes(code);
	return code;
}

void jitdump_code_unref(struct jitdump_ranges *ranges, struct jitdump_code *code)
{
	if (--code->refs)
		return;
	ranges->code_bytes -= code_bytes(code);
	free(code);
}

/* ---- the past ---- */

static void forget_oldest(struct jitdump_ranges *ranges)
{
	jitdump_code_unref(ranges, ranges->past[ranges->past_first].range.code);
	ranges->past_first = (ranges->past_first + 1) % ranges->past_capacity;
	ranges->past_cnt--;
}

/* Room for one more, by forgetting if there is no other way. */
static bool reserve_past(struct jitdump_ranges *ranges)
{
	size_t capacity = MAX(2 * ranges->past_capacity, (size_t)16), i;
	struct jitdump_past *past;

	if (ranges->past_cnt < ranges->past_capacity)
		return true;
	past = capacity > PAST_MAX ? NULL : malloc(capacity * sizeof(*past));
	if (!past) {
		if (ranges->past_cnt)
			forget_oldest(ranges);
		return ranges->past_capacity > 0;
	}
	for (i = 0; i < ranges->past_cnt; i++)
		past[i] = ranges->past[(ranges->past_first + i) % ranges->past_capacity];
	free(ranges->past);
	ranges->past = past;
	ranges->past_capacity = capacity;
	ranges->past_first = 0;
	return true;
}

/* The part of @range in [start, end) has been covered. */
static void remember(struct jitdump_ranges *ranges, const struct jitdump_range *range,
		     uint64_t start, uint64_t end, uint64_t died_ns)
{
	struct jitdump_past *past;

	if (range->born_ns >= died_ns || !reserve_past(ranges))
		return;
	past = &ranges->past[(ranges->past_first + ranges->past_cnt++) % ranges->past_capacity];
	past->range = *range;
	past->range.start = MAX(range->start, start);
	past->range.end = MIN(range->end, end);
	past->died_ns = died_ns;
	range->code->refs++;
}

void jitdump_ranges_trim(struct jitdump_ranges *ranges, uint64_t before_ns)
{
	while (ranges->past_cnt && ranges->past[ranges->past_first].died_ns < before_ns)
		forget_oldest(ranges);
}

/* ---- the present ---- */

struct place {
	size_t chunk, at;
};

/* The first range that ends behind @address; chunk == chunk_cnt: there is none. */
static struct place find_place(const struct jitdump_ranges *ranges, uint64_t address)
{
	size_t low = 0, high = ranges->chunk_cnt;
	const struct jitdump_chunk *chunk;
	struct place place;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		chunk = ranges->chunks[middle];
		if (chunk->ranges[chunk->cnt - 1].end > address)
			high = middle;
		else
			low = middle + 1;
	}
	place = (struct place){ .chunk = low };
	if (low == ranges->chunk_cnt)
		return place;
	chunk = ranges->chunks[low];
	high = chunk->cnt - 1;
	for (low = 0; low < high;) {
		size_t middle = low + (high - low) / 2;

		if (chunk->ranges[middle].end > address)
			high = middle;
		else
			low = middle + 1;
	}
	place.at = low;
	return place;
}

static const struct jitdump_range *range_at(const struct jitdump_ranges *ranges, struct place place)
{
	return place.chunk < ranges->chunk_cnt ? &ranges->chunks[place.chunk]->ranges[place.at] :
						 NULL;
}

/* Room in the table of chunks for the spare ones, and those. */
static int reserve_chunks(struct jitdump_ranges *ranges)
{
	size_t i, need = ranges->chunk_cnt + ARRAY_SIZE(ranges->spare);

	if (need > ranges->chunk_capacity) {
		size_t capacity = MAX(2 * ranges->chunk_capacity, need);
		void *chunks = realloc(ranges->chunks, capacity * sizeof(*ranges->chunks));

		if (!chunks)
			return -ENOMEM;
		ranges->chunks = chunks;
		ranges->chunk_capacity = capacity;
	}
	for (i = 0; i < ARRAY_SIZE(ranges->spare); i++) {
		if (!ranges->spare[i])
			ranges->spare[i] = malloc(sizeof(*ranges->spare[i]));
		if (!ranges->spare[i])
			return -ENOMEM;
	}
	return 0;
}

static void insert_chunk(struct jitdump_ranges *ranges, size_t at)
{
	struct jitdump_chunk *chunk = ranges->spare[0] ? TAKE_PTR(ranges->spare[0]) :
							 TAKE_PTR(ranges->spare[1]);

	memmove(ranges->chunks + at + 1, ranges->chunks + at,
		(ranges->chunk_cnt - at) * sizeof(*ranges->chunks));
	ranges->chunks[at] = chunk;
	ranges->chunk_cnt++;
	chunk->cnt = 0;
}

/* The upper half of a full chunk becomes one of its own; where the next one starts if it is last. */
static void split_chunk(struct jitdump_ranges *ranges, struct place *place)
{
	struct jitdump_chunk *full = ranges->chunks[place->chunk], *upper;
	size_t keep = place->at == full->cnt ? full->cnt : full->cnt / 2;

	insert_chunk(ranges, place->chunk + 1);
	upper = ranges->chunks[place->chunk + 1];
	upper->cnt = full->cnt - keep;
	memcpy(upper->ranges, full->ranges + keep, upper->cnt * sizeof(upper->ranges[0]));
	full->cnt = keep;
	if (place->at >= keep) {
		place->chunk++;
		place->at -= keep;
	}
}

/* Takes over the range's reference.  Needs at most one spare chunk. */
static void insert_range(struct jitdump_ranges *ranges, const struct jitdump_range *range)
{
	struct place place = find_place(ranges, range->start);
	struct jitdump_chunk *chunk;

	if (!ranges->chunk_cnt)
		insert_chunk(ranges, 0);
	if (place.chunk == ranges->chunk_cnt || (!place.at && place.chunk)) {
		/* behind the last of a chunk, which is as good as in front of the next one's first */
		place.chunk -= place.chunk ? 1 : 0;
		place.at = ranges->chunks[place.chunk]->cnt;
	}
	if (ranges->chunks[place.chunk]->cnt == JITDUMP_CHUNK_RANGES)
		split_chunk(ranges, &place);
	chunk = ranges->chunks[place.chunk];
	memmove(chunk->ranges + place.at + 1, chunk->ranges + place.at,
		(chunk->cnt - place.at) * sizeof(chunk->ranges[0]));
	chunk->ranges[place.at] = *range;
	chunk->cnt++;
	ranges->range_cnt++;
}

/* Hands the range's reference over to the caller. */
static struct jitdump_range take_range(struct jitdump_ranges *ranges, struct place place)
{
	struct jitdump_chunk *chunk = ranges->chunks[place.chunk];
	struct jitdump_range range = chunk->ranges[place.at];

	chunk->cnt--;
	memmove(chunk->ranges + place.at, chunk->ranges + place.at + 1,
		(chunk->cnt - place.at) * sizeof(chunk->ranges[0]));
	if (!chunk->cnt) {
		free(chunk);
		ranges->chunk_cnt--;
		memmove(ranges->chunks + place.chunk, ranges->chunks + place.chunk + 1,
			(ranges->chunk_cnt - place.chunk) * sizeof(*ranges->chunks));
	}
	ranges->range_cnt--;
	return range;
}

/* Puts back what of a covered range stands out at either end; one reference becomes up to two. */
static void put_back_rests(struct jitdump_ranges *ranges, struct jitdump_range range,
			   uint64_t start, uint64_t end)
{
	struct jitdump_range upper = range;

	if (range.start < start) {
		range.end = start;
		range.code->refs++;
		insert_range(ranges, &range);
	}
	if (upper.end > end) {
		upper.start = end;
		upper.code->refs++;
		insert_range(ranges, &upper);
	}
	jitdump_code_unref(ranges, upper.code);
}

int jitdump_ranges_cover(struct jitdump_ranges *ranges, uint64_t start, uint64_t end,
			 uint64_t time_ns)
{
	/* Each turn takes one range out and puts at most two back: the spares are made up between. */
	for (;;) {
		struct place place = find_place(ranges, start);
		const struct jitdump_range *covered;
		struct jitdump_range taken;
		int r = reserve_chunks(ranges);

		if (r < 0)
			return r;
		covered = range_at(ranges, place);
		if (!covered || covered->start >= end)
			return 0;
		taken = take_range(ranges, place);
		remember(ranges, &taken, start, end, time_ns);
		put_back_rests(ranges, taken, start, end);
	}
}

int jitdump_ranges_lay(struct jitdump_ranges *ranges, struct jitdump_code *code, uint64_t address,
		       uint64_t born_ns)
{
	struct jitdump_range range = {
		.start = address,
		.end = address + code->size,
		.base = address,
		.born_ns = born_ns,
		.code = code,
	};
	int r = jitdump_ranges_cover(ranges, range.start, range.end, born_ns);

	if (r < 0)
		return r;
	code->refs++;
	insert_range(ranges, &range);
	return 0;
}

const struct jitdump_range *jitdump_ranges_find(const struct jitdump_ranges *ranges,
						uint64_t address, uint64_t time_ns)
{
	const struct jitdump_range *best = range_at(ranges, find_place(ranges, address));
	size_t i;

	if (!best || best->start > address)
		return NULL;
	for (i = ranges->past_cnt; i && best->born_ns > time_ns; i--) {
		const struct jitdump_past *past =
			&ranges->past[(ranges->past_first + i - 1) % ranges->past_capacity];

		if (past->died_ns <= time_ns)
			break;
		if (past->range.start <= address && address < past->range.end &&
		    past->range.born_ns < best->born_ns)
			best = &past->range;
	}
	return best;
}

void jitdump_ranges_free(struct jitdump_ranges *ranges)
{
	size_t i, k;

	for (i = 0; i < ranges->chunk_cnt; i++) {
		for (k = 0; k < ranges->chunks[i]->cnt; k++)
			jitdump_code_unref(ranges, ranges->chunks[i]->ranges[k].code);
		free(ranges->chunks[i]);
	}
	while (ranges->past_cnt)
		forget_oldest(ranges);
	free(ranges->chunks);
	free(ranges->past);
	for (i = 0; i < ARRAY_SIZE(ranges->spare); i++)
		free(ranges->spare[i]);
	*ranges = (struct jitdump_ranges){};
}

size_t jitdump_ranges_bytes(const struct jitdump_ranges *ranges)
{
	return ranges->code_bytes + ranges->chunk_capacity * sizeof(*ranges->chunks) +
	       (ranges->chunk_cnt + ARRAY_SIZE(ranges->spare)) * sizeof(**ranges->chunks) +
	       ranges->past_capacity * sizeof(*ranges->past);
}
