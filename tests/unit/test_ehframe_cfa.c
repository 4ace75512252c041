/* SPDX-License-Identifier: BSD-2-Clause */
/* Call frame instructions and expressions, and the rules that they come to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "symbolizer/ehframe.h"
#include "symbolizer/frame_table.h"
#include "tests/unit/cfi_image.h"

#define FUNCTION_BYTES 0x1000

struct unwound {
	struct ehframe_counts counts;
	bool met_bx;
	void *bytes;
	struct frame_table table;
};

/* The table of the one function in @image, which is freed. */
static struct unwound unwind(struct cfi_image *image, bool track_bx)
{
	struct ehframe_section section = cfi_section(image);
	struct frame_builder *builder;
	struct unwound unwound;
	struct ehframe *frames;
	size_t size;

	assert_int_equal(ehframe_open(&section, &frames), 0);
	assert_int_equal(ehframe_cnt(frames), 1);
	assert_int_equal(frame_builder_new(&builder), 0);
	if (track_bx)
		ehframe_track_bx(frames);
	assert_int_equal(ehframe_emit(frames, 0, builder), 0);
	assert_int_equal(frame_builder_finish(builder, &unwound.bytes, &size), 0);
	assert_int_equal(frame_table_of_bytes(unwound.bytes, size, &unwound.table), 0);
	ehframe_counts(frames, &unwound.counts);
	unwound.met_bx = ehframe_met_bx(frames);
	frame_builder_free(builder);
	ehframe_close(frames);
	free((void *)(uintptr_t)section.bytes);
	free(image);
	return unwound;
}

/* One function with these instructions. */
static struct unwound run_with(bool track_bx, const uint8_t *instructions, size_t size)
{
	struct cfi_image *image = cfi_new(EHFRAME_EH);

	cfi_cie(image, PCREL_SDATA4);
	cfi_fde(image, CFI_CODE, CFI_CODE + FUNCTION_BYTES);
	cfi_bytes(image, instructions, size);
	cfi_end(image);
	return unwind(image, track_bx);
}

#define RUN(...)                                                                                   \
	run_with(false, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))
