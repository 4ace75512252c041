/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A made process for walks (profiler/collect/unwind_offline.h): one array of memory that is its
 * stack, one of code, and a rule for each function.  Include it behind cmocka.h.
 */
#ifndef EBPFPROF_TESTS_MADE_PROCESS_H
#define EBPFPROF_TESTS_MADE_PROCESS_H

#include <errno.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/collect/unwind_offline.h"

#define CODE 0x400000ull
#define CODE_BYTES 0x4000
#define FUNCTION_BYTES 0x100
#define FUNCTIONS (CODE_BYTES / FUNCTION_BYTES)
#define STACK 0x7ffff0000000ull
#define STACK_WORDS 4096
#define STACK_END (STACK + STACK_WORDS * 8)

struct made {
	uint8_t code[CODE_BYTES];
	uint64_t stack[STACK_WORDS];
	struct unwind_rule rules[FUNCTIONS];
	int answers[FUNCTIONS]; /* instead of a rule: -EAGAIN, -ENOENT */
	struct unwind_start start;
	struct stack_body body;
	uint64_t unreadable; /* this word of the stack; 0 = none */
};

static inline bool read_made(void *context, uint64_t address, void *bytes, size_t size)
{
	struct made *made = context;

	if (address >= CODE && address + size <= CODE + CODE_BYTES) {
		memcpy(bytes, made->code + (address - CODE), size);
		return true;
	}
	if (address < STACK || address + size > STACK_END)
		return false;
	if (made->unreadable >= address && made->unreadable < address + size)
		return false;
	memcpy(bytes, (const char *)made->stack + (address - STACK), size);
	return true;
}

static inline int rule_made(void *context, uint64_t pc, struct unwind_rule *ret)
{
	struct made *made = context;
	uint64_t index = (pc - CODE) / FUNCTION_BYTES;

	if (pc < CODE || index >= FUNCTIONS)
		return -ENOENT;
	*ret = made->rules[index];
	return made->answers[index];
}

/* An address in function @index behind a call: `call rel32` stands before each multiple of 16. */
static inline uint64_t behind_call(unsigned int index)
{
	return CODE + index * FUNCTION_BYTES + 0x40;
}

static inline uint64_t function(unsigned int index)
{
	return CODE + index * FUNCTION_BYTES + 0x20;
}

static inline void make(struct made *made)
{
	unsigned int i;

	*made = (struct made){};
	memset(made->code, 0xcc, sizeof(made->code));
	for (i = 0; i < FUNCTIONS; i++)
		made->code[i * FUNCTION_BYTES + 0x40 - 5] = 0xe8;
	made->start.regs[UNWIND_REG_SP] = STACK;
	made->start.regs[UNWIND_REG_IP] = function(0);
}

static inline void put(struct made *made, uint64_t address, uint64_t word)
{
	assert_in_range(address, STACK, STACK_END - 8);
	made->stack[(address - STACK) / 8] = word;
}

static inline struct unwind_rule sp_rule(int32_t offset)
{
	return (struct unwind_rule){ .cfa = UNWIND_SP, .cfa_offset = offset, .bx = UNWIND_LOST };
}

static inline void walk_as(struct made *made, enum unwind_mode mode)
{
	const struct unwind_target target = { made, read_made, rule_made };

	unwind_offline(&target, &made->start, mode, &made->body);
}

static inline void walk(struct made *made)
{
	walk_as(made, UNWIND_AUTO);
}

static inline void expect(const struct made *made, enum stack_end end, unsigned int cnt, ...)
{
	va_list frames;
	unsigned int i;

	va_start(frames, cnt);
	assert_int_equal(made->body.end, end);
	assert_int_equal(made->body.frame_cnt, cnt);
	for (i = 0; i < cnt; i++)
		assert_int_equal(made->body.frames[i], va_arg(frames, uint64_t));
	va_end(frames);
}

/* Function 0 called by 1, called by 2, which is the bottom. */
static inline void make_chain(struct made *made)
{
	make(made);
	made->rules[0] = sp_rule(24);
	made->rules[1] = sp_rule(16);
	made->rules[2] = (struct unwind_rule){ .cfa = UNWIND_BOTTOM };
	put(made, STACK + 16, behind_call(1));
	put(made, STACK + 32, behind_call(2));
}

#endif
