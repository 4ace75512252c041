/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as a pprof file.  What is read must also be what our own writer and reader agree on:
 * after one round trip, which drops what has no wire form, a second one changes nothing.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"
#include "profiler/base/strbuf.h"
#include "proto/folded.h"
#include "proto/pprof.h"
#include "proto/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int add_to_text(void *context, const void *bytes, size_t len)
{
	struct strbuf *text = context;

	strbuf_add(text, bytes, len);
	return text->failed ? -ENOMEM : 0;
}

static struct profile *reread(const struct profile *profile, struct strbuf *bytes)
{
	struct profile *copy;

	if (pprof_write(profile, false, add_to_text, bytes) ||
	    pprof_read(bytes->text, bytes->len, NULL, &copy, NULL))
		abort();
	return copy;
}

static void check_round_trip(const struct profile *profile)
{
	_cleanup_(strbuf_free) struct strbuf first = STRBUF_INIT, second = STRBUF_INIT;
	_cleanup_(strbuf_free) struct strbuf third = STRBUF_INIT;
	_cleanup_(profile_freep) struct profile *copy = NULL, *again = NULL;

	copy = reread(profile, &first);
	again = reread(copy, &second);
	if (pprof_write(again, false, add_to_text, &third))
		abort();
	if (second.len != third.len || memcmp(second.text, third.text, second.len) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct pprof_limits limits = { .inflated_bytes = 1 << 20, .heap_bytes = 8 << 20 };
	const struct folded_options options = { .lines = true, .annotate = true };
	_cleanup_(profile_freep) struct profile *profile = NULL;
	_cleanup_(strbuf_free) struct strbuf folded = STRBUF_INIT;
	struct errmsg err = { "" };
	int error = pprof_read(data, size, &limits, &profile, &err);

	if (error) {
		if (profile || !err.text[0])
			abort();
		return 0;
	}
	check_round_trip(profile);
	if (folded_write(profile, &options, add_to_text, &folded, NULL))
		abort();
	return 0;
}
