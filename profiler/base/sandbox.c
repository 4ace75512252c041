/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The filter is a list of what is allowed, by libseccomp, which knows the numbers of each machine.
 * A list of what is forbidden would be shorter and let in what the next kernel brings.
 *
 * The common calls are those that glibc 2.31 to 2.40 makes for what our code asks of it, so it has
 * several names for one thing (newfstatat, statx).  A call that glibc tries first and does without
 * where the kernel has none must get ENOSYS, as EPERM would be the end: clone3, whose flags are
 * in memory, which a filter cannot read.  clone shows its flags: threads pass, processes do not.
 * That is a filter of its own: the kernel logs what a filter refuses or nothing of it, and a line
 * in the log for each thread that begins would hide the one that matters.
 *
 * Names stand in place of numbers and are looked up when the filter is made: an older libseccomp
 * does not know all of them, nor has every machine all calls.
 *
 * EPERM and not a signal: a way through glibc that nobody walked in our tests costs its own part,
 * and not the profile.  -DSANDBOX_KILLS makes a program for tests that is killed instead, so that
 * no refused call goes unnoticed.
 */
#include "profiler/base/sandbox.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/err.h"

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif
/* TCGETS2, whose own definition lacks its struct: isatty() of glibc from 2.42 on. */
#define IOCTL_TCGETS2 0x802c542a

#ifdef SANDBOX_KILLS
#define REFUSED SCMP_ACT_KILL_PROCESS
#else
#define REFUSED SCMP_ACT_ERRNO(EPERM)
#endif

/* ---- what every program needs ---- */

/* clang-format off: a name a line would be four pages */
static const char *const common_names[] = {
	/* memory */
	"brk",
	"madvise",
	"membarrier",
	"mincore",
	"mremap",
	"msync",
	"munmap",
	/* files */
	"access",
	"close",
	"close_range",
	"dup",
	"dup2",
	"dup3",
	"faccessat",
	"faccessat2",
	"fadvise64",
	"fallocate",
	"fchmod",
	"fchmodat",
	"fchmodat2",
	"fchown",
	"fcntl",
	"fdatasync",
	"flock",
	"fstat",
	"fstatfs",
	"fsync",
	"ftruncate",
	"getcwd",
	"getdents",
	"getdents64",
	"linkat",
	"lseek",
	"lstat",
	"mkdir",
	"mkdirat",
	"newfstatat",
	"open",
	"openat",
	"openat2",
	"pread64",
	"preadv",
	"preadv2",
	"pwrite64",
	"pwritev",
	"pwritev2",
	"read",
	"readlink",
	"readlinkat",
	"readv",
	"rename",
	"renameat",
	"renameat2",
	"rmdir",
	"stat",
	"statfs",
	"statx",
	"umask",
	"unlink",
	"unlinkat",
	"utimensat",
	"write",
	"writev",
	/* waiting */
	"epoll_create",
	"epoll_create1",
	"epoll_ctl",
	"epoll_pwait",
	"epoll_pwait2",
	"epoll_wait",
	"eventfd",
	"eventfd2",
	"pipe",
	"pipe2",
	"poll",
	"ppoll",
	"pselect6",
	"select",
	"signalfd",
	"signalfd4",
	"timerfd_create",
	"timerfd_gettime",
	"timerfd_settime",
	/* threads */
	"arch_prctl",
	"clone3",
	"exit",
	"exit_group",
	"futex",
	"futex_requeue",
	"futex_wait",
	"futex_waitv",
	"futex_wake",
	"get_robust_list",
	"getcpu",
	"getpriority",
	"gettid",
	"riscv_hwprobe",
	"rseq",
	"sched_get_priority_max",
	"sched_get_priority_min",
	"sched_getaffinity",
	"sched_getattr",
	"sched_getparam",
	"sched_getscheduler",
	"sched_setscheduler",
	"sched_yield",
	"set_robust_list",
	"set_tid_address",
	"setpriority",
	/* time */
	"clock_getres",
	"clock_gettime",
	"clock_nanosleep",
	"gettimeofday",
	"nanosleep",
	"time",
	"times",
	/* signals, and children that there were before */
	"restart_syscall",
	"rt_sigaction",
	"rt_sigpending",
	"rt_sigprocmask",
	"rt_sigreturn",
	"rt_sigsuspend",
	"rt_sigtimedwait",
	"sigaltstack",
	"wait4",
	"waitid",
	/* who and where we are */
	"capget",
	"getegid",
	"geteuid",
	"getgid",
	"getgroups",
	"getpgid",
	"getpgrp",
	"getpid",
	"getppid",
	"getrandom",
	"getresgid",
	"getresuid",
	"getrlimit",
	"getrusage",
	"getsid",
	"getuid",
	"sysinfo",
	"uname",
};
/* clang-format on */

static const struct sandbox_call common_calls[] = {
	/* memory that is written or executed, not both */
	{ "mmap", 2, PROT_WRITE, 0 },
	{ "mmap", 2, PROT_EXEC, 0 },
	{ "mprotect", 2, PROT_WRITE, 0 },
	{ "mprotect", 2, PROT_EXEC, 0 },
	{ "clone", 0, CLONE_THREAD, CLONE_THREAD },
	SANDBOX_INT("kill", 1, 0), /* is it still there? */
	SANDBOX_INT("prlimit64", 0, 0),
	SANDBOX_INT("prctl", 0, PR_SET_NAME),
	SANDBOX_INT("prctl", 0, PR_GET_NAME),
	SANDBOX_INT("prctl", 0, PR_SET_VMA),
	SANDBOX_INT("prctl", 0, PR_GET_DUMPABLE),
	SANDBOX_INT("prctl", 0, PR_CAPBSET_READ),
	SANDBOX_INT("ioctl", 1, TCGETS), /* isatty() */
	SANDBOX_INT("ioctl", 1, IOCTL_TCGETS2),
	{},
};

