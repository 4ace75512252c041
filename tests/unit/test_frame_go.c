/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames of Go programs made by hand: what Go's linkers and assembler may write, and what not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/elf.h"
#include "symbolizer/frame_go.h"
#include "symbolizer/frame_table.h"
#include "tests/unit/fail_malloc.h"
#include "tests/unit/go_image.h"

enum { TOP_FRAME = 1, WRITES_SP = 2, ASSEMBLER = 4 };

/* ---- rows as text --------------------------------------------------------------------------- */

static void rule_to_text(const struct frame_rule *rule, char *text, size_t size)
{
	static const char *const kinds[] = {
		[FRAME_NO_INFO] = "none",    [FRAME_SP] = "sp",
		[FRAME_FP] = "fp",	     [FRAME_SIGNAL] = "signal",
		[FRAME_BOTTOM] = "bottom",   [FRAME_EXPRESSION] = "expression",
		[FRAME_CORRUPT] = "corrupt",
	};
	bool has_cfa = rule->cfa == FRAME_SP || rule->cfa == FRAME_FP;
	size_t len;

	assert_true(rule->cfa < ARRAY_SIZE(kinds) && kinds[rule->cfa]);
	assert_int_equal(rule->bx, has_cfa ? FRAME_LOST : 0);
	assert_int_equal(rule->reg, 0);
	assert_int_equal(rule->cfa_add, 0);
	assert_int_equal(rule->bx_offset, 0);
	if (has_cfa || rule->cfa == FRAME_SIGNAL)
		len = (size_t)snprintf(text, size, "%s+%d", kinds[rule->cfa], rule->cfa_offset);
	else
		len = (size_t)snprintf(text, size, "%s", kinds[rule->cfa]);
	if (rule->fp == FRAME_AT_CFA)
		snprintf(text + len, size - len, " saved%d", rule->fp_offset);
	else
		assert_true(rule->fp == FRAME_SAME && rule->fp_offset == 0);
}

/* All that the table says of [@start, @end), offsets in the code: "OFFSET: RULE; ...". */
static const char *rows_of(const void *bytes, size_t size, uint32_t start, uint32_t end)
{
	static char text[4096];
	char rule[64], last[64] = "";
	struct frame_table table;
	size_t len = 0;
	uint32_t at;

	assert_int_equal(frame_table_of_bytes(bytes, size, &table), 0);
	for (at = start; at < end; at++) {
		const struct frame_rule *found = frame_table_find(&table, GO_TEXT + at);

		assert_non_null(found);
		rule_to_text(found, rule, sizeof(rule));
		if (strcmp(rule, last) == 0)
			continue;
		strcpy(last, rule);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%x: %s", len ? "; " : "",
					at, rule);
	}
	return text;
}

/* ---- programs ------------------------------------------------------------------------------- */

/* 0, or what failed. */
static int emit_all(struct elf_file *elf, void **ret_bytes, size_t *ret_size)
{
	struct frame_builder *builder = NULL;
	struct frame_go *go = NULL;
	size_t i;
	int ret;

	ret = frame_go_open(elf, &go);
	if (!ret)
		ret = frame_builder_new(&builder);
	for (i = 0; !ret && i < frame_go_cnt(go); i++)
		ret = frame_go_emit(go, i, builder);
	if (!ret)
		ret = frame_builder_finish(builder, ret_bytes, ret_size);
	frame_builder_free(builder);
	frame_go_close(go);
	return ret;
}

static const char *rows(const struct go_image_options *options, uint32_t start, uint32_t end)
{
	struct elf_file *elf;
	void *bytes = NULL;
	const char *text;
	size_t size;
	uint8_t *image = go_image(options, &size);

	assert_int_equal(elf_file_open_memory(image, size, &elf, NULL), 0);
	assert_int_equal(emit_all(elf, &bytes, &size), 0);
	text = rows_of(bytes, size, start, end);
	free(bytes);
	elf_file_close(elf);
	free(image);
	return text;
}

