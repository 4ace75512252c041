/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/pipeline/hot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "proto/profile_read.h"

/* Name of a location's innermost function, and its id. */
static uint32_t leaf_function(const struct profile *profile, uint32_t location_id)
{
	struct profile_location_view location;

	profile_location(profile, location_id, &location);
	return location.line_cnt ? (uint32_t)location.lines[0].function_id : 0;
}

/* Copy @name, cut with "..." between two characters of UTF-8. */
static void copy_name(char *to, size_t size, const char *name)
{
	size_t len = strlen(name);

	if (len < size) {
		memcpy(to, name, len + 1);
		return;
	}
	len = size - sizeof("...");
	while (len && ((unsigned char)name[len] & 0xc0) == 0x80)
		len--;
	memcpy(to, name, len);
	strcpy(to + len, "...");
}

static void add_entry(struct hot_entry *entries, size_t *cnt, size_t max, const char *name,
		      uint64_t samples)
{
	size_t at = *cnt;
	struct hot_entry *entry;

	while (at > 0 && entries[at - 1].samples < samples)
		at--;
	if (at >= max)
		return;
	if (*cnt < max)
		(*cnt)++;
	memmove(entries + at + 1, entries + at, (*cnt - at - 1) * sizeof(*entries));
	entry = &entries[at];
	entry->samples = samples;
	copy_name(entry->name, sizeof(entry->name), name);
}

static bool is_note(const char *name)
{
	size_t len = strlen(name);

	return name[0] == '[' && name[len - 1] == ']';
}

int hot_find(const struct profile *profile, struct hot_list *ret)
{
	size_t functions = profile_function_cnt(profile), samples = profile_sample_cnt(profile), id;
	_cleanup_free_ uint64_t *self = calloc(functions + 1, sizeof(*self));
	_cleanup_free_ uint64_t *outermost = calloc(functions + 1, sizeof(*outermost));

	*ret = (struct hot_list){};
	if (!self || !outermost)
		return -ENOMEM;
	for (id = 1; id <= samples; id++) {
		struct profile_sample_view sample;

		profile_sample(profile, id, &sample);
		ret->samples += (uint64_t)sample.values[0];
		if (!sample.location_cnt)
			continue;
		self[leaf_function(profile, sample.locations[0])] += (uint64_t)sample.values[0];
		outermost[leaf_function(profile, sample.locations[sample.location_cnt - 1])] +=
			(uint64_t)sample.values[0];
	}
	for (id = 1; id <= functions; id++) {
		struct profile_function function;

		if (!self[id] && !outermost[id])
			continue;
		profile_function(profile, id, &function);
		if (self[id])
			add_entry(ret->functions, &ret->function_cnt, HOT_FUNCTIONS, function.name,
				  self[id]);
		if (outermost[id] && is_note(function.name))
			add_entry(ret->notes, &ret->note_cnt, HOT_NOTES, function.name,
				  outermost[id]);
	}
	return 0;
}
