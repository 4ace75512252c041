/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses to names: the one door to processes, ELF files, kallsyms and JIT maps.
 *
 * A resolved address is a struct location: interned, so that equal (file, address) give the same
 * pointer, whatever process it was seen in; it stays valid until symbolizer_trim() has been
 * called twice without the location having been returned in between.
 *
 * Every address gets a location: what has no name is `libx.so+0x1234`.  Inlined functions are
 * further lines of it, innermost callee first.
 * Library code: silent, no abort; not thread-safe.
 */
#ifndef EBPFPROF_SYMBOLIZER_SYMBOLIZER_H
#define EBPFPROF_SYMBOLIZER_SYMBOLIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "symbolizer/location.h"

struct binary;
struct errmsg;
struct mmap_event;
struct process;
struct symbolizer;

struct symbolizer_config {
	const char *proc_root; /* NULL = "/proc" */
	const char *kallsyms;  /* NULL = proc_root/kallsyms */
	const char *kernel_notes; /* NULL = /sys/kernel/notes; borrowed */
	bool demangle;
	bool simple_names;	/* C++ and Rust functions without their parameters */
	bool with_lines;	/* read DWARF: files, lines, inlined functions */
	bool with_cache;	/* keep tables on disk */
	bool waits;		/* for debuginfod: who asks about a few addresses has the time */
	bool jvm_perfmap;	/* ask JVMs for their perf-map; nothing else touches a process */
	const char *cache_dir;	/* NULL = the user's; borrowed, as are the next two */
	const char *debug_dir;	/* looked in first for debug files; NULL = none */
	const char *debug_file; /* the debug file of whatever is named; NULL = look for it */
	size_t symbol_bytes_max; /* kept in memory, a fifth of it for more than tables; 0 = 32 MiB */
	unsigned int fd_max;	 /* files kept open; 0 = 256 */
};

int symbolizer_new(const struct symbolizer_config *config, struct symbolizer **ret,
		   struct errmsg *err);
void symbolizer_free(struct symbolizer *symbolizer);

/* The host's processes: see process.h for what each means. */
int symbolizer_scan(struct symbolizer *symbolizer, struct errmsg *err);
int symbolizer_scan_one(struct symbolizer *symbolizer, pid_t tgid, uint64_t now_ns);
int symbolizer_on_fork(struct symbolizer *symbolizer, pid_t tgid, pid_t parent_tgid,
		       uint64_t time_ns);
int symbolizer_on_exec(struct symbolizer *symbolizer, pid_t tgid, uint64_t time_ns);
int symbolizer_on_exit(struct symbolizer *symbolizer, pid_t tgid, uint64_t time_ns);
int symbolizer_on_mmap(struct symbolizer *symbolizer, const struct mmap_event *event,
		       bool *ret_replaced);

/**
 * symbolizer_process - the image that ran as @tgid at @time_ns, or NULL (process.h)
 * Valid until the next symbolizer_trim() with a later @before_ns than its end.
 */
struct process *symbolizer_process(struct symbolizer *symbolizer, pid_t tgid, uint64_t time_ns);

/**
 * symbolizer_user - name one user address
 * @process: NULL = unknown: the location is `[unknown]`, one for all such addresses
 * @time_ns: when the sample was taken
 * @ip: as sampled
 * @return_address: the frame is a caller: the address points behind its call, look up ip - 1
 *
 * Returns NULL only when memory is out.
 */
const struct location *symbolizer_user(struct symbolizer *symbolizer, struct process *process,
				       uint64_t time_ns, uint64_t ip, bool return_address);

/**
 * symbolizer_open_elf - a file to name addresses of by symbolizer_elf(), the caller's until
 * symbolizer_close_elf()
 * Errors: -errno of opening; -ENOEXEC no ELF file; -ENOTSUP of another machine; -ENOMEM.
 */
int symbolizer_open_elf(struct symbolizer *symbolizer, const char *path, struct binary **ret,
			struct errmsg *err);
void symbolizer_close_elf(struct binary *binary);

/** symbolizer_elf - name ELF virtual address @address, as it is; NULL: no memory */
const struct location *symbolizer_elf(struct symbolizer *symbolizer, struct binary *binary,
				      uint64_t address);

/** symbolizer_kernel - name one kernel address; as symbolizer_user() */
const struct location *symbolizer_kernel(struct symbolizer *symbolizer, uint64_t ip,
					 bool return_address);

/**
 * symbolizer_await_names - whether names that were asked for (jvm_perfmap) have yet to come
 * @hurry: ask now, and not after a while, for those that were missed: the window ends
 *
 * What stacks lack now can be named when this returns false; to be called now and then.
 */
bool symbolizer_await_names(struct symbolizer *symbolizer, bool hurry);

/* A JVM that gave no perf-map. */
struct symbolizer_refusal {
	pid_t tgid;
	const char *why; /* constant */
};

/** symbolizer_refusals - fill [max], return how many there are */
size_t symbolizer_refusals(const struct symbolizer *symbolizer, struct symbolizer_refusal *ret,
			   size_t max);

/** symbolizer_note - a frame that is no code: `[truncated: depth]`; @text is copied */
const struct location *symbolizer_note(struct symbolizer *symbolizer, const char *text);

/** symbolizer_kernel_hidden - kernel addresses read 0 for us (kptr_restrict, CAP_SYSLOG) */
bool symbolizer_kernel_hidden(const struct symbolizer *symbolizer);

/** symbolizer_visit_processes - process_table_visit() */
int symbolizer_visit_processes(const struct symbolizer *symbolizer,
			       int (*visit)(void *context, pid_t tgid), void *context);

/** symbolizer_knows_binary - the binary whose binary_id() is @binary_id is not forgotten yet */
bool symbolizer_knows_binary(const struct symbolizer *symbolizer, uint64_t binary_id);

/**
 * symbolizer_trim - end of a window: forget what no window needs any more
 * @before_ns: no sample older than this will be asked for
 */
void symbolizer_trim(struct symbolizer *symbolizer, uint64_t before_ns);

struct symbolizer_stats {
	size_t processes, locations;
	size_t bytes; /* heap held by everything here */
	uint64_t perfmap_skipped;
};
void symbolizer_stats(const struct symbolizer *symbolizer, struct symbolizer_stats *ret);

#endif
