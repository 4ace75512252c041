/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/collect/follow.h"

#include <bpf/libbpf.h>

#include "bpf/pids.h"
#include "profiler/collect/targets.h"
#include "profiler/collect/tracer.h"

#include "follow_kprobe.skel.h"
#include "follow_raw.skel.h"
#include "follow_tp.skel.h"

/* Without its fork a target that has ended is forgotten still: its number may be another's soon. */
static int prepare(void *context, struct bpf_object *object)
{
	const struct targets *targets = context;

	if (targets->follow)
		return 0;
	return bpf_program__set_autoload(bpf_object__find_program_by_name(object, "follow_fork"),
					 false);
}

int follow_new(struct shared_maps *maps, const struct targets *targets, struct loaded_tracer **ret,
	       struct errmsg *err)
{
	const struct tracer tracer = {
		.name = "follow",
		.what = "the fork tracer",
		.loss = "children of targets are found some ticks late",
		.bytes = { [TIER_TP_BTF] = follow_tp_bpf__elf_bytes,
			   [TIER_RAW_TP] = follow_raw_bpf__elf_bytes,
			   [TIER_KPROBE] = follow_kprobe_bpf__elf_bytes },
		.prepare = prepare,
		.context = (void *)targets,
	};

	return tracer_load(&tracer, maps, ret, err);
}
