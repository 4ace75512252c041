/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which tables there are.
 *
 * A table is known by its file's build-id together with where the file's segments are: a program
 * that lies about its build-id gets tables of its own, in memory and on disk.  What is asked for is
 * looked for in memory, then in the disk cache, both at once, then made by the thread
 * (frame_worker.h).  The disk comes first here and not on the thread, because a look there costs
 * less than a sample without a table: 80 us for libc's, 1 ms for libLLVM's.
 *
 * The thread is given a descriptor, and only so many at a time; whoever else waits is kept as a
 * reference to its binary, in the order of asking, and goes to the thread as others come back.
 *
 * Without the thread (no memory, RLIMIT_NPROC) tables are made where they are asked for: late
 * samples are better than none.
 *
 * Entries stay at their address, because callers hold pointers to tables, up to the next trim.
 */
#include "symbolizer/frame_tables.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include <xxhash.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "profiler/base/hashmap.h"
#include "symbolizer/binary.h"
#include "symbolizer/binary_bytes.h"
#include "symbolizer/frame_worker.h"
#include "symbolizer/symbol_cache.h"

#define DEFAULT_HEAP_BYTES_MAX (64ull << 20)
#define ENTRIES_MAX 65536	   /* a host has some thousand files with code */
#define RETRY_NS (10 * NS_PER_SEC) /* after an error that may pass */
#define TRIM_ROWS (1u << 20)	   /* made before the heap is trimmed */

/*
 * Of the rows: raised when other rows are made of the same file.  The form of the bytes has a number
 * of its own in them.
 */
#define TABLE_VERSION 2u

/* What a table is known by; zero-padded. */
struct key {
	uint8_t build_id[ELF_BUILD_ID_MAX];
	uint32_t build_id_bytes; /* 0: it has none */
	uint64_t word;		 /* hash of the segments; without a build-id: binary_id() */
};

struct entry {
	struct key key;
	enum frame_state state;
	int error;		  /* of FRAME_STATE_FAILED */
	uint64_t retry_ns;	  /* when to try again; 0 = never */
	uint64_t used_ns;	  /* when it was asked for last */
	struct frame_bytes bytes; /* of FRAME_STATE_READY */
	struct binary *waiting;	  /* a reference, while it is in `waiting` */
	TAILQ_ENTRY(entry) all, wait;
};

TAILQ_HEAD(entry_queue, entry);

struct frame_tables {
	struct frame_worker *worker; /* NULL: the caller's thread makes them */
	struct symbol_cache *cache;  /* of the caller's thread; NULL = none */
	int event_fd;
	size_t heap_bytes_max;
	struct hashmap by_key;	    /* struct key -> struct entry * */
	struct entry_queue all;	    /* asked for longest ago first */
	struct entry_queue waiting; /* for a place among the thread's requests */
	struct frame_tables_stats stats;
	uint64_t untrimmed_rows;
};

/* ---- opening and closing -------------------------------------------------------------------- */

static struct symbol_cache *open_cache(const struct frame_tables_config *config)
{
	const struct symbol_cache_config folder = { .folder = config->cache_dir };
	struct symbol_cache *cache = NULL;

	if (config->with_cache)
		(void)!symbol_cache_new(&folder, &cache); /* it goes without */
	return cache;
}

int frame_tables_new(const struct frame_tables_config *config, struct frame_tables **ret)
{
	struct frame_tables *tables = calloc(1, sizeof(*tables));

	if (!tables)
		return -ENOMEM;
	tables->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (tables->event_fd < 0) {
		int r = -errno;

		free(tables);
		return r;
	}
	hashmap_init(&tables->by_key, sizeof(struct key), sizeof(struct entry *));
	TAILQ_INIT(&tables->all);
	TAILQ_INIT(&tables->waiting);
	tables->heap_bytes_max = config->heap_bytes_max ? config->heap_bytes_max :
							  DEFAULT_HEAP_BYTES_MAX;
	tables->cache = open_cache(config);
	(void)!frame_worker_start(open_cache(config), tables->event_fd, tables->heap_bytes_max,
				  &tables->worker);
	*ret = tables;
	return 0;
}

