/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One conversation with a JVM: find or wake its socket, send the command, read the answer
 * (HotSpot: attachListener_linux.cpp).
 *
 * A listening JVM has /tmp/.java_pidN, N being its pid in its own namespace.  One that does not
 * listen starts to when it gets a SIGQUIT while /tmp/.attach_pidN of its user exists.
 *
 * The process may have made its /tmp what it likes: everything there is reached through one
 * descriptor of that directory, found below the process's root without links, and the socket is
 * connected to by the descriptor that was looked at.  Whoever answers must be the process itself.
 *
 * All /proc reads come after the pidfd is taken: if the pid is another process's meanwhile, the
 * signal fails, for the pidfd's process is gone.
 */
#include "symbolizer/jvm_attach.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "symbolizer/jit_file.h"
#include "symbolizer/jvm_attach_private.h"

#define LISTEN_NS (5 * NS_PER_SEC)  /* for the socket to appear */
#define ANSWER_NS (10 * NS_PER_SEC) /* for a large code cache to be written */
#define STEP_MS 20
#define ANSWER_MAX 4096
#define STALE_SECONDS 60 /* a trigger file so old is of a program that is gone */

struct conversation {
	const char *proc_root;
	pid_t tgid;
	int cancel_fd;
	struct jit_process process;
	int pidfd, root, tmp; /* -1 = not open */
	char socket_name[32], trigger_name[32];
};

/* ---- waiting ---- */

/* Until @fd (-1 = none) is ready or @until_ns; 1 ready, 0 the time is over, or -errno. */
static int wait_until(const struct conversation *talk, int fd, short events, uint64_t until_ns)
{
	struct pollfd fds[] = {
		{ .fd = talk->cancel_fd, .events = POLLIN },
		{ .fd = talk->pidfd, .events = POLLIN }, /* readable when it has ended */
		{ .fd = fd, .events = events },
	};
	uint64_t now_ns = monotonic_ns();
	int ms = until_ns > now_ns ? (int)((until_ns - now_ns) / NS_PER_MS) + 1 : 0;
	int r;

	do {
		r = poll(fds, ARRAY_SIZE(fds), ms);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	if (fds[0].revents)
		return -ECANCELED;
	if (fds[2].revents)
		return 1;
	return fds[1].revents ? -ESRCH : 0;
}

/* Some time, before something is tried again; -ETIMEDOUT behind @until_ns. */
static int wait_step(const struct conversation *talk, uint64_t until_ns)
{
	int r;

	if (monotonic_ns() >= until_ns)
		return -ETIMEDOUT;
	r = wait_until(talk, -1, 0, monotonic_ns() + STEP_MS * NS_PER_MS);
	return r < 0 ? r : 0;
}

/* ---- the socket ---- */

/* An O_PATH descriptor of the JVM's socket; -ENOENT: it does not listen yet. */
static int find_socket(const struct conversation *talk)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	fd = openat(talk->tmp, talk->socket_name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISSOCK(st.st_mode) || st.st_uid != talk->process.uid)
		return -EPERM;
	return fd_take(&fd);
}

static int connect_to(const struct conversation *talk, int socket_path_fd, int *ret_fd)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	uint64_t until_ns = monotonic_ns() + LISTEN_NS;
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (fd < 0)
		return -errno;
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", socket_path_fd);
	while (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int r = errno == EAGAIN ? wait_step(talk, until_ns) : -errno; /* others wait too */

		if (r < 0)
			return r;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return -errno;
	if (peer.pid != talk->tgid)
		return -EPERM;
	*ret_fd = fd_take(&fd);
	return 0;
}

/* ---- waking ---- */

