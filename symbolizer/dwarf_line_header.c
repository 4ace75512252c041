/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Headers of line number programs: what the program is read with, and the tables of directories
 * and files (DWARF 5 section 6.2.4, DWARF 4 section 6.2.4).
 *
 * Names are copied, since they stand in up to four sections of which the owner may keep none in
 * memory: into one text, of which files and directories hold offsets.  A path is put together
 * when asked for.  Keeping where a name stands, to read it when it is wanted, would be smaller
 * for units of which few names are asked, but needs the file then, which may be gone.
 *
 * DWARF 5 counts files and directories from 0, where 0 is the unit's own; earlier versions count
 * files from 1 and have the unit's directory as 0 without listing it, for which an empty name is
 * put in its place here.  DWARF 5's entries describe themselves; what cannot be skipped, since
 * its form is unknown, ends the tables, but not the program behind them, whose place the header
 * gives.
 */
#include <errno.h>
#include <stdlib.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/dwarf_constants.h"
#include "symbolizer/dwarf_form.h"
#include "symbolizer/dwarf_line_private.h"
#include "symbolizer/section.h"

/* DWARF 5 section 7.22: content types of entries. */
enum {
	DW_LNCT_path = 1,
	DW_LNCT_directory_index = 2,
};

struct reader {
	const struct dwarf_line_source *source;
	struct byte_cursor *cursor;
	struct line_files *files;
	unsigned int offset_bytes;
};

/* The description of an entry, and one that was read with it. */
struct format {
	size_t cnt;
	uint16_t types[256], forms[256]; /* larger numbers: UINT16_MAX */
};

struct entry {
	uint32_t name; /* in the text */
	uint64_t directory;
};

/* ---- the growing tables ----------------------------------------------------------------- */

static int grow(void *array, size_t cnt, size_t *capacity, size_t item_bytes)
{
	size_t want = *capacity + *capacity / 2 + 16;
	void *old, *more;

	if (cnt < *capacity)
		return 0;
	if (cnt >= LINE_FILES_MAX)
		return -EFBIG;
	want = MIN(want, (size_t)LINE_FILES_MAX);
	memcpy(&old, array, sizeof(old));
	more = realloc(old, want * item_bytes);
	if (!more)
		return -ENOMEM;
	memcpy(array, &more, sizeof(more));
	*capacity = want;
	return 0;
}

static int add_file(struct line_files *files, uint32_t name, uint64_t directory)
{
	int ret;

	ret = grow(&files->files, files->file_cnt, &files->file_capacity, sizeof(*files->files));
	if (ret)
		return ret;
	files->files[files->file_cnt++] = (struct line_file){
		.name = name,
		.directory = (uint32_t)MIN(directory, (uint64_t)UINT32_MAX),
	};
	return 0;
}

static int add_directory(struct line_files *files, uint32_t name)
{
	int ret;

	ret = grow(&files->directories, files->directory_cnt, &files->directory_capacity,
		   sizeof(*files->directories));
	if (!ret)
		files->directories[files->directory_cnt++] = name;
	return ret;
}

/* Copies @text; *ret = 0 for "", and when there is no room. */
static int add_text(struct line_files *files, const char *text, uint32_t *ret)
{
	size_t start = files->text.len, len = strnlen(text, LINE_PATH_MAX);

	*ret = 0;
	if (!len || len >= LINE_TEXT_MAX - start)
		return 0;
	strbuf_add(&files->text, text, len);
	strbuf_add_char(&files->text, '\0');
	if (files->text.failed)
		return -ENOMEM;
	*ret = (uint32_t)start;
	return 0;
}

/* Copies the string at @offset of @section; a broken one is "". */
static int add_string_at(struct line_files *files, struct section *section, uint64_t offset,
			 uint32_t *ret)
{
	size_t start = files->text.len;
	int code;

	*ret = 0;
	if (!section || LINE_TEXT_MAX - start <= LINE_PATH_MAX)
		return 0;
	code = section_read_string(section, offset, LINE_PATH_MAX, &files->text);
	if (code == -ENOMEM || code == -EIO)
		return code;
	if (code || files->text.len == start)
		return 0;
	strbuf_add_char(&files->text, '\0');
	if (files->text.failed)
		return -ENOMEM;
	*ret = (uint32_t)start;
	return 0;
}

/* String number @index of the unit's part of .debug_str_offsets. */
static int add_indexed_string(struct reader *reader, uint64_t index, uint32_t *ret)
{
	const struct dwarf_line_source *source = reader->source;
	struct section_view view;
	uint64_t offset = 0;
	int code;

	*ret = 0;
	if (!source->str_offsets || index > UINT32_MAX ||
	    source->str_offsets_base > UINT64_MAX - index * reader->offset_bytes)
		return 0;
	code = section_read(source->str_offsets,
			    source->str_offsets_base + index * reader->offset_bytes,
			    reader->offset_bytes, &view);
	if (code)
		return code == -ENOMEM || code == -EIO ? code : 0;
	memcpy(&offset, view.bytes, view.size);
	section_view_close(&view);
	return add_string_at(reader->files, source->str, offset, ret);
}

