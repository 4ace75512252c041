/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Building a profile: text to string ids, ids to records, records to dense tables.
 *
 * A profile of a busy host has 100,000 stacks of 60 frames, most of whose frames, names and
 * labels were seen before; so every kind of thing is interned (intern.h) and refers to others by
 * 32-bit ids, and adding a known sample allocates nothing.  The alternative, a tree of frames
 * with shared prefixes, would be smaller still; but every encoder needs the flat list of a
 * sample, and at four bytes a frame the lists of such a profile are 24 MB.
 *
 * A call that fails may leave strings, labels or stacks behind that nothing refers to; samples
 * and their values, and the numbering of all that is visible, are as they were.
 */
#include "proto/profile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/strbuf.h"
#include "proto/profile_tables.h"
#include "proto/saturate.h"
#include "proto/utf8.h"

static void init_tables(struct profile *profile)
{
	intern_init(&profile->mappings, INTERN_RECORDS, sizeof(struct mapping_record));
	intern_init(&profile->functions, INTERN_RECORDS, sizeof(struct function_record));
	intern_init(&profile->locations, INTERN_RECORDS, sizeof(struct location_record));
	intern_init(&profile->labels, INTERN_RECORDS, sizeof(struct label_record));
	intern_init(&profile->samples, INTERN_RECORDS, sizeof(struct sample_record));
	intern_init(&profile->line_lists, INTERN_LISTS, sizeof(struct profile_line));
	intern_init(&profile->stacks, INTERN_LISTS, sizeof(uint32_t));
	intern_init(&profile->label_lists, INTERN_LISTS, sizeof(uint32_t));
}

int profile_new(struct profile **ret)
{
	_cleanup_(profile_freep) struct profile *profile = calloc(1, sizeof(*profile));
	int error;

	if (!profile)
		return -ENOMEM;
	init_tables(profile);
	error = strtab_init(&profile->strings);
	if (error < 0)
		return error;
	*ret = TAKE_PTR(profile);
	return 0;
}

void profile_free(struct profile *profile)
{
	if (!profile)
		return;
	strtab_free(&profile->strings);
	intern_free(&profile->mappings);
	intern_free(&profile->functions);
	intern_free(&profile->locations);
	intern_free(&profile->labels);
	intern_free(&profile->samples);
	intern_free(&profile->line_lists);
	intern_free(&profile->stacks);
	intern_free(&profile->label_lists);
	free(profile->comments);
	free(profile->values);
	free(profile->scratch);
	free(profile);
}

void profile_freep(struct profile **profile)
{
	profile_free(*profile);
}

int64_t profile_text(struct profile *profile, const char *text, size_t len)
{
	struct strbuf clean = STRBUF_INIT;
	int64_t id;

	len = strnlen(text, len);
	if (utf8_valid_len(text, len) == len)
		return strtab_add(&profile->strings, text, len);
	utf8_sanitize(text, len, &clean);
	id = clean.failed ? -ENOMEM : strtab_add(&profile->strings, clean.text, clean.len);
	strbuf_free(&clean);
	return id;
}

/* As profile_text(), of a C string; NULL is "". */
static int put_text(struct profile *profile, const char *text, uint32_t *ret)
{
	int64_t id = text ? profile_text(profile, text, strlen(text)) : 0;

	if (id < 0)
		return (int)id;
	*ret = (uint32_t)id;
	return 0;
}

static int put_value_type(struct profile *profile, const char *type, const char *unit,
			  struct value_type *ret)
{
	struct value_type value_type;
	int error;

	if (!type || !*type)
		return -EINVAL;
	error = put_text(profile, type, &value_type.type);
	if (!error)
		error = put_text(profile, unit, &value_type.unit);
	if (!error)
		*ret = value_type;
	return error;
}

int profile_add_sample_type(struct profile *profile, const char *type, const char *unit)
{
	int error;

	if (profile->samples.cnt || profile->type_cnt == PROFILE_VALUES_MAX)
		return -EINVAL;
	error = put_value_type(profile, type, unit, &profile->types[profile->type_cnt]);
	if (error)
		return error;
	profile->type_cnt++;
	return 0;
}

