/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The records of a jitdump, one behind the other; each is complete or waits for its rest.
 *
 * A writer with a buffer (V8's is of 2 MiB) leaves the last record torn for as long as it compiles
 * little, and most of a record is machine code: so a JIT_CODE_LOAD is learned once its head and
 * its name are there, if its size is that of the parts it names.
 *
 * The file is read through one buffer; the machine code at the end of each JIT_CODE_LOAD, most of
 * the file, is stepped over.  It is not mapped: the program may cut it short at any time, which
 * would end us by SIGBUS.
 *
 * Lines come in a record in front of their code's.  That record is kept as it is until then, for
 * only the code's own record says how long it is, which decides what in it can be believed.
 */
#include "symbolizer/jitdump.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/fileio.h"
#include "profiler/base/strtab.h"
#include "symbolizer/byte_cursor.h"
#include "symbolizer/jitdump_private.h"

#define MAGIC 0x4a695444u /* `JiTD`, in the writer's byte order */
#define VERSION 1
#define FLAG_ARCH_TIMESTAMP 1u
#define HEADER_BYTES 40
#define PREFIX_BYTES 16 /* of each record: id, its size, time */
#define LOAD_BYTES (PREFIX_BYTES + 40)
#define MOVE_BYTES (PREFIX_BYTES + 48)
#define DEBUG_BYTES (PREFIX_BYTES + 16)
#define DEBUG_BYTES_MAX (1u << 20)
#define CODE_BYTES_MAX (1u << 30)
#define BUFFER_BYTES 65536 /* more than any part of a record that is looked at, but debug_info */

#if defined(__x86_64__)
#define OWN_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OWN_MACHINE EM_AARCH64
#else
#define OWN_MACHINE EM_NONE
#endif

enum record {
	RECORD_LOAD,
	RECORD_MOVE,
	RECORD_DEBUG_INFO,
	RECORD_CLOSE,
	RECORD_UNWINDING_INFO,
};

struct jitdump {
	struct jitdump_ranges ranges;
	struct strtab files;
	uint8_t header[HEADER_BYTES]; /* as it was when the file was begun */
	bool timed;		      /* the time stamps are of our clock */
	bool broken;		      /* at offset there is no record */
	bool head_taken;	      /* the record at offset was learned before it was whole */
	uint64_t offset;	      /* of the next record; 0 = not begun */
	uint32_t least_line_offset;   /* over all lines seen */
	uint8_t *debug; /* [debug_len] a record that waits for its code; NULL = none */
	size_t debug_len;
	uint64_t skipped;
};

/* The part of the file that is in memory. */
struct window {
	int fd;
	uint64_t file_bytes;
	uint64_t start; /* in the file */
	size_t len;
	uint64_t read_bytes; /* so far */
	uint8_t *buffer;     /* [BUFFER_BYTES] */
};

struct prefix {
	uint32_t id, size;
	uint64_t time_ns;
};

int jitdump_new(struct jitdump **ret)
{
	struct jitdump *dump = calloc(1, sizeof(*dump));

	if (!dump)
		return -ENOMEM;
	dump->least_line_offset = UINT32_MAX;
	*ret = dump;
	return 0;
}

static void reset(struct jitdump *dump)
{
	uint64_t skipped = dump->skipped;

	jitdump_ranges_free(&dump->ranges);
	strtab_free(&dump->files);
	free(dump->debug);
	*dump = (struct jitdump){ .least_line_offset = UINT32_MAX, .skipped = skipped };
}

void jitdump_free(struct jitdump *dump)
{
	if (dump)
		reset(dump);
	free(dump);
}

/* ---- reading ---- */

/* The @len bytes at @offset, which the file has; NULL: it could not be read. */
static const uint8_t *look_at(struct window *window, uint64_t offset, size_t len)
{
	ssize_t n;

	if (offset < window->start || offset + len > window->start + window->len) {
		n = pread_full(window->fd, window->buffer, BUFFER_BYTES, offset);
		window->start = offset;
		window->len = n < 0 ? 0 : (size_t)n;
		window->read_bytes += BUFFER_BYTES;
	}
	if (len > window->len)
		return NULL;
	return window->buffer + (offset - window->start);
}

/* 1 there is a header, 0 not yet, -ENOEXEC it is none of ours. */
static int read_header(struct jitdump *dump, struct window *window)
{
	const uint8_t *bytes;
	struct byte_cursor cursor;
	uint32_t magic, version, size, machine;

	if (window->file_bytes < HEADER_BYTES)
		return 0;
	bytes = look_at(window, 0, HEADER_BYTES);
	if (!bytes)
		return 0;
	cursor = byte_cursor(bytes, HEADER_BYTES);
	magic = read_u32(&cursor);
	version = read_u32(&cursor);
	size = read_u32(&cursor);
	machine = read_u32(&cursor);
	if (!magic && !version)
		return 0; /* room was made, but it is not written yet */
	if (magic != MAGIC || version != VERSION || size < HEADER_BYTES || machine != OWN_MACHINE)
		return -ENOEXEC;
	skip_bytes(&cursor, 16); /* padding, pid, time */
	dump->timed = !(read_u64(&cursor) & FLAG_ARCH_TIMESTAMP);
	memcpy(dump->header, bytes, HEADER_BYTES);
	dump->offset = size;
	return 1;
}

/* Whether the file is another one than was read. */
static bool is_rewritten(const struct jitdump *dump, const struct window *window)
{
	uint8_t header[HEADER_BYTES];

	if (!dump->offset)
		return false;
	if (window->file_bytes < dump->offset)
		return true;
	return pread_full(window->fd, header, sizeof(header), 0) == (ssize_t)sizeof(header) &&
	       memcmp(header, dump->header, sizeof(header)) != 0;
}

/* ---- records ---- */

/* Whether there is room for more code, once the past is forgotten. */
static bool has_room(struct jitdump *dump)
{
	if (jitdump_bytes(dump) < JITDUMP_BYTES_MAX)
		return true;
	jitdump_ranges_trim(&dump->ranges, UINT64_MAX);
	return jitdump_bytes(dump) < JITDUMP_BYTES_MAX;
}

/* The lines that wait for the code of @size bytes at @address. */
static int take_lines(struct jitdump *dump, uint64_t address, uint32_t size,
		      struct jitdump_line **ret, size_t *ret_cnt)
{
	_cleanup_free_ uint8_t *record = NULL;
	struct byte_cursor cursor;
	struct jitdump_debug debug;
	int r;

	*ret = NULL;
	*ret_cnt = 0;
	if (!dump->debug)
		return 0;
	cursor = byte_cursor(dump->debug, dump->debug_len);
	skip_bytes(&cursor, PREFIX_BYTES);
	debug.address = read_u64(&cursor);
	debug.cnt = read_u64(&cursor);
	debug.entries = cursor.at;
	debug.len = bytes_left(&cursor);
	if (debug.address != address)
		return 0;
	record = TAKE_PTR(dump->debug);
	if (!dump->files.cnt && strtab_init(&dump->files) < 0)
		return -ENOMEM;
	r = jitdump_read_lines(&debug, size, &dump->files, ret, ret_cnt);
	if (r < 0)
		return r;
	if (*ret_cnt)
		dump->least_line_offset = MIN(dump->least_line_offset, (*ret)[0].offset);
	else
		dump->skipped += debug.cnt != 0;
	return 0;
}

static int add_code(struct jitdump *dump, const char *name, size_t name_len, uint64_t address,
		    uint32_t size, uint64_t born_ns)
{
	_cleanup_free_ struct jitdump_line *lines = NULL;
	struct jitdump_code *code;
	size_t line_cnt;
	int r;

	r = take_lines(dump, address, size, &lines, &line_cnt);
	if (r < 0)
		return r;
	code = jitdump_code_new(&dump->ranges, name, name_len, size, lines, line_cnt);
	if (!code)
		return -ENOMEM;
	r = jitdump_ranges_lay(&dump->ranges, code, address, born_ns);
	jitdump_code_unref(&dump->ranges, code);
	return r < 0 ? r : 1;
}

/* Whether @size bytes at @address can be code. */
static bool is_sane(uint64_t address, uint64_t size)
{
	return size && size <= CODE_BYTES_MAX && address + size > address;
}

/* How much of a JIT_CODE_LOAD is looked at: all but the code. */
static size_t load_bytes(const struct jitdump *dump, const struct window *window,
			 const struct prefix *prefix)
{
	uint64_t there = MIN(window->file_bytes - dump->offset, (uint64_t)prefix->size);

	return MIN(there, (uint64_t)(LOAD_BYTES + JITDUMP_NAME_MAX - 1));
}

/* A record's handler returns 1 code was learned, 0 not, or -errno. */
static int on_load(struct jitdump *dump, struct window *window, const struct prefix *prefix)
{
	size_t len = load_bytes(dump, window, prefix);
	const uint8_t *bytes = look_at(window, dump->offset, len);
	uint64_t address, size, born_ns = dump->timed ? prefix->time_ns : 0, name_room;
	struct byte_cursor cursor;
	const char *name;

	if (!bytes)
		return -EIO;
	cursor = byte_cursor(bytes, len);
	skip_bytes(&cursor, PREFIX_BYTES + 8 + 8); /* pid and tid, the address in the file */
	address = read_u64(&cursor);
	size = read_u64(&cursor);
	skip_bytes(&cursor, 8); /* its number */
	if (cursor.failed || !is_sane(address, size)) {
		dump->skipped++;
		return 0;
	}
	if (!has_room(dump)) { /* at least the old names must not be taken for this */
		dump->skipped++;
		return jitdump_ranges_cover(&dump->ranges, address, address + size, born_ns);
	}
	name = (const char *)cursor.at;
	name_room = prefix->size - LOAD_BYTES;
	name_room -= size < name_room ? size : 0;
	return add_code(dump, name, strnlen(name, MIN(bytes_left(&cursor), name_room)), address,
			(uint32_t)size, born_ns);
}

static int on_move(struct jitdump *dump, struct window *window, const struct prefix *prefix)
{
	const uint8_t *bytes;
	const struct jitdump_range *range;
	struct jitdump_code *code;
	struct byte_cursor cursor;
	uint64_t from, to;
	int r;

	if (prefix->size < MOVE_BYTES) {
		dump->skipped++;
		return 0;
	}
	bytes = look_at(window, dump->offset, MOVE_BYTES);
	if (!bytes)
		return -EIO;
	cursor = byte_cursor(bytes, MOVE_BYTES);
	skip_bytes(&cursor, PREFIX_BYTES + 8 + 8); /* pid and tid, the address in the file */
	from = read_u64(&cursor);
	to = read_u64(&cursor);
	range = jitdump_ranges_find(&dump->ranges, from, UINT64_MAX);
	if (!range || range->base != from || !is_sane(to, range->code->size) || !has_room(dump)) {
		dump->skipped++;
		return 0;
	}
	code = range->code;
	code->refs++; /* it may be laid over itself */
	r = jitdump_ranges_lay(&dump->ranges, code, to, dump->timed ? prefix->time_ns : 0);
	jitdump_code_unref(&dump->ranges, code);
	return r < 0 ? r : 1;
}

static int on_debug_info(struct jitdump *dump, struct window *window, const struct prefix *prefix)
{
	uint8_t *record;

	if (prefix->size < DEBUG_BYTES || prefix->size > DEBUG_BYTES_MAX) {
		dump->skipped++;
		return 0;
	}
	record = malloc(prefix->size);
	if (!record)
		return -ENOMEM;
	free(dump->debug);
	dump->debug = record;
	dump->debug_len = prefix->size;
	window->read_bytes += prefix->size;
	if (pread_full(window->fd, record, prefix->size, dump->offset) != (ssize_t)prefix->size) {
		free(TAKE_PTR(dump->debug));
		return -EIO;
	}
	return 0;
}

/* There is a next record, if not all of it: its prefix is in @ret. */
static bool next_record(struct jitdump *dump, struct window *window, struct prefix *ret)
{
	const uint8_t *bytes;
	struct byte_cursor cursor;

	if (dump->broken || window->file_bytes - dump->offset < PREFIX_BYTES)
		return false;
	bytes = look_at(window, dump->offset, PREFIX_BYTES);
	if (!bytes)
		return false;
	cursor = byte_cursor(bytes, PREFIX_BYTES);
	ret->id = read_u32(&cursor);
	ret->size = read_u32(&cursor);
	ret->time_ns = read_u64(&cursor);
	if (ret->size < PREFIX_BYTES) {
		if (ret->id || ret->size || ret->time_ns) { /* zeros: not written yet */
			dump->broken = true;
			dump->skipped++;
		}
		return false;
	}
	return true;
}

static int on_record(struct jitdump *dump, struct window *window, const struct prefix *prefix)
{
	if (dump->head_taken)
		return 0;
	switch (prefix->id) {
	case RECORD_LOAD:
		return on_load(dump, window, prefix);
	case RECORD_MOVE:
		return on_move(dump, window, prefix);
	case RECORD_DEBUG_INFO:
		return on_debug_info(dump, window, prefix);
	case RECORD_CLOSE:
	case RECORD_UNWINDING_INFO:
	default:
		return 0;
	}
}

/* Whether a torn JIT_CODE_LOAD lacks nothing but code, of which it says how much there is. */
static bool lacks_code_only(struct jitdump *dump, struct window *window,
			    const struct prefix *prefix)
{
	size_t len = load_bytes(dump, window, prefix), room, name_len;
	const uint8_t *bytes = look_at(window, dump->offset, len);
	struct byte_cursor cursor;
	uint64_t size;

	if (!bytes || len <= LOAD_BYTES)
		return false;
	cursor = byte_cursor(bytes, len);
	skip_bytes(&cursor, LOAD_BYTES - 8 - 8);
	size = read_u64(&cursor);
	skip_bytes(&cursor, 8); /* its number */
	room = bytes_left(&cursor);
	name_len = strnlen((const char *)cursor.at, room);
	return name_len < room && size == (uint64_t)prefix->size - LOAD_BYTES - (name_len + 1);
}

static int on_torn(struct jitdump *dump, struct window *window, const struct prefix *prefix)
{
	int r;

	if (dump->head_taken || prefix->id != RECORD_LOAD ||
	    !lacks_code_only(dump, window, prefix))
		return 0;
	r = on_load(dump, window, prefix);
	dump->head_taken = r >= 0;
	return r;
}

static int read_records(struct jitdump *dump, struct window *window)
{
	struct prefix prefix;
	int added = 0, r;

	while (window->read_bytes < JITDUMP_READ_MAX && next_record(dump, window, &prefix)) {
		bool whole = prefix.size <= window->file_bytes - dump->offset;

		r = whole ? on_record(dump, window, &prefix) : on_torn(dump, window, &prefix);
		if (r == -ENOMEM)
			reset(dump);
		if (r < 0)
			return r;
		added += r;
		if (!whole)
			break;
		dump->head_taken = false;
		dump->offset += prefix.size;
	}
	return added;
}

int jitdump_update(struct jitdump *dump, int fd)
{
	_cleanup_free_ uint8_t *buffer = NULL;
	struct window window = { .fd = fd };
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	window.file_bytes = (uint64_t)st.st_size;
	if (window.file_bytes == dump->offset)
		return 0;
	buffer = malloc(BUFFER_BYTES);
	if (!buffer)
		return -ENOMEM;
	window.buffer = buffer;
	if (is_rewritten(dump, &window))
		reset(dump);
	if (!dump->offset) {
		r = read_header(dump, &window);
		if (r <= 0)
			return r;
	}
	if (dump->offset > window.file_bytes) /* the header is longer than what there is */
		return 0;
	return read_records(dump, &window);
}

/* ---- questions ---- */

/* The line that executes @offset bytes into @code; NULL: unknown. */
static const struct jitdump_line *find_line(const struct jitdump *dump,
					    const struct jitdump_code *code, uint64_t offset)
{
	size_t low = 0, high = code->line_cnt;

	if (dump->least_line_offset >= JITDUMP_LINE_BIAS)
		offset += JITDUMP_LINE_BIAS;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (code->lines[middle].offset <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &code->lines[low - 1] : NULL;
}

bool jitdump_find(const struct jitdump *dump, uint64_t address, uint64_t time_ns,
		  struct jitdump_symbol *ret)
{
	const struct jitdump_range *range = jitdump_ranges_find(&dump->ranges, address, time_ns);
	const struct jitdump_line *line;

	if (!range)
		return false;
	line = find_line(dump, range->code, address - range->base);
	*ret = (struct jitdump_symbol){
		.name = range->code->name,
		.address = range->base,
		.size = range->code->size,
	};
	if (line) {
		ret->line = line->line;
		if (line->file)
			ret->filename = strtab_get(&dump->files, line->file, NULL);
	}
	return true;
}

void jitdump_trim(struct jitdump *dump, uint64_t before_ns)
{
	jitdump_ranges_trim(&dump->ranges, before_ns);
}

size_t jitdump_cnt(const struct jitdump *dump)
{
	return dump->ranges.range_cnt;
}

size_t jitdump_bytes(const struct jitdump *dump)
{
	return sizeof(*dump) + jitdump_ranges_bytes(&dump->ranges) + strtab_bytes(&dump->files) +
	       (dump->debug ? dump->debug_len : 0);
}

uint64_t jitdump_skipped(const struct jitdump *dump)
{
	return dump->skipped;
}
