/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/pipeline/unwind_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/binary.h"

#define AGE_MIN 10  /* ticks of the clock without a look: the walk's cache hides them for 8 */
#define RETRY_AGE 6 /* ticks until a table that found no room is tried again */

/* symbolizer/ and bpf/ know nothing of each other: what the one makes the other reads as it is. */
_Static_assert(sizeof(struct frame_rule) == sizeof(struct unwind_rule) &&
		       offsetof(struct frame_rule, reg) == offsetof(struct unwind_rule, reg) &&
		       offsetof(struct frame_rule, fp) == offsetof(struct unwind_rule, fp) &&
		       offsetof(struct frame_rule, bx) == offsetof(struct unwind_rule, bx) &&
		       offsetof(struct frame_rule, cfa_offset) ==
			       offsetof(struct unwind_rule, cfa_offset) &&
		       offsetof(struct frame_rule, cfa_add) ==
			       offsetof(struct unwind_rule, cfa_add) &&
		       offsetof(struct frame_rule, fp_offset) ==
			       offsetof(struct unwind_rule, fp_offset) &&
		       offsetof(struct frame_rule, bx_offset) ==
			       offsetof(struct unwind_rule, bx_offset),
	       "equal rules");
_Static_assert(sizeof(struct frame_row) == sizeof(struct unwind_row) &&
		       offsetof(struct frame_row, rule) == offsetof(struct unwind_row, rule),
	       "equal rows");
_Static_assert((int)FRAME_NO_INFO == UNWIND_NO_INFO && (int)FRAME_SP == UNWIND_SP &&
		       (int)FRAME_FP == UNWIND_FP && (int)FRAME_BX == UNWIND_BX &&
		       (int)FRAME_REGISTER == UNWIND_REGISTER &&
		       (int)FRAME_SP_DEREF == UNWIND_SP_DEREF &&
		       (int)FRAME_FP_DEREF == UNWIND_FP_DEREF && (int)FRAME_PLT == UNWIND_PLT &&
		       (int)FRAME_SIGNAL == UNWIND_SIGNAL && (int)FRAME_BOTTOM == UNWIND_BOTTOM &&
		       (int)FRAME_EXPRESSION == UNWIND_EXPRESSION &&
		       (int)FRAME_CORRUPT == UNWIND_CORRUPT &&
		       (int)FRAME_JIT == UNWIND_JIT && (int)FRAME_SP_RETURN == UNWIND_SP_RETURN,
	       "equal kinds of rules");
_Static_assert((int)FRAME_SAME == UNWIND_SAME && (int)FRAME_AT_CFA == UNWIND_AT_CFA &&
		       (int)FRAME_AT_FP == UNWIND_AT_FP && (int)FRAME_LOST == UNWIND_LOST,
	       "equal ways to save a register");
_Static_assert(FRAME_PAGE_BITS == UNWIND_PAGE_BITS, "equal pages");

void unwind_files_init(struct unwind_files *files, struct frame_tables *tables,
		       struct unwind_maps *maps)
{
	*files = (struct unwind_files){ .tables = tables, .maps = maps };
	hashmap_init(&files->by_binary, sizeof(uint64_t), sizeof(struct unwind_binary));
}

static void release_binary(struct unwind_binary *entry)
{
	if (entry->binary)
		binary_put(entry->binary);
	entry->binary = NULL;
}

static void release(struct unwind_files *files, struct unwind_binary *entry)
{
	release_binary(entry);
	files->loaded -= entry->loaded;
	if (entry->file != UNWIND_FILE_NONE)
		unwind_maps_put_file(files->maps, entry->file);
}

void unwind_files_free(struct unwind_files *files)
{
	size_t cursor = 0;
	void *value;

	while (hashmap_next(&files->by_binary, &cursor, NULL, &value))
		release(files, value);
	hashmap_free(&files->by_binary);
}

