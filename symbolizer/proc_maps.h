/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reader of /proc/PID/maps: a pure function over its bytes (fs/proc/task_mmu.c show_map_vma).
 *
 * Only executable mappings are handed out.  Lines that are none of the kernel's are skipped; a
 * last line without its newline was cut short and is skipped as well.
 */
#ifndef EBPFPROF_SYMBOLIZER_PROC_MAPS_H
#define EBPFPROF_SYMBOLIZER_PROC_MAPS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct proc_map {
	uint64_t start, end, offset; /* start < end */
	uint32_t major, minor;
	uint64_t inode;
	/* "" for anonymous memory; \012 decoded; a longer one is cut */
	char path[PATH_MAX];
};

/**
 * proc_maps_next - the next executable mapping
 * @cursor: the first byte not looked at yet; moved on
 * @end: behind the last byte
 *
 * Returns false at the end.  @ret is garbage then.
 */
bool proc_maps_next(const char **cursor, const char *end, struct proc_map *ret);

#endif
