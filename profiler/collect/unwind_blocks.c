/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rows are placed by pages of code: the first hole that holds the next page takes as many pages
 * as fit into it.  So a hole wastes less than a page's rows, and a file of any size finds room
 * wherever there is some; whole files side by side would need the space compacted now and then,
 * while it is read.
 *
 * A block is planned first (it has a number and room, no map) and made when all rows have a place,
 * so that a table which does not fit leaves nothing behind, and so that all new blocks share one
 * wait: an update of a map of maps ends only when every BPF program that was running has ended.
 * The descriptors of blocks stay open, as a map's descriptor cannot be had again without
 * CAP_SYS_ADMIN, and their mappings do not, as they would count in our RSS.
 */
#include "profiler/collect/unwind_blocks.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/collect/shared.h"
#include "profiler/collect/unwind_table.h"

#define AHEAD_MAX 8u	     /* spare blocks: 2 MiB */
#define UNMADE_AT_ONCE_MAX 4 /* each waits */
#define FIRST_RUNS 8u

static int make_block(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);

	return bpf_map_create(BPF_MAP_TYPE_ARRAY, "unwind_block", sizeof(uint32_t),
			      sizeof(struct unwind_block), 1, &opts);
}

int unwind_blocks_init(struct unwind_blocks *blocks, int map_fd, uint64_t bytes_max)
{
	_cleanup_close_ int sample = make_block();
	uint32_t i;

	*blocks = (struct unwind_blocks){ .map_fd = map_fd, .bytes_max = bytes_max };
	unwind_space_init(&blocks->rows, UNWIND_BLOCK_ROWS);
	if (sample < 0)
		return sample;
	blocks->block_bytes = MAX(map_memlock_bytes(sample), sizeof(struct unwind_block));
	blocks->fds = malloc(UNWIND_BLOCKS_MAX * sizeof(*blocks->fds));
	if (!blocks->fds)
		return -ENOMEM;
	for (i = 0; i < UNWIND_BLOCKS_MAX; i++)
		blocks->fds[i] = -1;
	return 0;
}

void unwind_blocks_free(struct unwind_blocks *blocks)
{
	uint32_t i;

	for (i = 0; blocks->fds && i < UNWIND_BLOCKS_MAX; i++)
		fd_closep(&blocks->fds[i]);
	free(TAKE_PTR(blocks->fds));
	unwind_space_free(&blocks->rows);
}

/* ---- planned blocks: their numbers are in `plan`, not yet in fds ---- */

struct plan {
	uint32_t numbers[UNWIND_BLOCKS_MAX];
	int fds[UNWIND_BLOCKS_MAX];
	uint32_t cnt;
	uint32_t next; /* numbers below it are taken */
};

static int plan_block(struct unwind_blocks *blocks, struct plan *plan)
{
	int err;

	if ((blocks->cnt + plan->cnt + 1) * blocks->block_bytes > blocks->bytes_max)
		return -ENOSPC;
	while (plan->next < UNWIND_BLOCKS_MAX && blocks->fds[plan->next] >= 0)
		plan->next++;
	if (plan->next == UNWIND_BLOCKS_MAX)
		return -ENOSPC;
	err = unwind_space_add(&blocks->rows, plan->next * UNWIND_BLOCK_ROWS, UNWIND_BLOCK_ROWS);
	if (err)
		return err;
	plan->fds[plan->cnt] = -1;
	plan->numbers[plan->cnt++] = plan->next++;
	return 0;
}

/* Nothing was placed in them, or it has been given back. */
static void forget_plan(struct unwind_blocks *blocks, struct plan *plan)
{
	uint32_t i;

	for (i = 0; i < plan->cnt; i++) {
		fd_closep(&plan->fds[i]);
		unwind_space_remove(&blocks->rows, plan->numbers[i] * UNWIND_BLOCK_ROWS,
				    UNWIND_BLOCK_ROWS);
	}
	plan->cnt = 0;
}

static int publish_plan(const struct unwind_blocks *blocks, struct plan *plan)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	uint32_t cnt = plan->cnt, i;
	int err = 0;

	/* COMPAT(5.16): maps of maps have no batches before; then each update waits by itself. */
	if (bpf_map_update_batch(blocks->map_fd, plan->numbers, plan->fds, &cnt, &opts) == 0)
		return 0;
	for (i = 0; i < plan->cnt && !err; i++)
		err = bpf_map_update_elem(blocks->map_fd, &plan->numbers[i], &plan->fds[i],
					  BPF_ANY);
	for (; err && i > 0; i--)
		bpf_map_delete_elem(blocks->map_fd, &plan->numbers[i - 1]);
	return err;
}

static int make_plan(struct unwind_blocks *blocks, struct plan *plan)
{
	uint32_t i;
	int err = 0;

	for (i = 0; i < plan->cnt && !err; i++) {
		plan->fds[i] = make_block();
		err = MIN(plan->fds[i], 0);
	}
	if (!err && plan->cnt)
		err = publish_plan(blocks, plan);
	if (err)
		return err;
	for (i = 0; i < plan->cnt; i++)
		blocks->fds[plan->numbers[i]] = fd_take(&plan->fds[i]);
	blocks->cnt += plan->cnt;
	return 0;
}

static uint32_t spare_cnt(uint32_t blocks)
{
	return MIN(blocks / 4, AHEAD_MAX);
}

/* ---- placing ---- */

static int add_run(struct unwind_blocks *blocks, uint32_t first, uint32_t cnt,
		   struct unwind_extents *runs)
{
	size_t capacity = MAX(runs->capacity, (size_t)FIRST_RUNS);
	int err;

