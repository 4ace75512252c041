/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as a perf-map; read in two pieces it must be the same as read at once. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "symbolizer/perfmap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compare(const struct perfmap *a, const struct perfmap *b)
{
	struct perfmap_symbol left, right;
	uint64_t address;

	if (perfmap_skipped(a) != perfmap_skipped(b))
		abort();
	for (address = 0; address < 512; address++) {
		bool found = perfmap_find(a, address, &left);

		if (found != perfmap_find(b, address, &right) ||
		    (found && strcmp(left.name, right.name) != 0))
			abort();
		if (found && address - left.address >= left.size)
			abort();
	}
	perfmap_find(a, UINT64_MAX, &left);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t cut = size ? data[0] * size / 256 : 0;
	int fd = memfd_create("perfmap", MFD_CLOEXEC);
	struct perfmap *whole, *pieces;

	if (fd < 0 || perfmap_new(&whole) || perfmap_new(&pieces))
		abort();
	perfmap_parse(whole, (const char *)data, size);
	if (write(fd, data, cut) != (ssize_t)cut || perfmap_update(pieces, fd) < 0 ||
	    write(fd, data + cut, size - cut) != (ssize_t)(size - cut) ||
	    perfmap_update(pieces, fd) < 0)
		abort();
	compare(whole, pieces);
	perfmap_free(whole);
	perfmap_free(pieces);
	close(fd);
	return 0;
}
