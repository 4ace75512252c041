/* SPDX-License-Identifier: BSD-2-Clause */
/* The functions that a profile spent most in, and why its stacks are not complete. */
#ifndef EBPFPROF_PIPELINE_HOT_H
#define EBPFPROF_PIPELINE_HOT_H

#include <stddef.h>
#include <stdint.h>

struct profile;

#define HOT_FUNCTIONS 5
#define HOT_NOTES 4
#define HOT_NAME_BYTES 100

struct hot_entry {
	char name[HOT_NAME_BYTES]; /* cut with "..." */
	uint64_t samples;
};

struct hot_list {
	struct hot_entry functions[HOT_FUNCTIONS]; /* by samples in the function itself */
	struct hot_entry notes[HOT_NOTES];	   /* outermost frames such as `[truncated: depth]` */
	size_t function_cnt, note_cnt;
	uint64_t samples; /* of the profile */
	uint64_t user_samples; /* of them, with a user stack; for the caller to set */
};

/** hot_find - rank @profile's functions by its first sample type; -ENOMEM */
int hot_find(const struct profile *profile, struct hot_list *ret);

#endif
