/* SPDX-License-Identifier: BSD-2-Clause */
/* Counts, named stacks and tasks to a profile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "profiler/base/strbuf.h"
#include "profiler/pipeline/join.h"
#include "profiler/pipeline/stacks.h"
#include "proto/profile_read.h"
#include "proto/profile_tables.h" /* main_mapping */
#include "tests/unit/fail_malloc.h"
#include "tests/unit/fake_symbolizer.h"
#include "tests/unit/join_setting.h"

static struct profile *end_window(struct setting *setting)
{
	struct profile *profile = join_end_window(&setting->join, START_NS, DURATION_NS);

	assert_non_null(profile);
	assert_null(setting->join.profile);
	return profile;
}

/* The profile as text: a line per sample, `LEAF;...;ROOT COUNT NANOSECONDS {LABELS}`. */
static void add_frames(const struct profile *profile, const struct profile_sample_view *sample,
		       struct strbuf *text)
{
	size_t i;

	for (i = 0; i < sample->location_cnt; i++) {
		struct profile_location_view location;
		struct profile_function function;

		profile_location(profile, sample->locations[i], &location);
		profile_function(profile, (size_t)location.lines[0].function_id, &function);
		strbuf_printf(text, "%s%s", i ? ";" : "", function.name);
	}
}

/* Labels in the order of their keys here: that of the profile has no meaning. */
static void add_labels(const struct profile *profile, const struct profile_sample_view *sample,
		       struct strbuf *text)
{
	static const char *const keys[] = { "process", "thread", "pid", "tid" };
	size_t i, k;

	for (k = 0; k < ARRAY_SIZE(keys); k++) {
		for (i = 0; i < sample->label_cnt; i++) {
			struct profile_label label;

			profile_sample_label(profile, sample, i, &label);
			if (strcmp(label.key, keys[k]) != 0)
				continue;
			if (label.str)
				strbuf_printf(text, " %s=%s", label.key, label.str);
			else
				strbuf_printf(text, " %s=%d:%s", label.key, (int)label.num,
					      label.unit);
		}
	}
}

static void check_samples(const struct profile *profile, const char *expected)
{
	struct strbuf text = STRBUF_INIT;
	size_t id;

	for (id = 1; id <= profile_sample_cnt(profile); id++) {
		struct profile_sample_view sample;

		profile_sample(profile, id, &sample);
		add_frames(profile, &sample, &text);
		strbuf_printf(&text, " %lld", (long long)sample.values[0]);
		assert_int_equal(sample.values[1], sample.values[0] * PERIOD);
		add_labels(profile, &sample, &text);
		strbuf_add_char(&text, '\n');
	}
	assert_string_equal(text.text ? text.text : "", expected);
	strbuf_free(&text);
}

static int64_t sum_of_values(const struct profile *profile, size_t column)
{
	struct profile_sample_view sample;
	int64_t sum = 0;
	size_t id;

	for (id = 1; id <= profile_sample_cnt(profile); id++) {
		profile_sample(profile, id, &sample);
		sum += sample.values[column];
	}
	return sum;
}

static void test_kernel_frames_stand_before_user_frames(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = NULL;
	struct setting setting;

	(void)state;
	setup(&setting);
	count(&setting, 100, USER_STACK, 0, 3);
	count(&setting, 101, USER_STACK, KERNEL_STACK, 5);
	count(&setting, 101, 0, KERNEL_STACK, 7);
	profile = end_window(&setting);
	check_samples(profile,
		      "f_11;f_12 3 process=server thread=main pid=100:pid tid=100:tid\n"
		      "f_91;f_92;f_11;f_12 5 process=server thread=worker pid=100:pid tid=101:tid\n"
		      "f_91;f_92 7 process=server thread=worker pid=100:pid tid=101:tid\n");
	teardown(&setting);
}

static void test_values_sum_to_the_counts(void **state)
{
	static const uint64_t stacks[] = { 0, USER_STACK, OTHER_USER_STACK, BROKEN_STACK,
					   MISSING_STACK };
	_cleanup_(profile_freep) struct profile *profile = NULL;
	uint64_t sum = 0, seed = 1;
	struct setting setting;
	uint32_t i;

	(void)state;
	setup(&setting);
	for (i = 0; i < 5000; i++) {
		uint64_t value;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		value = 1 + (seed >> 40) % 1000;
		sum += value;
		count(&setting, 100 + (uint32_t)(seed >> 33) % 8, stacks[(seed >> 36) % 5],
		      seed >> 63 ? KERNEL_STACK : 0, value);
	}
	profile = end_window(&setting);
	assert_true(profile_sample_cnt(profile) <= 80);
	assert_int_equal(sum_of_values(profile, 0), sum);
	assert_int_equal(sum_of_values(profile, 1), sum * PERIOD);
	teardown(&setting);
}

