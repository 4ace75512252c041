/* SPDX-License-Identifier: BSD-2-Clause */
/* The rooms of process: images over time (process.c), what is known of one (process_info.c). */
#ifndef EBPFPROF_SYMBOLIZER_PROCESS_PRIVATE_H
#define EBPFPROF_SYMBOLIZER_PROCESS_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "profiler/base/hashmap.h"
#include "profiler/base/strbuf.h"
#include "symbolizer/process.h"
#include "symbolizer/process_jit.h"

#define ALIVE UINT64_MAX

struct process {
	uint64_t id;
	pid_t tgid;
	bool begin_known;  /* by a record: exact */
	bool is_exec;	   /* begun by exec: the older image is the same process's */
	uint64_t begin_ns; /* 0 = before we looked */
	uint64_t end_ns;   /* ALIVE */
	uint64_t read_ns;  /* when /proc was read last; 0 = never */
	struct mappings *mappings;
	struct process_jit *jit; /* NULL until looked for */
	struct process *older;
	TAILQ_ENTRY(process) all;
};

struct process_table {
	char *proc_root;
	struct binary_cache *binaries;
	struct hashmap newest; /* pid_t -> struct process * */
	TAILQ_HEAD(, process) all;
	uint64_t last_id;
	struct mappings *empty;
	struct strbuf text;
	size_t image_cnt;
	struct process_jit_host jit_host;
};

/** process_find_newest - the image that has @tgid now or had it last; NULL: none */
struct process *process_find_newest(const struct process_table *table, pid_t tgid);

#endif