int profile_set_period(struct profile *profile, const char *type, const char *unit, int64_t period)
{
	int error = put_value_type(profile, type, unit, &profile->period_type);

	if (error)
		return error;
	profile->period = period;
	return 0;
}

void profile_set_main_mapping(struct profile *profile, int64_t mapping_id)
{
	if (mapping_id > 0 && (uint64_t)mapping_id <= profile->mappings.cnt)
		profile->main_mapping = (uint32_t)mapping_id;
}

void profile_set_time(struct profile *profile, int64_t time_ns, int64_t duration_ns)
{
	profile->time_ns = time_ns;
	profile->duration_ns = duration_ns;
}

int profile_put_comment(struct profile *profile, uint32_t text)
{
	if (profile->comment_cnt == profile->comment_capacity) {
		size_t capacity = profile->comment_capacity * 2 + 8;
		uint32_t *comments = realloc(profile->comments, capacity * sizeof(*comments));

		if (!comments)
			return -ENOMEM;
		profile->comments = comments;
		profile->comment_capacity = capacity;
	}
	profile->comments[profile->comment_cnt++] = text;
	return 0;
}

int profile_add_comment(struct profile *profile, const char *text)
{
	uint32_t id = 0;
	int error = put_text(profile, text, &id);

	return error ? error : profile_put_comment(profile, id);
}

int64_t profile_add_mapping(struct profile *profile, const struct profile_mapping *mapping)
{
	struct mapping_record record = {
		.start = mapping->start,
		.limit = mapping->limit,
		.offset = mapping->offset,
	};
	int error = put_text(profile, mapping->filename, &record.filename);

	if (!error)
		error = put_text(profile, mapping->build_id, &record.build_id);
	return error ? error : intern_add(&profile->mappings, &record, 1);
}

int64_t profile_add_function(struct profile *profile, const struct profile_function *function)
{
	struct function_record record = { .start_line = function->start_line };
	int error = put_text(profile, function->name, &record.name);

	record.system_name = record.name;
	if (!error && function->system_name)
		error = put_text(profile, function->system_name, &record.system_name);
	if (!error)
		error = put_text(profile, function->filename, &record.filename);
	return error ? error : intern_add(&profile->functions, &record, 1);
}

int64_t profile_put_location(struct profile *profile, const struct location_record *location,
			     const struct profile_line *lines, size_t line_cnt)
{
	struct location_record record = *location;
	int64_t list = intern_add(&profile->line_lists, lines, line_cnt);

	if (list < 0)
		return list;
	record.lines = (uint32_t)list;
	return intern_add(&profile->locations, &record, 1);
}

int64_t profile_add_location(struct profile *profile, int64_t mapping_id, uint64_t address,
			     const struct profile_line *lines, size_t line_cnt)
{
	struct location_record record = { .address = address, .mapping_id = (uint32_t)mapping_id };
	size_t i;

	if (mapping_id < 0 || mapping_id > profile->mappings.cnt || !line_cnt)
		return -EINVAL;
	for (i = 0; i < line_cnt; i++) {
		if (lines[i].function_id < 1 || lines[i].function_id > profile->functions.cnt)
			return -EINVAL;
	}
	return profile_put_location(profile, &record, lines, line_cnt);
}

int64_t profile_put_label(struct profile *profile, const struct label_record *label)
{
	if (!label->key)
		return -EINVAL;
	return intern_add(&profile->labels, label, 1);
}

static int put_label(struct profile *profile, const struct profile_label *label, uint32_t *ret)
{
	struct label_record record = { .is_str = label->str != NULL };
	int error = put_text(profile, label->key, &record.key);
	int64_t id;

	if (!error && label->str)
		error = put_text(profile, label->str, &record.str);
	if (!error && !label->str)
		error = put_text(profile, label->unit, &record.unit);
	if (error)
		return error;
	if (!label->str)
		record.num = label->num;
	id = profile_put_label(profile, &record);
	if (id < 0)
		return (int)id;
	*ret = (uint32_t)id;
	return 0;
}

