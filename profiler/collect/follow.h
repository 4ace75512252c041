/* SPDX-License-Identifier: BSD-2-Clause */
/* The fork tracer: children of targets are targets before they run. */
#ifndef EBPFPROF_COLLECT_FOLLOW_H
#define EBPFPROF_COLLECT_FOLLOW_H

struct errmsg;
struct loaded_tracer;
struct shared_maps;
struct targets;

/** follow_new - before any child of a target may be forked; errors of tracer_load() */
int follow_new(struct shared_maps *maps, const struct targets *targets, struct loaded_tracer **ret,
	       struct errmsg *err);

#endif
