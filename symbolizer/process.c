/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each pid leads to a chain of images, newest first, that do not overlap in time.
 *
 * The start scan races with the records: what it read at read_ns may be told again by records
 * with earlier stamps.  The rule is: a fork, exec or exit stamped before read_ns was already true
 * when we read, so it only tells when the image began; a mapping is laid over at its own time,
 * which for one that is there changes nothing (mappings.h).
 *
 * The start time that /proc gives is exact to a clock tick.  An image read from /proc therefore
 * begins a little earlier than it says (begin_known is false), so that no sample of its first
 * moment falls out; a record sets it right.
 *
 * An exit record may be the leader's while other threads run on, or be lost.  So an end only
 * serves to forget: a sample behind the end of the newest image is still that image's, unless
 * /proc shows another process under the pid; and process_table_trim() looks at some living
 * images each time whether they still are.
 *
 * Images without mappings of their own share one empty list; a child shares its parent's.
 */
#include "symbolizer/process.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "profiler/base/err.h"
#include "symbolizer/binary.h"
#include "symbolizer/jitdump.h"
#include "symbolizer/mappings.h"
#include "symbolizer/proc_maps.h"
#include "symbolizer/process_map.h"
#include "symbolizer/process_private.h"
#include "symbolizer/process_read.h"

#define KEEP_TEXT_BYTES (1u << 20) /* of the buffer for /proc/PID/maps between reads */
#define CHECKS_PER_TRIM 256	   /* living images looked at by process_table_trim() */
#define REUSE_NS (100 * NS_PER_MS) /* a sample so long after the end may be of another process */

int process_table_new(const char *proc_root, struct binary_cache *binaries,
		      struct process_table **ret)
{
	struct process_table *table = calloc(1, sizeof(*table));

	if (!table)
		return -ENOMEM;
	hashmap_init(&table->newest, sizeof(pid_t), sizeof(struct process *));
	TAILQ_INIT(&table->all);
	table->binaries = binaries;
	table->proc_root = strdup(proc_root);
	if (!table->proc_root || mappings_new(&table->empty) < 0) {
		free(table->proc_root);
		free(table);
		return -ENOMEM;
	}
	table->jit_host.proc_root = table->proc_root;
	*ret = table;
	return 0;
}

struct process *process_find_newest(const struct process_table *table, pid_t tgid)
{
	struct process **newest = hashmap_get(&table->newest, &tgid);

	return newest ? *newest : NULL;
}

/* Adds an image in front of its pid's chain; takes a reference of @mappings. */
static int add_image(struct process_table *table, pid_t tgid, uint64_t begin_ns, bool begin_known,
		     struct mappings *mappings, struct process **ret)
{
	struct process *process, **newest;

	if (table->image_cnt >= PROCESS_IMAGES_MAX)
		return -ENOSPC;
	process = calloc(1, sizeof(*process));
	newest = process ? hashmap_put(&table->newest, &tgid, NULL) : NULL;
	if (!newest) {
		free(process);
		return -ENOMEM;
	}
	process->id = ++table->last_id;
	process->tgid = tgid;
	process->begin_ns = begin_ns;
	process->begin_known = begin_known;
	process->end_ns = ALIVE;
	process->mappings = mappings_ref(mappings);
	process->older = *newest;
	if (process->older)
		process->older->end_ns = MIN(process->older->end_ns, begin_ns);
	*newest = process;
	TAILQ_INSERT_TAIL(&table->all, process, all);
	table->image_cnt++;
	*ret = process;
	return 0;
}

static void remove_image(struct process_table *table, struct process *process)
{
	struct process **link = hashmap_get(&table->newest, &process->tgid);

	while (*link != process)
		link = &(*link)->older;
	*link = process->older;
	if (!process_find_newest(table, process->tgid))
		hashmap_del(&table->newest, &process->tgid);
	TAILQ_REMOVE(&table->all, process, all);
	table->image_cnt--;
	process_jit_free(&table->jit_host, process->jit);
	mappings_unref(process->mappings);
	free(process);
}

