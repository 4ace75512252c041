/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * --jvm-perfmap: which JVMs are asked for their perf-map, and when.  Only those of which code
 * without a name was sampled, so never one that is not a target.
 *
 * Calls are for one thread at a time.
 */
#ifndef EBPFPROF_SYMBOLIZER_JVM_PERFMAPS_H
#define EBPFPROF_SYMBOLIZER_JVM_PERFMAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct jvm_perfmaps;

int jvm_perfmaps_new(const char *proc_root, struct jvm_perfmaps **ret);
void jvm_perfmaps_free(struct jvm_perfmaps *maps);

/**
 * jvm_perfmaps_want - process @id runs code that has no name
 * @is_jvm: asked for once per process, when it is new here
 *
 * It is asked for its perf-map when that has not been done, and again ever less often.
 */
void jvm_perfmaps_want(struct jvm_perfmaps *maps, uint64_t id, pid_t tgid,
		       bool (*is_jvm)(void *context), void *context, uint64_t now_ns);

/** jvm_perfmaps_hurry - ask now all that are wanted: the window is about to end */
void jvm_perfmaps_hurry(struct jvm_perfmaps *maps, uint64_t now_ns);

/**
 * jvm_perfmaps_next - a process whose perf-map was written since the last call; 0: none
 * To be called now and then: it takes the answers.
 */
pid_t jvm_perfmaps_next(struct jvm_perfmaps *maps, uint64_t now_ns);

/** jvm_perfmaps_pending - answers that are awaited */
size_t jvm_perfmaps_pending(struct jvm_perfmaps *maps);

/** jvm_perfmaps_refusal - walk the JVMs that gave none: why, in words, or NULL at the end */
const char *jvm_perfmaps_refusal(const struct jvm_perfmaps *maps, size_t *cursor, pid_t *ret_tgid);

#endif
