/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The threads that ask JVMs, so that nobody else waits for one.
 *
 * One array holds each process that was asked for, from the question until its answer is taken;
 * threads look for the first open question in it.  Several threads, because one JVM that does not
 * answer would hold up all others for fifteen seconds; a state machine over poll(2) would not
 * need them, but opening files in a stranger's /tmp can block too.
 *
 * What a thread needs of struct jvm_attach is under the lock, but proc_root and cancel_fd, which
 * do not change.
 */
#include "symbolizer/jvm_attach.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"

enum question_state {
	QUESTION_OPEN,
	QUESTION_UNDER_WAY,
	QUESTION_ANSWERED,
};

struct question {
	enum question_state state;
	struct jvm_answer answer;
};

struct jvm_attach {
	char *proc_root;
	int cancel_fd;
	pthread_mutex_t lock;
	pthread_cond_t asked; /* a question is open, or all shall end */
	bool ending;
	struct question questions[JVM_ATTACH_QUEUE_MAX]; /* [cnt], oldest first */
	size_t cnt;
	pthread_t threads[JVM_ATTACH_THREADS]; /* [thread_cnt]; the caller's alone */
	size_t thread_cnt;
};

int jvm_attach_new(const char *proc_root, struct jvm_attach **ret)
{
	struct jvm_attach *attach = calloc(1, sizeof(*attach));

	if (!attach)
		return -ENOMEM;
	attach->proc_root = strdup(proc_root);
	attach->cancel_fd = attach->proc_root ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
	if (attach->cancel_fd < 0) {
		int r = attach->proc_root ? -errno : -ENOMEM;

		free(attach->proc_root);
		free(attach);
		return r;
	}
	pthread_mutex_init(&attach->lock, NULL);
	pthread_cond_init(&attach->asked, NULL);
	*ret = attach;
	return 0;
}

void jvm_attach_free(struct jvm_attach *attach)
{
	uint64_t one = 1;
	size_t i;

	if (!attach)
		return;
	pthread_mutex_lock(&attach->lock);
	attach->ending = true;
	pthread_cond_broadcast(&attach->asked);
	pthread_mutex_unlock(&attach->lock);
	if (write(attach->cancel_fd, &one, sizeof(one)) < 0)
		attach->ending = true; /* nothing is lost: threads end after their time limits */
	for (i = 0; i < attach->thread_cnt; i++)
		pthread_join(attach->threads[i], NULL);
	close(attach->cancel_fd);
	pthread_cond_destroy(&attach->asked);
	pthread_mutex_destroy(&attach->lock);
	free(attach->proc_root);
	free(attach);
}

/* The first in @state, or NULL. */
static struct question *find_state(struct jvm_attach *attach, enum question_state state)
{
	size_t i;

	for (i = 0; i < attach->cnt; i++) {
		if (attach->questions[i].state == state)
			return &attach->questions[i];
	}
	return NULL;
}

static struct question *find_tgid(struct jvm_attach *attach, pid_t tgid)
{
	size_t i;

	for (i = 0; i < attach->cnt; i++) {
		if (attach->questions[i].answer.tgid == tgid)
			return &attach->questions[i];
	}
	return NULL;
}

static void *run_thread(void *argument)
{
	struct jvm_attach *attach = argument;
	struct question *question;

	pthread_mutex_lock(&attach->lock);
	while (!attach->ending) {
		pid_t tgid;
		int result;

		question = find_state(attach, QUESTION_OPEN);
		if (!question) {
			pthread_cond_wait(&attach->asked, &attach->lock);
			continue;
		}
		question->state = QUESTION_UNDER_WAY;
		tgid = question->answer.tgid;
		pthread_mutex_unlock(&attach->lock);
		result = jvm_attach_perfmap(attach->proc_root, tgid, attach->cancel_fd);
		pthread_mutex_lock(&attach->lock);
		question = find_tgid(attach, tgid); /* others may have gone: it has moved */
		question->answer.result = result;
		question->state = QUESTION_ANSWERED;
	}
	pthread_mutex_unlock(&attach->lock);
	return NULL;
}

/* One more thread, if fewer run than there is work for; signals are for the others. */
static int start_thread(struct jvm_attach *attach, size_t unanswered)
{
	sigset_t all, before;
	int r;

	if (attach->thread_cnt == JVM_ATTACH_THREADS || attach->thread_cnt >= unanswered)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&attach->threads[attach->thread_cnt], NULL, run_thread, attach);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r == 0)
		attach->thread_cnt++;
	return r && !attach->thread_cnt ? -r : 0;
}

/* Under the lock. */
static size_t count_unanswered(const struct jvm_attach *attach)
{
	size_t i, cnt = 0;

	for (i = 0; i < attach->cnt; i++)
		cnt += attach->questions[i].state != QUESTION_ANSWERED;
	return cnt;
}

int jvm_attach_ask(struct jvm_attach *attach, pid_t tgid)
{
	struct question *question;
	size_t unanswered;
	int r = 0;

	pthread_mutex_lock(&attach->lock);
	question = find_tgid(attach, tgid);
	if (question && question->state != QUESTION_ANSWERED)
		r = -EALREADY;
	else if (!question && attach->cnt == JVM_ATTACH_QUEUE_MAX)
		r = -ENOSPC;
	else if (!question)
		question = &attach->questions[attach->cnt++];
	if (r == 0)
		*question = (struct question){ .answer.tgid = tgid };
	unanswered = count_unanswered(attach);
	pthread_cond_signal(&attach->asked);
	pthread_mutex_unlock(&attach->lock);
	return r < 0 ? r : start_thread(attach, unanswered);
}

bool jvm_attach_next(struct jvm_attach *attach, struct jvm_answer *ret)
{
	struct question *question;

	pthread_mutex_lock(&attach->lock);
	question = find_state(attach, QUESTION_ANSWERED);
	if (question) {
		*ret = question->answer;
		attach->cnt--;
		memmove(question, question + 1,
			(size_t)(attach->questions + attach->cnt - question) * sizeof(*question));
	}
	pthread_mutex_unlock(&attach->lock);
	return question;
}

size_t jvm_attach_pending(struct jvm_attach *attach)
{
	size_t cnt;

	pthread_mutex_lock(&attach->lock);
	cnt = count_unanswered(attach);
	pthread_mutex_unlock(&attach->lock);
	return cnt;
}
