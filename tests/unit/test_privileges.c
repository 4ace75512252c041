/* SPDX-License-Identifier: BSD-2-Clause */
/* What a profiler keeps of its capabilities, by what it was asked for and where it writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exporters/file.h"
#include "profiler/base/capabilities.h"
#include "profiler/cmd/privileges.h"

#define OVERRIDE CAPABILITY(CAP_DAC_OVERRIDE)
#define ADMIN CAPABILITY(CAP_SYS_ADMIN)
#define ALL ((UINT64_C(1) << 41) - 1)
#define FOR_LIFE                                                                                   \
	(CAPABILITY(CAP_BPF) | CAPABILITY(CAP_PERFMON) | CAPABILITY(CAP_SYS_PTRACE) |              \
	 CAPABILITY(CAP_DAC_READ_SEARCH) | CAPABILITY(CAP_CHECKPOINT_RESTORE) | \
	 CAPABILITY(CAP_IPC_LOCK))
#define ANOTHER_USER 4711

static uint64_t needed(const char *output, uint64_t held)
{
	return privileges_needed(&(struct privileges){ .output = output }, held);
}

static void test_six_are_for_life(void **state)
{
	(void)state;
	assert_int_equal(needed(NULL, ALL), FOR_LIFE);
	assert_int_equal(needed("-", ALL), FOR_LIFE);
}

static void test_none_is_kept_that_is_not_held(void **state)
{
	const struct privileges everything = {
		.output = NULL, .with_command = true, .jvm_perfmap = true, .debuginfod = true
	};
	unsigned int value;

	(void)state;
	assert_int_equal(needed(NULL, 0), 0);
	for (value = 0; value < 41; value++)
		assert_int_equal(privileges_needed(&everything, CAPABILITY(value)) &
					 ~CAPABILITY(value),
				 0);
}

static void test_sys_admin_stands_in_for_what_is_not_held(void **state)
{
	uint64_t held = ALL & ~CAPABILITY(CAP_CHECKPOINT_RESTORE);

	(void)state;
	assert_int_equal(needed(NULL, ADMIN), ADMIN);
	assert_int_equal(needed(NULL, ADMIN | CAPABILITY(CAP_BPF)), ADMIN | CAPABILITY(CAP_BPF));
	assert_int_equal(needed(NULL, held), (FOR_LIFE & held) | ADMIN);
	assert_int_equal(needed(NULL, FOR_LIFE | ADMIN), FOR_LIFE);
}

static void test_dac_override_stands_in_for_reading(void **state)
{
	(void)state;
	assert_int_equal(needed(NULL, OVERRIDE), OVERRIDE);
	assert_int_equal(needed(NULL, OVERRIDE | CAPABILITY(CAP_DAC_READ_SEARCH)),
			 CAPABILITY(CAP_DAC_READ_SEARCH));
}

static void test_options_keep_what_they_need(void **state)
{
	const struct privileges command = { .with_command = true }, jvm = { .jvm_perfmap = true };

	(void)state;
	assert_int_equal(privileges_needed(&command, ALL), FOR_LIFE | CAPABILITY(CAP_KILL));
	assert_int_equal(privileges_needed(&jvm, ALL), FOR_LIFE | CAPABILITY(CAP_KILL) | OVERRIDE |
							       CAPABILITY(CAP_CHOWN) |
							       CAPABILITY(CAP_FOWNER));
}

/* ---- files, which take a root that has it all ---- */

/* The capabilities in effect; skips the test where they are not root's. */
static uint64_t as_root(void)
{
	const uint64_t wanted = FOR_LIFE | OVERRIDE | CAPABILITY(CAP_CHOWN) |
				CAPABILITY(CAP_FOWNER);
	uint64_t held = 0;

	capabilities_effective(&held);
	if (geteuid() != 0 || (held & wanted) != wanted) {
		print_message("skip: this takes root\n");
		skip();
	}
	return held;
}

/* A folder of its own, as it is after @mode and @owner; out.pb.gz in it is not there. */
static char folder[64], output[96];

static void make_folder(mode_t mode, uid_t owner)
{
	snprintf(folder, sizeof(folder), "/tmp/ebpfprof-privileges-XXXXXX");
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chown(folder, owner, owner), 0);
	assert_int_equal(chmod(folder, mode), 0);
	snprintf(output, sizeof(output), "%s/out.pb.gz", folder);
	unsetenv("SUDO_UID");
	unsetenv("SUDO_GID");
	unsetenv("DEBUGINFOD_URLS");
}

static int remove_folder(void **state)
{
	(void)state;
	unlink(output);
	rmdir(folder);
	unsetenv("SUDO_UID");
	unsetenv("SUDO_GID");
	unsetenv("DEBUGINFOD_URLS");
	unsetenv("DEBUGINFOD_CACHE_PATH");
	return 0;
}

static void make_output(uid_t owner)
{
	FILE *file = fopen(output, "we");

	assert_non_null(file);
	fclose(file);
	assert_int_equal(chown(output, owner, owner), 0);
}

static void become_sudo(void)
{
	setenv("SUDO_UID", "4711", 1);
	setenv("SUDO_GID", "4711", 1);
}

static uint64_t needed_for_output(uint64_t held)
{
	uint64_t result = needed(output, held), now;

	/* What was tried left no trace. */
	assert_int_equal(capabilities_effective(&now), 0);
	assert_int_equal(now, held);
	return result;
}

