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
	char *text = demangle(name, 0);

	if (!text)
		fail_msg("'%s' was not demangled", name);
	assert_string_equal(text, expected);
	free(text);
}

static void assert_simple(const char *name, const char *expected)
{
	char *text = demangle(name, DEMANGLE_SIMPLE);

	if (!text)
		fail_msg("'%s' was not demangled", name);
	assert_string_equal(text, expected);
	free(text);
}

/* @expected NULL: the name is left alone */
static void assert_source_name(const char *name, const char *expected)
{
	char *text = source_name(name, DEMANGLE_SIMPLE);

	if (!expected && text)
		fail_msg("'%s' became '%s'", name, text);
	if (expected && !text)
		fail_msg("'%s' was left alone", name);
	if (expected)
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

/* libiberty's tree of it is there or not, by what lies on the stack. */
static void test_demangle_unresolved_names_in_any_case(void **state)
{
	(void)state;
	assert_demangles("_ZSt4swapIN5part63KeyEENSt9enable_ifIXsr6__and_ISt6__not_ISt15__is_tuple_likeI"
			 "T_EESt21is_move_constructibleIS5_ESt18is_move_assignableIS5_EEE5valueEvE4typeE"
			 "RS5_SE_",
			 "std::enable_if<__and_<std::__not_<std::__is_tuple_like<part6::Key> >, std::is_"
			 "move_constructible<part6::Key>, std::is_move_assignable<part6::Key> >::value, "
			 "void>::type std::swap<part6::Key>(part6::Key&, part6::Key&)");
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

static void test_demangle_drops_suffixes_of_clones(void **state)
{
	(void)state;
	assert_demangles("_Z3foov.cold", "foo()");
	assert_demangles("_Z3foov.isra.0.part.3.constprop.0.cold", "foo()");
	assert_demangles("_Z3foov.constprop.0.isra.0.part.1.lto_priv.2.cold.7.llvm.88", "foo()");
	assert_demangles("_Z3foov.warm", "foo()");
	assert_demangles("_Z3foov.123", "foo()");
	assert_demangles("_Z3foov@plt", "foo()@plt");
	assert_demangles("_Z3foov.localalias@plt", "foo()@plt");
	assert_demangles("_ZN4core3fmt5write17h0123456789abcdefE.llvm.1234", "core::fmt::write");
	assert_demangles("_ZN4core3fmt5write17h0123456789abcdefE.llvm.1234567890ABCDEF.cold",
			 "core::fmt::write");
	assert_demangles("_RNvCskwGfYPst2Cb_3foo16example_function.llvm.55",
			 "foo::example_function");
	assert_demangles("_RNvCskwGfYPst2Cb_3foo16example_function.cold", "foo::example_function");
}

static void test_demangle_keeps_suffixes_that_are_no_clones(void **state)
{
	(void)state;
	assert_demangles("_Z3foov._omp_fn.0", "foo()._omp_fn.0");
	assert_demangles("_Z3foov._omp_fn.0.cold", "foo()._omp_fn.0");
	assert_demangles("_Z3foov.avx2.1", "foo().avx2.1");
	assert_demangles("_Z3foov.isra", "foo().isra");
	assert_demangles("_Z3foov.", "foo().");
}

static void test_simple_names_have_no_parameters(void **state)
{
	(void)state;
	assert_simple("_ZN2ns1CIiE1fEv", "ns::C<int>::f");
	assert_simple("_ZNK2ns1CIiE1fERKS_", "ns::C<int>::f");
	assert_simple("_Z3fooIiEvT_", "foo<int>");
	assert_simple("_ZNO1A3fooEv", "A::foo");
	assert_simple("_ZN1AC1Ei", "A::A");
	assert_simple("_ZN1AD0Ev", "A::~A");
	assert_simple("_ZNSaIcEC1ERKS_", "std::allocator<char>::allocator");
	assert_simple("_Z3foov.part.0@plt", "foo@plt");
}

static void test_simple_names_keep_operators(void **state)
{
	(void)state;
	assert_simple("_ZN1AclEi", "A::operator()");
	assert_simple("_ZN1AclIiEEvT_", "A::operator()<int>");
	assert_simple("_ZN1AcviEv", "A::operator int");
	assert_simple("_ZN1AcvT_IiEEv", "A::operator int<int>");
	assert_simple("_ZN1AcvPFviEEv", "A::operator void (*)(int)");
	assert_simple("_ZlsRSoRK1A", "operator<<");
	assert_simple("_ZN1AltERKS_", "A::operator<");
	assert_simple("_ZnwmPv", "operator new");
	assert_simple("_Zli2_wPKc", "operator\"\" _w");
}

static void test_simple_names_keep_the_parameters_of_lambdas_only(void **state)
{
	(void)state;
	assert_simple("_ZZ4mainENKUliE_clEi", "main::{lambda(int)#1}::operator()");
	assert_simple("_ZZ3foovENKUlvE_clEv", "foo::{lambda()#1}::operator()");
	assert_simple("_ZZNK1A3fooEiENKUliE0_clEi.isra.0", "A::foo::{lambda(int)#2}::operator()");
	assert_simple("_ZZZ3foovENKUlvE_clEvENKUlvE_clEv",
		      "foo::{lambda()#1}::operator()::{lambda()#1}::operator()");
	assert_simple("_ZZ3foovEN1X3barEi", "foo::X::bar");
	assert_simple("_ZThn8_N1A3fooEi", "non-virtual thunk to A::foo");
}

/* Types in template arguments are a part of the name. */
static void test_simple_names_keep_functions_in_templates(void **state)
{
	(void)state;
	assert_simple("_ZNSt8functionIFviEE6invokeEPFviE", "std::function<void (int)>::invoke");
	assert_simple("_Z4callIPFviEEiT_", "call<void (*)(int)>");
	assert_simple("_Z1fIXadL_Z1gvEEEvv", "f<&(g())>");
	assert_simple("_ZN1AIM1BKFviEE1fEv", "A<void (B::*)(int) const>::f");
	/* A function that returns a pointer to a function. */
	assert_simple("_Z6signalIiEPFviES1_", "signal<int>");
}

static void test_simple_is_no_different_for_rust(void **state)
{
	(void)state;
	assert_simple("_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write");
	assert_simple("_RMCs4fqI2P2rA04_13const_genericINtB0_8UnsignedKhb_E",
		      "<const_generic::Unsigned<11>>");
	assert_simple("_RINvNtC3std3mem8align_ofjE", "std::mem::align_of::<usize>");
}

static void test_source_name_tidies_plain_names(void **state)
{
	(void)state;
	assert_source_name("foo.isra.0", "foo");
	assert_source_name("foo.part.12", "foo");
	assert_source_name("foo.constprop.0.isra.0", "foo");
	assert_source_name("foo.part.0.constprop.1.cold", "foo");
	assert_source_name("foo.cold", "foo");
	assert_source_name("foo.cold.3", "foo");
	assert_source_name("foo.llvm.12345678901234567890", "foo");
	assert_source_name("foo.__uniq.1234.llvm.5", "foo");
	assert_source_name("foo.lto_priv.0", "foo");
	assert_source_name("foo.localalias", "foo");
	assert_source_name("foo.localalias.1", "foo");
	assert_source_name("foo.clone.4", "foo");
	assert_source_name("foo.warm", "foo");
	assert_source_name("foo.resolver", "foo");
	assert_source_name("foo.specialized.1", "foo");
	assert_source_name("inner.0", "inner");
	assert_source_name("foo.isra.0@plt", "foo@plt");
	assert_source_name("main._omp_fn.0.cold", "main._omp_fn.0");
	assert_source_name("foo.avx2.0.part.0.cold", "foo.avx2.0");
	assert_source_name("_GLOBAL__sub_I_main.cpp.cold", "_GLOBAL__sub_I_main.cpp");
	assert_source_name("_ZN3foo3barEv.part.0", "foo::bar");
	/* No mangled name, but a clone. */
	assert_source_name("_Zx.cold", "_Zx");
	assert_source_name("_Release.isra.0", "_Release");
}

static void test_source_name_leaves_other_dots_alone(void **state)
{
	static const char *const names[] = {
		"",
		"main",
		"foo.bar",
		".cold",
		".isra.0",
		"foo.",
		"foo..cold",
		"foo.isra",
		"foo.part",
		"foo.coldest",
		"foo@plt",
		"foo.bar@plt",
		"main.T.cold",
		"main.(*T).cold",
		".",
		"main.init.0",
		"main.f.func1.2",
		"main.cold.func1",
		"main._omp_fn.0",
		"_GLOBAL__sub_I_main.cpp",
		"github.com/a/b.cold",
		"foo.part.x",
		"foo.llvm.x1",
		"@plt",
		".L5",
		"go.shape.int.warm",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_source_name(names[i], NULL);
	assert_source_name("foo.bar.isra.0", "foo.bar");
}

static void test_demangle_dots_inside_of_rust_names_are_no_suffix(void **state)
{
	(void)state;
	assert_demangles("_ZN4core3ptr29drop_in_place$LT$std..Foo$GT$17h0123456789abcdefE",
			 "core::ptr::drop_in_place<std::Foo>");
	assert_demangles("_ZN4core3ptr29drop_in_place$LT$std..Foo$GT$17h0123456789abcdefE.cold",
			 "core::ptr::drop_in_place<std::Foo>");
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
		char *text = demangle(names[i], 0);

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
	assert_null(demangle(name, 0));
	assert_null(demangle(name, DEMANGLE_SIMPLE));
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
	assert_null(demangle(name, 0));
	assert_null(demangle(name, DEMANGLE_SIMPLE));
}

/* 100 references to template parameters among 400 templates: 64 bytes of stack for each pair. */
static void test_demangle_gives_up_on_names_that_take_too_much_stack(void **state)
{
	char name[4096] = "_Z1fI";
	int i;

	(void)state;
	for (i = 0; i < 400; i++)
		strcat(name, "1aIiE");
	strcat(name, "Ev");
	for (i = 0; i < 100; i++)
		strcat(name, "RT_");
	assert_null(demangle(name, 0));
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

#define SIMPLE_PUSH_BACK "std::vector<int, std::allocator<int> >::push_back"

static void test_demangle_survives_failing_allocations(void **state)
{
	bool hit = true;
	long n;

	(void)state;
	for (n = 1; hit && n < 100; n++) {
		char *text;

		fail_malloc_at(n);
		text = source_name("_ZNSt6vectorIiSaIiEE9push_backERKi.cold@plt", DEMANGLE_SIMPLE);
		hit = fail_malloc_hit();
		fail_malloc_at(0);
		if (!hit)
			assert_string_equal(text, SIMPLE_PUSH_BACK "@plt");
		free(text);
	}
	assert_false(hit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_demangle_cpp),
		cmocka_unit_test(test_demangle_unresolved_names_in_any_case),
		cmocka_unit_test(test_demangle_rust_legacy_drops_hash),
		cmocka_unit_test(test_demangle_rust_v0_drops_crate_hash),
		cmocka_unit_test(test_demangle_drops_suffixes_of_clones),
		cmocka_unit_test(test_demangle_keeps_suffixes_that_are_no_clones),
		cmocka_unit_test(test_simple_names_have_no_parameters),
		cmocka_unit_test(test_simple_names_keep_operators),
		cmocka_unit_test(test_simple_names_keep_the_parameters_of_lambdas_only),
		cmocka_unit_test(test_simple_names_keep_functions_in_templates),
		cmocka_unit_test(test_simple_is_no_different_for_rust),
		cmocka_unit_test(test_source_name_tidies_plain_names),
		cmocka_unit_test(test_source_name_leaves_other_dots_alone),
		cmocka_unit_test(test_demangle_dots_inside_of_rust_names_are_no_suffix),
		cmocka_unit_test(test_demangle_leaves_other_names_alone),
		cmocka_unit_test(test_demangle_leaves_too_long_names_alone),
		cmocka_unit_test(test_demangle_gives_up_on_names_that_explode),
		cmocka_unit_test(test_demangle_gives_up_on_names_that_take_too_much_stack),
		cmocka_unit_test(test_demangle_agrees_with_cppfilt),
		cmocka_unit_test(test_demangle_survives_failing_allocations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
