/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as the name of JIT code: something to read comes out, within its bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "symbolizer/jit_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct jit_name name;
	char *raw = malloc(size + 1);

	if (!raw)
		return 0;
	memcpy(raw, data, size);
	raw[size] = '\0';
	jit_name_split(raw, &name);
	if ((raw[0] && !name.function[0]) || !memchr(name.function, 0, JIT_NAME_MAX) ||
	    !memchr(name.filename, 0, JIT_NAME_MAX))
		abort();
	if (!name.filename[0] && name.start_line)
		abort();
	free(raw);
	return 0;
}
