/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/cmd/target_opts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"
#include "profiler/base/fileio.h"
#include "profiler/base/strbuf.h"
#include "profiler/collect/targets.h"
#include "symbolizer/proc_stat.h"

static int add_pid(pid_t **list, size_t *cnt, pid_t pid)
{
	pid_t *longer = realloc(*list, (*cnt + 1) * sizeof(*longer));

	if (!longer)
		return -ENOMEM;
	longer[(*cnt)++] = pid;
	*list = longer;
	return 0;
}

int targets_add_pids(struct targets *targets, const char *list, bool threads, struct errmsg *err)
{
	const char *option = threads ? "--tid" : "--pid", *at = list;
	pid_t **ids = threads ? &targets->tids : &targets->pids;
	size_t *cnt = threads ? &targets->tid_cnt : &targets->pid_cnt;

	for (;;) {
		unsigned long id;
		char *end;
		int code;

		errno = 0;
		id = strtoul(at, &end, 10);
		if (errno || end == at || *at < '0' || *at > '9' || id == 0 || id > 4194304 ||
		    (*end && *end != ','))
			return err_say(err, -EINVAL,
				       "%s '%s': not a list of numbers such as 4711,4712", option,
				       list);
		if (*cnt >= TARGET_LIST_MAX)
			return err_say(err, -EINVAL, "%s: more than %d", option, TARGET_LIST_MAX);
		code = add_pid(ids, cnt, (pid_t)id);
		if (code)
			return err_set(err, code, "%s", option);
		if (!*end)
			return 0;
		at = end + 1;
	}
}

int targets_add_comm(struct targets *targets, const char *name, struct errmsg *err)
{
	struct target_comm *comms;

	if (!*name)
		return err_say(err, -EINVAL, "--comm '': the name of a process is not empty");
	if (targets->comm_cnt >= TARGET_LIST_MAX)
		return err_say(err, -EINVAL, "--comm: more than %d", TARGET_LIST_MAX);
	comms = realloc(targets->comms, (targets->comm_cnt + 1) * sizeof(*comms));
	if (!comms)
		return err_set(err, -ENOMEM, "--comm '%s'", name);
	targets->comms = comms;
	comms += targets->comm_cnt++;
	memset(comms, 0, sizeof(*comms));
	memcpy(comms->name, name, strnlen(name, TARGET_COMM_BYTES - 1));
	if (strlen(name) >= TARGET_COMM_BYTES)
		fprintf(stderr, "ebpfprof: the kernel keeps 15 bytes of a name: -c '%s'\n",
			comms->name);
	return 0;
}

/* Undo /proc/self/mounts' \040 and the like, in place. */
static void unescape_octal(char *text)
{
	char *to = text;

	for (; *text; text++) {
		if (text[0] == '\\' && strspn(text + 1, "01234567") >= 3) {
			*to++ = (char)((text[1] - '0') * 64 + (text[2] - '0') * 8 + text[3] - '0');
			text += 3;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
}

/* Where cgroup v2 is mounted; a heap string or NULL. */
static char *cgroup2_mount(void)
{
	struct strbuf mounts = STRBUF_INIT;
	char *line, *rest, *found = NULL;

	if (read_path("/proc/self/mounts", 4u << 20, &mounts) == 0) {
		for (line = strtok_r(mounts.text, "\n", &rest); line && !found;
		     line = strtok_r(NULL, "\n", &rest)) {
			char *where = strchr(line, ' '),
			     *type = where ? strchr(where + 1, ' ') : NULL;

			if (!type || strncmp(type + 1, "cgroup2 ", 8) != 0)
				continue;
			*type = '\0';
			unescape_octal(where + 1);
			found = strdup(where + 1);
		}
	}
	strbuf_free(&mounts);
	return found;
}

static int check_cgroup_fd(int fd, const char *path, struct errmsg *err)
{
	struct statfs fs = {};

	if (fstatfs(fd, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
		return 0;
	if (fs.f_type == CGROUP_SUPER_MAGIC)
		return err_say(err, -ENOTSUP,
			       "--cgroup '%s': this is a cgroup v1 hierarchy; name a cgroup v2 "
			       "directory (mount | grep cgroup2)",
			       path);
	return err_say(err, -ENOTSUP,
		       "--cgroup '%s': not a cgroup v2 directory; see "
		       "mount | grep cgroup2",
		       path);
}

int targets_add_cgroup(struct targets *targets, const char *path, struct errmsg *err)
{
	_cleanup_free_ char *mount = NULL, *joined = NULL;
	_cleanup_close_ int fd = -1;
	int code;

	if (!*path) /* an unset variable in a script: not the whole hierarchy */
		return err_say(err, -EINVAL, "--cgroup '': name a cgroup v2 directory");
	if (targets->cgroup_cnt >= TARGET_CGROUPS_MAX)
		return err_say(err, -EINVAL, "--cgroup: more than %d", TARGET_CGROUPS_MAX);
	if (*path == '/')
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		/* Relative to the mount; "/x" too, as /proc/PID/cgroup writes it. */
		mount = cgroup2_mount();
		if (!mount)
			return err_say(err, -ENOENT,
				       "--cgroup '%s': no cgroup v2 is mounted; "
				       "mount -t cgroup2 none /sys/fs/cgroup",
				       path);
		if (asprintf(&joined, "%s/%s", mount, path) < 0)
			return err_set(err, -ENOMEM, "--cgroup '%s'", path);
		fd = open(joined, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (fd < 0) {
		err_set(err, -errno, "--cgroup '%s'", path);
		err_hint(err, "name a directory, absolute or below %s", mount);
		return -ENOENT;
	}
	code = check_cgroup_fd(fd, path, err);
	if (code)
		return code;
	targets->cgroup_fds[targets->cgroup_cnt++] = fd_take(&fd);
	return 0;
}

int targets_check(const struct targets *targets, struct errmsg *err)
{
	size_t i;

	for (i = 0; i < targets->pid_cnt; i++) {
		pid_t pid = targets->pids[i], tgid = proc_stat_tgid(pid);

		if (!tgid || !proc_stat_is_running(tgid))
			return err_say(err, -ESRCH,
				       "no process %d: it has ended or never was; "
				       "see ps -e",
				       pid);
		if (tgid != pid)
			return err_say(err, -ESRCH,
				       "no process %d: it is a thread of process %d; "
				       "use -p %d, or -t %d for the thread",
				       pid, tgid, tgid, pid);
	}
	for (i = 0; i < targets->tid_cnt; i++)
		if (!proc_stat_is_running(targets->tids[i]))
			return err_say(err, -ESRCH,
				       "no thread %d: it has ended or never was; "
				       "see ps -eL",
				       targets->tids[i]);
	return 0;
}

void targets_free(struct targets *targets)
{
	size_t i;

	for (i = 0; i < targets->cgroup_cnt; i++)
		close(targets->cgroup_fds[i]);
	free(targets->pids);
	free(targets->tids);
	free(targets->comms);
	*targets = (struct targets){};
}
