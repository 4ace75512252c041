/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/line_fixture.h"

#include <stdio.h>
#include <string.h>

#include "profiler/base/strbuf.h"

struct program program_of(unsigned int version)
{
	return (struct program){
		.version = version,
		.offset_bytes = 4,
		.min_instruction = 1,
		.max_operations = 1,
		.line_base = -5,
		.line_range = 14,
		.opcode_base = 13,
	};
}

void line_put(struct program *program, uint64_t value, unsigned int bytes)
{
	memcpy(program->bytes + program->len, &value, bytes);
	program->len += bytes;
}

void line_put_uleb(struct program *program, uint64_t value)
{
	for (; value > 0x7f; value >>= 7)
		line_put(program, 0x80 | (value & 0x7f), 1);
	line_put(program, value, 1);
}

void line_put_sleb(struct program *program, int64_t value)
{
	for (; value < -0x40 || value > 0x3f; value >>= 7)
		line_put(program, 0x80 | (value & 0x7f), 1);
	line_put(program, value & 0x7f, 1);
}

void put_string(struct program *program, const char *text)
{
	memcpy(program->bytes + program->len, text, strlen(text) + 1);
	program->len += strlen(text) + 1;
}

void program_begin(struct program *program)
{
	static const uint8_t operands[] = { 0, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1 };
	unsigned int i;

	if (program->offset_bytes == 8)
		line_put(program, 0xffffffff, 4);
	line_put(program, 0, program->offset_bytes);
	line_put(program, program->version, 2);
	if (program->version >= 5) {
		line_put(program, 8, 1);
		line_put(program, 0, 1);
	}
	program->header_length_at = program->len;
	line_put(program, 0, program->offset_bytes);
	line_put(program, program->min_instruction, 1);
	if (program->version >= 4)
		line_put(program, program->max_operations, 1);
	line_put(program, 1, 1);
	line_put(program, (uint8_t)program->line_base, 1);
	line_put(program, program->line_range, 1);
	line_put(program, program->opcode_base, 1);
	for (i = 1; i < program->opcode_base; i++)
		line_put(program, i < sizeof(operands) ? operands[i] : program->unknown_operands, 1);
}

static void put_new_tables(struct program *program)
{
	line_put(program, 1, 1); /* a directory is a path, a string */
	line_put_uleb(program, 1);
	line_put_uleb(program, 0x08);
	line_put_uleb(program, 2);
	put_string(program, "/work");
	put_string(program, "inc");
	line_put(program, 2, 1); /* a file is a path and the directory's number, of one byte */
	line_put_uleb(program, 1);
	line_put_uleb(program, 0x08);
	line_put_uleb(program, 2);
	line_put_uleb(program, 0x0b);
	line_put_uleb(program, 3);
	put_string(program, "a.c");
	line_put(program, 0, 1);
	put_string(program, "a.c");
	line_put(program, 0, 1);
	put_string(program, "b.h");
	line_put(program, 1, 1);
}

void program_tables(struct program *program)
{
	if (program->version >= 5) {
		put_new_tables(program);
		return;
	}
	put_string(program, "inc");
	line_put(program, 0, 1);
	put_string(program, "a.c");
	line_put(program, 0, 3);
	put_string(program, "b.h");
	line_put(program, 1, 3);
	line_put(program, 0, 1);
}

static void patch(struct program *program, size_t at, uint64_t value)
{
	memcpy(program->bytes + at, &value, program->offset_bytes);
}

void program_code(struct program *program)
{
	patch(program, program->header_length_at,
	      program->len - program->header_length_at - program->offset_bytes);
}

struct program program_new(unsigned int version)
{
	struct program program = program_of(version);

	program_begin(&program);
	program_tables(&program);
	program_code(&program);
	return program;
}

void put_address(struct program *program, uint64_t address)
{
	line_put(program, 0, 1);
	line_put_uleb(program, 9);
	line_put(program, 2, 1);
	line_put(program, address, 8);
}

void put_end(struct program *program)
{
	line_put(program, 0x010100, 3);
}

void put_row(struct program *program, uint64_t address, unsigned int file, unsigned int line)
{
	put_address(program, address);
	line_put(program, SET_FILE, 1);
	line_put_uleb(program, file);
	/* The line is 1 before, and after. */
	line_put(program, ADVANCE_LINE, 1);
	line_put_sleb(program, (int64_t)line - 1);
	line_put(program, COPY, 1);
	line_put(program, ADVANCE_LINE, 1);
	line_put_sleb(program, 1 - (int64_t)line);
}

struct dwarf_line_source program_source(struct program *program, struct section *section)
{
	size_t start = program->offset_bytes == 8 ? 4 : 0;

	patch(program, start, program->len - start - program->offset_bytes);
	section_of_memory(program->bytes, program->len, section);
	return (struct dwarf_line_source){
		.line = section,
		.comp_dir = "/work",
		.name = "a.c",
		.base = BASE,
		.address_bytes = 8,
	};
}

int program_load(struct program *program, struct dwarf_lines **ret)
{
	struct section section;
	struct dwarf_line_source source = program_source(program, &section);

	return dwarf_lines_load(&source, ret);
}

const char *lines_at(const struct dwarf_lines *lines, uint64_t address)
{
	static char text[32];
	uint32_t file, line;

	if (!dwarf_lines_find(lines, address, &file, &line))
		return "-";
	snprintf(text, sizeof(text), "%u:%u", file, line);
	return text;
}

const char *lines_path(const struct dwarf_lines *lines, uint32_t file)
{
	static char text[8192];
	struct strbuf path = STRBUF_INIT;

	/* What is there already stays. */
	strbuf_add_str(&path, "here/");
	if (!dwarf_lines_path(lines, file, &path))
		strbuf_add_str(&path, "-");
	snprintf(text, sizeof(text), "%s", path.text + 5);
	strbuf_free(&path);
	return text;
}
