/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exporters/file.h"
#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"
#include "profiler/base/fileio.h"
#include "profiler/base/strbuf.h"
#include "tests/unit/place.h"

#define SOMEBODY 12345u

static int write_text(const char *path, const char *text, struct errmsg *err)
{
	struct file_output *output = NULL;
	int error = file_output_open(path, &output, err);

	if (error)
		return error;
	file_output_write(output, text, strlen(text));
	return file_output_commit(output, err);
}

static void check_refused(const char *path, int expected, const char *text)
{
	struct errmsg err = { "" };

	assert_int_equal(file_output_check(path, &err), expected);
	assert_string_equal(err.text, text);
	assert_int_equal(write_text(path, "x", &err), expected);
	assert_string_equal(err.text, text);
}

static void test_file_appears_at_commit_only(void **state)
{
	struct file_output *output;
	struct stat info;

	(void)state;
	assert_int_equal(file_output_open("out", &output, NULL), 0);
	assert_int_equal(file_output_write(output, "hello", 5), 0);
	assert_int_equal(access("out", F_OK), -1);
	assert_true(count_entries(".") <= 1); /* none where it needs no name */
	assert_int_equal(file_output_commit(output, NULL), 0);
	check_file("out", "hello");
	assert_int_equal(count_entries("."), 1);
	assert_int_equal(stat("out", &info), 0);
	assert_int_equal(info.st_mode & 07777, 0644);
	unlink("out");
}

static void test_mode_follows_umask(void **state)
{
	struct stat info;

	(void)state;
	umask(0027);
	assert_int_equal(write_text("out", "x", NULL), 0);
	assert_int_equal(stat("out", &info), 0);
	assert_int_equal(info.st_mode & 07777, 0640);
	unlink("out");
}

static void test_abort_keeps_old_content(void **state)
{
	struct file_output *output;

	(void)state;
	put_file("out", "old");
	assert_int_equal(file_output_open("out", &output, NULL), 0);
	assert_int_equal(file_output_write(output, "new", 3), 0);
	file_output_abort(output);
	file_output_abort(NULL);
	check_file("out", "old");
	assert_int_equal(count_entries("."), 1);
	assert_int_equal(write_text("out", "new", NULL), 0);
	check_file("out", "new");
	unlink("out");
}

static void test_check_leaves_nothing_behind(void **state)
{
	(void)state;
	assert_int_equal(file_output_check("out", NULL), 0);
	assert_int_equal(count_entries("."), 0);
	put_file("out", "old");
	assert_int_equal(file_output_check("out", NULL), 0);
	check_file("out", "old");
	unlink("out");
	assert_int_equal(file_output_check("/dev/null", NULL), 0);
	assert_int_equal(file_output_check("-", NULL), 0);
}

static void test_large_and_small_writes_keep_their_order(void **state)
{
	static char expected[300001];
	struct file_output *output;
	size_t at = 0, len = 1, i;

	(void)state;
	for (i = 0; i < sizeof(expected) - 1; i++)
		expected[i] = (char)('a' + i % 23);
	assert_int_equal(file_output_open("out", &output, NULL), 0);
	while (at < sizeof(expected) - 1) {
		if (len > sizeof(expected) - 1 - at)
			len = sizeof(expected) - 1 - at;
		assert_int_equal(file_output_write(output, expected + at, len), 0);
		at += len;
		len = len * 3 % 100003 + 1;
	}
	assert_int_equal(file_output_commit(output, NULL), 0);
	check_file("out", expected);
	unlink("out");
}

