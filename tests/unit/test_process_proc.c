/* SPDX-License-Identifier: BSD-2-Clause */
/* symbolizer/process: what is read of living processes in /proc. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "profiler/base/clock.h"
#include "symbolizer/binary.h"
#include "symbolizer/mappings.h"
#include "symbolizer/perfmap.h"
#include "symbolizer/process.h"
#include "symbolizer/process_read.h"
#include "tests/unit/fail_malloc.h"
#include "tests/unit/process_fixture.h"

static void test_stat_is_parsed_behind_the_name(void **state)
{
	uint64_t flags = 0, ticks = 0;
	char cut[256];
	size_t len;
	static const char stat[] = "42 (a) b (c) S 1 2 3 4 5 2097216 7 8 9 10 11 12 13 14 15 16 17 "
				   "18 987654 20 21\n";

	(void)state;
	assert_true(process_parse_stat(stat, &flags, &ticks));
	assert_int_equal(flags, 2097216);
	assert_int_equal(ticks, 987654);
	for (len = 0; len < strlen(stat); len++) {
		memcpy(cut, stat, len);
		cut[len] = '\0';
		process_parse_stat(cut, &flags, &ticks); /* reads no byte too many */
	}
	assert_false(process_parse_stat("", &flags, &ticks));
	assert_false(process_parse_stat("1 (x)", &flags, &ticks));
	assert_false(process_parse_stat("1 (x) S 1 2", &flags, &ticks));
}

static void test_scan_finds_this_function(void **state)
{
	struct fixture *fixture = *state;
	uint64_t here = (uintptr_t)test_scan_finds_this_function;
	const struct mapping *mapping;

	assert_int_equal(process_table_scan(fixture->table, NULL), 0);
	mapping = find(fixture, getpid(), here, monotonic_ns());
	assert_non_null(mapping);
	assert_string_equal(binary_basename(mapping->binary), "test_process_proc");
	assert_true(binary_is_elf(mapping->binary));
}

static void test_records_replayed_after_a_scan_change_nothing(void **state)
{
	struct fixture *fixture = *state;
	uint64_t here = (uintptr_t)test_scan_finds_this_function, past = monotonic_ns();
	const struct mapping *mapping;
	struct process *process;
	struct mmap_event event;
	bool replaced = true;
	size_t cnt;

	assert_int_equal(process_table_scan_one(fixture->table, getpid(), monotonic_ns()), 0);
	process = process_find(fixture->table, getpid(), monotonic_ns());
	cnt = mappings_cnt(process_mappings(process));
	mapping = find_in(process, here, past);
	event = event_of(getpid(), past - 5, mapping->start, "/proc/self/exe");
	event.length = mapping->end - mapping->start;
	event.offset = mapping->offset;
	event.path = binary_path(mapping->binary);

	process_on_fork(fixture->table, getpid(), getppid(), past - 20);
	process_on_exec(fixture->table, getpid(), past - 10);
	assert_int_equal(process_on_mmap(fixture->table, &event, &replaced), 0);
	assert_false(replaced);
	assert_int_equal(process_table_scan_one(fixture->table, getpid(), monotonic_ns()), 0);
	process = process_find(fixture->table, getpid(), past);
	assert_int_equal(mappings_cnt(process_mappings(process)), cnt);
	assert_non_null(find_in(process, here, past));
	assert_null(process_find(fixture->table, getpid(), past - 21));
}

static pid_t start_child(void (*run)(int ready), int *ret_ready)
{
	int ready[2];
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ready[0]);
		run(ready[1]);
		_exit(0);
	}
	close(ready[1]);
	*ret_ready = ready[0];
	return pid;
}

static uint64_t wait_ready(int ready)
{
	uint64_t address = 0;

	assert_int_equal(read(ready, &address, sizeof(address)), sizeof(address));
	close(ready);
	return address;
}

