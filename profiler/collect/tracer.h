/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loading a tracer: one source in bpf/, an object for each tier, of which the first is taken that the
 * kernel has and accepts (bpf/tier.bpf.h).
 *
 * A tracer that fails costs its own part and nothing else: what became of each is kept as a struct
 * tracer_outcome beside the shared maps, for the summary and for `doctor`.
 */
#ifndef EBPFPROF_COLLECT_TRACER_H
#define EBPFPROF_COLLECT_TRACER_H

#include <stdbool.h>
#include <stddef.h>

struct bpf_object;
struct errmsg;
struct shared_maps;

/* In the order in which they are tried. */
enum tier {
	TIER_NONE,
	TIER_TP_BTF, /* typed tracepoints */
	TIER_RAW_TP, /* raw tracepoints */
	TIER_KPROBE,
	TIER_CNT,
	TIER_ITER = TIER_CNT, /* run once, no hook */
};

/** tier_name - "tp_btf", "raw_tp", "kprobe"; "iter", "none" */
const char *tier_name(enum tier tier);

/** tier_by_name - TIER_NONE when it is no tier's */
enum tier tier_by_name(const char *name);

#define TRACERS_MAX 16

/* What became of one tracer. */
struct tracer_outcome {
	const char *name; /* "follow"; static */
	const char *loss; /* what is poorer without it; static */
	enum tier tier;	  /* that runs; TIER_NONE: none does */
	char why[768];	  /* why none does, or why a tier before it does not; else "" */
};

struct tracer {
	const char *name; /* as its file in bpf/ */
	const char *what; /* "the fork tracer" */
	const char *loss;
	/* By tier: its object as the skeleton has it; NULL = it has no such tier. */
	const void *(*bytes[TIER_CNT])(size_t *ret_bytes);
	/* Before the load: what differs by configuration. May be NULL. */
	int (*prepare)(void *context, struct bpf_object *object);
	void *context;
};

struct loaded_tracer;

/**
 * tracer_load - load and attach every program of the best tier, its maps those of @maps
 *
 * The tier that shared_config.tier forces is tried alone.  The outcome is noted at @maps either way.
 * Errors: -errno of the last tier tried, all their reasons in @err.
 */
int tracer_load(const struct tracer *tracer, struct shared_maps *maps, struct loaded_tracer **ret,
		struct errmsg *err);
void tracer_free(struct loaded_tracer *loaded);

#endif
