/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A symbolizer that knows what a test tells it, in place of symbolizer/symbolizer.c: a program
 * that includes this defines what pipeline/ calls, so the archive's own are not linked.  Include
 * it behind cmocka.h, in one file of a program.
 *
 * Addresses that fake_place() did not name are `f_HEX`, in no mapping.
 */
#ifndef EBPFPROF_TESTS_FAKE_SYMBOLIZER_H
#define EBPFPROF_TESTS_FAKE_SYMBOLIZER_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/symbolizer.h"
#include "symbolizer/symbolizer_source.h"

#define FAKE_CALLS_MAX 512
#define FAKE_LINES 2

struct process {
	pid_t tgid;
	uint64_t young_ip, young_ns; /* this address's code was mapped then; all other was always */
};

/* A question that was asked. */
struct fake_call {
	uint64_t ip, time_ns;
	bool kernel, return_address;
	const struct process *process;
};

struct fake_location {
	struct fake_location *next;
	uint64_t ip; /* 0 = a note */
	char name[320];
	struct location *location; /* behind this struct, with room for FAKE_LINES */
};

struct symbolizer {
	struct fake_location *first;
	struct process process; /* the only one; tgid 0 = none is known */
	struct fake_call calls[FAKE_CALLS_MAX];
	size_t call_cnt;
};

static inline void fake_free(struct symbolizer *fake)
{
	struct fake_location *next;

	for (; fake->first; fake->first = next) {
		next = fake->first->next;
		free(fake->first);
	}
}

static inline struct fake_location *fake_find(struct symbolizer *fake, uint64_t ip,
					      const char *name)
{
	struct fake_location *at;

	for (at = fake->first; at; at = at->next)
		if (at->ip == ip && (ip || strcmp(at->name, name) == 0))
			return at;
	return NULL;
}

/* The location of @ip, made if it is new, which a test may change; NULL when memory is out. */
static inline struct location *fake_place(struct symbolizer *fake, uint64_t ip, const char *name,
					  enum location_kind kind,
					  const struct location_mapping *mapping)
{
	struct fake_location *at = fake_find(fake, ip, name);

	if (at)
		return at->location;
	at = calloc(1, sizeof(*at) + sizeof(*at->location) +
			       FAKE_LINES * sizeof(at->location->lines[0]));
	if (!at)
		return NULL;
	at->ip = ip;
	snprintf(at->name, sizeof(at->name), "%s", name);
	at->location = (struct location *)(at + 1);
	at->location->mapping = mapping;
	at->location->address = ip;
	at->location->kind = kind;
	at->location->named = kind != LOCATION_UNKNOWN && kind != LOCATION_NOTE;
	at->location->line_cnt = 1;
	at->location->lines[0].function = at->location->lines[0].system_name = at->name;
	at->next = fake->first;
	fake->first = at;
	return at->location;
}

static inline const struct location *fake_answer(struct symbolizer *fake,
						 const struct fake_call *call)
{
	char name[32];

	assert_true(fake->call_cnt < FAKE_CALLS_MAX);
	fake->calls[fake->call_cnt++] = *call;
	snprintf(name, sizeof(name), "f_%llx", (unsigned long long)call->ip);
	return fake_place(fake, call->ip, name, call->kernel ? LOCATION_KERNEL : LOCATION_USER,
			  NULL);
}

struct process *symbolizer_process(struct symbolizer *fake, pid_t tgid, uint64_t time_ns)
{
	(void)time_ns;
	return tgid == fake->process.tgid ? &fake->process : NULL;
}

const struct location *symbolizer_user(struct symbolizer *fake, struct process *process,
				       uint64_t time_ns, uint64_t ip, bool return_address)
{
	return fake_answer(fake, &(struct fake_call){ .ip = ip,
						      .time_ns = time_ns,
						      .return_address = return_address,
						      .process = process });
}

const struct location *symbolizer_kernel(struct symbolizer *fake, uint64_t ip, bool return_address)
{
	return fake_answer(fake, &(struct fake_call){ .ip = ip,
						      .kernel = true,
						      .return_address = return_address });
}

const struct location *symbolizer_note(struct symbolizer *fake, const char *text)
{
	return fake_place(fake, 0, text, LOCATION_NOTE, NULL);
}

void symbolizer_source(const struct symbolizer *fake, const struct location *location,
		       struct symbolizer_source *ret)
{
	(void)fake;
	(void)location;
	*ret = (struct symbolizer_source){ .names_from = "fake" };
}

#include "tests/unit/fake_process_code.h"

#endif
