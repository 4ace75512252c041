/* SPDX-License-Identifier: BSD-2-Clause */
/* Which way samples are taken, chosen and in words. */
#ifndef EBPFPROF_COLLECT_SAMPLER_ABOUT_H
#define EBPFPROF_COLLECT_SAMPLER_ABOUT_H

#include <stdbool.h>

enum sampler_by {
	SAMPLER_BY_AUTO, /* BPF where it can be loaded, else the ring */
	SAMPLER_BY_BPF,	 /* programs in the kernel walk stacks and count */
	SAMPLER_BY_RING, /* perf events write each sample to a ring: needs no BPF, sees less */
};

enum sampler_event {
	SAMPLER_CPU_CLOCK, /* period in ns of wall time per CPU */
	SAMPLER_CYCLES,	   /* period in CPU cycles; needs a PMU */
};

/* How user stacks are walked: enum walk_mode of bpf/unwind_walk.h. */
enum sampler_unwind {
	SAMPLER_UNWIND_AUTO,  /* by table where there is one, else by frame pointer */
	SAMPLER_UNWIND_FP,    /* by frame pointer alone */
	SAMPLER_UNWIND_TABLE, /* never by frame pointer */
};

/* What a sampler does and does not see; by value, so that it outlives the sampler. */
struct sampler_about {
	enum sampler_by by; /* never AUTO */
	bool system_wide;   /* every task of the machine is met, and then filtered */
	bool sees_kernel;   /* samples taken in the kernel are among them */
	char why[768];	    /* why not by BPF: the refusal; "" = asked for, or it is by BPF */
	char scope[200];    /* whom it misses that a target option names; "" = nobody */
};

/**
 * sampler_ring_try - could the ring be sampled from here, without BPF?
 * @ret_system_wide: every task, not only those of our own user
 *
 * 0: at least for processes of our own; -EACCES: kernel.perf_event_paranoid forbids it; -EPERM: a
 * seccomp filter does; or another -errno of perf_event_open(2).
 */
int sampler_ring_try(bool *ret_system_wide);

#endif
