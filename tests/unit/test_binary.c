/* SPDX-License-Identifier: BSD-2-Clause */
/* symbolizer/binary: which file is behind a mapping, and what it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/binary.h"
#include "symbolizer/symtab.h"
#include "tests/unit/binary_fixture.h"

static void check_unreadable(struct binary *binary)
{
	uint64_t start, limit, offset, address;
	struct symbol symbol;

	assert_false(binary_is_opened(binary));
	assert_memory_equal(binary_symbol_source(binary), "unreadable: ", 12);
	assert_false(binary_segment(binary, 0x1234, &start, &limit, &offset, &address));
	assert_int_equal(address, 0x1234);
	assert_true(start <= address && address < limit);
	assert_false(binary_find_symbol(binary, 0x1234, &symbol));
}

/* A child that maps @path executable, until it is killed. */
static pid_t start_mapper(const char *path, struct binary_request *request)
{
	int ready[2];
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		int fd = open(path, O_RDONLY);
		void *mapped = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);

		close(fd);
		if (write(ready[1], &mapped, sizeof(mapped)) != sizeof(mapped))
			_exit(1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &request->map_start, 8), 8);
	request->map_end = request->map_start + 4096;
	request->tgid = pid;
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void skip_without_map_files(const struct binary_request *request)
{
	_cleanup_close_ int fd = -1;
	char link[128];

	snprintf(link, sizeof(link), "/proc/%d/map_files/%lx-%lx", request->tgid,
		 (unsigned long)request->map_start, (unsigned long)request->map_end);
	fd = open(link, O_PATH | O_CLOEXEC);
	if (fd < 0) {
		print_message("skipped: cannot follow /proc/PID/map_files: %s\n", strerror(errno));
		stop(request->tgid);
		skip();
	}
}

static void test_one_file_by_any_name_is_one_binary(void **state)
{
	struct fixture *fixture = *state;
	struct binary *first, *second;

	copy_file("/bin/ls", at(fixture, "a"));
	copy_file("/bin/ls", at(fixture, "copy"));
	assert_int_equal(link(at(fixture, "a"), at(fixture, "b")), 0);
	first = get(fixture, by_inode(at(fixture, "a")));
	assert_true(binary_is_elf(first));

	second = get(fixture, by_inode(at(fixture, "b")));
	assert_ptr_equal(second, first);
	binary_put(second);
	second = get(fixture, by_build_id(at(fixture, "a")));
	assert_ptr_equal(second, first);
	binary_put(second);
	second = get(fixture, by_inode(at(fixture, "copy")));
	assert_ptr_equal(second, first);
	binary_put(second);
	assert_string_equal(binary_basename(first), "a");
	assert_int_equal(strlen(binary_build_id(first)), 40);
	binary_put(first);
}

static void test_different_files_differ(void **state)
{
	struct fixture *fixture = *state;
	struct binary *first = get(fixture, by_inode("/bin/ls"));
	struct binary *second = get(fixture, by_inode("/bin/cat"));

	assert_true(binary_id(first) != binary_id(second));
	assert_string_not_equal(binary_build_id(first), binary_build_id(second));
	binary_put(first);
	binary_put(second);
}

static void test_deleted_file_is_read_through_map_files(void **state)
{
	struct fixture *fixture = *state;
	struct binary_request request;
	struct binary *binary;
	char path[256];

	copy_file("/bin/ls", at(fixture, "gone"));
	request = by_inode(at(fixture, "gone"));
	start_mapper(at(fixture, "gone"), &request);
	skip_without_map_files(&request);
	assert_int_equal(unlink(at(fixture, "gone")), 0);
	snprintf(path, sizeof(path), "%s (deleted)", at(fixture, "gone"));
	request.path = path;
	binary = get(fixture, request);
	assert_true(binary_is_elf(binary));
	assert_string_equal(binary_basename(binary), "gone");
	stop(request.tgid);
	assert_true(is_named(binary, "/bin/ls"));
	binary_put(binary); /* nobody else holds the file: its blocks are freed */
	assert_int_equal(binary_cache_open_files(fixture->cache), 0);
}

