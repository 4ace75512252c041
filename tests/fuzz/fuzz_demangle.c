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

	if (!name)
		return 0;
	memcpy(name, data, size);
	name[size] = '\0';
	text = demangle(name);
	if (text && !text[0])
		abort();
	free(text);
	free(name);
	return 0;
}
