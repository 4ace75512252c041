/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files: a table comes in by load and goes by unload.
 *
 * A load first finds room for everything (pages, rows, rules), which can fail and leaves nothing
 * behind then; writes what nothing refers to yet; and makes it known by one store, of the file's
 * state.  An unload is the same store the other way; all else waits for unwind_maps_settle().  What
 * a file holds is kept here in private (some hundred bytes for a file): its pages, runs of rows,
 * and rules.
 */
#include "profiler/collect/unwind_maps.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"
#include "profiler/collect/shared.h"
#include "profiler/collect/unwind_maps_private.h"
#include "profiler/collect/unwind_table.h"

static const char *const map_names[] = { "unwind_processes", "unwind_mappings", "unwind_files",
					 "unwind_pages",     "unwind_rules",	"unwind_blocks",
					 "unwind_cache" };

static uint64_t fixed_bytes(const struct shared_maps *maps)
{
	uint64_t bytes = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(map_names); i++)
		bytes += map_memlock_bytes(shared_maps_fd(maps, map_names[i]));
	return bytes;
}

static int open_array(struct unwind_array *array, struct unwind_space *space,
		      const struct shared_maps *maps, const char *name, size_t value_bytes,
		      uint32_t cnt)
{
	struct bpf_map_info info = {};
	uint32_t info_bytes = sizeof(info);
	int fd = shared_maps_fd(maps, name), err;

	if (fd < 0)
		return fd;
	if (bpf_obj_get_info_by_fd(fd, &info, &info_bytes) != 0)
		return -errno;
	if (info.max_entries != cnt || info.value_size != value_bytes)
		return -EINVAL;
	err = unwind_array_open(array, fd, value_bytes, cnt);
	if (!err && space)
		err = unwind_space_add(space, 0, cnt);
	return err;
}

static int open_maps(struct unwind_maps *unwind, struct shared_maps *maps)
{
	int err;

	unwind->control = shared_maps_control(maps);
	unwind->processes_fd = shared_maps_fd(maps, "unwind_processes");
	unwind->places = calloc(UNWIND_FILES_MAX, sizeof(*unwind->places));
	if (!unwind->places)
		return -ENOMEM;
	err = open_array(&unwind->mappings, &unwind->mapping_space, maps, "unwind_mappings",
			 sizeof(struct unwind_mapping), UNWIND_MAPPINGS_MAX);
	if (!err)
		err = open_array(&unwind->files, &unwind->file_space, maps, "unwind_files",
				 sizeof(struct unwind_file), UNWIND_FILES_MAX);
	if (!err)
		err = open_array(&unwind->pages, &unwind->page_space, maps, "unwind_pages",
				 sizeof(struct unwind_page), UNWIND_PAGES_MAX);
	if (!err)
		err = open_array(&unwind->rule_slots, NULL, maps, "unwind_rules",
				 sizeof(struct unwind_rule), UNWIND_RULES_MAX);
	if (!err)
		err = unwind_rules_init(&unwind->rules, &unwind->rule_slots,
					&unwind->control->rule_generation);
	if (!err)
		err = unwind_blocks_init(&unwind->blocks, shared_maps_fd(maps, "unwind_blocks"),
					 unwind->bytes_max - unwind->fixed_bytes);
	return err;
}

int unwind_maps_new(struct shared_maps *maps, uint64_t bytes_max, struct unwind_maps **ret,
		    struct errmsg *err)
{
	struct unwind_maps *unwind = calloc(1, sizeof(*unwind));
	int code;

	if (!unwind)
		return err_set(err, -ENOMEM, "cannot keep unwind tables");
	unwind->bytes_max = bytes_max;
	unwind->fixed_bytes = fixed_bytes(maps);
	if (bytes_max < unwind->fixed_bytes) {
		code = err_say(err, -ENOSPC, "unwind tables need at least %llu bytes of memory",
			       (unsigned long long)unwind->fixed_bytes);
	} else {
		code = open_maps(unwind, maps);
		if (code)
			err_set(err, code, "cannot keep unwind tables");
	}
	if (code) {
		unwind_maps_free(unwind);
		return code;
	}
	*ret = unwind;
	return 0;
}

