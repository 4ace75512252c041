/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One thread and two rings: requests in, answers out, under one lock that nobody holds for longer
 * than it takes to copy one of them.
 *
 * A table that was made is written to the disk cache and mapped from there at once, so that what the
 * process keeps are pages that the kernel can drop; only where that fails the heap keeps it.
 *
 * What is under way is bounded by number (a request holds a descriptor) and, once made, by bytes:
 * when those who asked do not fetch, the thread waits.  Ending waits for the table that is being made,
 * because nothing interrupts frame_source_build(); leaving the thread to itself, as debuginfod.c
 * does for downloads that may take minutes, was the alternative, for a second at most.
 */
#include "symbolizer/frame_worker.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"

#define NICE 10

struct frame_worker {
	struct symbol_cache *cache; /* the thread's */
	int event_fd;
	size_t bytes_max;
	pthread_t thread;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t asked, answered;
	bool stopping;
	size_t under_way;				   /* asked and not fetched */
	size_t answer_bytes;				   /* heap in `answers` */
	struct frame_request requests[FRAME_REQUESTS_MAX]; /* ring */
	size_t request_start, request_cnt;
	struct frame_answer answers[FRAME_REQUESTS_MAX]; /* ring */
	size_t answer_start, answer_cnt;
};

/* ---- tables and their bytes ----------------------------------------------------------------- */

void frame_bytes_release(struct frame_bytes *bytes)
{
	symbol_cache_release(&bytes->entry);
	free(bytes->heap);
	*bytes = (struct frame_bytes){};
}

void frame_bytes_unload(const struct frame_bytes *bytes)
{
	/* Pages of a file, never written: they are there again when they are read. */
	if (bytes->entry.map)
		(void)!madvise(bytes->entry.map, bytes->entry.map_bytes, MADV_DONTNEED);
}

int frame_bytes_from_cache(struct symbol_cache *cache, const struct elf_build_id *key,
			   uint64_t stamp, struct frame_bytes *ret)
{
	struct frame_bytes bytes = {};
	int r;

	if (!cache || !key->len)
		return -ENOENT;
	r = symbol_cache_get(cache, CACHE_FRAME_TABLE, key, stamp, &bytes.entry);
	if (r < 0)
		return r;
	if (frame_table_of_bytes(bytes.entry.payload, bytes.entry.size, &bytes.table) < 0) {
		frame_bytes_release(&bytes);
		return -ENOENT;
	}
	frame_bytes_unload(&bytes); /* the check has touched all of it */
	*ret = bytes;
	return 0;
}

int frame_bytes_build(struct elf_file *elf, struct frame_bytes *ret,
		      struct frame_census *ret_census)
{
	struct frame_bytes bytes = {};
	int r;

	r = frame_source_build(elf, &bytes.heap, &bytes.heap_bytes, ret_census);
	if (r < 0)
		return r;
	r = frame_table_of_bytes(bytes.heap, bytes.heap_bytes, &bytes.table);
	if (r < 0) {
		frame_bytes_release(&bytes);
		return r;
	}
	*ret = bytes;
	return 0;
}

/* From the heap to the disk cache, and back as a mapping. */
static void move_to_cache(struct symbol_cache *cache, const struct frame_request *request,
			  struct frame_bytes *bytes)
{
	struct iovec part = { bytes->heap, bytes->heap_bytes };
	struct frame_bytes mapped;

	if (!cache || !request->key.len ||
	    symbol_cache_put(cache, CACHE_FRAME_TABLE, &request->key, request->stamp, &part, 1) <
		    0 ||
	    frame_bytes_from_cache(cache, &request->key, request->stamp, &mapped) < 0)
		return;
	frame_bytes_release(bytes);
	*bytes = mapped;
}

struct frame_answer frame_work(struct symbol_cache *cache, const struct frame_request *request)
{
	_cleanup_(elf_file_closep) struct elf_file *elf = NULL;
	uint64_t start_ns = clock_read_ns(CLOCK_THREAD_CPUTIME_ID);
	struct frame_answer answer = { .context = request->context };
	_cleanup_close_ int fd = request->fd;

	answer.error = elf_file_open(fd, &elf, NULL);
	if (!answer.error)
		answer.error = frame_bytes_build(elf, &answer.bytes, &answer.census);
	if (!answer.error)
		move_to_cache(cache, request, &answer.bytes);
	answer.build_ns = clock_read_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns;
	return answer;
}

/* ---- the thread ----------------------------------------------------------------------------- */

/* The next request; false: the end. */
static bool next_request(struct frame_worker *worker, struct frame_request *ret)
{
	bool stopping;

	pthread_mutex_lock(&worker->lock);
	while (!worker->stopping &&
	       (!worker->request_cnt || worker->answer_bytes > worker->bytes_max))
		pthread_cond_wait(&worker->asked, &worker->lock);
	stopping = worker->stopping;
	if (!stopping) {
		*ret = worker->requests[worker->request_start];
		worker->request_start = (worker->request_start + 1) % FRAME_REQUESTS_MAX;
		worker->request_cnt--;
	}
	pthread_mutex_unlock(&worker->lock);
	return !stopping;
}

