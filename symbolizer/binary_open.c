/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whoever runs a program chooses what its mappings are called and what lies at those names.  So:
 *
 *  - A file is first opened with O_PATH, which runs no driver and waits for nobody, and reopened
 *    for reading only when it is a regular file: a FIFO would block, a tape would rewind.
 *  - A path below another process's root is resolved in that root by the kernel; a symlink to
 *    ../../etc/shadow stays inside.
 *  - What was opened must be what was mapped.  The build-id decides where the record has one.
 *    Else the inode does, with the device where that can be compared: overlayfs and btrfs give
 *    stat(2) another device number than /proc/PID/maps and the mmap records, overlayfs also
 *    another inode.  The map_files link is the mapping itself; only a later mapping at the same
 *    address could have taken its place.
 *
 * A file in a user's own FUSE mount is refused to us by the kernel.  A dead NFS server can hold
 * us up, as it does everybody who opens a file on it.
 */
#include "symbolizer/binary_open.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "symbolizer/binary.h"

#define DELETED " (deleted)"
#define BCACHEFS_MAGIC 0xca451a4e /* <linux/magic.h> of Debian 12 has none */

enum way {
	WAY_MAP_FILES,
	WAY_PROCESS_ROOT,
	WAY_OWN_ROOT,
	WAY_CNT,
};

static int open_by_path(int root_fd, const char *path, uint64_t resolve)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = resolve | RESOLVE_NO_MAGICLINKS,
	};
	long fd = syscall(SYS_openat2, root_fd, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

static int open_map_files(const char *proc_root, const struct binary_request *request)
{
	char link[PATH_MAX];
	int fd;

	if (!request->tgid)
		return -ESRCH;
	if ((size_t)snprintf(link, sizeof(link), "%s/%d/map_files/%lx-%lx", proc_root,
			     request->tgid, (unsigned long)request->map_start,
			     (unsigned long)request->map_end) >= sizeof(link))
		return -ENAMETOOLONG;
	fd = open(link, O_PATH | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int open_below_root(const char *proc_root, pid_t tgid, const char *path)
{
	_cleanup_close_ int root_fd = -1;
	char root[PATH_MAX];

	if (!tgid)
		return -ESRCH;
	if ((size_t)snprintf(root, sizeof(root), "%s/%d/root", proc_root, tgid) >= sizeof(root))
		return -ENAMETOOLONG;
	root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return -errno;
	return open_by_path(root_fd, path, RESOLVE_IN_ROOT);
}

static bool has_identity(const struct binary_request *request)
{
	return request->build_id.len || request->inode;
}

/* An O_PATH descriptor of whatever lies there. */
static int open_way(const char *proc_root, const struct binary_request *request, enum way way)
{
	char path[PATH_MAX];
	size_t len;

	if (way == WAY_MAP_FILES)
		return open_map_files(proc_root, request);
	if (!request->path || request->path[0] != '/')
		return -ENOENT;
	len = strnlen(request->path, sizeof(path));
	if (len == sizeof(path))
		return -ENAMETOOLONG;
	memcpy(path, request->path, len + 1);
	if (len > strlen(DELETED) && strcmp(path + len - strlen(DELETED), DELETED) == 0) {
		if (!has_identity(request))
			return -ESTALE;
		path[len - strlen(DELETED)] = '\0';
	}
	if (way == WAY_PROCESS_ROOT)
		return open_below_root(proc_root, request->tgid, path);
	return open_by_path(AT_FDCWD, path, 0);
}

/* Opens for reading what the O_PATH descriptor @path_fd stands for, if it is a regular file. */
static int reopen_regular(int path_fd, struct binary_file *ret)
{
	char link[64];
	struct stat st;
	int fd;

	if (fstat(path_fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", path_fd);
	fd = open(link, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret->fd = fd;
	ret->device = st.st_dev;
	ret->inode = st.st_ino;
	ret->bytes = (uint64_t)st.st_size;
	ret->mtime_ns = (uint64_t)st.st_mtim.tv_sec * NS_PER_SEC + (uint64_t)st.st_mtim.tv_nsec;
	return 0;
}

static int copy_headers(const struct elf_file *elf, struct binary_file *ret)
{
	const struct elf_segment *segments;
	size_t cnt = elf_file_segments(elf, &segments);

	if (cnt) {
		ret->segments = malloc(cnt * sizeof(*segments));
		if (!ret->segments)
			return -ENOMEM;
		memcpy(ret->segments, segments, cnt * sizeof(*segments));
	}
	ret->segment_cnt = cnt;
	ret->build_id = *elf_file_build_id(elf);
	return 0;
}

/* A file that is no ELF file is a success: a process may map what it likes. */
static int read_headers(struct binary_file *file)
{
	_cleanup_(elf_file_closep) struct elf_file *elf = NULL;
	int r = elf_file_open(file->fd, &elf, NULL);

	if (r == -ENOMEM || r == -EIO)
		return r;
	file->elf_error = r;
	return r < 0 ? 0 : copy_headers(elf, file);
}

static bool is_same_inode(const struct binary_file *file, const struct binary_request *request,
			  enum way way)
{
	bool same_inode = file->inode == request->inode, overlay, other_device;
	struct statfs fs;

	if (same_inode && file->device == makedev(request->major, request->minor))
		return true;
	if (fstatfs(file->fd, &fs) < 0)
		return false;
	overlay = fs.f_type == OVERLAYFS_SUPER_MAGIC;
	other_device = overlay || (unsigned long)fs.f_type == BTRFS_SUPER_MAGIC ||
		       (unsigned long)fs.f_type == BCACHEFS_MAGIC;
	if (way == WAY_MAP_FILES)
		return same_inode || overlay;
	return same_inode && other_device;
}

static bool is_same_build_id(const struct elf_build_id *a, const struct elf_build_id *b)
{
	return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

static int try_way(const char *proc_root, const struct binary_request *request, enum way way,
		   struct binary_file *file)
{
	_cleanup_close_ int path_fd = open_way(proc_root, request, way);
	int r;

	if (path_fd < 0)
		return path_fd;
	r = reopen_regular(path_fd, file);
	if (r < 0)
		return r;
	if (!request->build_id.len && request->inode && !is_same_inode(file, request, way))
		return -ESTALE;
	r = read_headers(file);
	if (r < 0)
		return r;
	if (request->build_id.len && !is_same_build_id(&file->build_id, &request->build_id))
		return -ESTALE;
	return 0;
}

/* Whether @a tells more about why nothing could be opened than @b. */
static bool tells_more(int a, int b)
{
	return a == -ESTALE || (b != -ESTALE && (a == -EINVAL || b != -EINVAL));
}

int binary_open(const char *proc_root, const struct binary_request *request,
		struct binary_file *ret)
{
	int error = -ENOENT, r;
	enum way way;

	for (way = 0; way < WAY_CNT; way++) {
		struct binary_file file = { .fd = -1 };

		r = try_way(proc_root, request, way, &file);
		if (r == 0) {
			*ret = file;
			return 0;
		}
		binary_file_close(&file);
		if (r == -ENOMEM)
			return r;
		if (tells_more(r, error))
			error = r;
	}
	return error;
}

int binary_file_read_memory(void *image, size_t size, struct binary_file *ret)
{
	_cleanup_(elf_file_closep) struct elf_file *elf = NULL;
	int r = elf_file_open_memory(image, size, &elf, NULL);

	if (r < 0)
		return r;
	return copy_headers(elf, ret);
}

void binary_file_close(struct binary_file *file)
{
	fd_closep(&file->fd);
	free(file->segments);
	*file = (struct binary_file){ .fd = -1 };
}
