/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What failed and why, carried from where it happened to the one place that prints it.
 *
 * Functions return a negative errno and fill a struct errmsg that the caller owns, on failure
 * only.  `err` may be NULL wherever a function takes one.  Library code never prints; a command
 * prints `ebpfprof: TEXT` once (the text's form is "what failed: why; what to do").
 */
#ifndef EBPFPROF_BASE_ERR_H
#define EBPFPROF_BASE_ERR_H

struct errmsg {
	char text[768];
};

/**
 * err_set - record a failure together with the meaning of its errno
 * @err:  filled with "FMT...: strerror(-code)"; may be NULL
 * @code: negative errno
 *
 * Returns @code, so that `return err_set(err, -errno, ...)` reads as one step.
 */
int err_set(struct errmsg *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** err_say - as err_set(), without the errno's text: @fmt already says why */
int err_say(struct errmsg *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** err_hint - append "; FMT..." to a recorded failure: what its reader can do */
void err_hint(struct errmsg *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