static struct unwind_binary *get(struct unwind_files *files, struct binary *binary)
{
	uint64_t id = binary_id(binary);
	struct unwind_binary *entry;
	bool is_new;

	entry = hashmap_put(&files->by_binary, &id, &is_new);
	if (entry && is_new) {
		entry->file = UNWIND_FILE_NONE;
		entry->binary_id = id;
	}
	return entry;
}

static int give_place(struct unwind_files *files, struct unwind_binary *entry)
{
	if (entry->file != UNWIND_FILE_NONE)
		return 0;
	return unwind_maps_add_file(files->maps, &entry->file);
}

int unwind_files_index(struct unwind_files *files, struct binary *binary, uint32_t *ret)
{
	struct unwind_binary *entry = get(files, binary);
	int r = entry ? give_place(files, entry) : -ENOMEM;

	if (r < 0)
		return r;
	*ret = entry->file;
	return 0;
}

int unwind_files_rule(struct unwind_files *files, struct binary *binary, uint64_t address,
		      struct unwind_rule *ret)
{
	struct unwind_binary *entry = get(files, binary);
	const struct frame_rule *rule;
	const struct frame_table *table;

	/* What found no room is tried again after a while, not by each stack. */
	if (entry && !entry->wanted && !entry->refused_at) {
		entry->wanted = true;
		entry->binary = binary_ref(binary);
	}
	*ret = (struct unwind_rule){};
	switch (frame_tables_get(files->tables, binary, &table, NULL)) {
	case FRAME_STATE_PENDING:
		return -EAGAIN;
	case FRAME_STATE_READY:
		rule = frame_table_find(table, address);
		if (rule)
			memcpy(ret, rule, sizeof(*ret));
		return 0;
	case FRAME_STATE_NO_INFO:
	case FRAME_STATE_FAILED:
		break;
	}
	return 0;
}

/* ---- into the kernel ---- */

static uint32_t age_of(const struct unwind_files *files, const struct unwind_binary *entry)
{
	return files->clock - unwind_maps_used(files->maps, entry->file);
}

static bool is_idle(const struct unwind_files *files, const struct unwind_binary *entry)
{
	return entry->loaded && age_of(files, entry) >= AGE_MIN;
}

/* The table that walks have not looked at for the longest; NULL: all are in use. */
static struct unwind_binary *find_oldest(struct unwind_files *files)
{
	struct unwind_binary *oldest = NULL;
	size_t cursor = 0;
	void *value;

	while (hashmap_next(&files->by_binary, &cursor, NULL, &value)) {
		struct unwind_binary *entry = value;

		if (is_idle(files, entry) &&
		    (!oldest || age_of(files, entry) > age_of(files, oldest)))
			oldest = entry;
	}
	return oldest;
}

/* Bytes of tables that could make room, what is free already included. */
static uint64_t bytes_within_reach(const struct unwind_files *files)
{
	struct unwind_maps_stats stats;
	size_t cursor = 0;
	uint64_t bytes;
	void *value;

	unwind_maps_stats(files->maps, &stats);
	bytes = stats.bytes_max - MIN(stats.bytes, stats.bytes_max) +
		stats.free_rows * sizeof(struct unwind_row);
	while (hashmap_next(&files->by_binary, &cursor, NULL, &value)) {
		const struct unwind_binary *entry = value;

		if (is_idle(files, entry))
			bytes += unwind_maps_file_bytes(files->maps, entry->file);
	}
	return bytes;
}

/*
 * Take the oldest tables away, @bytes of them.  All at once, because what they had is free only when
 * no walk runs that began before, and to wait for that takes 10 to 30 ms.  False: all are in use.
 */
static bool make_room(struct unwind_files *files, uint64_t bytes)
{
	struct unwind_binary *oldest;
	uint64_t freed = 0;
	bool made = false;

	while (freed < bytes && (oldest = find_oldest(files))) {
		freed += unwind_maps_file_bytes(files->maps, oldest->file);
		unwind_maps_unload(files->maps, oldest->file);
		oldest->loaded = oldest->wanted = false;
		files->loaded--;
		files->evicted++;
		made = true;
	}
	if (made) {
		files->quiesce(files->context);
		unwind_maps_settle(files->maps);
	}
	return made;
}