static void test_missing_body_is_named_and_counted_once_per_sample(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = NULL;
	struct setting setting;

	(void)state;
	setup(&setting);
	count(&setting, 100, MISSING_STACK, 0, 3);
	assert_int_equal(setting.join.report.without_stack, 3);
	count(&setting, 100, MISSING_STACK, KERNEL_STACK, 5);
	assert_int_equal(setting.join.report.without_stack, 8);
	count(&setting, 100, USER_STACK, MISSING_STACK, 10);
	assert_int_equal(setting.join.report.without_stack, 18);
	count(&setting, 100, MISSING_STACK, MISSING_STACK + 1, 20);
	assert_int_equal(setting.join.report.without_stack, 38);
	count(&setting, 100, USER_STACK, KERNEL_STACK, 40);
	assert_int_equal(setting.join.report.without_stack, 38);
	profile = end_window(&setting);
#define LABELS " process=server thread=main pid=100:pid tid=100:tid\n"
	check_samples(profile, LOST_NOTE " 3" LABELS "f_91;f_92;" LOST_NOTE " 5" LABELS LOST_NOTE
					 ";f_11;f_12 10" LABELS LOST_NOTE ";" LOST_NOTE " 20" LABELS
					 "f_91;f_92;f_11;f_12 40" LABELS);
#undef LABELS
	/* Only what arrived says how well stacks were walked. */
	assert_int_equal(setting.join.report.quality.user, 50);
	teardown(&setting);
}

static void test_task_whose_name_did_not_arrive_is_unknown(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = NULL;
	struct setting setting;

	(void)state;
	setup(&setting);
	count(&setting, 102, USER_STACK, 0, 3);
	profile = end_window(&setting);
	check_samples(profile, "f_11;f_12 3 process=[unknown] thread=[unknown] pid=100:pid "
			       "tid=102:tid\n");
	assert_int_equal(setting.join.report.without_names, 3);
	teardown(&setting);
}

static void test_large_profile_drops_pid_and_tid_and_no_sample(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = NULL;
	struct session_config config = config_of(SAMPLER_CPU_CLOCK);
	struct setting setting;
	uint32_t tid;

	(void)state;
	config.profile_bytes_max = 1;
	setup_config(&setting, &config);
	put_task(&setting, 0, 102, "worker");
	count(&setting, 101, USER_STACK, 0, 3);
	count(&setting, 102, USER_STACK, 0, 4);
	assert_int_equal(setting.join.report.without_labels, 7);
	profile = end_window(&setting);
	check_samples(profile, "f_11;f_12 7 process=server thread=worker\n");
	teardown(&setting);

	/* With a limit that is reached on the way. */
	profile_freep(&profile);
	config.profile_bytes_max = 200000;
	setup_config(&setting, &config);
	for (tid = 0; tid < 20000; tid++)
		count(&setting, tid, USER_STACK, 0, 2);
	profile = end_window(&setting);
	assert_int_equal(sum_of_values(profile, 0), 40000);
	assert_true(setting.join.report.without_labels > 0);
	assert_true(setting.join.report.without_labels < 40000);
	assert_true(profile_bytes(profile) < 2 * config.profile_bytes_max);
	teardown(&setting);
}

static void check_placeholder(bool with_user, bool with_kernel, const char *text)
{
	_cleanup_(profile_freep) struct profile *profile = NULL;
	struct session_config config = config_of(SAMPLER_CPU_CLOCK);
	struct setting setting;
	char expected[128];

	config.sampler.with_user = with_user;
	config.sampler.with_kernel = with_kernel;
	setup_config(&setting, &config);
	count(&setting, 100, 0, 0, 3);
	profile = end_window(&setting);
	snprintf(expected, sizeof(expected),
		 "%s 3 process=server thread=main pid=100:pid tid=100:tid\n", text);
	check_samples(profile, expected);
	assert_int_equal(setting.join.report.without_stack, 0);
	teardown(&setting);
}

static void test_sample_without_stack_says_where_it_was(void **state)
{
	(void)state;
	check_placeholder(true, true, "[no stack]");
	check_placeholder(true, false, "[kernel]");
	check_placeholder(false, true, "[user]");
}

