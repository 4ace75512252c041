/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Asks HotSpot JVMs to write their perf-map (jcmd's Compiler.perfmap, Java 17 and later), by the
 * socket that jcmd uses, without jcmd.
 *
 * Nothing is asked of a process that could be harmed by it.  Where there is no socket yet, the
 * JVM is told to make one by a file and a SIGQUIT, which kills a program that does not catch it
 * and makes a JVM that may not be attached to print all its stacks.  So the signal is only sent
 * to a HotSpot whose own monitoring data or command line says that it can be attached to, that
 * catches the signal at that moment, and through a pidfd.
 *
 * The asking is done by up to JVM_ATTACH_THREADS threads, which are started by the first
 * question, have all signals blocked, and never wait longer than some seconds.
 * Calls are for one thread at a time.
 */
#ifndef EBPFPROF_SYMBOLIZER_JVM_ATTACH_H
#define EBPFPROF_SYMBOLIZER_JVM_ATTACH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define JVM_ATTACH_THREADS 4
#define JVM_ATTACH_QUEUE_MAX 256 /* questions and answers not taken yet */

struct jvm_attach;

struct jvm_answer {
	pid_t tgid;
	int result; /* of jvm_attach_perfmap() */
};

int jvm_attach_new(const char *proc_root, struct jvm_attach **ret);

/** jvm_attach_free - gives up what is under way, and ends the threads */
void jvm_attach_free(struct jvm_attach *attach);

/**
 * jvm_attach_ask - have the JVM @tgid write its perf-map now; returns at once
 *
 * May be called for any process, and again for the same one: at the end of each window.
 * Errors: -EALREADY the question before is not answered yet; -ENOSPC; -ENOMEM; -EAGAIN no thread.
 */
int jvm_attach_ask(struct jvm_attach *attach, pid_t tgid);

/** jvm_attach_next - the next answer that has come in; false: none is new */
bool jvm_attach_next(struct jvm_attach *attach, struct jvm_answer *ret);

/** jvm_attach_pending - questions without an answer yet */
size_t jvm_attach_pending(struct jvm_attach *attach);

/**
 * jvm_attach_perfmap - the same, waiting for the answer: up to some 15 s
 * @cancel_fd: gives up with -ECANCELED when it becomes readable; -1 = none
 *
 * 0 the file is written.  Errors: -ENXIO no JVM; -EPROTONOSUPPORT not HotSpot; -EPERM we are
 * neither root nor its user; -EOPNOTSUPP it may not be attached to; -EUNATCH it does not catch
 * SIGQUIT; -EBUSY it is stopped, or another program attaches now; -ECONNRESET it does not trust us;
 * -ETIMEDOUT; -ENOSYS it is older than Java 17; -EREMOTEIO it failed; -EPROTO; -ESRCH; other
 * -errno of its /tmp.
 */
int jvm_attach_perfmap(const char *proc_root, pid_t tgid, int cancel_fd);

/** jvm_attach_words - why, to be put behind "no perf-map of JVM 4711: " */
const char *jvm_attach_words(int result);

#endif
