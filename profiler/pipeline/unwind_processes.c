/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/pipeline/unwind_processes.h"

#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#include "profiler/base/cleanup.h"
#include "profiler/collect/unwind_maps.h"
#include "profiler/pipeline/unwind_files.h"
#include "symbolizer/process_code.h"
#include "symbolizer/symbolizer.h"

#define USER_END (1ull << 63)			       /* above it: the legacy [vsyscall] page */
#define MAPPINGS_OF_ONE_MAX (UNWIND_MAPPINGS_MAX / 8) /* so that one process cannot take all room */

struct image {
	uint64_t start_boottime_ns;
	uint32_t exec_id;
	bool known;
};

/* What the kernel was told of a process. */
struct published_process {
	struct image image;
	bool has_list;
	uint32_t refused_in; /* the round; 0 = it was not */
	XXH128_hash_t list;  /* key of `lists` */
};

struct changed_process {
	struct image image;
	bool is_new;	 /* by fork or exec: what was published is of an earlier image */
	bool told_since; /* a record came after the image was read */
};

struct shared_list {
	struct unwind_list *list;
	uint32_t users;
};

void unwind_processes_init(struct unwind_processes *processes, struct unwind_maps *maps,
			   struct unwind_files *files, struct symbolizer *symbolizer)
{
	*processes = (struct unwind_processes){
		.maps = maps,
		.files = files,
		.symbolizer = symbolizer,
		.round = 1,
	};
	hashmap_init(&processes->published, sizeof(pid_t), sizeof(struct published_process));
	hashmap_init(&processes->changed, sizeof(pid_t), sizeof(struct changed_process));
	hashmap_init(&processes->lists, sizeof(XXH128_hash_t), sizeof(struct shared_list));
}

void unwind_processes_free(struct unwind_processes *processes)
{
	size_t cursor = 0;
	void *value;

	while (hashmap_next(&processes->lists, &cursor, NULL, &value))
		unwind_maps_put_list(processes->maps, ((struct shared_list *)value)->list);
	hashmap_free(&processes->published);
	hashmap_free(&processes->changed);
	hashmap_free(&processes->lists);
	free(processes->scratch);
}

int unwind_processes_changed(struct unwind_processes *processes, pid_t tgid,
			     enum process_change change)
{
	struct changed_process *changed = hashmap_put(&processes->changed, &tgid, NULL);

	if (!changed)
		return -ENOMEM;
	changed->told_since = true;
	if (change == PROCESS_NEW) {
		changed->is_new = true;
		changed->image.known = false;
	}
	return 0;
}

static int add_one(void *context, pid_t tgid)
{
	return unwind_processes_changed(context, tgid, PROCESS_MAPPED);
}

int unwind_processes_add_all(struct unwind_processes *processes)
{
	return symbolizer_visit_processes(processes->symbolizer, add_one, processes);
}

void unwind_processes_read_images(struct unwind_processes *processes)
{
	size_t cursor = 0;
	const void *key;
	void *value;

	while (hashmap_next(&processes->changed, &cursor, &key, &value)) {
		struct changed_process *changed = value;
		pid_t tgid = *(const pid_t *)key;
		struct published_process *published = hashmap_get(&processes->published, &tgid);
		struct image *image = &changed->image;

		changed->told_since = false;
		image->known = unwind_maps_image(processes->maps, tgid, &image->start_boottime_ns,
						 &image->exec_id);
		/* Without hooks: mappings of an image that a sample told of.  With them it has gone. */
		if (!processes->has_hooks && !image->known && published && !changed->is_new)
			*image = published->image;
	}
}

/* ---- lists ---- */

static void drop_list(struct unwind_processes *processes, struct published_process *published)
{
	struct shared_list *shared;

	if (!published->has_list)
		return;
	published->has_list = false;
	shared = hashmap_get(&processes->lists, &published->list);
	if (!shared || --shared->users)
		return;
	unwind_maps_put_list(processes->maps, shared->list);
	hashmap_del(&processes->lists, &published->list);
}

