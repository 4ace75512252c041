/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of struct profile, for the files of proto/ that build it or encode it whole.
 * Everyone else uses profile.h.
 *
 * Strings, mappings, functions, locations and samples carry here the ids that they have on the
 * wire.  A stack and a set of labels are lists of their own, because the threads and windows of
 * one program share them: a sample is two 32-bit ids and its values.
 *
 * The records below are compared as bytes: none may have padding.
 */
#ifndef EBPFPROF_PROTO_PROFILE_TABLES_H
#define EBPFPROF_PROTO_PROFILE_TABLES_H

#include "profiler/base/strtab.h"
#include "proto/intern.h"
#include "proto/profile.h"

/* Fields without a unit in their comment are string ids; string 0 is "". */
struct value_type {
	uint32_t type, unit;
};

struct mapping_record {
	uint64_t start, limit, offset;
	uint32_t filename, build_id;
};

struct function_record {
	int64_t start_line;
	uint32_t name, system_name, filename;
	uint32_t reserved; /* 0 */
};

struct location_record {
	uint64_t address;
	uint32_t mapping_id;
	uint32_t lines; /* list id */
};

struct label_record {
	int64_t num;
	uint32_t key, str, unit;
	uint32_t is_str; /* 1: str counts, else num and unit */
};

struct sample_record {
	uint32_t stack;	 /* list id; 0 = no frames */
	uint32_t labels; /* list id; 0 = none */
};

struct profile {
	struct strtab strings;
	struct value_type types[PROFILE_VALUES_MAX];
	size_t type_cnt;
	struct value_type period_type; /* type 0 = not set */
	int64_t period, time_ns, duration_ns;
	uint32_t *comments; /* [comment_cnt] string ids */
	size_t comment_cnt, comment_capacity;
	struct intern mappings, functions, locations, labels, samples; /* the records above */
	struct intern line_lists;				       /* of struct profile_line */
	struct intern stacks;	   /* lists of uint32_t location ids, leaf first */
	struct intern label_lists; /* lists of uint32_t label ids, ascending */
	int64_t *values;	   /* [samples.cnt][type_cnt] */
	size_t value_capacity;
	uint32_t main_mapping; /* 0 = none: the wire's order is ours */
	uint32_t *scratch; /* [PROFILE_FRAMES_MAX] once a sample was added */
};

/**
 * profile_text - string id of @len bytes up to the first NUL, made valid UTF-8; or -errno
 *
 * The profile_put_*() add what the profile_add_*() of the same name add, from string and list
 * ids that are taken on trust.
 */
int64_t profile_text(struct profile *profile, const char *text, size_t len);

int profile_put_comment(struct profile *profile, uint32_t text);

int64_t profile_put_location(struct profile *profile, const struct location_record *location,
			     const struct profile_line *lines, size_t line_cnt);

/** profile_put_label - label id; -EINVAL for an empty key */
int64_t profile_put_label(struct profile *profile, const struct label_record *label);

/**
 * profile_put_sample - add a sample of checked location and label ids
 * @labels: [label_cnt] is sorted in place; -EINVAL if two have one key
 */
int64_t profile_put_sample(struct profile *profile, const uint32_t *stack, size_t location_cnt,
			   uint32_t *labels, size_t label_cnt, const int64_t *values);

#endif
