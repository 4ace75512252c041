/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Debug files from debuginfod servers (debuginfod(8), debuginfod_find_debuginfo(3)).
 *
 * One thread, because a download takes as long as it takes: it works off a bounded queue of
 * build-ids, one at a time, and leaves its answers in a map.  The library writes files into its
 * own cache; an answer is a path there, opened anew for each who asks, so that no descriptors
 * pile up; when the library has cleaned it away meanwhile, it is asked for again.  What a server
 * sent counts only when it has the build-id that was asked for.
 *
 * Ending is the difficult part: nothing interrupts the library but its progress function, which
 * it calls about once a second.  So stop sets a flag, waits LINGER_MS, and otherwise leaves the
 * thread to itself: all that it touches is in a state with a count of owners, and the last one
 * frees it.  A process of its own for downloads, which could be killed, was the alternative: a
 * program of its own to install, or a fork that must not allocate, of a program with threads.
 *
 * The thread starts with the first question: capabilities are a thread's own, and who gives some
 * up at start-up does it before there is another one.
 *
 * The library stays loaded: libcurl and its TLS library register handlers that run at exit.
 */
#include "symbolizer/debuginfod.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/clock.h"
#include "profiler/base/hashmap.h"
#include "profiler/base/strbuf.h"
#include "symbolizer/symbolizer_sandbox.h"

#define LIBRARY "libdebuginfod.so.1"
#define QUEUE_MAX 256		    /* asked for and not begun */
#define ANSWERS_MAX 65536	    /* remembered; then they are forgotten and begun anew */
#define LINGER_MS 100		    /* how long stop waits for the thread */
#define RETRY_NS (600 * NS_PER_SEC) /* after a server that could not be reached */

/* Build-id in lower-case hex, as the library wants it; zero-padded: a key of the map. */
struct id_hex {
	char text[2 * ELF_BUILD_ID_MAX + 1];
};

enum answer_state {
	ANSWER_NEW,
	ANSWER_UNDER_WAY,
	ANSWER_FOUND,
	ANSWER_MISSING, /* the servers know no such build-id */
	ANSWER_FAILED,	/* they could not be asked: tried again after RETRY_NS */
};

struct answer {
	enum answer_state state;
	char *path;	      /* heap, in the library's cache: of ANSWER_FOUND */
	uint64_t retry_at_ns; /* of ANSWER_FAILED */
};

/* What we call of <elfutils/debuginfod.h>, which need not be there when we are built. */
struct library {
	void *(*begin)(void);
	int (*find)(void *client, const unsigned char *id, int id_len, char **path);
	void (*set_progress)(void *client, int (*progress)(void *client, long a, long b));
	void (*end)(void *client);
};

struct debuginfod {
	struct library library;
	pthread_t thread; /* if `has_thread`, which is the caller's alone */
	bool has_thread;
	atomic_bool stopping;
	atomic_int owners;    /* the caller and the thread */
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t work, answered;
	struct id_hex queue[QUEUE_MAX]; /* ring */
	size_t queue_start, queue_cnt;
	struct hashmap answers; /* struct id_hex -> struct answer */
};

/* ---- the state ------------------------------------------------------------------------------ */

static void forget_answers(struct debuginfod *client)
{
	const void *key;
	size_t cursor = 0;
	void *value;

	while (hashmap_next(&client->answers, &cursor, &key, &value))
		free(((struct answer *)value)->path);
	hashmap_clear(&client->answers);
}

static void drop(struct debuginfod *client)
{
	if (atomic_fetch_sub(&client->owners, 1) != 1)
		return;
	forget_answers(client);
	hashmap_free(&client->answers);
	pthread_cond_destroy(&client->answered);
	pthread_cond_destroy(&client->work);
	pthread_mutex_destroy(&client->lock);
	free(client);
}

static int make(struct debuginfod **ret)
{
	struct debuginfod *client = calloc(1, sizeof(*client));

	if (!client)
		return -ENOMEM;
	pthread_mutex_init(&client->lock, NULL); /* these cannot fail in glibc */
	pthread_cond_init(&client->work, NULL);
	pthread_cond_init(&client->answered, NULL);
	hashmap_init(&client->answers, sizeof(struct id_hex), sizeof(struct answer));
	atomic_init(&client->stopping, false);
	atomic_init(&client->owners, 1);
	*ret = client;
	return 0;
}

