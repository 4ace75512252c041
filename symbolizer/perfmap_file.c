/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the perf-map of a process is, and whether it may be trusted.
 *
 * Its name is known beforehand and its directory is open to all: who can write there must not
 * make us read another file, follow a link out of the container, block in a FIFO, or take names
 * from another user's file for this process (jit_file.h).
 */
#include <errno.h>
#include <stdio.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/jit_file.h"
#include "symbolizer/perfmap.h"

/* The regular file tmp/perf-@pid.map below @root, if one of its two rightful owners has it. */
static int open_map(int root, pid_t pid, uid_t uid, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	char path[64];

	snprintf(path, sizeof(path), "tmp/perf-%d.map", pid);
	fd = jit_open_below(root, path);
	return fd < 0 ? fd : jit_open_owned(fd, uid, ret_fd);
}

int perfmap_open_file(const char *proc_root, pid_t tgid, int *ret_fd)
{
	_cleanup_close_ int root = -1;
	struct jit_process process;
	int ret, fd, second;

	ret = jit_process_read(proc_root, tgid, &process);
	if (ret)
		return ret;
	root = jit_open_root(proc_root, tgid);
	if (root < 0)
		return root;
	ret = open_map(root, process.pid, process.uid, &fd);
	if (ret && process.pid != tgid) {
		second = open_map(root, tgid, process.uid, &fd);
		/* A file that we refused says more than one that is not there. */
		ret = second == -ENOENT ? ret : second;
	}
	if (!ret)
		*ret_fd = fd;
	return ret;
}
