/* SPDX-License-Identifier: BSD-2-Clause */
/* What the host is: its kernel, what it lets us do, and who we are on it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"
#include "profiler/base/fileio.h"
#include "profiler/base/strbuf.h"
#include "profiler/cmd/doctor_rows.h"
#include "profiler/cmd/host_check.h"
#include "profiler/collect/host.h"
#include "profiler/collect/probes.h"

#define GIVE_CAPABILITIES "run with sudo, or once: " SETCAP_LINE
#define row(verdict, name, advice, ...)                                                            \
	doctor_add(doctor, DOCTOR_HOST, verdict, name, NULL, advice, __VA_ARGS__)

/* The first line of a small file of /proc or /sys; "" when it cannot be read. */
static const char *read_line(const char *path, char *ret, size_t ret_bytes)
{
	struct strbuf text = STRBUF_INIT;

	ret[0] = '\0';
	if (read_path(path, 4096, &text) == 0 && text.text)
		snprintf(ret, ret_bytes, "%.*s", (int)strcspn(text.text, "\n"), text.text);
	strbuf_free(&text);
	return ret;
}

enum doctor_verdict doctor_without_bpf(void)
{
	return probe_run(PROBE_RING) == 0 ? DOCTOR_WARN : DOCTOR_FAIL;
}

static void check_kernel(struct doctor *doctor)
{
	struct kernel_version version = {};
	char text[300];
	struct utsname name;

	uname(&name);
	if (!kernel_version_read(&version)) {
		row(DOCTOR_WARN, "kernel",
		    "5.19, 6.0, 6.1 before 6.1.36, 6.2 and 6.3 before 6.3.10 can freeze while "
		    "profiled: make sure that it is none of them",
		    "%s: its version is not understood", name.release);
		return;
	}
	snprintf(text, sizeof(text), "%s %s (Linux %u.%u.%u%s)", name.release, name.machine,
		 version.major, version.minor, version.patch,
		 version.exact ? "" : ", patch level not known");
	if (kernel_safety(&version) == KERNEL_FREEZES)
		row(DOCTOR_FAIL, "kernel",
		    "update it (fixed in 6.1.36, 6.3.10, 6.4); --force takes the risk",
		    "%s: reading user memory from an interrupt can freeze it", text);
	else if (kernel_safety(&version) == KERNEL_UNKNOWN)
		row(DOCTOR_WARN, "kernel",
		    "this series can freeze while profiled before its fix (6.1.36, 6.3.10): make "
		    "sure that it is newer",
		    "%s", text);
	else
		row(DOCTOR_OK, "kernel", NULL, "%s", text);
}

static void check_btf(struct doctor *doctor)
{
	if (host_has_btf())
		row(DOCTOR_OK, "BTF", NULL, "/sys/kernel/btf/vmlinux");
	else
		row(doctor_without_bpf(), "BTF",
		    "a kernel built with CONFIG_DEBUG_INFO_BTF: Debian 11, Ubuntu 20.10 and later",
		    "/sys/kernel/btf/vmlinux is missing");
}

static void check_events(struct doctor *doctor)
{
	int clock = probe_run(PROBE_CPU_CLOCK), cycles = probe_run(PROBE_CYCLES);
	char source[64], paranoid[32];

	row(DOCTOR_INFO, "clocks", NULL, "clocksource %s; stacks and records carry CLOCK_MONOTONIC",
	    read_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", source,
		      sizeof(source)));
	read_line("/proc/sys/kernel/perf_event_paranoid", paranoid, sizeof(paranoid));
	if (clock)
		row(doctor_without_bpf(), "cpu-clock",
		    clock == -ENOENT	       ? "a kernel with CONFIG_PERF_EVENTS" :
		    host_perf_paranoid() > 2 ? "run with sudo, or: sudo sysctl "
					       "kernel.perf_event_paranoid=2" :
					       GIVE_CAPABILITIES,
		    "%s (perf_event_paranoid is %s)", strerror(-clock), paranoid);
	else
		row(DOCTOR_OK, "cpu-clock", NULL, "-e cpu; perf_event_paranoid is %s, which does "
						  "not matter with CAP_PERFMON", paranoid);
	if (cycles)
		row(DOCTOR_INFO, "PMU", NULL, "no hardware counters, as in many virtual machines: "
					      "-e cycles is not possible (%s)", strerror(-cycles));
	else
		row(DOCTOR_OK, "PMU", NULL, "cycles (-e cycles)");
}

struct capability {
	const char *name, *part; /* what is missing without it */
	bool is_held, is_vital;
};

static void check_capabilities(struct doctor *doctor)
{
	struct host_capabilities has = {};
	int err = host_capabilities_read(&has);
	const struct capability all[] = {
		{ "bpf", "sampling by BPF", has.bpf || has.sys_admin, true },
		{ "perfmon", "sampling of other users' programs and of the kernel",
		  has.perfmon || has.sys_admin, true },
		{ "sys_ptrace", "names in other users' programs", has.sys_ptrace, false },
		{ "dac_read_search", "names in files that we may not read", has.dac_read_search,
		  false },
		{ "syslog", "kernel names", has.syslog, false },
		{ "checkpoint_restore", "names in deleted files",
		  has.checkpoint_restore || has.sys_admin, false },
	};
	enum doctor_verdict verdict = DOCTOR_OK;
	struct strbuf held = STRBUF_INIT, missing = STRBUF_INIT;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		if (all[i].is_held)
			strbuf_printf(&held, "%s%s", held.len ? ", " : "", all[i].name);
		else
			strbuf_printf(&missing, "%s%s (%s)", missing.len ? ", " : "", all[i].name,
				      all[i].part);
		if (!all[i].is_held)
			verdict = MAX(verdict, all[i].is_vital ? doctor_without_bpf() : DOCTOR_WARN);
	}
	if (err || held.failed || missing.failed)
		row(DOCTOR_WARN, "capabilities", NULL, "cannot be read");
	else
		row(verdict, "capabilities", GIVE_CAPABILITIES, "held: %s%s%s",
		    held.len ? held.text : "none", missing.len ? "; missing: " : "",
		    missing.len ? missing.text : "");
	strbuf_free(&held);
	strbuf_free(&missing);
}