/* ---- the thread ----------------------------------------------------------------------------- */

/* Whose thread this is: the library hands nothing of ours to the progress function. */
static _Thread_local struct debuginfod *mine;

static int on_progress(void *library_client, long a, long b)
{
	(void)library_client;
	(void)a;
	(void)b;
	return atomic_load(&mine->stopping); /* non-zero ends the download */
}

static bool has_id(int fd, const struct id_hex *id)
{
	_cleanup_(elf_file_closep) struct elf_file *elf = NULL;
	struct id_hex theirs;

	if (elf_file_open(fd, &elf, NULL) < 0)
		return false;
	elf_build_id_hex(elf_file_build_id(elf), theirs.text);
	return strcmp(theirs.text, id->text) == 0;
}

static struct answer fetch(struct debuginfod *client, void *library_client, const struct id_hex *id)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *path = NULL; /* by the library's strdup() */

	fd = client->library.find(library_client, (const unsigned char *)id->text, 0, &path);
	if (fd >= 0 && path && has_id(fd, id))
		return (struct answer){ .state = ANSWER_FOUND, .path = TAKE_PTR(path) };
	if (fd >= 0 || fd == -ENOENT)
		return (struct answer){ .state = ANSWER_MISSING };
	return (struct answer){ .state = ANSWER_FAILED, .retry_at_ns = monotonic_ns() + RETRY_NS };
}

/* The next build-id; false: the end. */
static bool next_id(struct debuginfod *client, struct id_hex *ret)
{
	bool stopping;

	pthread_mutex_lock(&client->lock);
	while (!client->queue_cnt && !atomic_load(&client->stopping))
		pthread_cond_wait(&client->work, &client->lock);
	stopping = atomic_load(&client->stopping);
	if (!stopping) {
		*ret = client->queue[client->queue_start];
		client->queue_start = (client->queue_start + 1) % QUEUE_MAX;
		client->queue_cnt--;
	}
	pthread_mutex_unlock(&client->lock);
	return !stopping;
}

static void give_answer(struct debuginfod *client, const struct id_hex *id, struct answer *answer)
{
	struct answer *place;

	pthread_mutex_lock(&client->lock);
	place = hashmap_get(&client->answers, id);
	if (place) {
		free(place->path);
		*place = *answer;
		answer->path = NULL;
	}
	pthread_cond_broadcast(&client->answered);
	pthread_mutex_unlock(&client->lock);
	free(answer->path);
}

static void *work(void *context)
{
	struct debuginfod *client = context;
	void *library_client = client->library.begin();
	struct answer answer;
	struct id_hex id;

	mine = client;
	if (library_client)
		client->library.set_progress(library_client, on_progress);
	while (next_id(client, &id)) {
		answer = (struct answer){ .state = ANSWER_MISSING };
		if (library_client)
			answer = fetch(client, library_client, &id);
		give_answer(client, &id, &answer);
	}
	if (library_client)
		client->library.end(library_client);
	drop(client);
	return NULL;
}

/* ---- start and stop ------------------------------------------------------------------------- */

static int load_library(struct library *ret)
{
	void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

	if (!handle)
		return -ENOSYS;
	/* POSIX: what dlsym() gives may be a function, though ISO C knows no such conversion. */
	*(void **)&ret->begin = dlsym(handle, "debuginfod_begin");
	*(void **)&ret->find = dlsym(handle, "debuginfod_find_debuginfo");
	*(void **)&ret->set_progress = dlsym(handle, "debuginfod_set_progressfn");
	*(void **)&ret->end = dlsym(handle, "debuginfod_end");
	return ret->begin && ret->find && ret->set_progress && ret->end ? 0 : -ENOSYS;
}

/* Signals are for the main thread, whose loop waits for them. */
static int start_thread(struct debuginfod *client)
{
	sigset_t all, before;
	int code;

	if (client->has_thread)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	atomic_store(&client->owners, 2);
	code = pthread_create(&client->thread, NULL, work, client);
	if (code)
		atomic_store(&client->owners, 1);
	client->has_thread = !code;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -code;
}

int debuginfod_start(struct debuginfod **ret)
{
	struct debuginfod *client;
	int r;

	if (!debuginfod_is_wanted()) {
		*ret = NULL;
		return 0;
	}
	r = make(&client);
	if (r < 0)
		return r;
	r = load_library(&client->library);
	if (r < 0) {
		drop(client);
		return r;
	}
	*ret = client;
	return 0;
}

