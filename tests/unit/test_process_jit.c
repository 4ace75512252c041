/* SPDX-License-Identifier: BSD-2-Clause */
/* symbolizer/process_jit: names of JIT code by the files of living processes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
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
#include "symbolizer/process.h"
#include "tests/unit/fail_malloc.h"
#include "tests/unit/jitdump_fixture.h"
#include "tests/unit/process_fixture.h"

#define LATER (10 * NS_PER_SEC)

static char folder[32];
static char dump_path[80], map_path[64];
static void *marker;

static const struct debug_entry lines[] = { { 0x1000, 5, "/src/a.js", 0 },
					    { 0x1008, 6, "/src/a.js", 0 } };

static void append(const char *path, const struct strbuf *bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes->text, bytes->len), bytes->len);
	close(fd);
}

static void append_text(const char *path, const char *text)
{
	struct strbuf bytes = STRBUF_INIT;

	strbuf_add_str(&bytes, text);
	append(path, &bytes);
	strbuf_free(&bytes);
}

static void append_code(uint64_t time_ns, uint64_t address, const char *name)
{
	struct strbuf bytes = STRBUF_INIT;

	put_load(&bytes, time_ns, address, 0x10, name);
	append(dump_path, &bytes);
	strbuf_free(&bytes);
}

/* As a runtime does: a dump whose first page is mapped executable, here by ourselves. */
static void make_dump(uint32_t machine)
{
	struct strbuf bytes = STRBUF_INIT;
	int fd;

	put_header(&bytes, machine, 0);
	put_debug(&bytes, 100, 0x1000, lines, 2);
	put_load(&bytes, 100, 0x1000, 0x10, "JS:*f /src/a.js:5:1");
	append(dump_path, &bytes);
	strbuf_free(&bytes);
	fd = open(dump_path, O_RDONLY | O_CLOEXEC);
	marker = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	assert_true(marker != MAP_FAILED);
	close(fd);
}

static int set_up(void **state)
{
	snprintf(folder, sizeof(folder), "/var/tmp/jit-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(dump_path, sizeof(dump_path), "%s/jit-%d.dump", folder, getpid());
	snprintf(map_path, sizeof(map_path), "/tmp/perf-%d.map", getpid());
	marker = NULL;
	return set_up_real(state);
}

static int clean_up(void **state)
{
	char command[64];

	if (marker)
		munmap(marker, 4096);
	unlink(map_path);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command) + tear_down(state);
}

/* Us, as /proc shows us now. */
static struct process *scan(struct fixture *fixture, pid_t pid)
{
	assert_int_equal(process_table_scan_one(fixture->table, pid, monotonic_ns()), 0);
	return process_find(fixture->table, pid, monotonic_ns());
}

static void assert_frame(struct fixture *fixture, struct process *process, uint64_t address,
			 uint64_t time_ns, const char *name, uint32_t line)
{
	struct jit_frame frame;
	bool found = process_jit_find(fixture->table, process, address, time_ns,
				      monotonic_ns() + LATER, &frame);

	if (!found || strcmp(frame.name, name) != 0 || frame.line != line)
		fail_msg("0x%llx is %s line %u", (unsigned long long)address,
			 found ? frame.name : "nothing", found ? frame.line : 0);
	if (line)
		assert_string_equal(frame.filename, "/src/a.js");
	assert_true(address - frame.address < frame.size);
}

static void test_a_mapped_dump_names_code_and_lines(void **state)
{
	struct fixture *fixture = *state;
	struct process *process;
	struct jit_frame frame;

	make_dump(OWN_MACHINE);
	process = scan(fixture, getpid());
	assert_int_equal(process_jit_source(process), JIT_SOURCE_NONE);
	assert_frame(fixture, process, 0x1000, 200, "JS:*f /src/a.js:5:1", 5);
	assert_frame(fixture, process, 0x100f, 200, "JS:*f /src/a.js:5:1", 6);
	assert_int_equal(process_jit_source(process), JIT_SOURCE_JITDUMP);
	assert_false(
		process_jit_find(fixture->table, process, 0x1010, 200, monotonic_ns(), &frame));
}

static void test_a_dump_that_grows_is_read_on(void **state)
{
	struct fixture *fixture = *state;
	struct process *process;
	struct jit_frame frame;
	uint64_t now = monotonic_ns();

	make_dump(OWN_MACHINE);
	process = scan(fixture, getpid());
	now = monotonic_ns();
	assert_true(process_jit_find(fixture->table, process, 0x1000, 200, now, &frame));
	append_code(300, 0x1000, "newer");
	assert_true(process_jit_find(fixture->table, process, 0x1000, 400, now, &frame));
	assert_string_equal(frame.name, "JS:*f /src/a.js:5:1"); /* not looked at so soon */
	now += 51 * NS_PER_MS;
	assert_true(process_jit_find(fixture->table, process, 0x1000, 400, now, &frame));
	assert_string_equal(frame.name, "newer");
	assert_frame(fixture, process, 0x1000, 200, "JS:*f /src/a.js:5:1", 5);
	process_table_trim(fixture->table, 350);
	assert_frame(fixture, process, 0x1000, 200, "newer", 0);
}

