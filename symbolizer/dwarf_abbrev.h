/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Abbreviation tables (DWARF 5 section 7.5.3) made ready for walking over entries: for each
 * declaration, how to step over an entry of it and which of its values to pick up on the way.
 */
#ifndef EBPFPROF_SYMBOLIZER_DWARF_ABBREV_H
#define EBPFPROF_SYMBOLIZER_DWARF_ABBREV_H

#include "symbolizer/dwarf_private.h"

/* What walks over entries may want, by tag. */
enum dwarf_kind {
	DWARF_PLAIN,	/* of no interest, but what lies below it may be */
	DWARF_OPAQUE,	/* nothing below it is either */
	DWARF_TYPE,	/* a scope; opaque in C, where types hold no functions */
	DWARF_SCOPE,	/* namespace, module */
	DWARF_FUNCTION, /* with code of its own */
	DWARF_ABSTRACT, /* a function without: declared, or only inlined */
	DWARF_INLINED,	/* a place where a function was inlined */
};

/* Values that walks pick up. */
enum dwarf_slot {
	DWARF_LOW_PC,
	DWARF_HIGH_PC,
	DWARF_RANGES,
	DWARF_ORIGIN, /* DW_AT_abstract_origin */
	DWARF_CALL_FILE,
	DWARF_CALL_LINE,
	DWARF_SIBLING,
	DWARF_SLOT_CNT,
	DWARF_NO_SLOT = DWARF_SLOT_CNT,
};

enum dwarf_step_kind {
	DWARF_STEP_SKIP,  /* `number` bytes */
	DWARF_STEP_READ,  /* a value of `number` <= 8 bytes into the slot */
	DWARF_STEP_CONST, /* `number` is the value */
	DWARF_STEP_ULEB,
	DWARF_STEP_BLOCK, /* its length as ULEB */
	DWARF_STEP_FORM,  /* anything else: dwarf_form_read() */
};

struct dwarf_step {
	uint8_t kind;
	uint8_t slot;
	uint16_t form;
	uint32_t number;
};

#define DWARF_NOT_FIXED UINT16_MAX

struct dwarf_declaration {
	uint32_t attributes; /* offset of its attributes in abbrevs->raw */
	uint32_t code;
	uint32_t steps; /* first one in abbrevs->steps */
	uint16_t step_cnt;
	uint16_t fixed_bytes; /* of an entry behind its code, when nothing is picked up */
	uint16_t tag;
	uint8_t kind;
	uint8_t slots : 7; /* bit set of enum dwarf_slot: those which the steps fill */
	uint8_t children : 1;
};

struct dwarf_abbrevs {
	struct dwarf_file *file; /* with offset and encoding: what it was made of */
	uint64_t offset;
	struct dwarf_encoding encoding;
	struct dwarf_declaration *declarations; /* [cnt], by code */
	struct dwarf_step *steps;
	size_t cnt, capacity, step_cnt, step_capacity;
	uint8_t *raw; /* [raw_bytes] the table as it stands in the file */
	size_t raw_bytes;
	bool dense; /* code of declarations[i] is i + 1 */
};

/** dwarf_abbrevs_load - -ENOEXEC broken, or without an end; -EFBIG; -EIO; -ENOMEM */
int dwarf_abbrevs_load(const struct dwarf_unit *unit, struct dwarf_abbrevs **ret);
void dwarf_abbrevs_free(struct dwarf_abbrevs *abbrevs);
size_t dwarf_abbrevs_bytes(const struct dwarf_abbrevs *abbrevs);

/** dwarf_abbrevs_search - the declaration of @code, or NULL, where the table is not dense */
const struct dwarf_declaration *dwarf_abbrevs_search(const struct dwarf_abbrevs *abbrevs,
						     uint64_t code);

static inline const struct dwarf_declaration *
dwarf_abbrevs_find(const struct dwarf_abbrevs *abbrevs, uint64_t code)
{
	if (!abbrevs->dense)
		return dwarf_abbrevs_search(abbrevs, code);
	return code - 1 < abbrevs->cnt ? &abbrevs->declarations[code - 1] : NULL;
}

/**
 * dwarf_abbrevs_of - the table of @unit, from a few that are kept
 * Valid until the next call.  Errors: as dwarf_abbrevs_load().
 */
int dwarf_abbrevs_of(const struct dwarf_unit *unit, const struct dwarf_abbrevs **ret);

/** dwarf_abbrevs_kept - the same if it is there, else NULL */
const struct dwarf_abbrevs *dwarf_abbrevs_kept(const struct dwarf_unit *unit);

/**
 * dwarf_declaration_find - look for one declaration without making a table
 * @ret: a cursor at its attributes; valid until the file's .debug_abbrev is read again
 * Errors: -E2BIG it does not stand near the table's beginning: a table is worth its cost; those
 * of dwarf_abbrevs_load().
 */
int dwarf_declaration_find(const struct dwarf_unit *unit, uint64_t code, uint16_t *ret_tag,
			   struct byte_cursor *ret);

/**
 * dwarf_attributes_read - read the values at @entry as the declaration's @attributes say
 * @offset: where @entry stands in .debug_info
 */
void dwarf_attributes_read(const struct dwarf_unit *unit, struct byte_cursor *attributes,
			   struct byte_cursor *entry, uint64_t offset,
			   struct dwarf_attributes *ret);

#endif