static uint32_t label_key(const struct profile *profile, uint32_t label_id)
{
	const struct label_record *label = intern_get(&profile->labels, label_id, NULL);

	return label->key;
}

/* Sort by id, so that equal sets are equal lists; -EINVAL if two labels share a key. */
static int order_labels(const struct profile *profile, uint32_t *labels, size_t label_cnt)
{
	size_t i, to;

	for (i = 0; i < label_cnt; i++) {
		uint32_t label = labels[i], key = label_key(profile, label);

		for (to = 0; to < i; to++) {
			if (label_key(profile, labels[to]) == key)
				return -EINVAL;
		}
		for (; to && labels[to - 1] > label; to--)
			labels[to] = labels[to - 1];
		labels[to] = label;
	}
	return 0;
}

/* Room for the values of one more sample, so that nothing fails once it has its id. */
static int reserve_values(struct profile *profile)
{
	size_t need = ((size_t)profile->samples.cnt + 1) * profile->type_cnt;
	size_t capacity = MAX(profile->value_capacity * 3 / 2, need + 16);
	int64_t *values;

	if (need <= profile->value_capacity)
		return 0;
	values = realloc(profile->values, capacity * sizeof(*values));
	if (!values)
		return -ENOMEM;
	profile->values = values;
	profile->value_capacity = capacity;
	return 0;
}

/* List id of the ids, 0 for none. */
static int put_list(struct intern *lists, const uint32_t *ids, size_t cnt, uint32_t *ret)
{
	int64_t list = cnt ? intern_add(lists, ids, cnt) : 0;

	if (list < 0)
		return (int)list;
	*ret = (uint32_t)list;
	return 0;
}

int64_t profile_put_sample(struct profile *profile, const uint32_t *stack, size_t location_cnt,
			   uint32_t *labels, size_t label_cnt, const int64_t *values)
{
	struct sample_record record = {};
	uint32_t known_cnt = profile->samples.cnt;
	int error = order_labels(profile, labels, label_cnt);
	int64_t id, *sums;
	size_t i;

	if (!error)
		error = reserve_values(profile);
	if (!error)
		error = put_list(&profile->stacks, stack, location_cnt, &record.stack);
	if (!error)
		error = put_list(&profile->label_lists, labels, label_cnt, &record.labels);
	if (error)
		return error;
	id = intern_add(&profile->samples, &record, 1);
	if (id < 0)
		return id;
	sums = profile->values + (size_t)(id - 1) * profile->type_cnt;
	if (profile->samples.cnt > known_cnt)
		memset(sums, 0, profile->type_cnt * sizeof(*sums));
	for (i = 0; i < profile->type_cnt; i++)
		sums[i] = add_saturating(sums[i], values[i]);
	return id;
}

/* Location ids checked and narrowed into profile->scratch. */
static int narrow_stack(struct profile *profile, const int64_t *locations, size_t location_cnt)
{
	size_t i;

	if (!profile->scratch) {
		profile->scratch = calloc(PROFILE_FRAMES_MAX, sizeof(*profile->scratch));
		if (!profile->scratch)
			return -ENOMEM;
	}
	for (i = 0; i < location_cnt; i++) {
		if (locations[i] < 1 || locations[i] > profile->locations.cnt)
			return -EINVAL;
		profile->scratch[i] = (uint32_t)locations[i];
	}
	return 0;
}

int64_t profile_add_sample(struct profile *profile, const int64_t *locations, size_t location_cnt,
			   const int64_t *values, const struct profile_label *labels,
			   size_t label_cnt)
{
	uint32_t label_ids[PROFILE_LABELS_MAX];
	size_t i;
	int error;

	if (!profile->type_cnt || location_cnt > PROFILE_FRAMES_MAX ||
	    label_cnt > PROFILE_LABELS_MAX)
		return -EINVAL;
	error = narrow_stack(profile, locations, location_cnt);
	for (i = 0; !error && i < label_cnt; i++)
		error = put_label(profile, &labels[i], &label_ids[i]);
	if (error)
		return error;
	return profile_put_sample(profile, profile->scratch, location_cnt, label_ids, label_cnt,
				  values);
}