static void test_a_dump_has_precedence_over_a_perf_map(void **state)
{
	struct fixture *fixture = *state;
	struct process *process;

	append_text(map_path, "1000 10 by map\n2000 10 only in map\n");
	process = scan(fixture, getpid());
	assert_frame(fixture, process, 0x1000, 200, "by map", 0);
	assert_int_equal(process_jit_source(process), JIT_SOURCE_PERFMAP);
	make_dump(OWN_MACHINE);
	assert_ptr_equal(scan(fixture, getpid()), process);
	assert_frame(fixture, process, 0x1000, 200, "JS:*f /src/a.js:5:1", 5);
	assert_frame(fixture, process, 0x2000, 200, "only in map", 0);
	assert_int_equal(process_jit_source(process), JIT_SOURCE_JITDUMP);
}

static void test_a_record_tells_of_the_dump(void **state)
{
	struct fixture *fixture = *state;
	struct process *process = scan(fixture, getpid());
	struct mmap_event event;

	make_dump(OWN_MACHINE);
	event = event_of(getpid(), monotonic_ns(), (uintptr_t)marker, dump_path);
	event.inode++; /* of another file that had this name */
	assert_int_equal(process_on_mmap(fixture->table, &event, NULL), 0);
	assert_int_equal(process_jit_source(process), JIT_SOURCE_NONE);
	event = event_of(getpid(), monotonic_ns(), (uintptr_t)marker, dump_path);
	assert_int_equal(process_on_mmap(fixture->table, &event, NULL), 0);
	assert_frame(fixture, process, 0x1008, 200, "JS:*f /src/a.js:5:1", 6);
}

static void test_the_dump_of_another_pid_is_not_taken(void **state)
{
	struct fixture *fixture = *state;
	struct jit_frame frame;
	struct process *process;

	snprintf(dump_path, sizeof(dump_path), "%s/jit-%d.dump", folder, getpid() + 1);
	make_dump(OWN_MACHINE);
	process = scan(fixture, getpid());
	assert_false(process_jit_find(fixture->table, process, 0x1000, 200, monotonic_ns() + LATER,
				      &frame));
}

static void test_a_dump_of_another_machine_leaves_the_perf_map(void **state)
{
	struct fixture *fixture = *state;
	struct process *process;

	append_text(map_path, "1000 10 by map\n");
	make_dump(EM_MIPS);
	process = scan(fixture, getpid());
	assert_frame(fixture, process, 0x1000, 200, "by map", 0);
	assert_frame(fixture, process, 0x1000, 200, "by map", 0);
	assert_int_equal(process_jit_source(process), JIT_SOURCE_PERFMAP);
}

static void need_root(const char *why)
{
	if (geteuid() == 0)
		return;
	print_message("skipped: only root can %s\n", why);
	skip();
}

static void test_a_deleted_dump_is_read_through_its_mapping(void **state)
{
	struct fixture *fixture = *state;

	need_root("open map_files");
	make_dump(OWN_MACHINE);
	unlink(dump_path);
	assert_frame(fixture, scan(fixture, getpid()), 0x1000, 200, "JS:*f /src/a.js:5:1", 5);
}

static void test_a_dump_of_another_user_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct jit_frame frame;
	struct process *process;

	need_root("give a file away");
	make_dump(OWN_MACHINE);
	assert_int_equal(chown(dump_path, 12345, 12345), 0);
	process = scan(fixture, getpid());
	assert_false(process_jit_find(fixture->table, process, 0x1000, 200, monotonic_ns() + LATER,
				      &frame));
	assert_int_equal(chown(dump_path, 0, 0), 0);
	assert_true(process_jit_find(fixture->table, process, 0x1000, 200,
				     monotonic_ns() + 2 * LATER, &frame));
}

static void test_more_dumps_than_may_stay_open_are_read(void **state)
{
	enum { PROCESSES = 140 };
	struct fixture *fixture = *state;
	pid_t pids[PROCESSES];
	int ready[2], i;
	char byte;

	assert_int_equal(pipe(ready), 0);
	for (i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			snprintf(dump_path, sizeof(dump_path), "%s/jit-%d.dump", folder, getpid());
			make_dump(OWN_MACHINE);
			if (write(ready[1], "", 1) == 1)
				pause();
			_exit(1);
		}
	}
	for (i = 0; i < PROCESSES; i++)
		assert_int_equal(read(ready[0], &byte, 1), 1);
	for (i = 0; i < PROCESSES; i++)
		scan(fixture, pids[i]);
	for (i = 0; i < PROCESSES; i++) {
		assert_frame(fixture, process_find(fixture->table, pids[i], monotonic_ns()), 0x1008,
			     200, "JS:*f /src/a.js:5:1", 6);
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	close(ready[0]);
	close(ready[1]);
}