	if (runs->cnt == runs->capacity) {
		struct unwind_extent *grown;

		capacity = runs->capacity ? capacity * 2 : capacity;
		grown = realloc(runs->at, capacity * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		runs->at = grown;
		runs->capacity = capacity;
	}
	err = unwind_space_take(&blocks->rows, first, cnt);
	if (!err)
		runs->at[runs->cnt++] = (struct unwind_extent){ first, cnt };
	return err;
}

/* A run for the rows of @page and of as many as fit behind it; returns the next page, or -errno. */
static int64_t place_run(struct unwind_blocks *blocks, struct plan *plan,
			 const struct unwind_table_view *table, uint32_t page,
			 struct unwind_extents *runs)
{
	uint32_t cnt = unwind_table_page_rows(table, page);
	struct unwind_extent hole;
	int err;

	if (!unwind_space_fit(&blocks->rows, cnt, &hole)) {
		err = plan_block(blocks, plan);
		if (err)
			return err;
		hole = (struct unwind_extent){ plan->numbers[plan->cnt - 1] * UNWIND_BLOCK_ROWS,
					       UNWIND_BLOCK_ROWS };
	}
	for (page++; page < table->page_cnt; page++) {
		uint32_t more = unwind_table_page_rows(table, page);

		if (more > hole.cnt - cnt)
			break;
		cnt += more;
	}
	err = add_run(blocks, hole.first, cnt, runs);
	return err ? err : (int64_t)page;
}

static int place_pages(struct unwind_blocks *blocks, struct plan *plan,
		       const struct unwind_table_view *table, struct unwind_extents *runs)
{
	int64_t page = 0;

	while (page < table->page_cnt) {
		if (unwind_table_page_rows(table, (uint32_t)page))
			page = place_run(blocks, plan, table, (uint32_t)page, runs);
		else
			page++;
		if (page < 0)
			return (int)page;
	}
	return 0;
}

int unwind_blocks_place(struct unwind_blocks *blocks, const struct unwind_table_view *table,
			struct unwind_extents *ret)
{
	_cleanup_free_ struct plan *plan = malloc(sizeof(*plan));
	struct unwind_extents runs = {};
	uint32_t ahead;
	int err;

	if (!plan)
		return -ENOMEM;
	plan->cnt = plan->next = 0;
	err = place_pages(blocks, plan, table, &runs);
	if (!err && plan->cnt) {
		for (ahead = spare_cnt(blocks->cnt + plan->cnt); ahead; ahead--)
			if (plan_block(blocks, plan) != 0)
				break;
		err = make_plan(blocks, plan);
	}
	if (err) {
		unwind_blocks_give(blocks, &runs);
		forget_plan(blocks, plan);
		return err;
	}
	*ret = runs;
	return 0;
}

int unwind_blocks_write(struct unwind_blocks *blocks, uint32_t first, const struct unwind_row *rows,
			uint32_t cnt, const uint16_t *rules)
{
	uint32_t index = first % UNWIND_BLOCK_ROWS, i;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t offset = index * sizeof(*rows) / page * page;
	size_t bytes = (index + cnt) * sizeof(*rows) - offset;
	struct unwind_row *to;
	void *window;

	window = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		      blocks->fds[first / UNWIND_BLOCK_ROWS], (off_t)offset);
	if (window == MAP_FAILED)
		return -errno;
	to = (struct unwind_row *)((char *)window + (index * sizeof(*rows) - offset));
	for (i = 0; i < cnt; i++)
		to[i] = (struct unwind_row){ .pc = rows[i].pc, .rule = rules[rows[i].rule] };
	munmap(window, bytes);
	return 0;
}

void unwind_blocks_give(struct unwind_blocks *blocks, struct unwind_extents *runs)
{
	size_t i;

	for (i = 0; i < runs->cnt; i++)
		unwind_space_give(&blocks->rows, runs->at[i].first, runs->at[i].cnt);
	free(runs->at);
	*runs = (struct unwind_extents){};
}

void unwind_blocks_defer(struct unwind_blocks *blocks, struct unwind_extents *runs)
{
	size_t i;

	for (i = 0; i < runs->cnt; i++)
		unwind_space_defer(&blocks->rows, runs->at[i].first, runs->at[i].cnt);
	free(runs->at);
	*runs = (struct unwind_extents){};
}

static void unmake(struct unwind_blocks *blocks, uint32_t number)
{
	if (bpf_map_delete_elem(blocks->map_fd, &number) != 0)
		return;
	unwind_space_remove(&blocks->rows, number * UNWIND_BLOCK_ROWS, UNWIND_BLOCK_ROWS);
	close(fd_take(&blocks->fds[number]));
	blocks->cnt--;
}

void unwind_blocks_settle(struct unwind_blocks *blocks)
{
	uint32_t empty[UNMADE_AT_ONCE_MAX], empty_cnt = 0, n;
	size_t i;

	unwind_space_settle(&blocks->rows);
	for (i = 0; i < blocks->rows.free.cnt; i++)
		empty_cnt += blocks->rows.free.at[i].cnt == UNWIND_BLOCK_ROWS;
	/* The last ones: the first are filled first. */
	for (n = 0; i > 0 && n < UNMADE_AT_ONCE_MAX; i--) {
		const struct unwind_extent *hole = &blocks->rows.free.at[i - 1];

		if (hole->cnt == UNWIND_BLOCK_ROWS &&
		    empty_cnt - n > spare_cnt(blocks->cnt - empty_cnt))
			empty[n++] = hole->first / UNWIND_BLOCK_ROWS;
	}
	while (n)
		unmake(blocks, empty[--n]);
}
