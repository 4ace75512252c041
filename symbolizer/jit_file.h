/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files that a program leaves for profilers, opened without trusting it: we may run as root, the
 * files' names are known beforehand, and their folders are open to all.  Part of perfmap_file.c,
 * jitdump_file.c and jvm_attach.c.
 */
#ifndef EBPFPROF_SYMBOLIZER_JIT_FILE_H
#define EBPFPROF_SYMBOLIZER_JIT_FILE_H

#include <stdint.h>
#include <sys/types.h>

/* A process as /proc/TGID/status has it. */
struct jit_process {
	uid_t uid;		 /* effective */
	gid_t gid;		 /* effective */
	pid_t pid;		 /* in its innermost namespace */
	uint64_t caught_signals; /* bit N - 1: signal N */
};

/** jit_process_read - -ESRCH it is gone; other -errno of /proc */
int jit_process_read(const char *proc_root, pid_t tgid, struct jit_process *ret);

/** jit_open_root - its root directory, O_PATH; a descriptor or -errno */
int jit_open_root(const char *proc_root, pid_t tgid);

/**
 * jit_open_below - O_PATH of @path below @root, by no symbolic or magic link
 *
 * A descriptor of whatever is there, or -errno: -EPERM a link is in the way.
 */
int jit_open_below(int root, const char *path);

/**
 * jit_open_owned - open for reading what the O_PATH descriptor @path_fd stands for
 *
 * Only a regular file of the user @uid or of root; looked at before it is opened, which can block
 * or have effects on others.  Errors: -EPERM it is none.
 */
int jit_open_owned(int path_fd, uid_t uid, int *ret_fd);

#endif