#if defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_SANITIZED 1
#endif
#endif

#ifdef IS_SANITIZED
/* The search for leaks at exit stops all threads by ptrace from a process beside them. */
static const struct sandbox_call sanitizer_calls[] = {
	{ "clone", 0, CLONE_UNTRACED, CLONE_UNTRACED },
	{ "ptrace" },
	{ "prctl" },
	{ "prlimit64" },
	{ "mmap" },
	{ "mprotect" },
	{ "personality" },
	{ "setrlimit" },
	{},
};
#else
static const struct sandbox_call sanitizer_calls[] = { {} };
#endif

/* ---- the filter ---- */

static void seccomp_releasep(scmp_filter_ctx *filter)
{
	if (*filter)
		seccomp_release(*filter);
}

/* -EDOM: this machine has no such call; -EEXIST: another table has it too. */
static int add_rule(scmp_filter_ctx filter, uint32_t action, const struct sandbox_call *call)
{
	int number = seccomp_syscall_resolve_name(call->name), r;
	struct scmp_arg_cmp comparison = {
		.arg = call->argument,
		.op = SCMP_CMP_MASKED_EQ,
		.datum_a = call->mask,
		.datum_b = call->value,
	};

	if (number == __NR_SCMP_ERROR)
		return 0;
	r = seccomp_rule_add_array(filter, action, number, call->mask ? 1 : 0, &comparison);
	return r == -EDOM || r == -EEXIST ? 0 : r;
}

static int add_table(scmp_filter_ctx filter, const struct sandbox_call *call)
{
	int r = 0;

	for (; call->name && r == 0; call++)
		r = add_rule(filter, SCMP_ACT_ALLOW, call);
	return r;
}

/* A signal to a thread of our own: raise(), abort(). */
static int add_own(scmp_filter_ctx filter)
{
	const struct sandbox_call calls[] = {
		SANDBOX_INT("tgkill", 0, getpid()),
		{},
	};

	return add_table(filter, calls);
}

static int add_common(scmp_filter_ctx filter)
{
	size_t i;
	int r = 0;

	for (i = 0; i < ARRAY_SIZE(common_names) && r == 0; i++)
		r = add_rule(filter, SCMP_ACT_ALLOW,
			     &(struct sandbox_call){ .name = common_names[i] });
	if (r == 0)
		r = add_table(filter, common_calls);
	if (r == 0)
		r = add_own(filter);
	return r < 0 ? r : add_table(filter, sanitizer_calls);
}

/* @otherwise: of all calls without a rule, those of another machine's numbers (32 bit, x32) too. */
static int make_filter(uint32_t otherwise, bool is_logged, scmp_filter_ctx *ret)
{
	scmp_filter_ctx filter = seccomp_init(otherwise);
	int r;

	*ret = filter;
	if (!filter)
		return -ENOMEM;
	r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, otherwise);
	if (r == 0)
		r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0); /* the caller's */
	/* Not on every kernel, nor in every libseccomp; nor is what they do necessary. */
	(void)!seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	(void)!seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, is_logged);
	(void)!seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree, not a list */
	/* Kernels before 5.16 would slow us down, so that code that we do not run reads nothing. */
	(void)!seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
	(void)!seccomp_attr_set(filter, SCMP_FLTATR_API_SYSRAWRC, 1); /* errno, not -ECANCELED */
	return r;
}

/* libseccomp 2.5 makes EFAULT of what it did not expect, of EPERM too; errno says what it was. */
static int load(scmp_filter_ctx filter)
{
	int r;

	errno = 0;
	r = seccomp_load(filter);
	return r == -EFAULT && errno ? -errno : r;
}

/* What glibc shall believe that the kernel does not have. */
static int load_missing(void)
{
	static const struct sandbox_call missing = { .name = "clone3" };
	_cleanup_(seccomp_releasep) scmp_filter_ctx filter = NULL;
	int r = make_filter(SCMP_ACT_ALLOW, false, &filter);

	if (r == 0)
		r = add_rule(filter, SCMP_ACT_ERRNO(ENOSYS), &missing);
	return r == 0 ? load(filter) : r;
}

static int load_allowed(const struct sandbox_call *const *tables)
{
	_cleanup_(seccomp_releasep) scmp_filter_ctx filter = NULL;
	int r = make_filter(REFUSED, true, &filter);

	if (r == 0)
		r = add_common(filter);
	for (; r == 0 && *tables; tables++)
		r = add_table(filter, *tables);
	return r == 0 ? load(filter) : r;
}

int sandbox_no_new_privs(struct errmsg *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set(err, -errno, "cannot set no_new_privs");
	return 0;
}

int sandbox_enter(const struct sandbox_call *const *tables, struct errmsg *err)
{
	int r = load_missing();

	if (r == 0)
		r = load_allowed(tables);
	return r < 0 ? err_set(err, r, "cannot load a seccomp filter") : 0;
}
