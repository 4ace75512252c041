/* SPDX-License-Identifier: BSD-2-Clause */
/* What this host offers: kernel, BTF, perf events, capabilities, and whether it is safe. */
#ifndef EBPFPROF_COLLECT_HOST_H
#define EBPFPROF_COLLECT_HOST_H

#include <stdbool.h>
#include <stdint.h>

struct kernel_version {
	unsigned int major, minor, patch;
	bool exact; /* the upstream patch level is known, not a distribution's own numbering */
};

/**
 * kernel_version_parse - the upstream version of a kernel
 * @release: uname -r; @version: uname -v; @signature: /proc/version_signature or NULL
 *
 * Ubuntu's signature ends in it ("Ubuntu 6.8.0-31.31-generic 6.8.1"); Debian's uname -v holds
 * "Debian 6.1.180-1" while its uname -r says 6.1.0-NN; elsewhere uname -r is it.  False when no
 * number is found.
 */
bool kernel_version_parse(const char *release, const char *version, const char *signature,
			  struct kernel_version *ret);

/** kernel_version_read - of the running kernel */
bool kernel_version_read(struct kernel_version *ret);

enum kernel_safety {
	KERNEL_SAFE,
	KERNEL_UNKNOWN, /* of a series that was bad, patch level unknown */
	KERNEL_FREEZES, /* reading user memory from an interrupt can freeze the machine */
};

/**
 * kernel_safety - is copy_from_user_nofault() sound there?
 *
 * Bad: 5.19, 6.0, 6.1 before 6.1.36, 6.2, 6.3 before 6.3.10 (upstream d319f344561d "mm: Fix
 * copy_from_user_nofault()").
 */
enum kernel_safety kernel_safety(const struct kernel_version *version);

/* Capabilities that matter, of the effective set of this process. */
struct host_capabilities {
	bool bpf, perfmon, sys_admin, sys_ptrace, syslog, dac_read_search, checkpoint_restore,
		sys_resource;
};

int host_capabilities_read(struct host_capabilities *ret);

/** host_can_profile - enough for the sampler: CAP_SYS_ADMIN, or CAP_BPF and CAP_PERFMON */
bool host_can_profile(const struct host_capabilities *capabilities);

bool host_has_btf(void);

/** host_perf_paranoid - kernel.perf_event_paranoid; 2, the kernel's default, where it is unreadable */
long host_perf_paranoid(void);

/**
 * host_memlock_counts - are BPF maps charged to RLIMIT_MEMLOCK here, as before Linux 5.11?
 *
 * Tried in a child with a limit of 0.  1, 0, or -errno where no map can be made at all.
 */
int host_memlock_counts(void);

/** host_pid_namespace - the inode of our pid namespace; 0: it is the initial one, or nobody says */
uint32_t host_pid_namespace(void);

/** host_proc_is_ours - does /proc number processes as our pid namespace does? */
bool host_proc_is_ours(void);

/** host_memlock - RLIMIT_MEMLOCK in bytes, UINT64_MAX = unlimited */
uint64_t host_memlock(void);

/** host_raise_files - as far as we may: two a CPU, one for 256 KiB of unwind tables, some hundred more */
void host_raise_files(void);

/** host_raise_memlock - as far as we may; kernels before 5.11 account BPF maps to it */
void host_raise_memlock(void);

#endif
