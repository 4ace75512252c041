/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Contract of the unwind tables between the stack walk (unwind_walk.h) and profiler/collect.
 *
 * What a walk asks: which rule leads from the frame at this address to its caller's?
 *
 *	process    `unwind_processes`[tgid]      whose image, where its mappings stand
 *	mapping    `unwind_mappings`[first ...]  sorted by start: which file, at which bias
 *	file       `unwind_files`[file]          is its table here, where are its pages
 *	page       `unwind_pages`[...]           which rows tell of these 64 KiB of code
 *	row        `unwind_blocks`[block]        the last one at or below the address
 *	rule       `unwind_rules`[rule]
 *
 * A row is 4 bytes, because rules are few and shared by all files: some hundred in a file, some
 * thousand on a host.  Rows of one page lie side by side in one block, so that the search reads one
 * map value by plain loads.  A block is made when it is needed: an array map of one value.
 *
 * Order of writing, as nothing locks: rows, then pages, then files; mappings, then processes.
 * What is taken away goes in the other order, and its place is given to others only after every
 * program that may still read it has ended.
 */
#ifndef EBPFPROF_BPF_UNWIND_H
#define EBPFPROF_BPF_UNWIND_H

#include <linux/types.h>

#define UNWIND_PAGE_BITS 16
#define UNWIND_BLOCK_ROWS 65536 /* a page's rows always fit in one: at most one for each byte */
#define UNWIND_BLOCKS_MAX 4096	/* 1 GiB of rows */
#define UNWIND_PAGES_MAX 131072 /* 8 GiB of code */
#define UNWIND_FILES_MAX 16384 /* power of two */
#define UNWIND_RULES_MAX 32768	/* the cache has 15 bits for them */
#define UNWIND_MAPPINGS_MAX 131072
#define UNWIND_PROCESSES_MAX 32768
#define UNWIND_CACHE_SLOTS 65536 /* power of two */

/* How the canonical frame address (CFA) is found: the value of sp before the frame's call. */
enum unwind_cfa {
	UNWIND_NO_INFO,	    /* no table tells of these instructions */
	UNWIND_SP,	    /* sp + cfa_offset */
	UNWIND_FP,	    /* fp + cfa_offset */
	UNWIND_BX,	    /* rbx + cfa_offset, where callees keep track of rbx */
	UNWIND_REGISTER,    /* DWARF register `reg` + cfa_offset: only in an interrupted frame */
	UNWIND_SP_DEREF,    /* *(sp + cfa_offset) + cfa_add */
	UNWIND_FP_DEREF,    /* *(fp + cfa_offset) + cfa_add */
	UNWIND_PLT,	    /* sp + 8, and 8 more when (pc & 15) >= cfa_offset */
	UNWIND_SIGNAL,	    /* none: all registers stand in the struct sigcontext at sp + cfa_offset */
	UNWIND_BOTTOM,	    /* none: the return address is undefined, the stack begins here;
			       `reg` 1: no call led to its callee, it is returned to at its begin */
	UNWIND_EXPRESSION,  /* told in a way that we do not follow */
	UNWIND_CORRUPT,	    /* the table contradicts itself here */
	UNWIND_JIT,	    /* not in a file: code made at run time */
	UNWIND_SP_RETURN,   /* as _SP, the return address in register `reg`: glibc's vfork */
	UNWIND_CFA_CNT,
};

/* What the caller's fp (and bx) is. */
enum unwind_saved {
	UNWIND_SAME,   /* what it is now */
	UNWIND_AT_CFA, /* saved at CFA + offset */
	UNWIND_AT_FP,  /* saved at fp + offset: where the stack was realigned */
	UNWIND_LOST,   /* not known */
};

/* The return address is always at CFA - 8 (System V ABI, AMD64), or the rule is an _EXPRESSION. */
struct unwind_rule {
	__u8 cfa; /* enum unwind_cfa */
	__u8 reg; /* DWARF number */
	__u8 fp;  /* enum unwind_saved */
	__u8 bx;  /* enum unwind_saved; _LOST in files that do not keep track */
	__s32 cfa_offset;
	__s32 cfa_add;
	__s16 fp_offset;
	__s16 bx_offset;
};

/* Rules that are always there. */
#define UNWIND_RULE_NO_INFO 0
#define UNWIND_RULE_JIT 1
#define UNWIND_RULE_FULL 2 /* the rule found no room among `unwind_rules`; acts as _NO_INFO */
#define UNWIND_RULE_BOTTOM 3
#define UNWIND_RULE_SIGNAL 4 /* the kernel's frame, of a trampoline without table */
#define UNWIND_RULE_FIRST_FREE 5

#define UNWIND_SIGCONTEXT_OFFSET 40 /* from sp: struct rt_sigframe behind its return address */

struct unwind_row {
	__u16 pc;   /* low bits of the address from which on @rule holds, up to the next row */
	__u16 rule; /* index into `unwind_rules` */
};

/* The only value of a block. */
struct unwind_block {
	struct unwind_row rows[UNWIND_BLOCK_ROWS];
};

/* row_cnt 0: no table tells of this page.  Its first row is at or below its first address. */
struct unwind_page {
	__u16 block;
	__u16 first_row;
	__u32 row_cnt;
};

enum unwind_file_state {
	UNWIND_FILE_ABSENT,  /* its table is not here (yet): ask for it */
	UNWIND_FILE_READY,
	UNWIND_FILE_NO_INFO, /* it has none */
	UNWIND_FILE_FULL,    /* no room for it */
};

struct unwind_file {
	__u32 state;	  /* enum unwind_file_state */
	__u32 first_page; /* page number (ELF virtual address >> UNWIND_PAGE_BITS) of its first */
	__u32 page_cnt;
	__u32 pages;	  /* index of the first in `unwind_pages` */
	__u32 used;	  /* written by walks: sampler_control.unwind_clock when it was looked at */
	__u32 reserved[3];
};

#define UNWIND_FILE_NONE 0xffffffffu /* mapping without a file: code made at run time */

struct unwind_mapping {
	__u64 start, end; /* addresses in the process, end exclusive */
	__u64 bias;	  /* address - ELF virtual address */
	__u32 file;	  /* UNWIND_FILE_NONE; else index into `unwind_files`, and above it a
			     count that rises when another file gets the index (for the cache) */
	__u32 list;	  /* serial number of the list that it belongs to; 0 = given up */
};

/*
 * Value of `unwind_processes`, key: tgid.  Made by the kernel's hooks (images.bpf.c) at fork and
 * exec, with mappings by user space.  It is of use only to the image that it names.
 *
 * A fork copies the parent's value before user space knows of the child, which may give up the
 * parent's mappings at that very time.  So a mapping counts only if its `list`, read after its
 * other fields, is that of the process; else the process's mappings are not known.  And the value
 * of a hash map that is replaced may hold another process's at once: whose it is, is compared after
 * the other fields have been read.
 */
struct unwind_process {
	__u64 start_boottime_ns; /* of the leader */
	__u64 mapped_ns; /* CLOCK_MONOTONIC: mappings made later are not among them */
	__u32 exec_id;
	__u32 mapping_cnt;   /* 0 = not known yet */
	__u32 first_mapping; /* index into `unwind_mappings` */
	__u32 list;	     /* as in the mappings; never 0 when mapping_cnt is not */
};

#endif
