/* SPDX-License-Identifier: BSD-2-Clause */
/* The rooms of jvm_attach: threads (jvm_worker.c), the talk, whether to talk (jvm_check.c). */
#ifndef EBPFPROF_SYMBOLIZER_JVM_ATTACH_PRIVATE_H
#define EBPFPROF_SYMBOLIZER_JVM_ATTACH_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum jvm_attachable {
	JVM_ATTACHABLE_NO,
	JVM_ATTACHABLE_YES,
	JVM_ATTACHABLE_UNKNOWN, /* the data has no such entry */
};

/** jvm_read_capabilities - whether a JVM's monitoring data (hsperfdata) says it can be attached to */
enum jvm_attachable jvm_read_capabilities(const void *data, size_t len);

/**
 * jvm_check_hotspot - is @tgid a HotSpot JVM?
 * @ret_perf_path: heap; the file of its monitoring data as it maps it, or NULL
 *
 * Errors: -ENXIO, -EPROTONOSUPPORT; -ESRCH, -ENOMEM and other -errno of /proc.
 */
int jvm_check_hotspot(const char *proc_root, pid_t tgid, char **ret_perf_path);

/**
 * jvm_check_attachable - may @tgid be sent a SIGQUIT to make its socket?
 * @root: its root directory
 * @perf_path: of jvm_check_hotspot()
 * @uid: its user
 *
 * Errors: -EOPNOTSUPP no, or it cannot be known.
 */
int jvm_check_attachable(const char *proc_root, pid_t tgid, int root, const char *perf_path,
			 uid_t uid);

#endif
