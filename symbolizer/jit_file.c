/* SPDX-License-Identifier: BSD-2-Clause */
#include "symbolizer/jit_file.h"

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

#define STATUS_BYTES_MAX 65536

/* What stands behind @key in @status, or NULL. */
static const char *status_field(const char *status, const char *key)
{
	const char *at = strstr(status, key);

	return at ? at + strlen(key) : NULL;
}

int jit_process_read(const char *proc_root, pid_t tgid, struct jit_process *ret)
{
	_cleanup_(strbuf_free) struct strbuf status = STRBUF_INIT;
	const char *uids, *gids, *pids, *caught;
	unsigned int uid, gid = 0;
	char path[PATH_MAX];
	int code;

	if (snprintf(path, sizeof(path), "%s/%d/status", proc_root, tgid) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	code = read_path(path, STATUS_BYTES_MAX, &status);
	if (code)
		return code == -ENOENT ? -ESRCH : code;
	uids = status.text ? status_field(status.text, "\nUid:") : NULL;
	if (!uids || sscanf(uids, "%*u %u", &uid) != 1)
		return -ESRCH;
	gids = status_field(status.text, "\nGid:");
	if (gids && sscanf(gids, "%*u %u", &gid) != 1)
		return -ESRCH;
	caught = status_field(status.text, "\nSigCgt:");
	*ret = (struct jit_process){
		.uid = uid,
		.gid = gid,
		.pid = tgid,
		.caught_signals = caught ? strtoull(caught, NULL, 16) : 0,
	};
	pids = status_field(status.text, "\nNSpid:");
	while (pids && *pids && *pids != '\n') {
		char *end;
		long pid = strtol(pids, &end, 10); /* one per namespace, innermost last */

		if (end == pids)
			break;
		ret->pid = (pid_t)pid;
		pids = end + strspn(end, " \t");
	}
	return 0;
}

int jit_open_root(const char *proc_root, pid_t tgid)
{
	char path[PATH_MAX];
	int fd;

	if (snprintf(path, sizeof(path), "%s/%d/root", proc_root, tgid) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	return fd;
}

int jit_open_below(int root, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC | O_NOFOLLOW,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
	};
	long fd = syscall(SYS_openat2, root, path, &how, sizeof(how));

	if (fd < 0)
		return errno == ELOOP ? -EPERM : errno == ENOTDIR ? -ENOENT : -errno;
	return (int)fd;
}

int jit_open_owned(int path_fd, uid_t uid, int *ret_fd)
{
	struct stat info;
	char self[64];
	int fd;

	if (fstat(path_fd, &info) < 0)
		return -errno;
	if (!S_ISREG(info.st_mode) || (info.st_uid != uid && info.st_uid != 0))
		return -EPERM;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", path_fd);
	fd = open(self, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}
