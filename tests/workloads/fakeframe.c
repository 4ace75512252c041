/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fakeframe SECONDS: spins in fake_spin with a frame pointer register that points at data which
 * looks like a frame: its "return address" is in never_called, where no call leads to.  So does
 * code that is built without frame pointers. x86-64 only; elsewhere it exits 77.
 */
#include "spin.h"

#if defined(__x86_64__)

static __attribute__((used, noinline)) void never_called(void)
{
	__asm__ volatile("xor %%eax, %%eax\n\t.globl never_called_inside\nnever_called_inside: nop"
			 ::: "eax");
}

extern char never_called_inside[];

static void fake_spin(uint64_t ns)
{
	static uintptr_t record[4];
	uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + ns;

	record[0] = (uintptr_t)&record[2];
	record[1] = (uintptr_t)never_called_inside;
	record[2] = (uintptr_t)&record[0];
	record[3] = (uintptr_t)never_called_inside;
	while (clock_ns(CLOCK_MONOTONIC) < end_ns)
		__asm__ volatile("push %%rbp\n\tmov %0, %%rbp\n\tmov $20000000, %%ecx\n"
				 "1:\tdec %%ecx\n\tjnz 1b\n\tpop %%rbp"
				 ::"r"(record) : "ecx", "memory", "cc");
}

int main(int argc, char **argv)
{
	fake_spin(argument_ns(argc, argv, 1, 5));
	return 0;
}

#else

int main(void)
{
	return 77;
}

#endif
