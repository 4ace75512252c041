/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/pipeline/binaries.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"

struct owner_key {
	uint64_t owner, kind;
};

void binaries_init(struct binaries *binaries)
{
	*binaries = (struct binaries){};
	hashmap_init(&binaries->by_owner, sizeof(struct owner_key), sizeof(struct binary_use *));
}

void binaries_free(struct binaries *binaries)
{
	size_t cursor = 0;
	void *value;

	while (hashmap_next(&binaries->by_owner, &cursor, NULL, &value)) {
		struct binary_use *use = *(struct binary_use **)value;

		free(use->path);
		free(use);
	}
	hashmap_free(&binaries->by_owner);
}

static struct binary_use *make_use(struct symbolizer *symbolizer, const struct location *location)
{
	struct binary_use *use = calloc(1, sizeof(*use));

	if (!use)
		return NULL;
	use->kind = location->kind;
	symbolizer_source(symbolizer, location, &use->source);
	use->path = strdup(location->mapping ? location->mapping->filename : "[unknown]");
	if (!use->path) {
		free(use);
		return NULL;
	}
	return use;
}

struct binary_use *binaries_get(struct binaries *binaries, struct symbolizer *symbolizer,
				const struct location *location)
{
	struct owner_key key = { .owner = location->owner, .kind = location->kind };
	struct binary_use **slot, *use;
	bool is_new;

	if (!location->mapping && location->kind != LOCATION_UNKNOWN)
		return NULL;
	slot = hashmap_get(&binaries->by_owner, &key);
	if (slot) {
		if ((*slot)->source.is_poor) /* a perf-map may have come */
			symbolizer_source(symbolizer, location, &(*slot)->source);
		return *slot;
	}
	if (binaries->by_owner.cnt == BINARIES_MAX)
		return &binaries->others;
	use = make_use(symbolizer, location);
	slot = use ? hashmap_put(&binaries->by_owner, &key, &is_new) : NULL;
	if (!slot) {
		if (use)
			free(use->path);
		free(use);
		return NULL;
	}
	*slot = use;
	return use;
}

static const char *path_of(const struct binary_use *use)
{
	return use->path ? use->path : "";
}

static int compare_names(const void *left, const void *right)
{
	const struct binary_use *a = left, *b = right;
	int order = strcmp(path_of(a), path_of(b));

	if (!order)
		order = strcmp(a->source.names_from, b->source.names_from);
	/* Two builds, two runtimes: what would give them names is not the same. */
	if (!order)
		order = strcmp(a->source.build_id, b->source.build_id);
	return order ? order : (int)a->source.runtime - (int)b->source.runtime;
}

static int compare_samples(const void *left, const void *right)
{
	const struct binary_use *a = left, *b = right;

	if (a->samples != b->samples)
		return a->samples < b->samples ? 1 : -1;
	return compare_names(left, right);
}

static size_t sum_equal(struct binary_use *uses, size_t cnt)
{
	size_t i, kept = 0;

	for (i = 0; i < cnt; i++) {
		struct binary_use *last = kept ? &uses[kept - 1] : NULL;

		if (!last || compare_names(last, &uses[i]) != 0) {
			uses[kept++] = uses[i];
			continue;
		}
		last->samples += uses[i].samples;
		last->frames += uses[i].frames;
		last->named += uses[i].named;
		last->stacks += uses[i].stacks;
		last->complete += uses[i].complete;
	}
	return kept;
}

int binaries_list(const struct binaries *binaries, struct binary_use **ret, size_t *ret_cnt)
{
	struct binary_use *uses = calloc(binaries->by_owner.cnt + 1, sizeof(*uses));
	size_t cursor = 0, cnt = 0;
	void *value;

	if (!uses)
		return -ENOMEM;
	while (hashmap_next(&binaries->by_owner, &cursor, NULL, &value))
		uses[cnt++] = **(struct binary_use **)value;
	if (binaries->others.frames)
		uses[cnt++] = binaries->others;
	qsort(uses, cnt, sizeof(*uses), compare_names);
	cnt = sum_equal(uses, cnt);
	qsort(uses, cnt, sizeof(*uses), compare_samples);
	*ret = uses;
	*ret_cnt = cnt;
	return 0;
}
