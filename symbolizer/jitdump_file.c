/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which mapping tells of a dump, and how the file behind it is opened.
 *
 * A runtime maps its jit-PID.dump executable for no other reason than that profilers see the
 * mapping, and by it the file.  The file may be anywhere (V8: the working directory; LLVM: below
 * the home), so there is no name to look for as there is for a perf-map.  /proc/TGID/map_files
 * leads to the very file, but only those with CAP_CHECKPOINT_RESTORE; its path, as the kernel
 * gives it, has no symbolic links, so none are followed below the process's root.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/jit_file.h"
#include "symbolizer/jitdump.h"

#define DELETED " (deleted)"

bool jitdump_is_marker(const char *path, pid_t pid)
{
	const char *name = strrchr(path, '/');
	char expected[40];
	size_t len;

	if (!name)
		return false;
	len = (size_t)snprintf(expected, sizeof(expected), "jit-%d.dump", pid);
	return strncmp(name + 1, expected, len) == 0 &&
	       (!name[1 + len] || strcmp(name + 1 + len, DELETED) == 0);
}

static int open_map_files(const char *proc_root, const struct jitdump_marker *marker)
{
	char path[PATH_MAX];
	int fd;

	if (snprintf(path, sizeof(path), "%s/%d/map_files/%lx-%lx", proc_root, marker->tgid,
		     (unsigned long)marker->start, (unsigned long)marker->end) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_PATH | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int open_by_path(const char *proc_root, const struct jitdump_marker *marker)
{
	_cleanup_close_ int root = -1;

	if (marker->path[0] != '/')
		return -ENOENT;
	root = jit_open_root(proc_root, marker->tgid);
	return root < 0 ? root : jit_open_below(root, marker->path);
}

/* Where stat(2) shows another inode than the kernel's records (btrfs: another device only). */
static bool is_overlay(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == OVERLAYFS_SUPER_MAGIC;
}

int jitdump_open_file(const char *proc_root, const struct jitdump_marker *marker, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	struct jit_process process;
	struct stat info;
	int r;

	r = jit_process_read(proc_root, marker->tgid, &process);
	if (r < 0)
		return r;
	fd = open_map_files(proc_root, marker);
	if (fd < 0)
		fd = open_by_path(proc_root, marker);
	if (fd < 0)
		return fd;
	if (fstat(fd, &info) < 0)
		return -errno;
	if (marker->inode && info.st_ino != marker->inode && !is_overlay(fd))
		return -ESTALE;
	return jit_open_owned(fd, process.uid, ret_fd);
}