static void stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void *map_executable(int fd)
{
	return mmap(NULL, 0x1000, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
}

static void tell(int ready, void *address)
{
	if (write(ready, &address, sizeof(address)) != sizeof(address))
		_exit(1);
}

static void run_mapper(int ready)
{
	tell(ready, map_executable(open(LIB, O_RDONLY)));
	pause();
}

static void test_process_that_no_record_told_of_is_read(void **state)
{
	struct fixture *fixture = *state;
	const struct mapping *mapping;
	uint64_t before = monotonic_ns(), address;
	int ready;
	pid_t pid;

	pid = start_child(run_mapper, &ready);
	address = wait_ready(ready);
	mapping = find(fixture, pid, address, monotonic_ns());
	assert_non_null(mapping);
	assert_int_equal(mapping->kind, MAPPING_FILE);
	assert_true(binary_is_elf(mapping->binary));
	assert_null(process_find(fixture->table, pid, before - NS_PER_SEC));
	stop(pid);
	/* what is known stays known, until it is trimmed */
	assert_non_null(find(fixture, pid, address, monotonic_ns()));
	process_on_exit(fixture->table, pid, monotonic_ns());
	process_table_trim(fixture->table, monotonic_ns() + 1);
	assert_null(process_find(fixture->table, pid, monotonic_ns()));
	assert_int_equal(process_table_scan_one(fixture->table, pid, monotonic_ns()), -ESRCH);
}

static void test_process_younger_than_the_sample_is_not_taken(void **state)
{
	struct fixture *fixture = *state;
	uint64_t before = monotonic_ns();
	int ready;
	pid_t pid;

	pid = start_child(run_mapper, &ready);
	wait_ready(ready);
	assert_null(process_find(fixture->table, pid, before - 200 * NS_PER_MS));
	assert_non_null(process_find(fixture->table, pid, monotonic_ns()));
	stop(pid);
}

static void *map_and_wait(void *argument)
{
	int ready = *(int *)argument, fd = open("/tmp", O_RDWR | O_TMPFILE, 0700);
	int source = open(LIB, O_RDONLY);
	char bytes[4096];
	ssize_t n;

	while ((n = read(source, bytes, sizeof(bytes))) > 0) {
		if (write(fd, bytes, (size_t)n) != n)
			_exit(1);
	}
	usleep(50000); /* the leader is gone by then */
	tell(ready, map_executable(fd));
	pause();
	return NULL;
}

static void run_leader_that_exits(int ready)
{
	static int in_thread;
	pthread_t thread;

	in_thread = ready;
	pthread_create(&thread, NULL, map_and_wait, &in_thread);
	pthread_exit(NULL);
}

static void test_leader_that_exited_hides_nothing(void **state)
{
	struct fixture *fixture = *state;
	const struct mapping *mapping;
	uint64_t address;
	int ready;
	pid_t pid;

	pid = start_child(run_leader_that_exits, &ready);
	address = wait_ready(ready);
	mapping = find(fixture, pid, address, monotonic_ns());
	assert_non_null(mapping);
	assert_int_equal(mapping->kind, MAPPING_FILE);
	if (geteuid() == 0) /* its file has no name: only map_files leads to it */
		assert_true(binary_is_elf(mapping->binary));

	process_on_exit(fixture->table, pid, monotonic_ns()); /* the leader's record */
	usleep(150000);
	assert_non_null(find(fixture, pid, address, monotonic_ns()));
	assert_int_equal(process_table_cnt(fixture->table), 1);
	process_table_trim(fixture->table, monotonic_ns());
	assert_int_equal(process_table_cnt(fixture->table), 1);
	stop(pid);
}

static void run_memfds(int ready)
{
	int text = memfd_create("code", MFD_CLOEXEC), elf = memfd_create("elf", MFD_CLOEXEC);
	int source = open(LIB, O_RDONLY);
	char bytes[4096];
	ssize_t n;

	while ((n = read(source, bytes, sizeof(bytes))) > 0) {
		if (write(elf, bytes, (size_t)n) != n)
			_exit(1);
	}
	if (write(text, bytes, sizeof(bytes)) != sizeof(bytes))
		_exit(1);
	tell(ready, map_executable(text));
	tell(ready, map_executable(elf));
	pause();
}

static void test_memfd_is_a_file_if_it_holds_one(void **state)
{
	struct fixture *fixture = *state;
	uint64_t text, elf, now;
	int ready;
	pid_t pid;

	pid = start_child(run_memfds, &ready);
	assert_int_equal(read(ready, &text, sizeof(text)), sizeof(text));
	elf = wait_ready(ready);
	now = monotonic_ns();
	assert_int_equal(find(fixture, pid, text, now)->kind, MAPPING_JIT);
	if (geteuid() == 0)
		assert_int_equal(find(fixture, pid, elf, now)->kind, MAPPING_FILE);
	stop(pid);
}

static void test_kernel_thread_has_no_mappings(void **state)
{
	struct fixture *fixture = *state;
	struct process *process = process_find(fixture->table, 2, monotonic_ns());

	if (!process || access("/proc/2/exe", F_OK) == 0) {
		print_message("skipped: pid 2 is no kernel thread here\n");
		skip();
	}
	assert_int_equal(mappings_cnt(process_mappings(process)), 0);
}

/* Whether the code at 0x1010 has a name at @now_ns. */
static bool finds_jit(struct process_table *table, struct process *process, uint64_t now_ns)
{
	struct jit_frame frame;

	return process_jit_find(table, process, 0x1010, now_ns, now_ns, &frame);
}

static void test_perfmap_of_an_earlier_process_is_not_taken(void **state)
{
	struct timespec times[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
	struct fixture *fixture = *state;
	struct process *process;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
	file = fopen(path, "w");
	fputs("1000 100 old\n", file);
	fclose(file);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	process = process_find(fixture->table, getpid(), monotonic_ns());
	assert_false(finds_jit(fixture->table, process, monotonic_ns()));
	assert_int_equal(utimensat(AT_FDCWD, path, NULL, 0), 0);
	assert_false(finds_jit(fixture->table, process, monotonic_ns()));
	assert_true(finds_jit(fixture->table, process, monotonic_ns() + NS_PER_SEC));
	unlink(path);
}

static void test_survives_each_failed_allocation(void **state)
{
	bool hit = true;
	long n;

	(void)state;
	for (n = 1; hit; n++) {
		struct binary_cache *binaries = NULL;
		struct process_table *table = NULL;
		struct mmap_event event = event_of(11, 120, 0x1000, LIB);
		struct process *process;

		fail_malloc_at(n);
		if (binary_cache_new("/proc", 1 << 20, 64, &binaries) == 0 &&
		    process_table_new("/proc", binaries, &table) == 0) {
			process_table_scan_one(table, getpid(), monotonic_ns());
			process_on_fork(table, 11, getpid(), monotonic_ns());
			process_on_exec(table, 11, monotonic_ns());
			event.time_ns = monotonic_ns();
			process_on_mmap(table, &event, NULL);
			process = process_find(table, getpid(), monotonic_ns());
			if (process)
				finds_jit(table, process, monotonic_ns());
			process_table_trim(table, 0);
		}
		hit = fail_malloc_hit();
		process_table_free(table);
		binary_cache_free(binaries);
	}
	assert_true(n > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stat_is_parsed_behind_the_name),
		WITH_PROC(test_scan_finds_this_function),
		WITH_PROC(test_records_replayed_after_a_scan_change_nothing),
		WITH_PROC(test_process_that_no_record_told_of_is_read),
		WITH_PROC(test_process_younger_than_the_sample_is_not_taken),
		WITH_PROC(test_leader_that_exited_hides_nothing),
		WITH_PROC(test_memfd_is_a_file_if_it_holds_one),
		WITH_PROC(test_kernel_thread_has_no_mappings),
		WITH_PROC(test_perfmap_of_an_earlier_process_is_not_taken),
		cmocka_unit_test(test_survives_each_failed_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
