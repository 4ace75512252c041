/* SPDX-License-Identifier: BSD-2-Clause */
/* Which kernel is it, and is it one that freezes? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "profiler/base/cleanup.h"
#include "profiler/collect/host.h"

/* As "6.1.180" or, when the patch level is not known, "6.1.0?". */
static void check_version(const char *release, const char *version, const char *signature,
			  const char *expected)
{
	struct kernel_version parsed;
	char text[64];

	assert_true(kernel_version_parse(release, version, signature, &parsed));
	snprintf(text, sizeof(text), "%u.%u.%u%s", parsed.major, parsed.minor, parsed.patch,
		 parsed.exact ? "" : "?");
	assert_string_equal(text, expected);
}

static void test_debian_tells_its_upstream_version_in_uname_v(void **state)
{
	(void)state;
	check_version("6.1.0-49-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.180-1 (2026-01-01)",
		      NULL, "6.1.180");
	check_version("6.1.0-9-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.27-1 (2023-05-08)", NULL,
		      "6.1.27");
	check_version("6.1.0-0.deb11.7-amd64",
		      "#1 SMP PREEMPT_DYNAMIC Debian 6.1.20-2~bpo11+1 (2023-04-23)", NULL,
		      "6.1.20");
	check_version("6.1.0-rpi7-rpi-v8", "#1 SMP PREEMPT Debian 1:6.1.63-1+rpt1 (2023-11-24)",
		      NULL, "6.1.63");
	/* A name of a build host or nothing behind the word: uname -r counts. */
	check_version("6.1.5", "#1 SMP Debian (built by hand)", NULL, "6.1.5");
	check_version("6.1.5", "#1 SMP Debian ", NULL, "6.1.5");
}

static void test_ubuntu_tells_its_upstream_version_in_its_signature(void **state)
{
	(void)state;
	check_version("6.8.0-31-generic", "#31-Ubuntu SMP PREEMPT_DYNAMIC Sat Apr 20 2024",
		      "Ubuntu 6.8.0-31.31-generic 6.8.1", "6.8.1");
	check_version("6.2.0-1018-azure", "#18~22.04.1-Ubuntu SMP",
		      "Ubuntu 6.2.0-1018.18~22.04.1-azure 6.2.16", "6.2.16");
	/* In a container that hides the file, or with other text in it. */
	check_version("6.2.0-39-generic", "#40~22.04.1-Ubuntu SMP PREEMPT_DYNAMIC", NULL, "6.2.0?");
	check_version("6.2.0-39-generic", "#40~22.04.1-Ubuntu SMP", "", "6.2.0?");
	check_version("6.2.0-39-generic", "#40~22.04.1-Ubuntu SMP", "Ubuntu", "6.2.0?");
	check_version("6.2.0-39-generic", "#40~22.04.1-Ubuntu SMP", "Ubuntu unknown", "6.2.0?");
}

static void test_upstream_names_are_exact(void **state)
{
	(void)state;
	check_version("6.1.35", "#1 SMP", NULL, "6.1.35");
	check_version("6.1.35-custom", NULL, NULL, "6.1.35");
	check_version("6.3.0", "#1 SMP", NULL, "6.3.0");
	check_version("6.4", "#1 SMP", NULL, "6.4.0");
	check_version("6.1.0-rc3", "#1 SMP", NULL, "6.1.0");
	check_version("6.3.0-rc7-00123-gdeadbeef", "#1 SMP", NULL, "6.3.0");
	check_version("6.18.5", "#1 SMP", NULL, "6.18.5");
	check_version("6.1.7-200.fc37.x86_64", "#1 SMP", NULL, "6.1.7");
}

static void test_names_that_hide_the_patch_level(void **state)
{
	(void)state;
	check_version("6.1.0-49-amd64", "#1 SMP", NULL, "6.1.0?");
	check_version("6.1.61-85.141.amzn2023.x86_64", "#1 SMP", NULL, "6.1.61?");
	check_version("5.14.0-362.8.1.el9_3.x86_64", "#1 SMP", NULL, "5.14.0?");
	check_version("6.1.9-1.el9.elrepo.x86_64", "#1 SMP", NULL, "6.1.9?");
	check_version("6.1.0-060100rc3-generic", "#202211", NULL, "6.1.0?");
}

static void test_text_without_numbers_is_no_version(void **state)
{
	struct kernel_version version = { 1, 2, 3, true };

	(void)state;
	assert_false(kernel_version_parse("", "", "", &version));
	assert_false(kernel_version_parse("linux", "#1 SMP", NULL, &version));
	assert_false(kernel_version_parse("6", NULL, NULL, &version));
	assert_int_equal(version.major, 1);
	assert_int_equal(version.patch, 3);
}

static enum kernel_safety safety(unsigned int major, unsigned int minor, unsigned int patch)
{
	return kernel_safety(&(struct kernel_version){ major, minor, patch, true });
}

