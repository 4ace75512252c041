/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/pipeline/watch.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "profiler/base/err.h"
#include "profiler/collect/sampler.h"
#include "profiler/collect/targets.h"
#include "symbolizer/proc_stat.h"

static int add_fd(struct watch *watch, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };

	return epoll_ctl(watch->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

int watch_open(struct watch *watch, struct errmsg *err)
{
	sigset_t mask;
	int code;

	sigemptyset(&mask);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, &watch->old_mask);
	watch->mask_changed = true;
	watch->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	watch->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	watch->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (watch->epoll_fd < 0 || watch->signal_fd < 0 || watch->timer_fd < 0)
		return err_set(err, -errno, "cannot wait for signals");
	code = add_fd(watch, watch->signal_fd, EPOLLIN);
	if (!code)
		code = add_fd(watch, watch->timer_fd, EPOLLIN);
	return code ? err_set(err, code, "cannot wait for signals") : 0;
}

static int set_timer(struct watch *watch, uint64_t interval_ns)
{
	struct itimerspec every = {
		.it_interval = { .tv_sec = (time_t)(interval_ns / NS_PER_SEC),
				 .tv_nsec = (long)(interval_ns % NS_PER_SEC) },
	};

	every.it_value = every.it_interval;
	watch->interval_ns = interval_ns;
	return timerfd_settime(watch->timer_fd, 0, &every, NULL) == 0 ? 0 : -errno;
}

void watch_set_interval(struct watch *watch, uint64_t interval_ns)
{
	if (interval_ns != watch->interval_ns)
		set_timer(watch, interval_ns);
}

int watch_start(struct watch *watch, uint64_t interval_ns, int sideband_fd, int ring_fd,
		struct errmsg *err)
{
	int code = set_timer(watch, interval_ns);

	if (!code)
		code = add_fd(watch, sideband_fd, EPOLLIN);
	/* A ring with a single entry is readable; its writers say when it is time. */
	if (!code)
		code = add_fd(watch, ring_fd, EPOLLIN | EPOLLET);
	return code ? err_set(err, code, "cannot start the timer") : 0;
}

static int read_signals(struct watch *watch)
{
	struct signalfd_siginfo info;
	struct sigaction action = { .sa_handler = SIG_DFL };
	int stop = 0;

	while (read(watch->signal_fd, &info, sizeof(info)) == sizeof(info))
		if (info.ssi_signo == SIGINT || info.ssi_signo == SIGTERM)
			stop = (int)info.ssi_signo;
	if (stop) {
		/* The next one ends us, whatever we are writing. */
		sigaction(SIGINT, &action, NULL);
		sigaction(SIGTERM, &action, NULL);
		sigprocmask(SIG_SETMASK, &watch->old_mask, NULL);
		watch->mask_changed = false;
	}
	return stop;
}

/* Milliseconds until @until_ns, rounded up, for epoll_wait(); -1 = for ever. */
static int timeout_ms(uint64_t until_ns)
{
	uint64_t now_ns = monotonic_ns();

	if (!until_ns)
		return -1;
	if (until_ns <= now_ns)
		return 0;
	return (int)MIN((until_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS, (uint64_t)INT_MAX);
}

int watch_wait(struct watch *watch, uint64_t until_ns)
{
	struct epoll_event events[4];
	uint64_t ticks;
	int n, i, stop = 0;

	n = epoll_wait(watch->epoll_fd, events, ARRAY_SIZE(events), timeout_ms(until_ns));
	for (i = 0; i < n; i++) {
		if (events[i].data.fd == watch->signal_fd)
			stop = read_signals(watch);
		else if (events[i].data.fd == watch->timer_fd &&
			 read(watch->timer_fd, &ticks, sizeof(ticks)) < 0)
			continue;
	}
	return stop;
}

void watch_close(struct watch *watch)
{
	if (watch->mask_changed)
		sigprocmask(SIG_SETMASK, &watch->old_mask, NULL);
	watch->mask_changed = false;
	fd_closep(&watch->epoll_fd);
	fd_closep(&watch->signal_fd);
	fd_closep(&watch->timer_fd);
	watch->epoll_fd = watch->signal_fd = watch->timer_fd = -1;
}

/* Children of -p that are followed live on in the sampler's table after their parent. */
static bool follows_living(const struct sampler *sampler)
{
	pid_t tgid = 0;

	while ((tgid = sampler_next_followed(sampler, tgid)))
		if (proc_stat_is_running(tgid))
			return true;
	return false;
}

bool targets_gone(const struct targets *targets, const struct sampler *sampler)
{
	size_t i;

	if (!targets->pid_cnt && !targets->tid_cnt)
		return false;
	for (i = 0; i < targets->tid_cnt; i++)
		if (proc_stat_is_running(targets->tids[i]))
			break;
	if (targets->tid_cnt && i == targets->tid_cnt)
		return true;
	if (!targets->pid_cnt)
		return false;
	for (i = 0; i < targets->pid_cnt; i++)
		if (proc_stat_is_running(targets->pids[i]))
			return false;
	return !targets->follow || !follows_living(sampler);
}
