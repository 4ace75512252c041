/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Call frame information: .eh_frame and .debug_frame of x86-64, as functions of which each gives
 * its rows to a frame_builder.
 * Source: DWARF 5 section 6.4; LSB 5.0 "Exception Frames" (.eh_frame's differences, augmentations,
 * pointer encodings); System V ABI, AMD64, section 3.7 (numbers of registers).
 *
 * Every byte is hostile.  An entry costs time in proportion to its own bytes, and entries do not
 * overlap, so that the whole costs time in proportion to the section.  What is broken is left out
 * and counted.
 */
#ifndef EBPFPROF_SYMBOLIZER_EHFRAME_H
#define EBPFPROF_SYMBOLIZER_EHFRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_segment;
struct frame_builder;
struct ehframe;

#define EHFRAME_BYTES_MAX (256u << 20)	 /* of a section */
#define EHFRAME_FUNCTIONS_MAX (4u << 20) /* a section with more is refused */
#define EHFRAME_CIES_MAX (256u << 10)	 /* functions of further ones are left out */

enum ehframe_form {
	EHFRAME_EH,    /* .eh_frame */
	EHFRAME_DEBUG, /* .debug_frame */
};

/* What to read. All is borrowed until ehframe_close(). */
struct ehframe_section {
	enum ehframe_form form;
	const uint8_t *bytes;
	size_t size;
	uint64_t address;	 /* ELF virtual address of bytes[0] */
	bool ends_at_terminator; /* its size is not known: an entry of length 0 is its end */
	/* Functions that begin in none of these that are executable are left out. */
	const struct elf_segment *segments;
	size_t segment_cnt;
};

struct ehframe_counts {
	uint32_t corrupt;     /* functions that contradict themselves or the format */
	uint32_t discarded;   /* functions that the linker has thrown away */
	uint32_t overlapping; /* functions that begin where another one does */
	/* Rows that are told in a way that we do not follow: */
	uint32_t expression_cfa, expression_return_address, expression_register;
};

/** ehframe_open - Errors: -EFBIG; -ENOMEM.  A section in which nothing is whole has 0 functions. */
int ehframe_open(const struct ehframe_section *section, struct ehframe **ret);
void ehframe_close(struct ehframe *frames);
void ehframe_closep(struct ehframe **frames);

/** ehframe_cnt - functions, in ascending order of their addresses, none overlapping another */
size_t ehframe_cnt(const struct ehframe *frames);

/** ehframe_range - [@ret_start, @ret_end) of function @index < ehframe_cnt() */
void ehframe_range(const struct ehframe *frames, size_t index, uint64_t *ret_start,
		   uint64_t *ret_end);

/**
 * ehframe_emit - frame_builder_begin() and its rows for function @index
 * Where its instructions are broken, FRAME_CORRUPT holds from there to its end.
 * Errors: of the builder.
 */
int ehframe_emit(struct ehframe *frames, size_t index, struct frame_builder *builder);

/**
 * ehframe_track_bx - from now on rules say where the caller's rbx is
 *
 * Few files need it, those with frames based on rbx, and it multiplies the rules of all others.
 * ehframe_met_bx() tells whether what was emitted had such a frame.
 */
void ehframe_track_bx(struct ehframe *frames);
bool ehframe_met_bx(const struct ehframe *frames);

/** ehframe_counts - of opening and of all that was emitted; starts anew with ehframe_track_bx() */
void ehframe_counts(const struct ehframe *frames, struct ehframe_counts *ret);

/**
 * ehframe_read_pointer - a pointer as exception frames encode it (DW_EH_PE_*)
 * @at, @ret_at: offset in @bytes of the pointer, and of what follows it
 * @address: ELF virtual address of bytes[0]; also what data-relative ones (in .eh_frame_hdr) add to
 * False: cut short, indirect, or of a form that x86-64 does not use.
 */
bool ehframe_read_pointer(const uint8_t *bytes, size_t size, size_t at, uint64_t address,
			  uint8_t encoding, uint64_t *ret, size_t *ret_at);

#endif