static int load_table(struct unwind_files *files, struct unwind_binary *entry,
		      const struct frame_table *table)
{
	struct unwind_table_view view = {
		.first_page = table->first_page,
		.page_cnt = table->page_cnt,
		.row_cnt = table->row_cnt,
		.rule_cnt = table->rule_cnt,
		.page_rows = table->page_rows,
		.rows = (const struct unwind_row *)table->rows,
		.rules = (const struct unwind_rule *)table->rules,
	};
	uint64_t bytes = (uint64_t)table->row_cnt * sizeof(*table->rows);
	int r = unwind_maps_load(files->maps, entry->file, &view);

	if (r == -ENOSPC && bytes > bytes_within_reach(files))
		return r; /* nothing is taken away in vain */
	/* Rows of a page lie side by side: what was freed may be too scattered. */
	for (; r == -ENOSPC && make_room(files, bytes); bytes *= 2)
		r = unwind_maps_load(files->maps, entry->file, &view);
	return r;
}

/* Stacks in it say so, until it is tried again. */
static void refuse(struct unwind_files *files, struct unwind_binary *entry,
		   enum unwind_file_state state)
{
	unwind_maps_set_state(files->maps, entry->file, state);
	entry->refused_at = files->clock ? files->clock : 1;
	entry->wanted = false;
}

/* The table of @entry has come, or it is known that there is none. */
static void settle_entry(struct unwind_files *files, struct unwind_binary *entry,
			 enum frame_state state, const struct frame_table *table)
{
	if (state == FRAME_STATE_NO_INFO) {
		unwind_maps_set_state(files->maps, entry->file, UNWIND_FILE_NO_INFO);
	} else if (state == FRAME_STATE_FAILED) {
		refuse(files, entry, UNWIND_FILE_NO_INFO); /* perhaps for want of memory */
	} else if (load_table(files, entry, table) == 0) {
		entry->loaded = true;
		files->loaded++;
	} else {
		refuse(files, entry, UNWIND_FILE_FULL);
		files->refused++;
	}
	release_binary(entry);
}

void unwind_files_load(struct unwind_files *files)
{
	const struct frame_table *table;
	enum frame_state state;
	size_t cursor = 0;
	void *value;

	while (hashmap_next(&files->by_binary, &cursor, NULL, &value)) {
		struct unwind_binary *entry = value;

		if (!entry->binary || give_place(files, entry) < 0)
			continue;
		state = frame_tables_get(files->tables, entry->binary, &table, NULL);
		if (state != FRAME_STATE_PENDING)
			settle_entry(files, entry, state, table);
	}
}

void unwind_files_trim(struct unwind_files *files, bool (*is_known)(void *context, uint64_t binary_id),
		       void *context)
{
	struct hashmap kept;
	size_t cursor = 0;
	void *value;

	files->clock = unwind_maps_tick(files->maps);
	hashmap_init(&kept, sizeof(uint64_t), sizeof(struct unwind_binary));
	while (hashmap_next(&files->by_binary, &cursor, NULL, &value)) {
		struct unwind_binary *entry = value, *copy = NULL;

		if (entry->refused_at && files->clock - entry->refused_at >= RETRY_AGE) {
			entry->refused_at = 0;
			unwind_maps_set_state(files->maps, entry->file, UNWIND_FILE_ABSENT);
		}
		if (entry->binary || is_known(context, entry->binary_id))
			copy = hashmap_put(&kept, &entry->binary_id, NULL);
		if (copy)
			*copy = *entry;
		else
			release(files, entry);
	}
	hashmap_free(&files->by_binary);
	files->by_binary = kept;
}
