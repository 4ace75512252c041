/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A JVM writes the names that it has at the moment when it is asked, so one question is not
 * enough: methods are compiled later, and a short program may end before its window does.  Asking
 * at each tick would cost the JVM a walk through its code cache each time.  So a JVM is asked at
 * the first sample without a name, then at intervals that double, as long as samples without
 * names come in, and at the end of each window.
 *
 * What refuses is asked again as rarely (a JVM that is starting refuses too), and not at all
 * when nothing can change its mind.
 */
#include "symbolizer/jvm_perfmaps.h"

#include <errno.h>
#include <stdlib.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "profiler/base/hashmap.h"
#include "symbolizer/jvm_attach.h"

#define WAIT_FIRST_NS (500 * NS_PER_MS)
#define WAIT_MAX_NS (32 * NS_PER_SEC)
#define PROCESSES_MAX 4096
#define NOT_ANSWERED 1

struct candidate {
	pid_t tgid;
	bool is_jvm;
	bool is_wanted; /* it ran code without a name since it was asked last */
	bool is_asked;	/* and has not answered yet */
	int result;	/* its last answer */
	uint64_t next_ns, wait_ns;
};

struct jvm_perfmaps {
	struct jvm_attach *attach;
	struct hashmap candidates; /* process_id() -> struct candidate */
};

int jvm_perfmaps_new(const char *proc_root, struct jvm_perfmaps **ret)
{
	struct jvm_perfmaps *maps = calloc(1, sizeof(*maps));
	int r;

	if (!maps)
		return -ENOMEM;
	r = jvm_attach_new(proc_root, &maps->attach);
	if (r < 0) {
		free(maps);
		return r;
	}
	hashmap_init(&maps->candidates, sizeof(uint64_t), sizeof(struct candidate));
	*ret = maps;
	return 0;
}

void jvm_perfmaps_free(struct jvm_perfmaps *maps)
{
	if (!maps)
		return;
	jvm_attach_free(maps->attach);
	hashmap_free(&maps->candidates);
	free(maps);
}

static bool is_final(int result)
{
	return result == -EPERM || result == -EPROTONOSUPPORT || result == -ENOSYS ||
	       result == -ECONNRESET || result == -ESRCH;
}

static void ask(struct jvm_perfmaps *maps, struct candidate *candidate, uint64_t now_ns)
{
	candidate->wait_ns = candidate->wait_ns ? MIN(2 * candidate->wait_ns, WAIT_MAX_NS) :
						  WAIT_FIRST_NS;
	candidate->next_ns = now_ns + candidate->wait_ns;
	if (jvm_attach_ask(maps->attach, candidate->tgid) < 0)
		return; /* too many at once, or no memory: at the next time */
	candidate->is_asked = true;
	candidate->is_wanted = false;
}

void jvm_perfmaps_want(struct jvm_perfmaps *maps, uint64_t id, pid_t tgid,
		       bool (*is_jvm)(void *context), void *context, uint64_t now_ns)
{
	struct candidate *candidate;
	bool is_new;

	if (maps->candidates.cnt >= PROCESSES_MAX && !hashmap_get(&maps->candidates, &id))
		hashmap_clear(&maps->candidates); /* those that live come again */
	candidate = hashmap_put(&maps->candidates, &id, &is_new);
	if (!candidate)
		return;
	if (is_new) {
		candidate->tgid = tgid;
		candidate->is_jvm = is_jvm(context);
		candidate->result = NOT_ANSWERED;
	}
	if (!candidate->is_jvm || is_final(candidate->result))
		return;
	candidate->is_wanted = true;
	if (!candidate->is_asked && now_ns >= candidate->next_ns)
		ask(maps, candidate, now_ns);
}

void jvm_perfmaps_hurry(struct jvm_perfmaps *maps, uint64_t now_ns)
{
	struct candidate *candidate;
	size_t cursor = 0;
	void *value;

	while (hashmap_next(&maps->candidates, &cursor, NULL, &value)) {
		candidate = value;
		if (candidate->is_wanted && !candidate->is_asked && candidate->result >= 0)
			ask(maps, candidate, now_ns);
	}
}

static struct candidate *asked(const struct jvm_perfmaps *maps, pid_t tgid)
{
	struct candidate *candidate;
	size_t cursor = 0;
	void *value;

	while (hashmap_next(&maps->candidates, &cursor, NULL, &value)) {
		candidate = value;
		if (candidate->tgid == tgid && candidate->is_asked)
			return candidate;
	}
	return NULL;
}

pid_t jvm_perfmaps_next(struct jvm_perfmaps *maps, uint64_t now_ns)
{
	struct candidate *candidate;
	struct jvm_answer answer;

	while (jvm_attach_next(maps->attach, &answer)) {
		candidate = asked(maps, answer.tgid);
		if (!candidate)
			continue;
		candidate->is_asked = false;
		candidate->result = answer.result;
		candidate->next_ns = MAX(candidate->next_ns, now_ns);
		if (answer.result == 0)
			return answer.tgid;
	}
	return 0;
}

size_t jvm_perfmaps_pending(struct jvm_perfmaps *maps)
{
	return jvm_attach_pending(maps->attach);
}

const char *jvm_perfmaps_refusal(const struct jvm_perfmaps *maps, size_t *cursor, pid_t *ret_tgid)
{
	const struct candidate *candidate;
	void *value;

	while (hashmap_next(&maps->candidates, cursor, NULL, &value)) {
		candidate = value;
		if (!candidate->is_jvm || candidate->result >= 0 || candidate->result == -ESRCH)
			continue;
		*ret_tgid = candidate->tgid;
		return jvm_attach_words(candidate->result);
	}
	return NULL;
}
