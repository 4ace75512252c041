/* SPDX-License-Identifier: BSD-2-Clause */
/* Which JVMs are asked, and when; the asking itself is made of wood here. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "profiler/base/clock.h"
#include "symbolizer/jvm_attach.h"
#include "symbolizer/jvm_perfmaps.h"

struct jvm_attach {
	pid_t asked[16];
	size_t cnt, answered;
	int result;
};

static struct jvm_attach attach;
static int refusal; /* of jvm_attach_ask() */

int jvm_attach_new(const char *proc_root, struct jvm_attach **ret)
{
	(void)proc_root;
	attach = (struct jvm_attach){};
	refusal = 0;
	*ret = &attach;
	return 0;
}

void jvm_attach_free(struct jvm_attach *unused)
{
	(void)unused;
}

int jvm_attach_ask(struct jvm_attach *to, pid_t tgid)
{
	if (refusal)
		return refusal;
	assert_true(to->cnt < 16);
	to->asked[to->cnt++] = tgid;
	return 0;
}

bool jvm_attach_next(struct jvm_attach *from, struct jvm_answer *ret)
{
	if (from->answered == from->cnt)
		return false;
	*ret = (struct jvm_answer){ from->asked[from->answered++], from->result };
	return true;
}

size_t jvm_attach_pending(struct jvm_attach *of)
{
	return of->cnt - of->answered;
}

static unsigned int looked_at;

static bool yes(void *context)
{
	(void)context;
	looked_at++;
	return true;
}

static bool no(void *context)
{
	(void)context;
	looked_at++;
	return false;
}

static int setup(void **state)
{
	struct jvm_perfmaps *maps;

	if (jvm_perfmaps_new("/proc", &maps))
		return -1;
	looked_at = 0;
	*state = maps;
	return 0;
}

static int teardown(void **state)
{
	jvm_perfmaps_free(*state);
	return 0;
}

static void test_a_program_that_is_no_jvm_is_never_asked(void **state)
{
	uint64_t s;

	for (s = 0; s < 100; s++) {
		jvm_perfmaps_want(*state, 1, 4711, no, NULL, s * NS_PER_SEC);
		jvm_perfmaps_hurry(*state, s * NS_PER_SEC);
	}
	assert_int_equal(attach.cnt, 0);
	assert_int_equal(looked_at, 1);
}

static void test_it_is_asked_at_once_and_then_ever_less_often(void **state)
{
	uint64_t ms, last_ms = 0, gap_ms = 0;
	size_t cnt = 0;

	for (ms = 0; ms < 60000; ms += 100) {
		jvm_perfmaps_want(*state, 1, 4711, yes, NULL, ms * NS_PER_MS);
		if (attach.cnt == cnt)
			continue;
		cnt = attach.cnt;
		assert_true(cnt == 1 ? ms == 0 : ms - last_ms >= gap_ms);
		gap_ms = ms - last_ms;
		last_ms = ms;
		assert_int_equal(jvm_perfmaps_next(*state, ms * NS_PER_MS), 4711);
	}
	assert_int_equal(looked_at, 1);
	assert_in_range(cnt, 6, 8);
}

static void test_nothing_is_asked_twice_before_it_answers(void **state)
{
	jvm_perfmaps_want(*state, 1, 4711, yes, NULL, 0);
	jvm_perfmaps_want(*state, 1, 4711, yes, NULL, 3600 * NS_PER_SEC);
	jvm_perfmaps_hurry(*state, 3600 * NS_PER_SEC);
	assert_int_equal(attach.cnt, 1);
	assert_int_equal(jvm_perfmaps_pending(*state), 1);
}

static void test_the_end_of_a_window_asks_for_what_is_still_missing(void **state)
{
	jvm_perfmaps_want(*state, 1, 4711, yes, NULL, 0);
	assert_int_equal(jvm_perfmaps_next(*state, 1), 4711);
	jvm_perfmaps_hurry(*state, 2);
	assert_int_equal(attach.cnt, 1); /* nothing has been missing since */
	jvm_perfmaps_want(*state, 1, 4711, yes, NULL, 3);
	assert_int_equal(attach.cnt, 1); /* too early */
	jvm_perfmaps_hurry(*state, 4);
	assert_int_equal(attach.cnt, 2);
}

static void test_a_refusal_is_kept_and_not_hurried(void **state)
{
	size_t cursor = 0;
	pid_t tgid;

	attach.result = -EOPNOTSUPP;
	jvm_perfmaps_want(*state, 1, 4711, yes, NULL, 0);
	assert_int_equal(jvm_perfmaps_next(*state, 1), 0);
	assert_non_null(jvm_perfmaps_refusal(*state, &cursor, &tgid));
	assert_int_equal(tgid, 4711);
	assert_null(jvm_perfmaps_refusal(*state, &cursor, &tgid));
	jvm_perfmaps_want(*state, 1, 4711, yes, NULL, 2);
	jvm_perfmaps_hurry(*state, 3);
	assert_int_equal(attach.cnt, 1);
	/* It may have been starting. */
	jvm_perfmaps_want(*state, 1, 4711, yes, NULL, 60 * NS_PER_SEC);
	assert_int_equal(attach.cnt, 2);
	attach.result = 0;
	assert_int_equal(jvm_perfmaps_next(*state, 61 * NS_PER_SEC), 4711);
	cursor = 0;
	assert_null(jvm_perfmaps_refusal(*state, &cursor, &tgid));
}

static void test_what_cannot_change_is_not_asked_again(void **state)
{
	attach.result = -ENOSYS; /* an old Java */
	jvm_perfmaps_want(*state, 1, 4711, yes, NULL, 0);
	assert_int_equal(jvm_perfmaps_next(*state, 1), 0);
	jvm_perfmaps_want(*state, 1, 4711, yes, NULL, 3600 * NS_PER_SEC);
	jvm_perfmaps_hurry(*state, 3600 * NS_PER_SEC);
	assert_int_equal(attach.cnt, 1);
}

static void test_a_pid_used_again_is_another_process(void **state)
{
	attach.result = -ENOSYS;
	jvm_perfmaps_want(*state, 1, 4711, yes, NULL, 0);
	assert_int_equal(jvm_perfmaps_next(*state, 1), 0);
	jvm_perfmaps_want(*state, 2, 4711, yes, NULL, 2);
	assert_int_equal(attach.cnt, 2);
}

static void test_a_full_queue_is_tried_again(void **state)
{
	refusal = -ENOSPC;
	jvm_perfmaps_want(*state, 1, 4711, yes, NULL, 0);
	assert_int_equal(jvm_perfmaps_pending(*state), 0);
	refusal = 0;
	jvm_perfmaps_hurry(*state, 1);
	assert_int_equal(attach.cnt, 1);
}

static void test_more_processes_than_are_kept(void **state)
{
	uint64_t id;

	for (id = 1; id < 20000; id++)
		jvm_perfmaps_want(*state, id, (pid_t)id, no, NULL, id);
	jvm_perfmaps_want(*state, id, 4711, yes, NULL, id);
	assert_int_equal(attach.cnt, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_program_that_is_no_jvm_is_never_asked),
		TEST(test_it_is_asked_at_once_and_then_ever_less_often),
		TEST(test_nothing_is_asked_twice_before_it_answers),
		TEST(test_the_end_of_a_window_asks_for_what_is_still_missing),
		TEST(test_a_refusal_is_kept_and_not_hurried),
		TEST(test_what_cannot_change_is_not_asked_again),
		TEST(test_a_pid_used_again_is_another_process),
		TEST(test_a_full_queue_is_tried_again),
		TEST(test_more_processes_than_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
