/* SPDX-License-Identifier: BSD-2-Clause */
/* `ebpfprof folded`: folded stacks on stdout, live or from a pprof file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exporters/file.h"
#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "profiler/base/err.h"
#include "profiler/base/fileio.h"
#include "profiler/base/strbuf.h"
#include "profiler/cmd/command.h"
#include "profiler/cmd/folded_opts.h"
#include "profiler/cmd/profiling.h"
#include "proto/profile.h"

#define FILE_BYTES_MAX (512u << 20)
#define PIPE_SECONDS 10

struct folded {
	struct profiling profiling; /* first: its options count from here */
	struct folded_options options;
	const char *file;
	struct hot_list hot;
	bool with_command;
};

static const struct opt folded_opts[] = {
	{ OPT_TEXT, 0, "value", "TYPE", "count by this sample type (samples)",
	  offsetof(struct folded, options.value) },
	FOLDED_OPTS(offsetof(struct folded, options)),
	{ OPT_END },
};

static const struct opt *const tables[] = { folded_opts, profiling_opts, NULL };

static void folded_help(FILE *out)
{
	fputs("Usage: ebpfprof folded [OPTIONS] [-- CMD [ARGS]]\n"
	      "       ebpfprof folded [OPTIONS] FILE.pb.gz\n"
	      "Folded stacks on stdout, one line each: process;outermost;...;leaf COUNT.\n"
	      "FILE is a pprof file (- is stdin) and needs no root. Live into a pipe without -d\n"
	      "takes 10 seconds.\n\n"
	      "  ebpfprof folded -d 10 | flamegraph.pl > x.svg\n"
	      "  ebpfprof folded out.pb.gz | flamegraph.pl > x.svg\n\n",
	      out);
	options_print(out, tables);
}

static int take_file(void *config, const char *word, struct errmsg *err)
{
	struct folded *folded = config;

	if (folded->file)
		return err_say(err, -EINVAL, "'%s': one FILE only; a command goes behind --", word);
	folded->file = word;
	return 0;
}

static int write_stdout(struct folded *folded, const struct profile *profile, struct errmsg *err)
{
	return profile_save(profile, FORMAT_FOLDED, &folded->options, "-", err);
}

static int open_input(const char *path, struct errmsg *err)
{
	struct stat stat;
	int fd;

	if (strcmp(path, "-") == 0)
		return fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, -errno, "cannot open '%s'", path);
	if (fstat(fd, &stat) == 0 && S_ISDIR(stat.st_mode)) {
		close(fd);
		return err_set(err, -EISDIR, "cannot read '%s'", path);
	}
	return fd;
}

static int read_profile(const char *path, struct profile **ret, struct errmsg *err)
{
	struct strbuf bytes = STRBUF_INIT;
	_cleanup_close_ int fd = open_input(path, err);
	struct errmsg why = {};
	int code;

	if (fd < 0)
		return fd;
	code = read_fd(fd, FILE_BYTES_MAX, &bytes);
	if (code) {
		err_set(err, code, "cannot read '%s'", path);
	} else {
		code = pprof_read(bytes.text, bytes.len, NULL, ret, &why);
		if (code)
			err_say(err, code, "'%s' is no readable pprof profile: %s", path,
				why.text[0] ? why.text : strerror(-code));
	}
	strbuf_free(&bytes);
	return code;
}

static int fold_file(struct folded *folded)
{
	_cleanup_(profile_freep) struct profile *profile = NULL;
	struct errmsg err = {};
	int code;

	code = read_profile(folded->file, &profile, &err);
	if (!code)
		code = write_stdout(folded, profile, &err);
	if (code == -EPIPE)
		return EXIT_DONE;
	return code ? failure(&err) : EXIT_DONE;
}

static int print_window(void *context, struct profile *profile, const struct window_report *report,
			struct errmsg *err)
{
	_cleanup_(profile_freep) struct profile *owned = profile;
	struct folded *folded = context;

	hot_find(owned, &folded->hot);
	folded->hot.user_samples = report->quality.user;
	return write_stdout(folded, owned, err);
}

static void restrict_self(void *context)
{
	struct folded *folded = context;

	profiling_restrict(&folded->profiling, NULL, folded->with_command);
}

static int fold_live(struct folded *folded, const struct opt_rest *rest)
{
	struct session_config config;
	struct session_result result;
	struct errmsg err = {};
	int status, code;

	status = profiling_prepare(&folded->profiling, "folded", rest, &config);
	if (status)
		return status;
	if (!config.duration_ns && !config.command && !isatty(STDOUT_FILENO)) {
		config.duration_ns = PIPE_SECONDS * NS_PER_SEC;
		fprintf(stderr, "ebpfprof: sampling for %d s, because stdout is not a terminal; "
				"-d SEC sets another time\n", PIPE_SECONDS);
	}
	config.window = print_window;
	config.restrict_self = restrict_self;
	folded->with_command = config.command != NULL;
	config.context = folded;
	config.command_stdout_to_stderr = true;
	code = session_run(&config, &result, &err);
	if (config.progress)
		profiling_progress_end();
	if (code == -EPIPE)
		return EXIT_DONE;
	if (code) {
		failure(&err);
		return result.command_status == 126 || result.command_status == 127 ?
			       result.command_status :
			       EXIT_FAILED;
	}
	profiling_summary(&folded->profiling, &result, &folded->hot);
	binaries_free(&result.binaries);
	return profiling_status(&config, &result);
}

static int folded_run(int argc, char **argv)
{
	struct folded folded = {};
	struct opt_rest rest;
	struct errmsg err = {};
	int status;

	profiling_init(&folded.profiling);
	status = options_parse(argc, argv, tables, &folded, take_file, &rest, &err);
	if (!status && folded.file && rest.cnt)
		status = err_say(&err, -EINVAL, "either FILE or a command behind --, not both");
	if (!status && folded.file && !targets_is_everything(&folded.profiling.targets))
		status = err_say(&err, -EINVAL, "'%s' is read as it is: targets go with live "
						"profiling only", folded.file);
	if (status)
		status = status == -EINVAL ? usage_error("folded", &err) : failure(&err);
	else
		status = folded.file ? fold_file(&folded) : fold_live(&folded, &rest);
	profiling_free(&folded.profiling);
	return status;
}

const struct command cmd_folded = {
	.name = "folded",
	.summary = "folded stacks on stdout, live or from a file, for flamegraph.pl",
	.run = folded_run,
	.help = folded_help,
};
