/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The trees of folders in which debug files are looked for, and files in them opened without
 * trusting whoever filled the tree.  Part of debug_files.c and kernel_debug.c.
 */
#ifndef EBPFPROF_SYMBOLIZER_DEBUG_ROOT_H
#define EBPFPROF_SYMBOLIZER_DEBUG_ROOT_H

#include <stdint.h>
#include <sys/types.h>

struct debug_file;

struct debug_root {
	int fd;		  /* O_PATH of its folder; -1 = there is none, nothing is found in it */
	uint64_t resolve; /* RESOLVE_* of openat2(2) */
	char *shown;	  /* heap: what stands before paths in it, for people: "/proc/77/root" */
};

#define DEBUG_ROOT_CLOSED                                                                          \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/**
 * debug_root_open_process - the root of process @tgid; its links cannot lead out of it
 * Errors: -ESRCH @tgid is 0; -errno; -ENOMEM.  *@ret is closed then.
 */
int debug_root_open_process(const char *proc_root, pid_t tgid, struct debug_root *ret);

/** debug_root_open_own - "/", or a folder in its place (tests); as above */
int debug_root_open_own(const char *folder, struct debug_root *ret);

/**
 * debug_root_open_folder - --debug-dir: the user's own choice, so links may lead out of it
 * @folder: NULL = none: -ENOENT
 */
int debug_root_open_folder(const char *folder, struct debug_root *ret);

void debug_root_close(struct debug_root *root);

/**
 * debug_root_open_file - open the regular file @path for reading
 * @path: seen from @root; a leading slash makes no difference
 *
 * ret->path has its links followed: names in a debug file that are relative count from there.
 * Errors: -EINVAL no regular file; -ENOENT and others by openat2(2), among them -ENOSYS before
 * Linux 5.6, where nothing is opened; -ENAMETOOLONG; -ENOMEM.
 */
int debug_root_open_file(const struct debug_root *root, const char *path, struct debug_file *ret);

#endif
