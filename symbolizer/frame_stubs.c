/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stubs of the procedure linkage table of which nothing tells: GNU ld describes its own in
 * .eh_frame, lld (the linker of Rust) and mold do not.
 *
 * They are decoded, 16 bytes each: what moves sp in them is a push or two.  A guess by the linker's
 * name would not do, as each has several forms (with and without endbr64, for full relocation at
 * start), and a wrong one would be a wrong caller.
 *
 *	lld:  jmp *slot; push index; jmp header		header: push GOT; jmp *GOT
 *	      (endbr64; push index; jmp header; and the jmp *slot in another section)
 *	mold: endbr64; mov index, %r11d; jmp *slot	header: endbr64; push %r11; push GOT; jmp *GOT
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/elf.h"
#include "symbolizer/frame_source_private.h"
#include "symbolizer/frame_table.h"
#include "symbolizer/section.h"

#define STUB_BYTES 16
#define STUBS_BYTES_MAX (1u << 20) /* of a section; the rest is left out */
#define PUSHES_MAX 2

static const char *const section_names[FRAME_STUBS_SECTIONS] = { ".plt", ".plt.sec", ".plt.got",
								 ".iplt" };

/* What a stub does to sp. */
struct stub {
	bool is_header;	   /* called with the index on the stack, unless it pushes it */
	bool pushes_index; /* the header of mold's */
	size_t push_cnt;
	uint8_t pushed[PUSHES_MAX]; /* offsets behind the pushes */
};

struct instruction {
	uint8_t bytes[4];
	uint8_t len, all; /* of the bytes that are compared; of the instruction */
	bool is_push;
};

static const struct instruction instructions[] = {
	{ { 0xf3, 0x0f, 0x1e, 0xfa }, 4, 4, false }, /* endbr64 */
	{ { 0x68 }, 1, 5, true },		     /* push imm32 */
	{ { 0xff, 0x35 }, 2, 6, true },		     /* push disp32(%rip) */
	{ { 0x41, 0x53 }, 2, 2, true },		     /* push %r11 */
	{ { 0x41, 0xbb }, 2, 6, false },	     /* mov imm32, %r11d */
	{ { 0xff, 0x25 }, 2, 6, false },	     /* jmp *disp32(%rip) */
	{ { 0xf2, 0xff, 0x25 }, 3, 7, false },	     /* bnd jmp *disp32(%rip) */
};

static const struct instruction *instruction_at(const uint8_t *code, size_t len)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(instructions); i++) {
		if (instructions[i].all <= len &&
		    memcmp(code, instructions[i].bytes, instructions[i].len) == 0)
			return &instructions[i];
	}
	return NULL;
}

/* Up to what is none of the instructions: the jump to the header, padding. */
static struct stub decode(const uint8_t *code)
{
	const struct instruction *instruction;
	struct stub stub = {};
	size_t at = 0;

	while (stub.push_cnt < PUSHES_MAX &&
	       (instruction = instruction_at(code + at, STUB_BYTES - at))) {
		at += instruction->all;
		if (!instruction->is_push)
			continue;
		stub.pushed[stub.push_cnt++] = (uint8_t)at;
		if (instruction->bytes[0] == 0xff)
			stub.is_header = true;
		else if (instruction->bytes[0] == 0x41)
			stub.pushes_index = true;
	}
	return stub;
}

static int emit_stub(const uint8_t *code, uint64_t address, struct frame_builder *builder)
{
	struct stub stub = decode(code);
	struct frame_rule rule = { .cfa = FRAME_SP, .bx = FRAME_LOST };
	size_t i;
	int ret;

	if (stub.push_cnt == 1 && !stub.is_header && address % STUB_BYTES == 0) {
		rule.cfa = FRAME_PLT; /* one row for all of them */
		rule.cfa_offset = stub.pushed[0];
		return frame_builder_row(builder, address, &rule);
	}
	rule.cfa_offset = stub.is_header && !stub.pushes_index ? 16 : 8;
	ret = frame_builder_row(builder, address, &rule);
	for (i = 0; i < stub.push_cnt && !ret; i++) {
		rule.cfa_offset += 8;
		ret = frame_builder_row(builder, address + stub.pushed[i], &rule);
	}
	return ret;
}

/* ---- sections ---- */

static bool is_executable(struct elf_file *elf, const struct section *section)
{
	const struct elf_segment *segments;
	size_t i, cnt = elf_file_segments(elf, &segments);

	for (i = 0; i < cnt; i++) {
		uint64_t distance = section->address - segments[i].vaddr;

		if (segments[i].executable && section->address >= segments[i].vaddr &&
		    distance < segments[i].memsz && section->size <= segments[i].memsz - distance)
			return true;
	}
	return false;
}

static int by_address(const void *left, const void *right)
{
	uint64_t a = ((const struct section *)left)->address;
	uint64_t b = ((const struct section *)right)->address;

	return (a > b) - (a < b);
}

int frame_stubs_open(struct elf_file *elf, struct frame_stubs *ret)
{
	struct frame_stubs stubs = {};
	size_t i;
	int code;

	for (i = 0; i < FRAME_STUBS_SECTIONS; i++) {
		struct section *section = &stubs.sections[stubs.cnt];

		code = section_open(elf, section_names[i], section);
		if (code == -ENOMEM || code == -EIO)
			return code;
		if (!code && section->packing == SECTION_PLAIN && section->size >= STUB_BYTES &&
		    is_executable(elf, section))
			stubs.cnt++;
		else
			section_close(section);
	}
	qsort(stubs.sections, stubs.cnt, sizeof(stubs.sections[0]), by_address);
	*ret = stubs;
	return 0;
}

void frame_stubs_range(const struct frame_stubs *stubs, size_t index, uint64_t *ret_start,
		       uint64_t *ret_end)
{
	const struct section *section = &stubs->sections[index];

	*ret_start = section->address;
	*ret_end = section->address + MIN(section->size, STUBS_BYTES_MAX) / STUB_BYTES * STUB_BYTES;
}

int frame_stubs_emit(struct frame_stubs *stubs, size_t index, struct frame_builder *builder)
{
	struct section_view view;
	uint64_t start, end;
	size_t at;
	int ret;

	frame_stubs_range(stubs, index, &start, &end);
	ret = section_read(&stubs->sections[index], 0, end - start, &view);
	if (ret == -ENOEXEC) /* it became shorter meanwhile */
		return 0;
	if (ret)
		return ret;
	ret = frame_builder_begin(builder, start, end);
	for (at = 0; at < end - start && !ret; at += STUB_BYTES)
		ret = emit_stub(view.bytes + at, start + at, builder);
	section_view_close(&view);
	return ret;
}
