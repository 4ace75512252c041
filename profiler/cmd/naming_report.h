/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of binaries by samples, where their names come from, and what gives better ones. */
#ifndef EBPFPROF_CMD_NAMING_REPORT_H
#define EBPFPROF_CMD_NAMING_REPORT_H

#include <stdio.h>

struct binaries;

/**
 * naming_report - print the table, each line behind @indent
 * Below it the user frames without a name, by binary, with the source that did not have them.
 */
void naming_report(FILE *out, const char *indent, const struct binaries *binaries);

#endif
