/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A seccomp filter: from here on this process makes the system calls that it said it would.
 *
 * Any other fails with EPERM and is logged by the kernel (audit record 1326); nothing is killed.
 * What every program needs is in here: memory, files, threads of its own, time, its own signals.
 * Not in here, and so refused unless named: new processes and programs (fork, execve), ptrace,
 * memory of others, namespaces, mounts, modules, sockets, bpf, perf events, other ioctls.
 *
 * A filter cannot be left again, and programs that are executed would inherit it.
 */
#ifndef EBPFPROF_BASE_SANDBOX_H
#define EBPFPROF_BASE_SANDBOX_H

#include <stdint.h>

struct errmsg;

/* A call to allow; of several entries with one name each allows what it says. */
struct sandbox_call {
	const char *name;      /* as in syscalls(2); where there is none of it, the entry is void */
	unsigned int argument; /* if `mask`: its argument number, from 0, */
	uint64_t mask, value;  /* ... and-ed with `mask`, must be `value` */
};

/* An entry for one value of an int argument: the upper half of its register says nothing. */
#define SANDBOX_INT(call, number, int_value)                                                       \
	{                                                                                          \
		.name = (call), .argument = (number), .mask = UINT32_MAX,                          \
		.value = (uint32_t)(int_value)                                                     \
	}

/** sandbox_no_new_privs - no program executed from now on gains anything; -errno */
int sandbox_no_new_privs(struct errmsg *err);

/**
 * sandbox_enter - filter the calls of all threads that there are and will be
 * @tables: what is allowed beside the common calls; each ends with an entry without a name; NULL
 *          ends the list
 *
 * Needs sandbox_no_new_privs() or CAP_SYS_ADMIN. Errors: -ENOSYS or -EINVAL: the kernel has no
 * seccomp filters; -EACCES, -EPERM refused; -ENOMEM. Then nothing is refused.
 */
int sandbox_enter(const struct sandbox_call *const *tables, struct errmsg *err);

#endif