/* Code of which only these bytes are not zeros. */
static const uint8_t *code_with(uint32_t at, const void *bytes, size_t len)
{
	static uint8_t code[GO_TEXT_BYTES];

	memset(code, 0, sizeof(code));
	memcpy(code + at, bytes, len);
	return code;
}

#define CODE(at, bytes) code_with(at, bytes, sizeof(bytes) - 1)

/* What the three functions have when they are of no interest. */
static const int32_t none[] = { 0, 0x20, 0, 0 };
static const int32_t leaf[] = { 0, 0x40, 0, 0 };

/* ---- the compiler's functions --------------------------------------------------------------- */

static void test_from_go_1_21_on_the_frame_pointer_is_pushed(void **state)
{
	/* push; mov; sub $24; ... add $24; pop; ret; behind it code of the same frame again */
	static const int32_t deltas[] = { 0, 11, 8, 7, 32, 100, 8, 1, 0, 1, 32, 104, 0, 0 };
	static const int32_t no_locals[] = { 0, 1, 8, 0x3e, 0, 1, 0, 0 };
	struct go_image_options options = { .deltas = { none, deltas, no_locals } };

	(void)state;
	assert_string_equal(rows(&options, 0, GO_TEXT_BYTES),
			    "0: sp+8; "
			    "2b: sp+16 saved-16; 32: sp+40 saved-16; 96: sp+16 saved-16; "
			    "97: sp+8; 98: sp+40 saved-16; "
			    "100: sp+8; 101: sp+16 saved-16; 13f: sp+8");
}

static void test_up_to_go_1_20_it_is_stored_after_sp_was_moved(void **state)
{
	static const int32_t short_store[] = { 0, 14, 72, 200, 0, 10, 0, 0 };
	static const int32_t no_locals[] = { 0, 4, 8, 0x38, 0, 4, 0, 0 };
	static const int32_t long_store[] = { 0, 7, 0x1000, 0x30, 0, 9, 0, 0 };
	struct go_image_options options = { .old = true,
					    .deltas = { none, short_store, no_locals } };

	(void)state;
	assert_string_equal(rows(&options, 0, GO_TEXT_BYTES),
			    "0: sp+8; 2e: sp+80; 33: sp+80 saved-16; f6: sp+8; "
			    "104: sp+16; 108: sp+16 saved-16; 13c: sp+8");
	options.old = false; /* Go 1.20 */
	options.deltas[2] = long_store;
	assert_string_equal(rows(&options, 0x100, GO_TEXT_BYTES),
			    "100: sp+8; 107: sp+4104; 10f: sp+4104 saved-16; 137: sp+8");
}

static void test_functions_of_c_are_left_out(void **state)
{
	struct go_image_options options = { .deltas = { none, NULL, leaf } };

	(void)state;
	assert_string_equal(rows(&options, 0, GO_TEXT_BYTES), "0: sp+8; 20: none; 100: sp+8");
}

static void test_padding_belongs_to_its_function_and_what_is_more_does_not(void **state)
{
	static const int32_t padded[] = { 0, 0xb0, 0, 0 }; /* of 0xe0 */
	static const int32_t cut[] = { 0, 0x90, 0, 0 };
	struct go_image_options options = { .deltas = { none, padded, leaf } };

	(void)state;
	assert_string_equal(rows(&options, 0, GO_TEXT_BYTES), "0: sp+8");
	options.deltas[1] = cut;
	assert_string_equal(rows(&options, 0, GO_TEXT_BYTES), "0: sp+8; b0: none; 100: sp+8");
}

static void test_rows_behind_the_end_of_a_function_are_not_made(void **state)
{
	static const int32_t longer[] = { 0, 0xd0, 8, 0x20, 16, 0x20, 0, 0 };
	struct go_image_options options = { .deltas = { none, longer, leaf } };

	(void)state;
	assert_string_equal(rows(&options, 0x20, GO_TEXT_BYTES),
			    "20: sp+8; f0: sp+16 saved-16; 100: sp+8");
}

