/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Line number programs, DWARF 2 to 5 (DWARF 5 section 6.2): address -> file and line.
 *
 * A program is run once and kept as sorted rows of 12 bytes, neighbours of the same file and
 * line merged.  File names are made when asked for, from a compact copy of the file table.
 */
#ifndef EBPFPROF_SYMBOLIZER_DWARF_LINE_H
#define EBPFPROF_SYMBOLIZER_DWARF_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dwarf_lines;
struct section;
struct strbuf;

/* Where a program is and what its header refers to. */
struct dwarf_line_source {
	struct section *line;	     /* .debug_line */
	struct section *line_str;    /* .debug_line_str; may be empty */
	struct section *str;	     /* .debug_str; may be empty */
	struct section *sup_str;     /* .debug_str of the supplementary (dwz) file; NULL = none */
	struct section *str_offsets; /* .debug_str_offsets, for DW_FORM_strx*; may be empty */
	uint64_t str_offsets_base;
	uint64_t offset;	     /* of the program in .debug_line: DW_AT_stmt_list */
	const char *comp_dir, *name; /* of the unit; NULL = unknown; borrowed during the call */
	uint64_t base;		     /* rows below it, or 4 GiB and more above it, are left out */
	uint8_t address_bytes;	     /* of the unit; DWARF 5 headers have their own */
};

/**
 * dwarf_lines_load - run the program
 * Errors: -ENOEXEC broken from its start (one that breaks later gives the rows up to there);
 * -EFBIG; -EIO; -ENOMEM.
 */
int dwarf_lines_load(const struct dwarf_line_source *source, struct dwarf_lines **ret);
void dwarf_lines_free(struct dwarf_lines *lines);

/**
 * dwarf_lines_find - the row that covers @address
 * @ret_file: number in the header's file table, as DW_AT_call_file and DW_AT_decl_file use it
 * @ret_line: 0 = the compiler says that the code is of no line
 * False: no sequence covers the address.
 */
bool dwarf_lines_find(const struct dwarf_lines *lines, uint64_t address, uint32_t *ret_file,
		      uint32_t *ret_line);

/**
 * dwarf_lines_path - append the path of file number @file: absolute where the unit's directory
 * is, `.` and `..` left as the compiler wrote them.  False: no such file.
 */
bool dwarf_lines_path(const struct dwarf_lines *lines, uint32_t file, struct strbuf *path);

size_t dwarf_lines_bytes(const struct dwarf_lines *lines);

#endif
