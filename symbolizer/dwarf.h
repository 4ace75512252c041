/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DWARF 2 to 5 of one file: address -> functions, inlined callers, files and lines.
 *
 * Opening makes (or is given, from the cache) the range index: which unit covers which
 * addresses, from the units' root entries; no .debug_aranges is needed.  A look-up parses the
 * unit that covers the address, once, into two compact tables (lines; functions and inlined
 * calls), which are items of the symbol memory and can be dropped and made again.
 * Names are read from the entries when asked for: abstract origins and specifications are
 * followed, across units and into the supplementary file (dwz).
 *
 * Every byte is hostile: recursion, chains of references and work per look-up are bounded.
 * Not thread-safe.
 */
#ifndef EBPFPROF_SYMBOLIZER_DWARF_H
#define EBPFPROF_SYMBOLIZER_DWARF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dwarf;
struct elf_file;
struct source_frames;
struct symbol_memory;

struct dwarf_config {
	struct elf_file *elf; /* with .debug_info; borrowed until dwarf_close() */
	struct elf_file *sup; /* supplementary file (.gnu_debugaltlink), NULL = none; borrowed */
	struct elf_file *package; /* .dwp, NULL = none; borrowed */
	/*
	 * Opens the file of a split unit (.dwo); *ret is then owned by the dwarf, which gives it
	 * back by close_split().  NULL: split units give lines only.  Errors: -ENOENT and others.
	 */
	int (*open_split)(void *context, const char *comp_dir, const char *name,
			  struct elf_file **ret);
	void (*close_split)(void *context, struct elf_file *elf);
	void *context;
	struct symbol_memory *memory; /* compressed sections may have 8 times its budget */
	const void *index; /* what dwarf_index() gave for this file, or NULL: make it */
	size_t index_bytes; /* borrowed until dwarf_close() */
};

/**
 * dwarf_open
 * Errors: -ENODATA no .debug_info; -ENOEXEC broken; -EFBIG too large, packed or not; -EIO;
 * -ENOMEM.
 * An index that does not fit the file is ignored and made anew.
 */
int dwarf_open(const struct dwarf_config *config, struct dwarf **ret);
void dwarf_close(struct dwarf *dwarf);

/**
 * dwarf_find - append the frames of ELF virtual address @address, innermost first
 *
 * An address with a line but without a function appends one frame whose name is "".
 * False: nothing is known there; @frames is unchanged.
 */
bool dwarf_find(struct dwarf *dwarf, uint64_t address, struct source_frames *frames);

/** dwarf_index - the range index as flat bytes of no pointers, for the cache; owned by @dwarf */
const void *dwarf_index(const struct dwarf *dwarf, size_t *ret_bytes);

/** dwarf_heap_bytes - held by @dwarf outside of its items in the symbol memory */
size_t dwarf_heap_bytes(const struct dwarf *dwarf);

#endif
