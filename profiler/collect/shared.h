/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The maps of bpf/shared.bpf.c: created once, lent by descriptor to every other object.
 */
#ifndef EBPFPROF_COLLECT_SHARED_H
#define EBPFPROF_COLLECT_SHARED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bpf/sample.h"
#include "bpf/stat.h"
#include "profiler/collect/tracer.h"

struct bpf_object;
struct errmsg;
struct shared_maps;
struct target_filter;
struct targets;

struct shared_config {
	size_t ring_bytes; /* power of two, at least a page */
	uint32_t seen_slots; /* power of two */
	bool with_tables;    /* the unwind maps have their full size (bpf/unwind.h), else none */
	uint32_t pid_namespace; /* struct pid_view.namespace */
	enum tier tier;	     /* for every tracer; TIER_NONE = the best that is possible */
};

/** shared_maps_new - create the maps; -EPERM and the like with what to do in @err */
int shared_maps_new(const struct shared_config *config, const struct targets *targets,
		    struct shared_maps **ret, struct errmsg *err);
void shared_maps_free(struct shared_maps *maps);

/** shared_maps_lend - let @object use our maps and our pid namespace's numbers; before load */
int shared_maps_lend(const struct shared_maps *maps, struct bpf_object *object,
		     struct errmsg *err);

/** shared_maps_tier - shared_config.tier */
enum tier shared_maps_tier(const struct shared_maps *maps);

/** shared_maps_note - what became of a tracer; beyond TRACERS_MAX it is not kept */
void shared_maps_note(struct shared_maps *maps, const struct tracer_outcome *outcome);

/** shared_maps_outcomes - [@ret_cnt] of the tracers loaded so far; they live as long as @maps */
const struct tracer_outcome *shared_maps_outcomes(const struct shared_maps *maps, size_t *ret_cnt);

/** shared_maps_filter - the knobs that go with the targets given to shared_maps_new() */
void shared_maps_filter(const struct targets *targets, struct target_filter *ret);

/** shared_maps_follow - profile process @tgid for the reason @bits (enum target_bit) */
int shared_maps_follow(const struct shared_maps *maps, pid_t tgid, uint32_t bits);

/** shared_maps_follow_child - @tgid too, for the reasons of @parent, if it is followed */
int shared_maps_follow_child(const struct shared_maps *maps, pid_t parent, pid_t tgid);

/** shared_maps_unfollow - @tgid has ended: its number may be another's soon */
void shared_maps_unfollow(const struct shared_maps *maps, pid_t tgid);

/**
 * shared_maps_next_followed - walk the followed processes
 * @tgid: 0 at first, then what was returned
 *
 * Returns 0 at the end.
 */
pid_t shared_maps_next_followed(const struct shared_maps *maps, pid_t tgid);

/** shared_maps_control - the mapped control value; lives as long as @maps */
struct sampler_control *shared_maps_control(struct shared_maps *maps);

/** shared_maps_stats - sums over all CPUs of one bank's counters; -errno */
int shared_maps_stats(const struct shared_maps *maps, unsigned int bank, uint64_t ret[STAT_CNT]);

/** shared_maps_bodies_fd - descriptor of the ring */
int shared_maps_bodies_fd(const struct shared_maps *maps);

/** shared_maps_fd - descriptor of the map @name, which there is; borrowed */
int shared_maps_fd(const struct shared_maps *maps, const char *name);

/** shared_maps_bytes - kernel memory of the maps but the unwind ones, as the kernel accounts it */
uint64_t shared_maps_bytes(const struct shared_maps *maps);

/** map_memlock_bytes - memory of one map by its /proc/self/fdinfo; 0 if unknown */
uint64_t map_memlock_bytes(int fd);

#endif
