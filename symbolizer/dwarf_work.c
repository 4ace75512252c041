/* SPDX-License-Identifier: BSD-2-Clause */
#include "symbolizer/dwarf_work.h"

#include <errno.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/dwarf_tables.h"
#include "symbolizer/symbol_memory.h"

#define WORK_MIN (256u << 10)

int dwarf_work(struct dwarf *dwarf, uint64_t bytes)
{
	if (!dwarf->work_left)
		return -EFBIG;
	dwarf->work_left -= MIN(bytes, dwarf->work_left);
	return 0;
}

void dwarf_work_allow(struct dwarf *dwarf, const struct dwarf_file *file, unsigned int times)
{
	/* A section is of no more than 1 GiB, or than its file, which ends below 2^63. */
	uint64_t bytes = MIN(file->info.section.size + file->abbrev.section.size, UINT64_MAX / 64);

	dwarf->work_left += MIN(bytes * times, UINT64_MAX - dwarf->work_left);
}

void dwarf_work_start(struct dwarf *dwarf, unsigned int times)
{
	dwarf->work_left = WORK_MIN;
	dwarf_work_allow(dwarf, &dwarf->main, times);
	if (dwarf->has_sup)
		dwarf_work_allow(dwarf, &dwarf->sup, times);
}

/*
 * A compressed section is inflated whole, so that one large file can want more than all tables
 * may have; while it is read it may have some times as much.
 * TODO(names): inflate what is larger into an unlinked file and read that in pieces, when a
 * program is met whose names are missing for this.
 */
#define INFLATED_OF_MEMORY 8

uint64_t dwarf_inflated_max(const struct dwarf *dwarf)
{
	return (uint64_t)dwarf->config.memory->max_bytes * INFLATED_OF_MEMORY;
}
