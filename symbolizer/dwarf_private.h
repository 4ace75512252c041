/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the rooms of the DWARF reader share: one file's sections (dwarf_file.c), units
 * (dwarf_unit.c), values of attributes (dwarf_form.c).  Nobody else includes this.
 *
 * Cursors into a section end where the piece of it ends that was read: see dwarf_section_at().
 */
#ifndef EBPFPROF_SYMBOLIZER_DWARF_PRIVATE_H
#define EBPFPROF_SYMBOLIZER_DWARF_PRIVATE_H

#include "symbolizer/byte_cursor.h"
#include "symbolizer/dwarf.h"
#include "symbolizer/section.h"

struct strbuf;

/* A section, and the piece of it that was read last. */
struct dwarf_section {
	struct section section;
	struct section_view view;
	uint64_t view_offset;
	size_t piece_bytes; /* read at once */
};

/* Where a unit lies in .debug_info, its header included. */
struct dwarf_unit_span {
	uint32_t offset, size;
};

/* The DWARF sections of one file; the missing ones are empty. */
struct dwarf_file {
	struct dwarf_section info, abbrev, addr, ranges, rnglists, str_offsets;
	struct section str, line, line_str;
	const struct dwarf_unit_span *units; /* [unit_cnt] ascending; see dwarf_file_units() */
	struct dwarf_unit_span *owned_units; /* heap to free, or NULL */
	size_t unit_cnt;
	bool units_known;
};

/* What the sizes of forms depend on. */
struct dwarf_encoding {
	uint8_t version;
	uint8_t address_bytes; /* 4 or 8 */
	uint8_t offset_bytes;  /* 4 or 8: 32- or 64-bit DWARF */
};

struct dwarf_value {
	uint64_t value; /* DW_FORM_string: offset in .debug_info; blocks: 0 */
	uint16_t form;	/* 0 = the entry lacks the attribute */
};

/* The attributes that are read of entries outside of the walks. */
struct dwarf_attributes {
	uint16_t tag;
	struct dwarf_value name, linkage_name, abstract_origin, specification, decl_line;
	struct dwarf_value low_pc, high_pc, ranges, stmt_list, comp_dir, language;
	struct dwarf_value str_offsets_base, addr_base, rnglists_base, ranges_base;
	struct dwarf_value dwo_name, dwo_id;
};

struct dwarf_unit {
	struct dwarf *dwarf;
	struct dwarf_file *file;
	uint64_t offset, end, first_die; /* in .debug_info */
	uint64_t abbrev_offset;
	struct dwarf_encoding encoding;
	uint8_t type; /* DW_UT_*; before DWARF 5 compile, or partial by the root's tag */
	bool has_dwo_id;
	uint64_t dwo_id;
	uint64_t language;
	struct dwarf_attributes root;
	/* Of split units these are partly their skeleton's. */
	struct dwarf_section *addr, *ranges, *rnglists;
	uint64_t addr_base, ranges_base, rnglists_base, rnglists_start;
	uint64_t str_offsets_base;
	uint64_t low_pc;
};

/* ---- dwarf_file.c ---- */

/**
 * dwarf_section_open - as section_open_debug(), but with limits of DWARF's own
 * @room: bytes that the file's compressed sections may still have; NULL: of this one alone
 * Errors: -EFBIG it inflates to more than what compilers write ever does, too.
 */
int dwarf_section_open(struct elf_file *elf, const char *name, uint64_t *room,
		       struct section *ret);

/**
 * dwarf_file_open - @split: the sections named *.dwo; compressed ones have up to @inflated_max
 * bytes together.  Errors: -ENODATA no .debug_info; -EFBIG; -EIO; -ENOMEM.
 */
int dwarf_file_open(struct elf_file *elf, bool split, uint64_t inflated_max,
		    struct dwarf_file *ret);
void dwarf_file_close(struct dwarf_file *file);
size_t dwarf_file_heap_bytes(const struct dwarf_file *file);

/**
 * dwarf_section_at - a cursor at @offset
 * It reaches at least @want bytes far, or to the section's end; valid until the next call for
 * this section.  Errors: as section_read().
 */
int dwarf_section_at(struct dwarf_section *section, uint64_t offset, size_t want,
		     struct byte_cursor *ret);

/** dwarf_section_number - the number of @bytes <= 8 bytes at @offset */
int dwarf_section_number(struct dwarf_section *section, uint64_t offset, unsigned int bytes,
			 uint64_t *ret);

/* ---- dwarf_unit.c ---- */

/** dwarf_unit_header - all but root, language, bases.  -ENOEXEC: unknown, but `end` is right */
int dwarf_unit_header(struct dwarf *dwarf, struct dwarf_file *file, uint64_t offset,
		      struct dwarf_unit *ret);

/** dwarf_unit_open - the unit that starts at @offset, its root entry read */
int dwarf_unit_open(struct dwarf *dwarf, struct dwarf_file *file, uint64_t offset,
		    struct dwarf_unit *ret);

/** dwarf_unit_root - read the root entry of a unit of which the header was read */
int dwarf_unit_root(struct dwarf_unit *unit);

/**
 * dwarf_file_units - have file->units: one walk over the headers, once
 * @visit: called for each unit with its number, only its header being read; may be NULL
 */
int dwarf_file_units(struct dwarf *dwarf, struct dwarf_file *file,
		     int (*visit)(void *context, struct dwarf_unit *unit, uint32_t number),
		     void *context);

/** dwarf_unit_around - the unit whose entries' bytes hold @offset; -ENOEXEC there is none */
int dwarf_unit_around(struct dwarf *dwarf, struct dwarf_file *file, uint64_t offset,
		      struct dwarf_unit *ret);

/** dwarf_entry_read - attributes of the entry at @offset, which must lie in @unit */
int dwarf_entry_read(const struct dwarf_unit *unit, uint64_t offset, struct dwarf_attributes *ret);

/* ---- dwarf.c ---- */

/** dwarf_sup_file - the supplementary file (dwz), or NULL */
struct dwarf_file *dwarf_sup_file(struct dwarf *dwarf);

#endif