static void check_memlock(struct doctor *doctor)
{
	uint64_t limit = host_memlock();
	int counts = host_memlock_counts();
	struct host_capabilities has = {};
	char text[64];

	snprintf(text, sizeof(text), "%" PRIu64 " KiB", limit >> 10);
	host_capabilities_read(&has);
	if (counts < 0)
		row(DOCTOR_INFO, "memlock", NULL, "%s; whether it counts for BPF maps is not known",
		    limit == UINT64_MAX ? "unlimited" : text);
	else if (!counts)
		row(DOCTOR_OK, "memlock", NULL, "%s; BPF maps are not charged to it here",
		    limit == UINT64_MAX ? "unlimited" : text);
	else if (limit == UINT64_MAX || has.sys_resource)
		row(DOCTOR_OK, "memlock", NULL,
		    "this kernel charges BPF maps to it: unlimited, or raised by CAP_SYS_RESOURCE");
	else
		row(doctor_without_bpf(), "memlock",
		    "ulimit -l unlimited, LimitMEMLOCK=infinity in a unit, or cap_sys_resource too",
		    "%s: this kernel charges BPF maps to it, and they need more", text);
}

/* "none [integrity] confidentiality" */
static void check_lockdown(struct doctor *doctor)
{
	char line[128], *mode;

	read_line("/sys/kernel/security/lockdown", line, sizeof(line));
	mode = strchr(line, '[');
	if (mode) {
		mode++;
		mode[strcspn(mode, "]")] = '\0';
	}
	/* Tried, too: /sys/kernel/security is often not mounted. */
	if (probe_run(PROBE_READ_KERNEL) == -ENOENT)
		row(doctor_without_bpf(), "lockdown", "boot without lockdown=confidentiality",
		    "confidentiality: BPF programs may not read memory");
	else if (!mode && probe_run(PROBE_READ_KERNEL) == 0)
		row(DOCTOR_OK, "lockdown", NULL, "none, or integrity: BPF programs may read memory");
	else if (!mode)
		row(DOCTOR_INFO, "lockdown", NULL,
		    "not known: /sys/kernel/security is not mounted, and BPF cannot be asked");
	else
		row(DOCTOR_OK, "lockdown", NULL, "%s", mode);
}

/* Of the mounts of this process; file systems that we would like and can do without. */
static void check_mounts(struct doctor *doctor)
{
	struct strbuf mounts = STRBUF_INIT;
	bool tracefs = false, bpffs = false;

	if (read_path("/proc/self/mounts", 1u << 20, &mounts) == 0 && mounts.text) {
		tracefs = strstr(mounts.text, " tracefs ");
		bpffs = strstr(mounts.text, " bpf ");
	}
	row(DOCTOR_OK, "tracefs, bpffs", NULL, "%s, %s: neither is needed",
	    tracefs ? "mounted" : "not mounted", bpffs ? "mounted" : "not mounted");
	strbuf_free(&mounts);
}

static void check_processes(struct doctor *doctor)
{
	uint32_t namespace = host_pid_namespace();

	if (!host_proc_is_ours())
		row(DOCTOR_WARN, "pid namespace",
		    "mount /proc anew in this namespace: mount -t proc proc /proc",
		    "/proc is of another pid namespace than we are: names would be of others");
	else if (namespace)
		row(DOCTOR_WARN, "pid namespace",
		    "for the whole host start the container with its pids: docker run --pid=host",
		    "one of its own (%" PRIu32 "): only its processes are profiled, by its numbers",
		    namespace);
	else
		row(DOCTOR_OK, "pid namespace", NULL, "the host's");
	if (access("/proc/1/stat", R_OK) != 0)
		row(DOCTOR_WARN, "/proc", GIVE_CAPABILITIES,
		    "hides other users' processes (hidepid): they have no names");
}

static void check_kernel_names(struct doctor *doctor)
{
	char line[32];

	read_line("/proc/sys/kernel/kptr_restrict", line, sizeof(line));
	if (line[0] == '2')
		row(DOCTOR_WARN, "kptr_restrict", "sysctl kernel.kptr_restrict=1",
		    "2: kernel functions have no names, even for root");
	else
		row(DOCTOR_OK, "kptr_restrict", NULL, "%s", line[0] ? line : "not there");
	read_line("/proc/sys/kernel/bpf_stats_enabled", line, sizeof(line));
	row(DOCTOR_OK, "bpf_stats", NULL, "%s",
	    line[0] == '1' ? "on for the whole host: every BPF program is measured" :
			     "off; --stats measures ours while it runs");
}

void doctor_check_host(struct doctor *doctor)
{
	check_kernel(doctor);
	check_btf(doctor);
	check_events(doctor);
	check_capabilities(doctor);
	check_lockdown(doctor);
	check_memlock(doctor);
	check_mounts(doctor);
	check_processes(doctor);
	check_kernel_names(doctor);
}
