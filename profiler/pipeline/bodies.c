/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/pipeline/bodies.h"

#include <errno.h>
#include <stddef.h>

#include "profiler/collect/sampler.h"
#include "profiler/base/cleanup.h"

#define KEEP_BYTES (1u << 20)

static size_t body_bytes(const struct stack_body *body)
{
	size_t cnt = MIN((size_t)body->frame_cnt, (size_t)STACK_FRAMES_MAX);

	return offsetof(struct stack_body, frames) + cnt * sizeof(body->frames[0]);
}

int bodies_add(struct bodies *bodies, const struct stack_body *body)
{
	strbuf_add(&bodies->bytes, body, body_bytes(body));
	if (!bodies->bytes.failed)
		return 0;
	bodies->bytes.failed = false; /* what was added before is intact */
	return -ENOMEM;
}

const struct stack_body *bodies_next(const struct bodies *bodies, size_t *cursor)
{
	const struct stack_body *body;

	if (*cursor >= bodies->bytes.len)
		return NULL;
	body = (const void *)(bodies->bytes.text + *cursor);
	*cursor += body_bytes(body);
	return body;
}

void bodies_clear(struct bodies *bodies)
{
	if (bodies->bytes.capacity > KEEP_BYTES)
		strbuf_free(&bodies->bytes);
	else
		strbuf_clear(&bodies->bytes);
}

void bodies_free(struct bodies *bodies)
{
	strbuf_free(&bodies->bytes);
}