void unwind_maps_free(struct unwind_maps *unwind)
{
	uint32_t i;

	if (!unwind)
		return;
	for (i = 0; unwind->places && i < UNWIND_FILES_MAX; i++) {
		free(unwind->places[i].runs.at);
		free(unwind->places[i].rules);
	}
	free(unwind->places);
	unwind_rules_free(&unwind->rules);
	unwind_blocks_free(&unwind->blocks);
	unwind_array_close(&unwind->mappings);
	unwind_array_close(&unwind->files);
	unwind_array_close(&unwind->pages);
	unwind_array_close(&unwind->rule_slots);
	unwind_space_free(&unwind->mapping_space);
	unwind_space_free(&unwind->file_space);
	unwind_space_free(&unwind->page_space);
	free(unwind);
}

/* ---- files ---- */

static struct unwind_file *file_at(const struct unwind_maps *unwind, uint32_t file)
{
	return unwind_array_at(&unwind->files, file);
}

static void store_state(struct unwind_maps *unwind, uint32_t file, enum unwind_file_state state)
{
	unwind->places[file].state = state;
	__atomic_store_n(&file_at(unwind, file)->state, state, __ATOMIC_RELEASE);
}

int unwind_maps_add_file(struct unwind_maps *unwind, uint32_t *ret_file)
{
	struct unwind_extent room;
	struct unwind_file *file;
	int err;

	if (!unwind_space_fit(&unwind->file_space, 1, &room))
		return -ENOSPC;
	err = unwind_array_touch(&unwind->files, room.first, 1, &file);
	if (!err)
		err = unwind_space_take(&unwind->file_space, room.first, 1);
	if (err)
		return err;
	*file = (struct unwind_file){ .state = UNWIND_FILE_ABSENT };
	unwind->places[room.first] = (struct unwind_place){
		.refs = 1,
		.given = unwind->places[room.first].given + 1,
	};
	*ret_file = room.first;
	return 0;
}

uint32_t unwind_maps_file_name(const struct unwind_maps *unwind, uint32_t file)
{
	uint32_t name = unwind->places[file].given * UNWIND_FILES_MAX + file;

	/* Not the number that means none. */
	return name == UNWIND_FILE_NONE ? file : name;
}

void unwind_maps_ref_file(struct unwind_maps *unwind, uint32_t file)
{
	if (unwind_maps_has_file(unwind, file))
		unwind->places[file].refs++;
}

void unwind_maps_put_file(struct unwind_maps *unwind, uint32_t file)
{
	if (!unwind_maps_has_file(unwind, file) || --unwind->places[file].refs)
		return;
	unwind_maps_unload(unwind, file);
	store_state(unwind, file, UNWIND_FILE_ABSENT);
	unwind_space_defer(&unwind->file_space, file, 1);
}

void unwind_maps_set_state(struct unwind_maps *unwind, uint32_t file, enum unwind_file_state state)
{
	if (unwind_maps_has_file(unwind, file) && state != UNWIND_FILE_READY &&
	    unwind->places[file].state != UNWIND_FILE_READY)
		store_state(unwind, file, state);
}

enum unwind_file_state unwind_maps_state(const struct unwind_maps *unwind, uint32_t file)
{
	return unwind_maps_has_file(unwind, file) ? unwind->places[file].state : UNWIND_FILE_ABSENT;
}

uint32_t unwind_maps_used(const struct unwind_maps *unwind, uint32_t file)
{
	return unwind_maps_has_file(unwind, file) ?
		       __atomic_load_n(&file_at(unwind, file)->used, __ATOMIC_RELAXED) :
		       0;
}

uint64_t unwind_maps_file_bytes(const struct unwind_maps *unwind, uint32_t file)
{
	return unwind_maps_has_file(unwind, file) ?
		       (uint64_t)unwind->places[file].row_cnt * sizeof(struct unwind_row) :
		       0;
}