static void test_stack_without_frames_gets_a_placeholder(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = NULL;
	struct setting setting;

	(void)state;
	setup(&setting);
	put_stack(&setting, 0, 50, (const uint64_t[]){ 0 }, (struct named_stack){});
	count(&setting, 100, 50, 0, 3);
	profile = end_window(&setting);
	check_samples(profile, "[no stack] 3 process=server thread=main pid=100:pid tid=100:tid\n");
	teardown(&setting);
}

static void test_quality_is_weighed_by_samples_of_user_stacks(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = NULL;
	const struct stack_quality *quality;
	struct setting setting;

	(void)state;
	setup(&setting);
	quality = &setting.join.report.quality;
	count(&setting, 100, 0, KERNEL_STACK, 1000);
	assert_int_equal(quality->user, 0);
	assert_int_equal(quality->frames, 0);
	count(&setting, 100, USER_STACK, KERNEL_STACK, 10);
	count(&setting, 100, OTHER_USER_STACK, 0, 20);
	count(&setting, 100, BROKEN_STACK, 0, 5);
	assert_int_equal(quality->user, 35);
	assert_int_equal(quality->complete, 30);
	assert_int_equal(quality->frames, 2 * 10 + 2 * 20 + 5);
	assert_int_equal(quality->named, 2 * 10 + 20 + 5);
	profile = end_window(&setting);
	teardown(&setting);
}

static void test_locations_keep_mapping_address_and_inlined_lines(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = NULL;
	struct profile_location_view view;
	struct profile_function function;
	struct profile_mapping mapping;
	struct location *location;
	struct setting setting;

	(void)state;
	setup(&setting);
	location = fake_find(&setting.symbolizer, 0x11, NULL)->location;
	location->lines[1] = (struct location_line){ .function = "outer",
						     .system_name = "_Z5outer",
						     .filename = "outer.c",
						     .line = 7,
						     .start_line = 5 };
	location->lines[0].line = 3;
	location->line_cnt = 2;
	fake_find(&setting.symbolizer, 0x12, NULL)->location->mapping = NULL;
	fake_find(&setting.symbolizer, 0x31, NULL)->location->mapping = &nameless;
	count(&setting, 100, USER_STACK, 0, 1);
	count(&setting, 100, BROKEN_STACK, 0, 1);
	profile = end_window(&setting);
	assert_int_equal(profile_location_cnt(profile), 3);
	assert_int_equal(profile_mapping_cnt(profile), 2);

	profile_location(profile, 1, &view);
	assert_int_equal(view.address, 0x11);
	assert_int_equal(view.line_cnt, 2);
	assert_int_equal(view.lines[0].line, 3);
	assert_int_equal(view.lines[1].line, 7);
	profile_function(profile, (size_t)view.lines[1].function_id, &function);
	assert_string_equal(function.name, "outer");
	assert_string_equal(function.system_name, "_Z5outer");
	assert_string_equal(function.filename, "outer.c");
	assert_int_equal(function.start_line, 5);
	profile_mapping(profile, view.mapping_id, &mapping);
	assert_int_equal(mapping.start, 0x1000);
	assert_int_equal(mapping.limit, 0x3000);
	assert_int_equal(mapping.offset, 0x800);
	assert_string_equal(mapping.filename, "/usr/lib/libx.so");
	assert_string_equal(mapping.build_id, "00ff");

	profile_location(profile, 2, &view);
	assert_int_equal(view.mapping_id, 0);
	assert_int_equal(view.address, 0);
	profile_location(profile, 3, &view);
	profile_mapping(profile, view.mapping_id, &mapping);
	assert_string_equal(mapping.filename, "[vdso]");
	assert_true(!mapping.build_id || !*mapping.build_id);
	teardown(&setting);
}

static void check_types(enum sampler_event event, const char *type, const char *unit)
{
	_cleanup_(profile_freep) struct profile *profile = NULL;
	struct session_config config = config_of(event);
	int64_t time_ns, duration_ns;
	const char *text, *text_unit;
	struct setting setting;

	setup_config(&setting, &config);
	profile = end_window(&setting);
	assert_int_equal(profile_value_cnt(profile), 2);
	profile_sample_type(profile, 0, &text, &text_unit);
	assert_string_equal(text, "samples");
	assert_string_equal(text_unit, "count");
	profile_sample_type(profile, 1, &text, &text_unit);
	assert_string_equal(text, type);
	assert_string_equal(text_unit, unit);
	assert_int_equal(profile_period(profile, &text, &text_unit), PERIOD);
	assert_string_equal(text, type);
	assert_string_equal(text_unit, unit);
	profile_time(profile, &time_ns, &duration_ns);
	assert_true(time_ns == START_NS && duration_ns == DURATION_NS);
	teardown(&setting);
}