void process_table_free(struct process_table *table)
{
	if (!table)
		return;
	while (!TAILQ_EMPTY(&table->all))
		remove_image(table, TAILQ_FIRST(&table->all));
	hashmap_free(&table->newest);
	mappings_unref(table->empty);
	strbuf_free(&table->text);
	free(table->proc_root);
	free(table);
}

/* ---- mappings ---- */

/* The files that name JIT code are opened as soon as something tells of them. */
static void notice_jit(struct process_table *table, struct process *process,
		       const struct binary_request *request, enum mapping_kind kind,
		       uint64_t now_ns)
{
	struct process_jit_query query = {
		.tgid = process->tgid,
		.begin_ns = process->begin_ns,
		.now_ns = now_ns,
	};
	struct jitdump_marker marker = {
		.tgid = request->tgid,
		.start = request->map_start,
		.end = request->map_end,
		.path = request->path,
		.inode = request->inode,
	};

	process_jit_notice_file(&process->jit, &table->jit_host, &marker, &query);
	if (kind == MAPPING_JIT)
		process_jit_notice(&process->jit, &table->jit_host, &query);
}

static int add_mapping(struct process_table *table, struct process *process,
		       const struct binary_request *request, uint64_t offset, uint64_t born_ns,
		       bool *ret_replaced)
{
	struct mapping mapping = {
		.start = request->map_start,
		.end = request->map_end,
		.offset = offset,
		.born_ns = born_ns,
	};
	int r = process_map_file(table->binaries, request, &mapping);

	if (r < 0)
		return r;
	notice_jit(table, process, request, mapping.kind, MAX(born_ns, process->read_ns));
	return mappings_add(&process->mappings, &mapping, ret_replaced);
}

/* Adds what /proc shows now; a list that is full or out of memory stays incomplete. */
static int read_mappings(struct process_table *table, struct process *process, uint64_t now_ns,
			 uint64_t born_ns)
{
	struct proc_map map;
	const char *cursor;
	pid_t tid;
	int r;

	strbuf_clear(&table->text);
	r = process_read_maps(table->proc_root, process->tgid, &table->text, &tid);
	if (r < 0)
		return r;
	process->read_ns = now_ns;
	cursor = table->text.text;
	while (r == 0 && proc_maps_next(&cursor, table->text.text + table->text.len, &map)) {
		struct binary_request request = {
			.tgid = tid,
			.map_start = map.start,
			.map_end = map.end,
			.path = map.path,
			.major = map.major,
			.minor = map.minor,
			.inode = map.inode,
		};

		r = add_mapping(table, process, &request, map.offset, born_ns, NULL);
	}
	if (table->text.capacity > KEEP_TEXT_BYTES)
		strbuf_free(&table->text);
	return r == -ENOSPC ? 0 : r;
}

/* ---- what /proc shows ---- */

/*
 * Reads a process of which nothing is known, or nothing of its present life.
 * @ret_read: 0, or why its mappings could not be read: it is known all the same.
 */
static int read_new(struct process_table *table, pid_t tgid, const struct process_birth *birth,
		    uint64_t now_ns, struct process **ret, int *ret_read)
{
	const struct process *older = process_find_newest(table, tgid);
	uint64_t begin_ns = birth->start_ns > birth->slack_ns ? birth->start_ns - birth->slack_ns :
								0;
	struct process *process;
	int r;

	if (older && older->end_ns != ALIVE)
		begin_ns = MAX(begin_ns, older->end_ns);
	r = add_image(table, tgid, begin_ns, false, table->empty, &process);
	if (r < 0)
		return r;
	process->read_ns = now_ns;
	r = birth->kernel_thread ? 0 : read_mappings(table, process, now_ns, 0);
	if (r == -ENOMEM) {
		remove_image(table, process);
		return r;
	}
	*ret = process;
	*ret_read = r;
	return 0;
}

/* Whether the process that @birth is of began after the image did. */
static bool is_reused(const struct process *process, const struct process_birth *birth)
{
	if (!process->begin_known && !process->read_ns)
		return false; /* begun at a time that we do not know */
	return birth->start_ns > process->begin_ns + 2 * birth->slack_ns;
}

