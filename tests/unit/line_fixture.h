/* SPDX-License-Identifier: BSD-2-Clause */
/* Line number programs made by hand. */
#ifndef EBPFPROF_TESTS_LINE_FIXTURE_H
#define EBPFPROF_TESTS_LINE_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

#include "symbolizer/dwarf_line.h"
#include "symbolizer/section.h"

#define BASE 0x400000u

/* Opcodes of the standard, and with the usual parameters a special one. */
enum {
	COPY = 1,
	ADVANCE_PC,
	ADVANCE_LINE,
	SET_FILE,
	SET_COLUMN,
	NEGATE_STMT,
	SET_BASIC_BLOCK,
	CONST_ADD_PC,
	FIXED_ADVANCE_PC,
	PROLOGUE_END,
	EPILOGUE_BEGIN,
	SET_ISA,
};
#define SPECIAL(address, lines) (13 + (lines) + 5 + 14 * (address))

struct program {
	unsigned int version;
	unsigned int offset_bytes; /* 4, or 8: 64-bit DWARF */
	unsigned int min_instruction, max_operations;
	int line_base;
	unsigned int line_range, opcode_base;
	unsigned int unknown_operands; /* of opcodes from 13 on */
	uint8_t bytes[8192];
	size_t len, header_length_at;
};

/** program_of - the usual parameters; change them before program_begin() */
struct program program_of(unsigned int version);

void line_put(struct program *program, uint64_t value, unsigned int bytes);
void line_put_uleb(struct program *program, uint64_t value);
void line_put_sleb(struct program *program, int64_t value);
void put_string(struct program *program, const char *text);

/** program_begin - the header up to its tables */
void program_begin(struct program *program);

/** program_tables - directory 1 "inc"; files a.c in directory 0 and b.h in 1, by their numbers */
void program_tables(struct program *program);

/** program_code - the header ends here: what follows is the program */
void program_code(struct program *program);

/** program_new - all of these */
struct program program_new(unsigned int version);

void put_address(struct program *program, uint64_t address);
void put_end(struct program *program);

/** put_row - at @address, line @line of file @file, where the line register is 1, and stays */
void put_row(struct program *program, uint64_t address, unsigned int file, unsigned int line);

/** program_source - as it is now; valid until the program changes */
struct dwarf_line_source program_source(struct program *program, struct section *section);

/** program_load - run it with base BASE; -ENOEXEC and others */
int program_load(struct program *program, struct dwarf_lines **ret);

/** lines_at - "FILE:LINE", or "-"; valid until the next call */
const char *lines_at(const struct dwarf_lines *lines, uint64_t address);

/** lines_path - path of file @file, or "-"; valid until the next call */
const char *lines_path(const struct dwarf_lines *lines, uint32_t file);

#endif
