/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading a profile: what the encoders and the summary see of it. Ids run from 1 to the count. */
#ifndef EBPFPROF_PROTO_PROFILE_READ_H
#define EBPFPROF_PROTO_PROFILE_READ_H

#include <stddef.h>
#include <stdint.h>

#include "proto/profile.h"

/* Pointers are valid until the next add. */
struct profile_sample_view {
	const uint32_t *locations; /* [location_cnt] leaf first */
	size_t location_cnt;
	const int64_t *values;	/* [profile_value_cnt()] */
	const uint32_t *labels; /* opaque: profile_sample_label() */
	size_t label_cnt;
};

struct profile_location_view {
	uint32_t mapping_id;
	uint64_t address;
	const struct profile_line *lines;
	size_t line_cnt;
};

size_t profile_value_cnt(const struct profile *profile);
size_t profile_sample_cnt(const struct profile *profile);
size_t profile_stack_cnt(const struct profile *profile); /* distinct lists of locations */
size_t profile_mapping_cnt(const struct profile *profile);
size_t profile_function_cnt(const struct profile *profile);
size_t profile_location_cnt(const struct profile *profile);
size_t profile_comment_cnt(const struct profile *profile);

void profile_sample_type(const struct profile *profile, size_t index, const char **ret_type,
			 const char **ret_unit);
int64_t profile_period(const struct profile *profile, const char **ret_type,
		       const char **ret_unit);
void profile_time(const struct profile *profile, int64_t *ret_time_ns, int64_t *ret_duration_ns);
const char *profile_comment(const struct profile *profile, size_t index);
void profile_sample(const struct profile *profile, size_t id, struct profile_sample_view *ret);
void profile_sample_label(const struct profile *profile, const struct profile_sample_view *sample,
			  size_t index, struct profile_label *ret);
void profile_location(const struct profile *profile, size_t id,
		      struct profile_location_view *ret);
void profile_mapping(const struct profile *profile, size_t id, struct profile_mapping *ret);
void profile_function(const struct profile *profile, size_t id, struct profile_function *ret);

/** profile_sample_type_index - column of the type named @type, or -ENOENT */
int profile_sample_type_index(const struct profile *profile, const char *type);

#endif
