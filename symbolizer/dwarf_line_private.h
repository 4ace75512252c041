/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the rooms of the line number reader share: dwarf_line.c (running programs),
 * dwarf_line_header.c (headers, file tables, paths), dwarf_line_rows.c (the finished rows).
 */
#ifndef EBPFPROF_SYMBOLIZER_DWARF_LINE_PRIVATE_H
#define EBPFPROF_SYMBOLIZER_DWARF_LINE_PRIVATE_H

#include "profiler/base/strbuf.h"
#include "symbolizer/byte_cursor.h"
#include "symbolizer/dwarf_line.h"

/* Bounds for what one unit can make us hold; the largest units that we have seen stay below a
   tenth of each. */
#define LINE_PROGRAM_BYTES_MAX (64u << 20)
#define LINE_ROWS_MAX (16u << 20)
#define LINE_FILES_MAX (1u << 20) /* also of directories */
#define LINE_TEXT_MAX (16u << 20) /* names beyond it are unknown */
#define LINE_PATH_MAX 4096	  /* longer names are cut */

/* ---- files ---- */

struct line_file {
	uint32_t name;	    /* in the text; 0 = unknown */
	uint32_t directory; /* index into directories */
};

struct line_files {
	uint8_t version;
	uint32_t comp_dir;	 /* in the text */
	struct line_file *files; /* [file_cnt], from number 0 in DWARF 5, else from 1 */
	uint32_t *directories;	 /* [directory_cnt], in the text; 0 is the unit's own */
	size_t file_cnt, file_capacity;
	size_t directory_cnt, directory_capacity;
	struct strbuf text; /* NUL-terminated strings; begins with "" */
};

struct line_header {
	uint8_t version;
	uint8_t offset_bytes; /* 4, or 8 in 64-bit DWARF */
	uint8_t min_instruction_bytes;
	uint8_t max_operations; /* per instruction; never 0 */
	int8_t line_base;
	uint8_t line_range;
	uint8_t opcode_base;
	uint8_t operand_cnts[256]; /* of standard opcodes */
};

/**
 * line_header_read - read the header and its tables
 * @cursor: from behind unit_length to the end of the unit; left at the program
 * @offset_bytes: 4 or 8
 *
 * File tables that break off are no error: what was read is there.
 * Errors: -ENOEXEC; -EIO; -ENOMEM.
 */
int line_header_read(const struct dwarf_line_source *source, struct byte_cursor *cursor,
		     unsigned int offset_bytes, struct line_header *header,
		     struct line_files *files);

/** line_files_define - DW_LNE_define_file: append what stands at @cursor; -ENOMEM */
int line_files_define(struct line_files *files, struct byte_cursor *cursor);

void line_files_shrink(struct line_files *files);
void line_files_free(struct line_files *files);
bool line_files_path(const struct line_files *files, uint32_t file, struct strbuf *path);
size_t line_files_bytes(const struct line_files *files);

/* ---- rows ---- */

#define LINE_FILE_END UINT32_MAX /* the row is the end of a sequence */

struct line_row {
	uint32_t offset; /* from line_rows.base */
	uint32_t file;
	uint32_t line;
};

struct line_rows {
	uint64_t base;
	struct line_row *rows; /* NULL once they are packed */
	size_t cnt, capacity;
	uint32_t *packed; /* [2 * cnt] offset, then file and line in one word */
	uint8_t line_bits; /* of that word, the lower ones */
	size_t first;	      /* of the open sequence */
	bool dead;	      /* it is left out: its code is not in the program */
	bool rows_mixed;      /* its rows do not ascend */
	bool sequences_mixed; /* sequences do not ascend, or overlap */
};

/** line_rows_grow - make room for one more; -EFBIG, -ENOMEM */
int line_rows_grow(struct line_rows *rows);

/** line_rows_end - the open sequence ends before @address; -ENOMEM, -EFBIG */
int line_rows_end(struct line_rows *rows, uint64_t address);

/** line_rows_break_off - the program broke: the open sequence ends at its last row */
int line_rows_break_off(struct line_rows *rows);

/** line_rows_finish - bring all sequences into order and give back spare memory; -ENOMEM */
int line_rows_finish(struct line_rows *rows);

void line_rows_free(struct line_rows *rows);
size_t line_rows_bytes(const struct line_rows *rows);
bool line_rows_find(const struct line_rows *rows, uint64_t address, uint32_t *ret_file,
		    uint32_t *ret_line);

#endif
