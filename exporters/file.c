/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A target is looked at once, when it is opened: links are followed by hand to the name that will
 * be replaced, so that a link stays a link; what is there decides between a temporary file and
 * writing through.  The temporary file has no name while it is written (O_TMPFILE), so that SIGKILL
 * leaves nothing behind; linkat() cannot replace an existing name, so one that is there is replaced
 * by way of another, between two calls.  Where the file system has no such files it has a name
 * from the start.
 *
 * We often run as root, and folders like /tmp belong to everyone.  So links are followed only
 * where the kernel's protected_symlinks would (switched on or not), the temporary file is made
 * with O_EXCL, rename() never follows a link, and what we write through must not have become a
 * regular file between the look and the open.
 */
#include "exporters/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exporters/file_guard.h"
#include "exporters/file_owner.h"
#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"
#include "profiler/base/fileio.h"
#include "profiler/base/strbuf.h"
#include "proto/folded.h"
#include "proto/pprof.h"

#define BUFFER_BYTES 65536u
#define LINKS_MAX 40	    /* as the kernel follows */
#define FD_PATH_BYTES 32
#define TEMP_TRIES 100	    /* names taken by others (or by a killed run of this pid) */
#define TEMP_STEM_BYTES 200 /* of the target's name: NAME_MAX less what we add */

struct file_output {
	int fd;
	bool close_fd; /* false: stdout */
	char *shown;   /* as the user named it */
	char *target;  /* with links followed; NULL: written through */
	char *temp;    /* NULL: none made, or no longer ours */
	bool is_unnamed; /* the temporary file has no name yet */
	int error;     /* of the first write that failed */
	size_t buffered;
	char buffer[BUFFER_BYTES];
};

static const struct {
	enum profile_format format;
	const char *name, *suffix;
} formats[] = {
	{ FORMAT_PPROF_GZIP, "pprof", ".pb.gz" },
	{ FORMAT_PPROF, "pprof-raw", ".pb" },
	{ FORMAT_FOLDED, "folded", ".folded" },
};

enum profile_format profile_format_by_name(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(formats); i++) {
		if (strcmp(name, formats[i].name) == 0)
			return formats[i].format;
	}
	return FORMAT_UNKNOWN;
}

enum profile_format profile_format_by_suffix(const char *path)
{
	size_t len = strlen(path), i;

	for (i = 0; i < ARRAY_SIZE(formats); i++) {
		size_t suffix_len = strlen(formats[i].suffix);

		if (len >= suffix_len && strcmp(path + len - suffix_len, formats[i].suffix) == 0)
			return formats[i].format;
	}
	return FORMAT_UNKNOWN;
}

const char *profile_format_names(void)
{
	return "pprof, pprof-raw, folded";
}

static bool is_stdout(const char *path)
{
	return strcmp(path, "-") == 0 || strcmp(path, "/dev/stdout") == 0;
}

/* Length of the folder part of @path with its '/'; 0 if it has none. */
static size_t folder_len(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (size_t)(slash + 1 - path) : 0;
}

static char *folder_of(const char *path)
{
	struct strbuf folder = STRBUF_INIT;

	strbuf_add(&folder, path, folder_len(path));
	if (!folder.len)
		strbuf_add_char(&folder, '.');
	return strbuf_take(&folder);
}

/*
 * May the link be followed?  In a folder where anybody can make links and nobody can remove
 * those of others, only one's own and the folder owner's are.  Source: may_follow_link() in
 * fs/namei.c.
 */
static int check_link(const char *path, const struct stat *link)
{
	_cleanup_free_ char *folder = folder_of(path);
	struct stat in;

	if (!folder)
		return -ENOMEM;
	if (stat(folder, &in) < 0)
		return -errno;
	if ((in.st_mode & (S_ISVTX | S_IWOTH)) != (S_ISVTX | S_IWOTH) ||
	    link->st_uid == geteuid() || link->st_uid == in.st_uid)
		return 0;
	return -EACCES;
}

/*
 * One step along a chain of links: *path becomes what it points to.  1: done that, 0: *path is
 * no link (or nothing).  The link is read through a descriptor, so that what was checked is what
 * is read.
 */
