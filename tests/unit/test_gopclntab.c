/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <elf.h>
#include <errno.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/elf.h"
#include "symbolizer/gopclntab.h"
#include "symbolizer/source_frames.h"
#include "tests/unit/fail_malloc.h"
#include "tests/unit/go_image.h"

#define OUTSIDE "no Go code"

/* One look-up's frames as text: "NAME FILE:LINE START < CALLER...". */
static const char *frames_at(struct gopclntab *table, uint64_t address)
{
	static char text[8192];
	struct source_frames frames = {};
	size_t i, len = 0;

	source_frames_clear(&frames);
	if (!gopclntab_find(table, address, &frames)) {
		assert_int_equal(frames.cnt, 0);
		len = (size_t)snprintf(text, sizeof(text), OUTSIDE);
	}
	for (i = 0; i < frames.cnt && len < sizeof(text); i++) {
		const struct source_frame *frame = &frames.frames[i];

		assert_false(frame->linker_name);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s %s:%u %u",
					i ? " < " : "", source_frames_name(&frames, i),
					source_frames_filename(&frames, i), frame->line,
					frame->start_line);
	}
	source_frames_free(&frames);
	return text;
}

/* ---- images made by hand -------------------------------------------------------------------- */

struct program {
	uint8_t *bytes;
	size_t size;
	struct elf_file *elf;
	struct gopclntab *table;
};

static int program_try(struct program *program, const struct go_image_options *options)
{
	*program = (struct program){};
	program->bytes = go_image(options, &program->size);
	assert_int_equal(elf_file_open_memory(program->bytes, program->size, &program->elf, NULL),
			 0);
	return gopclntab_open(program->elf, &program->table);
}

static void program_close(struct program *program)
{
	gopclntab_close(program->table);
	elf_file_close(program->elf);
	free(program->bytes);
}

/* Everything that go_image.h says; files and lines of Go 1.18 have no start. */
static void assert_program(const struct go_image_options *options)
{
	static const struct {
		uint32_t offset;
		const char *old, *frames;
	} facts[] = {
		{ 0x00, "go:start :0 0", "go:start :0 0" },
		{ 0x1f, "go:start :0 0", "go:start :0 0" },
		{ 0x20, "main.outer /src/a.go:10 0", "main.outer /src/a.go:10 10" },
		{ 0x3f, "main.outer /src/a.go:10 0", "main.outer /src/a.go:10 10" },
		{ 0x40, "main.outer /src/a.go:12 0", "main.outer /src/a.go:12 10" },
		{ 0x60,
		  "main.leaf /src/b.go:31 0 < main.middle /src/a.go:3000 0 < main.outer /src/a.go:12 0",
		  "main.leaf /src/b.go:31 30 < main.middle /src/a.go:3000 20"
		  " < main.outer /src/a.go:12 10" },
		{ 0x9f, "main.middle /src/a.go:3000 0 < main.outer /src/a.go:12 0",
		  "main.middle /src/a.go:3000 20 < main.outer /src/a.go:12 10" },
		{ 0xa0, "main.outer /src/a.go:15 0", "main.outer /src/a.go:15 10" },
		{ 0x100, "main.Map[...] /src/a.go:51 0", "main.Map[...] /src/a.go:51 50" },
		{ 0x13f, "main.Map[...] /src/a.go:51 0", "main.Map[...] /src/a.go:51 50" },
		{ 0x140, OUTSIDE, OUTSIDE },
		{ -1u, OUTSIDE, OUTSIDE },
	};
	struct program program;
	size_t i;

	assert_int_equal(program_try(&program, options), 0);
	assert_true(gopclntab_has_inlines(program.table));
	assert_int_equal(gopclntab_functions(program.table), 3);
	assert_in_range(gopclntab_bytes(program.table), 3 * 8, 1 << 20);
	for (i = 0; i < ARRAY_SIZE(facts); i++)
		assert_string_equal(frames_at(program.table, GO_TEXT + (int32_t)facts[i].offset),
				    options->old ? facts[i].old : facts[i].frames);
	assert_string_equal(frames_at(program.table, 0), OUTSIDE);
	assert_string_equal(frames_at(program.table, UINT64_MAX), OUTSIDE);
	assert_string_equal(frames_at(program.table, GO_TEXT + (1ull << 32) + 0x40), OUTSIDE);
	program_close(&program);
}

static void test_functions_lines_and_inlined_calls(void **state)
{
	const struct go_image_options plain = {}, old = { .old = true };

	(void)state;
	assert_program(&plain);
	assert_program(&old);
}

static void test_a_relocated_module_is_found(void **state)
{
	const struct go_image_options plain = { .relocated = true };
	const struct go_image_options old = { .old = true, .relocated = true };

	(void)state;
	assert_program(&plain);
	assert_program(&old);
}

