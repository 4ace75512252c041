/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A join over some named stacks and tasks.  Include it behind cmocka.h and fake_symbolizer.h.
 */
#ifndef EBPFPROF_TESTS_JOIN_SETTING_H
#define EBPFPROF_TESTS_JOIN_SETTING_H

#include <errno.h>
#include <string.h>

#include "profiler/pipeline/join.h"
#include "profiler/pipeline/stacks.h"
#include "tests/unit/fake_symbolizer.h"

#define PERIOD 10101010
#define START_NS 1800000000000000000
#define DURATION_NS 5000000000

#define USER_STACK 1
#define OTHER_USER_STACK 2
#define KERNEL_STACK 3
#define BROKEN_STACK 4
#define MISSING_STACK 99

#define LOST_NOTE "[stack lost: ring buffer full]"

static const struct location_mapping library = { .start = 0x1000,
						 .limit = 0x3000,
						 .offset = 0x800,
						 .filename = "/usr/lib/libx.so",
						 .build_id = "00ff" };
static const struct location_mapping nameless = {
	.start = 0, .limit = 0x1000, .filename = "[vdso]", .build_id = ""
};

struct setting {
	struct symbolizer symbolizer;
	struct stacks stacks;
	struct join join;
};

/* A stack of the addresses @ips, which ends in 0. */
static inline int put_stack(struct setting *setting, uint32_t epoch, uint64_t id,
			    const uint64_t *ips, struct named_stack stack)
{
	const struct location *locations[16];

	for (stack.cnt = 0; ips[stack.cnt]; stack.cnt++) {
		char name[32];

		snprintf(name, sizeof(name), "f_%x", (unsigned int)ips[stack.cnt]);
		locations[stack.cnt] = fake_place(&setting->symbolizer, ips[stack.cnt], name,
						  LOCATION_USER, &library);
		if (!locations[stack.cnt])
			return -ENOMEM;
	}
	return stacks_add(&setting->stacks, epoch, id, locations, &stack);
}

static inline int put_task(struct setting *setting, uint32_t epoch, uint32_t tid, const char *comm)
{
	struct task_body body = { .header.epoch = epoch,
				  .start_boottime_ns = 5,
				  .tgid = 100,
				  .tid = tid,
				  .leader_comm = "server" };

	memcpy(body.comm, comm, strnlen(comm, sizeof(body.comm)));
	return stacks_add_task(&setting->stacks, &body);
}

static inline int fill_epoch(struct setting *setting, uint32_t epoch)
{
	static const struct {
		uint64_t id, ips[3];
		struct named_stack stack;
	} stacks[] = {
		{ USER_STACK, { 0x11, 0x12 }, { .complete = true, .frames = 2, .named = 2 } },
		{ OTHER_USER_STACK, { 0x21, 0x12 }, { .complete = true, .frames = 2, .named = 1 } },
		{ KERNEL_STACK, { 0x91, 0x92 }, { .complete = true, .frames = 2, .named = 2 } },
		{ BROKEN_STACK, { 0x31 }, { .frames = 1, .named = 1 } },
	};
	int error = put_task(setting, epoch, 100, "main");
	size_t i;

	if (!error)
		error = put_task(setting, epoch, 101, "worker");
	for (i = 0; i < ARRAY_SIZE(stacks) && !error; i++)
		error = put_stack(setting, epoch, stacks[i].id, stacks[i].ips, stacks[i].stack);
	return error;
}

static inline struct session_config config_of(enum sampler_event event)
{
	static struct targets everything;

	return (struct session_config){
		.sampler = { .event = event, .with_user = true, .with_kernel = true },
		.targets = &everything,
	};
}

static inline void setup_config(struct setting *setting, const struct session_config *config)
{
	memset(setting, 0, sizeof(*setting));
	stacks_init(&setting->stacks);
	join_init(&setting->join, config, PERIOD, &setting->stacks, &setting->symbolizer);
	assert_int_equal(fill_epoch(setting, 0), 0);
	assert_int_equal(join_begin_window(&setting->join), 0);
	join_begin_epoch(&setting->join, 0, PERIOD);
}

static inline void setup(struct setting *setting)
{
	struct session_config config = config_of(SAMPLER_CPU_CLOCK);

	setup_config(setting, &config);
}

static inline void teardown(struct setting *setting)
{
	join_free(&setting->join);
	stacks_free(&setting->stacks);
	fake_free(&setting->symbolizer);
}

static inline struct sample_key key_of(uint32_t tid, uint64_t user, uint64_t kernel)
{
	return (struct sample_key){ .user_stack = user,
				    .kernel_stack = kernel,
				    .start_boottime_ns = 5,
				    .tgid = 100,
				    .tid = tid,
				    .kind = SAMPLE_CPU };
}

static inline void count(struct setting *setting, uint32_t tid, uint64_t user, uint64_t kernel,
			 uint64_t value)
{
	struct sample_key key = key_of(tid, user, kernel);

	assert_int_equal(join_count(&setting->join, &key, value), 0);
}

#endif
