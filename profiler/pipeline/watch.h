/* SPDX-License-Identifier: BSD-2-Clause */
/* What a session waits for: its timer, signals, the side-band; and whether targets still live. */
#ifndef EBPFPROF_PIPELINE_WATCH_H
#define EBPFPROF_PIPELINE_WATCH_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct errmsg;
struct sampler;
struct targets;

struct watch {
	int epoll_fd, timer_fd, signal_fd;
	uint64_t interval_ns;
	sigset_t old_mask;
	bool mask_changed;
};

#define WATCH_INIT                                                                                 \
	{                                                                                          \
		.epoll_fd = -1, .timer_fd = -1, .signal_fd = -1                                    \
	}

/** watch_open - block SIGINT, SIGTERM, SIGCHLD and make them readable */
int watch_open(struct watch *watch, struct errmsg *err);

/**
 * watch_start - tick every @interval_ns
 * @sideband_fd: also wake when it is readable; @ring_fd: when it becomes so
 */
int watch_start(struct watch *watch, uint64_t interval_ns, int sideband_fd, int ring_fd,
		struct errmsg *err);

/** watch_set_interval - tick so often from now on */
void watch_set_interval(struct watch *watch, uint64_t interval_ns);

/**
 * watch_wait - sleep until the next tick, signal, @extra_fd, or @until_ns (monotonic; 0 = none)
 * Returns the number of SIGINT or SIGTERM when one came, else 0.
 */
int watch_wait(struct watch *watch, uint64_t until_ns);

/** watch_close - signals are as they were */
void watch_close(struct watch *watch);

/**
 * targets_gone - has the last process or thread of -p and -t ended?
 *
 * False when the targets are of another kind (names, cgroups): those may come yet.
 */
bool targets_gone(const struct targets *targets, const struct sampler *sampler);

#endif
