/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * coroutines SECONDS: four coroutines on stacks of their own (from malloc), which hand over to one
 * another by swapcontext from below some frames; their stacks begin in libc's __start_context.
 */
#include <ucontext.h>

#include "../names/marks.h"
#include "../spin.h"

#define COROUTINES 4
#define STACK_BYTES (128 << 10)

static ucontext_t contexts[COROUTINES], main_context;
static uint64_t end_ns;
static volatile uint64_t sink;

static NEVER_INLINE void coroutine_work(int self)
{
	SPIN_BATCH();
	if (clock_ns(CLOCK_MONOTONIC) >= end_ns)
		swapcontext(&contexts[self], &main_context);
	else
		swapcontext(&contexts[self], &contexts[(self + 1) % COROUTINES]);
	sink++;
}

static NEVER_INLINE void descend(int self, int depth)
{
	if (depth > 1)
		descend(self, depth - 1);
	else
		coroutine_work(self);
	sink++;
}

static void coroutine(int self)
{
	int round;

	for (round = 0;; round++)
		descend(self, round % 8 + 1);
}

static void prepare(int self)
{
	void *stack = malloc(STACK_BYTES);

	if (!stack || getcontext(&contexts[self]))
		exit(1);
	contexts[self].uc_stack.ss_sp = stack;
	contexts[self].uc_stack.ss_size = STACK_BYTES;
	contexts[self].uc_link = &main_context;
	makecontext(&contexts[self], (void (*)(void))coroutine, 1, self);
}

int main(int argc, char **argv)
{
	int i;

	end_ns = clock_ns(CLOCK_MONOTONIC) + argument_ns(argc, argv, 1, 5);
	for (i = 0; i < COROUTINES; i++)
		prepare(i);
	swapcontext(&main_context, &contexts[0]);
	return 0;
}