static void test_types_and_period_follow_the_event(void **state)
{
	(void)state;
	check_types(SAMPLER_CPU_CLOCK, "cpu", "nanoseconds");
	check_types(SAMPLER_CYCLES, "cycles", "count");
}

static void test_report_counts_processes_and_stacks_of_the_window(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = NULL;
	struct sample_key after_exec = key_of(100, USER_STACK, 0);
	const struct window_report *report;
	struct setting setting;

	(void)state;
	setup(&setting);
	report = &setting.join.report;
	count(&setting, 100, USER_STACK, 0, 1);
	count(&setting, 101, USER_STACK, 0, 1); /* another thread */
	count(&setting, 100, USER_STACK, KERNEL_STACK, 1);
	after_exec.exec_id = 1;
	assert_int_equal(join_count(&setting.join, &after_exec, 1), 0);
	profile = end_window(&setting);
	assert_int_equal(report->processes, 2);
	assert_int_equal(report->stacks, 2);
	assert_true(report->start_ns == START_NS);
	assert_true(report->end_ns == START_NS + DURATION_NS);
	assert_true(report->duration_ns == DURATION_NS);
	teardown(&setting);
}

static void test_losses_are_comments(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = NULL;
	struct setting setting;

	(void)state;
	setup(&setting);
	setting.join.report.totals = (struct sampler_totals){ .due = 100,
							      .not_fired = -2,
							      .fired = 102,
							      .idle = 50,
							      .filtered = 20,
							      .counted = 27,
							      .lost_full = 2,
							      .lost_busy = 3 };
	count(&setting, 100, MISSING_STACK, 0, 4);
	profile = end_window(&setting);
	assert_int_equal(profile_comment_cnt(profile), 2);
	assert_string_equal(profile_comment(profile, 0),
			    "ebpfprof: samples due 100, not fired -2, fired 102, idle 50, filtered "
			    "20, counted 27, lost 5");
	assert_string_equal(profile_comment(profile, 1), "ebpfprof: 4 samples without their stack");
	teardown(&setting);
}

static void test_epochs_of_a_window_add_up(void **state)
{
	_cleanup_(profile_freep) struct profile *profile = NULL;
	struct setting setting;

	(void)state;
	setup(&setting);
	count(&setting, 100, USER_STACK, 0, 3);
	count(&setting, 100, BROKEN_STACK, 0, 7);
	assert_int_equal(fill_epoch(&setting, 1), 0);
	/* An id means what it meant in its epoch, and a location's place may hold another now. */
	put_stack(&setting, 1, OTHER_USER_STACK, (const uint64_t[]){ 0x11, 0x12, 0 },
		  (struct named_stack){});
	strcpy(fake_find(&setting.symbolizer, 0x31, NULL)->name, "changed");
	join_begin_epoch(&setting.join, 1, PERIOD);
	count(&setting, 100, USER_STACK, 0, 10);
	count(&setting, 100, OTHER_USER_STACK, 0, 100);
	count(&setting, 100, BROKEN_STACK, 0, 1);
	profile = end_window(&setting);
	check_samples(profile, "f_11;f_12 113 process=server thread=main pid=100:pid tid=100:tid\n"
			       "f_31 7 process=server thread=main pid=100:pid tid=100:tid\n"
			       "changed 1 process=server thread=main pid=100:pid tid=100:tid\n");
	teardown(&setting);
}

static void test_window_starts_empty(void **state)
{
	_cleanup_(profile_freep) struct profile *first = NULL, *second = NULL;
	struct setting setting;

	(void)state;
	setup(&setting);
	count(&setting, 100, MISSING_STACK, 0, 3);
	count(&setting, 100, USER_STACK, 0, 3);
	first = end_window(&setting);
	assert_int_equal(join_begin_window(&setting.join), 0);
	assert_int_equal(setting.join.report.without_stack, 0);
	/* Of the same epoch: ids are those of the new profile. */
	count(&setting, 101, OTHER_USER_STACK, 0, 5);
	second = end_window(&setting);
	check_samples(second, "f_21;f_12 5 process=server thread=worker pid=100:pid tid=101:tid\n");
	assert_int_equal(setting.join.report.processes, 1);
	assert_int_equal(profile_sample_cnt(first), 2);
	/* A window that is begun and not ended is dropped. */
	assert_int_equal(join_begin_window(&setting.join), 0);
	assert_int_equal(join_begin_window(&setting.join), 0);
	teardown(&setting);
}

