/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * jit SECONDS: writes a spinning function into anonymous memory at run time, names it
 * `jit_spin_loop` in /tmp/perf-PID.map as JIT compilers do, and spends its time there.  The map
 * is removed at the end.  x86-64 only; elsewhere it says so and exits 77.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "spin.h"

#if defined(__x86_64__)

#define CODE_BYTES 4096

/* push %rbp; mov %rsp,%rbp; mov $100000,%ecx; 1: dec %ecx; jnz 1b; pop %rbp; ret */
static const unsigned char machine_code[] = { 0x55, 0x48, 0x89, 0xe5, 0xb9, 0xa0, 0x86, 0x01,
					      0x00, 0xff, 0xc9, 0x75, 0xfc, 0x5d, 0xc3 };

static void call_jit(void (*code)(void), uint64_t ns)
{
	uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + ns;

	while (clock_ns(CLOCK_MONOTONIC) < end_ns)
		code();
}

int main(int argc, char **argv)
{
	void (*code)(void);
	char path[64];
	void *memory;
	FILE *map;

	memory = mmap(NULL, CODE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return 1;
	memcpy(memory, machine_code, sizeof(machine_code));
	if (mprotect(memory, CODE_BYTES, PROT_READ | PROT_EXEC) < 0)
		return 1;
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
	map = fopen(path, "w");
	if (!map)
		return 1;
	fprintf(map, "%lx %zx jit_spin_loop\n", (unsigned long)memory, sizeof(machine_code));
	fclose(map);
	*(void **)&code = memory;
	call_jit(code, argument_ns(argc, argv, 1, 5));
	unlink(path);
	return 0;
}

#else

int main(void)
{
	fprintf(stderr, "jit: only for x86-64\n");
	return 77;
}

#endif
