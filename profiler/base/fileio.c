/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/base/fileio.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/strbuf.h"

/* A stdout shared with a program that made it non-blocking: wait for room instead of failing. */
static bool wait_writable(int fd)
{
	struct pollfd wait = { .fd = fd, .events = POLLOUT };

	return poll(&wait, 1, -1) > 0 || errno == EINTR || errno == EAGAIN;
}

int write_all(int fd, const void *bytes, size_t len)
{
	const char *at = bytes;

	while (len) {
		ssize_t n = write(fd, at, len);

		if (n < 0) {
			if (errno == EINTR || (errno == EAGAIN && wait_writable(fd)))
				continue;
			return -errno;
		}
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

ssize_t pread_full(int fd, void *bytes, size_t len, uint64_t offset)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, (char *)bytes + done, len - done, (off_t)(offset + done));

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int read_fd(int fd, size_t max_bytes, struct strbuf *buf)
{
	size_t start = buf->len;

	for (;;) {
		ssize_t n;

		if (!strbuf_reserve(buf, 16384))
			return -ENOMEM;
		n = read(fd, buf->text + buf->len, buf->capacity - buf->len - 1);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		buf->len += (size_t)n;
		buf->text[buf->len] = '\0';
		if (n == 0)
			return 0;
		if (buf->len - start > max_bytes)
			return -EFBIG;
	}
}

int read_path(const char *path, size_t max_bytes, struct strbuf *buf)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return read_fd(fd, max_bytes, buf);
}
