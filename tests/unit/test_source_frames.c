/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "symbolizer/source_frames.h"
#include "tests/unit/fail_malloc.h"

static void add(struct source_frames *frames, const char *name, const char *filename, uint32_t line)
{
	struct source_frame frame = {
		.name = source_frames_text(frames, name, strlen(name)),
		.filename = source_frames_text(frames, filename, strlen(filename)),
		.line = line,
		.start_line = line / 2,
		.linker_name = line % 2,
	};

	source_frames_add(frames, &frame);
}

static void test_frames_keep_their_texts(void **state)
{
	struct source_frames frames = {};

	(void)state;
	source_frames_clear(&frames);
	assert_int_equal(frames.cnt, 0);
	add(&frames, "inner", "/src/a.h", 7);
	add(&frames, "outer", "/src/a.c", 10);
	add(&frames, "", "", 0);
	assert_int_equal(frames.cnt, 3);
	assert_string_equal(source_frames_name(&frames, 0), "inner");
	assert_string_equal(source_frames_filename(&frames, 0), "/src/a.h");
	assert_string_equal(source_frames_name(&frames, 1), "outer");
	assert_string_equal(source_frames_filename(&frames, 1), "/src/a.c");
	assert_string_equal(source_frames_name(&frames, 2), "");
	assert_string_equal(source_frames_filename(&frames, 2), "");
	assert_int_equal(frames.frames[0].line, 7);
	assert_true(frames.frames[0].linker_name);
	assert_int_equal(frames.frames[1].start_line, 5);
	source_frames_free(&frames);
}

static void test_frames_are_used_again_without_new_memory(void **state)
{
	struct source_frames frames = {};
	unsigned int i;

	(void)state;
	source_frames_clear(&frames);
	add(&frames, "a name of some length", "a file of some length", 1);
	for (i = 0; i < 10; i++) {
		fail_malloc_at(1);
		source_frames_clear(&frames);
		assert_int_equal(frames.cnt, 0);
		add(&frames, "another", "other.c", 2);
		assert_false(fail_malloc_hit());
		assert_string_equal(source_frames_name(&frames, 0), "another");
	}
	source_frames_free(&frames);
	/* Also after that. */
	source_frames_clear(&frames);
	add(&frames, "third", "third.c", 3);
	assert_string_equal(source_frames_name(&frames, 0), "third");
	source_frames_free(&frames);
}

static void test_texts_end_where_they_are_said_to(void **state)
{
	struct source_frames frames = {};
	struct source_frame frame = {};

	(void)state;
	source_frames_clear(&frames);
	frame.name = source_frames_text(&frames, "name and more", 4);
	source_frames_add(&frames, &frame);
	assert_string_equal(source_frames_name(&frames, 0), "name");
	assert_string_equal(source_frames_filename(&frames, 0), "");
	assert_int_equal(source_frames_text(&frames, "x", 0), 0);
	/* An offset of somebody else's is no text. */
	frame.name = UINT32_MAX;
	frame.filename = (uint32_t)frames.text.len;
	source_frames_add(&frames, &frame);
	assert_string_equal(source_frames_name(&frames, 1), "");
	assert_string_equal(source_frames_filename(&frames, 1), "");
	source_frames_free(&frames);
}

static void test_the_outermost_function_is_always_kept(void **state)
{
	struct source_frames frames = {};
	char name[32];
	uint32_t i;

	(void)state;
	source_frames_clear(&frames);
	for (i = 0; i < SOURCE_FRAMES_MAX + 10; i++) {
		snprintf(name, sizeof(name), "level%u", i);
		add(&frames, name, "a.c", i);
	}
	assert_int_equal(frames.cnt, SOURCE_FRAMES_MAX);
	assert_string_equal(source_frames_name(&frames, 0), "level0");
	snprintf(name, sizeof(name), "level%u", SOURCE_FRAMES_MAX - 2);
	assert_string_equal(source_frames_name(&frames, SOURCE_FRAMES_MAX - 2), name);
	snprintf(name, sizeof(name), "level%u", SOURCE_FRAMES_MAX + 9);
	assert_string_equal(source_frames_name(&frames, SOURCE_FRAMES_MAX - 1), name);
	source_frames_free(&frames);
}

static void test_texts_of_an_answer_are_bounded(void **state)
{
	struct source_frames frames = {};
	char *text = malloc(SOURCE_TEXT_MAX);
	uint32_t first, rest;

	(void)state;
	memset(text, 'a', SOURCE_TEXT_MAX);
	source_frames_clear(&frames);
	assert_int_equal(source_frames_text(&frames, text, SOURCE_TEXT_MAX), 0);
	first = source_frames_text(&frames, text, SOURCE_TEXT_MAX / 2);
	assert_int_equal(first, 1);
	assert_int_equal(source_frames_text(&frames, text, SOURCE_TEXT_MAX / 2), 0);
	/* What still fits is taken, up to the last byte with its NUL. */
	rest = SOURCE_TEXT_MAX - (uint32_t)frames.text.len - 1;
	assert_int_equal(source_frames_text(&frames, text, rest + 1), 0);
	assert_int_not_equal(source_frames_text(&frames, text, rest), 0);
	assert_int_equal(frames.text.len, SOURCE_TEXT_MAX);
	assert_int_equal(source_frames_text(&frames, text, 1), 0);
	source_frames_free(&frames);
	free(text);
}

static void test_without_memory_texts_are_unknown(void **state)
{
	long n;

	(void)state;
	for (n = 1;; n++) {
		struct source_frames frames = {};
		const char *name;

		fail_malloc_at(n);
		source_frames_clear(&frames);
		add(&frames,
		    "a name that needs memory of its own, as it is longer than what "
		    "a text gets at first, whatever that may be",
		    "file.c", 1);
		add(&frames, "second", "file.c", 2);
		assert_int_equal(frames.cnt, 2);
		assert_int_equal(frames.frames[1].line, 2);
		name = source_frames_name(&frames, 1);
		if (!fail_malloc_hit()) {
			assert_string_equal(name, "second");
			source_frames_free(&frames);
			break;
		}
		assert_true(!name[0] || strcmp(name, "second") == 0);
		name = source_frames_name(&frames, 0);
		assert_true(!name[0] || strncmp(name, "a name that", 11) == 0);
		/* The next answer has memory again. */
		source_frames_clear(&frames);
		add(&frames, "next", "", 3);
		assert_string_equal(source_frames_name(&frames, 0), "next");
		source_frames_free(&frames);
	}
	assert_true(n > 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_keep_their_texts),
		cmocka_unit_test(test_frames_are_used_again_without_new_memory),
		cmocka_unit_test(test_texts_end_where_they_are_said_to),
		cmocka_unit_test(test_the_outermost_function_is_always_kept),
		cmocka_unit_test(test_texts_of_an_answer_are_bounded),
		cmocka_unit_test(test_without_memory_texts_are_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