static void test_an_own_folder_takes_no_more(void **state)
{
	uint64_t held = as_root();

	(void)state;
	make_folder(0755, 0);
	assert_int_equal(needed_for_output(held), FOR_LIFE);
	make_output(ANOTHER_USER); /* is replaced */
	assert_int_equal(needed_for_output(held), FOR_LIFE);
}

static void test_another_users_folder_takes_dac_override(void **state)
{
	uint64_t held = as_root();

	(void)state;
	make_folder(0700, ANOTHER_USER);
	assert_int_equal(needed_for_output(held), FOR_LIFE | OVERRIDE);
	assert_int_equal(access(output, F_OK), -1);
	/* Not where it is everybody's. */
	assert_int_equal(chmod(folder, 0777), 0);
	assert_int_equal(needed_for_output(held), FOR_LIFE);
}

static void test_behind_sudo_the_file_is_given_away(void **state)
{
	uint64_t held = as_root();

	(void)state;
	make_folder(0755, ANOTHER_USER);
	become_sudo();
	assert_int_equal(needed_for_output(held), FOR_LIFE | OVERRIDE | CAPABILITY(CAP_CHOWN));
	/* Root's root. */
	setenv("SUDO_UID", "0", 1);
	setenv("SUDO_GID", "0", 1);
	assert_int_equal(needed_for_output(held), FOR_LIFE | OVERRIDE);
}

static void test_a_sticky_folder_takes_fowner(void **state)
{
	uint64_t held = as_root();

	(void)state;
	make_folder(01777, ANOTHER_USER);
	assert_int_equal(needed_for_output(held), FOR_LIFE);
	make_output(ANOTHER_USER + 1);
	assert_int_equal(needed_for_output(held), FOR_LIFE | CAPABILITY(CAP_FOWNER));
	unlink(output);
	become_sudo();
	assert_int_equal(needed_for_output(held),
			 FOR_LIFE | CAPABILITY(CAP_FOWNER) | CAPABILITY(CAP_CHOWN));
	/* In root's, as /tmp is, root renames what it likes. */
	assert_int_equal(chown(folder, 0, 0), 0);
	assert_int_equal(needed_for_output(held), FOR_LIFE | CAPABILITY(CAP_CHOWN));
}

/* What is kept suffices: the file is written, given away, and in its place. */
static void test_with_what_is_kept_the_file_is_written(void **state)
{
	static const mode_t modes[] = { 0755, 0700, 01777, 0777 };
	uint64_t held = as_root();
	struct stat there;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		struct file_output *file = NULL;

		make_folder(modes[i], ANOTHER_USER);
		become_sudo();
		make_output(ANOTHER_USER + 1);
		assert_int_equal(capabilities_set_effective(needed_for_output(held)), 0);
		assert_int_equal(file_output_open(output, &file, NULL), 0);
		assert_int_equal(file_output_write(file, "text", 4), 0);
		assert_int_equal(file_output_commit(file, NULL), 0);
		assert_int_equal(capabilities_set_effective(held), 0);
		assert_int_equal(stat(output, &there), 0);
		assert_int_equal(there.st_size, 4);
		assert_int_equal(there.st_uid, ANOTHER_USER);
		remove_folder(state);
	}
}

static void test_debuginfods_cache_is_written_to(void **state)
{
	const struct privileges asked = { .debuginfod = true };
	uint64_t held = as_root();
	char below[128];

	(void)state;
	make_folder(0755, ANOTHER_USER);
	snprintf(below, sizeof(below), "%s/not/there/yet", folder);
	setenv("DEBUGINFOD_CACHE_PATH", below, 1);
	assert_int_equal(privileges_needed(&asked, held), FOR_LIFE);
	setenv("DEBUGINFOD_URLS", "http://127.0.0.1:1/", 1);
	assert_int_equal(privileges_needed(&asked, held), FOR_LIFE | OVERRIDE);
	assert_int_equal(chown(folder, 0, 0), 0);
	assert_int_equal(privileges_needed(&asked, held), FOR_LIFE);
}

static void test_what_is_missing_is_said(void **state)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	assert_non_null(out);
	privileges_notes(out, ALL);
	privileges_notes(out, ADMIN | OVERRIDE | CAPABILITY(CAP_SYS_PTRACE));
	fflush(out);
	assert_int_equal(size, 0);
	privileges_notes(out, CAPABILITY(CAP_BPF));
	fclose(out);
	assert_non_null(strstr(text, "no CAP_SYS_PTRACE: "));
	assert_non_null(strstr(text, "no CAP_DAC_READ_SEARCH: "));
	assert_non_null(strstr(text, "no CAP_CHECKPOINT_RESTORE: "));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_six_are_for_life),
		cmocka_unit_test(test_none_is_kept_that_is_not_held),
		cmocka_unit_test(test_sys_admin_stands_in_for_what_is_not_held),
		cmocka_unit_test(test_dac_override_stands_in_for_reading),
		cmocka_unit_test(test_options_keep_what_they_need),
		cmocka_unit_test_teardown(test_an_own_folder_takes_no_more, remove_folder),
		cmocka_unit_test_teardown(test_another_users_folder_takes_dac_override,
					  remove_folder),
		cmocka_unit_test_teardown(test_behind_sudo_the_file_is_given_away, remove_folder),
		cmocka_unit_test_teardown(test_a_sticky_folder_takes_fowner, remove_folder),
		cmocka_unit_test_teardown(test_with_what_is_kept_the_file_is_written,
					  remove_folder),
		cmocka_unit_test_teardown(test_debuginfods_cache_is_written_to, remove_folder),
		cmocka_unit_test(test_what_is_missing_is_said),
	};

	unsetenv("DEBUGINFOD_URLS");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
