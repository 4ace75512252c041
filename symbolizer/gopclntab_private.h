/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parts of the reader of Go's tables share: gopclntab.c (look-ups), gopclntab_locate.c
 * (where the table and its module are), gopclntab_read.c (bytes, strings and pc-values of the
 * file), and frame_go.c, which reads the same tables for their frames.  Nobody else includes this,
 * tests aside.
 */
#ifndef EBPFPROF_SYMBOLIZER_GOPCLNTAB_PRIVATE_H
#define EBPFPROF_SYMBOLIZER_GOPCLNTAB_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "profiler/base/strbuf.h"

struct elf_file;
struct gopclntab;

#define GO_FUNCTIONS_MAX (4u << 20)	 /* hugo, a large program, has 44 thousand */
#define GO_NAME_MAX 65536		 /* names are cut there */
#define GO_SCAN_BYTES_MAX (512ull << 20) /* read at most while table and module are sought */
#define GO_PC_STEPS_MAX (1u << 22)	 /* pc-values stepped over in one look-up */

#define GO_HEADER_BYTES 72	 /* runtime.pcHeader */
#define GO_MAGIC_118 0xfffffff0u /* Go 1.18 and 1.19 */
#define GO_MAGIC_120 0xfffffff1u /* Go 1.20 and newer */

#if defined(__x86_64__)
#define GO_PC_QUANTUM 1 /* bytes that a step of one in a pc-value table means */
#else
#define GO_PC_QUANTUM 4
#endif

#define GO_BLOCK_BYTES 1024
#define GO_BLOCK_CNT 64

/* Bytes [offset, offset + bytes) of the file, all of them there. */
struct go_range {
	uint64_t offset, bytes;
};

/* An entry of runtime.functab. */
struct go_entry {
	uint32_t offset;   /* of the function's first byte, from `text` */
	uint32_t function; /* of its runtime._func, in `functions` */
};

_Static_assert(sizeof(struct go_entry) == 8, "the layout of the file");

/* Recently read parts of the file; block N can only be in slot N % GO_BLOCK_CNT. */
struct go_blocks {
	uint64_t numbers[GO_BLOCK_CNT]; /* plus one; 0 = the slot is empty */
	uint32_t lens[GO_BLOCK_CNT];	/* less than GO_BLOCK_BYTES at the end of the file */
	uint8_t bytes[GO_BLOCK_CNT][GO_BLOCK_BYTES];
};

struct gopclntab {
	struct elf_file *elf;
	uint64_t offset, address; /* of runtime.pcHeader in the file and in memory */
	bool old;		  /* the layouts of Go 1.18 and 1.19 */
	size_t cnt;
	uint64_t header_text;  /* what the header says of `text`; 0 from Go 1.26 on, and in PIE */
	struct go_range names; /* runtime.funcnametab */
	struct go_range filename_offsets; /* runtime.cutab */
	struct go_range filenames;	  /* runtime.filetab */
	struct go_range pc_values;	  /* runtime.pctab */
	struct go_range functions;   /* runtime.functab: the entries, then each runtime._func */
	struct go_range inline_data; /* from go:func.* on; no bytes: not found */
	uint64_t text;		     /* address that the offsets of functions count from */
	uint64_t scan_left;	     /* of GO_SCAN_BYTES_MAX */
	unsigned int candidates_left;
	uint32_t steps_left;	  /* of GO_PC_STEPS_MAX */
	struct go_entry *entries; /* [cnt + 1], the last one only the end of the code */
	struct go_blocks *blocks;
	struct strbuf scratch; /* one text on its way to the caller */
};

/* What we want to know of a runtime._func. */
struct go_function {
	uint32_t offset;     /* from `text` */
	uint32_t size;	     /* up to the next function */
	uint32_t name;	     /* in `names` */
	uint32_t files;	     /* pc-values: indexes of file names */
	uint32_t lines;	     /* pc-values */
	uint32_t inlines;    /* pc-values: indexes into the inline tree; 0 = none */
	uint32_t tree;	     /* the inline tree in `inline_data`; UINT32_MAX = none */
	uint32_t first_file; /* where its compilation unit begins in `filename_offsets` */
	uint32_t start_line; /* 0 = unknown */
};

/* runtime.inlinedCall. */
struct go_call {
	uint32_t name;	     /* of the function that was inlined, in `names` */
	uint32_t parent;     /* offset in the function of an instruction of the caller's */
	uint32_t start_line; /* 0 = unknown */
};

/* ---- gopclntab_read.c ---- */

/** go_read - @len bytes at @at of @range; false beyond its end, or when reading fails */
bool go_read(struct gopclntab *table, struct go_range range, uint64_t at, void *bytes, size_t len);

/** go_read_string - append the string at @at of @range, up to GO_NAME_MAX of it */
bool go_read_string(struct gopclntab *table, struct go_range range, uint64_t at,
		    struct strbuf *text);

/**
 * go_pc_value - the value that the pc-values at @start have at @target
 * @target: bytes from the function's start
 * -1: there is none (as the runtime has it), or the table is broken.
 */
int32_t go_pc_value(struct gopclntab *table, uint32_t start, uint64_t target);

/** go_read_function - the function of entry @index; false when it is broken */
bool go_read_function(struct gopclntab *table, size_t index, struct go_function *ret);

/** go_read_call - entry @index of the inline tree of @function, in @inline_data */
bool go_read_call(struct gopclntab *table, struct go_range inline_data,
		  const struct go_function *function, int32_t index, struct go_call *ret);

/* ---- gopclntab_locate.c, gopclntab_module.c ---- */

/** go_locate_table - fill in what the header says.  Errors as gopclntab_open() */
int go_locate_table(struct gopclntab *table);

/**
 * go_locate_module - fill in `text` and `inline_data`; needs the entries
 * Errors: -ENOTSUP the address of the code is not known; -EIO; -ENOMEM.
 */
int go_locate_module(struct gopclntab *table);

/**
 * go_scan - visit the aligned words W of the file's segments for which (W & @mask) == @word
 * @visit: returns 0 to go on
 * Returns what @visit did; 0 at the end; -ENOEXEC the file became shorter; -EIO; -ENOMEM.
 */
int go_scan(struct gopclntab *table, uint64_t word, uint64_t mask,
	    int (*visit)(struct gopclntab *table, uint64_t address));

/** go_range_at - the bytes of the file from @address up to the end of its segment */
bool go_range_at(const struct elf_file *elf, uint64_t address, struct go_range *ret);

#endif
