/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's unwind tables as arrays, in place of profiler/collect/unwind_maps.c and
 * unwind_lists.c: a program that includes this defines what pipeline/ calls, so the archive's own
 * are not linked.  Include it behind cmocka.h, in one file of a program.
 *
 * What is given up is room only after a settle, as in the original.  Here is what a test sees of it;
 * the calls are in fake_unwind_tables.h (files) and fake_unwind_lists.h (processes).
 */
#ifndef EBPFPROF_TESTS_FAKE_UNWIND_MAPS_H
#define EBPFPROF_TESTS_FAKE_UNWIND_MAPS_H

#include <errno.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/collect/unwind_maps.h"

#define FAKE_FILES 64
#define FAKE_LISTS 64
#define FAKE_PIDS 64

struct fake_file {
	uint32_t refs, used, bytes;
	enum unwind_file_state state;
};

struct unwind_list {
	uint32_t refs, cnt;
	struct unwind_mapping first[8];
};

struct fake_process {
	pid_t tgid; /* 0 = none */
	uint64_t start_boottime_ns, mapped_ns;
	uint32_t exec_id;
	const struct unwind_list *list; /* NULL = no mappings known */
};

static struct {
	struct fake_file files[FAKE_FILES];
	uint32_t file_room;
	uint64_t bytes, bytes_max, deferred_bytes; /* of tables */
	struct unwind_list lists[FAKE_LISTS];
	uint64_t mappings, mappings_max, deferred_mappings;
	struct fake_process processes[FAKE_PIDS];
	uint32_t clock, loads, settles, quiesces;
	uint32_t stale; /* times that a list was given up while a process still had it */
	int publish_error;
} fake_maps;

static inline void fake_maps_clear(void)
{
	memset(&fake_maps, 0, sizeof(fake_maps));
	fake_maps.file_room = FAKE_FILES;
	fake_maps.bytes_max = 1u << 20;
	fake_maps.mappings_max = 1000;
}

static inline void fake_quiesce(void *context)
{
	(void)context;
	fake_maps.quiesces++;
}

static inline struct fake_process *fake_process_at(pid_t tgid)
{
	size_t i;

	for (i = 0; i < FAKE_PIDS; i++)
		if (fake_maps.processes[i].tgid == tgid)
			return &fake_maps.processes[i];
	return NULL;
}

/* What the hooks write at fork and exec. */
static inline void fake_hook(pid_t tgid, uint64_t start_boottime_ns, uint32_t exec_id)
{
	struct fake_process *process = fake_process_at(tgid);

	if (!process)
		process = fake_process_at(0);
	assert_non_null(process);
	*process = (struct fake_process){ .tgid = tgid,
					  .start_boottime_ns = start_boottime_ns,
					  .exec_id = exec_id };
}

static inline unsigned int fake_lists_used(void)
{
	unsigned int i, cnt = 0;

	for (i = 0; i < FAKE_LISTS; i++)
		cnt += fake_maps.lists[i].refs != 0;
	return cnt;
}

#include "tests/unit/fake_unwind_tables.h"
#include "tests/unit/fake_unwind_lists.h"

#endif
