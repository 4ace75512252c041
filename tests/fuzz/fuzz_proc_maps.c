/* SPDX-License-Identifier: BSD-2-Clause */
/* /proc/PID/maps from any bytes: what comes out is whole and ordered. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "symbolizer/proc_maps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *cursor = (const char *)data, *end = cursor + size;
	const char *before = cursor;
	struct proc_map map;

	while (proc_maps_next(&cursor, end, &map)) {
		if (map.start >= map.end || !memchr(map.path, '\0', sizeof(map.path)) ||
		    cursor <= before || cursor > end)
			abort();
		before = cursor;
	}
	if (cursor != end)
		abort();
	return 0;
}
