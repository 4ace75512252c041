/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening debug files safely.
 *
 * We may run as root, and who runs a program chooses what lies below its root, what its
 * .gnu_debuglink says and what its folder holds.  So each file is opened with O_PATH first, which
 * runs no driver and waits for nobody, by openat2(2), which resolves links inside of the root and
 * follows none of /proc's magic ones; and reopened for reading only when it is a regular file.
 * Checking paths with readlink(2) one component at a time was the alternative: slower, and a race
 * that the other side wins.  Where openat2 is missing or forbidden (seccomp) nothing is found.
 *
 * The kernel tells by /proc/self/fd where a file lies after all links, seen from the root of its
 * mount namespace: for a container that is the path as the container sees it, for a chroot it
 * starts with the chroot's own path, which is cut off.
 */
#include "symbolizer/debug_root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/strbuf.h"
#include "symbolizer/debug_files.h"

#define RACES_MAX 8

static int open_root(const char *folder, const char *shown, uint64_t resolve,
		     struct debug_root *ret)
{
	_cleanup_close_ int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct strbuf text = STRBUF_INIT;
	char *copy;

	*ret = (struct debug_root)DEBUG_ROOT_CLOSED;
	if (fd < 0)
		return -errno;
	strbuf_add_str(&text, shown);
	copy = strbuf_take(&text);
	if (!copy)
		return -ENOMEM;
	*ret = (struct debug_root){
		.fd = fd_take(&fd),
		.resolve = resolve | RESOLVE_NO_MAGICLINKS,
		.shown = copy,
	};
	return 0;
}

int debug_root_open_process(const char *proc_root, pid_t tgid, struct debug_root *ret)
{
	char folder[PATH_MAX];

	*ret = (struct debug_root)DEBUG_ROOT_CLOSED;
	if (!tgid)
		return -ESRCH;
	if ((size_t)snprintf(folder, sizeof(folder), "%s/%d/root", proc_root, tgid) >=
	    sizeof(folder))
		return -ENAMETOOLONG;
	return open_root(folder, folder, RESOLVE_IN_ROOT, ret);
}

int debug_root_open_own(const char *folder, struct debug_root *ret)
{
	return open_root(folder, strcmp(folder, "/") == 0 ? "" : folder, RESOLVE_IN_ROOT, ret);
}

int debug_root_open_folder(const char *folder, struct debug_root *ret)
{
	*ret = (struct debug_root)DEBUG_ROOT_CLOSED;
	return folder ? open_root(folder, folder, 0, ret) : -ENOENT;
}

void debug_root_close(struct debug_root *root)
{
	fd_closep(&root->fd);
	free(root->shown);
	*root = (struct debug_root)DEBUG_ROOT_CLOSED;
}

/* Reads where the file behind @fd lies into @path; false when that is not known. */
static bool path_of(int fd, char path[PATH_MAX])
{
	char link[64];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, PATH_MAX);
	if (len <= 0 || len == PATH_MAX || path[0] != '/')
		return false;
	path[len] = '\0';
	return true;
}

/* What to call the file behind @fd that was opened as @path; NULL when memory is out. */
static char *name_file(const struct debug_root *root, const char *path, int fd)
{
	char top[PATH_MAX], full[PATH_MAX];
	struct strbuf text = STRBUF_INIT;
	const char *shown = root->shown;
	size_t len;

	if (path_of(fd, full)) {
		len = path_of(root->fd, top) ? strlen(top) : SIZE_MAX;
		if (!(root->resolve & RESOLVE_IN_ROOT)) {
			shown = "";
			path = full;
		} else if (len == 1) {
			path = full;
		} else if (len != SIZE_MAX && strncmp(full, top, len) == 0 && full[len] == '/') {
			path = full + len;
		}
	}
	strbuf_printf(&text, "%s/%s", shown, path + strspn(path, "/"));
	return strbuf_take(&text);
}

/* An O_PATH descriptor of what lies at @path. */
static int open_path(const struct debug_root *root, const char *path)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = root->resolve };
	int tries = RACES_MAX;
	long fd;

	path += strspn(path, "/");
	if (root->fd < 0 || !*path)
		return -ENOENT;
	/* EAGAIN: something was renamed while a ".." was followed. */
	do
		fd = syscall(SYS_openat2, root->fd, path, &how, sizeof(how));
	while (fd < 0 && errno == EAGAIN && --tries);
	return fd < 0 ? -errno : (int)fd;
}

int debug_root_open_file(const struct debug_root *root, const char *path, struct debug_file *ret)
{
	_cleanup_close_ int path_fd = open_path(root, path), fd = -1;
	char link[64], *shown;
	struct stat info;

	if (path_fd < 0)
		return path_fd;
	if (fstat(path_fd, &info) < 0)
		return -errno;
	if (!S_ISREG(info.st_mode))
		return -EINVAL;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", path_fd);
	fd = open(link, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	shown = name_file(root, path, fd);
	if (!shown)
		return -ENOMEM;
	*ret = (struct debug_file){ .fd = fd_take(&fd), .path = shown };
	return 0;
}
