/* SPDX-License-Identifier: BSD-2-Clause */
/* `ebpfprof record`: a window of profiling to a file. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "exporters/file.h"
#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "profiler/base/err.h"
#include "profiler/base/strbuf.h"
#include "profiler/cmd/command.h"
#include "profiler/cmd/folded_opts.h"
#include "profiler/cmd/profiling.h"
#include "proto/profile.h"

#define DEFAULT_OUTPUT "ebpfprof.pb.gz"

struct record {
	struct profiling profiling; /* first: its options count from here */
	const char *output, *format_name;
	uint64_t every_ns;
	enum profile_format format;
	struct folded_options folded;
	struct hot_list hot;
	char *last_path;
	unsigned int files;
	bool with_command;
};

static const struct opt record_opts[] = {
	{ OPT_TEXT, 'o', "output", "FILE",
	  "where to; - is stdout; the format follows the\nsuffix .pb.gz, .pb or .folded (" DEFAULT_OUTPUT
	  ")",
	  offsetof(struct record, output) },
	{ OPT_TEXT, 0, "format", "NAME", "pprof, pprof-raw or folded, whatever the suffix",
	  offsetof(struct record, format_name) },
	{ OPT_SECONDS, 0, "every", "SEC",
	  "a complete file each SEC seconds; %T in FILE is\nits start, UTC: 20261120T231500Z",
	  offsetof(struct record, every_ns) },
	FOLDED_OPTS(offsetof(struct record, folded)),
	{ OPT_END },
};

static const struct opt *const tables[] = { record_opts, profiling_opts, NULL };

static void record_help(FILE *out)
{
	fputs("Usage: ebpfprof record [OPTIONS] [[--] CMD [ARGS]]\n"
	      "Sample stacks and write them to a file; without -d until ^C, or until CMD\n"
	      "or the last of the targets has ended.\n\n"
	      "  ebpfprof record -d 30 -o out.pb.gz        the whole machine\n"
	      "  ebpfprof record -p 4711 -d 10             one process and its children\n"
	      "  ebpfprof record -F 199 -o x.pb.gz make    a command, whose status is passed on\n"
	      "  go tool pprof -top out.pb.gz              look at it\n\n"
	      "Targets: values of one option are OR-ed, different options AND-ed.\n\n",
	      out);
	options_print(out, tables);
}

static int check_output(struct record *record, struct errmsg *err)
{
	if (!record->output)
		record->output = record->format_name &&
						 strcmp(record->format_name, "folded") == 0 ?
					 "ebpfprof.folded" :
					 DEFAULT_OUTPUT;
	if (record->format_name)
		record->format = profile_format_by_name(record->format_name);
	else if (strcmp(record->output, "-") == 0)
		record->format = FORMAT_PPROF_GZIP;
	else
		record->format = profile_format_by_suffix(record->output);
	if (record->format == FORMAT_UNKNOWN && record->format_name)
		return err_say(err, -EINVAL, "--format '%s': not one of %s", record->format_name,
			       profile_format_names());
	if (record->format == FORMAT_UNKNOWN)
		return err_say(err, -EINVAL,
			       "-o '%s': no format has this suffix; use .pb.gz, .pb or .folded, or "
			       "--format",
			       record->output);
	if (record->format != FORMAT_FOLDED && (record->folded.lines || record->folded.annotate))
		return err_say(err, -EINVAL, "--lines and --annotate are of folded stacks; a pprof "
					     "file has all that in it: ebpfprof folded FILE --lines");
	if (record->every_ns && record->every_ns < NS_PER_SEC)
		return err_say(err, -EINVAL, "--every: at least 1 second, as %%T in -o is in seconds");
	if (record->every_ns && !strstr(record->output, "%T") && strcmp(record->output, "-") != 0)
		return err_say(err, -EINVAL, "--every writes many files: put %%T into -o, as in "
					     "-o 'prof-%%T.pb.gz'");
	if (strcmp(record->output, "-") == 0 && record->format != FORMAT_FOLDED &&
	    isatty(STDOUT_FILENO))
		return err_say(err, -EINVAL, "-o -: stdout is a terminal and the profile is "
					     "binary; redirect it, or use --format folded");
	return 0;
}