/* ---- a real one ---- */

static const char script[] = "function hot(n) {\n"
			     "  let x = 1;\n"
			     "  for (let i = 0; i < n; i++) {\n"
			     "    x = (Math.imul(x, 1664525) + 1013904223) | 0;\n"
			     "    x = x ^ (x >>> 7);\n"
			     "  }\n"
			     "  return x;\n"
			     "}\n"
			     "const end = Date.now() + 1500;\n"
			     "while (Date.now() < end) hot(1000000);\n";

static pid_t start_node(const char *path)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (chdir(folder) == 0)
			execlp("node", "node", "--perf-prof", "--perf-basic-prof", path, NULL);
		_exit(127);
	}
	return pid;
}

/* Where the perf-map has the optimized function; 0: not yet, or not at all. */
static uint64_t find_hot(pid_t pid, uint64_t *ret_size)
{
	unsigned long address = 0, size = 0;
	char path[64], line[512];
	FILE *file;

	snprintf(path, sizeof(path), "/tmp/perf-%d.map", pid);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file)) {
		if (strstr(line, ":*hot ")) /* JS:*hot; LazyCompile:*hot before node 20 */
			assert_int_equal(sscanf(line, "%lx %lx", &address, &size), 2);
	}
	if (file)
		fclose(file);
	*ret_size = size;
	return address;
}

/*
 * V8 writes its dump through a buffer of 2 MiB: what we ask for is there only when node has ended,
 * by the file that was opened before.  Lines 4 and 5 hold the loop's work.
 */
static void test_node_dumps_are_named_with_the_lines_that_execute(void **state)
{
	struct fixture *fixture = *state;
	unsigned int seen[12] = {}, tries = 0;
	uint64_t address, size = 0, i;
	struct process *process;
	char path[64];
	pid_t pid;

	if (system("node --version > /dev/null 2>&1") != 0) {
		print_message("skipped: no node on this machine\n");
		skip();
	}
	snprintf(path, sizeof(path), "%s/hot.js", folder);
	append_text(path, script);
	pid = start_node(path);
	while (!find_hot(pid, &size) && tries++ < 200)
		usleep(20000);
	process = scan(fixture, pid);
	waitpid(pid, NULL, 0);
	address = find_hot(pid, &size);
	for (i = 0; i < size; i++) {
		struct jit_frame frame;

		assert_true(process_jit_find(fixture->table, process, address + i, monotonic_ns(),
					     monotonic_ns() + LATER, &frame));
		assert_non_null(strstr(frame.name, ":*hot "));
		assert_int_equal(frame.address, address);
		assert_in_range(frame.line, 0, 10);
		seen[frame.line]++;
	}
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", pid);
	unlink(path);
	assert_true(size > 0);
	assert_int_equal(process_jit_source(process), JIT_SOURCE_JITDUMP);
	assert_true(seen[3] && seen[4] && seen[5]);
	assert_false(seen[8] || seen[9]);
}

static void test_each_failed_allocation_is_survived(void **state)
{
	struct jit_frame frame;
	bool hit = true;
	long n;

	(void)state;
	append_text(map_path, "2000 10 by map\n");
	make_dump(OWN_MACHINE);
	for (n = 1; hit; n++) {
		struct binary_cache *binaries = NULL;
		struct process_table *table = NULL;
		struct process *process = NULL;

		fail_malloc_at(n);
		if (binary_cache_new("/proc", 1 << 20, 64, &binaries) == 0 &&
		    process_table_new("/proc", binaries, &table) == 0 &&
		    process_table_scan_one(table, getpid(), monotonic_ns()) == 0)
			process = process_find(table, getpid(), monotonic_ns());
		if (process) {
			process_jit_find(table, process, 0x1000, 200, monotonic_ns(), &frame);
			process_jit_find(table, process, 0x2000, 200, monotonic_ns(), &frame);
		}
		hit = fail_malloc_hit();
		process_table_free(table);
		binary_cache_free(binaries);
	}
	assert_true(n > 20);
}

#define WITH_DUMP(test) cmocka_unit_test_setup_teardown(test, set_up, clean_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DUMP(test_a_mapped_dump_names_code_and_lines),
		WITH_DUMP(test_a_dump_that_grows_is_read_on),
		WITH_DUMP(test_a_dump_has_precedence_over_a_perf_map),
		WITH_DUMP(test_a_record_tells_of_the_dump),
		WITH_DUMP(test_the_dump_of_another_pid_is_not_taken),
		WITH_DUMP(test_a_dump_of_another_machine_leaves_the_perf_map),
		WITH_DUMP(test_a_deleted_dump_is_read_through_its_mapping),
		WITH_DUMP(test_a_dump_of_another_user_is_refused),
		WITH_DUMP(test_more_dumps_than_may_stay_open_are_read),
		WITH_DUMP(test_node_dumps_are_named_with_the_lines_that_execute),
		WITH_DUMP(test_each_failed_allocation_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