/* ---- load ---- */

static int get_rules(struct unwind_maps *unwind, const struct unwind_table_view *table,
		     uint16_t **ret)
{
	_cleanup_free_ uint16_t *rules = malloc(MAX(table->rule_cnt, 1u) * sizeof(*rules));
	uint32_t i;
	int err;

	if (!rules)
		return -ENOMEM;
	for (i = 0; i < table->rule_cnt; i++) {
		err = unwind_rules_get(&unwind->rules, &table->rules[i], &rules[i]);
		if (err) {
			while (i)
				unwind_rules_put(&unwind->rules, rules[--i]);
			return err;
		}
	}
	*ret = TAKE_PTR(rules);
	return 0;
}

static void put_rules(struct unwind_maps *unwind, struct unwind_place *place)
{
	uint32_t i;

	for (i = 0; i < place->rule_cnt; i++)
		unwind_rules_put(&unwind->rules, place->rules[i]);
	free(TAKE_PTR(place->rules));
	place->rule_cnt = 0;
}

static int take_pages(struct unwind_maps *unwind, uint32_t cnt, uint32_t *ret_first)
{
	struct unwind_extent room = {};
	void *pages;
	int err = 0;

	if (cnt && !unwind_space_fit(&unwind->page_space, cnt, &room))
		return -ENOSPC;
	if (cnt)
		err = unwind_array_touch(&unwind->pages, room.first, cnt, &pages);
	if (cnt && !err)
		err = unwind_space_take(&unwind->page_space, room.first, cnt);
	if (!err)
		*ret_first = room.first;
	return err;
}

/* Rows of the runs, which have them in the table's order. */
static int write_rows(struct unwind_maps *unwind, const struct unwind_place *place,
		      const struct unwind_table_view *table)
{
	uint32_t row = 0;
	size_t i;
	int err = 0;

	for (i = 0; i < place->runs.cnt && !err; i++) {
		const struct unwind_extent *run = &place->runs.at[i];

		err = unwind_blocks_write(&unwind->blocks, run->first, &table->rows[row], run->cnt,
					  place->rules);
		row += run->cnt;
	}
	return err;
}

static void write_pages(struct unwind_maps *unwind, const struct unwind_place *place,
			const struct unwind_table_view *table)
{
	uint32_t i, cnt, used = 0; /* rows of the run */
	size_t run = 0;

	for (i = 0; i < table->page_cnt; i++) {
		struct unwind_page *page = unwind_array_at(&unwind->pages, place->pages + i);
		uint32_t at;

		cnt = unwind_table_page_rows(table, i);
		if (!cnt) {
			*page = (struct unwind_page){};
			continue;
		}
		if (used == place->runs.at[run].cnt) {
			run++;
			used = 0;
		}
		at = place->runs.at[run].first + used;
		*page = (struct unwind_page){
			.block = (uint16_t)(at / UNWIND_BLOCK_ROWS),
			.first_row = (uint16_t)(at % UNWIND_BLOCK_ROWS),
			.row_cnt = cnt,
		};
		used += cnt;
	}
}

/* Blocks come last of what can fail: they cost most. */
static int fill_place(struct unwind_maps *unwind, const struct unwind_table_view *table,
		      struct unwind_place *place)
{
	int err = get_rules(unwind, table, &place->rules);

	if (err)
		return err;
	place->rule_cnt = table->rule_cnt;
	err = take_pages(unwind, table->page_cnt, &place->pages);
	if (!err) {
		place->page_cnt = table->page_cnt;
		err = unwind_blocks_place(&unwind->blocks, table, &place->runs);
	}
	if (!err)
		err = write_rows(unwind, place, table);
	if (err) {
		unwind_blocks_give(&unwind->blocks, &place->runs);
		if (place->page_cnt)
			unwind_space_give(&unwind->page_space, place->pages, place->page_cnt);
		put_rules(unwind, place);
		return err;
	}
	place->row_cnt = table->row_cnt;
	write_pages(unwind, place, table);
	return 0;
}