static void stop_waiting(struct frame_tables *tables, struct entry *entry)
{
	TAILQ_REMOVE(&tables->waiting, entry, wait);
	binary_put(entry->waiting);
	entry->waiting = NULL;
}

static void forget(struct frame_tables *tables, struct entry *entry)
{
	if (entry->waiting)
		stop_waiting(tables, entry);
	if (entry->state == FRAME_STATE_READY) {
		tables->stats.rows -= entry->bytes.table.row_cnt;
		tables->stats.heap_bytes -= entry->bytes.heap_bytes;
		tables->stats.mapped_bytes -= entry->bytes.entry.map_bytes;
	}
	hashmap_del(&tables->by_key, &entry->key);
	TAILQ_REMOVE(&tables->all, entry, all);
	frame_bytes_release(&entry->bytes);
	free(entry);
}

void frame_tables_free(struct frame_tables *tables)
{
	if (!tables)
		return;
	frame_worker_stop(tables->worker);
	while (!TAILQ_EMPTY(&tables->all))
		forget(tables, TAILQ_FIRST(&tables->all));
	hashmap_free(&tables->by_key);
	symbol_cache_free(tables->cache);
	close(tables->event_fd);
	free(tables);
}

/* ---- what became of an entry ---------------------------------------------------------------- */

static bool may_pass(int error)
{
	return error == -ENOMEM || error == -EMFILE || error == -ENFILE || error == -EIO ||
	       error == -ESTALE || error == -ENOSPC;
}

static void set_failed(struct frame_tables *tables, struct entry *entry, int error)
{
	if (error == -ENODATA) {
		entry->state = FRAME_STATE_NO_INFO;
		tables->stats.no_info++;
		return;
	}
	entry->state = FRAME_STATE_FAILED;
	entry->error = error;
	entry->retry_ns = may_pass(error) ? monotonic_ns() + RETRY_NS : 0;
	tables->stats.failed++;
}

/* Takes over @bytes. */
static void set_ready(struct frame_tables *tables, struct entry *entry,
		      const struct frame_bytes *bytes)
{
	entry->state = FRAME_STATE_READY;
	entry->bytes = *bytes;
	tables->stats.rows += bytes->table.row_cnt;
	tables->stats.heap_bytes += bytes->heap_bytes;
	tables->stats.mapped_bytes += bytes->entry.map_bytes;
}

static void add_census(struct frame_census *sum, const struct frame_census *one)
{
	sum->eh_functions += one->eh_functions;
	sum->debug_functions += one->debug_functions;
	sum->go_functions += one->go_functions;
	sum->rows_met += one->rows_met;
	sum->rows += one->rows;
	sum->rules += one->rules;
	sum->pages += one->pages;
	sum->expressions += one->expressions;
	sum->expression_cfa += one->expression_cfa;
	sum->expression_return_address += one->expression_return_address;
	sum->expression_register += one->expression_register;
	sum->rule_overflow += one->rule_overflow;
	sum->corrupt += one->corrupt;
	sum->overlapping += one->overlapping;
}

static void take_answer(struct frame_tables *tables, struct frame_answer *answer)
{
	struct entry *entry = answer->context;

	tables->stats.build_ns += answer->build_ns;
	if (answer->error) {
		set_failed(tables, entry, answer->error);
		return;
	}
	if (tables->stats.heap_bytes + answer->bytes.heap_bytes > 2 * tables->heap_bytes_max) {
		frame_bytes_release(&answer->bytes);
		set_failed(tables, entry, -ENOSPC);
		return;
	}
	set_ready(tables, entry, &answer->bytes);
	add_census(&tables->stats.census, &answer->census);
	tables->untrimmed_rows += answer->census.rows_met;
	tables->stats.made++;
}

/* ---- making tables -------------------------------------------------------------------------- */