/* Whether another program's trigger file has been lying there for long. */
static bool is_stale(const struct conversation *talk)
{
	struct stat st;

	return fstatat(talk->tmp, talk->trigger_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(st.st_mode) && (st.st_uid == talk->process.uid || st.st_uid == 0) &&
	       st.st_mtim.tv_sec + STALE_SECONDS < time(NULL);
}

static void remove_trigger(const struct conversation *talk, ino_t inode)
{
	struct stat st;

	if (fstatat(talk->tmp, talk->trigger_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_ino == inode)
		unlinkat(talk->tmp, talk->trigger_name, 0);
}

/* HotSpot believes a file of its own user, by the ids of its own user namespace. */
static int make_trigger(const struct conversation *talk, ino_t *ret_inode)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r = 0;

	*ret_inode = 0;
	fd = openat(talk->tmp, talk->trigger_name,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 && errno == EEXIST)
		return is_stale(talk) ? 0 : -EBUSY;
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != talk->process.uid || st.st_gid != talk->process.gid)
		r = fchown(fd, talk->process.uid, talk->process.gid) < 0 ? -errno : 0;
	if (r < 0)
		remove_trigger(talk, st.st_ino);
	else
		*ret_inode = st.st_ino;
	return r;
}

static int send_sigquit(const struct conversation *talk)
{
	struct jit_process now;
	int r = jit_process_read(talk->proc_root, talk->tgid, &now);

	if (r < 0)
		return r;
	if (!(now.caught_signals & 1ull << (SIGQUIT - 1)))
		return -EUNATCH;
	if (syscall(SYS_pidfd_send_signal, talk->pidfd, SIGQUIT, NULL, 0) < 0)
		return -errno;
	return 0;
}

/* Makes the JVM listen: its socket, or -errno. */
static int wake(const struct conversation *talk)
{
	uint64_t until_ns = monotonic_ns() + LISTEN_NS;
	ino_t inode;
	int fd, r;

	r = make_trigger(talk, &inode);
	if (r < 0)
		return r;
	fd = find_socket(talk); /* another program may just have woken it */
	if (fd == -ENOENT) {
		r = send_sigquit(talk);
		while (r == 0 && (fd = find_socket(talk)) == -ENOENT)
			r = wait_step(talk, until_ns);
	}
	if (inode)
		remove_trigger(talk, inode);
	return r < 0 ? r : fd;
}

/* ---- the command ---- */

static int send_command(const struct conversation *talk, int fd)
{
	/* version, command, three arguments; each with its NUL */
	static const char command[] = "1\0jcmd\0Compiler.perfmap\0\0";
	uint64_t until_ns = monotonic_ns() + LISTEN_NS;
	size_t sent = 0;

	while (sent < sizeof(command)) {
		ssize_t n = send(fd, command + sent, sizeof(command) - sent, MSG_NOSIGNAL);
		int r = 1;

		if (n > 0)
			sent += (size_t)n;
		else if (n < 0 && errno == EAGAIN)
			r = wait_until(talk, fd, POLLOUT, until_ns);
		else if (n < 0 && errno != EINTR)
			return errno == EPIPE ? -ECONNRESET : -errno;
		if (r <= 0)
			return r < 0 ? r : -ETIMEDOUT;
	}
	return 0;
}

/* All that comes until the JVM closes, of which @answer holds the beginning. */
static int read_answer(const struct conversation *talk, int fd, char answer[ANSWER_MAX])
{
	uint64_t until_ns = monotonic_ns() + ANSWER_NS;
	size_t used = 0;
	char rest[1024];

	for (;;) {
		size_t room = ANSWER_MAX - 1 - used;
		ssize_t n = recv(fd, room ? answer + used : rest, room ? room : sizeof(rest), 0);
		int r = 1;

		if (n > 0 && room)
			used += (size_t)n;
		else if (n == 0 || (n < 0 && errno == ECONNRESET))
			break;
		else if (n < 0 && errno == EAGAIN)
			r = wait_until(talk, fd, POLLIN, until_ns);
		else if (n < 0 && errno != EINTR)
			return -errno;
		if (r <= 0)
			return r < 0 ? r : -ETIMEDOUT;
		if (monotonic_ns() >= until_ns)
			return -ETIMEDOUT;
	}
	answer[used] = '\0';
	return 0;
}

static int understand(const char *answer)
{
	char *end;
	long status = strtol(answer, &end, 10);

	if (!answer[0])
		return -ECONNRESET; /* our user is not one that it trusts */
	if (end == answer || *end != '\n')
		return -EPROTO;
	if (status == 0)
		return 0;
	return strstr(answer, "Unknown diagnostic command") ? -ENOSYS : -EREMOTEIO;
}

