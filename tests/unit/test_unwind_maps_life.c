/* SPDX-License-Identifier: BSD-2-Clause */
/* Tables that come and go for long, and what fails on the way; needs CAP_BPF. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"
#include "profiler/collect/unwind_maps.h"
#include "tests/unit/fail_malloc.h"
#include "tests/unit/unwind_fixture.h"
#include "tests/unit/unwind_reader.h"

#define SMALL_BLOCKS 12u
#define BLOCK_BYTES (sizeof(struct unwind_block) + 4096)
#define FILES 60u
#define STEPS 1000u
#define MIB (1024ull * 1024)
#define FEW_BLOCKS 2u

struct held_file {
	uint32_t file;
	bool is_held, is_ready;
	struct unwind_table_view table;
};

/* Taken away, and not settled yet: a walk under way finds it as it was. */
struct ghost {
	struct unwind_file at;
	struct unwind_table_view table;
};

struct life {
	struct shared_maps *maps;
	struct unwind_maps *unwind;
	struct random_numbers random;
	struct held_file held[FILES];
	struct ghost ghosts[STEPS];
	uint32_t ghost_cnt;
	uint32_t refused;
	uint64_t lost_most; /* rows that found no room although so many were free */
};

static int set_up(void **state)
{
	struct life *life = calloc(1, sizeof(*life));
	struct errmsg err = {};

	*state = life;
	life->random.state = 11;
	life->maps = reader_maps();
	if (life->maps && unwind_maps_new(life->maps, 64 * MIB, &life->unwind, &err) != 0)
		fail_msg("%s", err.text);
	return 0;
}

/* Room for some blocks only. */
static int set_up_small(void **state)
{
	struct unwind_maps_stats stats;
	struct life *life;

	set_up(state);
	life = *state;
	if (!life->maps)
		return 0;
	unwind_maps_stats(life->unwind, &stats);
	unwind_maps_free(life->unwind);
	return unwind_maps_new(life->maps, stats.bytes + SMALL_BLOCKS * BLOCK_BYTES, &life->unwind,
			       NULL);
}

static int tear_down(void **state)
{
	struct life *life = *state;
	uint32_t i;

	for (i = 0; i < FILES; i++)
		table_free(&life->held[i].table);
	unwind_maps_free(life->unwind);
	shared_maps_free(life->maps);
	free(life);
	return 0;
}

#define life_of(state)                                                                             \
	({                                                                                         \
		struct life *_life = *(state);                                                     \
		if (!_life->maps)                                                                  \
			skip();                                                                    \
		_life;                                                                             \
	})

static struct unwind_table_view random_table(struct life *life)
{
	bool is_large = random_below(&life->random, 10) == 0;
	const struct table_shape shape = {
		.page_cnt = 1 + random_below(&life->random, is_large ? 200 : 20),
		.page_rows_max = 1 + random_below(&life->random, 6000),
		.rule_cnt = 2 + random_below(&life->random, 500),
		.first_rule = random_below(&life->random, 60000),
		.full_page = random_below(&life->random, 60) ? UINT32_MAX : 0,
	};

	return table_make(&life->random, &shape);
}

static void settle(struct life *life)
{
	uint32_t i;

	for (i = 0; i < life->ghost_cnt; i++) {
		reader_check_rows(life->maps, &life->ghosts[i].at, &life->ghosts[i].table);
		table_free(&life->ghosts[i].table);
	}
	life->ghost_cnt = 0;
	unwind_maps_settle(life->unwind);
}

static void let_go(struct life *life, struct held_file *held)
{
	if (held->is_ready) {
		struct unwind_file at = reader_file(life->maps, held->file);

		life->ghosts[life->ghost_cnt++] = (struct ghost){ at, held->table };
		held->table = (struct unwind_table_view){};
		held->is_ready = false;
	}
	if (random_below(&life->random, 2)) {
		unwind_maps_unload(life->unwind, held->file);
		return;
	}
	unwind_maps_put_file(life->unwind, held->file);
	held->is_held = false;
}

static uint64_t rows_of_all(const struct life *life)
{
	uint64_t rows = 0;
	uint32_t i;

	for (i = 0; i < FILES; i++)
		rows += life->held[i].is_ready ? life->held[i].table.row_cnt : 0;
	return rows;
}

static void load(struct life *life, struct held_file *held)
{
	uint64_t room;
	int err;

	if (!held->is_held) {
		assert_int_equal(unwind_maps_add_file(life->unwind, &held->file), 0);
		held->is_held = true;
	}
	table_free(&held->table);
	held->table = random_table(life);
	err = unwind_maps_load(life->unwind, held->file, &held->table);
	if (err == -EAGAIN)
		return;
	if (err == -ENOSPC) {
		settle(life);
		err = unwind_maps_load(life->unwind, held->file, &held->table);
	}
	if (err) {
		assert_int_equal(err, -ENOSPC);
		life->refused++;
		room = SMALL_BLOCKS * UNWIND_BLOCK_ROWS - rows_of_all(life);
		/* A full page asks for an empty block. */
		if (room > held->table.row_cnt && held->table.page_rows[1] < UNWIND_BLOCK_ROWS)
			life->lost_most = MAX(life->lost_most, room - held->table.row_cnt);
		return;
	}
	held->is_ready = true;
	reader_check(life->maps, held->file, &held->table);
}

