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
 * @build_id: hex, "" = it has none; what lies at @path must be this build.  A container's file of
 * that name is another one, and so is what an upgrade has put there: no package of the host's has
 * their names.  NULL: not known
 *
 * On Debian and Ubuntu: the -dbgsym package of the package that owns the file; elsewhere what the
 * distribution has for it.  A file of no package was stripped by whoever built it.  @ret is "" when
 * nothing helps.
 * Cost: reads the file lists of all packages (some MB).
 */
void naming_advice_file(const char *root, const char *path, const char *build_id, char *ret,
			size_t size);

/** naming_advice_jit - the switch of the runtime; "" = none known */
const char *naming_advice_jit(enum runtime runtime);

#endif
