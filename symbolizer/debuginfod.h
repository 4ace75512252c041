/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Debug files from debuginfod servers, by a thread of its own: who profiles never waits for it.
 *
 * libdebuginfod is loaded (dlopen) only when DEBUGINFOD_URLS is set, because it brings libcurl
 * and TLS with it.  Its own cache on disk and its own time-outs hold.
 */
#ifndef EBPFPROF_SYMBOLIZER_DEBUGINFOD_H
#define EBPFPROF_SYMBOLIZER_DEBUGINFOD_H

#include "symbolizer/elf.h"

struct debuginfod;

/**
 * debuginfod_start - NULL in *@ret, and 0: DEBUGINFOD_URLS is not set
 * Loads the library; the thread starts with the first question.
 * Errors: -ENOSYS the library is not there; -ENOMEM.
 */
int debuginfod_start(struct debuginfod **ret);

/** debuginfod_stop - end the thread, without waiting for a download under way; NULL is fine */
void debuginfod_stop(struct debuginfod *client);

/**
 * debuginfod_ask - the debug file of @build_id
 * Returns 0 with *ret_fd (the caller's), -EAGAIN asked for, not here yet (ask again later),
 * -ENOENT no server has it (asked once; then remembered), or none could be reached (tried again
 * by a call ten minutes later), -ENOSPC the queue is full, or no memory, no thread is to be had: ask again later.
 */
int debuginfod_ask(struct debuginfod *client, const struct elf_build_id *build_id, int *ret_fd);

/** debuginfod_wait - the same, but until it is there or cannot be had: never -EAGAIN */
int debuginfod_wait(struct debuginfod *client, const struct elf_build_id *build_id, int *ret_fd);

#endif
