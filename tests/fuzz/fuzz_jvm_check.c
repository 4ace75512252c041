/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as a JVM's monitoring data (hsperfdata). */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "symbolizer/jvm_attach_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum jvm_attachable word = jvm_read_capabilities(data, size);

	if (word == JVM_ATTACHABLE_UNKNOWN)
		return 0;
	/* what it has found must be there */
	if (!memmem(data, size, "sun.rt.jvmCapabilities", 23) ||
	    (word == JVM_ATTACHABLE_YES && !memchr(data, '1', size)))
		abort();
	return 0;
}