void debuginfod_stop(struct debuginfod *client)
{
	struct timespec until;

	if (!client)
		return;
	if (!client->has_thread) {
		drop(client);
		return;
	}
	pthread_mutex_lock(&client->lock);
	atomic_store(&client->stopping, true);
	pthread_cond_signal(&client->work);
	pthread_mutex_unlock(&client->lock);

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += LINGER_MS * 1000000l;
	until.tv_sec += until.tv_nsec / (long)NS_PER_SEC;
	until.tv_nsec %= (long)NS_PER_SEC;
	if (pthread_clockjoin_np(client->thread, NULL, CLOCK_MONOTONIC, &until))
		pthread_detach(client->thread);
	drop(client);
}

/* ---- asking --------------------------------------------------------------------------------- */

/* -EAGAIN: it is in the queue now. */
static int enqueue(struct debuginfod *client, const struct id_hex *id, struct answer *answer)
{
	if (client->queue_cnt == QUEUE_MAX || start_thread(client) < 0)
		return -ENOSPC;
	client->queue[(client->queue_start + client->queue_cnt) % QUEUE_MAX] = *id;
	client->queue_cnt++;
	free(answer->path);
	*answer = (struct answer){ .state = ANSWER_UNDER_WAY };
	pthread_cond_signal(&client->work);
	return -EAGAIN;
}

static int open_found(struct debuginfod *client, const struct id_hex *id, struct answer *answer,
		      int *ret_fd)
{
	_cleanup_close_ int fd = open(answer->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat info;

	if (fd < 0 && errno == ENOENT) /* the cache was cleaned */
		return enqueue(client, id, answer);
	if (fd < 0)
		return errno == EMFILE || errno == ENFILE ? -EAGAIN : -ENOENT;
	if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode))
		return -ENOENT;
	*ret_fd = fd_take(&fd);
	return 0;
}

static int ask(struct debuginfod *client, const struct id_hex *id, int *ret_fd)
{
	struct answer *answer = hashmap_get(&client->answers, id);

	if (!answer && client->queue_cnt == QUEUE_MAX)
		return -ENOSPC;
	if (!answer) {
		if (client->answers.cnt >= ANSWERS_MAX && !client->queue_cnt)
			forget_answers(client); /* one under way is forgotten, too: no harm */
		if (client->answers.cnt >= ANSWERS_MAX)
			return -ENOSPC;
		answer = hashmap_put(&client->answers, id, NULL);
		if (!answer)
			return -ENOSPC;
	}
	switch (answer->state) {
	case ANSWER_FOUND:
		return open_found(client, id, answer, ret_fd);
	case ANSWER_UNDER_WAY:
		return -EAGAIN;
	case ANSWER_MISSING:
		return -ENOENT;
	case ANSWER_FAILED:
		return monotonic_ns() < answer->retry_at_ns ? -ENOENT : enqueue(client, id, answer);
	default:
		return enqueue(client, id, answer);
	}
}

/* Not so where we have no descriptor left to open it. */
static bool is_under_way(struct debuginfod *client, const struct id_hex *id)
{
	const struct answer *answer = hashmap_get(&client->answers, id);

	return answer && answer->state == ANSWER_UNDER_WAY;
}

static int ask_or_wait(struct debuginfod *client, const struct elf_build_id *build_id, bool wait,
		       int *ret_fd)
{
	struct id_hex id = {};
	int r;

	if (!client || build_id->len < 2)
		return -ENOENT;
	elf_build_id_hex(build_id, id.text);
	pthread_mutex_lock(&client->lock);
	while ((r = ask(client, &id, ret_fd)) == -EAGAIN && wait && is_under_way(client, &id))
		pthread_cond_wait(&client->answered, &client->lock);
	pthread_mutex_unlock(&client->lock);
	return r == -EAGAIN && wait ? -ENOENT : r;
}

int debuginfod_ask(struct debuginfod *client, const struct elf_build_id *build_id, int *ret_fd)
{
	return ask_or_wait(client, build_id, false, ret_fd);
}

int debuginfod_wait(struct debuginfod *client, const struct elf_build_id *build_id, int *ret_fd)
{
	return ask_or_wait(client, build_id, true, ret_fd);
}