static int follow_link(char **path)
{
	_cleanup_close_ int fd = open(*path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct strbuf next = STRBUF_INIT;
	char points_to[PATH_MAX];
	struct stat link;
	ssize_t len;
	int error;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &link) < 0)
		return -errno;
	if (!S_ISLNK(link.st_mode))
		return 0;
	error = check_link(*path, &link);
	if (error)
		return error;
	len = readlinkat(fd, "", points_to, sizeof(points_to));
	if (len < 0)
		return -errno;
	if (len == sizeof(points_to))
		return -ENAMETOOLONG;
	if (points_to[0] != '/')
		strbuf_add(&next, *path, folder_len(*path));
	strbuf_add(&next, points_to, (size_t)len);
	free(*path);
	*path = strbuf_take(&next);
	return *path ? 1 : -ENOMEM;
}

/* Heap copy of @path with links in its last part followed, also to where nothing is yet. */
static int resolve(const char *path, char **ret)
{
	struct strbuf copy = STRBUF_INIT;
	_cleanup_free_ char *at = NULL;
	int links, followed;

	strbuf_add_str(&copy, path);
	at = strbuf_take(&copy);
	if (!at)
		return -ENOMEM;
	for (links = 0; links <= LINKS_MAX; links++) {
		followed = follow_link(&at);
		if (followed < 0)
			return followed;
		if (!followed) {
			*ret = TAKE_PTR(at);
			return 0;
		}
	}
	return -ELOOP;
}

/* rename() over another's file in a sticky folder fails; better known before the recording. */
static int check_replaceable(const char *target, const struct stat *file)
{
	_cleanup_free_ char *folder = folder_of(target);
	struct stat in;

	if (!folder)
		return -ENOMEM;
	if (stat(folder, &in) < 0)
		return -errno;
	if (!(in.st_mode & S_ISVTX) || geteuid() == 0 || geteuid() == file->st_uid ||
	    geteuid() == in.st_uid)
		return 0;
	return -EPERM;
}

/* By which linkat() finds a file without a name. */
static void fd_path(int fd, char *ret)
{
	snprintf(ret, FD_PATH_BYTES, "/proc/self/fd/%d", fd);
}

/* 1: made; 0: not possible here; -ENOMEM */
static int make_unnamed(struct file_output *output)
{
	_cleanup_free_ char *folder = folder_of(output->target);
	char path[FD_PATH_BYTES];

	if (!folder)
		return -ENOMEM;
	output->fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
	if (output->fd < 0)
		return 0;
	fd_path(output->fd, path);
	output->is_unnamed = access(path, F_OK) == 0; /* without /proc it would never get one */
	output->close_fd = output->is_unnamed;
	if (output->is_unnamed)
		file_guard("");
	else
		close(output->fd);
	return output->is_unnamed;
}

/* A name that is free, by @make: 0, -EEXIST or -errno. */
static int name_temp(struct file_output *output, int (*make)(struct file_output *, const char *))
{
	size_t folder = folder_len(output->target);
	int stem = (int)MIN(strlen(output->target + folder), TEMP_STEM_BYTES);
	int try, error;

	for (try = 0; try < TEMP_TRIES; try++) {
		struct strbuf name = STRBUF_INIT;
		_cleanup_free_ char *path = NULL;

		strbuf_printf(&name, "%.*s.%.*s.ebpfprof-%d-%d.tmp", (int)folder, output->target,
			      stem, output->target + folder, (int)getpid(), try);
		path = strbuf_take(&name);
		if (!path)
			return -ENOMEM;
		file_guard(path);
		error = make(output, path);
		if (!error) {
			output->temp = TAKE_PTR(path);
			return 0;
		}
		file_unguard(path);
		if (error != -EEXIST)
			return error;
	}
	return -EEXIST;
}

static int create_temp(struct file_output *output, const char *path)
{
	output->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (output->fd < 0)
		return -errno;
	output->close_fd = true;
	return 0;
}

