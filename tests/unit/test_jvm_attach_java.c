/* SPDX-License-Identifier: BSD-2-Clause */
/* symbolizer/jvm_attach: against real JVMs; skipped where there is no java. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "profiler/base/fileio.h"
#include "profiler/base/strbuf.h"
#include "symbolizer/jit_file.h"
#include "symbolizer/jvm_attach.h"

/*
 * class S { public static void main(String[] a) throws Exception {
 * 	System.out.println("ready"); Thread.sleep(60000); } }
 * by javac --release 8 -g:none, so that a JRE will do.
 */
static const char class_bytes[] =
	"cafebabe0000003400250a000200030700040c000500060100106a6176612f6c616e672f4f626a65"
	"63740100063c696e69743e010003282956090008000907000a0c000b000c0100106a6176612f6c61"
	"6e672f53797374656d0100036f75740100154c6a6176612f696f2f5072696e7453747265616d3b08"
	"000e01000572656164790a001000110700120c001300140100136a6176612f696f2f5072696e7453"
	"747265616d0100077072696e746c6e010015284c6a6176612f6c616e672f537472696e673b295605"
	"000000000000ea600a0018001907001a0c001b001c0100106a6176612f6c616e672f546872656164"
	"010005736c656570010004284a295607001e01000153010004436f64650100046d61696e01001628"
	"5b4c6a6176612f6c616e672f537472696e673b295601000a457863657074696f6e73070024010013"
	"6a6176612f6c616e672f457863657074696f6e0020001d0002000000000002000000050006000100"
	"1f0000001100010001000000052ab70001b1000000000009002000210002001f0000001b00020001"
	"0000000fb20007120db6000f140015b80017b100000000002200000004000100230000";

/* Not below /tmp, which one test covers. */
static char folder[40];
static pid_t started; /* the program that was started; the JVM or a parent of it */