/* ---- forms ------------------------------------------------------------------------------ */

/* Reads a value that is a number, or skips one that is none; fails on forms unknown. */
static uint64_t read_number(struct reader *reader, unsigned int form)
{
	struct dwarf_encoding encoding = { .version = 5, .offset_bytes = reader->offset_bytes };
	struct dwarf_value value = {};

	dwarf_form_read(reader->cursor, &encoding, form, &value);
	return value.value;
}

/* Reads a value that is the name of a file or directory. */
static int read_name(struct reader *reader, unsigned int form, uint32_t *ret)
{
	const struct dwarf_line_source *source = reader->source;
	struct byte_cursor *cursor = reader->cursor;
	struct line_files *files = reader->files;

	*ret = 0;
	switch (form) {
	case DW_FORM_string:
		return add_text(files, read_string(cursor), ret);
	case DW_FORM_line_strp:
		return add_string_at(files, source->line_str,
				     read_bytes(cursor, reader->offset_bytes), ret);
	case DW_FORM_strp:
		return add_string_at(files, source->str, read_bytes(cursor, reader->offset_bytes),
				     ret);
	case DW_FORM_strp_sup:
	case DW_FORM_GNU_strp_alt:
		return add_string_at(files, source->sup_str,
				     read_bytes(cursor, reader->offset_bytes), ret);
	case DW_FORM_strx:
	case DW_FORM_GNU_str_index:
		return add_indexed_string(reader, read_uleb128(cursor), ret);
	case DW_FORM_strx1:
	case DW_FORM_strx2:
	case DW_FORM_strx3:
	case DW_FORM_strx4:
		return add_indexed_string(reader, read_bytes(cursor, form - DW_FORM_strx1 + 1),
					  ret);
	}
	read_number(reader, form); /* no string */
	return 0;
}

/* ---- tables of DWARF 5 ------------------------------------------------------------------ */

static void read_format(struct byte_cursor *cursor, struct format *format)
{
	size_t i;

	format->cnt = read_u8(cursor);
	for (i = 0; i < format->cnt; i++) {
		uint64_t type = read_uleb128(cursor), form = read_uleb128(cursor);

		format->types[i] = (uint16_t)MIN(type, (uint64_t)UINT16_MAX);
		format->forms[i] = (uint16_t)MIN(form, (uint64_t)UINT16_MAX);
	}
}

static int read_entry(struct reader *reader, const struct format *format, struct entry *entry)
{
	uint64_t number;
	size_t i;
	int ret;

	*entry = (struct entry){};
	for (i = 0; i < format->cnt; i++) {
		if (format->types[i] == DW_LNCT_path) {
			ret = read_name(reader, format->forms[i], &entry->name);
			if (ret)
				return ret;
			continue;
		}
		number = read_number(reader, format->forms[i]);
		if (format->types[i] == DW_LNCT_directory_index)
			entry->directory = number;
	}
	return 0;
}

/* Reads a table of directories or files; each entry takes a byte at least. */
static int read_table(struct reader *reader, bool directories)
{
	struct line_files *files = reader->files;
	struct format format;
	struct entry entry;
	uint64_t i, cnt;
	int ret;

	read_format(reader->cursor, &format);
	cnt = read_uleb128(reader->cursor);
	for (i = 0; i < cnt && !reader->cursor->failed; i++) {
		const uint8_t *before = reader->cursor->at;

		ret = read_entry(reader, &format, &entry);
		if (ret)
			return ret;
		if (reader->cursor->failed || reader->cursor->at == before) {
			bytes_fail(reader->cursor);
			break;
		}
		ret = directories ? add_directory(files, entry.name) :
				    add_file(files, entry.name, entry.directory);
		if (ret)
			return ret;
	}
	return 0;
}

/* ---- tables before DWARF 5 -------------------------------------------------------------- */

int line_files_define(struct line_files *files, struct byte_cursor *cursor)
{
	const char *text = read_string(cursor);
	uint64_t directory = read_uleb128(cursor);
	uint32_t name;
	int ret;

	read_uleb128(cursor); /* time of modification */
	read_uleb128(cursor); /* size */
	if (cursor->failed)
		return 0;
	ret = add_text(files, text, &name);
	return ret ? ret : add_file(files, name, directory);
}

static int read_old_tables(struct reader *reader)
{
	struct byte_cursor *cursor = reader->cursor;
	uint32_t name;
	int ret;

	ret = add_directory(reader->files, 0);
	while (!ret && bytes_left(cursor) && *cursor->at) {
		ret = add_text(reader->files, read_string(cursor), &name);
		if (!ret && !cursor->failed)
			ret = add_directory(reader->files, name);
	}
	skip_bytes(cursor, 1);
	while (!ret && bytes_left(cursor) && *cursor->at)
		ret = line_files_define(reader->files, cursor);
	return ret;
}

/* ---- the header ------------------------------------------------------------------------- */