static void test_the_section_may_have_three_names(void **state)
{
	const struct go_image_options named = { .sections = true, .table_section = ".gopclntab" };
	const struct go_image_options pie = { .sections = true,
					      .table_section = ".data.rel.ro.gopclntab" };
	const struct go_image_options merged = { .sections = true, .relocated = true };

	(void)state;
	assert_program(&named);
	assert_program(&pie);
	assert_program(&merged);
}

/* The module grows: inline trees are known by what they are, not by where they are said to be. */
static void test_inline_trees_are_found_where_a_newer_go_may_have_them(void **state)
{
	size_t word;

	(void)state;
	for (word = 24; word < 48; word++) {
		const struct go_image_options options = { .gofunc_word = word };

		assert_program(&options);
	}
}

static void test_without_a_module_lines_are_there_and_inlined_calls_are_not(void **state)
{
	const struct go_image_options options = { .no_module = true, .header_text = true };
	struct program program;

	(void)state;
	assert_int_equal(program_try(&program, &options), 0);
	assert_false(gopclntab_has_inlines(program.table));
	assert_string_equal(frames_at(program.table, GO_TEXT + 0x40), "main.outer /src/a.go:12 10");
	assert_string_equal(frames_at(program.table, GO_TEXT + 0x60), "main.outer /src/b.go:31 10");
	program_close(&program);
}

static void assert_refused(const struct go_image_options *options, int expected)
{
	struct gopclntab *const untouched = (struct gopclntab *)&untouched;
	struct program program;

	assert_int_equal(program_try(&program, options), expected);
	assert_null(program.table);
	program.table = untouched;
	assert_int_equal(gopclntab_open(program.elf, &program.table), expected);
	assert_ptr_equal(program.table, untouched);
	program.table = NULL;
	program_close(&program);
}

static void test_where_the_code_begins_is_not_guessed(void **state)
{
	const struct go_image_options unknown = { .no_module = true };
	const struct go_image_options moved = { .moved = 0x1000, .header_text = true };

	(void)state;
	assert_refused(&unknown, -ENOTSUP);
	assert_refused(&moved, -ENOTSUP);
}

static void test_older_and_unknown_tables_are_refused(void **state)
{
	const struct go_image_options go12 = { .magic = 0xfffffffbu,
					       .sections = true,
					       .table_section = ".gopclntab" };
	const struct go_image_options go116 = { .magic = 0xfffffffau,
						.sections = true,
						.table_section = ".gopclntab" };
	const struct go_image_options garbage = { .magic = 7,
						  .sections = true,
						  .table_section = ".gopclntab" };
	const struct go_image_options marked = { .magic = 0xfffffff2u, .sections = true };
	const struct go_image_options bare = { .magic = 0xfffffff2u };

	(void)state;
	assert_refused(&go12, -ENOTSUP);
	assert_refused(&go116, -ENOTSUP);
	assert_refused(&garbage, -ENOEXEC);
	assert_refused(&marked, -ENOTSUP);
	assert_refused(&bare, -ENODATA);
}

static void test_functions_out_of_order_are_refused(void **state)
{
	const struct go_image_options options = { .unsorted = true };

	(void)state;
	assert_refused(&options, -ENOEXEC);
}

/* main.leaf is said to have been called from inside of itself. */
static void test_a_chain_without_end_ends_with_the_function(void **state)
{
	const struct go_image_options options = { .leaf_parent = 0x50 };
	struct source_frames frames = {};
	struct program program;

	(void)state;
	assert_int_equal(program_try(&program, &options), 0);
	source_frames_clear(&frames);
	assert_true(gopclntab_find(program.table, GO_TEXT + 0x60, &frames));
	assert_int_equal(frames.cnt, SOURCE_FRAMES_MAX);
	assert_string_equal(source_frames_name(&frames, 0), "main.leaf");
	assert_string_equal(source_frames_name(&frames, SOURCE_FRAMES_MAX - 1), "main.outer");
	source_frames_free(&frames);
	program_close(&program);
}

/* A call that lies outside of its function stands for nothing; the function itself is known. */
static void test_a_call_from_elsewhere_is_left_out(void **state)
{
	const struct go_image_options options = { .leaf_parent = 0xe0 };
	struct program program;

	(void)state;
	assert_int_equal(program_try(&program, &options), 0);
	assert_string_equal(frames_at(program.table, GO_TEXT + 0x60), "main.outer /src/b.go:31 10");
	assert_string_equal(frames_at(program.table, GO_TEXT + 0x80),
			    "main.middle /src/a.go:3000 20 < main.outer /src/a.go:12 10");
	program_close(&program);
}