static struct unwind_mapping *next_scratch(struct unwind_processes *processes, size_t cnt)
{
	size_t capacity = processes->scratch_capacity;
	void *scratch;

	if (cnt < capacity)
		return &processes->scratch[cnt];
	capacity = capacity ? capacity * 2 : 256;
	scratch = realloc(processes->scratch, capacity * sizeof(*processes->scratch));
	if (!scratch)
		return NULL;
	processes->scratch = scratch;
	processes->scratch_capacity = capacity;
	return &processes->scratch[cnt];
}

/*
 * @region as the kernel wants it.  False: it is left out, so that the walk does not know it and its
 * frames are unwound here: of a file without a place (as UNWIND_FILE_NONE it would pass for code made
 * at run time), and what the kernel's search cannot compare.  -ENOMEM
 */
static int describe(struct unwind_processes *processes, const struct code_region *region,
		    struct unwind_mapping *ret)
{
	int r;

	*ret = (struct unwind_mapping){
		.start = region->start,
		.end = region->end,
		.bias = region->bias,
		.file = UNWIND_FILE_NONE,
	};
	if (region->end > USER_END)
		return false;
	r = region->binary ? unwind_files_index(processes->files, region->binary, &ret->file) : 0;
	return r == -ENOMEM ? r : r == 0;
}

/* The living mappings of @process in `scratch`; how many, or -errno. */
static ssize_t collect_mappings(struct unwind_processes *processes, const struct process *process)
{
	struct code_region region;
	size_t cursor = 0, cnt = 0;

	while (process_next_code(process, &cursor, &region)) {
		struct unwind_mapping *mapping = next_scratch(processes, cnt);
		int r = mapping ? describe(processes, &region, mapping) : -ENOMEM;

		if (r < 0)
			return r;
		if (r && cnt == MAPPINGS_OF_ONE_MAX)
			return -ENOSPC;
		cnt += (size_t)r;
	}
	return (ssize_t)cnt;
}

/* What was given up is free once no walk reads it any more: waited for once a tick at most. */
static bool make_room(struct unwind_processes *processes)
{
	if (processes->made_room || !unwind_maps_has_deferred_mappings(processes->maps))
		return false;
	processes->made_room = true;
	processes->files->quiesce(processes->files->context);
	unwind_maps_settle(processes->maps);
	return true;
}

/* The list of what is in `scratch`, one more user of it. */
static int share_list(struct unwind_processes *processes, size_t cnt,
		      struct published_process *published, struct unwind_list **ret)
{
	/* Seeded: programs choose their addresses, and must not share another's list by design. */
	XXH128_hash_t key = XXH3_128bits_withSeed(
		processes->scratch, cnt * sizeof(*processes->scratch), hash_bytes("", 0));
	struct shared_list *shared;
	bool is_new;
	int r;

	shared = hashmap_put(&processes->lists, &key, &is_new);
	if (!shared)
		return -ENOMEM;
	if (is_new) {
		r = unwind_maps_add_list(processes->maps, processes->scratch, cnt, &shared->list);
		if (r == -ENOSPC && make_room(processes))
			r = unwind_maps_add_list(processes->maps, processes->scratch, cnt,
						 &shared->list);
		if (r < 0) {
			hashmap_del(&processes->lists, &key);
			return r;
		}
	}
	shared->users++;
	published->list = key;
	published->has_list = true;
	*ret = shared->list;
	return 0;
}

/* ---- publishing ---- */

static bool is_same_image(const struct image *left, const struct image *right)
{
	return left->start_boottime_ns == right->start_boottime_ns &&
	       left->exec_id == right->exec_id;
}

