/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An array map that is written through its mapping, of which only the parts in use are mapped.
 *
 * The kernel puts all pages of such a mapping into it at once (remap_vmalloc_range()), so that a
 * map would count fully in our RSS however little of it is used.
 */
#ifndef EBPFPROF_COLLECT_UNWIND_ARRAY_H
#define EBPFPROF_COLLECT_UNWIND_ARRAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct unwind_array {
	int fd; /* borrowed */
	size_t value_bytes, bytes;
	uint32_t cnt;
	char *base;	 /* addresses for all of it */
	bool *is_mapped; /* [chunks] */
};

/**
 * unwind_array_open - @fd: of a map (or file) of @cnt values of @value_bytes, which divide a page
 * -ENOMEM.  Nothing is mapped yet.
 */
int unwind_array_open(struct unwind_array *array, int fd, size_t value_bytes, uint32_t cnt);
void unwind_array_close(struct unwind_array *array);

/**
 * unwind_array_touch - values [@first, @first + @cnt), from now on mapped until the end
 * @ret: the first of them
 * -EINVAL beyond the array; -errno of mmap.
 */
int unwind_array_touch(struct unwind_array *array, uint32_t first, uint32_t cnt, void *ret);

/** unwind_array_at - a value that unwind_array_touch() has mapped */
static inline void *unwind_array_at(const struct unwind_array *array, uint32_t index)
{
	return array->base + index * array->value_bytes;
}

#endif
