/* SPDX-License-Identifier: BSD-2-Clause */
/* Where names come from, in words. */
#include <stdio.h>
#include <string.h>

#include "symbolizer/binary.h"
#include "symbolizer/debug_info.h"
#include "symbolizer/process.h"
#include "symbolizer/symbolizer_private.h"

static void set(struct symbolizer_source *ret, const char *names_from, bool is_poor)
{
	snprintf(ret->names_from, sizeof(ret->names_from), "%s", names_from);
	ret->is_poor = is_poor;
}

static void source_of_file(const struct symbolizer *symbolizer, uint64_t id,
			   struct symbolizer_source *ret)
{
	const struct binary *binary = binary_of_id(symbolizer->binaries, id);
	unsigned int good = ~(unsigned int)NAMES_DYNSYM;

	if (binary)
		set(ret, binary_symbol_source(binary), !(binary_sources(binary) & good));
}

static void source_of_jit(const struct symbolizer *symbolizer, uint64_t id,
			  struct symbolizer_source *ret)
{
	const struct process *process = process_of_id(symbolizer->processes, id);

	if (!process)
		return;
	set(ret, process_jit_source(process), !process_jit_source(process)[0]);
	if (!ret->names_from[0])
		set(ret, "none", true);
	ret->runtime = process_runtime(process);
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
		set(ret, symbolizer_kernel_hidden(symbolizer) ? "none" : "kallsyms",
		    symbolizer_kernel_hidden(symbolizer));
		break;
	case LOCATION_BPF:
		set(ret, "kallsyms", false);
		break;
	case LOCATION_JIT:
		source_of_jit(symbolizer, location->owner, ret);
		break;
	case LOCATION_UNKNOWN:
	case LOCATION_NOTE:
		break;
	}
}
