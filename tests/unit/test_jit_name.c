/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * symbolizer/jit_name: names as the runtimes write them.  Those of V8 and HotSpot are from node
 * 20.20 --perf-basic-prof and OpenJDK 17.0.15 `jcmd PID Compiler.perfmap`; older V8's, .NET's and
 * Python 3.12's are lines that others recorded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "symbolizer/jit_name.h"

struct expectation {
	const char *raw, *function, *filename;
	uint32_t start_line;
};

static void check(const struct expectation *expected, size_t cnt)
{
	struct jit_name name;
	size_t i;

	for (i = 0; i < cnt; i++) {
		memset(&name, 0xff, sizeof(name));
		jit_name_split(expected[i].raw, &name);
		if (strcmp(name.function, expected[i].function) != 0 ||
		    strcmp(name.filename, expected[i].filename) != 0 ||
		    name.start_line != expected[i].start_line)
			fail_msg("'%s' became '%s' of '%s' line %u", expected[i].raw, name.function,
				 name.filename, name.start_line);
	}
}

#define CHECK(...)                                                                                 \
	do {                                                                                       \
		static const struct expectation expected[] = { __VA_ARGS__ };                      \
		check(expected, sizeof(expected) / sizeof(expected[0]));                           \
	} while (0)

static void test_v8_tiers_lose_their_mark(void **state)
{
	(void)state;
	CHECK({ "JS:~spinJs /srv/spin.js:5:16", "spinJs", "/srv/spin.js", 5 },
	      { "JS:^spinJs /srv/spin.js:5:16", "spinJs", "/srv/spin.js", 5 },
	      { "JS:+spinJs /srv/spin.js:5:16", "spinJs", "/srv/spin.js", 5 },
	      { "JS:*spinJs /srv/spin.js:5:16", "spinJs", "/srv/spin.js", 5 },
	      { "JS:*'spinJs /srv/spin.js:5:16", "spinJs", "/srv/spin.js", 5 },
	      { "JS:spinJs /srv/spin.js:5:16", "spinJs", "/srv/spin.js", 5 },
	      { "JS:~spinJs", "spinJs", "", 0 }, { "JS:spinJs", "spinJs", "", 0 },
	      { "Script:~ file:///srv/a.mjs:1:1", "(anonymous)", "/srv/a.mjs", 1 },
	      { "Eval:~ node:internal/main/run_main_module:1:1", "(anonymous)",
		"node:internal/main/run_main_module", 1 },
	      { "Function:~ValidatePath /srv/a.js:3:20", "ValidatePath", "/srv/a.js", 3 });
}

static void test_v8_names_of_older_versions(void **state)
{
	(void)state;
	CHECK({ "LazyCompile:*run /app/a b.js:3", "run", "/app/a b.js", 3 },
	      { "LazyCompile:~realpathSync fs.js:1447:37", "realpathSync", "fs.js", 1447 },
	      { "LazyCompile:~ bootstrap_node.js:13", "(anonymous)", "bootstrap_node.js", 13 },
	      { "LazyCompile:*f /a.js", "f", "/a.js", 0 },
	      { "LazyCompile:next native array-iterator.js", "next", "native array-iterator.js",
		0 },
	      { "InterpretedFunction:Module._load internal/modules/cjs/loader.js:521:24",
		"Module._load", "internal/modules/cjs/loader.js", 521 });
}

static void test_v8_scripts_are_found_behind_names_with_blanks(void **state)
{
	(void)state;
	CHECK({ "JS:~get bar /tmp/t.js:2:20", "get bar", "/tmp/t.js", 2 },
	      { "JS:*quoted name: x y /tmp/t.js:3:70", "quoted name: x y", "/tmp/t.js", 3 },
	      { "JS:~vmf relative dir/my file.js:1:14", "vmf", "relative dir/my file.js", 1 },
	      { "JS:~get acc lib/util.js:1:14", "get acc", "lib/util.js", 1 },
	      { "JS:*q [eval]:1:11", "q", "[eval]", 1 },
	      { "JS:~ [eval]-wrapper:6:14", "(anonymous)", "[eval]-wrapper", 6 },
	      { "JS:*f evalmachine.<anonymous>:1:11", "f", "evalmachine.<anonymous>", 1 },
	      { "JS:~#priv /tmp/t.js:2:132", "#priv", "/tmp/t.js", 2 },
	      { "JS:~<static_initializer> [eval]:1:286", "<static_initializer>", "[eval]", 1 },
	      { "JS:^Module._extensions..js node:internal/modules/cjs/loader:1604:37",
		"Module._extensions..js", "node:internal/modules/cjs/loader", 1604 },
	      { "JS:^isPosixPathSeparator node:path:71:30", "isPosixPathSeparator", "node:path",
		71 },
	      { "JS:~f https://cdn.example.org/a.js:7:1", "f", "https://cdn.example.org/a.js", 7 },
	      { "JS:~f webpack-internal:///./src/a.js:7:1", "f", "webpack-internal:///./src/a.js",
		7 },
	      { "JS:* /My Project/a.js:12:3", "(anonymous)", "/My Project/a.js", 12 });
}