/* syscall.rawVforkSyscall keeps its return address in a register meanwhile. */
static void test_a_popped_return_address_is_right_below_sp(void **state)
{
	static const int32_t deltas[] = { 0, 43, -8, 4, 0, 0xb1, 0, 0 };
	struct go_image_options options = { .deltas = { none, deltas, leaf },
					    .flags = { 0, ASSEMBLER, 0 } };

	(void)state;
	assert_string_equal(rows(&options, 0x20, GO_TEXT_BYTES), "20: sp+8; 4b: sp+0; 4f: sp+8");
}

/* ---- functions in assembler ----------------------------------------------------------------- */

static void test_assembler_that_pushes_the_frame_pointer_is_recognized(void **state)
{
	static const int32_t deltas[] = { 0, 20, 8, 40, 0, 0xa4, 0, 0 };
	struct go_image_options options = { .deltas = { none, deltas, leaf },
					    .flags = { 0, ASSEMBLER, 0 } };

	(void)state;
	options.code = CODE(0x33, "\x55\x48\x89\xe5"); /* push %rbp; mov %rsp,%rbp */
	assert_string_equal(rows(&options, 0x20, GO_TEXT_BYTES),
			    "20: sp+8; 34: sp+16 saved-16; 5c: sp+8");
	options.code = CODE(0x32, "\x41\x55"); /* push %r13 */
	assert_string_equal(rows(&options, 0x20, GO_TEXT_BYTES), "20: sp+8; 34: sp+16; 5c: sp+8");
	options.code = CODE(0x33, "\x50"); /* push %rax */
	assert_string_equal(rows(&options, 0x20, GO_TEXT_BYTES), "20: sp+8; 34: sp+16; 5c: sp+8");
}

static void test_assembler_may_save_it_anywhere_in_the_frame(void **state)
{
	static const int32_t pushes[] = { 0, 1, 8, 1, 16, 0x20, 8, 1, 0, 0xbd, 0, 0 };
	static const int32_t stores[] = { 0, 4, 48, 0x40, 0, 0x9c, 0, 0 };
	struct go_image_options options = { .deltas = { none, pushes, leaf },
					    .flags = { 0, ASSEMBLER, 0 } };

	(void)state;
	options.code = CODE(0x20, "\x53\x55"); /* push %rbx; push %rbp */
	assert_string_equal(rows(&options, 0x20, GO_TEXT_BYTES),
			    "20: sp+8; 21: sp+16; 22: sp+24 saved-24; 42: sp+16; 43: sp+8");
	options.deltas[1] = stores;
	/* mov %rbx,(%rsp); mov %rbp,8(%rsp) */
	options.code = CODE(0x24, "\x48\x89\x1c\x24\x48\x89\x6c\x24\x08");
	assert_string_equal(rows(&options, 0x20, GO_TEXT_BYTES),
			    "20: sp+8; 24: sp+56; 2d: sp+56 saved-48; 64: sp+8");
	/* 48(%rsp): the return address */
	options.code = CODE(0x24, "\x48\x89\x6c\x24\x30");
	assert_string_equal(rows(&options, 0x20, GO_TEXT_BYTES), "20: sp+8; 24: sp+56; 64: sp+8");
}

/* ---- the runtime's special functions -------------------------------------------------------- */

static void test_where_the_runtime_ends_tracebacks_is_the_bottom(void **state)
{
	static const int32_t deltas[] = { 0, 4, 48, 0xdc, 0, 0 };
	struct go_image_options options = { .deltas = { none, deltas, leaf },
					    .flags = { 0, ASSEMBLER | TOP_FRAME, 0 },
					    .outer_name = "runtime.goexit" };

	(void)state;
	assert_string_equal(rows(&options, 0, GO_TEXT_BYTES), "0: sp+8; 20: bottom; 100: sp+8");
	options.outer_name = "runtime.sigtramp"; /* what was interrupted comes next */
	assert_string_equal(rows(&options, 0, GO_TEXT_BYTES), "0: sp+8; 24: sp+56; 100: sp+8");
	options.flags[1] = ASSEMBLER;
	options.outer_name = "_rt0_amd64_linux";
	assert_string_equal(rows(&options, 0, GO_TEXT_BYTES), "0: sp+8; 20: bottom; 100: sp+8");
	options.outer_name = "_rt0_amd64_linux_lib"; /* called by the dynamic loader */
	assert_string_equal(rows(&options, 0, GO_TEXT_BYTES), "0: sp+8; 24: sp+56; 100: sp+8");
}