static int link_temp(struct file_output *output, const char *path)
{
	char unnamed[FD_PATH_BYTES];

	fd_path(output->fd, unnamed);
	return linkat(AT_FDCWD, unnamed, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0 ? 0 : -errno;
}

/*
 * What root wrote under sudo is the user's.  Refused on file systems without owners: then the
 * file stays root's, which is no reason to lose a recording.
 */
static void give_to_sudo_user(int fd)
{
	uid_t uid;
	gid_t gid;

	if (file_owner_wanted(&uid, &gid))
		(void)!fchown(fd, uid, gid);
}

static int open_through(struct file_output *output, const char *path)
{
	struct stat now;

	output->fd = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
	if (output->fd < 0)
		return -errno;
	output->close_fd = true;
	if (fstat(output->fd, &now) < 0)
		return -errno;
	return S_ISREG(now.st_mode) ? -ESTALE : 0;
}

/* Is stdout open, and for writing? */
static int check_stdout(void)
{
	int flags = fcntl(STDOUT_FILENO, F_GETFL);

	if (flags < 0)
		return -errno;
	return (flags & O_ACCMODE) == O_RDONLY ? -EBADF : 0;
}

/*
 * Open what @output->shown names. @dry: only find out whether that would work; a FIFO is not
 * opened then, because that waits for its reader and then tells him of an end.
 */
static int open_target(struct file_output *output, bool dry)
{
	struct stat there;
	int error;

	if (is_stdout(output->shown)) {
		output->fd = STDOUT_FILENO;
		return check_stdout();
	}
	if (!*output->shown)
		return -ENOENT;
	/* Also refuses what protected_symlinks refuses, before we follow links ourselves. */
	if (stat(output->shown, &there) < 0) {
		if (errno != ENOENT)
			return -errno;
		there.st_mode = S_IFREG;
		there.st_uid = geteuid();
	}
	if (S_ISDIR(there.st_mode))
		return -EISDIR;
	if (!S_ISREG(there.st_mode)) {
		if (!dry)
			return open_through(output, output->shown);
		return faccessat(AT_FDCWD, output->shown, W_OK, AT_EACCESS) < 0 ? -errno : 0;
	}
	error = resolve(output->shown, &output->target);
	if (!error && !output->target[folder_len(output->target)])
		error = -EISDIR; /* "new/" */
	if (!error)
		error = check_replaceable(output->target, &there);
	if (!error && !(error = make_unnamed(output)))
		error = name_temp(output, create_temp);
	error = MIN(error, 0);
	if (!error && !dry && output->temp)
		give_to_sudo_user(output->fd);
	return error;
}

static void say_open_failed(struct errmsg *err, int error, const struct file_output *output)
{
	err_set(err, error, "cannot write '%s'", output->shown);
	if (error == -EISDIR)
		err_hint(err, "name a file in it");
	else if (error == -ENOENT && *output->shown)
		err_hint(err, "create its folder first, or name another place");
	else if (error == -EACCES || error == -EPERM || error == -EROFS)
		err_hint(err, "name a place where you may write");
	else if (error == -ENXIO)
		err_hint(err, "to feed a socket, write to '-' and pipe that");
}

void file_output_abort(struct file_output *output)
{
	if (!output)
		return;
	if (output->close_fd)
		close(output->fd);
	if (output->temp) {
		unlink(output->temp);
		file_unguard(output->temp);
	}
	if (output->is_unnamed)
		file_unguard("");
	free(output->temp);
	free(output->target);
	free(output->shown);
	free(output);
}

static void file_output_abortp(struct file_output **output)
{
	file_output_abort(*output);
}

static int open_or_check(const char *path, bool dry, struct file_output **ret, struct errmsg *err)
{
	_cleanup_(file_output_abortp) struct file_output *output = calloc(1, sizeof(*output));
	struct strbuf shown = STRBUF_INIT;
	int error;

	if (!output)
		return err_set(err, -ENOMEM, "cannot write '%s'", path);
	output->fd = -1;
	strbuf_add_str(&shown, path);
	output->shown = strbuf_take(&shown);
	if (!output->shown)
		return err_set(err, -ENOMEM, "cannot write '%s'", path);
	error = open_target(output, dry);
	if (error) {
		say_open_failed(err, error, output);
		return error;
	}
	if (ret)
		*ret = TAKE_PTR(output);
	return 0;
}

uint64_t file_output_needs(const char *path)
{
	_cleanup_free_ char *target = NULL, *folder = NULL;
	struct stat there;

	if (is_stdout(path) || (stat(path, &there) == 0 && !S_ISREG(there.st_mode)))
		return 0;
	if (resolve(path, &target) < 0)
		return 0;
	folder = folder_of(target);
	return folder ? file_owner_needs(target, folder) : 0;
}

int file_output_check(const char *path, struct errmsg *err)
{
	return open_or_check(path, true, NULL, err);
}

int file_output_open(const char *path, struct file_output **ret, struct errmsg *err)
{
	return open_or_check(path, false, ret, err);
}

static int flush(struct file_output *output)
{
	if (!output->error && output->buffered)
		output->error = write_all(output->fd, output->buffer, output->buffered);
	output->buffered = 0;
	return output->error;
}

int file_output_write(void *context, const void *bytes, size_t len)
{
	struct file_output *output = context;

	if (output->error)
		return output->error;
	if (len > sizeof(output->buffer) - output->buffered && flush(output))
		return output->error;
	if (len >= sizeof(output->buffer)) {
		output->error = write_all(output->fd, bytes, len);
		return output->error;
	}
	memcpy(output->buffer + output->buffered, bytes, len);
	output->buffered += len;
	return 0;
}

/* Some file systems have no fsync; a full disk may show only here. */
static int sync_file(int fd)
{
	if (fsync(fd) < 0 && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
		return -errno;
	return 0;
}

/* Only now is it the user's: the owner of a file alone may link it. */
static int give_name(struct file_output *output)
{
	int error = link_temp(output, output->target);

	if (error == -EEXIST)
		error = name_temp(output, link_temp);
	if (!error)
		give_to_sudo_user(output->fd);
	return error;
}

static int finish(struct file_output *output)
{
	int error = flush(output);

	if (!error && (output->temp || output->is_unnamed))
		error = sync_file(output->fd);
	if (!error && output->is_unnamed)
		error = give_name(output);
	if (output->close_fd) {
		output->close_fd = false;
		if (close(output->fd) < 0 && errno != EINTR && !error)
			error = -errno;
	}
	if (error || !output->temp)
		return error;
	if (rename(output->temp, output->target) < 0)
		return -errno;
	file_unguard(output->temp);
	free(TAKE_PTR(output->temp));
	return 0;
}

int file_output_commit(struct file_output *output, struct errmsg *err)
{
	int error = finish(output);

	if (error && error != -EPIPE) {
		err_set(err, error, "cannot write '%s'", output->shown);
		if (error == -ENOSPC || error == -EDQUOT)
			err_hint(err, "free some space, or name another place");
	}
	file_output_abort(output);
	return error;
}

static int encode(const struct profile *profile, enum profile_format format,
		  const struct folded_options *folded, struct file_output *output,
		  struct errmsg *err)
{
	switch (format) {
	case FORMAT_PPROF_GZIP:
	case FORMAT_PPROF:
		return pprof_write(profile, format == FORMAT_PPROF_GZIP, file_output_write, output);
	case FORMAT_FOLDED:
		return folded_write(profile, folded, file_output_write, output, err);
	case FORMAT_UNKNOWN:
		break;
	}
	return -EINVAL;
}

int profile_save(const struct profile *profile, enum profile_format format,
		 const struct folded_options *folded, const char *path, struct errmsg *err)
{
	_cleanup_(file_output_abortp) struct file_output *output = NULL;
	int error;

	if (format == FORMAT_UNKNOWN)
		return err_say(err, -EINVAL, "cannot write '%s': no format given; one of %s", path,
			       profile_format_names());
	error = file_output_open(path, &output, err);
	if (error)
		return error;
	error = encode(profile, format, folded, output, err);
	/* A failed write is described by the commit, which sees it again; -ENOENT by the encoder. */
	if (error && !output->error) {
		if (error != -ENOENT)
			err_set(err, error, "cannot write '%s'", path);
		return error;
	}
	return file_output_commit(TAKE_PTR(output), err);
}
