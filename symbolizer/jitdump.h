/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * JIT code by a jitdump file: each piece of code with the time it came to be, its name, and source
 * lines (Linux tools/perf/Documentation/jitdump-specification.txt).  Written by node --perf-prof
 * (through a buffer of 2 MiB: what is new comes late, the rest at its end), .NET
 * (DOTNET_PerfMapEnabled=1 or 2), Python 3.13 -X perf_jit, LLVM's JITs, perf's JVM agent.
 *
 * The file grows while the program runs.  A later record wins over an earlier one where they
 * overlap, from its time on; what it covered is still found for earlier times, until
 * jitdump_trim().  Times are CLOCK_MONOTONIC ns.  A dump with a processor's own time stamps
 * (JITDUMP_FLAGS_ARCH_TIMESTAMP) is read as if all of it had been there from the start.
 *
 * Bounded: machine code is skipped, about JITDUMP_BYTES_MAX are held; what is beyond is counted,
 * not an error.  Not thread-safe.
 */
#ifndef EBPFPROF_SYMBOLIZER_JITDUMP_H
#define EBPFPROF_SYMBOLIZER_JITDUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct jitdump;

#define JITDUMP_BYTES_MAX (32ull << 20)
#define JITDUMP_READ_MAX (16ull << 20) /* of the file by one update */
#define JITDUMP_NAME_MAX 2048	       /* bytes of a name with its NUL; longer ones are cut */

struct jitdump_symbol {
	const char *name; /* as the file has it, control characters as '?' */
	uint64_t address; /* where the code begins */
	uint64_t size;
	const char *filename; /* of the line; NULL = unknown */
	uint32_t line;	      /* that executes at the address looked up; 0 = unknown */
};

/** jitdump_is_marker - is @path a name of a dump that process @pid maps to tell of it? */
bool jitdump_is_marker(const char *path, pid_t pid);

/* The mapping by which a process tells of its dump. */
struct jitdump_marker {
	pid_t tgid; /* whose /proc entry leads to the memory */
	uint64_t start, end;
	const char *path;
	uint64_t inode; /* 0 = not known */
};

/**
 * jitdump_open_file - open the file behind a marker, safely
 *
 * By /proc/TGID/map_files, else by its path below /proc/TGID/root (no symbolic links).  Only a
 * regular file owned by the process's effective user or by root.  Errors: -ENOENT, -ESTALE
 * another file has its place, -EPERM, -ESRCH, other -errno.
 */
int jitdump_open_file(const char *proc_root, const struct jitdump_marker *marker, int *ret_fd);

int jitdump_new(struct jitdump **ret);
void jitdump_free(struct jitdump *dump);

/**
 * jitdump_update - read what @fd has grown by since the last call
 *
 * A torn last record waits for its rest, what is beyond JITDUMP_READ_MAX for the next call.  A
 * file that was begun anew is read anew.  Returns the number of pieces of code learned, or
 * -errno: -ENOEXEC no dump of this machine (byte order, architecture, version).
 * After -ENOMEM the dump is empty, and the next update reads the file from its start.
 */
int jitdump_update(struct jitdump *dump, int fd);

/**
 * jitdump_find - the code that was at @address at @time_ns
 *
 * Code that has run before its record was written is found too, if nothing else was there.
 * @ret is valid until the next update or trim.
 */
bool jitdump_find(const struct jitdump *dump, uint64_t address, uint64_t time_ns,
		  struct jitdump_symbol *ret);

/** jitdump_trim - nobody asks for times before @before_ns any more */
void jitdump_trim(struct jitdump *dump, uint64_t before_ns);

size_t jitdump_cnt(const struct jitdump *dump);	      /* address ranges known now */
size_t jitdump_bytes(const struct jitdump *dump);     /* heap held */
uint64_t jitdump_skipped(const struct jitdump *dump); /* bad or over-limit records */

#endif