/* Return addresses are looked up one byte lower, and the handler's is the restorer's first byte. */
static void test_the_signal_restorer_begins_a_byte_early(void **state)
{
	static const int32_t deltas[] = { 0, 0xe0, 0, 0 };
	struct go_image_options options = { .deltas = { none, deltas, leaf },
					    .flags = { 0, ASSEMBLER, 0 },
					    .outer_name = "runtime.sigreturn__sigaction" };

	(void)state;
	options.code = CODE(0x20, "\x48\xc7\xc0\x0f\0\0\0\x0f\x05");
	assert_string_equal(rows(&options, 0, GO_TEXT_BYTES), "0: sp+8; 1f: signal+40; 100: sp+8");
	options.code = CODE(0x20, "\xb8\x0f\0\0\0\x0f\x05");
	assert_string_equal(rows(&options, 0, GO_TEXT_BYTES), "0: sp+8; 1f: signal+40; 100: sp+8");
	options.code = CODE(0x20, "\xb8\x0e\0\0\0\x0f\x05"); /* another system call */
	assert_string_equal(rows(&options, 0, GO_TEXT_BYTES), "0: sp+8");
	options.code = CODE(0x20, "\xb8\x0f\0\0\0\x0f\x05");
	options.flags[1] = 0; /* Go code is not looked at */
	assert_string_equal(rows(&options, 0, GO_TEXT_BYTES), "0: sp+8");
}

/* push %rbp; mov %rsp,%rbp; ...; mov 56(%rdx),%rsp */
#define SYSTEMSTACK "\x55\x48\x89\xe5\x90\x90\x48\x8b\x62\x38"

static void test_another_stack_is_left_by_the_frame_pointer(void **state)
{
	static const int32_t deltas[] = { 0, 1, 8, 0x7f, 0, 1, 8, 0x5f, 0, 0 };
	struct go_image_options options = { .deltas = { none, deltas, leaf },
					    .flags = { 0, ASSEMBLER | WRITES_SP, 0 },
					    .outer_name = "runtime.systemstack" };

	(void)state;
	options.code = CODE(0x20, SYSTEMSTACK);
	assert_string_equal(rows(&options, 0x20, GO_TEXT_BYTES),
			    "20: sp+8; 21: sp+16 saved-16; 24: fp+16 saved-16; a0: sp+8; "
			    "a1: fp+16 saved-16; 100: sp+8");
	/* Of others' functions we do not know what they do with it. */
	options.outer_name = "main.coroutine";
	assert_string_equal(rows(&options, 0x20, GO_TEXT_BYTES),
			    "20: sp+8; 21: sp+16 saved-16; 2a: expression; 100: sp+8");
	options.outer_name = "runtime.mcall"; /* does not return */
	assert_string_equal(rows(&options, 0x20, GO_TEXT_BYTES),
			    "20: sp+8; 21: sp+16 saved-16; 2a: bottom; 100: sp+8");
}

