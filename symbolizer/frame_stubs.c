/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stubs of the procedure linkage table of which nothing tells: GNU ld describes its own in
 * .eh_frame, lld (the linker of Rust) and mold do not.
 *
 * They are decoded, 16 bytes each (mold's header has 32): what moves sp in them is a push or two.
 * Going by the linker's name was the alternative; but each has several forms (with and without
 * endbr64, for relocation at start), and a wrong guess is a wrong caller.
 *
 *	lld:  jmp *slot; push index; jmp header		header: push GOT; jmp *GOT
 *	      (endbr64; push index; jmp header; and the jmp *slot in another section)
 *	mold: endbr64; mov index, %r11d; jmp *slot	header: endbr64; push %r11; push GOT; jmp *GOT
 *
 * A section in which anything else stands (lld's retpolines) keeps being untold.
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
#define HEADER_BYTES_MAX 32
#define PUSHES_MAX 2

static const char *const section_names[FRAME_STUBS_SECTIONS] = { ".plt", ".plt.sec", ".plt.got",
								 ".iplt" };

/* What a stub does to sp. */
struct stub {
	size_t size;	   /* 0: of a kind that is not known */
	bool is_header;	   /* called with the index on the stack, unless it pushes it */
	bool pushes_index; /* the header of mold's */
	size_t push_cnt;
	uint8_t pushed[PUSHES_MAX]; /* offsets behind the pushes */
};

enum effect {
	EFFECT_NONE,
	EFFECT_PUSH_INDEX,    /* of a stub */
	EFFECT_PUSH_REGISTER, /* the index, by the header */
	EFFECT_PUSH_TABLE,    /* by the header */
	EFFECT_JUMP_SLOT,     /* and, until it is resolved, back behind the jump */
	EFFECT_JUMP,
};

struct instruction {
	uint8_t bytes[4];
	uint8_t compared, size;
	enum effect effect;
};

static const struct instruction instructions[] = {
	{ { 0xf3, 0x0f, 0x1e, 0xfa }, 4, 4, EFFECT_NONE }, /* endbr64 */
	{ { 0x41, 0xbb }, 2, 6, EFFECT_NONE },		   /* mov imm32, %r11d */
	{ { 0x68 }, 1, 5, EFFECT_PUSH_INDEX },		   /* push imm32 */
	{ { 0x41, 0x53 }, 2, 2, EFFECT_PUSH_REGISTER },	   /* push %r11 */
	{ { 0xff, 0x35 }, 2, 6, EFFECT_PUSH_TABLE },	   /* push disp32(%rip) */
	{ { 0xff, 0x25 }, 2, 6, EFFECT_JUMP_SLOT },	   /* jmp *disp32(%rip) */
	{ { 0xf2, 0xff, 0x25 }, 3, 7, EFFECT_JUMP_SLOT },  /* bnd jmp *disp32(%rip) */
	{ { 0xe9 }, 1, 5, EFFECT_JUMP },		   /* jmp rel32 */
	{ { 0xf2, 0xe9 }, 2, 6, EFFECT_JUMP },		   /* bnd jmp rel32 */
};

static const struct instruction *instruction_at(const uint8_t *code, size_t len)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(instructions); i++) {
		if (instructions[i].size <= len &&
		    memcmp(code, instructions[i].bytes, instructions[i].compared) == 0)
			return &instructions[i];
	}
	return NULL;
}

static bool is_end(const uint8_t *code, size_t at, enum effect effect)
{
	if (effect == EFFECT_JUMP_SLOT) /* lld's goes on with the push; others are at their end */
		return at % STUB_BYTES == 0 || code[at] != 0x68;
	return effect == EFFECT_JUMP;
}

/* @len: a multiple of STUB_BYTES, not 0 */
static struct stub decode(const uint8_t *code, size_t len)
{
	const struct instruction *instruction;
	struct stub stub = {};
	size_t at = 0;

	len = MIN(len, (size_t)HEADER_BYTES_MAX);
	while ((instruction = instruction_at(code + at, len - at))) {
		enum effect effect = instruction->effect;

		at += instruction->size;
		if (is_end(code, at, effect)) {
			stub.size = (at + STUB_BYTES - 1) / STUB_BYTES * STUB_BYTES;
			return stub;
		}
		if (effect < EFFECT_PUSH_INDEX || effect > EFFECT_PUSH_TABLE)
			continue;
		if (stub.push_cnt == PUSHES_MAX)
			return stub;
		stub.pushed[stub.push_cnt++] = (uint8_t)at;
		stub.is_header |= effect == EFFECT_PUSH_TABLE;
		stub.pushes_index |= effect == EFFECT_PUSH_REGISTER;
	}
	return stub; /* of another kind: it may do anything to sp */
}

static int emit_stub(const struct stub *stub, uint64_t address, struct frame_builder *builder)
{
	struct frame_rule rule = { .cfa = FRAME_SP, .bx = FRAME_LOST };
	size_t i;
	int ret;

	if (stub->push_cnt == 1 && !stub->is_header && address % STUB_BYTES == 0) {
		rule.cfa = FRAME_PLT; /* one row for all of them */
		rule.cfa_offset = stub->pushed[0];
		return frame_builder_row(builder, address, &rule);
	}
	rule.cfa_offset = stub->is_header && !stub->pushes_index ? 16 : 8;
	ret = frame_builder_row(builder, address, &rule);
	for (i = 0; i < stub->push_cnt && !ret; i++) {
		rule.cfa_offset += 8;
		ret = frame_builder_row(builder, address + stub->pushed[i], &rule);
	}
	return ret;
}

static bool is_padding(const uint8_t *code)
{
	size_t i;

	for (i = 1; i < STUB_BYTES && code[i] == code[0]; i++)
		;
	return i == STUB_BYTES;
}

/* One that is not known makes all of them suspect: stubs may be longer than ours. */
static bool are_known(const uint8_t *code, size_t size)
{
	struct stub stub;
	size_t at;

	for (at = 0; at < size; at += stub.size) {
		stub = decode(code + at, size - at);
		if (!stub.size && !is_padding(code + at))
			return false;
		stub.size = MAX(stub.size, (size_t)STUB_BYTES);
	}
	return true;
}

static int emit_stubs(const uint8_t *code, size_t size, uint64_t address,
		      struct frame_builder *builder)
{
	struct stub stub;
	size_t at;
	int ret;

	ret = frame_builder_begin(builder, address, address + size);
	for (at = 0; at < size && !ret; at += MAX(stub.size, (size_t)STUB_BYTES)) {
		stub = decode(code + at, size - at);
		ret = emit_stub(&stub, address + at, builder);
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
	int ret;

	frame_stubs_range(stubs, index, &start, &end);
	ret = section_read(&stubs->sections[index], 0, end - start, &view);
	if (ret == -ENOEXEC) /* it became shorter meanwhile */
		return 0;
	if (ret)
		return ret;
	if (are_known(view.bytes, view.size))
		ret = emit_stubs(view.bytes, view.size, start, builder);
	section_view_close(&view);
	return ret;
}
