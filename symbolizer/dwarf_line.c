/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Running line number programs (DWARF 5 section 6.2.5).
 *
 * The whole unit is fetched by one read and run once, from its start to its end, even when one
 * address is asked for: programs have no entry points, and what is kept of one (8 bytes for
 * each change of file or line) is smaller than the program as a rule.  The alternative, to keep
 * nothing and run up to the address each time, makes each look-up cost what all of them do here.
 *
 * The loop is the hottest of what reads DWARF.  So what a special opcode does to address and
 * line is computed for all 255 before the loop; columns, statement flags, discriminators and
 * views are skipped, not kept; rows that repeat file and line are not stored (half of what
 * compilers emit); and a sequence whose code the linker threw away is run without storing.
 *
 * A program's bytes bound its rows, as each row takes an opcode; LINE_ROWS_MAX caps both.
 */
#include "symbolizer/dwarf_line.h"

#include <errno.h>
#include <stdlib.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/dwarf_line_private.h"
#include "symbolizer/section.h"

/* DWARF 5 section 7.22 */
enum {
	DW_LNS_extended_op = 0,
	DW_LNS_copy = 1,
	DW_LNS_advance_pc = 2,
	DW_LNS_advance_line = 3,
	DW_LNS_set_file = 4,
	DW_LNS_set_column = 5,
	DW_LNS_negate_stmt = 6,
	DW_LNS_set_basic_block = 7,
	DW_LNS_const_add_pc = 8,
	DW_LNS_fixed_advance_pc = 9,
	DW_LNS_set_prologue_end = 10,
	DW_LNS_set_epilogue_begin = 11,
	DW_LNS_set_isa = 12,
};

enum {
	DW_LNE_end_sequence = 1,
	DW_LNE_set_address = 2,
	DW_LNE_define_file = 3,
};

struct dwarf_lines {
	struct line_files files;
	struct line_rows rows;
};

/* What an opcode from opcode_base on does. */
struct special {
	uint32_t operations; /* by which the address advances */
	int32_t lines;
};

struct machine {
	struct line_header header;
	struct special specials[256];
	struct dwarf_lines *lines;
	/* the registers that matter here */
	uint64_t address;
	uint32_t operation; /* VLIW: within the instruction */
	uint32_t file, line;
};

static void freelines(struct dwarf_lines **lines)
{
	dwarf_lines_free(*lines);
}

static void reset_registers(struct machine *machine)
{
	machine->address = 0;
	machine->operation = 0;
	machine->file = 1;
	machine->line = 1;
}

static void prepare(struct machine *machine)
{
	const struct line_header *header = &machine->header;
	uint32_t operations = 0, lines = 0;
	unsigned int i;

	/* Counted, not divided: many units are so small that this is most of their time. */
	for (i = header->opcode_base; i < 256; i++) {
		machine->specials[i].operations = operations;
		machine->specials[i].lines = header->line_base + (int32_t)lines;
		if (!header->line_range) /* broken; LLVM, too, takes the advances as 0 then */
			continue;
		if (++lines == header->line_range) {
			lines = 0;
			operations++;
		}
	}
	reset_registers(machine);
}

/* DWARF 5 section 6.2.5.1, "operation advance" */
static inline void advance(struct machine *machine, uint64_t operations)
{
	const struct line_header *header = &machine->header;

	if (__builtin_expect(header->max_operations > 1, 0)) {
		operations += machine->operation;
		machine->operation = (uint32_t)(operations % header->max_operations);
		operations /= header->max_operations;
	}
	machine->address += operations * header->min_instruction_bytes;
}

/* Whether the linker left code at @address out of the program, or the owner asks for none there. */
static bool is_dead(const struct line_rows *rows, uint64_t address)
{
	return !address || address < rows->base || address - rows->base > UINT32_MAX;
}

/* The first row of a sequence, one that goes back, or one that does not fit. */
static int add_unusual_row(struct machine *machine)
{
	struct line_rows *rows = &machine->lines->rows;
	int ret;

	if (rows->dead || is_dead(rows, machine->address)) {
		rows->dead = true;
		return 0;
	}
	if (rows->cnt > rows->first &&
	    rows->rows[rows->cnt - 1].offset > machine->address - rows->base)
		rows->rows_mixed = true;
	ret = line_rows_grow(rows);
	if (ret)
		return ret;
	rows->rows[rows->cnt++] = (struct line_row){
		(uint32_t)(machine->address - rows->base),
		machine->file,
		machine->line,
	};
	return 0;
}