/* What is on disk is of this version, and of these segments. */
static uint64_t stamp_of(const struct key *key)
{
	return key->word * 31 + TABLE_VERSION;
}

static struct elf_build_id cache_key(const struct key *key)
{
	struct elf_build_id id = { .len = (uint8_t)key->build_id_bytes };

	memcpy(id.bytes, key->build_id, sizeof(id.bytes));
	return id;
}

/* It has come or cannot come, or @entry stays pending: -EAGAIN the thread takes no more now. */
static int start(struct frame_tables *tables, struct entry *entry, struct binary *binary)
{
	struct frame_request request = { .context = entry,
					 .key = cache_key(&entry->key),
					 .stamp = stamp_of(&entry->key) };
	struct frame_answer answer;
	int r;

	r = binary_dup_file(binary, &request.fd);
	if (r < 0) {
		set_failed(tables, entry, r);
		return 0;
	}
	if (!tables->worker) {
		answer = frame_work(tables->cache, &request);
		take_answer(tables, &answer);
		return 0;
	}
	if (frame_worker_ask(tables->worker, &request))
		return 0;
	close(request.fd);
	return -EAGAIN;
}

/* The vdso: small, and nowhere to be read from by the thread. */
static void make_of_image(struct frame_tables *tables, struct entry *entry, void *image,
			  size_t size)
{
	struct frame_answer answer = { .context = entry };
	struct elf_file *elf = NULL;

	answer.error = elf_file_open_memory(image, size, &elf, NULL);
	if (!answer.error)
		answer.error = frame_bytes_build(elf, &answer.bytes, &answer.census);
	elf_file_close(elf);
	take_answer(tables, &answer);
}

static void make_table(struct frame_tables *tables, struct entry *entry, struct binary *binary)
{
	struct elf_build_id id = cache_key(&entry->key);
	struct frame_bytes bytes;
	size_t image_bytes;
	void *image = binary_image(binary, &image_bytes);

	entry->state = FRAME_STATE_PENDING;
	if (image) {
		make_of_image(tables, entry, image, image_bytes);
	} else if (frame_bytes_from_cache(tables->cache, &id, stamp_of(&entry->key), &bytes) == 0) {
		set_ready(tables, entry, &bytes);
		tables->stats.from_cache++;
	} else if (!TAILQ_EMPTY(&tables->waiting) || start(tables, entry, binary) == -EAGAIN) {
		entry->waiting = binary_ref(binary);
		TAILQ_INSERT_TAIL(&tables->waiting, entry, wait);
	}
	tables->stats.pending += entry->state == FRAME_STATE_PENDING;
}

/* ---- asking --------------------------------------------------------------------------------- */

static uint64_t hash_segments(const struct binary *binary)
{
	const struct elf_segment *segments;
	size_t i, cnt = binary_segments(binary, &segments);
	uint64_t hash = cnt;

	for (i = 0; i < cnt; i++) {
		const uint64_t words[] = { hash,
					   segments[i].vaddr,
					   segments[i].offset,
					   segments[i].memsz,
					   segments[i].filesz,
					   segments[i].executable };

		hash = XXH3_64bits(words, sizeof(words));
	}
	return hash;
}

static struct key key_of(const struct binary *binary)
{
	const struct elf_build_id *id = binary_build_id_bytes(binary);
	struct key key = {};

	/* What could not be opened has the record's build-id, and no segments. */
	if (!id->len || !binary_is_opened(binary)) {
		key.word = binary_id(binary);
		return key;
	}
	memcpy(key.build_id, id->bytes, id->len);
	key.build_id_bytes = id->len;
	key.word = hash_segments(binary);
	return key;
}

/* NULL: memory is out, or there are far too many. */
static struct entry *add_entry(struct frame_tables *tables, const struct key *key)
{
	struct entry *entry, **place;