static void give_answer(struct frame_worker *worker, const struct frame_answer *answer)
{
	uint64_t one = 1;

	pthread_mutex_lock(&worker->lock);
	/* There is room: as many as there may be requests under way. */
	worker->answers[(worker->answer_start + worker->answer_cnt++) % FRAME_REQUESTS_MAX] =
		*answer;
	worker->answer_bytes += answer->bytes.heap_bytes;
	pthread_cond_signal(&worker->answered);
	pthread_mutex_unlock(&worker->lock);
	/* It fails only where 2^64 - 2 wake-ups are outstanding. */
	(void)!write(worker->event_fd, &one, sizeof(one));
}

static void *run(void *context)
{
	struct frame_worker *worker = context;
	const struct sched_param none = {};
	struct frame_request request;
	struct frame_answer answer;

	/* On Linux both are a thread's own. Where they are refused it is as eager as others. */
	(void)!sched_setscheduler(0, SCHED_BATCH, &none);
	(void)!setpriority(PRIO_PROCESS, 0, NICE);
	while (next_request(worker, &request)) {
		answer = frame_work(worker->cache, &request);
		give_answer(worker, &answer);
	}
	return NULL;
}

/* ---- start and stop ------------------------------------------------------------------------- */

static int make(struct frame_worker **ret)
{
	struct frame_worker *worker = calloc(1, sizeof(*worker));
	pthread_condattr_t monotonic;

	if (!worker)
		return -ENOMEM;
	pthread_mutex_init(&worker->lock, NULL); /* these cannot fail in glibc */
	pthread_cond_init(&worker->asked, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&worker->answered, &monotonic);
	pthread_condattr_destroy(&monotonic);
	*ret = worker;
	return 0;
}

static void release(struct frame_worker *worker)
{
	size_t i;

	for (i = 0; i < worker->request_cnt; i++)
		close(worker->requests[(worker->request_start + i) % FRAME_REQUESTS_MAX].fd);
	for (i = 0; i < worker->answer_cnt; i++)
		frame_bytes_release(
			&worker->answers[(worker->answer_start + i) % FRAME_REQUESTS_MAX].bytes);
	pthread_cond_destroy(&worker->answered);
	pthread_cond_destroy(&worker->asked);
	pthread_mutex_destroy(&worker->lock);
	symbol_cache_free(worker->cache);
	free(worker);
}

int frame_worker_start(struct symbol_cache *cache, int event_fd, size_t bytes_max,
		       struct frame_worker **ret)
{
	struct frame_worker *worker;
	sigset_t all, before;
	int r;

	r = make(&worker);
	if (r < 0) {
		symbol_cache_free(cache);
		return r;
	}
	worker->cache = cache;
	worker->event_fd = event_fd;
	worker->bytes_max = bytes_max;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&worker->thread, NULL, run, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r < 0) {
		release(worker);
		return r;
	}
	*ret = worker;
	return 0;
}

void frame_worker_stop(struct frame_worker *worker)
{
	if (!worker)
		return;
	pthread_mutex_lock(&worker->lock);
	worker->stopping = true;
	pthread_cond_signal(&worker->asked);
	pthread_mutex_unlock(&worker->lock);
	pthread_join(worker->thread, NULL);
	release(worker);
}

/* ---- asking --------------------------------------------------------------------------------- */

bool frame_worker_ask(struct frame_worker *worker, const struct frame_request *request)
{
	bool has_room;

	pthread_mutex_lock(&worker->lock);
	has_room = worker->under_way < FRAME_REQUESTS_MAX;
	if (has_room) {
		worker->requests[(worker->request_start + worker->request_cnt++) %
				 FRAME_REQUESTS_MAX] = *request;
		worker->under_way++;
		pthread_cond_signal(&worker->asked);
	}
	pthread_mutex_unlock(&worker->lock);
	return has_room;
}

bool frame_worker_fetch(struct frame_worker *worker, struct frame_answer *ret)
{
	bool has_one;

	pthread_mutex_lock(&worker->lock);
	has_one = worker->answer_cnt;
	if (has_one) {
		*ret = worker->answers[worker->answer_start];
		worker->answer_start = (worker->answer_start + 1) % FRAME_REQUESTS_MAX;
		worker->answer_cnt--;
		worker->answer_bytes -= ret->bytes.heap_bytes;
		worker->under_way--;
		pthread_cond_signal(&worker->asked); /* it may have paused */
	}
	pthread_mutex_unlock(&worker->lock);
	return has_one;
}

void frame_worker_wait(struct frame_worker *worker, uint64_t until_ns)
{
	struct timespec until = { .tv_sec = (time_t)(until_ns / NS_PER_SEC),
				  .tv_nsec = (long)(until_ns % NS_PER_SEC) };

	pthread_mutex_lock(&worker->lock);
	while (!worker->answer_cnt && worker->under_way &&
	       pthread_cond_timedwait(&worker->answered, &worker->lock, &until) == 0)
		;
	pthread_mutex_unlock(&worker->lock);
}
