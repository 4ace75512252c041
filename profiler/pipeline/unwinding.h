/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unwinding beside the kernel's walk: it is told of processes and given tables, and stacks that it
 * could not walk for want of them are unwound here, from registers and a copy of the stack's top.
 *
 * A raw stack waits until its process's mappings and the tables of its files are known; the caller
 * says when no longer (unwinding_tick()): then it ends with `[tables not ready]`.
 */
#ifndef EBPFPROF_PIPELINE_UNWINDING_H
#define EBPFPROF_PIPELINE_UNWINDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "profiler/collect/sampler.h"
#include "profiler/pipeline/unwind_processes.h"

struct errmsg;
struct stack_body;
struct symbolizer;
struct unwinding;

struct unwinding_config {
	enum sampler_unwind mode;
	uint64_t kernel_bytes_max; /* --unwind-memory; 0 = 64 MiB */
	bool with_cache;
	const char *cache_dir; /* NULL = the user's */
	/* All BPF programs are loaded, no thread has begun. May be NULL. */
	void (*before_threads)(void *context);
	void *context;
};

/**
 * unwinding_new - @sampler and @symbolizer are borrowed; before the sampler starts
 *
 * @ret is NULL with a sampler that has no BPF maps: every function here takes that, and does nothing.
 */
int unwinding_new(const struct unwinding_config *config, struct sampler *sampler,
		  struct symbolizer *symbolizer, struct unwinding **ret, struct errmsg *err);
void unwinding_free(struct unwinding *unwinding);

/** unwinding_add_raw - @body, to be unwound at a later unwinding_tick(); -ENOMEM */
int unwinding_add_raw(struct unwinding *unwinding, const struct raw_stack_body *body);

/* Records of processes, and a scan of /proc: -ENOMEM. */
int unwinding_scanned(struct unwinding *unwinding);
int unwinding_changed(struct unwinding *unwinding, pid_t tgid, enum process_change change);
void unwinding_forget(struct unwinding *unwinding, pid_t tgid);

/** unwinding_records_lost - until the next unwinding_publish() what is known may be out of date */
void unwinding_records_lost(struct unwinding *unwinding);

/** unwinding_before_records - between two drains of records, the second of which makes sure */
void unwinding_before_records(struct unwinding *unwinding);

/** unwinding_publish - behind the second, which applied them up to @applied_ns */
int unwinding_publish(struct unwinding *unwinding, uint64_t applied_ns);

/**
 * unwinding_tick - unwind what can be, load what has come
 * @last: what is of @epoch waits no longer: it is given out as it is
 * @stack: gets each finished stack, borrowed for the call
 */
int unwinding_tick(struct unwinding *unwinding, bool last, uint32_t epoch,
		   int (*stack)(void *context, const struct stack_body *body), void *context);

/** unwinding_waits - how many raw stacks of @epoch wait for tables or mappings */
size_t unwinding_waits(const struct unwinding *unwinding, uint32_t epoch);

/** unwinding_makes_tables - some are being made: what waits for them should */
bool unwinding_makes_tables(const struct unwinding *unwinding);

/** unwinding_settle - no program runs that began before the last call of any of these */
void unwinding_settle(struct unwinding *unwinding);

/** unwinding_end_epoch - time passes, and what is old goes; @before_ns as in symbolizer_trim() */
void unwinding_end_epoch(struct unwinding *unwinding, uint64_t before_ns);

struct unwinding_stats {
	uint64_t kernel_bytes, kernel_bytes_max; /* of the maps of tables */
	uint64_t rows;
	uint32_t tables, processes; /* that the kernel's walk knows */
	uint64_t raw;	      /* stacks unwound here */
	uint64_t raw_dropped; /* that found no room to wait */
	uint64_t evicted, refused; /* tables */
	uint64_t rules_refused;	   /* rows whose rule found no room */
	uint64_t processes_refused;
	/* Of the tables made in this session, not of those that came from disk: */
	uint64_t made_rows;
	uint32_t expression_cfa, expression_return_address, expression_register, corrupt;
};
void unwinding_stats(const struct unwinding *unwinding, struct unwinding_stats *ret);

#endif
