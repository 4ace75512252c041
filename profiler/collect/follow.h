/* SPDX-License-Identifier: BSD-2-Clause */
/* The fork tracer: children of targets are targets before they run. */
#ifndef EBPFPROF_COLLECT_FOLLOW_H
#define EBPFPROF_COLLECT_FOLLOW_H

struct errmsg;
struct follow;
struct shared_maps;
struct targets;

/** follow_new - load and attach its hooks; before any child of a target may be forked */
int follow_new(struct shared_maps *maps, const struct targets *targets, struct follow **ret,
	       struct errmsg *err);
void follow_free(struct follow *follow);

#endif
