/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making an unwind table: rows come function by function in ascending order and are appended to
 * one array, already cut into pages.
 *
 * A row waits (`pending`) until the next one is at a higher address, because only then is it known
 * that it is not replaced: what comes below the part of a function that is free only says which
 * rule holds where the free part begins.  Equal neighbours are merged also across functions, which
 * is most of the saving: nearly each function begins as the one before it ends, at sp + 8.
 *
 * Rules are found by a hash table of fixed size, seeded for each run of the program (rules come
 * from files that may wish us ill), half full when there are as many as there may be.  The last
 * number is kept for FRAME_EXPRESSION, which further rules become.
 *
 * Collecting all rows and sorting them was the alternative: it would spare callers the order, and
 * take 24 bytes a row meanwhile in place of 4, and most of the time.
 */
#include "symbolizer/frame_table.h"

#include <errno.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/hashmap.h"
#include "symbolizer/frame_table_private.h"

#define RULE_SLOTS (2 * FRAME_RULES_MAX) /* power of two */
#define FIRST_ROWS 1024
#define FIRST_PAGES 64
#define FIRST_RULES 64

struct pending {
	bool set;
	uint64_t address;
	struct frame_rule rule;
};

struct frame_builder {
	struct frame_row *rows;
	uint32_t *page_rows; /* [page_cnt]: where each page that was begun starts */
	struct frame_rule *rules;
	uint32_t row_cnt, row_room, page_cnt, page_room, rule_cnt, rule_room;
	uint16_t slots[RULE_SLOTS]; /* by hash: number of a rule + 1; 0 = empty */
	uint64_t first_page;
	uint64_t last_start;   /* of the functions begun */
	bool begun;	       /* a function was: what stands here means something */
	uint64_t covered;      /* end of what functions cover */
	uint64_t low, high;    /* what is free of the function begun; low == high: nothing */
	uint64_t last_address; /* of its rows */
	uint64_t window_start, window_end;
	struct pending pending;
	struct frame_rule last_rule; /* appended last */
	uint16_t last_index;	     /* of it */
	struct frame_builder_counts counts;
};

/* ---- growing ---- */

/* Room for one more in @array, of elements of @size bytes. */
static int make_room(void *array, uint32_t cnt, uint32_t *room, uint32_t first, size_t size)
{
	void **pointer = array, *bigger;
	uint32_t more;

	if (cnt < *room)
		return 0;
	more = *room ? *room * 2 : first;
	bigger = realloc(*pointer, more * size);
	if (!bigger)
		return -ENOMEM;
	*pointer = bigger;
	*room = more;
	return 0;
}

static int append_row(struct frame_builder *builder, uint16_t pc, uint16_t rule)
{
	int ret;

	if (builder->row_cnt == FRAME_ROWS_MAX)
		return -EFBIG;
	ret = make_room(&builder->rows, builder->row_cnt, &builder->row_room, FIRST_ROWS,
			sizeof(*builder->rows));
	if (ret)
		return ret;
	builder->rows[builder->row_cnt++] = (struct frame_row){ .pc = pc, .rule = rule };
	return 0;
}

static int append_page(struct frame_builder *builder)
{
	int ret;

	if (builder->page_cnt == FRAME_PAGES_MAX)
		return -EFBIG;
	ret = make_room(&builder->page_rows, builder->page_cnt, &builder->page_room, FIRST_PAGES,
			sizeof(*builder->page_rows));
	if (ret)
		return ret;
	builder->page_rows[builder->page_cnt++] = builder->row_cnt;
	return 0;
}

/* ---- rules ---- */

