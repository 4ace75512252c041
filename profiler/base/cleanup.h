/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scope-bound release of resources, so that an early return frees what was taken.
 *
 * A variable marked _cleanup_(f) has f(&variable) called when its scope ends.  Hand ownership
 * on with fd_take() or TAKE_PTR(), which leave an empty value behind.
 */
#ifndef EBPFPROF_BASE_CLEANUP_H
#define EBPFPROF_BASE_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _cleanup_free_ _cleanup_(freep)
#define _cleanup_close_ _cleanup_(fd_closep)

static inline void freep(void *pointer)
{
	free(*(void **)pointer);
}

static inline void fd_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void file_closep(FILE **file)
{
	if (*file)
		fclose(*file);
}

static inline void dir_closep(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* The descriptor in *fd, whose owner is now the caller. */
static inline int fd_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* The pointer in `p`, whose owner is now the caller. */
#define TAKE_PTR(p)                                                                                \
	({                                                                                         \
		__typeof__(p) _taken = (p);                                                        \
		(p) = NULL;                                                                        \
		_taken;                                                                            \
	})

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
