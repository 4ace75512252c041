/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parts of the reader of call frame information share: ehframe.c (entries),
 * ehframe_pointer.c (encoded pointers), ehframe_cfa.c (instructions), ehframe_expression.c.
 */
#ifndef EBPFPROF_SYMBOLIZER_EHFRAME_PRIVATE_H
#define EBPFPROF_SYMBOLIZER_EHFRAME_PRIVATE_H

#include "symbolizer/byte_cursor.h"
#include "symbolizer/ehframe.h"

/* System V ABI, AMD64, figure 3.36 */
enum {
	REGISTER_BX = 3,
	REGISTER_FP = 6,
	REGISTER_SP = 7,
	REGISTER_RETURN = 16, /* also the program counter */
};

/* LSB 5.0, "DWARF Exception Header Encoding" */
enum {
	DW_EH_PE_absptr = 0x00,
	DW_EH_PE_uleb128 = 0x01,
	DW_EH_PE_udata2 = 0x02,
	DW_EH_PE_udata4 = 0x03,
	DW_EH_PE_udata8 = 0x04,
	DW_EH_PE_sleb128 = 0x09,
	DW_EH_PE_sdata2 = 0x0a,
	DW_EH_PE_sdata4 = 0x0b,
	DW_EH_PE_sdata8 = 0x0c,
	DW_EH_PE_format = 0x0f, /* mask */
	DW_EH_PE_pcrel = 0x10,
	DW_EH_PE_datarel = 0x30,
	DW_EH_PE_aligned = 0x50,
	DW_EH_PE_base = 0x70, /* mask */
	DW_EH_PE_indirect = 0x80,
	DW_EH_PE_omit = 0xff,
};

/* ---- expressions ---- */

/* What an expression computes, as far as unwinding needs it. */
enum frame_value_kind {
	VALUE_NONE,	/* nothing was said */
	VALUE_UNKNOWN,	/* in a way that we do not follow */
	VALUE_CONSTANT, /* offset */
	VALUE_REGISTER, /* reg + offset */
	VALUE_CFA,	/* CFA + offset */
	VALUE_MEMORY,	/* *(reg + offset) + add */
	VALUE_PLT,	/* sp + 8, and 8 more when (pc & 15) >= offset */
};

struct frame_value {
	uint8_t kind; /* enum frame_value_kind */
	uint8_t reg;
	int64_t offset, add;
};

/** frame_value_of - @with_cfa: the CFA is on the stack when the expression begins */
struct frame_value frame_value_of(const uint8_t *expression, size_t size, bool with_cfa);

/* ---- state ---- */

enum register_place {
	PLACE_UNSET, /* nothing was said; System V ABI: rbp and rbx are kept, sp is the CFA */
	PLACE_SAME,
	PLACE_UNDEFINED,
	PLACE_AT_CFA,	   /* saved at CFA + offset */
	PLACE_AT_REGISTER, /* saved at reg + offset */
	PLACE_IS_CFA,	   /* it is CFA + offset */
	PLACE_REGISTER,	   /* it is in reg */
	PLACE_OTHER,
};

struct register_state {
	uint8_t place; /* enum register_place */
	uint8_t reg;
	int64_t offset;
};

/* One row of the table that section 6.4.1 speaks of, its columns that we need. */
struct cfa_state {
	struct frame_value cfa;
	struct register_state fp, bx, sp, return_address;
};

struct ehframe_cie {
	uint32_t offset; /* in the section */
	bool broken;
	bool has_data; /* augmentation data: 'z' */
	uint8_t encoding;
	uint64_t code_alignment;
	int64_t data_alignment;
	struct cfa_state initial;
};

struct ehframe_function {
	uint64_t start, end;
	uint32_t offset; /* of its entry in the section */
	uint32_t cie;	 /* index */
};

struct ehframe {
	struct ehframe_section section;
	struct ehframe_cie *cies; /* [cie_cnt], by ascending offset */
	size_t cie_cnt, cie_room;
	struct ehframe_function *functions; /* [function_cnt] */
	size_t function_cnt;
	bool track_bx, met_bx;
	struct ehframe_counts opened, counts; /* of opening; of that and what was emitted */
};

/** cfa_run_initial - the state after a CIE's @instructions; false: they are broken */
bool cfa_run_initial(struct ehframe_cie *cie, struct byte_cursor instructions);

/** cfa_run_function - the rows of a function of which frame_builder_begin() was called */
int cfa_run_function(struct ehframe *frames, const struct ehframe_cie *cie,
		     const struct ehframe_function *function, struct byte_cursor instructions,
		     struct frame_builder *builder);

/**
 * read_pointer - as ehframe_read_pointer()
 * @start: of the section, at @address; @ret_is_null: it is the encoding of no pointer
 */
bool read_pointer(struct byte_cursor *cursor, const uint8_t *start, uint64_t address,
		  uint8_t encoding, uint64_t *ret, bool *ret_is_null);

/** skip_pointer - move behind one, whatever it is relative to; false: no form that is known */
bool skip_pointer(struct byte_cursor *cursor, const uint8_t *start, uint64_t address,
		  uint8_t encoding);

#endif