static void test_replaced_file_is_not_used(void **state)
{
	struct fixture *fixture = *state;
	struct binary_request build_id, inode;
	struct binary *binary;

	copy_file("/bin/ls", at(fixture, "prog"));
	copy_file("/bin/cat", at(fixture, "new"));
	build_id = by_build_id(at(fixture, "prog"));
	inode = by_inode(at(fixture, "prog"));
	start_mapper(at(fixture, "prog"), &inode);
	assert_int_equal(rename(at(fixture, "new"), at(fixture, "prog")), 0);

	binary = get(fixture, build_id);
	check_unreadable(binary);
	assert_int_equal(strlen(binary_build_id(binary)), 40);
	binary_put(binary);
	build_id.tgid = inode.tgid; /* now something leads to the old one */
	build_id.map_start = inode.map_start;
	build_id.map_end = inode.map_end;
	skip_without_map_files(&build_id);
	binary = get(fixture, build_id);
	assert_true(is_named(binary, "/bin/ls"));
	binary_put(binary);
	stop(inode.tgid);
}

static void test_replaced_file_is_not_used_by_inode(void **state)
{
	struct fixture *fixture = *state;
	struct binary_request inode;
	struct binary *binary;

	copy_file("/bin/ls", at(fixture, "prog"));
	copy_file("/bin/cat", at(fixture, "new"));
	inode = by_inode(at(fixture, "prog"));
	assert_int_equal(rename(at(fixture, "new"), at(fixture, "prog")), 0);
	binary = get(fixture, inode);
	check_unreadable(binary);
	assert_string_equal(binary_symbol_source(binary), "unreadable: replaced by another file");
	binary_put(binary);
}

static void test_what_is_no_regular_file_is_unreadable(void **state)
{
	struct fixture *fixture = *state;
	const char *paths[] = { "fifo", "link", "folder", "missing", "", "loop" };
	size_t i;

	assert_int_equal(mkfifo(at(fixture, "fifo"), 0666), 0);
	assert_int_equal(symlink("fifo", at(fixture, "link")), 0);
	assert_int_equal(symlink("loop", at(fixture, "loop")), 0);
	assert_int_equal(mkdir(at(fixture, "folder"), 0777), 0);
	for (i = 0; i < ARRAY_SIZE(paths); i++) {
		struct binary_request request = { .path = at(fixture, paths[i]), .tgid = getpid() };
		struct binary *binary = get(fixture, request);

		check_unreadable(binary);
		binary_put(binary);
	}
	binary_put(get(fixture, (struct binary_request){ .path = "/dev/zero" }));
	binary_put(get(fixture, (struct binary_request){ .path = "anon_inode:[x]" }));
	binary_put(get(fixture, (struct binary_request){ .path = NULL }));
	assert_int_equal(binary_cache_open_files(fixture->cache), 0);
}

static void test_file_that_is_no_elf_has_offsets_only(void **state)
{
	struct fixture *fixture = *state;
	uint64_t start, limit, offset, address;
	struct binary *binary;

	copy_file("/proc/self/maps", at(fixture, "text"));
	binary = get(fixture, by_inode(at(fixture, "text")));
	assert_true(binary_is_opened(binary));
	assert_false(binary_is_elf(binary));
	assert_false(binary_segment(binary, 77, &start, &limit, &offset, &address));
	assert_int_equal(address, 77);
	assert_false(is_named(binary, "/bin/ls"));
	assert_string_equal(binary_build_id(binary), "");
	binary_put(binary);
}

static void test_segment_of_the_entry_point_holds_it(void **state)
{
	struct fixture *fixture = *state;
	uint64_t start, limit, offset, address, entry = entry_of("/bin/ls"), file_offset;
	struct binary *binary = get(fixture, by_inode("/bin/ls"));

	/* /bin/ls is linked so that addresses and file offsets are equal in its text */
	file_offset = entry;
	assert_true(binary_segment(binary, file_offset, &start, &limit, &offset, &address));
	assert_int_equal(address, entry);
	assert_true(start <= entry && entry < limit);
	assert_int_equal(start % 4096, 0);
	assert_int_equal(limit % 4096, 0);
	assert_int_equal(offset, start);
	assert_false(binary_segment(binary, 1ull << 40, &start, &limit, &offset, &address));
	binary_put(binary);
}

