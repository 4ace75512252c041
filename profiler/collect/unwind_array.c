/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/collect/unwind_array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"

#define CHUNK_BYTES ((size_t)65536) /* a multiple of every page size */

int unwind_array_open(struct unwind_array *array, int fd, size_t value_bytes, uint32_t cnt)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = value_bytes * cnt;
	void *base;

	bytes = (bytes + page - 1) / page * page;
	*array = (struct unwind_array){ .fd = fd, .value_bytes = value_bytes, .cnt = cnt };
	array->is_mapped = calloc((bytes + CHUNK_BYTES - 1) / CHUNK_BYTES, sizeof(bool));
	if (!array->is_mapped)
		return -ENOMEM;
	base = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED) {
		free(TAKE_PTR(array->is_mapped));
		return -ENOMEM;
	}
	array->base = base;
	array->bytes = bytes;
	return 0;
}

void unwind_array_close(struct unwind_array *array)
{
	if (array->base)
		munmap(array->base, array->bytes);
	free(array->is_mapped);
	*array = (struct unwind_array){ .fd = -1 };
}

static int map_chunk(struct unwind_array *array, size_t chunk)
{
	size_t offset = chunk * CHUNK_BYTES, bytes = MIN(CHUNK_BYTES, array->bytes - offset);

	if (array->is_mapped[chunk])
		return 0;
	/* It replaces what reserves the addresses. */
	if (mmap(array->base + offset, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		 array->fd, (off_t)offset) == MAP_FAILED)
		return -errno;
	array->is_mapped[chunk] = true;
	return 0;
}

int unwind_array_touch(struct unwind_array *array, uint32_t first, uint32_t cnt, void *ret)
{
	size_t chunk, end;
	void *at;
	int err = 0;

	if (first > array->cnt || cnt > array->cnt - first)
		return -EINVAL;
	end = (first + (size_t)cnt) * array->value_bytes;
	for (chunk = first * array->value_bytes / CHUNK_BYTES; chunk * CHUNK_BYTES < end && !err;
	     chunk++)
		err = map_chunk(array, chunk);
	if (err)
		return err;
	at = unwind_array_at(array, first);
	memcpy(ret, &at, sizeof(at));
	return 0;
}
