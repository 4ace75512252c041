/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a running profiler holds: the capabilities and system calls that what it was asked for
 * needs until its end, and no other.
 */
#ifndef EBPFPROF_CMD_PRIVILEGES_H
#define EBPFPROF_CMD_PRIVILEGES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct privileges {
	const char *output; /* a file that will be written; NULL or "-": stdout */
	bool with_command;  /* SIGTERM is passed to it, whoever it has become */
	bool jvm_perfmap;   /* JVMs of other users are asked */
	bool debuginfod;    /* asked if $DEBUGINFOD_URLS names a server */
};

/**
 * privileges_needed - of @held, as what @privileges says needs them
 * CAP_SYS_ADMIN and CAP_DAC_OVERRIDE stand in for the narrower ones that are not held.
 */
uint64_t privileges_needed(const struct privileges *privileges, uint64_t held);

/**
 * privileges_drop - capabilities, no_new_privs, seccomp filter; before the first thread
 * What the kernel refuses is said on stderr in a line, and the program goes on without that part.
 */
void privileges_drop(const struct privileges *privileges);

/** privileges_notes - print what is poorer for want of capabilities, @held at the start */
void privileges_notes(FILE *out, uint64_t held);

#endif