static void test_failed_write_leaves_nothing_behind(void **state)
{
	struct rlimit old, small;
	struct errmsg err = { "" };
	struct file_output *output;
	static char bytes[100000];

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 4096;
	put_file("out", "old");
	assert_int_equal(file_output_open("out", &output, NULL), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(file_output_write(output, bytes, sizeof(bytes)), -EFBIG);
	assert_int_equal(file_output_write(output, bytes, 1), -EFBIG);
	assert_int_equal(file_output_commit(output, &err), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_string_equal(err.text, "cannot write 'out': File too large");
	check_file("out", "old");
	assert_int_equal(count_entries("."), 1);
	unlink("out");
}

static void test_killed_writer_leaves_old_content(void **state)
{
	int unnamed = open(".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	char temp[64];
	pid_t writer;

	(void)state;
	put_file("out", "old");
	writer = fork();
	assert_true(writer >= 0);
	if (!writer) {
		struct file_output *output;

		file_output_open("out", &output, NULL);
		file_output_write(output, "new", 3);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(writer, NULL, 0), writer);
	check_file("out", "old");
	snprintf(temp, sizeof(temp), ".out.ebpfprof-%d-0.tmp", (int)writer);
	/* Only on file systems that have no files without a name is something left behind. */
	assert_int_equal(unlink(temp), unnamed >= 0 ? -1 : 0);
	assert_int_equal(count_entries("."), 1);
	if (unnamed >= 0)
		close(unnamed);
	unlink("out");
}

/* A second ^C: nothing half-written stays, and it is the signal that ended us. */
static void test_ended_writer_leaves_nothing_behind(void **state)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		pid_t writer = fork();
		int status;

		assert_true(writer >= 0);
		if (!writer) {
			struct file_output *output;

			file_output_open("out", &output, NULL);
			file_output_write(output, "new", 3);
			raise(signals[i]);
			_exit(0);
		}
		assert_int_equal(waitpid(writer, &status, 0), writer);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == signals[i]);
		assert_int_equal(count_entries("."), 0);
	}
}

static void test_writing_leaves_signals_as_they_were(void **state)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, before, now;
	struct file_output *output;

	(void)state;
	sigaction(SIGTERM, &ignore, &before);
	assert_int_equal(file_output_open("out", &output, NULL), 0);
	raise(SIGTERM);
	assert_int_equal(file_output_commit(output, NULL), 0);
	sigaction(SIGTERM, &before, &now);
	assert_ptr_equal(now.sa_handler, SIG_IGN);
	sigaction(SIGINT, NULL, &now);
	assert_ptr_equal(now.sa_handler, SIG_DFL);
	unlink("out");
}

static void test_taken_temporary_name_is_stepped_over(void **state)
{
	char temp[64];

	(void)state;
	snprintf(temp, sizeof(temp), ".out.ebpfprof-%d-0.tmp", (int)getpid());
	put_file("victim", "victim");
	assert_int_equal(symlink("victim", temp), 0);
	assert_int_equal(write_text("out", "new", NULL), 0);
	check_file("out", "new");
	check_file("victim", "victim");
	unlink("out");
	unlink("victim");
	unlink(temp);
}

static void test_longest_name_can_be_written(void **state)
{
	char name[NAME_MAX + 2];

	(void)state;
	memset(name, 'n', NAME_MAX);
	name[NAME_MAX] = '\0';
	assert_int_equal(write_text(name, "x", NULL), 0);
	check_file(name, "x");
	unlink(name);
	name[NAME_MAX] = 'n';
	name[NAME_MAX + 1] = '\0';
	assert_int_equal(file_output_check(name, NULL), -ENAMETOOLONG);
}

static void test_places_that_cannot_be_written_say_why(void **state)
{
	(void)state;
	assert_int_equal(mkdir("dir", 0755), 0);
	put_file("plain", "x");
	check_refused("dir", -EISDIR, "cannot write 'dir': Is a directory; name a file in it");
	check_refused("dir/", -EISDIR, "cannot write 'dir/': Is a directory; name a file in it");
	check_refused("new/", -EISDIR, "cannot write 'new/': Is a directory; name a file in it");
	check_refused("none/out", -ENOENT,
		      "cannot write 'none/out': No such file or directory; create its folder "
		      "first, or name another place");
	check_refused("", -ENOENT, "cannot write '': No such file or directory");
	check_refused("plain/out", -ENOTDIR, "cannot write 'plain/out': Not a directory");
	unlink("plain");
	rmdir("dir");
}

/* @check as an ordinary user, when we are root; as we are, when not. */
static void as_user(void (*check)(void))
{
	bool root = geteuid() == 0;

	if (root)
		assert_int_equal(seteuid(SOMEBODY), 0);
	check();
	if (root)
		assert_int_equal(seteuid(0), 0);
}