static int read_tables(struct reader *reader, const struct dwarf_line_source *source)
{
	struct line_files *files = reader->files;
	int ret;

	strbuf_add_char(&files->text, '\0'); /* 0 = unknown */
	if (files->text.failed)
		return -ENOMEM;
	ret = add_text(files, source->comp_dir ? source->comp_dir : "", &files->comp_dir);
	if (ret)
		return ret;
	if (files->version < 5)
		return read_old_tables(reader);
	ret = read_table(reader, true);
	return ret ? ret : read_table(reader, false);
}

static void read_opcodes(struct line_header *header, struct byte_cursor *cursor)
{
	unsigned int i;

	header->min_instruction_bytes = read_u8(cursor);
	header->max_operations = header->version >= 4 ? read_u8(cursor) : 1;
	if (!header->max_operations)
		header->max_operations = 1;
	skip_bytes(cursor, 1); /* default_is_stmt */
	header->line_base = (int8_t)read_u8(cursor);
	header->line_range = read_u8(cursor);
	header->opcode_base = read_u8(cursor);
	for (i = 1; i < header->opcode_base; i++)
		header->operand_cnts[i] = read_u8(cursor);
}

int line_header_read(const struct dwarf_line_source *source, struct byte_cursor *cursor,
		     unsigned int offset_bytes, struct line_header *header,
		     struct line_files *files)
{
	struct byte_cursor tables;
	struct reader reader = { source, &tables, files, offset_bytes };
	uint16_t version = read_u16(cursor);
	uint64_t bytes;

	if (version < 2 || version > 5)
		return -ENOEXEC;
	*header = (struct line_header){ .version = (uint8_t)version };
	if (header->version >= 5)
		skip_bytes(cursor, 2); /* sizes of addresses and segment selectors */
	bytes = read_bytes(cursor, offset_bytes);
	if (cursor->failed || bytes > bytes_left(cursor))
		return -ENOEXEC;
	tables = byte_cursor(cursor->at, bytes);
	skip_bytes(cursor, bytes);
	read_opcodes(header, &tables);
	if (tables.failed)
		return -ENOEXEC;
	files->version = header->version;
	return read_tables(&reader, source);
}

/* ---- using the tables ------------------------------------------------------------------- */

static void *shrink(void *array, size_t cnt, size_t *capacity, size_t item_bytes)
{
	void *less = cnt < *capacity ? realloc(array, MAX(cnt, (size_t)1) * item_bytes) : NULL;

	if (!less)
		return array;
	*capacity = MAX(cnt, (size_t)1);
	return less;
}

void line_files_shrink(struct line_files *files)
{
	size_t capacity = files->text.capacity;

	files->files =
		shrink(files->files, files->file_cnt, &files->file_capacity, sizeof(*files->files));
	files->directories = shrink(files->directories, files->directory_cnt,
				    &files->directory_capacity, sizeof(*files->directories));
	files->text.text = shrink(files->text.text, files->text.len + 1, &capacity, 1);
	files->text.capacity = capacity;
}

void line_files_free(struct line_files *files)
{
	free(files->files);
	free(files->directories);
	strbuf_free(&files->text);
}

static const char *text_at(const struct line_files *files, uint32_t at)
{
	return files->text.text + at;
}

/* Appends a part of a path, with a `/` between it and what is there. */
static void add_component(struct strbuf *path, size_t start, const char *component)
{
	if (path->len > start && path->text[path->len - 1] != '/' && component[0])
		strbuf_add_char(path, '/');
	strbuf_add_str(path, component);
}

/*
 * Whether @directory names the unit's own or one below it, both relative: -ffile-prefix-map makes
 * them so, of absolute ones, and one in front of the other would be neither.
 */
static bool is_within(const char *directory, const char *comp_dir)
{
	size_t len = strlen(comp_dir);

	return len && comp_dir[0] != '/' && strncmp(directory, comp_dir, len) == 0 &&
	       (!directory[len] || directory[len] == '/' || comp_dir[len - 1] == '/');
}

bool line_files_path(const struct line_files *files, uint32_t file, struct strbuf *path)
{
	const char *comp_dir = text_at(files, files->comp_dir), *name, *directory = "";
	uint32_t index = files->version < 5 ? file - 1 : file; /* 0 - 1 is beyond every table */
	size_t start = path->len;

	if (index >= files->file_cnt || !files->files[index].name)
		return false;
	name = text_at(files, files->files[index].name);
	if (name[0] != '/') {
		index = files->files[index].directory;
		if (index < files->directory_cnt)
			directory = text_at(files, files->directories[index]);
		if (directory[0] != '/' && !is_within(directory, comp_dir))
			add_component(path, start, comp_dir);
		add_component(path, start, directory);
	}
	add_component(path, start, name);
	return true;
}

size_t line_files_bytes(const struct line_files *files)
{
	return files->file_capacity * sizeof(*files->files) +
	       files->directory_capacity * sizeof(*files->directories) + files->text.capacity;
}
