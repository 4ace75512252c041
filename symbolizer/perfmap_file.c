/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the perf-map of a process is, and whether it may be trusted.
 *
 * We may run as root, the file's name is known beforehand and its directory is open to all: who
 * can write there must not make us read another file, follow a link out of the container, block
 * in a FIFO, or take names from another user's file for this process.
 */
#include "symbolizer/perfmap.h"

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
#include "profiler/base/fileio.h"
#include "profiler/base/strbuf.h"

#define STATUS_BYTES_MAX 65536 /* of /proc/TGID/status */

struct owner {
	uid_t uid; /* effective */
	pid_t ns_pid;
};

/* What stands behind `\nKEY:` in @status, or NULL. */
static const char *status_field(const char *status, const char *key)
{
	const char *at = strstr(status, key);

	return at ? at + strlen(key) : NULL;
}

static int read_owner(const char *proc_root, pid_t tgid, struct owner *ret)
{
	_cleanup_(strbuf_free) struct strbuf status = STRBUF_INIT;
	const char *uids, *pids;
	char path[PATH_MAX];
	unsigned int uid;
	int code;

	if (snprintf(path, sizeof(path), "%s/%d/status", proc_root, tgid) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	code = read_path(path, STATUS_BYTES_MAX, &status);
	if (code)
		return code == -ENOENT ? -ESRCH : code;
	uids = status_field(status.text, "\nUid:");
	if (!uids || sscanf(uids, "%*u %u", &uid) != 1)
		return -ESRCH;
	*ret = (struct owner){ .uid = uid, .ns_pid = tgid };
	pids = status_field(status.text, "\nNSpid:");
	while (pids && *pids && *pids != '\n') {
		char *end;
		long pid = strtol(pids, &end, 10); /* one per namespace, innermost last */

		if (end == pids)
			break;
		ret->ns_pid = (pid_t)pid;
		pids = end + strspn(end, " \t");
	}
	return 0;
}

/* The regular file tmp/perf-@pid.map below @root, if one of its two rightful owners has it. */
static int open_below(int root, pid_t pid, uid_t uid, int *ret_fd)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC | O_NOFOLLOW,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
	};
	char path[64], self[64];
	_cleanup_close_ int fd = -1;
	struct stat info;

	snprintf(path, sizeof(path), "tmp/perf-%d.map", pid);
	fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
	if (fd < 0)
		return errno == ELOOP ? -EPERM : errno == ENOTDIR ? -ENOENT : -errno;
	/* Looked at before it is opened: opening a device or a FIFO can have effects. */
	if (fstat(fd, &info) < 0)
		return -errno;
	if (!S_ISREG(info.st_mode) || (info.st_uid != uid && info.st_uid != 0))
		return -EPERM;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	*ret_fd = open(self, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return *ret_fd < 0 ? -errno : 0;
}

int perfmap_open_file(const char *proc_root, pid_t tgid, int *ret_fd)
{
	_cleanup_close_ int root = -1;
	int ret, fd, second;
	char path[PATH_MAX];
	struct owner owner;

	ret = read_owner(proc_root, tgid, &owner);
	if (ret)
		return ret;
	if (snprintf(path, sizeof(path), "%s/%d/root", proc_root, tgid) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	ret = open_below(root, owner.ns_pid, owner.uid, &fd);
	if (ret && owner.ns_pid != tgid) {
		second = open_below(root, tgid, owner.uid, &fd);
		/* A file that we refused says more than one that is not there. */
		ret = second == -ENOENT ? ret : second;
	}
	if (!ret)
		*ret_fd = fd;
	return ret;
}