static inline bool same_line(const struct line_row *row, const struct machine *machine)
{
	return row->line == machine->line && row->file == machine->file;
}

static inline int add_row(struct machine *machine)
{
	struct line_rows *rows = &machine->lines->rows;
	uint64_t offset = machine->address - rows->base;
	struct line_row *last;

	if (rows->cnt == rows->first || rows->dead || offset > UINT32_MAX)
		return add_unusual_row(machine);
	last = &rows->rows[rows->cnt - 1];
	if (offset > last->offset) {
		if (same_line(last, machine))
			return 0;
		if (rows->cnt == rows->capacity)
			return add_unusual_row(machine);
		*++last = (struct line_row){ (uint32_t)offset, machine->file, machine->line };
		rows->cnt++;
		return 0;
	}
	if (offset < last->offset)
		return add_unusual_row(machine);
	/* Of rows at one address the last counts, unless the one before says the same. */
	if (rows->cnt - 1 > rows->first && same_line(last - 1, machine)) {
		rows->cnt--;
		return 0;
	}
	last->file = machine->file;
	last->line = machine->line;
	return 0;
}

static void set_address(struct machine *machine, struct byte_cursor *operand)
{
	struct line_rows *rows = &machine->lines->rows;
	size_t bytes = bytes_left(operand);
	bool dead;

	if (!bytes || bytes > 8)
		return;
	machine->address = read_bytes(operand, (unsigned int)bytes);
	machine->operation = 0;
	/* The tombstone, for code that is gone, has all bits set. */
	dead = is_dead(rows, machine->address) ||
	       machine->address == UINT64_MAX >> (8 * (8 - bytes));
	rows->dead = dead || (rows->dead && rows->cnt > rows->first);
}

static int run_extended(struct machine *machine, struct byte_cursor *cursor)
{
	uint64_t bytes = read_uleb128(cursor);
	struct byte_cursor operands;
	int ret;

	if (cursor->failed || !bytes)
		return 0;
	if (bytes > bytes_left(cursor)) {
		bytes_fail(cursor);
		return 0;
	}
	operands = byte_cursor(cursor->at, bytes);
	skip_bytes(cursor, bytes);
	switch (read_u8(&operands)) {
	case DW_LNE_end_sequence:
		ret = line_rows_end(&machine->lines->rows, machine->address);
		reset_registers(machine);
		return ret;
	case DW_LNE_set_address:
		set_address(machine, &operands);
		return 0;
	case DW_LNE_define_file:
		return line_files_define(&machine->lines->files, &operands);
	}
	return 0;
}

static inline void skip_leb128(struct byte_cursor *cursor)
{
	while (cursor->at < cursor->end) {
		if (!(*cursor->at++ & 0x80))
			return;
	}
	cursor->failed = true;
}

static int run_standard(struct machine *machine, unsigned int opcode, struct byte_cursor *cursor)
{
	unsigned int i;
	uint64_t file;

	switch (opcode) {
	case DW_LNS_extended_op:
		return run_extended(machine, cursor);
	case DW_LNS_copy:
		return add_row(machine);
	case DW_LNS_advance_pc:
		advance(machine, read_uleb128(cursor));
		return 0;
	case DW_LNS_advance_line:
		machine->line += (uint32_t)read_sleb128(cursor);
		return 0;
	case DW_LNS_set_file:
		file = read_uleb128(cursor);
		machine->file = (uint32_t)MIN(file, (uint64_t)LINE_FILE_END - 1);
		return 0;
	case DW_LNS_const_add_pc:
		advance(machine, machine->specials[255].operations);
		return 0;
	case DW_LNS_fixed_advance_pc:
		machine->address += read_u16(cursor);
		machine->operation = 0;
		return 0;
	case DW_LNS_negate_stmt:
	case DW_LNS_set_basic_block:
	case DW_LNS_set_prologue_end:
	case DW_LNS_set_epilogue_begin:
		return 0;
	case DW_LNS_set_column:
	case DW_LNS_set_isa:
		skip_leb128(cursor);
		return 0;
	}
	for (i = 0; i < machine->header.operand_cnts[opcode]; i++)
		skip_leb128(cursor);
	return 0;
}

