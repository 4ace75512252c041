/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stack bodies that have come out of the ring but are not named yet.
 *
 * They wait for the side-band: a body is taken out of its ring first, then the process records
 * up to now are applied, so that the mappings of its time are known when it is named.
 */
#ifndef EBPFPROF_PIPELINE_BODIES_H
#define EBPFPROF_PIPELINE_BODIES_H

#include "profiler/base/strbuf.h"

struct stack_body;

struct bodies {
	struct strbuf bytes; /* back to back, each padded to 8 bytes; the frames used only */
};

/** bodies_add - copy @body; -ENOMEM */
int bodies_add(struct bodies *bodies, const struct stack_body *body);

/** bodies_next - walk them: @cursor 0 at first; NULL at the end */
const struct stack_body *bodies_next(const struct bodies *bodies, size_t *cursor);

void bodies_clear(struct bodies *bodies);
void bodies_free(struct bodies *bodies);

#endif
