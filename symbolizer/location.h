/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an address was resolved to: the file, and the functions that stand there.  Made and owned
 * by the symbolizer (symbolizer.h says for how long).
 */
#ifndef EBPFPROF_SYMBOLIZER_LOCATION_H
#define EBPFPROF_SYMBOLIZER_LOCATION_H

#include <stdbool.h>
#include <stdint.h>

enum location_kind {
	LOCATION_USER,
	LOCATION_KERNEL, /* vmlinux and modules */
	LOCATION_BPF,
	LOCATION_JIT,
	LOCATION_VDSO,
	LOCATION_UNKNOWN, /* no mapping is known at the address */
	LOCATION_NOTE,	  /* no address: `[truncated: depth]` and the like */
};

/* One segment of one file, as pprof's Mapping wants it (profile.h struct profile_mapping). */
struct location_mapping {
	uint64_t start, limit, offset;
	const char *filename; /* "[kernel.kallsyms]", "[bpf]", "[jit]", "[vdso]" or a path */
	const char *build_id; /* hex, "" if none */
};

struct location_line {
	const char *function;	   /* demangled; never NULL or empty */
	const char *system_name;   /* as in the file */
	const char *filename;	   /* source; NULL = unknown */
	uint32_t line, start_line; /* 0 = unknown */
};

struct location {
	const struct location_mapping *mapping; /* NULL: none */
	uint64_t address; /* ELF virtual address; runtime address for kernel, BPF, JIT */
	enum location_kind kind;
	uint64_t owner;	   /* the file or process that it is of: symbolizer_source(); 0 = the host */
	bool named;	   /* false: `libx.so+0x1234` stands for a name */
	bool awaited;	   /* a debug file that names it better may come: ask again */
	bool stack_bottom; /* the function where a stack begins: _start, clone3, ret_from_fork ... */
	uint32_t line_cnt; /* >= 1 */
	struct location_line lines[];
};

#endif
