/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When may an index name another rule?  Rows that held it are gone after one settle.  But the
 * walk's cache remembers indexes too, by a hash into which the rule generation is mixed: so the
 * generation is raised then, and at the next settle nobody who began under the old one runs:
 *
 *	USED -put-> IDLE -settle, when room is short-> CONDEMNED -settle-> FREE
 *
 * Raising it empties the cache, so it is done for many at once, and only when new indexes run out:
 * a host has some thousand rules, room is for 32,768.  Until another rule gets the index, it keeps
 * its rule, and who asks for that one has it back at once, in whatever state it is.
 */
#include "profiler/collect/unwind_rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/collect/unwind_array.h"

#define ROOM_LOW (UNWIND_RULES_MAX / 8)
#define CONDEMN_MIN 256u /* fewer are not worth an empty cache, unless there is no room at all */

enum rule_state { RULE_USED, RULE_IDLE, RULE_CONDEMNED, RULE_FREE };

static uint32_t *state_cnt(struct unwind_rules *rules, enum rule_state state)
{
	switch (state) {
	case RULE_USED:
		return &rules->used_cnt;
	case RULE_IDLE:
		return &rules->idle_cnt;
	case RULE_CONDEMNED:
		return &rules->condemned_cnt;
	default:
		return &rules->free_cnt;
	}
}

static void set_state(struct unwind_rules *rules, uint32_t index, enum rule_state state)
{
	--*state_cnt(rules, rules->states[index]);
	++*state_cnt(rules, state);
	rules->states[index] = (uint8_t)state;
}

int unwind_rules_init(struct unwind_rules *rules, struct unwind_array *slots, uint32_t *generation)
{
	struct unwind_rule *fixed;
	int err;

	*rules = (struct unwind_rules){ .slots = slots, .generation = generation };
	hashmap_init(&rules->indexes, sizeof(struct unwind_rule), sizeof(uint16_t));
	rules->refs = calloc(UNWIND_RULES_MAX, sizeof(*rules->refs));
	rules->states = calloc(UNWIND_RULES_MAX, sizeof(*rules->states));
	err = rules->refs && rules->states ?
		      unwind_array_touch(slots, 0, UNWIND_RULE_FIRST_FREE, &fixed) :
		      -ENOMEM;
	if (err) {
		unwind_rules_free(rules);
		return err;
	}
	fixed[UNWIND_RULE_NO_INFO] = (struct unwind_rule){ .cfa = UNWIND_NO_INFO };
	fixed[UNWIND_RULE_JIT] = (struct unwind_rule){ .cfa = UNWIND_JIT };
	fixed[UNWIND_RULE_FULL] = (struct unwind_rule){ .cfa = UNWIND_NO_INFO };
	fixed[UNWIND_RULE_BOTTOM] = (struct unwind_rule){ .cfa = UNWIND_BOTTOM };
	fixed[UNWIND_RULE_SIGNAL] = (struct unwind_rule){
		.cfa = UNWIND_SIGNAL,
		.cfa_offset = UNWIND_SIGCONTEXT_OFFSET,
	};
	rules->fresh = rules->used_cnt = rules->free_from = UNWIND_RULE_FIRST_FREE;
	return 0;
}

void unwind_rules_free(struct unwind_rules *rules)
{
	hashmap_free(&rules->indexes);
	free(TAKE_PTR(rules->refs));
	free(TAKE_PTR(rules->states));
}

/* An index that may have another rule now; UNWIND_RULES_MAX: none. */
static uint32_t find_room(const struct unwind_rules *rules)
{
	uint32_t index = rules->free_from;

	if (!rules->free_cnt)
		return rules->fresh;
	while (rules->states[index] != RULE_FREE)
		index++;
	return index;
}

static int add_rule(struct unwind_rules *rules, const struct unwind_rule *rule, uint16_t *ret_index)
{
	uint32_t index = find_room(rules);
	struct unwind_rule *slot;
	uint16_t *known;
	int err;

	if (index == UNWIND_RULES_MAX) {
		*ret_index = UNWIND_RULE_FULL;
		return 0;
	}
	err = unwind_array_touch(rules->slots, index, 1, &slot);
	if (err)
		return err;
	known = hashmap_put(&rules->indexes, rule, NULL);
	if (!known)
		return -ENOMEM;
	*known = (uint16_t)index;
	if (index < rules->fresh) {
		hashmap_del(&rules->indexes, slot);
		set_state(rules, index, RULE_USED);
		rules->free_from = index + 1;
	} else {
		rules->fresh++;
		rules->used_cnt++;
		rules->states[index] = RULE_USED;
	}
	*slot = *rule;
	rules->refs[index] = 1;
	*ret_index = (uint16_t)index;
	return 0;
}

int unwind_rules_get(struct unwind_rules *rules, const struct unwind_rule *rule,
		     uint16_t *ret_index)
{
	const uint16_t *known;

	if (rule->cfa == UNWIND_NO_INFO || rule->cfa == UNWIND_JIT ||
	    (rule->cfa == UNWIND_BOTTOM && !rule->reg)) {
		*ret_index = rule->cfa == UNWIND_JIT	? UNWIND_RULE_JIT :
			     rule->cfa == UNWIND_BOTTOM ? UNWIND_RULE_BOTTOM :
							  UNWIND_RULE_NO_INFO;
		return 0;
	}
	known = hashmap_get(&rules->indexes, rule);
	if (!known)
		return add_rule(rules, rule, ret_index);
	if (!rules->refs[*known]++)
		set_state(rules, *known, RULE_USED);
	*ret_index = *known;
	return 0;
}

void unwind_rules_put(struct unwind_rules *rules, uint16_t index)
{
	if (index >= UNWIND_RULE_FIRST_FREE && --rules->refs[index] == 0)
		set_state(rules, index, RULE_IDLE);
}

static void move_all(struct unwind_rules *rules, enum rule_state from, enum rule_state to)
{
	uint32_t index;

	for (index = UNWIND_RULE_FIRST_FREE; index < rules->fresh && *state_cnt(rules, from);
	     index++)
		if (rules->states[index] == from)
			set_state(rules, index, to);
}

void unwind_rules_settle(struct unwind_rules *rules)
{
	uint32_t room;

	move_all(rules, RULE_CONDEMNED, RULE_FREE);
	rules->free_from = UNWIND_RULE_FIRST_FREE;
	room = UNWIND_RULES_MAX - rules->fresh + rules->free_cnt;
	if (room < ROOM_LOW && rules->idle_cnt && (rules->idle_cnt >= CONDEMN_MIN || !room)) {
		move_all(rules, RULE_IDLE, RULE_CONDEMNED);
		__atomic_fetch_add(rules->generation, 1, __ATOMIC_SEQ_CST);
	}
}
