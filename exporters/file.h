/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Output files that appear whole or not at all.
 *
 * A regular or missing target is written under a temporary name in the same directory, fsynced
 * and renamed into place (mode 0666 & ~umask, owner SUDO_UID:SUDO_GID when set and we are root);
 * of a symbolic link, the file that it points to is replaced. A FIFO, device or "-" (stdout, as
 * /dev/stdout) is written through; opening a FIFO waits for its reader. The temporary file is
 * removed if anything fails, also by file_output_abort().
 */
#ifndef EBPFPROF_EXPORTERS_FILE_H
#define EBPFPROF_EXPORTERS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct errmsg;
struct file_output;
struct folded_options;
struct profile;

enum profile_format {
	FORMAT_UNKNOWN,
	FORMAT_PPROF_GZIP, /* .pb.gz, --format pprof */
	FORMAT_PPROF,	   /* .pb, --format pprof-raw */
	FORMAT_FOLDED,	   /* .folded, --format folded */
};

/** profile_format_by_name - of --format; FORMAT_UNKNOWN if there is none so named */
enum profile_format profile_format_by_name(const char *name);

/** profile_format_by_suffix - of a path; FORMAT_UNKNOWN if its suffix is no format's */
enum profile_format profile_format_by_suffix(const char *path);

/** profile_format_names - "pprof, pprof-raw, folded", for help and errors */
const char *profile_format_names(void);

/**
 * file_output_check - would file_output_open() be able to create @path?
 *
 * Called before a window starts, so that a ten-minute recording does not end in "permission
 * denied". Leaves nothing behind. Errors: -EISDIR, -ENOENT, -EACCES, -EROFS, ...
 */
int file_output_check(const char *path, struct errmsg *err);

/**
 * file_output_needs - capabilities without which root can create @path, but not give it to the
 * user behind sudo (CAP_CHOWN) or bring it to its place (CAP_FOWNER: folders like /tmp)
 */
uint64_t file_output_needs(const char *path);

/** file_output_open - begin writing @path ("-" = stdout) */
int file_output_open(const char *path, struct file_output **ret, struct errmsg *err);

/** file_output_write - a byte_sink_fn; buffered; the first error is kept and returned again */
int file_output_write(void *output, const void *bytes, size_t len);

/**
 * file_output_commit - flush, fsync, rename; frees @output whatever happens
 * Errors: of the first write that failed, or of fsync, close, rename; -EPIPE without a message.
 */
int file_output_commit(struct file_output *output, struct errmsg *err);

/** file_output_abort - remove what was written; frees @output; NULL is fine */
void file_output_abort(struct file_output *output);

/**
 * profile_save - write @profile to @path in @format
 * @folded: used by FORMAT_FOLDED, NULL = defaults
 *
 * -EPIPE (the reader closed early) is returned without a message, for callers to end quietly.
 */
int profile_save(const struct profile *profile, enum profile_format format,
		 const struct folded_options *folded, const char *path, struct errmsg *err);

#endif