static void test_v8_text_without_a_script_has_no_line(void **state)
{
	(void)state;
	CHECK({ "JS:*evalFn :1:17", "evalFn", "", 0 }, { "JS:~ :1:20", "(anonymous)", "", 0 },
	      { "Eval:~ :1:1", "(anonymous)", "", 0 });
}

static void test_file_urls_become_paths(void **state)
{
	(void)state;
	CHECK({ "JS:*f file:///tmp/jw/dir%20%C3%A9%20sp%25ace/t%20%C3%A9.mjs:9:149", "f",
		"/tmp/jw/dir \xc3\xa9 sp%ace/t \xc3\xa9.mjs", 9 },
	      { "JS:* file:///a.mjs:1:1", "(anonymous)", "/a.mjs", 1 },
	      { "JS:*f file:///a.mjs?update=17#x:1:1", "f", "/a.mjs", 1 },
	      { "JS:*f file:///a%3Fb.mjs:1:1", "f", "/a?b.mjs", 1 },
	      { "JS:*f file:///a%:1:1", "f", "/a%", 1 },
	      { "JS:*f file:///a%zz%2:1:1", "f", "/a%zz%2", 1 },
	      { "JS:*f file:///a%00b%1bc%7f:1:1", "f", "/a%00b%1bc%7f", 1 },
	      { "JS:*f file://host/a%20b.mjs:1:1", "f", "file://host/a%20b.mjs", 1 });
}

static void test_v8_webassembly_functions_lose_index_and_tier(void **state)
{
	(void)state;
	CHECK({ "JS:wasm-function[0]-0-liftoff", "wasm-function[0]", "", 0 },
	      { "JS:my spin-0-turbofan", "my spin", "", 0 },
	      { "JS:-0-turbofan", "-0-turbofan", "", 0 },
	      { "JS:a--turbofan", "a--turbofan", "", 0 },
	      { "Stub:js-to-wasm:i:i", "Stub:js-to-wasm:i:i", "", 0 });
}

static void test_v8_code_without_javascript_stays_whole(void **state)
{
	(void)state;
	CHECK({ "RegExp:a(b+)c[^x]*z$", "RegExp:a(b+)c[^x]*z$", "", 0 },
	      { "Builtin:ArrayPrototypePush", "Builtin:ArrayPrototypePush", "", 0 },
	      { "BytecodeHandler:CreateEvalContext.Wide", "BytecodeHandler:CreateEvalContext.Wide",
		"", 0 },
	      { "Stub:CEntryStub", "Stub:CEntryStub", "", 0 },
	      { "Handler:LoadIC", "Handler:LoadIC", "", 0 },
	      { "JS::CallArgs::get(int)", "JS::CallArgs::get(int)", "", 0 },
	      { "JS:", "JS:", "", 0 },
	      { "Function: of something", "Function: of something", "", 0 });
}

static void test_v8_numbers_that_are_no_lines_stay_in_the_name(void **state)
{
	(void)state;
	CHECK({ "JS:*f /a.js:4294967295:1", "f", "/a.js", 4294967295u },
	      { "JS:*f /a.js:4294967296:1", "f", "/a.js:4294967296", 1 },
	      { "JS:*f /a.js:99999999999999999999", "f", "/a.js:99999999999999999999", 0 },
	      { "JS:*f /a.js:", "f", "/a.js:", 0 }, { "JS:*f:12", "f:12", "", 0 });
}

