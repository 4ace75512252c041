/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A profile that has one of everything, for the tests of its encoders.  Include it behind cmocka.h.
 */
#ifndef EBPFPROF_TESTS_SAMPLE_PROFILE_H
#define EBPFPROF_TESTS_SAMPLE_PROFILE_H

#include "proto/profile.h"

static inline int64_t must(int64_t id)
{
	assert_true(id > 0);
	return id;
}

static inline int64_t add_function(struct profile *profile, const char *name, const char *filename)
{
	return must(profile_add_function(profile, &(struct profile_function){
							  .name = name, .filename = filename }));
}

/* A location of one line. */
static inline int64_t add_frame(struct profile *profile, int64_t mapping, uint64_t address,
				const char *name)
{
	struct profile_line line = { .function_id = add_function(profile, name, NULL) };

	return must(profile_add_location(profile, mapping, address, &line, 1));
}

static inline void add_cpu_types(struct profile *profile)
{
	assert_int_equal(profile_add_sample_type(profile, "samples", "count"), 0);
	assert_int_equal(profile_add_sample_type(profile, "cpu", "nanoseconds"), 0);
	assert_int_equal(profile_set_period(profile, "cpu", "nanoseconds", 10101010), 0);
}

static inline struct profile *new_cpu_profile(void)
{
	struct profile *profile;

	assert_int_equal(profile_new(&profile), 0);
	add_cpu_types(profile);
	return profile;
}

static inline void add_sample_stacks(struct profile *profile, const int64_t *frames)
{
	const struct profile_label worker[] = {
		{ .key = "process", .str = "web server" },
		{ .key = "thread", .str = "w\xc3\xb6rker" },
		{ .key = "pid", .num = 4242, .unit = "pid" },
	};
	const struct profile_label other[] = {
		{ .key = "process", .str = "other" },
		{ .key = "weight", .num = -5 },
		{ .key = "zero", .num = 0, .unit = "count" },
	};
	const int64_t kernel_stack[] = { frames[3], frames[1], frames[0] };
	const int64_t short_stack[] = { frames[1], frames[0] };
	const int64_t jit_stack[] = { frames[4], frames[2], frames[0] };

	must(profile_add_sample(profile, kernel_stack, 3, (int64_t[]){ 3, 30303030 }, worker, 3));
	must(profile_add_sample(profile, short_stack, 2, (int64_t[]){ 1, 10101010 }, worker, 3));
	must(profile_add_sample(profile, jit_stack, 3, (int64_t[]){ 7, INT64_MAX }, other, 3));
	must(profile_add_sample(profile, short_stack, 2, (int64_t[]){ 1, 1 }, NULL, 0));
	must(profile_add_sample(profile, NULL, 0, (int64_t[]){ 2, INT64_MIN }, other, 1));
}

static inline struct profile *new_sample_profile(void)
{
	struct profile *profile = new_cpu_profile();
	struct profile_line lines[2];
	int64_t binary, library, kernel, jit, frames[5];

	profile_set_time(profile, 1763683200000000000, 10000000000);
	assert_int_equal(profile_add_comment(profile, "3 samples lost: ring full"), 0);
	assert_int_equal(profile_add_comment(profile, "host: caf\xc3\xa9"), 0);
	binary = must(profile_add_mapping(profile, &(struct profile_mapping){
							   0x1000, 0x9000, 0x1000, "/usr/bin/web",
							   "0123456789abcdef" }));
	library = must(
		profile_add_mapping(profile, &(struct profile_mapping){ 0, UINT64_MAX, 0,
									"/lib/libx.so", NULL }));
	kernel = must(profile_add_mapping(profile, &(struct profile_mapping){
							   .filename = "[kernel.kallsyms]" }));
	jit = must(profile_add_mapping(profile, &(struct profile_mapping){ .filename = "[jit]" }));
	frames[0] = add_frame(profile, binary, 0x1234, "main");
	lines[0] = (struct profile_line){ add_function(profile, "inlined", "/src/a/inline.h"), 7 };
	lines[1] = (struct profile_line){
		must(profile_add_function(
			profile, &(struct profile_function){ "ns::outer(int)", "_ZN2ns5outerEi",
							     "/src/a/outer.cc", 30 })),
		35,
	};
	frames[1] = must(profile_add_location(profile, binary, 0x2345, lines, 2));
	frames[2] = add_frame(profile, library, 0xfffffffffffffff0, "libx.so+0x10");
	frames[3] = add_frame(profile, kernel, 0xffffffff81000000, "do_syscall_64");
	frames[4] = add_frame(profile, jit, 0x7f0000001000, "Lfoo;::bar 12");
	add_frame(profile, 0, 0xdead, "no mapping");
	add_sample_stacks(profile, frames);
	return profile;
}

#endif
