/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Executable files that processes map, each opened and read once for all processes.
 *
 * A file is known by its build-id where the kernel's mmap record carries one, else by (device,
 * inode, mtime).  It is opened when first mapped, because the process that maps it may be gone
 * in 3 ms and the file deleted; its symbols are read when a sample first needs them.  What is
 * kept is bounded twice: open descriptors (FD_MAX; then the least recently used file without
 * symbols is closed and reopened by path on demand) and bytes of symbol tables (the least
 * recently used table is dropped and read again on demand).
 *
 * Reference-counted by mappings; a binary without references stays cached until it is the least
 * recently used and room is wanted (a deleted file goes at once: we alone would keep its blocks).
 * Not thread-safe.
 */
#ifndef EBPFPROF_SYMBOLIZER_BINARY_H
#define EBPFPROF_SYMBOLIZER_BINARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "symbolizer/elf.h"

struct binary;
struct binary_cache;
struct debuginfod;
struct source_frames;
struct symbol;
struct symbol_cache;

/* Where a mapped file is and how to know that what we open is it. */
struct binary_request {
	pid_t tgid;	    /* the process that maps it, or any thread of it; 0 = none */
	uint64_t map_start; /* [map_start, map_end): names its /proc/TGID/map_files link */
	uint64_t map_end;
	const char *path;      /* as the process sees it; " (deleted)" is stripped by the callee */
	uint32_t major, minor; /* device and inode as in the mmap record; all 0 = unknown */
	uint64_t inode;
	struct elf_build_id build_id; /* of the record; len 0 = none there */
};

/**
 * binary_cache_new
 * @proc_root: "/proc" (tests use a tree of their own)
 * @symbol_bytes_max: budget for symbol tables; @fd_max: budget for open files
 */
int binary_cache_new(const char *proc_root, size_t symbol_bytes_max, unsigned int fd_max,
		     struct binary_cache **ret);
void binary_cache_free(struct binary_cache *cache);

/* What names files beyond their symbol tables; borrowed for the life of the cache. */
struct binary_naming {
	struct symbol_cache *cache;    /* on disk; NULL = none */
	struct debuginfod *debuginfod; /* NULL = none */
	const char *debug_dir;	       /* looked in first; NULL = none */
	const char *debug_file;	       /* the debug file of whatever is named; NULL = look for it */
	bool with_lines;	       /* read DWARF: files, lines, inlined functions */
	bool waits;		       /* for debuginfod */
};

/** binary_cache_configure - before the first binary; without it: symbol tables alone */
void binary_cache_configure(struct binary_cache *cache, const struct binary_naming *naming);

/**
 * binary_get - the file of a mapping, opened if it is new
 *
 * Tries /proc/TGID/map_files/START-END, then the path below /proc/TGID/root (openat2
 * RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS), then the path in our own mount namespace; a
 * candidate counts only if its build-id (or device/inode) is the request's, and only if it is a
 * regular file (opened O_NONBLOCK: a FIFO must not hang us).  A file that cannot be opened still
 * gives a binary: its frames are `name+0xoffset`.
 * Returns a reference, to be given back with binary_put(); NULL only when memory is out.
 */
struct binary *binary_get(struct binary_cache *cache, const struct binary_request *request);

/** binary_get_vdso - this kernel's vdso, read from our own memory; NULL when there is none */
struct binary *binary_get_vdso(struct binary_cache *cache);

/** binary_of_id - the binary whose binary_id() is @id, or NULL: it was forgotten */
const struct binary *binary_of_id(const struct binary_cache *cache, uint64_t id);

struct binary *binary_ref(struct binary *binary);
void binary_put(struct binary *binary);

/** binary_id - unique for the life of the cache, never reused */
uint64_t binary_id(const struct binary *binary);
const char *binary_path(const struct binary *binary); /* as the process sees it */
const char *binary_basename(const struct binary *binary);
const char *binary_build_id(const struct binary *binary); /* hex, "" if none */

/**
 * binary_segment - the PT_LOAD that holds file offset @offset, as an exported mapping
 * @ret_start, @ret_limit: page-floored p_vaddr and its end; @ret_offset: page-floored p_offset
 * @ret_address: ELF virtual address of @offset
 *
 * For a file that could not be read: addresses are file offsets, in one segment; returns false.
 */
bool binary_segment(struct binary *binary, uint64_t offset, uint64_t *ret_start,
		    uint64_t *ret_limit, uint64_t *ret_offset, uint64_t *ret_address);

/** binary_segment_of_address - the same by ELF virtual address; false: no segment holds it */
bool binary_segment_of_address(const struct binary *binary, uint64_t address, uint64_t *ret_start,
			       uint64_t *ret_limit, uint64_t *ret_offset);

/**
 * binary_find_symbol - the function that covers ELF virtual address @address
 * @ret: name owned by the binary, valid until the next call that may evict (any binary_* call)
 *
 * Reads the symbol table if need be.  False: no symbol there.
 */
bool binary_find_symbol(struct binary *binary, uint64_t address, struct symbol *ret);

/**
 * binary_find - what stands at ELF virtual address @address in the source
 * @ret: cleared, then filled, innermost function first; the outermost has the symbol table's name
 *
 * False: nothing names the address.
 */
bool binary_find(struct binary *binary, uint64_t address, struct source_frames *ret);

/** binary_find_source - the same by its DWARF or Go tables alone: names may be missing */
bool binary_find_source(struct binary *binary, uint64_t address, struct source_frames *ret);

/** binary_generation - rises when debuginfod's file has arrived: all can be named anew */
uint32_t binary_generation(struct binary *binary);
bool binary_awaits_names(const struct binary *binary); /* it may yet arrive */

/** binary_is_opened - it could be opened, when it was first mapped or later */
bool binary_is_opened(const struct binary *binary);

/** binary_error - 0, or why it cannot be read: as binary_open() and elf_file_open() */
int binary_error(const struct binary *binary);

/** binary_is_elf - it was opened and is an ELF file (of whatever machine) */
bool binary_is_elf(const struct binary *binary);

/** binary_symbol_source - "symtab", "none", "not read", "unreadable: why": where names come from */
const char *binary_symbol_source(const struct binary *binary);

/** binary_sources - the same as enum name_source flags (debug_info.h); 0 = none, or not read */
unsigned int binary_sources(const struct binary *binary);

unsigned int binary_cache_open_files(const struct binary_cache *cache);
size_t binary_cache_bytes(const struct binary_cache *cache);

#endif
