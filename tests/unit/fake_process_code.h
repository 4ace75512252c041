/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the code of a fake_symbolizer.h's process is, which includes this. */
#ifndef EBPFPROF_TESTS_FAKE_PROCESS_CODE_H
#define EBPFPROF_TESTS_FAKE_PROCESS_CODE_H

#include "symbolizer/process_code.h"

bool process_find_code(const struct process *process, uint64_t address, uint64_t time_ns,
		       struct code_region *ret)
{
	(void)time_ns;
	*ret = (struct code_region){ .start = address, .end = address + 1 };
	if (address == process->young_ip)
		ret->born_ns = process->young_ns;
	return true;
}

#endif