/* A tree like that of /proc for one process whose root is FOLDER/proc/77/root. */
static void make_fake_proc(struct fixture *fixture)
{
	assert_int_equal(mkdir(at(fixture, "proc"), 0777), 0);
	assert_int_equal(mkdir(at(fixture, "proc/77"), 0777), 0);
	assert_int_equal(mkdir(at(fixture, "proc/77/root"), 0777), 0);
	assert_int_equal(mkdir(at(fixture, "proc/77/map_files"), 0777), 0);
	renew_cache(fixture, at(fixture, "proc"), MANY, 16);
}

static void test_link_in_a_root_cannot_lead_out_of_it(void **state)
{
	struct fixture *fixture = *state;
	struct binary_request request = { .tgid = 77 };
	const char *escapes[] = { "/absolute", "/upwards", "/magic" };
	struct binary *binary;
	size_t i;

	make_fake_proc(fixture);
	copy_file("/bin/ls", at(fixture, "outside"));
	copy_file("/bin/ls", at(fixture, "proc/77/root/inside"));
	assert_int_equal(symlink(at(fixture, "outside"), at(fixture, "proc/77/root/absolute")), 0);
	assert_int_equal(symlink("../../../outside", at(fixture, "proc/77/root/upwards")), 0);
	assert_int_equal(symlink("/proc/self/exe", at(fixture, "proc/77/root/magic")), 0);
	assert_int_equal(symlink("../inside", at(fixture, "proc/77/root/good")), 0);
	for (i = 0; i < ARRAY_SIZE(escapes); i++) {
		request.path = escapes[i];
		binary = get(fixture, request);
		check_unreadable(binary);
		binary_put(binary);
	}
	request.path = "/good";
	binary = get(fixture, request);
	assert_true(binary_is_elf(binary));
	binary_put(binary);
}

static void test_map_files_link_of_a_later_mapping_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct binary_request request;
	struct binary *binary;

	make_fake_proc(fixture);
	copy_file("/bin/ls", at(fixture, "old"));
	copy_file("/bin/cat", at(fixture, "new"));
	request = by_inode(at(fixture, "old"));
	unlink(at(fixture, "old"));
	request.tgid = 77;
	request.map_start = 0x1000;
	request.map_end = 0x2000;
	assert_int_equal(symlink(at(fixture, "new"), at(fixture, "proc/77/map_files/1000-2000")),
			 0);
	binary = get(fixture, request);
	check_unreadable(binary);
	binary_put(binary);
}

static void test_vdso_is_read_from_our_own_memory(void **state)
{
	struct fixture *fixture = *state;
	struct binary *vdso = binary_get_vdso(fixture->cache), *again;
	uint64_t address;
	bool found = false;

	if (!vdso) {
		print_message("skipped: this kernel has no vdso\n");
		skip();
	}
	assert_string_equal(binary_path(vdso), "[vdso]");
	for (address = 0; !found && address < 0x4000; address++) {
		struct symbol symbol;

		found = binary_find_symbol(vdso, address, &symbol) &&
			strstr(symbol.name, "clock_gettime");
	}
	assert_true(found);
	again = binary_get_vdso(fixture->cache);
	assert_ptr_equal(again, vdso);
	binary_put(again);
	binary_put(vdso);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(test_one_file_by_any_name_is_one_binary),
		IN_FOLDER(test_different_files_differ),
		IN_FOLDER(test_deleted_file_is_read_through_map_files),
		IN_FOLDER(test_replaced_file_is_not_used),
		IN_FOLDER(test_replaced_file_is_not_used_by_inode),
		IN_FOLDER(test_what_is_no_regular_file_is_unreadable),
		IN_FOLDER(test_file_that_is_no_elf_has_offsets_only),
		IN_FOLDER(test_segment_of_the_entry_point_holds_it),
		IN_FOLDER(test_link_in_a_root_cannot_lead_out_of_it),
		IN_FOLDER(test_map_files_link_of_a_later_mapping_is_refused),
		IN_FOLDER(test_vdso_is_read_from_our_own_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