static int converse(const struct conversation *talk, int socket_path_fd)
{
	_cleanup_close_ int fd = -1;
	char answer[ANSWER_MAX];
	int r;

	r = connect_to(talk, socket_path_fd, &fd);
	if (r == 0)
		r = send_command(talk, fd);
	if (r == 0)
		r = read_answer(talk, fd, answer);
	return r == 0 ? understand(answer) : r;
}

/* ---- all of it ---- */

/* Who it is, and whether we may talk to it at all. */
static int meet(struct conversation *talk)
{
	int r = jit_process_read(talk->proc_root, talk->tgid, &talk->process);

	if (r < 0)
		return r;
	if (talk->process.state == 'Z' || talk->process.state == 'X')
		return -ESRCH;
	if (geteuid() != 0 && (geteuid() != talk->process.uid || getegid() != talk->process.gid))
		return -EPERM;
	snprintf(talk->socket_name, sizeof(talk->socket_name), ".java_pid%d", talk->process.pid);
	snprintf(talk->trigger_name, sizeof(talk->trigger_name), ".attach_pid%d",
		 talk->process.pid);
	return 0;
}

static int open_tmp(struct conversation *talk)
{
	talk->root = jit_open_root(talk->proc_root, talk->tgid);
	if (talk->root < 0)
		return talk->root;
	talk->tmp = jit_open_below(talk->root, "tmp");
	return talk->tmp < 0 ? talk->tmp : 0;
}

static int ask(struct conversation *talk)
{
	_cleanup_free_ char *perf_path = NULL;
	_cleanup_close_ int socket_path_fd = -1;
	int r = meet(talk);

	if (r == 0)
		r = jvm_check_hotspot(talk->proc_root, talk->tgid, &perf_path);
	if (r == 0 && (talk->process.state == 'T' || talk->process.state == 't'))
		r = -EBUSY;
	if (r == 0)
		r = open_tmp(talk);
	if (r < 0)
		return r;
	socket_path_fd = find_socket(talk);
	if (socket_path_fd == -ENOENT) {
		r = jvm_check_attachable(talk->proc_root, talk->tgid, talk->root, perf_path,
					 talk->process.uid);
		if (r < 0)
			return r;
		socket_path_fd = wake(talk);
	}
	return socket_path_fd < 0 ? socket_path_fd : converse(talk, socket_path_fd);
}

int jvm_attach_perfmap(const char *proc_root, pid_t tgid, int cancel_fd)
{
	struct conversation talk = {
		.proc_root = proc_root,
		.tgid = tgid,
		.cancel_fd = cancel_fd,
		.root = -1,
		.tmp = -1,
	};
	int r;

	talk.pidfd = (int)syscall(SYS_pidfd_open, tgid, 0);
	if (talk.pidfd < 0)
		return -errno;
	r = ask(&talk);
	fd_closep(&talk.pidfd);
	fd_closep(&talk.root);
	fd_closep(&talk.tmp);
	return r;
}

const char *jvm_attach_words(int result)
{
	switch (result) {
	case 0:
		return "written";
	case -ESRCH:
		return "it has ended";
	case -ENXIO:
		return "it is no JVM";
	case -EPROTONOSUPPORT:
		return "it is another JVM than HotSpot";
	case -EPERM:
		return "only root or its own user may ask, and its socket must be its own";
	case -EOPNOTSUPP:
		return "it does not let others attach (-XX:+DisableAttachMechanism)";
	case -EUNATCH:
		return "it does not catch SIGQUIT, which would end it";
	case -EBUSY:
		return "it is stopped, or another program is attaching to it";
	case -EACCES:
		return "we may not look at it";
	case -ECONNRESET:
		return "it does not trust our user (another user namespace?)";
	case -ETIMEDOUT:
		return "it did not answer in time";
	case -ENOSYS:
		return "it does not know Compiler.perfmap, which Java 17 brought";
	case -EREMOTEIO:
		return "it could not write the file";
	case -EPROTO:
		return "its answer was not understood";
	case -ECANCELED:
		return "we did not wait for it";
	default:
		return strerror(-result);
	}
}