/* -errno also when its mappings cannot be read. */
static int scan_process(struct process_table *table, pid_t tgid, uint64_t now_ns, bool is_listing)
{
	struct process *process = process_find_newest(table, tgid);
	struct process_birth birth;
	int r = process_read_birth(table->proc_root, tgid, &birth), read;

	if (r < 0)
		return r;
	if (process && process->end_ns == ALIVE && !is_reused(process, &birth))
		return read_mappings(table, process, now_ns, now_ns);
	if (birth.kernel_thread && is_listing)
		return 0;
	r = read_new(table, tgid, &birth, now_ns, &process, &read);
	return r < 0 ? r : read;
}

int process_table_scan_one(struct process_table *table, pid_t tgid, uint64_t now_ns)
{
	return scan_process(table, tgid, now_ns, false);
}

int process_table_scan(struct process_table *table, struct errmsg *err)
{
	_cleanup_(dir_closep) DIR *dir = opendir(table->proc_root);
	struct dirent *entry;
	int r;

	if (!dir)
		return err_set(err, -errno, "cannot list '%s'", table->proc_root);
	while ((entry = readdir(dir))) {
		pid_t tgid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (tgid <= 0)
			continue;
		r = scan_process(table, tgid, monotonic_ns(), true);
		if (r == -ENOMEM || r == -ENOSPC)
			return err_set(err, r, "cannot keep the mappings of all processes");
	}
	return 0;
}

/* ---- records ---- */

/* The image that had begun by @time_ns, whatever it has become; NULL: none had. */
static struct process *find_begun(const struct process_table *table, pid_t tgid, uint64_t time_ns)
{
	struct process *process = process_find_newest(table, tgid);

	while (process && process->begin_ns > time_ns)
		process = process->older;
	return process;
}

/* Whether a record of @time_ns tells of what had happened before /proc was read. */
static bool was_seen(const struct process *process, uint64_t time_ns)
{
	return process && process->end_ns == ALIVE && process->read_ns > time_ns;
}

/*
 * The image that /proc showed had begun at @time_ns.  What we know of the pid from before stays
 * an image of its own.
 */
static int learn_begin(struct process_table *table, struct process *process, uint64_t time_ns)
{
	struct process *later;
	int r;

	if (process->begin_known && process->begin_ns < time_ns) {
		r = add_image(table, process->tgid, time_ns, true, process->mappings, &later);
		if (r == 0)
			later->read_ns = process->read_ns;
		return r;
	}
	if (!process->begin_known) {
		process->begin_ns = time_ns;
		process->begin_known = true;
	}
	if (process->older)
		process->older->end_ns = MIN(process->older->end_ns, process->begin_ns);
	return 0;
}

int process_on_fork(struct process_table *table, pid_t tgid, pid_t parent_tgid, uint64_t time_ns)
{
	struct process *process = process_find_newest(table, tgid), *parent;

	if (tgid == parent_tgid)
		return 0;
	if (was_seen(process, time_ns))
		return learn_begin(table, process, time_ns);
	parent = process_find(table, parent_tgid, time_ns);
	return add_image(table, tgid, time_ns, true, parent ? parent->mappings : table->empty,
			 &process);
}

int process_on_exec(struct process_table *table, pid_t tgid, uint64_t time_ns)
{
	struct process *process = process_find_newest(table, tgid);
	int r;

	if (was_seen(process, time_ns))
		return learn_begin(table, process, time_ns);
	r = add_image(table, tgid, time_ns, true, table->empty, &process);
	if (r == 0)
		process->is_exec = true;
	return r;
}

int process_on_exit(struct process_table *table, pid_t tgid, uint64_t time_ns)
{
	struct process *process = find_begun(table, tgid, time_ns);

	if (!process)
		return 0;
	if (was_seen(process, time_ns)) { /* of an earlier process with this pid */
		process->begin_ns = time_ns;
		process->begin_known = false;
	} else {
		process->end_ns = MIN(process->end_ns, time_ns);
	}
	return 0;
}

