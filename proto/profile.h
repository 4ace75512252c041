/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A profile as a value: what was sampled, with names, in the shape of pprof's profile.proto.
 *
 * Everything is interned: adding an equal string, mapping, function, location or sample again
 * gives the first one's id (samples: adds to its values).  Ids are dense from 1 in order of
 * arrival (0 = none), which is what Parca demands of the wire form; strings are numbered from 0,
 * which is "".  All text is made valid UTF-8 when it enters (bad bytes become U+FFFD), NUL ends
 * it.  A profile knows nothing of processes, the kernel or files; no I/O, no clock.
 *
 * Ownership: the profile copies all that it is given.  Not thread-safe.
 * Errors: every int64_t profile_add_*() returns an id > 0, every int one 0; or -ENOMEM, -EOVERFLOW
 * (more than 2^31 of a kind), -EINVAL (an id that does not exist, more than a limit below, no
 * lines, an empty key or sample type), and leaves the profile as it was.
 */
#ifndef EBPFPROF_PROTO_PROFILE_H
#define EBPFPROF_PROTO_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROFILE_VALUES_MAX 8  /* sample types of one profile */
#define PROFILE_LABELS_MAX 32 /* labels of one sample */
#define PROFILE_FRAMES_MAX 16384

struct profile;

/*
 * Numeric labels carry a unit; string labels have str set. One value per key and sample, else
 * -EINVAL; their order has no meaning.
 */
struct profile_label {
	const char *key;
	const char *str;  /* NULL: a number */
	int64_t num;	  /* used when str is NULL */
	const char *unit; /* of num; NULL = none (a 0 without unit is lost by pprof readers) */
};

/* One PT_LOAD segment of one file, in ELF virtual addresses; or a pseudo file such as [vdso]. */
struct profile_mapping {
	uint64_t start;	 /* page-floored p_vaddr */
	uint64_t limit;	 /* exclusive */
	uint64_t offset; /* page-floored p_offset */
	const char *filename;
	const char *build_id; /* lower-case hex, or NULL */
};

struct profile_function {
	const char *name;	 /* as people read it */
	const char *system_name; /* as the linker has it; NULL = same as name */
	const char *filename;	 /* NULL = unknown */
	int64_t start_line;	 /* 0 = unknown */
};

struct profile_line {
	int64_t function_id;
	int64_t line; /* 0 = unknown */
};

/** profile_new - an empty profile; -ENOMEM */
int profile_new(struct profile **ret);
void profile_free(struct profile *profile);
void profile_freep(struct profile **profile);

/**
 * profile_add_sample_type - declare the next value column, e.g. "samples", "count"
 * Before the first sample. By convention the main value comes last.
 */
int profile_add_sample_type(struct profile *profile, const char *type, const char *unit);

/** profile_set_period - what one sample stands for, e.g. "cpu", "nanoseconds", 10101010 */
int profile_set_period(struct profile *profile, const char *type, const char *unit,
		       int64_t period);

/** profile_set_time - wall-clock start (UTC ns since 1970) and length of the window */
void profile_set_time(struct profile *profile, int64_t time_ns, int64_t duration_ns);

/**
 * profile_set_main_mapping - the program that the profile is of
 *
 * pprof encodes it first: its name is the profile's title, and what a binary given to
 * `go tool pprof` stands for.
 */
void profile_set_main_mapping(struct profile *profile, int64_t mapping_id);

/** profile_add_comment - free text for people, e.g. the losses of the window */
int profile_add_comment(struct profile *profile, const char *text);

int64_t profile_add_mapping(struct profile *profile, const struct profile_mapping *mapping);
int64_t profile_add_function(struct profile *profile, const struct profile_function *function);

/**
 * profile_add_location - one frame position
 * @mapping_id: 0 = none
 * @address: ELF virtual address (0 with no mapping)
 * @lines: [line_cnt] innermost inlined callee first, the physical function last; at least one
 *
 * Two locations are the same when mapping, address and lines are.
 */
int64_t profile_add_location(struct profile *profile, int64_t mapping_id, uint64_t address,
			     const struct profile_line *lines, size_t line_cnt);

/**
 * profile_add_sample - add @values to the sample with these locations and labels
 * @locations: [location_cnt] ids, leaf first; location_cnt <= PROFILE_FRAMES_MAX
 * @values: [profile_value_cnt()] unsampled totals; sums saturate at INT64_MIN and INT64_MAX
 */
int64_t profile_add_sample(struct profile *profile, const int64_t *locations, size_t location_cnt,
			   const int64_t *values, const struct profile_label *labels,
			   size_t label_cnt);

/** profile_bytes - heap bytes that the profile holds, near enough for a budget */
size_t profile_bytes(const struct profile *profile);

#endif
