/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Code made at run time.  Its name can change under a fixed address, so it is named first, and
 * the name is part of the location's identity: profiles already made keep the old name, new
 * samples get the new one.
 */
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "profiler/base/hashmap.h"
#include "symbolizer/jit_name.h"
#include "symbolizer/jvm_perfmaps.h"
#include "symbolizer/process.h"
#include "symbolizer/symbolizer_private.h"

static const struct location_mapping jit_mapping = { 0, UINT64_MAX, 0, "[jit]", "" };

/* The location of JIT code that its runtime names; NULL in *@ret: none does. False: no memory. */
static bool resolve_named_jit(struct symbolizer *symbolizer, struct process *process,
			      uint64_t address, uint64_t time_ns, const struct location **ret)
{
	struct location_key key = { .owner = process_id(process),
				    .address = address,
				    .kind = LOCATION_JIT };
	struct location_text text = {};
	struct location_draft draft = { .address = address,
					.named = true,
					.texts = &text,
					.text_cnt = 1,
					.mapping = &jit_mapping };
	struct jit_frame frame;
	struct jit_name name;

	*ret = NULL;
	if (!process_jit_find(symbolizer->processes, process, address, time_ns, monotonic_ns(),
			      &frame))
		return true;
	key.name = hash_bytes(frame.name, strlen(frame.name));
	key.variant = frame.line;
	jit_name_split(frame.name, &name);
	text.name = frame.name;
	text.function = name.function;
	text.filename = frame.filename ? frame.filename : name.filename;
	/* A perf-map knows where the function begins, not where it is. */
	text.line = frame.line ? frame.line : name.start_line;
	text.start_line = name.start_line;
	*ret = symbolizer_location(symbolizer, &key, &draft);
	return *ret;
}

static bool is_jvm(void *process)
{
	return symbolizer_runtime(process) == RUNTIME_JVM;
}

const struct location *symbolizer_jit(struct symbolizer *symbolizer, struct process *process,
				      uint64_t address, uint64_t time_ns, bool is_mapped)
{
	const struct location *location;

	if (!resolve_named_jit(symbolizer, process, address, time_ns, &location))
		return NULL;
	if (location)
		return location;
	if (!is_mapped)
		return symbolizer_unknown(symbolizer);
	if (symbolizer->jvms)
		jvm_perfmaps_want(symbolizer->jvms, process_id(process), process_tgid(process),
				  is_jvm, process, monotonic_ns());
	return symbolizer_anonymous(symbolizer, LOCATION_JIT, process_id(process), "[jit]",
				    &jit_mapping);
}

bool symbolizer_await_names(struct symbolizer *symbolizer, bool hurry)
{
	uint64_t now_ns = monotonic_ns();
	pid_t tgid;

	if (!symbolizer->jvms)
		return false;
	while ((tgid = jvm_perfmaps_next(symbolizer->jvms, now_ns)))
		process_perfmap_written(symbolizer->processes, tgid);
	if (hurry)
		jvm_perfmaps_hurry(symbolizer->jvms, now_ns);
	return jvm_perfmaps_pending(symbolizer->jvms);
}

size_t symbolizer_refusals(const struct symbolizer *symbolizer, struct symbolizer_refusal *ret,
			   size_t max)
{
	struct symbolizer_refusal refusal;
	size_t cursor = 0, cnt = 0;

	while (symbolizer->jvms &&
	       (refusal.why = jvm_perfmaps_refusal(symbolizer->jvms, &cursor, &refusal.tgid))) {
		if (cnt < max)
			ret[cnt] = refusal;
		cnt++;
	}
	return cnt;
}
