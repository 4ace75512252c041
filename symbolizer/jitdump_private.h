/* SPDX-License-Identifier: BSD-2-Clause */
/* The rooms of jitdump: records (jitdump.c), lines (jitdump_line.c), ranges (jitdump_code.c). */
#ifndef EBPFPROF_SYMBOLIZER_JITDUMP_PRIVATE_H
#define EBPFPROF_SYMBOLIZER_JITDUMP_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct strtab;

/* From @offset of the code on, up to the next one's. */
struct jitdump_line {
	uint32_t offset;
	uint32_t line;
	uint32_t file; /* in the table of files; 0 = unknown */
};

/* A JIT_CODE_DEBUG_INFO record. */
struct jitdump_debug {
	uint64_t address;
	uint64_t cnt;		/* entries, as it says */
	const uint8_t *entries; /* [len] */
	size_t len;
};

/* How V8 and LLVM shift the addresses of lines; see jitdump_line.c. */
#define JITDUMP_LINE_BIAS 0x40

/**
 * jitdump_read_lines - the lines of the code of @size bytes at debug->address, by offset
 * @files: file names are added here
 * @ret: heap, [@ret_cnt]; NULL when there are none that can be believed
 *
 * Errors: -ENOMEM.
 */
int jitdump_read_lines(const struct jitdump_debug *debug, uint32_t size, struct strtab *files,
		       struct jitdump_line **ret, size_t *ret_cnt);

/* ---- ranges ---- */

/* A piece of code, shared by the ranges that show it. */
struct jitdump_code {
	uint32_t refs, size;
	uint32_t line_cnt;
	const char *name;	     /* behind the lines */
	struct jitdump_line lines[]; /* [line_cnt], by offset */
};

struct jitdump_range {
	uint64_t start, end; /* what is to be seen of the code */
	uint64_t base;	     /* where its first byte is */
	uint64_t born_ns;
	struct jitdump_code *code; /* reference held */
};

struct jitdump_past {
	struct jitdump_range range;
	uint64_t died_ns;
};

#define JITDUMP_CHUNK_RANGES 128

struct jitdump_chunk {
	size_t cnt; /* > 0 */
	struct jitdump_range ranges[JITDUMP_CHUNK_RANGES];
};

/* Disjoint ranges in ascending order, and what they have covered. */
struct jitdump_ranges {
	struct jitdump_chunk **chunks; /* [chunk_cnt] */
	size_t chunk_cnt, chunk_capacity;
	struct jitdump_chunk *spare[2]; /* for the next lay, which must not fail half done */
	struct jitdump_past *past;	/* a ring */
	size_t past_first, past_cnt, past_capacity;
	size_t range_cnt;
	size_t code_bytes;
};

/** jitdump_code_new - with one reference; NULL when memory is out */
struct jitdump_code *jitdump_code_new(struct jitdump_ranges *ranges, const char *name,
				      size_t name_len, uint32_t size,
				      const struct jitdump_line *lines, size_t line_cnt);
void jitdump_code_unref(struct jitdump_ranges *ranges, struct jitdump_code *code);

/**
 * jitdump_ranges_lay - lay all of @code at @address over what is there
 *
 * Takes a reference of its own.  After -ENOMEM some of what would be covered may be gone.
 */
int jitdump_ranges_lay(struct jitdump_ranges *ranges, struct jitdump_code *code, uint64_t address,
		       uint64_t born_ns);

/** jitdump_ranges_cover - the same with code of which nothing is known */
int jitdump_ranges_cover(struct jitdump_ranges *ranges, uint64_t start, uint64_t end,
			 uint64_t time_ns);

/** jitdump_ranges_find - what was at @address at @time_ns, or NULL */
const struct jitdump_range *jitdump_ranges_find(const struct jitdump_ranges *ranges,
						uint64_t address, uint64_t time_ns);

void jitdump_ranges_trim(struct jitdump_ranges *ranges, uint64_t before_ns);
void jitdump_ranges_free(struct jitdump_ranges *ranges); /* empty and usable again */
size_t jitdump_ranges_bytes(const struct jitdump_ranges *ranges);

#endif