/* nanotime1 of Go 1.18: sub $24; mov %rbp,16(%rsp); lea 16(%rsp),%rbp; ...; mov 16(%rsp),%rbp; add */
static void test_the_frame_pointer_is_the_callers_before_sp_is(void **state)
{
	static const int32_t deltas[] = { 0, 4, 24, 0x5c, 0, 1, 24, 0x7f, 0, 0 };
	struct go_image_options options = { .old = true,
					    .deltas = { none, deltas, leaf },
					    .flags = { 0, ASSEMBLER | WRITES_SP, 0 },
					    .outer_name = "runtime.nanotime1" };

	(void)state;
	options.code = CODE(0x20, "\x48\x83\xec\x18\x48\x89\x6c\x24\x10\x48\x8d\x6c\x24\x10"
				  "\x48\x8b\x62\x38");
	assert_string_equal(rows(&options, 0x20, GO_TEXT_BYTES),
			    "20: sp+8; 24: sp+32; 29: sp+32 saved-16; 2e: fp+16 saved-16; "
			    "7c: sp+32 saved-16; 80: sp+8; 81: fp+16 saved-16; 100: sp+8");
}

static void test_without_a_frame_pointer_no_way_leads_back(void **state)
{
	static const char *const writes[] = {
		"\x48\x8b\x62\x38",		/* mov 56(%rdx),%rsp */
		"\x48\x89\xdc",			/* mov %rbx,%rsp */
		"\x49\x8b\xa6\x38\x01\x00\x01", /* mov 0x1000138(%r14),%rsp */
		"\x48\x83\xe4\xf0",		/* and $-16,%rsp */
		"\x48\x8b\x64\x24\x08",		/* mov 8(%rsp),%rsp */
		"\x48\x8b\x24\x24",		/* mov (%rsp),%rsp */
		"\x48\x8b\x25\x01\x02\x03\x04", /* mov 0x4030201(%rip),%rsp */
		"\x48\x81\xe4\xff\xff\xff\xff", /* and $-1,%rsp */
	};
	static const size_t lens[] = { 4, 3, 7, 4, 5, 4, 7, 7 };
	static const int32_t deltas[] = { 0, 0xe0, 0, 0 };
	struct go_image_options options = { .deltas = { none, deltas, leaf },
					    .flags = { 0, ASSEMBLER | WRITES_SP, 0 },
					    .outer_name = "runtime.systemstack" };
	char expected[64];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(writes); i++) {
		options.code = code_with(0x50, writes[i], lens[i]);
		snprintf(expected, sizeof(expected), "20: sp+8; %x: expression; 100: sp+8",
			 (unsigned int)(0x50 + lens[i]));
		assert_string_equal(rows(&options, 0x20, GO_TEXT_BYTES), expected);
	}
	options.code = CODE(0x50, "\x49\x89\xe4"); /* mov %rsp,%r12: no write is found */
	assert_string_equal(rows(&options, 0x20, GO_TEXT_BYTES), "20: expression; 100: sp+8");
}

/* ---- broken files --------------------------------------------------------------------------- */

static void test_a_broken_function_is_one_corrupt_row(void **state)
{
	static const int32_t odd[] = { 0, 0x20, 12, 0x20, 0, 0x20, 0, 0 };
	static const int32_t below[] = { 0, 0x20, -16, 0x20, 0, 0x20, 0, 0 };
	static const int32_t *const all[] = { odd, below };
	struct go_image_options options = { .deltas = { none, NULL, leaf } };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(all); i++) {
		options.deltas[1] = all[i];
		assert_string_equal(rows(&options, 0, GO_TEXT_BYTES),
				    "0: sp+8; 20: corrupt; 100: sp+8");
	}
	options.pc_values[1] = 0x10000; /* behind the table */
	assert_string_equal(rows(&options, 0, GO_TEXT_BYTES), "0: sp+8; 20: corrupt; 100: sp+8");
	options.pc_values[1] = 0;
	options.elsewhere = true;
	assert_string_equal(rows(&options, 0, GO_TEXT_BYTES), "0: sp+8; 20: corrupt; 100: sp+8");
}

/* Whatever is in them; twice the same. */
static void try_bytes(uint8_t *image, size_t size)
{
	struct elf_file *elf;
	struct frame_table table;
	void *bytes = NULL;
	size_t bytes_size;
	int ret;

	if (elf_file_open_memory(image, size, &elf, NULL))
		return;
	ret = emit_all(elf, &bytes, &bytes_size);
	assert_true(ret <= 0);
	if (!ret)
		assert_int_equal(frame_table_of_bytes(bytes, bytes_size, &table), 0);
	free(bytes);
	elf_file_close(elf);
}