static void check_all(struct life *life)
{
	struct unwind_maps_stats stats;
	uint32_t i;

	unwind_maps_stats(life->unwind, &stats);
	assert_int_equal(stats.rows, rows_of_all(life));
	assert_true(stats.bytes <= stats.bytes_max);
	for (i = 0; i < FILES; i++)
		if (life->held[i].is_ready)
			reader_check(life->maps, life->held[i].file, &life->held[i].table);
}

static void test_a_thousand_loads_and_unloads_leave_nothing(void **state)
{
	struct life *life = life_of(state);
	struct unwind_maps_stats at_first, stats;
	uint32_t step, i;

	unwind_maps_stats(life->unwind, &at_first);
	for (step = 0; step < STEPS; step++) {
		struct held_file *held = &life->held[random_below(&life->random, FILES)];

		if (held->is_ready)
			let_go(life, held);
		else
			load(life, held);
		if (random_below(&life->random, 12) == 0)
			settle(life);
		if (step % 100 == 0)
			check_all(life);
	}
	check_all(life);
	print_message("%u tables refused; one with %.2f blocks of rows free besides its own\n",
		      life->refused, (double)life->lost_most / UNWIND_BLOCK_ROWS);
	assert_true(life->refused > 10);
	assert_true(life->lost_most < FEW_BLOCKS * UNWIND_BLOCK_ROWS);
	for (i = 0; i < FILES; i++)
		if (life->held[i].is_held)
			unwind_maps_put_file(life->unwind, life->held[i].file);
	settle(life);
	for (i = 0; i < 100; i++)
		unwind_maps_settle(life->unwind);
	unwind_maps_stats(life->unwind, &stats);
	stats.rules_refused = at_first.rules_refused;
	assert_memory_equal(&stats, &at_first, sizeof(stats));
}

static uint32_t open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	uint32_t cnt = 0;

	assert_non_null(dir);
	while (readdir(dir))
		cnt++;
	closedir(dir);
	return cnt;
}

/* The number of the next descriptor that is made. */
static rlim_t next_fd(void)
{
	int fd = dup(0);

	assert_true(fd >= 0);
	close(fd);
	return (rlim_t)fd;
}

static void test_descriptors_that_run_out_refuse_a_table(void **state)
{
	struct life *life = life_of(state);
	const struct table_shape shape = {
		.page_cnt = 60, .page_rows_max = 60000, .rule_cnt = 5, .full_page = 3
	};
	struct unwind_table_view table = table_make(&life->random, &shape);
	struct unwind_maps_stats before, after;
	struct rlimit limit, tight;
	uint32_t file, fds;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(unwind_maps_add_file(life->unwind, &file), 0);
	unwind_maps_stats(life->unwind, &before);
	fds = open_fds();
	tight = (struct rlimit){ next_fd() + 4, limit.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	assert_int_equal(unwind_maps_load(life->unwind, file, &table), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	unwind_maps_stats(life->unwind, &after);
	assert_memory_equal(&after, &before, sizeof(after));
	assert_int_equal(open_fds(), fds);
	assert_int_equal(unwind_maps_load(life->unwind, file, &table), 0);
	reader_check(life->maps, file, &table);
	table_free(&table);
}

/* All of it, with one allocation failing; what was refused has changed nothing. */
static bool live_with_failure(struct life *life, long n, const struct unwind_table_view *table)
{
	const struct unwind_mapping mapping = { 0x1000, 0x2000, 0, UNWIND_FILE_NONE, 0 };
	struct unwind_maps_stats before, after;
	struct unwind_maps *unwind = NULL;
	struct unwind_list *list = NULL;
	uint32_t file;
	bool hit;

	fail_malloc_at(n);
	if (unwind_maps_new(life->maps, 64 * MIB, &unwind, NULL) != 0)
		return fail_malloc_hit();
	if (unwind_maps_add_file(unwind, &file) != 0) {
		hit = fail_malloc_hit();
		unwind_maps_free(unwind);
		return hit;
	}
	unwind_maps_stats(unwind, &before);
	if (unwind_maps_load(unwind, file, table) != 0) {
		unwind_maps_stats(unwind, &after);
		assert_memory_equal(&after, &before, sizeof(after));
		assert_int_equal(unwind_maps_load(unwind, file, table), 0);
	}
	if (unwind_maps_add_list(unwind, &mapping, 1, &list) == 0)
		unwind_maps_put_list(unwind, list);
	hit = fail_malloc_hit();
	assert_true(hit || list);
	reader_check(life->maps, file, table);
	unwind_maps_free(unwind);
	return hit;
}

static void test_survives_each_failed_allocation(void **state)
{
	struct life *life = life_of(state);
	const struct table_shape shape = {
		.page_cnt = 30, .page_rows_max = 60000, .rule_cnt = 40, .full_page = UINT32_MAX
	};
	struct unwind_table_view table = table_make(&life->random, &shape);
	long n = 1;

	while (live_with_failure(life, n, &table))
		n++;
	assert_true(n > 15);
	table_free(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_thousand_loads_and_unloads_leave_nothing,
						set_up_small, tear_down),
		cmocka_unit_test_setup_teardown(test_descriptors_that_run_out_refuse_a_table,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_survives_each_failed_allocation, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
