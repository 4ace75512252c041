/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/cmd/naming_report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "profiler/pipeline/binaries.h"
#include "symbolizer/naming_advice.h"

#define LINES_MAX 8	    /* of the table */
#define ADVICE_SAMPLES 0.01 /* share of the samples from which advice is worth its cost */

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0.0;
}

static void print_advice(FILE *out, const struct binary_use *use)
{
	char text[300] = "";

	if (use->kind == LOCATION_JIT)
		snprintf(text, sizeof(text), "%s", naming_advice_jit(use->source.runtime));
	else if (use->kind == LOCATION_USER && use->path && !use->source.is_unreadable)
		naming_advice_file("", use->path, use->source.build_id, text, sizeof(text));
	else if (use->kind == LOCATION_KERNEL)
		snprintf(text, sizeof(text), "sysctl kernel.kptr_restrict=1, CAP_SYSLOG");
	if (text[0])
		fprintf(out, "; %s", text);
}

static const char *name_of(const struct binary_use *use)
{
	return use->path ? base_name(use->path) : "(others)";
}

static const char *source_of(const struct binary_use *use)
{
	return use->source.names_from[0] ? use->source.names_from : "not read";
}

static void print_use(FILE *out, const struct binary_use *use, uint64_t samples)
{
	char complete[24] = ""; /* of the kernel's and of notes there are no user stacks */

	if (use->stacks)
		snprintf(complete, sizeof(complete), "%5.1f %% complete,",
			 percent(use->complete, use->stacks));
	fprintf(out, "%5.1f %%  %-24s %-17s %5.1f %% named: %s", percent(use->samples, samples),
		name_of(use), complete, percent(use->named, use->frames), source_of(use));
	if (use->source.is_poor && (double)use->samples >= ADVICE_SAMPLES * (double)samples)
		print_advice(out, use);
	fputc('\n', out);
}

static void print_samples(FILE *out, const char *indent, const struct binary_use *uses, size_t cnt)
{
	uint64_t samples = 0;
	size_t i;

	for (i = 0; i < cnt; i++)
		samples += uses[i].samples;
	for (i = 0; i < MIN(cnt, (size_t)LINES_MAX) && uses[i].samples; i++) {
		fprintf(out, "%s%-10s ", indent, i ? "" : "binaries");
		print_use(out, &uses[i], samples);
	}
}

static uint64_t nameless(const struct binary_use *use)
{
	return use->frames - use->named;
}

static int by_nameless(const void *left, const void *right)
{
	uint64_t a = nameless(left), b = nameless(right);

	return a > b ? -1 : a < b;
}

static bool is_user(const struct binary_use *use)
{
	return use->kind != LOCATION_KERNEL && use->kind != LOCATION_BPF;
}

/* What no name was found for, by where it is and why; sorts @uses. */
static void print_nameless(FILE *out, const char *indent, struct binary_use *uses, size_t cnt)
{
	uint64_t frames = 0, without = 0, served = 0, served_without = 0;
	size_t i;

	for (i = 0; i < cnt; i++) {
		if (!is_user(&uses[i]))
			continue;
		frames += uses[i].frames;
		without += nameless(&uses[i]);
		served += uses[i].source.is_poor ? 0 : uses[i].frames;
		served_without += uses[i].source.is_poor ? 0 : nameless(&uses[i]);
	}
	if (!without)
		return;
	fprintf(out, "%s%-10s %5.1f %% of user frames; %.2f %% where there are symbols or a map\n",
		indent, "unnamed", percent(without, frames), percent(served_without, served));
	qsort(uses, cnt, sizeof(*uses), by_nameless);
	for (i = 0; i < MIN(cnt, (size_t)LINES_MAX) && nameless(&uses[i]); i++) {
		if (is_user(&uses[i]))
			fprintf(out, "%s%-10s %5.1f %%  %-24s %s\n", indent, "",
				percent(nameless(&uses[i]), frames), name_of(&uses[i]),
				source_of(&uses[i]));
	}
}

void naming_report(FILE *out, const char *indent, const struct binaries *binaries)
{
	_cleanup_free_ struct binary_use *uses = NULL;
	size_t cnt;

	if (binaries_list(binaries, &uses, &cnt) < 0)
		return;
	print_samples(out, indent, uses, cnt);
	print_nameless(out, indent, uses, cnt);
}
