/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "symbolizer/demangle.h"
#include "tests/unit/fail_malloc.h"

static void assert_demangles(const char *name, const char *expected)
{
	char *text = demangle(name);

	if (!text)
		fail_msg("'%s' was not demangled", name);
	assert_string_equal(text, expected);
	free(text);
}

static void test_demangle_cpp(void **state)
{
	(void)state;
	assert_demangles("_Z3foov", "foo()");
	assert_demangles("_ZN3abc3fooEi", "abc::foo(int)");
	assert_demangles("_ZNSt6vectorIiSaIiEE9push_backERKi",
			 "std::vector<int, std::allocator<int> >::push_back(int const&)");
}

static void test_demangle_rust_legacy_drops_hash(void **state)
{
	(void)state;
	assert_demangles("_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write");
	assert_demangles("_ZN71_$LT$Test$u20$$u2b$$u20$$u27$static$u20$as$u20$foo..Bar$LT$Test$GT$"
			 "$GT$3bar17h930b740aa94f1d3aE",
			 "<Test + 'static as foo::Bar<Test>>::bar");
}

static void test_demangle_rust_v0_drops_crate_hash(void **state)
{
	(void)state;
	assert_demangles("_RNvCskwGfYPst2Cb_3foo16example_function", "foo::example_function");
	assert_demangles("_RMCs4fqI2P2rA04_13const_genericINtB0_8UnsignedKhb_E",
			 "<const_generic::Unsigned<11>>");
}

static void test_demangle_keeps_suffixes_behind(void **state)
{
	(void)state;
	assert_demangles("_Z3foov.cold", "foo().cold");
	assert_demangles("_Z3foov.isra.0.part.3.constprop.0.cold",
			 "foo().isra.0.part.3.constprop.0.cold");
	assert_demangles("_Z3foov@plt", "foo()@plt");
	assert_demangles("_Z3foov.localalias@plt", "foo().localalias@plt");
	assert_demangles("_ZN4core3fmt5write17h0123456789abcdefE.llvm.1234",
			 "core::fmt::write.llvm.1234");
	assert_demangles("_RNvCskwGfYPst2Cb_3foo16example_function.llvm.55",
			 "foo::example_function.llvm.55");
}

static void test_demangle_dots_inside_of_rust_names_are_no_suffix(void **state)
{
	(void)state;
	assert_demangles("_ZN4core3ptr29drop_in_place$LT$std..Foo$GT$17h0123456789abcdefE",
			 "core::ptr::drop_in_place<std::Foo>");
	assert_demangles("_ZN4core3ptr29drop_in_place$LT$std..Foo$GT$17h0123456789abcdefE.cold",
			 "core::ptr::drop_in_place<std::Foo>.cold");
}

static void test_demangle_leaves_other_names_alone(void **state)
{
	static const char *const names[] = { "",       "_",	     "_Z",
					     "_R",     "main",	     "_Zx",
					     "_Read",  "_RESET",     "_Z3fo",
					     "@plt",   ".",	     "_Z.cold",
					     "_Z@plt", "malloc",     "__libc_start_main",
					     "Z3foov", "_Z3foov\xff" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *text = demangle(names[i]);

		if (text)
			fail_msg("'%s' became '%s'", names[i], text);
	}
}

static void test_demangle_leaves_too_long_names_alone(void **state)
{
	char *name = malloc(DEMANGLE_NAME_MAX + 64);

	(void)state;
	assert_non_null(name);
	snprintf(name, 64, "_Z%d", DEMANGLE_NAME_MAX);
	memset(name + strlen(name), 'a', DEMANGLE_NAME_MAX);
	strcpy(name + DEMANGLE_NAME_MAX + 7, "v");
	assert_null(demangle(name));
	free(name);
}

/* Each type is a pair of the one before: 2^60 words, were they printed. */
static void test_demangle_gives_up_on_names_that_explode(void **state)
{
	char name[1024] = "_Z1fSt4pairIiiE";
	int i;

	(void)state;
	for (i = 0; i < 60; i++) {
		static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
		size_t len = strlen(name);
		char last[8];

		if (i == 0)
			snprintf(last, sizeof(last), "S0_");
		else if (i < 35)
			snprintf(last, sizeof(last), "S%c_", digits[i + 1]);
		else
			snprintf(last, sizeof(last), "S%c%c_", digits[(i + 1) / 36],
				 digits[(i + 1) % 36]);
		snprintf(name + len, sizeof(name) - len, "S_I%s%sE", last, last);
	}
	assert_null(demangle(name));
}

/* What c++filt prints for the C++ names of a library that is everywhere. */
static void test_demangle_agrees_with_cppfilt(void **state)
{
	FILE *pipe =
		popen("lib=$(cc -print-file-name=libstdc++.so.6 2>/dev/null) && "
		      "nm -D --defined-only \"$lib\" 2>/dev/null | sed 's/.* //; s/@.*//' | "
		      "grep '^_Z' | awk 'length < 400' | head -n 4000 > /tmp/ebpfprof-names.$$ &&"
		      " c++filt -i < /tmp/ebpfprof-names.$$ | paste /tmp/ebpfprof-names.$$ - ;"
		      " rm -f /tmp/ebpfprof-names.$$",
		      "r");
	int compared = 0;
	char line[16384];

	(void)state;
	assert_non_null(pipe);
	while (fgets(line, sizeof(line), pipe)) {
		char *tab = strchr(line, '\t');

		line[strcspn(line, "\n")] = '\0';
		if (!tab || strcmp(tab + 1, line) == 0)
			continue;
		*tab = '\0';
		if (strcmp(line, tab + 1) == 0)
			continue;
		assert_demangles(line, tab + 1);
		compared++;
	}
	pclose(pipe);
	if (!compared) {
		print_message("no libstdc++ with nm and c++filt here\n");
		skip();
	}
	assert_true(compared > 1000);
}

static void test_demangle_survives_failing_allocations(void **state)
{
	bool hit = true;
	long n;

	(void)state;
	for (n = 1; hit && n < 100; n++) {
		char *text;

		fail_malloc_at(n);
		text = demangle("_ZNSt6vectorIiSaIiEE9push_backERKi.cold@plt");
		hit = fail_malloc_hit();
		fail_malloc_at(0);
		assert_int_equal(text == NULL, hit);
		free(text);
	}
	assert_false(hit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_demangle_cpp),
		cmocka_unit_test(test_demangle_rust_legacy_drops_hash),
		cmocka_unit_test(test_demangle_rust_v0_drops_crate_hash),
		cmocka_unit_test(test_demangle_keeps_suffixes_behind),
		cmocka_unit_test(test_demangle_dots_inside_of_rust_names_are_no_suffix),
		cmocka_unit_test(test_demangle_leaves_other_names_alone),
		cmocka_unit_test(test_demangle_leaves_too_long_names_alone),
		cmocka_unit_test(test_demangle_gives_up_on_names_that_explode),
		cmocka_unit_test(test_demangle_agrees_with_cppfilt),
		cmocka_unit_test(test_demangle_survives_failing_allocations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
