/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/cmd/command.h"

#include "profiler/base/err.h"

int usage_error(const char *command, const struct errmsg *err)
{
	fprintf(stderr, "ebpfprof %s: %s; see 'ebpfprof help %s'\n", command, err->text, command);
	return EXIT_USAGE;
}

int failure(const struct errmsg *err)
{
	fprintf(stderr, "ebpfprof: %s\n", err->text);
	return EXIT_FAILED;
}
