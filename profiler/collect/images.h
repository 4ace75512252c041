/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's hooks that keep `unwind_processes` (bpf/images.bpf.c): at fork, exec and the end of a
 * process.  Without them processes are known only from when user space has published them.
 */
#ifndef EBPFPROF_COLLECT_IMAGES_H
#define EBPFPROF_COLLECT_IMAGES_H

#include <stdbool.h>

struct errmsg;
struct images;
struct shared_maps;

/**
 * images_new - load and attach; then enter the processes that there are
 * @maps: borrowed; with tables
 *
 * When this returns, unwind_maps_image() knows every process, unless images_has_seeded() says no.
 * On failure profiling goes on without; @err is the reason to show.
 */
int images_new(struct shared_maps *maps, struct images **ret, struct errmsg *err);

/** images_free - detach; what the map holds stays, and grows stale */
void images_free(struct images *images);

/** images_has_seeded - whether processes that are older than the hooks were entered */
bool images_has_seeded(const struct images *images);

#endif