static void test_bad_series_and_their_neighbours(void **state)
{
	static const struct {
		unsigned int major, minor, patch;
		enum kernel_safety safety;
	} cases[] = {
		{ 5, 10, 0, KERNEL_SAFE },     { 5, 15, 100, KERNEL_SAFE },
		{ 5, 18, 19, KERNEL_SAFE },    { 5, 19, 0, KERNEL_FREEZES },
		{ 5, 19, 17, KERNEL_FREEZES }, { 5, 20, 0, KERNEL_SAFE },
		{ 6, 0, 0, KERNEL_FREEZES },   { 6, 0, 19, KERNEL_FREEZES },
		{ 6, 1, 0, KERNEL_FREEZES },   { 6, 1, 35, KERNEL_FREEZES },
		{ 6, 1, 36, KERNEL_SAFE },     { 6, 1, 180, KERNEL_SAFE },
		{ 6, 2, 0, KERNEL_FREEZES },   { 6, 2, 16, KERNEL_FREEZES },
		{ 6, 3, 0, KERNEL_FREEZES },   { 6, 3, 9, KERNEL_FREEZES },
		{ 6, 3, 10, KERNEL_SAFE },     { 6, 4, 0, KERNEL_SAFE },
		{ 6, 12, 0, KERNEL_SAFE },     { 7, 0, 0, KERNEL_SAFE },
		{ 1, 0, 0, KERNEL_SAFE },      { 5, 1, 0, KERNEL_SAFE },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		if (safety(cases[i].major, cases[i].minor, cases[i].patch) != cases[i].safety)
			fail_msg("%u.%u.%u", cases[i].major, cases[i].minor, cases[i].patch);
}

static void test_unknown_patch_level_of_a_bad_series_is_unknown(void **state)
{
	(void)state;
	assert_int_equal(kernel_safety(&(struct kernel_version){ 6, 1, 0, false }), KERNEL_UNKNOWN);
	assert_int_equal(kernel_safety(&(struct kernel_version){ 6, 1, 61, false }),
			 KERNEL_UNKNOWN);
	assert_int_equal(kernel_safety(&(struct kernel_version){ 6, 2, 0, false }), KERNEL_UNKNOWN);
	assert_int_equal(kernel_safety(&(struct kernel_version){ 5, 19, 0, false }),
			 KERNEL_UNKNOWN);
	assert_int_equal(kernel_safety(&(struct kernel_version){ 5, 14, 0, false }), KERNEL_SAFE);
	assert_int_equal(kernel_safety(&(struct kernel_version){ 6, 8, 0, false }), KERNEL_SAFE);
}

static void test_running_kernel_has_a_version(void **state)
{
	struct kernel_version version;
	struct utsname name;
	unsigned int major;

	(void)state;
	assert_true(kernel_version_read(&version));
	assert_int_equal(uname(&name), 0);
	assert_int_equal(sscanf(name.release, "%u", &major), 1);
	assert_int_equal(version.major, major);
}

static void test_profiling_needs_admin_or_both_capabilities(void **state)
{
	(void)state;
	assert_true(host_can_profile(&(struct host_capabilities){ .sys_admin = true }));
	assert_true(host_can_profile(&(struct host_capabilities){ .bpf = true, .perfmon = true }));
	assert_false(host_can_profile(&(struct host_capabilities){ .bpf = true, .syslog = true }));
	assert_false(host_can_profile(&(struct host_capabilities){ .perfmon = true }));
	assert_false(host_can_profile(&(struct host_capabilities){}));
}

static void test_own_capabilities_are_read(void **state)
{
	struct host_capabilities capabilities;

	(void)state;
	memset(&capabilities, 0xff, sizeof(capabilities));
	assert_int_equal(host_capabilities_read(&capabilities), 0);
	assert_true(*(unsigned char *)&capabilities.bpf <= 1);
}

static void test_files_may_be_as_many_as_the_hard_limit_says(void **state)
{
	struct rlimit limit, low;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	low.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	host_raise_files();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &low), 0);
	assert_int_equal(low.rlim_cur, limit.rlim_max);
	assert_int_equal(low.rlim_max, limit.rlim_max);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_debian_tells_its_upstream_version_in_uname_v),
		cmocka_unit_test(test_ubuntu_tells_its_upstream_version_in_its_signature),
		cmocka_unit_test(test_upstream_names_are_exact),
		cmocka_unit_test(test_names_that_hide_the_patch_level),
		cmocka_unit_test(test_text_without_numbers_is_no_version),
		cmocka_unit_test(test_bad_series_and_their_neighbours),
		cmocka_unit_test(test_unknown_patch_level_of_a_bad_series_is_unknown),
		cmocka_unit_test(test_running_kernel_has_a_version),
		cmocka_unit_test(test_profiling_needs_admin_or_both_capabilities),
		cmocka_unit_test(test_own_capabilities_are_read),
		cmocka_unit_test(test_files_may_be_as_many_as_the_hard_limit_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
