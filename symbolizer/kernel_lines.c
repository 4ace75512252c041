/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vmlinux is one more binary, whose DWARF alone is asked: its symbol table, of a hundred thousand
 * names, says what /proc/kallsyms says.  Modules have no vmlinux, and theirs would need their
 * relocations applied: they keep kallsyms' names.
 */
#include "symbolizer/kernel_lines.h"

#include "profiler/base/cleanup.h"
#include "symbolizer/binary.h"
#include "symbolizer/source_frames.h"

void kernel_lines_close(struct kernel_lines *lines)
{
	if (lines->vmlinux)
		binary_put(lines->vmlinux);
	lines->vmlinux = NULL;
}

static void open_vmlinux(struct kernel_lines *lines, uint64_t stext, uint64_t etext)
{
	_cleanup_(debug_file_close) struct debug_file file = { .fd = -1 };
	_cleanup_(elf_file_closep) struct elf_file *elf = NULL;
	struct binary_request request = {};

	if (kernel_debug_find(&lines->search, &file) < 0 ||
	    elf_file_open(file.fd, &elf, NULL) < 0 ||
	    kernel_debug_shift(elf, stext, etext, &lines->shift) < 0)
		return;
	request.path = file.path;
	request.build_id = *elf_file_build_id(elf);
	lines->vmlinux = binary_get(lines->binaries, &request);
}

bool kernel_lines_find(struct kernel_lines *lines, uint64_t stext, uint64_t etext, uint64_t address,
		       struct source_frames *ret)
{
	if (!lines->is_wanted || !stext)
		return false;
	if (!lines->tried) {
		lines->tried = true;
		open_vmlinux(lines, stext, etext);
	}
	return lines->vmlinux && binary_find_source(lines->vmlinux, address - lines->shift, ret);
}
