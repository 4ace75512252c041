/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A symbolizer that knows processes and their code, and no names, in place of symbolizer.c,
 * process*.c (see fake_symbolizer.h).  Include it behind cmocka.h, in one file of a program.
 */
#ifndef EBPFPROF_TESTS_FAKE_PROCESSES_H
#define EBPFPROF_TESTS_FAKE_PROCESSES_H

#include "profiler/base/cleanup.h"
#include "symbolizer/process.h"
#include "symbolizer/process_code.h"
#include "symbolizer/symbolizer.h"

#define FAKE_PROCESSES 8

struct process {
	pid_t tgid; /* 0 = none */
	bool ended;
	struct process *before; /* the image that called execve; NULL = none */
	const struct code_region *regions;
	size_t region_cnt;
};

struct symbolizer {
	struct process processes[FAKE_PROCESSES];
	unsigned int listed; /* times that mappings were walked */
};

static struct symbolizer fake_symbolizer;

static inline struct process *fake_run(pid_t tgid, const struct code_region *regions, size_t cnt)
{
	struct process *process = symbolizer_process(&fake_symbolizer, tgid, 0);

	if (!process)
		process = symbolizer_process(&fake_symbolizer, 0, 0);
	assert_non_null(process);
	*process = (struct process){ .tgid = tgid, .regions = regions, .region_cnt = cnt };
	return process;
}

struct process *symbolizer_process(struct symbolizer *symbolizer, pid_t tgid, uint64_t time_ns)
{
	size_t i;

	(void)time_ns;
	for (i = 0; i < FAKE_PROCESSES; i++)
		if (symbolizer->processes[i].tgid == tgid)
			return &symbolizer->processes[i];
	return NULL;
}

int symbolizer_visit_processes(const struct symbolizer *symbolizer,
			       int (*visit)(void *context, pid_t tgid), void *context)
{
	size_t i;
	int r = 0;

	for (i = 0; i < FAKE_PROCESSES && !r; i++)
		if (symbolizer->processes[i].tgid && !symbolizer->processes[i].ended)
			r = visit(context, symbolizer->processes[i].tgid);
	return r;
}

bool symbolizer_knows_binary(const struct symbolizer *symbolizer, uint64_t binary_id)
{
	(void)symbolizer;
	(void)binary_id;
	return true;
}

bool process_is_alive(const struct process *process)
{
	return !process->ended;
}

bool process_next_code(const struct process *process, size_t *cursor, struct code_region *ret)
{
	fake_symbolizer.listed += *cursor == 0;
	if (*cursor >= process->region_cnt)
		return false;
	*ret = process->regions[(*cursor)++];
	return true;
}

bool process_find_code(const struct process *process, uint64_t address, uint64_t time_ns,
		       struct code_region *ret)
{
	size_t i;

	(void)time_ns;
	for (i = 0; i < process->region_cnt; i++) {
		*ret = process->regions[i];
		if (address >= ret->start && address < ret->end)
			return true;
	}
	return false;
}

struct process *process_before_exec(const struct process *process, uint64_t time_ns)
{
	(void)time_ns;
	return process->before;
}

#endif
