/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/step_record.h"

#include <errno.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/hashmap.h"
#include "tests/unit/elf_fixture.h"

#define MAGIC 0x3173706574737775ull /* "uwsteps1" */
#define BYTES_MAX (8u << 20)
#define RULES_MAX 1024
#define BELOW_SP 128 /* the red zone */
#define STACK_BYTES_MAX                                                                            \
	8192 /* of memory above a stack pointer: all that the recorded programs use */

enum item { ITEM_RULES = 1, ITEM_PLACES, ITEM_WORDS, ITEM_STOP };

_Static_assert(sizeof(struct unwind_rule) == 16, "two words");

struct step_recorder {
	uint64_t *words;
	size_t cnt, room;
	struct hashmap memory; /* address, value */
	struct hashmap places; /* address, rule */
	struct unwind_rule rules[RULES_MAX];
	size_t rule_cnt;
	bool has_start;
};

static void put(struct step_recorder *recorder, uint64_t word)
{
	if (recorder->cnt == recorder->room) {
		recorder->room = recorder->room ? recorder->room * 2 : 4096;
		recorder->words = realloc(recorder->words, recorder->room * sizeof(uint64_t));
		if (!recorder->words)
			abort();
	}
	recorder->words[recorder->cnt++] = word;
}

struct step_recorder *step_recorder_new(void)
{
	struct step_recorder *recorder = calloc(1, sizeof(*recorder));

	if (!recorder)
		return NULL;
	hashmap_init(&recorder->memory, sizeof(uint64_t), sizeof(uint64_t));
	hashmap_init(&recorder->places, sizeof(uint64_t), 1);
	return recorder;
}

static void add_word(struct step_recorder *recorder, const struct unwind_target *ask,
		     uint64_t address)
{
	uint64_t value, *known;
	bool is_new;

	if (!ask->read(ask->context, address, &value, sizeof(value)))
		return;
	known = hashmap_put(&recorder->memory, &address, &is_new);
	if (!is_new && *known == value)
		return;
	*known = value;
	put(recorder, ITEM_WORDS | 1 << 8);
	put(recorder, address);
	put(recorder, value);
}

static size_t rule_index(struct step_recorder *recorder, const struct unwind_rule *rule)
{
	uint64_t words[2];
	size_t i;

	for (i = 0; i < recorder->rule_cnt; i++) {
		if (!memcmp(&recorder->rules[i], rule, sizeof(*rule)))
			return i;
	}
	if (i == RULES_MAX)
		abort();
	recorder->rules[recorder->rule_cnt++] = *rule;
	memcpy(words, rule, sizeof(words));
	put(recorder, ITEM_RULES | 1 << 8);
	put(recorder, words[0]);
	put(recorder, words[1]);
	return i;
}

static void add_place(struct step_recorder *recorder, const struct unwind_target *ask,
		      uint64_t address)
{
	struct unwind_rule rule;
	size_t index;
	bool is_new;

	hashmap_put(&recorder->places, &address, &is_new);
	if (!is_new || ask->rule(ask->context, address, &rule) < 0)
		return;
	index = rule_index(recorder, &rule);
	put(recorder, ITEM_PLACES | 1 << 8);
	put(recorder, address);
	put(recorder, index);
}

/* The stack from @sp on; in a handler with a stack of its own the main one too. */
static void add_stack(struct step_recorder *recorder, const struct unwind_target *ask,
		      const struct unwind_start *start, uint64_t sp)
{
	uint64_t base = start->start_stack, at;

	if (base - sp >= STACK_BYTES_MAX) {
		for (at = (sp - BELOW_SP) & ~7ull; at < sp + STACK_BYTES_MAX; at += 8)
			add_word(recorder, ask, at);
		sp = base - STACK_BYTES_MAX;
	}
	for (at = (sp - BELOW_SP) & ~7ull; at <= base; at += 8)
		add_word(recorder, ask, at);
}

void step_recorder_add(struct step_recorder *recorder, const struct unwind_target *ask,
		       const struct unwind_start *start, const uint64_t *expected, size_t cnt)
{
	size_t i;

	if (!recorder->has_start) {
		put(recorder, MAGIC);
		put(recorder, start->start_stack);
		put(recorder, start->tls_base);
		recorder->has_start = true;
	}
	add_stack(recorder, ask, start, start->regs[UNWIND_REG_SP]);
	for (i = 0; i < cnt; i++) {
		uint64_t address = expected[i] & ~STACK_FRAME_IS_EXACT, at;

		add_place(recorder, ask, address);
		add_place(recorder, ask, address - 1);
		/* The call before it, and what a leaf without rule is looked at for. */
		for (at = (address & ~7ull) - 8; at <= address + 8; at += 8)
			add_word(recorder, ask, at);
	}
	put(recorder, ITEM_STOP | (UNWIND_REG_CNT + cnt) << 8);
	for (i = 0; i < UNWIND_REG_CNT; i++)
		put(recorder, start->regs[i]);
	for (i = 0; i < cnt; i++)
		put(recorder, expected[i]);
}