static void check_closed_folder(void)
{
	check_refused("dir/out", -EACCES,
		      "cannot write 'dir/out': Permission denied; name a place where you may write");
}

static void test_folder_without_permission_is_refused_early(void **state)
{
	(void)state;
	assert_int_equal(chmod(".", 0755), 0);
	assert_int_equal(mkdir("dir", 0555), 0);
	as_user(check_closed_folder);
	rmdir("dir");
}

static void check_anothers_file(void)
{
	assert_int_equal(file_output_check("dir/out", NULL), -EPERM);
	assert_int_equal(file_output_check("dir/new", NULL), 0);
}

static void test_anothers_file_in_sticky_folder_is_refused_early(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("needs root: a file of another user\n");
		skip();
	}
	assert_int_equal(chmod(".", 0755), 0);
	assert_int_equal(mkdir("dir", 0777), 0);
	assert_int_equal(chmod("dir", 01777), 0);
	put_file("dir/out", "root's");
	as_user(check_anothers_file);
	check_file("dir/out", "root's");
	unlink("dir/out");
	rmdir("dir");
}

static void test_link_stays_and_its_file_is_replaced(void **state)
{
	char points_to[64];

	(void)state;
	assert_int_equal(mkdir("dir", 0755), 0);
	put_file("dir/real", "old");
	assert_int_equal(symlink("dir/middle", "link"), 0);
	assert_int_equal(symlink("real", "dir/middle"), 0);
	assert_int_equal(write_text("link", "new", NULL), 0);
	check_file("dir/real", "new");
	assert_int_equal(readlink("link", points_to, sizeof(points_to)), 10);
	assert_int_equal(readlink("dir/middle", points_to, sizeof(points_to)), 4);
	assert_int_equal(count_entries("dir"), 2);
	unlink("dir/real");
	assert_int_equal(write_text("link", "made", NULL), 0);
	check_file("dir/real", "made");
	unlink("dir/real");
	unlink("dir/middle");
	unlink("link");
	rmdir("dir");
}

static void test_ring_of_links_is_refused(void **state)
{
	(void)state;
	assert_int_equal(symlink("b", "a"), 0);
	assert_int_equal(symlink("a", "b"), 0);
	assert_int_equal(file_output_check("a", NULL), -ELOOP);
	unlink("a");
	unlink("b");
}

static void test_anothers_link_in_sticky_folder_is_not_followed(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("needs root: a link of another user\n");
		skip();
	}
	assert_int_equal(mkdir("dir", 0777), 0);
	assert_int_equal(chmod("dir", 01777), 0);
	put_file("victim", "victim");
	assert_int_equal(symlink("../victim", "dir/out"), 0);
	assert_int_equal(write_text("dir/out", "mine", NULL), 0);
	check_file("victim", "mine");
	assert_int_equal(lchown("dir/out", SOMEBODY, SOMEBODY), 0);
	assert_int_equal(write_text("dir/out", "lost", NULL), -EACCES);
	check_file("victim", "mine");
	assert_int_equal(count_entries("dir"), 1);
	unlink("dir/out");
	unlink("victim");
	rmdir("dir");
}

static void test_fifo_is_written_through(void **state)
{
	int status;
	pid_t reader;

	(void)state;
	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_int_equal(file_output_check("fifo", NULL), 0);
	reader = fork();
	assert_true(reader >= 0);
	if (!reader) {
		struct strbuf text = STRBUF_INIT;

		_exit(read_path("fifo", 100, &text) || strcmp(text.text, "hello") != 0);
	}
	assert_int_equal(write_text("fifo", "hello", NULL), 0);
	assert_int_equal(waitpid(reader, &status, 0), reader);
	assert_int_equal(status, 0);
	assert_int_equal(count_entries("."), 1);
	unlink("fifo");
}

