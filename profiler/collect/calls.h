/* SPDX-License-Identifier: BSD-2-Clause */
/* The system calls that this module makes once all BPF programs are loaded. */
#ifndef EBPFPROF_COLLECT_CALLS_H
#define EBPFPROF_COLLECT_CALLS_H

#include "profiler/base/sandbox.h"

/** collect_calls - for sandbox_enter(); bpf(2) without loading, pinning or finding by id */
extern const struct sandbox_call collect_calls[];

#endif
