/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "proto/profile_read.h"
#include "proto/profile_tables.h"

static const char *text_of(const struct profile *profile, uint32_t id)
{
	return strtab_get(&profile->strings, id, NULL);
}

/* As text_of(), with NULL for the empty string. */
static const char *text_or_null(const struct profile *profile, uint32_t id)
{
	return id ? text_of(profile, id) : NULL;
}

size_t profile_value_cnt(const struct profile *profile)
{
	return profile->type_cnt;
}

size_t profile_sample_cnt(const struct profile *profile)
{
	return profile->samples.cnt;
}

size_t profile_stack_cnt(const struct profile *profile)
{
	return profile->stacks.cnt;
}

size_t profile_mapping_cnt(const struct profile *profile)
{
	return profile->mappings.cnt;
}

size_t profile_function_cnt(const struct profile *profile)
{
	return profile->functions.cnt;
}

size_t profile_location_cnt(const struct profile *profile)
{
	return profile->locations.cnt;
}

size_t profile_comment_cnt(const struct profile *profile)
{
	return profile->comment_cnt;
}

void profile_sample_type(const struct profile *profile, size_t index, const char **ret_type,
			 const char **ret_unit)
{
	*ret_type = text_of(profile, profile->types[index].type);
	*ret_unit = text_of(profile, profile->types[index].unit);
}

int64_t profile_period(const struct profile *profile, const char **ret_type, const char **ret_unit)
{
	*ret_type = text_of(profile, profile->period_type.type);
	*ret_unit = text_of(profile, profile->period_type.unit);
	return profile->period;
}

void profile_time(const struct profile *profile, int64_t *ret_time_ns, int64_t *ret_duration_ns)
{
	*ret_time_ns = profile->time_ns;
	*ret_duration_ns = profile->duration_ns;
}

const char *profile_comment(const struct profile *profile, size_t index)
{
	return text_of(profile, profile->comments[index]);
}

/* The ids of a list; 0 = the empty list. */
static const uint32_t *list_of(const struct intern *lists, uint32_t id, size_t *ret_cnt)
{
	*ret_cnt = 0;
	return id ? intern_get(lists, id, ret_cnt) : NULL;
}

void profile_sample(const struct profile *profile, size_t id, struct profile_sample_view *ret)
{
	const struct sample_record *sample = intern_get(&profile->samples, (uint32_t)id, NULL);

	ret->locations = list_of(&profile->stacks, sample->stack, &ret->location_cnt);
	ret->labels = list_of(&profile->label_lists, sample->labels, &ret->label_cnt);
	ret->values = profile->values + (id - 1) * profile->type_cnt;
}

void profile_sample_label(const struct profile *profile, const struct profile_sample_view *sample,
			  size_t index, struct profile_label *ret)
{
	const struct label_record *label =
		intern_get(&profile->labels, sample->labels[index], NULL);

	*ret = (struct profile_label){
		.key = text_of(profile, label->key),
		.str = label->is_str ? text_of(profile, label->str) : NULL,
		.num = label->num,
		.unit = text_or_null(profile, label->unit),
	};
}

void profile_location(const struct profile *profile, size_t id, struct profile_location_view *ret)
{
	const struct location_record *location =
		intern_get(&profile->locations, (uint32_t)id, NULL);

	ret->mapping_id = location->mapping_id;
	ret->address = location->address;
	ret->lines = intern_get(&profile->line_lists, location->lines, &ret->line_cnt);
}

void profile_mapping(const struct profile *profile, size_t id, struct profile_mapping *ret)
{
	const struct mapping_record *mapping = intern_get(&profile->mappings, (uint32_t)id, NULL);

	*ret = (struct profile_mapping){
		.start = mapping->start,
		.limit = mapping->limit,
		.offset = mapping->offset,
		.filename = text_of(profile, mapping->filename),
		.build_id = text_or_null(profile, mapping->build_id),
	};
}

void profile_function(const struct profile *profile, size_t id, struct profile_function *ret)
{
	const struct function_record *function =
		intern_get(&profile->functions, (uint32_t)id, NULL);

	*ret = (struct profile_function){
		.name = text_of(profile, function->name),
		.system_name = text_of(profile, function->system_name),
		.filename = text_or_null(profile, function->filename),
		.start_line = function->start_line,
	};
}

int profile_sample_type_index(const struct profile *profile, const char *type)
{
	size_t i;

	for (i = 0; i < profile->type_cnt; i++) {
		if (strcmp(text_of(profile, profile->types[i].type), type) == 0)
			return (int)i;
	}
	return -ENOENT;
}

size_t profile_bytes(const struct profile *profile)
{
	return sizeof(*profile) + strtab_bytes(&profile->strings) +
	       intern_bytes(&profile->mappings) + intern_bytes(&profile->functions) +
	       intern_bytes(&profile->locations) + intern_bytes(&profile->labels) +
	       intern_bytes(&profile->samples) + intern_bytes(&profile->line_lists) +
	       intern_bytes(&profile->stacks) + intern_bytes(&profile->label_lists) +
	       profile->comment_capacity * sizeof(*profile->comments) +
	       profile->value_capacity * sizeof(*profile->values) +
	       (profile->scratch ? PROFILE_FRAMES_MAX * sizeof(*profile->scratch) : 0);
}
