/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What names the addresses of one program beyond its own symbol table: its separate debug file,
 * .gnu_debugdata, Go's tables, DWARF.
 *
 * Opened when the first address of the program is named: the files are looked for and their
 * headers read.  DWARF's index is made when the first address is asked for.  What is held is an
 * item of the symbol memory; a dropped one is opened again on demand.
 */
#ifndef EBPFPROF_SYMBOLIZER_DEBUG_INFO_H
#define EBPFPROF_SYMBOLIZER_DEBUG_INFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "symbolizer/debug_files.h"
#include "symbolizer/elf.h"
#include "symbolizer/symbol_memory.h"

struct debug_info;
struct debuginfod;
struct source_frames;
struct symbol_cache;

/* Shared by all programs of one symbolizer. */
struct debug_host {
	struct symbol_memory memory;
	struct symbol_cache *cache;    /* NULL = none */
	struct debuginfod *debuginfod; /* NULL = none */
	const char *debug_dir;	       /* NULL = none */
	const char *debug_file;	       /* taken for every program's; NULL = look for them */
	bool with_lines;	       /* false: names of symbol tables and Go's tables only */
	bool waits;		       /* for debuginfod */
	unsigned int open_cnt;
};

/* Where names came from, as flags. */
enum name_source {
	NAMES_SYMTAB = 1u << 0,	    /* of the program itself */
	NAMES_DYNSYM = 1u << 1,	    /* what it exports, and no more */
	NAMES_DEBUG_FILE = 1u << 2,
	NAMES_MINI_DEBUG = 1u << 3, /* .gnu_debugdata */
	NAMES_GOPCLNTAB = 1u << 4,
	NAMES_DWARF = 1u << 5,
	NAMES_DEBUGINFOD = 1u << 6, /* the debug file came from there */
	NAMES_DWARF_LARGE = 1u << 7, /* so none of it is read */
};

/**
 * debug_info_open - find and open the files
 * @fd: the program, open; duplicated.  -1: @image
 * @image: [image_bytes] the program in memory; no other files are looked for; borrowed
 * @on_drop: called when the symbol memory drops it: it is gone then
 * Errors: those of elf_file_open(); -EMFILE; -ENOMEM.
 */
int debug_info_open(struct debug_host *host, const struct debug_search *search, int fd,
		    void *image, size_t image_bytes, void (*on_drop)(void *context),
		    void *context, struct debug_info **ret);
void debug_info_close(struct debug_info *info);

/**
 * debug_info_symbol_files - the files whose symbol tables name the program, itself first
 * Returns how many; they are valid as long as @info is.
 */
#define DEBUG_INFO_FILES 3
size_t debug_info_symbol_files(struct debug_info *info, struct elf_file *ret[DEBUG_INFO_FILES]);

/** debug_info_pin - while @pinned the symbol memory drops other things only */
void debug_info_pin(struct debug_info *info, bool pinned);

/**
 * debug_info_cache_id - under what the cache knows the program; it has no bytes: it must not
 * The build-id, or of files that have none the device and inode.
 */
const struct elf_build_id *debug_info_cache_id(const struct debug_info *info);

/** debug_info_stamp - changes when other files would give the names; see symbol_cache.h */
uint64_t debug_info_stamp(const struct debug_info *info);

/**
 * debug_info_find - append the frames of @address, innermost first
 * @ret_complete: the names are final (Go's tables), not to be bettered by a symbol table
 * False: nothing is known there.
 */
bool debug_info_find(struct debug_info *info, uint64_t address, struct source_frames *frames,
		     bool *ret_complete);

/** debug_info_is_awaited - debuginfod was asked for the debug file and has not answered yet */
bool debug_info_is_awaited(const struct debug_info *info);

/** debug_info_arrived - debuginfod has the debug file now: close and open anew to use it */
bool debug_info_arrived(struct debug_info *info, uint64_t now_ns);

/** debug_info_sources - enum name_source flags of what is there, symbol tables apart */
unsigned int debug_info_sources(const struct debug_info *info);

#endif
