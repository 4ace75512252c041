/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stepped: a short run through the shapes that frames have, for tests/unit/test_unwind_step.c,
 * which stops it at each instruction and sends it SIGUSR1 at any of them.
 */
#include <alloca.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../names/marks.h"

#define NUMBERS 24

static volatile uint64_t sink;
static char handler_stack[64 << 10];
static volatile sig_atomic_t handled;

/* ---- shapes of frames ---- */

static NEVER_INLINE uint64_t leaf(uint64_t value)
{
	return value * 31 + 7;
}

static NEVER_INLINE uint64_t leaf_with_red_zone(uint64_t value)
{
	volatile uint64_t room[8];
	int i;

	for (i = 0; i < 8; i++)
		room[i] = value + (uint64_t)i;
	return room[value & 7];
}

static NEVER_INLINE uint64_t all_registers(uint64_t value)
{
	uint64_t a = leaf(value), b = leaf(a), c = leaf(b), d = leaf(c), e = leaf(d), f = leaf(e);

	sink += leaf(a ^ b) + leaf(c ^ d) + leaf(e ^ f);
	return a + b + c + d + e + f + leaf_with_red_zone(value);
}

static NEVER_INLINE uint64_t tail_called(uint64_t value)
{
	return all_registers(value) + 1;
}

static NEVER_INLINE uint64_t calls_at_its_end(uint64_t value)
{
	sink += leaf(value);
	return tail_called(value + 1);
}

static NEVER_INLINE uint64_t large_frame(uint64_t value)
{
	volatile char room[9000];

	room[value % sizeof(room)] = 1;
	sink += leaf(value);
	return (uint64_t)room[value % sizeof(room)] + leaf(value + 1);
}

static NEVER_INLINE uint64_t with_alloca(size_t size)
{
	char *room = alloca(size + 1);

	memset(room, (int)size, size + 1);
	sink += leaf((uint64_t)room[0]);
	return (uint64_t)room[size] + leaf_with_red_zone(size);
}

static NEVER_INLINE uint64_t with_vla(int size)
{
	volatile uint64_t room[size];
	int i;

	for (i = 0; i < size; i++)
		room[i] = leaf((uint64_t)i);
	return room[size - 1] + with_alloca((size_t)size);
}

static NEVER_INLINE uint64_t aligned(uint64_t value)
{
	_Alignas(64) volatile uint64_t room[8];

	room[value & 7] = value;
	sink += leaf(value) + with_vla((int)(value & 3) + 1);
	return room[value & 7];
}

/* The seventh argument lies on the stack, where the realigned frame must find it. */
static NEVER_INLINE uint64_t aligned_with_vla(int a, int b, int c, int d, int e, int f, int g)
{
	_Alignas(32) volatile int vector[8] = { a };
	volatile char room[a + 8];

	room[0] = (char)(b + c + d + e + f + g);
	sink += aligned((uint64_t)room[0]) + leaf_with_red_zone((uint64_t)vector[0]);
	return (uint64_t)room[0] + (uint64_t)vector[a & 7];
}

static NEVER_INLINE uint64_t switches(unsigned int which)
{
	switch (which) {
	case 0:
		return leaf(1);
	case 1:
		return all_registers(2) + leaf(5);
	case 2:
		return calls_at_its_end(3);
	case 3:
		return large_frame(4);
	case 4:
		return aligned(5);
	case 5:
		return (uint64_t)aligned_with_vla(1, 2, 3, 4, 5, 6, 7);
	default:
		return tail_called(which);
	}
}

static NEVER_INLINE uint64_t early_return(const char *text)
{
	char copy[64];

	if (!text)
		return 0; /* before the frame is made, where the compiler shrinks its prologue */
	snprintf(copy, sizeof(copy), "%s %d", text, (int)sink);
	return strlen(copy);
}

static NEVER_INLINE uint64_t recursion(int depth)
{
	volatile uint64_t here = (uint64_t)depth;

	if (depth > 0)
		here += recursion(depth - 1);
	return here + leaf(here);
}

/* ---- libc, by lazily bound calls ---- */

static int compare(const void *left, const void *right)
{
	int a = *(const int *)left, b = *(const int *)right;

	sink += leaf((uint64_t)a);
	return (a > b) - (a < b);
}

static NEVER_INLINE void call_libc(void)
{
	int numbers[NUMBERS], i, wanted = 7;
	char text[64];
	void *block;

	for (i = 0; i < NUMBERS; i++)
		numbers[i] = (i * 7919) % 101;
	qsort(numbers, NUMBERS, sizeof(numbers[0]), compare);
	sink += !!bsearch(&wanted, numbers, NUMBERS, sizeof(numbers[0]), compare);
	block = malloc(3000);
	block = realloc(block, 9000);
	free(block);
	sink += (uint64_t)snprintf(text, sizeof(text), "%5d %s %.3f", numbers[0], "text", 2.5);
	sink += strtoul("123456", NULL, 10) + (uint64_t)atoi("77");
	sink += (uint64_t)getppid();
}

static NEVER_INLINE void ask_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	clock_gettime(CLOCK_REALTIME, &now);
	sink += (uint64_t)now.tv_nsec + (uint64_t)time(NULL);
}

/* ---- jumps and signals ---- */

static jmp_buf place;

static NEVER_INLINE void jumps(int depth)
{
	if (depth > 0)
		jumps(depth - 1);
	sink += leaf((uint64_t)depth);
	if (depth == 0)
		longjmp(place, 1);
}

static NEVER_INLINE void set_and_jump(void)
{
	if (!setjmp(place))
		jumps(4);
	sink++;
}

static void on_signal(int number)
{
	sink += leaf_with_red_zone((uint64_t)number) + calls_at_its_end((uint64_t)number);
	handled++;
}

static void on_signal_elsewhere(int number, siginfo_t *info, void *context)
{
	(void)info, (void)context;
	sink += aligned((uint64_t)number);
	handled++;
}

static NEVER_INLINE void take_signals(void)
{
	const stack_t alternate = { .ss_sp = handler_stack, .ss_size = sizeof(handler_stack) };
	struct sigaction plain = { .sa_handler = on_signal };
	struct sigaction elsewhere = { .sa_sigaction = on_signal_elsewhere,
				       .sa_flags = SA_SIGINFO | SA_ONSTACK };

	sigaltstack(&alternate, NULL);
	sigaction(SIGUSR1, &plain, NULL);
	sigaction(SIGUSR2, &elsewhere, NULL);
	raise(SIGUSR1);
	raise(SIGUSR2);
}

int main(void)
{
	unsigned int i;

	take_signals();
	for (i = 0; i < 8; i++)
		sink += switches(i);
	sink += early_return(NULL) + early_return("text") + recursion(12);
	ask_time();
	set_and_jump();
	call_libc();
	return handled < 2;
}
