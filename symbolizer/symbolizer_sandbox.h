/* SPDX-License-Identifier: BSD-2-Clause */
/* What naming needs that other programs do not: system calls, and a folder to write to. */
#ifndef EBPFPROF_SYMBOLIZER_SYMBOLIZER_SANDBOX_H
#define EBPFPROF_SYMBOLIZER_SYMBOLIZER_SANDBOX_H

#include <stdbool.h>

#include "profiler/base/sandbox.h"

struct strbuf;

/** debuginfod_calls - of libdebuginfod, libcurl and the resolver: sockets */
extern const struct sandbox_call debuginfod_calls[];

/** jvm_calls - of asking JVMs for their perf-map: a local socket, SIGQUIT */
extern const struct sandbox_call jvm_calls[];

/** debuginfod_is_wanted - $DEBUGINFOD_URLS names a server */
bool debuginfod_is_wanted(void);

/**
 * debuginfod_cache_folder - where libdebuginfod keeps what it fetched; it need not be there yet
 * Source: debuginfod_find_debuginfo(3), "CACHE". Errors: -ENOENT none can be told; -ENOMEM.
 */
int debuginfod_cache_folder(struct strbuf *ret);

#endif
