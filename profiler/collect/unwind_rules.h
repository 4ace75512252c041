/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules of all tables, each once: map `unwind_rules` (bpf/unwind.h), counted by the files that
 * use them.  Not thread-safe.
 */
#ifndef EBPFPROF_COLLECT_UNWIND_RULES_H
#define EBPFPROF_COLLECT_UNWIND_RULES_H

#include <stdint.h>

#include "bpf/unwind.h"
#include "profiler/base/hashmap.h"

struct unwind_array;

struct unwind_rules {
	struct unwind_array *slots;
	uint32_t *generation;	/* sampler_control.rule_generation */
	struct hashmap indexes; /* struct unwind_rule -> uint16_t; also of rules without users */
	uint32_t *refs;		/* [UNWIND_RULES_MAX] */
	uint8_t *states;	/* [UNWIND_RULES_MAX] enum rule_state */
	uint32_t fresh;		/* from here on no index was ever given */
	uint32_t free_from;	/* below this none is free */
	uint32_t used_cnt, idle_cnt, condemned_cnt, free_cnt;
};

/** unwind_rules_init - with the rules that are always there; both pointers borrowed; -errno */
int unwind_rules_init(struct unwind_rules *rules, struct unwind_array *slots, uint32_t *generation);
void unwind_rules_free(struct unwind_rules *rules);

/**
 * unwind_rules_get - the index of @rule, one reference to it
 * UNWIND_RULE_FULL, which has no references to give back, when there is no room.  -ENOMEM.
 */
int unwind_rules_get(struct unwind_rules *rules, const struct unwind_rule *rule,
		     uint16_t *ret_index);

/** unwind_rules_put - give a reference back; nothing to do for the rules that are always there */
void unwind_rules_put(struct unwind_rules *rules, uint16_t index);

/** unwind_rules_settle - nobody reads any more what was given back so far */
void unwind_rules_settle(struct unwind_rules *rules);

#endif