static int number_of_rule(struct frame_builder *builder, const struct frame_rule *rule,
			  uint16_t *ret)
{
	static const struct frame_rule expression = { .cfa = FRAME_EXPRESSION };
	uint32_t slot = (uint32_t)hash_bytes(rule, sizeof(*rule)) % RULE_SLOTS;
	int code;

	for (; builder->slots[slot]; slot = (slot + 1) % RULE_SLOTS) {
		uint16_t number = (uint16_t)(builder->slots[slot] - 1);

		if (memcmp(&builder->rules[number], rule, sizeof(*rule)) == 0) {
			*ret = number;
			return 0;
		}
	}
	if (builder->rule_cnt >= FRAME_RULES_MAX - 1 &&
	    memcmp(rule, &expression, sizeof(expression)) != 0) {
		builder->counts.rule_overflow++;
		return number_of_rule(builder, &expression, ret);
	}
	code = make_room(&builder->rules, builder->rule_cnt, &builder->rule_room, FIRST_RULES,
			 sizeof(*builder->rules));
	if (code)
		return code;
	builder->rules[builder->rule_cnt] = *rule;
	*ret = (uint16_t)builder->rule_cnt++;
	builder->slots[slot] = (uint16_t)(*ret + 1);
	return 0;
}

/* ---- rows ---- */

/* Begins pages up to @page; those between, which have no row of their own, get their first. */
static int turn_pages(struct frame_builder *builder, uint64_t page)
{
	int ret;

	while (builder->first_page + builder->page_cnt <= page) {
		ret = append_page(builder);
		if (!ret && builder->last_index && builder->first_page + builder->page_cnt <= page)
			ret = append_row(builder, 0, builder->last_index);
		if (ret)
			return ret;
	}
	return 0;
}

static bool page_is_empty(const struct frame_builder *builder)
{
	return builder->page_rows[builder->page_cnt - 1] == builder->row_cnt;
}

static int append(struct frame_builder *builder, uint64_t address, const struct frame_rule *rule)
{
	uint16_t number, pc = (uint16_t)address;
	int ret;

	if (memcmp(rule, &builder->last_rule, sizeof(*rule)) == 0)
		return 0;
	ret = number_of_rule(builder, rule, &number);
	if (ret)
		return ret;
	builder->last_rule = *rule;
	if (number == builder->last_index) /* both are among those that found no room */
		return 0;
	ret = turn_pages(builder, address >> FRAME_PAGE_BITS);
	if (!ret && pc && page_is_empty(builder))
		ret = append_row(builder, 0, builder->last_index);
	if (ret)
		return ret;
	builder->last_index = number;
	return append_row(builder, pc, number);
}

static int flush(struct frame_builder *builder)
{
	if (!builder->pending.set)
		return 0;
	builder->pending.set = false;
	return append(builder, builder->pending.address, &builder->pending.rule);
}

/* ---- what callers do ---- */

int frame_builder_new(struct frame_builder **ret)
{
	static const struct frame_rule no_info = { .cfa = FRAME_NO_INFO };
	struct frame_builder *builder = calloc(1, sizeof(*builder));
	uint16_t number;

	if (!builder)
		return -ENOMEM;
	builder->window_end = UINT64_MAX;
	if (number_of_rule(builder, &no_info, &number)) {
		frame_builder_free(builder);
		return -ENOMEM;
	}
	*ret = builder;
	return 0;
}

void frame_builder_free(struct frame_builder *builder)
{
	if (!builder)
		return;
	free(builder->rows);
	free(builder->page_rows);
	free(builder->rules);
	free(builder);
}

void frame_builder_freep(struct frame_builder **builder)
{
	frame_builder_free(*builder);
}

void frame_builder_window(struct frame_builder *builder, uint64_t start, uint64_t end)
{
	builder->window_start = start;
	builder->window_end = end;
}

