/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whose numbers pids are.  All that user space reads (/proc, the side-band, -p) is numbered by the
 * pid namespace that it runs in, so the programs number by that one too.
 *
 * Knob `pid_view` of every object (section .rodata.pids), set before load.  All zero: the initial
 * namespace, whose numbers the kernel itself uses.
 */
#ifndef EBPFPROF_BPF_PIDS_H
#define EBPFPROF_BPF_PIDS_H

#include <linux/types.h>

#define PID_NAMESPACE_LEVELS_MAX 32 /* include/linux/pid_namespace.h MAX_PID_NS_LEVEL */

struct pid_view {
	__u32 namespace; /* its inode in nsfs, as stat(2) of /proc/self/ns/pid gives it; 0: initial */
	__u32 reserved;
};

#endif
