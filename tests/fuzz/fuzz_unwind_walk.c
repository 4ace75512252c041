/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A process that lies: its registers, memory and code are the input's, and so are the rules, whose
 * bytes are taken as they are.  A walk reads nothing but what it is given, takes a bounded number of
 * steps, and ends with a reason; the same walk again has the same frames.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/collect/unwind_offline.h"

#define CODE 0x400000ull
#define CODE_BYTES 1024
#define STACK 0x7ffff0000000ull
#define STACK_BYTES 8192
#define RULES 16 /* of 64 bytes of code each */
#define READS_OF_FRAME 16

struct liar {
	struct unwind_rule rules[RULES];
	int8_t answers[RULES];
	struct unwind_start start;
	uint8_t mode;
	uint8_t far; /* what memory elsewhere is made of; 0 = there is none */
	uint8_t code[CODE_BYTES];
	uint8_t stack[STACK_BYTES];
	uint64_t reads, questions;
};

static bool within(const uint8_t *there, uint64_t start, uint64_t bytes, uint64_t address, void *to,
		   size_t size)
{
	if (address - start > bytes || size > bytes - (address - start))
		return false;
	memcpy(to, there + (address - start), size);
	return true;
}

static bool read_liar(void *context, uint64_t address, void *bytes, size_t size)
{
	struct liar *liar = context;
	size_t i;

	if (size > 64)
		abort();
	liar->reads++;
	if (within(liar->code, CODE, CODE_BYTES, address, bytes, size) ||
	    within(liar->stack, STACK, STACK_BYTES, address, bytes, size))
		return true;
	/* Elsewhere: pointers to near themselves, so that walks go on. */
	for (i = 0; liar->far && i < size; i++)
		((uint8_t *)bytes)[i] = (uint8_t)((address + liar->far) >> 8 * (i % 8));
	return liar->far != 0;
}

static int rule_liar(void *context, uint64_t pc, struct unwind_rule *ret)
{
	static const int answers[] = { -EAGAIN, -ENOENT, -ENOSPC, -EIO };
	struct liar *liar = context;
	uint64_t index = (pc - CODE) / (CODE_BYTES / RULES);

	liar->questions++;
	if (index >= RULES) {
		if (!liar->far)
			return -ENOENT;
		index = pc % RULES;
	}
	if (liar->answers[index] < 0)
		return answers[-(liar->answers[index] + 1) % 4];
	*ret = liar->rules[index];
	return 0;
}

/* The next @bytes of the input; zeros behind its end. */
static void take(const uint8_t **data, size_t *size, void *to, size_t bytes)
{
	size_t there = MIN(*size, bytes);

	memset(to, 0, bytes);
	if (there)
		memcpy(to, *data, there);
	*data += there;
	*size -= there;
}

static void make(struct liar *liar, const uint8_t *data, size_t size)
{
	uint8_t flags;

	take(&data, &size, &flags, sizeof(flags));
	take(&data, &size, &liar->far, sizeof(liar->far));
	liar->mode = flags % 3;
	take(&data, &size, liar->start.regs, sizeof(liar->start.regs));
	take(&data, &size, &liar->start.start_stack, sizeof(uint64_t));
	take(&data, &size, &liar->start.tls_base, sizeof(uint64_t));
	liar->start.in_syscall = flags & 0x40;
	take(&data, &size, liar->answers, sizeof(liar->answers));
	take(&data, &size, liar->rules, sizeof(liar->rules));
	take(&data, &size, liar->code, sizeof(liar->code));
	take(&data, &size, liar->stack, sizeof(liar->stack));
}

static void walk(struct liar *liar, struct stack_body *body)
{
	const struct unwind_target target = { liar, read_liar, rule_liar };

	memset(body, 0x5a, sizeof(*body));
	liar->reads = liar->questions = 0;
	unwind_offline(&target, &liar->start, (enum unwind_mode)liar->mode, body);
	if (body->frame_cnt < 1 || body->frame_cnt > STACK_FRAMES_MAX ||
	    body->end >= STACK_END_CNT)
		abort();
	if (body->frames[STACK_FRAMES_MAX] != 0x5a5a5a5a5a5a5a5aull)
		abort();
	if (liar->reads > READS_OF_FRAME * (body->frame_cnt + 1ull) ||
	    liar->questions > 4 * (body->frame_cnt + 1ull))
		abort();
	if (body->end == STACK_DEPTH && body->frame_cnt != STACK_FRAMES_MAX)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct liar *liar = calloc(1, sizeof(*liar));
	struct stack_body *bodies = calloc(2, sizeof(*bodies));

	if (!liar || !bodies)
		abort();
	make(liar, data, size);
	walk(liar, &bodies[0]);
	walk(liar, &bodies[1]);
	if (memcmp(&bodies[0], &bodies[1], sizeof(bodies[0])) != 0)
		abort();
	free(liar);
	free(bodies);
	return 0;
}
