/* SPDX-License-Identifier: BSD-2-Clause */
/* Whole reads and writes on descriptors: EINTR and short transfers handled once, here. */
#ifndef EBPFPROF_BASE_FILEIO_H
#define EBPFPROF_BASE_FILEIO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct strbuf;

/** write_all - write @len bytes, waiting for room if need be; 0 or a negative errno */
int write_all(int fd, const void *bytes, size_t len);

/** pread_full - read up to @len bytes at @offset; the number read (short only at EOF) or -errno */
ssize_t pread_full(int fd, void *bytes, size_t len, uint64_t offset);

/** read_fd - append all that is left to read; -EFBIG when it is more than @max_bytes */
int read_fd(int fd, size_t max_bytes, struct strbuf *buf);

/** read_path - append the content of the file at @path; as read_fd() */
int read_path(const char *path, size_t max_bytes, struct strbuf *buf);

#endif