/* The file of the main mapping of a profile whose stack BROKEN_STACK is in @filename. */
static void check_main_mapping(struct targets *targets, const char *filename, const char *expected)
{
	_cleanup_(profile_freep) struct profile *profile = NULL;
	struct location_mapping program = { .limit = 0x1000, .filename = filename };
	struct session_config config = config_of(SAMPLER_CPU_CLOCK);
	struct profile_mapping mapping = { .filename = "" };
	struct setting setting;

	config.targets = targets;
	setup_config(&setting, &config);
	fake_find(&setting.symbolizer, 0x31, NULL)->location->mapping = &program;
	count(&setting, 100, USER_STACK, 0, 100); /* of libx.so */
	count(&setting, 100, BROKEN_STACK, KERNEL_STACK, 1);
	profile = end_window(&setting);
	if (profile->main_mapping)
		profile_mapping(profile, profile->main_mapping, &mapping);
	assert_string_equal(mapping.filename, expected);
	teardown(&setting);
}

static void test_main_mapping_is_the_targets_program(void **state)
{
	struct targets everything = {}, one = { .pid_cnt = 1 };

	(void)state;
	check_main_mapping(&one, "/usr/bin/program", "/usr/bin/program");
	check_main_mapping(&one, "/opt/x.social/bin/program", "/opt/x.social/bin/program");
	check_main_mapping(&one, "/opt/lib.so.d/app.sorted", "/opt/lib.so.d/app.sorted");
	check_main_mapping(&one, "/lib/liby.so", "");
	check_main_mapping(&one, "/lib/liby.so.1.2", "");
	check_main_mapping(&one, "/lib/liby.so (deleted)", "");
	check_main_mapping(&one, "[jit]", "");
	check_main_mapping(&one, "", "");
	check_main_mapping(&everything, "/usr/bin/program", "");
}

/* Everything from an empty join to a closed profile; 0, or the first error. */
static int join_all(struct setting *setting, struct profile **ret)
{
	struct session_config config = config_of(SAMPLER_CPU_CLOCK);
	struct sample_key keys[] = { key_of(100, USER_STACK, KERNEL_STACK),
				     key_of(101, MISSING_STACK, 0), key_of(101, 0, 0) };
	size_t i;
	int error;

	memset(setting, 0, sizeof(*setting));
	stacks_init(&setting->stacks);
	join_init(&setting->join, &config, PERIOD, &setting->stacks, &setting->symbolizer);
	error = fill_epoch(setting, 0);
	if (!error)
		error = join_begin_window(&setting->join);
	join_begin_epoch(&setting->join, 0, PERIOD);
	for (i = 0; i < ARRAY_SIZE(keys) && !error; i++)
		error = join_count(&setting->join, &keys[i], 2);
	if (!error)
		*ret = join_end_window(&setting->join, START_NS, DURATION_NS);
	return error;
}

static void test_failed_allocations_lose_no_sample_silently(void **state)
{
	struct setting setting;
	long n;

	(void)state;
	for (n = 1;; n++) {
		_cleanup_(profile_freep) struct profile *profile = NULL;
		bool done;
		int error;

		fail_malloc_at(n);
		error = join_all(&setting, &profile);
		done = !fail_malloc_hit();
		/* A comment and the number of processes may be missing, samples not. */
		if (error)
			assert_int_equal(error, -ENOMEM);
		else
			assert_int_equal(sum_of_values(profile, 0), 6);
		teardown(&setting);
		if (done) {
			assert_int_equal(error, 0);
			break;
		}
	}
	assert_true(n > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kernel_frames_stand_before_user_frames),
		cmocka_unit_test(test_values_sum_to_the_counts),
		cmocka_unit_test(test_missing_body_is_named_and_counted_once_per_sample),
		cmocka_unit_test(test_task_whose_name_did_not_arrive_is_unknown),
		cmocka_unit_test(test_large_profile_drops_pid_and_tid_and_no_sample),
		cmocka_unit_test(test_sample_without_stack_says_where_it_was),
		cmocka_unit_test(test_stack_without_frames_gets_a_placeholder),
		cmocka_unit_test(test_quality_is_weighed_by_samples_of_user_stacks),
		cmocka_unit_test(test_locations_keep_mapping_address_and_inlined_lines),
		cmocka_unit_test(test_types_and_period_follow_the_event),
		cmocka_unit_test(test_report_counts_processes_and_stacks_of_the_window),
		cmocka_unit_test(test_losses_are_comments),
		cmocka_unit_test(test_epochs_of_a_window_add_up),
		cmocka_unit_test(test_window_starts_empty),
		cmocka_unit_test(test_main_mapping_is_the_targets_program),
		cmocka_unit_test(test_failed_allocations_lose_no_sample_silently),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