	if (tables->by_key.cnt >= ENTRIES_MAX)
		return NULL;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	place = hashmap_put(&tables->by_key, key, NULL);
	if (!place) {
		free(entry);
		return NULL;
	}
	entry->key = *key;
	*place = entry;
	TAILQ_INSERT_TAIL(&tables->all, entry, all);
	return entry;
}

enum frame_state frame_tables_get(struct frame_tables *tables, struct binary *binary,
				  const struct frame_table **ret, int *ret_error)
{
	struct key key = key_of(binary);
	struct entry **place = hashmap_get(&tables->by_key, &key), *entry;
	uint64_t now = monotonic_ns();

	entry = place ? *place : add_entry(tables, &key);
	if (!entry) {
		if (ret_error)
			*ret_error = -ENOMEM;
		return FRAME_STATE_FAILED;
	}
	entry->used_ns = now;
	TAILQ_REMOVE(&tables->all, entry, all);
	TAILQ_INSERT_TAIL(&tables->all, entry, all);
	if (!place ||
	    (entry->state == FRAME_STATE_FAILED && entry->retry_ns && now >= entry->retry_ns))
		make_table(tables, entry, binary);
	if (entry->state == FRAME_STATE_READY)
		*ret = &entry->bytes.table;
	if (entry->state == FRAME_STATE_FAILED && ret_error)
		*ret_error = entry->error;
	return entry->state;
}

int frame_tables_fd(const struct frame_tables *tables)
{
	return tables->event_fd;
}

/* Gives the thread what it has room for; how many turned out to be none. */
static size_t start_waiting(struct frame_tables *tables)
{
	struct entry *entry;
	size_t cnt = 0;

	while ((entry = TAILQ_FIRST(&tables->waiting))) {
		if (start(tables, entry, entry->waiting) == -EAGAIN)
			break;
		stop_waiting(tables, entry);
		cnt += entry->state != FRAME_STATE_PENDING;
	}
	return cnt;
}

/*
 * What large files took stays with the thread's arena otherwise, tens of MB.  Here, not there: at
 * its low priority the thread would hold up whoever allocates.  It takes a millisecond.
 */
static void give_memory_back(struct frame_tables *tables)
{
	if (tables->stats.pending || tables->untrimmed_rows < TRIM_ROWS)
		return;
	malloc_trim(0);
	tables->untrimmed_rows = 0;
}

size_t frame_tables_collect(struct frame_tables *tables)
{
	struct frame_answer answer;
	uint64_t events;
	size_t cnt = 0;

	if (!tables->worker)
		return 0;
	(void)!read(tables->event_fd, &events, sizeof(events)); /* -EAGAIN: nothing new */
	while (frame_worker_fetch(tables->worker, &answer)) {
		take_answer(tables, &answer);
		cnt++;
	}
	cnt += start_waiting(tables);
	tables->stats.pending -= cnt;
	give_memory_back(tables);
	return cnt;
}

size_t frame_tables_wait(struct frame_tables *tables, uint64_t until_ns)
{
	frame_tables_collect(tables);
	while (tables->stats.pending && monotonic_ns() < until_ns) {
		frame_worker_wait(tables->worker, until_ns);
		frame_tables_collect(tables);
	}
	return tables->stats.pending;
}

/* ---- forgetting ----------------------------------------------------------------------------- */

void frame_tables_trim(struct frame_tables *tables, uint64_t before_ns)
{
	struct entry *entry, *next;

	TAILQ_FOREACH(entry, &tables->all, all)
	frame_bytes_unload(&entry->bytes);
	for (entry = TAILQ_FIRST(&tables->all); entry; entry = next) {
		bool is_old = entry->used_ns < before_ns;
		bool is_much = tables->stats.heap_bytes > tables->heap_bytes_max;

		if (!is_old && !is_much)
			break;
		next = TAILQ_NEXT(entry, all);
		if (entry->state != FRAME_STATE_PENDING && (is_old || entry->bytes.heap_bytes))
			forget(tables, entry);
	}
}

void frame_tables_stats(const struct frame_tables *tables, struct frame_tables_stats *ret)
{
	*ret = tables->stats;
}
