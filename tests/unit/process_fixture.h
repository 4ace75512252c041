/* SPDX-License-Identifier: BSD-2-Clause */
/* A process table and questions to it, for test_process*.c.  Include it behind cmocka.h. */
#ifndef EBPFPROF_TESTS_PROCESS_FIXTURE_H
#define EBPFPROF_TESTS_PROCESS_FIXTURE_H

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "symbolizer/binary.h"
#include "symbolizer/mappings.h"
#include "symbolizer/process.h"

#define LIB "/bin/ls"
#define WITH_RECORDS(test) cmocka_unit_test_setup_teardown(test, set_up_records, tear_down)
#define WITH_PROC(test) cmocka_unit_test_setup_teardown(test, set_up_real, tear_down)

struct fixture {
	struct binary_cache *binaries;
	struct process_table *table;
};

static inline struct fixture *make_fixture(const char *proc_root)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_int_equal(binary_cache_new(proc_root, 1 << 20, 64, &fixture->binaries), 0);
	assert_int_equal(process_table_new(proc_root, fixture->binaries, &fixture->table), 0);
	alarm(60);
	return fixture;
}

/* Records only: no process is alive there. */
static inline int set_up_records(void **state)
{
	*state = make_fixture("/nonexistent");
	return 0;
}

static inline int set_up_real(void **state)
{
	*state = make_fixture("/proc");
	return 0;
}

static inline int tear_down(void **state)
{
	struct fixture *fixture = *state;

	process_table_free(fixture->table);
	binary_cache_free(fixture->binaries);
	free(fixture);
	return 0;
}

static inline struct mmap_event event_of(pid_t tgid, uint64_t time_ns, uint64_t start,
					 const char *path)
{
	struct mmap_event event = {
		.tgid = tgid, .time_ns = time_ns, .start = start, .length = 0x1000, .path = path
	};
	struct stat st;

	if (path && stat(path, &st) == 0) {
		event.major = major(st.st_dev);
		event.minor = minor(st.st_dev);
		event.inode = st.st_ino;
	}
	return event;
}

static inline const struct mapping *find_in(const struct process *process, uint64_t address,
					    uint64_t time_ns)
{
	return process ? mappings_find(process_mappings(process), address, time_ns) : NULL;
}

static inline const struct mapping *find(struct fixture *fixture, pid_t tgid, uint64_t address,
					 uint64_t time_ns)
{
	return find_in(process_find(fixture->table, tgid, time_ns), address, time_ns);
}

#endif