static uint64_t refused_rows(const struct unwind_table_view *table, const uint16_t *rules)
{
	uint64_t cnt = 0;
	uint32_t i;

	for (i = 0; i < table->row_cnt; i++)
		cnt += rules[table->rows[i].rule] == UNWIND_RULE_FULL;
	return cnt;
}

int unwind_maps_load(struct unwind_maps *unwind, uint32_t file,
		     const struct unwind_table_view *table)
{
	struct unwind_place place, *known;
	struct unwind_file *at;
	int err;

	if (!unwind_maps_has_file(unwind, file))
		return -EINVAL;
	known = &unwind->places[file];
	if (known->state == UNWIND_FILE_READY)
		return -EALREADY;
	if (known->unloaded_at == unwind->settle_cnt + 1)
		return -EAGAIN;
	err = unwind_table_check(table);
	if (err)
		return err;
	place = (struct unwind_place){ .refs = known->refs, .given = known->given };
	err = fill_place(unwind, table, &place);
	if (err)
		return err;
	*known = place;
	unwind->row_cnt += table->row_cnt;
	unwind->rules_refused += refused_rows(table, place.rules);
	at = file_at(unwind, file);
	at->first_page = (uint32_t)table->first_page;
	at->page_cnt = table->page_cnt;
	at->pages = place.pages;
	at->used = unwind->control->unwind_clock;
	store_state(unwind, file, UNWIND_FILE_READY);
	return 0;
}

void unwind_maps_unload(struct unwind_maps *unwind, uint32_t file)
{
	struct unwind_place *place;

	if (file >= UNWIND_FILES_MAX || unwind->places[file].state != UNWIND_FILE_READY)
		return;
	place = &unwind->places[file];
	store_state(unwind, file, UNWIND_FILE_ABSENT);
	if (place->page_cnt)
		unwind_space_defer(&unwind->page_space, place->pages, place->page_cnt);
	unwind_blocks_defer(&unwind->blocks, &place->runs);
	put_rules(unwind, place);
	unwind->row_cnt -= place->row_cnt;
	place->pages = place->page_cnt = place->row_cnt = 0;
	place->unloaded_at = unwind->settle_cnt + 1;
}

/* ---- upkeep ---- */

void unwind_maps_settle(struct unwind_maps *unwind)
{
	unwind_space_settle(&unwind->mapping_space);
	unwind_space_settle(&unwind->file_space);
	unwind_space_settle(&unwind->page_space);
	unwind_blocks_settle(&unwind->blocks);
	unwind_rules_settle(&unwind->rules);
	unwind->settle_cnt++;
}

uint32_t unwind_maps_tick(struct unwind_maps *unwind)
{
	return __atomic_add_fetch(&unwind->control->unwind_clock, 1, __ATOMIC_RELAXED);
}

static uint32_t used_units(const struct unwind_space *space, uint32_t all)
{
	return (uint32_t)(all - space->free_units - space->deferred_units);
}

void unwind_maps_stats(const struct unwind_maps *unwind, struct unwind_maps_stats *ret)
{
	*ret = (struct unwind_maps_stats){
		.bytes = unwind->fixed_bytes + unwind->blocks.cnt * unwind->blocks.block_bytes,
		.bytes_max = unwind->bytes_max,
		.blocks = unwind->blocks.cnt,
		.pages = used_units(&unwind->page_space, UNWIND_PAGES_MAX),
		.rules = unwind->rules.used_cnt,
		.files = used_units(&unwind->file_space, UNWIND_FILES_MAX),
		.lists = unwind->list_cnt,
		.mappings = (uint32_t)unwind->mapping_cnt,
		.rows = unwind->row_cnt,
		.free_rows = unwind->blocks.rows.free_units + unwind->blocks.rows.deferred_units,
		.rules_refused = unwind->rules_refused,
	};
}
