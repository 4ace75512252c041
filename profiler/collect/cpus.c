/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/collect/cpus.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>

#include "profiler/base/fileio.h"
#include "profiler/base/strbuf.h"

int cpus_parse(const char *text, struct cpu_set_bits *ret)
{
	struct cpu_set_bits set = {};
	const char *at = text;

	while (*at && *at != '\n') {
		unsigned long first, last, cpu;
		char *end;

		first = last = strtoul(at, &end, 10);
		if (end == at)
			return -EINVAL;
		if (*end == '-') {
			at = end + 1;
			last = strtoul(at, &end, 10);
			if (end == at)
				return -EINVAL;
		}
		if (last < first || last >= CPUS_MAX)
			return -EINVAL;
		for (cpu = first; cpu <= last; cpu++)
			set.bits[cpu / 64] |= 1ull << (cpu % 64);
		if (*end != ',' && *end != '\n' && *end != '\0')
			return -EINVAL;
		at = *end == ',' ? end + 1 : end;
	}
	*ret = set;
	return 0;
}

int cpus_online(struct cpu_set_bits *ret)
{
	struct strbuf text = STRBUF_INIT;
	int err = read_path("/sys/devices/system/cpu/online", 65536, &text);

	if (!err)
		err = cpus_parse(text.text, ret);
	strbuf_free(&text);
	return err;
}

int cpus_possible_cnt(void)
{
	return libbpf_num_possible_cpus();
}

unsigned int cpus_cnt(const struct cpu_set_bits *set)
{
	unsigned int cnt = 0, i;

	for (i = 0; i < CPUS_MAX / 64; i++)
		cnt += (unsigned int)__builtin_popcountll(set->bits[i]);
	return cnt;
}
