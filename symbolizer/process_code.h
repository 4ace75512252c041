/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a process's executable memory is and what file it is of: what unwinding needs to know, while
 * naming goes by symbolizer.h.
 */
#ifndef EBPFPROF_SYMBOLIZER_PROCESS_CODE_H
#define EBPFPROF_SYMBOLIZER_PROCESS_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct binary;
struct process;

struct code_region {
	uint64_t start, end; /* addresses in the process, end exclusive */
	uint64_t bias;	     /* address - ELF virtual address; 0 without a binary */
	uint64_t born_ns;    /* when it was mapped; 0 = before we looked */
	struct binary *binary; /* borrowed; NULL: code made at run time, a foreign vdso */
};

/** process_find_code - what was mapped at @address at @time_ns; false: nothing known */
bool process_find_code(const struct process *process, uint64_t address, uint64_t time_ns,
		       struct code_region *ret);

/** process_next_code - the living regions, ascending: @cursor 0 at first; false at the end */
bool process_next_code(const struct process *process, size_t *cursor, struct code_region *ret);

/** process_is_alive - it has not ended, nor was its program replaced, as far as records told */
bool process_is_alive(const struct process *process);

#endif