static void test_cut_and_changed_files_do_no_harm(void **state)
{
	static const int32_t deltas[] = { 0, 1, 8, 0x7f, 0, 1, 24, 0x5f, 0, 0 };
	struct go_image_options options = { .deltas = { none, deltas, leaf },
					    .flags = { 0, ASSEMBLER | WRITES_SP, 0 },
					    .outer_name = "runtime.systemstack" };
	size_t size, i;
	uint8_t *image, *copy;

	(void)state;
	options.code = CODE(0x20, SYSTEMSTACK);
	image = go_image(&options, &size);
	for (i = 0; i < size; i++) {
		copy = malloc(i + 1);
		assert_non_null(copy);
		memcpy(copy, image, i);
		try_bytes(copy, i);
		free(copy);
	}
	for (i = 0; i < size * 2; i++) {
		uint8_t was = image[i / 2];

		image[i / 2] = i % 2 ? was ^ 0x80 : was + 1;
		try_bytes(image, size);
		image[i / 2] = was;
	}
	free(image);
}

static void test_other_files_are_refused(void **state)
{
	struct go_image_options options = { .sections = true,
					    .magic = 0xfffffffa,
					    .table_section = ".gopclntab" };
	struct frame_go *go = NULL;
	struct elf_file *elf;
	size_t size;
	uint8_t *image = go_image(&options, &size);

	(void)state;
	assert_int_equal(elf_file_open_memory(image, size, &elf, NULL), 0);
	assert_int_equal(frame_go_open(elf, &go), -ENOTSUP);
	assert_null(go);
	elf_file_close(elf);
	free(image);
}

static void test_every_allocation_may_fail(void **state)
{
	struct go_image_options options = { .deltas = { none, NULL, leaf } };
	struct elf_file *elf;
	size_t size, table_size;
	uint8_t *image = go_image(&options, &size);
	void *bytes;
	bool hit = true;
	long n;
	int ret;

	(void)state;
	for (n = 1; hit; n++) {
		assert_true(n < 1000);
		assert_int_equal(elf_file_open_memory(image, size, &elf, NULL), 0);
		bytes = NULL;
		fail_malloc_at(n);
		ret = emit_all(elf, &bytes, &table_size);
		hit = fail_malloc_hit();
		assert_int_equal(ret, hit ? -ENOMEM : 0);
		free(bytes);
		elf_file_close(elf);
	}
	assert_true(n > 8);
	free(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_from_go_1_21_on_the_frame_pointer_is_pushed),
		cmocka_unit_test(test_up_to_go_1_20_it_is_stored_after_sp_was_moved),
		cmocka_unit_test(test_functions_of_c_are_left_out),
		cmocka_unit_test(test_padding_belongs_to_its_function_and_what_is_more_does_not),
		cmocka_unit_test(test_rows_behind_the_end_of_a_function_are_not_made),
		cmocka_unit_test(test_a_popped_return_address_is_right_below_sp),
		cmocka_unit_test(test_assembler_that_pushes_the_frame_pointer_is_recognized),
		cmocka_unit_test(test_assembler_may_save_it_anywhere_in_the_frame),
		cmocka_unit_test(test_where_the_runtime_ends_tracebacks_is_the_bottom),
		cmocka_unit_test(test_the_signal_restorer_begins_a_byte_early),
		cmocka_unit_test(test_another_stack_is_left_by_the_frame_pointer),
		cmocka_unit_test(test_the_frame_pointer_is_the_callers_before_sp_is),
		cmocka_unit_test(test_without_a_frame_pointer_no_way_leads_back),
		cmocka_unit_test(test_a_broken_function_is_one_corrupt_row),
		cmocka_unit_test(test_cut_and_changed_files_do_no_harm),
		cmocka_unit_test(test_other_files_are_refused),
		cmocka_unit_test(test_every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
