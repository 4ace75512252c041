/* SPDX-License-Identifier: BSD-2-Clause */
/* Any text as a linker name. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "symbolizer/demangle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *name = malloc(size + 1), *text;
	unsigned int flags;

	if (!name)
		return 0;
	memcpy(name, data, size);
	name[size] = '\0';
	for (flags = 0; flags <= DEMANGLE_SIMPLE; flags++) {
		text = source_name(name, flags);
		if (text && (!text[0] || strcmp(text, name) == 0))
			abort();
		free(text);
	}
	free(name);
	return 0;
}
