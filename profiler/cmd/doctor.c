/* SPDX-License-Identifier: BSD-2-Clause */
/* `ebpfprof doctor`: what this host supports, what is missing, and how to get it. */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "profiler/base/err.h"
#include "profiler/base/options.h"
#include "profiler/cmd/command.h"
#include "profiler/cmd/doctor_process.h"
#include "profiler/cmd/doctor_rows.h"

struct doctor_opts {
	unsigned int pid;
	bool json;
};

static const struct opt doctor_opts[] = {
	{ OPT_COUNT, 'p', "pid", "PID",
	  "sample this process for three seconds and say\nhow well its code is named",
	  offsetof(struct doctor_opts, pid), 1, 1u << 22 },
	{ OPT_SET, 0, "json", NULL, "the table as JSON, for machines", offsetof(struct doctor_opts, json) },
	{ OPT_END },
};
static const struct opt *const tables[] = { doctor_opts, NULL };

static void doctor_help(FILE *out)
{
	fputs("Usage: ebpfprof doctor [--json] [-p PID]\n"
	      "What this host supports, what is missing and how to get it, and by which tier\n"
	      "each feature works here. Exit status 1 when profiling is not possible.\n\n",
	      out);
	options_print(out, tables);
}

static int report(const struct doctor *doctor, bool json)
{
	size_t failures = doctor_cnt(doctor, DOCTOR_FAIL), warnings = doctor_cnt(doctor, DOCTOR_WARN);

	if (json && doctor_print_json(doctor, stdout) < 0)
		return EXIT_FAILED;
	if (!json)
		doctor_print(doctor, stdout);
	if (!json && failures)
		printf("\nThis host cannot be profiled yet: %zu thing%s to do.\n", failures,
		       failures == 1 ? "" : "s");
	else if (!json)
		printf("\nReady%s: ebpfprof record -d 10\n",
		       warnings ? ", with less than there could be (warn)" : "");
	return failures ? EXIT_FAILED : EXIT_DONE;
}

static int doctor_run(int argc, char **argv)
{
	static struct doctor doctor;
	struct opt_rest rest;
	struct doctor_opts opts = {};
	struct errmsg err = {};

	if (options_parse(argc, argv, tables, &opts, NULL, &rest, &err))
		return usage_error("doctor", &err);
	if (rest.cnt) {
		err_say(&err, -EINVAL, "'%s': takes no arguments", rest.words[0]);
		return usage_error("doctor", &err);
	}
	if (opts.pid && opts.json) {
		err_say(&err, -EINVAL, "--json: not with --pid");
		return usage_error("doctor", &err);
	}
	if (opts.pid)
		return doctor_process((pid_t)opts.pid);
	doctor_check_host(&doctor);
	doctor_check_features(&doctor);
	return report(&doctor, opts.json);
}

const struct command cmd_doctor = {
	.name = "doctor",
	.summary = "what this host supports, what is missing and how to get it",
	.run = doctor_run,
	.help = doctor_help,
};