/* The image that a mapping of @time_ns belongs to, made if there is none. */
static int find_mapper(struct process_table *table, pid_t tgid, uint64_t time_ns,
		       struct process **ret)
{
	struct process *process = find_begun(table, tgid, time_ns);

	if (!process)
		process = process_find_newest(table, tgid);
	if (!process)
		process = process_find(table, tgid, time_ns);
	if (!process)
		return add_image(table, tgid, 0, false, table->empty, ret);
	if (process == process_find_newest(table, tgid) && process->end_ns < time_ns)
		process->end_ns = ALIVE; /* it had not ended: only its leader had */
	*ret = process;
	return 0;
}

int process_on_mmap(struct process_table *table, const struct mmap_event *event, bool *ret_replaced)
{
	struct binary_request request = {
		.tgid = event->tgid,
		.map_start = event->start,
		.map_end = event->start + event->length,
		.path = event->path ? event->path : "",
		.major = event->major,
		.minor = event->minor,
		.inode = event->inode,
		.build_id = event->build_id,
	};
	struct process *process;
	bool replaced = false;
	int r;

	if (request.map_end <= request.map_start)
		return 0;
	r = find_mapper(table, event->tgid, event->time_ns, &process);
	if (r == 0)
		r = add_mapping(table, process, &request, event->offset, event->time_ns, &replaced);
	if (r == 0 && ret_replaced)
		*ret_replaced = replaced;
	return r;
}

/* ---- questions ---- */

/* The process that /proc shows, if it ran at @time_ns and is not @ended living on. */
static struct process *find_in_proc(struct process_table *table, pid_t tgid, uint64_t time_ns,
				    struct process *ended)
{
	struct process_birth birth;
	struct process *process;
	int read;

	if (process_read_birth(table->proc_root, tgid, &birth) < 0 ||
	    birth.start_ns > time_ns + birth.slack_ns)
		return ended;
	if (ended && !is_reused(ended, &birth) && birth.start_ns < ended->end_ns + birth.slack_ns) {
		ended->end_ns = ALIVE; /* the leader's exit was taken for the process's */
		return ended;
	}
	if (read_new(table, tgid, &birth, monotonic_ns(), &process, &read) < 0)
		return ended;
	return process;
}

struct process *process_find(struct process_table *table, pid_t tgid, uint64_t time_ns)
{
	struct process *newest = process_find_newest(table, tgid), *process;

	if (!newest)
		return find_in_proc(table, tgid, time_ns, NULL);
	process = find_begun(table, tgid, time_ns);
	if (process == newest && process->end_ns != ALIVE && process->end_ns + REUSE_NS < time_ns)
		return find_in_proc(table, tgid, time_ns, process);
	return process;
}

/* An exit record that was lost leaves its image for ever: look at a few, in turn. */
static void check_some(struct process_table *table, uint64_t end_ns)
{
	char path[PATH_MAX];
	size_t left = MIN(table->image_cnt, (size_t)CHECKS_PER_TRIM);

	while (left--) {
		struct process *process = TAILQ_FIRST(&table->all);

		TAILQ_REMOVE(&table->all, process, all);
		TAILQ_INSERT_TAIL(&table->all, process, all);
		if (process->end_ns != ALIVE)
			continue;
		snprintf(path, sizeof(path), "%s/%d", table->proc_root, process->tgid);
		if (access(path, F_OK) < 0 && errno == ENOENT)
			process->end_ns = end_ns;
	}
}

void process_table_trim(struct process_table *table, uint64_t before_ns)
{
	struct process *process = TAILQ_FIRST(&table->all);

	while (process) {
		struct process *next = TAILQ_NEXT(process, all);

		if (process->end_ns < before_ns) {
			remove_image(table, process);
		} else {
			mappings_trim(process->mappings, before_ns);
			process_jit_trim(process->jit, before_ns);
		}
		process = next;
	}
	check_some(table, before_ns);
}
