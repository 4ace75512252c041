/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/cmd/host_check.h"

#include <errno.h>
#include <stdio.h>

#include "profiler/base/err.h"
#include "profiler/collect/host.h"

static int check_kernel(bool force, struct errmsg *err)
{
	struct kernel_version version;

	if (!kernel_version_read(&version)) {
		fprintf(stderr, "ebpfprof: warning: the kernel's version is unreadable; 5.19, 6.0, "
				"6.1 < 6.1.36, 6.2 and 6.3 < 6.3.10 can freeze while profiled\n");
		return 0;
	}
	switch (kernel_safety(&version)) {
	case KERNEL_SAFE:
		return 0;
	case KERNEL_UNKNOWN:
		fprintf(stderr, "ebpfprof: warning: Linux %u.%u before its fix can freeze while "
				"profiled, and uname does not tell the patch level\n",
			version.major, version.minor);
		return 0;
	case KERNEL_FREEZES:
		break;
	}
	if (force) {
		fprintf(stderr, "ebpfprof: warning: Linux %u.%u.%u can freeze while profiled; "
				"going on because of --force\n",
			version.major, version.minor, version.patch);
		return 0;
	}
	return err_say(err, -EPERM,
		       "not profiling Linux %u.%u.%u: reading user memory from an interrupt can "
		       "freeze this machine; update the kernel (fixed in 6.1.36, 6.3.10, 6.4), or "
		       "take the risk with --force",
		       version.major, version.minor, version.patch);
}

int host_check_before_profiling(bool force, enum sampler_by by, struct errmsg *err)
{
	struct host_capabilities capabilities;
	int code = check_kernel(force, err);

	if (code)
		return code;
	if (!host_proc_is_ours())
		return err_say(err, -EXDEV,
			       "/proc is of another pid namespace than this program: names would be "
			       "of other processes; mount it anew here: mount -t proc proc /proc");
	if (by != SAMPLER_BY_BPF)
		return 0;
	if (!host_has_btf())
		return err_say(err, -ENOENT,
			       "this kernel has no BTF: /sys/kernel/btf/vmlinux is missing; use a "
			       "kernel built with CONFIG_DEBUG_INFO_BTF (Debian 11, Ubuntu 20.10 and "
			       "later have it)");
	if (host_capabilities_read(&capabilities) == 0 && !host_can_profile(&capabilities))
		return err_say(err, -EPERM,
			       "not allowed to profile: %s%s%s missing; run with sudo, or once: "
			       SETCAP_LINE,
			       capabilities.bpf ? "" : "CAP_BPF",
			       capabilities.bpf || capabilities.perfmon ? "" : " and ",
			       capabilities.perfmon ? "" : "CAP_PERFMON");
	return 0;
}
