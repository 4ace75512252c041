/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parts of binary.h share: binary_cache.c (which file is it, and what is kept of it),
 * binary.c (what it says).  Nobody else includes this.
 */
#ifndef EBPFPROF_SYMBOLIZER_BINARY_PRIVATE_H
#define EBPFPROF_SYMBOLIZER_BINARY_PRIVATE_H

#include <sys/queue.h>

#include "profiler/base/hashmap.h"
#include "symbolizer/binary.h"
#include "symbolizer/binary_open.h"
#include "symbolizer/debug_info.h"
#include "symbolizer/symbol_cache.h"

struct debug_info;
struct symtab;

struct file_key {
	uint64_t kind;
	uint64_t words[4];
};

struct binary {
	struct binary_cache *cache;
	uint64_t id;
	unsigned int refs;
	bool opened;	  /* it could be opened once: headers are known */
	int open_error;	  /* of the first try, when it could not be opened */
	bool unreachable; /* opening it again failed; waits for the next binary_get() */
	struct binary_file file;
	struct elf_build_id build_id; /* the file's, or as long as it is not opened the record's */
	struct symtab *symtab;	      /* NULL = not loaded */
	struct symbol_memory_item symbols; /* counts it, while it is loaded */
	struct symbol_cache_entry symbols_entry; /* what it borrows; no payload = nothing */
	struct debug_info *debug; /* NULL = not opened */
	unsigned int sources;	  /* enum name_source flags, once symbols were loaded */
	uint32_t generation;	  /* of what names it: rises when a better source arrives */
	void *image; /* the vdso's, heap, [image_bytes]; else NULL */
	size_t image_bytes;
	struct binary_request last; /* who mapped it last; its path is ours */
	struct file_key *keys;	    /* heap, [key_cnt] */
	size_t key_cnt;
	TAILQ_ENTRY(binary) all, idle, open;
	char source[64];
	char build_id_text[2 * ELF_BUILD_ID_MAX + 1];
	char path[];
};

TAILQ_HEAD(binary_queue, binary);

struct binary_cache {
	char *proc_root;
	struct debug_host host;
	unsigned int fd_max, open_cnt, idle_cnt;
	uint64_t last_id;
	struct hashmap by_key;		     /* struct file_key -> struct binary * */
	struct hashmap by_id; /* uint64_t binary_id() -> struct binary * */
	struct binary_queue all, idle, open; /* the last two: least recently used first */
	struct binary *vdso;
	bool vdso_tried;
};

/** binary_create - a binary without file, names and references */
struct binary *binary_create(struct binary_cache *cache, const char *path);
void binary_destroy(struct binary *binary);

/** binary_adopt_file - take over @file, which is this binary's, unless a file is open already */
void binary_adopt_file(struct binary *binary, struct binary_file *file);

/** binary_is_same_file - by stat(2), or by build-id and segments */
bool binary_is_same_file(const struct binary_file *a, const struct binary_file *b);

/** binary_ensure_open - its file has a descriptor; -ENOEXEC it has none that we read; -errno */
int binary_ensure_open(struct binary *binary);

/** binary_keep_symbols - take over @symtab, at the cost of the least recently used ones */
void binary_keep_symbols(struct binary *binary, struct symtab *symtab);

/** binary_drop_symbols - forget its symbols, which must be there */
void binary_drop_symbols(struct binary *binary);

/** binary_drop_names - forget its symbols and debug information */
void binary_drop_names(struct binary *binary);

void binary_set_build_id(struct binary *binary, const struct elf_build_id *id);
void binary_set_source(struct binary *binary, const char *source);
void binary_set_unreadable(struct binary *binary, int error);

#endif
