/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the names of files and of code made at run time come from, for people. */
#ifndef EBPFPROF_SYMBOLIZER_SYMBOLIZER_SOURCE_H
#define EBPFPROF_SYMBOLIZER_SYMBOLIZER_SOURCE_H

#include <stdbool.h>

#include "symbolizer/elf.h"

struct location;
struct process;
struct symbolizer;

/* Where the names of one file's code, or of one process's code made at run time, come from. */
enum runtime {
	RUNTIME_OTHER,
	RUNTIME_NODE,
	RUNTIME_JVM,
	RUNTIME_DOTNET,
	RUNTIME_PYTHON,
};

struct symbolizer_source {
	char names_from[64];  /* "DWARF, symtab", "perf-map", "none", "unreadable: why" */
	bool is_poor;	      /* no names, or those of exported functions only */
	bool is_unreadable;   /* the file itself: a debug file would not help */
	enum runtime runtime; /* of JIT code */
	char build_id[2 * ELF_BUILD_ID_MAX + 1]; /* of the file, hex; "" if none */
};

/** symbolizer_source - the source of what stands at @location, as far as it was needed yet */
void symbolizer_source(const struct symbolizer *symbolizer, const struct location *location,
		       struct symbolizer_source *ret);

/**
 * symbolizer_visit_files - the executable files that @process maps, each once
 * @visit: called with the path as the process sees it; the names were read for that
 */
void symbolizer_visit_files(struct symbolizer *symbolizer, struct process *process,
			    void (*visit)(void *context, const char *path,
					  const struct symbolizer_source *source),
			    void *context);

#endif
