/* SPDX-License-Identifier: BSD-2-Clause */
/* Sets of CPU numbers as the kernel writes them: "0-3,8". */
#ifndef EBPFPROF_COLLECT_CPUS_H
#define EBPFPROF_COLLECT_CPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CPUS_MAX 4096

struct cpu_set_bits {
	uint64_t bits[CPUS_MAX / 64];
};

/** cpus_parse - "0-3,8\n" to a set; -EINVAL */
int cpus_parse(const char *text, struct cpu_set_bits *ret);

/** cpus_online - CPUs that run now (/sys/devices/system/cpu/online); -errno */
int cpus_online(struct cpu_set_bits *ret);

/** cpus_possible_cnt - highest possible CPU number + 1; rows of a per-CPU map value */
int cpus_possible_cnt(void);

static inline bool cpus_has(const struct cpu_set_bits *set, unsigned int cpu)
{
	return cpu < CPUS_MAX && (set->bits[cpu / 64] >> (cpu % 64) & 1);
}

unsigned int cpus_cnt(const struct cpu_set_bits *set);

#endif
