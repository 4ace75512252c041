/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * JIT code by /tmp/perf-PID.map: lines `START SIZE name with spaces`, START and SIZE in hex
 * (Linux tools/perf/Documentation/jit-interface.txt).
 *
 * The file grows while the program runs. A later line wins over an earlier one where they
 * overlap; what is left of the earlier one keeps its name.
 * Bounded: at most PERFMAP_FILE_MAX bytes of a file are read and about PERFMAP_BYTES_MAX held;
 * what is beyond is counted, not an error. Names that no address has any more make room.
 * Names are cut after PERFMAP_LINE_MAX bytes of line; control characters in them become '?'.
 */
#ifndef EBPFPROF_SYMBOLIZER_PERFMAP_H
#define EBPFPROF_SYMBOLIZER_PERFMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct errmsg;
struct perfmap;

#define PERFMAP_FILE_MAX (256ull << 20)
#define PERFMAP_BYTES_MAX (16ull << 20)
#define PERFMAP_LINE_MAX 2048

struct perfmap_symbol {
	const char *name; /* valid until the next update */
	uint64_t address; /* of what later lines left of it */
	uint64_t size;
};

/**
 * perfmap_open_file - open the perf-map of a process, safely
 * @proc_root: "/proc"
 * @tgid: the process, in our pid namespace
 *
 * Looks below /proc/TGID/root (openat2 RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS |
 * RESOLVE_NO_SYMLINKS) for tmp/perf-N.map, N being its pid in its innermost namespace (NSpid of
 * /proc/TGID/status), then the same with @tgid itself. Only a regular file owned by the
 * process's effective user or by root. Errors: -ENOENT, -EPERM (wrong owner or kind, a symbolic
 * link), -ESRCH, -EACCES and other -errno of /proc/TGID.
 */
int perfmap_open_file(const char *proc_root, pid_t tgid, int *ret_fd);

int perfmap_new(struct perfmap **ret);
void perfmap_free(struct perfmap *map);

/**
 * perfmap_update - read what @fd has grown by since the last call
 *
 * A torn last line waits for its rest. A file that became shorter is read anew. Returns the
 * number of lines added, or -errno. After -ENOMEM the map is empty, and the next update reads
 * the file from its start.
 */
int perfmap_update(struct perfmap *map, int fd);

/** perfmap_restart - the file was written anew: read all of it at the next update, keep the names */
void perfmap_restart(struct perfmap *map);

/** perfmap_parse - the same from memory: @bytes continue what was parsed before */
int perfmap_parse(struct perfmap *map, const char *bytes, size_t len);

bool perfmap_find(const struct perfmap *map, uint64_t address, struct perfmap_symbol *ret);

size_t perfmap_cnt(const struct perfmap *map);
size_t perfmap_bytes(const struct perfmap *map);
uint64_t perfmap_skipped(const struct perfmap *map); /* bad or over-limit lines */

#endif