static int run(struct machine *machine, struct byte_cursor *cursor)
{
	unsigned int opcode;
	int ret = 0;

	while (cursor->at < cursor->end && !ret) {
		opcode = *cursor->at++;
		if (opcode < machine->header.opcode_base || !opcode) {
			ret = run_standard(machine, opcode, cursor);
			continue;
		}
		advance(machine, machine->specials[opcode].operations);
		machine->line += (uint32_t)machine->specials[opcode].lines;
		ret = add_row(machine);
	}
	return ret ? ret : line_rows_break_off(&machine->lines->rows);
}

/* ---- the unit --------------------------------------------------------------------------- */

/* DWARF 5 section 7.4: where the unit's bytes are behind its unit_length. */
static int read_length(const struct dwarf_line_source *source, uint64_t *ret_start,
		       uint64_t *ret_bytes, unsigned int *ret_offset_bytes)
{
	struct section_view view;
	struct byte_cursor cursor;
	uint64_t bytes;
	int ret;

	ret = section_read_up_to(source->line, source->offset, 12, &view);
	if (ret)
		return ret;
	cursor = byte_cursor(view.bytes, view.size);
	bytes = read_u32(&cursor);
	*ret_offset_bytes = 4;
	if (bytes == 0xffffffff) {
		bytes = read_u64(&cursor);
		*ret_offset_bytes = 8;
	} else if (bytes >= 0xfffffff0) { /* reserved */
		bytes_fail(&cursor);
	}
	*ret_start = source->offset + (uint64_t)(cursor.at - view.bytes);
	*ret_bytes = bytes;
	section_view_close(&view);
	return cursor.failed ? -ENOEXEC : 0;
}

static int run_unit(const struct dwarf_line_source *source, struct section_view *unit,
		    unsigned int offset_bytes, struct dwarf_lines *lines)
{
	struct byte_cursor cursor = byte_cursor(unit->bytes, unit->size);
	struct machine machine = { .lines = lines };
	int ret;

	ret = line_header_read(source, &cursor, offset_bytes, &machine.header, &lines->files);
	if (ret)
		return ret;
	prepare(&machine);
	ret = run(&machine, &cursor);
	if (ret)
		return ret;
	line_files_shrink(&lines->files);
	return line_rows_finish(&lines->rows);
}

int dwarf_lines_load(const struct dwarf_line_source *source, struct dwarf_lines **ret)
{
	_cleanup_(freelines) struct dwarf_lines *lines = NULL;
	_cleanup_(section_view_close) struct section_view unit = {};
	uint64_t start, bytes;
	unsigned int offset_bytes;
	int code;

	code = read_length(source, &start, &bytes, &offset_bytes);
	if (code)
		return code;
	bytes = MIN(bytes, source->line->size - start); /* cut off: what is there */
	if (bytes > LINE_PROGRAM_BYTES_MAX)
		return -EFBIG;
	code = section_read(source->line, start, bytes, &unit);
	if (code)
		return code;
	lines = calloc(1, sizeof(*lines));
	if (!lines)
		return -ENOMEM;
	lines->rows.base = source->base;
	code = run_unit(source, &unit, offset_bytes, lines);
	if (code)
		return code;
	*ret = TAKE_PTR(lines);
	return 0;
}

void dwarf_lines_free(struct dwarf_lines *lines)
{
	if (!lines)
		return;
	line_files_free(&lines->files);
	line_rows_free(&lines->rows);
	free(lines);
}

bool dwarf_lines_find(const struct dwarf_lines *lines, uint64_t address, uint32_t *ret_file,
		      uint32_t *ret_line)
{
	return line_rows_find(&lines->rows, address, ret_file, ret_line);
}

bool dwarf_lines_path(const struct dwarf_lines *lines, uint32_t file, struct strbuf *path)
{
	return line_files_path(&lines->files, file, path);
}

size_t dwarf_lines_bytes(const struct dwarf_lines *lines)
{
	return sizeof(*lines) + line_rows_bytes(&lines->rows) + line_files_bytes(&lines->files);
}