static void test_dotnet_methods_lose_types_and_tier(void **state)
{
	(void)state;
	CHECK({ "void [System.Private.CoreLib] System.Threading.Thread::StartCallback()[OptimizedTier1]",
		"System.Threading.Thread.StartCallback", "", 0 },
	      { "int32 [System.Private.CoreLib] "
		"System.SpanHelpers::IndexOf(char&,char,int32)[OptimizedTier1]",
		"System.SpanHelpers.IndexOf", "", 0 },
	      { "native uint [System.Private.CoreLib] System.Text.ASCIIUtility::NarrowUtf16ToAscii("
		"char*,uint8*,native uint)[Optimized]",
		"System.Text.ASCIIUtility.NarrowUtf16ToAscii", "", 0 },
	      { "instance bool [System.Linq] System.Linq.Enumerable+SelectListIterator`2[Ns.Reader+"
		"TargetLibrary,System.__Canon]::MoveNext()[QuickJitted]",
		"System.Linq.Enumerable+SelectListIterator`2[Ns.Reader+TargetLibrary,System.__Canon]."
		"MoveNext",
		"", 0 },
	      { "instance void [System.Private.CoreLib] "
		"System.Collections.Generic.List`1[System.__Canon]::Add(!0)[PreJIT]",
		"System.Collections.Generic.List`1[System.__Canon].Add", "", 0 },
	      { "instance !0[] [System.Private.CoreLib] "
		"System.Buffers.SharedArrayPool`1[System.Char]::Rent(int32)[PreJIT]",
		"System.Buffers.SharedArrayPool`1[System.Char].Rent", "", 0 },
	      { "valuetype [System.Net.Primitives]System.Net.Sockets.SocketError "
		"[System.Net.Sockets] System.Net.Sockets.SocketPal::Shutdown(class "
		"System.Net.Sockets.SafeSocketHandle,bool)[QuickJitted]",
		"System.Net.Sockets.SocketPal.Shutdown", "", 0 },
	      { "valuetype Interop/Error [System.Net.Sockets] Interop+Sys::Shutdown(class "
		"[System.Runtime]System.Runtime.InteropServices.SafeHandle)[QuickJitted]",
		"Interop+Sys.Shutdown", "", 0 },
	      { "instance void [test] PerfViewTierEventsTest+<>c::<Main>b__0_0()[ReadyToRun]",
		"PerfViewTierEventsTest+<>c.<Main>b__0_0", "", 0 },
	      { "void [app] Program::<Main>$(class System.String[])", "Program.<Main>$", "", 0 },
	      { "instance void [app] Ns.Class::.ctor()", "Ns.Class..ctor", "", 0 });
}

static void test_dotnet_stubs_stay_whole(void **state)
{
	(void)state;
	CHECK({ "stub<1> AllocateTemporaryEntryPoints<PRECODE_FIXUP>",
		"stub<1> AllocateTemporaryEntryPoints<PRECODE_FIXUP>", "", 0 },
	      { "stub GenerateResolveStub<GenerateResolveStub>",
		"stub GenerateResolveStub<GenerateResolveStub>", "", 0 },
	      { "PreStub", "PreStub", "", 0 }, { "[module] method2", "[module] method2", "", 0 },
	      { "void [a] cut::", "void [a] cut::", "", 0 },
	      { "void [a] Cut::method", "void [a] Cut::method", "", 0 });
}

static void test_hotspot_methods_lose_types(void **state)
{
	(void)state;
	CHECK({ "int java.lang.String.hashCode()", "java.lang.String.hashCode", "", 0 },
	      { "long[][] com.example.Spin$Inner.arr(int[], java.lang.String[])",
		"com.example.Spin$Inner.arr", "", 0 },
	      { "void java.util.HashMap$KeySpliterator.<init>(java.util.HashMap, int, int, int, int)",
		"java.util.HashMap$KeySpliterator.<init>", "", 0 },
	      { "jdk.internal.org.objectweb.asm.SymbolTable$Entry "
		"jdk.internal.org.objectweb.asm.SymbolTable.get(int)",
		"jdk.internal.org.objectweb.asm.SymbolTable.get", "", 0 },
	      { "void Spin.main(java.lang.String[])", "Spin.main", "", 0 },
	      { "long app.Time.constructor-impl(long)", "app.Time.constructor-impl", "", 0 },
	      { "long com.example.Spin$$Lambda$1/0x00007f57b8000a08.applyAsLong(long)",
		"com.example.Spin$$Lambda$1.applyAsLong", "", 0 },
	      { "int Spin$$Lambda+0x00007f57b8000a08.apply(int)", "Spin$$Lambda.apply", "", 0 },
	      { "java.lang.Object java.lang.invoke.LambdaForm$MH/0x00007f57b8001000.invoke("
		"java.lang.Object)",
		"java.lang.invoke.LambdaForm$MH.invoke", "", 0 });
}

static void test_hotspot_names_of_agents(void **state)
{
	(void)state;
	CHECK({ "Ljava/lang/String;::hashCode", "java.lang.String.hashCode", "", 0 },
	      { "Ljava/lang/String;hashCode()I", "java.lang.String.hashCode", "", 0 },
	      { "Ljava/util/Map;.put(Ljava/lang/Object;[I)Z", "java.util.Map.put", "", 0 },
	      { "LMain;::<clinit>", "Main.<clinit>", "", 0 },
	      { "java.lang.String::hashCode", "java.lang.String.hashCode", "", 0 },
	      { "a.B::c(I)V", "a.B.c", "", 0 });
}

