/* SPDX-License-Identifier: BSD-2-Clause */
/* What a hostile file can make the reader of DWARF do is bounded here: time and memory. */
#ifndef EBPFPROF_SYMBOLIZER_DWARF_WORK_H
#define EBPFPROF_SYMBOLIZER_DWARF_WORK_H

#include <stdint.h>

struct dwarf;
struct dwarf_file;

/** dwarf_work_start - a look-up begins: it may go through @times the size of the sections */
void dwarf_work_start(struct dwarf *dwarf, unsigned int times);

/**
 * dwarf_work - go through @bytes of this look-up's share; -EFBIG it was used up before
 * What it is for: see struct dwarf.
 */
int dwarf_work(struct dwarf *dwarf, uint64_t bytes);

/** dwarf_work_allow - go through the entries and declarations of @file up to @times times more */
void dwarf_work_allow(struct dwarf *dwarf, const struct dwarf_file *file, unsigned int times);

/** dwarf_inflated_max - what the compressed sections of one file may have together, in bytes */
uint64_t dwarf_inflated_max(const struct dwarf *dwarf);

#endif