static void test_frames_are_appended(void **state)
{
	const struct go_image_options options = {};
	struct source_frames frames = {};
	struct program program;

	(void)state;
	assert_int_equal(program_try(&program, &options), 0);
	source_frames_clear(&frames);
	assert_true(gopclntab_find(program.table, GO_TEXT + 0x40, &frames));
	assert_false(gopclntab_find(program.table, GO_TEXT - 1, &frames));
	assert_true(gopclntab_find(program.table, GO_TEXT + 0x80, &frames));
	assert_int_equal(frames.cnt, 3);
	assert_string_equal(source_frames_name(&frames, 0), "main.outer");
	assert_string_equal(source_frames_name(&frames, 1), "main.middle");
	assert_string_equal(source_frames_name(&frames, 2), "main.outer");
	assert_string_equal(source_frames_filename(&frames, 2), "/src/a.go");
	source_frames_free(&frames);
	program_close(&program);
}

/* ---- hostile bytes -------------------------------------------------------------------------- */

/* Open what is at @bytes and ask for every address; whatever it says, it says it in time. */
static size_t exercise(uint8_t *bytes, size_t size)
{
	struct source_frames frames = {};
	struct gopclntab *table;
	struct elf_file *elf;
	size_t found = 0;
	uint32_t at;

	if (elf_file_open_memory(bytes, size, &elf, NULL))
		return 0;
	if (!gopclntab_open(elf, &table)) {
		for (at = 0; at < GO_TEXT_BYTES; at += 0x10) {
			source_frames_clear(&frames);
			if (!gopclntab_find(table, GO_TEXT + at, &frames)) {
				assert_int_equal(frames.cnt, 0);
				continue;
			}
			assert_in_range(frames.cnt, 1, SOURCE_FRAMES_MAX);
			found++;
		}
		gopclntab_close(table);
	}
	source_frames_free(&frames);
	elf_file_close(elf);
	return found;
}

static const struct go_image_options forms[] = {
	{},
	{ .old = true },
	{ .relocated = true },
	{ .sections = true, .table_section = ".gopclntab", .header_text = true },
};

static void test_a_file_cut_anywhere_does_no_harm(void **state)
{
	size_t i, cut;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		size_t size, whole = 0;
		uint8_t *bytes = go_image(&forms[i], &size);

		for (cut = 0; cut <= size; cut++) {
			uint8_t *copy = malloc(cut + !cut);

			assert_non_null(copy);
			memcpy(copy, bytes, cut);
			whole = exercise(copy, cut);
			free(copy);
		}
		assert_int_equal(whole, GO_TEXT_BYTES / 0x10);
		free(bytes);
	}
}

static void test_a_flipped_byte_does_no_harm(void **state)
{
	static const uint8_t flips[] = { 0x01, 0x80, 0xff };
	size_t i, at, k, survived = 0;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		size_t size;
		uint8_t *bytes = go_image(&forms[i], &size);

		for (at = 0; at < size; at++) {
			for (k = 0; k < ARRAY_SIZE(flips); k++) {
				bytes[at] ^= flips[k];
				survived += exercise(bytes, size) > 0;
				bytes[at] ^= flips[k];
			}
		}
		free(bytes);
	}
	assert_true(survived > 1000); /* most bytes are names */
}

static void test_failing_allocations_are_survived(void **state)
{
	size_t i;
	long n;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		bool hit = true;

		for (n = 1; hit && n < 100; n++) {
			struct source_frames frames = {};
			struct program program = {};
			bool found = false;
			int ret;

			program.bytes = go_image(&forms[i], &program.size);
			assert_int_equal(elf_file_open_memory(program.bytes, program.size,
							      &program.elf, NULL),
					 0);
			fail_malloc_at(n);
			source_frames_clear(&frames);
			ret = gopclntab_open(program.elf, &program.table);
			if (!ret)
				found = gopclntab_find(program.table, GO_TEXT + 0x60, &frames);
			hit = fail_malloc_hit();
			assert_true(hit ? !ret || ret == -ENOMEM : !ret && found);
			assert_int_equal(found, frames.cnt > 0);
			source_frames_free(&frames);
			program_close(&program);
		}
		assert_false(hit);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_functions_lines_and_inlined_calls),
		cmocka_unit_test(test_a_relocated_module_is_found),
		cmocka_unit_test(test_the_section_may_have_three_names),
		cmocka_unit_test(test_inline_trees_are_found_where_a_newer_go_may_have_them),
		cmocka_unit_test(test_without_a_module_lines_are_there_and_inlined_calls_are_not),
		cmocka_unit_test(test_where_the_code_begins_is_not_guessed),
		cmocka_unit_test(test_older_and_unknown_tables_are_refused),
		cmocka_unit_test(test_functions_out_of_order_are_refused),
		cmocka_unit_test(test_a_chain_without_end_ends_with_the_function),
		cmocka_unit_test(test_a_call_from_elsewhere_is_left_out),
		cmocka_unit_test(test_frames_are_appended),
		cmocka_unit_test(test_a_file_cut_anywhere_does_no_harm),
		cmocka_unit_test(test_a_flipped_byte_does_no_harm),
		cmocka_unit_test(test_failing_allocations_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