/* 0 also when there is no room: the process stays unknown to the kernel, its samples travel whole. */
static int publish(struct unwind_processes *processes, pid_t tgid, const struct process *process,
		   const struct image *image)
{
	struct published_process *published = hashmap_get(&processes->published, &tgid);
	struct published_process next = { .image = *image };
	struct unwind_list *list = NULL;
	ssize_t cnt;
	int r;

	if (published && published->refused_in == processes->round &&
	    is_same_image(&published->image, image))
		return 0;
	cnt = collect_mappings(processes, process);
	if (cnt == 0 || cnt == -ENOMEM)
		return (int)cnt;
	published = hashmap_put(&processes->published, &tgid, NULL);
	if (!published)
		return -ENOMEM;
	r = cnt < 0 ? (int)cnt : share_list(processes, (size_t)cnt, &next, &list);
	if (r == 0)
		r = unwind_maps_publish(processes->maps, tgid, image->start_boottime_ns,
					image->exec_id, processes->applied_ns, list);
	if (r < 0) {
		if (r != -ENOMEM) {
			processes->refused += !published->refused_in;
			next.refused_in = processes->round;
		}
		drop_list(processes, &next);
		if (unwind_maps_publish(processes->maps, tgid, image->start_boottime_ns,
					image->exec_id, processes->applied_ns, NULL) < 0)
			unwind_maps_forget(processes->maps, tgid);
	}
	drop_list(processes, published);
	*published = next;
	return r == -ENOMEM ? r : 0;
}

int unwind_processes_seen(struct unwind_processes *processes, pid_t tgid,
			  uint64_t start_boottime_ns, uint32_t exec_id, uint64_t time_ns)
{
	struct published_process *published = hashmap_get(&processes->published, &tgid);
	struct image image = { start_boottime_ns, exec_id, true };
	struct process *process;

	if (processes->is_behind)
		return 0;
	if (published && published->has_list && is_same_image(&published->image, &image))
		return 0; /* a table was missing, or a mapping that a record will tell of */
	process = symbolizer_process(processes->symbolizer, tgid, time_ns);
	if (!process || !process_is_alive(process))
		return 0;
	return publish(processes, tgid, process, &image);
}

static void forget_published(struct unwind_processes *processes, pid_t tgid)
{
	struct published_process *published = hashmap_get(&processes->published, &tgid);

	if (!published)
		return;
	unwind_maps_forget(processes->maps, tgid);
	drop_list(processes, published);
	hashmap_del(&processes->published, &tgid);
}

int unwind_processes_publish(struct unwind_processes *processes, uint64_t applied_ns)
{
	struct hashmap later;
	size_t cursor = 0;
	const void *key;
	void *value;
	int err = 0;

	processes->applied_ns = applied_ns;
	processes->is_behind = processes->made_room = false;
	hashmap_init(&later, sizeof(pid_t), sizeof(struct changed_process));
	while (!err && hashmap_next(&processes->changed, &cursor, &key, &value)) {
		struct changed_process *changed = value, *kept;
		pid_t tgid = *(const pid_t *)key;
		struct process *process;

		if (changed->told_since) {
			kept = hashmap_put(&later, &tgid, NULL);
			if (!kept)
				err = -ENOMEM;
			else
				*kept = *changed;
			continue;
		}
		if (!changed->image.known) {
			/* Gone, or (without hooks) its first sample will tell. */
			if (processes->has_hooks)
				forget_published(processes, tgid);
			continue;
		}
		process = symbolizer_process(processes->symbolizer, tgid, applied_ns);
		if (process && process_is_alive(process))
			err = publish(processes, tgid, process, &changed->image);
	}
	if (err) { /* to be published twice does no harm */
		hashmap_free(&later);
		return err;
	}
	hashmap_free(&processes->changed);
	processes->changed = later;
	return 0;
}

void unwind_processes_lost(struct unwind_processes *processes)
{
	processes->is_behind = true;
}

void unwind_processes_settled(struct unwind_processes *processes)
{
	if (++processes->round == 0)
		processes->round = 1;
}

void unwind_processes_forget(struct unwind_processes *processes, pid_t tgid)
{
	hashmap_del(&processes->changed, &tgid);
	forget_published(processes, tgid);
}
