/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What gives names to code that has none: the command to type, for the summary and `doctor`.
 */
#ifndef EBPFPROF_SYMBOLIZER_NAMING_ADVICE_H
#define EBPFPROF_SYMBOLIZER_NAMING_ADVICE_H

#include <stdbool.h>
#include <stddef.h>

#include "symbolizer/symbolizer_source.h"

/**
 * naming_advice_file - how to get the names of the file at @path
 * @root: "" or where the host's files lie, for tests; "/var/lib/dpkg/info" and os-release are
 * looked for below
 *
 * On Debian and Ubuntu: the -dbgsym package of the package that owns the file; elsewhere what the
 * distribution has for it.  @ret is "" when nothing is known: a file of no package.
 * Cost: reads the file lists of all packages (some MB).
 */
void naming_advice_file(const char *root, const char *path, char *ret, size_t size);

/** naming_advice_jit - the switch of the runtime; "" = none known */
const char *naming_advice_jit(enum runtime runtime);

#endif
