/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/collect/host.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/fileio.h"
#include "profiler/base/strbuf.h"

static bool parse_numbers(const char *text, struct kernel_version *ret)
{
	struct kernel_version version = {};

	if (sscanf(text, "%u.%u.%u", &version.major, &version.minor, &version.patch) < 2)
		return false;
	*ret = version;
	return true;
}

/* Of uname -v's "Debian 6.1.180-1"; Raspberry Pi OS has an epoch: "Debian 1:6.1.63-1+rpt1". */
static bool parse_debian(const char *version, struct kernel_version *ret)
{
	const char *at = version ? strstr(version, "Debian ") : NULL, *colon;

	if (!at)
		return false;
	at += strlen("Debian ");
	colon = at + strspn(at, "0123456789");
	return parse_numbers(*colon == ':' ? colon + 1 : at, ret);
}

bool kernel_version_parse(const char *release, const char *version, const char *signature,
			  struct kernel_version *ret)
{
	const char *at;

	if (signature && (at = strrchr(signature, ' ')) && parse_numbers(at + 1, ret)) {
		ret->exact = true;
		return true;
	}
	if (parse_debian(version, ret)) {
		ret->exact = true;
		return true;
	}
	if (!parse_numbers(release, ret))
		return false;
	/*
	 * Upstream's own names are exact, X.Y.0-rcN too; X.Y.0-NN is how distributions number builds of any
	 * patch level, and .el, .amzn and the like back-port on their own.
	 */
	at = strchr(release, '-');
	ret->exact = !at || ret->patch != 0 || strncmp(at, "-rc", 3) == 0;
	if (strstr(release, ".el") || strstr(release, ".amzn"))
		ret->exact = false;
	return true;
}

bool kernel_version_read(struct kernel_version *ret)
{
	struct strbuf signature = STRBUF_INIT;
	struct utsname name;
	bool found;

	if (uname(&name) != 0)
		return false;
	if (read_path("/proc/version_signature", 4096, &signature) == 0)
		signature.text[strcspn(signature.text, "\n")] = '\0';
	found = kernel_version_parse(name.release, name.version, signature.text, ret);
	strbuf_free(&signature);
	return found;
}

enum kernel_safety kernel_safety(const struct kernel_version *version)
{
	static const struct {
		unsigned int major, minor, fixed_in; /* UINT_MAX = never */
	} bad[] = {
		{ 5, 19, -1u }, { 6, 0, -1u }, { 6, 1, 36 }, { 6, 2, -1u }, { 6, 3, 10 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		if (version->major != bad[i].major || version->minor != bad[i].minor)
			continue;
		if (!version->exact)
			return KERNEL_UNKNOWN;
		return version->patch < bad[i].fixed_in ? KERNEL_FREEZES : KERNEL_SAFE;
	}
	return KERNEL_SAFE;
}

static bool has_capability(cap_t set, cap_value_t value)
{
	cap_flag_value_t flag = CAP_CLEAR;

	return cap_get_flag(set, value, CAP_EFFECTIVE, &flag) == 0 && flag == CAP_SET;
}

int host_capabilities_read(struct host_capabilities *ret)
{
	cap_t set = cap_get_proc();

	if (!set)
		return -errno;
	*ret = (struct host_capabilities){
		.bpf = has_capability(set, CAP_BPF),
		.perfmon = has_capability(set, CAP_PERFMON),
		.sys_admin = has_capability(set, CAP_SYS_ADMIN),
		.sys_ptrace = has_capability(set, CAP_SYS_PTRACE),
		.syslog = has_capability(set, CAP_SYSLOG),
		.dac_read_search = has_capability(set, CAP_DAC_READ_SEARCH),
		.checkpoint_restore = has_capability(set, CAP_CHECKPOINT_RESTORE),
		.sys_resource = has_capability(set, CAP_SYS_RESOURCE),
	};
	cap_free(set);
	return 0;
}

bool host_can_profile(const struct host_capabilities *capabilities)
{
	return capabilities->sys_admin || (capabilities->bpf && capabilities->perfmon);
}

bool host_has_btf(void)
{
	return access("/sys/kernel/btf/vmlinux", R_OK) == 0;
}

long host_perf_paranoid(void)
{
	struct strbuf text = STRBUF_INIT;
	long level = 2;

	if (read_path("/proc/sys/kernel/perf_event_paranoid", 64, &text) == 0)
		level = strtol(text.text, NULL, 10);
	strbuf_free(&text);
	return level;
}

static _Noreturn void try_without_memlock(void)
{
	struct rlimit none = {};
	int fd;

	getrlimit(RLIMIT_MEMLOCK, &none);
	none.rlim_cur = 0;
	setrlimit(RLIMIT_MEMLOCK, &none);
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "ebpfprof_probe", 4, 4096, 1, NULL);
	_exit(fd >= 0 ? 0 : 1);
}

int host_memlock_counts(void)
{
	int status = 0, fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "ebpfprof_probe", 4, 4, 1, NULL);
	pid_t child;

	if (fd < 0)
		return -errno;
	close(fd);
	child = fork();
	if (child < 0)
		return -errno;
	if (child == 0)
		try_without_memlock();
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return -ECHILD;
	return WEXITSTATUS(status);
}

/* include/linux/proc_ns.h: the initial namespace has a number of its own, the same on every kernel. */
#define PROC_PID_INIT_INO 0xEFFFFFFCu

uint32_t host_pid_namespace(void)
{
	struct stat ours;

	if (stat("/proc/self/ns/pid", &ours) != 0 || ours.st_ino == PROC_PID_INIT_INO)
		return 0;
	return (uint32_t)ours.st_ino;
}

bool host_proc_is_ours(void)
{
	char target[32] = "";
	ssize_t bytes = readlink("/proc/self", target, sizeof(target) - 1);

	return bytes > 0 && atoi(target) == getpid();
}

uint64_t host_memlock(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0)
		return 0;
	return limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
}

void host_raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

void host_raise_memlock(void)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

	if (setrlimit(RLIMIT_MEMLOCK, &limit) == 0)
		return;
	if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_MEMLOCK, &limit);
	}
}
