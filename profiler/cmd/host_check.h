/* SPDX-License-Identifier: BSD-2-Clause */
/* Before a session: can and may this host be profiled? */
#ifndef EBPFPROF_CMD_HOST_CHECK_H
#define EBPFPROF_CMD_HOST_CHECK_H

#include <stdbool.h>

#include "profiler/collect/sampler_about.h"

struct errmsg;

/** what an ordinary user has to type once, to need no root afterwards */
#define SETCAP_LINE                                                                                \
	"sudo setcap cap_bpf,cap_perfmon,cap_sys_ptrace,cap_syslog,cap_dac_read_search,"          \
	"cap_checkpoint_restore=ep $(readlink -f $(command -v ebpfprof))"

/**
 * host_check_before_profiling - 0, or -errno with what is missing and how to get it
 * @force: profile on a kernel that may freeze
 * @by: where BPF is not insisted on, what it lacks is no error: the sampler finds another way
 *
 * Warns on stderr where the kernel's patch level is unknown.
 */
int host_check_before_profiling(bool force, enum sampler_by by, struct errmsg *err);

#endif
