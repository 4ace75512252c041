/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct errmsg *err, int code, const char *fmt, ...)
{
	va_list args;
	size_t used;

	if (!err)
		return code;
	va_start(args, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s", strerror(-code));
	/* Whatever was to be opened, the remedy is the same. */
	if (code == -EMFILE)
		err_hint(err, "raise the limit of open files: ulimit -n 65536");
	return code;
}

int err_say(struct errmsg *err, int code, const char *fmt, ...)
{
	va_list args;

	if (!err)
		return code;
	va_start(args, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);
	return code;
}

void err_hint(struct errmsg *err, const char *fmt, ...)
{
	va_list args;
	size_t used;

	if (!err)
		return;
	used = strlen(err->text);
	used += (size_t)snprintf(err->text + used, sizeof(err->text) - used, "; ");
	if (used >= sizeof(err->text))
		return;
	va_start(args, fmt);
	vsnprintf(err->text + used, sizeof(err->text) - used, fmt, args);
	va_end(args);
}