/* -o with %T replaced by the window's start. */
static char *expand_output(const char *output, uint64_t start_ns)
{
	time_t seconds = (time_t)(start_ns / NS_PER_SEC);
	struct strbuf path = STRBUF_INIT;
	char when[32];
	struct tm utc;

	gmtime_r(&seconds, &utc);
	strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &utc);
	for (; *output; output++) {
		if (output[0] == '%' && output[1] == 'T') {
			strbuf_add_str(&path, when);
			output++;
		} else {
			strbuf_add_char(&path, *output);
		}
	}
	return strbuf_take(&path);
}

static int save_window(void *context, struct profile *profile, const struct window_report *report,
		       struct errmsg *err)
{
	_cleanup_(profile_freep) struct profile *owned = profile;
	struct record *record = context;
	char *path = expand_output(record->output, report->start_ns);
	int code;

	if (!path)
		return err_set(err, -ENOMEM, "cannot write '%s'", record->output);
	free(record->last_path);
	record->last_path = path;
	hot_find(owned, &record->hot);
	record->hot.user_samples = report->quality.user;
	code = profile_save(owned, record->format, &record->folded, path, err);
	if (code)
		return code;
	record->files++;
	if (record->every_ns && !record->profiling.quiet)
		fprintf(stderr, "%s: %" PRIu64 " samples\n", path, report->totals.counted);
	return 0;
}

static void restrict_self(void *context)
{
	struct record *record = context;
	_cleanup_free_ char *path = expand_output(record->output, realtime_ns());

	profiling_restrict(&record->profiling, path, record->with_command);
}

static int run_session(struct record *record, struct session_config *config)
{
	struct session_result result;
	struct errmsg err = {};
	int code;

	config->window = save_window;
	config->restrict_self = restrict_self;
	config->every_ns = record->every_ns;
	config->context = record;
	record->with_command = config->command != NULL;
	config->command_stdout_to_stderr = strcmp(record->output, "-") == 0;
	code = session_run(config, &result, &err);
	if (config->progress)
		profiling_progress_end();
	if (code == -EPIPE)
		return EXIT_FAILED;
	if (code) {
		failure(&err);
		return result.command_status == 126 || result.command_status == 127 ?
			       result.command_status :
			       EXIT_FAILED;
	}
	profiling_summary(&record->profiling, &result, &record->hot);
	binaries_free(&result.binaries);
	if (!record->profiling.quiet && strcmp(record->output, "-") != 0) {
		if (record->files == 1)
			fprintf(stderr, "  wrote      %s\n", record->last_path);
		else
			fprintf(stderr, "  wrote      %u files, the last %s\n", record->files,
				record->last_path);
	}
	return profiling_status(config, &result);
}

static int record_run(int argc, char **argv)
{
	struct record record = {};
	struct session_config config;
	struct opt_rest rest;
	struct errmsg err = {};
	int status;

	profiling_init(&record.profiling);
	status = options_parse(argc, argv, tables, &record, NULL, &rest, &err);
	if (!status)
		status = check_output(&record, &err);
	if (status) {
		status = status == -EINVAL ? usage_error("record", &err) : failure(&err);
	} else {
		status = profiling_prepare(&record.profiling, "record", &rest, &config);
		if (!status && !strstr(record.output, "%T") && file_output_check(record.output, &err))
			status = failure(&err);
		if (!status)
			status = run_session(&record, &config);
	}
	profiling_free(&record.profiling);
	free(record.last_path);
	return status;
}

const struct command cmd_record = {
	.name = "record",
	.summary = "sample stacks of the machine, a process or a command into a file",
	.run = record_run,
	.help = record_help,
};