int step_recorder_save(struct step_recorder *recorder, const char *path)
{
	_cleanup_(file_closep) FILE *file = fopen(path, "we");
	size_t size = recorder->cnt * sizeof(uint64_t), room = lzma_stream_buffer_bound(size),
	       packed = 0;
	_cleanup_free_ uint8_t *bytes = malloc(room);
	int r = -EIO;

	if (file && bytes &&
	    lzma_easy_buffer_encode(LZMA_PRESET_DEFAULT | LZMA_PRESET_EXTREME, LZMA_CHECK_CRC32,
				    NULL, (const uint8_t *)recorder->words, size, bytes, &packed,
				    room) == LZMA_OK &&
	    fwrite(bytes, packed, 1, file) == 1)
		r = 0;
	hashmap_free(&recorder->memory);
	hashmap_free(&recorder->places);
	free(recorder->words);
	free(recorder);
	return r;
}

/* ---- reading ---- */

struct step_replay {
	uint64_t *words;
	size_t cnt, at;
	uint64_t start_stack, tls_base;
	struct hashmap memory, places;
	struct unwind_rule rules[RULES_MAX];
	size_t rule_cnt;
};

struct step_replay *step_replay_open(const char *path)
{
	size_t file_size, at = 0, size = 0;
	_cleanup_free_ uint8_t *bytes = fixture_read(path, &file_size);
	struct step_replay *replay = calloc(1, sizeof(*replay));
	uint64_t memory_max = 64 << 20;

	if (replay)
		replay->words = malloc(BYTES_MAX);
	if (!replay || !replay->words || !bytes ||
	    lzma_stream_buffer_decode(&memory_max, 0, NULL, bytes, &at, file_size,
				      (uint8_t *)replay->words, &size, BYTES_MAX) != LZMA_OK ||
	    size < 3 * sizeof(uint64_t) || replay->words[0] != MAGIC) {
		step_replay_close(replay);
		return NULL;
	}
	replay->cnt = size / sizeof(uint64_t);
	replay->start_stack = replay->words[1];
	replay->tls_base = replay->words[2];
	replay->at = 3;
	hashmap_init(&replay->memory, sizeof(uint64_t), sizeof(uint64_t));
	hashmap_init(&replay->places, sizeof(uint64_t), sizeof(uint64_t));
	return replay;
}

void step_replay_close(struct step_replay *replay)
{
	if (!replay)
		return;
	if (replay->cnt) {
		hashmap_free(&replay->memory);
		hashmap_free(&replay->places);
	}
	free(replay->words);
	free(replay);
}

static bool read_pair(struct step_replay *replay, enum item item, const uint64_t *pair)
{
	uint64_t *value;

	switch (item) {
	case ITEM_RULES:
		if (replay->rule_cnt == RULES_MAX)
			return false;
		memcpy(&replay->rules[replay->rule_cnt++], pair, sizeof(struct unwind_rule));
		return true;
	case ITEM_PLACES:
		value = hashmap_put(&replay->places, &pair[0], NULL);
		if (!value || pair[1] >= replay->rule_cnt)
			return false;
		*value = pair[1];
		return true;
	case ITEM_WORDS:
		value = hashmap_put(&replay->memory, &pair[0], NULL);
		if (!value)
			return false;
		*value = pair[1];
		return true;
	case ITEM_STOP:
		break;
	}
	return false;
}

bool step_replay_next(struct step_replay *replay, struct unwind_start *ret_start,
		      const uint64_t **ret_expected, size_t *ret_cnt)
{
	while (replay->at < replay->cnt) {
		uint64_t head = replay->words[replay->at++];
		const uint64_t *words = replay->words + replay->at;
		size_t cnt = (size_t)(head >> 8);

		if ((head & 0xff) == ITEM_STOP) {
			if (cnt <= UNWIND_REG_CNT || replay->cnt - replay->at < cnt)
				return false;
			*ret_start = (struct unwind_start){ .start_stack = replay->start_stack,
							    .tls_base = replay->tls_base };
			memcpy(ret_start->regs, words, sizeof(ret_start->regs));
			*ret_expected = words + UNWIND_REG_CNT;
			*ret_cnt = cnt - UNWIND_REG_CNT;
			replay->at += cnt;
			return true;
		}
		if (cnt != 1 || replay->cnt - replay->at < 2 ||
		    !read_pair(replay, (enum item)(head & 0xff), words))
			return false;
		replay->at += 2;
	}
	return false;
}

static bool ask_memory(void *context, uint64_t address, void *bytes, size_t size)
{
	const struct step_replay *replay = context;
	uint8_t *to = bytes;

	while (size) {
		uint64_t word = address & ~7ull, *value = hashmap_get(&replay->memory, &word);
		size_t at = address & 7, part = 8 - at < size ? 8 - at : size;

		if (!value)
			return false;
		memcpy(to, (uint8_t *)value + at, part);
		to += part;
		address += part;
		size -= part;
	}
	return true;
}

static int ask_rule(void *context, uint64_t pc, struct unwind_rule *ret)
{
	const struct step_replay *replay = context;
	const uint64_t *index = hashmap_get(&replay->places, &pc);

	if (!index)
		return -ENOENT;
	*ret = replay->rules[*index];
	return 0;
}

struct unwind_target step_replay_ask(struct step_replay *replay)
{
	return (struct unwind_target){ replay, ask_memory, ask_rule };
}