static void test_device_is_written_through(void **state)
{
	struct errmsg err = { "" };

	(void)state;
	assert_int_equal(write_text("/dev/null", "x", NULL), 0);
	assert_int_equal(write_text("/dev/full", "x", &err), -ENOSPC);
	assert_string_equal(err.text, "cannot write '/dev/full': No space left on device; "
				      "free some space, or name another place");
}

/* @path is "-" or means the same; stdout is the write end of a pipe meanwhile. */
static void check_stdout(const char *path)
{
	int ends[2], saved = dup(STDOUT_FILENO);
	char got[16] = "";

	fflush(stdout);
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDOUT_FILENO);
	close(ends[1]);
	assert_int_equal(write_text(path, "hello", NULL), 0);
	/* Still open behind the commit. */
	assert_int_equal(write(STDOUT_FILENO, "!", 1), 1);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	assert_int_equal(read(ends[0], got, sizeof(got)), 6);
	assert_string_equal(got, "hello!");
	close(ends[0]);
}

static void test_dash_is_stdout(void **state)
{
	(void)state;
	check_stdout("-");
	check_stdout("/dev/stdout");
	check_stdout("/proc/self/fd/1");
}

static void test_closed_stdout_is_an_error(void **state)
{
	int saved = dup(STDOUT_FILENO), error;

	(void)state;
	fflush(stdout);
	close(STDOUT_FILENO);
	error = file_output_check("-", NULL);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	assert_int_equal(error, -EBADF);
}

static void check_owner(const char *uid, const char *gid, uid_t expected_uid, gid_t expected_gid)
{
	struct stat info;

	setenv("SUDO_UID", uid, 1);
	setenv("SUDO_GID", gid, 1);
	assert_int_equal(write_text("out", "x", NULL), 0);
	assert_int_equal(stat("out", &info), 0);
	assert_int_equal(info.st_uid, expected_uid);
	assert_int_equal(info.st_gid, expected_gid);
	assert_int_equal(info.st_mode & 07777, 0644);
	unlink("out");
}

static void test_file_belongs_to_the_user_of_sudo(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("needs root: giving files away\n");
		skip();
	}
	check_owner("12345", "12346", 12345, 12346);
	check_owner("0", "0", 0, 0);
	check_owner("12345", "", 0, 0);
	check_owner("", "12346", 0, 0);
	check_owner("-1", "5", 0, 0);
	check_owner("+5", "5", 0, 0);
	check_owner(" 5", "5", 0, 0);
	check_owner("5x", "5", 0, 0);
	check_owner("0x5", "5", 0, 0);
	check_owner("4294967295", "5", 0, 0);
	check_owner("4294967296", "5", 0, 0);
	check_owner("18446744073709551617", "5", 0, 0);
	check_owner("4294967294", "5", 4294967294u, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_PLACE(test_file_appears_at_commit_only),
		IN_PLACE(test_mode_follows_umask),
		IN_PLACE(test_abort_keeps_old_content),
		IN_PLACE(test_check_leaves_nothing_behind),
		IN_PLACE(test_large_and_small_writes_keep_their_order),
		IN_PLACE(test_failed_write_leaves_nothing_behind),
		IN_PLACE(test_killed_writer_leaves_old_content),
		IN_PLACE(test_ended_writer_leaves_nothing_behind),
		IN_PLACE(test_writing_leaves_signals_as_they_were),
		IN_PLACE(test_taken_temporary_name_is_stepped_over),
		IN_PLACE(test_longest_name_can_be_written),
		IN_PLACE(test_places_that_cannot_be_written_say_why),
		IN_PLACE(test_folder_without_permission_is_refused_early),
		IN_PLACE(test_anothers_file_in_sticky_folder_is_refused_early),
		IN_PLACE(test_link_stays_and_its_file_is_replaced),
		IN_PLACE(test_ring_of_links_is_refused),
		IN_PLACE(test_anothers_link_in_sticky_folder_is_not_followed),
		IN_PLACE(test_fifo_is_written_through),
		IN_PLACE(test_device_is_written_through),
		IN_PLACE(test_dash_is_stdout),
		IN_PLACE(test_closed_stdout_is_an_error),
		IN_PLACE(test_file_belongs_to_the_user_of_sudo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
