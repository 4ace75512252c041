/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From an ELF file to its unwind table: which of the things that tell of frames are there, and how
 * they are joined.
 *
 * .eh_frame (by its section, or by PT_GNU_EH_FRAME where there are no section headers), .debug_frame
 * where that has nothing, Go's pclntab (frame_go.h) for Go code; stubs of the PLT by their code, and
 * the entry point as the bottom of the stack, where nothing else tells.
 */
#ifndef EBPFPROF_SYMBOLIZER_FRAME_SOURCE_H
#define EBPFPROF_SYMBOLIZER_FRAME_SOURCE_H

#include <stddef.h>
#include <stdint.h>

struct elf_file;

/* What was met, for reports and benchmarks; counts of functions and rows before merging. */
struct frame_census {
	uint32_t eh_functions, debug_functions, go_functions;
	uint64_t rows_met; /* before equal neighbours were merged */
	uint32_t rows, rules, pages;
	uint32_t expressions; /* rows told in a way that we do not follow, by kind: */
	uint32_t expression_cfa, expression_return_address, expression_register, rule_overflow;
	uint32_t corrupt;     /* functions whose instructions contradict themselves or the format */
	uint32_t overlapping; /* functions that another one covered already */
};

/**
 * frame_source_build - the unwind table of @elf
 * @ret_bytes: heap, the caller's: see frame_table_of_bytes()
 * @ret_census: may be NULL
 *
 * Errors: -ENODATA nothing in the file tells of frames; -EFBIG the table would be too large;
 * -ENOTSUP another machine; -EIO; -ENOMEM.  Broken parts are left out and counted.
 * Cost: memory for the section with the frames (at most 256 MiB) and twice the table.
 */
int frame_source_build(struct elf_file *elf, void **ret_bytes, size_t *ret_size,
		       struct frame_census *ret_census);

#endif
