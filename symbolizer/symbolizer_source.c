/* SPDX-License-Identifier: BSD-2-Clause */
/* Where names come from, in words. */
#include <stdio.h>
#include <string.h>

#include "profiler/base/cleanup.h"
#include "symbolizer/binary.h"
#include "symbolizer/debug_info.h"
#include "symbolizer/mappings.h"
#include "symbolizer/process.h"
#include "symbolizer/symbolizer_private.h"
#include "symbolizer/symtab.h"

static void set(struct symbolizer_source *ret, const char *names_from, bool is_poor)
{
	snprintf(ret->names_from, sizeof(ret->names_from), "%s", names_from);
	ret->is_poor = is_poor;
}

static void source_of_file(const struct symbolizer *symbolizer, uint64_t id,
			   struct symbolizer_source *ret)
{
	const struct binary *binary = binary_of_id(symbolizer->binaries, id);
	unsigned int good = ~(unsigned int)(NAMES_DYNSYM | NAMES_DWARF_LARGE);

	if (!binary)
		return;
	set(ret, binary_symbol_source(binary), !(binary_sources(binary) & good));
	ret->is_unreadable = binary_error(binary) < 0;
	snprintf(ret->build_id, sizeof(ret->build_id), "%s", binary_build_id(binary));
}

enum runtime symbolizer_runtime(const struct process *process)
{
	static const struct {
		const char *prefix;
		enum runtime runtime;
	} files[] = {
		{ "libjvm.so", RUNTIME_JVM },	   { "libcoreclr.so", RUNTIME_DOTNET },
		{ "libnode.so", RUNTIME_NODE },	   { "node", RUNTIME_NODE },
		{ "libpython3.", RUNTIME_PYTHON }, { "python3", RUNTIME_PYTHON },
	};
	const struct mapping *mapping;
	size_t cursor = 0, i;

	while ((mapping = mappings_next(process_mappings(process), &cursor))) {
		if (mapping->kind != MAPPING_FILE)
			continue;
		for (i = 0; i < ARRAY_SIZE(files); i++) {
			const char *name = binary_basename(mapping->binary);

			if (strncmp(name, files[i].prefix, strlen(files[i].prefix)) == 0)
				return files[i].runtime;
		}
	}
	return RUNTIME_OTHER;
}

static void source_of_jit(const struct symbolizer *symbolizer, const struct location *location,
			  struct symbolizer_source *ret)
{
	static const char *const names[] = {
		[JIT_SOURCE_NONE] = "none",
		[JIT_SOURCE_PERFMAP] = "perf-map",
		[JIT_SOURCE_JITDUMP] = "jitdump",
	};
	const struct process *process = process_of_id(symbolizer->processes, location->owner);
	enum jit_source source = process ? process_jit_source(process) : JIT_SOURCE_NONE;

	set(ret, names[source], source == JIT_SOURCE_NONE);
	if (process)
		ret->runtime = symbolizer_runtime(process);
}

void symbolizer_source(const struct symbolizer *symbolizer, const struct location *location,
		       struct symbolizer_source *ret)
{
	*ret = (struct symbolizer_source){};
	switch (location->kind) {
	case LOCATION_USER:
	case LOCATION_VDSO:
		source_of_file(symbolizer, location->owner, ret);
		break;
	case LOCATION_KERNEL:
		set(ret,
		    symbolizer_kernel_hidden(symbolizer) ? "none" :
		    symbolizer->kernel_lines.vmlinux	 ? "DWARF, kallsyms" :
							   "kallsyms",
		    symbolizer_kernel_hidden(symbolizer));
		break;
	case LOCATION_BPF:
		set(ret, "kallsyms", false);
		break;
	case LOCATION_JIT:
		source_of_jit(symbolizer, location, ret);
		break;
	case LOCATION_UNKNOWN:
		set(ret, "no mapping known", true);
		break;
	case LOCATION_NOTE:
		break;
	}
}

void symbolizer_visit_files(struct symbolizer *symbolizer, struct process *process,
			    void (*visit)(void *context, const char *path,
					  const struct symbolizer_source *source),
			    void *context)
{
	const struct mapping *mapping;
	const struct binary *last = NULL;
	struct symbolizer_source source;
	struct symbol symbol;
	size_t cursor = 0;

	while ((mapping = mappings_next(process_mappings(process), &cursor))) {
		/* A file's mappings lie side by side. */
		if (mapping->kind != MAPPING_FILE || mapping->binary == last)
			continue;
		last = mapping->binary;
		binary_find_symbol(mapping->binary, 0, &symbol);
		source = (struct symbolizer_source){};
		source_of_file(symbolizer, binary_id(last), &source);
		visit(context, binary_path(last), &source);
	}
}