/* [@start, @end) is not empty, and what was begun before begins at or below it. */
static int begin_part(struct frame_builder *builder, uint64_t start, uint64_t end)
{
	static const struct frame_rule no_info = { .cfa = FRAME_NO_INFO };
	uint64_t covered = builder->covered;
	int ret;

	if (!builder->begun)
		builder->first_page = start >> FRAME_PAGE_BITS;
	if (end > 1ull << FRAME_ADDRESS_BITS ||
	    ((end - 1) >> FRAME_PAGE_BITS) - builder->first_page >= FRAME_PAGES_MAX)
		return -EFBIG;
	ret = flush(builder);
	if (ret)
		return ret;
	builder->last_start = start;
	if (builder->begun && end <= covered) {
		builder->counts.overlapping++;
		return 0;
	}
	if (builder->begun && start > covered && start - covered > FRAME_GAP_MAX)
		ret = append(builder, covered, &no_info);
	builder->low = builder->begun ? MAX(start, covered) : start;
	builder->high = builder->covered = end;
	builder->begun = true;
	builder->pending = (struct pending){ .set = true, .address = builder->low };
	return ret;
}

int frame_builder_begin(struct frame_builder *builder, uint64_t start, uint64_t end)
{
	if (end <= start)
		return -EINVAL;
	start = MAX(start, builder->window_start);
	end = MIN(end, builder->window_end);
	if (start < builder->last_start)
		return -EINVAL;
	builder->last_address = 0;
	builder->low = builder->high = 0;
	return end <= start ? 0 : begin_part(builder, start, end);
}

int frame_builder_row(struct frame_builder *builder, uint64_t address,
		      const struct frame_rule *rule)
{
	int ret;

	builder->counts.rows_met++;
	if (address >= builder->high)
		return 0;
	if (address > builder->pending.address) {
		ret = flush(builder);
		if (ret)
			return ret;
		builder->pending.set = true;
		builder->pending.address = address;
	} else if (address < builder->last_address && address >= builder->low) {
		return -EINVAL;
	}
	builder->last_address = address;
	builder->pending.rule = *rule;
	return 0;
}

/* The end of what is covered, unless the table ends with it. */
static int append_end(struct frame_builder *builder)
{
	static const struct frame_rule no_info = { .cfa = FRAME_NO_INFO };
	int ret;

	ret = flush(builder);
	if (ret || !builder->begun)
		return ret;
	ret = turn_pages(builder, (builder->covered - 1) >> FRAME_PAGE_BITS);
	if (!ret && page_is_empty(builder))
		ret = append_row(builder, 0, builder->last_index);
	if (!ret && (uint16_t)builder->covered)
		ret = append(builder, builder->covered, &no_info);
	builder->begun = false;
	return ret;
}

int frame_builder_finish(struct frame_builder *builder, void **ret_bytes, size_t *ret_size)
{
	struct frame_table_header header = { .magic = FRAME_MAGIC };
	size_t size, rules, page_rows, rows;
	char *bytes;
	int ret;

	ret = append_end(builder);
	if (ret)
		return ret;
	header.first_page = builder->first_page;
	header.page_cnt = builder->page_cnt;
	header.row_cnt = builder->row_cnt;
	header.rule_cnt = builder->rule_cnt;
	size = frame_table_bytes(header.page_cnt, header.row_cnt, header.rule_cnt);
	bytes = malloc(size);
	if (!bytes)
		return -ENOMEM;
	rules = sizeof(header);
	page_rows = rules + header.rule_cnt * sizeof(*builder->rules);
	rows = page_rows + ((size_t)header.page_cnt + 1) * sizeof(*builder->page_rows);
	memcpy(bytes, &header, sizeof(header));
	memcpy(bytes + rules, builder->rules, page_rows - rules);
	if (header.page_cnt)
		memcpy(bytes + page_rows, builder->page_rows,
		       rows - page_rows - sizeof(header.row_cnt));
	memcpy(bytes + rows - sizeof(header.row_cnt), &header.row_cnt, sizeof(header.row_cnt));
	if (header.row_cnt)
		memcpy(bytes + rows, builder->rows, size - rows);
	*ret_bytes = bytes;
	*ret_size = size;
	return 0;
}

void frame_builder_counts(const struct frame_builder *builder, struct frame_builder_counts *ret)
{
	*ret = builder->counts;
	ret->rows = builder->row_cnt;
	ret->rules = builder->rule_cnt;
	ret->pages = builder->page_cnt;
}
