/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sets of Linux capabilities (capabilities(7)) as masks, and giving them up for good.
 *
 * They are a thread's own: whoever gives some up does it before starting another thread.
 */
#ifndef EBPFPROF_BASE_CAPABILITIES_H
#define EBPFPROF_BASE_CAPABILITIES_H

#include <stdint.h>
#include <sys/capability.h>

struct errmsg;

/** CAPABILITY - the set of this one: CAPABILITY(CAP_BPF) | CAPABILITY(CAP_PERFMON) */
#define CAPABILITY(value) (UINT64_C(1) << (value))

/** capabilities_effective - those in effect; -errno */
int capabilities_effective(uint64_t *ret);

/**
 * capabilities_set_effective - @set, of those that are permitted, for a while
 * The others are in effect no longer, but can be again. Errors: -errno.
 */
int capabilities_set_effective(uint64_t set);

/**
 * capabilities_keep - of those in effect @keep, and no others, now and later
 *
 * Effective and permitted become the ones of @keep that were in effect, inheritable and ambient
 * empty; the bounding set becomes @keep where that is allowed (CAP_SETPCAP): without, a program
 * that is executed could gain others by its file, which no_new_privs rules out as well.
 * Errors: -errno; what was given up until then stays so.
 */
int capabilities_keep(uint64_t keep, struct errmsg *err);

#endif