static void test_hotspot_stubs_and_other_languages_stay_whole(void **state)
{
	(void)state;
	CHECK({ "I2C/C2I adapters", "I2C/C2I adapters", "", 0 },
	      { "StubRoutines (2)", "StubRoutines (2)", "", 0 },
	      { "Interpreter", "Interpreter", "", 0 },
	      { "throw_div0_exception Runtime1 stub", "throw_div0_exception Runtime1 stub", "", 0 },
	      { "delayed StackOverflowError throw_exception",
		"delayed StackOverflowError throw_exception", "", 0 },
	      { "void Foo::bar(int, int)", "void Foo::bar(int, int)", "", 0 },
	      { "std::vector<int>::push_back(int&&)", "std::vector<int>::push_back(int&&)", "", 0 },
	      { "$lists:map/2", "$lists:map/2", "", 0 }, { "Lx;", "Lx;", "", 0 },
	      { "Ljava/lang/String;::hashCode->Ljava/lang/Math;::max",
		"Ljava/lang/String;::hashCode->Ljava/lang/Math;::max", "", 0 },
	      { "julia_sum_123", "julia_sum_123", "", 0 }, { "", "", "", 0 }, { " ", " ", "", 0 });
}

static void test_python_names_its_file(void **state)
{
	(void)state;
	CHECK({ "py::bar:/home/me/lol.py", "bar", "/home/me/lol.py", 0 },
	      { "py::<module>:/srv/a:b.py", "<module>", "/srv/a:b.py", 0 },
	      { "py::A.<locals>.<lambda>:<string>", "A.<locals>.<lambda>", "<string>", 0 },
	      { "py::", "py::", "", 0 }, { "py::x", "py::x", "", 0 },
	      { "py:::x", "py:::x", "", 0 });
}

static void test_long_names_are_cut_between_characters(void **state)
{
	static char raw[3 * JIT_NAME_MAX];
	struct jit_name name;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(raw) - 2; i += 2)
		memcpy(raw + i, "\xc3\xa9", 3);
	jit_name_split(raw, &name);
	assert_int_equal(strlen(name.function), JIT_NAME_MAX - 2);
	memcpy(raw, "JS:~f /a", 8);
	jit_name_split(raw, &name);
	assert_string_equal(name.function, "f");
	assert_int_equal(strlen(name.filename), JIT_NAME_MAX - 2);
	memcpy(raw, "JS:~f file:///%61", 17);
	jit_name_split(raw, &name);
	assert_memory_equal(name.filename, "/a", 2);
	assert_true(strlen(name.filename) < JIT_NAME_MAX);
}

/* Every beginning of every sample, at the end of its own memory. */
static void test_names_cut_anywhere_are_read_within_bounds(void **state)
{
	static const char *const samples[] = {
		"JS:*'f file:///tmp/%20%C3%A9%/t.mjs:9:149",
		"JS:my spin-0-turbofan",
		"instance !0[] [System.Private.CoreLib] Ns.Pool`1[System.Char]::Rent(int32)[PreJIT]",
		"long[][] a.Spin$$Lambda$1/0x00007f57b8000a08.apply(int[], java.lang.String[])",
		"Ljava/util/Map;.put(Ljava/lang/Object;[I)Z",
		"java.lang.String::hashCode",
		"py::A.<locals>.<lambda>:<string>",
	};
	struct jit_name name;
	size_t i, len;

	(void)state;
	for (i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		for (len = 0; len <= strlen(samples[i]); len++) {
			char *cut = strndup(samples[i], len);

			assert_non_null(cut);
			jit_name_split(cut, &name);
			assert_true(len == 0 || name.function[0]);
			free(cut);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v8_tiers_lose_their_mark),
		cmocka_unit_test(test_v8_names_of_older_versions),
		cmocka_unit_test(test_v8_scripts_are_found_behind_names_with_blanks),
		cmocka_unit_test(test_v8_text_without_a_script_has_no_line),
		cmocka_unit_test(test_file_urls_become_paths),
		cmocka_unit_test(test_v8_webassembly_functions_lose_index_and_tier),
		cmocka_unit_test(test_v8_code_without_javascript_stays_whole),
		cmocka_unit_test(test_v8_numbers_that_are_no_lines_stay_in_the_name),
		cmocka_unit_test(test_dotnet_methods_lose_types_and_tier),
		cmocka_unit_test(test_dotnet_stubs_stay_whole),
		cmocka_unit_test(test_hotspot_methods_lose_types),
		cmocka_unit_test(test_hotspot_names_of_agents),
		cmocka_unit_test(test_hotspot_stubs_and_other_languages_stay_whole),
		cmocka_unit_test(test_python_names_its_file),
		cmocka_unit_test(test_long_names_are_cut_between_characters),
		cmocka_unit_test(test_names_cut_anywhere_are_read_within_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
