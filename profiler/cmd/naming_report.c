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
	else if (use->kind == LOCATION_USER && use->path)
		naming_advice_file("", use->path, text, sizeof(text));
	else if (use->kind == LOCATION_KERNEL)
		snprintf(text, sizeof(text), "sysctl kernel.kptr_restrict=1, CAP_SYSLOG");
	if (text[0])
		fprintf(out, "; %s", text);
}

static void print_use(FILE *out, const struct binary_use *use, uint64_t samples)
{
	const char *name = use->path ? base_name(use->path) : "(others)";
	const char *source = use->source.names_from[0] ? use->source.names_from : "not read";

	fprintf(out, "%5.1f %%  %-24s %5.1f %% named: %s", percent(use->samples, samples), name,
		percent(use->named, use->frames), source);
	if (use->source.is_poor && (double)use->samples >= ADVICE_SAMPLES * (double)samples)
		print_advice(out, use);
	fputc('\n', out);
}

void naming_report(FILE *out, const char *indent, const struct binaries *binaries)
{
	_cleanup_free_ struct binary_use *uses = NULL;
	uint64_t samples = 0;
	size_t cnt, i;

	if (binaries_list(binaries, &uses, &cnt) < 0)
		return;
	for (i = 0; i < cnt; i++)
		samples += uses[i].samples;
	for (i = 0; i < MIN(cnt, (size_t)LINES_MAX) && uses[i].samples; i++) {
		fprintf(out, "%s%-10s ", indent, i ? "" : "binaries");
		print_use(out, &uses[i], samples);
	}
}