static const char *in_folder(const char *name)
{
	static char paths[4][80];
	static unsigned int turn;
	char *path = paths[turn++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static void write_class(void)
{
	FILE *file = fopen(in_folder("S.class"), "w");
	unsigned int byte;
	size_t i;

	assert_non_null(file);
	for (i = 0; class_bytes[i]; i += 2) {
		assert_int_equal(sscanf(class_bytes + i, "%2x", &byte), 1);
		fputc((int)byte, file);
	}
	fclose(file);
}

static int set_up(void **state)
{
	(void)state;
	alarm(100);
	started = 0;
	snprintf(folder, sizeof(folder), "/var/tmp/jvm-attach-XXXXXX");
	if (!mkdtemp(folder) || chmod(folder, 0755) < 0)
		return -1;
	write_class();
	return 0;
}

static int tear_down(void **state)
{
	char command[64];

	(void)state;
	if (started > 0) {
		kill(started, SIGKILL);
		waitpid(started, NULL, 0);
		snprintf(command, sizeof(command), "/tmp/perf-%d.map", started);
		unlink(command);
		snprintf(command, sizeof(command), "/tmp/.java_pid%d", started);
		unlink(command);
	}
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static void need(const char *command, const char *why)
{
	char text[160];

	snprintf(text, sizeof(text), "{ %s; } > /dev/null 2>&1 < /dev/null", command);
	if (system(text) == 0)
		return;
	print_message("skipped: %s\n", why);
	skip();
}

static void read_output(struct strbuf *text)
{
	strbuf_clear(text);
	assert_int_equal(read_path(in_folder("out"), 1 << 20, text), 0);
}

/* Runs the command, which ends with "S", in our class path; waits until its main() runs. */
static void start(const char *const *words)
{
	struct strbuf text = STRBUF_INIT;
	unsigned int tries = 0;

	started = fork();
	if (started == 0) {
		int out = open(in_folder("out"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setenv("CLASSPATH", folder, 1);
		dup2(out, STDOUT_FILENO);
		dup2(out, STDERR_FILENO);
		execvp(words[0], (char *const *)words);
		_exit(127);
	}
	while (access(in_folder("out"), F_OK) < 0 && tries++ < 1000)
		usleep(10000);
	do {
		usleep(20000);
		read_output(&text);
		assert_true(tries++ < 2000);
	} while (!text.text || !strstr(text.text, "ready"));
	strbuf_free(&text);
}

#define START(...) start((const char *const[]){ __VA_ARGS__, "S", NULL })

static void assert_no_stacks_printed(void)
{
	struct strbuf text = STRBUF_INIT;

	usleep(200000);
	read_output(&text);
	assert_null(strstr(text.text, "thread dump"));
	strbuf_free(&text);
	assert_int_equal(waitpid(started, NULL, WNOHANG), 0);
}

/* The perf-map of @jvm in its own /tmp, with an owner that we believe. */
static void assert_map_written(pid_t jvm)
{
	struct strbuf text = STRBUF_INIT;
	struct jit_process process;
	struct stat st;
	char path[80];

	assert_int_equal(jit_process_read("/proc", jvm, &process), 0);
	snprintf(path, sizeof(path), "/proc/%d/root/tmp/perf-%d.map", jvm, process.pid);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, process.uid);
	assert_int_equal(read_path(path, 16 << 20, &text), 0);
	assert_non_null(strstr(text.text, " Interpreter"));
	assert_non_null(strstr(text.text, "java.lang."));
	strbuf_free(&text);
	snprintf(path, sizeof(path), "/proc/%d/root/tmp/.attach_pid%d", jvm, process.pid);
	assert_int_equal(access(path, F_OK), -1);
}

static int ask(pid_t jvm)
{
	int r = jvm_attach_perfmap("/proc", jvm, -1);

	if (r == -ENOSYS) {
		print_message("skipped: this java is older than 17\n");
		skip();
	}
	return r;
}

static void need_java(void)
{
	need("java --version", "no java on this machine");
}

static void test_a_plain_jvm_writes_its_map(void **state)
{
	(void)state;
	need_java();
	START("java");
	assert_int_equal(ask(started), 0);
	assert_map_written(started);
	assert_int_equal(ask(started), 0);
	assert_no_stacks_printed();
}

static void test_a_jvm_without_monitoring_data(void **state)
{
	(void)state;
	need_java();
	START("java", "-XX:-UsePerfData");
	assert_int_equal(ask(started), 0);
	assert_map_written(started);
	assert_no_stacks_printed();
}

static void test_attaching_that_is_disabled_is_not_tried(void **state)
{
	(void)state;
	need_java();
	START("java", "-XX:+DisableAttachMechanism");
	assert_int_equal(ask(started), -EOPNOTSUPP);
	assert_no_stacks_printed();
}

static void test_attaching_that_is_disabled_without_monitoring_data(void **state)
{
	(void)state;
	need_java();
	START("java", "-XX:-UsePerfData", "-XX:+DisableAttachMechanism");
	assert_int_equal(ask(started), -EOPNOTSUPP);
	assert_no_stacks_printed();
}

static void test_attaching_that_is_disabled_by_the_environment(void **state)
{
	(void)state;
	need_java();
	START("env", "JAVA_TOOL_OPTIONS=-XX:-UsePerfData -XX:+DisableAttachMechanism", "java");
	assert_int_equal(ask(started), -EOPNOTSUPP);
	assert_no_stacks_printed();
}

static void test_options_in_a_file_are_not_guessed(void **state)
{
	FILE *file;

	(void)state;
	need_java();
	file = fopen(in_folder("options"), "w");
	fputs("-XX:+DisableAttachMechanism\n", file);
	fclose(file);
	START("sh", "-c", "exec java -XX:-UsePerfData @\"$CLASSPATH/options\" \"$0\"");
	assert_int_equal(ask(started), -EOPNOTSUPP);
	assert_no_stacks_printed();
}

/* -Xrs: SIGQUIT would end it; it listens from the start. */
static void test_a_jvm_that_does_not_catch_sigquit(void **state)
{
	char path[64];

	(void)state;
	need_java();
	START("java", "-Xrs");
	assert_int_equal(ask(started), 0);
	assert_map_written(started);
	snprintf(path, sizeof(path), "/tmp/.java_pid%d", started);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(ask(started), -EUNATCH);
	assert_no_stacks_printed();
}

/* As tmpreaper and the like do. */
static void test_a_socket_that_was_removed_is_made_anew(void **state)
{
	char path[64];

	(void)state;
	need_java();
	START("java");
	assert_int_equal(ask(started), 0);
	snprintf(path, sizeof(path), "/tmp/.java_pid%d", started);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(ask(started), 0);
	assert_no_stacks_printed();
}

static void test_a_jvm_of_another_user(void **state)
{
	(void)state;
	need_java();
	need("setpriv --reuid=65534 --regid=65534 --clear-groups true",
	     "only root can run a program as another user");
	START("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "java");
	assert_int_equal(ask(started), 0);
	assert_map_written(started);
	assert_no_stacks_printed();
}

/* The JVM that `unshare --fork` has started. */
static pid_t child_of(pid_t parent)
{
	struct strbuf text = STRBUF_INIT;
	char path[64];
	pid_t pid;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", parent, parent);
	assert_int_equal(read_path(path, 4096, &text), 0);
	pid = (pid_t)atoi(text.text);
	strbuf_free(&text);
	assert_true(pid > 0);
	return pid;
}

static void test_a_jvm_in_namespaces_of_its_own(void **state)
{
	struct jit_process process;
	pid_t jvm;

	(void)state;
	need_java();
	need("unshare --mount --pid --fork --mount-proc mount -t tmpfs none /tmp",
	     "no namespaces here");
	START("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c",
	      "mount -t tmpfs none /tmp && exec java \"$0\"");
	jvm = child_of(started);
	assert_int_equal(jit_process_read("/proc", jvm, &process), 0);
	assert_int_equal(process.pid, 1);
	assert_int_equal(ask(jvm), 0);
	assert_map_written(jvm);
	assert_int_equal(ask(jvm), 0);
	assert_no_stacks_printed();
}

#define FACT(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FACT(test_a_plain_jvm_writes_its_map),
		FACT(test_a_jvm_without_monitoring_data),
		FACT(test_attaching_that_is_disabled_is_not_tried),
		FACT(test_attaching_that_is_disabled_without_monitoring_data),
		FACT(test_attaching_that_is_disabled_by_the_environment),
		FACT(test_options_in_a_file_are_not_guessed),
		FACT(test_a_jvm_that_does_not_catch_sigquit),
		FACT(test_a_socket_that_was_removed_is_made_anew),
		FACT(test_a_jvm_of_another_user),
		FACT(test_a_jvm_in_namespaces_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
