/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Objects are opened from the bytes that bpftool puts into a skeleton, not by the skeleton's own
 * functions: the objects of all tiers have the same programs, and one way to load them is enough.
 *
 * A probe (probes.h) says beforehand whether a tier is worth a try, because a refusal of the probe is
 * easier to understand than that of the object; the load decides.
 */
#include "profiler/collect/tracer.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"
#include "profiler/collect/bpf_log.h"
#include "profiler/collect/probes.h"
#include "profiler/collect/shared.h"

#define PROGRAMS_MAX 16

struct loaded_tracer {
	struct bpf_object *object;
	struct bpf_link *links[PROGRAMS_MAX];
	size_t link_cnt;
};

static const struct {
	const char *name;
	enum probe probe;
} tiers[TIER_CNT] = {
	[TIER_TP_BTF] = { "tp_btf", PROBE_TP_BTF },
	[TIER_RAW_TP] = { "raw_tp", PROBE_RAW_TP },
	[TIER_KPROBE] = { "kprobe", PROBE_KPROBE },
};

const char *tier_name(enum tier tier)
{
	if (tier == TIER_ITER)
		return "iter";
	return tier == TIER_NONE ? "none" : tiers[tier].name;
}

enum tier tier_by_name(const char *name)
{
	unsigned int tier;

	for (tier = TIER_NONE + 1; tier < TIER_CNT; tier++)
		if (strcmp(name, tiers[tier].name) == 0)
			return (enum tier)tier;
	return TIER_NONE;
}

void tracer_free(struct loaded_tracer *loaded)
{
	size_t i;

	if (!loaded)
		return;
	for (i = 0; i < loaded->link_cnt; i++)
		bpf_link__destroy(loaded->links[i]);
	bpf_object__close(loaded->object);
	free(loaded);
}

static int attach_all(struct loaded_tracer *loaded)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, loaded->object) {
		struct bpf_link *link;

		if (!bpf_program__autoload(program))
			continue;
		if (loaded->link_cnt == PROGRAMS_MAX)
			return -E2BIG;
		link = bpf_program__attach(program);
		if (!link)
			return -errno;
		loaded->links[loaded->link_cnt++] = link;
	}
	return 0;
}

static int load_tier(const struct tracer *tracer, enum tier tier, struct shared_maps *maps,
		     struct loaded_tracer *loaded)
{
	size_t bytes;
	const void *object = tracer->bytes[tier](&bytes);
	int code;

	bpf_log_begin();
	loaded->object = bpf_object__open_mem(object, bytes, NULL);
	if (!loaded->object)
		return -errno;
	code = shared_maps_lend(maps, loaded->object, NULL);
	if (!code && tracer->prepare)
		code = tracer->prepare(tracer->context, loaded->object);
	if (!code)
		code = bpf_object__load(loaded->object);
	if (!code)
		code = attach_all(loaded);
	return code;
}

static void add_reason(struct tracer_outcome *outcome, enum tier tier, const char *text)
{
	size_t used = strlen(outcome->why);

	snprintf(outcome->why + used, sizeof(outcome->why) - used, "%s%s: %s", used ? "; " : "",
		 tier_name(tier), text);
}

static int try_tier(const struct tracer *tracer, enum tier tier, struct shared_maps *maps,
		    struct loaded_tracer **ret, struct tracer_outcome *outcome)
{
	struct loaded_tracer *loaded;
	char reason[512];
	int code = probe_run(tiers[tier].probe);

	if (code) {
		add_reason(outcome, tier, strerror(-code));
		return code;
	}
	loaded = calloc(1, sizeof(*loaded));
	if (!loaded)
		return -ENOMEM;
	code = load_tier(tracer, tier, maps, loaded);
	if (code) {
		bpf_log_reason(code, reason, sizeof(reason));
		tracer_free(loaded);
		add_reason(outcome, tier, reason);
		return code;
	}
	*ret = loaded;
	return 0;
}

int tracer_load(const struct tracer *tracer, struct shared_maps *maps, struct loaded_tracer **ret,
		struct errmsg *err)
{
	struct tracer_outcome outcome = { .name = tracer->name,
					  .loss = tracer->loss };
	enum tier forced = shared_maps_tier(maps);
	int code = -ENOENT;
	unsigned int tier;

	for (tier = TIER_NONE + 1; tier < TIER_CNT && outcome.tier == TIER_NONE; tier++) {
		if (!tracer->bytes[tier] || (forced != TIER_NONE && forced != tier))
			continue;
		code = try_tier(tracer, (enum tier)tier, maps, ret, &outcome);
		if (!code)
			outcome.tier = (enum tier)tier;
	}
	shared_maps_note(maps, &outcome);
	if (outcome.tier != TIER_NONE)
		return 0;
	return err_say(err, code, "no tier of %s is possible: %s", tracer->what, outcome.why);
}