#define RUN_BX(...)                                                                                \
	run_with(true, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static struct frame_rule rule_at(const struct unwound *unwound, uint64_t offset)
{
	const struct frame_rule *rule = frame_table_find(&unwound->table, CFI_CODE + offset);

	assert_non_null(rule);
	return *rule;
}

static void check_at(const struct unwound *unwound, uint64_t offset, struct frame_rule expected)
{
	struct frame_rule rule = rule_at(unwound, offset);

	assert_memory_equal(&rule, &expected, sizeof(rule));
}

static void done(struct unwound *unwound)
{
	free(unwound->bytes);
}

#define SP_RULE(offset, ...)                                                                       \
	((struct frame_rule){                                                                      \
		.cfa = FRAME_SP, .cfa_offset = (offset), .bx = FRAME_LOST, ##__VA_ARGS__ })
#define RULE(kind, ...) ((struct frame_rule){ .cfa = (kind), .bx = FRAME_LOST, ##__VA_ARGS__ })
#define ONLY(kind) ((struct frame_rule){ .cfa = (kind) })

/* ---- the CFA ---- */

static void test_a_prologue_and_an_epilogue(void **state)
{
	/* push %rbp; mov %rsp, %rbp; ...; leave; ret; and after that the body goes on */
	struct unwound unwound = RUN(0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6, 0x02, 0x80, 0x0a, 0x0c,
				     7, 8, 0xc6, 0x41, 0x0b);

	(void)state;
	check_at(&unwound, 0, SP_RULE(8));
	check_at(&unwound, 1, SP_RULE(16, .fp = FRAME_AT_CFA, .fp_offset = -16));
	check_at(&unwound, 3, SP_RULE(16, .fp = FRAME_AT_CFA, .fp_offset = -16));
	check_at(&unwound, 4,
		 RULE(FRAME_FP, .cfa_offset = 16, .fp = FRAME_AT_CFA, .fp_offset = -16));
	check_at(&unwound, 0x84, SP_RULE(8));
	check_at(&unwound, 0x85,
		 RULE(FRAME_FP, .cfa_offset = 16, .fp = FRAME_AT_CFA, .fp_offset = -16));
	assert_int_equal(unwound.counts.corrupt, 0);
	done(&unwound);
}

static void test_each_way_to_advance(void **state)
{
	struct unwound unwound = RUN(0x41, 0x0e, 16, 0x02, 0x10, 0x0e, 24, 0x03, 0x00, 0x01, 0x0e,
				     32, 0x04, 0x00, 0x02, 0, 0, 0x0e, 40);

	(void)state;
	check_at(&unwound, 0x01, SP_RULE(16));
	check_at(&unwound, 0x10, SP_RULE(16));
	check_at(&unwound, 0x11, SP_RULE(24));
	check_at(&unwound, 0x110, SP_RULE(24));
	check_at(&unwound, 0x111, SP_RULE(32));
	check_at(&unwound, 0x310, SP_RULE(32));
	check_at(&unwound, 0x311, SP_RULE(40));
	check_at(&unwound, FUNCTION_BYTES - 1, SP_RULE(40));
	done(&unwound);
}

static struct cfi_image *image_with_locations(uint64_t first, uint64_t second)
{
	struct cfi_image *image = cfi_new(EHFRAME_DEBUG);

	cfi_cie(image, 0);
	cfi_fde(image, CFI_CODE, CFI_CODE + FUNCTION_BYTES);
	CFI(image, 0x01);
	cfi_number(image, first, 8);
	CFI(image, 0x0e, 16, 0x01);
	cfi_number(image, second, 8);
	CFI(image, 0x0e, 24);
	cfi_end(image);
	return image;
}

static void test_locations_are_set_forwards_only(void **state)
{
	struct unwound unwound =
		unwind(image_with_locations(CFI_CODE + 0x20, CFI_CODE + 0x40), false);

	(void)state;
	check_at(&unwound, 0x1f, SP_RULE(8));
	check_at(&unwound, 0x20, SP_RULE(16));
	check_at(&unwound, 0x40, SP_RULE(24));
	done(&unwound);
	unwound = unwind(image_with_locations(CFI_CODE + 0x20, CFI_CODE + 0x10), false);
	assert_int_equal(unwound.counts.corrupt, 1);
	check_at(&unwound, 0x1f, SP_RULE(8));
	check_at(&unwound, 0x20, ONLY(FRAME_CORRUPT));
	done(&unwound);
}

static void test_signed_and_factored_forms(void **state)
{
	/* def_cfa_sf rsp -3 (* -8); def_cfa_offset_sf -4; offset_extended_sf rbp 2;
	 * GNU_negative_offset_extended rbp 1; offset_extended rbp 4; restore_extended rbp */
	struct unwound unwound = RUN(0x41, 0x12, 7, 0x7d, 0x41, 0x13, 0x7c, 0x41, 0x11, 6, 2, 0x41,
				     0x2f, 6, 1, 0x41, 0x05, 6, 4, 0x41, 0x06, 6);

	(void)state;
	check_at(&unwound, 1, SP_RULE(24));
	check_at(&unwound, 2, SP_RULE(32));
	check_at(&unwound, 3, SP_RULE(32, .fp = FRAME_AT_CFA, .fp_offset = -16));
	check_at(&unwound, 4, SP_RULE(32, .fp = FRAME_AT_CFA, .fp_offset = 8));
	check_at(&unwound, 5, SP_RULE(32, .fp = FRAME_AT_CFA, .fp_offset = -32));
	check_at(&unwound, 6, SP_RULE(32));
	done(&unwound);
}

static void test_other_registers_are_named(void **state)
{
	struct unwound unwound = RUN(0x0c, 10, 0, 0x41, 0x0c, 0, 16);

	(void)state;
	check_at(&unwound, 0, RULE(FRAME_REGISTER, .reg = 10));
	check_at(&unwound, 1, RULE(FRAME_REGISTER, .reg = 0, .cfa_offset = 16));
	done(&unwound);
	unwound = RUN(0x0c, 17, 0); /* a vector register */
	check_at(&unwound, 0, ONLY(FRAME_EXPRESSION));
	assert_int_equal(unwound.counts.expression_cfa, 1);
	done(&unwound);
}

static void test_rbx_is_tracked_when_asked_for(void **state)
{
	struct unwound unwound = RUN(0x41, 0x0e, 16, 0x83, 2, 0x42, 0x0d, 3);

	(void)state;
	assert_true(unwound.met_bx);
	check_at(&unwound, 1, SP_RULE(16));
	check_at(&unwound, 3, RULE(FRAME_REGISTER, .reg = 3, .cfa_offset = 16));
	done(&unwound);
	unwound = RUN_BX(0x41, 0x0e, 16, 0x83, 2, 0x42, 0x0d, 3, 0x41, 0x10, 3, 2, 0x76, 0x48, 0x41,
			 0x07, 3, 0x41, 0x08, 3);
	check_at(&unwound, 0, (struct frame_rule){ .cfa = FRAME_SP, .cfa_offset = 8 });
	check_at(&unwound, 1,
		 (struct frame_rule){
			 .cfa = FRAME_SP, .cfa_offset = 16, .bx = FRAME_AT_CFA, .bx_offset = -16 });
	check_at(&unwound, 3,
		 (struct frame_rule){
			 .cfa = FRAME_BX, .cfa_offset = 16, .bx = FRAME_AT_CFA, .bx_offset = -16 });
	check_at(&unwound, 4,
		 (struct frame_rule){
			 .cfa = FRAME_BX, .cfa_offset = 16, .bx = FRAME_AT_FP, .bx_offset = -56 });
	check_at(&unwound, 5, RULE(FRAME_BX, .cfa_offset = 16));
	check_at(&unwound, 6, (struct frame_rule){ .cfa = FRAME_BX, .cfa_offset = 16 });
	done(&unwound);
}

static void test_offsets_that_do_not_fit_are_not_followed(void **state)
{
	/* def_cfa_offset 2^32; the frame is back at 1; rbp far away */
	struct unwound unwound =
		RUN(0x0e, 0x80, 0x80, 0x80, 0x80, 0x10, 0x41, 0x0e, 16, 0x86, 0x81, 0x20);

	(void)state;
	check_at(&unwound, 0, ONLY(FRAME_EXPRESSION));
	check_at(&unwound, 1, SP_RULE(16, .fp = FRAME_LOST));
	assert_int_equal(unwound.counts.expression_cfa, 1);
	assert_int_equal(unwound.counts.expression_register, 1);
	done(&unwound);
}

/* ---- rbp ---- */

static void test_each_place_of_rbp(void **state)
{
	/* undefined; same; val_offset; register; expression breg6 0; breg7 16 where CFA = rsp+24;
	 * expression of the CFA: plus_uconst 8; val_expression breg7 0 */
	struct unwound unwound = RUN(0x07, 6, 0x41, 0x08, 6, 0x41, 0x14, 6, 1, 0x41, 0x09, 6, 3,
				     0x41, 0x10, 6, 2, 0x76, 0, 0x41, 0x0e, 24, 0x10, 6, 2, 0x77,
				     16, 0x41, 0x10, 6, 2, 0x23, 8, 0x41, 0x16, 6, 2, 0x77, 0);

	(void)state;
	check_at(&unwound, 0, SP_RULE(8, .fp = FRAME_LOST));
	check_at(&unwound, 1, SP_RULE(8));
	check_at(&unwound, 2, SP_RULE(8, .fp = FRAME_LOST));
	check_at(&unwound, 3, SP_RULE(8, .fp = FRAME_LOST));
	check_at(&unwound, 4, SP_RULE(8, .fp = FRAME_AT_FP));
	check_at(&unwound, 5, SP_RULE(24, .fp = FRAME_AT_CFA, .fp_offset = -8));
	check_at(&unwound, 6, SP_RULE(24, .fp = FRAME_AT_CFA, .fp_offset = 8));
	check_at(&unwound, 7, SP_RULE(24, .fp = FRAME_LOST));
	assert_int_equal(unwound.counts.expression_register, 3);
	done(&unwound);
}

/* ---- the return address and sp ---- */

static void test_the_bottom_of_the_stack(void **state)
{
	struct unwound unwound = RUN(0x07, 16, 0x41, 0x0e, 99);

	(void)state;
	check_at(&unwound, 0, ONLY(FRAME_BOTTOM));
	check_at(&unwound, 1, ONLY(FRAME_BOTTOM));
	done(&unwound);
}

static void test_a_return_address_elsewhere_is_not_followed(void **state)
{
	/* in rdx with the frame by rdi, as in longjmp(); at CFA-16; by an expression; the value of one */
	struct unwound unwound = RUN(0x0c, 5, 0, 0x09, 16, 1, 0x41, 0x0c, 7, 8, 0x90, 2, 0x41, 0x10,
				     16, 2, 0x77, 8, 0x41, 0x14, 16, 1, 0x41, 0xd0);

	(void)state;
	check_at(&unwound, 0, ONLY(FRAME_EXPRESSION));
	check_at(&unwound, 3, ONLY(FRAME_EXPRESSION));
	check_at(&unwound, 4, SP_RULE(8));
	assert_int_equal(unwound.counts.expression_return_address, 4);
	done(&unwound);
}

static void test_a_return_address_in_a_register(void **state)
{
	/* vfork(): popped into rdi; with rbp saved; with sp somewhere else, which is not followed */
	struct unwound unwound = RUN(0x41, 0x0e, 0, 0x09, 16, 5, 0x41, 0x86, 2, 0x41, 0x09, 7, 8);

	(void)state;
	check_at(&unwound, 0, SP_RULE(8));
	check_at(&unwound, 1, RULE(FRAME_SP_RETURN, .reg = 5));
	check_at(&unwound, 2,
		 RULE(FRAME_SP_RETURN, .reg = 5, .fp = FRAME_AT_CFA, .fp_offset = -16));
	check_at(&unwound, 3, ONLY(FRAME_EXPRESSION));
	assert_int_equal(unwound.counts.expression_return_address, 0);
	assert_int_equal(unwound.counts.expression_register, 1);
	done(&unwound);
}

static void test_a_stack_that_is_switched_is_not_followed(void **state)
{
	/* rsp in r8; saved at CFA-16; the CFA itself, which is what it is anyway */
	struct unwound unwound = RUN(0x09, 7, 8, 0x41, 0x87, 2, 0x41, 0x14, 7, 0, 0x41, 0x14, 7, 1);

	(void)state;
	check_at(&unwound, 0, ONLY(FRAME_EXPRESSION));
	check_at(&unwound, 1, ONLY(FRAME_EXPRESSION));
	check_at(&unwound, 2, SP_RULE(8));
	check_at(&unwound, 3, ONLY(FRAME_EXPRESSION));
	assert_int_equal(unwound.counts.expression_register, 3);
	done(&unwound);
}

/* ---- expressions ---- */

static void test_a_saved_stack_pointer_is_followed(void **state)
{
	/* breg7 40 deref plus_uconst 8; breg6 -40 deref; lit8 breg7 -8 deref plus;
	 * breg7 0 const1u 16 plus deref const2s -8 plus; bregx 6 8 deref lit8 minus */
	struct unwound unwound = RUN(0x0f, 5, 0x77, 40, 0x06, 0x23, 8, 0x41, 0x0f, 3, 0x76, 0x58,
				     0x06, 0x41, 0x0f, 5, 0x38, 0x77, 0x78, 0x06, 0x22, 0x41, 0x0f,
				     10, 0x77, 0, 0x08, 16, 0x22, 0x06, 0x0b, 0xf8, 0xff, 0x22,
				     0x41, 0x0f, 6, 0x92, 6, 8, 0x06, 0x38, 0x1c);

	(void)state;
	check_at(&unwound, 0, RULE(FRAME_SP_DEREF, .cfa_offset = 40, .cfa_add = 8));
	check_at(&unwound, 1, RULE(FRAME_FP_DEREF, .cfa_offset = -40));
	check_at(&unwound, 2, RULE(FRAME_SP_DEREF, .cfa_offset = -8, .cfa_add = 8));
	check_at(&unwound, 3, RULE(FRAME_SP_DEREF, .cfa_offset = 16, .cfa_add = -8));
	check_at(&unwound, 4, RULE(FRAME_FP_DEREF, .cfa_offset = 8, .cfa_add = -8));
	done(&unwound);
}

static void test_an_expression_may_say_what_an_offset_says(void **state)
{
	struct unwound unwound = RUN(0x0f, 4, 0x77, 16, 0x23, 8, 0x41, 0x0f, 2, 0x76, 16);

	(void)state;
	check_at(&unwound, 0, SP_RULE(24));
	check_at(&unwound, 1, RULE(FRAME_FP, .cfa_offset = 16));
	done(&unwound);
}

static void test_stubs_of_the_plt(void **state)
{
	struct unwound unwound = RUN(0x0e, 16, 0x46, 0x0e, 24, 0x4a, 0x0f, 11, 0x77, 8, 0x80, 0,
				     0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22, 0x50, 0x0f, 11, 0x77,
				     8, 0x80, 0, 0x3f, 0x1a, 0x3a, 0x2a, 0x33, 0x24, 0x22);

	(void)state;
	check_at(&unwound, 0, SP_RULE(16));
	check_at(&unwound, 6, SP_RULE(24));
	check_at(&unwound, 16, RULE(FRAME_PLT, .cfa_offset = 11));
	check_at(&unwound, 32, RULE(FRAME_PLT, .cfa_offset = 10));
	done(&unwound);
}

static void test_other_expressions_are_counted(void **state)
{
	static const uint8_t expressions[][8] = {
		{ 7, 0x77, 8, 0x79, 0, 0x38, 0x1e, 0x22 }, /* rsp + 8 + r9 * 8 */
		{ 4, 0x77, 8, 0x06, 0x06 },		   /* *(*(rsp + 8)) */
		{ 3, 0x73, 0, 0x06 },			   /* *rbx */
		{ 1, 0x38 },				   /* 8 */
		{ 2, 0x06, 0x06 },			   /* nothing to dereference */
		{ 1, 0x22 },				   /* nothing to add */
		{ 0 },
		{ 1, 0x77 },		       /* cut short */
		{ 2, 0x0c, 1 },		       /* cut short */
		{ 5, 0x77, 8, 0x76, 8, 0x1c }, /* rsp - rbp */
		{ 4, 0x77, 8, 0x76, 8 },       /* rbp + 8: the last counts, not the first */
		{ 7, 0x30, 0x2f, 0xfd, 0xff, 0x77, 8 }, /* a jump back */
	};
	struct cfi_image *image;
	struct unwound unwound;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(expressions) / sizeof(expressions[0]); i++) {
		image = cfi_new(EHFRAME_EH);
		cfi_cie(image, PCREL_SDATA4);
		cfi_fde(image, CFI_CODE, CFI_CODE + FUNCTION_BYTES);
		CFI(image, 0x0f);
		cfi_bytes(image, expressions[i], 1u + expressions[i][0]);
		CFI(image, 0, 0, 0);
		cfi_end(image);
		unwound = unwind(image, false);
		if (i == 10)
			check_at(&unwound, 0, RULE(FRAME_FP, .cfa_offset = 8));
		else
			check_at(&unwound, 0, ONLY(FRAME_EXPRESSION));
		assert_int_equal(unwound.counts.expression_cfa, i != 10);
		done(&unwound);
	}
}

/* ---- signals ---- */

static void add_signal_register(struct cfi_image *image, uint8_t reg, int64_t offset)
{
	CFI(image, 0x10, reg, 3, 0x77);
	cfi_number(image, (uint64_t)(offset & 0x7f) | 0x80, 1);
	cfi_number(image, (uint64_t)offset >> 7 & 0x7f, 1);
}

/* As glibc has it, with registers at the given places. */
static struct unwound signal_frame(int64_t fp, int64_t sp, int64_t ip)
{
	struct cfi_image *image = cfi_new(EHFRAME_EH);

	cfi_cie_header(image, 1, "zRS");
	CFI(image, 1, PCREL_SDATA4);
	image->encoding = PCREL_SDATA4;
	cfi_end(image);
	cfi_fde(image, CFI_CODE, CFI_CODE + FUNCTION_BYTES);
	CFI(image, 0x0f, 4, 0x77);
	cfi_number(image, (uint64_t)(sp & 0x7f) | 0x80, 1);
	cfi_number(image, (uint64_t)sp >> 7, 1);
	CFI(image, 0x06);
	add_signal_register(image, 8, 40);
	add_signal_register(image, 6, fp);
	add_signal_register(image, 7, sp);
	add_signal_register(image, 16, ip);
	cfi_end(image);
	return unwind(image, false);
}

static void test_the_frame_of_a_signal(void **state)
{
	struct unwound unwound = signal_frame(120, 160, 168);

	(void)state;
	check_at(&unwound, 0, (struct frame_rule){ .cfa = FRAME_SIGNAL, .cfa_offset = 40 });
	assert_int_equal(unwound.counts.expression_return_address, 0);
	done(&unwound);
	unwound = signal_frame(128, 160, 168);
	check_at(&unwound, 0, ONLY(FRAME_EXPRESSION));
	done(&unwound);
	unwound = signal_frame(120, 168, 168);
	check_at(&unwound, 0, ONLY(FRAME_EXPRESSION));
	done(&unwound);
}

/* ---- contradictions ---- */

static void test_states_are_restored_in_order(void **state)
{
	struct unwound unwound = RUN(0x0e, 16, 0x0a, 0x0e, 24, 0x0a, 0x0e, 32, 0x41, 0x0b, 0x41,
				     0x0b, 0x41, 0x0e, 40, 0x41, 0x0b);

	(void)state;
	check_at(&unwound, 0, SP_RULE(32));
	check_at(&unwound, 1, SP_RULE(24));
	check_at(&unwound, 2, SP_RULE(16));
	check_at(&unwound, 3, SP_RULE(40));
	check_at(&unwound, 4, ONLY(FRAME_CORRUPT)); /* nothing is remembered any more */
	check_at(&unwound, FUNCTION_BYTES - 1, ONLY(FRAME_CORRUPT));
	assert_int_equal(unwound.counts.corrupt, 1);
	done(&unwound);
}

static void test_what_contradicts_itself_is_corrupt_from_there_on(void **state)
{
	static const struct {
		uint8_t size, bytes[8];
	} cases[] = {
		{ 1, { 0x16 } },			    /* cut short */
		{ 1, { 0x3b } },			    /* none that there is */
		{ 1, { 0x2d } },			    /* GNU_window_save is of SPARC */
		{ 7, { 0x0f, 3, 0x77, 0, 0x06, 0x0e, 8 } }, /* an offset of what is no offset */
		{ 7, { 0x0f, 3, 0x77, 0, 0x06, 0x0d, 6 } }, /* a register of it */
		{ 2, { 0x0f, 0x7f } },			    /* an expression beyond the end */
		{ 3, { 0x10, 6, 0x7f } },
	};
	struct cfi_image *image;
	struct unwound unwound;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		image = cfi_new(EHFRAME_EH);
		cfi_cie(image, PCREL_SDATA4);
		cfi_fde(image, CFI_CODE, CFI_CODE + FUNCTION_BYTES);
		CFI(image, 0x44, 0x0e, 16, 0x44);
		cfi_bytes(image, cases[i].bytes, cases[i].size);
		cfi_end(image);
		unwound = unwind(image, false);
		check_at(&unwound, 0, SP_RULE(8));
		check_at(&unwound, 7, SP_RULE(16));
		check_at(&unwound, 8, ONLY(FRAME_CORRUPT));
		check_at(&unwound, FUNCTION_BYTES - 1, ONLY(FRAME_CORRUPT));
		assert_int_equal(unwound.counts.corrupt, 1);
		done(&unwound);
	}
}

static void test_a_frame_that_is_never_defined_is_corrupt(void **state)
{
	struct cfi_image *image = cfi_new(EHFRAME_DEBUG);
	struct unwound unwound;

	(void)state;
	cfi_cie_header(image, 3, "");
	CFI(image, 0x90, 1);
	cfi_end(image);
	cfi_fde(image, CFI_CODE, CFI_CODE + FUNCTION_BYTES);
	CFI(image, 0x44, 0x0c, 7, 8);
	cfi_end(image);
	unwound = unwind(image, false);
	check_at(&unwound, 0, ONLY(FRAME_CORRUPT));
	check_at(&unwound, 4, SP_RULE(8));
	assert_int_equal(unwound.counts.corrupt, 1);
	done(&unwound);
}

static void test_factors_that_overflow_are_corrupt(void **state)
{
	/* offset_extended_sf rbp INT64_MIN, which -8 times is no number of 64 bits */
	struct unwound unwound =
		RUN(0x41, 0x11, 6, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f);

	(void)state;
	check_at(&unwound, 0, SP_RULE(8));
	check_at(&unwound, 1, ONLY(FRAME_CORRUPT));
	done(&unwound);
}

static void test_the_size_of_arguments_is_skipped(void **state)
{
	struct unwound unwound = RUN(0x41, 0x2e, 0x90, 1, 0x0e, 16, 0x00, 0x00);

	(void)state;
	check_at(&unwound, 1, SP_RULE(16));
	assert_int_equal(unwound.counts.corrupt, 0);
	done(&unwound);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_prologue_and_an_epilogue),
		cmocka_unit_test(test_each_way_to_advance),
		cmocka_unit_test(test_locations_are_set_forwards_only),
		cmocka_unit_test(test_signed_and_factored_forms),
		cmocka_unit_test(test_other_registers_are_named),
		cmocka_unit_test(test_rbx_is_tracked_when_asked_for),
		cmocka_unit_test(test_offsets_that_do_not_fit_are_not_followed),
		cmocka_unit_test(test_each_place_of_rbp),
		cmocka_unit_test(test_the_bottom_of_the_stack),
		cmocka_unit_test(test_a_return_address_elsewhere_is_not_followed),
		cmocka_unit_test(test_a_return_address_in_a_register),
		cmocka_unit_test(test_a_stack_that_is_switched_is_not_followed),
		cmocka_unit_test(test_a_saved_stack_pointer_is_followed),
		cmocka_unit_test(test_an_expression_may_say_what_an_offset_says),
		cmocka_unit_test(test_stubs_of_the_plt),
		cmocka_unit_test(test_other_expressions_are_counted),
		cmocka_unit_test(test_the_frame_of_a_signal),
		cmocka_unit_test(test_states_are_restored_in_order),
		cmocka_unit_test(test_what_contradicts_itself_is_corrupt_from_there_on),
		cmocka_unit_test(test_a_frame_that_is_never_defined_is_corrupt),
		cmocka_unit_test(test_factors_that_overflow_are_corrupt),
		cmocka_unit_test(test_the_size_of_arguments_is_skipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
